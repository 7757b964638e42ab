//! A table of a lake as DataFusion reads it.
//!
//! Invariants: a scan reads one state of the table, the one that its name was looked up at or, of a branch, that which all tables
//! of the query have in common (`pin`); the schema of the scan is the one that was planned with. What does not belong here: finding a table
//! by its name (`catalog`), and writing.

mod defaults;
pub(crate) mod layout;
pub(crate) mod predicate;
pub(crate) mod statistics;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use strandline::format::Suffix;
use strandline::{Lake, Ref, Table, Transaction};

pub use layout::Extra;

use crate::catalog::At;
use crate::error::external;
use crate::heads::{self, Head};
use crate::pin::{self, Moment, Used};
use crate::scan::{self, Origin, Wanted};
use layout::Layout;

/// A table of a lake, ready to be scanned. Cloning is cheap.
///
/// Its columns are the table's; [`LakeTable::with_extras`] adds those of where a row stands.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use datafusion::prelude::SessionContext;
/// use std::sync::Arc;
/// use strandline_datafusion::{Extra, LakeTable};
///
/// let main = lake.main().await?;
/// let table = LakeTable::pinned(main.clone(), main.table("orders").await?)?.with_extras(&[Extra::RowId])?;
/// let ctx = SessionContext::new();
/// strandline_datafusion::prepare(&ctx)?;
/// ctx.register_table("orders", Arc::new(table))?;
/// assert_eq!(ctx.sql("SELECT _row_id FROM orders WHERE id = 3").await?.count().await?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LakeTable {
    table: Table,
    state: State,
    layout: Layout,
    defaults: Arc<BTreeMap<String, Expr>>,
}

/// Which state it is of.
#[derive(Clone, Debug)]
enum State {
    /// That of a branch, when the query that it is part of is run; its name was looked up at `seen`.
    Floating {
        seen: Ref,
        moment: Moment,
        used: Used,
        /// Whether the branch was asked for by its name, and is only read.
        named: bool,
    },
    /// A version that is so many steps behind the head of a branch, when the query is run; it was `at` where the head was `seen`.
    Behind {
        seen: Ref,
        at: Ref,
        steps: Arc<[Suffix]>,
        moment: Moment,
        used: Used,
    },
    Pinned(Ref),
    Within(Transaction),
}

impl LakeTable {
    /// A table of a branch, whose head was just looked up; one that was named is only read.
    ///
    /// # Errors
    /// None at present: those of a layout.
    pub(crate) fn floating(head: Ref, table: Table, used: Used, named: bool) -> Result<Self> {
        let moment = Moment::new(head.clone());
        Self::new(State::Floating { seen: head, moment, used, named }, table)
    }

    /// A table of a version that was found by steps from a head.
    ///
    /// # Errors
    /// None at present: those of a layout.
    pub(crate) fn behind(head: &Head, at: Ref, table: Table, used: Used) -> Result<Self> {
        let (seen, steps) = (head.seen.clone(), Arc::clone(&head.steps));
        let moment = Moment::new(seen.clone());
        Self::new(State::Behind { seen, at, steps, moment, used }, table)
    }

    /// A table of one version.
    ///
    /// # Errors
    /// None at present: those of a layout.
    pub fn pinned(at: Ref, table: Table) -> Result<Self> {
        Self::new(State::Pinned(at), table)
    }

    /// A table as a transaction sees it.
    ///
    /// # Errors
    /// None at present: those of a layout.
    pub fn within(transaction: Transaction, table: Table) -> Result<Self> {
        Self::new(State::Within(transaction), table)
    }

    fn new(state: State, table: Table) -> Result<Self> {
        let layout = Layout::new(&table.arrow_schema(), &[])?;
        let defaults = Arc::new(defaults::defaults(&table));
        Ok(Self { table, state, layout, defaults })
    }

    /// The same with more columns behind the table's, of where each row stands.
    ///
    /// # Errors
    /// `Unsupported` if the table has a column of that name itself.
    pub fn with_extras(&self, extras: &[Extra]) -> Result<Self> {
        let layout = Layout::new(&self.table.arrow_schema(), extras)?;
        Ok(Self { layout, ..self.clone() })
    }

