//! What differs between two versions: names, then within a table its schema and the like, files and rows.
//!
//! Each step reads only what the one before found to differ, so the cost of a diff is that of the difference. Invariant: of two
//! versions on branches that parted, numbers of files and rows are told apart by what the merges since have recorded [MRG-3].
//! What does not belong here: changes commit by commit (`changelog`), and merging.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::stream::{BoxStream, StreamExt};
use strandline_format::tree::Root;
use strandline_format::{
    CatalogEntry, EntryType, FileId, RowId, Schema, Table as TableNode, TableId, TableName, Totals,
};

use crate::changes::files::{FileChange, Parts, Sides};
use crate::changes::rows::{self, Reading, RowChange, RowCounts};
use crate::changes::schema::{self, FieldDiff};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Ref, Revision};
use crate::lake::Lake;
use crate::merge::{Kin, Known};
use crate::near::{nearest, offer};
use crate::table::TableState;
use crate::tree::Trees;

/// What differs between two versions of a lake.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline::arrow::array::{Int64Array, RecordBatch};
/// use std::sync::Arc;
///
/// let lake = Lake::create("memory://diff").await?;
/// let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
/// let transaction = lake.begin().await?;
/// transaction.create_table("orders").like(&batch.schema()).await?;
/// transaction.commit().await?;
/// lake.append("orders", batch).await?;
///
/// let diff = lake.diff("main~", "main").await?;
/// assert_eq!(diff.entries().len(), 1);
/// let orders = diff.table("orders").await?;
/// assert_eq!(orders.counts().await?.inserted, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Diff {
    from: Ref,
    to: Ref,
    entries: Vec<EntryDiff>,
    kin: Arc<Kin>,
}

/// A table, view or namespace that differs.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let rename = lake.begin().await?;
/// rename.rename("orders", "sales").await?;
/// rename.commit().await?;
///
/// let diff = lake.diff("main~1", "main").await?;
/// let table = diff.tables().next().ok_or("no table differs")?;
/// assert_eq!(table.before().map(ToString::to_string).as_deref(), Some("orders"));
/// assert_eq!(table.after().map(ToString::to_string).as_deref(), Some("sales"));
/// assert!(table.is_renamed() && !table.is_changed());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EntryDiff {
    id: TableId,
    kind: EntryType,
    before: Option<CatalogEntry>,
    after: Option<CatalogEntry>,
}

impl EntryDiff {
    /// Its id, which survives renames.
    #[must_use]
    pub fn id(&self) -> TableId {
        self.id
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> EntryType {
        self.kind
    }

    /// What it was called; `None` if it was not there.
    #[must_use]
    pub fn before(&self) -> Option<&TableName> {
        self.before.as_ref().map(|entry| &entry.name)
    }

    /// What it is called; `None` if it is not there.
    #[must_use]
    pub fn after(&self) -> Option<&TableName> {
        self.after.as_ref().map(|entry| &entry.name)
    }

    /// Whether it is on both sides, under different names.
    #[must_use]
    pub fn is_renamed(&self) -> bool {
        matches!((self.before(), self.after()), (Some(one), Some(other)) if one.as_str() != other.as_str())
    }

    /// Whether more differs than its name.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        let node = |entry: &Option<CatalogEntry>| entry.as_ref().map(|entry| entry.node.hash);
        node(&self.before) != node(&self.after)
    }
}

impl Lake {
    /// What differs from one version to another one, whichever branches they are of.
    ///
    /// Requests: those of looking both up, the nodes of their catalogs that differ, and where the branches have parted the nodes
    /// of their histories that do. Tables are read when they are asked for.
    ///
    /// # Errors
    /// Those of [`Lake::at`]; `SnapshotExpired`, `Corrupt` and the store's errors. Dropping the future leaves nothing.
    pub async fn diff(&self, from: impl Into<Revision>, to: impl Into<Revision>) -> Result<Diff> {
        let (from, to) = futures::try_join!(self.at(from), self.at(to))?;
        Diff::between(from, to).await
    }
}

