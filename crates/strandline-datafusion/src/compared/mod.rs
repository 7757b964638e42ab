//! Texts and dates as what they are compared with, where DataFusion would take them for something else.
//!
//! A column of UUIDs has bytes of fixed length for DataFusion, which compares them with no text and makes no text of; `to_uuid` reads any text as one. A time is of
//! nanoseconds for it, which end in 2262, while a column of microseconds goes on. So the rule [`AsCompared`] reads texts as what the column
//! beside them is. Invariants: a text that is no UUID is an error; what nanoseconds hold is as it was. What does
//! not belong here: texts that come into a column (`write::given`), and decimals beside doubles (`numbers`).

mod numbers;

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, FixedSizeBinaryBuilder, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::DmlStatement;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility, WriteOp, cast, create_udf,
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

/// Makes `to_uuid` and `uuid_text` known to a session.
pub(crate) fn register(ctx: &SessionContext) {
    functions().into_iter().for_each(|function| ctx.register_udf(function));
}

/// The two of them.
pub(crate) fn functions() -> [ScalarUDF; 2] {
    [ScalarUDF::new_from_impl(ToUuid::default()), uuid_text()]
}

/// `to_uuid`, which `CAST(… AS UUID)` is as well: of a UUID it is the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToUuid(Signature);

impl Default for ToUuid {
    fn default() -> Self {
        let of = |ty| TypeSignature::Exact(vec![ty]);
        let forms = vec![of(DataType::FixedSizeBinary(BYTES)), of(DataType::Utf8)];
        Self(Signature::one_of(forms, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for ToUuid {
    fn name(&self) -> &'static str {
        "to_uuid"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::FixedSizeBinary(BYTES))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.first() {
            Some(uuids) if uuids.data_type() == DataType::FixedSizeBinary(BYTES) => Ok(uuids.clone()),
            _ => to_uuid(&args.args),
        }
    }
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

/// `uuid_text`, which the cast of a column of UUIDs to a text is as well.
fn uuid_text() -> ScalarUDF {
    let (from, to) = (vec![DataType::FixedSizeBinary(BYTES)], DataType::Utf8);
    let texts = |args: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let uuids = arrays.first().map(|array| array.as_fixed_size_binary().iter()).into_iter().flatten();
        let texts: StringArray = uuids.map(|uuid| uuid.map(written)).collect();
        Ok(ColumnarValue::Array(Arc::new(texts)))
    };
    create_udf("uuid_text", from, to, Volatility::Immutable, Arc::new(texts))
}

/// A UUID as five groups of hexadecimal digits.
fn written(uuid: &[u8]) -> String {
    let digits = |bytes: std::ops::Range<usize>| -> String {
        uuid.get(bytes).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    [digits(0..4), digits(4..6), digits(6..8), digits(8..10), digits(10..16)].join("-")
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
        // To look takes a fraction of what it takes to put a plan together again.
        if !has_concern(&plan)? {
            return Ok(plan);
        }
        plan.transform_up_with_subqueries(|plan| {
            let (plan, is_joined) = numbers::joined(plan);
            let has_doubles = numbers::has_doubles(&plan)?;
            let has_times = has_times(&plan)?;
            let is_concerned =
                |schema: &DFSchema| is_concerned(schema, has_doubles) || (has_times && has_dates(schema));
            let schema = match &plan {
                LogicalPlan::Dml(dml) => match of_merge(dml)? {
                    Some(schema) => is_concerned(&schema).then_some(schema),
                    None => return Ok(Transformed::no(plan)),
                },
                LogicalPlan::TableScan(scan) => {
                    is_concerned(&scan.projected_schema).then(|| DFSchema::clone(&scan.projected_schema))
                }
                plan => {
                    let inputs = plan.inputs();
                    let is_concerned = inputs.iter().any(|input| is_concerned(input.schema()));
                    is_concerned.then(|| merge_schema(&inputs))
                }
            };
            let names = NamePreserver::new(&plan);
            let read = plan.map_expressions(|expr| {
                if schema.is_none() && !expr.exists(|part| Ok(matches!(part, Expr::Cast(_))))? {
                    return Ok(Transformed::no(expr));
                }
                let name = names.save(&expr);
                let read = expr.transform_up(|expr| read(expr, schema.as_ref()))?;
                Ok(if read.transformed { read.update_data(|expr| name.restore(expr)) } else { read })
            })?;
            let read = if read.transformed { read.map_data(LogicalPlan::recompute_schema)? } else { read };
            Ok(Transformed::new_transformed(read.data, read.transformed || is_joined))
        })
        .map(|done| done.data)
    }
}

/// Whether there is anything in a plan that may be read otherwise.
fn has_concern(plan: &LogicalPlan) -> Result<bool> {
    let next = |found| if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue };
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        let has_doubles = numbers::has_doubles(node)?;
        found = match node {
            // Its target is not among its inputs.
            LogicalPlan::Dml(dml) => matches!(dml.op, WriteOp::MergeInto(_)),
            LogicalPlan::TableScan(scan) => is_concerned(&scan.projected_schema, has_doubles),
            node => node.inputs().iter().any(|input| is_concerned(input.schema(), has_doubles)),
        };
        found = found || has_times(node)?;
        Ok(next(found))
    })?;
    Ok(found)
}

