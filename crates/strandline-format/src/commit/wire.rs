//! How a commit stands in JSON, format version 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Commit, Counts, Operation, Parents, TableChange};
use crate::catalog::EntryType;
use crate::embed;
use crate::error::{Error, Result};
use crate::hash::{ObjectRef, RefV1};
use crate::history::MergedCommit;
use crate::id::{Seq, TableId, TxnId};
use crate::json::{self, Header, Wire, unique_map};
use crate::name::TableName;
use crate::numbering::{NumberMap, PickedNumbers, Pieces, Renumbering};
use crate::text::{Author, CommitProperties, Message};
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
struct CommitV1 {
    #[serde(flatten)]
    header: Header,
    seq: Seq,
    parents: Vec<ParentV1>,
    time: Timestamp,
    txn: TxnId,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    key: bool,
    author: String,
    message: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    properties: BTreeMap<String, String>,
    catalog: Box<RawValue>,
    history: Box<RawValue>,
    changes: Vec<ChangeV1>,
}

#[derive(Serialize, Deserialize)]
struct ParentV1 {
    seq: Seq,
    #[serde(flatten)]
    commit: RefV1,
}

#[derive(Serialize, Deserialize)]
struct ChangeV1 {
    table: TableId,
    name: String,
    #[serde(
        rename = "type",
        default = "table",
        deserialize_with = "table_if_null",
        skip_serializing_if = "is_table"
    )]
    entry_type: String,
    operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    old: Option<RefV1>,
    new: Option<RefV1>,
    rows_added: u64,
    rows_removed: u64,
    files_added: u64,
    files_removed: u64,
    bytes_added: u64,
    bytes_removed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renumbered: Option<RenumberedV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picked: Option<PickedV1>,
}

#[derive(Serialize, Deserialize)]
struct RenumberedV1 {
    files: Vec<(u64, i64)>,
    rows: Vec<(u64, i64)>,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "Vec::is_empty")]
    same: Vec<(u64, u64, i64)>,
}

#[derive(Serialize, Deserialize)]
struct PickedV1 {
    files: Vec<(u64, u64, i64)>,
    rows: Vec<(u64, u64, i64)>,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "Vec::is_empty")]
    same: Vec<(u64, u64, i64)>,
}

/// What a change is of, where it does not say so; `null` says nothing [JSON-9].
fn table_if_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    Option::deserialize(deserializer).map(|name: Option<String>| name.unwrap_or_else(table))
}

fn table() -> String {
    EntryType::Table.as_str().to_owned()
}

fn is_table(entry_type: &String) -> bool {
    entry_type == EntryType::Table.as_str()
}

impl Wire for CommitV1 {
    const KIND: &'static str = "commit";
    fn header(&self) -> &Header {
        &self.header
    }
}

impl Commit {
    /// Reads a commit's text.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, or `Unsupported` for a newer format, operation or kind of entry.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let wire: CommitV1 = json::parse(text)?;
        Self::from_wire(wire).map_err(|error| error.stored().at(CommitV1::KIND))
    }

    /// The commit's text.
    ///
    /// # Errors
    /// `Invalid` if the commit contradicts itself, `TooLarge` beyond the bound for metadata.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        self.check().map_err(|error| error.at(CommitV1::KIND))?;
        json::write(&CommitV1 {
            header: Header::of::<CommitV1>(),
            seq: self.seq,
            parents: self.parents_to_wire(),
            time: self.time,
            txn: self.txn,
            key: self.keyed,
            author: self.author.as_str().to_owned(),
            message: self.message.as_str().to_owned(),
            properties: self.properties.to_wire(),
            catalog: embed::root_to_wire(&self.catalog)?,
            history: embed::root_to_wire(&self.history)?,
            changes: self.changes.iter().map(ChangeV1::from).collect(),
        })
    }

    fn from_wire(wire: CommitV1) -> Result<Self> {
        let commit = Self {
            seq: wire.seq,
            parents: parents_from_wire(wire.seq, &wire.parents)?,
            time: wire.time,
            txn: wire.txn,
            keyed: wire.key,
            author: Author::new(wire.author).map_err(|error| error.at("author"))?,
            message: Message::new(wire.message).map_err(|error| error.at("message"))?,
            properties: CommitProperties::from_wire(wire.properties)?,
            catalog: embed::root_from_wire(&wire.catalog)?,
            history: embed::root_from_wire(&wire.history)?,
            changes: wire.changes.into_iter().map(TableChange::try_from).collect::<Result<_>>()?,
        };
        commit.check()?;
        Ok(commit)
    }

    fn parents_to_wire(&self) -> Vec<ParentV1> {
        let first = |commit: &ObjectRef| ParentV1 {
            seq: Seq(self.seq.0.saturating_sub(1)),
            commit: (*commit).into(),
        };
        match &self.parents {
            Parents::None => Vec::new(),
            Parents::One(commit) => vec![first(commit)],
            Parents::Merge(commit, merged) => {
                vec![first(commit), ParentV1 { seq: merged.seq, commit: merged.commit.into() }]
            }
        }
    }
}

