//! Schemas in JSON [SCH-1].
//!
//! Invariant: what is read here has passed the same checks as a schema made by a caller, and is `Malformed` where that one
//! would be `Invalid`.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Field, Schema, SchemaId, Type};
use crate::error::{Error, Result};
use crate::hash::clip;
use crate::id::FieldId;
use crate::json::through_serde;
use crate::name::ColumnName;
use crate::value::{PrimitiveType, Value};

type Wired<T, E> = std::result::Result<T, E>;

/// A schema of format version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SchemaWire {
    id: u32,
    fields: Vec<FieldWire>,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<FieldId>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct FieldWire {
    id: FieldId,
    name: String,
    #[serde(rename = "type")]
    ty: TypeWire,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "is_false")]
    required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    initial: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Box<RawValue>>,
}

/// The element of a list, the key or the value of a map: a field whose name says nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartWire {
    id: FieldId,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "is_false")]
    required: bool,
    #[serde(rename = "type")]
    ty: TypeWire,
}

/// The key of a map is always required, so that it has no such member.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeyWire {
    id: FieldId,
    #[serde(rename = "type")]
    ty: TypeWire,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct MapWire {
    key: KeyWire,
    value: PartWire,
}

#[derive(Clone, Debug)]
enum TypeWire {
    Primitive(PrimitiveType),
    Struct(Vec<FieldWire>),
    List(Box<PartWire>),
    Map(Box<MapWire>),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this shape")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Serialize for TypeWire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Wired<S::Ok, S::Error> {
        match self {
            Self::Primitive(ty) => serializer.collect_str(ty),
            Self::Struct(fields) => one_member(serializer, "struct", fields),
            Self::List(element) => one_member(serializer, "list", element),
            Self::Map(pair) => one_member(serializer, "map", pair),
        }
    }
}

fn one_member<S: Serializer>(serializer: S, name: &str, value: &impl Serialize) -> Wired<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, value)?;
    map.end()
}

impl<'de> Deserialize<'de> for TypeWire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Wired<Self, D::Error> {
        deserializer.deserialize_any(TypeVisitor)
    }
}

struct TypeVisitor;

impl<'de> Visitor<'de> for TypeVisitor {
    type Value = TypeWire;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a primitive type, or a struct, list or map")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Wired<TypeWire, E> {
        text.parse().map(TypeWire::Primitive).map_err(through_serde)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Wired<TypeWire, A::Error> {
        let empty = || A::Error::custom("a type without a name");
        let name: String = map.next_key()?.ok_or_else(empty)?;
        let ty = match name.as_str() {
            "struct" => TypeWire::Struct(map.next_value()?),
            "list" => TypeWire::List(map.next_value()?),
            "map" => TypeWire::Map(map.next_value()?),
            _ => {
                return Err(through_serde(Error::unsupported(format!(
                    "the type {:?} is not known here",
                    clip(&name)
                ))));
            }
        };
        match map.next_key::<String>()? {
            None => Ok(ty),
            Some(_) => Err(A::Error::custom("a type with two names")),
        }
    }
}

impl TryFrom<SchemaWire> for Schema {
    type Error = Error;

    fn try_from(wire: SchemaWire) -> Result<Self> {
        if !wire.dropped.is_sorted_by(|a, b| a < b) {
            return Err(Error::malformed("dropped field ids are repeated or not in order"));
        }
        let fields: Result<Vec<Field>> = wire.fields.into_iter().map(field_of).collect();
        Self::new(SchemaId(wire.id), fields?, wire.dropped.into_iter().collect()).map_err(Error::stored)
    }
}

fn field_of(wire: FieldWire) -> Result<Field> {
    let name = ColumnName::new(wire.name).map_err(Error::stored)?;
    let ty = type_of(wire.ty)?;
    let value = |text: Option<Box<RawValue>>| {
        text.map(|text| value_of(&ty, text.get()))
            .transpose()
            .map_err(|error| error.at(format!("field {name}")))
    };
    let (initial, default) = (value(wire.initial)?, value(wire.default)?);
    Ok(Field { id: wire.id, name, ty, required: wire.required, doc: wire.doc, initial, default })
}

fn value_of(ty: &Type, text: &str) -> Result<Value> {
    match ty {
        Type::Primitive(ty) => Value::from_json(*ty, text),
        _ => Err(Error::malformed("only fields of primitive types have defaults")),
    }
}

fn type_of(wire: TypeWire) -> Result<Type> {
    match wire {
        TypeWire::Primitive(ty) => Ok(Type::Primitive(ty)),
        TypeWire::Struct(fields) => {
            fields.into_iter().map(field_of).collect::<Result<Vec<Field>>>().map(Type::Struct)
        }
        TypeWire::List(element) => {
            let mut list = Type::list(type_of(element.ty)?, element.required)?;
            set_ids(&mut list, &[element.id]);
            Ok(list)
        }
        TypeWire::Map(pair) => {
            let mut map = Type::map(type_of(pair.key.ty)?, type_of(pair.value.ty)?, pair.value.required)?;
            set_ids(&mut map, &[pair.key.id, pair.value.id]);
            Ok(map)
        }
    }
}

fn set_ids(ty: &mut Type, ids: &[FieldId]) {
    ty.children_mut().iter_mut().zip(ids).for_each(|(part, id)| part.id = *id);
}

impl TryFrom<&Schema> for SchemaWire {
    type Error = Error;

    fn try_from(schema: &Schema) -> Result<Self> {
        let fields: Result<Vec<FieldWire>> = schema.fields.iter().map(wire_of).collect();
        Ok(Self { id: schema.id.0, fields: fields?, dropped: schema.dropped.iter().copied().collect() })
    }
}

fn wire_of(field: &Field) -> Result<FieldWire> {
    let raw = |value: &Option<Value>| value.as_ref().map(raw_value).transpose();
    Ok(FieldWire {
        id: field.id,
        name: field.name.as_str().to_owned(),
        ty: wire_of_type(&field.ty)?,
        required: field.required,
        doc: field.doc.clone(),
        initial: raw(&field.initial)?,
        default: raw(&field.default)?,
    })
}

fn raw_value(value: &Value) -> Result<Box<RawValue>> {
    RawValue::from_string(value.to_json()?).map_err(|error| Error::invalid(error.to_string()))
}

fn wire_of_type(ty: &Type) -> Result<TypeWire> {
    let part =
        |field: &Field| Ok(PartWire { id: field.id, required: field.required, ty: wire_of_type(&field.ty)? });
    Ok(match ty {
        Type::Primitive(ty) => TypeWire::Primitive(*ty),
        Type::Struct(fields) => TypeWire::Struct(fields.iter().map(wire_of).collect::<Result<_>>()?),
        Type::List(parts) => TypeWire::List(Box::new(part(&parts[0])?)),
        Type::Map(parts) => {
            let key = KeyWire { id: parts[0].id, ty: wire_of_type(&parts[0].ty)? };
            TypeWire::Map(Box::new(MapWire { key, value: part(&parts[1])? }))
        }
    })
}
