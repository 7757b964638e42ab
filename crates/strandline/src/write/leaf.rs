//! The leaf fields of a table within Arrow arrays: where each is, what it is, how to get at its values alone.
//!
//! Invariants: leaves come in the order of Parquet's columns; a column that was cut down to one leaf keeps the levels
//! of that leaf, so it encodes to the same bytes as the whole. What does not belong here: how types are mapped to Arrow
//! (it was done before), and what is made of the values.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, MutableArrayData, StructArray, make_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use strandline_format::{FieldId, PrimitiveType, RESERVED_FIELD_IDS, Schema};

use super::options::invalid;
use super::refused;
use crate::error::Result;

/// One way down from a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// To a field of a struct. In a column that was cut down it is the only one.
    Field(usize),
    /// To the elements of a list.
    Element,
    /// To the keys of a map.
    Key,
    /// To the values of a map.
    Value,
}

/// A field that has values of its own.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) id: FieldId,
    pub(super) ty: PrimitiveType,
    /// The column that it stands in, or is.
    pub(super) column: usize,
    /// That column, cut down to this leaf.
    pub(super) field: FieldRef,
    /// Which leaf of [`Self::field`] it is: a map keeps one leaf of its keys beside one of its values.
    pub(super) position: usize,
    steps: Vec<Step>,
}

/// The values of a leaf: null where the value or anything around it is null.
pub(super) struct Values {
    pub(super) array: ArrayRef,
    pub(super) nulls: Option<NullBuffer>,
}

impl Leaf {
    /// All leaves of a canonical Arrow schema of a table with this schema.
    pub(super) fn all(arrow: &SchemaRef, schema: &Schema) -> Result<Vec<Self>> {
        let mut leaves = Vec::new();
        for (column, field) in arrow.fields().iter().enumerate() {
            collect(field, &mut Vec::new(), &mut |leaf, steps| {
                let id = field_id(leaf)?;
                let ty = leaf_type(id, leaf, schema)?;
                let position = steps.iter().filter(|step| **step == Step::Value).count();
                let field = narrow_field(field, steps);
                leaves.push(Self { id, ty, column, field, position, steps: steps.to_vec() });
                Ok(())
            })?;
        }
        Ok(leaves)
    }

    /// Whether it stands within a list or map, so that it has any number of values in a row.
    pub(super) fn is_repeated(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step, Step::Field(_)))
    }

    /// Whether it is one of the columns that files with stored row ids have besides the table's [FILE-8].
    pub(super) fn is_reserved(&self) -> bool {
        self.id >= RESERVED_FIELD_IDS
    }

    /// The column cut down to this leaf, without copying.
    pub(super) fn narrow(&self, column: &ArrayRef) -> Result<ArrayRef> {
        narrow(column, &self.steps)
    }

    /// The leaf's values in a column that was cut down to it [STAT-3].
    pub(super) fn values(&self, narrowed: &ArrayRef) -> Result<Values> {
        let start = Values { array: Arc::clone(narrowed), nulls: None };
        let around = self.steps.iter().try_fold(start, |around, step| around.down(*step))?;
        let nulls = NullBuffer::union(around.nulls.as_ref(), around.array.nulls());
        Ok(Values { array: around.array, nulls })
    }
}

/// Calls with every leaf under a field, and the way to it.
fn collect(
    field: &FieldRef,
    steps: &mut Vec<Step>,
    found: &mut dyn FnMut(&FieldRef, &[Step]) -> Result<()>,
) -> Result<()> {
    let mut down = |step: Step, child: &FieldRef| {
        steps.push(step);
        collect(child, steps, found)?;
        steps.pop();
        Ok(())
    };
    match field.data_type() {
        DataType::Struct(children) => {
            children.iter().enumerate().try_for_each(|(at, child)| down(Step::Field(at), child))
        }
        DataType::List(element) => down(Step::Element, element),
        DataType::Map(entries, _) => {
            let (key, value) = pair(entries)?;
            down(Step::Key, key)?;
            down(Step::Value, value)
        }
        _ => found(field, steps),
    }
}

