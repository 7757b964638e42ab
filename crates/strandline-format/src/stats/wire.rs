//! Statistics in JSON: an object by field id, with an array for each count and bound [STAT-1..2].
//!
//! Invariants: arrays are read straight into typed vectors, with nothing in between, since a lake's whole metadata may be
//! read this way; the type comes before the bounds that it is needed for; nothing that breaks a rule comes through.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::column::{BoundColumn, Bytes, Nullable};
use super::columns::{FieldColumns, StatsColumns, check_id, known_counts, known_flags};
use crate::error::{Error, Result};
use crate::hash::clip;
use crate::id::FieldId;
use crate::json::through_serde;
use crate::mask::Mask;
use crate::value::{
    MICROS_PER_DAY, PrimitiveType, fits_precision, float_of_text, parse_decimal, parse_hex_into, parse_uuid,
    write_value,
};

type Read<T, E> = std::result::Result<T, E>;

/// Writes the statistics of a node's entries.
pub(crate) struct StatsWriter<'a>(pub(crate) &'a StatsColumns);

impl Serialize for StatsWriter<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Read<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (id, field) in self.0.fields() {
            map.serialize_entry(&id.to_string(), &FieldWriter(field))?;
        }
        map.end()
    }
}

struct FieldWriter<'a>(&'a FieldColumns);

impl Serialize for FieldWriter<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Read<S::Ok, S::Error> {
        let field = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &field.ty.to_string())?;
        for (name, counts) in [("nulls", &field.nulls), ("nans", &field.nans), ("values", &field.values)] {
            if let Some(counts) = counts {
                map.serialize_entry(name, &CountWriter(counts))?;
            }
        }
        for (name, bounds) in [("min", &field.min), ("max", &field.max)] {
            if let Some(bounds) = bounds {
                map.serialize_entry(name, &BoundWriter(field.ty, bounds))?;
            }
        }
        for (name, flags) in [("min_exact", &field.min_exact), ("max_exact", &field.max_exact)] {
            if let Some(flags) = flags {
                map.serialize_entry(name, &FlagWriter(flags))?;
            }
        }
        map.end()
    }
}

struct CountWriter<'a>(&'a Nullable<u64>);

impl Serialize for CountWriter<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Read<S::Ok, S::Error> {
        serializer.collect_seq((0..self.0.len()).map(|index| self.0.get(index)))
    }
}

struct FlagWriter<'a>(&'a Mask);

impl Serialize for FlagWriter<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Read<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

struct BoundWriter<'a>(PrimitiveType, &'a BoundColumn);

impl Serialize for BoundWriter<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Read<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.1.len()))?;
        for index in 0..self.1.len() {
            match self.1.get(index, self.0) {
                Some(value) => seq.serialize_element(&ValueWriter(value))?,
                None => seq.serialize_element(&())?,
            }
        }
        seq.end()
    }
}

struct ValueWriter(crate::value::Value);

impl Serialize for ValueWriter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Read<S::Ok, S::Error> {
        write_value(&self.0, serializer)
    }
}

/// Statistics as they were read, before it is known how many entries the node has.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatsReader(BTreeMap<FieldId, FieldColumns>);

impl StatsReader {
    /// The statistics of a node of `len` entries.
    ///
    /// # Errors
    /// `Malformed` if an array has another length [STAT-2].
    pub(crate) fn of_entries(self, len: usize) -> Result<StatsColumns> {
        for (id, field) in &self.0 {
            if let Some(found) = lengths(field).find(|found| *found != len) {
                return Err(Error::malformed(format!(
                    "statistics of field {id}: an array of {found} for {len} entries"
                )));
            }
        }
        let mut fields = self.0;
        fields.retain(|_, field| drop_unknown(field));
        Ok(StatsColumns { len, fields: fields.into() })
    }
}

fn lengths(field: &FieldColumns) -> impl Iterator<Item = usize> + '_ {
    let counts = [&field.nulls, &field.nans, &field.values].into_iter().flatten().map(Nullable::len);
    let bounds = [&field.min, &field.max].into_iter().flatten().map(BoundColumn::len);
    let flags = [&field.min_exact, &field.max_exact].into_iter().flatten().map(Mask::len);
    counts.chain(bounds).chain(flags)
}

