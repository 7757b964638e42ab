//! The catalog: what stands under which name in a commit [CAT-1].
//!
//! Entries are ordered by the folded name, so two names that differ only in case cannot both be there. What a name stands
//! for (a table node, say) is `table`'s business.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::hash::{Hash, ObjectRef};
use crate::id::{Era, TableId};
use crate::name::{NameKey, TableName};
use crate::tree::wire::{self, RefColumns, WireKind};
use crate::tree::{Children, Columns, Limits, Node, Root, Sparse, TreeKind};

/// The catalog's use of the tree.
///
/// ```
#[doc = include_str!("catalog.example")]
/// use strandline_format::Catalog;
/// use strandline_format::tree::Root;
///
/// let mut catalog = Root::<Catalog>::default();
/// let orders = table("sales.orders", 1, "empty");
/// catalog.edit([(orders.name.key().clone(), Some(orders))]);
/// assert!(!catalog.is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Catalog;

/// What a name of the catalog stands for.
///
/// ```
/// use strandline_format::EntryType;
/// assert_eq!(EntryType::View.as_str(), "view");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryType {
    /// A table.
    Table,
    /// A stored query.
    View,
    /// A namespace, which gathers names.
    Namespace,
}

impl EntryType {
    /// The name of the type in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Namespace => "namespace",
        }
    }

    /// Reads the name of a type; one that is not known might retain objects that we cannot see [CAT-3].
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "table" => Ok(Self::Table),
            "view" => Ok(Self::View),
            "namespace" => Ok(Self::Namespace),
            _ => Err(Error::unsupported(format!(
                "catalog entry of unknown type {:?}",
                crate::hash::clip(text)
            ))),
        }
    }
}

/// One name of the catalog.
///
/// ```
#[doc = include_str!("catalog.example")]
/// use strandline_format::Catalog;
/// use strandline_format::tree::TreeKind;
///
/// // Names are one name whatever their case.
/// let (one, other) = (table("Orders", 1, "empty"), table("orders", 1, "empty"));
/// assert_eq!(Catalog::key(&one), Catalog::key(&other));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogEntry {
    /// The name as it was written.
    pub name: TableName,
    /// What it stands for.
    pub entry_type: EntryType,
    /// The id of the table, view or namespace, which survives renames.
    pub id: TableId,
    /// The table, view or namespace node.
    pub node: ObjectRef,
}

/// Catalog entries, an array for each attribute.
///
/// ```
#[doc = include_str!("catalog.example")]
/// use strandline_format::CatalogColumns;
/// use strandline_format::tree::Columns;
///
/// let entries = [table("orders", 1, "empty"), table("returns", 2, "empty")];
/// let columns = CatalogColumns::from_items(&entries);
/// assert_eq!(columns.item(1), entries[1]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogColumns(Vec<CatalogEntry>);

impl Columns for CatalogColumns {
    type Item = CatalogEntry;

    fn from_items(items: &[CatalogEntry]) -> Self {
        Self(items.to_vec())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn item(&self, at: usize) -> CatalogEntry {
        self.0[at].clone()
    }
}

/// The summary of catalog entries: nothing but the range and count that every child has.
///
/// ```
/// use strandline_format::CatalogSummaries;
/// use strandline_format::tree::Columns;
///
/// assert_eq!(CatalogSummaries::from_items(&[(), ()]).len(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CatalogSummaries(usize);

impl Columns for CatalogSummaries {
    type Item = ();

    fn from_items(items: &[()]) -> Self {
        Self(items.len())
    }

    fn len(&self) -> usize {
        self.0
    }

    fn item(&self, _: usize) {}
}

impl TreeKind for Catalog {
    const NAME: &'static str = "catalog";
    const LIMITS: Limits = Limits { buffer: 8 << 10, leaf: 32 << 10, inner: 32 << 10, root: 8 << 10 };
    type Key = NameKey;
    type Entry = CatalogEntry;
    type Summary = ();
    type Columns = CatalogColumns;
    type Summaries = CatalogSummaries;

    fn key(entry: &CatalogEntry) -> NameKey {
        entry.name.key().clone()
    }

    fn key_at(columns: &CatalogColumns, at: usize) -> NameKey {
        columns.0[at].name.key().clone()
    }