fn pair(entries: &FieldRef) -> Result<(&FieldRef, &FieldRef)> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => Ok((&fields[0], &fields[1])),
        _ => Err(invalid(format!("the entries {:?} of a map are no pairs", entries.name()))),
    }
}

fn field_id(field: &Field) -> Result<FieldId> {
    let text = field.metadata().get(PARQUET_FIELD_ID_META_KEY);
    let id = text.and_then(|text| text.parse().ok()).map(FieldId);
    id.ok_or_else(|| invalid(format!("the Arrow field {:?} has no field id", field.name())))
}

/// The type of a leaf by the table's schema, if the Arrow field is of it.
fn leaf_type(id: FieldId, field: &Field, schema: &Schema) -> Result<PrimitiveType> {
    let ty = if id >= RESERVED_FIELD_IDS {
        Some(PrimitiveType::Long)
    } else {
        schema.field(id).and_then(|field| field.ty.primitive())
    };
    ty.filter(|ty| is_arrow_of(*ty, field.data_type())).ok_or_else(|| {
        let message = format!("the Arrow field {:?} of type {}", field.name(), field.data_type());
        invalid(format!("{message} is not what the table's field {} is written as", schema.describe(id)))
    })
}

fn is_arrow_of(ty: PrimitiveType, arrow: &DataType) -> bool {
    use PrimitiveType as T;
    match (ty, arrow) {
        (T::Boolean, DataType::Boolean)
        | (T::Int, DataType::Int32)
        | (T::Long, DataType::Int64)
        | (T::Float, DataType::Float32)
        | (T::Double, DataType::Float64)
        | (T::Date, DataType::Date32)
        | (T::Time, DataType::Time64(TimeUnit::Microsecond))
        | (T::Timestamp, DataType::Timestamp(TimeUnit::Microsecond, None))
        | (T::TimestampTz, DataType::Timestamp(TimeUnit::Microsecond, Some(_)))
        | (T::TimestampNs, DataType::Timestamp(TimeUnit::Nanosecond, None))
        | (T::TimestampTzNs, DataType::Timestamp(TimeUnit::Nanosecond, Some(_)))
        | (T::String, DataType::Utf8)
        | (T::Uuid, DataType::FixedSizeBinary(16))
        | (T::Binary, DataType::Binary) => true,
        (T::Decimal { precision, scale }, DataType::Decimal128(digits, places)) => {
            precision == *digits && i8::try_from(scale) == Ok(*places)
        }
        (T::Fixed(length), DataType::FixedSizeBinary(width)) => i32::try_from(length) == Ok(*width),
        _ => false,
    }
}

/// The way to the first leaf under a type.
fn first_steps(mut ty: &DataType) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        let (step, child) = match ty {
            DataType::Struct(fields) if !fields.is_empty() => (Step::Field(0), &fields[0]),
            DataType::List(element) => (Step::Element, element),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if !fields.is_empty() => (Step::Key, &fields[0]),
                _ => return steps,
            },
            _ => return steps,
        };
        steps.push(step);
        ty = child.data_type();
    }
}

fn narrow_field(field: &FieldRef, steps: &[Step]) -> FieldRef {
    let Some((step, rest)) = steps.split_first() else { return Arc::clone(field) };
    let ty = match (step, field.data_type()) {
        (Step::Field(at), DataType::Struct(fields)) => {
            DataType::Struct([narrow_field(&fields[*at], rest)].into_iter().collect())
        }
        (Step::Element, DataType::List(element)) => DataType::List(narrow_field(element, rest)),
        (Step::Key | Step::Value, DataType::Map(entries, ordered)) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let [key, value] = pair_steps(*step, rest, fields);
                let fields = [narrow_field(&fields[0], &key), narrow_field(&fields[1], &value)];
                DataType::Map(retyped(entries, DataType::Struct(fields.into_iter().collect())), *ordered)
            }
            other => other.clone(),
        },
        (_, other) => other.clone(),
    };
    retyped(field, ty)
}

fn retyped(field: &Field, ty: DataType) -> FieldRef {
    Arc::new(field.clone().with_data_type(ty))
}

