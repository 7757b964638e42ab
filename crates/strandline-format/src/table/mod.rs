//! A table's node: its schema, how its rows are laid out, what it promises, and its files [TBL-1].
//!
//! Invariants, checked when a node is read and when it is written, as far as its own text shows: ids handed out lie below
//! `next_file` and `next_row` [TBL-4]; whatever an entry or a hint refers to by number is there [TBL-5]; totals are those
//! of the files [TBL-6]. What does not belong here: schema evolution (`schema`), what a file entry means (`file`), views
//! and namespaces.

mod check;
mod field_set;
mod layout;
mod schema_object;
mod totals;
mod wire;

pub use field_set::FieldSet;
pub use layout::{
    Direction, Layout, NullOrder, OrderId, SortField, SortOrder, Split, SplitField, SplitFieldId, SplitId,
};
pub use totals::Totals;
pub use wire::MAX_INLINE_SCHEMA;

use crate::file::Files;
use crate::hash::ObjectRef;
use crate::id::{FieldId, FileId, RowId, Seq, TableId};
use crate::name::ColumnName;
use crate::schema::Schema;
use crate::text::{Comment, SqlText, TableProperties};
use crate::time::Timestamp;
use crate::tree::Root;

/// Where a table's schema stands.
///
/// ```
#[doc = include_str!("../schema/schema.example")]
/// use strandline_format::TableSchema;
///
/// // A long one is an object of its own, so that small commits stay small.
/// let columns = schema(&["id", "note"]);
/// assert!(!columns.wants_own_object()?);
/// let stands = TableSchema::Inline(columns);
/// assert!(matches!(stands, TableSchema::Inline(_)));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableSchema {
    /// In the node.
    Inline(Schema),
    /// In an object of its own, because it is long.
    Stored(ObjectRef),
}

/// A condition that all rows meet.
///
/// ```
/// use strandline_format::{ColumnName, Constraint, SqlText};
///
/// let positive = Constraint { name: ColumnName::new("positive")?, check: SqlText::new("amount > 0")? };
/// assert_eq!(positive.check.as_str(), "amount > 0");
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Its name among the table's constraints.
    pub name: ColumnName,
    /// A boolean SQL expression over the columns.
    pub check: SqlText,
}

/// A table at one moment.
///
/// ```
/// use strandline_format::{PrimitiveType, ColumnName, Field, Schema, Table, TableId, TableSchema, Timestamp};
/// let schema = Schema::numbered(vec![Field::required(ColumnName::new("id")?, PrimitiveType::Long)])?;
/// let table = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, TableSchema::Inline(schema));
/// assert_eq!(Table::parse(&table.to_json()?)?, table);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The table, whatever it is called.
    pub id: TableId,
    /// When it was made.
    pub created: Timestamp,
    /// Its columns.
    pub schema: TableSchema,
    /// The sets of field ids that files were written with; file entries refer to them by place.
    pub field_sets: Vec<FieldSet>,
    /// The fields that identify a row, if any.
    pub key: Vec<FieldId>,
    /// The orders that rows may lie in.
    pub orders: Vec<SortOrder>,
    /// The ways in which rows may be split over files.
    pub splits: Vec<Split>,
    /// How a writer should lay out rows.
    pub layout: Layout,
    /// What all rows meet.
    pub constraints: Vec<Constraint>,
    /// What programs keep with it.
    pub properties: TableProperties,
    /// What it is for.
    pub comment: Comment,
    /// The first row id that was not handed out.
    pub next_row: RowId,
    /// The first file id that was not handed out.
    pub next_file: FileId,
    /// The last version that took rows from another one than that before it, but by a plain merge [TBL-12].
    pub restored: Seq,
    /// Its files.
    pub files: Root<Files>,
    /// What its files come to.
    pub totals: Totals,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(id: TableId, created: Timestamp, schema: TableSchema) -> Self {
        Self {
            id,
            created,
            schema,
            field_sets: Vec::new(),
            key: Vec::new(),
            orders: Vec::new(),
            splits: Vec::new(),
            layout: Layout::default(),
            constraints: Vec::new(),
            properties: TableProperties::default(),
            comment: Comment::default(),
            next_row: RowId(0),
            next_file: FileId(0),
            restored: Seq(0),
            files: Root::default(),
            totals: Totals::default(),
        }
    }

    /// The place of a set of field ids, which is added if no file was written with it yet.
    ///
    /// # Errors
    /// `TooLarge` if there are too many to count.
    pub fn field_set(&mut self, set: &FieldSet) -> crate::Result<u32> {
        let at = self.field_sets.iter().position(|known| known == set).unwrap_or_else(|| {
            self.field_sets.push(set.clone());
            self.field_sets.len() - 1
        });
        u32::try_from(at).map_err(|_| crate::Error::too_large("too many sets of field ids"))
    }
}
