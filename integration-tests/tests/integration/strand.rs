//! `strand`, the command, as a user runs it: the sessions of its own tests on every kind of place, its doctor there, servers that
//! it must not work with, and a disk that gets full.
//!
//! Invariant: it is the program that stands beside this test in `target/`, which `cargo test --workspace` and `cargo build --bin strand`
//! put there; where there is none, that is a counted skip.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use strandline::storage::Durability;
use strandline_testkit::wire::{Authority, Breach, HttpServer, Proxy, StubBucket, error};
use strandline_testkit::{PathClass, RequestKind, Script};
use tokio::time::Instant;

use crate::access;
use crate::conformance::Site;
use crate::crash::check_folder;
use crate::folder::Disk;
use crate::lake::{self, Place};
use crate::refused::{self, IGNORES, NO_CREATION, RACES};
use crate::runner::{Case, Outcome};
use crate::servers::{self, Server};
use crate::tables::scattered;

pub(crate) const CASES: &[Case] = &[
    Case { name: "strand::on_a_disk_that_gets_full", run: || with_program(full_disk) },
    Case { name: "strand::refuses_rclone", run: || at(&servers::RCLONE, |s, p| refuses(s, p, &[IGNORES])) },
    Case { name: "strand::refuses_s3rver", run: || at(&servers::S3RVER, |s, p| refuses(s, p, &[IGNORES])) },
    Case {
        name: "strand::refuses_old_minio",
        run: || at(&servers::OLD_MINIO, |s, p| refuses(s, p, &[NO_CREATION])),
    },
    Case { name: "strand::refuses_s3s_fs", run: || at(&servers::S3S_FS, |s, p| refuses(s, p, RACES)) },
    Case { name: "strand::refuses_stubs_that_break_a_condition", run: || with_program(refuses_stubs) },
    Case { name: "strand::names_the_right_that_minio_denies", run: || at(&servers::MINIO, names_the_right) },
    Case { name: "strand::is_refused_by_minio", run: || at(&servers::MINIO, is_refused) },
    Case { name: "strand::is_refused_by_azurite", run: || at(&servers::AZURITE, is_refused) },
    Case { name: "strand::is_refused_by_a_bucket_of_google", run: || with_program(is_refused_by_google) },
    Case { name: "strand::asks_for_a_pointer_once", run: || with_program(few_requests) },
    Case { name: "strand::says_what_is_wrong_with_an_address", run: || with_program(wrong_addresses) },
];

/// What its own tests run in a folder, whatever a place is called.
const SESSIONS: [&str; 3] = ["first-ten-minutes", "sql", "merge"];

/// How long it may take to find out that an address is wrong.
const AT_ONCE: Duration = Duration::from_secs(20);

/// How the sessions call their lake.
const LAKE: &str = "./lake";

/// Where it is.
pub(crate) fn program() -> Result<PathBuf, String> {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let program = folder.join(format!("strand{}", std::env::consts::EXE_SUFFIX));
    if program.exists() {
        return Ok(program);
    }
    servers::missing(format!("no {}: `cargo build --bin strand` makes it", program.display()))
}

fn with_program(check: fn(&Strand) -> Outcome) -> Outcome {
    program().map_or_else(Outcome::Skipped, |program| check(&Strand::new(&program)))
}

fn at(server: &Server, check: fn(&Strand, &Place)) -> Outcome {
    let (program, place) = match (program(), server.place()) {
        (Ok(program), Ok(place)) => (program, place),
        (Err(why), _) | (_, Err(why)) => return Outcome::Skipped(why),
    };
    let nonce = strandline::Runtime::system().nonce().unwrap();
    check(&Strand::new(&program), &place.below(&format!("test-{nonce}")));
    Outcome::Passed
}

/// The sessions have the same text wherever the lake is, and the doctor finds nothing wrong. Each has a lake of its own, so they run side by
/// side: most of their time is that of starting the program.
pub(crate) fn sessions(site: &Site, program: &Path) {
    let (place, still) = (&site.place, site.at_once);
    std::thread::scope(|scope| {
        for name in SESSIONS {
            scope.spawn(move || session(name, &place.below(name).below("lake"), program, still));
        }
    });
}

