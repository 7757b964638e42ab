//! Random predicates over random batches: evaluation is the model's, the text reads back, and pruning keeps what passes.

use proptest::prelude::*;
use strandline_format::{
    Bound, ColumnName, Comparison, Field, FieldId, FieldStats, PrimitiveType, Schema, Stats, StatsColumns,
    Type, Value,
};
use strandline_testkit::generate::typed;

use super::batch::{Values, array, batch, structs};
use super::model;
use crate::filter::evaluate::evaluate;
use crate::filter::literal::{Exact, Kind, Literal};
use crate::filter::passes;
use crate::filter::predicate::{Column, Predicate, Test, col};

/// A table of two columns and one in a struct, its values, and a predicate over it.
#[derive(Clone, Debug)]
struct Case {
    types: [PrimitiveType; 3],
    columns: [Values; 3],
    /// Where the struct is there.
    valid: Vec<bool>,
    views: bool,
    predicate: Predicate,
}

const NAMES: [&str; 3] = ["a", "B c", "in.side"];
const IDS: [FieldId; 3] = [FieldId(1), FieldId(2), FieldId(4)];

/// Values that lie close together, so that literals meet them, and extreme ones.
fn value(ty: PrimitiveType) -> BoxedStrategy<Value> {
    let extreme = any::<u64>().prop_map(move |seed| typed::value(ty, seed));
    let near = (0..6_u64).prop_map(move |seed| typed::value(ty, seed));
    prop_oneof![2 => near, 1 => extreme].boxed()
}

/// A literal that a column's values compare with: at one of them, or beside it.
fn literal(ty: PrimitiveType) -> BoxedStrategy<Literal> {
    let beside = (-2..=2_i64, 0..4_u8);
    (value(ty), beside).prop_map(move |(value, (by, how))| literal_of(&value, ty, by, how)).boxed()
}

fn literal_of(value: &Value, ty: PrimitiveType, by: i64, how: u8) -> Literal {
    let number = |unscaled: i128, scale: u8| exact(unscaled, scale, by, how);
    let nanos = |nanos: i128, utc| match (how, ty) {
        (0, PrimitiveType::Timestamp | PrimitiveType::TimestampNs) => {
            Kind::Date(i32::try_from(nanos.div_euclid(86_400_000_000_000)).unwrap())
        }
        _ => Kind::Timestamp { nanos: nanos + i128::from(by), utc },
    };
    Literal(match value {
        Value::Boolean(truth) => Kind::Boolean(*truth),
        Value::Int(int) => number(i128::from(*int), 0),
        Value::Long(long) => number(i128::from(*long), 0),
        Value::Decimal { unscaled, scale } => number(*unscaled, *scale),
        Value::Float(float) if how > 0 => Kind::Float(f64::from(*float)),
        Value::Double(double) if how > 0 => Kind::Float(*double),
        Value::Float(_) | Value::Double(_) => number(i128::from(by), 0),
        Value::Date(days) if how == 1 => Kind::Timestamp {
            nanos: i128::from(*days) * 86_400_000_000_000 + i128::from(by.abs()),
            utc: false,
        },
        Value::Date(days) => Kind::Date(*days),
        Value::Time(micros) => Kind::Time((micros * 1000 + by).max(0)),
        Value::Timestamp(micros) => nanos(i128::from(*micros) * 1000, false),
        Value::TimestampTz(micros) => nanos(i128::from(*micros) * 1000, true),
        Value::TimestampNs(count) => nanos(i128::from(*count), false),
        Value::TimestampTzNs(count) => nanos(i128::from(*count), true),
        Value::String(text) => Kind::String(text.clone()),
        Value::Uuid(id) => Kind::Uuid(*id),
        Value::Fixed(bytes) | Value::Binary(bytes) => Kind::Bytes(bytes.clone()),
    })
}

