//! The examples of the specification: real objects of a tiny lake, the same bytes in the text and in the vectors.
//!
//! Invariants: each example is exactly what this crate writes; where one refers to another, hash and size are those of
//! the other; each stands in `spec.md`, laid out for people but otherwise the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use strandline_format::tree::{Node, TreeKind};
use strandline_format::{
    Catalog, Commit, Error, Files, Hash, History, Lake, Namespace, Pointer, Schema, Table, Tag, View,
};

use crate::assert_none;
use crate::case::{folder, spec_folder};

/// Which object each reference of an example leads to: the example, the place of the reference, the example that it is to.
const LINKS: &[(&str, &str, &str)] = &[
    ("pointer", "/head", "commit"),
    ("tag", "/commit", "commit"),
    ("commit", "/catalog/puts@0", "namespace"),
    ("commit", "/catalog/puts@1", "table"),
    ("commit", "/catalog/puts@2", "view"),
    ("commit", "/changes/0/new", "table"),
    ("catalog-leaf", "/entries@0", "namespace"),
    ("catalog-leaf", "/entries@1", "table"),
    ("catalog-leaf", "/entries@2", "view"),
    ("table", "/files/children", "files-leaf"),
    ("files-inner", "/children@0", "files-leaf"),
];

/// All examples by name.
fn load() -> BTreeMap<String, String> {
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert_eq!(path.extension().unwrap(), "json", "{}", path.display());
        (name, fs::read_to_string(&path).unwrap())
    };
    fs::read_dir(folder().join("examples")).unwrap().map(entry).collect()
}

/// An example, read and written again.
fn written_again(name: &str, text: &[u8]) -> Result<Vec<u8>, Error> {
    fn node<K: TreeKind>(text: &[u8]) -> Result<Vec<u8>, Error> {
        K::write_node(&Node::<K>::parse(text)?)
    }
    match name {
        "lake" => Lake::parse(text)?.to_json(),
        "pointer" => Pointer::parse(text)?.to_json(),
        "tag" => Tag::parse(text)?.to_json(),
        "commit" => Commit::parse(text)?.to_json(),
        "table" => Table::parse(text)?.to_json(),
        "view" => View::parse(text)?.to_json(),
        "namespace" => Namespace::parse(text)?.to_json(),
        "schema" => Schema::parse(text)?.to_json(),
        "history-leaf" => node::<History>(text),
        "catalog-leaf" => node::<Catalog>(text),
        "files-leaf" | "files-inner" => node::<Files>(text),
        _ => Err(Error::invalid("no kind of object is known for this example")),
    }
}

#[test]
fn every_example_is_written_as_it_stands() {
    let fault = |(name, text): (&String, &String)| match written_again(name, text.as_bytes()) {
        Ok(again) if again == text.as_bytes() => None,
        Ok(again) => Some(format!("  {name}:\n    {text}\n    {}", String::from_utf8_lossy(&again))),
        Err(error) => Some(format!("  {name}: {error}")),
    };
    assert_none(
        "examples that this crate does not write so",
        &load().iter().filter_map(fault).collect::<Vec<_>>(),
    );
}

/// Hash and size that stand at a place: of a reference, or of one element of columns (`@` and its number, else the first).
fn reference(example: &Value, place: &str) -> (String, u64) {
    let (path, at) = place.split_once('@').unwrap_or((place, "0"));
    let found = example.pointer(path).unwrap_or_else(|| panic!("nothing stands at {place}"));
    let of = |member: &Value| {
        if member.is_array() { member[at.parse::<usize>().unwrap()].clone() } else { member.clone() }
    };
    (of(&found["hash"]).as_str().unwrap().to_owned(), of(&found["size"]).as_u64().unwrap())
}

#[test]
fn examples_refer_to_each_other() {
    let examples = load();
    let parsed = |name: &str| -> Value { serde_json::from_str(&examples[name]).unwrap() };
    let fault = |(from, place, to): &(&str, &str, &str)| {
        let target = &examples[*to];
        let expected = (Hash::of(target.as_bytes()).to_string(), target.len() as u64);
        let found = reference(&parsed(from), place);
        (found != expected).then(|| format!("  {from}{place}: {found:?}, {to} is {expected:?}"))
    };
    assert_none("wrong references between examples", &LINKS.iter().filter_map(fault).collect::<Vec<_>>());
    let pointer = Pointer::parse(examples["pointer"].as_bytes()).unwrap();
    let packed = |(_, text): (Hash, &str)| examples.values().any(|example| example == text);
    assert!(!pointer.pack().is_empty() && pointer.pack().iter().all(packed));
}

/// The blocks of the text, by the names in the comments before them.
fn blocks(text: &str) -> Vec<(String, String)> {
    let after_comments = text.split("<!-- example: ").skip(1);
    let block = |part: &str| {
        let (name, rest) =
            part.split_once(" -->\n```json\n").unwrap_or_else(|| panic!("no block after {part:.40}"));
        (name.to_owned(), rest.split_once("\n```").unwrap().0.to_owned())
    };
    after_comments.map(block).collect()
}

/// JSON without the blanks between its tokens.
fn compact(text: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    let keep = |char: &char| {
        let keep = in_string || !char.is_ascii_whitespace();
        match char {
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && *char == '\\' && !escaped;
        keep
    };
    text.chars().filter(keep).collect()
}

#[test]
fn the_text_shows_the_examples() {
    let examples = load();
    let mut faults = Vec::new();
    let mut shown = BTreeSet::new();
    for name in ["spec.md", "protocol.md"] {
        for (example, block) in blocks(&fs::read_to_string(spec_folder().join(name)).unwrap()) {
            match examples.get(&example) {
                Some(text) if *text == compact(&block) => {}
                Some(_) => faults.push(format!("  {name} shows another {example}")),
                None => faults.push(format!("  {name}: there is no example {example}")),
            }
            shown.insert(example);
        }
    }
    faults.extend(
        examples
            .keys()
            .filter(|name| !shown.contains(*name))
            .map(|name| format!("  {name} is shown nowhere")),
    );
    assert_none("differences between the text and the examples", &faults);
}

#[test]
fn compacting_leaves_strings_alone() {
    assert_eq!(compact("{ \"a b\" : [ 1,\n \"\\\" }\\\\\" ] }"), "{\"a b\":[1,\"\\\" }\\\\\"]}");
}
