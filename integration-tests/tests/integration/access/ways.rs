//! Every way in which the AWS tools and `object_store` come to credentials, each to a stub that lets in only the key that lies at its
//! end, and where a real server can be asked, to one that checks the signature.

use std::path::Path;
use std::time::Duration;

use strandline_testkit::wire::{
    Access, Authority, CONTAINER, HttpServer, IDENTITY, Issuer, Rights, StubBucket,
};
use tempfile::TempDir;

use super::admin;
use super::errand::{Errand, Told, Work};
use crate::lake::Place;
use crate::runner::Outcome;
use crate::servers;

pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/writer";
pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// The keys of profiles and variables.
const KEY: &str = "AKIAOWNKEY";
const SECRET: &str = "ownSECRETaccessKEY/of+the+user";

/// A bucket, where credentials come from, and a folder for files that name them.
pub(super) struct Ground {
    pub(super) access: Access,
    pub(super) bucket: HttpServer,
    pub(super) issuer: Issuer,
    pub(super) folder: TempDir,
}

impl Ground {
    /// Where credentials are lent for this long. Nobody else is let in.
    pub(super) fn new(time: Duration) -> Self {
        let access = Access::new();
        let issuer = Issuer::start(&access, Rights::all(), time).unwrap();
        let bucket = StubBucket::s3().with_access(&access).serve().unwrap();
        Self { access, bucket, issuer, folder: tempfile::tempdir().unwrap() }
    }

    /// The bucket, with more options.
    pub(super) fn place(&self, options: &str) -> Place {
        let options = format!("endpoint={} allow_http=true {options}", self.bucket.url());
        Place { location: "s3://lake".to_owned(), options }
    }

    /// A file with this text.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        file(self.folder.path(), name, text)
    }
}

