//! What a query asks of a table's rows, as the SDK's predicates: to skip files by their entries.
//!
//! Invariant: a row that passes the query's expressions passes the predicate; what cannot be said is left out where that only
//! lets more rows pass. What does not belong here: deciding which rows pass, which stays DataFusion's.

use std::ops::RangeInclusive;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use strandline::filter::{Column, Literal, Predicate, col_path};
use strandline::format::{Schema, Value};

/// What filters say together.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What holds wherever they are true; `None` if nothing of it can be said.
    pub(crate) predicate: Option<Predicate>,
    /// Whether it is true just where they are.
    pub(crate) exact: bool,
}

impl Asked {
    pub(crate) fn of(filters: &[Expr], schema: &Schema) -> Self {
        // A literal may be of a type that the SDK does not compare with the column's.
        let fits = |part: &Predicate| part.bind(schema).is_ok();
        let mut asked = Self { predicate: None, exact: true };
        for part in filters.iter().flat_map(|filter| split_conjunction(filter)) {
            let part = same(part).filter(fits).or_else(|| {
                asked.exact = false;
                implied(part).filter(fits)
            });
            asked.predicate = match (asked.predicate.take(), part) {
                (Some(before), Some(part)) => Some(before.and(part)),
                (one, other) => one.or(other),
            };
        }
        asked
    }
}

/// The ids that a row may have of which the filters are true, as ranges; `None` if they do not say.
pub(crate) fn row_ids(filters: &[Expr], column: &str) -> Option<Vec<RangeInclusive<u64>>> {
    filters.iter().filter_map(|filter| ids(filter, column)).reduce(|one, other| both(&one, &other))
}

fn ids(expr: &Expr, of: &str) -> Option<Vec<RangeInclusive<u64>>> {
    let is_of = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == of);
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (ids(left, of), ids(right, of)) {
                (Some(left), Some(right)) => Some(both(&left, &right)),
                (one, other) => one.or(other),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some([ids(left, of)?, ids(right, of)?].concat())
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_of(left) => ids_compared(*op, number(right)?),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_of(right) => {
            ids_compared(op.swap()?, number(left)?)
        }
        Expr::InList(InList { expr, list, negated: false }) if is_of(expr) => {
            list.iter().map(|item| number(item).map(|id| id..=id)).collect()
        }
        Expr::Between(Between { expr, negated: false, low, high }) if is_of(expr) => {
            Some(vec![number(low)?..=number(high)?])
        }
        _ => None,
    }
}

fn ids_compared(op: Operator, id: u64) -> Option<Vec<RangeInclusive<u64>>> {
    Some(match op {
        Operator::Eq => vec![id..=id],
        Operator::Lt => id.checked_sub(1).map(|last| 0..=last).into_iter().collect(),
        Operator::LtEq => vec![0..=id],
        Operator::Gt => id.checked_add(1).map(|first| first..=u64::MAX).into_iter().collect(),
        Operator::GtEq => vec![id..=u64::MAX],
        _ => return None,
    })
}

/// What two lists of ranges have in common.
fn both(one: &[RangeInclusive<u64>], other: &[RangeInclusive<u64>]) -> Vec<RangeInclusive<u64>> {
    let common =
        |a: &RangeInclusive<u64>, b: &RangeInclusive<u64>| *a.start().max(b.start())..=*a.end().min(b.end());
    let all = one.iter().flat_map(|a| other.iter().map(move |b| common(a, b)));
    all.filter(|range| !range.is_empty()).collect()
}

fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Literal(ScalarValue::UInt64(number), _) => *number,
        Expr::Literal(ScalarValue::Int64(number), _) => u64::try_from((*number)?).ok(),
        _ => None,
    }
}

/// A predicate that holds wherever the expression is true.
fn implied(expr: &Expr) -> Option<Predicate> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (implied(left), implied(right)) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (one, other) => one.or(other),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(implied(left)?.or(implied(right)?))
        }
        expr => same(expr),
    }
}

