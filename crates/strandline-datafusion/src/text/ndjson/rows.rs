//! Objects as rows: each member goes to the column of its name, however deep it stands.
//!
//! Invariants: a member that has no column is refused unless those are passed over, and so is one that stands twice; what does not stand there is
//! null.

use std::collections::HashSet;
use std::sync::Arc;

use strandline::arrow::array::{ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray};
use strandline::arrow::buffer::{NullBuffer, OffsetBuffer};
use strandline::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use strandline::arrow::error::ArrowError;

use super::super::exact::Why;
use super::super::leaf::{Form, Leaf, refused};
use super::json::Json;
use super::names::Names;
use super::{About, Columns, Misread, Wrong};

type Read = Result<(), Wrong>;

/// Rows that become a batch.
pub(super) struct Rows {
    schema: SchemaRef,
    members: Members,
    count: usize,
}

impl Rows {
    pub(super) fn of(columns: &Columns) -> Result<Self, Misread> {
        let mut members = Members::of(columns.schema.fields(), true)?;
        members.passes_over = columns.passes_over;
        members
            .nodes
            .iter_mut()
            .zip(&columns.required)
            .for_each(|(node, required)| node.required = *required);
        Ok(Self { schema: SchemaRef::clone(&columns.schema), members, count: 0 })
    }

    /// Takes in the object of a line.
    pub(super) fn push(&mut self, line: &str) -> Read {
        let mut json = Json::of(line);
        self.members.read(&mut json)?;
        json.end()?;
        self.count += 1;
        Ok(())
    }

    /// How many came since the last time.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// What came since the last time.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.count)));
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), self.members.finish()?, &options)
    }
}

/// The values of one column, each a text of JSON by itself.
pub(in crate::text) struct Value(Node);

impl Value {
    /// None yet. What has no form in JSON is an error.
    pub(in crate::text) fn of(field: &FieldRef) -> Result<Self, Misread> {
        // Whether a value may be missing is known to who knows where one is missing.
        Node::of(field).map(|node| Self(Node { required: false, ..node }))
    }

    pub(in crate::text) fn field(&self) -> &FieldRef {
        &self.0.field
    }

    /// Takes in a value that stands on this line of something else.
    pub(in crate::text) fn push(&mut self, text: &str, line: u64) -> Result<(), Misread> {
        let mut json = Json::of(text);
        let read = self.0.read(&mut json).and_then(|()| json.end());
        read.map_err(|wrong| wrong.in_column(self.0.field.name()).on(line))
    }

    pub(in crate::text) fn null(&mut self) {
        self.0.null();
    }

    /// What came since the last time.
    pub(in crate::text) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.0.finish()
    }
}

/// A column, or a part of one.
struct Node {
    field: FieldRef,
    /// Whether a value must stand there.
    required: bool,
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
    /// Whether what has no column is not looked at.
    passes_over: bool,
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
    fn of<'f>(fields: impl IntoIterator<Item = &'f FieldRef>, outermost: bool) -> Result<Self, Misread> {
        let nodes = fields.into_iter().map(Node::of).collect::<Result<Vec<_>, _>>()?;
        let names = Names::of(nodes.iter().map(|node| node.field.name().as_str()));
        Ok(Self { nodes, names, outermost, passes_over: false })
    }

    /// Takes in an object. What does not stand in it is null.
    fn read(&mut self, json: &mut Json<'_>) -> Read {
        self.names.begin();
        json.object(|json, name| match self.comes(&name)? {
            Some(node) => node.read(json).map_err(|wrong| wrong.within(&name)),
            None => json.skip().map(drop),
        })?;
        for (place, node) in self.nodes.iter_mut().enumerate() {
            if !self.names.has(place) {
                node.absent().map_err(|wrong| wrong.within(node.field.name()))?;
            }
        }
        Ok(())
    }

    /// The member of this name, which comes for the first time; nothing of one that is passed over.
    fn comes(&mut self, name: &str) -> Result<Option<&mut Node>, Wrong> {
        let Some(place) = self.names.place(name) else {
            return if self.passes_over { Ok(None) } else { Err(self.unknown(name)) };
        };
        match (self.names.comes(place), self.nodes.get_mut(place)) {
            (true, Some(node)) => Ok(Some(node)),
            _ => Err(twice(name)),
        }
    }

    fn unknown(&self, name: &str) -> Wrong {
        let known = self.nodes.iter().map(|node| node.field.name().clone()).collect();
        let text = match self.outermost {
            true => format!("the table has no column {name:?}"),
            false => format!("the table has no field {name:?} there"),
        };
        let about = About::Unknown { name: name.to_owned(), known, within: !self.outermost };
        Wrong { about, ..Wrong::new(text) }
    }

    fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.nodes.iter_mut().map(Node::finish).collect()
    }
}

