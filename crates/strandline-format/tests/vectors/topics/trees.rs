//! Nodes and roots of the three trees, what a parent says of a node, and what a tree holds.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use strandline_format::tree::{Children, Columns, Flush, Node, NodeMap, NodeRef, Root, TreeKind, flush};
use strandline_format::{Catalog, Commit, Era, FileId, Files, Hash, History, NameKey, ObjectRef, Seq};

use crate::octets::octets;
use crate::outcome::{Failure, Outcome, json as outcome, ok, read};
use crate::topics::Reader;

/// A use of the tree whose keys can be given in a case.
trait Use: TreeKind {
    fn key_of(text: &RawValue) -> Result<Self::Key, Failure>;
    fn show(key: &Self::Key) -> Json;
}

impl Use for Files {
    fn key_of(text: &RawValue) -> Result<FileId, Failure> {
        read(text)
    }
    fn show(key: &FileId) -> Json {
        json!(key.0)
    }
}

impl Use for History {
    fn key_of(text: &RawValue) -> Result<Seq, Failure> {
        read(text)
    }
    fn show(key: &Seq) -> Json {
        json!(key.0)
    }
}

impl Use for Catalog {
    fn key_of(text: &RawValue) -> Result<NameKey, Failure> {
        Ok(NameKey::of(&read::<String>(text)?))
    }
    fn show(key: &NameKey) -> Json {
        json!(key.as_str())
    }
}

