//! What another version did to a table, as a work upon ours: the same that a transaction's draft is to a rebase [MRG-3].
//!
//! The files that differ between base and theirs are put into our numbers: those that ours knows get the numbers that they
//! have there, all others the next ones of ours [REB-3]. What comes of it is a base and a draft that hold nothing but these
//! files, so that the one merge of tables takes them as it takes a transaction's.
//!
//! Invariant: a translation is made anew for each state of ours, whose next numbers it begins from. What does not belong here:
//! which versions are merged (`bring`), and what both sides did to a row (`rows`).

use std::sync::Arc;

use strandline_format::merge::{Dispute, Picking, PutBack, TableEnds};
use strandline_format::tree::Root;
use strandline_format::{
    DeletionVector, Era, FileEntry, FileId, Files, Pieces, Renumbering, RowId, Seq, Table as TableNode,
};

use crate::changes::{Part, Sides, empty};
use crate::error::{Error, Result};
use crate::merge::Disputed;
use crate::merge::keys;
use crate::merge::known::Known;
use crate::merge::places::{came, came_with};
use crate::merge::table::{may_meet, told_as};
use crate::scan::{deletion_vector, identify};
use crate::table::TableState;
use crate::transaction::draft::Draft;
use crate::tree::Trees;

/// A table that another version changed, on both ends of what was done to it.
#[derive(Clone, Debug)]
pub(crate) struct Theirs {
    /// As the base has it; `None`: theirs made it.
    pub(crate) base: Option<TableState>,
    pub(crate) theirs: TableState,
    /// As ours had it last, if ours has dropped it.
    pub(crate) gone: Option<TableState>,
    /// The numbers of theirs in those of ours.
    pub(crate) known: Known,
    /// In whose numbers the base counts.
    pub(crate) numbers: BaseNumbers,
    /// The last version that both sides count alike.
    pub(crate) shared: Seq,
    /// The last one whose number means the same in all rows of both: none after merges, which bring in numbers of other lines.
    pub(crate) told: Seq,
    /// Whether it comes from elsewhere and is not merged with all that it follows from.
    pub(crate) mixes: bool,
    /// What is to be recorded of it, if it is picked.
    pub(crate) picking: Option<Picking>,
    /// Rows of the base that neither side has left as it has them.
    pub(crate) disputed: Disputed,
}

/// In whose numbers the base of a merge counts.
#[derive(Clone, Debug)]
pub(crate) enum BaseNumbers {
    /// It is a version of ours.
    Ours,
    /// It is a version of theirs.
    Theirs,
    /// It is on another line, and has its own.
    Own(Box<Own>),
}

/// How the numbers of a base stand that is on another line.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    /// Its numbers in those of ours.
    pub(crate) to_ours: Known,
    /// The numbers of theirs in those of it.
    pub(crate) of_theirs: Known,
}

/// The same, in the numbers of one state of ours.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) base: TableState,
    pub(crate) draft: Draft,
    /// The numbers of theirs in those of ours, all of them [MRG-4].
    pub(crate) numbers: Renumbering,
    /// Rows of theirs and of the base, in these numbers, that a row of ours stands for.
    pub(crate) same: Pieces,
    /// Rows that stand for others, each with one of these.
    pub(crate) stand_in: Pieces,
    /// The first numbers of ours that are left then.
    pub(crate) next: TableEnds,
    /// Files of the base in which theirs changed rows that ours never had: of a commit that is picked alone [MRG-9], or of a table that was
    /// kept as ours at the last merge.
    pub(crate) strangers: Vec<FileId>,
    /// Whether there are other such files, whose rows ours knows and has wherever the base has not.
    pub(crate) seeks: bool,
    /// The places that theirs has and the base has not, of rows that the base can know.
    pub(crate) places: Vec<FileEntry>,
    /// The same of any rows.
    pub(crate) came: Vec<FileEntry>,
    /// Whether rows are among them that came back.
    pub(crate) restores: bool,
    /// Rows of the base that neither side has left as it has them, by the ids that they are told by.
    pub(crate) disputed: Disputed,
    /// What the commit that is picked has put back and nothing told of before.
    pub(crate) back: PutBack,
}

