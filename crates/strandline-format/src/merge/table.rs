//! Three-way merge of table nodes, member by member; the files are merged apart, entry by entry [REB-2].

use std::collections::BTreeMap;

use crate::error::Result;
use crate::id::FieldId;
use crate::merge::ListMap;
use crate::merge::value::{Merged, merge_maps, merge_value};
use crate::name::NameKey;
use crate::schema::{Schema, SchemaConflict, SchemaMerge};
use crate::table::{Constraint, Layout, Table, TableSchema};
use crate::text::{Comment, PropertyKey, PropertyValue, TableProperties};

/// A table's node with its schema, which may be an object of its own and is therefore handed in.
///
/// ```
#[doc = include_str!("../schema/schema.example")]
/// use strandline_format::merge::TableSide;
/// use strandline_format::{Table, TableId, TableSchema, Timestamp};
///
/// let columns = schema(&["id"]);
/// let orders = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, TableSchema::Inline(columns.clone()));
/// let side = TableSide { table: &orders, schema: &columns };
/// side.table.check_schema(side.schema)?;
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TableSide<'a> {
    /// The node.
    pub table: &'a Table,
    /// The schema that it has.
    pub schema: &'a Schema,
}

/// What two nodes come to.
///
/// ```
#[doc = include_str!("../schema/schema.example")]
/// use strandline_format::merge::{TableSide, merge_tables};
/// use strandline_format::{Comment, Table, TableId, TableSchema, Timestamp};
///
/// let columns = schema(&["id"]);
/// let base = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, TableSchema::Inline(columns.clone()));
/// let theirs = Table { comment: Comment::new("all that was ordered")?, ..base.clone() };
/// let side = |table| TableSide { table, schema: &columns };
/// let merge = merge_tables(side(&base), side(&base), side(&theirs))?;
/// assert_eq!(merge.table.comment, theirs.comment);
/// assert!(merge.conflicts.is_empty());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TableMerge {
    /// The merged node. Its files, totals and next ids are ours' still: the caller merges the entries, counts on with
    /// [`Totals::edited`](crate::Totals::edited) and takes the next ids from [`Pieces::complete`](crate::Pieces::complete).
    /// A schema that neither side has stands in it, however long. Rows of one side are not held against constraints of the other
    /// yet [REB-11].
    pub table: Table,
    /// The merged schema.
    pub schema: Schema,
    /// Where what their entries refer to stands in the merged node.
    pub lists: ListMap,
    /// All that the sides disagree on; nothing may be committed while there is any.
    pub conflicts: Vec<TableConflict>,
}

/// Something of a table that two sides disagree on.
///
/// ```
#[doc = include_str!("../schema/schema.example")]
/// use strandline_format::merge::{TableConflict, TableSide, merge_tables};
/// use strandline_format::{Comment, Table, TableId, TableSchema, Timestamp};
///
/// let columns = schema(&["id"]);
/// let base = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, TableSchema::Inline(columns.clone()));
/// let [ours, theirs] =
///     ["all of them", "those of today"].map(|text| Table { comment: Comment::new(text).unwrap(), ..base.clone() });
/// let side = |table| TableSide { table, schema: &columns };
/// let merge = merge_tables(side(&base), side(&ours), side(&theirs))?;
/// assert!(matches!(merge.conflicts[0], TableConflict::Comment { .. }));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum TableConflict {
    /// Of the schema.
    Schema(SchemaConflict),
    /// A property.
    Property {
        /// Which.
        key: PropertyKey,
        /// Our value; `None` if we have none.
        ours: Option<PropertyValue>,
        /// Their value.
        theirs: Option<PropertyValue>,
    },
    /// A constraint.
    Constraint {
        /// Ours; `None` if we have none.
        ours: Option<Constraint>,
        /// Theirs.
        theirs: Option<Constraint>,
    },
    /// The comment.
    Comment {
        /// Ours.
        ours: Comment,
        /// Theirs.
        theirs: Comment,
    },
    /// The fields that identify a row, which both sides changed, or which the merged schema does not allow.
    Key {
        /// Ours.
        ours: Vec<FieldId>,
        /// Theirs.
        theirs: Vec<FieldId>,
    },
}