/// How keys and values of a map are cut down: the one that is not wanted to its first leaf, as a map needs both.
fn pair_steps(step: Step, rest: &[Step], fields: &Fields) -> [Vec<Step>; 2] {
    match step {
        Step::Key => [rest.to_vec(), first_steps(fields[1].data_type())],
        _ => [first_steps(fields[0].data_type()), rest.to_vec()],
    }
}

fn narrow(array: &ArrayRef, steps: &[Step]) -> Result<ArrayRef> {
    let Some((step, rest)) = steps.split_first() else { return Ok(Arc::clone(array)) };
    let narrowed: ArrayRef = match (step, array.data_type()) {
        (Step::Field(at), DataType::Struct(fields)) => {
            let parent = array.as_struct();
            let child = narrow(parent.column(*at), rest)?;
            let fields = [retyped(&fields[*at], child.data_type().clone())].into_iter().collect();
            Arc::new(StructArray::try_new(fields, vec![child], parent.nulls().cloned()).map_err(refused)?)
        }
        (Step::Element, DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let child = narrow(list.values(), rest)?;
            let element = retyped(element, child.data_type().clone());
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(element, offsets, child, nulls).map_err(refused)?)
        }
        (Step::Key | Step::Value, DataType::Map(entries, ordered)) => {
            Arc::new(narrow_map(array.as_map(), entries, *ordered, *step, rest)?)
        }
        (_, other) => return Err(invalid(format!("a column is of type {other}, not of its field's"))),
    };
    Ok(narrowed)
}

fn narrow_map(
    map: &MapArray,
    entries: &FieldRef,
    ordered: bool,
    step: Step,
    rest: &[Step],
) -> Result<MapArray> {
    let pairs = map.entries();
    let [key, value] = pair_steps(step, rest, pairs.fields());
    let columns = vec![narrow(pairs.column(0), &key)?, narrow(pairs.column(1), &value)?];
    let fields = pairs.fields().iter().zip(&columns);
    let fields: Fields = fields.map(|(field, column)| retyped(field, column.data_type().clone())).collect();
    let pairs = StructArray::try_new(fields, columns, pairs.nulls().cloned()).map_err(refused)?;
    let entries = retyped(entries, pairs.data_type().clone());
    let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
    MapArray::try_new(entries, offsets, pairs, nulls, ordered).map_err(refused)
}

impl Values {
    fn down(self, step: Step) -> Result<Self> {
        let nulls = NullBuffer::union(self.nulls.as_ref(), self.array.nulls());
        match step {
            Step::Field(_) => Ok(Self { array: Arc::clone(self.array.as_struct().column(0)), nulls }),
            Step::Element => {
                let list = self.array.as_list::<i32>();
                let array = elements(list.values(), list.offsets(), nulls.as_ref())?;
                Ok(Self { array, nulls: None })
            }
            Step::Key | Step::Value => {
                let map = self.array.as_map();
                let child = if step == Step::Key { map.keys() } else { map.values() };
                let array = elements(child, map.offsets(), nulls.as_ref())?;
                Ok(Self { array, nulls: None })
            }
        }
    }
}

/// The elements of those lists that are there. A list that is null may still have some behind it: they do not count.
fn elements(child: &ArrayRef, offsets: &OffsetBuffer<i32>, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
    let range = |at: usize| (index(offsets[at]), index(offsets[at + 1]));
    let lists = offsets.len() - 1;
    let hidden = nulls.is_some_and(|nulls| {
        nulls.null_count() > 0 && (0..lists).any(|at| nulls.is_null(at) && range(at).0 < range(at).1)
    });
    let Some(nulls) = nulls.filter(|_| hidden) else {
        let (first, last) = (index(offsets[0]), index(offsets[lists]));
        return Ok(child.slice(first, last - first));
    };
    let data = child.to_data();
    let mut copy = MutableArrayData::new(vec![&data], false, child.len());
    for (start, end) in nulls.valid_indices().map(range) {
        copy.try_extend(0, start, end).map_err(refused)?;
    }
    Ok(make_array(copy.freeze()))
}

/// Offsets are never negative: the array's constructor checked it.
fn index(offset: i32) -> usize {
    usize::try_from(offset).unwrap_or_default()
}