impl Theirs {
    /// Puts it into the numbers of a state of ours. Requests: the files that differ between base and theirs, and deletion vectors
    /// of which some are objects.
    pub(crate) async fn upon(&self, ours: &TableState, trees: &Trees, era: Era) -> Result<Translated> {
        let base = self.base.clone().unwrap_or_else(|| empty(&self.theirs));
        let (their_table, our_table) = (&self.theirs.table, &ours.table);
        let files = self.known.files.complete(their_table.next_file.0, our_table.next_file.0)?;
        let rows = self.known.rows.complete(their_table.next_row.0, our_table.next_row.0)?;
        let stood_for = rows.0.pieces(their_table.next_row.0).reversed()?.then(&self.known.same)?;
        let numbers = Renumbering { files: files.0, rows: rows.0, same: stood_for };
        let next = TableEnds { file: files.1, row: rows.1 };
        let mut sides = (Root::<Files>::default(), Root::<Files>::default());
        let (mut places, mut came, mut strangers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut seeks, mut back, told) = (false, PutBack::default(), self.known.numbers());
        // What it took from elsewhere since the branches parted may stand in files by now that it added itself.
        let mut restores = self.mixes || their_table.restored > self.shared;
        let on_one_line = Known::on_one_line(&base.table, their_table);
        let known = match &self.numbers {
            BaseNumbers::Ours => &self.known,
            BaseNumbers::Theirs => &on_one_line,
            BaseNumbers::Own(own) => &own.of_theirs,
        };
        let of_base = self.of_base(&base, next, &numbers)?;
        let same = of_base.same.or(&numbers.same);
        let shared = self.shared_files();
        let sides_of = Sides { trees, before: &base.table, after: their_table, known };
        // A field that is back gives other values to rows of files that theirs has left.
        let has_back = self.theirs.schema.has_back(&base.schema, &ours.schema);
        let changes = if has_back { sides_of.all().await? } else { sides_of.files().await? };
        for change in changes {
            let is_known = |entry: &FileEntry| self.known.files.get(entry.id.0).is_some();
            if change.is_nothing() && !change.before.as_ref().is_some_and(|entry| self.has_come(entry)) {
                continue;
            }
            if let (Some(picking), None, Some(listed)) = (&self.picking, &change.before, &change.after) {
                back.note((listed.id, listed.row_ids, listed.row_id_bounds()), picking.first, &told);
            }
            if let Some(before) = change.before.as_ref().filter(|entry| !self.has_come(entry)) {
                if self.knows_rows(&base, (before, change.after.as_ref())).await? {
                    seeks = true;
                } else {
                    strangers.push(before.id);
                }
            }
            if let Some(Part { entry, is_fresh }) = came_with(&change, (&base, &self.theirs), known).await? {
                let renumbered = numbers.renumber(&entry)?;
                if !is_fresh || may_meet(&same, &renumbered) {
                    restores |= change.before.is_some() || is_known(&entry);
                    places.push(renumbered.clone());
                }
                came.push(renumbered);
            }
            let before = change.before.map(|entry| of_base.renumber(&entry)).transpose()?;
            let after = change.after.map(|entry| numbers.renumber(&entry)).transpose()?;
            sides.0.edit(before.into_iter().map(|entry| (entry.id, Some(entry))));
            sides.1.edit(after.into_iter().map(|entry| (entry.id, Some(entry))));
        }
        let only = |table: &TableNode, files: Root<Files>| TableNode {
            files,
            next_file: FileId(shared),
            next_row: our_table.next_row,
            ..table.clone()
        };
        let base = TableState { table: Arc::new(only(&base.table, sides.0)), ..base };
        let told_by = |(id, dispute): (&u64, &Dispute)| {
            Some((told_as(&same, of_base.row(RowId(*id))?.0), dispute.clone()))
        };
        let disputed = self.disputed.iter().filter_map(told_by).collect();
        let draft = Draft::of_theirs(
            only(their_table, sides.1),
            Arc::clone(&self.theirs.schema),
            our_table.next_file,
            era,
        );
        let stand_in = same.backwards()?;
        Ok(Translated {
            base,
            draft,
            numbers,
            same,
            stand_in,
            next,
            strangers,
            seeks,
            places,
            came,
            restores,
            disputed,
            back,
        })
    }

    /// Notes where the numbers of theirs stand in what comes of it [MRG-4, MRG-11], with what it has put back unless it is taken as a whole.
    pub(crate) fn note(&self, draft: &mut Draft, numbers: Renumbering, back: Option<&PutBack>) -> Result<()> {
        // With a table that is taken as a whole come rows of other commits, of which the base of a later merge would know nothing.
        if let Some(picking) = self.picking.as_ref().filter(|_| back.is_some() || self.base.is_none()) {
            let picking = Picking { back: back.cloned().unwrap_or_default(), ..picking.clone() };
            draft.picked = Some(picking.record(&numbers)?);
        }
        draft.renumbered = Some(numbers);
        Ok(())
    }

