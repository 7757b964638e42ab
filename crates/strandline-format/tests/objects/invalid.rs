//! Each way in which an object can be wrong has its kind of error.

use serde_json::{Value as Json, json};
use strandline_format::*;

type Parse = fn(&[u8]) -> std::result::Result<(), Error>;

/// Changes a valid object at a JSON pointer and expects this kind of error.
fn check(object: &Json, parse: Parse, place: &str, value: Json, expected: ErrorKind) {
    let mut changed = object.clone();
    let (parent, member) = place.rsplit_once('/').unwrap();
    let parent = changed.pointer_mut(parent).unwrap_or_else(|| panic!("{place}"));
    match parent {
        Json::Array(items) => items[member.parse::<usize>().unwrap()] = value,
        Json::Object(members) => drop(members.insert(member.to_owned(), value)),
        _ => panic!("{place}"),
    }
    let found = parse(changed.to_string().as_bytes()).map_err(|error| error.kind());
    assert_eq!(found, Err(expected), "{place} in {changed}");
}

/// Takes one required member after the other away.
fn check_required(object: &Json, parse: Parse, optional: &[&str]) {
    assert_eq!(parse(object.to_string().as_bytes()), Ok(()));
    for name in object.as_object().unwrap().keys().filter(|name| !optional.contains(&name.as_str())) {
        let mut changed = object.clone();
        changed.as_object_mut().unwrap().remove(name);
        let found = parse(changed.to_string().as_bytes()).map_err(|error| error.kind());
        assert_eq!(found, Err(ErrorKind::Malformed), "without {name}");
    }
}

const MALFORMED: ErrorKind = ErrorKind::Malformed;
const UNSUPPORTED: ErrorKind = ErrorKind::Unsupported;

fn hash(of: &str) -> String {
    Hash::of(of.as_bytes()).to_string()
}

fn object(of: &str) -> Json {
    json!({"hash": hash(of), "era": 0, "size": of.len()})
}

const UUID: &str = "01010101-0101-4101-8101-010101010101";
const OTHER_UUID: &str = "02020202-0202-4202-8202-020202020202";
const HEX: &str = "0123456789abcdef0123456789abcdef";
const TIME: &str = "2026-01-02T03:04:05.000006Z";

fn pointer() -> Json {
    json!({
        "format": 1, "kind": "pointer", "lake": UUID, "branch": "main", "features": {"read": [], "write": ["x"]},
        "seq": 4, "nonce": HEX, "era": 2, "head": object("{\"seq\":5}"), "expired_before": 5,
        "pins": [{"id": HEX, "commit": object("b"), "from": 2, "era": 2, "for": "branch dev", "time": TIME}],
        "state": "live",
        "probed": ["0123456789abcdef"], "pack": {hash("{\"seq\":5}"): {"seq": 5}, hash("[]"): []},
    })
}