/// A number beside another: by whole ones, by digits further behind the point, far off, or as a float.
fn exact(unscaled: i128, scale: u8, by: i64, how: u8) -> Kind {
    const LIMIT: u128 = 10_u128.pow(38);
    let by = i128::from(by);
    let number = match how {
        0 => Exact { unscaled: unscaled + by, scale },
        1 if scale < 38 => {
            Exact { unscaled: unscaled.saturating_mul(10).saturating_add(by), scale: scale + 1 }
        }
        2 => {
            return Kind::Float(
                [f64::NAN, 0.5, -0.0, 1e300, f64::NEG_INFINITY][usize::try_from(by + 2).unwrap()],
            );
        }
        _ => Exact { unscaled: by * 10_i128.pow(36), scale: 2 },
    };
    let fits = number.unscaled.unsigned_abs() < LIMIT;
    Kind::Exact(if fits { number } else { Exact { unscaled, scale } })
}

fn test(ty: PrimitiveType) -> BoxedStrategy<Test> {
    let comparison = prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    let list = || prop::collection::vec(literal(ty), 1..5);
    let plain = prop_oneof![
        1 => Just(Test::IsNull),
        1 => Just(Test::IsNotNull),
        6 => (comparison, literal(ty)).prop_map(|(comparison, literal)| Test::Compare(comparison, literal)),
        2 => list().prop_map(Test::In),
        2 => list().prop_map(Test::NotIn),
        2 => (literal(ty), literal(ty)).prop_map(|(low, high)| Test::Between(low, high)),
    ];
    let prefix = || literal(ty).prop_map(|literal| Test::StartsWith(shortened(literal)));
    match ty {
        PrimitiveType::Boolean => prop_oneof![3 => plain, 1 => Just(Test::IsTrue)].boxed(),
        PrimitiveType::String | PrimitiveType::Binary | PrimitiveType::Fixed(_) => {
            prop_oneof![3 => plain, 1 => prefix()].boxed()
        }
        _ => plain.boxed(),
    }
}

fn shortened(literal: Literal) -> Literal {
    Literal(match literal.0 {
        Kind::String(text) => Kind::String(text.chars().take(1).collect::<String>().into()),
        Kind::Bytes(bytes) => Kind::Bytes(bytes.iter().copied().take(1).collect()),
        other => other,
    })
}

fn column(at: usize) -> Column {
    if at == 2 { col(NAMES[at]) } else { Column(vec![NAMES[at].to_owned()]) }
}

fn predicate(types: [PrimitiveType; 3]) -> impl Strategy<Value = Predicate> {
    let leaf =
        (0..3_usize).prop_flat_map(move |at| test(types[at]).prop_map(move |test| column(at).test(test)));
    let leaf = prop_oneof![10 => leaf, 1 => any::<bool>().prop_map(|all| if all { Predicate::all() } else { Predicate::none() })];
    leaf.prop_recursive(3, 10, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one.and(other)),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one.or(other)),
            inner.prop_map(|inner| !inner),
        ]
    })
}

fn case() -> impl Strategy<Value = Case> {
    let types = [typed::primitive_types(), typed::primitive_types(), typed::primitive_types()];
    (types, 0..7_usize).prop_flat_map(|(types, rows)| {
        let values = |ty| prop::collection::vec(prop::option::weighted(0.8, value(ty)), rows);
        let columns = types.map(values);
        let valid = prop::collection::vec(prop::bool::weighted(0.8), rows);
        (columns, valid, any::<bool>(), predicate(types)).prop_map(
            move |(columns, valid, views, predicate)| Case { types, columns, valid, views, predicate },
        )
    })
}

impl Case {
    fn schema(&self) -> Schema {
        let field = |name: &str, ty: Type| Field::optional(ColumnName::new(name).unwrap(), ty);
        let inside = field("side", self.types[2].into());
        let fields = vec![
            field(NAMES[0], self.types[0].into()),
            field(NAMES[1], self.types[1].into()),
            field("in", Type::Struct(vec![inside])),
        ];
        Schema::numbered(fields).unwrap()
    }

    fn batch(&self) -> arrow::array::RecordBatch {
        let array = |at: usize| array(self.types[at], &self.columns[at], self.views);
        let outside = structs("side", IDS[2], &array(2), self.valid.clone());
        let columns =
            [(NAMES[0], IDS[0], array(0)), (NAMES[1], IDS[1], array(1)), ("in", FieldId(3), outside)];
        batch(&columns, self.valid.len())
    }

