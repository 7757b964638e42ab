//! What verbs print as JSON has the members that README.md promises, whoever reads it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::command::ok;

const README: &str = include_str!("../../README.md");

/// Members as README.md names them: `changes (name, kind)` has members of its own.
#[derive(Debug, PartialEq)]
struct Member {
    name: String,
    parts: String,
}

/// The members that stand behind a verb in the table, without what is said of its other forms.
fn promised(verb: &str) -> Vec<Member> {
    let names = |row: &str| row.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{verb}`")));
    let table = README.split_once("| verb | members |").unwrap().1;
    let row =
        table.lines().find(|row| names(row)).unwrap_or_else(|| panic!("README.md has no row of {verb}"));
    let text = row.split('|').nth(2).unwrap();
    members(text.split(';').next().unwrap())
}

fn members(text: &str) -> Vec<Member> {
    let (mut found, mut depth, mut from) = (Vec::new(), 0, 0);
    let mut take = |part: &str| {
        let (name, parts) = part.trim().split_once(" (").unwrap_or((part.trim(), ""));
        let parts = parts.trim_end_matches(')').to_owned();
        found.push(Member { name: name.trim_matches('`').to_owned(), parts });
    };
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                take(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    take(&text[from..]);
    found
}

fn check(object: &Value, expected: &[Member], verb: &str) {
    let object = object.as_object().unwrap_or_else(|| panic!("{verb}: {object}"));
    let names: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    let wanted: BTreeSet<&str> = expected.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, wanted, "{verb}");
    for member in expected {
        // What stands in parentheses behind another one are values, or a remark.
        if let Some(Value::Object(part)) = object[&member.name].get(0) {
            check(&Value::Object(part.clone()), &members(&member.parts), &format!("{verb}: {}", member.name));
        }
    }
}

/// What comes of a verb: one array, or one object.
fn objects(folder: &Path, args: &[&str]) -> Vec<Value> {
    let text = ok(folder, &[args, &["-o", "json"]].concat());
    let whole: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"));
    match whole {
        Value::Array(objects) => objects,
        object => vec![object],
    }
}

/// Checks the first object that a verb prints.
fn verb(folder: &Path, name: &str, args: &[&str], except: &[&str]) {
    let found = objects(folder, args);
    let expected: Vec<Member> =
        promised(name).into_iter().filter(|member| !except.contains(&member.name.as_str())).collect();
    check(found.first().unwrap_or_else(|| panic!("{args:?} printed nothing")), &expected, name);
}

#[test]
fn json_has_the_members_that_are_promised() {
    let folder = tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("t.csv"), "id,a\n1,10\n2,20\n").unwrap();
    fs::write(at.join("u.csv"), "id,a\n3,30\n").unwrap();
    verb(at, "init", &["init"], &[]);
    verb(at, "import", &["import", "t", "t.csv", "--key", "id"], &[]);
    ok(at, &["import", "t", "u.csv"]);
    ok(at, &["sql", "ALTER TABLE t SET TBLPROPERTIES ('owner' = 'me'); ALTER TABLE t ADD CHECK (a > 0)"]);
    verb(at, "ls", &["ls"], &[]);
    verb(at, "describe", &["describe", "t"], &[]);
    verb(at, "files", &["files", "t"], &[]);
    verb(at, "compact", &["compact", "t"], &[]);
    verb(at, "log", &["log"], &[]);
    verb(at, "show", &["show", "--ref", "v3"], &[]);
    verb(at, "branch list", &["branch", "list"], &[]);
    verb(at, "create", &["branch", "create", "dev"], &["oldest"]);
    verb(at, "rename", &["branch", "rename", "dev", "b"], &["oldest"]);
    verb(at, "tag list", &["tag", "create", "one"], &[]);
    verb(at, "tag list", &["tag", "list"], &[]);
    ok(at, &["sql", "--ref", "b", "UPDATE t SET a = 11 WHERE id = 1"]);
    verb(at, "diff", &["diff", "main..b"], &[]);
    verb(at, "merge", &["merge", "b"], &[]);
    verb(at, "delete", &["branch", "delete", "b"], &["oldest"]);
    verb(at, "tag list", &["tag", "delete", "one"], &[]);
    verb(at, "export", &["export", "t", "out.csv"], &[]);
    verb(at, "doctor", &["doctor"], &[]);
    verb(at, "version", &["version"], &[]);
    let changes = objects(at, &["changes", "t", "--from", "main~1"]);
    let names: BTreeSet<&str> = changes[0].as_object().unwrap().keys().map(String::as_str).collect();
    let added = ["_change_type", "_commit_version", "_commit_timestamp", "_row_id"];
    assert_eq!(names, ["id", "a"].into_iter().chain(added).collect());
    assert!(
        README
            .contains("| the rows, then `_change_type`, `_commit_version`, `_commit_timestamp`, `_row_id` |")
    );
}
