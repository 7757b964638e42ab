//! Statistics: that nothing is lost between their forms, that merging says only what is true, that bad bytes are refused.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::value::{MAX_PRECISION, MICROS_PER_DAY};

fn any_type() -> impl Strategy<Value = PrimitiveType> {
    use PrimitiveType as T;
    let plain = prop::sample::select(vec![
        T::Boolean,
        T::Int,
        T::Long,
        T::Float,
        T::Double,
        T::Date,
        T::Time,
        T::Timestamp,
        T::TimestampTz,
        T::TimestampNs,
        T::TimestampTzNs,
        T::String,
        T::Uuid,
        T::Binary,
    ]);
    let decimal = (1..=MAX_PRECISION)
        .prop_flat_map(|precision| (0..=precision).prop_map(move |scale| T::Decimal { precision, scale }));
    prop_oneof![8 => plain, 1 => decimal, 1 => (1..40_u32).prop_map(T::Fixed)]
}

/// Any value but NaN.
fn value_of(ty: PrimitiveType) -> BoxedStrategy<Value> {
    let bytes = |len: std::ops::Range<usize>| prop::collection::vec(any::<u8>(), len);
    let long = any::<i64>();
    match ty {
        PrimitiveType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        PrimitiveType::Int => any::<i32>().prop_map(Value::Int).boxed(),
        PrimitiveType::Date => any::<i32>().prop_map(Value::Date).boxed(),
        PrimitiveType::Long => long.prop_map(Value::Long).boxed(),
        PrimitiveType::Time => (0..MICROS_PER_DAY).prop_map(Value::Time).boxed(),
        PrimitiveType::Timestamp => long.prop_map(Value::Timestamp).boxed(),
        PrimitiveType::TimestampTz => long.prop_map(Value::TimestampTz).boxed(),
        PrimitiveType::TimestampNs => long.prop_map(Value::TimestampNs).boxed(),
        PrimitiveType::TimestampTzNs => long.prop_map(Value::TimestampTzNs).boxed(),
        PrimitiveType::Float => any::<u32>()
            .prop_map(f32::from_bits)
            .prop_filter("NaN", |number| !number.is_nan())
            .prop_map(Value::Float)
            .boxed(),
        PrimitiveType::Double => any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("NaN", |number| !number.is_nan())
            .prop_map(Value::Double)
            .boxed(),
        PrimitiveType::Decimal { precision, scale } => {
            let limit = 10_i128.pow(u32::from(precision));
            (1 - limit..limit).prop_map(move |unscaled| Value::Decimal { unscaled, scale }).boxed()
        }
        PrimitiveType::String => any::<String>().prop_map(|text| Value::String(text.into())).boxed(),
        PrimitiveType::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        PrimitiveType::Fixed(length) => {
            let length = length as usize;
            bytes(length..length + 1).prop_map(|bytes| Value::Fixed(bytes.into())).boxed()
        }
        PrimitiveType::Binary => bytes(0..40).prop_map(|bytes| Value::Binary(bytes.into())).boxed(),
    }
}

fn typed_value() -> impl Strategy<Value = (PrimitiveType, Value)> {
    any_type().prop_flat_map(|ty| value_of(ty).prop_map(move |value| (ty, value)))
}

/// Statistics of one field, as some writer may have made them.
fn field_of(ty: PrimitiveType) -> impl Strategy<Value = FieldStats> {
    let bound = || prop::option::of((value_of(ty), any::<bool>()));
    // One in five files has nothing but nulls: as many as the tests say that it has rows.
    let count = || prop::option::of(prop_oneof![4 => 0..1000_u64, 1 => Just(2000)]);
    (count(), count(), prop::option::of(2000..3000_u64), bound(), bound()).prop_map(
        move |(nulls, nans, values, a, b)| {
            let bound = |side: Option<(Value, bool)>| side.map(|(value, exact)| Bound { value, exact });
            let (mut min, mut max) = (bound(a), bound(b));
            if let (Some(low), Some(high)) = (&mut min, &mut max)
                && low.value.compare(&high.value).unwrap().is_gt()
            {
                std::mem::swap(low, high);
            }
            let void = nulls == Some(2000);
            let nans = if void { Some(0) } else { nans.filter(|nans| *nans < 1000) };
            FieldStats {
                ty,
                nulls,
                nans: nans.filter(|_| ty.is_floating()),
                values: values.filter(|_| !void),
                min: min.filter(|_| !void),
                max: max.filter(|_| !void),
            }
        },
    )
}

