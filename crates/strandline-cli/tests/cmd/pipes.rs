//! Standard input and output that are pipes, and two at once.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::command::{code, errors, fed, lake, ok, run, strand};

#[test]
fn a_pipe_that_nobody_reads_ends_the_command_quietly() {
    let folder = lake();
    let rows: String =
        std::iter::once("id\n".to_owned()).chain((0..50_000).map(|id| format!("{id}\n"))).collect();
    std::fs::write(folder.path().join("t.csv"), rows).unwrap();
    ok(folder.path(), &["import", "t", "t.csv"]);
    for form in ["table", "json", "ndjson", "csv"] {
        let args = ["head", "t", "-n", "50000", "-o", form];
        let mut child =
            strand(folder.path()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{form}");
        assert_eq!(errors(&output), "", "{form}");
    }
}

#[test]
fn what_follows_an_answer_that_nobody_reads_is_carried_out() {
    let folder = lake();
    ok(folder.path(), &["sql", "CREATE TABLE w (a BIGINT)"]);
    let unread = |args: &[&str]| {
        let mut child =
            strand(folder.path()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        code(&child.wait_with_output().unwrap())
    };
    let many = "SELECT value FROM generate_series(1, 100000)";
    assert_eq!(unread(&["sql", &format!("BEGIN; INSERT INTO w VALUES (1); {many}; COMMIT")]), 0);
    assert_eq!(unread(&["sql", &format!("{many}; INSERT INTO w VALUES (2)")]), 0);
    assert_eq!(ok(folder.path(), &["sql", "SELECT sum(a) AS n FROM w", "-o", "csv"]), "n\n3\n");
    assert_eq!(unread(&["sql", &format!("BEGIN; INSERT INTO w VALUES (3); {many}")]), 1, "it is left open");
    ok(folder.path(), &["sql", &format!("INSERT INTO w {many}")]);
    assert_eq!(unread(&["diff", "main~1..main", "--rows", "--exit-code"]), 7);
}

#[test]
#[cfg(unix)]
fn pipes_and_links_are_exported_to() {
    let folder = lake();
    ok(folder.path(), &["sql", "CREATE TABLE t AS SELECT 1 AS a"]);
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (reading, of) = (std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap()), folder.path());
    ok(of, &["export", "t", "pipe", "--format", "csv"]);
    assert_eq!(reading.join().unwrap(), "a\n1\n");
    // One that has no name, as `>(command)` of a shell.
    let script = "\"$0\" export t /dev/fd/3 -f csv 3>&1 >/dev/null | cat";
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(of).env("STRANDLINE_LAKE", "./lake").args(["-c", script, env!("CARGO_BIN_EXE_strand")]);
    assert_eq!(shell.output().unwrap().stdout, b"a\n1\n");
    std::fs::write(of.join("real.csv"), "old").unwrap();
    std::os::unix::fs::symlink("real.csv", of.join("link.csv")).unwrap();
    assert_eq!(code(&run(of, &["export", "t", "link.csv"])), 1);
    ok(of, &["export", "t", "link.csv", "--force"]);
    assert!(of.join("link.csv").is_symlink());
    assert_eq!(std::fs::read_to_string(of.join("real.csv")).unwrap(), "a\n1\n");
    // Where nothing stands yet at the end of two links.
    std::fs::create_dir(of.join("far")).unwrap();
    std::os::unix::fs::symlink("../last.csv", of.join("far/next.csv")).unwrap();
    std::os::unix::fs::symlink("far/next.csv", of.join("first.csv")).unwrap();
    ok(of, &["export", "t", "first.csv"]);
    assert!(of.join("first.csv").is_symlink() && of.join("far/next.csv").is_symlink());
    assert_eq!(std::fs::read_to_string(of.join("last.csv")).unwrap(), "a\n1\n");
    std::os::unix::fs::symlink("round.csv", of.join("round.csv")).unwrap();
    assert_eq!(code(&run(of, &["export", "t", "round.csv", "--force"])), 1);
    assert!(of.join("round.csv").is_symlink());
}

#[test]
#[cfg(unix)]
fn a_file_behind_standard_output_is_written_on() {
    let folder = lake();
    ok(folder.path(), &["sql", "CREATE TABLE t AS SELECT 1 AS a"]);
    let out = folder.path().join("out.txt");
    std::fs::write(&out, "before\n").unwrap();
    for name in ["/dev/stdout", "-"] {
        let file = std::fs::OpenOptions::new().append(true).open(&out).unwrap();
        let mut command = strand(folder.path());
        command.args(["export", "t", name, "-f", "csv", "--force", "-o", "json"]).stdout(file);
        assert!(command.status().unwrap().success(), "{name}");
    }
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "before\na\n1\na\n1\n");
}

