//! A table's node against itself, as far as its own text shows.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;

use super::{SortOrder, Split, SplitField, SplitFieldId, SplitId, Table, TableSchema, Totals};
use crate::error::{Error, Result};
use crate::file::{FileEntry, RowIds};
use crate::id::{FieldId, RESERVED_FIELD_IDS};
use crate::schema::Schema;
use crate::transform::Transform;

impl Table {
    pub(super) fn check(&self) -> Result<()> {
        if let TableSchema::Inline(schema) = &self.schema {
            self.check_schema(schema)?;
        }
        self.check_layout()?;
        unique("constraint", self.constraints.iter().map(|constraint| constraint.name.key()))?;
        unique("key field", &self.key)?;
        self.check_children()?;
        self.files.edits().values().flatten().try_for_each(|entry| self.check_entry(entry))?;
        match Totals::of_root(&self.files) {
            Some(found) if found != self.totals => {
                Err(Error::invalid(format!("the totals are {:?}, the files come to {found:?}", self.totals)))
            }
            _ => Ok(()),
        }
    }

    /// Checks the node against its schema: the key's rules, and that every field referred to is or was there. The caller does
    /// this for a schema that is an object of its own; one that stands in the node was checked with it.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn check_schema(&self, schema: &Schema) -> Result<()> {
        schema.check_key(&self.key)?;
        let known = |what: &str, id: FieldId| {
            if schema.field(id).is_some() || schema.dropped().contains(&id) {
                return Ok(());
            }
            Err(Error::invalid(format!("{what} refers to the field {id}, which never was")))
        };
        let sorted = self.orders.iter().flat_map(|order| &order.fields);
        sorted.map(|field| field.field).try_for_each(|id| known("an order", id))?;
        for field in self.splits.iter().flat_map(|split| &split.fields) {
            known("a split", field.field)?;
            check_transform(schema, field)?;
        }
        let mut live: Vec<FieldId> = schema.leaves().into_iter().map(|(id, _)| id).collect();
        live.sort_unstable();
        for (first, last) in self.field_sets.iter().flat_map(|set| set.ranges()) {
            // A range is as long as the fields in it, or has one that never was.
            let found = live.partition_point(|id| id <= last) - live.partition_point(|id| id < first)
                + schema.dropped().range(first..=last).count();
            if i64::try_from(found) != Ok(i64::from(last.0) - i64::from(first.0) + 1) {
                return Err(Error::invalid(format!(
                    "a set has the fields {first} to {last}, some of which are no leaves, or never were"
                )));
            }
        }
        Ok(())
    }

    /// [TBL-5, TBL-7].
    fn check_layout(&self) -> Result<()> {
        unique("order", self.orders.iter().map(|order| order.id))?;
        unique("split", self.splits.iter().map(|split| split.id))?;
        let order = self.layout.order.filter(|hint| !self.orders.iter().any(|order| order.id == *hint));
        let split = self.layout.split.filter(|hint| self.split(*hint).is_none());
        if let Some(missing) = order.map(|id| format!("order {id}")).or(split.map(|id| format!("split {id}")))
        {
            return Err(Error::invalid(format!("the layout's {missing} is not there")));
        }
        self.orders.iter().try_for_each(check_order)?;
        let mut meanings: HashMap<SplitFieldId, (FieldId, Transform)> = HashMap::new();
        for split in &self.splits {
            check_split(split)?;
            for field in &split.fields {
                let meaning = (field.field, field.transform);
                if *meanings.entry(field.id).or_insert(meaning) != meaning {
                    return Err(Error::invalid(format!("split field {} means different things", field.id)));
                }
            }
        }
        Ok(())
    }

    fn split(&self, id: SplitId) -> Option<&Split> {
        self.splits.iter().find(|split| split.id == id)
    }

    fn check_children(&self) -> Result<()> {
        match self.files.children().last.last() {
            Some(last) if *last >= self.next_file => {
                Err(Error::invalid(format!("file {last} stands in it, the next is {}", self.next_file)))
            }
            _ => Ok(()),
        }
    }

    /// [TBL-4], [TBL-5] and [STAT-12] for one entry.
    pub(crate) fn check_entry(&self, entry: &FileEntry) -> Result<()> {
        let end = entry.first_row.0.saturating_add(entry.rows);
        let order = entry.order.is_none_or(|id| self.orders.iter().any(|order| order.id.0 == id));
        let split = entry.split.as_ref().is_none_or(|values| {
            self.split(SplitId(values.split)).is_some_and(|split| split.fields.len() == values.values.len())
        });
        let set = usize::try_from(entry.fields).ok().and_then(|at| self.field_sets.get(at));
        let has_field = |id: &FieldId| *id >= RESERVED_FIELD_IDS || set.is_some_and(|set| set.contains(*id));
        let wrong = if entry.id >= self.next_file {
            "has an id that was not handed out"
        } else if entry.row_ids == RowIds::Derived && end > self.next_row.0 {
            "has row ids that were not handed out"
        } else if set.is_none() {
            "has a set of fields that is not there"
        } else if !entry.stats.0.keys().all(has_field) {
            "has statistics of a field that is not in its set"
        } else if !order {
            "has an order that is not there"
        } else if !split {
            "has a split that is not there, or does not fit"
        } else {
            return Ok(());
        };
        Err(Error::invalid(format!("file {} {wrong}", entry.id)))
    }
}

fn check_order(order: &SortOrder) -> Result<()> {
    if order.fields.is_empty() {
        return Err(Error::invalid(format!("order {} has no fields", order.id)));
    }
    unique("field of an order", order.fields.iter().map(|field| field.field))
}

fn check_split(split: &Split) -> Result<()> {
    if split.fields.is_empty() {
        return Err(Error::invalid(format!("split {} has no fields", split.id)));
    }
    unique("split field", split.fields.iter().map(|field| field.id))?;
    unique("split field", split.fields.iter().map(|field| field.name.key()))?;
    match split.fields.iter().find(|field| field.id < SplitField::FIRST_ID) {
        Some(field) => Err(Error::invalid(format!("a split field has the id {}, below 1000", field.id))),
        None => Ok(()),
    }
}

/// A transform takes what its field holds, as long as the field is there.
fn check_transform(schema: &Schema, split: &SplitField) -> Result<()> {
    let Some(field) = schema.field(split.field) else { return Ok(()) };
    match field.ty.primitive().and_then(|ty| split.transform.result_type(ty)) {
        Some(_) => Ok(()),
        None => Err(Error::invalid(format!(
            "{} does not take {}, which {} is",
            split.transform,
            field.ty.describe(),
            field.name
        ))),
    }
}

fn unique<T: Eq + Hash + Display>(what: &str, items: impl IntoIterator<Item = T>) -> Result<()> {
    let mut known = HashSet::new();
    for item in items {
        if known.contains(&item) {
            return Err(Error::invalid(format!("the {what} {item} is repeated")));
        }
        known.insert(item);
    }
    Ok(())
}