fn session(name: &str, place: &Place, program: &Path, clock_stands_still: bool) {
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/strandline-cli/tests/cmd/sessions");
    let strand = Strand::new(program);
    let config = strand.know(place);
    trycmd::TestCases::new()
        .register_bin("strand", program)
        .case(sessions.join(format!("{name}.trycmd")))
        .env("STRANDLINE_CONFIG", config.to_str().unwrap())
        .env("STRANDLINE_LAKE", "")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .run();
    let found = strand.doctor(0);
    let passed =
        |check: &Value| check["verdict"] == "ok" || (clock_stands_still && check["check"] == "clock");
    let wrong: Vec<_> = found.iter().filter(|check| !passed(check)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    for check in ["read", "list", "write", "delete", "conditions", "clock", "latency", "format", "lake"] {
        assert!(found.iter().any(|found| found["check"] == check), "no {check} in {found:?}");
    }
}

/// The command in a folder of its own.
struct Strand {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Strand {
    fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), folder: tempfile::tempdir().unwrap() }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// Gives a place the name that the sessions use; where it is and how it is reached then stands in the config file.
    fn know(&self, place: &Place) -> PathBuf {
        let quoted = |text: &str| Value::from(text).to_string();
        let options: Vec<_> =
            place.words().map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
        let text = format!(
            "[lakes.{}]\nlocation = {}\noptions = {{ {} }}\n",
            quoted(LAKE),
            quoted(&place.location),
            options.join(", ")
        );
        std::fs::write(self.config(), text).unwrap();
        self.config()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.folder.path());
        command.env("STRANDLINE_CONFIG", self.config()).env("STRANDLINE_LAKE", LAKE);
        command
    }

    /// Runs it, and expects it to end so.
    fn run(&self, args: &[&str], code: i32) -> Output {
        ended(args, self.command(args).output().unwrap(), code)
    }

    /// Runs it with a text for standard input, which it need not read to its end.
    fn feed(&self, args: &[&str], text: &str, code: i32) -> Output {
        let command = &mut self.command(args);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        ended(args, child.wait_with_output().unwrap(), code)
    }

    /// What the doctor says.
    fn doctor(&self, code: i32) -> Vec<Value> {
        let output = self.run(&["doctor", "-o", "json"], code);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn ended(args: &[&str], output: Output, code: i32) -> Output {
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", errors(&output));
    output
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A store that breaks conditions is not suitable, and that is a number of its own, to whoever would write. A lake that was copied there
/// can be read.
fn refuses(strand: &Strand, place: &Place, names: &[&str]) {
    let made = strand.folder.path().join("made").to_str().unwrap().into();
    strand.know(&made);
    strand.run(&["init"], 0);
    strand.run(&["sql", "CREATE TABLE t (id BIGINT); INSERT INTO t VALUES (1), (2)"], 0);
    strand.know(place);
    let said = errors(&strand.run(&["init"], 8));
    assert!(said.starts_with("error: store unsuitable: ") && said.contains("hint: "), "{said}");
    assert!(names.iter().any(|names| said.contains(names)), "{said}");
    strand.run(&["ls"], 4);
    lake::run(async {
        let open = async |place: &Place| lake::open_at(place, Durability::None).await;
        refused::copy(&open(&made).await, &open(place).await).await;
    });
    let found = strand.doctor(8);
    let conditions = found.iter().find(|check| check["check"] == "conditions").unwrap();
    assert_eq!(conditions["verdict"], "failed", "{found:?}");
    let detail = conditions["detail"].as_str().unwrap();
    assert!(names.iter().any(|names| detail.contains(names)), "{found:?}");
    strand.run(&["doctor"], 8);
    strand.run(&["sql", "INSERT INTO t VALUES (3)"], 8);
    let said = errors(&strand.run(&["-o", "json", "branch", "create", "dev"], 8));
    assert!(said.contains("\"exit\":8"), "{said}");
    let count = strand.run(&["sql", "-o", "csv", "SELECT count(*) AS n FROM t"], 0);
    assert_eq!(String::from_utf8(count.stdout).unwrap(), "n\n2\n");
    strand.run(&["log"], 0);
}

fn refuses_stubs(strand: &Strand) -> Outcome {
    for (breach, names) in [
        (Breach::Ignores, &[IGNORES][..]),
        (Breach::IgnoresTokens, &["it took a swap with a stale token"]),
        (Breach::SwapsAbsent, &["it took a swap of an object that is not there"]),
        (Breach::Races, RACES),
    ] {
        let server = StubBucket::s3().that(breach).serve().unwrap();
        refuses(&Strand::new(&strand.program), &stub_at(&server.url()), names);
    }
    Outcome::Passed
}

/// Users who may not remove, or not list, are told so by the doctor, each with the number of missing rights; the first goes on working.
fn names_the_right(strand: &Strand, place: &Place) {
    strand.know(place);
    strand.run(&["init"], 0);
    for (act, check) in [("s3:DeleteObject", "delete"), ("s3:ListBucket", "list")] {
        strand.know(&access::at_minio_without(place, act));
        let found = strand.doctor(5);
        let denied = found.iter().find(|found| found["check"] == check).unwrap();
        assert_eq!(denied["verdict"], "failed", "{found:?}");
        let said = denied["detail"].as_str().unwrap();
        assert!(said.contains("Access Denied") || said.contains("AccessDenied"), "{said}");
    }
    strand.know(&access::at_minio_without(place, "s3:DeleteObject"));
    strand.run(&["sql", "CREATE TABLE t (id BIGINT); INSERT INTO t VALUES (1)"], 0);
}

/// So are credentials that a server refuses; none of them are repeated.
fn is_refused(strand: &Strand, place: &Place) {
    // In base 64, as Azure has its keys.
    let secret = "bm90LXRoZS1zZWNyZXQtb2YtYW55Ym9keQ==";
    let options = place.words().map(|(name, value)| match name {
        "secret_access_key" | "account_key" => format!("{name}={secret}"),
        _ => format!("{name}={value}"),
    });
    let options = options.collect::<Vec<_>>().join(" ");
    strand.know(&Place { options, ..place.clone() });
    for args in [&["init"][..], &["ls"], &["sql", "SELECT 1"]] {
        let said = errors(&strand.run(args, 5));
        assert!(said.starts_with("error: permission denied: "), "{said}");
        assert!(!said.contains(secret), "{said}");
    }
    let found = strand.doctor(5);
    let read = found.iter().find(|check| check["check"] == "read").unwrap();
    assert_eq!(read["verdict"], "failed", "{found:?}");
}

/// The stub lets in nobody whose token it does not know.
fn is_refused_by_google(strand: &Strand) -> Outcome {
    let (place, _bucket, _folder) = access::closed();
    is_refused(strand, &place);
    Outcome::Passed
}

/// Whoever opens a lake for one thing has what stood there; who writes looks no more often than the rules of the format want.
fn few_requests(strand: &Strand) -> Outcome {
    let server = StubBucket::s3().serve().unwrap();
    let proxy = Proxy::start(&server.url(), object_store::path::Path::from("lake/here")).unwrap();
    strand.know(&stub_at(&proxy.url()));
    strand.run(&["init"], 0);
    strand.run(&["sql", "CREATE TABLE t (id BIGINT); INSERT INTO t VALUES (1)"], 0);
    strand.run(&["branch", "create", "dev"], 0);
    for (args, pointers, all) in [
        (&["ls"][..], 1, 1),
        (&["describe", "t"], 1, 1),
        (&["head", "t"], 1, 2),
        (&["log"], 1, 3),
        (&["files", "t"], 1, 1),
        (&["sql", "SELECT * FROM t"], 1, 2),
        (&["sql", "SELECT count(*) FROM t"], 1, 1),
        (&["sql", "SHOW TABLES"], 1, 1),
        (&["sql", "INSERT INTO t VALUES (2)"], 1, 5),
        (&["--ref", "dev", "sql", "INSERT INTO t VALUES (3)"], 2, 6),
        (&["merge", "dev"], 4, 11),
    ] {
        let before = proxy.counts();
        proxy.set_script(Script::empty());
        strand.run(args, 0);
        let counts = proxy.counts().since(&before);
        let asked = counts.of_to(RequestKind::Get, PathClass::Pointer).requests;
        println!("  {}: {asked} of pointers, {} in all", args.join(" "), counts.total().requests);
        assert!(asked <= pointers && counts.total().requests <= all, "{args:?}\n{}", proxy.log());
        assert_eq!(counts.of(RequestKind::List).requests, 0, "{args:?}");
    }
    // Whoever asks for tags is told of no branches, however many there are.
    for (statement, pointers) in [("SHOW TAGS", 1), ("SHOW BRANCHES", 3)] {
        let before = proxy.counts();
        proxy.set_script(Script::empty());
        strand.run(&["sql", statement], 0);
        let counts = proxy.counts().since(&before);
        assert!(counts.of_to(RequestKind::Get, PathClass::Pointer).requests <= pointers, "{}", proxy.log());
        assert_eq!(counts.of(RequestKind::List).requests, 1, "{statement}\n{}", proxy.log());
    }
    Outcome::Passed
}

fn stub_at(url: &str) -> Place {
    let options =
        format!("endpoint={url} region=us-east-1 access_key_id=k secret_access_key=s allow_http=true");
    Place { location: "s3://lake/here".to_owned(), options }
}

/// What to do about it, and nothing that has not happened; within seconds.
fn wrong_addresses(strand: &Strand) -> Outcome {
    let check = |place: &Place, args: &[&str], code, names: &str, says_no: &str| {
        strand.know(place);
        let begun = Instant::now();
        let output = strand.run(args, code);
        // What the doctor finds is what it was asked for.
        let said = errors(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(names) && !said.contains(says_no), "{args:?}: {said}");
        assert!(begun.elapsed() < AT_ONCE, "{args:?} took {:?}", begun.elapsed());
    };
    // Nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for args in [&["ls"][..], &["sql", "SELECT 1"], &["log"]] {
        check(&stub_at(&format!("http://{nobody}")), args, 1, "try again", "committed");
    }
    let plain = StubBucket::s3().serve().unwrap();
    let tls = plain.url().replace("http://", "https://");
    let trusted_by_nobody = StubBucket::s3().serve_tls(&Authority::new().unwrap()).unwrap();
    // Whatever is asked.
    for args in
        [&["ls"][..], &["init"], &["doctor"], &["log"], &["branch", "list"], &["sql", "SELECT * FROM t"]]
    {
        check(&stub_at(&tls), args, 1, "does not speak TLS", "try again");
        check(&stub_at(&trusted_by_nobody.url()), args, 1, "certificate is not trusted", "try again");
    }
    let refusal = HttpServer::start(|_| error(400, "BadRequest")).unwrap();
    for args in [&["ls"][..], &["--ref", "main", "ls"], &["sql", "INSERT INTO t VALUES (1)"]] {
        check(&stub_at(&refusal.url()), args, 1, "the store answered 400", "a reference is like");
    }
    Outcome::Passed
}

fn full_disk(strand: &Strand) -> Outcome {
    let Some(disk) = Disk::new() else {
        return Outcome::Skipped("no right to mount a small disk".to_owned());
    };
    let root = disk.path().join("lake");
    strand.know(&root.to_str().unwrap().into());
    strand.run(&["init"], 0);
    strand.feed(&["import", "t", "-", "-f", "csv"], "id\n1\n", 0);
    let rows = noise();
    for (made, mode) in [("t", "append"), ("t", "overwrite"), ("of_its_own", "append")] {
        disk.fill(256 << 10);
        let output = strand.feed(&["import", made, "-", "-f", "csv", "--mode", mode], &rows, 1);
        let said = errors(&output);
        assert!(said.starts_with("error: store full: ") && said.contains("nothing of it was done"), "{said}");
        disk.free();
        let log = strand.run(&["sql", "-o", "csv", "SELECT count(*) AS n, max(id) AS id FROM t"], 0).stdout;
        assert_eq!(String::from_utf8(log).unwrap(), "n,id\n1,1\n");
        strand.run(&["describe", "of_its_own"], 4);
        assert_eq!(check_folder(&root).leftovers, 0);
    }
    strand.feed(&["import", "t", "-", "-f", "csv"], &rows[..64], 0);
    // A file that is exported there is whole or not there.
    disk.fill(8);
    let said = errors(&strand.run(&["export", "t", disk.path().join("out.csv").to_str().unwrap()], 1));
    assert!(said.starts_with("error: store full: "), "{said}");
    disk.free();
    let left = std::fs::read_dir(disk.path()).unwrap().count();
    assert_eq!(left, 1, "more than the lake is left");
    Outcome::Passed
}

/// Numbers that take more than there is room, however they are compressed.
fn noise() -> String {
    let number = |id: u64| format!("{}\n", scattered(id) >> 1);
    std::iter::once("id\n".to_owned()).chain((1..100_000).map(number)).collect()
}
