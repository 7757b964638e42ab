//! The JSON of nodes and roots, generic over the wire structs that each use of the tree has for its columns.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::error::{Error, Result};
use crate::hash::{Hash, ObjectRef};
use crate::id::Era;
use crate::json::{self, FORMAT_VERSION, Header, MAX_META_BYTES};
use crate::strict;
use crate::tree::node::check_ascending;
use crate::tree::sparse::check_len;
use crate::tree::{Children, Columns, Node, Root, Sparse, TreeKind};

/// The wire structs of one use of the tree.
pub(crate) trait WireKind: TreeKind {
    /// A leaf's `entries`, a root's `puts`.
    type Entries: Serialize + DeserializeOwned;
    /// An inner node's or a root's `children`.
    type Children: Serialize + DeserializeOwned;
    /// A root's `removes`.
    type Key: Serialize + DeserializeOwned;

    fn entries_to_wire(columns: &Self::Columns) -> Self::Entries;
    fn entries_from_wire(wire: Self::Entries) -> Result<Self::Columns>;
    fn children_to_wire(children: &Children<Self>) -> Self::Children;
    fn children_from_wire(wire: Self::Children) -> Result<Children<Self>>;
    fn key_to_wire(key: &<Self as TreeKind>::Key) -> <Self as WireKind>::Key;
    fn key_from_wire(wire: <Self as WireKind>::Key) -> Result<<Self as TreeKind>::Key>;
}

/// The columns that children have in every use [TREE-8].
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RefColumns {
    pub(crate) hash: Vec<Hash>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    pub(crate) era: Sparse<Era>,
    pub(crate) size: Vec<u64>,
}

impl RefColumns {
    pub(crate) fn of<'a>(objects: impl Iterator<Item = &'a ObjectRef> + Clone) -> Self {
        Self {
            hash: objects.clone().map(|object| object.hash).collect(),
            era: Sparse::of(objects.clone().map(|object| object.era)),
            size: objects.map(|object| object.size).collect(),
        }
    }

    pub(crate) fn into_refs(self, len: usize) -> Result<Vec<ObjectRef>> {
        check_len("hash", self.hash.len(), len)?;
        check_len("size", self.size.len(), len)?;
        self.era.check("era", len)?;
        if self.size.contains(&0) {
            return Err(Error::malformed("a reference to metadata of no bytes"));
        }
        let object = |(at, (hash, size))| ObjectRef { hash, era: self.era.get(at), size };
        Ok(self.hash.iter().copied().zip(self.size.iter().copied()).enumerate().map(object).collect())
    }
}

/// Refuses columns, given with their lengths, that are not as long as their node.
pub(crate) fn check_lens(len: usize, columns: &[(&str, usize)]) -> Result<()> {
    columns.iter().try_for_each(|(name, found)| check_len(name, *found, len))
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct NodeWire<K: WireKind> {
    format: u64,
    kind: String,
    level: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entries: Option<K::Entries>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    children: Option<K::Children>,
}

#[derive(Deserialize)]
#[serde(bound = "")]
struct RootWire<K: WireKind> {
    level: u8,
    #[serde(default)]
    children: Option<K::Children>,
    #[serde(default)]
    puts: Option<K::Entries>,
    #[serde(default = "Vec::new", deserialize_with = "crate::json::or_default")]
    removes: Vec<<K as WireKind>::Key>,
}

/// The same on its way out: the text of the children may be there already.
#[derive(Serialize)]
#[serde(bound = "")]
struct RootOut<'r, K: WireKind> {
    level: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    puts: Option<K::Entries>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removes: Vec<<K as WireKind>::Key>,
}

pub(crate) fn write_node<K: WireKind>(node: &Node<K>) -> Result<Vec<u8>> {
    let (entries, children) = match node {
        Node::Leaf(columns) => (Some(K::entries_to_wire(columns)), None),
        Node::Inner(_, children) => (None, Some(K::children_to_wire(children))),
    };
    let wire = NodeWire::<K> {
        format: FORMAT_VERSION,
        kind: K::NAME.to_owned(),
        level: node.level(),
        entries,
        children,
    };
    json::write_text(K::NAME, MAX_META_BYTES, &wire)
}

pub(crate) fn parse_node<K: WireKind>(text: &[u8]) -> Result<Node<K>> {
    let header = |wire: &NodeWire<K>| Header { format: wire.format, kind: wire.kind.clone() };
    let wire: NodeWire<K> = json::parse_text(K::NAME, MAX_META_BYTES, text, header)?;
    node_from_wire(wire).map_err(|error| error.stored().at(format_args!("node of {}", K::NAME)))
}

fn node_from_wire<K: WireKind>(wire: NodeWire<K>) -> Result<Node<K>> {
    let node = match (wire.level, wire.entries, wire.children) {
        (0, Some(entries), None) => Node::Leaf(K::entries_from_wire(entries)?),
        (level @ 1.., None, Some(children)) => Node::Inner(level, K::children_from_wire(children)?),
        (level, ..) => {
            return Err(Error::malformed(format!(
                "level {level} needs `entries` if 0, else `children`, and not both"
            )));
        }
    };
    node.check()?;
    Ok(node)
}

pub(crate) fn write_root<K: WireKind>(root: &Root<K>) -> Result<Box<RawValue>> {
    root_text(root)
        .map_err(|error| Error::invalid(format!("a root of {} cannot be written: {error}", K::NAME)))
}

fn root_text<K: WireKind>(root: &Root<K>) -> serde_json::Result<Box<RawValue>> {
    let children = || root.children_text(|children| to_raw_value(&K::children_to_wire(children)));
    let puts = root.puts();
    to_raw_value(&RootOut::<K> {
        level: root.level(),
        children: (root.level() > 0).then(children).transpose()?,
        puts: (!puts.is_empty()).then(|| K::entries_to_wire(puts)),
        removes: root.removes().map(K::key_to_wire).collect(),
    })
}

pub(crate) fn parse_root<K: WireKind>(text: &str) -> Result<Root<K>> {
    json::check_bounds(text.as_bytes(), MAX_META_BYTES)?;
    let wire: RootWire<K> = strict::from_str(text)
        .map_err(|error| json::from_serde(format_args!("root of {}", K::NAME), &error))?;
    root_from_wire(wire).map_err(|error| error.stored().at(format_args!("root of {}", K::NAME)))
}

fn root_from_wire<K: WireKind>(wire: RootWire<K>) -> Result<Root<K>> {
    if wire.children.is_some() != (wire.level > 0) {
        return Err(Error::malformed(format!(
            "a root has `children` if its level is above 0, and only then; it is {}",
            wire.level
        )));
    }
    let mut edits = BTreeMap::new();
    if let Some(puts) = wire.puts {
        let puts = K::entries_from_wire(puts)?;
        check_ascending::<K>(&puts)?;
        edits.extend(puts.items().into_iter().map(|entry| (K::key(&entry), Some(entry))));
    }
    let mut before: Option<<K as TreeKind>::Key> = None;
    for key in wire.removes {
        let key: <K as TreeKind>::Key = K::key_from_wire(key)?;
        if before.as_ref().is_some_and(|before| *before >= key) || edits.insert(key.clone(), None).is_some() {
            return Err(Error::malformed(format!("removed key {key} is out of order, or put as well")));
        }
        before = Some(key);
    }
    let children = wire.children.map(K::children_from_wire).transpose()?;
    Root::new(wire.level, children.unwrap_or_else(Children::empty), edits)
}