#[test]
fn what_is_exported_comes_back_the_same_through_every_format() {
    let folder = lake();
    let csv = "id,name,amount,day,at\n1,\"a, b\",1.5,2026-01-02,2026-01-02T03:04:05\n2,,-2.25,,\n";
    std::fs::write(folder.path().join("t.csv"), csv).unwrap();
    ok(folder.path(), &["import", "t", "t.csv"]);
    let before = ok(folder.path(), &["head", "t", "-o", "json"]);
    for file in ["out.csv", "out.ndjson", "out.parquet", "out.arrow"] {
        ok(folder.path(), &["export", "t", file]);
        // A table of its own, of which the types are those of `t`: text formats do not say them.
        ok(folder.path(), &["import", "t", file, "--mode", "overwrite"]);
        assert_eq!(ok(folder.path(), &["head", "t", "-o", "json"]), before, "{file}");
    }
    let left = std::fs::read_dir(folder.path()).unwrap();
    let parts = left.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".part"));
    assert_eq!(parts.count(), 0);
}

#[test]
fn what_text_formats_have_no_values_for_survives_them() {
    let folder = lake();
    let flat = "id INT, s VARCHAR, u UUID, b BINARY, d DECIMAL(38, 2)";
    let nested = "id INT, n STRUCT<u UUID, d DECIMAL(9, 2)>, l VARCHAR[]";
    for (table, columns) in [("flat", flat), ("flat_back", flat), ("nested", nested), ("nested_back", nested)]
    {
        ok(folder.path(), &["sql", &format!("CREATE TABLE {table} ({columns})")]);
    }
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let bytes = uuid.replace('-', "");
    let rows = format!(
        "INSERT INTO flat VALUES (1, '', X'{bytes}', X'0aff', 12345678901234567890123456789012.34), \
         (2, NULL, NULL, NULL, NULL), (3, 'NULL', NULL, X'', -0.5); \
         INSERT INTO nested VALUES (1, {{'u': X'{bytes}', 'd': 1.25}}, ['a, b', NULL, '\"']), (2, NULL, NULL)"
    );
    ok(folder.path(), &["sql", &rows]);
    for (table, file) in
        [("flat", "out.csv"), ("flat", "out.ndjson"), ("nested", "nested.ndjson"), ("nested", "nested.csv")]
    {
        let back = format!("{table}_back");
        ok(folder.path(), &["export", table, file]);
        ok(folder.path(), &["import", &back, file, "--mode", "overwrite"]);
        // Of the same columns, so that equal rows are equal bytes.
        let content = |table: &str| run(folder.path(), &["export", table, "-", "--format", "arrow"]).stdout;
        assert_eq!(content(&back), content(table), "{file}");
    }
    let texts = "{\"id\":1,\"n\":{\"u\":\"00112233-4455-6677-8899-aabbccddeeff\",\"d\":\"1.25\"},\"l\":[\"a, b\",null,\"\\\"\"]}\n{\"id\":2,\"n\":null,\"l\":null}\n";
    assert_eq!(ok(folder.path(), &["head", "nested", "-o", "ndjson"]), texts);
    let csv = "id,n\n3,\"{\"\"u\"\":\"\"zz\"\"}\"\n";
    let output = fed(folder.path(), &["import", "nested", "-", "-f", "csv"], csv);
    assert!(errors(&output).contains("line 2: column \"n.u\": \"zz\" is not a UUID"), "{}", errors(&output));
    let output = fed(folder.path(), &["import", "nested", "-", "-f", "csv"], "id,l\n3,[1 2]\n");
    assert!(errors(&output).contains("line 2: column \"l\": it is no JSON: "), "{}", errors(&output));
    let output = fed(folder.path(), &["import", "nested", "-", "-f", "csv"], "id,l\n3,[1\n");
    assert!(
        errors(&output).contains("a list does not end\nhint: nothing was committed\n"),
        "{}",
        errors(&output)
    );
}

#[test]
fn a_line_of_nothing_is_a_row_where_there_is_one_column() {
    let folder = lake();
    ok(folder.path(), &["sql", "CREATE TABLE t (s VARCHAR); INSERT INTO t VALUES ('a'), (NULL), ('')"]);
    ok(folder.path(), &["export", "t", "out.csv"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("out.csv")).unwrap(), "s\na\n\n\"\"\n");
    ok(folder.path(), &["import", "back", "out.csv"]);
    let back = ok(folder.path(), &["head", "back", "-o", "ndjson"]);
    assert_eq!(back, "{\"s\":\"a\"}\n{\"s\":null}\n{\"s\":\"\"}\n");
}

