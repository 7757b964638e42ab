//! Texts and dates as what they are compared with, where DataFusion would take them for something else.
//!
//! A column of UUIDs has bytes of fixed length for DataFusion, which compares them with no text and makes no text of; `to_uuid` reads any text as one. A time is of
//! nanoseconds for it, which end in 2262, while a column of microseconds goes on. So the rule [`AsCompared`] reads texts as what the column
//! beside them is. Invariants: a text that is no UUID is an error; what nanoseconds hold is as it was. What does
//! not belong here: texts that come into a column (`write::given`), decimals beside doubles (`numbers`), and dates beside times (`times`).

mod numbers;
mod times;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, FixedSizeBinaryBuilder, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::{InList, InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::DmlStatement;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Subquery, TypeSignature, Volatility, WriteOp,
    col, create_udf,
};
use datafusion::optimizer::AnalyzerRule;
use strandline::ErrorKind;

use crate::error::refused;

/// How many bytes a UUID has.
const BYTES: i32 = 16;

/// Functions that give one of their values.
const EITHER: [&str; 4] = ["coalesce", "greatest", "least", "nvl"];

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
pub(crate) fn written(uuid: &[u8]) -> String {
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
            let (plan, is_united) = times::united(plan)?;
            let (plan, is_joined) = joined(plan)?;
            let own = Kinds::in_expressions(&plan)?;
            let is_concerned = |schema: &DFSchema| own.and(schema).are_compared();
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
                    let kinds = inputs.iter().fold(own, |kinds, input| kinds.and(input.schema()));
                    kinds.are_compared().then(|| merge_schema(&inputs))
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
            Ok(Transformed::new_transformed(read.data, read.transformed || is_joined || is_united))
        })
        .map(|done| done.data)
    }
}

/// Whether there is anything in a plan that may be read otherwise.
fn has_concern(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        let own = Kinds::in_expressions(node)?;
        found = own.has_nanoseconds
            || match node {
                // Its target is not among its inputs.
                LogicalPlan::Dml(dml) => matches!(dml.op, WriteOp::MergeInto(_)),
                LogicalPlan::TableScan(scan) => own.and(&scan.projected_schema).are_compared(),
                node => {
                    node.inputs().iter().fold(own, |kinds, input| kinds.and(input.schema())).are_compared()
                }
            };
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Which kinds of values there are. Of most queries none is beside another one, and schemas take long to be put together.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    /// What is read whatever it is beside.
    has_own: bool,
    has_decimals: bool,
    has_doubles: bool,
    has_dates: bool,
    has_times: bool,
    /// Whether something becomes a time of nanoseconds.
    has_nanoseconds: bool,
}

