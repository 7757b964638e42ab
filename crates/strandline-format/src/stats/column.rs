//! Typed vectors of values that may be missing: what the columns of statistics are made of.
//!
//! Invariant: a vector and its mask of known values are equally long; at the places of missing values stand harmless
//! ones. Which vector belongs to which field is the business of `columns`.

use crate::mask::Mask;
use crate::value::{PrimitiveType, Value};

/// Numbers, each of which may be missing.
///
/// ```
/// use strandline_format::Nullable;
///
/// let counts: Nullable<u64> = [Some(3), None].into_iter().collect();
/// assert_eq!((counts.get(0), counts.get(1), counts.known().count()), (Some(3), None, 1));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nullable<T> {
    values: Vec<T>,
    known: Mask,
}

impl<T: Copy + Default> Nullable<T> {
    /// Adds one at the end.
    pub(crate) fn push(&mut self, value: Option<T>) {
        self.values.push(value.unwrap_or_default());
        self.known.push(value.is_some());
    }

    /// How many places there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no places at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value at a place, if it is there.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<T> {
        self.known.get(index).then(|| self.values[index])
    }

    /// All values; meaningless where [`Self::known`] is not set.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Which values are there.
    #[must_use]
    pub fn known(&self) -> &Mask {
        &self.known
    }
}

impl<T: Copy + Default> FromIterator<Option<T>> for Nullable<T> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(values: I) -> Self {
        let mut column = Self::default();
        values.into_iter().for_each(|value| column.push(value));
        column
    }
}

/// Byte strings one after the other, each of which may be missing.
///
/// ```
#[doc = include_str!("stats.example")]
/// // Bounds of strings are held in one buffer, one behind the other.
/// let columns = of_two("Basel", "Chur");
/// let Some(BoundColumn::Bytes(bytes)) = columns.field(FieldId(1)).and_then(FieldColumns::min) else { panic!() };
/// assert_eq!(bytes.get(1), Some(b"Chur".as_slice()));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bytes {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    known: Mask,
}

impl Bytes {
    /// Adds one at the end.
    pub(crate) fn push(&mut self, value: Option<&[u8]>) {
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.close(value.is_some());
    }

    /// Adds as one value the bytes that were put into [`Self::open`].
    pub(crate) fn close(&mut self, known: bool) {
        self.ends.push(self.bytes.len());
        self.known.push(known);
    }

    /// Where the bytes of the next value go, without a copy.
    pub(crate) fn open(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// How long the value that is being added is so far.
    pub(crate) fn open_len(&self) -> usize {
        self.bytes.len() - self.ends.last().copied().unwrap_or(0)
    }

    /// How many places there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no places at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes at a place, if they are there.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.known.get(index).then(|| self.slice(index))
    }

    /// All byte strings in order; empty where [`Self::known`] is not set.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> + '_ {
        (0..self.len()).map(|index| self.slice(index))
    }

    /// Which values are there.
    #[must_use]
    pub fn known(&self) -> &Mask {
        &self.known
    }

    fn slice(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }
}

/// The lower or upper bounds of one field, as a vector of its type.
///
/// ```
#[doc = include_str!("stats.example")]
/// let columns = of_two("Basel", "Chur");
/// let bounds = columns.field(FieldId(1)).and_then(FieldColumns::min).expect("both files have one");
/// assert_eq!(bounds.get(0, PrimitiveType::String), Some(Value::String("Basel".into())));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum BoundColumn {
    /// Booleans.
    Boolean(Nullable<bool>),
    /// Ints and dates.
    I32(Nullable<i32>),
    /// Longs, times and timestamps.
    I64(Nullable<i64>),
    /// Floats.
    F32(Nullable<f32>),
    /// Doubles.
    F64(Nullable<f64>),
    /// Decimals, unscaled.
    I128(Nullable<i128>),
    /// Strings (then each is UTF-8), UUIDs, fixed and binary.
    Bytes(Bytes),
}

/// Does the same with whichever vector it is.
macro_rules! each_column {
    ($column:expr, $inner:ident => $body:expr) => {
        match $column {
            BoundColumn::Boolean($inner) => $body,
            BoundColumn::I32($inner) => $body,
            BoundColumn::I64($inner) => $body,
            BoundColumn::F32($inner) => $body,
            BoundColumn::F64($inner) => $body,
            BoundColumn::I128($inner) => $body,
            BoundColumn::Bytes($inner) => $body,
        }
    };
}

