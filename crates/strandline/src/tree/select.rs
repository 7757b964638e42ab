//! What a walk over a tree is interested in: whole subtrees are skipped by what their parents know of them.

use std::ops::{Bound, RangeBounds};

use strandline_format::tree::{Children, Columns, TreeKind};
use strandline_format::{Absent, FieldId, FileColumns, Files, Filter, Mask, Schema, Table, Test, Value};

/// Decides, a node at a time, which children to follow and which entries to give.
///
/// Both answers have one value for each child or entry. To follow too much costs requests; to follow too little loses
/// entries, so in doubt the answer is `true`.
///
/// ```
#[doc = include_str!("../tree/history.example")]
/// use strandline::format::tree::{Children, Columns};
/// use strandline::format::{HistoryColumns, Mask};
/// use strandline::tree::Select;
///
/// /// The commits that merged something; parents count them.
/// struct Merges;
///
/// impl Select<History> for Merges {
///     fn children(&self, children: &Children<History>) -> Mask {
///         let mut mask = Mask::default();
///         children.summary.as_slice().iter().for_each(|summary| mask.push(summary.merges > 0));
///         mask
///     }
///
///     fn entries(&self, entries: &HistoryColumns) -> Mask {
///         let mut mask = Mask::default();
///         entries.items().iter().for_each(|entry| mask.push(entry.merged.is_some()));
///         mask
///     }
/// }
///
/// let root = trees.edit(&Root::<History>::default(), [(Seq(1), Some(version(1)))], Era(0)).await?.root;
/// assert!(trees.collect(&root, &Merges).await?.is_empty());
/// # Ok(())
/// # }
/// ```
pub trait Select<K: TreeKind>: Send + Sync {
    /// Which children may hold entries of interest.
    fn children(&self, children: &Children<K>) -> Mask;
    /// Which entries are of interest.
    fn entries(&self, entries: &K::Columns) -> Mask;
}

/// Every entry.
///
/// ```
#[doc = include_str!("../tree/history.example")]
/// use strandline::tree::All;
///
/// let root = trees.edit(&Root::<History>::default(), (1..=3).map(|n| (Seq(n), Some(version(n)))), Era(0)).await?.root;
/// assert_eq!(trees.collect(&root, &All).await?.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct All;

impl<K: TreeKind> Select<K> for All {
    fn children(&self, children: &Children<K>) -> Mask {
        Mask::of(true, children.len())
    }

    fn entries(&self, entries: &K::Columns) -> Mask {
        Mask::of(true, entries.len())
    }
}

/// The entries whose keys lie in a range.
///
/// ```
#[doc = include_str!("../tree/history.example")]
/// use strandline::tree::KeyRange;
///
/// let root = trees.edit(&Root::<History>::default(), (1..=9).map(|n| (Seq(n), Some(version(n)))), Era(0)).await?.root;
/// let found = trees.collect(&root, &KeyRange::new(Seq(3)..Seq(5))).await?;
/// assert_eq!(found, [version(3), version(4)]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeyRange<Key>(Bound<Key>, Bound<Key>);

impl<Key: Clone> KeyRange<Key> {
    /// The range between two keys.
    pub fn new(range: impl RangeBounds<Key>) -> Self {
        Self(range.start_bound().cloned(), range.end_bound().cloned())
    }
}

impl<K: TreeKind> Select<K> for KeyRange<K::Key> {
    fn children(&self, children: &Children<K>) -> Mask {
        let reaches = |at: usize| {
            let begins_in_time = match &self.1 {
                Bound::Included(end) => children.first[at] <= *end,
                Bound::Excluded(end) => children.first[at] < *end,
                Bound::Unbounded => true,
            };
            let ends_in_time = match &self.0 {
                Bound::Included(start) => children.last[at] >= *start,
                Bound::Excluded(start) => children.last[at] > *start,
                Bound::Unbounded => true,
            };
            begins_in_time && ends_in_time
        };
        mask((0..children.len()).map(reaches))
    }

    fn entries(&self, entries: &K::Columns) -> Mask {
        let range = (self.0.as_ref(), self.1.as_ref());
        mask((0..entries.len()).map(|at| RangeBounds::contains(&range, &K::key_at(entries, at))))
    }
}

