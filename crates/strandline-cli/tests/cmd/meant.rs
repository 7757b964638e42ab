//! What is named is what is meant: versions that happen to be heads, names in other letters, both sides of a comparison.

use crate::command::{code, errors, lake, ok, run};

/// A lake with a table of one row in version 1.
fn one_row() -> tempfile::TempDir {
    let folder = lake();
    std::fs::write(folder.path().join("t.csv"), "id\n1\n").unwrap();
    ok(folder.path(), &["import", "t", "t.csv"]);
    folder
}

#[test]
fn a_version_that_a_branch_is_at_is_read_and_never_written_to() {
    let folder = one_row();
    let hash = ok(folder.path(), &["log", "-n", "1", "-o", "json"]);
    let hash = hash.split("\"commit\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    for reference in ["v1", "main@{1}", "main@{2099-01-01}", hash.as_str()] {
        for args in [
            vec!["import", "t", "t.csv", "--ref", reference],
            vec!["sql", "INSERT INTO t VALUES (2)", "--ref", reference],
            vec!["compact", "t", "--ref", reference],
        ] {
            let output = run(folder.path(), &args);
            assert_eq!(code(&output), 2, "{args:?}: {}", errors(&output));
        }
        assert!(ok(folder.path(), &["sql", "SELECT count(*) AS n FROM t", "--ref", reference]).contains('1'));
    }
    ok(folder.path(), &["import", "t", "t.csv", "--ref", "branch:main"]);
    ok(folder.path(), &["sql", "INSERT INTO t VALUES (2)", "--ref", "main"]);
    assert_eq!(ok(folder.path(), &["sql", "SELECT count(*) AS n FROM t", "-o", "csv"]), "n\n3\n");
}

#[test]
fn names_are_one_in_all_letters() {
    let folder = lake();
    std::fs::write(folder.path().join("t.csv"), "ä\n1\n").unwrap();
    ok(folder.path(), &["import", "été", "t.csv", "--key", "Ä"]);
    std::fs::write(folder.path().join("t.csv"), "ä\n2\n").unwrap();
    let told = ok(folder.path(), &["import", "ÉTÉ", "t.csv", "-o", "json"]);
    assert!(told.contains("\"rows_added\":1"), "{told}");
    let output = run(folder.path(), &["diff", "main~1..main", "ÉTÉ", "--exit-code"]);
    assert_eq!(code(&output), 7, "{}", errors(&output));
    let output = run(folder.path(), &["compact", "etee"]);
    assert_eq!(code(&output), 4);
    assert!(errors(&output).contains("`strand ls`"), "{}", errors(&output));
}