impl BoundColumn {
    /// No bounds yet, for values of type `ty`.
    pub(crate) fn empty(ty: PrimitiveType) -> Self {
        match ty {
            PrimitiveType::Boolean => Self::Boolean(Nullable::default()),
            PrimitiveType::Int | PrimitiveType::Date => Self::I32(Nullable::default()),
            PrimitiveType::Long
            | PrimitiveType::Time
            | PrimitiveType::Timestamp
            | PrimitiveType::TimestampTz
            | PrimitiveType::TimestampNs
            | PrimitiveType::TimestampTzNs => Self::I64(Nullable::default()),
            PrimitiveType::Float => Self::F32(Nullable::default()),
            PrimitiveType::Double => Self::F64(Nullable::default()),
            PrimitiveType::Decimal { .. } => Self::I128(Nullable::default()),
            PrimitiveType::String | PrimitiveType::Uuid | PrimitiveType::Fixed(_) | PrimitiveType::Binary => {
                Self::Bytes(Bytes::default())
            }
        }
    }

    /// How many places there are.
    #[must_use]
    pub fn len(&self) -> usize {
        each_column!(self, column => column.len())
    }

    /// Whether there are no places at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which bounds are there.
    #[must_use]
    pub fn known(&self) -> &Mask {
        each_column!(self, column => column.known())
    }

    /// Adds one at the end; a value of another kind of vector counts as missing.
    pub(crate) fn push(&mut self, value: Option<&Value>) {
        match (self, value) {
            (Self::Boolean(column), Some(Value::Boolean(truth))) => column.push(Some(*truth)),
            (Self::I32(column), Some(Value::Int(number) | Value::Date(number))) => column.push(Some(*number)),
            (
                Self::I64(column),
                Some(
                    Value::Long(number)
                    | Value::Time(number)
                    | Value::Timestamp(number)
                    | Value::TimestampTz(number)
                    | Value::TimestampNs(number)
                    | Value::TimestampTzNs(number),
                ),
            ) => column.push(Some(*number)),
            (Self::F32(column), Some(Value::Float(number))) => column.push(Some(*number)),
            (Self::F64(column), Some(Value::Double(number))) => column.push(Some(*number)),
            (Self::I128(column), Some(Value::Decimal { unscaled, .. })) => column.push(Some(*unscaled)),
            (Self::Bytes(column), Some(Value::String(text))) => column.push(Some(text.as_bytes())),
            (Self::Bytes(column), Some(Value::Uuid(bytes))) => column.push(Some(bytes)),
            (Self::Bytes(column), Some(Value::Fixed(bytes) | Value::Binary(bytes))) => {
                column.push(Some(bytes));
            }
            (column, _) => column.push_missing(),
        }
    }

    fn push_missing(&mut self) {
        each_column!(self, column => column.push(None));
    }

    /// The bound at a place, as a value of type `ty`, which is the column's.
    #[must_use]
    pub fn get(&self, index: usize, ty: PrimitiveType) -> Option<Value> {
        match self {
            Self::Boolean(column) => column.get(index).map(Value::Boolean),
            Self::I32(column) if ty == PrimitiveType::Date => column.get(index).map(Value::Date),
            Self::I32(column) => column.get(index).map(Value::Int),
            Self::I64(column) => column.get(index).and_then(|number| long_value(ty, number)),
            Self::F32(column) => column.get(index).map(Value::Float),
            Self::F64(column) => column.get(index).map(Value::Double),
            Self::I128(column) => match ty {
                PrimitiveType::Decimal { scale, .. } => {
                    column.get(index).map(|unscaled| Value::Decimal { unscaled, scale })
                }
                _ => None,
            },
            Self::Bytes(column) => column.get(index).and_then(|bytes| bytes_value(ty, bytes)),
        }
    }
}

fn long_value(ty: PrimitiveType, number: i64) -> Option<Value> {
    match ty {
        PrimitiveType::Long => Some(Value::Long(number)),
        PrimitiveType::Time => Some(Value::Time(number)),
        PrimitiveType::Timestamp => Some(Value::Timestamp(number)),
        PrimitiveType::TimestampTz => Some(Value::TimestampTz(number)),
        PrimitiveType::TimestampNs => Some(Value::TimestampNs(number)),
        PrimitiveType::TimestampTzNs => Some(Value::TimestampTzNs(number)),
        _ => None,
    }
}

fn bytes_value(ty: PrimitiveType, bytes: &[u8]) -> Option<Value> {
    match ty {
        PrimitiveType::String => std::str::from_utf8(bytes).ok().map(|text| Value::String(text.into())),
        PrimitiveType::Uuid => bytes.try_into().ok().map(Value::Uuid),
        PrimitiveType::Fixed(_) => Some(Value::Fixed(bytes.into())),
        PrimitiveType::Binary => Some(Value::Binary(bytes.into())),
        _ => None,
    }
}
