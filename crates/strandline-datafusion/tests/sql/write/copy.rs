//! `COPY`: what comes in from files is exactly what stands in them, or refused by file, line and column; what goes out comes back the same.

use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::{ObjectStoreExt, PutPayload};
use strandline::{ErrorKind, Lake};
use strandline_datafusion::Session;
use strandline_testkit::{Answer, Effect, FaultyStore, RequestKind, Script, Status, Target};

use super::assert_kind;
use super::statements::{check_refused, shown};
use crate::fixture::rows;

/// A lake in a folder, with a folder for files beside it.
struct Place {
    folder: tempfile::TempDir,
    session: Session,
}

impl Place {
    async fn with(table: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::create(folder.path().join("lake").to_str().unwrap()).await.unwrap();
        let session = Session::new(&lake).unwrap();
        session.sql(table).await.unwrap();
        Self { folder, session }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let file = self.file(name);
        std::fs::create_dir_all(Path::new(&file).parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    async fn sql(&self, sql: &str) {
        self.session.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Refuses to copy from a file, and says this of it.
    async fn refuses(&self, file: &str, options: &str, says: &str) {
        let sql = format!("COPY t FROM '{file}' {options}");
        let error = self.session.sql(&sql).await.map(drop).expect_err(&sql);
        assert_kind(&error, ErrorKind::InvalidInput, says);
        assert_eq!(rows(self.session.context(), "SELECT count(*) FROM t").await, ["0"], "{sql}");
    }

    /// All rows, as the columns have them.
    async fn shown(&self) -> Vec<String> {
        shown(&self.session).await
    }
}

#[tokio::test]
async fn what_is_copied_out_can_be_copied_in() {
    let place =
        Place::with("CREATE TABLE t (id BIGINT, price DECIMAL(9,2), at TIMESTAMP, name VARCHAR)").await;
    let session = &place.session;
    let rows = "(1, 1.50, TIMESTAMP '2026-01-31T12:30:00', 'a, \"b\"'), (2, NULL, NULL, 'two\nlines')";
    session.sql(&format!("INSERT INTO t VALUES {rows}")).await.unwrap();
    let before = shown(session).await;
    for name in ["t.parquet", "t.csv", "t.json", "t.arrow"] {
        let file = place.file(name);
        session.sql(&format!("COPY t TO '{file}'")).await.unwrap();
        session.sql("TRUNCATE TABLE t").await.unwrap();
        session.sql(&format!("COPY t FROM '{file}'")).await.unwrap();
        assert_eq!(shown(session).await, before, "{name}");
    }
    let piped = place.file("piped.txt");
    let options = "WITH (FORMAT csv, HEADER false, DELIMITER '|')";
    session.sql(&format!("COPY (SELECT id, name FROM t WHERE id = 1) TO '{piped}' {options}")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&piped).unwrap(), "1|\"a, \"\"b\"\"\"\n");
    let unknown = format!("COPY t TO '{piped}' WITH (WIDTH 3)");
    check_refused(session, &unknown, ErrorKind::InvalidInput, "no option WIDTH").await;
}

#[tokio::test]
async fn columns_of_files_go_where_their_names_or_the_statement_say() {
    let place = Place::with("CREATE TABLE t (id BIGINT NOT NULL, n BIGINT DEFAULT 7, name VARCHAR)").await;
    let session = &place.session;
    let write = |name: &str, text: &str| place.write(name, text);
    let named = write("named.csv", "name,id\nx,1\n,2\n");
    session.sql(&format!("COPY t FROM '{named}'")).await.unwrap();
    assert_eq!(shown(session).await, ["1 7 x", "2 7"]);
    let bare = write("bare.txt", "3;30;\n4;;y\n");
    session
        .sql(&format!("COPY t FROM '{bare}' WITH (FORMAT csv, HEADER false, DELIMITER ';')"))
        .await
        .unwrap();
    assert_eq!(shown(session).await[2..], ["3 30", "4  y"]);
    let listed = write("listed.csv", "a,b\nz,5\n");
    session.sql(&format!("COPY t (name, id) FROM '{listed}'")).await.unwrap();
    assert_eq!(shown(session).await[4], "5 7 z");
    let lines = write("lines.json", "{\"id\": 6}\n{\"id\": 7, \"name\": \"q\"}\n");
    session.sql(&format!("COPY t FROM '{lines}'")).await.unwrap();
    assert_eq!(shown(session).await[5..], ["6 7", "7 7 q"]);

    let check = async |file: &str, more: &str, kind: ErrorKind, says: &str| {
        check_refused(session, &format!("COPY t FROM '{file}' {more}"), kind, says).await;
    };
    let strange = write("strange.csv", "id,nr\n1,2\n");
    check(&strange, "", ErrorKind::InvalidInput, "nr").await;
    let strange = write("strange.json", "{\"id\": 1, \"nr\": 2}\n");
    check(&strange, "", ErrorKind::InvalidInput, "nr").await;
    check(&write("short.csv", "1,2\n"), "WITH (HEADER false)", ErrorKind::InvalidInput, "3 are to be filled")
        .await;
    check(&write("null.csv", "n\n1\n"), "", ErrorKind::InvalidInput, "id").await;
    check(&bare, "", ErrorKind::InvalidInput, "FORMAT").await;
    check(&named, "WITH (FORMAT avro)", ErrorKind::Unsupported, "avro").await;
    check(&lines, "WITH (HEADER)", ErrorKind::InvalidInput, "CSV").await;
    check(&named, "WITH (FORCE_NULL (id))", ErrorKind::Unsupported, "no option").await;
    let text = write("text.csv", "id,n\n1,abc\n");
    let error = session.sql(&format!("COPY t FROM '{text}'")).await.unwrap_err();
    assert!(error.to_string().contains("abc"), "{error}");
    session.sql(&format!("COPY t FROM '{}'", place.file("missing.csv"))).await.unwrap_err();
    session.sql(&format!("COPY missing FROM '{named}'")).await.unwrap_err();
}

/// A table with a column of each type that a text may be exactly, or not.
const TYPES: &str = "CREATE TABLE t (n BIGINT, i INT, f FLOAT, d DOUBLE, day DATE, at TIMESTAMP, tz TIMESTAMP WITH TIME ZONE, \
    p DECIMAL(9,2), clock TIME, flag BOOLEAN, s VARCHAR)";

#[tokio::test]
async fn no_value_becomes_another() {
    let place = Place::with(TYPES).await;
    for (column, value, why) in [
        ("n", "31.9", "\"31.9\" is not of type long: it has more digits than the type keeps"),
        ("n", "9223372036854775808", "is not of type long"),
        ("n", "true", "is not of type long"),
        ("i", "2147483648", "is not of type int"),
        ("f", "1e300", "\"1e300\" is not of type float"),
        ("f", "16777217", "another whole number"),
        ("d", "9007199254740993", "another whole number"),
        ("d", "1e999", "is not of type double"),
        ("day", "2026-01-01T10:00:00", "it has a time of day"),
        ("day", "20454", "is not of type date"),
        ("at", "2026-01-01T10:00:00+02:00", "it has an offset, and the type has none"),
        ("at", "2026-01-01T10:00:00.123456789", "more digits"),
        ("at", "1700000000", "is not of type timestamp"),
        ("tz", "2026-01-01T10:00:00", "it has no offset"),
        ("p", "1.234", "more digits"),
        ("p", "10000000", "is not of type decimal(9,2)"),
        ("clock", "10:00:00.1234567", "more digits"),
        ("flag", "1", "is not of type boolean"),
    ] {
        let told = format!("line 3: column {column:?}: ");
        let bare = value.parse::<f64>().is_ok() || value == "true";
        let json = if bare { value.to_owned() } else { format!("\"{value}\"") };
        let csv = place.write("bad.csv", format!("{column},s\n,x\n{value},x\n"));
        let json = place.write("bad.json", format!("{{\"s\":\"x\"}}\n\n{{\"{column}\":{json}}}\n"));
        for file in [csv, json] {
            let says = format!("{file}: {told}");
            place.refuses(&file, "", &says).await;
            place.refuses(&file, "", why).await;
        }
    }
}

#[tokio::test]
async fn what_a_column_keeps_comes_in() {
    let place = Place::with(TYPES).await;
    let values = "3.0,1e3,0.1,1e300,2026-01-31T00:00:00,2026-01-31,2026-01-31T02:00:00.25+02:00,1.5,10:00:00.5,TRUE, a ";
    let names = "n,i,f,d,day,at,tz,p,clock,flag,s";
    let csv = place.write("good.csv", format!("{names}\n{values}\n"));
    let pairs = names.split(',').zip(values.split(','));
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    let json = place.write("good.json", format!("{{{}}}\n", pairs.join(",")));
    let expected =
        "3 1000 0.1 1e300 2026-01-31 2026-01-31T00:00:00 2026-01-31T00:00:00.250Z 1.50 10:00:00.500 true a";
    for file in [csv, json] {
        place.sql(&format!("COPY t FROM '{file}'")).await;
        assert_eq!(rows(place.session.context(), "SELECT * FROM t").await, [expected], "{file}");
        let text = "SELECT count(*) FROM t WHERE s = ' a '";
        assert_eq!(rows(place.session.context(), text).await, ["1"], "{file}");
        place.sql("TRUNCATE TABLE t").await;
    }
}

#[tokio::test]
async fn null_and_a_text_of_no_letters_are_told_apart_on_the_way_out_and_back() {
    let place = Place::with("CREATE TABLE t (id BIGINT, s VARCHAR, u UUID, b BLOB)").await;
    let texts =
        ["", "-", "a", "a,b", "a|b", "say \"no\"", "it''s", "a\\b", "\\", "\\\"", " a ", "two\nlines", "ä\r"];
    let values = texts
        .iter()
        .zip(1..)
        .map(|(text, id)| format!("({id}, '{text}', '00112233-4455-6677-8899-aabbccddeeff', X'0aff')"));
    let values = values.collect::<Vec<_>>().join(", ");
    place.sql(&format!("INSERT INTO t VALUES {values}, (0, NULL, NULL, NULL), (99, '', NULL, X'')")).await;
    let all = "SELECT id, s IS NULL, encode(s, 'hex'), uuid_text(u), b IS NULL, encode(b, 'hex') FROM t ORDER BY id";
    let before = rows(place.session.context(), all).await;
    for options in [
        "",
        "WITH (HEADER false)",
        "WITH (NULL '-')",
        "WITH (DELIMITER '|', NULL 'a')",
        "WITH (QUOTE '''', NULL '-')",
        "WITH (ESCAPE '\\')",
        "WITH (DELIMITER ';', QUOTE '|', ESCAPE '\\', NULL '')",
    ] {
        let file = place.file("out.csv");
        place.sql(&format!("COPY t TO '{file}' {options}")).await;
        place.sql("TRUNCATE TABLE t").await;
        place.sql(&format!("COPY t FROM '{file}' {options}")).await;
        assert_eq!(rows(place.session.context(), all).await, before, "{options}");
    }
    let file = place.file("some.csv");
    place.sql(&format!("COPY (SELECT id, s FROM t WHERE id IN (0, 1, 4) ORDER BY id) TO '{file}'")).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "id,s\n0,\n1,\"\"\n4,\"a,b\"\n");
}

#[tokio::test]
async fn each_file_of_a_folder_says_which_columns_it_has() {
    let place = Place::with("CREATE TABLE t (id BIGINT, n BIGINT DEFAULT 7, name VARCHAR)").await;
    place.write("in/a.csv", "name,id\nx,1\n");
    place.write("in/b.csv", "ID,n\r2,\r3,30\r");
    place.write("in/empty.csv", "");
    let folder = place.file("in/");
    let pattern = place.file("in/*.csv");
    for files in [format!("'{folder}' WITH (FORMAT csv)"), format!("'{pattern}'")] {
        place.sql(&format!("COPY t FROM {files}")).await;
        assert_eq!(place.shown().await, ["1 7 x", "2", "3 30"]);
        place.sql("TRUNCATE TABLE t").await;
    }
    let broken = place.write("in/c.csv", "id\r4\r\"5\r6\"\r");
    let says = format!("{broken}: line 3: column \"id\": \"5\\r6\" is not of type long");
    place.refuses(&pattern, "", &says).await;
    let broken = place.write("in/c.csv", "id,n\n4,1,2\n");
    place.refuses(&pattern, "", &format!("{broken}: line 2: the number of values")).await;
    let broken = place.write("in/c.csv", "id,ID\n4,1\n");
    place.refuses(&pattern, "", &format!("{broken}: \"id\" stands there twice")).await;
}

#[tokio::test]
async fn members_of_json_are_all_read_and_what_no_object_has_is_the_default() {
    let place =
        Place::with("CREATE TABLE t (id BIGINT, n BIGINT DEFAULT 7, s STRUCT<x INT, l BIGINT[]>)").await;
    let some = place
        .write("some.json", "{\"id\":1}\n{\"id\":2,\"N\":null}\n{\"id\":3,\"s\":{\"x\":1,\"l\":[1,null]}}\n");
    place.sql(&format!("COPY t FROM '{some}'")).await;
    let all = "SELECT id, n, s['x'], s['l'] FROM t ORDER BY id";
    assert_eq!(rows(place.session.context(), all).await, ["1", "2", "3  1 [1, ]"]);
    place.sql("TRUNCATE TABLE t").await;
    let none = place.write("none.json", "{\"id\":1}\n{\"id\":2}\n");
    place.sql(&format!("COPY t FROM '{none}'")).await;
    assert_eq!(rows(place.session.context(), all).await, ["1 7", "2 7"]);
    place.sql("TRUNCATE TABLE t").await;

    let listed = place.write("listed.json", "{\"id\":1,\"other\":[{}],\"n\":5}\n");
    place.sql(&format!("COPY t (n) FROM '{listed}'")).await;
    assert_eq!(rows(place.session.context(), "SELECT id IS NULL, n FROM t").await, ["true 5"]);
    place.sql("TRUNCATE TABLE t").await;
    let sql = format!("COPY t (s) FROM '{listed}'");
    check_refused(&place.session, &sql, ErrorKind::InvalidInput, "it has no column \"s\"").await;

    // Behind as many rows as anybody would look at to guess.
    let many: String = (0..3000).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    for (last, says) in [
        ("{\"id\":1,\"nr\":1}", "line 3001: the table has no column \"nr\": it has id, n, s"),
        ("{\"id\":1.5}", "line 3001: column \"id\": \"1.5\" is not of type long"),
        ("{\"s\":{\"l\":[1,2.5]}}", "line 3001: column \"s.l\": \"2.5\" is not of type long"),
        ("{\"s\":{\"y\":1}}", "line 3001: column \"s\": the table has no field \"y\" there"),
        ("{\"id\":1,\"id\":2}", "line 3001: \"id\" stands there twice"),
        ("{\"id\":1", "line 3001: it is no JSON object: an object does not end on its line"),
    ] {
        let file = place.write("many.json", format!("{many}{last}\n"));
        place.refuses(&file, "", &format!("{file}: {says}")).await;
    }
    let pretty = place.write("pretty.json", "[\n  {\n    \"id\": 1\n  }\n]\n");
    place.refuses(&pretty, "", "line 1: the file is one array, and not an object on each line").await;
    let pretty = place.write("pretty.json", "{\n  \"id\": 1\n}\n");
    place.refuses(&pretty, "", "line 1: it is no JSON object: an object does not end on its line").await;
}

#[tokio::test]
async fn files_come_from_the_stores_of_the_session() {
    let place = Place::with("CREATE TABLE t (id BIGINT, s VARCHAR)").await;
    let store = Arc::new(InMemory::new());
    for (path, text) in
        [("in/a.csv", "id,s\n1,\"\"\n"), ("in/b.csv", "s,id\n,2\n"), ("bad.json", "{\"id\":1.5}\n")]
    {
        store.put(&path.into(), PutPayload::from_static(text.as_bytes())).await.unwrap();
    }
    place.session.context().register_object_store(&"mem://bucket".try_into().unwrap(), store);
    place.refuses("mem://bucket/bad.json", "", "mem://bucket/bad.json: line 1: column \"id\": \"1.5\"").await;
    place.sql("COPY t FROM 'mem://bucket/in/' WITH (FORMAT csv)").await;
    let all = "SELECT id, s IS NULL FROM t ORDER BY id";
    assert_eq!(rows(place.session.context(), all).await, ["1 false", "2 true"]);
    let missing = "COPY t FROM 'mem://bucket/none/' WITH (FORMAT csv)";
    check_refused(&place.session, missing, ErrorKind::NotFound, "no files").await;
}

#[tokio::test]
async fn what_a_store_says_of_a_file_is_told_of_it() {
    let place = Place::with("CREATE TABLE t (id BIGINT, s VARCHAR); INSERT INTO t VALUES (1, 'a')").await;
    for name in ["out.csv", "out.json"] {
        let script = Script::empty().and(
            Target::any().kind(RequestKind::Put).always(),
            Effect::fail(Answer::Status(Status::Forbidden)),
        );
        let store = FaultyStore::new(Arc::new(InMemory::new()), script);
        place.session.context().register_object_store(&"mem://bucket".try_into().unwrap(), Arc::new(store));
        let error =
            place.session.sql(&format!("COPY t TO 'mem://bucket/{name}'")).await.map(drop).unwrap_err();
        assert_kind(&error, ErrorKind::PermissionDenied, &format!("mem://bucket/{name}"));
    }
}

#[tokio::test]
async fn a_copy_whose_rows_fail_leaves_no_file() {
    let place = Place::with("CREATE TABLE t (id BIGINT, s VARCHAR)").await;
    place.sql("INSERT INTO t SELECT value, 'a' FROM generate_series(1, 20000)").await;
    place.sql("INSERT INTO t VALUES (20001, 'x')").await;
    for name in ["out.csv", "out.json"] {
        let file = place.file(name);
        let copy =
            format!("COPY (SELECT id, CASE WHEN id > 20000 THEN s::BIGINT END AS n FROM t) TO '{file}'");
        place.session.sql(&copy).await.map(drop).unwrap_err();
        assert!(!Path::new(&file).exists(), "{name}");
        place.sql(&format!("COPY (SELECT * FROM t ORDER BY id) TO '{file}'")).await;
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert_eq!(lines, 20_001 + usize::from(name == "out.csv"));
    }
}

#[tokio::test]
async fn a_copy_puts_no_file_where_none_can_be() {
    let place = Place::with("CREATE TABLE t (id BIGINT)").await;
    let refused = async |to: &str, says: &str| {
        let copy = format!("COPY t TO '{to}' {}", if to.contains('.') { "" } else { "STORED AS CSV" });
        check_refused(&place.session, &copy, ErrorKind::InvalidInput, says).await;
    };
    refused("/dev/null", "/dev/null is no file").await;
    refused("file:///dev/null", "/dev/null is no file").await;
    if Path::new("/proc/self").exists() {
        refused("/proc/x.csv", "no file can be made in /proc").await;
    }
    let array = format!("COPY t TO '{}' OPTIONS ('format.newline_delimited' 'false')", place.file("a.json"));
    check_refused(&place.session, &array, ErrorKind::Unsupported, "an object on each line").await;
}

/// More than one batch, in a file that is read in many pieces.
#[tokio::test]
async fn rows_of_many_batches_all_come_in() {
    let place = Place::with("CREATE TABLE t (id BIGINT, s VARCHAR)").await;
    let csv: String = (0..50_000).map(|id| format!("{id},\"text\n{id}\"\n")).collect();
    let json: String = (0..50_000).map(|id| format!("{{\"id\":{id},\"s\":\"text\\n{id}\"}}\n")).collect();
    for file in [place.write("t.csv", format!("id,s\n{csv}")), place.write("t.json", json)] {
        place.sql(&format!("COPY t FROM '{file}'")).await;
        let asked = "SELECT count(*), sum(id), sum(CASE WHEN s = 'text\n' || id THEN 1 ELSE 0 END) FROM t";
        assert_eq!(rows(place.session.context(), asked).await, ["50000 1249975000 50000"], "{file}");
        place.sql("TRUNCATE TABLE t").await;
    }
}
