//! Filters that come down a plan to a scan, and which of them it may skip data by.
//!
//! DataFusion hands filters from node to node by the names of their columns: where two columns have one name, as behind most joins, it takes
//! the first, and a semi join hands those of one side to whatever has such a name on the other. A filter on the wrong column skips rows that
//! the query needs. So scans keep filters as offers ([`LakeSource`]), but:
//!
//! - what is known before the query runs goes down within parts of the plan whose names say which column is meant, where scans take it at once
//!   ([`Certain`]). It has been handed to the tables as expressions already, of columns that cannot be mistaken, so little is lost;
//! - what becomes known as the query runs (the keys of a join, the last of the first ten rows) goes down the whole plan. The last rule (`last`)
//!   lets scans take it if the names on the way from where it was made say which column is meant.
//!
//! Invariant: no scan takes a filter but for what is said here. What does not belong here: what a scan does with its filters (`source`).

use std::any::Any;
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::JoinType;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use super::LakeSource;

/// A rule of DataFusion's, as a session has it.
pub(crate) type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rules of a session, with the one wrapped that hands down what is known before the query runs.
pub(crate) fn careful(rules: &[Rule]) -> Vec<Rule> {
    let wrapped = |rule: &Rule| match rule.name() {
        "FilterPushdown" => Arc::new(Known(Arc::clone(rule))) as Rule,
        _ => Arc::clone(rule),
    };
    rules.iter().map(wrapped).collect()
}

/// Hands down what is known before the query runs.
#[derive(Debug)]
struct Known(Rule);

impl PhysicalOptimizerRule for Known {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut apart = HashSet::new();
        note_apart(&plan, &mut apart);
        let mut config = config.clone();
        config.extensions.insert(Certain);
        self.in_parts(plan, &apart, &config)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

impl Known {
    /// Applies the rule to the largest parts of a plan in which names say which column is meant.
    fn in_parts(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        apart: &HashSet<*const ()>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !apart.contains(&place_of(&plan)) {
            return self.0.optimize(plan, config);
        }
        let part = |child: &Arc<dyn ExecutionPlan>| self.in_parts(Arc::clone(child), apart, config);
        let children = plan.children().into_iter().map(part).collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, children)
    }
}

/// Stands in the configuration that a rule is given where names say which column is meant: scans take what they are offered then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certain;

impl ConfigExtension for Certain {
    const PREFIX: &'static str = "strandline_certain";
}

impl ExtensionOptions for Certain {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(*self)
    }

    fn set(&mut self, key: &str, _: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!("{key} is not to be set")))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

/// Which node of a plan it is.
fn place_of(plan: &Arc<dyn ExecutionPlan>) -> *const () {
    Arc::as_ptr(plan).cast()
}

/// Notes the nodes below which names do not say everywhere which column is meant; whether this is one.
fn note_apart(plan: &Arc<dyn ExecutionPlan>, apart: &mut HashSet<*const ()>) -> bool {
    let children = plan.children();
    let places = children.len();
    // All of them are looked at, whatever the first ones say.
    let below = children.into_iter().fold(false, |below, child| note_apart(child, apart) | below);
    let is_apart = below || !twice(plan).is_empty() || (0..places).any(|child| passes_by_name(plan, child));
    if is_apart {
        apart.insert(place_of(plan));
    }
    is_apart
}

/// A node on the way from the root of a plan to a scan. What it does to filters is only looked at if one comes this way.
pub(super) struct Step<'p> {
    plan: &'p Arc<dyn ExecutionPlan>,
    /// Which of its children is on the way.
    child: usize,
    named: OnceCell<Named>,
}

/// What a node makes of the names of columns.
struct Named {
    /// The filters that it makes, by their ids.
    makes: HashSet<u64>,
    /// The names that several of its columns have.
    twice: BTreeSet<String>,
    /// Whether columns have other names above it than below.
    renames: bool,
    /// Whether it may hand a filter to a column that only has the name of the one that is meant.
    by_name: bool,
}

impl<'p> Step<'p> {
    pub(super) fn new(plan: &'p Arc<dyn ExecutionPlan>, child: usize) -> Self {
        Self { plan, child, named: OnceCell::new() }
    }

    fn named(&self) -> &Named {
        self.named.get_or_init(|| Named {
            makes: self
                .plan
                .dynamic_expressions_produced()
                .iter()
                .filter_map(|made| made.expression_id())
                .collect(),
            twice: twice(self.plan),
            renames: renames(self.plan),
            by_name: passes_by_name(self.plan, self.child),
        })
    }
}