/// Lets go of vectors that say nothing, so that what was read equals what was written. Whether anything is left.
fn drop_unknown(field: &mut FieldColumns) -> bool {
    for counts in [&mut field.nulls, &mut field.nans, &mut field.values] {
        *counts = counts.take().and_then(known_counts);
    }
    drop_unknown_bounds(&mut field.min, &mut field.min_exact);
    drop_unknown_bounds(&mut field.max, &mut field.max_exact);
    let counted = field.nulls.is_some() || field.nans.is_some() || field.values.is_some();
    counted || field.min.is_some() || field.max.is_some()
}

/// A flag of a bound that is not there says nothing.
fn drop_unknown_bounds(bounds: &mut Option<BoundColumn>, flags: &mut Option<Mask>) {
    *bounds = bounds.take().filter(|bounds| !bounds.known().none());
    *flags = flags.take().zip(bounds.as_ref()).and_then(|(flags, bounds)| {
        let absent = Mask::of(true, bounds.len()).minus(bounds.known());
        known_flags(flags.or(&absent))
    });
}

impl<'de> Deserialize<'de> for StatsReader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Read<Self, D::Error> {
        deserializer.deserialize_map(StatsVisitor)
    }
}

struct StatsVisitor;

impl<'de> Visitor<'de> for StatsVisitor {
    type Value = StatsReader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("statistics by field id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Read<StatsReader, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(id) = map.next_key_seed(TextSeed(parse_id))? {
            if fields.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return Err(A::Error::custom(format!(
                    "statistics of field {id} are repeated or not in order"
                )));
            }
            fields.insert(id, map.next_value::<FieldReader>()?.0);
        }
        Ok(StatsReader(fields))
    }
}

/// A field id as a member's name: a positive number in its one canonical text.
fn parse_id(text: &str) -> Result<FieldId> {
    let malformed = || Error::malformed(format!("{:?} is not a field id", clip(text)));
    let id = text.parse().map(FieldId).map_err(|_| malformed())?;
    check_id(id).map_err(Error::stored)?;
    if id.to_string() == text { Ok(id) } else { Err(malformed()) }
}

/// Reads a string through a parser, without keeping it.
struct TextSeed<T>(fn(&str) -> Result<T>);

impl<'de, T> DeserializeSeed<'de> for TextSeed<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Read<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T> Visitor<'_> for TextSeed<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Read<T, E> {
        (self.0)(text).map_err(through_serde)
    }
}

struct FieldReader(FieldColumns);

impl<'de> Deserialize<'de> for FieldReader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Read<Self, D::Error> {
        deserializer.deserialize_map(FieldVisitor).map(FieldReader)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = FieldColumns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the statistics of a field")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Read<FieldColumns, A::Error> {
        let mut field = None;
        while let Some(member) = map.next_key::<Member>()? {
            match (member, &mut field) {
                (Member::Type, None) => field = Some(no_columns(map.next_value_seed(TextSeed(str::parse))?)),
                (Member::Unknown, _) => {
                    map.next_value::<IgnoredAny>()?;
                }
                (Member::Type, Some(_)) => return Err(A::Error::custom("member \"type\" is repeated")),
                (_, None) => return Err(A::Error::custom("member \"type\" has to come first")),
                (member, Some(field)) => read_member(member, field, &mut map)?,
            }
        }
        let field = field.ok_or_else(|| A::Error::missing_field("type"))?;
        check_bounds(&field).map_err(A::Error::custom)?;
        Ok(field)
    }
}