impl Diff {
    pub(crate) async fn between(from: Ref, to: Ref) -> Result<Self> {
        match futures::try_join!(entries(&from, &to), Kin::of(&from, &to)) {
            Ok((entries, kin)) => Ok(Self { from, to, entries, kin: Arc::new(kin) }),
            Err(error) => Err(explain(&from, &to, error).await),
        }
    }

    /// The version before.
    #[must_use]
    pub fn from(&self) -> &Ref {
        &self.from
    }

    /// The version after.
    #[must_use]
    pub fn to(&self) -> &Ref {
        &self.to
    }

    /// The tables, views and namespaces that differ, by what they are called.
    #[must_use]
    pub fn entries(&self) -> &[EntryDiff] {
        &self.entries
    }

    /// What differs of one table, by its name after or before. At most four requests, and a few for each time that the two
    /// branches have merged each other since they parted.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names, if neither version has such a table; `SnapshotExpired` if a version that it takes
    /// to compare them is not kept any more; `Corrupt` and the store's errors.
    pub async fn table(&self, name: &str) -> Result<TableDiff> {
        let name = TableName::new(name)?;
        let of = |side: fn(&EntryDiff) -> Option<&TableName>| {
            let is_it = |entry: &&EntryDiff| side(entry).is_some_and(|found| found.key() == name.key());
            self.tables().find(is_it).cloned()
        };
        if let Some(entry) = of(EntryDiff::after).or_else(|| of(EntryDiff::before)) {
            return self.open(&entry).await;
        }
        match self.to.snapshot().expect(&name, EntryType::Table).await {
            Ok(entry) => {
                let both = Some(entry.clone());
                self.open(&EntryDiff {
                    id: entry.id,
                    kind: entry.entry_type,
                    before: both.clone(),
                    after: both,
                })
                .await
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(self.unknown(&name, error)),
            Err(error) => Err(explain(&self.from, &self.to, error).await),
        }
    }

    /// The tables among what differs.
    pub fn tables(&self) -> impl Iterator<Item = &EntryDiff> {
        self.entries.iter().filter(|entry| entry.kind == EntryType::Table)
    }

    /// What differs of one table of [`Diff::tables`]. Requests and errors as of [`Diff::table`].
    ///
    /// # Errors
    /// `InvalidInput` if it is a view or namespace.
    pub async fn open(&self, entry: &EntryDiff) -> Result<TableDiff> {
        if entry.kind != EntryType::Table {
            let message = format!("{} is a {}, which has no rows", entry.id, entry.kind.as_str());
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        match TableDiff::of(self, entry).await {
            Ok(table) => Ok(table),
            Err(error) => Err(explain(&self.from, &self.to, error).await),
        }
    }

    fn unknown(&self, name: &TableName, error: Error) -> Error {
        let names = self.tables().flat_map(|entry| [entry.before(), entry.after()]).flatten();
        match nearest(name.as_str(), names.map(TableName::as_str)) {
            near if near.is_empty() => error,
            near => Error::new(ErrorKind::NotFound, format!("no table {:?}{}", name.as_str(), offer(&near))),
        }
    }
}

/// Everything whose entry differs, by id.
async fn entries(from: &Ref, to: &Ref) -> Result<Vec<EntryDiff>> {
    let trees = from.snapshot().trees.beside(&to.snapshot().trees);
    let changes = trees.changes(&from.snapshot().catalog, &to.snapshot().catalog).await?;
    let mut by_id: BTreeMap<TableId, EntryDiff> = BTreeMap::new();
    let mut at = |entry: &CatalogEntry, side: fn(&mut EntryDiff) -> &mut Option<CatalogEntry>| {
        let none = EntryDiff { id: entry.id, kind: entry.entry_type, before: None, after: None };
        *side(by_id.entry(entry.id).or_insert(none)) = Some(entry.clone());
    };
    for change in &changes {
        change.before.iter().for_each(|entry| at(entry, |diff| &mut diff.before));
        change.after.iter().for_each(|entry| at(entry, |diff| &mut diff.after));
    }
    let mut entries: Vec<EntryDiff> = by_id.into_values().collect();
    // Where a node was uploaded last makes no difference.
    entries.retain(|entry| {
        entry.before().is_none() || entry.after().is_none() || entry.is_renamed() || entry.is_changed()
    });
    entries.sort_by(|one, other| {
        let name = |entry: &EntryDiff| entry.after().or(entry.before()).map(|name| name.key().clone());
        name(one).cmp(&name(other))
    });
    Ok(entries)
}

/// What an error of reading either version means.
async fn explain(from: &Ref, to: &Ref, error: Error) -> Error {
    let error = from.explain(error).await;
    to.explain(error).await
}

/// What of a table differs, besides its rows.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::changes::TableAspect;
///
/// let alter = lake.begin().await?;
/// alter.alter_table("orders").comment("all that was ordered").await?;
/// alter.commit().await?;
///
/// let diff = lake.diff("main~1", "main").await?;
/// assert_eq!(diff.table("orders").await?.aspects(), [TableAspect::Comment]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableAspect {
    /// Its columns.
    Schema,
    /// The fields that identify a row.
    Key,
    /// What no row may make false.
    Constraints,
    /// What programs keep with it.
    Properties,
    /// What it is for.
    Comment,
    /// How files are laid out.
    Layout,
}

/// What differs between two states of one table.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
///
/// let change = lake.begin().await?;
/// change.delete("orders", col("amount").lt(0)).await?;
/// change.append("orders", orders(&[(4, 99), (5, 1)])).await?;
/// change.commit().await?;
///
/// let diff = lake.diff("main~1", "main").await?;
/// let table = diff.table("orders").await?;
/// let counts = table.counts().await?;
/// assert_eq!((counts.inserted, counts.deleted, counts.updated), (2, 1, 0));
/// assert!(table.schema().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TableDiff {
    from: Ref,
    to: Ref,
    before: Option<TableState>,
    after: Option<TableState>,
    known: Known,
    trees: Arc<Trees>,
}

