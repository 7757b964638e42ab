//! Numbers of more digits than a DOUBLE holds, times of all years, and casts to UUID, which the planner does not know.
//!
//! DataFusion reads a number with a point, and one that is too large for BIGINT, as a DOUBLE, which keeps 15 digits whatever they are.
//! Invariant: a number of more digits means what it says, as a DECIMAL; one that is larger than any DOUBLE is refused; any other is read as before. What does not belong here: what
//! becomes of it in a column (`write::assign`).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, TypedString, Value, ValueWithSpan, VisitMut,
    VisitorMut,
};
use strandline::{Error, ErrorKind, Result};

use crate::text::far_time;

/// How many digits every DOUBLE keeps.
const DOUBLE: usize = 15;

/// How many digits a DECIMAL has.
const DECIMAL: usize = 38;

/// Writes the numbers of a statement so that they are read exactly.
///
/// # Errors
/// `InvalidInput` for one that is larger than any DOUBLE.
pub(crate) fn exact(tree: &mut impl VisitMut) -> Result<()> {
    match VisitMut::visit(tree, &mut Exact) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(number) => {
            let message = format!("{number} is larger than any DOUBLE");
            Err(Error::new(ErrorKind::InvalidInput, message))
        }
    }
}

struct Exact;

impl VisitorMut for Exact {
    type Break = String;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        if let Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr: text,
            data_type: DataType::Uuid,
            array: false,
            format: None,
        } = expr
        {
            *expr = call("to_uuid", vec![Expr::clone(text)]);
            return ControlFlow::Continue(());
        }
        // The planner would take DataFusion's function, whatever the session has under its name.
        if let Expr::Extract { field, expr: time, .. } = expr {
            *expr = call("date_part", vec![quoted(field.to_string()), Expr::clone(time)]);
            return ControlFlow::Continue(());
        }
        if let Some(time) = far(expr) {
            *expr = call("arrow_cast", vec![number(time), quoted("Timestamp(Microsecond, None)")]);
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Cast { expr, data_type, .. } => precise(data_type, text(expr)),
            Expr::TypedString(TypedString { data_type, value, .. }) => precise(data_type, text_of(value)),
            _ => {}
        }
        let digits = match &*expr {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => digits.clone(),
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        if digits.parse::<f64>().is_ok_and(f64::is_infinite) {
            return ControlFlow::Break(digits);
        }
        let digits = without_exponent(&digits).unwrap_or(digits);
        if let Some((precision, scale)) = decimal(&digits) {
            *expr = cast(digits, format!("Decimal128({precision}, {scale})"));
        }
        ControlFlow::Continue(())
    }
}

/// Makes a TIMESTAMP one of microseconds, as a column is: the planner's are of nanoseconds, which end in 2262. A text with more digits keeps them.
fn precise(ty: &mut DataType, text: Option<&str>) {
    if let DataType::Timestamp(digits @ None, _) = ty {
        let fraction = text.and_then(|text| text.split_once('.')).map_or("", |(_, fraction)| fraction);
        let written = fraction.bytes().take_while(u8::is_ascii_digit).count();
        *digits = Some(if written > 6 { 9 } else { 6 });
    }
}

/// A time that is written out and has a year of more than four digits, or before the first.
fn far(expr: &Expr) -> Option<i64> {
    let (ty, text) = match expr {
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
            (data_type, text(expr)?)
        }
        Expr::TypedString(TypedString { data_type, value, .. }) => (data_type, text_of(value)?),
        _ => return None,
    };
    let keeps = matches!(ty, DataType::Timestamp(None | Some(6), _));
    keeps.then(|| far_time(text)).flatten()
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => text_of(value),
        _ => None,
    }
}

fn text_of(value: &ValueWithSpan) -> Option<&str> {
    match &value.value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

/// A number of more digits than a DOUBLE keeps, without its exponent; it always gets a point.
fn without_exponent(digits: &str) -> Option<String> {
    let (mantissa, exponent) = digits.split_once(['e', 'E'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    if all.trim_start_matches('0').trim_end_matches('0').len() <= DOUBLE {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent.parse().ok()?)?;
    // Of one that is far from its digits a DECIMAL has not all of them.
    let limit = i32::try_from(DECIMAL).ok()?;
    if !(-limit..=limit).contains(&point) {
        return None;
    }
    Some(match usize::try_from(point) {
        Ok(point) => match all.split_at_checked(point) {
            Some((whole, fraction)) => format!("{whole}.{fraction}"),
            None => format!("{all}{}.", "0".repeat(point - all.len())),
        },
        Err(_) => format!("0.{}{all}", "0".repeat(usize::try_from(-point).ok()?)),
    })
}

/// The precision and scale of a number that has to be a DECIMAL, and can be one.
fn decimal(digits: &str) -> Option<(usize, usize)> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(fraction) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let is_read_exactly = match digits.contains('.') {
        true => {
            let all = [whole, fraction.trim_end_matches('0')].concat();
            all.trim_start_matches('0').len() <= DOUBLE
        }
        false => whole.is_empty() || whole.parse::<u64>().is_ok(),
    };
    // Of a fraction, as many digits are kept as there is room for.
    let scale = fraction.len().min(DECIMAL.saturating_sub(whole.len()));
    let precision = (whole.len() + scale).max(1);
    (!is_read_exactly && precision <= DECIMAL).then_some((precision, scale))
}

/// A cast that is none of the statement's, and is taken for one by nobody.
fn cast(digits: String, ty: String) -> Expr {
    call("arrow_cast", vec![quoted(digits), quoted(ty)])
}

fn quoted(text: impl Into<String>) -> Expr {
    Expr::value(Value::SingleQuotedString(text.into()))
}

fn number(number: i64) -> Expr {
    cast(number.to_string(), "Int64".to_owned())
}

/// A call of a function.
pub(crate) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::{decimal, without_exponent};

    #[test]
    fn only_numbers_that_a_double_would_change_become_decimals() {
        for same in [
            "1",
            "1.5",
            "0.1",
            "18446744073709551615",
            "123456789012.345",
            "1.50000000000000000000",
            "1e30",
            "0.000000000000000000012",
        ] {
            assert_eq!(decimal(same), None, "{same}");
        }
        assert_eq!(decimal("18446744073709551616"), Some((20, 0)));
        assert_eq!(decimal("99999999999999999999999999999999999999"), Some((38, 0)));
        assert_eq!(decimal("0.12345678901234567890"), Some((20, 20)));
        assert_eq!(decimal("123456789012345.1234567890123456789"), Some((34, 19)));
        assert_eq!(decimal("1.1234567890123456789012345678901234567890"), Some((38, 37)));
        // More digits than any column has: as a value for one it is refused (`write::fit`).
        assert_eq!(decimal("999999999999999999999999999999999999999"), None);
    }

    #[test]
    fn an_exponent_moves_the_point() {
        let plain = |digits| without_exponent(digits);
        assert_eq!(plain("1.2345678901234567e3").as_deref(), Some("1234.5678901234567"));
        assert_eq!(plain("12345678901234567E2").as_deref(), Some("1234567890123456700."));
        assert_eq!(plain("1.2345678901234567e-3").as_deref(), Some("0.0012345678901234567"));
        for same in ["1e30", "1.5e3", "1.2345678901234567e300", "1234.5678901234567", "1e-400"] {
            assert_eq!(plain(same), None, "{same}");
        }
        assert_eq!(decimal("1234567890123456700."), Some((19, 0)));
    }
}
