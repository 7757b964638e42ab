//! A file's columns as the table has them now: by field id, at every depth [READ-2].
//!
//! A table's schema changes without rewriting files, so a file's columns may be called otherwise, stand elsewhere, be narrower,
//! or not be there at all. [`Adapter`] decides once for each file where every wanted field comes from, and then turns each batch
//! of the Parquet reader into one of the table's schema.
//!
//! Invariants: a field that the file's set of fields lacks has its initial default, or null, whatever the file has under its name or id [FILE-5];
//! one that is in the set and not in the file is an error, never null [READ-3]; what is nested is null where what is around it
//! is null. What does not belong here: which rows are read, and the columns of row ids.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Field as ArrowField, Fields};
use arrow::error::ArrowError;
use parquet::file::metadata::ParquetMetaData;
use strandline_format::{Field, FieldId, FieldSet, Schema, Type, Value};

use super::footer::corrupt;
use super::leaf;
use super::select::Wanted;
use super::shape::Node;
use crate::columns::constant;
use crate::error::{Error, Result};

/// Which leaf columns of a file have to be read.
pub(super) type Leaves = BTreeSet<usize>;

/// What is known of a file before its columns are read.
pub(super) struct FileFields<'f> {
    pub(super) columns: &'f [Node],
    /// What it was written with.
    pub(super) set: &'f FieldSet,
    /// What it is read as a file of: fields that this schema lacks are as if no file had them. They still say where what is around them is null.
    pub(super) known: Option<&'f Schema>,
    pub(super) footer: &'f ParquetMetaData,
}

/// Where the wanted fields come from in one file.
#[derive(Debug)]
pub(super) struct Adapter {
    wanted: Arc<Wanted>,
    sources: Vec<Source>,
}

/// Where one field comes from.
#[derive(Debug)]
enum Source {
    /// From nowhere: the file was written before the field was added.
    Initial(Type, Option<Value>),
    /// From the field of the file at this place among its siblings, once [`Source::place`] was called among those that are read.
    Stored(usize, Inner),
}

/// Where the one column of an adapter comes from, for a caller that reads the file's columns itself.
pub(super) enum Column {
    Initial(Type, Option<Value>),
    /// From the file's column at this place, as it is or widened.
    Leaf(usize),
    /// From the file's column at this place, whose parts are placed yet.
    Nested(usize),
}

impl Column {
    fn of(source: &Source) -> Self {
        match source {
            Source::Initial(ty, value) => Self::Initial(ty.clone(), value.clone()),
            Source::Stored(at, Inner::Leaf) => Self::Leaf(*at),
            Source::Stored(at, _) => Self::Nested(*at),
        }
    }

    /// Where a column of the table comes from that has nothing within it.
    ///
    /// # Errors
    /// As [`Adapter::new`].
    pub(super) fn plain(field: &Field, file: &FileFields<'_>) -> Result<Self> {
        let at = file.columns.iter().position(|node| node.id == field.id);
        let mut search = Search { file, leaves: &mut Leaves::new() };
        Ok(Self::of(&search.source(field, file.columns, at)?))
    }
}

/// What a stored field is made of, in the order in which the table has it.
#[derive(Debug)]
enum Inner {
    Leaf,
    Struct(Vec<Source>),
    List(Box<Source>),
    Map(Box<[Source; 2]>),
}

impl Adapter {
    /// Finds the wanted fields in a file, and adds the leaves that they need to `leaves`.
    ///
    /// # Errors
    /// `Corrupt` if a field is missing that the file was written with, or has a type that does not widen to the table's.
    pub(super) fn new(wanted: &Arc<Wanted>, file: &FileFields<'_>, leaves: &mut Leaves) -> Result<Self> {
        let mut search = Search { file, leaves };
        let sources = search.sources(&wanted.fields, file.columns)?;
        Ok(Self { wanted: Arc::clone(wanted), sources })
    }

    /// Where the first of the wanted fields comes from, before it was placed.
    pub(super) fn first(&self) -> Option<Column> {
        self.sources.first().map(Column::of)
    }

    /// Says which leaves are read in the end, of which the fields' places follow.
    pub(super) fn place(&mut self, columns: &[Node], leaves: &Leaves) {
        place_all(&mut self.sources, columns, leaves);
    }

    /// The batch as the table has it; `columns` are those that the Parquet reader gives.
    ///
    /// # Errors
    /// `Corrupt` if a value has no image in the table's type, or is null and must not be.
    pub(super) fn adapt(&self, columns: &[ArrayRef], rows: usize) -> Result<RecordBatch> {
        let schema = &self.wanted.schema;
        let adapted = fields_of(&self.sources, schema.fields(), columns, rows, None)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        fit(RecordBatch::try_new_with_options(Arc::clone(schema), adapted, &options))
    }
}

