//! The README's commands, as they stand there, in a folder and in a bucket.

use std::path::Path;
use std::process::Command;

use strandline_testkit::wire::StubBucket;

use crate::bucket::strand_at;
use crate::command::{NO_CONFIG, errors, ok};

const README: &str = include_str!("../../../../README.md");
const COMPOSE: &str = include_str!("../../../../minio-compose.yml");

/// Where `minio-compose.yml` puts its servers.
const ENDPOINT: &str = "http://127.0.0.1:9000";

/// The lines of a block, but for the one that installs or starts something.
fn block(name: &str) -> String {
    let (_, after) = README.split_once(&format!("```sh {name}\n")).unwrap();
    let (lines, _) = after.split_once("\n```").unwrap();
    let (first, rest) = lines.split_once('\n').unwrap();
    assert!(first.starts_with("cargo install ") || first.starts_with("docker compose "), "{first}");
    rest.to_owned()
}

/// Runs them in a shell that ends at the first that fails; what they print.
fn run(folder: &Path, lines: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_strand")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-euc", &format!("PATH='{}':\"$PATH\"\n{lines}", program.display())])
        .current_dir(folder)
        .env("STRANDLINE_CONFIG", NO_CONFIG)
        .env_remove("AWS_REGION")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What is left in the end: a row is gone from `main`, and a version before it is still there.
fn check(shown: &str, log: &str) {
    assert!(shown.contains("|        3 |"), "three orders are counted: {shown}");
    assert_eq!(shown.matches("|  3 | cid ").count(), 1, "the third is shown as of version 1: {shown}");
    assert!(log.starts_with("{\"version\":2,"), "{log}");
}

#[test]
fn its_commands_work_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let shown = run(folder.path(), &block("command-line"));
    check(&shown, &ok(folder.path(), &["log", "-o", "ndjson"]));
    let rows = ok(folder.path(), &["sql", "-o", "csv", "SELECT count(*) AS n FROM sales.orders"]);
    assert_eq!(rows, "n\n2\n");
}

#[test]
fn its_commands_work_in_a_bucket() {
    let server = StubBucket::s3().serve().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let minio = block("minio");
    assert!(minio.contains(ENDPOINT), "{minio}");
    let there = minio.replace(ENDPOINT, &server.url());
    // What stands there is done where the lake already is.
    let (before, same) = block("command-line")
        .split_once("strand init\n")
        .map(|(before, after)| (before.to_owned(), after.to_owned()))
        .unwrap();
    assert!(before.starts_with("export STRANDLINE_LAKE="), "{before}");
    let shown = run(folder.path(), &format!("{there}\n{same}"));
    let mut log = strand_at(&server, folder.path());
    let log = log.args(["log", "-o", "ndjson", "-l", "s3://lake/demo"]).output().unwrap();
    check(&shown, &String::from_utf8(log.stdout).unwrap());
    assert!(!folder.path().join("lake").exists());
}

#[test]
fn the_servers_of_the_compose_file_are_where_it_says() {
    let minio = block("minio");
    let value = |name: &str| {
        let (_, after) = minio.split_once(&format!("{name}=")).unwrap();
        after.split_whitespace().next().unwrap().to_owned()
    };
    let (user, secret) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"));
    let port = ENDPOINT.rsplit(':').next().unwrap();
    for (text, times) in [
        (format!("MINIO_ROOT_USER: ${{MINIO_ROOT_USER:-{user}}}"), 1),
        (format!("AWS_ACCESS_KEY_ID: ${{MINIO_ROOT_USER:-{user}}}"), 1),
        (format!("MINIO_ROOT_PASSWORD: ${{MINIO_ROOT_PASSWORD:-{secret}}}"), 1),
        (format!("AWS_SECRET_ACCESS_KEY: ${{MINIO_ROOT_PASSWORD:-{secret}}}"), 1),
        (format!("MINIO_ROOT_USER={user} MINIO_ROOT_PASSWORD={secret} minio server"), 1),
        (format!("AWS_ACCESS_KEY_ID={user} AWS_SECRET_ACCESS_KEY={secret} weed mini"), 1),
        (format!("ports: [\"127.0.0.1:{port}:{port}\"]"), 2),
        ("mkdir -p /data/lake && exec minio server /data".to_owned(), 1),
        ("\"-bucket=lake\"".to_owned(), 1),
    ] {
        assert_eq!(COMPOSE.matches(&text).count(), times, "{text}");
    }
    assert!(value("STRANDLINE_LAKE").starts_with("s3://lake/"));
    // Both by the digest that is meant, and not by a tag that may be moved.
    let images: Vec<_> = COMPOSE.lines().filter(|line| line.trim_start().starts_with("image: ")).collect();
    assert_eq!(images.len(), 2);
    assert!(images.iter().all(|image| image.contains("@sha256:")), "{images:?}");
}