/// A predicate that is true, false and unknown where the expression is.
fn same(expr: &Expr) -> Option<Predicate> {
    match expr {
        Expr::BinaryExpr(binary) => same_binary(binary),
        Expr::Not(inner) => Some(!same(inner)?),
        Expr::IsNull(inner) => Some(column(inner)?.is_null()),
        Expr::IsNotNull(inner) => Some(column(inner)?.is_not_null()),
        Expr::InList(InList { expr, list, negated }) => {
            let literals: Option<Vec<Literal>> = list.iter().map(literal).collect();
            let (column, literals) = (column(expr)?, literals.filter(|literals| !literals.is_empty())?);
            Some(if *negated { column.not_in(literals) } else { column.is_in(literals) })
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let between = column(expr)?.between(literal(low)?, literal(high)?);
            Some(if *negated { !between } else { between })
        }
        Expr::Like(Like { negated, expr, pattern, escape_char: None, case_insensitive: false }) => {
            let begins = column(expr)?.starts_with(prefix(pattern)?);
            Some(if *negated { !begins } else { begins })
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "starts_with" => {
            match &args[..] {
                [text, Expr::Literal(prefix, _)] => Some(column(text)?.starts_with(prefix.try_as_str()??)),
                _ => None,
            }
        }
        Expr::Literal(ScalarValue::Boolean(Some(truth)), _) => {
            Some(if *truth { Predicate::all() } else { Predicate::none() })
        }
        Expr::Column(_) => Some(column(expr)?.is_true()),
        _ => None,
    }
}

fn same_binary(BinaryExpr { left, op, right }: &BinaryExpr) -> Option<Predicate> {
    match op {
        Operator::And => Some(same(left)?.and(same(right)?)),
        Operator::Or => Some(same(left)?.or(same(right)?)),
        op => match (column(left), column(right)) {
            (Some(column), None) => compared(column, *op, literal(right)?),
            (None, Some(column)) => compared(column, op.swap()?, literal(left)?),
            _ => None,
        },
    }
}

fn compared(column: Column, op: Operator, literal: Literal) -> Option<Predicate> {
    Some(match op {
        Operator::Eq => column.eq(literal),
        Operator::NotEq => column.ne(literal),
        Operator::Lt => column.lt(literal),
        Operator::LtEq => column.le(literal),
        Operator::Gt => column.gt(literal),
        Operator::GtEq => column.ge(literal),
        _ => return None,
    })
}

/// A column, or a field in a column of structs.
fn column(expr: &Expr) -> Option<Column> {
    path(expr).map(col_path)
}

fn path(expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::Column(column) => Some(vec![column.name.clone()]),
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "get_field" => {
            let (of, names) = args.split_first()?;
            let mut path = path(of)?;
            for name in names {
                let Expr::Literal(name, _) = name else { return None };
                path.push(name.try_as_str()??.to_owned());
            }
            Some(path)
        }
        _ => None,
    }
}

/// What a pattern begins with, if it says nothing else.
fn prefix(pattern: &Expr) -> Option<String> {
    let Expr::Literal(pattern, _) = pattern else { return None };
    let prefix = pattern.try_as_str()??.strip_suffix('%')?;
    let plain = !prefix.contains(['%', '_', '\\']);
    plain.then(|| prefix.to_owned())
}

fn literal(expr: &Expr) -> Option<Literal> {
    let Expr::Literal(scalar, _) = expr else { return None };
    value(scalar).map(Literal::from)
}

