//! A table's lists that only grow (sets of field ids, orders, splits): what theirs has and ours has not goes behind ours' [REB-2].

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::file::{FileEntry, SplitValues};
use crate::table::{OrderId, SortOrder, Split, SplitField, SplitFieldId, SplitId, Table};

/// Under which numbers the members of their lists stand in the merged ones.
///
/// ```
#[doc = include_str!("../schema/schema.example")]
/// use strandline_format::merge::ListMap;
/// use strandline_format::{FieldSet, Table, TableId, TableSchema, Timestamp};
///
/// let columns = TableSchema::Inline(schema(&["id", "note"]));
/// let mut ours = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, columns);
/// let mut theirs = ours.clone();
/// let [one, two] = [vec![1], vec![1, 2]].map(|ids| FieldSet::of(ids.into_iter().map(strandline_format::FieldId)));
/// ours.field_set(&one)?;
/// let at = theirs.field_set(&two)?;
/// // What is the first set of theirs comes behind ours.
/// let map = ListMap::merge(&mut ours, &theirs)?;
/// assert_eq!((at, map.field_set(at)), (0, Some(1)));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListMap {
    field_sets: Vec<u32>,
    orders: BTreeMap<OrderId, OrderId>,
    splits: BTreeMap<SplitId, SplitId>,
}

impl ListMap {
    /// Adds to `ours` what only `theirs` has, and tells where each member of theirs is.
    ///
    /// # Errors
    /// `TooLarge` if ids are used up.
    pub fn merge(ours: &mut Table, theirs: &Table) -> Result<Self> {
        let mut map = Self::default();
        for set in &theirs.field_sets {
            map.field_sets.push(ours.field_set(set)?);
        }
        for order in &theirs.orders {
            map.orders.insert(order.id, add_order(&mut ours.orders, order)?);
        }
        for split in &theirs.splits {
            map.splits.insert(split.id, add_split(&mut ours.splits, split)?);
        }
        Ok(map)
    }

    /// The place of an order of theirs.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<OrderId> {
        self.orders.get(&id).copied()
    }

    /// The place of a split of theirs.
    #[must_use]
    pub fn split(&self, id: SplitId) -> Option<SplitId> {
        self.splits.get(&id).copied()
    }

    /// The place of a set of field ids of theirs.
    #[must_use]
    pub fn field_set(&self, at: u32) -> Option<u32> {
        self.field_sets.get(usize::try_from(at).ok()?).copied()
    }

    /// An entry of theirs, with what it refers to where the merged table has it.
    ///
    /// # Errors
    /// `Malformed` if it refers to what theirs does not have.
    pub fn translate(&self, entry: &FileEntry) -> Result<FileEntry> {
        let missing =
            || Error::malformed(format!("file {} refers to what its table does not have", entry.id));
        let order = entry.order.map(|id| self.order(OrderId(id)).ok_or_else(missing)).transpose()?;
        let split = |values: &SplitValues| {
            let split = self.split(SplitId(values.split)).ok_or_else(missing)?;
            Ok::<_, Error>(SplitValues { split: split.0, values: values.values.clone() })
        };
        Ok(FileEntry {
            fields: self.field_set(entry.fields).ok_or_else(missing)?,
            order: order.map(|id| id.0),
            split: entry.split.as_ref().map(split).transpose()?,
            ..entry.clone()
        })
    }
}

fn next_id(ids: impl Iterator<Item = u32>, first: u32) -> Result<u32> {
    match ids.max() {
        None => Ok(first),
        Some(last) => last.checked_add(1).ok_or_else(|| Error::too_large("no ids are left for the layout")),
    }
}

fn add_order(ours: &mut Vec<SortOrder>, order: &SortOrder) -> Result<OrderId> {
    let equal = |mine: &&SortOrder| mine.fields == order.fields;
    let same_id = ours.iter().filter(equal).find(|mine| mine.id == order.id);
    if let Some(mine) = same_id.or_else(|| ours.iter().find(equal)) {
        return Ok(mine.id);
    }
    let taken = ours.iter().any(|mine| mine.id == order.id);
    let id = if taken { OrderId(next_id(ours.iter().map(|mine| mine.id.0), 1)?) } else { order.id };
    ours.push(SortOrder { id, fields: order.fields.clone() });
    Ok(id)
}

fn add_split(ours: &mut Vec<Split>, split: &Split) -> Result<SplitId> {
    let meaning = |split: &Split| -> Vec<_> {
        split
            .fields
            .iter()
            .map(|field| (field.field, field.transform, field.name.as_str().to_owned()))
            .collect()
    };
    let wanted = meaning(split);
    let equal = |mine: &&Split| meaning(mine) == wanted;
    let same_id = ours.iter().filter(equal).find(|mine| mine.id == split.id);
    if let Some(mine) = same_id.or_else(|| ours.iter().find(equal)) {
        return Ok(mine.id);
    }
    let taken = ours.iter().any(|mine| mine.id == split.id);
    let id = if taken { SplitId(next_id(ours.iter().map(|mine| mine.id.0), 1)?) } else { split.id };
    let mut fields: Vec<SplitField> = Vec::new();
    for field in &split.fields {
        let field_id = split_field_id(ours.iter().flat_map(|mine| &mine.fields).chain(&fields), field)?;
        fields.push(SplitField { id: field_id, ..field.clone() });
    }
    ours.push(Split { id, fields });
    Ok(id)
}

/// The id that a split field of theirs has among ours': that of the same transform of the same field, else its own if it is
/// free, else the next one.
fn split_field_id<'a>(
    known: impl Iterator<Item = &'a SplitField> + Clone,
    field: &SplitField,
) -> Result<SplitFieldId> {
    let mut same =
        known.clone().filter(|mine| (mine.field, mine.transform) == (field.field, field.transform));
    if let Some(mine) = same.next() {
        return Ok(mine.id);
    }
    if !known.clone().any(|mine| mine.id == field.id) {
        return Ok(field.id);
    }
    next_id(known.map(|mine| mine.id.0), SplitField::FIRST_ID.0).map(SplitFieldId)
}
