//! Statements, carried out.
//!
//! Invariants: a statement outside of a transaction is one commit or none, one within a transaction acts on it; what is read and
//! what is written stand at the same branch; nothing is written where a session stands at a version. When a statement that
//! changes something is answered, it has happened. What does not belong here: reading texts (`parse`).

mod alter;
mod bring;
mod create;
mod names;
mod plain;
mod prepared;
mod refs;
mod show;
mod transactions;
mod views;

use std::sync::Arc;

use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlanBuilder;
use strandline::{ErrorKind, Lake, Transaction};

use crate::catalog::{At, Beside, LakeCatalog};
use crate::error::external;
use crate::heads::Heads;
use crate::sql::statement::Statement;
use crate::write::Undo;
use prepared::PreparedStatements;

/// Where a session stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// A branch, or one version.
    pub(crate) place: At,
    /// The transaction that is open.
    pub(crate) transaction: Option<Transaction>,
    /// What it was before a statement of several acts that has not ended.
    pub(crate) undo: Undo,
    pub(crate) prepared: PreparedStatements,
}

impl Standing {
    /// At a place, before the first statement.
    pub(crate) fn new(place: At) -> Self {
        Self { place, transaction: None, undo: Undo::default(), prepared: PreparedStatements::default() }
    }

    /// What is read from here.
    pub(crate) fn at(&self) -> At {
        match &self.transaction {
            Some(transaction) => At::Transaction(transaction.clone()),
            None => self.place.clone(),
        }
    }
}

/// A session in the middle of a statement.
pub(crate) struct Run<'s> {
    pub(crate) ctx: &'s SessionContext,
    pub(crate) lake: &'s Lake,
    /// What the lake is called in the session.
    pub(crate) catalog: &'s str,
    pub(crate) standing: &'s mut Standing,
    /// The heads at which the statement reads.
    pub(crate) heads: Heads,
}

impl Run<'_> {
    /// Carries a statement out.
    ///
    /// # Errors
    /// Those of the SDK by kind, as [`lake_error`](crate::lake_error) finds them, and DataFusion's.
    pub(crate) async fn run(&mut self, statement: Statement) -> Result<DataFrame> {
        // The statement before this one may have been cut off half-way.
        if let Some(transaction) = &self.standing.transaction {
            self.standing.undo.take_back(transaction).await.map_err(external)?;
        }
        match statement {
            Statement::Plain(statement) => return Box::pin(self.plain_or_prepared(*statement)).await,
            Statement::CopyFrom(copy) => return Box::pin(self.copy_from(*copy)).await,
            Statement::Show(show) => return Box::pin(self.show(show)).await,
            Statement::Describe(name) => return Box::pin(self.describe(name)).await,
            Statement::Bring(bring) => return Box::pin(self.bring(*bring)).await,
            other => Box::pin(self.act(other)).await.map_err(external)?,
        }
        self.nothing()
    }

    /// What has no rows to give.
    async fn act(&mut self, statement: Statement) -> strandline::Result<()> {
        match statement {
            Statement::Begin(isolation) => self.begin(isolation).await,
            Statement::Commit { message } => self.commit(message).await,
            Statement::Rollback => self.rollback().await,
            Statement::CreateSchema { name, if_absent } => self.create_schema(&name, if_absent).await,
            Statement::CreateTable(table) => self.create_table(*table).await,
            Statement::CreateView(view) => self.create_view(*view).await,
            Statement::Drop { kind, names, if_exists } => self.drop(kind, &names, if_exists).await,
            Statement::AlterTable { name, if_exists, acts } => self.alter(&name, if_exists, acts).await,
            Statement::Compact { name, all } => self.compact(&name, all).await,
            Statement::CommentOnColumn { name, comment } => self.comment_on_column(&name, comment).await,
            Statement::Rename { kind, name, to, if_exists } => self.rename(kind, &name, &to, if_exists).await,
            Statement::CreateBranch { name, from, if_absent } => {
                self.create_branch(name, from, if_absent).await
            }
            Statement::RenameBranch { name, to } => self.rename_branch(name, to).await,
            Statement::FastForward { branch, to } => self.fast_forward(branch, to).await,
            Statement::CreateTag(tag) => self.create_tag(tag).await,
            Statement::DropRef { kind, name, if_exists } => self.drop_ref(kind, name, if_exists).await,
            Statement::Use(used) => self.use_something(used).await,
            // These give rows, and are answered elsewhere.
            Statement::Plain(_)
            | Statement::CopyFrom(_)
            | Statement::Show(_)
            | Statement::Describe(_)
            | Statement::Bring(_) => Ok(()),
        }
    }

    /// A result without rows or columns.
    fn nothing(&self) -> Result<DataFrame> {
        Ok(DataFrame::new(self.ctx.state(), LogicalPlanBuilder::empty(false).build()?))
    }

    /// The lake as this statement sees it from here.
    fn seen(&self) -> Arc<LakeCatalog> {
        Arc::new(self.shown().of_statement(self.heads.clone()))
    }

    /// The lake as it is seen from here.
    fn shown(&self) -> Arc<LakeCatalog> {
        LakeCatalog::new(self.lake.clone(), self.standing.at()).planned_by(self.ctx)
    }

    /// The session in which the lake is as this statement sees it.
    fn state(&self) -> SessionState {
        let mut state = self.ctx.state();
        let catalogs = Arc::clone(state.catalog_list());
        let seen = Beside { catalogs, name: self.catalog.to_owned(), catalog: self.seen() };
        state.register_catalog_list(Arc::new(seen));
        state
    }

    /// Stands somewhere else, and shows the lake from there.
    fn stand(&mut self, place: At) {
        self.standing.place = place;
        self.show_lake();
    }

    /// Shows the lake in the session as it is seen from here.
    fn show_lake(&self) {
        self.ctx.register_catalog(self.catalog, self.shown());
    }
}

/// An error of what was asked for.
fn invalid(message: impl Into<String>) -> strandline::Error {
    strandline::Error::new(ErrorKind::InvalidInput, message)
}
