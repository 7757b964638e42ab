//! Soundness: whatever rows there are, whatever is known of them, an entry with a row that passes is kept. The oracle below
//! knows nothing of statistics; it evaluates rows, under every order of NaN and the zeros that engines have.

use std::cell::Cell;
use std::cmp::Ordering;

use proptest::prelude::*;

use super::key::{Key, Literal};
use super::literals::Sorted;
use super::prune::Column;
use super::*;
use crate::mask::Mask;
use crate::stats::{Bound, BoundColumn, FieldStats, Stats, StatsColumns};
use crate::value::PrimitiveType;

const FIELDS: [FieldId; 2] = [FieldId(1), FieldId(2)];

/// How an engine orders floats.
#[derive(Clone, Copy, Debug)]
enum Engine {
    /// -0.0 equals 0.0; NaN equals itself and is the greatest.
    Sql,
    /// IEEE 754 `totalOrder`, in which negative NaN is the least.
    TotalOrder,
    /// IEEE 754 comparison: NaN compares with nothing, and is unequal to all.
    Ieee,
}

fn order(engine: Engine, a: f64, b: f64) -> Option<Ordering> {
    match engine {
        Engine::TotalOrder => Some(a.total_cmp(&b)),
        Engine::Ieee => a.partial_cmp(&b),
        Engine::Sql => Some(match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(&b).unwrap(),
            (a, b) => a.cmp(&b),
        }),
    }
}

/// The order of two values; the inner `None` is incomparable, the outer one that the types do not compare.
fn compare(engine: Engine, a: &Value, b: &Value) -> Option<Option<Ordering>> {
    let float = |value: &Value| match value {
        Value::Float(number) => Some(f64::from(*number)),
        Value::Double(number) => Some(*number),
        _ => None,
    };
    let integer = |value: &Value| match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Long(number) => Some(i128::from(*number)),
        _ => None,
    };
    let instant = |value: &Value| match value {
        Value::Date(days) => Some(i128::from(*days) * 86_400_000_000),
        Value::Timestamp(micros) => Some(i128::from(*micros)),
        _ => None,
    };
    if let (Some(a), Some(b)) = (float(a), float(b)) {
        return Some(order(engine, a, b));
    }
    for family in [integer, instant] as [fn(&Value) -> Option<i128>; 2] {
        if let (Some(a), Some(b)) = (family(a), family(b)) {
            return Some(Some(a.cmp(&b)));
        }
    }
    a.compare(b).map(Some)
}

