//! A version of the lake as it is shown: who changed what, and when.

use serde::Serialize;
use strandline::Commit;
use strandline::format::{Hash, TableChange, Timestamp};

use crate::output::{Cell, Kind, Record, number, said, text, word};

/// A commit, as programs read it.
#[derive(Serialize)]
pub(crate) struct Version {
    pub(crate) version: u64,
    pub(crate) commit: String,
    parents: Vec<String>,
    time: String,
    author: Option<String>,
    message: Option<String>,
    transaction: String,
    properties: Vec<Property>,
    pub(crate) changes: Vec<Change>,
    /// The branches and tags that stand on it, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    refs: Option<Vec<String>>,
    #[serde(skip)]
    hash: Hash,
    #[serde(skip)]
    at: Timestamp,
}

/// What programs keep with a commit.
#[derive(Serialize)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// What a commit did to one table, view or namespace.
#[derive(Serialize)]
pub(crate) struct Change {
    name: String,
    kind: &'static str,
    operation: &'static str,
    renamed_from: Option<String>,
    rows_added: u64,
    rows_removed: u64,
    files_added: u64,
    files_removed: u64,
    bytes_added: u64,
    bytes_removed: u64,
}

impl From<&Commit> for Version {
    fn from(commit: &Commit) -> Self {
        let properties = commit.properties().iter().map(|(name, value)| Property {
            name: name.as_str().to_owned(),
            value: value.as_str().to_owned(),
        });
        let mut changes: Vec<Change> = commit.changes().iter().map(Change::from).collect();
        changes.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            version: commit.version().0,
            commit: commit.hash().to_string(),
            parents: commit.parents().map(|hash| hash.to_string()).collect(),
            time: commit.time().to_string(),
            author: said(commit.author()),
            message: said(commit.message()),
            transaction: commit.txn().to_string(),
            properties: properties.collect(),
            changes,
            refs: None,
            hash: commit.hash(),
            at: commit.time(),
        }
    }
}

impl From<&TableChange> for Change {
    fn from(change: &TableChange) -> Self {
        Self {
            name: change.name.as_str().to_owned(),
            kind: change.entry_type.as_str(),
            operation: change.operation.as_str(),
            renamed_from: change.renamed_from.as_ref().map(|name| name.as_str().to_owned()),
            rows_added: change.rows.added,
            rows_removed: change.rows.removed,
            files_added: change.files.added,
            files_removed: change.files.removed,
            bytes_added: change.bytes.added,
            bytes_removed: change.bytes.removed,
        }
    }
}

impl Version {
    /// The same, with the branches and tags that stand on it.
    pub(crate) fn named(mut self, refs: Vec<String>) -> Self {
        self.refs = Some(refs);
        self
    }

    /// The branches and tags that stand on it.
    pub(crate) fn refs(&self) -> &[String] {
        self.refs.as_deref().unwrap_or_default()
    }

    /// What it did, in few words.
    pub(crate) fn summary(&self) -> String {
        self.changes.iter().map(Change::summary).collect::<Vec<_>>().join("; ")
    }

    /// Its properties.
    pub(crate) fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// The hashes of what it follows.
    pub(crate) fn parents(&self) -> &[String] {
        &self.parents
    }

    /// When it was made, as people read it.
    pub(crate) fn when(&self) -> String {
        Cell::Time(self.at).short()
    }

    /// The same, to the microsecond.
    pub(crate) fn time(&self) -> &str {
        &self.time
    }

    /// Who made it; nothing if nobody said so.
    pub(crate) fn author(&self) -> &str {
        self.author.as_deref().unwrap_or_default()
    }

    /// What for, likewise.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// The transaction that made it.
    pub(crate) fn transaction(&self) -> &str {
        &self.transaction
    }
}

impl Change {
    /// `append sales.orders +3`
    pub(crate) fn summary(&self) -> String {
        let mut text = format!("{} {}", self.operation, self.name);
        if let Some(before) = &self.renamed_from {
            text.push_str(&format!(" (was {before})"));
        }
        for (sign, rows) in [("+", self.rows_added), ("-", self.rows_removed)] {
            if rows > 0 {
                text.push_str(&format!(" {sign}{rows}"));
            }
        }
        text
    }
}

impl Record for Version {
    const COLUMNS: &'static [(&'static str, Kind)] =
        &[number("version"), word("commit"), word("time"), text("author"), text("message"), text("changes")];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Number(self.version),
            Cell::Hash(self.hash),
            Cell::Time(self.at),
            Cell::text(self.author()),
            Cell::text(self.message()),
            Cell::text(self.summary()),
        ]
    }
}