impl Kinds {
    /// Those of a node's own expressions, besides its columns.
    fn in_expressions(plan: &LogicalPlan) -> Result<Self> {
        let mut kinds = Self::default();
        let inputs = plan.inputs();
        let columns = inputs.iter().fold(Self::default(), |kinds, input| kinds.and(input.schema()));
        plan.apply_expressions(|expr| {
            expr.apply(|part| {
                match part {
                    Expr::Literal(value, _) => kinds.add(&value.data_type()),
                    Expr::Cast(cast) => {
                        let ty = cast.field.data_type();
                        kinds.has_nanoseconds |= matches!(ty, DataType::Timestamp(TimeUnit::Nanosecond, _));
                        kinds.add(ty);
                    }
                    Expr::InSubquery(InSubquery { subquery, .. })
                    | Expr::SetComparison(SetComparison { subquery, .. })
                    | Expr::ScalarSubquery(subquery) => kinds.add(value_of(subquery).1.data_type()),
                    // What a function gives takes longer to be found.
                    Expr::ScalarFunction(_) if columns.has_decimals || columns.has_dates => {
                        let ty = match inputs.as_slice() {
                            [input] => part.get_type(input.schema()).ok(),
                            _ => None,
                        };
                        match ty {
                            Some(ty) => kinds.add(&ty),
                            None => (kinds.has_doubles, kinds.has_times) = (true, true),
                        }
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(kinds)
    }

    fn add(&mut self, ty: &DataType) {
        self.has_decimals |= ty.is_decimal();
        self.has_doubles |= ty.is_floating();
        self.has_dates |= *ty == DataType::Date32;
        self.has_times |= matches!(ty, DataType::Timestamp(..));
    }

    /// These and those of columns.
    fn and(mut self, schema: &DFSchema) -> Self {
        for field in schema.fields() {
            let ty = field.data_type();
            self.has_own |= ty.is_floating()
                || matches!(
                    ty,
                    DataType::Timestamp(TimeUnit::Microsecond, _)
                        | DataType::FixedSizeBinary(BYTES)
                        | DataType::Time64(TimeUnit::Microsecond)
                );
            self.add(ty);
        }
        self
    }

    /// Whether there may be something to read.
    fn are_compared(self) -> bool {
        self.has_own || (self.has_decimals && self.has_doubles) || (self.has_dates && self.has_times)
    }
}

/// A join whose sides are equal in values of two kinds, as one by values of one kind; whether it is one.
fn joined(plan: LogicalPlan) -> Result<(LogicalPlan, bool)> {
    let LogicalPlan::Join(mut join) = plan else { return Ok((plan, false)) };
    let mut changed = false;
    for (left, right) in &mut join.on {
        let (Ok(of_left), Ok(of_right)) =
            (left.get_type(join.left.schema()), right.get_type(join.right.schema()))
        else {
            continue;
        };
        if of_left != of_right {
            let both = merge_schema(&[join.left.as_ref(), join.right.as_ref()]);
            changed |= read_together(&mut [left, right], &both)?;
        }
    }
    Ok((LogicalPlan::Join(join), changed))
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
    match is_time.then(|| times::beyond(&cast.expr, ty)).flatten() {
        Some(time) => Transformed::yes(time),
        None => Transformed::no(Expr::Cast(cast)),
    }
}

fn read_in(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { mut left, op, mut right }) if op.supports_propagation() => {
            let changed = read_beside(&left, &mut [right.as_mut()], schema)?
                | read_beside(&right, &mut [left.as_mut()], schema)?
                | read_together(&mut [left.as_mut(), right.as_mut()], schema)?;
            let compared = BinaryExpr { left, op, right };
            Ok(match numbers::among_zeros(&compared, schema)? {
                Some(among) => Transformed::yes(among),
                None => Transformed::new_transformed(Expr::BinaryExpr(compared), changed),
            })
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let changed = read_beside(&expr, &mut list.iter_mut().collect::<Vec<_>>(), schema)? | {
                let mut sides: Vec<&mut Expr> = std::iter::once(expr.as_mut()).chain(&mut list).collect();
                read_together(&mut sides, schema)?
            };
            let changed = numbers::with_both_zeros(&expr, &mut list, schema)? || changed;
            let among = Expr::InList(InList { expr, list, negated });
            Ok(if changed { Transformed::yes(among) } else { Transformed::no(among) })
        }
        Expr::Between(Between { mut expr, negated, mut low, mut high }) => {
            let changed = read_beside(&expr, &mut [low.as_mut(), high.as_mut()], schema)?
                | read_together(&mut [expr.as_mut(), low.as_mut(), high.as_mut()], schema)?;
            let between = Expr::Between(Between { expr, negated, low, high });
            Ok(if changed { Transformed::yes(between) } else { Transformed::no(between) })
        }
        Expr::InSubquery(InSubquery { mut expr, mut subquery, negated }) => {
            let changed = read_asked(&mut expr, &mut subquery, schema)?;
            let among = Expr::InSubquery(InSubquery { expr, subquery, negated });
            Ok(Transformed::new_transformed(among, changed))
        }
        Expr::SetComparison(SetComparison { mut expr, mut subquery, op, quantifier }) => {
            let changed = read_asked(&mut expr, &mut subquery, schema)?;
            let compared = Expr::SetComparison(SetComparison { expr, subquery, op, quantifier });
            Ok(Transformed::new_transformed(compared, changed))
        }
        Expr::ScalarFunction(mut function) if function.func.name() == "nullif" => {
            let changed = read_together(&mut function.args.iter_mut().collect::<Vec<_>>(), schema)?;
            Ok(Transformed::new_transformed(Expr::ScalarFunction(function), changed))
        }
        Expr::ScalarFunction(mut function) if EITHER.contains(&function.func.name()) => {
            let changed = times::read_either(&mut function.args.iter_mut().collect::<Vec<_>>(), schema)?;
            Ok(Transformed::new_transformed(Expr::ScalarFunction(function), changed))
        }
        Expr::Case(mut case) => {
            let thens = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
            let mut results: Vec<&mut Expr> = thens.chain(case.else_expr.as_deref_mut()).collect();
            let is_either = times::read_either(&mut results, schema)?;
            let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
            let changed = match case.expr.as_deref_mut() {
                Some(expr) => {
                    read_together(&mut std::iter::once(expr).chain(whens).collect::<Vec<_>>(), schema)?
                }
                None => false,
            };
            Ok(Transformed::new_transformed(Expr::Case(case), changed || is_either))
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

/// Reads what stands beside a column as what the column is; whether it did.
fn read_beside(column: &Expr, others: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    if !matches!(column, Expr::Column(_)) {
        return Ok(false);
    }
    let field = column.to_field(schema)?.1;
    match field.data_type() {
        ty @ DataType::Timestamp(TimeUnit::Microsecond, _) => Ok(times::read_texts(ty, others)),
        _ if is_uuid(&field) => read_uuids(others),
        _ => Ok(false),
    }
}

/// Reads what is compared as what all of it has in common; whether it did.
fn read_together(sides: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    Ok(numbers::read(sides, schema)?
        || times::read_clocks(sides, schema)?
        || times::read_dates(sides, schema)?
        || times::read_written(sides, schema)?)
}

/// The values of a query, and what is compared with them.
fn read_asked(expr: &mut Expr, subquery: &mut Subquery, schema: &DFSchema) -> Result<bool> {
    // A name that nothing around the query has.
    const VALUE: &str = "strandline:value";
    let (column, field) = value_of(subquery);
    let (column, name) = (Expr::Column(column), field.name().clone());
    let named = Field::new(VALUE, field.data_type().clone(), field.is_nullable());
    let named = DFSchema::from_unqualified_fields(vec![named].into(), HashMap::new())?;
    let mut value = col(Column::new_unqualified(VALUE));
    let before = value.clone();
    if !read_together(&mut [expr, &mut value], &schema.join(&named)?)? {
        return Ok(false);
    }
    if value != before {
        let value = value.transform_up(|part| {
            Ok(match part == before {
                true => Transformed::yes(column.clone()),
                false => Transformed::no(part),
            })
        })?;
        let query = LogicalPlan::clone(&subquery.subquery);
        subquery.subquery =
            Arc::new(LogicalPlanBuilder::from(query).project([value.data.alias(name)])?.build()?);
    }
    Ok(true)
}

/// The one column of a query whose values are asked for.
fn value_of(subquery: &Subquery) -> (Column, &FieldRef) {
    let (qualifier, field) = subquery.subquery.schema().qualified_field(0);
    (Column::from((qualifier, field)), field)
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
pub(crate) fn is_uuid(field: &Field) -> bool {
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
