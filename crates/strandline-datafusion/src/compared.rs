//! Texts and dates as what they are compared with, where DataFusion would take them for something else.
//!
//! A column of UUIDs has bytes of fixed length for DataFusion, which compares them with no text; `to_uuid` reads any text as one. A time is of
//! nanoseconds for it, which end in 2262, while a column of microseconds goes on. So the rule [`AsCompared`] reads texts as what the column
//! beside them is. Invariants: a text that is no UUID is an error; what nanoseconds hold is as it was. What does
//! not belong here: texts that come into a column (`write::given`).

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, FixedSizeBinaryBuilder};
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Volatility, cast, create_udf,
};
use datafusion::optimizer::AnalyzerRule;
use strandline::ErrorKind;

use crate::error::refused;

/// How many bytes a UUID has.
const BYTES: i32 = 16;

/// The UUID that a text is: five groups of hexadecimal digits.
pub(crate) fn parse(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths = groups.iter().map(|group| group.len());
    let digits = groups.concat();
    let is_uuid = lengths.eq([8, 4, 4, 4, 12]) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_uuid.then(|| u128::from_str_radix(&digits, 16).ok()).flatten().map(u128::to_be_bytes)
}

/// Makes `to_uuid` known to a session.
pub(crate) fn register(ctx: &SessionContext) {
    let (from, to) = (vec![DataType::Utf8], DataType::FixedSizeBinary(BYTES));
    ctx.register_udf(create_udf("to_uuid", from, to, Volatility::Immutable, Arc::new(to_uuid)));
}

fn to_uuid(args: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let texts = arrays.first().map(|array| array.as_string::<i32>().iter()).into_iter().flatten();
    let mut uuids = FixedSizeBinaryBuilder::new(BYTES);
    for text in texts {
        match text {
            Some(text) => uuids.append_value(parse(text).ok_or_else(|| none(text))?)?,
            None => uuids.append_null(),
        }
    }
    Ok(ColumnarValue::Array(Arc::new(uuids.finish())))
}

fn none(text: &str) -> datafusion::error::DataFusionError {
    refused(ErrorKind::InvalidInput, format!("{text:?} is no UUID"))
}

/// The rule that reads texts as what they are compared with. It comes before types are coerced.
#[derive(Debug)]
pub(crate) struct AsCompared;

impl AnalyzerRule for AsCompared {
    fn name(&self) -> &'static str {
        "strandline_as_compared"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let schema = match &plan {
                // Its expressions are of two sides, of which one is not among its inputs.
                LogicalPlan::Dml(_) => return Ok(Transformed::no(plan)),
                LogicalPlan::TableScan(scan) => DFSchema::clone(&scan.projected_schema),
                plan => merge_schema(&plan.inputs()),
            };
            let read = plan.map_expressions(|expr| expr.transform_up(|expr| read(expr, &schema)))?;
            if read.transformed { read.map_data(LogicalPlan::recompute_schema) } else { Ok(read) }
        })
        .map(|done| done.data)
    }
}

fn read(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { mut left, op, mut right }) if op.supports_propagation() => {
            let changed = read_beside(&left, &mut [right.as_mut()], schema)?
                || read_beside(&right, &mut [left.as_mut()], schema)?;
            let compared = Expr::BinaryExpr(BinaryExpr { left, op, right });
            Ok(if changed { Transformed::yes(compared) } else { Transformed::no(compared) })
        }
        Expr::InList(InList { expr, mut list, negated }) => {
            let changed = read_beside(&expr, &mut list.iter_mut().collect::<Vec<_>>(), schema)?;
            let among = Expr::InList(InList { expr, list, negated });
            Ok(if changed { Transformed::yes(among) } else { Transformed::no(among) })
        }
        Expr::Between(Between { expr, negated, mut low, mut high }) => {
            let changed = read_beside(&expr, &mut [low.as_mut(), high.as_mut()], schema)?;
            let between = Expr::Between(Between { expr, negated, low, high });
            Ok(if changed { Transformed::yes(between) } else { Transformed::no(between) })
        }
        Expr::Cast(cast)
            if matches!(cast.field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _)) =>
        {
            match beyond(&cast.expr, cast.field.data_type()) {
                Some(time) => Ok(Transformed::yes(time)),
                None => Ok(Transformed::no(Expr::Cast(cast))),
            }
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The text that a literal is.
fn text(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(text @ (ScalarValue::Utf8(Some(_)) | ScalarValue::Utf8View(Some(_))), _) => Some(text),
        _ => None,
    }
}

/// A time that a text is, of microseconds if nanoseconds do not hold it.
fn beyond(expr: &Expr, ty: &DataType) -> Option<Expr> {
    let (DataType::Timestamp(_, zone), Some(text)) = (ty, text(expr)) else { return None };
    let of = |unit| text.cast_to(&DataType::Timestamp(unit, zone.clone())).ok();
    match of(TimeUnit::Nanosecond) {
        Some(_) => None,
        None => of(TimeUnit::Microsecond).map(|time| Expr::Literal(time, None)),
    }
}

/// Reads what stands beside a column as what the column is; whether it did.
fn read_beside(column: &Expr, others: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    if !matches!(column, Expr::Column(_)) {
        return Ok(false);
    }
    let field = column.to_field(schema)?.1;
    match field.data_type() {
        ty @ DataType::Timestamp(TimeUnit::Microsecond, _) => read_times(ty, others, schema),
        _ if is_uuid(&field) => read_uuids(others),
        _ => Ok(false),
    }
}

/// Reads dates, and if one of them is beyond nanoseconds all texts, as times.
fn read_times(ty: &DataType, others: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let is_beyond = others.iter().any(|other| beyond(other, ty).is_some());
    let mut changed = false;
    for other in others {
        let is_date = matches!(other, Expr::Column(_)) && other.get_type(schema)? == DataType::Date32;
        if is_date || (is_beyond && text(other).is_some()) {
            **other = cast(other.clone(), ty.clone());
            changed = true;
        }
    }
    Ok(changed)
}

fn read_uuids(others: &mut [&mut Expr]) -> Result<bool> {
    let mut changed = false;
    for other in others {
        let Some(found) = text(other).and_then(|text| text.try_as_str().flatten()) else { continue };
        let bytes = parse(found).ok_or_else(|| none(found))?.to_vec();
        **other = Expr::Literal(ScalarValue::FixedSizeBinary(BYTES, Some(bytes)), None);
        changed = true;
    }
    Ok(changed)
}

/// Whether a column has UUIDs.
fn is_uuid(field: &Field) -> bool {
    *field.data_type() == DataType::FixedSizeBinary(BYTES)
        && field.extension_type_name() == Some("arrow.uuid")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_uuid_has_five_groups() {
        let mut expected = [0; 16];
        (expected[0], expected[15]) = (0xAB, 9);
        assert_eq!(parse("Ab000000-0000-0000-0000-000000000009"), Some(expected));
        for text in ["", "ab0000000000-0000-0000-000000000009", "+b000000-0000-0000-0000-000000000009"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
