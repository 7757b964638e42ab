//! Objects as rows: each member goes to the column of its name, however deep it stands.
//!
//! Invariants: a member that has no column is refused, and so is one that stands twice; what does not stand there is null.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use strandline::arrow::array::{ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray};
use strandline::arrow::buffer::{NullBuffer, OffsetBuffer};
use strandline::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use strandline::arrow::error::ArrowError;

use super::Wrong;
use super::names::Names;
use crate::failure::{Failure, Result};
use crate::near::offer;
use crate::source::exact::Why;
use crate::source::leaf::{Form, Leaf, refused};

type Arrays<T> = std::result::Result<T, ArrowError>;

/// Rows that become a batch.
pub(super) struct Rows {
    schema: SchemaRef,
    members: Members,
    count: usize,
}

impl Rows {
    pub(super) fn of(schema: &SchemaRef) -> Result<Self> {
        let members = Members::of(schema.fields(), true)?;
        Ok(Self { schema: SchemaRef::clone(schema), members, count: 0 })
    }

    /// Takes in the object of a line.
    pub(super) fn push(&mut self, line: &str) -> std::result::Result<(), Wrong> {
        let mut wrong = None;
        let mut reader = serde_json::Deserializer::from_str(line);
        let object = Object { members: &mut self.members, wrong: &mut wrong };
        let read = reader.deserialize_map(object).and_then(|()| reader.end());
        self.count += 1;
        read.map_err(|error| wrong.unwrap_or_else(|| Wrong::json(&error)))
    }

    /// What came since the last time.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.count)));
        let columns = self.members.finish()?;
        Ok(RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), columns, &options)?)
    }
}

/// A column, or a part of one.
struct Node {
    field: FieldRef,
    kind: Kind,
}

enum Kind {
    Leaf(Leaf),
    Object(Members, Valid),
    List(Box<Node>, Spans, Valid),
    Map(Entries, Spans, Valid),
}

/// The columns of an object.
struct Members {
    nodes: Vec<Node>,
    names: Names,
    /// Whether they are those of the table, and not of a value.
    outermost: bool,
}

/// The keys and values of a map.
struct Entries {
    key: Leaf,
    value: Box<Node>,
    field: FieldRef,
    sorted: bool,
}

/// Which rows are not null.
#[derive(Default)]
struct Valid(Vec<bool>);

impl Valid {
    fn finish(&mut self) -> Option<NullBuffer> {
        let valid = std::mem::take(&mut self.0);
        valid.contains(&false).then(|| NullBuffer::from(valid))
    }
}

/// How many elements each row has.
#[derive(Default)]
struct Spans(Vec<usize>);

impl Spans {
    fn finish(&mut self) -> OffsetBuffer<i32> {
        OffsetBuffer::from_lengths(std::mem::take(&mut self.0))
    }
}