impl TableDiff {
    async fn of(diff: &Diff, entry: &EntryDiff) -> Result<Self> {
        let state = async |at: &Ref, entry: &Option<CatalogEntry>| match entry {
            Some(entry) => at.snapshot().table_of(entry).await.map(Some),
            None => Ok(None),
        };
        let known = async {
            match (&entry.before, &entry.after) {
                (Some(before), Some(after)) => diff.kin.known(entry.id, (before, after)).await,
                _ => Ok(Known::default()),
            }
        };
        let (before, after, known) =
            futures::try_join!(state(&diff.from, &entry.before), state(&diff.to, &entry.after), known)?;
        let trees = diff.from.snapshot().trees.beside(&diff.to.snapshot().trees);
        let (from, to) = (diff.from.clone(), diff.to.clone());
        Ok(Self { from, to, before, after, known, trees: Arc::new(trees) })
    }

    /// Whether it was there before, and whether it is there after.
    #[must_use]
    pub fn is_there(&self) -> (bool, bool) {
        (self.before.is_some(), self.after.is_some())
    }

    /// The columns that differ. A table that came or went has none: all of it did.
    #[must_use]
    pub fn schema(&self) -> Vec<FieldDiff> {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => schema::fields(&before.schema, &after.schema),
            _ => Vec::new(),
        }
    }

    /// What differs besides rows.
    #[must_use]
    pub fn aspects(&self) -> Vec<TableAspect> {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return Vec::new() };
        let (one, other) = (&*before.table, &*after.table);
        let differs = [
            (!before.schema.has_same_fields(&after.schema), TableAspect::Schema),
            (one.key != other.key, TableAspect::Key),
            (one.constraints != other.constraints, TableAspect::Constraints),
            (one.properties != other.properties, TableAspect::Properties),
            (one.comment != other.comment, TableAspect::Comment),
            (one.layout != other.layout, TableAspect::Layout),
        ];
        differs.into_iter().filter_map(|(differs, aspect)| differs.then_some(aspect)).collect()
    }

    /// The files that differ, in the order of their numbers. Requests: the nodes of their trees that differ; where merges have
    /// given numbers of one side to the other, those of all files since the branches parted. Memory: the entries.
    ///
    /// # Errors
    /// `SnapshotExpired` if a version was expired meanwhile; `Corrupt` and the store's errors.
    pub async fn files(&self) -> Result<Vec<FileChange>> {
        match self.find_files().await {
            Ok(files) => Ok(files),
            Err(error) => Err(explain(&self.from, &self.to, error).await),
        }
    }

    async fn find_files(&self) -> Result<Vec<FileChange>> {
        let Some((before, after)) = self.states() else { return Ok(Vec::new()) };
        let sides =
            Sides { trees: &self.trees, before: &before.table, after: &after.table, known: &self.known };
        sides.files().await
    }

    /// How many rows differ. From metadata alone, unless rows may have moved from one file to another one: then those are read.
    ///
    /// # Errors
    /// As [`TableDiff::rows`].
    pub async fn counts(&self) -> Result<RowCounts> {
        let Some((reading, parts)) = self.reading().await? else { return Ok(RowCounts::default()) };
        if let Some((inserted, deleted)) = parts.counts() {
            return Ok(RowCounts { inserted, deleted, updated: 0 });
        }
        let sum = async |sum: RowCounts, change: RowChange| Ok(sum.with(&change));
        reading.changes(parts).try_fold(RowCounts::default(), sum).await
    }

    /// The rows that differ. Read are the files that only one side has, and of the others the rows that differ. Rows come in the
    /// columns of the table after (of one that is gone, before), wide enough for both; [`TableDiff::schema`] tells what
    /// columns these do not show.
    ///
    /// # Errors
    /// `InvalidInput` if the table has a column `_row_id` of its own; `SnapshotExpired` if a version was expired meanwhile;
    /// `Corrupt` and the store's errors, in the stream too, which ends with them. Dropping it leaves nothing.
    pub async fn rows(&self) -> Result<BoxStream<'static, Result<RowChange>>> {
        let Some((reading, parts)) = self.reading().await? else {
            return Ok(futures::stream::empty().boxed());
        };
        let (from, to) = (self.from.clone(), self.to.clone());
        let explained = move |error: Error| {
            let (from, to) = (from.clone(), to.clone());
            async move { explain(&from, &to, error).await }
        };
        let told = move |change: Result<RowChange>| {
            let explained = explained.clone();
            async move {
                match change {
                    Ok(change) => Ok(change),
                    Err(error) => Err(explained(error).await),
                }
            }
        };
        Ok(reading.changes(parts).then(told).boxed())
    }

    /// The columns of the rows, with `_row_id` behind them.
    ///
    /// # Errors
    /// None in practice.
    pub fn columns(&self) -> Result<arrow::datatypes::SchemaRef> {
        Ok(rows::columns(&self.reading_schema()?))
    }

    /// The columns in which rows of both states can be told.
    pub(crate) fn reading_schema(&self) -> Result<Schema> {
        match self.states() {
            Some((before, after)) => schema::side_by_side(&before.schema, &after.schema),
            None => Ok(Schema::numbered(Vec::new())?),
        }
    }

    pub(super) async fn reading(&self) -> Result<Option<(Reading, Parts)>> {
        let Some((before, after)) = self.states() else { return Ok(None) };
        let schema = Arc::new(schema::side_by_side(&before.schema, &after.schema)?);
        let of_one_side = schema::of_one_side(&schema, (&before.schema, &after.schema));
        let (trees, known) = (&self.trees, &self.known);
        let sides = Sides { trees, before: &before.table, after: &after.table, known };
        let parts = match sides.parts((&before, &after), &of_one_side).await {
            Ok(parts) => parts,
            Err(error) => return Err(explain(&self.from, &self.to, error).await),
        };
        Ok(Some((Reading::new(before, after, schema, self.known.clone()), parts)))
    }

    /// Both states; one that is not there is the other one without rows.
    fn states(&self) -> Option<(TableState, TableState)> {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => Some((before.clone(), after.clone())),
            (Some(before), None) => Some((before.clone(), empty(before))),
            (None, Some(after)) => Some((empty(after), after.clone())),
            (None, None) => None,
        }
    }
}

/// The table without rows, and before any were.
pub(crate) fn empty(state: &TableState) -> TableState {
    let table = TableNode {
        files: Root::default(),
        totals: Totals::default(),
        next_file: FileId(0),
        next_row: RowId(0),
        ..(*state.table).clone()
    };
    TableState { table: Arc::new(table), ..state.clone() }
}