/// What a comparison of a value is; `None` is unknown.
fn holds(engine: Engine, comparison: Comparison, value: &Value, literal: &Value) -> Option<bool> {
    let order = compare(engine, value, literal)?;
    Some(match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

fn begins(value: &Value, prefix: &Value) -> Option<bool> {
    match (value, prefix) {
        (Value::String(text), Value::String(prefix)) => Some(text.starts_with(&**prefix)),
        (Value::Binary(bytes), Value::Binary(prefix)) => Some(bytes.starts_with(prefix)),
        _ => None,
    }
}

fn test_row(engine: Engine, test: &Test, value: Option<&Value>) -> Option<bool> {
    let compare = |comparison, literal| holds(engine, comparison, value?, literal);
    match test {
        Test::IsNull => Some(value.is_none()),
        Test::IsNotNull => Some(value.is_some()),
        Test::Compare(comparison, literal) => compare(*comparison, literal),
        Test::In(literals) => or(literals.iter().map(|literal| compare(Comparison::Equal, literal))),
        Test::NotIn(literals) => not(or(literals.iter().map(|literal| compare(Comparison::Equal, literal)))),
        Test::Between(low, high) => not(or([
            not(compare(Comparison::GreaterOrEqual, low)),
            not(compare(Comparison::LessOrEqual, high)),
        ])),
        Test::StartsWith(prefix) => begins(value?, prefix),
        Test::NotStartsWith(prefix) => not(begins(value?, prefix)),
    }
}

fn not(truth: Option<bool>) -> Option<bool> {
    truth.map(|truth| !truth)
}

/// Three-valued `OR`.
fn or(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let parts: Vec<Option<bool>> = parts.into_iter().collect();
    let known = parts.iter().all(Option::is_some).then_some(false);
    if parts.contains(&Some(true)) { Some(true) } else { known }
}

fn row_passes(engine: Engine, filter: &Filter, row: &[Option<Value>; 2]) -> Option<bool> {
    match filter {
        Filter::True => Some(true),
        Filter::False => Some(false),
        Filter::Or(parts) => or(parts.iter().map(|part| row_passes(engine, part, row))),
        Filter::And(parts) => not(or(parts.iter().map(|part| not(row_passes(engine, part, row))))),
        Filter::Not(inner) => not(row_passes(engine, inner, row)),
        Filter::Field(id, test) => {
            let column = FIELDS.iter().position(|field| field == id).unwrap();
            test_row(engine, test, row[column].as_ref())
        }
    }
}

/// Values that lie close together, so that bounds and literals meet.
fn value(ty: PrimitiveType) -> BoxedStrategy<Value> {
    let floats = [0.0, -0.0, 1.5, -1.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN];
    let text = prop::collection::vec(prop_oneof![Just('a'), Just('b'), Just('ü'), Just('\u{10FFFF}')], 0..4);
    match ty {
        PrimitiveType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        PrimitiveType::Int => prop_oneof![-3..3, Just(i32::MAX)].prop_map(Value::Int).boxed(),
        PrimitiveType::Long => prop_oneof![-3..3_i64, Just(i64::MIN)].prop_map(Value::Long).boxed(),
        #[expect(clippy::cast_possible_truncation, reason = "the numbers are small, and NaN stays NaN")]
        PrimitiveType::Float => {
            prop::sample::select(floats.to_vec()).prop_map(|x| Value::Float(x as f32)).boxed()
        }
        PrimitiveType::Double => prop::sample::select(floats.to_vec()).prop_map(Value::Double).boxed(),
        PrimitiveType::Decimal { scale, .. } => {
            (-3..3_i128).prop_map(move |unscaled| Value::Decimal { unscaled, scale }).boxed()
        }
        PrimitiveType::Date => prop_oneof![-2..2, Just(i32::MIN)].prop_map(Value::Date).boxed(),
        PrimitiveType::Timestamp => (-2..3_i64, -1..2_i64)
            .prop_map(|(days, rest)| Value::Timestamp(days * 86_400_000_000 + rest))
            .boxed(),
        PrimitiveType::String => {
            text.prop_map(|chars| Value::String(chars.into_iter().collect::<String>().into())).boxed()
        }
        _ => prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4)
            .prop_map(|bytes| Value::Binary(bytes.into()))
            .boxed(),
    }
}

/// Types whose values compare with each other.
fn family() -> impl Strategy<Value = Vec<PrimitiveType>> {
    use PrimitiveType as T;
    let decimal = |precision| T::Decimal { precision, scale: 1 };
    prop::sample::select(vec![
        vec![T::Boolean],
        vec![T::Int, T::Long],
        vec![T::Float, T::Double],
        vec![decimal(3), decimal(9)],
        vec![T::Date, T::Timestamp],
        vec![T::String],
        vec![T::Binary],
        vec![T::Int, T::String],
    ])
}

fn of_family(types: Vec<PrimitiveType>) -> impl Strategy<Value = Value> {
    prop::sample::select(types).prop_flat_map(value)
}

/// Short lists and long ones, which repeat themselves.
fn literals(types: &[PrimitiveType]) -> impl Strategy<Value = Vec<Value>> + use<> {
    let literal = || of_family(types.to_vec());
    prop_oneof![prop::collection::vec(literal(), 0..4), prop::collection::vec(literal(), 4..60)]
}

fn test(types: &[PrimitiveType]) -> impl Strategy<Value = Test> + use<> {
    let literal = || of_family(types.to_vec());
    let comparison = prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    prop_oneof![
        1 => Just(Test::IsNull),
        1 => Just(Test::IsNotNull),
        4 => (comparison, literal()).prop_map(|(comparison, literal)| Test::Compare(comparison, literal)),
        1 => literals(types).prop_map(Test::In),
        1 => literals(types).prop_map(Test::NotIn),
        1 => (literal(), literal()).prop_map(|(low, high)| Test::Between(low, high)),
        1 => literal().prop_map(Test::StartsWith),
        1 => literal().prop_map(Test::NotStartsWith),
    ]
}

fn filter(types: &[PrimitiveType]) -> impl Strategy<Value = Filter> + use<> {
    let leaf = prop_oneof![
        8 => (prop::sample::select(FIELDS.to_vec()), test(types)).prop_map(|(id, test)| Filter::Field(id, test)),
        1 => Just(Filter::True),
        1 => Just(Filter::False),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

/// How the statistics of one field of one entry are weakened before they are handed out.
#[derive(Clone, Copy, Debug)]
struct Weakening {
    hide_nulls: bool,
    hide_nans: bool,
    hide_min: bool,
    hide_max: bool,
    truncate: Option<usize>,
}

fn weakening() -> impl Strategy<Value = Weakening> {
    let rarely = || prop::bool::weighted(0.2);
    (rarely(), rarely(), rarely(), rarely(), prop::option::of(0..3_usize)).prop_map(
        |(hide_nulls, hide_nans, hide_min, hide_max, truncate)| Weakening {
            hide_nulls,
            hide_nans,
            hide_min,
            hide_max,
            truncate,
        },
    )
}

/// What an honest writer says of the values.
fn honest(ty: PrimitiveType, values: &[Option<Value>], weak: Weakening) -> FieldStats {
    let count = |test: fn(&Option<Value>) -> bool| values.iter().filter(|value| test(value)).count() as u64;
    let nans = count(|value| value.as_ref().is_some_and(Value::is_nan));
    let mut numbers: Vec<&Value> = values.iter().flatten().filter(|value| !value.is_nan()).collect();
    numbers.sort_by(|a, b| a.compare(b).unwrap());
    let min = numbers.first().copied().cloned().filter(|_| !weak.hide_min);
    let max = numbers.last().copied().cloned().filter(|_| !weak.hide_max);
    FieldStats {
        ty,
        nulls: Some(count(Option::is_none)).filter(|_| !weak.hide_nulls),
        nans: Some(nans).filter(|_| ty.is_floating() && !weak.hide_nans),
        values: None,
        min: min.map(|min| match weak.truncate {
            Some(limit) => Bound::truncated_min(min, limit),
            None => Bound::exact(min),
        }),
        max: max.and_then(|max| match weak.truncate {
            Some(limit) => Bound::truncated_max(max, limit),
            None => Some(Bound::exact(max)),
        }),
    }
}

/// One field of one entry: its type there, its values, and what is told of them. `None`: the file was written without it.
type FieldOfEntry = Option<(PrimitiveType, Vec<Option<Value>>, Weakening)>;

#[derive(Clone, Debug)]
struct Case {
    filter: Filter,
    entries: Vec<[FieldOfEntry; 2]>,
    rows: Vec<usize>,
    initial: Option<Value>,
}

fn field_of_entry(types: Vec<PrimitiveType>, rows: usize) -> impl Strategy<Value = FieldOfEntry> {
    let column = prop::sample::select(types).prop_flat_map(move |ty| {
        let values = prop::collection::vec(prop::option::weighted(0.7, value(ty)), rows);
        (Just(ty), values, weakening())
    });
    prop::option::weighted(0.9, column)
}

fn case() -> impl Strategy<Value = Case> {
    family().prop_flat_map(case_of)
}

fn case_of(types: Vec<PrimitiveType>) -> impl Strategy<Value = Case> {
    prop::collection::vec(1..4_usize, 1..4).prop_flat_map(move |rows| {
        // Types of one field that no promotion joins cannot meet in one table.
        let column_types =
            if types.contains(&PrimitiveType::String) { vec![PrimitiveType::String] } else { types.clone() };
        let entry = |rows: &usize| {
            let field = || field_of_entry(column_types.clone(), *rows);
            [field(), field()]
        };
        let entries: Vec<_> = rows.iter().map(entry).collect();
        let initial = prop::option::of(
            of_family(column_types.clone()).prop_filter("no default is NaN", |value| !value.is_nan()),
        );
        (filter(&types), entries, Just(rows), initial).prop_map(|(filter, entries, rows, initial)| Case {
            filter,
            entries,
            rows,
            initial,
        })
    })
}

impl Case {
    fn stats_of(entry: &[FieldOfEntry; 2]) -> Stats {
        let known = FIELDS.iter().zip(entry).filter_map(|(id, field)| {
            let (ty, values, weak) = field.as_ref()?;
            Some((*id, honest(*ty, values, *weak)))
        });
        Stats(known.collect())
    }

    fn kept(&self) -> Mask {
        let rows: Vec<u64> = self.rows.iter().map(|rows| *rows as u64).collect();
        let stats: Vec<Stats> = self.entries.iter().map(Self::stats_of).collect();
        stats.iter().zip(&rows).for_each(|(stats, rows)| stats.check(*rows).unwrap());
        let columns = StatsColumns::from_rows(&stats);
        let kept = self.filter.may_match(&columns, &rows, &|id| {
            let column = FIELDS.iter().position(|field| *field == id)?;
            let entries = self.entries.iter().map(|entry| entry[column].is_none()).collect();
            Some(Absent { entries, initial: self.initial.clone() })
        });
        // What is kept below must be kept above: by the summary, which knows no absent fields.
        let summary = StatsColumns::from_rows([&columns.merged(&rows)]);
        let above = self.filter.may_match(&summary, &[rows.iter().sum()], &|_| None);
        assert!(
            kept.none() || above.get(0) || !self.passes_anywhere(),
            "a subtree was dropped that holds a row"
        );
        kept
    }

    fn row(&self, entry: usize, row: usize) -> [Option<Value>; 2] {
        [0, 1].map(|column| match &self.entries[entry][column] {
            Some((_, values, _)) => values[row].clone(),
            None => self.initial.clone(),
        })
    }

    fn passes(&self, entry: usize) -> bool {
        [Engine::Sql, Engine::TotalOrder, Engine::Ieee].into_iter().any(|engine| {
            (0..self.rows[entry])
                .any(|row| row_passes(engine, &self.filter, &self.row(entry, row)) == Some(true))
        })
    }

    fn passes_anywhere(&self) -> bool {
        (0..self.entries.len()).any(|entry| self.passes(entry))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_could_match_is_never_dropped(case in case()) {
        let kept = case.kept();
        prop_assert_eq!(kept.len(), case.entries.len());
        for entry in 0..case.entries.len() {
            prop_assert!(kept.get(entry) || !case.passes(entry), "entry {} was dropped", entry);
        }
    }
}

impl Case {
    /// The same entries, asked for something else about the first field.
    fn kept_by(&self, test: Test) -> Mask {
        Self { filter: Filter::Field(FIELDS[0], test), ..self.clone() }.kept()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_list_keeps_what_its_literals_keep(
        (case, literals) in family().prop_flat_map(|types| (case_of(types.clone()), literals(&types)))
    ) {
        // Where nothing at all is known of a field, no list is looked at, be it empty.
        prop_assume!(!literals.is_empty());
        let each = |comparison| {
            let kept = |literal: &Value| case.kept_by(Test::Compare(comparison, literal.clone()));
            literals.iter().map(kept).collect::<Vec<Mask>>()
        };
        let (none, every) = (Mask::of(false, case.entries.len()), Mask::of(true, case.entries.len()));
        let any = each(Comparison::Equal).iter().fold(none, |kept, one| kept.or(one));
        prop_assert_eq!(case.kept_by(Test::In(literals.clone())), any);
        let all = each(Comparison::NotEqual).iter().fold(every, |kept, one| kept.and(one));
        prop_assert_eq!(case.kept_by(Test::NotIn(literals.clone())), all);
    }
}

/// Precision: what can be ruled out is. Without these, keeping everything would be right too.
#[expect(clippy::needless_pass_by_value, reason = "cases read better as values")]
fn check(stats: FieldStats, test: Test, kept: bool) {
    let id = FieldId(1);
    let columns = StatsColumns::from_rows([&Stats([(id, stats.clone())].into())]);
    let mask = Filter::Field(id, test.clone()).may_match(&columns, &[10], &|_| None);
    assert_eq!(mask.get(0), kept, "{test:?} of {stats:?}");
}

fn between(min: Value, max: Value) -> FieldStats {
    let (nulls, nans) = (Some(0), min.natural_type().is_floating().then_some(0));
    let ty = min.natural_type();
    FieldStats { ty, nulls, nans, values: None, min: Some(Bound::exact(min)), max: Some(Bound::exact(max)) }
}

#[test]
fn bounds_rule_out_what_lies_outside() {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let compare = |comparison, literal: i64, kept| {
        check(between(Value::Int(3), Value::Int(5)), Test::Compare(comparison, Value::Long(literal)), kept);
    };
    for (comparison, literal, kept) in [
        (Equal, 2, false),
        (Equal, 3, true),
        (Equal, 5, true),
        (Equal, 1 << 40, false),
        (Less, 3, false),
        (Less, 4, true),
        (LessOrEqual, 2, false),
        (LessOrEqual, 3, true),
        (Greater, 5, false),
        (Greater, 4, true),
        (GreaterOrEqual, 6, false),
        (GreaterOrEqual, 5, true),
        (NotEqual, 3, true),
    ] {
        compare(comparison, literal, kept);
    }
    check(between(Value::Int(3), Value::Int(3)), Test::Compare(NotEqual, Value::Int(3)), false);
    check(between(Value::Int(3), Value::Int(3)), Test::NotIn(vec![Value::Int(1), Value::Int(3)]), false);
    check(between(Value::Int(3), Value::Int(5)), Test::In(vec![Value::Int(1), Value::Int(9)]), false);
    check(between(Value::Int(3), Value::Int(5)), Test::Between(Value::Int(6), Value::Int(9)), false);
    check(
        between(Value::Date(3), Value::Date(5)),
        Test::Compare(Less, Value::Timestamp(3 * 86_400_000_000)),
        false,
    );
}

#[test]
fn zeros_are_equal_and_nans_are_anywhere() {
    let zeros = || between(Value::Double(-0.0), Value::Double(-0.0));
    check(zeros(), Test::Compare(Comparison::Equal, Value::Double(0.0)), true);
    check(zeros(), Test::Compare(Comparison::GreaterOrEqual, Value::Double(0.0)), true);
    check(zeros(), Test::Compare(Comparison::Greater, Value::Double(0.5)), false);
    for (bound, literal) in [(-0.0, 0.0), (0.0, -0.0)] {
        let list = vec![Value::Double(-1.0), Value::Double(literal), Value::Double(1.0)];
        check(between(Value::Double(bound), Value::Double(bound)), Test::In(list.clone()), true);
        check(between(Value::Double(bound), Value::Double(bound)), Test::NotIn(list), true);
    }
    check(between(Value::Double(2.0), Value::Double(3.0)), Test::In(vec![Value::Double(1.0)]), false);
    let nans = |nans| FieldStats { nans, ..zeros() };
    for comparison in [Comparison::Greater, Comparison::Less, Comparison::NotEqual] {
        let literal = if comparison == Comparison::Less { -1.0 } else { 1.0 };
        let test = Test::Compare(comparison, Value::Double(literal));
        check(nans(Some(1)), test.clone(), true);
        check(nans(None), test, true);
    }
    check(nans(Some(1)), Test::Compare(Comparison::Equal, Value::Double(1.0)), false);
    check(nans(Some(0)), Test::Compare(Comparison::Equal, Value::Double(f64::NAN)), false);
    check(nans(Some(1)), Test::Compare(Comparison::Equal, Value::Double(f64::NAN)), true);
}

#[test]
fn prefixes_and_nulls_rule_out() {
    let text = |text: &str| Value::String(text.into());
    let names = || between(text("beta"), text("beten"));
    check(names(), Test::StartsWith(text("bet")), true);
    check(names(), Test::StartsWith(text("c")), false);
    check(names(), Test::StartsWith(text("ber")), false);
    check(names(), Test::StartsWith(text("beta!")), true);
    check(names(), Test::NotStartsWith(text("be")), false);
    check(names(), Test::NotStartsWith(text("beta")), true);
    check(names(), Test::IsNull, false);
    check(names(), Test::IsNotNull, true);
    let nothing = || FieldStats { nulls: Some(10), ..FieldStats::unknown(PrimitiveType::String) };
    check(nothing(), Test::IsNotNull, false);
    check(nothing(), Test::Compare(Comparison::NotEqual, text("x")), false);
    check(nothing(), Test::IsNull, true);
    check(FieldStats { values: Some(11), ..nothing() }, Test::IsNotNull, true);
}

thread_local! {
    static COMPARISONS: Cell<u64> = const { Cell::new(0) };
}

/// A number that counts how often it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted(i64);

impl Ord for Counted {
    fn cmp(&self, other: &Self) -> Ordering {
        COMPARISONS.set(COMPARISONS.get() + 1);
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Key for Counted {
    fn map<T, C: FromIterator<T>>(column: &BoundColumn, each: impl Fn(&Self) -> T) -> Option<C> {
        i64::map(column, |number| each(&Self(*number)))
    }
}

/// Entries with the longs from ten times their place to nine above; each third literal lies in one of them.
#[test]
fn a_long_list_costs_one_pass_over_the_entries() {
    const LITERALS: i64 = 10_000;
    const ENTRIES: u64 = 20_000;
    let first = |at: u64| 10 * at.cast_signed();
    let stats: Vec<Stats> = (0..ENTRIES)
        .map(|at| Stats([(FIELDS[0], between(Value::Long(first(at)), Value::Long(first(at) + 7)))].into()))
        .collect();
    let columns = StatsColumns::from_rows(&stats);
    let literals = || (0..LITERALS).rev().map(|at| 20 * at + if at % 3 == 0 { 5 } else { 8 });
    let expected: Mask = (0..ENTRIES).map(|at| at % 6 == 0).collect();

    let rows = vec![10; stats.len()];
    let filter = Filter::Field(FIELDS[0], Test::In(literals().map(Value::Long).collect()));
    assert_eq!(filter.may_match(&columns, &rows, &|_| None), expected);

    let keys = Sorted::of(literals().map(|key| Literal::of(Counted(key))).collect());
    let column = Column { field: columns.field(FIELDS[0]).unwrap(), rows: &rows, len: stats.len() };
    let outside = column.outside::<Counted, _>(&keys);
    assert_eq!(Mask::of(true, stats.len()).minus(&outside), expected);
    // To sort, and to search for two bounds: each about as often as the list can be halved.
    let most = (3 * LITERALS.cast_unsigned() + 2 * ENTRIES) * 15;
    assert!(COMPARISONS.get() <= most, "{} comparisons", COMPARISONS.get());
}
