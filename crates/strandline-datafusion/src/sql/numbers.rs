//! Numbers as they are written: `1.5` is a decimal, and `1e300` a DOUBLE.
//!
//! A session reads numbers with a point as decimals, so that no digit is lost; DataFusion then does so for those with an exponent as well, which
//! may be larger than any decimal. What does not belong here: what becomes of a number in a column (`write`).

use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, Value, VisitorMut};

/// Makes a DOUBLE of each number with an exponent.
pub(super) struct Doubles;

impl VisitorMut for Doubles {
    type Break = Infallible;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
        let Value::Number(digits, _) = &value.value else { return ControlFlow::Continue(()) };
        if digits.contains(['e', 'E']) {
            let text = Value::SingleQuotedString(digits.replace('_', "")).with_span(value.span);
            *expr = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(Expr::Value(text)),
                data_type: DataType::Double(ExactNumberInfo::None),
                array: false,
                format: None,
            };
        }
        ControlFlow::Continue(())
    }
}