/// Rows that know different things of the same fields.
fn rows() -> impl Strategy<Value = Vec<Stats>> {
    let types = prop::collection::btree_map(1..1_000_000_i32, any_type(), 0..4);
    types.prop_flat_map(|types| {
        let row: Vec<_> = types
            .into_iter()
            .map(|(id, ty)| {
                prop::option::weighted(0.8, field_of(ty)).prop_map(move |field| (FieldId(id), field))
            })
            .collect();
        let row = row.prop_map(|fields| {
            let known = fields.into_iter().filter_map(|(id, field)| Some((id, field?)));
            Stats(known.filter(|(_, field)| !field.is_unknown()).collect())
        });
        prop::collection::vec(row, 0..70)
    })
}

fn text_of(columns: &StatsColumns) -> String {
    serde_json::to_string(&StatsWriter(columns)).unwrap()
}

fn read(text: &str, len: usize) -> Result<StatsColumns> {
    let reader: StatsReader =
        serde_json::from_str(text).map_err(|error| Error::malformed(error.to_string()))?;
    reader.of_entries(len)
}

proptest! {
    #[test]
    fn every_value_reads_as_it_was_written((ty, value) in typed_value()) {
        let text = value.to_json().unwrap();
        prop_assert_eq!(&Value::from_json(ty, &text).unwrap(), &value);
        prop_assert!(value.check(ty).is_ok());
        let foreign = serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string();
        if !ty.is_floating() {
            prop_assert_eq!(foreign, text);
        }
    }

    #[test]
    fn promotion_keeps_the_order((ty, a) in typed_value(), to in any_type()) {
        let promoted = a.promote(to);
        prop_assert_eq!(promoted.is_some(), ty.promotes_to(to) && !matches!((&a, to), (Value::Date(days), PrimitiveType::Timestamp) if i64::from(*days).checked_mul(MICROS_PER_DAY).is_none()));
        if let Some(promoted) = promoted {
            prop_assert!(promoted.check(to).is_ok());
        }
    }

    #[test]
    fn a_type_reads_as_it_was_written(ty in any_type()) {
        prop_assert_eq!(ty.to_string().parse(), Ok(ty));
    }

    #[test]
    fn columns_hold_what_the_rows_say(rows in rows()) {
        let columns = StatsColumns::from_rows(&rows);
        prop_assert_eq!(columns.len(), rows.len());
        for (index, row) in rows.iter().enumerate() {
            prop_assert_eq!(&columns.row(index), row);
        }
        prop_assert_eq!(&read(&text_of(&columns), rows.len()).unwrap(), &columns);
    }

    /// Rows that know all there is to know of the same fields, so that no column is half empty.
    #[test]
    fn the_weight_of_a_row_is_what_it_adds((ty, low) in typed_value(), nulls in any::<u64>(), count in 1..50_usize) {
        let nans = ty.is_floating().then_some(nulls);
        let bound = Some(Bound::exact(low));
        let field = FieldStats { ty, nulls: Some(nulls), nans, values: Some(nulls), min: bound.clone(), max: bound };
        let rows = vec![Stats(BTreeMap::from([(FieldId(1), field)])); count];
        let weight: usize = rows.iter().map(Stats::weight).sum();
        let empty = text_of(&StatsColumns::from_rows(&rows[..1])).len() - rows[0].weight();
        let added = text_of(&StatsColumns::from_rows(&rows)).len() - empty;
        // A decimal without a point and `true` are a byte or two less.
        prop_assert!(added <= weight && weight <= added + 4 * count, "{} for {}", weight, added);
    }

    #[test]
    fn merging_parts_is_merging_the_whole(rows in rows(), at in any::<prop::sample::Index>()) {
        let counts = vec![2000; rows.len()];
        let at = at.index(rows.len() + 1);
        let whole = StatsColumns::from_rows(&rows).merged(&counts);
        let (left, right) = rows.split_at(at);
        let part = |rows: &[Stats]| StatsColumns::from_rows(rows).merged(&vec![2000; rows.len()]);
        let parts: Vec<(Stats, u64)> = [left, right]
            .into_iter()
            .filter(|rows| !rows.is_empty())
            .map(|rows| (part(rows), 2000 * rows.len() as u64))
            .collect();
        let sums: Vec<u64> = parts.iter().map(|(_, rows)| *rows).collect();
        let merged = StatsColumns::from_rows(parts.iter().map(|(stats, _)| stats)).merged(&sums);
        prop_assert_eq!(merged, whole);
    }

    #[test]
    fn a_merged_bound_bounds_every_row(rows in rows()) {
        let merged = StatsColumns::from_rows(&rows).merged(&vec![2000; rows.len()]);
        for (id, sum) in &merged.0 {
            for row in &rows {
                let field = row.0.get(id);
                let void = field.is_some_and(|field| field.is_void(2000));
                if let Some(bound) = &sum.min {
                    let row = field.and_then(|field| field.min.as_ref());
                    prop_assert!(row.map_or(void, |row| bound.value.compare(&row.value).unwrap().is_le()));
                }
                if let Some(bound) = &sum.max {
                    let row = field.and_then(|field| field.max.as_ref());
                    prop_assert!(row.map_or(void, |row| bound.value.compare(&row.value).unwrap().is_ge()));
                }
            }
        }
    }

    #[test]
    fn cut_bounds_still_bound(text in "[a-c\u{D7FE}-\u{E001}\u{10FFFE}-\u{10FFFF}]{0,6}", bytes in prop::collection::vec(prop_oneof![Just(255), any::<u8>()], 0..6), limit in 0..12_usize) {
        for value in [Value::String(text.into()), Value::Binary(bytes.into())] {
            let min = Bound::truncated_min(value.clone(), limit);
            prop_assert!(min.value.compare(&value).unwrap().is_le());
            prop_assert_eq!(min.exact, min.value == value);
            if let Some(max) = Bound::truncated_max(value.clone(), limit) {
                prop_assert!(max.value.compare(&value).unwrap().is_ge());
                prop_assert_eq!(max.exact, max.value == value);
            }
        }
    }

    #[test]
    fn hostile_text_never_panics(rows in rows(), at in any::<prop::sample::Index>(), other in any::<u8>(), cut in any::<bool>()) {
        let mut text = text_of(&StatsColumns::from_rows(&rows)).into_bytes();
        let at = at.index(text.len());
        text[at] = other;
        if cut {
            text.truncate(at);
        }
        if let Ok(reader) = serde_json::from_slice::<StatsReader>(&text)
            && let Ok(columns) = reader.of_entries(rows.len())
        {
            let again = text_of(&columns);
            prop_assert_eq!(read(&again, rows.len()).unwrap(), columns);
        }
    }
}