fn mask(bits: impl Iterator<Item = bool>) -> Mask {
    let mut mask = Mask::default();
    bits.for_each(|bit| mask.push(bit));
    mask
}

/// The files that may hold a row that passes a filter, by their statistics [STAT-11].
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
/// use strandline::format::TableName;
/// use strandline::tree::FileFilter;
///
/// lake.append("orders", orders(&[(1_000, 1)])).await?;
/// let head = lake.branch(lake.default_branch()).await?;
/// let table = head.table(&TableName::new("orders")?).await?;
/// let schema = lake.table("orders").await?.schema().clone();
/// let filter = FileFilter::new(col("id").gt(100).bind(&schema)?, &table, &schema);
/// assert_eq!(head.trees().collect(&table.files, &filter).await?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileFilter {
    filter: Filter,
    /// The fields of the filter that some files were written without.
    lacking: Vec<Lacking>,
}

#[derive(Clone, Debug)]
struct Lacking {
    field: FieldId,
    initial: Option<Value>,
    /// For each of the table's sets of field ids, whether it lacks the field.
    sets: Vec<bool>,
}

impl FileFilter {
    /// A filter over the columns of a table, which has this schema.
    #[must_use]
    pub fn new(filter: Filter, table: &Table, schema: &Schema) -> Self {
        // A nested field is null where what is around it is null, so nothing is known of it in files without it [READ-8].
        let columns = |id: &FieldId| schema.path(*id).is_some_and(|path| path.len() == 1);
        let lacking = filter.fields().into_iter().filter(columns).filter_map(|id| {
            let sets: Vec<bool> = table.field_sets.iter().map(|set| !set.contains(id)).collect();
            let initial = schema.field(id)?.initial.clone();
            sets.contains(&true).then_some(Lacking { field: id, initial, sets })
        });
        Self { lacking: lacking.collect(), filter }
    }

    /// The other way round: the files of which it is not certain that all rows pass the filter.
    #[must_use]
    pub fn in_doubt(filter: &Filter, table: &Table, schema: &Schema) -> Self {
        // A filter is true of a row if it is not false, and no field that it asks for is null.
        let unknown = filter.fields().into_iter().map(|field| Filter::Field(field, Test::IsNull));
        let parts = std::iter::once(Filter::Not(Box::new(filter.clone()))).chain(unknown);
        Self::new(Filter::Or(parts.collect()), table, schema)
    }

    /// Which entries were written without a field, so that all their rows have its initial default [FILE-5].
    fn absent(&self, files: &FileColumns, field: FieldId) -> Option<Absent> {
        let lacking = self.lacking.iter().find(|lacking| lacking.field == field)?;
        let lacks = |at| lacking.sets.get(files.fields(at) as usize).copied().unwrap_or(false);
        Some(Absent { entries: mask((0..files.len()).map(lacks)), initial: lacking.initial.clone() })
    }
}

impl Select<Files> for FileFilter {
    fn children(&self, children: &Children<Files>) -> Mask {
        let summary = &children.summary;
        self.filter.may_match(summary.stats(), summary.rows(), &|_| None)
    }

    fn entries(&self, files: &FileColumns) -> Mask {
        self.filter.may_match(files.stats(), files.rows(), &|field| self.absent(files, field))
    }
}

/// The files that may hold a row with one of some ids, among those of another selection.
#[derive(Debug)]
pub(crate) struct Holding<'a, I, S> {
    /// Whether one of the ids is within these bounds.
    pub(crate) any_within: I,
    pub(crate) of: &'a S,
}

impl<I: Fn((u64, u64)) -> bool + Send + Sync, S: Select<Files>> Select<Files> for Holding<'_, I, S> {
    fn children(&self, children: &Children<Files>) -> Mask {
        narrowed(self.of.children(children), |at| children.summary.row_ids(at).is_none_or(&self.any_within))
    }

    fn entries(&self, files: &FileColumns) -> Mask {
        narrowed(self.of.entries(files), |at| files.item(at).row_id_bounds().is_some_and(&self.any_within))
    }
}

/// Those of a mask of which this holds as well.
fn narrowed(mut mask: Mask, holds: impl Fn(usize) -> bool) -> Mask {
    let others: Vec<usize> = mask.ones().filter(|at| !holds(*at)).collect();
    others.into_iter().for_each(|at| mask.set(at, false));
    mask
}
