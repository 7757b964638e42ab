//! The shell as it is used at a terminal.

use std::path::Path;

use crate::command::lake;
use crate::terminal::{Seen, Terminal};

/// Where the history goes, besides what every terminal has.
fn shell(folder: &Path, steps: &[(&str, &str)]) -> Seen {
    let data = [("XDG_DATA_HOME", folder.to_str().unwrap()), ("NO_COLOR", "1")];
    Terminal { folder, lines: 24, variables: &data }.run(&["sql"], steps)
}

/// What a person types first.
const TABLE: &str = "CREATE TABLE orders (id BIGINT, customer VARCHAR);\r";
const ROWS: &str = "INSERT INTO orders VALUES (1, 'ada'), (2, 'bob');\r";

#[test]
fn statements_words_and_mistakes() {
    let folder = lake();
    let seen = shell(
        folder.path(),
        &[
            ("main> ", TABLE),
            // Over two lines.
            ("ok.*main> ", "INSERT INTO orders\r"),
            ("", "VALUES (1, 'ada'), (2, 'bob');\r"),
            (
                r"2 \|.*2 inserted, 1 file written, .*main> ",
                "UPDATE orders SET customer = 'cid' WHERE id = 1;\r",
            ),
            // A mistake ends the statement and not the shell.
            (r"1 \|.*1 updated, 1 file written, .*main> ", "SELECT * FROM ordres;\r"),
            ("did you mean \"orders\".*main> ", "\\d\r"),
            (r"orders +\|.*main> ", "\\d orders\r"),
            (r"customer +\| string.*main> ", "\\timing\r"),
            ("timing is on.*main> ", "SELECT 40 + 2 AS answer; SELECT 6 AS other;\r"),
            (r"42 \|.*other.*time: .*main> ", "\\timing\r"),
            ("timing is off.*main> ", "Help\r"),
            (r"\\timing .*main> ", "SELECT 1 AS one;\r"),
            (r"1 \|.*main> ", "CREATE BRANCH dev;\r"),
            ("main> ", "\\ref dev\r"),
            ("dev> ", "\\ref nobody\r"),
            ("nothing is named \"nobody\".*dev> ", "\\timng\r"),
            (r"did you mean .*\\timing.*dev> ", "\\?\r"),
            (r"\\timing .*dev> ", "\\q\r"),
        ],
    );
    assert_eq!(seen.code, 0);
    assert_eq!(seen.text.matches("time: ").count(), 1, "timing is off again");
}

#[test]
fn a_reference_means_the_same_wherever_one_stands() {
    let folder = lake();
    let seen = shell(
        folder.path(),
        &[
            ("main> ", TABLE),
            ("ok.*main> ", "CREATE BRANCH dev; CREATE TAG one;\r"),
            ("main> ", "\\ref dev\r"),
            ("dev> ", ROWS),
            (r"2 \|.*dev> ", "\\ref v1\r"),
            ("main@1> ", "\\ref v0\r"),
            // What is above the version at which it stands.
            ("main@0> ", "\\ref v1\r"),
            ("main@1> ", "\\ref dev@{2}\r"),
            ("dev@2> ", "\\ref main~1\r"),
            ("main@0> ", "\\ref one\r"),
            ("main@1> ", "SELECT count(*) AS many FROM orders;\r"),
            (r"many.* 0 \|.*main@1> ", "\\ref dev\r"),
            ("dev> ", "\\ref v2\r"),
            ("nothing is named \"v2\".*hint: version 2 of dev is dev@.2..*dev> ", "\\q\r"),
        ],
    );
    assert_eq!(seen.code, 0);
}

#[test]
fn tables_views_and_namespaces_are_listed_and_shown_as_sql_names_them() {
    let folder = lake();
    let seen = shell(
        folder.path(),
        &[
            ("main> ", TABLE),
            ("ok.*main> ", "CREATE SCHEMA sales; CREATE VIEW seen AS SELECT 42 AS dear;\r"),
            ("ok.*ok.*main> ", "\\d\r"),
            (r"orders +\| table +\|.*sales +\| namespace \|.*seen +\| view +\|.*main> ", "\\d public.seen\r"),
            (r"view seen at version 3.*dear +\| .*main> ", "BEGIN; CREATE VIEW other AS SELECT 1 AS one;\r"),
            (r"main\*> ", "\\d\r"),
            (r"orders +\| table +\|.*other +\| view +\|.*seen +\| view .*main\*> ", "\\d public.other\r"),
            (r"view other in the transaction that began at version 3.*one +\| .*main\*> ", "ROLLBACK;\r"),
            ("main> ", "\\q\r"),
        ],
    );
    assert_eq!(seen.code, 0);
}

