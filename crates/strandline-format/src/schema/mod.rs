//! Schemas: columns with ids that are never used again, and nested ones.
//!
//! Invariants: a [`Schema`] that exists has passed its rules [SCH-2..8], so that lookups cannot fail half-way and whatever
//! is written can be read. Columns are told apart by id alone; names are for people. Evolution is the business of
//! `evolve`, merging of `merge`, JSON of `wire`.

mod evolve;
mod field;
mod index;
mod merge;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

pub use evolve::{Position, RANDOM_FIELD_IDS, SchemaEdit};
pub use field::{Field, Type};
pub use merge::{SchemaConflict, SchemaConflictKind, SchemaMerge};
pub(crate) use wire::SchemaWire;

use crate::error::{Error, Result};
use crate::id::{FieldId, RESERVED_FIELD_IDS};
use crate::name::NameKey;
use crate::text::Comment;
use crate::value::PrimitiveType;
use index::Index;

/// How deep types may nest, so that a schema's JSON stays within the depth that is parsed [SCH-8].
pub const MAX_TYPE_DEPTH: usize = 16;

/// The number of a schema within its table: it grows with each change.
///
/// ```
#[doc = include_str!("schema.example")]
/// use strandline_format::{FieldId, SchemaEdit};
///
/// let first = schema(&["id", "note"]);
/// let second = first.edited(&[SchemaEdit::Drop(FieldId(2))], &[], &mut || 70_000)?;
/// assert!(second.id() > first.id());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(pub u32);

/// The columns of a table.
///
/// ```
/// use strandline_format::{ColumnName, Field, FieldId, PrimitiveType, Schema};
/// let fields = vec![
///     Field::required(ColumnName::new("order_id")?, PrimitiveType::Long),
///     Field::optional(ColumnName::new("Comment")?, PrimitiveType::String),
/// ];
/// let schema = Schema::numbered(fields)?;
/// assert_eq!(schema.find(["comment"]).unwrap().id, FieldId(2));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schema {
    id: SchemaId,
    fields: Vec<Field>,
    dropped: BTreeSet<FieldId>,
    index: Index,
}

impl Schema {
    /// A schema of fields that have their ids.
    ///
    /// # Errors
    /// `Invalid`, naming the field and the rule that is broken.
    pub fn new(id: SchemaId, fields: Vec<Field>, dropped: BTreeSet<FieldId>) -> Result<Self> {
        dropped.iter().try_for_each(|id| check_id(*id))?;
        check_siblings(&fields, "")?;
        fields.iter().try_for_each(|field| check_field(field, "", 0))?;
        let index = Index::of(&fields)?;
        if let Some(id) = index.ids().find(|id| dropped.contains(id)) {
            return Err(Error::invalid(format!("field id {id} is in use and dropped")));
        }
        Ok(Self { id, fields, dropped, index })
    }

    /// The first schema of a table. The fields get the ids from 1 in order, each before those within it [SCH-5].
    ///
    /// # Errors
    /// `Invalid`, naming the field and the rule that is broken.
    pub fn numbered(mut fields: Vec<Field>) -> Result<Self> {
        let mut last = FieldId(0);
        for field in &mut fields {
            field.renumber(&mut || {
                last = last.next()?;
                Ok(last)
            })?;
        }
        Self::new(SchemaId(0), fields, BTreeSet::new())
    }

