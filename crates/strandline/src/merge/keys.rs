//! Rows of both sides that would have one key after a merge [REB-17].
//!
//! Invariants: of data files only those are read whose statistics leave it open that they have a key in common with one of the other side, and of
//! them the columns of the key; what is compared is what the result is left with. Memory: the keys of one portion ([`PORTION`]) of the side with
//! fewer rows, the other side being read once for each; and about 200 bytes for each pair of rows with one key. What does not belong here: which of
//! them count (`owners`), and what is decided of such rows (`twins`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream::{self, StreamExt, TryStreamExt};
use strandline_format::merge::TableMerge;
use strandline_format::tree::{Columns, Root};
use strandline_format::{
    Deletes, DeletionVector, FieldId, FileColumns, FileEntry, FileId, Files, Filter, Renumbering, RowId,
    Schema, Table as TableNode, Test,
};

use crate::changes::{Parts, Sides, only};
use crate::error::{Error, Result};
use crate::merge::conflict::{Conflict, ConflictKind, KeyConflicts};
use crate::merge::files::{FilesMerged, reaches};
use crate::merge::known::Known;
use crate::merge::table::TableRebase;
use crate::scan::{Scan, deletion_vector};
use crate::table::TableState;
use crate::transaction::key::{Key, Portion};
use crate::transaction::{alone, fit_rows};
use crate::tree::{FileFilter, Select};

/// How many bytes of rows a portion has, of which only the keys are read.
const PORTION: u64 = 8 * 1024 * 1024;

/// How many files are read at once.
const FILES: usize = 4;

/// Where a row of the result stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum At {
    /// At a position of a file of ours.
    Ours(FileId, u64),
    /// At a position of a file of theirs, as theirs counts files.
    Theirs(FileId, u64),
    /// In no file yet: it was given, and has this id.
    Given(u64),
}

/// A row with the key of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Twin {
    pub(super) at: At,
    /// Its id, as our side counts it, or will.
    pub(super) row: RowId,
    /// Whether the other side knows it as well.
    pub(super) is_shared: bool,
}

/// Two rows with one key: that of ours, and that of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Twins {
    pub(super) key: String,
    pub(super) ours: Twin,
    pub(super) theirs: Twin,
}

impl Twins {
    /// The ids by which the caller can give rows in their place.
    pub(super) fn named(&self) -> impl Iterator<Item = u64> {
        let is_named = |twin: &Twin| matches!(twin.at, At::Ours(..)) || twin.is_shared;
        [self.ours, self.theirs].into_iter().filter(is_named).map(|twin| twin.row.0)
    }
}

/// Rows with one key that may be twins.
pub(super) struct Pair {
    pub(super) key: Box<[u8]>,
    pub(super) shown: String,
    pub(super) ours: At,
    pub(super) theirs: At,
}

/// Rows that one side has and the base has not, as far as the result has them.
#[derive(Default)]
struct Came {
    entries: Vec<FileEntry>,
    given: Vec<RecordBatch>,
}

impl Came {
    fn rows(&self) -> u64 {
        let given = self.given.iter().map(|batch| batch.num_rows() as u64);
        self.entries.iter().map(FileEntry::live_rows).chain(given).sum()
    }
}

/// The rows of both sides, and by what they are compared.
pub(super) struct KeysMerge<'a> {
    pub(super) table: &'a TableRebase<'a>,
    pub(super) merged: &'a TableMerge,
    pub(super) files: &'a FilesMerged,
    pub(super) numbers: &'a Renumbering,
}

