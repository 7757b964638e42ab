//! Which files of a table differ between two states, and which rows of them.
//!
//! Invariant: a file that both states have is met once, as a pair, whatever its number is on either side. What does not belong
//! here: reading rows, and what became of one that is in one file before and in another one after (`rows`).

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use strandline_format::{
    Deletes, DeletionVector, FieldId, FileEntry, FileId, Pieces, RowIds, Table as TableNode,
};

use crate::error::Result;
use crate::merge::Known;
use crate::scan::deletion_vector;
use crate::table::TableState;
use crate::tree::{KeyRange, Trees};

/// A file that stands in one of two states, or in both with other rows deleted.
///
/// ```
#[doc = include_str!("../orders.example")]
/// lake.append("orders", orders(&[(4, 99)])).await?;
///
/// let diff = lake.diff("main~1", "main").await?;
/// let files = diff.table("orders").await?.files().await?;
/// assert!(files[0].before.is_none() && files[0].after.is_some());
/// assert_eq!(files[0].rows(), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FileChange {
    /// Its entry before.
    pub before: Option<FileEntry>,
    /// Its entry after.
    pub after: Option<FileEntry>,
}

impl FileChange {
    /// The live rows that came and went with it. Where files hold rows that moved, some of them may have done neither.
    #[must_use]
    pub fn rows(&self) -> (u64, u64) {
        let live = |entry: &Option<FileEntry>| entry.as_ref().map_or(0, FileEntry::live_rows);
        let (before, after) = (live(&self.before), live(&self.after));
        (after.saturating_sub(before), before.saturating_sub(after))
    }
}

/// Two states of one table, and how their numbers are related.
pub(crate) struct Sides<'a> {
    pub(crate) trees: &'a Trees,
    pub(crate) before: &'a TableNode,
    pub(crate) after: &'a TableNode,
    /// The numbers of the state after in those of the state before.
    pub(crate) known: &'a Known,
}

impl Sides<'_> {
    /// The files that differ. Requests: those of the difference of their trees; once merges have given numbers of one side to
    /// the other, the nodes of all files since the branches parted.
    pub(crate) async fn files(&self) -> Result<Vec<FileChange>> {
        let pairs = self.pairs(None).await?;
        Ok(pairs.into_iter().filter(|change| !change.is_nothing()).collect())
    }

    /// All files, also those that do not differ. Requests: the nodes of both trees.
    pub(crate) async fn all(&self) -> Result<Vec<FileChange>> {
        self.pairs(Some(0)).await
    }

    /// The rows that may differ, where these fields are of one state only: all of each file that may have values of them, whether or not the
    /// other state lists it as well. Requests: those of [`Sides::files`], and one for each deletion vector that is an object; if there are
    /// such fields, the nodes of all files.
    pub(crate) async fn parts(
        &self,
        states: (&TableState, &TableState),
        of_one_side: &BTreeSet<FieldId>,
    ) -> Result<Parts> {
        if of_one_side.is_empty() {
            return Parts::of(self.files().await?, states, self.known).await;
        }
        let holds = |entry: &FileEntry| {
            let set = usize::try_from(entry.fields).ok().and_then(|at| self.before.field_sets.get(at));
            set.is_none_or(|set| of_one_side.iter().any(|id| set.contains(*id)))
        };
        let (whole, others): (Vec<FileChange>, Vec<FileChange>) = self
            .all()
            .await?
            .into_iter()
            .partition(|change| change.after.is_some() && change.before.as_ref().is_some_and(holds));
        let others = others.into_iter().filter(|change| !change.is_nothing()).collect();
        let mut parts = Parts::of(others, states, self.known).await?;
        for change in whole {
            parts.gone.extend(change.before);
            parts.came.extend(change.after.map(|entry| Part { entry, is_fresh: false }));
        }
        parts.without_empty();
        Ok(parts)
    }

    /// Files side by side, those that differ and, from this number on, all others as well.
    async fn pairs(&self, all_since: Option<u64>) -> Result<Vec<FileChange>> {
        let mut pairs: BTreeMap<(u64, bool), FileChange> = BTreeMap::new();
        let mut add = |before: Option<FileEntry>, after: Option<FileEntry>| {
            if let Some(entry) = before {
                let key = (entry.id.0, false);
                pairs.entry(key).or_insert_with(FileChange::none).before = Some(entry);
            }
            if let Some(entry) = after {
                let known = self.known.files.get(entry.id.0);
                let key = known.map_or((entry.id.0, true), |id| (id, false));
                pairs.entry(key).or_insert_with(FileChange::none).after = Some(entry);
            }
        };
        // Once they have met, entries that are alike by number may be of different files from there on.
        let all_since = all_since.or(self.known.met.then_some(self.known.shared.file));
        if all_since != Some(0) {
            let mut changes = std::pin::pin!(self.trees.diff(&self.before.files, &self.after.files));
            while let Some(change) = changes.try_next().await? {
                if all_since.is_none_or(|since| change.key.0 < since) {
                    add(change.before, change.after);
                }
            }
        }
        if let Some(since) = all_since {
            let since = KeyRange::new(FileId(since)..);
            let before = self.trees.collect(&self.before.files, &since);
            let after = self.trees.collect(&self.after.files, &since);
            let (before, after) = futures::try_join!(before, after)?;
            before.into_iter().for_each(|entry| add(Some(entry), None));
            after.into_iter().for_each(|entry| add(None, Some(entry)));
        }
        Ok(pairs.into_values().flat_map(|change| self.parted(change)).collect())
    }

    /// A pair that is not of one file is a file that went and one that came.
    fn parted(&self, change: FileChange) -> Vec<FileChange> {
        match change {
            FileChange { before: Some(before), after: Some(after) } if !self.is_one_file(&before, &after) => {
                vec![
                    FileChange { before: Some(before), after: None },
                    FileChange { before: None, after: Some(after) },
                ]
            }
            whole => vec![whole],
        }
    }

    fn is_one_file(&self, before: &FileEntry, after: &FileEntry) -> bool {
        let content = |entry: &FileEntry| (entry.hash, entry.rows, entry.row_ids, entry.external.clone());
        content(before) == content(after)
            && self.known.rows.get(after.first_row.0).is_none_or(|first| first == before.first_row.0)
    }
}