    /// The same of a table, whose columns have no name that rows and what became of them are told with [SCH-14].
    ///
    /// ```
    /// use strandline_format::{ColumnName, Field, PrimitiveType, Schema};
    /// let column = |name: &str| Ok::<_, strandline_format::Error>(Field::optional(ColumnName::new(name)?, PrimitiveType::Long));
    /// assert!(Schema::of_new_table(vec![column("_row_id")?]).is_err());
    /// assert_eq!(Schema::of_new_table(vec![column("id")?])?, Schema::numbered(vec![column("id")?])?);
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid`, naming the field and the rule that is broken.
    pub fn of_new_table(fields: Vec<Field>) -> Result<Self> {
        fields.iter().try_for_each(check_column_name)?;
        Self::numbered(fields)
    }

    /// The schema's number within its table.
    #[must_use]
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// The columns, in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The ids that were dropped, which no field gets again [SCH-6].
    #[must_use]
    pub fn dropped(&self) -> &BTreeSet<FieldId> {
        &self.dropped
    }

    /// The field with this id, nested ones too.
    #[must_use]
    pub fn field(&self, id: FieldId) -> Option<&Field> {
        self.index.field(&self.fields, id)
    }

    /// The names from a column to the field with this id, both included.
    #[must_use]
    pub fn path(&self, id: FieldId) -> Option<Vec<&str>> {
        let trail = self.index.trail(&self.fields, id)?;
        Some(trail.into_iter().map(|field| field.name.as_str()).collect())
    }

    /// The field at a path of names; case does not matter. Within lists and maps the names are `element`, `key`, `value`.
    #[must_use]
    pub fn find<'n>(&self, path: impl IntoIterator<Item = &'n str>) -> Option<&Field> {
        let mut names = path.into_iter();
        let first = self.index.column(&NameKey::of(names.next()?))?;
        names.try_fold(&self.fields[first], |field, name| {
            let key = NameKey::of(name);
            field.ty.children().iter().find(|child| *child.name.key() == key)
        })
    }

    /// The ids of all fields, nested ones too, ascending.
    pub fn ids(&self) -> impl Iterator<Item = FieldId> + '_ {
        self.index.ids()
    }

    /// The fields that have values of their own, in order: those that statistics are kept for, and that the set of a file
    /// written with this schema has [TBL-3].
    #[must_use]
    pub fn leaves(&self) -> Vec<(FieldId, PrimitiveType)> {
        let mut leaves = Vec::new();
        self.fields.iter().for_each(|field| field.collect_leaves(&mut leaves));
        leaves
    }

    /// Checks that these fields can identify rows [SCH-9]: they and all around them required, not in a list or map, not
    /// nested types, not float or double.
    ///
    /// # Errors
    /// `Invalid`, naming the field and why not.
    pub fn check_key(&self, key: &[FieldId]) -> Result<()> {
        key.iter().try_for_each(|id| self.check_key_field(*id))
    }

    fn check_key_field(&self, id: FieldId) -> Result<()> {
        let refuse = |why: &str| Err(Error::invalid(format!("key field {}: {why}", self.describe(id))));
        let Some(trail) = self.index.trail(&self.fields, id) else {
            return refuse("there is no such field");
        };
        if trail.iter().any(|field| !field.required) {
            return refuse("a key, and all that it stands in, must be required");
        }
        if trail.iter().any(|field| matches!(field.ty, Type::List(_) | Type::Map(_))) {
            return refuse("a key cannot stand in a list or a map");
        }
        match trail.last().map(|field| &field.ty) {
            Some(Type::Primitive(ty)) if !ty.is_floating() => Ok(()),
            _ => refuse("a key cannot be a float, a double or a nested type"),
        }
    }

    /// A field as people know it, for messages: its path of names, or its id if it is not there.
    #[must_use]
    pub fn describe(&self, id: FieldId) -> String {
        self.path(id).map_or_else(|| format!("#{id}"), |path| path.join("."))
    }
}

/// The number is part of the schema, what was indexed follows from the rest.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.has_same_fields(other)
    }
}

impl Eq for Schema {}

impl Schema {
    /// Whether the fields are the same, whatever the schemas' numbers.
    #[must_use]
    pub fn has_same_fields(&self, other: &Self) -> bool {
        self.fields == other.fields && self.dropped == other.dropped
    }
}

/// What columns beside those of a table are called: of files that store row ids, and of rows and changes that are told [SCH-14].
const TAKEN: [&str; 6] = [
    "_row_id",
    "_last_updated_sequence_number",
    "_last_updated",
    "_change_type",
    "_commit_version",
    "_commit_timestamp",
];

/// [SCH-14].
fn check_column_name(column: &Field) -> Result<()> {
    match TAKEN.contains(&column.name.key().as_str()) {
        true => Err(Error::invalid(format!(
            "column {:?}: what rows are and what became of them is told under this name beside the columns of a table: choose another one",
            column.name.as_str()
        ))),
        false => Ok(()),
    }
}

/// [SCH-4].
fn check_id(id: FieldId) -> Result<()> {
    if (FieldId(1)..RESERVED_FIELD_IDS).contains(&id) {
        return Ok(());
    }
    Err(Error::invalid(format!("field id {id} is not between 1 and {}", RESERVED_FIELD_IDS.0 - 1)))
}

/// [SCH-3]: siblings have names that differ in more than case.
fn check_siblings(fields: &[Field], parent: &str) -> Result<()> {
    let mut seen: HashMap<&NameKey, &Field> = HashMap::with_capacity(fields.len());
    for field in fields {
        if let Some(other) = seen.insert(field.name.key(), field) {
            if other.name.as_str() == field.name.as_str() {
                return Err(Error::invalid(format!("two fields are called {parent}{}", field.name)));
            }
            return Err(Error::invalid(format!(
                "fields {parent}{} and {parent}{} have the same name but for case",
                other.name, field.name
            )));
        }
    }
    Ok(())
}

fn check_field(field: &Field, parent: &str, depth: usize) -> Result<()> {
    let at = |error: Error| error.at(format!("field {parent}{}", field.name));
    if depth >= MAX_TYPE_DEPTH {
        return Err(at(Error::invalid(format!("types nest deeper than {MAX_TYPE_DEPTH}"))));
    }
    check_id(field.id).map_err(at)?;
    check_doc_and_defaults(field).map_err(at)?;
    field.ty.check_shape().map_err(at)?;
    let children = field.ty.children();
    if children.is_empty() {
        return Ok(());
    }
    let path = format!("{parent}{}.", field.name);
    check_siblings(children, &path)?;
    children.iter().try_for_each(|child| check_field(child, &path, depth + 1))
}

/// [SCH-7]: defaults are of the field's type, which is a primitive one.
fn check_doc_and_defaults(field: &Field) -> Result<()> {
    field.doc.as_ref().map(|doc| Comment::new(doc.as_str())).transpose()?;
    for value in [&field.initial, &field.default].into_iter().flatten() {
        match &field.ty {
            Type::Primitive(ty) => value.check(*ty)?,
            _ => return Err(Error::invalid("only fields of primitive types have defaults")),
        }
        if value.is_nan() {
            return Err(Error::invalid("NaN is no default: it cannot be written"));
        }
    }
    Ok(())
}