/// A file with this text in a folder.
pub(super) fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What the tools take for static keys in a file of credentials.
fn profile(name: &str, key: &str, secret: &str) -> String {
    format!("[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
}

/// What a process that hands out credentials says.
fn handed_out(key: &str, secret: &str) -> String {
    format!("{{\"Version\": 1, \"AccessKeyId\": \"{key}\", \"SecretAccessKey\": \"{secret}\"}}")
}

/// Each with variables and options of its own, to a bucket of its own.
pub(super) fn all() -> Outcome {
    variables();
    profiles();
    processes();
    web_identities();
    instances();
    containers();
    Outcome::Passed
}

/// Goes that way, and checks that what lies at its end was used, by whom it should, and told to nobody.
#[track_caller]
fn goes(ground: &Ground, key: &str, errand: Errand) {
    let told = errand.run();
    told.is_done(3);
    assert!(ground.access.asked(key) > 0, "{key} was not used");
    // Two handles are opened, and what `object_store` does by itself each of their two clients does.
    assert!((1..=4).contains(&ground.access.used()));
    hides_all(ground, &told);
}

#[track_caller]
pub(super) fn hides_all(ground: &Ground, told: &Told) {
    told.hides(ground.issuer.secrets());
    told.hides([SECRET]);
    told.hides(ground.bucket.requests().iter().filter_map(|request| {
        request
            .header("authorization")
            .and_then(|value| value.split_once("Signature="))
            .map(|(_, after)| after.to_owned())
    }));
}

fn variables() {
    let ground = Ground::new(HOUR);
    ground.access.lend(KEY, "ownTOKENofTHEsession==", Rights::all(), HOUR);
    let errand = Errand::new(&ground.place("region=us-east-1"), Work::Round)
        .with("AWS_ACCESS_KEY_ID", KEY)
        .with("AWS_SECRET_ACCESS_KEY", SECRET)
        .with("AWS_SESSION_TOKEN", "ownTOKENofTHEsession==");
    goes(&ground, KEY, errand);
}

fn profiles() {
    let ground = Ground::new(HOUR);
    ground.access.grant(KEY, Rights::all());
    let text = profile("default", "AKIAOTHER", "x") + &profile("sales", KEY, SECRET);
    let credentials = ground.file("credentials", &text);
    let config = ground.file("config", "[profile sales]\nregion = eu-central-1\n");
    let errand = Errand::new(&ground.place(""), Work::Round)
        .with("AWS_PROFILE", "sales")
        .with("AWS_CONFIG_FILE", &config)
        .with("AWS_SHARED_CREDENTIALS_FILE", &credentials);
    goes(&ground, KEY, errand);
    // Where they lie if nothing is said.
    let ground = Ground::new(HOUR);
    ground.access.grant(KEY, Rights::all());
    std::fs::create_dir(ground.folder.path().join(".aws")).unwrap();
    ground.file(".aws/credentials", &profile("default", KEY, SECRET));
    let home = ground.folder.path().to_str().unwrap();
    goes(&ground, KEY, Errand::new(&ground.place(""), Work::Round).with("HOME", home));
}

fn processes() {
    let ground = Ground::new(HOUR);
    ground.access.grant(KEY, Rights::all());
    let said = ground.file("said.json", &handed_out(KEY, SECRET));
    let config = ground.file("config", &format!("[default]\ncredential_process = cat {said}\n"));
    let errand = Errand::new(&ground.place(""), Work::Round)
        .with("PATH", "/usr/bin:/bin")
        .with("AWS_CONFIG_FILE", &config);
    goes(&ground, KEY, errand);
}

/// By variables the AWS tools go; by options `object_store` does, which talks to a token service over TLS only.
fn web_identities() {
    let ground = Ground::new(HOUR);
    let identity = ground.file("identity", IDENTITY);
    let errand = Errand::new(&ground.place(""), Work::Round)
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", &identity)
        .with("AWS_ROLE_ARN", ROLE)
        .with("AWS_ENDPOINT_URL_STS", &ground.issuer.url());
    goes(&ground, "ASIALENT0", errand);
    for variables in [true, false] {
        let mut ground = Ground::new(HOUR);
        let authority = Authority::new().unwrap();
        ground.issuer = Issuer::start_tls(&authority, &ground.access, Rights::all(), HOUR).unwrap();
        let (identity, bundle) = (ground.file("identity", IDENTITY), ground.file("ca.pem", &authority.pem()));
        let url = ground.issuer.url();
        let options = format!(
            "web_identity_token_file={identity} role_arn={ROLE} endpoint_url_sts={url} ca_bundle={bundle}"
        );
        let errand = match variables {
            false => Errand::new(&ground.place(&options), Work::Round),
            true => Errand::new(&ground.place(""), Work::Round)
                .with("AWS_CA_BUNDLE", &bundle)
                .with("AWS_WEB_IDENTITY_TOKEN_FILE", &identity)
                .with("AWS_ROLE_ARN", ROLE)
                .with("AWS_ENDPOINT_URL_STS", &url),
        };
        goes(&ground, "ASIALENT0", errand);
    }
}

fn instances() {
    let ground = Ground::new(HOUR);
    let errand = Errand::new(&ground.place(""), Work::Round)
        .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &ground.issuer.url());
    goes(&ground, "ASIALENT0", errand);
    let ground = Ground::new(HOUR);
    let options = format!("metadata_endpoint={}", ground.issuer.url());
    goes(&ground, "ASIALENT0", Errand::new(&ground.place(&options), Work::Round));
}

fn containers() {
    let ground = Ground::new(HOUR);
    let url = format!("{}/credentials", ground.issuer.url());
    let errand = Errand::new(&ground.place(""), Work::Round)
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)
        .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER);
    goes(&ground, "ASIALENT0", errand);
    let ground = Ground::new(HOUR);
    let (url, token) = (format!("{}/credentials", ground.issuer.url()), ground.file("token", CONTAINER));
    let options = format!("container_credentials_full_uri={url} container_authorization_token_file={token}");
    goes(&ground, "ASIALENT0", Errand::new(&ground.place(&options), Work::Round));
}

