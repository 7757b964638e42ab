//! What the metadata knows of a scan's rows, for DataFusion.
//!
//! It is told twice, under two rules. Of the whole scan DataFusion answers COUNT, MIN and MAX from what is called exact, so exact is
//! only what rows that are left certainly have. Of one file it prunes by bounds that are called exact, and takes a column for a
//! constant where both bounds are the same or all rows are null: so bounds that hold are called exact there, unless that would make a
//! constant of what is none.

use std::borrow::Cow;

use datafusion::arrow::datatypes::{DataType, FieldRef, Schema as ArrowSchema, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use strandline::format::{Bound, Field, FieldSet, FieldStats, FileEntry, PrimitiveType, Type, Value};

/// What is known of one column in one file, deletes apart.
struct Known<'e> {
    nulls: Option<u64>,
    min: Option<Cow<'e, Bound>>,
    max: Option<Cow<'e, Bound>>,
}

impl<'e> Known<'e> {
    const NOTHING: Self = Self { nulls: None, min: None, max: None };

    fn of(field: &Field, entry: &'e FileEntry, set: Option<&FieldSet>) -> Self {
        let Type::Primitive(ty) = field.ty else { return Self::NOTHING };
        match set {
            Some(set) if !set.contains(field.id) => Self::absent(field, entry.rows),
            Some(_) => entry.stats.0.get(&field.id).map_or(Self::NOTHING, |stats| Self::stored(stats, ty)),
            None => Self::NOTHING,
        }
    }

    /// A column that the file was written without has its initial default everywhere [READ-8].
    fn absent(field: &Field, rows: u64) -> Self {
        match field.initial.clone().filter(|value| !value.is_nan()) {
            Some(value) => {
                let bound = Some(Cow::Owned(Bound::exact(value)));
                Self { nulls: Some(0), min: bound.clone(), max: bound }
            }
            None if field.initial.is_some() => Self { nulls: Some(0), ..Self::NOTHING },
            None => Self { nulls: Some(rows), ..Self::NOTHING },
        }
    }

    fn stored(stats: &'e FieldStats, ty: PrimitiveType) -> Self {
        // NaNs are above, and with a sign below, all numbers for DataFusion, and in no bound.
        if stats.ty.is_floating() && stats.nans != Some(0) {
            return Self { nulls: stats.nulls, ..Self::NOTHING };
        }
        let promoted = |bound: &'e Option<Bound>| {
            let bound = bound.as_ref()?;
            if bound.value.check(ty).is_ok() {
                return Some(Cow::Borrowed(bound));
            }
            Some(Cow::Owned(Bound { value: bound.value.promote(ty)?, exact: bound.exact }))
        };
        Self { nulls: stats.nulls, min: promoted(&stats.min), max: promoted(&stats.max) }
    }
}

/// The columns of which something is to be told. Of many columns a query mostly reads few.
#[derive(Clone, Debug)]
pub(crate) struct Needed(Vec<bool>);

impl Needed {
    pub(crate) fn all(columns: usize) -> Self {
        Self(vec![true; columns])
    }

    /// Of so many columns those at these places; places beyond are passed over.
    pub(crate) fn of(columns: usize, places: impl Iterator<Item = usize>) -> Self {
        let mut needed = vec![false; columns];
        for place in places {
            needed.get_mut(place).into_iter().for_each(|needed| *needed = true);
        }
        Self(needed)
    }

    /// Of each column in its place, whether it is.
    pub(crate) fn places(&self) -> impl Iterator<Item = bool> {
        self.0.iter().copied()
    }
}

/// What is known of one file, for pruning it.
pub(crate) fn of_file(
    fields: &[Field],
    schema: &ArrowSchema,
    entry: &FileEntry,
    set: Option<&FieldSet>,
    needed: &Needed,
) -> Statistics {
    let column = |((field, ty), needed): ((&Field, &DataType), &bool)| match needed {
        true => of_column(field, ty, entry, set),
        false => ColumnStatistics::new_unknown(),
    };
    let types = schema.fields().iter().map(|field| field.data_type());
    Statistics {
        num_rows: match usize::try_from(entry.rows) {
            Ok(rows) if entry.deletes.is_none() => Precision::Exact(rows),
            _ => Precision::Absent,
        },
        total_byte_size: Precision::Absent,
        column_statistics: fields.iter().zip(types).zip(&needed.0).map(column).collect(),
    }
}