impl Members {
    fn of<'f>(fields: impl IntoIterator<Item = &'f FieldRef>, outermost: bool) -> Result<Self> {
        let nodes = fields.into_iter().map(Node::of).collect::<Result<Vec<_>>>()?;
        let names = Names::of(nodes.iter().map(|node| node.field.name().as_str()));
        Ok(Self { nodes, names, outermost })
    }

    /// The member of this name, which comes for the first time.
    fn comes(&mut self, name: &str) -> std::result::Result<&mut Node, Wrong> {
        let Some(place) = self.names.place(name) else {
            let offer = offer(name, self.nodes.iter().map(|node| node.field.name().as_str()));
            return Err(Wrong::new(match self.outermost {
                true => format!("the table has no column {name:?}{offer}"),
                false => format!("the table has no field {name:?} there{offer}"),
            }));
        };
        match (self.names.comes(place), self.nodes.get_mut(place)) {
            (true, Some(node)) => Ok(node),
            _ => Err(twice(name)),
        }
    }

    /// Those that did not come are null.
    fn end(&mut self) -> std::result::Result<(), Wrong> {
        for (place, node) in self.nodes.iter_mut().enumerate() {
            if !self.names.has(place) {
                node.absent().map_err(|wrong| wrong.within(node.field.name()))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Arrays<Vec<ArrayRef>> {
        self.nodes.iter_mut().map(Node::finish).collect()
    }
}

fn twice(name: &str) -> Wrong {
    Wrong::new(format!("{name:?} stands there twice"))
}

impl Node {
    fn of(field: &FieldRef) -> Result<Self> {
        let kind = match field.data_type() {
            DataType::Struct(fields) => Kind::Object(Members::of(fields, false)?, Valid::default()),
            DataType::List(element) => {
                Kind::List(Box::new(Self::of(element)?), Spans::default(), Valid::default())
            }
            DataType::Map(entries, sorted) => {
                Kind::Map(Entries::of(entries, *sorted)?, Spans::default(), Valid::default())
            }
            _ => Kind::Leaf(Leaf::of(field)?),
        };
        Ok(Self { field: FieldRef::clone(field), kind })
    }

    /// One value of JSON that is no object and no list, as it is written.
    fn single(&mut self, raw: &str) -> std::result::Result<(), Wrong> {
        let Kind::Leaf(leaf) = &mut self.kind else { return Ok(()) };
        let (text, form) = match raw.as_bytes() {
            [b'n', ..] => return self.absent(),
            [b'"', ..] => (unquoted(raw)?, Form::Text),
            _ => (Cow::Borrowed(raw), Form::Bare),
        };
        let pushed = match raw.as_bytes() {
            [b'{' | b'[', ..] => Err(Why::Nested),
            _ => leaf.push(&text, form),
        };
        pushed.map_err(|why| {
            let text = refused(&self.field, &text, why);
            Wrong { path: Vec::new(), text, why: Some(why) }
        })
    }

    /// Null, where a value may be missing.
    fn absent(&mut self) -> std::result::Result<(), Wrong> {
        if !self.field.is_nullable() {
            return Err(Wrong::new("it is required, and has no value here"));
        }
        self.null();
        Ok(())
    }

    /// Null, or nothing that is looked at, within a null.
    fn null(&mut self) {
        match &mut self.kind {
            Kind::Leaf(leaf) => leaf.null(),
            Kind::Object(members, valid) => {
                members.nodes.iter_mut().for_each(Self::null);
                valid.0.push(false);
            }
            Kind::List(_, spans, valid) | Kind::Map(_, spans, valid) => {
                spans.0.push(0);
                valid.0.push(false);
            }
        }
    }

    fn finish(&mut self) -> Arrays<ArrayRef> {
        Ok(match &mut self.kind {
            Kind::Leaf(leaf) => leaf.finish()?,
            Kind::Object(members, valid) => {
                let DataType::Struct(fields) = self.field.data_type() else { return Err(odd(&self.field)) };
                Arc::new(StructArray::try_new(fields.clone(), members.finish()?, valid.finish())?)
            }
            Kind::List(element, spans, valid) => {
                let field = FieldRef::clone(&element.field);
                Arc::new(ListArray::try_new(field, spans.finish(), element.finish()?, valid.finish())?)
            }
            Kind::Map(entries, spans, valid) => {
                let field = FieldRef::clone(&entries.field);
                let pairs = entries.finish()?;
                Arc::new(MapArray::try_new(field, spans.finish(), pairs, valid.finish(), entries.sorted)?)
            }
        })
    }
}

impl Entries {
    fn of(field: &FieldRef, sorted: bool) -> Result<Self> {
        let parts = match field.data_type() {
            DataType::Struct(parts) => parts.as_ref(),
            _ => &[],
        };
        let [key, value] = parts else { return Err(Failure::from(odd(field))) };
        let (key, value) = (Leaf::of(key)?, Box::new(Node::of(value)?));
        Ok(Self { key, value, field: FieldRef::clone(field), sorted })
    }

    fn finish(&mut self) -> Arrays<StructArray> {
        let DataType::Struct(fields) = self.field.data_type() else { return Err(odd(&self.field)) };
        StructArray::try_new(fields.clone(), vec![self.key.finish()?, self.value.finish()?], None)
    }
}

fn odd(field: &FieldRef) -> ArrowError {
    ArrowError::SchemaError(format!("column {:?} is of type {}", field.name(), field.data_type()))
}

/// The text for which one of JSON stands.
pub(super) fn unquoted(raw: &str) -> std::result::Result<Cow<'_, str>, Wrong> {
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
        _ => serde_json::from_str(raw).map(Cow::Owned).map_err(|error| Wrong::escapes(&error)),
    }
}

