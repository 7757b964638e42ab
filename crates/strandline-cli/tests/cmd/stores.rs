//! The command at buckets: stores that break conditions, users who may not do everything, certificates, and what it never says.

use std::path::Path;
use std::process::{Command, Output};

use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};
use strandline_testkit::wire::{
    Access, Authority, Breach, HttpAnswer, HttpRequest, HttpServer, Rights, StubBucket,
};

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN";

/// A bucket, and what it takes to get there.
struct Bucket {
    location: String,
    options: Vec<(String, String)>,
}

impl Bucket {
    fn at(url: &str) -> Self {
        let options = [
            ("endpoint", url),
            ("allow_http", "true"),
            ("region", "us-east-1"),
            ("access_key_id", KEY),
            ("secret_access_key", SECRET),
        ];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Self { location: "s3://lake/here".to_owned(), options }
    }

    /// As `.ci/servers` says it: the location of a bucket, then options.
    fn parse(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let location = format!("{}/cmd-{}", words.next().unwrap(), std::process::id());
        let option = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self { location, options: words.filter_map(option).collect() }
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.options.retain(|(known, _)| known != key);
        self.options.push((key.to_owned(), value.to_owned()));
        self
    }

    fn without(&self, key: &str) -> Self {
        let options = self.options.iter().filter(|(known, _)| known != key).cloned().collect();
        Self { location: self.location.clone(), options }
    }

    /// A run whose environment is the test's own.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strand"));
        command
            .env_clear()
            .env("STRANDLINE_LAKE", &self.location)
            .env("STRANDLINE_CONFIG", crate::command::NO_CONFIG);
        for (key, value) in &self.options {
            command.arg("--option").arg(format!("{key}={value}"));
        }
        command.args(args).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A run that ends with this number, and says this.
    #[track_caller]
    fn ends(&self, args: &[&str], code: i32, names: &str) {
        let output = self.run(args);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(names), "{args:?}: {said}");
    }

    /// Puts what stands in a folder there, as any tool does.
    fn copy(&self, folder: &Path) {
        let builder = AmazonS3Builder::new().with_bucket_name(self.bucket().0);
        let options = self.options.iter().filter_map(|(key, value)| Some((key.parse().ok()?, value)));
        let to =
            options.fold(builder, |builder, (key, value)| builder.with_config(key, value)).build().unwrap();
        let from = LocalFileSystem::new_with_prefix(folder).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let objects: Vec<_> = from.list(None).try_collect().await.unwrap();
            assert!(objects.len() > 3);
            for object in objects {
                let bytes = from.get(&object.location).await.unwrap().bytes().await.unwrap();
                let path = object_store::path::Path::from(format!("{}/{}", self.bucket().1, object.location));
                to.put(&path, bytes.into()).await.unwrap();
            }
        });
    }

    fn bucket(&self) -> (&str, &str) {
        self.location.strip_prefix("s3://").unwrap().split_once('/').unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A store that breaks conditions is refused to whoever would write, with a number of its own, and can be read.
fn is_refused(bucket: &Bucket, names: &str) {
    let folder = tempfile::tempdir().unwrap();
    let local = Bucket { location: folder.path().join("lake").display().to_string(), options: Vec::new() };
    local.ok(&["init"]);
    local.ok(&["sql", "CREATE TABLE t (id BIGINT); INSERT INTO t VALUES (1), (2)"]);
    bucket.ends(&["init"], 8, names);
    bucket.ends(&["ls"], 4, "not found");
    bucket.copy(&folder.path().join("lake"));
    bucket.ends(&["doctor"], 8, names);
    bucket.ends(&["doctor", "-o", "json"], 8, names);
    bucket.ends(&["sql", "INSERT INTO t VALUES (3)"], 8, names);
    bucket.ends(&["-o", "json", "branch", "create", "dev"], 8, "\"exit\":8");
    assert_eq!(bucket.ok(&["sql", "-o", "csv", "SELECT count(*) AS n FROM t"]), "n\n2\n");
    assert!(bucket.ok(&["log", "-o", "ndjson"]).lines().count() >= 2);
}

#[test]
fn stubs_that_break_a_condition_are_refused_with_8() {
    for (breach, names) in [
        (Breach::Ignores, "it created an object that was there already"),
        (Breach::IgnoresTokens, "it took a swap with a stale token"),
        (Breach::SwapsAbsent, "it took a swap of an object that is not there"),
        (Breach::Races, "told several writers that each had won"),
    ] {
        let server = StubBucket::s3().that(breach).serve().unwrap();
        is_refused(&Bucket::at(&server.url()), names);
    }
}

/// Servers that `.ci/servers` starts; without it there is none to try.
#[test]
fn servers_that_break_conditions_are_refused_with_8() {
    for (variable, names) in [
        ("STRANDLINE_TEST_RCLONE", "it created an object that was there already"),
        ("STRANDLINE_TEST_S3RVER", "it created an object that was there already"),
        ("STRANDLINE_TEST_OLD_MINIO", "it refused to create an object because it is not there"),
        ("STRANDLINE_TEST_S3S_FS", "it told several writers that each had won"),
    ] {
        match variable_of(variable) {
            Some(line) => is_refused(&Bucket::parse(&line), names),
            None => {
                assert!(variable_of("STRANDLINE_REQUIRE_ALL").is_none(), "{variable} is not set");
                println!("skipped: no server: {variable} is not set, `.ci/servers COMMAND` sets it");
            }
        }
    }
}

fn variable_of(name: &str) -> Option<String> {
    strandline::Runtime::system().environment().variable(name)
}

#[test]
fn a_branch_that_a_user_may_not_write_ends_it_with_5_and_is_named() {
    let access = Access::new();
    access.grant(KEY, Rights::all());
    let dev = ["data/", "meta/", "refs/branches/dev.json"];
    let rights = dev.iter().fold(Rights::reading(), |rights, path| rights.writing(format!("here/{path}")));
    access.grant("AKIADEV", rights);
    let server = StubBucket::s3().with_access(&access).serve().unwrap();
    let (owner, user) =
        (Bucket::at(&server.url()), Bucket::at(&server.url()).with("access_key_id", "AKIADEV"));
    owner.ok(&["init"]);
    owner.ok(&["sql", "CREATE TABLE t (id BIGINT); INSERT INTO t VALUES (1)"]);
    owner.ok(&["branch", "create", "dev"]);
    user.ok(&["--ref", "dev", "sql", "INSERT INTO t VALUES (2)"]);
    user.ends(&["sql", "INSERT INTO t VALUES (3)"], 5, "refs/branches/main.json");
    user.ends(&["-o", "json", "sql", "INSERT INTO t VALUES (3)"], 5, "\"exit\":5");
    user.ends(&["merge", "dev"], 5, "refs/branches/main.json");
    user.ends(&["doctor"], 5, "AccessDenied");
    let stranger = Bucket::at(&server.url()).with("access_key_id", "AKIANOBODY");
    stranger.ends(&["ls"], 5, "InvalidAccessKeyId");
    assert_eq!(user.ok(&["sql", "-o", "csv", "SELECT count(*) AS n FROM t"]), "n\n1\n");
    assert_eq!(user.ok(&["--ref", "dev", "sql", "-o", "csv", "SELECT count(*) AS n FROM t"]), "n\n2\n");
}

#[test]
fn a_certificate_that_is_not_trusted_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, authority.pem()).unwrap();
    let server = StubBucket::s3().serve_tls(&authority).unwrap();
    let bucket = Bucket::at(&server.url());
    bucket.ends(&["init"], 1, "certificate is not trusted");
    bucket.ends(&["doctor"], 1, "ca_bundle");
    let bucket = bucket.with("ca_bundle", bundle.to_str().unwrap());
    bucket.ok(&["init"]);
    assert!(bucket.ok(&["doctor"]).contains("conditional puts are kept"));
    bucket.with("ca_bundle", "none.pem").ends(&["ls"], 2, "cannot be read");
}

