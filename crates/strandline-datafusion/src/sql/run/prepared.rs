//! Prepared statements: kept as they were written, and run with values in the place of `$1`, `$2` and so on.
//!
//! Invariant: EXECUTE is the statement with its values, run where the session stands by then. DataFusion keeps a plan instead, which reads and writes
//! what its names led to when it was prepared. What does not belong here: running statements (`plain`).

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, GroupByExpr, Ident, ObjectName, ObjectNamePart, OrderBy, OrderByKind, Query,
    Select, Statement as SqlStatement, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use strandline::{Error, ErrorKind};

use super::{Run, invalid};
use crate::error::{external, refused};
use crate::sql::{folded, parse, written};

/// The prepared statements of a session, by their names.
pub(crate) type PreparedStatements = HashMap<String, Prepared>;

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    statement: SqlStatement,
    /// The types of the first parameters, if they were said.
    types: Vec<DataType>,
    parameters: usize,
}

impl Run<'_> {
    /// A statement of DataFusion's, or what a prepared one stands for.
    pub(super) async fn plain_or_prepared(&mut self, statement: DfStatement) -> Result<DataFrame> {
        match statement {
            DfStatement::Statement(statement) => match *statement {
                SqlStatement::Prepare { name, data_types, statement } => {
                    Box::pin(self.prepare(&name, data_types, *statement)).await?;
                    self.nothing()
                }
                SqlStatement::Deallocate { name, .. } => {
                    self.deallocate(&name)?;
                    self.nothing()
                }
                statement => {
                    let statement = self.with_values(statement)?;
                    Box::pin(self.plain(DfStatement::Statement(Box::new(statement)))).await
                }
            },
            DfStatement::Explain(mut explain) => {
                if let DfStatement::Statement(statement) = explain.statement.as_mut() {
                    **statement = self.with_values(SqlStatement::clone(statement))?;
                }
                Box::pin(self.plain(DfStatement::Explain(explain))).await
            }
            other => Box::pin(self.plain(other)).await,
        }
    }

    /// Keeps a statement, once it is known that it can be planned.
    async fn prepare(&mut self, name: &Ident, types: Vec<DataType>, statement: SqlStatement) -> Result<()> {
        let name = self.folded(name);
        if self.standing.prepared.contains_key(&name) {
            let message = format!("there is a prepared statement {name:?}: DEALLOCATE it before");
            return Err(refused(ErrorKind::AlreadyExists, message));
        }
        let is_run = matches!(
            statement,
            SqlStatement::Query(_)
                | SqlStatement::Insert(_)
                | SqlStatement::Update(_)
                | SqlStatement::Delete(_)
                | SqlStatement::Merge(_)
        );
        if !is_run {
            let message = "PREPARE takes a query, INSERT, UPDATE, DELETE or MERGE";
            return Err(refused(ErrorKind::Unsupported, message));
        }
        let parameters = parameters(&statement).map_err(external)?.max(types.len());
        Box::pin(self.planned_once(DfStatement::Statement(Box::new(statement.clone())))).await?;
        self.standing.prepared.insert(name, Prepared { statement, types, parameters });
        Ok(())
    }

    fn deallocate(&mut self, name: &Ident) -> Result<()> {
        if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("ALL") {
            self.standing.prepared.clear();
            return Ok(());
        }
        let name = self.folded(name);
        self.standing.prepared.remove(&name).map(drop).ok_or_else(|| missing(&name))
    }

    /// The statement that an EXECUTE stands for; any other as it is.
    fn with_values(&self, statement: SqlStatement) -> Result<SqlStatement> {
        let SqlStatement::Execute {
            name,
            parameters,
            has_parentheses: _,
            immediate: false,
            into,
            using,
            output: false,
            default: false,
        } = &statement
        else {
            return Ok(statement);
        };
        let named = name.as_ref().map(|ObjectName(parts)| parts.as_slice());
        let (Some([ObjectNamePart::Identifier(name)]), true, true) =
            (named, into.is_empty(), using.is_empty())
        else {
            return Err(refused(ErrorKind::Unsupported, "EXECUTE is written EXECUTE name (value, …)"));
        };
        let name = self.folded(name);
        let prepared = self.standing.prepared.get(&name).ok_or_else(|| missing(&name))?;
        prepared.filled(&name, parameters).map_err(external)
    }

    fn folded(&self, name: &Ident) -> String {
        folded(name, self.ctx.state().config_options().sql_parser.enable_ident_normalization)
    }
}