#[test]
fn columns_are_written_in_the_order_of_the_specification() {
    let mut field = FieldStats::unknown(PrimitiveType::Double);
    field.nulls = Some(1);
    field.nans = Some(0);
    field.min = Some(Bound::exact(Value::Double(-0.0)));
    field.max = Some(Bound { value: Value::Double(f64::INFINITY), exact: false });
    let rows = [Stats(BTreeMap::from([(FieldId(7), field)])), Stats::default()];
    let columns = StatsColumns::from_rows(&rows);
    let expected = r#"{"7":{"type":"double","nulls":[1,null],"nans":[0,null],"min":[-0.0,null],"max":["Infinity",null],"max_exact":[false,true]}}"#;
    assert_eq!(text_of(&columns), expected);
    assert_eq!(read(expected, 2).unwrap(), columns);
}

#[test]
fn members_that_are_not_known_and_vectors_that_say_nothing_are_ignored() {
    let text = r#"{"1":{"type":"int","later":{"a":[1]},"nulls":[null],"min":[1],"min_exact":[true]},"2":{"type":"int","max":[null],"max_exact":[false]}}"#;
    let columns = read(text, 1).unwrap();
    assert_eq!(text_of(&columns), r#"{"1":{"type":"int","min":[1]}}"#);
}

fn refuse(text: &str) {
    let error = read(text, 1).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Malformed, "{text}");
}

