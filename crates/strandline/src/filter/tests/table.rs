//! Texts, rows, and which of them pass.

use strandline_format::{ColumnName, Field, PrimitiveType, Schema, Value};

use super::batch::{Values, array, batch};
use crate::filter::evaluate::evaluate;
use crate::filter::{Filter, Predicate, col};

/// The rows for which a text over the one column `x` is true, false and null, each as a letter.
fn truth(ty: PrimitiveType, values: &[Option<Value>], text: &str) -> String {
    let field = Field::optional(ColumnName::new("x").unwrap(), ty);
    let schema = Schema::numbered(vec![field]).unwrap();
    let id = schema.fields()[0].id;
    let filter = Predicate::parse(text).unwrap().bind(&schema).unwrap();
    let batch = batch(&[("x", id, array(ty, values, false))], values.len());
    let letter = |truth| match truth {
        Some(true) => 't',
        Some(false) => 'f',
        None => '-',
    };
    evaluate(&filter, &batch).unwrap().iter().map(letter).collect()
}

#[track_caller]
fn check(ty: PrimitiveType, values: &[Option<Value>], cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(truth(ty, values, text), *expected, "{text}");
    }
}

fn some<T>(kind: fn(T) -> Value, values: impl IntoIterator<Item = T>) -> Values {
    values.into_iter().map(kind).map(Some).chain([None]).collect()
}

#[test]
fn integers_compare_with_any_number() {
    let ints = some(Value::Int, [i32::MIN, -1, 0, 2, 3, i32::MAX]);
    check(
        PrimitiveType::Int,
        &ints,
        &[
            ("x = 2", "ffftff-"),
            ("2 = x", "ffftff-"),
            ("x <> 2", "tttftt-"),
            ("x != 2", "tttftt-"),
            ("x < 2", "tttfff-"),
            ("2 > x", "tttfff-"),
            ("x < 2.5", "ttttff-"),
            ("x >= 2.5", "fffftt-"),
            ("x = 2.5", "ffffff-"),
            ("x <> 2.5", "tttttt-"),
            ("x = 2.0", "ffftff-"),
            ("x = 2e0", "ffftff-"),
            ("x > -0.5", "fftttt-"),
            ("x < 3000000000", "tttttt-"),
            ("x > 3000000000", "ffffff-"),
            ("x = -3000000000", "ffffff-"),
            ("x >= -3000000000", "tttttt-"),
            ("NOT x < 3000000000", "ffffff-"),
            ("x < DOUBLE 'NaN'", "tttttt-"),
            ("x > DOUBLE '-Infinity'", "tttttt-"),
            ("x < -2147483648.5", "ffffff-"),
            ("x > -2147483648.5", "tttttt-"),
            ("x > 2147483647.5", "ffffff-"),
            ("x < 2147483647.5", "tttttt-"),
            ("x IN (2, 2.5, 3000000000, 3)", "fffttf-"),
            ("x NOT IN (2, 2.5, 3000000000, 3)", "tttfft-"),
            ("x IN (2.5)", "ffffff-"),
            ("x NOT IN (2.5)", "tttttt-"),
            ("x BETWEEN 0 AND 2", "ffttff-"),
            ("x NOT BETWEEN 0 AND 2", "ttfftt-"),
            ("x BETWEEN -0.5 AND 2.5", "ffttff-"),
            ("x BETWEEN 2 AND 0", "ffffff-"),
            ("x BETWEEN 0 AND 3000000000", "fftttt-"),
            ("x IS NULL", "fffffft"),
            ("x IS NOT NULL", "ttttttf"),
            ("x = 2 OR x IS NULL", "ffftfft"),
            ("x = 2 AND FALSE", "fffffff"),
            ("x = 2 OR TRUE", "ttttttt"),
            ("NOT NOT x = 2", "ffftff-"),
            ("x = 0 OR x = 2 AND x = 3", "fftfff-"),
            ("(x = 0 OR x = 2) AND NOT x = 0", "ffftff-"),
            ("x = +2 /* two */ -- and no more", "ffftff-"),
        ],
    );
}