#[test]
fn pointers() {
    let parse: Parse = |text| Pointer::parse(text).map(drop);
    check_required(&pointer(), parse, &[]);
    let check = |place: &str, value: Json, kind| check(&pointer(), parse, place, value, kind);
    check("/kind", json!("tag"), MALFORMED);
    check("/branch", json!("a..b"), MALFORMED);
    check("/lake", json!(UUID.to_uppercase().replace("0101", "ABCD")), MALFORMED);
    check("/features/read", json!(["rot13"]), UNSUPPORTED);
    check("/features/read", json!(["ROT13"]), MALFORMED);
    check("/features/write", json!(["a", "a"]), MALFORMED);
    check("/seq", json!(-1), MALFORMED);
    check("/seq", json!(1.5), MALFORMED);
    check("/nonce", json!("ff"), MALFORMED);
    check("/head/hash", json!("ff"), MALFORMED);
    check("/head/hash", json!(hash("a").to_uppercase()), MALFORMED);
    check("/expired_before", json!(6), MALFORMED);
    check("/state", json!("sleeping"), UNSUPPORTED);
    check("/state", json!("deleted"), MALFORMED);
    check("/probed", json!(["0123456789ABCDEF"]), MALFORMED);
    check("/probed", json!(vec!["0123456789abcdef"; 2]), MALFORMED);
    let stores: Vec<String> = (0..17).map(|n| format!("{n:016x}")).collect();
    check("/probed", json!(stores), MALFORMED);
    let pin = pointer()["pins"][0].clone();
    check("/pins", json!([pin, pin]), MALFORMED);
    check("/pins/0/for", json!("x".repeat(256)), MALFORMED);
    check("/pins/0/time", json!("2026-01-02"), MALFORMED);
    check("/pins/0/era", json!(3), MALFORMED);
    check("/pins/0/era", json!(null), MALFORMED);
    check("/pins/0/from", json!(-1), MALFORMED);
    check("/pins", json!(vec![pin; 1025]), ErrorKind::TooLarge);
    check("/pack", json!({hash("1"): 2}), ErrorKind::Corrupt);
    check("/pack", json!({"ff": 2}), MALFORMED);
    let text = pointer().to_string();
    let twice = text.replacen("\"pack\":{", &format!("\"pack\":{{\"{}\":[],", hash("[]")), 1);
    assert_eq!(Pointer::parse(twice.as_bytes()).unwrap_err().kind(), MALFORMED);
    assert_eq!(Pointer::parse(&vec![b' '; MAX_REF_BYTES + 1]).unwrap_err().kind(), ErrorKind::TooLarge);
}

/// A feature that is not known explains whatever else is strange.
#[test]
fn features_explain() {
    let mut strange = pointer();
    strange["features"]["read"] = json!(["rot13"]);
    strange["head"] = json!("elsewhere");
    let error = Pointer::parse(strange.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.kind(), UNSUPPORTED);
    assert!(error.to_string().contains("rot13"), "{error}");
    strange["features"]["read"] = json!([]);
    assert_eq!(Pointer::parse(strange.to_string().as_bytes()).unwrap_err().kind(), MALFORMED);
}

#[test]
fn lakes() {
    let lake = json!({
        "format": 1, "kind": "lake", "lake": UUID, "created": TIME, "features": {"read": [], "write": []}, "writer": "w",
    });
    let parse: Parse = |text| Lake::parse(text).map(drop);
    check_required(&lake, parse, &[]);
    check(&lake, parse, "/features/read", json!(["x"]), UNSUPPORTED);
    check(&lake, parse, "/writer", json!("x".repeat(256)), MALFORMED);
    check(&lake, parse, "/created", json!("2026-01-02T03:04:05Z"), MALFORMED);
}

#[test]
fn tags() {
    let tag = json!({
        "format": 1, "kind": "tag", "lake": UUID, "tag": "v1", "features": {"read": [], "write": ["x"]}, "seq": 0,
        "nonce": HEX, "commit": object("a"), "version": 7,
        "branch": "main", "time": TIME, "author": "ada", "message": "", "state": "live",
    });
    let parse: Parse = |text| Tag::parse(text).map(drop);
    check_required(&tag, parse, &[]);
    check(&tag, parse, "/tag", json!("-x"), MALFORMED);
    check(&tag, parse, "/branch", json!(""), MALFORMED);
    check(&tag, parse, "/features/read", json!(["rot13"]), UNSUPPORTED);
    check(&tag, parse, "/state", json!("moved"), UNSUPPORTED);
    check(&tag, parse, "/author", json!("x".repeat(1025)), MALFORMED);
    check(&tag, parse, "/message", json!("x".repeat((64 << 10) + 1)), MALFORMED);
    let read = Tag::parse(tag.to_string().as_bytes()).unwrap();
    assert_eq!(read.check_name(&RefName::new("V1").unwrap()), Ok(()));
    assert_eq!(read.check_name(&RefName::new("v2").unwrap()).unwrap_err().kind(), MALFORMED);
}