/// Hands on what is wrong by the side of what the reader says.
fn said<T, E: Error>(
    wrong: &mut Option<Wrong>,
    outcome: std::result::Result<T, Wrong>,
) -> std::result::Result<T, E> {
    outcome.map_err(|what| {
        *wrong = Some(what);
        E::custom("it is refused")
    })
}

/// The same of what is within a member of this name.
fn within<T, E: Error>(
    wrong: &mut Option<Wrong>,
    name: &str,
    outcome: std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    outcome.inspect_err(|_| *wrong = wrong.take().map(|wrong| wrong.within(name)))
}

/// The name of a member, copied where it has escapes.
#[derive(Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

/// Reads the members of an object.
struct Object<'a> {
    members: &'a mut Members,
    wrong: &'a mut Option<Wrong>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        self.members.names.begin();
        while let Some(Name(name)) = map.next_key()? {
            let node = said(self.wrong, self.members.comes(&name))?;
            let read = map.next_value_seed(Value { node, wrong: self.wrong });
            within(self.wrong, &name, read)?;
        }
        said(self.wrong, self.members.end())
    }
}

/// Reads a value.
struct Value<'a> {
    node: &'a mut Node,
    wrong: &'a mut Option<Wrong>,
}

impl Value<'_> {
    /// A list or an object is missing.
    fn mistaken<E: Error>(self) -> std::result::Result<(), E> {
        let what = if matches!(self.node.kind, Kind::List(..)) { "a list" } else { "an object" };
        said(self.wrong, Err(Wrong::new(format!("{what} should stand there"))))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> std::result::Result<(), D::Error> {
        if matches!(self.node.kind, Kind::Leaf(_)) {
            let raw = <&RawValue>::deserialize(reader)?;
            return said(self.wrong, self.node.single(raw.get()));
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_unit<E: Error>(self) -> std::result::Result<(), E> {
        said(self.wrong, self.node.absent())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        match &mut self.node.kind {
            Kind::Object(members, valid) => {
                Object { members, wrong: self.wrong }.visit_map(map)?;
                valid.0.push(true);
            }
            Kind::Map(entries, spans, valid) => {
                let mut seen = HashSet::new();
                while let Some(Name(name)) = map.next_key()? {
                    let pushed = entries.key.push(&name, Form::Text).map_err(|why| {
                        let text = refused(entries.key.field(), &name, why);
                        Wrong { path: Vec::new(), text, why: Some(why) }
                    });
                    said(self.wrong, pushed)?;
                    let read = map.next_value_seed(Value { node: &mut entries.value, wrong: self.wrong });
                    within(self.wrong, &name, read)?;
                    if let Some(name) = seen.replace(name.into_owned()) {
                        return said(self.wrong, Err(twice(&name)));
                    }
                }
                spans.0.push(seen.len());
                valid.0.push(true);
            }
            _ => return self.mistaken(),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        let Kind::List(element, spans, valid) = &mut self.node.kind else { return self.mistaken() };
        let mut count = 0;
        while let Some(()) = seq.next_element_seed(Value { node: element, wrong: self.wrong })? {
            count += 1;
        }
        spans.0.push(count);
        valid.0.push(true);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> std::result::Result<(), E> {
        self.mistaken()
    }

    fn visit_i64<E: Error>(self, _: i64) -> std::result::Result<(), E> {
        self.mistaken()
    }

    fn visit_u64<E: Error>(self, _: u64) -> std::result::Result<(), E> {
        self.mistaken()
    }

    fn visit_f64<E: Error>(self, _: f64) -> std::result::Result<(), E> {
        self.mistaken()
    }

    fn visit_str<E: Error>(self, _: &str) -> std::result::Result<(), E> {
        self.mistaken()
    }
}