    /// The numbers of the base in those of ours. What neither side knows gets numbers behind all others.
    fn of_base(&self, base: &TableState, next: TableEnds, theirs: &Renumbering) -> Result<Renumbering> {
        let (base, ours) = (TableEnds::of(&base.table), next);
        Ok(match &self.numbers {
            BaseNumbers::Ours => Renumbering::default(),
            BaseNumbers::Theirs => theirs.clone(),
            BaseNumbers::Own(own) => {
                let rows = own.to_ours.rows.complete(base.row, ours.row)?.0;
                let same = rows.pieces(base.row).reversed()?.then(&own.to_ours.same)?;
                Renumbering { files: own.to_ours.files.complete(base.file, ours.file)?.0, rows, same }
            }
        })
    }

    /// Whether ours has ever had a file of the base.
    fn has_come(&self, entry: &FileEntry) -> bool {
        match &self.numbers {
            BaseNumbers::Ours => true,
            BaseNumbers::Theirs => self.known.files.get(entry.id.0).is_some(),
            BaseNumbers::Own(own) => own.to_ours.files.get(entry.id.0).is_some(),
        }
    }

    /// Whether ours has ever had the rows of a file that theirs has taken out of it: files that store ids may hold rows which are older than
    /// they. Requests: the columns of ids of such files, and deletion vectors that are objects.
    async fn knows_rows(
        &self,
        base: &TableState,
        (before, after): (&FileEntry, Option<&FileEntry>),
    ) -> Result<bool> {
        let deletes = async |state: &TableState, entry: &FileEntry| {
            let deletes = deletion_vector(&state.objects, state.table.id, entry).await?;
            Ok::<_, Error>(deletes.unwrap_or_default())
        };
        let old = deletes(base, before).await?;
        let others = match after {
            None => old,
            Some(after) => {
                let new = deletes(&self.theirs, after).await?;
                if !old.added_since(&new).is_empty() {
                    return Ok(false);
                }
                DeletionVector::below(before.rows)?.added_since(&new.added_since(&old))
            }
        };
        let known = match &self.numbers {
            BaseNumbers::Own(own) => &own.to_ours.rows,
            BaseNumbers::Ours | BaseNumbers::Theirs => &self.known.rows,
        };
        let mut knows = true;
        identify(base, before, &others, |row| {
            knows &= known.get(row.id).is_some();
            Ok(())
        })
        .await?;
        Ok(knows)
    }

    /// Below this the ids of files are of the same files on all sides.
    fn shared_files(&self) -> u64 {
        match &self.numbers {
            BaseNumbers::Own(own) => self.known.shared.file.min(own.to_ours.shared.file),
            BaseNumbers::Ours | BaseNumbers::Theirs => self.known.shared.file,
        }
    }

    /// The places that a state of ours has and the base has not, if it took rows from another version since: else all of them are in
    /// files that it added.
    pub(crate) async fn our_places(
        &self,
        ours: &TableState,
        trees: &Trees,
        seeks: bool,
    ) -> Result<Option<Vec<FileEntry>>> {
        if ours.table.restored <= self.shared && !seeks {
            return Ok(None);
        }
        let base = self.base.clone().unwrap_or_else(|| empty(&self.theirs));
        let known = self.known_of_ours(&base, ours)?;
        came(trees, (&base, ours), &known).await.map(Some)
    }

    /// The files of a state of ours that have rows which the base has not, each with nothing but these.
    pub(crate) async fn our_came(&self, ours: &TableState, trees: &Trees) -> Result<Vec<FileEntry>> {
        let base = self.base.clone().unwrap_or_else(|| empty(&self.theirs));
        let known = self.known_of_ours(&base, ours)?;
        let sides = Sides { trees, before: &base.table, after: &ours.table, known: &known };
        keys::came(&sides, (&base, ours)).await
    }

    /// The numbers of ours in those of the base.
    fn known_of_ours(&self, base: &TableState, ours: &TableState) -> Result<Known> {
        match &self.numbers {
            BaseNumbers::Ours => Ok(Known::on_one_line(&base.table, &ours.table)),
            // The base may have numbers of its line that ours has given to others.
            BaseNumbers::Theirs => Ok(Known { met: self.known.met || self.mixes, ..self.known.reversed()? }),
            BaseNumbers::Own(own) => own.to_ours.reversed(),
        }
    }

    /// Up to which version equal numbers of a row say that it is the same: none if either side took rows from another line since.
    pub(crate) fn told(&self, ours: &TableState) -> Seq {
        let restored = ours.table.restored.max(self.theirs.table.restored);
        if restored > self.shared { Seq(0) } else { self.told }
    }
}