#[test]
fn what_breaks_a_rule_is_refused() {
    for text in [
        r#"{"1":{"nulls":[1]}}"#,
        r#"{"1":{"nulls":[1],"type":"int"}}"#,
        r#"{"1":{"type":"int","type":"int"}}"#,
        r#"{"1":{"type":"int","nulls":[1],"nulls":[1]}}"#,
        r#"{"1":{"type":"int32"}}"#,
        r#"{"1":{"type":"int","nulls":[1,2]}}"#,
        r#"{"1":{"type":"int","nulls":[]}}"#,
        r#"{"1":{"type":"int","nulls":[-1]}}"#,
        r#"{"1":{"type":"int","nulls":[1.0]}}"#,
        r#"{"1":{"type":"int","nans":[0]}}"#,
        r#"{"1":{"type":"int","min":[2],"max":[1]}}"#,
        r#"{"1":{"type":"int","min":[2147483648]}}"#,
        r#"{"1":{"type":"int","min":["1"]}}"#,
        r#"{"1":{"type":"int","min":[1],"min_exact":[null]}}"#,
        r#"{"1":{"type":"int","min":[1],"min_exact":[true,true]}}"#,
        r#"{"1":{"type":"double","min":["NaN"]}}"#,
        r#"{"1":{"type":"double","min":["1"]}}"#,
        r#"{"1":{"type":"double","min":[1e400]}}"#,
        r#"{"1":{"type":"float","min":[1e39]}}"#,
        r#"{"1":{"type":"double","min":[0.0],"max":[-0.0]}}"#,
        r#"{"1":{"type":"boolean","min":[1]}}"#,
        r#"{"1":{"type":"time","min":[86400000000]}}"#,
        r#"{"1":{"type":"decimal(3,2)","min":["1.2"]}}"#,
        r#"{"1":{"type":"decimal(3,2)","min":["10.00"]}}"#,
        r#"{"1":{"type":"decimal(3,2)","min":["-0.00"]}}"#,
        r#"{"1":{"type":"decimal(3,2)","min":["01.00"]}}"#,
        r#"{"1":{"type":"decimal(3,2)","min":[1.00]}}"#,
        r#"{"1":{"type":"fixed(2)","min":["00"]}}"#,
        r#"{"1":{"type":"binary","min":["0"]}}"#,
        r#"{"1":{"type":"binary","min":["AB"]}}"#,
        r#"{"1":{"type":"binary","min":["ab"],"max":["aa"]}}"#,
        r#"{"1":{"type":"uuid","min":["F79C3E09-677C-4BBD-A479-3F349CB785E7"]}}"#,
        r#"{"2":{"type":"int"},"1":{"type":"int"}}"#,
        r#"{"1":{"type":"int"},"1":{"type":"int"}}"#,
        r#"{"0":{"type":"int"}}"#,
        r#"{"-1":{"type":"int"}}"#,
        r#"{"01":{"type":"int"}}"#,
        r#"{"2147483648":{"type":"int"}}"#,
        r#"{"x":{"type":"int"}}"#,
        r#"{"1":[]}"#,
        r#"[]"#,
    ] {
        refuse(text);
    }
}

#[test]
fn floats_are_rounded_once() {
    let check = |text: &str, expected: f32| {
        assert_eq!(Value::from_json(PrimitiveType::Float, text).unwrap(), Value::Float(expected), "{text}");
    };
    check("0.1", 0.1);
    check("-0.0", -0.0);
    check("-0", -0.0);
    check("7", 7.0);
    check("\"-Infinity\"", f32::NEG_INFINITY);
    // Just above the middle of two floats: by way of a double it would be the middle itself, and go down to even.
    check("1.00000005960464477540", 1.000_000_1);
    assert_eq!(Value::Float(0.1).to_json().unwrap(), "0.1");
    assert!(Value::Float(f32::NAN).to_json().is_err());
}

fn long_field(nulls: Option<u64>, min: Option<(i64, bool)>) -> FieldStats {
    let min = min.map(|(value, exact)| Bound { value: Value::Long(value), exact });
    FieldStats { nulls, min, ..FieldStats::unknown(PrimitiveType::Long) }
}

