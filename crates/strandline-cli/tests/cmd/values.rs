//! What stands in files and tables is what is shown of it, and what is wrong with a file is said of that file.

use crate::command::{code, errors, lake, ok, run};

#[test]
fn the_last_times_that_there_are_have_the_same_text_in_every_form_and_come_back() {
    let folder = lake();
    let at = folder.path();
    let columns = "d DATE, t TIMESTAMP, z TIMESTAMPTZ, l DATE[]";
    ok(at, &["sql", &format!("CREATE TABLE x ({columns}); CREATE TABLE back ({columns})")]);
    let (day, time) = ("+5881580-07-11", "+294247-01-10T04:00:54.775807");
    let row = format!("{{\"d\":\"{day}\",\"t\":\"{time}\",\"z\":\"{time}Z\",\"l\":[\"{day}\"]}}\n");
    std::fs::write(at.join("x.ndjson"), &row).unwrap();
    ok(at, &["import", "x", "x.ndjson"]);
    assert_eq!(ok(at, &["head", "x", "-o", "ndjson"]), row);
    assert_eq!(ok(at, &["sql", "SELECT * FROM x", "-o", "ndjson"]), row);
    let csv = format!("d,t,z,l\n{day},{time},{time}Z,\"[\"\"{day}\"\"]\"\n");
    assert_eq!(ok(at, &["head", "x", "-o", "csv"]), csv);
    let table = ok(at, &["head", "x"]);
    assert!(table.contains(&format!("| {day} | {time} | {time}Z | [\"{day}\"] |")), "{table}");
    for file in ["out.csv", "out.ndjson", "out.parquet", "out.arrow"] {
        ok(at, &["export", "x", file]);
        ok(at, &["import", "back", file, "--mode", "overwrite"]);
        assert_eq!(ok(at, &["head", "back", "-o", "ndjson"]), row, "{file}");
    }
    ok(at, &["sql", "COPY x TO 'copy.json' STORED AS JSON; COPY x TO 'copy.csv' STORED AS CSV"]);
    assert_eq!(std::fs::read_to_string(at.join("copy.json")).unwrap(), row);
    assert_eq!(std::fs::read_to_string(at.join("copy.csv")).unwrap(), csv);
    let said = errors(&run(at, &["sql", "ALTER TABLE x ADD CHECK (t < TIMESTAMP '2026-01-01 00:00:00')"]));
    assert!(said.contains(time), "{said}");
}

#[test]
fn a_null_stays_one_where_the_column_has_a_default() {
    let folder = lake();
    let at = folder.path();
    ok(at, &["sql", "CREATE TABLE t (id INT, a INT DEFAULT 7); CREATE TABLE back (id INT, a INT DEFAULT 7)"]);
    ok(at, &["sql", "INSERT INTO t VALUES (1, NULL); COPY t TO 'copy.json' STORED AS JSON"]);
    ok(at, &["export", "t", "out.ndjson"]);
    let row = "{\"id\":1,\"a\":null}\n";
    for (file, format) in [("copy.json", "ndjson"), ("out.ndjson", "ndjson")] {
        assert_eq!(std::fs::read_to_string(at.join(file)).unwrap(), row, "{file}");
        ok(at, &["import", "back", file, "--format", format, "--mode", "overwrite"]);
        assert_eq!(ok(at, &["head", "back", "-o", "ndjson"]), row, "{file}");
    }
    ok(at, &["sql", "CREATE TABLE l (id INT, l INT[] NOT NULL)"]);
    std::fs::write(at.join("l.csv"), "id,l\n1,null\n").unwrap();
    let said = errors(&run(at, &["import", "l", "l.csv"]));
    assert!(said.contains("l.csv: line 2: column \"l\" is required"), "{said}");
}

#[test]
fn what_does_not_fit_is_said_of_its_file() {
    let folder = lake();
    let at = folder.path();
    ok(at, &["sql", "CREATE TABLE t (a BIGINT NOT NULL, b VARCHAR); CREATE TABLE u (a BIGINT, c VARCHAR)"]);
    ok(at, &["sql", "CREATE TABLE n (a BIGINT, b VARCHAR); INSERT INTO n VALUES (1, 'x'), (NULL, 'y')"]);
    ok(at, &["sql", "INSERT INTO t VALUES (1, 'x'); INSERT INTO u VALUES (1, 'x')"]);
    let many = "SELECT value AS a, CAST(NULL AS VARCHAR) AS b FROM generate_series(1, 19999)";
    ok(at, &["sql", &format!("CREATE TABLE m AS {many}; INSERT INTO m VALUES (NULL, 'y')")]);
    for table in ["t", "u", "n", "m"] {
        ok(at, &["export", table, &format!("{table}.parquet")]);
        ok(at, &["export", table, &format!("{table}.csv")]);
    }
    let check = |files: &[&str], says: &str| {
        let output = run(at, &[&["import", "t"], files].concat());
        let said = errors(&output);
        assert_eq!(code(&output), 1, "{said}");
        assert!(said.contains(says) && said.contains("nothing was committed"), "{said}");
    };
    check(
        &["t.parquet", "u.parquet"],
        "u.parquet: the file does not fit the table: c: the table has no such",
    );
    check(&["t.csv", "u.csv"], "u.csv: the file does not fit the table: c: the table has no such column\n");
    check(&["m.parquet"], "m.parquet: column a, row 19999: null, but the column is required");
    check(&["t.parquet", "n.parquet"], "n.parquet: column a, row 1: null, but the column is required");
    for (name, text) in
        [("twice.csv", "a,a\n1,2\n"), ("own.csv", "_row_id\n1\n"), ("nameless.csv", "a,\n1,2\n")]
    {
        std::fs::write(at.join(name), text).unwrap();
        let output = run(at, &["import", "made", name]);
        assert_eq!(code(&output), 1, "{name}: {}", errors(&output));
        assert!(errors(&output).contains(&format!("{name}: ")), "{}", errors(&output));
    }
    // What the command line says is its fault.
    assert_eq!(code(&run(at, &["import", "a..b", "t.csv"])), 2);
}

#[test]
fn types_are_named_as_sql_names_them() {
    let folder = lake();
    let at = folder.path();
    std::fs::write(at.join("t.csv"), "a,b,c\n1,2,3\n").unwrap();
    ok(at, &["import", "t", "t.csv", "--type", "a=INT", "--type", "b=Text", "--type", "c=numeric(9,2)"]);
    let described = ok(at, &["describe", "t", "-o", "csv"]);
    assert!(described.contains("a,int,") && described.contains("b,string,"), "{described}");
    assert!(described.contains("c,\"decimal(9,2)\","), "{described}");
    let output = run(at, &["import", "u", "t.csv", "--type", "a=strng"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("did you mean \"string\""), "{}", errors(&output));
}

#[test]
fn names_and_comments_command_no_terminal() {
    let folder = lake();
    let at = folder.path();
    ok(at, &["sql", "CREATE TABLE t (\"a|b\" BIGINT); COMMENT ON TABLE t IS 'x\u{1b}[31m\ny'"]);
    assert!(ok(at, &["head", "t"]).starts_with("| a\\|b |\n"));
    assert!(ok(at, &["describe", "t"]).contains("comment: x\\u{1b}[31m\n  y\n"));
    let header = ok(at, &["sql", "SELECT 1 AS \"x\ny\u{1b}\""]);
    assert!(header.starts_with("| x\\ny\\u{1b} |\n"), "{header}");
}