#[test]
fn standard_input_and_output_are_files_like_others() {
    let folder = lake();
    let imported = fed(folder.path(), &["import", "t", "-", "--format", "csv"], "id\n1\n2\n");
    assert_eq!(code(&imported), 0, "{}", errors(&imported));
    assert_eq!(ok(folder.path(), &["export", "t", "-", "--format", "csv"]), "id\n1\n2\n");
    let stream = run(folder.path(), &["export", "t", "-", "--format", "arrow"]).stdout;
    let mut child = strand(folder.path())
        .args(["import", "u", "-", "-f", "arrow"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&stream).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(ok(folder.path(), &["head", "u", "-o", "ndjson"]), "{\"id\":1}\n{\"id\":2}\n");
}

#[test]
fn a_malformed_line_is_named_and_commits_nothing() {
    let folder = lake();
    let check = |format: &str, input: &str, line: &str| {
        let output = fed(folder.path(), &["import", "bad", "-", "--format", format], input);
        let text = errors(&output);
        assert_eq!(code(&output), 1, "{text}");
        assert!(text.contains(line) && text.contains("nothing was committed"), "{text}");
        assert_eq!(code(&run(folder.path(), &["describe", "bad"])), 4);
    };
    check("csv", "id,name\n1,a\n2,b,c\n", "line 3");
    check("ndjson", "{\"id\":1}\n\n{\"id\":\n", "line 3");
    // Of a table whose types are known, too.
    fed(folder.path(), &["import", "bad2", "-", "-f", "csv"], "id\n1\n");
    let output = fed(folder.path(), &["import", "bad2", "-", "-f", "csv"], "id\n2\nx\n");
    let text = errors(&output);
    assert!(text.contains("line 3") && text.contains("nothing was committed"), "{text}");
    let output = fed(folder.path(), &["import", "bad2", "-", "-f", "ndjson"], "{\"id\":2}\n{\"id\":\"x\"}\n");
    let text = errors(&output);
    assert!(text.contains("line 2") && text.contains("nothing was committed"), "{text}");
    assert_eq!(ok(folder.path(), &["head", "bad2", "-o", "ndjson"]), "{\"id\":1}\n");
    ok(folder.path(), &["sql", "CREATE TABLE ids (u UUID, n INT)"]);
    let output = fed(folder.path(), &["import", "ids", "-", "-f", "csv"], "u,n\n,1\n\nzz,2\n");
    let text = errors(&output);
    assert!(text.contains("line 4: column \"u\": \"zz\" is not a UUID"), "{text}");
    let output =
        fed(folder.path(), &["import", "ids", "-", "-f", "ndjson"], "{\"u\":null}\n{\"u\":\"zz\"}\n");
    let text = errors(&output);
    assert!(text.contains("line 2: column \"u\": \"zz\" is not a UUID"), "{text}");
    // Lines are those of the file, whatever stands in quotes.
    fed(folder.path(), &["import", "bad3", "-", "-f", "csv"], "id,name\n1,a\n");
    let output =
        fed(folder.path(), &["import", "bad3", "-", "-f", "csv"], "id,name\n\n2,\"two\nlines\"\nx,b\n");
    let text = errors(&output);
    assert!(text.contains("line 5"), "{text}");
}

#[test]
fn two_imports_at_once_both_land() {
    let folder = lake();
    fed(folder.path(), &["import", "t", "-", "-f", "csv"], "id\n0\n");
    let children: Vec<_> = (1..=2)
        .map(|id| {
            let mut child = strand(folder.path())
                .args(["import", "t", "-", "-f", "csv"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(format!("id\n{id}\n").as_bytes()).unwrap();
            child
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{}", errors(&output));
    }
    assert_eq!(ok(folder.path(), &["export", "t", "-", "-f", "csv"]).lines().count(), 4);
}

#[test]
fn statements_come_from_files_and_standard_input_too() {
    let folder = lake();
    std::fs::write(
        folder.path().join("make.sql"),
        "CREATE TABLE t (id BIGINT);\n-- some; rows\nINSERT INTO t VALUES (1), (2);",
    )
    .unwrap();
    ok(folder.path(), &["sql", "-f", "make.sql"]);
    let answered =
        fed(folder.path(), &["sql", "-o", "csv"], "SELECT sum(id) AS sum FROM t; SELECT ';' AS text");
    assert_eq!(String::from_utf8_lossy(&answered.stdout), "sum\n3\ntext\n;\n");
    assert_eq!(code(&answered), 0);
    // A statement that begins with a comment looks like an option.
    assert_eq!(ok(folder.path(), &["sql", "-o", "csv", "-- a comment\nSELECT 1 AS one"]), "one\n1\n");
}
