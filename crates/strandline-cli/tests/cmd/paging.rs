//! What is long is paged, what takes long says how far it is, and errors are coloured, where a person looks on, and nowhere else.

use std::path::Path;

use crate::command::{errors, fed, lake, ok, strand};
use crate::terminal::Terminal;

/// A pager that keeps what it was given.
const PAGER: (&str, &str) = ("PAGER", "cat > paged.txt");

fn terminal<'a>(folder: &'a Path, variables: &'a [(&'a str, &'a str)]) -> Terminal<'a> {
    Terminal { folder, lines: 10, variables }
}

/// A lake with a table of twenty rows.
fn twenty() -> tempfile::TempDir {
    let folder = lake();
    let rows: String = (0..20).map(|id| format!("{id}\n")).collect();
    assert_eq!(
        errors(&fed(folder.path(), &["import", "t", "-", "-f", "csv", "-q"], &format!("id\n{rows}"))),
        ""
    );
    folder
}

#[test]
fn what_is_longer_than_the_terminal_is_paged() {
    let folder = twenty();
    let paged = folder.path().join("paged.txt");
    let at = |lines, args: &[&str]| {
        let _ = std::fs::remove_file(&paged);
        let seen = Terminal { folder: folder.path(), lines, variables: &[PAGER] }.run(args, &[]);
        assert_eq!(seen.code, 0);
        (std::fs::read_to_string(&paged).ok(), seen.text.replace('\r', ""))
    };
    for form in ["table", "json", "ndjson", "csv"] {
        let args = ["head", "t", "-n", "20", "-o", form];
        let whole = ok(folder.path(), &args);
        assert_eq!(at(10, &args), (Some(whole.clone()), String::new()), "{form}");
        // It fits, with a line for the prompt.
        let lines = u16::try_from(whole.lines().count()).unwrap();
        assert_eq!(at(lines + 1, &args), (None, whole.clone()), "{form}");
        let args = [&args[..], &["--no-pager"]].concat();
        assert_eq!(at(10, &args), (None, whole), "{form}");
    }
}

#[test]
fn a_pager_that_is_left_early_or_not_wanted_is_no_error() {
    let folder = twenty();
    let args = ["head", "t", "-n", "20", "-o", "csv"];
    let left = terminal(folder.path(), &[("PAGER", "head -n 1")]).run(&args, &[]);
    assert_eq!((left.code, left.text.as_str()), (0, "id\r\n"));
    let none = terminal(folder.path(), &[("PAGER", "")]).run(&args, &[]);
    assert_eq!((none.code, none.text.lines().count()), (0, 21));
}

#[test]
fn a_pipe_sees_neither_pager_nor_colours() {
    let folder = twenty();
    let output =
        strand(folder.path()).args(["head", "t", "-n", "20"]).env("PAGER", PAGER.1).output().unwrap();
    assert_eq!(output.stdout.split(|byte| *byte == b'\n').count(), 23);
    assert!(!folder.path().join("paged.txt").exists());
    let failed = strand(folder.path()).args(["head", "u"]).env("TERM", "xterm").output().unwrap();
    assert!(errors(&failed).starts_with("error: "), "{}", errors(&failed));
}

#[test]
fn errors_are_coloured_at_a_terminal_unless_no_colours_are_wanted() {
    let folder = lake();
    let begins = |variables: &[(&str, &str)], expected| {
        let said = terminal(folder.path(), variables).run(&["head", "u"], &[]).text;
        assert!(said.starts_with(expected), "{variables:?}: {said:?}");
    };
    begins(&[], "\u{1b}[1;31merror:\u{1b}[0m ");
    begins(&[("NO_COLOR", "1")], "error: ");
    begins(&[("TERM", "dumb")], "error: ");
}

#[test]
fn what_takes_long_says_how_far_it_is_at_a_terminal_and_nowhere_else() {
    let folder = lake();
    let rows: String = (0..250_000).map(|id| format!("{id},{id}.5,text\n")).collect();
    std::fs::write(folder.path().join("t.csv"), format!("id,n,s\n{rows}")).unwrap();
    let import = ["import", "t", "t.csv", "--mode", "overwrite"];
    let silent = strand(folder.path()).args(import).output().unwrap();
    assert_eq!(errors(&silent).lines().count(), 1, "{}", errors(&silent));
    let seen = |args: &[&str], parts: &[&str]| {
        let seen = terminal(folder.path(), &[]).run(args, &[]);
        let all = parts.iter().all(|part| seen.text.contains(part));
        assert!(seen.code == 0 && all, "{args:?}: {parts:?}");
        // What was shown was taken away before the last line.
        let last = seen.text.trim_end().rsplit(['\n', '\r']).next().unwrap_or_default().to_owned();
        assert!(!last.contains("row/s") && !last.contains(" read"), "{last:?}");
    };
    seen(&import, &["importing ", " rows, ", " MiB of "]);
    let query = "SELECT max(md5(s || CAST(id AS VARCHAR))) FROM t";
    seen(&["sql", "-o", "csv", query], &["running ", " of 250,000 rows, ", " read"]);
    ok(folder.path(), &["branch", "create", "dev"]);
    for (branch, set) in [("main", "n = 0"), ("dev", "s = 'other'")] {
        ok(folder.path(), &["sql", "--ref", branch, &format!("UPDATE t SET {set} WHERE id < 100000")]);
    }
    seen(&["merge", "dev"], &["merging ", " of 100,000 rows, ", " read"]);
    let silent = [&import[..], &["-q"]].concat();
    let quiet = terminal(folder.path(), &[]).run(&silent, &[]);
    assert_eq!((quiet.code, quiet.text.as_str()), (0, ""));
}
