//! Whether values may come into a column of another type by themselves.
//!
//! The planner casts whatever is inserted or assigned to the type of its column, and a cast takes 3.7 for 3 and true for 1. Invariant: what
//! loses something for most values, or changes what they are, is refused, and has to be written as a CAST by whoever means it; such a
//! CAST is told from the planner's by what `prepare` puts around it. What does not belong here: values that do not fit their type,
//! which the cast itself refuses.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::{Projection, Values};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, cast};
use strandline::ErrorKind;

use crate::error::refused;
use crate::write::fit;

/// The rows of an INSERT as they go into the table, with nulls wherever the statement has them: it is the table that says which row may
/// not have them.
///
/// # Errors
/// `InvalidInput`, naming the column and both types, for values of another kind.
pub(super) fn inserted(input: &LogicalPlan, target: &Schema) -> Result<LogicalPlan> {
    let LogicalPlan::Projection(given) = input else { return Ok(input.clone()) };
    let source = match given.input.as_ref() {
        LogicalPlan::Values(values) => {
            check_values(&given.expr, values)?;
            LogicalPlan::Values(Values {
                schema: nullable(&values.schema)?,
                values: named_values(&given.expr, values),
            })
        }
        other => other.clone(),
    };
    check_columns(&given.expr, source.schema())?;
    let columns = given.expr.iter().zip(target.fields());
    let fitted =
        columns.map(|(expr, field)| fitted(expr, field.data_type(), source.schema()).map(named_cast));
    let fitted = fitted.collect::<Result<_>>()?;
    Ok(LogicalPlan::Projection(Projection::try_new(fitted, Arc::new(source))?))
}

/// A column that the planner has not cast, because a union said its first type while it was planned, and has another one now.
fn fitted(expr: &Expr, to: &DataType, source: &DFSchema) -> Result<Expr> {
    let Expr::Alias(alias) = expr else { return Ok(expr.clone()) };
    if !matches!(alias.expr.as_ref(), Expr::Column(_)) {
        return Ok(expr.clone());
    }
    let from = alias.expr.get_type(source)?;
    if from == *to || from.is_nested() {
        return Ok(expr.clone());
    }
    check(&alias.name, &from, to)?;
    Ok(cast(Expr::clone(&alias.expr), to.clone()).alias(&alias.name))
}

fn nullable(schema: &DFSchema) -> Result<DFSchemaRef> {
    let field = |(qualifier, field): (Option<&TableReference>, &FieldRef)| {
        (qualifier.cloned(), Arc::new(Field::clone(field).with_nullable(true)))
    };
    let fields = schema.iter().map(field).collect();
    Ok(Arc::new(DFSchema::new_with_metadata(fields, schema.metadata().clone())?))
}

/// Holds the casts that the planner has put around the columns of an INSERT against the types that they are of.
fn check_columns(given: &[Expr], source: &DFSchema) -> Result<()> {
    for (name, cast) in given.iter().filter_map(cast_of) {
        if let Expr::Column(_) = cast.expr.as_ref() {
            check(name, &cast.expr.get_type(source)?, cast.field.data_type())?;
        }
    }
    Ok(())
}

fn cast_of(expr: &Expr) -> Option<(&str, &Cast)> {
    match expr {
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::Cast(cast) => Some((&alias.name, cast)),
            _ => None,
        },
        _ => None,
    }
}

/// What is given to a column, by a cast whose errors name it.
pub(super) fn named_cast(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(mut alias) => {
            *alias.expr = fit::named(&alias.name, *alias.expr);
            Expr::Alias(alias)
        }
        expr => expr,
    }
}

/// The same of each row of VALUES.
fn named_values(given: &[Expr], values: &Values) -> Vec<Vec<Expr>> {
    let mut rows = values.values.clone();
    for (at, name) in places(given, values) {
        for value in rows.iter_mut().filter_map(|row| row.get_mut(at)) {
            *value = fit::named(name, std::mem::take(value));
        }
    }
    rows
}

/// Where values of columns stand in rows of VALUES.
fn places<'v>(given: &'v [Expr], values: &'v Values) -> impl Iterator<Item = (usize, &'v String)> {
    given.iter().filter_map(|expr| match expr {
        Expr::Alias(alias) => {
            Some((values.schema.index_of_column(alias.expr.try_as_col()?).ok()?, &alias.name))
        }
        _ => None,
    })
}

/// Rows of VALUES are cast one by one. A cast there is one that the planner has put, or a needless one.
fn check_values(given: &[Expr], values: &Values) -> Result<()> {
    for (at, name) in places(given, values) {
        for expr in values.values.iter().filter_map(|row| row.get(at)) {
            if let Expr::Cast(cast) = expr {
                check_value(name, &cast.expr, cast.field.data_type(), &DFSchema::empty())?;
            }
        }
    }
    Ok(())
}