/// Places sources that stand among these siblings. One pass over the siblings, of which there may be very many.
fn place_all(sources: &mut [Source], siblings: &[Node], leaves: &Leaves) {
    let read = siblings.iter().map(|node| usize::from(leaves.range(node.leaves.clone()).next().is_some()));
    let before: Vec<usize> =
        read.scan(0, |before, read| Some(std::mem::replace(before, *before + read))).collect();
    sources.iter_mut().for_each(|source| source.place(siblings, &before, leaves));
}

/// Where a column stands among those that are read.
pub(super) fn place_of(at: usize, siblings: &[Node], leaves: &Leaves) -> usize {
    siblings[..at].iter().filter(|node| leaves.range(node.leaves.clone()).next().is_some()).count()
}

struct Search<'s> {
    file: &'s FileFields<'s>,
    leaves: &'s mut Leaves,
}

impl Search<'_> {
    /// Where fields come from that stand side by side.
    fn sources(&mut self, fields: &[Field], siblings: &[Node]) -> Result<Vec<Source>> {
        let places: HashMap<FieldId, usize> =
            siblings.iter().enumerate().map(|(at, node)| (node.id, at)).collect();
        fields.iter().map(|field| self.source(field, siblings, places.get(&field.id).copied())).collect()
    }

    /// The one source of a part of a list or map.
    fn part(&mut self, field: &Field, siblings: &[Node]) -> Result<Source> {
        let at = siblings.iter().position(|node| node.id == field.id);
        self.source(field, siblings, at)
    }

    fn source(&mut self, field: &Field, siblings: &[Node], at: Option<usize>) -> Result<Source> {
        let written = |id| self.file.set.contains(id);
        let found = at.filter(|at| siblings[*at].any_leaf(&written));
        match found {
            _ if self.file.known.is_some_and(|known| known.field(field.id).is_none()) => Ok(initial(field)),
            _ if field.ty.primitive().is_some() && !written(field.id) => Ok(initial(field)),
            Some(at) => self.stored(field, at, &siblings[at]),
            None if any_leaf(field, self.file.set) => {
                let message = format!(
                    "it was written with column {:?} (id {}) and lacks it",
                    field.name.as_str(),
                    field.id
                );
                Err(corrupt(message))
            }
            None => Ok(initial(field)),
        }
    }

    fn stored(&mut self, field: &Field, at: usize, node: &Node) -> Result<Source> {
        let inner = match (&field.ty, &node.ty) {
            (Type::Primitive(ty), stored) => {
                let schema = self.file.footer.file_metadata().schema_descr();
                if !node.children.is_empty() || !leaf::fits(stored, &schema.column(node.leaves.start), *ty) {
                    return Err(other_type(field, node));
                }
                self.leaves.insert(node.leaves.start);
                Inner::Leaf
            }
            (Type::Struct(fields), DataType::Struct(_)) => {
                let parts = self.sources(fields, &node.children)?;
                self.ensure(node);
                Inner::Struct(parts)
            }
            (Type::List(element), DataType::List(_)) => {
                let element = self.part(&element[0], &node.children)?;
                self.ensure(node);
                Inner::List(Box::new(element))
            }
            (Type::Map(pair), DataType::Map(..)) => {
                let [key, value] = &**pair;
                let parts = [self.part(key, &node.children)?, self.part(value, &node.children)?];
                // The reader gives a map only if it reads both of its parts.
                node.children.iter().for_each(|part| self.ensure(part));
                Inner::Map(Box::new(parts))
            }
            _ => return Err(other_type(field, node)),
        };
        Ok(Source::Stored(at, inner))
    }

    /// A field whose parts are all added later is still null, or of some length, where the file says so: that takes one leaf, the
    /// cheapest.
    fn ensure(&mut self, node: &Node) {
        if self.leaves.range(node.leaves.clone()).next().is_some() {
            return;
        }
        let schema = self.file.footer.file_metadata().schema_descr();
        let bytes = |leaf: usize| {
            let groups = self.file.footer.row_groups().iter();
            groups
                .filter_map(|group| group.columns().get(leaf))
                .fold(0_i64, |sum, column| sum.saturating_add(column.compressed_size()))
        };
        let cheapest =
            node.leaves.clone().min_by_key(|leaf| (schema.column(*leaf).max_rep_level(), bytes(*leaf)));
        self.leaves.extend(cheapest);
    }
}

fn initial(field: &Field) -> Source {
    Source::Initial(field.ty.clone(), field.initial.clone())
}

fn any_leaf(field: &Field, set: &FieldSet) -> bool {
    match field.ty.children() {
        [] => set.contains(field.id),
        children => children.iter().any(|child| any_leaf(child, set)),
    }
}

