//! How a table's node stands in JSON, format version 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Constraint, Direction, FieldSet, Layout, NullOrder, OrderId, SortField, SortOrder, Split, SplitField,
    SplitFieldId, SplitId, Table, TableSchema, Totals,
};
use crate::embed;
use crate::error::{Error, Result};
use crate::hash::RefV1;
use crate::id::{FieldId, FileId, RowId, Seq, TableId};
use crate::json::{self, Header, Wire, unique_map};
use crate::name::ColumnName;
use crate::schema::SchemaWire;
use crate::text::{Comment, SqlText, TableProperties};
use crate::time::Timestamp;

/// A schema whose text is longer is stored as an object of its own, so that small commits stay small [TBL-1].
pub const MAX_INLINE_SCHEMA: usize = 4096;

#[derive(Serialize, Deserialize)]
struct TableV1 {
    #[serde(flatten)]
    header: Header,
    id: TableId,
    created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<SchemaWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema_ref: Option<RefV1>,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "Vec::is_empty")]
    field_sets: Vec<Vec<(FieldId, FieldId)>>,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "Vec::is_empty")]
    key: Vec<FieldId>,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "Vec::is_empty")]
    orders: Vec<OrderV1>,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "Vec::is_empty")]
    splits: Vec<SplitV1>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "LayoutV1::is_empty"
    )]
    layout: LayoutV1,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "Vec::is_empty")]
    constraints: Vec<ConstraintV1>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    properties: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "String::is_empty")]
    comment: String,
    next_row: RowId,
    next_file: FileId,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "is_never")]
    restored: Seq,
    files: Box<RawValue>,
    totals: TotalsV1,
}

#[derive(Serialize, Deserialize)]
struct OrderV1 {
    id: u32,
    fields: Vec<SortFieldV1>,
}

#[derive(Serialize, Deserialize)]
struct SortFieldV1 {
    field: FieldId,
    direction: String,
    nulls: String,
}

#[derive(Serialize, Deserialize)]
struct SplitV1 {
    id: u32,
    fields: Vec<SplitFieldV1>,
}

#[derive(Serialize, Deserialize)]
struct SplitFieldV1 {
    id: u32,
    field: FieldId,
    name: String,
    transform: String,
}

#[derive(Default, Serialize, Deserialize)]
struct LayoutV1 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_file_bytes: Option<u64>,
}

impl LayoutV1 {
    fn is_empty(&self) -> bool {
        self.order.is_none() && self.split.is_none() && self.target_file_bytes.is_none()
    }
}

#[derive(Serialize, Deserialize)]
struct ConstraintV1 {
    name: String,
    check: String,
}

#[derive(Serialize, Deserialize)]
struct TotalsV1 {
    files: u64,
    rows: u64,
    bytes: u64,
    deleted: u64,
}

fn is_never(version: &Seq) -> bool {
    version.0 == 0
}

impl Wire for TableV1 {
    const KIND: &'static str = "table";
    fn header(&self) -> &Header {
        &self.header
    }
}

impl Table {
    /// Reads the text of a table's node.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, or `Unsupported` for a newer format or a kind of order that is not known.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let wire: TableV1 = json::parse(text)?;
        Self::from_wire(wire).map_err(|error| error.stored().at(TableV1::KIND))
    }

    /// The text of the node.
    ///
    /// # Errors
    /// `Invalid` if the node contradicts itself, `TooLarge` beyond the bound for metadata.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        self.check().map_err(|error| error.at(TableV1::KIND))?;
        let (schema, schema_ref) = match &self.schema {
            TableSchema::Inline(schema) => (Some(SchemaWire::try_from(schema)?), None),
            TableSchema::Stored(object) => (None, Some(RefV1::from(*object))),
        };
        json::write(&TableV1 {
            header: Header::of::<TableV1>(),
            id: self.id,
            created: self.created,
            schema,
            schema_ref,
            field_sets: self.field_sets.iter().map(|set| set.ranges().to_vec()).collect(),
            key: self.key.clone(),
            orders: self.orders.iter().map(OrderV1::from).collect(),
            splits: self.splits.iter().map(SplitV1::from).collect(),
            layout: self.layout.into(),
            constraints: self.constraints.iter().map(ConstraintV1::from).collect(),
            properties: self.properties.to_wire(),
            comment: self.comment.as_str().to_owned(),
            next_row: self.next_row,
            next_file: self.next_file,
            restored: self.restored,
            files: embed::root_to_wire(&self.files)?,
            totals: self.totals.into(),
        })
    }

    fn from_wire(wire: TableV1) -> Result<Self> {
        let schema = match (wire.schema, wire.schema_ref) {
            (Some(schema), None) => TableSchema::Inline(schema.try_into()?),
            (None, Some(object)) => TableSchema::Stored(object.into()),
            _ => {
                return Err(Error::malformed("one of `schema` and `schema_ref` must be there, and only one"));
            }
        };
        let table = Self {
            schema,
            id: wire.id,
            created: wire.created,
            field_sets: wire.field_sets.into_iter().map(FieldSet::from_ranges).collect::<Result<_>>()?,
            key: wire.key,
            orders: wire.orders.into_iter().map(SortOrder::try_from).collect::<Result<_>>()?,
            splits: wire.splits.into_iter().map(Split::try_from).collect::<Result<_>>()?,
            layout: wire.layout.into(),
            constraints: wire.constraints.into_iter().map(Constraint::try_from).collect::<Result<_>>()?,
            properties: TableProperties::from_wire(wire.properties)?,
            comment: Comment::new(wire.comment).map_err(|error| error.at("comment"))?,
            next_row: wire.next_row,
            next_file: wire.next_file,
            restored: wire.restored,
            files: embed::root_from_wire(&wire.files)?,
            totals: wire.totals.into(),
        };
        table.check()?;
        Ok(table)
    }
}