/// Holds what an UPDATE gives to its columns against their types.
///
/// # Errors
/// `InvalidInput`, naming the column and both types, for values of another kind.
pub(super) fn check_assigned(given: &[Expr], source: &DFSchema) -> Result<()> {
    for (name, cast) in given.iter().filter_map(cast_of) {
        check_value(name, &cast.expr, cast.field.data_type(), source)?;
    }
    Ok(())
}

/// Holds a value against the type of the column that it comes into.
///
/// # Errors
/// `InvalidInput`, naming the column and both types, for a value of another kind.
pub(super) fn check_value(column: &str, value: &Expr, to: &DataType, source: &DFSchema) -> Result<()> {
    match value {
        Expr::Literal(number, _) if class(to) == Class::Integer && is_whole(number) => Ok(()),
        Expr::Cast(cast) if cast.field.data_type() == to => check_value(column, &cast.expr, to, source),
        value => check(column, &value.get_type(source)?, to),
    }
}

/// Whether a number has nothing behind its point.
fn is_whole(number: &ScalarValue) -> bool {
    match number {
        ScalarValue::Float64(Some(number)) => number.fract() == 0.0,
        ScalarValue::Decimal128(Some(unscaled), _, scale) => {
            let one = u32::try_from(*scale).ok().and_then(|scale| 10_i128.checked_pow(scale));
            *scale <= 0 || one.is_some_and(|one| unscaled % one == 0)
        }
        _ => false,
    }
}

fn check(column: &str, from: &DataType, to: &DataType) -> Result<()> {
    if let Some(member) = stranger(from, to) {
        let message = format!("column {column:?} is {to}, and is given {from}: it has no field {member:?}");
        return Err(refused(ErrorKind::InvalidInput, message));
    }
    match refusal(from, to) {
        None => Ok(()),
        Some(why) => {
            let message = format!("column {column:?} is {to}, and is given {from}: {why}");
            Err(refused(ErrorKind::InvalidInput, message))
        }
    }
}

/// The first member of a struct that the column's struct has not, by its names from the column on: a cast would drop it. One that is missing
/// is null, as it is of columns.
fn stranger(from: &DataType, to: &DataType) -> Option<String> {
    match (from, to) {
        (DataType::Struct(from), DataType::Struct(to)) => {
            from.iter().find_map(|from| match to.iter().find(|to| to.name() == from.name()) {
                None => Some(from.name().clone()),
                Some(to) => stranger(from.data_type(), to.data_type())
                    .map(|within| format!("{}.{within}", from.name())),
            })
        }
        _ => parts(from, to)?.into_iter().find_map(|(from, to)| stranger(from, to)),
    }
}

/// What lists or maps have in them, each beside what becomes of it; `None` of other types.
fn parts<'t>(from: &'t DataType, to: &'t DataType) -> Option<Vec<(&'t DataType, &'t DataType)>> {
    if let (Some(from), Some(to)) = (element(from), element(to)) {
        return Some(vec![(from, to)]);
    }
    let (DataType::Map(from, _), DataType::Map(to, _)) = (from, to) else { return None };
    let (DataType::Struct(from), DataType::Struct(to)) = (from.data_type(), to.data_type()) else {
        return None;
    };
    // Keys and values have no names that mean anything.
    Some(from.iter().zip(to).map(|(from, to)| (from.data_type(), to.data_type())).collect())
}

/// What a list has in it.
fn element(ty: &DataType) -> Option<&DataType> {
    match ty {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => Some(element.data_type()),
        _ => None,
    }
}

/// What kind of thing a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Truth,
    Integer,
    Decimal,
    Float,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Other,
}

fn class(ty: &DataType) -> Class {
    match ty {
        DataType::Boolean => Class::Truth,
        ty if ty.is_integer() => Class::Integer,
        ty if ty.is_floating() => Class::Float,
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) if *scale <= 0 => Class::Integer,
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) if *scale <= 0 => Class::Integer,
        ty if ty.is_decimal() => Class::Decimal,
        ty if ty.is_string() => Class::Text,
        ty if ty.is_binary() => Class::Bytes,
        DataType::Date32 | DataType::Date64 => Class::Date,
        DataType::Time32(_) | DataType::Time64(_) => Class::Time,
        DataType::Timestamp(..) => Class::Timestamp,
        DataType::Dictionary(_, values) => class(values),
        _ => Class::Other,
    }
}

