//! Views: made, with texts that mean the same in every session.
//!
//! Invariant: the text of a view names tables of the lake and no others, in full where their schema is not the usual one, and
//! versions by references. What does not belong here: planning views where they are asked (`sql::view`).

use std::ops::ControlFlow;

use datafusion::dataframe::DataFrame;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, Statement as SqlStatement, VisitMut, VisitorMut,
};
use strandline::{Error, Result, Transaction};

use super::create::stands;
use super::{Run, invalid};
use crate::catalog::PUBLIC;
use crate::error::lake_error;
use crate::sql::statement::{CreateView, Kind};
use crate::sql::{refusal, travel, view, written};

impl Run<'_> {
    pub(super) async fn create_view(&self, view: CreateView) -> Result<()> {
        let name = self.own_name(&view.name)?;
        let acting = self.acting(format!("CREATE VIEW {name}")).await?;
        let outcome = Box::pin(self.make_view(acting.transaction(), &name, view)).await;
        acting.end(outcome, std::convert::identity).await
    }

    async fn make_view(&self, transaction: &Transaction, name: &str, view: CreateView) -> Result<()> {
        let standing = stands(transaction, Kind::View, name).await?;
        if standing && view.if_absent {
            return Ok(());
        }
        let text = self.text_of(&view).await?;
        // It is planned as a view of its name, which must not stand in itself.
        let within = view::within(&self.seen(), name).map_err(|error| refusal(&error))?;
        let plan = match Box::pin(view::plan(within, &text)).await {
            Ok(plan) => plan,
            Err(error) if lake_error(&error).is_some() => return Err(refusal(&error)),
            // Asked as a query, it may say which names are near.
            Err(error) => {
                let asked = Box::pin(self.planned(Query::clone(&view.query))).await;
                return Err(asked.err().unwrap_or_else(|| refusal(&error)));
            }
        };
        if standing && view.or_replace {
            transaction.drop_table(name).await?;
        }
        transaction.create_view(name, &text, view::DIALECT, plan.schema().as_arrow()).await
    }

    /// The text of a view, in which the lake is called what it is called in all views.
    async fn text_of(&self, view: &CreateView) -> Result<String> {
        let mut query = Query::clone(&view.query);
        travel::refuse_moving(self.ctx, &mut query)?;
        Box::pin(travel::replace_in(self.ctx, &self.standing.at(), &mut query)).await?;
        let state = self.ctx.state();
        let mut settled = Settle {
            catalog: self.catalog,
            schema: state.config_options().catalog.default_schema.as_str(),
            queries: Vec::new(),
        };
        if let ControlFlow::Break(error) = VisitMut::visit(&mut query, &mut settled) {
            return Err(error);
        }
        if view.columns.is_empty() {
            return Ok(query.to_string());
        }
        let quoted: Vec<String> =
            view.columns.iter().map(|name| Ident::with_quote('"', name).to_string()).collect();
        Ok(format!("SELECT * FROM ({query}) AS columns_of_view ({})", quoted.join(", ")))
    }

    /// A query as a frame that nothing has read from yet.
    pub(super) async fn planned(&self, mut query: Query) -> Result<DataFrame> {
        written::write_out_in(&mut query)?;
        Box::pin(travel::replace_in(self.ctx, &self.standing.at(), &mut query)).await?;
        let statement = DfStatement::Statement(Box::new(SqlStatement::Query(Box::new(query))));
        let plan = Box::pin(self.plan(statement)).await.map_err(|error| match lake_error(&error) {
            Some(_) => refusal(&error),
            None => refusal(&error).at("the query"),
        })?;
        Ok(DataFrame::new(self.ctx.state(), plan))
    }
}

fn folded(ident: &Ident) -> String {
    crate::sql::folded(ident, true)
}

/// Gives the tables of a view's query names that mean the same in every session.
struct Settle<'s> {
    catalog: &'s str,
    schema: &'s str,
    /// The queries that this is within, the outermost first.
    queries: Vec<Within>,
}

/// The names that a query gives to queries of its own.
struct Within {
    /// Those that hold from here on.
    known: Vec<String>,
    /// Those of queries that are not over, by where they stand: a query does not see its own name, nor those behind it.
    coming: Vec<(*const Query, String)>,
}

impl Within {
    fn of(query: &Query) -> Self {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        let named = ctes.map(|cte| (std::ptr::from_ref(cte.query.as_ref()), folded(&cte.alias.name)));
        let (mut known, mut coming) = (Vec::new(), named.collect::<Vec<_>>());
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            known.extend(coming.drain(..).map(|(_, name)| name));
        }
        Self { known, coming }
    }
}

impl Settle<'_> {
    fn is_cte(&self, table: &str) -> bool {
        self.queries.iter().any(|within| within.known.iter().any(|name| name == table))
    }
}

impl VisitorMut for Settle<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.queries.push(Within::of(query));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.queries.pop();
        if let Some(within) = self.queries.last_mut() {
            let over = within.coming.iter().position(|(place, _)| std::ptr::eq(*place, query));
            within.known.extend(over.map(|over| within.coming.remove(over).1));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<Error> {
        let parts: Option<Vec<&Ident>> = name.0.iter().map(ObjectNamePart::as_ident).collect();
        match parts.as_deref() {
            Some([catalog, _, _]) if folded(catalog) == self.catalog => drop(name.0.remove(0)),
            Some([_, _, _]) => {
                let message = format!("{name} is not in the lake: a view reads only what is");
                return ControlFlow::Break(invalid(message));
            }
            Some([table]) if self.schema != PUBLIC && !self.is_cte(&folded(table)) => {
                name.0.insert(0, ObjectNamePart::Identifier(Ident::with_quote('"', self.schema)));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
