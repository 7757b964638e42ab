//! Several runs of the command at the same time.

use std::fs;
use std::process::{Child, Stdio};

use crate::command::{lake, ok, strand};

/// How many run at once, and how often each does it.
const RUNS: usize = 4;
const TIMES: usize = 10;

fn wait(children: Vec<Child>) {
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn who_puts_in_the_same_at_once_is_there_once_and_nobody_fails() {
    let folder = lake();
    let at = folder.path();
    ok(at, &["sql", "CREATE TABLE c (id BIGINT PRIMARY KEY, v BIGINT)"]);
    let statements = |run: usize| {
        let one = |time: usize| format!("REPLACE INTO c VALUES (100, {run}{time}), (101, {run}{time})");
        (0..TIMES).map(one).collect::<Vec<_>>().join("; ")
    };
    let run =
        |args: &[&str]| strand(at).args(args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait((0..RUNS).map(|at| run(&["sql", &statements(at)])).collect());
    for at_once in 0..3 {
        let import = |run_of: usize| {
            let file = format!("ups{run_of}.csv");
            fs::write(at.join(&file), format!("id,v\n20{at_once},{run_of}\n100,{run_of}\n")).unwrap();
            run(&["import", "c", &file, "--mode", "upsert"])
        };
        wait((0..RUNS).map(import).collect());
    }
    for key in [&[][..], &["--key", "id"]] {
        let table = format!("made.by{}", key.len());
        let import = |run_of: usize| {
            let file = format!("new{run_of}.csv");
            fs::write(at.join(&file), format!("id,v\n{run_of},1\n")).unwrap();
            run(&[&["import", &table, &file], key].concat())
        };
        wait((0..RUNS).map(import).collect());
        let count = format!("SELECT count(*) AS n FROM {table}");
        assert_eq!(ok(at, &["sql", "-o", "csv", &count]), format!("n\n{RUNS}\n"), "{table}");
    }
    let found = ok(at, &["sql", "-o", "csv", "SELECT id, count(*) AS n FROM c GROUP BY id ORDER BY id"]);
    assert_eq!(
        found.lines().skip(1).collect::<Vec<_>>(),
        ["100,1", "101,1", "200,1", "201,1", "202,1"],
        "{found}"
    );
}
