//! One number for each way to end, and the same told as an object where JSON is asked for.

use std::path::{Path, PathBuf};
use std::process::Output;

use strandline_testkit::wire::{Breach, HttpServer, StubBucket, error};

use crate::bucket::strand_at;
use crate::command::{code, errors, fed, lake, ok, run, strand};

/// Ends so, with this at the beginning of what it says.
fn check(output: &Output, expected: i32, says: &str) {
    let said = errors(output);
    assert_eq!(code(output), expected, "{said}");
    assert!(said.starts_with(says), "{said}");
}

#[test]
fn errors_are_objects_where_json_is_asked_for() {
    let folder = lake();
    let check_object = |args: &[&str], exit: i32, kind: &str| {
        let output = run(folder.path(), args);
        assert_eq!(code(&output), exit, "{args:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        let object = text.lines().last().unwrap().to_owned();
        assert!(object.starts_with(&format!("{{\"error\":{{\"kind\":\"{kind}\"")), "{object}");
        assert!(object.contains(&format!("\"exit\":{exit}")), "{object}");
        assert!(output.stdout.is_empty(), "{args:?}");
    };
    check_object(&["describe", "nothing", "-o", "json"], 4, "not found");
    check_object(&["show", "no-such-ref", "--output=json"], 4, "not found");
    check_object(&["show", "a b c", "-o", "ndjson"], 2, "invalid input");
    check_object(&["ls", "-o", "json", "-l", "s3://bucket", "--option", "regoin=x"], 2, "invalid input");
    check_object(&["desrcibe", "-o", "json"], 2, "usage");
}

#[test]
fn what_goes_well_ends_with_0_and_what_does_not_with_1_or_2() {
    let folder = lake();
    check(&run(folder.path(), &["ls"]), 0, "");
    for help in [&["--help"][..], &["help", "import"], &["import", "-h"]] {
        check(&run(folder.path(), help), 0, "");
    }
    check(&fed(folder.path(), &["import", "t", "-", "-f", "csv"], "id\n1,2\n"), 1, "error: invalid input: ");
    check(&run(folder.path(), &["sql", "SELECT 1 +"]), 1, "error: invalid input: ");
    // An object has each name once; a table and CSV have room for both.
    let twice = ["sql", "SELECT a.id, b.id FROM (SELECT 1 AS id) a, (SELECT 2 AS id) b", "-o"];
    check(
        &run(folder.path(), &[&twice[..], &["json"]].concat()),
        1,
        "{\"error\":{\"kind\":\"invalid input\",\"message\":\"two columns ",
    );
    assert_eq!(ok(folder.path(), &[&twice[..], &["csv"]].concat()), "id,id\n1,2\n");
    check(&run(folder.path(), &["lst"]), 2, "error: unrecognized subcommand 'lst'");
    check(&run(folder.path(), &["ls", "--option", "regoin"]), 2, "error: ");
    check(&run(folder.path(), &[]), 2, "A lake in a bucket or folder: ");
}

#[test]
fn a_conflict_ends_with_3() {
    let folder = lake();
    fed(folder.path(), &["import", "t", "-", "-f", "csv", "--key", "id"], "id,a\n1,1\n");
    ok(folder.path(), &["branch", "create", "dev"]);
    for branch in ["main", "dev"] {
        ok(folder.path(), &["sql", "--ref", branch, &format!("UPDATE t SET a = {}", branch.len())]);
    }
    check(&run(folder.path(), &["merge", "dev"]), 3, "error: conflict: \"t\": ");
    check(&run(folder.path(), &["merge", "dev", "--dry-run"]), 3, "error: conflict: \"t\": ");
}

#[test]
fn what_is_not_there_ends_with_4() {
    let folder = lake();
    for args in [
        &["ls", "-l", "./nowhere"][..],
        &["ls", "--ref", "nobody"],
        &["ls", "--ref", "main@{99}"],
        &["describe", "nothing"],
        &["sql", "SELECT * FROM nothing"],
        &["import", "t", "nothing.csv"],
        &["sql", "-f", "nothing.sql"],
        &["branch", "delete", "nobody"],
        &["tag", "delete", "nobody"],
    ] {
        check(&run(folder.path(), args), 4, "error: not found: ");
    }
    check(&run(folder.path(), &["doctor", "./nowhere"]), 4, "");
    std::fs::write(folder.path().join("lakes.toml"), "[lakes.sales]\nlocation = \"./lake\"\n").unwrap();
    let mut mistyped = strand(folder.path());
    let mistyped =
        mistyped.args(["ls", "-l", "salse"]).env("STRANDLINE_CONFIG", "lakes.toml").output().unwrap();
    check(&mistyped, 4, "error: not found: salse: ");
    assert!(errors(&mistyped).contains("has a lake \"sales\""), "{}", errors(&mistyped));
}

#[test]
fn refused_credentials_end_with_5_and_are_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for (status, word) in [(403, "AccessDenied"), (403, "InvalidAccessKeyId"), (401, "Unauthorized")] {
        let server = HttpServer::start(move |_| error(status, word)).unwrap();
        for args in [&["init"][..], &["ls"], &["sql", "SELECT 1"], &["import", "t", "t.csv"]] {
            let output = strand_at(&server, folder.path()).args(args).output().unwrap();
            check(&output, 5, "error: permission denied: ");
            assert!(!errors(&output).contains("the-secret"), "{}", errors(&output));
        }
        let output = strand_at(&server, folder.path()).args(["doctor", "-o", "csv"]).output().unwrap();
        check(&output, 5, "");
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!found.contains("the-secret"), "{found}");
        // Each right by itself, though nothing can be read.
        for right in ["read", "list", "write", "delete"] {
            assert!(found.contains(&format!("\n{right},failed,")), "{right}: {found}");
        }
        assert!(found.contains("\nconditions,skipped,"), "{found}");
        assert!(
            found.contains("\ncredentials,ok,from the environment\n"),
            "the doctor does not say which credentials won: {found}"
        );
    }
}