fn no_columns(ty: PrimitiveType) -> FieldColumns {
    FieldColumns {
        ty,
        nulls: None,
        nans: None,
        values: None,
        min: None,
        max: None,
        min_exact: None,
        max_exact: None,
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Member {
    Type,
    Nulls,
    Nans,
    Values,
    Min,
    Max,
    MinExact,
    MaxExact,
    #[serde(other)]
    Unknown,
}

fn read_member<'de, A: MapAccess<'de>>(
    member: Member,
    field: &mut FieldColumns,
    map: &mut A,
) -> Read<(), A::Error> {
    let repeated = match member {
        Member::Nulls => put(&mut field.nulls, map.next_value_seed(OrNull(CountsSeed))?),
        Member::Nans if !field.ty.is_floating() => {
            return Err(A::Error::custom(format!("values of type {} are never NaN", field.ty)));
        }
        Member::Nans => put(&mut field.nans, map.next_value_seed(OrNull(CountsSeed))?),
        Member::Values => put(&mut field.values, map.next_value_seed(OrNull(CountsSeed))?),
        Member::Min => put(&mut field.min, map.next_value_seed(OrNull(BoundsSeed(field.ty)))?),
        Member::Max => put(&mut field.max, map.next_value_seed(OrNull(BoundsSeed(field.ty)))?),
        Member::MinExact => put(&mut field.min_exact, map.next_value_seed(OrNull(FlagsSeed))?),
        Member::MaxExact => put(&mut field.max_exact, map.next_value_seed(OrNull(FlagsSeed))?),
        Member::Type | Member::Unknown => false,
    };
    if repeated { Err(A::Error::custom("a member of a field's statistics is repeated")) } else { Ok(()) }
}

/// Whether there was an array already.
fn put<T>(member: &mut Option<T>, found: Option<T>) -> bool {
    found.is_some_and(|found| member.replace(found).is_some())
}

/// What a seed reads, or `null` [JSON-9].
struct OrNull<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for OrNull<S> {
    type Value = Option<S::Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Read<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for OrNull<S> {
    type Value = Option<S::Value>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or null")
    }
    fn visit_none<E: serde::de::Error>(self) -> Read<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E: serde::de::Error>(self) -> Read<Self::Value, E> {
        Ok(None)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Read<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// [STAT-5]: no lower bound is above its upper bound.
fn check_bounds(field: &FieldColumns) -> Result<()> {
    let crossed = match (&field.min, &field.max) {
        (Some(BoundColumn::Boolean(min)), Some(BoundColumn::Boolean(max))) => crossed(min, max, |a, b| a > b),
        (Some(BoundColumn::I32(min)), Some(BoundColumn::I32(max))) => crossed(min, max, |a, b| a > b),
        (Some(BoundColumn::I64(min)), Some(BoundColumn::I64(max))) => crossed(min, max, |a, b| a > b),
        (Some(BoundColumn::I128(min)), Some(BoundColumn::I128(max))) => crossed(min, max, |a, b| a > b),
        (Some(BoundColumn::F32(min)), Some(BoundColumn::F32(max))) => {
            crossed(min, max, |a, b| a.total_cmp(b).is_gt())
        }
        (Some(BoundColumn::F64(min)), Some(BoundColumn::F64(max))) => {
            crossed(min, max, |a, b| a.total_cmp(b).is_gt())
        }
        (Some(BoundColumn::Bytes(min)), Some(BoundColumn::Bytes(max))) => {
            let known = min.known().clone().and(max.known());
            min.slices().zip(max.slices()).enumerate().any(|(at, (min, max))| min > max && known.get(at))
        }
        _ => false,
    };
    if crossed { Err(Error::malformed("a minimum is above its maximum")) } else { Ok(()) }
}

fn crossed<T: Copy + Default>(min: &Nullable<T>, max: &Nullable<T>, above: fn(&T, &T) -> bool) -> bool {
    let pairs = min.values().iter().zip(max.values()).enumerate();
    pairs.into_iter().any(|(at, (a, b))| above(a, b) && min.known().get(at) && max.known().get(at))
}

macro_rules! seq_seed {
    ($seed:ident, $value:ty, $expected:literal, |$self:ident, $seq:ident| $body:expr) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Read<$value, D::Error> {
                deserializer.deserialize_seq(self)
            }
        }
        impl<'de> Visitor<'de> for $seed {
            type Value = $value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expected)
            }
            fn visit_seq<A: SeqAccess<'de>>($self, $seq: A) -> Read<$value, A::Error> {
                $body
            }
        }
    };
}

struct CountsSeed;
seq_seed!(CountsSeed, Nullable<u64>, "an array of counts", |self, seq| {
    let mut column = Nullable::default();
    read_all(&mut column, seq, |count: Option<u64>| Ok(count))?;
    Ok(column)
});

struct FlagsSeed;
seq_seed!(FlagsSeed, Mask, "an array of flags", |self, seq| {
    let (mut seq, mut mask) = (seq, Mask::default());
    while let Some(flag) = seq.next_element()? {
        mask.push(flag);
    }
    Ok(mask)
});