fn commit() -> Json {
    let entry = json!({"seq": [0], "hash": [hash("a")], "size": [1], "time": [TIME], "txn": [HEX]});
    let change = json!({
        "table": UUID, "name": "t", "operation": "append", "old": object("x"), "new": object("y"),
        "rows_added": 1, "rows_removed": 0, "files_added": 1, "files_removed": 0, "bytes_added": 9, "bytes_removed": 0,
    });
    let mut parent = object("a");
    parent["seq"] = json!(0);
    json!({
        "format": 1, "kind": "commit", "seq": 1, "parents": [parent], "time": TIME, "txn": HEX.replace('0', "1"), "key": true,
        "author": "ada", "message": "m", "properties": {"k": "v"}, "catalog": {"level": 0},
        "history": {"level": 0, "puts": entry}, "changes": [change],
    })
}

#[test]
fn commits() {
    let parse: Parse = |text| Commit::parse(text).map(drop);
    check_required(&commit(), parse, &["key", "properties"]);
    let check = |place: &str, value: Json, kind| check(&commit(), parse, place, value, kind);
    check("/seq", json!(2), MALFORMED);
    check("/seq", json!(0), MALFORMED);
    check("/parents", json!([]), MALFORMED);
    check("/parents/0/seq", json!(1), MALFORMED);
    check("/parents/0/hash", json!(hash("b")), MALFORMED);
    let parent = commit()["parents"][0].clone();
    check("/parents", json!([parent, parent, parent]), MALFORMED);
    check("/time", json!("2026-01-02T03:04:05.000005Z"), MALFORMED);
    check("/history", json!({"level": 0}), MALFORMED);
    check("/history/level", json!(1), MALFORMED);
    check("/author", json!("x".repeat(1025)), MALFORMED);
    check("/message", json!("x".repeat((64 << 10) + 1)), MALFORMED);
    check("/properties", json!({"": "v"}), MALFORMED);
    check("/properties", json!({"k": 1}), MALFORMED);
    let many: serde_json::Map<String, Json> = (0..65).map(|n| (n.to_string(), json!(""))).collect();
    check("/properties", Json::Object(many), MALFORMED);
    let change = commit()["changes"][0].clone();
    check("/changes", json!([change, change]), MALFORMED);
    check("/changes/0/operation", json!("explode"), UNSUPPORTED);
    check("/changes/0/operation", json!("rename"), MALFORMED);
    check("/changes/0/operation", json!("create"), MALFORMED);
    check("/changes/0/operation", json!("drop"), MALFORMED);
    check("/changes/0/type", json!("index"), UNSUPPORTED);
    check("/changes/0/new", json!(null), MALFORMED);
    check("/changes/0/name", json!("a..b"), MALFORMED);
    check("/changes/0/rows_added", json!(null), MALFORMED);
    check("/changes/0/renumbered", json!({"files": [], "rows": []}), MALFORMED);
    let mut merge = commit();
    merge["parents"].as_array_mut().unwrap().push(json!({"seq": 4, "hash": hash("m"), "era": 0, "size": 1}));
    merge["changes"][0]["renumbered"] = json!({"files": [[1, 2]], "rows": [[1, 2], [5, -3]]});
    assert_eq!(parse(merge.to_string().as_bytes()), Ok(()));
    check_merge(&merge, parse);
}

/// What the root shows of the past when all of it is in nodes of their own.
#[test]
fn flushed_histories() {
    let parse: Parse = |text| Commit::parse(text).map(drop);
    let mut flushed = commit();
    flushed["history"] = json!({"level": 1, "children": {
        "first": [0], "last": [0], "hash": [hash("n")], "size": [9], "count": [1], "first_time": [TIME], "last_time": [TIME],
    }});
    assert_eq!(parse(flushed.to_string().as_bytes()), Ok(()));
    check(&flushed, parse, "/time", json!("2026-01-02T03:04:05.000005Z"), MALFORMED);
    check(&flushed, parse, "/history/children/last", json!([1]), MALFORMED);
    check(&flushed, parse, "/seq", json!(2), MALFORMED);
}

fn check_merge(merge: &Json, parse: Parse) {
    check(merge, parse, "/changes/0/renumbered/rows", json!([[5, 1], [5, 2]]), MALFORMED);
    check(merge, parse, "/changes/0/renumbered/files", json!([[-1, 2]]), MALFORMED);
    check(merge, parse, "/parents/1/seq", json!(null), MALFORMED);
}

