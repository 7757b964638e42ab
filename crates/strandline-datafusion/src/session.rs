//! A session: statements one after the other, on a branch or a version of a lake, in a transaction or each in its own.
//!
//! Invariants: the statements of a session run one at a time, in their order; what changes something has happened when it is
//! answered; a transaction that is open when its session is dropped is given up. What does not belong here: what statements mean
//! (`sql`).

use std::future::Future;
use std::sync::Arc;

use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::execution::context::{SessionConfig, SessionContext};
use futures::FutureExt;
use strandline::{ErrorKind, Lake, Ref};
use tokio::sync::Mutex;

use crate::catalog::{At, PUBLIC};
use crate::error::{external, refused};
use crate::heads::Heads;
use crate::sql;
use crate::sql::run::{Run, Standing};

/// What a lake is called in a session, unless told otherwise.
pub const CATALOG: &str = "lake";

/// Statements on a lake, in their order. Cloning gives another handle to the same session.
///
/// The lake is the default catalog, and what stands in no namespace needs no schema. A query is answered by a frame that reads
/// when it is asked for rows, from the commit of its statement, however often that is and whatever is committed meanwhile. Everything else has happened when it is answered, and tells how many rows it changed in a column
/// `count`.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline_datafusion::Session;
///
/// let session = Session::new(&Lake::create("memory://session").await?)?;
/// session.sql("CREATE TABLE orders (id BIGINT NOT NULL, price DECIMAL(9,2)) CLUSTER BY (id)").await?;
/// session.sql("BEGIN; INSERT INTO orders VALUES (1, 9.99); INSERT INTO orders VALUES (2, 5); COMMIT").await?;
/// session.sql("INSERT INTO orders VALUES (3, 7)").await?;
/// assert_eq!(session.sql("SELECT * FROM orders").await?.count().await?, 3);
/// assert_eq!(session.sql("SELECT * FROM orders VERSION AS OF 2").await?.count().await?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    ctx: SessionContext,
    lake: Lake,
    catalog: String,
    standing: Mutex<Standing>,
    /// What the first statement need not ask for.
    seen: Mutex<Option<Ref>>,
}

impl Session {
    /// A session on the branch that the lake was opened at. No request.
    ///
    /// # Errors
    /// As [`register`](crate::register).
    pub fn new(lake: &Lake) -> Result<Self> {
        let config = SessionConfig::new().with_information_schema(true);
        Self::with_context(SessionContext::new_with_config(config), lake)
    }

    /// A session that stands where a version was found a moment ago: at the branch whose head it is, else at the version, which then is
    /// only read. Its first statement reads that version, and asks for no newer one. No request.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strandline::Lake;
    /// use strandline_datafusion::{LakeSql, Session};
    ///
    /// let writer = Lake::create("memory://session-of").await?;
    /// writer.sql("CREATE TABLE orders AS SELECT 1 AS id").await?;
    /// let lake = Lake::open("memory://session-of").await?;
    /// let (main, past) = (Session::of(&lake.opened())?, Session::of(&lake.at("main@{1}").await?)?);
    /// writer.sql("INSERT INTO orders VALUES (2)").await?;
    /// assert_eq!(main.sql("SELECT * FROM orders").await?.count().await?, 1);
    /// assert_eq!(main.sql("SELECT * FROM orders").await?.count().await?, 2);
    ///
    /// writer.sql("DELETE FROM orders").await?;
    /// assert_eq!(past.sql("SELECT * FROM orders").await?.count().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`register`](crate::register).
    pub fn of(at: &Ref) -> Result<Self> {
        if !at.is_head() {
            return Self::reading(at);
        }
        let config = SessionConfig::new().with_information_schema(true);
        let ctx = SessionContext::new_with_config(config);
        Self::standing(ctx, at.lake(), At::Branch(at.branch().clone()), Some(at.clone()))
    }

    /// A session that stands at a version, which is only read, also where it is the newest of a branch. No request.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strandline::Lake;
    /// use strandline_datafusion::{LakeSql, Session};
    ///
    /// let lake = Lake::create("memory://session-reading").await?;
    /// lake.sql("CREATE TABLE orders AS SELECT 1 AS id").await?;
    /// let session = Session::reading(&lake.at("v1").await?)?;
    /// lake.sql("INSERT INTO orders VALUES (2)").await?;
    /// assert_eq!(session.sql("SELECT * FROM orders").await?.count().await?, 1);
    /// assert!(session.sql("DELETE FROM orders").await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`register`](crate::register).
    pub fn reading(at: &Ref) -> Result<Self> {
        let config = SessionConfig::new().with_information_schema(true);
        Self::standing(SessionContext::new_with_config(config), at.lake(), At::Ref(at.clone()), None)
    }