impl KeysMerge<'_> {
    /// Adds the rows that would have one key to the conflicts. No request unless the table has a key that counts here, and theirs has rows
    /// that base has not; then those of the difference between base and ours.
    pub(super) async fn run(&self, conflicts: &mut Vec<Conflict>) -> Result<()> {
        let keys = self.keys()?;
        if keys.is_empty() {
            return Ok(());
        }
        let theirs = self.theirs().await?;
        if theirs.rows() == 0 {
            return Ok(());
        }
        let ours = self.ours(&keys).await?;
        let mut found = KeyConflicts::default();
        for key in &keys {
            let pairs = self.pairs(key, &ours, &theirs).await?;
            self.decide(key, pairs, &mut found).await?;
        }
        if found.count() > 0 {
            conflicts.push(self.table.conflict(ConflictKind::Keys(found)));
        }
        Ok(())
    }

    /// The key of the table; of a transaction those by which it looked rows up, of columns that are there still.
    fn keys(&self) -> Result<Vec<Key>> {
        let schema = &self.merged.schema;
        let fields: Vec<&Vec<FieldId>> = match self.table.brought {
            Some(_) => vec![&self.merged.table.key],
            None => self.table.theirs.looked_up.iter().collect(),
        };
        let is_there =
            |key: &&&Vec<FieldId>| !key.is_empty() && key.iter().all(|id| schema.field(*id).is_some());
        fields.iter().filter(is_there).map(|key| Key::of(key, schema)).collect()
    }

    /// What theirs has and base has not.
    async fn theirs(&self) -> Result<Came> {
        let entries = match self.table.brought {
            Some(brought) => brought.came.to_vec(),
            None => self.table.theirs.new_files().cloned().collect(),
        };
        let mut left = Vec::new();
        for entry in entries {
            if let Some(deletes) = self.files.deletes_of_theirs(entry.id, self.numbers) {
                left.extend(self.left(&entry, deletes).await?);
            }
        }
        Ok(Came { entries: left, given: self.given()? })
    }

    /// What ours has and base has not. Where rows were given by hand, which neither side has held against its own, also whatever ours has
    /// with such keys.
    async fn ours(&self, keys: &[Key]) -> Result<Came> {
        let (base, ours) = (self.table.base, self.table.ours);
        let came = match self.table.brought {
            Some(brought) => brought.our_came.to_vec(),
            None => {
                let known = Known::on_one_line(&base.table, &ours.table);
                let sides =
                    Sides { trees: &ours.trees, before: &base.table, after: &ours.table, known: &known };
                came(&sides, (base, ours)).await?
            }
        };
        let mut entries: BTreeMap<FileId, FileEntry> =
            came.into_iter().map(|entry| (entry.id, entry)).collect();
        let given = self.given()?;
        if !self.table.choices.by_hand.is_empty() {
            let mut portion = Portion::default();
            given.iter().for_each(|batch| portion.push(batch.clone()));
            for key in keys {
                let reach = FileFilter::new(key.filter(&portion)?, &ours.table, &self.merged.schema);
                let reached = ours.trees.collect(&ours.table.files, &reach).await?;
                entries.extend(reached.into_iter().map(|entry| (entry.id, entry)));
            }
        }
        let mut left = Vec::new();
        for entry in entries.into_values() {
            if let Some(deletes) = self.files.deletes_of_ours(&entry) {
                left.extend(self.left(&entry, deletes).await?);
            }
        }
        Ok(Came { entries: left, given })
    }

    /// The rows that are given in the place of others, as the table has them.
    fn given(&self) -> Result<Vec<RecordBatch>> {
        // Whether they hold is asked where they are written, if it is.
        let table = TableNode { constraints: Vec::new(), ..self.merged.table.clone() };
        let into = (&table, &Arc::new(self.merged.schema.clone()));
        fit_rows(into, self.table.era, &self.table.choices.given)
    }

    /// An entry without what the result deletes of it; for reading.
    async fn left(&self, entry: &FileEntry, deletes: &Option<Deletes>) -> Result<Option<FileEntry>> {
        if entry.deletes == *deletes {
            return Ok((entry.live_rows() > 0).then(|| entry.clone()));
        }
        let state = self.table.ours;
        let result = FileEntry { deletes: deletes.clone(), ..entry.clone() };
        let (here, there) = futures::try_join!(
            deletion_vector(&state.objects, state.table.id, entry),
            deletion_vector(&state.objects, state.table.id, &result)
        )?;
        let gone = here.unwrap_or_default().union(&there.unwrap_or_default());
        only(entry, &DeletionVector::below(entry.rows)?.added_since(&gone))
    }

    /// Our table or theirs, of which only some files are read, in the merged columns.
    pub(super) fn state(&self, of_theirs: bool) -> TableState {
        let node = if of_theirs { &self.table.theirs.table } else { &*self.table.ours.table };
        let table = TableNode { files: Root::<Files>::default(), ..node.clone() };
        let schema = Arc::new(self.merged.schema.clone());
        TableState { table: Arc::new(table), schema, ..self.table.ours.clone() }
    }

    /// All rows of one side with the key of one of the other.
    async fn pairs(&self, key: &Key, ours: &Came, theirs: &Came) -> Result<Vec<Pair>> {
        let (our_files, their_files) = self.overlapping(key, ours, theirs);
        let [ours, theirs] = [(our_files, &ours.given), (their_files, &theirs.given)]
            .map(|(entries, given)| Came { entries, given: given.clone() });
        let swapped = ours.rows() < theirs.rows();
        let (few, many) = if swapped { (&ours, &theirs) } else { (&theirs, &ours) };
        let mut pairs = Vec::new();
        let mut portion = Sought::default();
        for batch in &few.given {
            portion.add(key, batch, At::Given)?;
        }
        for entry in &few.entries {
            let id = entry.id;
            let place = |position| if swapped { At::Ours(id, position) } else { At::Theirs(id, position) };
            let mut batches =
                Scan::of(alone(&self.state(!swapped), entry)).fields(key.fields()).row_ids(true).await?;
            while let Some(batch) = batches.try_next().await? {
                portion.add(key, &batch, place)?;
                if portion.rows.bytes() >= PORTION {
                    self.look(key, &std::mem::take(&mut portion), many, swapped, &mut pairs).await?;
                }
            }
        }
        self.look(key, &portion, many, swapped, &mut pairs).await?;
        Ok(pairs)
    }

    /// The files of each side that may have a key in common with one of the other, or with rows that are given.
    fn overlapping(&self, key: &Key, ours: &Came, theirs: &Came) -> (Vec<FileEntry>, Vec<FileEntry>) {
        let fields: Vec<FieldId> = key.fields().collect();
        let (our_state, columns) = (self.state(false), FileColumns::from_items(&ours.entries));
        let is_given = !ours.given.is_empty() || !theirs.given.is_empty();
        let (mut reached, mut left) = (BTreeSet::new(), Vec::new());
        for entry in &theirs.entries {
            let filter = within(entry, &fields, &self.merged.schema);
            let mask = FileFilter::new(filter, &our_state.table, &our_state.schema).entries(&columns);
            let hits: Vec<usize> = (0..ours.entries.len()).filter(|at| mask.get(*at)).collect();
            if is_given || !hits.is_empty() {
                left.push(entry.clone());
            }
            reached.extend(hits);
        }
        let kept = |at: &usize| is_given || reached.contains(at);
        ((0..ours.entries.len()).filter(kept).map(|at| ours.entries[at].clone()).collect(), left)
    }

    /// Looks for the keys of a portion on the other side.
    async fn look(
        &self,
        key: &Key,
        portion: &Sought,
        many: &Came,
        swapped: bool,
        pairs: &mut Vec<Pair>,
    ) -> Result<()> {
        if portion.rows.is_empty() {
            return Ok(());
        }
        let mut meet = |batch: &RecordBatch, place: &dyn Fn(u64) -> At| {
            let positions = crate::changes::ids(batch)?.clone();
            key.tell(batch, |row, found, shown| {
                for one in portion.places.get(found).into_iter().flatten() {
                    let (ours, theirs) = if swapped {
                        (*one, place(positions.value(row)))
                    } else {
                        (place(positions.value(row)), *one)
                    };
                    if ours != theirs {
                        pairs.push(Pair { key: found.into(), shown: shown()?, ours, theirs });
                    }
                }
                Ok(())
            })
        };
        for batch in &many.given {
            meet(batch, &At::Given)?;
        }
        let filter = key.filter(&portion.rows)?;
        let state = self.state(swapped);
        let reach = FileFilter::new(filter.clone(), &state.table, &state.schema);
        let mut reached = many.entries.clone();
        reached.retain(|entry| reaches(&reach, entry));
        let read = |entry: FileEntry| {
            let (state, filter) = (state.clone(), filter.clone());
            async move {
                let scan = Scan::of(alone(&state, &entry)).fields(key.fields()).having(filter).row_ids(true);
                Ok::<_, Error>((entry.id, scan.collect().await?))
            }
        };
        let mut found = stream::iter(reached).map(read).buffered(FILES);
        while let Some((file, batches)) = found.try_next().await? {
            let place =
                |position| if swapped { At::Theirs(file, position) } else { At::Ours(file, position) };
            for batch in &batches {
                meet(batch, &place)?;
            }
        }
        Ok(())
    }
}