/// Why a value of one type does not become one of another by itself; `None` if it may.
pub(crate) fn refusal(from: &DataType, to: &DataType) -> Option<&'static str> {
    use Class::{Bytes, Date, Decimal, Float, Integer, Text, Time, Timestamp, Truth};
    if from == to || *from == DataType::Null {
        return None;
    }
    if let (DataType::Struct(from), DataType::Struct(to)) = (from, to) {
        return of_members(from, to);
    }
    if let Some(parts) = parts(from, to) {
        return parts.into_iter().find_map(|(from, to)| refusal(from, to));
    }
    match (class(from), class(to)) {
        (one, other) if one == other => None,
        (Integer | Decimal | Float, Decimal | Float) => None,
        // Texts are read as what the column is, and whatever cannot be is an error of its row.
        (Text, _) | (Truth | Integer | Decimal | Float | Date | Time | Timestamp, Text) => None,
        (Date, Timestamp) => None,
        (Decimal | Float, Integer) => Some("round it, or SELECT a CAST"),
        (Timestamp, Date | Time) => Some("SELECT a CAST of it"),
        (Bytes, _) | (_, Bytes) => Some("SELECT it as it is to be encoded"),
        _ => Some("give it such a value, or SELECT a CAST"),
    }
}

/// The same of structs, whose members are found by their names.
fn of_members(from: &Fields, to: &Fields) -> Option<&'static str> {
    to.iter().find_map(|to| {
        let from = from.iter().find(|from| from.name() == to.name())?;
        refusal(from.data_type(), to.data_type())
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn what_loses_nothing_needs_no_cast() {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
        let list = |ty| DataType::List(Arc::new(Field::new("element", ty, true)));
        let structure = |ty| DataType::Struct(vec![Field::new("x", ty, true)].into());
        let fitting = [
            (DataType::Int64, DataType::Int32),
            (DataType::Int64, DataType::Float64),
            (DataType::Float64, DataType::Decimal128(9, 2)),
            (DataType::Decimal128(20, 0), DataType::Int64),
            (DataType::Utf8, DataType::Date32),
            (DataType::Int64, DataType::Utf8),
            (DataType::Date32, timestamp.clone()),
            (DataType::Null, DataType::Boolean),
            (list(DataType::Int64), list(DataType::Float64)),
            (structure(DataType::Int64), structure(DataType::Int32)),
        ];
        for (from, to) in fitting {
            assert_eq!(refusal(&from, &to), None, "{from} to {to}");
        }
        let refused = [
            (DataType::Float64, DataType::Int64),
            (DataType::Decimal128(9, 2), DataType::Int64),
            (DataType::Boolean, DataType::Int64),
            (DataType::Int64, DataType::Boolean),
            (DataType::Int64, timestamp.clone()),
            (timestamp, DataType::Date32),
            (list(DataType::Float64), list(DataType::Int32)),
            (structure(DataType::Boolean), structure(DataType::Int32)),
        ];
        for (from, to) in refused {
            assert!(refusal(&from, &to).is_some(), "{from} to {to}");
        }
    }

    #[test]
    fn a_member_that_the_column_has_not_is_named() {
        let field = |name: &str, ty| Field::new(name, ty, true);
        let structure = |names: &[&str]| {
            let fields: Vec<_> = names.iter().map(|name| field(name, DataType::Int32)).collect();
            DataType::Struct(fields.into())
        };
        let within = |ty| DataType::Struct(vec![field("x", ty)].into());
        let list = |ty| DataType::List(Arc::new(field("element", ty)));
        let large = |ty| DataType::LargeList(Arc::new(field("item", ty)));
        let map = |names: [&str; 2], ty| {
            let entries = vec![field(names[0], DataType::Utf8), field(names[1], ty)];
            DataType::Map(Arc::new(field("entries", DataType::Struct(entries.into()))), false)
        };
        let column = structure(&["a", "b"]);
        for fitting in [&["a", "b"][..], &["b", "a"], &["b"]] {
            let fitting = structure(fitting);
            assert_eq!(stranger(&fitting, &column), None, "{fitting}");
            assert_eq!(stranger(&list(fitting.clone()), &list(column.clone())), None, "{fitting}");
            let (from, to) = (map(["keys", "values"], fitting), map(["key", "value"], column.clone()));
            assert_eq!(stranger(&from, &to), None);
            assert_eq!(refusal(&from, &to), None);
        }
        let strange = structure(&["a", "c"]);
        let cases = [
            (strange.clone(), column.clone(), "c"),
            (within(strange.clone()), within(column.clone()), "x.c"),
            (list(strange.clone()), list(column.clone()), "c"),
            (large(within(strange.clone())), list(within(column.clone())), "x.c"),
            (map(["keys", "values"], strange), map(["key", "value"], column), "c"),
        ];
        for (from, to, member) in cases {
            assert_eq!(stranger(&from, &to).as_deref(), Some(member), "{from} to {to}");
        }
    }

    #[test]
    fn members_are_not_compared_by_their_places() {
        let field = |name, ty| Field::new(name, ty, true);
        let column = vec![field("a", DataType::Int32), field("b", DataType::Boolean)];
        let given = DataType::Struct(vec![field("b", DataType::Boolean)].into());
        assert_eq!(refusal(&given, &DataType::Struct(column.into())), None);
    }
}