fn other_type(field: &Field, node: &Node) -> Error {
    corrupt(format!(
        "its column {:?} (id {}) is of the type {}, which does not widen to {}",
        node.name,
        field.id,
        node.ty,
        field.ty.describe()
    ))
}

impl Source {
    /// `before` says of each sibling how many of those before it are read.
    fn place(&mut self, siblings: &[Node], before: &[usize], leaves: &Leaves) {
        let Self::Stored(at, inner) = self else { return };
        let within = &siblings[*at].children;
        match inner {
            Inner::Leaf => {}
            Inner::Struct(parts) => place_all(parts, within, leaves),
            Inner::List(element) => place_all(std::slice::from_mut(&mut **element), within, leaves),
            Inner::Map(parts) => place_all(&mut parts[..], within, leaves),
        }
        *at = before[*at];
    }

    /// The field's values; `siblings` are the arrays among which it stands, `around` says where what is around it is not null.
    fn array(
        &self,
        to: &ArrowField,
        siblings: &[ArrayRef],
        rows: usize,
        around: Option<&NullBuffer>,
    ) -> Result<ArrayRef> {
        let (at, inner) = match self {
            Self::Stored(at, inner) => (*at, inner),
            Self::Initial(ty, value) => return masked(constant(value.as_ref(), ty, rows)?, around),
        };
        let array = siblings.get(at).ok_or_else(|| corrupt("it has fewer columns than its footer says"))?;
        let adapted = match inner {
            Inner::Leaf => fit(leaf::widen(array, to.data_type())),
            Inner::Struct(parts) => struct_array(parts, to, array, around),
            Inner::List(element) => list_array(element, to, array),
            Inner::Map(pair) => map_array(pair, to, array),
        };
        adapted.map_err(|error| error.at(format!("column {:?}", to.name())))
    }
}

/// Several fields of one struct or table.
fn fields_of(
    sources: &[Source],
    to: &Fields,
    siblings: &[ArrayRef],
    rows: usize,
    around: Option<&NullBuffer>,
) -> Result<Vec<ArrayRef>> {
    sources.iter().zip(to).map(|(source, field)| source.array(field, siblings, rows, around)).collect()
}

fn struct_array(
    parts: &[Source],
    to: &ArrowField,
    array: &ArrayRef,
    around: Option<&NullBuffer>,
) -> Result<ArrayRef> {
    let (Some(array), DataType::Struct(fields)) = (array.as_struct_opt(), to.data_type()) else {
        return Err(not_of(array));
    };
    // The reader leaves it to what is around a required struct to say where that is null; what is required within it asks here.
    let nulls = NullBuffer::union(array.nulls(), around);
    let columns = fields_of(parts, fields, array.columns(), array.len(), nulls.as_ref())?;
    Ok(Arc::new(fit(StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len()))?))
}

fn list_array(element: &Source, to: &ArrowField, array: &ArrayRef) -> Result<ArrayRef> {
    let (Some(array), DataType::List(field)) = (array.as_list_opt::<i32>(), to.data_type()) else {
        return Err(not_of(array));
    };
    let values = element.array(field, &[Arc::clone(array.values())], array.values().len(), None)?;
    let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
    Ok(Arc::new(fit(ListArray::try_new(Arc::clone(field), offsets, values, nulls))?))
}

fn map_array(pair: &[Source; 2], to: &ArrowField, array: &ArrayRef) -> Result<ArrayRef> {
    let (Some(array), DataType::Map(entries, ordered)) = (array.as_map_opt(), to.data_type()) else {
        return Err(not_of(array));
    };
    let DataType::Struct(fields) = entries.data_type() else { return Err(not_of(array)) };
    let found = array.entries();
    let columns = fields_of(pair, fields, found.columns(), found.len(), None)?;
    let pairs = fit(StructArray::try_new(fields.clone(), columns, None))?;
    let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
    Ok(Arc::new(fit(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *ordered))?))
}

/// An initial default is nested too: it is null where what is around it is null.
fn masked(array: ArrayRef, around: Option<&NullBuffer>) -> Result<ArrayRef> {
    match around {
        Some(nulls) if nulls.null_count() > 0 => {
            fit(nullif(&array, &BooleanArray::new(!nulls.inner(), None)))
        }
        _ => Ok(array),
    }
}

fn not_of(array: &dyn Array) -> Error {
    corrupt(format!("the reader gives it as {}", array.data_type()))
}

/// What a file holds and its table cannot.
fn fit<T>(made: std::result::Result<T, ArrowError>) -> Result<T> {
    made.map_err(|error| corrupt(error.to_string()))
}
