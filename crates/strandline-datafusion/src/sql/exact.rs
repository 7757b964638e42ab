//! Numbers of more digits than a DOUBLE holds, and casts to UUID, which the planner does not know.
//!
//! DataFusion reads a number with a point, and one that is too large for BIGINT, as a DOUBLE, which keeps 15 digits whatever they are.
//! Invariant: a number of more digits means what it says, as a DECIMAL; any other is read as before. What does not belong here: what
//! becomes of it in a column (`write::assign`).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, Value, VisitMut, VisitorMut,
};

/// How many digits every DOUBLE keeps.
const DOUBLE: usize = 15;

/// How many digits a DECIMAL has.
const DECIMAL: usize = 38;

/// Writes the numbers of a statement so that they are read exactly.
pub(crate) fn exact(tree: &mut impl VisitMut) {
    let _ = VisitMut::visit(tree, &mut Exact);
}

struct Exact;

impl VisitorMut for Exact {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
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
        let digits = match &*expr {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => digits.clone(),
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        if let Some((precision, scale)) = decimal(&digits) {
            *expr = cast(digits, format!("Decimal128({precision}, {scale})"));
        }
        ControlFlow::Continue(())
    }
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
    let text = |text| Expr::value(Value::SingleQuotedString(text));
    call("arrow_cast", vec![text(digits), text(ty)])
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
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
    use super::decimal;

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
}
