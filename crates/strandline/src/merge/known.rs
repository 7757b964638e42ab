//! Which numbers of one version of a table are of the same files and rows as which of another one [MRG-3].
//!
//! Invariant: numbers that are not known to be the same are of different things, never guessed at. What does not belong here: where they are
//! looked up (`numbers`).

use strandline_format::merge::TableEnds;
use strandline_format::{PickedNumbers, Pieces, Renumbering, Table as TableNode};

use crate::error::Result;

/// Which numbers of theirs are of the same files and rows as which of ours, in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) files: Pieces,
    pub(crate) rows: Pieces,
    /// Rows of theirs that one of ours stands for, which has another id.
    pub(crate) same: Pieces,
    /// Below these, numbers are the same on both sides whatever was merged.
    pub(crate) shared: TableEnds,
    /// Whether merges since have given numbers of the one side to the other.
    pub(crate) met: bool,
}

impl Known {
    /// Of two states of one line: the numbers that both have.
    pub(crate) fn on_one_line(before: &TableNode, after: &TableNode) -> Self {
        Self::below(TableEnds::of(before).min(TableEnds::of(after)))
    }

    /// The numbers of ours in those of theirs.
    pub(crate) fn reversed(&self) -> Result<Self> {
        let (files, rows) = (self.files.reversed()?, self.rows.reversed()?);
        Ok(Self { files, rows, same: self.same.backwards()?, ..self.clone() })
    }

    /// The ids that a row of theirs may have here: its number, or that of a row which stands for it. One of them has a row at most [MRG-4].
    pub(crate) fn rows_of(&self, id: u64) -> impl Iterator<Item = u64> {
        [self.rows.get(id), self.same.get(id)].into_iter().flatten()
    }

    /// What a pick has recorded [MRG-11].
    pub(super) fn of_picked(PickedNumbers { files, rows, same }: PickedNumbers) -> Self {
        Self { files, rows, same, shared: TableEnds::default(), met: true }
    }

    /// What a merge has recorded of what it merged [MRG-4].
    pub(super) fn recorded(numbers: &Renumbering, ends: TableEnds) -> Result<Self> {
        Ok(Self::of_picked(PickedNumbers::recorded(numbers, ends)?))
    }

    /// The numbers alone.
    pub(super) fn numbers(&self) -> PickedNumbers {
        PickedNumbers { files: self.files.clone(), rows: self.rows.clone(), same: self.same.clone() }
    }

    /// These numbers and then others.
    pub(super) fn then(&self, next: &Self) -> Result<Self> {
        let PickedNumbers { files, rows, same } = self.numbers().then(&next.numbers())?;
        Ok(Self { files, rows, same, ..next.clone() })
    }

    /// What is told elsewhere of numbers that are not told here, of either side.
    pub(super) fn add(&mut self, other: &Self) -> Result<()> {
        (self.files, self.rows) = (self.files.beside(&other.files)?, self.rows.beside(&other.rows)?);
        self.same = self.same.or(&other.same);
        self.met = true;
        Ok(())
    }

    pub(super) fn below(shared: TableEnds) -> Self {
        let (files, rows) = (Pieces::shared(shared.file), Pieces::shared(shared.row));
        Self { files, rows, same: Pieces::default(), shared, met: false }
    }
}