/// Keys that are looked for, with where they stand.
#[derive(Default)]
struct Sought {
    rows: Portion,
    places: HashMap<Box<[u8]>, Vec<At>>,
}

impl Sought {
    fn add(&mut self, key: &Key, batch: &RecordBatch, place: impl Fn(u64) -> At) -> Result<()> {
        let positions = crate::changes::ids(batch)?.clone();
        key.tell(batch, |row, found, _| {
            self.places.entry(found.into()).or_default().push(place(positions.value(row)));
            Ok(())
        })?;
        self.rows.push(batch.clone());
        Ok(())
    }
}

/// That the fields are within what a file's statistics say of them; where these say nothing, anything is.
fn within(entry: &FileEntry, fields: &[FieldId], schema: &Schema) -> Filter {
    let of_field = |id: &FieldId| {
        let ty = schema.field(*id)?.ty.primitive()?;
        let stats = entry.stats.0.get(id)?;
        let (min, max) = (stats.min.as_ref()?.value.promote(ty)?, stats.max.as_ref()?.value.promote(ty)?);
        Some(Filter::Field(*id, Test::Between(min, max)))
    };
    Filter::And(fields.iter().filter_map(of_field).collect())
}

/// The files in which a side has rows that the base has not, each with nothing but these.
pub(super) async fn came(sides: &Sides<'_>, states: (&TableState, &TableState)) -> Result<Vec<FileEntry>> {
    let parts = Parts::of(sides.files().await?, states, sides.known).await?;
    Ok(parts.came.into_iter().map(|part| part.entry).collect())
}