fn table() -> Json {
    let field = |id: u32, ty: &str, required: bool| json!({"id": id, "name": format!("c{id}"), "type": ty, "required": required});
    json!({
        "format": 1, "kind": "table", "id": UUID, "created": TIME,
        "schema": {"id": 0, "fields": [field(1, "long", true), field(2, "double", true), field(4, "string", false)], "dropped": [3]},
        "field_sets": [[[1, 2], [4, 4]]], "key": [1],
        "orders": [{"id": 1, "fields": [{"field": 1, "direction": "asc", "nulls": "last"}]}],
        "splits": [{"id": 1, "fields": [{"id": 1000, "field": 1, "name": "b", "transform": "bucket[4]"}]}],
        "layout": {"order": 1, "split": 1, "target_file_bytes": 1000},
        "constraints": [{"name": "positive", "check": "c1 > 0"}], "properties": {}, "comment": "",
        "next_row": 10, "next_file": 1,
        "files": {"level": 0, "puts": {
            "id": [0], "hash": [hash("f")], "size": [100], "rows": [10], "footer": [20], "first_row": [0], "added": [1],
            "order": [1], "split": [{"id": 1, "values": [3]}],
        }},
        "totals": {"files": 1, "rows": 10, "bytes": 100, "deleted": 0},
    })
}

const TABLE_OPTIONAL: &[&str] =
    &["field_sets", "key", "orders", "splits", "layout", "constraints", "properties", "comment"];