#[test]
fn longs_meet_floats_beyond_what_floats_hold() {
    let longs = some(Value::Long, [(1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX]);
    check(
        PrimitiveType::Long,
        &longs,
        &[
            ("x = 9007199254740993", "fftf-"),
            ("x <= 9007199254740992e0", "ttff-"),
            ("x < 9223372036854775808", "tttt-"),
            ("x < 1e300", "tttt-"),
        ],
    );
}

#[test]
fn floats_have_one_nan_above_all_and_one_zero() {
    let nan = f64::NAN;
    let doubles = some(Value::Double, [f64::NEG_INFINITY, -0.0, 0.0, 0.1, f64::INFINITY, nan, -nan]);
    check(
        PrimitiveType::Double,
        &doubles,
        &[
            ("x = 0", "fttffff-"),
            ("x = -0e0", "fttffff-"),
            ("x >= 0.0", "ftttttt-"),
            ("x < 0", "tffffff-"),
            ("x > 5", "ffffttt-"),
            ("x = DOUBLE 'NaN'", "ffffftt-"),
            ("x < DOUBLE 'NaN'", "tttttff-"),
            ("x = 0.1", "ffftfff-"),
            ("x IN (0, DOUBLE 'NaN')", "fttfftt-"),
            ("x NOT IN (-0e0)", "tfftttt-"),
            ("x BETWEEN 0 AND DOUBLE 'Infinity'", "fttttff-"),
        ],
    );
    let floats = some(Value::Float, [0.1_f32, 0.5]);
    check(
        PrimitiveType::Float,
        &floats,
        &[("x = 0.1", "tf-"), ("x = 1e-1", "ff-"), ("x > 1e-1", "tt-"), ("x = 5e-1", "ft-")],
    );
}

#[test]
fn decimals_compare_exactly_whatever_their_scale() {
    let decimal = |unscaled| Value::Decimal { unscaled, scale: 2 };
    let decimals = some(decimal, [-999, -1, 10, 110, 999]);
    check(
        PrimitiveType::Decimal { precision: 3, scale: 2 },
        &decimals,
        &[
            ("x = 1.1", "ffftf-"),
            ("x = 1.100", "ffftf-"),
            ("x = 1.101", "fffff-"),
            ("x < 1.101", "ttttf-"),
            ("x > 1.099", "ffftt-"),
            ("x >= -0.005", "ffttt-"),
            ("x < -0.005", "ttfff-"),
            ("x < 10", "ttttt-"),
            ("x > -10", "ttttt-"),
            ("x <= -10", "fffff-"),
            ("x = 0.1", "fftff-"),
            ("x = 1e-1", "fftff-"),
            ("x < 99999999999999999999999999999999999999", "ttttt-"),
            ("x = DECIMAL '9.99'", "fffft-"),
        ],
    );
}

#[test]
fn days_and_times_compare_as_instants() {
    let day = 86_400_000_000;
    check(
        PrimitiveType::Date,
        &some(Value::Date, [-1, 0, 1]),
        &[
            ("x = DATE '1970-01-01'", "ftf-"),
            ("x = '1970-01-01'", "ftf-"),
            ("x <= TIMESTAMP '1970-01-01 12:00'", "ttf-"),
            ("x = TIMESTAMP '1970-01-01T12:00:00'", "fff-"),
            ("x = TIMESTAMP '1970-01-01 00:00:00'", "ftf-"),
            ("x > DATE '+5881580-07-11'", "fff-"),
        ],
    );
    check(
        PrimitiveType::Timestamp,
        &some(Value::Timestamp, [-1, 0, day, i64::MAX]),
        &[
            ("x >= DATE '1970-01-02'", "fftt-"),
            ("x = '1970-01-02'", "fftf-"),
            ("x > '1969-12-31 23:59:59.9999985'", "tttt-"),
            ("x > '1969-12-31 23:59:59.999999'", "fttt-"),
            ("x < DATE '+500000-01-01'", "tttt-"),
        ],
    );
    check(
        PrimitiveType::TimestampTz,
        &some(Value::TimestampTz, [0, 3_600_000_000]),
        &[("x = '1970-01-01 01:00:00+01:00'", "tf-"), ("x > TIMESTAMP '1970-01-01T00:30Z'", "ft-")],
    );
    check(
        PrimitiveType::TimestampNs,
        &some(Value::TimestampNs, [0, 1]),
        &[("x = '1970-01-01 00:00:00.000000001'", "ft-"), ("x < DATE '2500-01-01'", "tt-")],
    );
    check(
        PrimitiveType::Time,
        &some(Value::Time, [0, 1, day - 1]),
        &[
            ("x >= '00:00:00.0000005'", "ftt-"),
            ("x = TIME '23:59:59.999999'", "fft-"),
            ("x < '00:00'", "fff-"),
        ],
    );
}

#[test]
fn texts_and_bytes_compare_by_their_bytes_and_begin() {
    let texts = some(|text: &str| Value::String(text.into()), ["", "B", "Bern", "b%_\\", "it's", "Ω"]);
    check(
        PrimitiveType::String,
        &texts,
        &[
            ("x = 'it''s'", "fffftf-"),
            ("x < 'C'", "tttfff-"),
            ("x LIKE 'B%'", "fttfff-"),
            ("x NOT LIKE 'B%'", "tffttt-"),
            ("x LIKE '%'", "tttttt-"),
            (r"x LIKE 'b\%\_\\%'", "ffftff-"),
            ("x LIKE 'b!%!_%' ESCAPE '!'", "ffftff-"),
            ("x LIKE 'Ω%'", "ffffft-"),
            ("starts_with(x, 'Be')", "fftfff-"),
            ("x IN ('B', 'Ω')", "ftffft-"),
        ],
    );
    let bytes = some(|bytes: &[u8]| Value::Binary(bytes.into()), [b"".as_slice(), b"\0", b"\0\xff"]);
    check(
        PrimitiveType::Binary,
        &bytes,
        &[("x = X'00FF'", "fft-"), ("starts_with(x, X'00')", "ftt-"), ("x > X''", "ftt-")],
    );
    let id = Value::Uuid([
        0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
    ]);
    check(
        PrimitiveType::Uuid,
        &[Some(id), Some(Value::Uuid([0; 16])), None],
        &[
            ("x = '6BA7B810-9dad-11d1-80b4-00c04fd430c8'", "tf-"),
            ("x < UUID '6ba7b810-9dad-11d1-80b4-00c04fd430c8'", "ft-"),
        ],
    );
    check(PrimitiveType::Fixed(2), &[Some(Value::Fixed([1, 2].into())), None], &[("x = X'0102'", "t-")]);
}

#[test]
fn booleans_stand_by_themselves() {
    check(
        PrimitiveType::Boolean,
        &some(Value::Boolean, [false, true]),
        &[
            ("x", "ft-"),
            ("NOT x", "tf-"),
            ("x = FALSE", "tf-"),
            ("TRUE > x", "tf-"),
            ("X AND x", "ft-"),
            ("\"x\"", "ft-"),
        ],
    );
}

#[test]
fn types_that_widen_compare_before_they_are_widened() {
    let schema = |ty| Schema::numbered(vec![Field::optional(ColumnName::new("x").unwrap(), ty)]).unwrap();
    let check = |wide: PrimitiveType,
                 narrow: PrimitiveType,
                 values: &[Option<Value>],
                 text: &str,
                 expected: &[bool]| {
        let filter = Predicate::parse(text).unwrap().bind(&schema(wide)).unwrap();
        let batch = batch(&[("x", schema(wide).fields()[0].id, array(narrow, values, false))], values.len());
        let found: Vec<bool> = evaluate(&filter, &batch).unwrap().iter().flatten().collect();
        assert_eq!(found, expected, "{text}");
    };
    use PrimitiveType as T;
    let ints = [Some(Value::Int(1)), Some(Value::Int(2))];
    check(T::Long, T::Int, &ints, "x < 2", &[true, false]);
    check(T::Long, T::Int, &ints, "x IN (2, 9999999999)", &[false, true]);
    check(T::Double, T::Float, &[Some(Value::Float(0.1))], "x > 0.1", &[true]);
    let days = [Some(Value::Date(0)), Some(Value::Date(i32::MAX))];
    check(T::Timestamp, T::Date, &days, "x > '1970-01-01 00:00:01'", &[false, true]);
    check(T::Timestamp, T::Date, &days, "x IN ('1970-01-01', '1970-01-01 00:00:01')", &[true, false]);
}

#[test]
fn what_is_built_is_what_its_text_says() {
    let check = |built: Predicate, text: &str| {
        assert_eq!(built.to_string(), text);
        assert_eq!(Predicate::parse(text).unwrap(), built);
    };
    check(col("a").gt(5).and(col("b").is_null().or(col("c.d").is_true())), "a > 5 AND (b IS NULL OR c.d)");
    check((!col("a").is_in([1_i64, 2])).and(Predicate::all()), "NOT (a IN (1, 2)) AND TRUE");
    check(!col("active").is_true(), "NOT active");
    check(!!col("a").ne("x"), "a <> 'x'");
    check(col("a").is_in::<i32>([]).or(col("a").not_in::<i32>([])), "FALSE OR TRUE");
    check(col("weird \"name\"").le(-1.5), r#""weird ""name""" <= -1.5e0"#);
    check(col("select").starts_with("50%"), r#""select" LIKE '50\%%'"#);
    check(col("a").starts_with(b"\0a"), "starts_with(a, X'0061')");
    check(col("a").between(-1, 1_u64), "a BETWEEN -1 AND 1");
}

#[test]
fn constants_leave_nothing_to_ask() {
    let schema =
        Schema::numbered(vec![Field::optional(ColumnName::new("x").unwrap(), PrimitiveType::Int)]).unwrap();
    let check =
        |text: &str, expected| assert_eq!(Predicate::parse(text).unwrap().bind(&schema).unwrap(), expected);
    check("TRUE", Filter::True);
    check("NOT TRUE", Filter::False);
    check("x = 1 AND FALSE", Filter::False);
    check("x = 1 OR TRUE", Filter::True);
}
