//! Constants of statements: defaults of columns, and times of versions.
//!
//! Invariant: a constant is of what its text says alone: no column, no query, and for a default nothing that changes from one
//! moment to the next. What does not belong here: what the values are for.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, ExprSchemable, Volatility, cast};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, ExprWithAlias, Value as SqlValue};
use strandline::columns::{arrow_type, value_at};
use strandline::format::{PrimitiveType, Timestamp, Type, Value};
use strandline::{Error, ErrorKind, Result};

use crate::sql::{exact, refusal};
use crate::{compared, write};

/// A constant as a value of a column; null is none.
///
/// # Errors
/// `InvalidInput` if it is no constant, if it does not fit the column exactly, or if the column is nested.
pub(crate) async fn value(ctx: &SessionContext, expr: SqlExpr, ty: &Type) -> Result<Option<Value>> {
    let said = expr.to_string();
    let refuse = |why: &str| Error::new(ErrorKind::InvalidInput, format!("the default {said} {why}"));
    let Type::Primitive(primitive) = ty else {
        return Err(refuse(&format!("cannot be: a {} has none, only single values have", ty.describe())));
    };
    if let (PrimitiveType::Uuid, Some(text)) = (primitive, text(&expr)) {
        return compared::parse(text).map(|uuid| Some(Value::Uuid(uuid))).ok_or_else(|| refuse("is no UUID"));
    }
    let constant = planned(ctx, expr)?;
    if changes(&constant)? {
        return Err(refuse("is not a constant: it would be another one for each row, or each day"));
    }
    let from = constant.get_type(&DFSchema::empty()).map_err(|error| refusal(&error))?;
    let to = arrow_type(ty);
    // Whether a number fits is seen by its value.
    if !(from.is_numeric() && to.is_numeric())
        && let Some(why) = write::refusal(&from, &to)
    {
        return Err(refuse(&format!("is {from}, and the column {to}: {why}")));
    }
    let there = cast(constant.clone(), to.clone());
    let found = evaluated(ctx, there.clone()).await?;
    if from.is_numeric() && to.is_numeric() {
        // A cast rounds, and a default is what it says.
        let same = cast(there, from).eq(constant);
        let same = evaluated(ctx, same).await?;
        if !found.is_null(0) && !same.as_boolean().value(0) {
            return Err(refuse(&format!("is no {primitive}: it does not fit exactly")));
        }
    }
    value_at(&found, 0, *primitive)
}

fn text(expr: &SqlExpr) -> Option<&str> {
    match expr {
        SqlExpr::Value(value) => match &value.value {
            SqlValue::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// A constant as an instant: texts as SQL reads them, in UTC unless they say a zone.
///
/// # Errors
/// `InvalidInput` if it is no constant, or no time.
pub(crate) async fn instant(ctx: &SessionContext, expr: SqlExpr) -> Result<Timestamp> {
    let said = expr.to_string();
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let constant = planned(ctx, expr)?;
    let from = constant.get_type(&DFSchema::empty()).map_err(|error| refusal(&error))?;
    if from.is_numeric() || from == DataType::Boolean {
        let message = format!("{said} is a number, and no time: write a text or TIMESTAMP '…'");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let found = evaluated(ctx, cast(constant, utc)).await?;
    if found.is_null(0) {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{said} is null, and no time")));
    }
    Ok(Timestamp::from_micros(found.as_primitive::<TimestampMicrosecondType>().value(0))?)
}

/// Whether a constant is another one each time it is asked for.
///
/// # Errors
/// `InvalidInput` if it is no constant.
pub(crate) fn is_moving(ctx: &SessionContext, expr: SqlExpr) -> Result<bool> {
    changes(&planned(ctx, expr)?)
}

fn planned(ctx: &SessionContext, mut expr: SqlExpr) -> Result<Expr> {
    exact::exact(&mut expr)?;
    let expr = ExprWithAlias { expr, alias: None };
    ctx.state().create_logical_expr_from_sql_expr(expr, &DFSchema::empty()).map_err(|error| refusal(&error))
}

/// Whether an expression may give another value another time.
fn changes(expr: &Expr) -> Result<bool> {
    let changes = |expr: &Expr| match expr {
        Expr::ScalarFunction(function) => function.func.signature().volatility != Volatility::Immutable,
        _ => false,
    };
    expr.exists(|expr| Ok(changes(expr))).map_err(|error| refusal(&error))
}

/// The one value of an expression.
async fn evaluated(ctx: &SessionContext, expr: Expr) -> Result<ArrayRef> {
    let rows = async {
        let one = datafusion::logical_expr::LogicalPlanBuilder::empty(true)
            .project([expr.alias("value")])?
            .build()?;
        ctx.execute_logical_plan(one).await?.collect().await
    };
    let batches = rows.await.map_err(|error| refusal(&error))?;
    let found =
        batches.iter().find(|batch| batch.num_rows() == 1).map(|batch| ArrayRef::clone(batch.column(0)));
    found.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a constant is one value"))
}
