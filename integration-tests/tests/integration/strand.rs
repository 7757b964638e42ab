//! `strand`, the command, as a user runs it: the sessions of its own tests on every kind of place, its doctor there, servers that
//! it must not work with, and a disk that gets full.
//!
//! Invariant: it is the program that stands beside this test in `target/`, which `cargo test --workspace` and `cargo build --bin strand`
//! put there; where there is none, that is a counted skip.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::conformance::Site;
use crate::crash::check_folder;
use crate::folder::Disk;
use crate::lake::Place;
use crate::runner::{Case, Outcome};
use crate::servers::{self, Server};

pub(crate) const CASES: &[Case] = &[
    Case { name: "strand::on_a_disk_that_gets_full", run: || with_program(full_disk) },
    Case { name: "strand::refuses_rclone", run: || at(&servers::RCLONE, refuses) },
    Case { name: "strand::refuses_s3rver", run: || at(&servers::S3RVER, refuses) },
    Case { name: "strand::refuses_s3s_fs", run: || at(&servers::S3S_FS, refuses) },
    Case { name: "strand::is_refused_by_minio", run: || at(&servers::MINIO, is_refused) },
];

/// What its own tests run in a folder, whatever a place is called.
const SESSIONS: [&str; 3] = ["first-ten-minutes", "sql", "merge"];

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

/// The sessions have the same text wherever the lake is, and the doctor finds nothing wrong.
pub(crate) fn sessions(site: &Site, program: &Path) {
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/strandline-cli/tests/cmd/sessions");
    for session in SESSIONS {
        let strand = Strand::new(program);
        let config = strand.know(&site.place.below(session).below("lake"));
        trycmd::TestCases::new()
            .register_bin("strand", program)
            .case(sessions.join(format!("{session}.trycmd")))
            .env("STRANDLINE_CONFIG", config.to_str().unwrap())
            .env("STRANDLINE_LAKE", "")
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100")
            .run();
        let found = strand.doctor(0);
        // The clock of a stub stands still.
        let passed = |check: &Value| check["verdict"] == "ok" || (site.at_once && check["check"] == "clock");
        let wrong: Vec<_> = found.iter().filter(|check| !passed(check)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        for check in ["read", "list", "write", "delete", "conditions", "clock", "latency", "format", "lake"] {
            assert!(found.iter().any(|found| found["check"] == check), "no {check} in {found:?}");
        }
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

/// A store that ignores conditions is not suitable, and that is a number of its own.
fn refuses(strand: &Strand, place: &Place) {
    strand.know(place);
    let said = errors(&strand.run(&["init"], 8));
    assert!(said.starts_with("error: store unsuitable: ") && said.contains("hint: "), "{said}");
    let found = strand.doctor(8);
    let conditions = found.iter().find(|check| check["check"] == "conditions").unwrap();
    assert_eq!(conditions["verdict"], "failed", "{found:?}");
}

/// So are credentials that a server refuses; none of them are repeated.
fn is_refused(strand: &Strand, place: &Place) {
    let secret = "not-the-secret-of-anybody";
    let options = place.words().map(|(name, value)| match name {
        "secret_access_key" => format!("{name}={secret}"),
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
        assert!(said.starts_with("error: store full: ") && said.contains("nothing was committed"), "{said}");
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
    let number = |id: u64| id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1;
    std::iter::once("id\n".to_owned()).chain((1..100_000).map(|id| format!("{}\n", number(id)))).collect()
}