/// What is known of one column of a file, for pruning it.
pub(crate) fn of_column(
    field: &Field,
    ty: &DataType,
    entry: &FileEntry,
    set: Option<&FieldSet>,
) -> ColumnStatistics {
    let known = Known::of(field, entry, set);
    let scalar = |bound: &Option<Cow<'_, Bound>>| bound.as_ref().and_then(|bound| scalar(&bound.value, ty));
    let (min, max) = (scalar(&known.min), scalar(&known.max));
    let exact = |bound: &Option<Cow<'_, Bound>>| bound.as_ref().is_some_and(|bound| bound.exact);
    // Bounds that were cut may meet though the values differ.
    let seeming = min == max && !(exact(&known.min) && exact(&known.max));
    let bound = |scalar: Option<ScalarValue>| match scalar {
        Some(value) if !seeming => Precision::Exact(value),
        _ => Precision::Absent,
    };
    let nulls = known.nulls.filter(|_| entry.deletes.is_none()).and_then(|nulls| usize::try_from(nulls).ok());
    ColumnStatistics {
        null_count: nulls.map_or(Precision::Absent, Precision::Exact),
        min_value: bound(min),
        max_value: bound(max),
        ..ColumnStatistics::new_unknown()
    }
}

/// What is known of all files together.
pub(crate) struct Whole<'s> {
    fields: &'s [Field],
    schema: &'s ArrowSchema,
    needed: &'s Needed,
    rows: u64,
    bytes: u64,
    columns: Vec<Column>,
}

/// What is known of one column in all files.
struct Column {
    nulls: Count,
    min: Extreme,
    max: Extreme,
}

/// A sum, and whether it is what it says.
#[derive(Clone, Copy)]
struct Count {
    sum: u64,
    exact: bool,
    known: bool,
}

/// The least or greatest value that was met.
enum Extreme {
    /// No file has a value.
    None,
    Value {
        value: ScalarValue,
        exact: bool,
    },
    Unknown,
}

impl<'s> Whole<'s> {
    pub(crate) fn new(fields: &'s [Field], schema: &'s ArrowSchema, needed: &'s Needed) -> Self {
        let column = |needed: &bool| Column {
            nulls: Count { sum: 0, exact: true, known: *needed },
            min: if *needed { Extreme::None } else { Extreme::Unknown },
            max: if *needed { Extreme::None } else { Extreme::Unknown },
        };
        let columns = needed.0.iter().map(column).collect();
        Self { fields, schema, needed, rows: 0, bytes: 0, columns }
    }

    pub(crate) fn add(&mut self, entry: &FileEntry, set: Option<&FieldSet>) {
        let whole = entry.deletes.is_none();
        self.rows = self.rows.saturating_add(entry.live_rows());
        self.bytes = self.bytes.saturating_add(entry.size);
        let types = self.schema.fields().iter().map(|field| field.data_type());
        let columns = self.fields.iter().zip(types).zip(&mut self.columns).zip(&self.needed.0);
        for ((field, ty), column) in columns.filter(|(_, needed)| **needed).map(|(column, _)| column) {
            let known = Known::of(field, entry, set);
            column.nulls.add(known.nulls, whole);
            // A column of nulls has no bounds to miss.
            if known.nulls == Some(entry.rows) {
                continue;
            }
            column.min.meet(known.min.as_deref(), ty, whole, std::cmp::Ordering::Less);
            column.max.meet(known.max.as_deref(), ty, whole, std::cmp::Ordering::Greater);
        }
    }

    /// How many bytes all columns take together is left to DataFusion, which knows which of them are read. It compares bytes of sides of
    /// joins before it compares rows, and those of files are of all columns, and compressed.
    pub(crate) fn finish(self) -> Statistics {
        let rows = usize::try_from(self.rows).map_or(Precision::Absent, Precision::Exact);
        let of_files = usize::try_from(self.bytes).map_or(Precision::Absent, Precision::Inexact);
        let column = |(column, field): (Column, &FieldRef)| ColumnStatistics {
            null_count: column.nulls.precision(),
            min_value: column.min.precision(),
            max_value: column.max.precision(),
            byte_size: match field.data_type().primitive_width() {
                Some(width) => rows.multiply(&Precision::Exact(width)),
                None => of_files,
            },
            ..ColumnStatistics::new_unknown()
        };
        Statistics {
            num_rows: rows,
            total_byte_size: Precision::Absent,
            column_statistics: self.columns.into_iter().zip(self.schema.fields()).map(column).collect(),
        }
    }
}