#[test]
fn tables_columns_refs_and_words_are_completed() {
    let folder = lake();
    let seen = shell(
        folder.path(),
        &[
            ("main> ", TABLE),
            ("ok.*main> ", ROWS),
            (r"2 \|.*main> ", "CREATE BRANCH \"dev-2\";\r"),
            ("main> ", "SELECT cust\t FROM ord\t WHERE id = 2;\r"),
            (r"bob +\|.*main> ", "sel\t count(*) AS many fr\t ord\t;\r"),
            (r"many.*2 \|.*main> ", "\\d ord\t\r"),
            (r"customer +\| string.*main> ", "\\ref de\t\r"),
            ("dev-2> ", "\\re\t ma\t\r"),
            ("main> ", "\\q\r"),
        ],
    );
    assert_eq!(seen.code, 0);
}

#[test]
fn a_transaction_shows_what_it_has_made() {
    let folder = lake();
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b;\r";
    let seen = shell(
        folder.path(),
        &[
            ("main> ", TABLE),
            ("ok.*main> ", "BEGIN;\r"),
            (r"main\*> ", "CREATE TABLE inside (a INT);\r"),
            (r"main\*> ", "\\d inside\r"),
            (r"a +\| int.*main\*> ", "ALTER TABLE orders ADD COLUMN late INT;\r"),
            (r"main\*> ", "\\d orders\r"),
            (r"late +\| int.*main\*> ", endless),
            ("b;.*\n", "\x03"),
            (r"interrupted.*the transaction is open.*main\*> ", "ROLLBACK;\r"),
            ("main> ", "\\d inside\r"),
            ("no table \"inside\".*main> ", "\\q\r"),
        ],
    );
    assert_eq!(seen.code, 0);
}

#[test]
fn names_that_need_quotes_are_completed_with_them() {
    let folder = lake();
    let seen = shell(
        folder.path(),
        &[
            (
                "main> ",
                "CREATE TABLE \"Mixed Case\" (\"select\" BIGINT); CREATE VIEW seen AS SELECT 42 AS dear;\r",
            ),
            ("main> ", "INSERT INTO Mi\t VALUES (7);\r"),
            (r"1 \|.*main> ", "SELECT seen.de\t FROM seen;\r"),
            (r"42 \|.*main> ", "\\q\r"),
        ],
    );
    assert_eq!(seen.code, 0);
}

#[test]
fn lines_that_come_at_once_are_all_carried_out() {
    let folder = lake();
    let seen = shell(
        folder.path(),
        &[
            ("main> ", "SELECT 40 + 2 AS answer;\rSELECT 6 * 7 + 1 AS next;\r"),
            (r"42 \|.*43 \|.*main> ", "\\q\r"),
        ],
    );
    assert_eq!(seen.code, 0);
}

#[test]
fn ctrl_c_ends_what_is_typed_or_runs_and_not_the_shell() {
    let folder = lake();
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b;\r";
    let seen = shell(
        folder.path(),
        &[
            ("main> ", "SELECT nonsense\x03"),
            ("main> ", "SELECT more\rnonsense\x03"),
            ("main> ", endless),
            ("b;.*\n", "\x03"),
            ("interrupted.*main> ", "SELECT 40 + 2 AS answer;\r"),
            // Ctrl-D.
            (r"42 \|.*main> ", "\x04"),
        ],
    );
    assert_eq!(seen.code, 0);
    assert_eq!(seen.text.matches("error: ").count(), 1, "what was only typed is no error");
}

#[test]
fn what_was_typed_is_remembered_by_the_next_shell() {
    let folder = lake();
    shell(folder.path(), &[("main> ", "SELECT 40 +\r"), ("", "2 AS answer;\r"), (r"42 \|.*main> ", "\\q\r")]);
    // Up twice, past the word that ended it.
    let up = "\x1b[A";
    let seen = shell(folder.path(), &[("main> ", &[up, up, "\r"].concat()), (r"42 \|.*main> ", "\\q\r")]);
    assert_eq!(seen.code, 0);
}

#[test]
fn a_transaction_that_is_left_open_is_not_committed() {
    let folder = lake();
    let seen = shell(
        folder.path(),
        &[("main> ", TABLE), ("ok.*main> ", "BEGIN;\r"), (r"main\*> ", ROWS), (r"2 \|.*main\*> ", "\x04")],
    );
    assert_eq!(seen.code, 1);
    assert!(seen.text.contains("nothing of it was committed"));
    let seen = shell(
        folder.path(),
        &[("main> ", "SELECT count(*) AS many FROM orders;\r"), (r"many.* 0 \|.*main> ", "\x04")],
    );
    assert_eq!(seen.code, 0);
}
