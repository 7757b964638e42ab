//! Schemas: their rules, edits and merges.
//!
//! A schema comes out with all its defaults spelled out, so that it is compared as it is meant, not as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use strandline_format::{
    ColumnName, Error, Field, FieldId, FieldSet, Position, Schema, SchemaConflictKind, SchemaEdit,
    SchemaMerge, Type, Value,
};

use crate::outcome::{Failure, Outcome, json as outcome, read};

/// A schema to itself, defaults spelled out.
pub(crate) fn schema(input: &RawValue) -> Outcome {
    outcome(show(&parse(input)?)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyInput {
    schema: Box<RawValue>,
    key: Vec<FieldId>,
}

/// `{"schema", "key"}`: whether these fields can identify rows.
pub(crate) fn key(input: &RawValue) -> Outcome {
    let KeyInput { schema, key } = read(input)?;
    parse(&schema)?.check_key(&key)?;
    outcome("ok")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditInput {
    schema: Box<RawValue>,
    #[serde(default)]
    key: Vec<FieldId>,
    /// The random numbers that there are; each is used once.
    #[serde(default)]
    random: Vec<u32>,
    edits: Vec<BTreeMap<String, Box<RawValue>>>,
}

/// `{"schema", "key", "random", "edits"}` to the schema after the edits.
pub(crate) fn edit(input: &RawValue) -> Outcome {
    let EditInput { schema, key, random, edits } = read(input)?;
    let schema = parse(&schema)?;
    let edits = edits.iter().map(|edit| one_edit(&schema, edit)).collect::<Result<Vec<_>, Failure>>()?;
    let mut random = random.into_iter().cycle();
    outcome(show(&schema.edited(&edits, &key, &mut || random.next().unwrap_or_default())?)?)
}

fn one_edit(schema: &Schema, edit: &BTreeMap<String, Box<RawValue>>) -> Result<SchemaEdit, Failure> {
    let Some((verb, input)) = edit.first_key_value() else {
        return Err(Failure::Input("an edit without a verb".to_owned()));
    };
    Ok(match verb.as_str() {
        "add" => add(input)?,
        "drop" => SchemaEdit::Drop(read(input)?),
        "rename" => {
            let (id, name): (FieldId, String) = read(input)?;
            SchemaEdit::Rename(id, ColumnName::new(name)?)
        }
        "move" => {
            let (id, position): (FieldId, PositionInput) = read(input)?;
            SchemaEdit::Move(id, position.into())
        }
        "widen" => {
            let (id, ty): (FieldId, String) = read(input)?;
            SchemaEdit::Widen(id, ty.parse()?)
        }
        "relax" => SchemaEdit::Relax(read(input)?),
        "set default" => {
            let (id, value): (FieldId, Box<RawValue>) = read(input)?;
            SchemaEdit::SetDefault(id, default_of(schema, id, value.get())?)
        }
        "set doc" => {
            let (id, doc) = read(input)?;
            SchemaEdit::SetDoc(id, doc)
        }
        _ => return Err(Failure::Input(format!("{verb:?} is no edit"))),
    })
}

/// Where among its siblings: `"first"`, `"last"`, or after the field with this id.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum PositionInput {
    First,
    Last,
    After(FieldId),
}

impl From<PositionInput> for Position {
    fn from(input: PositionInput) -> Self {
        match input {
            PositionInput::First => Self::First,
            PositionInput::Last => Self::Last,
            PositionInput::After(id) => Self::After(id),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddInput {
    parent: Option<FieldId>,
    position: PositionInput,
    field: Box<RawValue>,
}

/// The ids of the field are there because a field has them; they are drawn anew.
fn add(input: &RawValue) -> Result<SchemaEdit, Failure> {
    let AddInput { parent, position, field } = read(input)?;
    let schema = parse_text(&format!(r#"{{"id":0,"fields":[{}]}}"#, field.get()))?;
    let field = schema.fields()[0].clone();
    Ok(SchemaEdit::Add { parent, position: position.into(), field })
}

fn default_of(schema: &Schema, id: FieldId, text: &str) -> Result<Option<Value>, Failure> {
    if text == "null" {
        return Ok(None);
    }
    let ty = schema.field(id).and_then(|field| field.ty.primitive());
    let ty = ty.ok_or_else(|| Failure::Input(format!("field {id} has no values")))?;
    Ok(Some(Value::from_json(ty, text)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MergeInput {
    base: Box<RawValue>,
    ours: Box<RawValue>,
    theirs: Box<RawValue>,
}

/// `{"base", "ours", "theirs"}` to `{"merged"}`, or to `{"conflicts"}`: field, path, and what of it.
pub(crate) fn merge(input: &RawValue) -> Outcome {
    let MergeInput { base, ours, theirs } = read(input)?;
    match Schema::merge(&parse(&base)?, &parse(&ours)?, &parse(&theirs)?)? {
        SchemaMerge::Merged(schema) => outcome(json!({ "merged": show(&schema)? })),
        SchemaMerge::Conflicts(conflicts) => {
            let conflict = |conflict: &strandline_format::SchemaConflict| {
                json!([conflict.field.0, conflict.path, word(conflict.kind)])
            };
            outcome(json!({ "conflicts": conflicts.iter().map(conflict).collect::<Vec<_>>() }))
        }
    }
}

fn word(kind: SchemaConflictKind) -> &'static str {
    match kind {
        SchemaConflictKind::Name => "name",
        SchemaConflictKind::Type => "type",
        SchemaConflictKind::Required => "required",
        SchemaConflictKind::Doc => "doc",
        SchemaConflictKind::Initial => "initial",
        SchemaConflictKind::Default => "default",
        SchemaConflictKind::Dropped => "dropped",
        SchemaConflictKind::Added => "added",
        SchemaConflictKind::SameName => "same name",
        SchemaConflictKind::Emptied => "emptied",
        _ => "other",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetInput {
    ranges: Vec<(FieldId, FieldId)>,
    has: FieldId,
}

/// `{"ranges", "has"}`: whether the set has a field.
pub(crate) fn field_set(input: &RawValue) -> Outcome {
    let SetInput { ranges, has } = read(input)?;
    outcome(FieldSet::from_ranges(ranges).map_err(Error::stored)?.contains(has))
}

fn parse(input: &RawValue) -> Result<Schema, Error> {
    parse_text(input.get())
}

/// A schema's text, by way of an object of its own.
fn parse_text(text: &str) -> Result<Schema, Error> {
    Schema::parse(format!(r#"{{"format":1,"kind":"schema","schema":{text}}}"#).as_bytes())
}

fn show(schema: &Schema) -> Result<Json, Error> {
    let fields = schema.fields().iter().map(show_field).collect::<Result<Vec<_>, _>>()?;
    let dropped: Vec<i32> = schema.dropped().iter().map(|id| id.0).collect();
    Ok(json!({ "id": schema.id().0, "fields": fields, "dropped": dropped }))
}

fn show_field(field: &Field) -> Result<Json, Error> {
    let mut shown = show_part(field)?;
    shown["name"] = json!(field.name.as_str());
    shown["doc"] = json!(field.doc);
    for (name, value) in [("initial", &field.initial), ("default", &field.default)] {
        if let Some(value) = value {
            shown[name] = serde_json::from_str(&value.to_json()?).unwrap_or_default();
        }
    }
    Ok(shown)
}

/// What fields, elements, keys and values share.
fn show_part(field: &Field) -> Result<Json, Error> {
    Ok(json!({ "id": field.id.0, "required": field.required, "type": show_type(&field.ty)? }))
}

fn show_type(ty: &Type) -> Result<Json, Error> {
    Ok(match ty {
        Type::Primitive(ty) => json!(ty.to_string()),
        Type::Struct(fields) => {
            json!({ "struct": fields.iter().map(show_field).collect::<Result<Vec<_>, _>>()? })
        }
        Type::List(parts) => json!({ "list": show_part(&parts[0])? }),
        Type::Map(parts) => {
            json!({ "map": { "key": show_part(&parts[0])?, "value": show_part(&parts[1])? } })
        }
    })
}