/// With credentials that the server itself has made for some time, and with its own, in files.
pub(super) fn minio() -> Outcome {
    let place = match servers::MINIO.place() {
        Ok(place) => admin::empty(&place),
        Err(why) => return Outcome::Skipped(why),
    };
    let (open, own) = admin::split(&place);
    let folder = tempfile::tempdir().unwrap();
    let credentials = file(folder.path(), "credentials", &profile("default", &own.key_id, &own.secret_key));
    let errand = |number: usize| Errand::new(&open.below(&format!("way-{number}")), Work::Round);
    let told = errand(0).with("AWS_SHARED_CREDENTIALS_FILE", &credentials).run();
    told.is_done(3);
    told.hides([&own.secret_key]);
    let said = file(folder.path(), "said.json", &handed_out(&own.key_id, &own.secret_key));
    let config = file(folder.path(), "config", &format!("[default]\ncredential_process = cat {said}\n"));
    errand(1).with("PATH", "/usr/bin:/bin").with("AWS_CONFIG_FILE", &config).run().is_done(3);
    let lent = admin::lend(&place, None);
    let issuer = Issuer::start_with(move |_| lent.clone()).unwrap();
    let told = errand(2).with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &issuer.url()).run();
    told.is_done(3);
    told.hides(issuer.secrets());
    let wrong = file(folder.path(), "wrong", &profile("default", &own.key_id, "not-the-secret"));
    errand(3)
        .with("AWS_SHARED_CREDENTIALS_FILE", &wrong)
        .run()
        .is_refused("permission denied", "SignatureDoesNotMatch");
    Outcome::Passed
}

/// Each is an error of the one kind, within seconds.
pub(super) fn denied() -> Outcome {
    let ground = Ground::new(HOUR);
    let check = |errand: Errand, names: &str| {
        let told = errand.run();
        told.is_refused("permission denied", names);
        hides_all(&ground, &told);
    };
    let errand = || Errand::new(&ground.place("region=us-east-1"), Work::Read);
    let url = ground.issuer.url();
    check(errand().with("AWS_EC2_METADATA_DISABLED", "true"), "no AWS credentials");
    let wrong = ground.file("identity", "eyJhbGciOiJub25lIn0.SOMEBODYelse.signed");
    let sts = |errand: Errand| {
        errand
            .with("AWS_WEB_IDENTITY_TOKEN_FILE", &wrong)
            .with("AWS_ROLE_ARN", ROLE)
            .with("AWS_ENDPOINT_URL_STS", &url)
    };
    check(sts(errand()), "InvalidIdentityToken");
    let container = errand().with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{url}/credentials"));
    check(container.with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer somebody"), "no AWS credentials");
    let config = ground.file("config", "[default]\ncredential_process = cat /nonexistent\n");
    let process = errand().with("PATH", "/usr/bin:/bin").with("AWS_CONFIG_FILE", &config);
    check(process.with("AWS_EC2_METADATA_DISABLED", "true"), "no AWS credentials");
    let helper = ground.file("helper", &format!("echo 'the secret {SECRET} is refused' >&2\nexit 1\n"));
    let config = ground.file("talkative", &format!("[default]\ncredential_process = sh {helper}\n"));
    let process = errand().with("PATH", "/usr/bin:/bin").with("AWS_CONFIG_FILE", &config);
    check(process.with("AWS_EC2_METADATA_DISABLED", "true"), "what it said is not repeated here");
    let keys = |key: &str| errand().with("AWS_ACCESS_KEY_ID", key).with("AWS_SECRET_ACCESS_KEY", SECRET);
    check(keys("AKIANOBODY"), "InvalidAccessKeyId");
    ground.access.lend("ASIAPAST", "pastTOKEN", Rights::all(), Duration::ZERO);
    check(keys("ASIAPAST").with("AWS_SESSION_TOKEN", "pastTOKEN"), "ExpiredToken");
    check(keys("ASIAPAST").with("AWS_SESSION_TOKEN", "otherTOKEN"), "InvalidToken");
    Outcome::Passed
}