    /// A session in a context of one's own: its settings, functions and other catalogs are there as well. The lake becomes the
    /// catalog [`CATALOG`] of the context, which is its default one from here on.
    ///
    /// # Errors
    /// As [`register`](crate::register).
    pub fn with_context(ctx: SessionContext, lake: &Lake) -> Result<Self> {
        let place = At::Branch(lake.default_branch().clone());
        Self::standing(ctx, lake, place, None)
    }

    fn standing(ctx: SessionContext, lake: &Lake, place: At, seen: Option<Ref>) -> Result<Self> {
        crate::register::register_at(&ctx, CATALOG, lake, place.clone())?;
        {
            let state = ctx.state_ref();
            let mut state = state.write();
            let options = &mut state.config_mut().options_mut().catalog;
            options.default_catalog = CATALOG.to_owned();
            options.default_schema = PUBLIC.to_owned();
        }
        let (standing, seen) = (Mutex::new(Standing::new(place)), Mutex::new(seen));
        Ok(Self(Arc::new(Inner { ctx, lake: lake.clone(), catalog: CATALOG.to_owned(), standing, seen })))
    }

    /// The context in which statements are planned and run.
    #[must_use]
    pub fn context(&self) -> &SessionContext {
        &self.0.ctx
    }

    /// The lake.
    #[must_use]
    pub fn lake(&self) -> &Lake {
        &self.0.lake
    }

    /// What is read now: a branch, a version, or an open transaction.
    pub async fn at(&self) -> At {
        self.0.standing.lock().await.at()
    }

    /// Runs a statement, or several with semicolons between them, and answers with the result of the last.
    ///
    /// # Errors
    /// The first that a statement gives; those before it have happened, those after it have not. What the SDK says is found by
    /// [`lake_error`](crate::lake_error), by kind: `InvalidInput` for what is no statement or cannot be, `Conflict` and
    /// `CommitUnknown` for what came of a commit, `NotFound`, `AlreadyExists`, `Unsupported` and the store's. All else is
    /// DataFusion's. A dropped future leaves a statement undone, or its commit's outcome unknown.
    pub async fn sql(&self, text: &str) -> Result<DataFrame> {
        let limit = self.0.ctx.state().config_options().sql_parser.recursion_limit.get();
        let statements = sql::statements(text, limit).map_err(external)?;
        let mut standing = self.0.standing.lock().await;
        let mut statements = statements.into_iter().peekable();
        while let Some(statement) = statements.next() {
            let mut run = Run {
                ctx: &self.0.ctx,
                lake: &self.0.lake,
                catalog: &self.0.catalog,
                standing: &mut standing,
                heads: Heads::of(self.0.seen.lock().await.take()),
            };
            let answer = run.run(statement).boxed().await.map_err(sql::told)?;
            if statements.peek().is_none() {
                return Ok(answer);
            }
            drain(answer).await?;
        }
        Err(refused(ErrorKind::InvalidInput, "there is no statement"))
    }
}

/// Reads what nobody will, so that its errors are met in their order.
async fn drain(answer: DataFrame) -> Result<()> {
    use futures::TryStreamExt;
    answer.execute_stream().await?.try_for_each(|_| std::future::ready(Ok(()))).await
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("lake", &self.0.lake.id()).finish_non_exhaustive()
    }
}

/// A lake that is asked in SQL.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline_datafusion::LakeSql;
///
/// let lake = Lake::create("memory://lake-sql").await?;
/// lake.sql("CREATE TABLE orders AS SELECT 1 AS id").await?;
/// assert_eq!(lake.sql("SELECT * FROM orders").await?.count().await?, 1);
/// # Ok(())
/// # }
/// ```
pub trait LakeSql {
    /// Runs a statement, or several with semicolons between them, in a session of its own, and answers with the result of the
    /// last.
    ///
    /// # Errors
    /// As [`Session::sql`]; `InvalidInput` if a transaction is left open, which would be lost with the session.
    fn sql(&self, text: &str) -> impl Future<Output = Result<DataFrame>> + Send;
}

impl LakeSql for Lake {
    async fn sql(&self, text: &str) -> Result<DataFrame> {
        let session = Session::new(self)?;
        let answer = Box::pin(session.sql(text)).await?;
        match session.at().await {
            At::Transaction(_) => {
                let message = "the transaction was not committed, and is lost: add COMMIT, or keep a Session";
                Err(refused(ErrorKind::InvalidInput, message))
            }
            At::Branch(_) | At::Ref(_) => Ok(answer),
        }
    }
}