    /// The same with what it takes to change rows: `_file`, `_row` and `_row_id` as the last columns, unsigned and never null.
    ///
    /// # Errors
    /// `Unsupported` if the table has a column of that name itself.
    pub fn with_positions(&self) -> Result<Self> {
        self.with_extras(&[Extra::File, Extra::Row, Extra::RowId])
    }

    /// The same for a session that keeps it: each query looks for the head of its branch anew.
    pub(crate) fn kept(self) -> Self {
        if let State::Floating { used, .. } | State::Behind { used, .. } = &self.state {
            used.once_more();
        }
        self
    }

    /// The lake that it is of.
    #[must_use]
    pub fn lake(&self) -> &Lake {
        match &self.state {
            State::Floating { seen, .. } => seen.lake(),
            State::Behind { at, .. } | State::Pinned(at) => at.lake(),
            State::Within(transaction) => transaction.lake(),
        }
    }

    /// The state that it follows.
    #[must_use]
    pub fn at(&self) -> At {
        match &self.state {
            State::Floating { seen, named: true, .. } => At::Ref(seen.clone()),
            State::Floating { seen, .. } => At::Branch(seen.branch().clone()),
            State::Behind { at, .. } | State::Pinned(at) => At::Ref(at.clone()),
            State::Within(transaction) => At::Transaction(transaction.clone()),
        }
    }

    /// The table, as it was when its name was looked up.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The moment at which it is read, if it follows a branch, or stands so many steps behind one.
    pub(crate) fn moment(&self) -> Option<(&Moment, &Used)> {
        match &self.state {
            State::Floating { moment, used, .. } | State::Behind { moment, used, .. } => Some((moment, used)),
            State::Pinned(_) | State::Within(_) => None,
        }
    }

    /// The same, read at another moment.
    pub(crate) fn at_moment(&self, moment: Moment) -> Self {
        let state = match &self.state {
            State::Floating { seen, used, named, .. } => {
                State::Floating { seen: seen.clone(), moment, used: used.clone(), named: *named }
            }
            State::Behind { seen, at, steps, used, .. } => {
                let (seen, at, steps, used) = (seen.clone(), at.clone(), Arc::clone(steps), used.clone());
                State::Behind { seen, at, steps, moment, used }
            }
            state => state.clone(),
        };
        Self { state, ..self.clone() }
    }

    /// The table at the moment of the query, and what that moment is called. No request, unless the head has moved since the name
    /// was looked up: then at most two, none if the table is in the head's pack; behind a head those of finding the version come to it.
    async fn present(&self) -> Result<(Table, Origin)> {
        let (at, table) = match &self.state {
            State::Pinned(at) => (at.clone(), self.table.clone()),
            State::Within(transaction) => {
                let label = format!("transaction {} on {}", transaction.id(), transaction.branch().as_str());
                return Ok((self.table.clone(), self.origin(label)));
            }
            State::Floating { seen, moment, .. } => {
                let head = moment.head().await.map_err(external)?;
                let same = head.commit().hash() == seen.commit().hash();
                let table = if same { self.table.clone() } else { self.at_head(&head).await? };
                (head, table)
            }
            State::Behind { seen, at, steps, moment, .. } => {
                let head = moment.head().await.map_err(external)?;
                if head.commit().hash() == seen.commit().hash() {
                    (at.clone(), self.table.clone())
                } else {
                    let at = heads::behind(&head, steps).await.map_err(external)?;
                    let table = self.at_head(&at).await?;
                    (at, table)
                }
            }
        };
        let name = at.tag().unwrap_or(at.branch()).as_str();
        let hash = at.commit().hash().to_string();
        let label = format!("{name} v{} {}", at.version(), hash.get(..12).unwrap_or(&hash));
        Ok((table, self.origin(label)))
    }

    fn origin(&self, label: String) -> Origin {
        Origin { lake: self.lake().clone(), table: self.table.name().to_owned(), label }
    }

    async fn at_head(&self, head: &Ref) -> Result<Table> {
        let table = pin::again(head, &self.table).await.map_err(external)?;
        let is_same = table.arrow_schema() == self.table.arrow_schema();
        if is_same { Ok(table) } else { Err(external(pin::altered(&self.table))) }
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.layout.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.defaults.get(column)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (table, origin) = self.present().await?;
        let wanted = Wanted { projection: projection.map(Vec::as_slice), filters, limit };
        scan::plan(session, &table, origin, &self.layout, wanted).await
    }
}
