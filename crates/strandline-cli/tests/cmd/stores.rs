//! The command at buckets: users who may not do everything, certificates, and what it never says. Stores that break conditions are
//! the business of `integration-tests`, which has the real ones.

use std::process::{Command, Output};

use strandline_testkit::wire::{Access, Authority, HttpAnswer, HttpRequest, HttpServer, Rights, StubBucket};

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
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
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
    std::thread::scope(|scope| {
        for status in [200, 400, 403, 404, 409, 412] {
            scope.spawn(move || hides_its_credentials(status));
        }
    });
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

fn hides_its_credentials(status: u16) {
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

fn echo(status: u16, request: &HttpRequest) -> HttpAnswer {
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><Token-0>{TOKEN}</Token-0>\
         <CanonicalRequest>{headers}</CanonicalRequest></Error>"
    );
    HttpAnswer::Say(status, vec!["ETag: \"e\"".to_owned()], body.into_bytes())
}
