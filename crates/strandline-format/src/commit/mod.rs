//! A commit: the root of everything that is visible at one moment, and what changed since the moment before [COM-1].
//!
//! Invariants, checked when a commit is read and when it is written: a root commit has version 0 and no past, every other
//! one follows its first parent by one [COM-2]; time never goes back along first parents [COM-3]; a table changes at
//! most once [COM-6]. What does not belong here: making commits out of transactions, and fetching anything.

mod change;
mod wire;

pub use change::{Counts, Operation, TableChange};

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::hash::ObjectRef;
use crate::history::{History, HistoryEntry, MergedCommit};
use crate::id::{Seq, TxnId};
use crate::text::{Author, CommitProperties, Message};
use crate::time::Timestamp;
use crate::tree::Root;

/// What a commit follows.
///
/// ```
/// use strandline_format::{Era, Hash, MergedCommit, ObjectRef, Parents, Seq};
///
/// let commit = |text: &[u8]| ObjectRef { hash: Hash::of(text), era: Era(0), size: text.len() as u64 };
/// let merged = MergedCommit { seq: Seq(7), commit: commit(b"theirs") };
/// let parents = Parents::Merge(commit(b"ours"), merged);
/// assert_eq!(parents.first(), Some(commit(b"ours")));
/// assert_eq!(parents.merged().map(|theirs| theirs.seq), Some(Seq(7)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parents {
    /// Nothing: it begins the lake.
    None,
    /// The commit before it on its branch.
    One(ObjectRef),
    /// The commit before it on its branch, and one that it merges, with that one's version where it came from.
    Merge(ObjectRef, MergedCommit),
}

impl Parents {
    /// The commit before it on its branch.
    #[must_use]
    pub fn first(&self) -> Option<ObjectRef> {
        match self {
            Self::None => None,
            Self::One(first) | Self::Merge(first, _) => Some(*first),
        }
    }

    /// What it merges.
    #[must_use]
    pub fn merged(&self) -> Option<MergedCommit> {
        match self {
            Self::Merge(_, merged) => Some(*merged),
            Self::None | Self::One(_) => None,
        }
    }
}

/// A commit.
///
/// ```
/// use strandline_format::{Author, Commit, CommitProperties, Message, Parents, Seq, Timestamp, TxnId};
/// let root = Commit {
///     seq: Seq(0),
///     parents: Parents::None,
///     time: Timestamp::EPOCH,
///     txn: TxnId::from_bytes([1; 16]),
///     keyed: false,
///     author: Author::new("ada")?,
///     message: Message::new("the lake begins")?,
///     properties: CommitProperties::default(),
///     catalog: Default::default(),
///     history: Default::default(),
///     changes: Vec::new(),
/// };
/// assert_eq!(Commit::parse(&root.to_json()?)?, root);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Its place in its branch.
    pub seq: Seq,
    /// What it follows.
    pub parents: Parents,
    /// When it was made, by the writer's clock but never before its parent.
    pub time: Timestamp,
    /// The transaction that made it.
    pub txn: TxnId,
    /// Whether the transaction's id stands for an idempotency key.
    pub keyed: bool,
    /// Who made it.
    pub author: Author,
    /// Why.
    pub message: Message,
    /// What programs keep with it.
    pub properties: CommitProperties,
    /// What stands under which name.
    pub catalog: Root<Catalog>,
    /// All commits before it along first parents.
    pub history: Root<History>,
    /// What changed since the first parent.
    pub changes: Vec<TableChange>,
}

impl Commit {
    /// The entry that the histories of later commits have for this one, which stands at `commit`.
    #[must_use]
    pub fn history_entry(&self, commit: ObjectRef) -> HistoryEntry {
        HistoryEntry {
            seq: self.seq,
            commit,
            time: self.time,
            txn: self.txn,
            keyed: self.keyed,
            merged: self.parents.merged(),
        }
    }

    /// Checks the commit against itself.
    fn check(&self) -> Result<()> {
        self.check_past()?;
        let mut tables: Vec<_> = self.changes.iter().map(|change| change.table).collect();
        tables.sort_unstable();
        if let Some(pair) = tables.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid(format!("table {} changes twice in one commit", pair[0])));
        }
        if self.parents.merged().is_none()
            && let Some(change) = self.changes.iter().find(|change| change.renumbered.is_some())
        {
            return Err(Error::invalid(format!("{} is renumbered, though nothing is merged", change.name)));
        }
        if (self.parents.merged().is_some() || !self.keyed)
            && let Some(change) = self.changes.iter().find(|change| change.picked.is_some())
        {
            return Err(Error::invalid(format!("{} has picked rows, though nothing is picked", change.name)));
        }
        self.changes.iter().try_for_each(TableChange::check)
    }

    /// [COM-2] and, as far as the root of the history shows it, [COM-3].
    fn check_past(&self) -> Result<()> {
        let newest = self.newest_ancestor();
        let Some(parent) = self.parents.first() else {
            let begins = self.seq == Seq(0) && newest.is_none() && self.catalog.is_empty();
            return if begins {
                Ok(())
            } else {
                Err(Error::invalid(
                    "a commit without parents begins at version 0, with nothing in it and no past",
                ))
            };
        };
        if newest.and_then(|newest| newest.next().ok()) != Some(self.seq) {
            let newest = newest.map_or_else(|| "nothing".to_owned(), |newest| format!("version {newest}"));
            return Err(Error::invalid(format!(
                "version {} follows a history that ends with {newest}",
                self.seq
            )));
        }
        if self.parent_time().is_some_and(|time| time > self.time) {
            return Err(Error::invalid(format!("its time {} is before its parent's", self.time)));
        }
        match self.parent_entry() {
            Some(entry) if entry.commit.hash != parent.hash => Err(Error::invalid(format!(
                "its first parent is {}, its history says {}",
                parent.hash, entry.commit.hash
            ))),
            _ => Ok(()),
        }
    }

    /// The newest version in the history.
    fn newest_ancestor(&self) -> Option<Seq> {
        let put = self.history.edits().iter().rev().find(|(_, edit)| edit.is_some()).map(|(seq, _)| *seq);
        put.max(self.history.children().last.last().copied())
    }

    /// The parent's entry, if the root of the history holds it.
    fn parent_entry(&self) -> Option<&HistoryEntry> {
        self.history.edits().get(&self.newest_ancestor()?)?.as_ref()
    }

    /// The parent's time, which the root of the history always shows.
    fn parent_time(&self) -> Option<Timestamp> {
        let flushed = self.history.children().summary.as_slice().last().map(|run| run.last_time);
        self.parent_entry().map(|entry| entry.time).or(flushed)
    }
}