    /// The values of a column as they are seen: none where the struct is null.
    fn seen(&self, at: usize) -> Values {
        let there = |row: usize| at != 2 || self.valid[row];
        self.columns[at].iter().enumerate().map(|(row, value)| value.clone().filter(|_| there(row))).collect()
    }

    fn expected(&self) -> Vec<model::Truth> {
        let seen = [0, 1, 2].map(|at| self.seen(at));
        let truth = |row: usize| {
            model::holds(&self.predicate.0, &|wanted| {
                seen[(0..3).position(|at| column(at) == *wanted).unwrap()][row].clone()
            })
        };
        (0..self.valid.len()).map(truth).collect()
    }

    fn stats(&self) -> StatsColumns {
        let fields = (0..3).map(|at| (IDS[at], honest(self.types[at], &self.seen(at))));
        StatsColumns::from_rows([&Stats(fields.collect())])
    }
}

/// What an honest writer says of the values.
fn honest(ty: PrimitiveType, values: &[Option<Value>]) -> FieldStats {
    let count = |test: fn(&&Option<Value>) -> bool| values.iter().filter(test).count() as u64;
    let mut numbers: Vec<&Value> = values.iter().flatten().filter(|value| !value.is_nan()).collect();
    numbers.sort_by(|a, b| a.compare(b).unwrap());
    FieldStats {
        ty,
        nulls: Some(count(|value| value.is_none())),
        nans: ty.is_floating().then(|| count(|value| value.as_ref().is_some_and(Value::is_nan))),
        values: None,
        min: numbers.first().map(|min| Bound::exact((*min).clone())),
        max: numbers.last().map(|max| Bound::exact((*max).clone())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn rows_are_what_the_model_says_and_pruning_keeps_them(case in case()) {
        let filter = case.predicate.bind(&case.schema()).unwrap();
        let batch = case.batch();
        let expected = case.expected();
        prop_assert_eq!(evaluate(&filter, &batch).unwrap().iter().collect::<Vec<_>>(), &expected[..]);
        let passing: Vec<_> = expected.iter().map(|truth| Some(*truth == Some(true))).collect();
        prop_assert_eq!(passes(&filter, &batch).unwrap().iter().collect::<Vec<_>>(), &passing[..]);
        let kept = filter.may_match(&case.stats(), &[case.valid.len() as u64], &|_| None);
        prop_assert!(kept.get(0) || !passing.contains(&Some(true)), "{:?} was pruned", filter);
    }

    #[test]
    fn the_text_reads_back(case in case()) {
        let text = case.predicate.to_string();
        prop_assert_eq!(Predicate::parse(&text).unwrap(), case.predicate, "{}", text);
    }

    #[test]
    fn no_text_panics_and_what_is_read_is_written_as_it_reads(text in hostile()) {
        if let Ok(predicate) = Predicate::parse(&text) {
            prop_assert_eq!(Predicate::parse(&predicate.to_string()).unwrap(), predicate);
        }
    }
}

/// Words of the language, and of others, in any order.
fn hostile() -> impl Strategy<Value = String> {
    let words = [
        "a",
        "b",
        ".",
        "=",
        "<",
        ">=",
        "(",
        ")",
        ",",
        "AND",
        "OR",
        "NOT",
        "IN",
        "IS",
        "NULL",
        "LIKE",
        "BETWEEN",
        "TRUE",
        "1",
        "-",
        "2.5",
        "1e3",
        "'x%'",
        "'",
        "\"q\"",
        "X'0a'",
        "DATE",
        "'2026-01-01'",
        "--",
        "/*",
        "ESCAPE",
        "starts_with",
        "CASE",
        "::",
        "\0",
        "ü",
    ];
    let words = prop::collection::vec(prop::sample::select(words.to_vec()), 0..12);
    prop_oneof![3 => words.prop_map(|words| words.join(" ")), 1 => any::<String>()]
}