/// Whether something becomes a time of nanoseconds in a plan's own expressions.
fn has_times(plan: &LogicalPlan) -> Result<bool> {
    let is_time = |part: &Expr| matches!(part, Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _)));
    let mut has = false;
    plan.apply_expressions(|expr| {
        has = expr.exists(|part| Ok(is_time(part)))?;
        Ok(if has { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(has)
}

fn has_dates(schema: &DFSchema) -> bool {
    schema.fields().iter().any(|field| *field.data_type() == DataType::Date32)
}

/// Whether there are columns beside which something is read. Of most queries there are none, and schemas take long to be put together.
fn is_concerned(schema: &DFSchema, has_doubles: bool) -> bool {
    let is = |ty: &DataType| match ty {
        DataType::Timestamp(TimeUnit::Microsecond, _)
        | DataType::FixedSizeBinary(BYTES)
        | DataType::Time64(TimeUnit::Microsecond) => true,
        ty if ty.is_decimal() => has_doubles,
        ty => ty.is_floating(),
    };
    schema.fields().iter().any(|field| is(field.data_type()))
}

/// What the expressions of a MERGE are of: its source, and its target, which is not among its inputs. `None` for other statements.
fn of_merge(dml: &DmlStatement) -> Result<Option<DFSchema>> {
    if !matches!(dml.op, WriteOp::MergeInto(_)) {
        return Ok(None);
    }
    let mut schema = DFSchema::clone(dml.input.schema());
    schema.merge(&DFSchema::try_from_qualified_schema(dml.table_name.clone(), &dml.target.schema())?);
    Ok(Some(schema))
}

/// The same expression with what is read in it; without a schema only what needs none.
fn read(expr: Expr, schema: Option<&DFSchema>) -> Result<Transformed<Expr>> {
    match (expr, schema) {
        (expr, Some(schema)) => read_in(expr, schema),
        (Expr::Cast(cast), None) => Ok(read_cast(cast)),
        (other, None) => Ok(Transformed::no(other)),
    }
}

/// A time that is beyond nanoseconds.
fn read_cast(cast: Cast) -> Transformed<Expr> {
    let ty = cast.field.data_type();
    let is_time = matches!(ty, DataType::Timestamp(TimeUnit::Nanosecond, _));
    match is_time.then(|| beyond(&cast.expr, ty)).flatten() {
        Some(time) => Transformed::yes(time),
        None => Transformed::no(Expr::Cast(cast)),
    }
}

fn read_in(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { mut left, op, mut right }) if op.supports_propagation() => {
            let changed = read_beside(&left, &mut [right.as_mut()], schema)?
                || read_beside(&right, &mut [left.as_mut()], schema)?
                || read_together(&mut [left.as_mut(), right.as_mut()], schema)?;
            let compared = BinaryExpr { left, op, right };
            Ok(match numbers::among_zeros(&compared, schema)? {
                Some(among) => Transformed::yes(among),
                None => Transformed::new_transformed(Expr::BinaryExpr(compared), changed),
            })
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let changed = read_beside(&expr, &mut list.iter_mut().collect::<Vec<_>>(), schema)? || {
                let mut sides: Vec<&mut Expr> = std::iter::once(expr.as_mut()).chain(&mut list).collect();
                read_together(&mut sides, schema)?
            };
            let changed = numbers::with_both_zeros(&expr, &mut list, schema)? || changed;
            let among = Expr::InList(InList { expr, list, negated });
            Ok(if changed { Transformed::yes(among) } else { Transformed::no(among) })
        }
        Expr::Between(Between { mut expr, negated, mut low, mut high }) => {
            let changed = read_beside(&expr, &mut [low.as_mut(), high.as_mut()], schema)?
                || read_together(&mut [expr.as_mut(), low.as_mut(), high.as_mut()], schema)?;
            let between = Expr::Between(Between { expr, negated, low, high });
            Ok(if changed { Transformed::yes(between) } else { Transformed::no(between) })
        }
        Expr::Case(mut case) => {
            let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
            let changed = match case.expr.as_deref_mut() {
                Some(expr) => {
                    read_together(&mut std::iter::once(expr).chain(whens).collect::<Vec<_>>(), schema)?
                }
                None => false,
            };
            Ok(Transformed::new_transformed(Expr::Case(case), changed))
        }
        Expr::Cast(Cast { expr, field })
            if field.data_type().is_string()
                && matches!(*expr, Expr::Column(_))
                && is_uuid(&expr.to_field(schema)?.1) =>
        {
            let text = Box::new(uuid_text().call(vec![*expr]));
            Ok(Transformed::yes(Expr::Cast(Cast { expr: text, field })))
        }
        Expr::Cast(cast) => Ok(read_cast(cast)),
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

/// Reads what is compared as what all of it has in common; whether it did.
fn read_together(sides: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    Ok(numbers::read(sides, schema)? || read_clocks(sides, schema)? || read_dates(sides, schema)?)
}

/// Times of day of two precisions, of which DataFusion finds no common one.
fn read_clocks(sides: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let types = sides.iter().map(|side| side.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let (coarse, fine) = (DataType::Time64(TimeUnit::Microsecond), DataType::Time64(TimeUnit::Nanosecond));
    if !types.contains(&coarse) || !types.contains(&fine) {
        return Ok(false);
    }
    for (side, ty) in sides.iter_mut().zip(&types) {
        if *ty == coarse {
            **side = cast(side.clone(), fine.clone());
        }
    }
    Ok(true)
}

/// Reads times that are written out beside dates as dates, or else both as of microseconds, which every date has: DataFusion makes nanoseconds of
/// the dates.
fn read_dates(compared: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    const NANOS: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);
    const MICROS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
    let types = compared.iter().map(|expr| expr.get_type(schema)).collect::<Result<Vec<_>>>()?;
    if !types.contains(&DataType::Date32) {
        return Ok(false);
    }
    let is_time = |ty: &DataType| *ty == NANOS || *ty == MICROS;
    let times: Vec<Option<i64>> = compared.iter().map(|expr| micros(expr)).collect();
    let written = |(ty, time): (&DataType, &Option<i64>)| !is_time(ty) || time.is_some();
    if !types.iter().any(is_time) || !types.iter().zip(&times).all(written) {
        return Ok(false);
    }
    let all_days: Option<Vec<Option<i32>>> =
        times.iter().map(|time| time.map_or(Some(None), |time| day(time).map(Some))).collect();
    for (at, expr) in compared.iter_mut().enumerate() {
        let day = all_days.as_ref().and_then(|days| days.get(at).copied().flatten());
        match (day, times.get(at).copied().flatten()) {
            (Some(day), _) => **expr = Expr::Literal(ScalarValue::Date32(Some(day)), None),
            (None, Some(time)) => {
                **expr = Expr::Literal(ScalarValue::TimestampMicrosecond(Some(time), None), None);
            }
            (None, None) if all_days.is_none() && types.get(at) == Some(&DataType::Date32) => {
                **expr = cast(std::mem::take(*expr), MICROS);
            }
            (None, None) => {}
        }
    }
    Ok(true)
}

/// A time that is written out and has no nanoseconds, as microseconds.
fn micros(expr: &Expr) -> Option<i64> {
    let of = |scalar: ScalarValue| match scalar {
        ScalarValue::TimestampMicrosecond(Some(time), None) => Some(time),
        ScalarValue::TimestampNanosecond(Some(time), None) if time % 1_000 == 0 => Some(time / 1_000),
        _ => None,
    };
    match expr {
        Expr::Literal(scalar, _) => of(scalar.clone()),
        Expr::Cast(Cast { expr, field }) if matches!(field.data_type(), DataType::Timestamp(_, None)) => {
            of(text(expr)?.cast_to(field.data_type()).ok()?)
        }
        _ => None,
    }
}

/// The day that a time begins, if it does.
fn day(micros: i64) -> Option<i32> {
    const DAY: i64 = 86_400_000_000;
    (micros % DAY == 0).then(|| i32::try_from(micros / DAY).ok()).flatten()
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
        assert_eq!(super::written(&expected), "ab000000-0000-0000-0000-000000000009");
    }
}
