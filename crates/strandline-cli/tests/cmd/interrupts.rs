//! Ctrl-C in the middle of an import, its commit, a statement and a merge: nothing is half-done, and what became of it is said.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::bucket::{Stopped, strand_at};
use crate::command::{code, errors, fed, lake, ok, strand};

/// Ctrl-C.
fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn an_interrupted_import_says_that_nothing_was_committed() {
    let folder = lake();
    fed(folder.path(), &["import", "t", "-", "-f", "csv"], "id\n0\n");
    let mut command = strand(folder.path());
    command.args(["import", "t", "-", "-f", "csv"]);
    let mut child = spawn(command);
    let mut input = child.stdin.take().unwrap();
    // More than what is read ahead, so that the import is well under way once all of it is taken.
    let rows: String = (0..200_000).map(|id| format!("{id}\n")).collect();
    input.write_all(format!("id\n{rows}").as_bytes()).unwrap();
    interrupt(&child);
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{text}");
    assert!(text.contains("nothing was committed"), "{text}");
    drop(input);
    assert_eq!(ok(folder.path(), &["export", "t", "-", "-f", "csv"]), "id\n0\n");
}

#[test]
fn rows_that_never_end_are_interrupted_while_they_are_printed() {
    let folder = lake();
    let mut command = strand(folder.path());
    command.args(["sql", "-o", "csv", "SELECT value FROM generate_series(1, 1000000000000)"]);
    let mut child = spawn(command);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.nth(1).unwrap().unwrap(), "1");
    interrupt(&child);
    // So many come in a few batches.
    let printed = lines.take(500_000).count();
    assert!(printed < 500_000);
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), errors(&output).as_str()), (130, "error: interrupted\n"));
}

#[test]
fn what_is_interrupted_within_a_transaction_is_said_once() {
    let folder = lake();
    let mut command = strand(folder.path());
    command.args(["sql", "-o", "csv", "BEGIN; SELECT value FROM generate_series(1, 1000000000000)"]);
    let mut child = spawn(command);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.nth(1).unwrap().unwrap(), "1");
    interrupt(&child);
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    let said =
        "ok\nerror: statement 2, line 1: interrupted\nhint: nothing of the transaction was committed\n";
    assert_eq!((code(&output), errors(&output).as_str()), (130, said));
}

#[test]
fn an_interrupted_statement_leaves_nothing() {
    let folder = lake();
    fed(folder.path(), &["import", "t", "-", "-f", "csv"], "id\n0\n");
    // Rows without an end, some of which are stored before the statement is interrupted.
    let endless = "SELECT 'begun' AS it; INSERT INTO t SELECT value FROM generate_series(1, 1000000000000)";
    let mut command = strand(folder.path());
    command.args(["sql", "-o", "csv", endless]);
    let mut child = spawn(command);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.nth(1).unwrap().unwrap(), "begun");
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let said = errors(&output);
    assert_eq!(code(&output), 130, "{said}");
    assert!(said.starts_with("error: interrupted; ") && said.contains("whole or not at all"), "{said}");
    assert_eq!(ok(folder.path(), &["export", "t", "-", "-f", "csv"]), "id\n0\n");
    assert_eq!(ok(folder.path(), &["sql", "-o", "csv", "INSERT INTO t VALUES (1)"]), "count\n1\n");
}

#[test]
fn a_watch_ends_without_a_word() {
    let folder = lake();
    let mut command = strand(folder.path());
    command.args(["watch", "--every", "0.1", "-o", "ndjson"]);
    let mut child = spawn(command);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // What is committed before it looks is not shown, so it is committed until it is.
    let shown = std::thread::scope(|scope| {
        let shown = scope.spawn(|| lines.next().unwrap().unwrap());
        for version in 0.. {
            if shown.is_finished() {
                break;
            }
            ok(folder.path(), &["sql", &format!("CREATE TABLE t{version} (id BIGINT)")]);
        }
        shown.join().unwrap()
    });
    assert!(shown.contains("\"cursor\":"), "{shown}");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), errors(&output).as_str()), (130, ""));
}