impl Count {
    fn add(&mut self, more: Option<u64>, whole: bool) {
        self.exact &= whole || more == Some(0);
        self.known &= more.is_some();
        self.sum = self.sum.saturating_add(more.unwrap_or(0));
    }

    fn precision(self) -> Precision<usize> {
        match usize::try_from(self.sum) {
            Ok(sum) if self.known && self.exact => Precision::Exact(sum),
            Ok(sum) if self.known => Precision::Inexact(sum),
            _ => Precision::Absent,
        }
    }
}

impl Extreme {
    /// `further` is how a value compares that is to be kept.
    fn meet(&mut self, bound: Option<&Bound>, ty: &DataType, whole: bool, further: std::cmp::Ordering) {
        let found = bound.and_then(|bound| Some((scalar(&bound.value, ty)?, bound.exact && whole)));
        let Some((found, certain)) = found else {
            *self = Self::Unknown;
            return;
        };
        match self {
            Self::Unknown => {}
            Self::None => *self = Self::Value { value: found, exact: certain },
            Self::Value { value, exact } => match found.partial_cmp(value) {
                // A bound that is no further than a value that is certain cannot hide one beyond it.
                Some(order) if order == further => (*value, *exact) = (found, certain),
                Some(std::cmp::Ordering::Equal) => *exact |= certain,
                Some(_) => {}
                None => *self = Self::Unknown,
            },
        }
    }

    fn precision(self) -> Precision<ScalarValue> {
        match self {
            Self::Value { value, exact: true } => Precision::Exact(value),
            Self::Value { value, exact: false } => Precision::Inexact(value),
            Self::None | Self::Unknown => Precision::Absent,
        }
    }
}

/// A value as DataFusion has it in a column of this type.
pub(crate) fn scalar(value: &Value, ty: &DataType) -> Option<ScalarValue> {
    Some(match (value, ty) {
        (Value::Boolean(truth), DataType::Boolean) => ScalarValue::Boolean(Some(*truth)),
        (Value::Int(number), DataType::Int32) => ScalarValue::Int32(Some(*number)),
        (Value::Long(number), DataType::Int64) => ScalarValue::Int64(Some(*number)),
        (Value::Float(number), DataType::Float32) => ScalarValue::Float32(Some(*number)),
        (Value::Double(number), DataType::Float64) => ScalarValue::Float64(Some(*number)),
        (Value::Decimal { unscaled, scale }, DataType::Decimal128(precision, of))
            if i16::from(*scale) == i16::from(*of) =>
        {
            ScalarValue::Decimal128(Some(*unscaled), *precision, *of)
        }
        (Value::Date(days), DataType::Date32) => ScalarValue::Date32(Some(*days)),
        (Value::Time(micros), DataType::Time64(TimeUnit::Microsecond)) => {
            ScalarValue::Time64Microsecond(Some(*micros))
        }
        (
            Value::Timestamp(time) | Value::TimestampTz(time),
            DataType::Timestamp(TimeUnit::Microsecond, zone),
        ) => ScalarValue::TimestampMicrosecond(Some(*time), zone.clone()),
        (
            Value::TimestampNs(time) | Value::TimestampTzNs(time),
            DataType::Timestamp(TimeUnit::Nanosecond, zone),
        ) => ScalarValue::TimestampNanosecond(Some(*time), zone.clone()),
        (Value::String(text), DataType::Utf8View) => ScalarValue::Utf8View(Some(text.to_string())),
        (Value::String(text), DataType::Utf8) => ScalarValue::Utf8(Some(text.to_string())),
        (Value::Binary(bytes), DataType::BinaryView) => ScalarValue::BinaryView(Some(bytes.to_vec())),
        (Value::Binary(bytes), DataType::Binary) => ScalarValue::Binary(Some(bytes.to_vec())),
        (Value::Uuid(id), DataType::FixedSizeBinary(16)) => {
            ScalarValue::FixedSizeBinary(16, Some(id.to_vec()))
        }
        (Value::Fixed(bytes), DataType::FixedSizeBinary(length)) => {
            ScalarValue::FixedSizeBinary(*length, Some(bytes.to_vec()))
        }
        _ => return None,
    })
}