    fn summarize(_: &CatalogColumns) {}

    fn merge(_: &Children<Self>) {}

    fn entry_weight(entry: &CatalogEntry) -> usize {
        const TYPE_ID_HASH_ERA_SIZE: usize = 8 + 39 + 67 + 2 + 6;
        entry.name.as_str().len() + 3 + TYPE_ID_HASH_ERA_SIZE
    }

    fn summary_weight(_: &()) -> usize {
        0
    }

    fn write_node(node: &Node<Self>) -> Result<Vec<u8>> {
        wire::write_node(node)
    }

    fn parse_node(text: &[u8]) -> Result<Node<Self>> {
        wire::parse_node(text)
    }

    fn write_root(root: &Root<Self>) -> Result<String> {
        wire::write_root(root).map(|text| text.get().to_owned())
    }

    fn parse_root(text: &str) -> Result<Root<Self>> {
        wire::parse_root(text)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EntriesV1 {
    name: Vec<String>,
    #[serde(rename = "type")]
    entry_type: Vec<String>,
    id: Vec<TableId>,
    hash: Vec<Hash>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    era: Sparse<Era>,
    size: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ChildrenV1 {
    first: Vec<String>,
    last: Vec<String>,
    count: Vec<u64>,
    hash: Vec<Hash>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    era: Sparse<Era>,
    size: Vec<u64>,
}

impl WireKind for Catalog {
    type Entries = EntriesV1;
    type Children = ChildrenV1;
    type Key = String;

    fn entries_to_wire(columns: &CatalogColumns) -> EntriesV1 {
        let rows = &columns.0;
        let RefColumns { hash, era, size } = RefColumns::of(rows.iter().map(|row| &row.node));
        EntriesV1 {
            name: rows.iter().map(|row| row.name.as_str().to_owned()).collect(),
            entry_type: rows.iter().map(|row| row.entry_type.as_str().to_owned()).collect(),
            id: rows.iter().map(|row| row.id).collect(),
            hash,
            era,
            size,
        }
    }

    fn entries_from_wire(wire: EntriesV1) -> Result<CatalogColumns> {
        let len = wire.name.len();
        wire::check_lens(len, &[("type", wire.entry_type.len()), ("id", wire.id.len())])?;
        let nodes = RefColumns { hash: wire.hash, era: wire.era, size: wire.size }.into_refs(len)?;
        let rows = wire.name.into_iter().zip(wire.entry_type).zip(wire.id).zip(nodes);
        let row = |(((name, entry_type), id), node)| {
            Ok(CatalogEntry {
                name: TableName::new(name as String)?,
                entry_type: EntryType::parse(&(entry_type as String))?,
                id,
                node,
            })
        };
        Ok(CatalogColumns(rows.map(row).collect::<Result<_>>()?))
    }

    fn children_to_wire(children: &Children<Self>) -> ChildrenV1 {
        let text = |keys: &[NameKey]| keys.iter().map(|key| key.as_str().to_owned()).collect();
        let RefColumns { hash, era, size } = RefColumns::of(children.node.iter());
        ChildrenV1 {
            first: text(&children.first),
            last: text(&children.last),
            count: children.count.clone(),
            hash,
            era,
            size,
        }
    }

    fn children_from_wire(wire: ChildrenV1) -> Result<Children<Self>> {
        let len = wire.first.len();
        wire::check_lens(len, &[("last", wire.last.len()), ("count", wire.count.len())])?;
        let keys = |texts: Vec<String>| texts.into_iter().map(Self::key_from_wire).collect::<Result<_>>();
        Ok(Children {
            first: keys(wire.first)?,
            last: keys(wire.last)?,
            node: RefColumns { hash: wire.hash, era: wire.era, size: wire.size }.into_refs(len)?,
            count: wire.count,
            summary: CatalogSummaries(len),
        })
    }

    fn key_to_wire(key: &NameKey) -> String {
        key.as_str().to_owned()
    }

    fn key_from_wire(text: String) -> Result<NameKey> {
        let key = NameKey::of(&text);
        if key.as_str() == text {
            return Ok(key);
        }
        Err(Error::malformed(format!("{:?} is not a folded name", crate::hash::clip(&text))))
    }
}
