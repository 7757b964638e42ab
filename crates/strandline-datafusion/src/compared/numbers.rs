//! Decimals beside numbers that DataFusion reads as DOUBLEs.
//!
//! It compares the two as DECIMAL(30, 15) of a DOUBLE's binary digits, which 1234567.89 is not equal to. Invariants: a number that is written with a
//! point is the number that it says, whatever it is compared with; what is a DOUBLE otherwise is compared as one. What does not belong here: numbers of
//! more digits than a DOUBLE keeps, which are decimals in the text already (`sql::exact`).

use datafusion::arrow::datatypes::{DataType, i256};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast, lit};

/// How many digits a DECIMAL has.
const DIGITS: usize = 38;

/// Reads decimals and doubles that are compared as numbers of one kind; whether there were both.
pub(super) fn read(sides: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let types = sides.iter().map(|side| side.get_type(schema)).collect::<Result<Vec<_>>>()?;
    if !types.iter().any(DataType::is_decimal) || !types.iter().any(DataType::is_floating) {
        return Ok(false);
    }
    let exact = |(side, ty): (&&mut Expr, &DataType)| match ty.is_floating() {
        true => exact(side),
        false => Some(Expr::clone(side)),
    };
    if let Some(read) = sides.iter().zip(&types).map(exact).collect::<Option<Vec<_>>>() {
        let is_wide = is_wide(&read, &types);
        let wide = |read| if is_wide { widened(read) } else { read };
        sides.iter_mut().zip(read).for_each(|(side, read)| **side = wide(read));
        return Ok(true);
    }
    for (side, ty) in sides.iter_mut().zip(&types) {
        if ty.is_decimal() {
            **side = cast(side.clone(), DataType::Float64);
        }
    }
    Ok(true)
}

/// Whether numbers have more digits before and behind their points than a type that holds all of them.
fn is_wide(read: &[Expr], types: &[DataType]) -> bool {
    let literals = read.iter().filter_map(|side| match side {
        Expr::Literal(number, _) => Some(number.data_type()),
        _ => None,
    });
    let (mut before, mut behind) = (0, 0);
    for ty in literals.chain(types.iter().cloned()) {
        if let DataType::Decimal128(precision, scale) = ty {
            let (precision, scale) = (i16::from(precision), i16::from(scale));
            (before, behind) = (before.max(precision - scale), behind.max(scale));
        }
    }
    usize::try_from(before + behind).is_ok_and(|digits| digits > DIGITS)
}

/// A number in a type of twice as many digits, in which it is then compared.
fn widened(number: Expr) -> Expr {
    match number {
        Expr::Literal(ScalarValue::Decimal128(Some(unscaled), precision, scale), metadata) => {
            let number = ScalarValue::Decimal256(Some(i256::from_i128(unscaled)), precision, scale);
            Expr::Literal(number, metadata)
        }
        number => number,
    }
}

/// A comparison with zero, as one with both zeros: what is compared with several numbers is found among them by its bits, also where DataFusion
/// puts comparisons together.
pub(super) fn among_zeros(compared: &BinaryExpr, schema: &DFSchema) -> Result<Option<Expr>> {
    let BinaryExpr { left, op, right } = compared;
    let negated = match op {
        Operator::Eq => false,
        Operator::NotEq => true,
        _ => return Ok(None),
    };
    let (expr, zero) = if zero_of(right).is_some() { (left, right) } else { (right, left) };
    if zero_of(zero).is_none() || matches!(**expr, Expr::Literal(..)) {
        return Ok(None);
    }
    let mut list = vec![Expr::clone(zero)];
    Ok(with_both_zeros(expr, &mut list, schema)?
        .then(|| Expr::InList(InList { expr: expr.clone(), list, negated })))
}

/// Adds the other zero to a list of numbers that has one; whether it did.
pub(super) fn with_both_zeros(expr: &Expr, list: &mut Vec<Expr>, schema: &DFSchema) -> Result<bool> {
    let zeros: Vec<f64> = list.iter().filter_map(zero_of).collect();
    let negative = zeros.iter().any(|zero| zero.is_sign_negative());
    let positive = zeros.iter().any(|zero| zero.is_sign_positive());
    if negative == positive || !expr.get_type(schema)?.is_floating() {
        return Ok(false);
    }
    list.push(lit(if negative { 0.0 } else { -0.0 }));
    Ok(true)
}

/// The zero that a literal is.
fn zero_of(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(number)), _) if *number == 0.0 => Some(*number),
        Expr::Literal(ScalarValue::Int64(Some(0)), _) => Some(0.0),
        _ => None,
    }
}

/// A number as it is written, or a sum, difference or product of such.
fn exact(expr: &Expr) -> Option<Expr> {
    if let Some(number) = written(expr) {
        return decimal(number).map(|number| Expr::Literal(number, None));
    }
    match expr {
        Expr::Literal(number, _) if number.data_type().is_integer() => Some(expr.clone()),
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply) =>
        {
            let (left, right) = (exact(left)?, exact(right)?);
            Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), *op, Box::new(right))))
        }
        _ => None,
    }
}

/// The DOUBLE that a number or text is which stands there.
fn written(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(ScalarValue::Float64(number), _) => *number,
        Expr::Cast(cast) if cast.field.data_type().is_floating() => {
            let Expr::Literal(value, _) = cast.expr.as_ref() else { return None };
            match value.cast_to(&DataType::Float64) {
                Ok(ScalarValue::Float64(number)) => number,
                _ => None,
            }
        }
        _ => None,
    }
}

/// The number that a DOUBLE is written as, which is what stands in the statement if that has no more digits than a DOUBLE keeps.
fn decimal(number: f64) -> Option<ScalarValue> {
    let written = number.is_finite().then(|| number.to_string())?;
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
    let digits = [whole, fraction].concat();
    let unscaled: i128 = digits.parse().ok()?;
    let significant = digits.trim_start_matches('-').trim_start_matches('0').len();
    let precision = significant.max(fraction.len()).max(1);
    let scale = i8::try_from(fraction.len()).ok()?;
    let precision = u8::try_from(precision).ok().filter(|_| precision <= DIGITS)?;
    Some(ScalarValue::Decimal128(Some(unscaled), precision, scale))
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue::Decimal128;

    use super::decimal;

    #[test]
    fn a_number_is_what_is_written() {
        assert_eq!(decimal(1_234_567.89), Some(Decimal128(Some(123_456_789), 9, 2)));
        assert_eq!(decimal(-0.05), Some(Decimal128(Some(-5), 2, 2)));
        assert_eq!(decimal(0.0), Some(Decimal128(Some(0), 1, 0)));
        assert_eq!(decimal(1e37), Some(Decimal128(Some(10_i128.pow(37)), 38, 0)));
        for none in [1e38, 1e-39, f64::NAN, f64::INFINITY] {
            assert_eq!(decimal(none), None, "{none}");
        }
    }
}