/// A value that is not null, as the SDK has it.
fn value(scalar: &ScalarValue) -> Option<Value> {
    use ScalarValue as S;
    Some(match scalar {
        S::Boolean(truth) => Value::Boolean((*truth)?),
        S::Int8(number) => Value::Int((*number)?.into()),
        S::Int16(number) => Value::Int((*number)?.into()),
        S::Int32(number) => Value::Int((*number)?),
        S::Int64(number) => Value::Long((*number)?),
        S::UInt8(number) => Value::Int((*number)?.into()),
        S::UInt16(number) => Value::Int((*number)?.into()),
        S::UInt32(number) => Value::Long((*number)?.into()),
        S::Float32(number) => Value::Float((*number)?),
        S::Float64(number) => Value::Double((*number)?),
        S::Decimal128(unscaled, _, scale) => {
            Value::Decimal { unscaled: (*unscaled)?, scale: u8::try_from(*scale).ok()? }
        }
        S::Date32(days) => Value::Date((*days)?),
        S::Time64Microsecond(micros) => Value::Time((*micros)?),
        S::TimestampMicrosecond(time, None) => Value::Timestamp((*time)?),
        S::TimestampMicrosecond(time, Some(_)) => Value::TimestampTz((*time)?),
        S::TimestampNanosecond(time, None) => Value::TimestampNs((*time)?),
        S::TimestampNanosecond(time, Some(_)) => Value::TimestampTzNs((*time)?),
        S::Utf8(text) | S::LargeUtf8(text) | S::Utf8View(text) => Value::String(text.as_deref()?.into()),
        S::Binary(bytes) | S::LargeBinary(bytes) | S::BinaryView(bytes) => {
            Value::Binary(bytes.as_deref()?.into())
        }
        S::FixedSizeBinary(16, bytes) => Value::Uuid(bytes.as_deref()?.try_into().ok()?),
        S::FixedSizeBinary(_, bytes) => Value::Fixed(bytes.as_deref()?.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{Expr, col, lit};
    use strandline::format::{ColumnName, Field, PrimitiveType};

    use super::*;

    fn check(expr: &Expr, expected: Option<&str>, exact: bool) {
        let field = |name: &str, ty| Field::optional(ColumnName::new(name).unwrap(), ty);
        let fields = vec![
            field("a", PrimitiveType::Long),
            field("t", PrimitiveType::String),
            field("f", PrimitiveType::Double),
            field("b", PrimitiveType::Boolean),
        ];
        let schema = Schema::numbered(fields).unwrap();
        let found = Asked::of(std::slice::from_ref(expr), &schema);
        assert_eq!(found.predicate.map(|found| found.to_string()).as_deref(), expected, "{expr}");
        assert_eq!(found.exact, exact, "{expr}");
    }

    #[test]
    fn what_the_sdk_can_say_is_said() {
        check(&col("a").gt(lit(5_i64)), Some("a > 5"), true);
        check(&lit(5_i64).gt(col("a")), Some("a < 5"), true);
        check(&col("a").in_list(vec![lit(1_i64), lit(2_i64)], true), Some("a NOT IN (1, 2)"), true);
        check(&col("a").between(lit(1_i64), lit(2_i64)), Some("a BETWEEN 1 AND 2"), true);
        check(&col("t").like(lit("ab%")), Some("t LIKE 'ab%'"), true);
        check(&col("t").is_null().or(col("b")), Some("t IS NULL OR b"), true);
    }

    #[test]
    fn ids_of_rows_are_ranges() {
        let check = |expr: &Expr, expected: Option<&[RangeInclusive<u64>]>| {
            assert_eq!(row_ids(std::slice::from_ref(expr), "_row_id").as_deref(), expected, "{expr}");
        };
        let id = || col("_row_id");
        check(&id().eq(lit(5_u64)), Some(&[5..=5]));
        check(&lit(5_u64).gt(id()), Some(&[0..=4]));
        check(&id().lt(lit(0_u64)), Some(&[]));
        check(&id().gt_eq(lit(5_i64)).and(id().lt(lit(9_u64))), Some(&[5..=8]));
        check(&id().eq(lit(5_u64)).or(id().eq(lit(7_u64))), Some(&[5..=5, 7..=7]));
        check(
            &id().in_list(vec![lit(1_u64), lit(4_u64)], false).and(col("a").gt(lit(1))),
            Some(&[1..=1, 4..=4]),
        );
        check(&id().eq(lit(5_u64)).or(col("a").gt(lit(1))), None);
        check(&id().in_list(vec![lit(1_u64)], true), None);
        check(&id().not_eq(lit(1_u64)), None);
        check(&(!id().eq(lit(1_u64))), None);
    }

    #[test]
    fn what_it_cannot_say_is_left_out_where_more_rows_pass() {
        let odd = || (col("a") % lit(2_i64)).eq(lit(1_i64));
        check(&odd(), None, false);
        check(&odd().and(col("a").gt(lit(5_i64))), Some("a > 5"), false);
        check(&odd().or(col("a").gt(lit(5_i64))), None, false);
        check(&!(odd().and(col("a").gt(lit(5_i64)))), None, false);
        check(&col("t").like(lit("a_b%")), None, false);
        check(&col("t").like(lit("%b")), None, false);
        check(&col("t").ilike(lit("ab%")), None, false);
        check(&col("a").eq(col("a")), None, false);
        check(&col("a").eq(lit(ScalarValue::Int64(None))), None, false);
        check(&col("a").eq(lit("5")), None, false);
    }
}
