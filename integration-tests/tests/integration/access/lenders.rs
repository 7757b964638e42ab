//! Lenders of credentials that are in trouble, or lend what no request can be made of: what a user is told then.

use std::net::TcpListener;

use strandline_testkit::wire::{CONTAINER, HttpAnswer, HttpRequest, HttpServer, IDENTITY, Rights};

use super::errand::{Errand, Told, Work};
use super::ways::{self, Ground, HOUR, ROLE};
use crate::runner::Outcome;

/// What a lender says that nobody may read.
const SECRET: &str = "TOPsecretACCESSkey";
const TOKEN: &str = "TOPsecretSESSIONtoken";

/// What the metadata of an instance, and the endpoint of a container, hand out.
fn lent(token: &str) -> String {
    format!(
        "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"LastUpdated\":\"2026-01-01T00:00:00Z\",\"AccessKeyId\":\"{KEY}\",\
         \"SecretAccessKey\":\"{SECRET}\",\"Token\":\"{token}\",\"Expiration\":\"2099-01-01T00:00:00Z\"}}"
    )
}

/// A key that the bucket knows.
const KEY: &str = "AKIALENDER";

/// A lender that says this of credentials, and each word of the metadata with these ends.
fn lender(said: &str, ends: &'static str) -> HttpServer {
    let said = said.to_owned();
    let say = |text: &str| {
        let ttl = vec!["x-aws-ec2-metadata-token-ttl-seconds: 600".to_owned()];
        HttpAnswer::Say(200, ttl, text.as_bytes().to_vec())
    };
    HttpServer::start(move |request: &HttpRequest| match request.path() {
        "/latest/api/token" => say(&format!("METADATAsession=={ends}")),
        "/latest/meta-data/iam/security-credentials/" => say(&format!("writer{ends}")),
        "/latest/meta-data/iam/security-credentials/writer" | "/credentials" => say(&said),
        _ => HttpAnswer::Say(404, Vec::new(), Vec::new()),
    })
    .unwrap()
}

/// It is an error that names what is wrong with it, and not a panic; what ends with a line end, as emulators have it, does.
pub(super) fn unusable() -> Outcome {
    let ground = Ground::new(HOUR);
    let at = |options: &str| Errand::new(&ground.place(&format!("region=us-east-1 {options}")), Work::Read);
    let refused = |errand: Errand, names: &str| {
        let told = errand.run();
        told.is_refused("permission denied", names);
        told.hides([SECRET, TOKEN]);
    };
    let broken = lent(&format!("{TOKEN}\\u000a"));
    let said = ground.file(
        "said.json",
        &broken.replace("\"Code\"", "\"Version\":1,\"Code\"").replace("Token", "SessionToken"),
    );
    let config = ground.file("config", &format!("[default]\ncredential_process = cat {said}\n"));
    let process = at("").with("PATH", "/usr/bin:/bin").with("AWS_CONFIG_FILE", &config);
    refused(process, "session token");
    let metadata = lender(&broken, "");
    refused(at("").with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url()), "session token");
    refused(at(&format!("metadata_endpoint={}", metadata.url())), "session token");
    let (url, file) =
        (format!("{}/credentials", metadata.url()), ground.file("token", &format!("{CONTAINER}\n")));
    let by_option = format!("container_credentials_full_uri={url} container_authorization_token_file={file}");
    refused(at(&by_option), "container_authorization_token_file");
    let by_variable = at("").with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url);
    refused(by_variable.with("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file), "HTTP header");
    let lines = lender(&lent(TOKEN), "\nanother");
    let told = at(&format!("metadata_endpoint={}", lines.url())).run();
    told.is_refused("unavailable", "more than the one word");
    let ended = lender(&lent(TOKEN), "\r\n");
    let there = ground.place(&format!("region=us-east-1 metadata_endpoint={}", ended.url()));
    ground.access.lend(KEY, TOKEN, Rights::all(), HOUR);
    Errand::new(&there, Work::Round).run().is_done(3);
    Outcome::Passed
}

/// Nobody is refused by somebody who does not answer or cannot now: it is worth another try. What he says is not repeated.
pub(super) fn in_trouble() -> Outcome {
    let ground = Ground::new(HOUR);
    let broken = |status| {
        let body = format!(
            "<ErrorResponse><Error><Code>InternalFailure</Code><Message>no key for {IDENTITY}</Message></Error></ErrorResponse>{}",
            lent(TOKEN)
        );
        HttpServer::start(move |_| HttpAnswer::Say(status, Vec::new(), body.clone().into_bytes())).unwrap()
    };
    let (failing, refusing) = (broken(500), broken(403));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (identity, token) = (ground.file("identity", IDENTITY), ground.file("token", CONTAINER));
    let errand =
        |options: &str| Errand::new(&ground.place(&format!("region=us-east-1 {options}")), Work::Read);
    let container =
        |url: &str| errand("").with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{url}/credentials"));
    let sts = |url: &str| {
        errand("")
            .with("AWS_WEB_IDENTITY_TOKEN_FILE", &identity)
            .with("AWS_ROLE_ARN", ROLE)
            .with("AWS_ENDPOINT_URL_STS", url)
    };
    let metadata = |url: &str| errand("").with("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
    let by_option = |url: &str| errand(&format!("metadata_endpoint={url}"));
    let of_container = |url: &str| {
        errand(&format!("container_credentials_full_uri={url} container_authorization_token_file={token}"))
    };
    let (nobody, failing, refusing) = (format!("http://{nobody}"), failing.url(), refusing.url());
    let errands: Vec<(&str, Errand)> = vec![
        ("unavailable", container(&nobody)),
        ("unavailable", container(&failing)),
        ("permission denied", container(&refusing)),
        ("unavailable", sts(&nobody)),
        ("unavailable", sts(&failing)),
        ("permission denied", sts(&refusing)),
        ("unavailable", metadata(&failing)),
        // Where there is no such service, as on most machines, there are no credentials.
        ("permission denied", metadata(&nobody)),
        ("permission denied", metadata(&refusing)),
        ("permission denied", by_option(&refusing)),
        ("permission denied", of_container(&refusing)),
    ];
    // Each waits for somebody.
    std::thread::scope(|scope| {
        let running: Vec<_> =
            errands.into_iter().map(|(kind, errand)| scope.spawn(move || (kind, errand.run()))).collect();
        for (number, ended) in running.into_iter().enumerate() {
            let (kind, told): (&str, Told) = ended.join().unwrap();
            println!("  {number}: {}", told.outcome());
            told.is_refused(kind, "");
            told.hides([SECRET, TOKEN]);
            ways::hides_all(&ground, &told);
        }
    });
    Outcome::Passed
}
