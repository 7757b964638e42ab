//! Whether one side only moved rows to other files, as a compaction does: who overwrites, reads or drops meanwhile does not collide with
//! that [REB-10].
//!
//! Invariant: it is told by entries alone, and what they leave open counts as more than a move. What does not belong here: what becomes of
//! single rows that both sides touched (`rows`).

use std::sync::Arc;

use futures::TryStreamExt;
use strandline_format::{CatalogEntry, EntryType, FileEntry, Files, Seq, Table};

use crate::error::Result;
use crate::merge::{Rebase, Sides};
use crate::snapshot::Snapshot;
use crate::table::TableState;
use crate::transaction::work::{After, Node, Touched};
use crate::tree::{Change, Trees};

/// What the difference of a table's files comes to.
#[derive(Debug)]
pub(crate) struct Moves<'a> {
    base: &'a TableState,
    /// The version of the base, where versions of all rows can be compared with it.
    start: Option<Seq>,
    /// Whether files came, and whether with other rows than such that moved, or perhaps.
    some: bool,
    others: bool,
    /// Whether deletes of files changed that are still listed.
    deletes: bool,
    /// How many rows were left in files that are gone, and are in those that came.
    left: u64,
    came: u64,
}

impl<'a> Moves<'a> {
    pub(crate) fn since(base: &'a TableState, start: Option<Seq>) -> Self {
        Self { base, start, some: false, others: false, deletes: false, left: 0, came: 0 }
    }

    /// What a later state comes to. Requests: those of the difference.
    pub(crate) async fn between(
        trees: &Trees,
        (base, after): (&'a TableState, &TableState),
        start: Option<Seq>,
    ) -> Result<Self> {
        let mut moves = Self::since(base, start);
        if start.is_some() {
            let mut changes = std::pin::pin!(trees.diff(&base.table.files, &after.table.files));
            while let Some(change) = changes.try_next().await? {
                moves.note(&change);
            }
        }
        Ok(moves)
    }

    /// Adds one file.
    pub(crate) fn note(&mut self, change: &Change<Files>) {
        match (&change.before, &change.after) {
            (Some(before), Some(after)) if before.hash == after.hash => {
                self.deletes |= before.deletes != after.deletes;
            }
            (before, after) => {
                self.left += before.as_ref().map_or(0, FileEntry::live_rows);
                self.came += after.as_ref().map_or(0, FileEntry::live_rows);
                self.some |= after.is_some();
                self.others |= after.as_ref().is_some_and(|file| !self.is_moved(file));
            }
        }
    }

    /// Whether a file that came holds nothing but rows of the base, each as it was.
    pub(crate) fn is_moved(&self, file: &FileEntry) -> bool {
        self.start.is_some_and(|start| file.only_moved(self.base.table.next_row, start))
    }

    /// Whether files came, and only such; rows may be gone besides.
    pub(crate) fn are_moved(&self) -> bool {
        self.some && !self.others
    }

    /// Whether each row of the base is there as it was: no row stands in two places, so if as many came as left, they are the same.
    pub(crate) fn are_all(&self) -> bool {
        self.are_moved() && !self.deletes && self.left == self.came
    }
}

impl Rebase<'_> {
    /// A table that one side dropped, and of which the other one only moved rows, is as if nothing had been done to it besides. Requests: for
    /// each such table its nodes and the difference of its files.
    pub(super) async fn overlook_moves(&self, onto: &Snapshot, sides: &mut Sides) -> Result<()> {
        for (id, touched) in self.work.touched() {
            let of_table = |entries: &[CatalogEntry]| {
                entries.iter().find(|entry| entry.id == *id && entry.entry_type == EntryType::Table).cloned()
            };
            let (Some(before), ours) = (of_table(&sides.base), of_table(&sides.ours)) else { continue };
            match (touched, ours) {
                (Touched { after: None, .. }, Some(ours)) if ours.node.hash != before.node.hash => {
                    let (base, after) = futures::try_join!(onto.table_of(&before), onto.table_of(&ours))?;
                    if before.name == ours.name && self.moves_alone(&base, &after).await? {
                        sides.base.retain(|entry| entry.id != *id);
                        sides.base.push(ours);
                    }
                }
                (Touched { after: Some(After { name, node: Node::Table(draft) }), .. }, None)
                    if *name == before.name =>
                {
                    let base = onto.table_of(&before).await?;
                    let table = Arc::new(draft.table.clone());
                    if self.moves_alone(&base, &TableState { table, ..base.clone() }).await? {
                        sides.theirs.retain(|entry| entry.id != *id);
                        sides.theirs.push(before);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn moves_alone(&self, base: &TableState, after: &TableState) -> Result<bool> {
        let apart = |table: &Table| Table {
            files: base.table.files.clone(),
            totals: base.table.totals,
            next_file: base.table.next_file,
            next_row: base.table.next_row,
            ..table.clone()
        };
        if apart(&after.table) != *base.table {
            return Ok(false);
        }
        let start = self.since.start_of(base, after);
        Ok(Moves::between(&base.trees, (base, after), start).await?.are_all())
    }
}