#[test]
fn a_wrong_byte_ends_with_6() {
    let folder = lake();
    fed(folder.path(), &["import", "t", "-", "-f", "csv"], "id\n1\n2\n");
    let file = data_file(&folder.path().join("lake/data"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[8] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    for args in [&["head", "t"][..], &["sql", "SELECT sum(id) FROM t"], &["export", "t", "out.csv"]] {
        let output = run(folder.path(), args);
        check(&output, 6, "error: corrupt: ");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    assert!(!folder.path().join("out.csv").exists());
    // What is wrong with what is read is not said of what is written.
    let said = errors(&run(folder.path(), &["export", "t", "out.csv"]));
    assert!(!said.contains("out.csv") && said.contains(".parquet"), "{said}");
}

#[test]
fn a_lake_that_lost_its_file_is_told_from_a_place_without_one() {
    let folder = lake();
    std::fs::remove_file(folder.path().join("lake/lake.json")).unwrap();
    let output = run(folder.path(), &["doctor", "-o", "csv"]);
    check(&output, 6, "");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(found.contains("\nformat,failed,\"lake.json is missing, and there is 1 branch: "), "{found}");
    assert!(found.contains("main is at version 0"), "{found}");
    std::fs::remove_dir_all(folder.path().join("lake/refs")).unwrap();
    let output = run(folder.path(), &["doctor", "-o", "csv"]);
    check(&output, 4, "");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\nlake,failed,there is no lake here: "));
}

#[test]
fn a_lake_that_lost_its_file_and_its_branch_is_no_place_without_one() {
    let folder = lake();
    ok(folder.path(), &["branch", "create", "dev"]);
    for lost in ["lake/lake.json", "lake/refs/branches/main.json"] {
        std::fs::remove_file(folder.path().join(lost)).unwrap();
    }
    let output = run(folder.path(), &["ls"]);
    check(&output, 6, "error: corrupt: ./lake: lake.json is missing, though there are branches");
    assert!(errors(&output).contains("hint: restore it from any copy of the lake; "), "{}", errors(&output));
    ok(folder.path(), &["ls", "--ref", "dev"]);
}

/// The only data file of a lake.
fn data_file(folder: &Path) -> PathBuf {
    let mut at = folder.to_owned();
    while at.is_dir() {
        at = std::fs::read_dir(&at).unwrap().next().unwrap().unwrap().path();
    }
    at
}

#[test]
fn differences_end_with_7_only_where_that_is_asked_for() {
    let folder = lake();
    ok(folder.path(), &["branch", "create", "dev"]);
    let compare = |args: &[&str]| run(folder.path(), &[&["diff", "main..dev"], args].concat());
    check(&compare(&["--exit-code"]), 0, "");
    ok(folder.path(), &["sql", "--ref", "dev", "CREATE TABLE t (id BIGINT)"]);
    check(&compare(&[]), 0, "");
    for (form, expected) in [("--stat", 7), ("--schema", 7), ("--rows", 0)] {
        check(&compare(&["--exit-code", form]), expected, "");
    }
    ok(folder.path(), &["sql", "--ref", "dev", "INSERT INTO t VALUES (1)"]);
    check(&compare(&["--exit-code", "--rows"]), 7, "");
}

#[test]
fn a_store_that_breaks_conditions_ends_with_8() {
    let folder = tempfile::tempdir().unwrap();
    for breach in [Breach::Ignores, Breach::IgnoresTokens, Breach::SwapsAbsent, Breach::Races] {
        let server = StubBucket::s3().that(breach).serve().unwrap();
        let refused = strand_at(&server, folder.path()).arg("init").output().unwrap();
        check(&refused, 8, "error: store unsuitable: ");
        assert!(errors(&refused).contains("hint: "), "{}", errors(&refused));
        let output = strand_at(&server, folder.path()).args(["doctor", "-o", "csv"]).output().unwrap();
        check(&output, 8, "");
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(found.contains("\nconditions,failed,"), "{found}");
    }
}

#[test]
fn a_lake_of_a_newer_format_is_refused_with_what_to_do() {
    let folder = lake();
    for file in ["lake.json", "refs/branches/main.json"] {
        let file = folder.path().join("lake").join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        let newer = text.replacen("\"format\":1", "\"format\":2", 1);
        assert_ne!(newer, text);
        std::fs::write(&file, newer).unwrap();
    }
    for args in [&["ls"][..], &["sql", "SELECT 1"], &["import", "t", "t.csv"], &["branch", "list"]] {
        let output = run(folder.path(), args);
        check(&output, 1, "error: unsupported: ");
        assert!(errors(&output).contains("hint: a newer version"), "{}", errors(&output));
    }
    let found = run(folder.path(), &["doctor", "-o", "csv"]);
    check(&found, 1, "");
    assert!(String::from_utf8_lossy(&found.stdout).contains(",failed,"), "{found:?}");
}
