//! Joins by USING and NATURAL, which have one column for each key.
//!
//! It is what the side has of it whose rows all pass, and of a full join what either has. It stands where the left side's key does. Invariant:
//! whatever is asked for by the name of a key is that column; what one side has of it is another one, if the join was told of it (`written`).
//! What does not belong here: joins by other conditions.

use std::collections::BTreeSet;

use datafusion::common::{Column, JoinType, TableReference};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableFactor, TableWithJoins,
};
use strandline::ErrorKind;

use super::written::{is_lateral, is_natural, merges, name_of};
use crate::error::refused;

/// Plans joins in parentheses that are by USING or NATURAL.
#[derive(Debug)]
pub(crate) struct Using;

impl RelationPlanner for Using {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match relation {
            TableFactor::NestedJoin { table_with_joins, alias } if is_ours(&table_with_joins) => {
                let plan = joined(*table_with_joins, context)?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
            }
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

fn is_ours(table: &TableWithJoins) -> bool {
    let is_lateral = is_lateral(&table.relation) || table.joins.iter().any(|join| is_lateral(&join.relation));
    !is_lateral
        && table.joins.iter().any(merges)
        && table.joins.iter().all(|join| kind(&join.join_operator).is_some())
}

/// The kind of a join and its condition; `None` for what the planner refuses.
fn kind(operator: &JoinOperator) -> Option<(JoinType, &JoinConstraint)> {
    match operator {
        JoinOperator::Join(by) | JoinOperator::Inner(by) => Some((JoinType::Inner, by)),
        JoinOperator::CrossJoin(by @ JoinConstraint::None) => Some((JoinType::Inner, by)),
        JoinOperator::Left(by) | JoinOperator::LeftOuter(by) => Some((JoinType::Left, by)),
        JoinOperator::Right(by) | JoinOperator::RightOuter(by) => Some((JoinType::Right, by)),
        JoinOperator::FullOuter(by) => Some((JoinType::Full, by)),
        JoinOperator::LeftSemi(by) => Some((JoinType::LeftSemi, by)),
        JoinOperator::RightSemi(by) => Some((JoinType::RightSemi, by)),
        JoinOperator::LeftAnti(by) => Some((JoinType::LeftAnti, by)),
        JoinOperator::RightAnti(by) => Some((JoinType::RightAnti, by)),
        _ => None,
    }
}

fn joined(table: TableWithJoins, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let TableWithJoins { relation, joins } = table;
    // A chain of joins is told of each once for each.
    let sides: BTreeSet<(String, String)> = joins.iter().flat_map(using).filter_map(side).collect();
    let mut left = factor(relation, &sides, context)?;
    for join in joins {
        let right = factor(join.relation.clone(), &sides, context)?;
        left = joined_with(left, right, &join.join_operator, context)?;
    }
    Ok(left)
}

fn using(join: &Join) -> &[ObjectName] {
    match kind(&join.join_operator) {
        Some((_, JoinConstraint::Using(names))) => names,
        _ => &[],
    }
}

/// What one side has of a key, of which the join is told as of a key in two parts.
fn side(name: &ObjectName) -> Option<(String, String)> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(side), ObjectNamePart::Identifier(key)] => {
            Some((side.value.clone(), key.value.clone()))
        }
        _ => None,
    }
}