struct BoundsSeed(PrimitiveType);
seq_seed!(BoundsSeed, BoundColumn, "an array of bounds", |self, seq| {
    let mut column = BoundColumn::empty(self.0);
    read_bounds(self.0, &mut column, seq)?;
    Ok(column)
});

/// Reads all elements into a vector.
fn read_all<'de, A, W, T>(
    column: &mut Nullable<T>,
    mut seq: A,
    convert: impl Fn(Option<W>) -> Result<Option<T>>,
) -> Read<(), A::Error>
where
    A: SeqAccess<'de>,
    W: Deserialize<'de>,
    T: Copy + Default,
{
    while let Some(element) = seq.next_element::<Option<W>>()? {
        column.push(convert(element).map_err(A::Error::custom)?);
    }
    Ok(())
}

fn read_bounds<'de, A: SeqAccess<'de>>(
    ty: PrimitiveType,
    column: &mut BoundColumn,
    seq: A,
) -> Read<(), A::Error> {
    match column {
        BoundColumn::Boolean(column) => read_all(column, seq, Ok),
        BoundColumn::I32(column) => read_all(column, seq, Ok),
        BoundColumn::I64(column) if ty == PrimitiveType::Time => read_all(column, seq, check_time),
        BoundColumn::I64(column) => read_all(column, seq, Ok),
        BoundColumn::F32(column) => read_all(column, seq, |text: Option<&RawValue>| {
            text.map(|text| float_of_text(text.get())).transpose()
        }),
        BoundColumn::F64(column) => read_all(column, seq, |text: Option<&RawValue>| {
            text.map(|text| float_of_text(text.get())).transpose()
        }),
        BoundColumn::I128(column) => read_decimals(ty, column, seq),
        BoundColumn::Bytes(column) => read_bytes(ty, column, seq),
    }
}

fn check_time(micros: Option<i64>) -> Result<Option<i64>> {
    match micros {
        Some(outside) if !(0..MICROS_PER_DAY).contains(&outside) => {
            Err(Error::malformed(format!("{outside} microseconds are no time of day")))
        }
        _ => Ok(micros),
    }
}

fn read_decimals<'de, A: SeqAccess<'de>>(
    ty: PrimitiveType,
    column: &mut Nullable<i128>,
    mut seq: A,
) -> Read<(), A::Error> {
    while let Some(number) = seq.next_element_seed(OptionalText(|text: &str| decimal(ty, text)))? {
        column.push(number);
    }
    Ok(())
}

fn decimal(ty: PrimitiveType, text: &str) -> Option<i128> {
    match ty {
        PrimitiveType::Decimal { precision, scale } => {
            parse_decimal(text, scale).filter(|number| fits_precision(*number, precision))
        }
        _ => None,
    }
}

fn read_bytes<'de, A: SeqAccess<'de>>(
    ty: PrimitiveType,
    column: &mut Bytes,
    mut seq: A,
) -> Read<(), A::Error> {
    while let Some(known) = seq.next_element_seed(OptionalText(|text: &str| append_text(ty, column, text)))? {
        column.close(known.is_some());
    }
    Ok(())
}

/// Appends what a text stands for to the value that is being added.
fn append_text(ty: PrimitiveType, column: &mut Bytes, text: &str) -> Option<()> {
    match ty {
        PrimitiveType::String => column.open().extend_from_slice(text.as_bytes()),
        PrimitiveType::Uuid => column.open().extend_from_slice(&parse_uuid(text)?),
        _ => parse_hex_into(column.open(), text)?,
    }
    match ty {
        PrimitiveType::Fixed(length) => (u32::try_from(column.open_len()) == Ok(length)).then_some(()),
        _ => Some(()),
    }
}

/// Reads `null`, or a string through a parser that may refuse it.
struct OptionalText<F>(F);

impl<'de, T, F: FnOnce(&str) -> Option<T>> DeserializeSeed<'de> for OptionalText<F> {
    type Value = Option<T>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Read<Option<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for OptionalText<F> {
    type Value = Option<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bound as text, or null")
    }
    fn visit_unit<E>(self) -> Read<Option<T>, E> {
        Ok(None)
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Read<Option<T>, E> {
        let value =
            (self.0)(text).ok_or_else(|| E::custom(format!("{:?} is no bound of its type", clip(text))))?;
        Ok(Some(value))
    }
}