#[test]
fn a_comparison_ends_as_what_was_asked_for_differs() {
    let folder = one_row();
    ok(folder.path(), &["sql", "ALTER TABLE t RENAME TO u"]);
    ok(folder.path(), &["sql", "COMMENT ON TABLE u IS 'said'"]);
    ok(folder.path(), &["sql", "CREATE VIEW w AS SELECT 1 AS one"]);
    let check = |args: &[&str], expected: i32, part: &str| {
        let output = run(folder.path(), &[&["diff"], args, &["--exit-code"]].concat());
        assert_eq!(code(&output), expected, "{args:?}: {}", errors(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains(part), "{args:?}");
    };
    check(&["v1..v2", "t"], 7, "renamed");
    check(&["v1..v2", "u", "--schema"], 7, "renamed, it was t");
    check(&["v1..v2", "--rows"], 0, "");
    check(&["v2..v3", "--rows"], 0, "");
    check(&["v2..v3", "--schema"], 7, "comment changed");
    check(&["v3..v4", "--schema"], 7, "view created");
    check(&["v0..v1", "--rows"], 7, "insert");
}

#[test]
fn a_place_of_one_branch_is_none_of_another_one() {
    let folder = one_row();
    ok(folder.path(), &["branch", "create", "dev"]);
    let seen = ok(folder.path(), &["watch", "-n", "1", "--since", "0", "-o", "json"]);
    let cursor = seen.split("\"cursor\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let output = run(folder.path(), &["watch", "-n", "1", "--since", cursor, "--ref", "dev"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("is of branch main"), "{}", errors(&output));
    for args in [["branch", "list"], ["tag", "list"]] {
        assert_eq!(code(&run(folder.path(), &[&args[..], &["--ref", "dev"]].concat())), 2, "{args:?}");
    }
}

#[test]
fn values_at_odds_are_told_apart_also_where_they_are_no_numbers() {
    let folder = lake();
    ok(folder.path(), &["sql", "CREATE TABLE t (id BIGINT, d DOUBLE); INSERT INTO t VALUES (1, 2.5)"]);
    ok(folder.path(), &["branch", "create", "dev"]);
    ok(folder.path(), &["sql", "UPDATE t SET d = 'inf'"]);
    ok(folder.path(), &["sql", "UPDATE t SET d = 'NaN'", "--ref", "dev"]);
    let output = run(folder.path(), &["merge", "dev"]);
    assert_eq!(code(&output), 3);
    let said = errors(&output);
    assert!(said.contains("ours: d \"inf\", theirs: d \"NaN\""), "{said}");
}

#[test]
fn what_changes_nothing_makes_no_version() {
    let folder = one_row();
    ok(folder.path(), &["sql", "CREATE SCHEMA s; CREATE VIEW v AS SELECT 1 AS one"]);
    let all = || ok(folder.path(), &["log", "-o", "csv"]).lines().count();
    let before = all();
    for statement in [
        "BEGIN; COMMIT",
        "BEGIN; SELECT * FROM t; COMMIT",
        "CREATE TABLE IF NOT EXISTS t (x BIGINT)",
        "CREATE SCHEMA IF NOT EXISTS s",
        "CREATE VIEW IF NOT EXISTS v AS SELECT 2 AS two",
        "DROP TABLE IF EXISTS nothing",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS id BIGINT",
        "ALTER TABLE t RENAME TO t",
    ] {
        let said = errors(&run(folder.path(), &["sql", statement]));
        let is_told = said == "ok: nothing had to be changed\n";
        assert_eq!(is_told, !statement.starts_with("BEGIN"), "{statement}: {said}");
        assert_eq!(all(), before, "{statement}");
    }
    assert_eq!(errors(&run(folder.path(), &["sql", "CREATE SCHEMA IF NOT EXISTS other"])), "ok\n");
    let before = before + 1;
    ok(folder.path(), &["sql", "BEGIN; INSERT INTO t VALUES (2); COMMIT"]);
    assert_eq!(all(), before + 1);
}

#[test]
fn imports_of_no_rows_make_a_version_only_with_words_or_a_key() {
    let folder = one_row();
    std::fs::write(folder.path().join("none.csv"), "id\n").unwrap();
    ok(folder.path(), &["sql", "CREATE TABLE k (id BIGINT, PRIMARY KEY (id))"]);
    let all = || ok(folder.path(), &["log", "-o", "csv"]).lines().count();
    let before = all();
    for mode in ["append", "overwrite", "upsert"] {
        let told = errors(&run(folder.path(), &["import", "k", "none.csv", "--mode", mode]));
        assert_eq!(all(), before, "{mode}: {told}");
        assert!(told.contains("no rows came: k has the rows that it had in version 2"), "{told}");
    }
    let told = ok(folder.path(), &["import", "k", "none.csv", "-o", "json"]);
    assert!(told.contains("\"version\":null"), "{told}");
    ok(folder.path(), &["import", "k", "none.csv", "--message", "nothing today"]);
    ok(folder.path(), &["import", "k", "none.csv", "--once", "monday"]);
    assert_eq!(all(), before + 2);
    let told = errors(&run(folder.path(), &["import", "k", "none.csv", "--once", "monday"]));
    assert!(told.contains("this was imported as version 4"), "{told}");
    assert_eq!(all(), before + 2);
    // What takes the place of rows changes something.
    ok(folder.path(), &["import", "t", "none.csv", "--mode", "overwrite"]);
    assert_eq!(all(), before + 3);
}

#[test]
fn no_lake_is_made_within_another_one_or_in_a_file() {
    let folder = one_row();
    for place in ["lake/data", "lake/a/b"] {
        let output = run(folder.path(), &["init", place]);
        assert_eq!(code(&output), 2, "{place}");
        assert!(errors(&output).contains("is within a lake"), "{}", errors(&output));
        assert!(!folder.path().join(place).join("lake.json").exists());
    }
    ok(folder.path(), &["init", "other"]);
    ok(folder.path(), &["init", "lake/../third"]);
    let other = folder.path().join("other");
    ok(&other, &["init", ".", "--if-absent"]);
    ok(&other, &["init", "../fourth"]);
    std::fs::create_dir(folder.path().join("lake/here")).unwrap();
    assert_eq!(code(&run(&folder.path().join("lake/here"), &["init", "deep"])), 2);
    let output = run(folder.path(), &["init", "t.csv"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("is a file"), "{}", errors(&output));
}

#[test]
fn what_is_no_lake_is_told_by_what_it_is() {
    let folder = one_row();
    let said = |args: &[&str], expected: i32, part: &str| {
        let output = run(folder.path(), args);
        assert_eq!(code(&output), expected, "{args:?}: {}", errors(&output));
        let said = errors(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(part) && !said.contains("init lake/data"), "{args:?}: {said}");
    };
    said(&["ls", "-l", "lake/data"], 4, "hint: it is within a lake: `strand ls -l /");
    said(&["doctor", "lake/data"], 4, "it is within a lake: ");
    for file in ["t.csv", "t.csv/x"] {
        said(&["ls", "-l", file], 2, "t.csv is a file, and a lake is in a folder");
    }
    said(&["ls", "-l", "other"], 4, "hint: `strand init other` makes a lake there");
}

#[test]
fn who_gives_a_name_hears_what_else_it_means() {
    let folder = one_row();
    let notes = |args: &[&str], expected: &[&str]| {
        let output = run(folder.path(), args);
        let said = errors(&output);
        assert_eq!(code(&output), 0, "{said}");
        assert_eq!(said.lines().skip(1).collect::<Vec<_>>(), expected, "{args:?}");
    };
    notes(&["branch", "create", "dev"], &[]);
    notes(&["tag", "create", "main"], &["main means the branch; the tag is tag:main"]);
    // It is that version.
    notes(&["tag", "create", "v1"], &[]);
    notes(&["tag", "create", "v0", "v1"], &["v0 means the tag; the version is version:0"]);
    let hidden = ["v1 means the branch; the tag is tag:v1", "v1 means the branch; the version is version:1"];
    notes(&["branch", "create", "v1", "--from", "main"], &hidden);
    notes(&["branch", "rename", "dev", "0"], &["0 means the branch; the version is version:0"]);
    notes(&["-q", "branch", "create", "1", "--from", "main"], &[]);
}

#[test]
fn who_examines_a_lake_leaves_nothing_behind() {
    let folder = one_row();
    ok(folder.path(), &["doctor"]);
    let left = std::fs::read_dir(folder.path().join("lake/tmp")).map(Iterator::count);
    assert_eq!(left.unwrap_or_default(), 0);
}

#[test]
fn times_are_in_utc_and_name_the_versions_that_they_are_of() {
    let folder = one_row();
    let log = ok(folder.path(), &["log", "-n", "1"]);
    let row = log.lines().last().unwrap();
    let time = row.split('|').nth(3).unwrap().trim();
    assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
    let at = format!("main@{{{time}}}");
    assert!(ok(folder.path(), &["show", &at]).starts_with("version     1\n"));
    let shown = ok(folder.path(), &["show", "v1"]);
    let exact = shown.lines().find_map(|line| line.strip_prefix("time        ")).unwrap();
    assert!(ok(folder.path(), &["show", &format!("main@{{{exact}}}")]).starts_with("version     1\n"));
}

#[test]
fn a_watch_names_its_columns_once() {
    let folder = one_row();
    ok(folder.path(), &["sql", "INSERT INTO t VALUES (2)"]);
    let seen = ok(folder.path(), &["watch", "-n", "2", "--since", "0", "-o", "csv"]);
    assert_eq!(seen.lines().filter(|line| line.starts_with("version,")).count(), 1, "{seen}");
    assert_eq!(seen.lines().count(), 3, "{seen}");
    assert!(seen.starts_with("version,commit,time,author,message,changes,cursor\n"), "{seen}");
    let cursor = seen.lines().nth(1).and_then(|line| line.rsplit(',').next()).unwrap();
    let seen = ok(folder.path(), &["watch", "-n", "1", "--since", cursor, "-o", "csv"]);
    assert!(seen.lines().nth(1).unwrap().starts_with("2,"), "{seen}");
}

#[test]
fn what_was_taken_back_was_not_carried_out_for_good() {
    let folder = one_row();
    let statements = "INSERT INTO t VALUES (2); BEGIN; INSERT INTO t VALUES (3); ROLLBACK; bogus";
    let said = errors(&run(folder.path(), &["sql", statements]));
    assert!(said.contains("1 statement before it had been carried out, which stays"), "{said}");
    let said = errors(&run(folder.path(), &["sql", "BEGIN; INSERT INTO t VALUES (3); bogus"]));
    assert!(said.contains("nothing of the transaction was committed"), "{said}");
}

#[test]
fn what_was_not_said_is_null_and_a_reference_is_refused_where_it_means_nothing() {
    let folder = one_row();
    let log = ok(folder.path(), &["log", "-n", "1", "-o", "json"]);
    assert!(log.contains("\"author\":null"), "{log}");
    for args in [&["version"][..], &["completions", "bash"], &["branch", "delete", "dev"]] {
        assert_eq!(code(&run(folder.path(), &[args, &["--ref", "main"]].concat())), 2, "{args:?}");
    }
    let output = run(folder.path(), &["-qo", "json", "lss"]);
    assert!(errors(&output).starts_with("{\"error\":"), "{}", errors(&output));
    let said = errors(&run(folder.path(), &["completions"]));
    assert!(said.contains("Usage: strand completions <SHELL>"), "{said}");
}