/// What is joined, with what it has of keys under names of their own.
fn factor(
    relation: TableFactor,
    sides: &BTreeSet<(String, String)>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let plan = context.plan(relation)?;
    let qualifiers: Vec<TableReference> = plan.schema().iter().filter_map(|(of, _)| of.cloned()).collect();
    let of_plan: Vec<&(String, String)> =
        sides.iter().filter(|(side, _)| qualifiers.iter().any(|of| of.table() == side)).collect();
    if of_plan.is_empty() {
        return Ok(plan);
    }
    let mut columns: Vec<Expr> =
        plan.schema().iter().map(|field| Expr::Column(Column::from(field))).collect();
    for (side, key) in of_plan {
        let name = name_of(side, key);
        // In parentheses of its own it has been given the name there.
        if plan.schema().has_column_with_unqualified_name(&name) {
            continue;
        }
        let found = plan
            .schema()
            .iter()
            .find(|(of, field)| field.name() == key && of.is_some_and(|of| of.table() == side));
        if let Some(found) = found {
            columns.push(Expr::Column(Column::from(found)).alias(name));
        }
    }
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

fn joined_with(
    left: LogicalPlan,
    right: LogicalPlan,
    operator: &JoinOperator,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let Some((kind, by)) = kind(operator) else {
        return Err(refused(ErrorKind::Unsupported, "such a join"));
    };
    match by {
        JoinConstraint::Using(names) => {
            if names.iter().any(is_natural) {
                return natural(left, right, kind);
            }
            let keys = names.iter().filter(|name| side(name).is_none());
            let keys = keys.map(|name| key(name, context)).collect::<Result<Vec<_>>>()?;
            merged(left, right, kind, &keys)
        }
        JoinConstraint::Natural => natural(left, right, kind),
        JoinConstraint::On(condition) => {
            let both = left.schema().join(right.schema())?;
            let condition = context.sql_to_expr(condition.clone(), &both)?;
            LogicalPlanBuilder::from(left).join_on(right, kind, [condition])?.build()
        }
        JoinConstraint::None if kind == JoinType::Inner => {
            LogicalPlanBuilder::from(left).cross_join(right)?.build()
        }
        JoinConstraint::None => LogicalPlanBuilder::from(left).join_on(right, kind, [])?.build(),
    }
}

/// A join by all columns that both sides have; what one side has of a key is a column of that side alone.
fn natural(left: LogicalPlan, right: LogicalPlan, kind: JoinType) -> Result<LogicalPlan> {
    let of_left = |name: &&String| left.schema().has_column_with_unqualified_name(name);
    let keys: Vec<String> =
        right.schema().fields().iter().map(|field| field.name()).filter(of_left).cloned().collect();
    merged(left, right, kind, &keys)
}

fn key(name: &ObjectName, context: &dyn RelationPlannerContext) -> Result<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Ok(context.normalize_ident(Ident::clone(name))),
        _ => {
            Err(refused(ErrorKind::InvalidInput, format!("USING takes names of columns, and {name} is none")))
        }
    }
}

/// A join of which each key is one column.
fn merged(left: LogicalPlan, right: LogicalPlan, kind: JoinType, keys: &[String]) -> Result<LogicalPlan> {
    if keys.is_empty() && kind == JoinType::Inner {
        return LogicalPlanBuilder::from(left).cross_join(right)?.build();
    }
    let pairs = keys.iter().map(|key| Ok((found(&left, key)?, found(&right, key)?)));
    let pairs = pairs.collect::<Result<Vec<(Column, Column)>>>()?;
    let column = |column: &Column| Expr::Column(column.clone());
    let both = both(&left, &right);
    let equal = pairs.iter().map(|(left, right)| column(left).eq(column(right)));
    let columns: Vec<Expr> = {
        let at_left = left.schema().columns().into_iter().map(|found| {
            match pairs.iter().find(|(left, _)| *left == found) {
                Some((_, right)) if kind == JoinType::Right => column(right),
                Some((left, right)) if kind == JoinType::Full => coalesce(vec![column(left), column(right)])
                    .alias_qualified(Some(both.clone()), left.name.clone()),
                _ => Expr::Column(found),
            }
        });
        let is_key = |found: &Column| pairs.iter().any(|(_, right)| right == found);
        let at_right = right.schema().columns().into_iter().filter(|found| !is_key(found)).map(Expr::Column);
        at_left.chain(at_right).collect()
    };
    let joined = LogicalPlanBuilder::from(left).join_on(right, kind, conjunction(equal))?;
    match kind {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            joined.project(columns)?.build()
        }
        // Of these one side is all that is left.
        _ => joined.build(),
    }
}

/// What qualifies a key that is of neither side alone: by whom the sides begin, which is another one for each join.
fn both(left: &LogicalPlan, right: &LogicalPlan) -> TableReference {
    let first = |plan: &LogicalPlan| {
        let qualifier = plan.schema().iter().find_map(|(qualifier, _)| qualifier.map(ToString::to_string));
        qualifier.unwrap_or_default()
    };
    TableReference::bare(format!("{}:{}", first(left), first(right)))
}

/// The column of a side that a key is.
fn found(plan: &LogicalPlan, key: &str) -> Result<Column, DataFusionError> {
    Ok(Column::from(plan.schema().qualified_field_with_unqualified_name(key)?))
}