fn parents_from_wire(seq: Seq, wire: &[ParentV1]) -> Result<Parents> {
    if let Some(first) = wire.first()
        && first.seq.next().ok() != Some(seq)
    {
        return Err(Error::malformed(format!("version {seq} follows version {}", first.seq)));
    }
    match wire {
        [] => Ok(Parents::None),
        [first] => Ok(Parents::One(first.commit.into())),
        [first, second] => Ok(Parents::Merge(
            first.commit.into(),
            MergedCommit { seq: second.seq, commit: second.commit.into() },
        )),
        more => Err(Error::malformed(format!("{} parents: a commit has at most two", more.len()))),
    }
}

impl From<&TableChange> for ChangeV1 {
    fn from(change: &TableChange) -> Self {
        Self {
            table: change.table,
            name: change.name.as_str().to_owned(),
            entry_type: change.entry_type.as_str().to_owned(),
            operation: change.operation.as_str().to_owned(),
            from: change.renamed_from.as_ref().map(|name| name.as_str().to_owned()),
            old: change.old.map(RefV1::from),
            new: change.new.map(RefV1::from),
            rows_added: change.rows.added,
            rows_removed: change.rows.removed,
            files_added: change.files.added,
            files_removed: change.files.removed,
            bytes_added: change.bytes.added,
            bytes_removed: change.bytes.removed,
            renumbered: change.renumbered.as_ref().map(RenumberedV1::from),
            picked: change.picked.as_ref().map(PickedV1::from),
        }
    }
}

impl TryFrom<ChangeV1> for TableChange {
    type Error = Error;

    fn try_from(wire: ChangeV1) -> Result<Self> {
        Ok(Self {
            table: wire.table,
            name: TableName::new(wire.name)?,
            entry_type: EntryType::parse(&wire.entry_type)?,
            operation: Operation::parse(&wire.operation)?,
            renamed_from: wire.from.map(TableName::new).transpose()?,
            old: wire.old.map(ObjectRef::from),
            new: wire.new.map(ObjectRef::from),
            rows: Counts { added: wire.rows_added, removed: wire.rows_removed },
            files: Counts { added: wire.files_added, removed: wire.files_removed },
            bytes: Counts { added: wire.bytes_added, removed: wire.bytes_removed },
            renumbered: wire.renumbered.map(Renumbering::try_from).transpose()?,
            picked: wire.picked.map(PickedNumbers::try_from).transpose()?,
        })
    }
}

impl From<&Renumbering> for RenumberedV1 {
    fn from(numbers: &Renumbering) -> Self {
        Self { files: numbers.files.to_pairs(), rows: numbers.rows.to_pairs(), same: numbers.same.to_runs() }
    }
}

impl TryFrom<RenumberedV1> for Renumbering {
    type Error = Error;

    fn try_from(wire: RenumberedV1) -> Result<Self> {
        Ok(Self {
            files: NumberMap::from_pairs(wire.files)?,
            rows: NumberMap::from_pairs(wire.rows)?,
            same: Pieces::from_runs(wire.same)?,
        })
    }
}

impl From<&PickedNumbers> for PickedV1 {
    fn from(numbers: &PickedNumbers) -> Self {
        Self { files: numbers.files.to_runs(), rows: numbers.rows.to_runs(), same: numbers.same.to_runs() }
    }
}

impl TryFrom<PickedV1> for PickedNumbers {
    type Error = Error;

    fn try_from(wire: PickedV1) -> Result<Self> {
        let numbers = Self {
            files: Pieces::from_runs(wire.files)?,
            rows: Pieces::from_runs(wire.rows)?,
            same: Pieces::from_runs(wire.same)?,
        };
        for pieces in [&numbers.files, &numbers.rows] {
            pieces.reversed()?;
        }
        Ok(numbers)
    }
}