/// Servers that repeat what they were sent, in every error and where nobody expects it.
#[test]
fn no_report_and_no_error_holds_a_credential() {
    for status in [200, 400, 403, 404, 409, 412] {
        let server = HttpServer::start(move |request| echo(status, request)).unwrap();
        let bucket = Bucket::at(&server.url()).with("session_token", TOKEN);
        for verb in [&["doctor"][..], &["init"], &["ls"], &["sql", "SELECT * FROM t"], &["branch", "list"]] {
            for form in ["table", "json"] {
                let said = said(&bucket.run(&[verb, &["-o", form]].concat()));
                let signatures = server.requests().into_iter().filter_map(|request| {
                    Some(request.header("authorization")?.split_once("Signature=")?.1.to_owned())
                });
                let secrets = [SECRET, TOKEN].map(str::to_owned).into_iter().chain(signatures);
                let leak = secrets.into_iter().find(|secret| said.contains(secret.as_str()));
                assert_eq!(leak, None, "{status} {verb:?} {form}: {said}");
                assert!(!said.is_empty(), "{status} {verb:?}");
            }
        }
    }
    // One that does all right.
    let server = StubBucket::s3().serve().unwrap();
    let bucket = Bucket::at(&server.url()).with("session_token", TOKEN);
    bucket.ok(&["init"]);
    let report = bucket.ok(&["doctor"]);
    assert!(report.contains("| region      | ok      | us-east-1 "), "{report}");
    let nowhere = bucket.without("region").ok(&["doctor"]);
    assert!(nowhere.contains("none is set: requests are signed for us-east-1"), "{nowhere}");
    assert!(report.contains("from the given options"), "{report}");
    assert!(![KEY, SECRET, TOKEN].iter().any(|secret| report.contains(secret)), "{report}");
}

fn echo(status: u16, request: &HttpRequest) -> HttpAnswer {
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><Token-0>{TOKEN}</Token-0>\
         <CanonicalRequest>{headers}</CanonicalRequest></Error>"
    );
    HttpAnswer::Say(status, vec!["ETag: \"e\"".to_owned()], body.into_bytes())
}