fn merged(fields: &[FieldStats], rows: u64) -> Option<FieldStats> {
    let entries: Vec<Stats> =
        fields.iter().map(|field| Stats(BTreeMap::from([(FieldId(1), field.clone())]))).collect();
    StatsColumns::from_rows(&entries).merged(&vec![rows; fields.len()]).0.remove(&FieldId(1))
}

#[test]
fn merging_follows_its_rules() {
    let check = |fields: &[FieldStats], expected: FieldStats| assert_eq!(merged(fields, 5), Some(expected));
    let (low, high) = (long_field(Some(1), Some((1, true))), long_field(Some(2), Some((2, true))));
    check(&[low.clone(), high.clone()], long_field(Some(3), Some((1, true))));
    check(&[low.clone(), long_field(None, Some((0, false)))], long_field(None, Some((0, false))));
    check(&[low.clone(), long_field(Some(0), Some((1, false)))], long_field(Some(1), Some((1, true))));
    check(&[long_field(Some(0), Some((1, false))), low.clone()], long_field(Some(1), Some((1, true))));
    check(&[low.clone(), long_field(Some(4), None)], long_field(Some(5), None));
    check(&[long_field(Some(5), None), high], long_field(Some(7), Some((2, true))));
    let int = FieldStats {
        min: Some(Bound::exact(Value::Int(-7))),
        nulls: Some(0),
        ..FieldStats::unknown(PrimitiveType::Int)
    };
    check(&[low, int], long_field(Some(1), Some((-7, true))));
    assert_eq!(merged(&[long_field(None, None), long_field(None, None)], 5), None);
}

#[test]
fn bounds_of_types_that_do_not_join_are_unknown() {
    let far = FieldStats {
        min: Some(Bound::exact(Value::Date(i32::MAX))),
        ..FieldStats::unknown(PrimitiveType::Date)
    };
    let near = FieldStats {
        min: Some(Bound::exact(Value::Timestamp(0))),
        ..FieldStats::unknown(PrimitiveType::Timestamp)
    };
    assert_eq!(merged(&[far, near.clone()], 5), None);
    let foreign = long_field(None, Some((0, true)));
    assert_eq!(merged(&[near, foreign], 5), None);
}

#[test]
fn summaries_keep_the_first_fields_only() {
    let fields = (1..=100).map(|id| (FieldId(id), long_field(Some(0), None))).collect();
    let merged = StatsColumns::from_rows([&Stats(fields)]).merged(&[5]);
    assert_eq!(merged.0.len(), MAX_SUMMARY_FIELDS);
    assert!(merged.0.contains_key(&FieldId(64)));
}

#[test]
fn a_writer_cannot_say_what_is_not_so() {
    let check = |field: FieldStats, right: bool| {
        let stats = Stats(BTreeMap::from([(FieldId(1), field.clone())]));
        assert_eq!(stats.check(5).is_ok(), right, "{field:?}");
    };
    check(long_field(Some(5), None), true);
    check(long_field(Some(4), Some((1, false))), true);
    check(long_field(Some(6), None), false);
    check(long_field(Some(5), Some((1, true))), false);
    check(FieldStats { nans: Some(0), ..long_field(Some(4), None) }, false);
    check(FieldStats { values: Some(6), ..long_field(Some(6), None) }, true);
    check(FieldStats { max: Some(Bound::exact(Value::Long(0))), ..long_field(None, Some((1, true))) }, false);
    check(FieldStats { max: Some(Bound::exact(Value::Int(9))), ..long_field(None, Some((1, true))) }, false);
    let nan = Some(Bound::exact(Value::Double(f64::NAN)));
    check(FieldStats { min: nan, ..FieldStats::unknown(PrimitiveType::Double) }, false);
    let reserved = Stats(BTreeMap::from([(FieldId(0), long_field(Some(1), None))]));
    assert!(reserved.check(5).is_err());
}

#[test]
fn counts_are_held_against_rows() {
    let columns =
        |nulls| StatsColumns::from_rows([&Stats(BTreeMap::from([(FieldId(1), long_field(nulls, None))]))]);
    assert!(columns(Some(5)).check_counts(&[5]).is_ok());
    assert_eq!(columns(Some(6)).check_counts(&[5]).unwrap_err().kind(), ErrorKind::Malformed);
}
