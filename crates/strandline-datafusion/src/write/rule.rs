//! Statements that write, as queries and sinks for their rows.
//!
//! Invariants: a statement over a table of a lake never reaches DataFusion's own hooks for DELETE, UPDATE and MERGE; what cannot be
//! carried out as it is written is refused. What does not belong here: statements over other tables, which stay as they are.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::datasource::{TableProvider, provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::logical_plan::{DmlStatement, EmptyRelation, Projection};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, WriteOp};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use strandline::ErrorKind;
use strandline::filter::Predicate;

use crate::error::refused;
use crate::table::LakeTable;
use crate::table::predicate::Asked;
use crate::write::assign::{check_assigned, inserted, named_cast};
use crate::write::changes::Changes;
use crate::write::merge::{is_update, merging};
use crate::write::positions::{position_columns, with_positions};
use crate::write::sink::{Act, SinkTable};
use crate::write::target::Target;
use crate::write::values::{freed_value, without_ids};

/// Replaces statements that write to tables of lakes. It comes after types were coerced.
#[derive(Debug, Default)]
pub(crate) struct WriteRule;

impl AnalyzerRule for WriteRule {
    fn name(&self) -> &'static str {
        "strandline_write"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_down(|plan| match &plan {
            LogicalPlan::Analyze(analyze) if written(&analyze.input)?.is_some() => {
                let message = "EXPLAIN ANALYZE would carry out the statement: use EXPLAIN, or run it";
                Err(refused(ErrorKind::Unsupported, message))
            }
            LogicalPlan::Dml(dml) => match written(&plan)? {
                Some(table) => Ok(Transformed::new(replaced(dml, &table)?, true, TreeNodeRecursion::Jump)),
                None => Ok(Transformed::no(plan)),
            },
            _ => Ok(Transformed::no(plan)),
        })
        .map(|transformed| transformed.data)
    }
}

/// The table of a lake that a plan writes to, if it does.
fn written(plan: &LogicalPlan) -> Result<Option<LakeTable>> {
    let LogicalPlan::Dml(dml) = plan else { return Ok(None) };
    Ok(source_as_provider(&dml.target)?.downcast_ref::<LakeTable>().cloned())
}

fn replaced(dml: &DmlStatement, table: &LakeTable) -> Result<LogicalPlan> {
    let (act, input) = match &dml.op {
        WriteOp::Insert(op) => (inserting(*op), inserted(&without_ids(&dml.input)?, &dml.target.schema())?),
        WriteOp::Truncate => (Act::Truncate, nothing()),
        WriteOp::Delete => deleting(&dml.input, table)?,
        WriteOp::Update => {
            let columns = dml.target.schema().fields().len();
            let changes = Changes { columns, ..Changes::default() };
            (Act::Update(Arc::new(changes)), updating(&dml.input)?)
        }
        WriteOp::MergeInto(op) => {
            let (changes, rows) = merging(dml, table, op)?;
            let changes = Arc::new(changes);
            (if is_update(op) { Act::UpdateFrom(changes) } else { Act::Merge(changes) }, rows)
        }
        other => {
            let message = format!("{} into a table of a lake", other.name());
            return Err(refused(ErrorKind::Unsupported, message));
        }
    };
    let target = Target::of(table)?;
    // What goes into the sink is an insert to DataFusion, whatever the statement is. The plan is to say which one.
    let name = TableReference::bare(act.on(target.name()));
    let sink = SinkTable::new(target, act, input.schema().as_arrow());
    let target = provider_as_source(Arc::new(sink) as Arc<dyn TableProvider>);
    let op = WriteOp::Insert(InsertOp::Append);
    Ok(LogicalPlan::Dml(DmlStatement::new(name, target, op, Arc::new(input))))
}

/// Refuses to assign what is of many rows.
fn check_of_one_row(expr: &Expr) -> Result<()> {
    let of_many =
        expr.exists(|expr| Ok(matches!(expr, Expr::AggregateFunction(_) | Expr::WindowFunction(_))))?;
    if !of_many {
        return Ok(());
    }
    let message = format!(
        "column {:?} is given what is of many rows: write it as a query in parentheses",
        expr.qualified_name().1
    );
    Err(refused(ErrorKind::InvalidInput, message))
}

fn inserting(op: InsertOp) -> Act {
    match op {
        InsertOp::Append => Act::Append,
        InsertOp::Overwrite => Act::Overwrite,
        InsertOp::Replace => Act::Replace,
    }
}

fn nothing() -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::new(DFSchema::empty()) })
}

/// The positions of the rows to delete; all rows need no query, nor do those of a condition that the SDK can be told as it is.
fn deleting(input: &LogicalPlan, table: &LakeTable) -> Result<(Act, LogicalPlan)> {
    if is_whole(input) {
        return Ok((Act::DeleteAll, nothing()));
    }
    if let Some(condition) = condition(input, table) {
        return Ok((Act::DeleteWhere(condition), nothing()));
    }
    let found = with_positions(input, "DELETE")?;
    let columns = position_columns(&found);
    let positions = Projection::try_new(columns, Arc::new(found))?;
    Ok((Act::Delete, LogicalPlan::Projection(positions)))
}

/// Whether a plan is all of a table.
fn is_whole(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none())
}

/// What rows of a table pass, if that is all that a plan says, and the SDK means the same by it.
fn condition(plan: &LogicalPlan, table: &LakeTable) -> Option<Predicate> {
    let LogicalPlan::Filter(filter) = plan else { return None };
    if !is_whole(&filter.input) {
        return None;
    }
    let told = |condition: &Expr| {
        let asked = Asked::of(std::slice::from_ref(condition), table.table().schema());
        asked.predicate.filter(|_| asked.exact)
    };
    told(&filter.predicate).or_else(|| {
        // A literal of a wider type than its column's has put a cast around the column.
        let context = SimplifyContext::builder().with_schema(Arc::clone(filter.input.schema())).build();
        told(&ExprSimplifier::new(context).simplify(filter.predicate.clone()).ok()?)
    })
}

/// The updated rows, with the positions of those that they take the place of.
///
/// # Errors
/// `InvalidInput` for a value that does not become one of its column by itself.
fn updating(input: &LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Projection(assigned) = input else {
        return Err(refused(ErrorKind::Unsupported, "an UPDATE that assigns nothing"));
    };
    assigned.expr.iter().try_for_each(check_of_one_row)?;
    check_assigned(&assigned.expr, assigned.input.schema())?;
    let found = with_positions(&assigned.input, "UPDATE")?;
    let given = assigned.expr.iter().cloned().map(|value| freed_value(value).map(named_cast));
    let given = given.collect::<Result<Vec<_>>>()?;
    let columns = given.into_iter().chain(position_columns(&found)).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(found))?))
}