/// A lake in a bucket with two tables that a branch has changed, stopped at every swap of `main` from here on.
struct Middle {
    bucket: Stopped,
    folder: tempfile::TempDir,
}

impl Middle {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let armed = folder.path().join("armed");
        let middle = Self { bucket: Stopped::at_the_swap_of_main(armed.clone()), folder };
        for args in [
            &["init"][..],
            &["sql", "CREATE TABLE a AS SELECT 1 AS id; CREATE TABLE b AS SELECT 1 AS id"],
            &["branch", "create", "dev"],
            &["sql", "--ref", "dev", "BEGIN; INSERT INTO a VALUES (2); INSERT INTO b VALUES (2); COMMIT"],
            &["sql", "CREATE TABLE c AS SELECT 1 AS id"],
        ] {
            middle.ok(args);
        }
        std::fs::write(armed, "").unwrap();
        middle
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = strand_at(&self.bucket.server, self.folder.path());
        command.args(args);
        command
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", errors(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it, and presses Ctrl-C this often while the pointer of `main` is being swapped.
    fn interrupted(&self, args: &[&str], input: &str, times: u32) -> Output {
        let mut child = spawn(self.command(args));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        self.bucket.wait();
        for _ in 0..times {
            interrupt(&child);
            std::thread::sleep(Duration::from_millis(300));
        }
        if times == 1 {
            self.bucket.release();
            return child.wait_with_output().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        self.bucket.release();
        output
    }

    /// How many rows each table has.
    fn rows(&self) -> String {
        let count = |table| format!("SELECT '{table}' AS name, count(*) AS rows FROM {table}");
        let counts = ["a", "b", "c"].map(count).join(" UNION ALL ");
        self.ok(&["sql", "-o", "ndjson", &format!("{counts} ORDER BY name")])
    }
}

#[test]
fn a_commit_that_has_begun_is_finished() {
    let middle = Middle::new();
    let output = middle.interrupted(&["import", "c", "-", "-f", "csv"], "id\n2\n3\n", 1);
    let said = errors(&output);
    assert_eq!(code(&output), 0, "{said}");
    assert!(said.starts_with("the commit has begun and is being finished"), "{said}");
    assert!(said.contains("imported 2 rows into c"), "{said}");
}

#[test]
fn who_insists_is_told_what_to_look_for() {
    let middle = Middle::new();
    let output = middle.interrupted(&["import", "c", "-", "-f", "csv"], "id\n2\n3\n", 2);
    let said = errors(&output);
    assert_eq!(code(&output), 130, "{said}");
    let (_, after) = said.split_once("interrupted while committing: transaction ").unwrap();
    let transaction = &after[..32];
    // Whether it landed is for the log to say, and the table agrees with it.
    let landed = middle.ok(&["log", "-o", "json"]).contains(transaction);
    assert_eq!(middle.ok(&["export", "c", "-", "-f", "csv"]).lines().count(), if landed { 4 } else { 2 });
}

#[test]
fn a_merge_is_whole_or_not_there() {
    let middle = Middle::new();
    let before = middle.rows();
    let output = middle.interrupted(&["merge", "dev"], "", 2);
    let said = errors(&output);
    assert_eq!(code(&output), 130, "{said}");
    assert!(said.contains("the merge has happened whole or not at all"), "{said}");
    let after = middle.rows();
    let merged = before.replacen("\"rows\":1", "\"rows\":2", 2);
    assert!(after == before || after == merged, "{after}");
    // It can be done again, whatever became of it.
    std::fs::remove_file(middle.folder.path().join("armed")).unwrap();
    middle.ok(&["merge", "dev"]);
    assert_eq!(middle.rows(), merged);
}