/// Calls a function for the use that a kind names.
macro_rules! by_kind {
    ($kind:expr, $function:ident($($argument:expr),*)) => {
        match $kind {
            "files" => $function::<Files>($($argument),*),
            "history" => $function::<History>($($argument),*),
            "catalog" => $function::<Catalog>($($argument),*),
            kind => Err(Failure::Input(format!("{kind:?} is no kind of tree"))),
        }
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeInput {
    kind: String,
    node: Box<RawValue>,
}

/// `{"kind", "node"}`, what kind is expected and the bytes, to `{"level", "items"}`.
pub(crate) fn node(input: &RawValue) -> Outcome {
    let NodeInput { kind, node } = read(input)?;
    by_kind!(kind.as_str(), node_of(&octets(&node)?))
}

fn node_of<K: Use>(text: &[u8]) -> Outcome {
    let node = Node::<K>::parse(text)?;
    let again = K::write_node(&node)?;
    let back = Node::<K>::parse(&again)?;
    if back != node || K::write_node(&back)? != again {
        return outcome(format!("written again it is another: {}", String::from_utf8_lossy(&again)));
    }
    let items = match &node {
        Node::Leaf(columns) => columns.len(),
        Node::Inner(_, children) => children.len(),
    };
    outcome(json!({ "level": node.level(), "items": items }))
}

/// What reads nodes and roots of each tree, and writes them again.
pub(crate) const READERS: &[Reader] = &[
    ("node of files", node_of::<Files>),
    ("node of the catalog", node_of::<Catalog>),
    ("node of the history", node_of::<History>),
    ("root of files", |text| root_of::<Files>(&String::from_utf8_lossy(text))),
    ("root of the catalog", |text| root_of::<Catalog>(&String::from_utf8_lossy(text))),
    ("root of the history", |text| root_of::<History>(&String::from_utf8_lossy(text))),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RootInput {
    kind: String,
    root: Box<RawValue>,
}

/// `{"kind", "root"}` to `{"level"}`.
pub(crate) fn root(input: &RawValue) -> Outcome {
    let RootInput { kind, root } = read(input)?;
    by_kind!(kind.as_str(), root_of(root.get()))
}

fn root_of<K: Use>(text: &str) -> Outcome {
    let root: Root<K> = K::parse_root(text)?;
    let again = K::write_root(&root)?;
    if K::parse_root(&again)? != root {
        return outcome(format!("written again it is another: {again}"));
    }
    outcome(json!({ "level": root.level() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParentInput {
    kind: String,
    level: u8,
    first: Box<RawValue>,
    last: Box<RawValue>,
    count: u64,
    node: Box<RawValue>,
}

/// `{"kind", "level", "first", "last", "count", "node"}`: whether a node is what its parent says.
pub(crate) fn node_in_parent(input: &RawValue) -> Outcome {
    let input: ParentInput = read(input)?;
    by_kind!(input.kind.as_str(), in_parent(&input))
}

fn in_parent<K: Use>(input: &ParentInput) -> Outcome {
    let text = octets(&input.node)?;
    let reference = NodeRef {
        first: K::key_of(&input.first)?,
        last: K::key_of(&input.last)?,
        node: ObjectRef { hash: Hash::of(&text), era: Era(0), size: text.len() as u64 },
        count: input.count,
    };
    reference.check(input.level, &Node::<K>::parse(&text)?)?;
    ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SummaryInput {
    kind: String,
    era: Era,
    node: Box<RawValue>,
}

/// `{"kind", "era", "node"}`, a node's bytes and when they were uploaded, to the `children` of a parent with this one child.
pub(crate) fn summary(input: &RawValue) -> Outcome {
    let SummaryInput { kind, era, node } = read(input)?;
    by_kind!(kind.as_str(), summary_of(&octets(&node)?, era))
}

fn summary_of<K: Use>(text: &[u8], era: Era) -> Outcome {
    let object = ObjectRef { hash: Hash::of(text), era, size: text.len() as u64 };
    let node = Node::<K>::parse(text)?;
    let parent = Node::<K>::Inner(node.level() + 1, Children::from_items(&[node.describe(object)?]));
    member(&K::write_node(&parent)?, "children")
}

/// One member of an object, to the byte.
pub(crate) fn member(text: &[u8], name: &str) -> Outcome {
    let mut members: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_slice(text)?;
    let member = members.remove(name).ok_or_else(|| Failure::Input(format!("there is no {name}")))?;
    Ok(member.get().to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TreeInput {
    kind: String,
    root: Box<RawValue>,
    #[serde(default)]
    nodes: Vec<String>,
}

/// `{"kind", "root", "nodes"}` to the keys that the tree holds, by way of a flush of the buffer into the leaves.
pub(crate) fn tree(input: &RawValue) -> Outcome {
    let input: TreeInput = read(input)?;
    by_kind!(input.kind.as_str(), keys_of(&input))
}

fn keys_of<K: Use>(input: &TreeInput) -> Outcome {
    let root: Root<K> = K::parse_root(input.root.get())?;
    let mut nodes = NodeMap::default();
    loop {
        match flush(&root, &nodes, Era(0))? {
            Flush::Need(needed) => {
                for (level, reference) in needed {
                    let node = Node::parse(text_of(&input.nodes, &reference.node.hash)?.as_bytes())?;
                    nodes.insert(level, &reference, node)?;
                }
            }
            Flush::Done(root, written) => {
                let written: Vec<String> = written
                    .into_iter()
                    .map(|node| String::from_utf8_lossy(&node.text).into_owned())
                    .collect();
                let texts = [&input.nodes[..], &written].concat();
                let mut keys = BTreeSet::new();
                collect::<K>(root.children(), &texts, &mut keys)?;
                return outcome(keys.iter().map(K::show).collect::<Vec<_>>());
            }
        }
    }
}

fn text_of<'t>(texts: &'t [String], hash: &Hash) -> Result<&'t str, Failure> {
    let found = texts.iter().find(|text| Hash::of(text.as_bytes()) == *hash);
    found.map(String::as_str).ok_or_else(|| Failure::Input(format!("there is no node {hash}")))
}

fn collect<K: Use>(
    children: &Children<K>,
    texts: &[String],
    keys: &mut BTreeSet<K::Key>,
) -> Result<(), Failure> {
    for object in &children.node {
        match Node::<K>::parse(text_of(texts, &object.hash)?.as_bytes())? {
            Node::Leaf(columns) => keys.extend((0..columns.len()).map(|at| K::key_at(&columns, at))),
            Node::Inner(_, below) => collect(&below, texts, keys)?,
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryInput {
    commit: String,
    era: Era,
}

/// `{"commit", "era"}`, a commit's text and when it was uploaded, to the `entries` of a leaf with this one entry.
pub(crate) fn history_entry(input: &RawValue) -> Outcome {
    let EntryInput { commit, era } = read(input)?;
    let object = ObjectRef { hash: Hash::of(commit.as_bytes()), era, size: commit.len() as u64 };
    let entry = Commit::parse(commit.as_bytes())?.history_entry(object);
    let leaf = Node::<History>::Leaf(Columns::from_items(&[entry]));
    member(&History::write_node(&leaf)?, "entries")
}