#[test]
fn tables() {
    let parse: Parse = |text| Table::parse(text).map(drop);
    check_required(&table(), parse, TABLE_OPTIONAL);
    let check = |place: &str, value: Json, kind| check(&table(), parse, place, value, kind);
    check("/schema_ref", object("s"), MALFORMED);
    check("/field_sets", json!([]), MALFORMED);
    check("/field_sets", json!([[[1, 5]]]), MALFORMED);
    check("/field_sets", json!([[[2, 1]]]), MALFORMED);
    check("/field_sets", json!([[[4, 4], [1, 2]]]), MALFORMED);
    check("/field_sets", json!([[[1, 2], [2, 2]]]), MALFORMED);
    check("/key", json!([2]), MALFORMED);
    check("/key", json!([3]), MALFORMED);
    check("/key", json!([4]), MALFORMED);
    check("/key", json!([1, 1]), MALFORMED);
    let (order, split) = (table()["orders"][0].clone(), table()["splits"][0].clone());
    check("/orders", json!([order, order]), MALFORMED);
    check("/orders", json!([]), MALFORMED);
    check("/orders/0/fields", json!([]), MALFORMED);
    check("/orders/0/fields/0/field", json!(9), MALFORMED);
    check("/orders/0/fields/0/direction", json!("up"), UNSUPPORTED);
    check("/orders/0/fields/0/nulls", json!("never"), UNSUPPORTED);
    check("/splits", json!([split, split]), MALFORMED);
    check("/splits", json!([]), MALFORMED);
    check("/splits/0/fields/0/id", json!(999), MALFORMED);
    check("/splits/0/fields/0/field", json!(9), MALFORMED);
    check("/splits/0/fields/0/field", json!(2), MALFORMED);
    check("/splits/0/fields/0/transform", json!("cube"), UNSUPPORTED);
    check("/splits/0/fields/0/transform", json!("bucket[0]"), MALFORMED);
    check("/schema/fields/0/type", json!("variant"), UNSUPPORTED);
    check("/schema/fields/0/doc", json!("x".repeat((64 << 10) + 1)), MALFORMED);
    check("/schema/fields/0/type", json!({"union": []}), UNSUPPORTED);
    check("/schema/fields/0/type", json!("decimal(39,2)"), MALFORMED);
    let part = split["fields"][0].clone();
    check("/splits/0/fields", json!([part, part]), MALFORMED);
    check("/layout/order", json!(2), MALFORMED);
    check("/layout/split", json!(2), MALFORMED);
    let constraint = table()["constraints"][0].clone();
    check("/constraints", json!([constraint, {"name": "Positive", "check": ""}]), MALFORMED);
    check("/next_row", json!(9), MALFORMED);
    check("/next_file", json!(0), MALFORMED);
    check("/files/puts/fields", json!([1]), MALFORMED);
    check("/files/puts/order", json!([2]), MALFORMED);
    check("/files/puts/split", json!([{"id": 1, "values": [3, 4]}]), MALFORMED);
    check("/files/puts/split", json!([{"id": 2, "values": [3]}]), MALFORMED);
    check("/totals/rows", json!(9), MALFORMED);
    check("/totals/files", json!(0), MALFORMED);
    check("/totals/deleted", json!(1), MALFORMED);
    check("/comment", json!("x".repeat((64 << 10) + 1)), MALFORMED);

    let mut without = table();
    without.as_object_mut().unwrap().remove("schema");
    without["schema_ref"] = object("s");
    let read = Table::parse(without.to_string().as_bytes()).unwrap();
    let TableSchema::Inline(schema) = Table::parse(table().to_string().as_bytes()).unwrap().schema else {
        panic!()
    };
    assert_eq!(read.check_schema(&schema), Ok(()));
    assert_eq!(
        read.check_schema(&Schema::numbered(Vec::new()).unwrap()).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn flushed_files() {
    let parse: Parse = |text| Table::parse(text).map(drop);
    let mut flushed = table();
    let children = json!({
        "first": [0], "last": [0], "hash": [hash("n")], "size": [9], "count": [1], "rows": [10], "bytes": [100], "deleted": [3],
    });
    flushed["files"] = json!({"level": 1, "children": children});
    flushed["totals"] = json!({"files": 1, "rows": 7, "bytes": 100, "deleted": 3});
    assert_eq!(parse(flushed.to_string().as_bytes()), Ok(()));
    check(&flushed, parse, "/next_file", json!(0), MALFORMED);
    for (name, wrong) in [("files", 2), ("rows", 10), ("bytes", 99), ("deleted", 0)] {
        check(&flushed, parse, &format!("/totals/{name}"), json!(wrong), MALFORMED);
    }
    // A removal may hide anything: then the root does not show the totals.
    flushed["files"]["removes"] = json!([0]);
    flushed["totals"] = json!({"files": 0, "rows": 0, "bytes": 0, "deleted": 0});
    assert_eq!(parse(flushed.to_string().as_bytes()), Ok(()));
}

#[test]
fn split_fields_may_be_shared_but_not_differ() {
    let parse: Parse = |text| Table::parse(text).map(drop);
    let mut other = table()["splits"][0].clone();
    other["id"] = json!(2);
    let mut shared = table();
    shared["splits"].as_array_mut().unwrap().push(other.clone());
    assert_eq!(parse(shared.to_string().as_bytes()), Ok(()));
    check(&shared, parse, "/splits/1/fields/0/transform", json!("bucket[8]"), MALFORMED);
}

#[test]
fn views_and_namespaces() {
    let view = json!({
        "format": 1, "kind": "view", "id": OTHER_UUID, "created": TIME, "sql": "SELECT 1", "dialect": "datafusion",
        "schema": {"id": 0, "fields": []}, "comment": "", "properties": {},
    });
    check_required(&view, |text| View::parse(text).map(drop), &["comment", "properties"]);
    check(&view, |text| View::parse(text).map(drop), "/sql", json!("x".repeat((1 << 20) + 1)), MALFORMED);
    let namespace = json!({"format": 1, "kind": "namespace", "id": UUID, "comment": "", "properties": {}});
    check_required(&namespace, |text| Namespace::parse(text).map(drop), &["comment", "properties"]);
    check(&namespace, |text| Namespace::parse(text).map(drop), "/id", json!(HEX), MALFORMED);
}

/// What a writer would write wrongly is refused before it is written.
#[test]
fn writers_are_checked_as_readers_are() {
    let mut written = Commit::parse(commit().to_string().as_bytes()).unwrap();
    written.seq = Seq(7);
    assert_eq!(written.to_json().unwrap_err().kind(), ErrorKind::Invalid);
    let mut written = Table::parse(table().to_string().as_bytes()).unwrap();
    written.totals.rows += 1;
    assert_eq!(written.to_json().unwrap_err().kind(), ErrorKind::Invalid);
}