impl FileChange {
    fn none() -> Self {
        Self { before: None, after: None }
    }

    /// Statistics, order and where a file was uploaded last say nothing of its rows.
    pub(crate) fn is_nothing(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => match (&before.deletes, &after.deletes) {
                (Some(Deletes::Stored { object: one, .. }), Some(Deletes::Stored { object: other, .. })) => {
                    one.hash == other.hash
                }
                (one, other) => one == other,
            },
            (before, after) => before.is_none() && after.is_none(),
        }
    }
}

/// The rows of a file that came, by an entry of which only these are left.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) entry: FileEntry,
    /// Whether no row of the state before can be among them: their ids were handed out on the side after.
    pub(crate) is_fresh: bool,
}

/// The rows that went, and those that came.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) gone: Vec<FileEntry>,
    pub(crate) came: Vec<Part>,
}

impl Parts {
    /// The rows of files that differ. One request for each deletion vector that is an object.
    pub(crate) async fn of(
        changes: Vec<FileChange>,
        (before, after): (&TableState, &TableState),
        known: &Known,
    ) -> Result<Self> {
        let mut parts = Self::default();
        for change in changes {
            match (change.before, change.after) {
                (Some(old), Some(new)) => {
                    let deletes = (deletes(before, &old).await?, deletes(after, &new).await?);
                    parts.gone.extend(only(&old, &deletes.1.added_since(&deletes.0))?);
                    let came = only(&new, &deletes.0.added_since(&deletes.1))?;
                    parts.came.extend(came.map(|entry| Part::of(entry, before, known)));
                }
                (Some(entry), None) => parts.gone.push(entry),
                (None, Some(entry)) => parts.came.push(Part::of(entry, before, known)),
                (None, None) => {}
            }
        }
        parts.without_empty();
        Ok(parts)
    }

    fn without_empty(&mut self) {
        self.gone.retain(|entry| entry.live_rows() > 0);
        self.came.retain(|part| part.entry.live_rows() > 0);
    }

    /// How many rows came and went, if that is known without reading any: a row that stands in a file before and in another one
    /// after has done neither.
    pub(crate) fn counts(&self) -> Option<(u64, u64)> {
        let apart = self.gone.is_empty() || self.came.iter().all(|part| part.is_fresh);
        let came = self.came.iter().map(|part| part.entry.live_rows()).sum();
        apart.then(|| (came, self.gone.iter().map(FileEntry::live_rows).sum()))
    }
}

impl Part {
    fn of(entry: FileEntry, before: &TableState, known: &Known) -> Self {
        let is_fresh = is_fresh(&entry, before, known);
        Self { entry, is_fresh }
    }
}

/// Whether no row of the state before can be in a file that came.
pub(crate) fn is_fresh(entry: &FileEntry, before: &TableState, known: &Known) -> bool {
    let handed_out = before.table.next_row.0;
    let is_stood_for = || entry.row_id_bounds().is_some_and(|bounds| known.same.meets(bounds));
    entry.row_ids == RowIds::Derived && !overlaps(&known.rows, entry, handed_out) && !is_stood_for()
}

async fn deletes(state: &TableState, entry: &FileEntry) -> Result<DeletionVector> {
    Ok(deletion_vector(&state.objects, state.table.id, entry).await?.unwrap_or_default())
}

/// An entry of which only these rows are left, if there are any; for reading, it is never stored.
pub(crate) fn only(entry: &FileEntry, rows: &DeletionVector) -> Result<Option<FileEntry>> {
    if rows.is_empty() {
        return Ok(None);
    }
    let others = DeletionVector::below(entry.rows)?.added_since(rows);
    let deletes = match others.is_empty() {
        true => None,
        false => Some(Deletes::Inline { rows: others.cardinality(), blob: others.encode()? }),
    };
    Ok(Some(FileEntry { deletes, ..entry.clone() }))
}

/// Whether rows of a file may have ids that the side before has handed out.
fn overlaps(known: &Pieces, entry: &FileEntry, handed_out: u64) -> bool {
    let (first, end) = (entry.first_row.0, entry.first_row.0.saturating_add(entry.rows));
    known.as_slice().iter().any(|piece| {
        let to = piece.first.max(first).checked_add_signed(piece.by).unwrap_or(u64::MAX);
        piece.first < end && first < piece.end && to < handed_out
    })
}
