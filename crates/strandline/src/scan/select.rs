//! Which columns a scan gives: names and paths, resolved against a schema.

use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::SchemaRef;
use strandline_format::{Field, FieldId, Schema, Type};

use crate::error::Result;

/// Some of a table's columns, or parts of nested ones, and what they are in Arrow.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) fields: Vec<Field>,
    pub(super) schema: SchemaRef,
}

impl Wanted {
    /// All columns of a table.
    pub(super) fn all(schema: &Schema) -> Result<Self> {
        Self::of(schema, schema.fields().to_vec())
    }

    /// The columns of these names or paths, in their order. Paths into one column make one column of its parts.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is not there, with the nearest ones.
    pub(super) fn named(schema: &Schema, names: &[String]) -> Result<Self> {
        let ids = names.iter().map(|name| find(schema, name)).collect::<Result<Vec<_>>>()?;
        Self::with_ids(schema, &ids)
    }

    /// The fields with these ids, each within what it stands in.
    pub(super) fn with_ids(schema: &Schema, ids: &[FieldId]) -> Result<Self> {
        let mut columns: HashMap<FieldId, usize> = HashMap::new();
        for (place, column) in schema.fields().iter().enumerate() {
            note(column, place, &mut columns);
        }
        let (mut places, mut known) = (Vec::new(), BTreeSet::new());
        for place in ids.iter().filter_map(|id| columns.get(id)) {
            if known.insert(*place) {
                places.push(*place);
            }
        }
        let kept: BTreeSet<FieldId> = ids.iter().copied().collect();
        let fields = places.iter().filter_map(|place| part(&schema.fields()[*place], &kept)).collect();
        Self::of(schema, fields)
    }

    fn of(schema: &Schema, fields: Vec<Field>) -> Result<Self> {
        let narrowed = Schema::new(schema.id(), fields, BTreeSet::new())?;
        Ok(Self { schema: crate::columns::arrow_schema(&narrowed), fields: narrowed.fields().to_vec() })
    }
}

/// A column by its name, or a field by the path of names to it. A column whose name holds dots goes first.
fn find(schema: &Schema, name: &str) -> Result<FieldId> {
    if let Some(field) = schema.find([name]).or_else(|| schema.find(name.split('.'))) {
        return Ok(field.id);
    }
    let paths: Vec<String> = schema.ids().map(|id| schema.describe(id)).collect();
    let message = format!("there is no column {name:?}");
    Err(crate::near::not_there(message, name, paths.iter().map(String::as_str)))
}

/// Notes in which column a field and those within it stand.
fn note(field: &Field, place: usize, columns: &mut HashMap<FieldId, usize>) {
    columns.insert(field.id, place);
    field.ty.children().iter().for_each(|child| note(child, place, columns));
}

/// What is left of a field if only some ids are wanted; a wanted field is wanted with all within it. A map is given with its keys and values, of
/// which those may be in part.
fn part(field: &Field, wanted: &BTreeSet<FieldId>) -> Option<Field> {
    if wanted.contains(&field.id) {
        return Some(field.clone());
    }
    let ty = match &field.ty {
        Type::Primitive(_) => return None,
        Type::Struct(fields) => {
            let parts: Vec<Field> = fields.iter().filter_map(|field| part(field, wanted)).collect();
            (!parts.is_empty()).then_some(Type::Struct(parts))?
        }
        Type::List(element) => Type::List(Box::new([part(&element[0], wanted)?])),
        Type::Map(pair) => {
            let [key, value] = &**pair;
            match (part(key, wanted), part(value, wanted)) {
                (None, None) => return None,
                (_, value_part) => {
                    Type::Map(Box::new([key.clone(), value_part.unwrap_or_else(|| value.clone())]))
                }
            }
        }
    };
    Some(Field { ty, ..field.clone() })
}