fn twice(name: &str) -> Wrong {
    Wrong::new(format!("{name:?} stands there twice"))
}

impl Node {
    fn of(field: &FieldRef) -> Result<Self, Misread> {
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
        Ok(Self { field: FieldRef::clone(field), required: !field.is_nullable(), kind })
    }

    /// Takes in a value.
    fn read(&mut self, json: &mut Json<'_>) -> Read {
        let first = json.peek();
        if first == Some(b'n') {
            json.null()?;
            return self.absent();
        }
        match (&mut self.kind, first) {
            (Kind::Leaf(leaf), Some(b'"')) => {
                let text = json.string()?;
                leaf.push(&text, Form::Text).map_err(|why| of_value(leaf, &text, why))
            }
            (Kind::Leaf(leaf), Some(b'{' | b'[')) => Err(of_value(leaf, json.skip()?, Why::Nested)),
            (Kind::Leaf(leaf), _) => {
                let text = json.bare()?;
                leaf.push(text, Form::Bare).map_err(|why| of_value(leaf, text, why))
            }
            (Kind::Object(members, valid), Some(b'{')) => {
                members.read(json)?;
                valid.0.push(true);
                Ok(())
            }
            (Kind::Map(entries, spans, valid), Some(b'{')) => {
                spans.0.push(entries.read(json)?);
                valid.0.push(true);
                Ok(())
            }
            (Kind::List(element, spans, valid), Some(b'[')) => {
                let mut count = 0;
                json.list(|json| {
                    count += 1;
                    element.read(json)
                })?;
                spans.0.push(count);
                valid.0.push(true);
                Ok(())
            }
            (kind, _) => {
                let what = if matches!(kind, Kind::List(..)) { "a list" } else { "an object" };
                json.skip()?;
                Err(Wrong::new(format!("{what} should stand there")))
            }
        }
    }

    /// Null, where a value may be missing.
    fn absent(&mut self) -> Read {
        if self.required {
            return Err(Wrong { about: About::Missing, ..Wrong::new("") });
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

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
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

fn of_value(leaf: &Leaf, text: &str, why: Why) -> Wrong {
    Wrong { about: About::Value(why), ..Wrong::new(refused(leaf.field(), text, why)) }
}

impl Entries {
    fn of(field: &FieldRef, sorted: bool) -> Result<Self, Misread> {
        let parts = match field.data_type() {
            DataType::Struct(parts) => parts.as_ref(),
            _ => &[],
        };
        let [key, value] = parts else { return Err(Misread::from(odd(field))) };
        let (key, value) = (Leaf::of(key)?, Box::new(Node::of(value)?));
        Ok(Self { key, value, field: FieldRef::clone(field), sorted })
    }

    /// Takes in an object, and tells how many members it has.
    fn read(&mut self, json: &mut Json<'_>) -> Result<usize, Wrong> {
        let mut seen = HashSet::new();
        json.object(|json, name| {
            self.key.push(&name, Form::Text).map_err(|why| of_value(&self.key, &name, why))?;
            self.value.read(json).map_err(|wrong| wrong.within(&name))?;
            seen.replace(name).map_or(Ok(()), |name| Err(twice(&name)))
        })?;
        Ok(seen.len())
    }

    fn finish(&mut self) -> Result<StructArray, ArrowError> {
        let DataType::Struct(fields) = self.field.data_type() else { return Err(odd(&self.field)) };
        StructArray::try_new(fields.clone(), vec![self.key.finish()?, self.value.finish()?], None)
    }
}

fn odd(field: &FieldRef) -> ArrowError {
    ArrowError::SchemaError(format!("column {:?} is of type {}", field.name(), field.data_type()))
}