/// Whether a filter comes down this way to the columns that it is of.
pub(super) fn is_certain(
    way: &[Step<'_>],
    scan: &Arc<dyn ExecutionPlan>,
    filter: &Arc<dyn PhysicalExpr>,
) -> bool {
    let ids = ids(filter);
    let start = ids.iter().map(|id| way.iter().rposition(|step| step.named().makes.contains(id)));
    let Some(start) = start.collect::<Option<Vec<_>>>().and_then(|starts| starts.into_iter().min()) else {
        return false;
    };
    let below: Vec<&Named> = way[start + 1..].iter().map(Step::named).collect();
    let twice: BTreeSet<&str> = below.iter().flat_map(|step| &step.twice).map(String::as_str).collect();
    let renamed = renames(scan) || below.iter().any(|step| step.renames);
    let names = collect_columns(filter);
    let is_meant = match renamed {
        // A name that is there twice may be another name of the column.
        true => twice.is_empty(),
        false => names.iter().all(|column| !twice.contains(column.name())),
    };
    is_meant && below.iter().all(|step| !step.by_name)
}

/// Whether a filter is of what a join takes for equal, and that has floating-point numbers. Both zeros are one number to the join, and two to its filter,
/// which finds numbers by their bits. What other nodes make compares as they do.
pub(super) fn joins_floats(way: &[Step<'_>], schema: &Schema, filter: &Arc<dyn PhysicalExpr>) -> bool {
    let ids = ids(filter);
    let joins = way.iter().filter(|step| step.plan.is::<HashJoinExec>());
    let mut made = joins.flat_map(|step| &step.named().makes);
    made.any(|id| ids.contains(id)) && has_floats(filter, schema)
}

/// Whether floating-point numbers are among what a filter is of. What cannot be told may be.
fn has_floats(filter: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let mut found = false;
    // Nothing in it fails.
    let _ = filter.apply(|part| {
        found |= part.data_type(schema).map_or(true, |ty| is_floating(&ty));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

/// Whether values of a type are, or have in them, floating-point numbers.
fn is_floating(ty: &DataType) -> bool {
    match ty {
        DataType::Struct(fields) => fields.iter().any(|field| is_floating(field.data_type())),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => is_floating(field.data_type()),
        DataType::Dictionary(_, values) => is_floating(values),
        ty => ty.is_floating(),
    }
}

/// The filters within an expression that are filled in as the query runs.
fn ids(filter: &Arc<dyn PhysicalExpr>) -> Vec<u64> {
    let mut ids = Vec::new();
    // Nothing in it fails.
    let _ = filter.apply(|part| {
        ids.extend(part.expression_id());
        Ok(TreeNodeRecursion::Continue)
    });
    ids
}

/// The names that several columns of a node have.
fn twice(plan: &Arc<dyn ExecutionPlan>) -> BTreeSet<String> {
    let schema = plan.schema();
    let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned()).collect()
}

fn renames(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let keeps = |expr: &Arc<dyn PhysicalExpr>, name: &str| {
        expr.downcast_ref::<Column>().is_some_and(|column| column.name() == name)
    };
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return !projection.expr().iter().all(|part| keeps(&part.expr, &part.alias));
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return !aggregate.group_expr().expr().iter().all(|(expr, name)| keeps(expr, name));
    }
    let Some((config, _)) = offered(plan) else { return false };
    let projection = config.file_source().projection();
    projection
        .is_some_and(|projection| !projection.as_ref().iter().all(|part| keeps(&part.expr, &part.alias)))
}

/// Whether a node hands filters to this child by names that need not be the names of the columns that are meant.
fn passes_by_name(plan: &Arc<dyn ExecutionPlan>, child: usize) -> bool {
    let names = |plan: &Arc<dyn ExecutionPlan>| -> Vec<String> {
        plan.schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let (other, place) = match join.join_type() {
            JoinType::LeftSemi => (join.right(), 1),
            JoinType::RightSemi => (join.left(), 0),
            _ => return false,
        };
        let above = names(plan);
        return child == place && names(other).iter().any(|name| above.contains(name));
    }
    match plan.downcast_ref::<UnionExec>() {
        Some(union) => names(plan) != names(&union.inputs()[child]),
        None => false,
    }
}

/// The scan of a node, if it is one of a lake.
pub(super) fn offered(plan: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &LakeSource)> {
    let config = plan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()?;
    Some((config, config.file_source().downcast_ref::<LakeSource>()?))
}