fn missing(name: &str) -> datafusion::error::DataFusionError {
    refused(ErrorKind::NotFound, format!("there is no prepared statement {name:?} in this session"))
}

impl Prepared {
    /// The statement with values in the place of its parameters.
    fn filled(&self, name: &str, values: &[Expr]) -> strandline::Result<SqlStatement> {
        if values.len() != self.parameters {
            let message = format!("{name} takes {} values, and {} are given", self.parameters, values.len());
            return Err(invalid(message));
        }
        let types = self.types.iter().map(Some).chain(std::iter::repeat(None));
        let values = values.iter().zip(types).map(|(value, ty)| constant(value, ty));
        let mut fill = Fill(values.collect::<strandline::Result<Vec<_>>>()?);
        let mut statement = self.statement.clone();
        match VisitMut::visit(&mut statement, &mut fill) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => {
                // Two expressions may have become one.
                let mut statement = parse::bounded(statement)?;
                written::write_out_in(&mut statement)?;
                Ok(statement)
            }
        }
    }
}

/// The number of a parameter, if an expression is one.
fn parameter(expr: &Expr) -> Option<strandline::Result<usize>> {
    let Expr::Value(value) = expr else { return None };
    let Value::Placeholder(written) = &value.value else { return None };
    let number = written.strip_prefix('$').and_then(|digits| digits.parse().ok());
    Some(
        number
            .filter(|number| *number > 0)
            .ok_or_else(|| invalid(format!("{written} is no parameter: they are written $1, $2 and so on"))),
    )
}

/// How many parameters a statement has.
fn parameters(statement: &SqlStatement) -> strandline::Result<usize> {
    struct Count(usize);
    impl Visitor for Count {
        type Break = Error;
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
            match &select.group_by {
                GroupByExpr::Expressions(groups, _) => match groups.iter().find(|by| parameter(by).is_some())
                {
                    None => ControlFlow::Continue(()),
                    // A number would be the position of a column.
                    Some(by) => {
                        let message =
                            format!("GROUP BY {by}, a value by which all rows are alike, is not supported");
                        ControlFlow::Break(Error::new(ErrorKind::Unsupported, message))
                    }
                },
                GroupByExpr::All(_) => ControlFlow::Continue(()),
            }
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
            match parameter(expr).transpose() {
                Ok(number) => self.0 = self.0.max(number.unwrap_or_default()),
                Err(error) => return ControlFlow::Break(error),
            }
            ControlFlow::Continue(())
        }
    }
    let mut count = Count(0);
    match Visit::visit(statement, &mut count) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(count.0),
    }
}

/// A value of EXECUTE, which must not take on a meaning from where it is put.
fn constant(value: &Expr, ty: Option<&DataType>) -> strandline::Result<Expr> {
    struct Constant;
    impl Visitor for Constant {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let reads = matches!(
                expr,
                Expr::Identifier(_)
                    | Expr::CompoundIdentifier(_)
                    | Expr::Subquery(_)
                    | Expr::Exists { .. }
                    | Expr::InSubquery { .. }
            );
            if reads || parameter(expr).is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    if Visit::visit(value, &mut Constant).is_break() {
        return Err(invalid(format!("{value} is no constant, which the values of EXECUTE are")));
    }
    let value = match value {
        Expr::Value(_) => value.clone(),
        other => Expr::Nested(Box::new(other.clone())),
    };
    Ok(match ty {
        None => value,
        Some(ty) => Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(value),
            data_type: ty.clone(),
            array: false,
            format: None,
        },
    })
}

/// Puts values in the place of parameters.
struct Fill(Vec<Expr>);

impl VisitorMut for Fill {
    type Break = Error;

    /// A number by itself is the position of a column there.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        if let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &mut query.order_by {
            order.iter_mut().for_each(|order| set_apart(&mut order.expr));
        }
        ControlFlow::Continue(())
    }

    // Afterwards, so that nothing within a value is looked at.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match parameter(expr).transpose() {
            Ok(None) => {}
            Ok(Some(number)) => match self.0.get(number - 1) {
                Some(value) => *expr = value.clone(),
                None => return ControlFlow::Break(invalid(format!("there is no value for ${number}"))),
            },
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn set_apart(expr: &mut Expr) {
    if parameter(expr).is_some() {
        *expr = Expr::Nested(Box::new(expr.clone()));
    }
}