/// Merges what two sides did to a table since the base.
///
/// ```
#[doc = include_str!("../schema/schema.example")]
/// use strandline_format::merge::{TableSide, merge_tables};
/// use strandline_format::{FieldId, Table, TableId, TableSchema, Timestamp};
///
/// let columns = schema(&["id"]);
/// let base = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, TableSchema::Inline(columns.clone()));
/// let ours = Table { key: vec![FieldId(1)], ..base.clone() };
/// let side = |table| TableSide { table, schema: &columns };
/// assert_eq!(merge_tables(side(&base), side(&ours), side(&base))?.table.key, [FieldId(1)]);
/// # Ok::<(), strandline_format::Error>(())
/// ```
///
/// # Errors
/// Those of [`Schema::merge`]; `Invalid` if the properties of both are too many, `TooLarge` if ids are used up.
pub fn merge_tables(base: TableSide<'_>, ours: TableSide<'_>, theirs: TableSide<'_>) -> Result<TableMerge> {
    let mut conflicts = Vec::new();
    let schema = match Schema::merge(base.schema, ours.schema, theirs.schema)? {
        SchemaMerge::Merged(schema) => schema,
        SchemaMerge::Conflicts(found) => {
            conflicts.extend(found.into_iter().map(TableConflict::Schema));
            ours.schema.clone()
        }
    };
    let (base_table, our_table, their_table) = (base.table, ours.table, theirs.table);
    let mut table = our_table.clone();
    let lists = ListMap::merge(&mut table, their_table)?;
    table.schema = stored_schema(&schema, ours, theirs);
    table.properties = merge_properties(base_table, our_table, their_table, &mut conflicts)?;
    table.constraints = merge_constraints(base_table, our_table, their_table, &mut conflicts);
    table.comment = merge_comment(base_table, our_table, their_table, &mut conflicts);
    table.key = merge_key(base_table, our_table, their_table, &schema, &mut conflicts);
    table.layout = merge_layout(base_table, our_table, their_table, &lists);
    Ok(TableMerge { table, schema, lists, conflicts })
}

/// A side's schema stays where it is; another one stands in the node until the caller decides that it is too long.
fn stored_schema(schema: &Schema, ours: TableSide<'_>, theirs: TableSide<'_>) -> TableSchema {
    match [ours, theirs].into_iter().find(|side| side.schema == schema) {
        Some(side) => side.table.schema.clone(),
        None => TableSchema::Inline(schema.clone()),
    }
}

fn merge_properties(
    base: &Table,
    ours: &Table,
    theirs: &Table,
    conflicts: &mut Vec<TableConflict>,
) -> Result<TableProperties> {
    let map = |table: &Table| -> BTreeMap<PropertyKey, PropertyValue> {
        table.properties.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let merged = merge_maps(&map(base), &map(ours), &map(theirs), |key, ours, theirs| {
        conflicts.push(TableConflict::Property {
            key: key.clone(),
            ours: ours.cloned(),
            theirs: theirs.cloned(),
        });
    });
    let mut properties = TableProperties::default();
    for (key, value) in merged {
        properties.set(key, value)?;
    }
    Ok(properties)
}

fn merge_constraints(
    base: &Table,
    ours: &Table,
    theirs: &Table,
    conflicts: &mut Vec<TableConflict>,
) -> Vec<Constraint> {
    let (base, our_map, their_map) = (constraints(base), constraints(ours), constraints(theirs));
    let mut merged = merge_maps(&base, &our_map, &their_map, |_, ours, theirs| {
        conflicts.push(TableConflict::Constraint { ours: ours.cloned(), theirs: theirs.cloned() });
    });
    // Ours in their order, then theirs in theirs.
    let order = ours.constraints.iter().chain(&theirs.constraints);
    order.filter_map(|constraint| merged.remove(constraint.name.key())).collect()
}

fn constraints(table: &Table) -> BTreeMap<NameKey, Constraint> {
    let by_name = |constraint: &Constraint| (constraint.name.key().clone(), constraint.clone());
    table.constraints.iter().map(by_name).collect()
}

fn merge_comment(base: &Table, ours: &Table, theirs: &Table, conflicts: &mut Vec<TableConflict>) -> Comment {
    match merge_value(&&base.comment, &ours.comment, &theirs.comment) {
        Merged::Value(comment) => comment.clone(),
        Merged::Conflict => {
            let (ours, theirs) = (ours.comment.clone(), theirs.comment.clone());
            conflicts.push(TableConflict::Comment { ours: ours.clone(), theirs });
            ours
        }
    }
}

fn merge_key(
    base: &Table,
    ours: &Table,
    theirs: &Table,
    schema: &Schema,
    conflicts: &mut Vec<TableConflict>,
) -> Vec<FieldId> {
    let merged = merge_value(&&base.key, &ours.key, &theirs.key);
    if let Merged::Value(key) = &merged
        && schema.check_key(key).is_ok()
    {
        return (*key).clone();
    }
    // After a conflict of the schemas nothing certain can be said of the key.
    let already_told = conflicts.iter().any(|conflict| matches!(conflict, TableConflict::Schema(_)));
    if merged == Merged::Conflict || !already_told {
        conflicts.push(TableConflict::Key { ours: ours.key.clone(), theirs: theirs.key.clone() });
    }
    ours.key.clone()
}

/// Hints never conflict: where both sides changed one, ours counts.
fn merge_layout(base: &Table, ours: &Table, theirs: &Table, lists: &ListMap) -> Layout {
    fn hint<T: Copy + PartialEq>(base: Option<T>, ours: Option<T>, theirs: Option<T>) -> Option<T> {
        match merge_value(&base, ours, theirs) {
            Merged::Value(value) => value,
            Merged::Conflict => ours,
        }
    }
    let (base, ours, theirs) = (base.layout, ours.layout, theirs.layout);
    Layout {
        order: hint(base.order, ours.order, theirs.order.and_then(|id| lists.order(id))),
        split: hint(base.split, ours.split, theirs.split.and_then(|id| lists.split(id))),
        target_file_bytes: hint(base.target_file_bytes, ours.target_file_bytes, theirs.target_file_bytes),
    }
}