impl From<&SortOrder> for OrderV1 {
    fn from(order: &SortOrder) -> Self {
        let field = |field: &SortField| SortFieldV1 {
            field: field.field,
            direction: field.direction.as_str().to_owned(),
            nulls: field.nulls.as_str().to_owned(),
        };
        Self { id: order.id.0, fields: order.fields.iter().map(field).collect() }
    }
}

impl TryFrom<OrderV1> for SortOrder {
    type Error = Error;

    fn try_from(wire: OrderV1) -> Result<Self> {
        let field = |field: SortFieldV1| {
            Ok(SortField {
                field: field.field,
                direction: Direction::parse(&field.direction)?,
                nulls: NullOrder::parse(&field.nulls)?,
            })
        };
        Ok(Self { id: OrderId(wire.id), fields: wire.fields.into_iter().map(field).collect::<Result<_>>()? })
    }
}

impl From<&Split> for SplitV1 {
    fn from(split: &Split) -> Self {
        let field = |field: &SplitField| SplitFieldV1 {
            id: field.id.0,
            field: field.field,
            name: field.name.as_str().to_owned(),
            transform: field.transform.to_string(),
        };
        Self { id: split.id.0, fields: split.fields.iter().map(field).collect() }
    }
}

impl TryFrom<SplitV1> for Split {
    type Error = Error;

    fn try_from(wire: SplitV1) -> Result<Self> {
        let field = |field: SplitFieldV1| {
            Ok(SplitField {
                id: SplitFieldId(field.id),
                field: field.field,
                name: ColumnName::new(field.name)?,
                transform: field.transform.parse()?,
            })
        };
        Ok(Self { id: SplitId(wire.id), fields: wire.fields.into_iter().map(field).collect::<Result<_>>()? })
    }
}

impl From<Layout> for LayoutV1 {
    fn from(layout: Layout) -> Self {
        Self {
            order: layout.order.map(|id| id.0),
            split: layout.split.map(|id| id.0),
            target_file_bytes: layout.target_file_bytes,
        }
    }
}

impl From<LayoutV1> for Layout {
    fn from(wire: LayoutV1) -> Self {
        Self {
            order: wire.order.map(OrderId),
            split: wire.split.map(SplitId),
            target_file_bytes: wire.target_file_bytes,
        }
    }
}

impl From<&Constraint> for ConstraintV1 {
    fn from(constraint: &Constraint) -> Self {
        Self { name: constraint.name.as_str().to_owned(), check: constraint.check.as_str().to_owned() }
    }
}

impl TryFrom<ConstraintV1> for Constraint {
    type Error = Error;

    fn try_from(wire: ConstraintV1) -> Result<Self> {
        let check =
            SqlText::new(wire.check).map_err(|error| error.at(format_args!("constraint {}", wire.name)))?;
        Ok(Self { name: ColumnName::new(wire.name)?, check })
    }
}

impl From<Totals> for TotalsV1 {
    fn from(totals: Totals) -> Self {
        Self { files: totals.files, rows: totals.rows, bytes: totals.bytes, deleted: totals.deleted }
    }
}

impl From<TotalsV1> for Totals {
    fn from(wire: TotalsV1) -> Self {
        Self { files: wire.files, rows: wire.rows, bytes: wire.bytes, deleted: wire.deleted }
    }
}
