//! Values of nested columns.
//!
//! DataFusion gives the rows of an INSERT the target's types, with the ids that a lake's fields have as metadata, and makes arrays
//! of them that lack the metadata within lists: the two do not fit, and the statement fails. So the types of such rows are freed
//! of it before they are planned. A member that may not be null is for the table to hold values against: the planner has no cast to it.
//! Invariant: values are what they were; the ids are the table's to give, not those of rows. What does
//! not belong here: queries, whose arrays have the types that they say.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::{Projection, Values};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The same rows, with types that `VALUES` can make.
pub(super) fn without_ids(input: &LogicalPlan) -> Result<LogicalPlan> {
    let freed = input.clone().transform_up(|plan| match plan {
        LogicalPlan::Values(values) if values.schema.fields().iter().any(|field| is_nested(field)) => {
            Ok(Transformed::yes(LogicalPlan::Values(freed(values)?)))
        }
        plan => Ok(Transformed::no(plan)),
    })?;
    // The casts that the planner puts around what is selected.
    let freed = freed.transform_data(|plan| match plan {
        LogicalPlan::Projection(given) if given.schema.fields().iter().any(|field| is_nested(field)) => {
            let exprs = given.expr.into_iter().map(freed_value).collect::<Result<Vec<_>>>()?;
            Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(exprs, given.input)?)))
        }
        plan => Ok(Transformed::no(plan)),
    })?;
    if !freed.transformed {
        return Ok(freed.data);
    }
    freed.data.transform_up(|plan| plan.recompute_schema().map(Transformed::yes)).data()
}

fn freed(values: Values) -> Result<Values> {
    let fields = values.schema.iter().map(|(table, field)| (table.cloned(), plain(field))).collect();
    let schema = DFSchema::new_with_metadata(fields, values.schema.metadata().clone())?;
    let rows = values.values.into_iter().map(|row| row.into_iter().map(freed_value).collect());
    Ok(Values { schema: Arc::new(schema), values: rows.collect::<Result<_>>()? })
}

/// A value whose casts say of nested types nothing but what they are made of.
pub(super) fn freed_value(value: Expr) -> Result<Expr> {
    value
        .transform_up(|value| match value {
            Expr::Cast(mut cast) => {
                cast.field = plain(&cast.field);
                Ok(Transformed::yes(Expr::Cast(cast)))
            }
            // A null that has its type already.
            Expr::Literal(value, metadata) if value.data_type().is_nested() => {
                let ty = plain_type(&value.data_type()).unwrap_or_else(|| value.data_type());
                Ok(Transformed::yes(Expr::Literal(value.cast_to(&ty)?, metadata)))
            }
            value => Ok(Transformed::no(value)),
        })
        .data()
}

fn is_nested(field: &Field) -> bool {
    field.data_type().is_nested()
}

/// A field without metadata within it.
fn plain(field: &FieldRef) -> FieldRef {
    match plain_type(field.data_type()) {
        Some(ty) => Arc::new(Field::clone(field).with_data_type(ty)),
        None => Arc::clone(field),
    }
}

/// A nested type without metadata within it; none of another type.
fn plain_type(ty: &DataType) -> Option<DataType> {
    let bare = |field: &FieldRef| Field::clone(&plain(field)).with_metadata(HashMap::new());
    let nullable = |field: &FieldRef| Arc::new(bare(field).with_nullable(true));
    Some(match ty {
        DataType::List(element) => DataType::List(nullable(element)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(nullable).collect()),
        // The pairs of a map, and their keys, are never null.
        DataType::Map(pair, sorted) => DataType::Map(Arc::new(pairs(bare(pair))), *sorted),
        _ => return None,
    })
}

/// The field of a map's pairs, whose values may be null.
fn pairs(field: Field) -> Field {
    let DataType::Struct(members) = field.data_type() else { return field };
    let member = |(at, member): (usize, &FieldRef)| {
        let member = Field::clone(member);
        Arc::new(if at == 0 { member.with_nullable(false) } else { member })
    };
    let members = members.iter().enumerate().map(member).collect();
    field.with_data_type(DataType::Struct(members))
}
