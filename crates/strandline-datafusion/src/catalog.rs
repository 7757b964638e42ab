//! A lake as a catalog of DataFusion's: namespaces are schemas, tables are tables.
//!
//! What stands in no namespace is in the schema [`PUBLIC`]; a namespace within another is a schema with dots in its name.
//! Invariant: the catalog keeps nothing of what the lake holds: each name is looked up when it is asked for, at what the catalog
//! shows ([`At`]). Who lists the schemas and goes on to list what they have is told of one listing. What does not belong here: reading a table (`table`), and statements that change the catalog (`sql`).

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SessionContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::TableType;
use strandline::format::{Base, EntryType, RefName, Reference};
use strandline::{ErrorKind, Lake, Ref, Transaction};

use crate::error::{external, refused};
use crate::heads::{Head, Heads};
use crate::pin::{Moments, Used};
use crate::sql::{lookup, reference, view};
use crate::table::LakeTable;

/// The schema of what stands in no namespace.
pub const PUBLIC: &str = "public";

/// Which state of a lake a catalog shows.
///
/// ```
#[doc = include_str!("orders.example")]
/// use strandline_datafusion::{At, Session};
///
/// let session = Session::new(&lake)?;
/// assert!(matches!(session.at().await, At::Branch(main) if main.as_str() == "main"));
/// session.sql("USE VERSION '1'").await?;
/// assert!(matches!(session.at().await, At::Ref(version) if version.version().0 == 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum At {
    /// The present state of a branch, looked up by each query.
    Branch(RefName),
    /// One version: a ref that was looked up.
    Ref(Ref),
    /// What a transaction sees, its own writes included.
    Transaction(Transaction),
}

/// A lake as a catalog of DataFusion's.
///
/// ```
#[doc = include_str!("orders.example")]
/// use datafusion::prelude::SessionContext;
/// use strandline_datafusion::{At, LakeCatalog};
///
/// // The lake as it was, beside what it is.
/// let ctx = SessionContext::new();
/// strandline_datafusion::register(&ctx, "now", &lake)?;
/// let before = LakeCatalog::new(lake.clone(), At::Ref(lake.at("main~1").await?));
/// ctx.register_catalog("before", before.planned_by(&ctx));
/// let query = "SELECT id FROM now.public.orders EXCEPT SELECT id FROM before.public.orders";
/// assert_eq!(ctx.sql(query).await?.count().await?, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LakeCatalog {
    lake: Lake,
    at: At,
    /// What plans the texts of views.
    planner: Option<Planner>,
    /// The views that this is in, the outermost first.
    views: Vec<String>,
    /// The heads that were seen already.
    heads: Option<Heads>,
    /// Whether it is there for one statement, and the names that are there for it, once they were listed.
    is_of_statement: bool,
    known: Option<Arc<OnceLock<Listed>>>,
    /// What was listed for whoever goes on to ask for its schemas, by their names.
    pending: Arc<Mutex<HashMap<String, Listed>>>,
    /// Whether it shows a branch that was asked for by its name, and is only read.
    is_named: bool,
    /// The head that the version which it shows is behind.
    behind: Option<Head>,
}

/// A session, which is not held.
#[derive(Clone)]
struct Planner(Arc<dyn Fn() -> Option<SessionState> + Send + Sync>);

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Planner")
    }
}

impl LakeCatalog {
    /// A catalog that shows this state of a lake. No request.
    #[must_use]
    pub fn new(lake: Lake, at: At) -> Arc<Self> {
        Arc::new(Self {
            lake,
            at,
            planner: None,
            views: Vec::new(),
            heads: None,
            is_of_statement: false,
            known: None,
            pending: Arc::default(),
            is_named: false,
            behind: None,
        })
    }

    /// The same catalog, in a session that plans its views.
    #[must_use]
    pub fn planned_by(&self, ctx: &SessionContext) -> Arc<Self> {
        let session = ctx.state_weak_ref();
        let planner = Planner(Arc::new(move || Some(session.upgrade()?.read().clone())));
        Arc::new(Self { planner: Some(planner), ..self.clone() })
    }

    /// The same catalog for one statement, which finds all refs as it saw them first.
    pub(crate) fn of_statement(&self, heads: Heads) -> Self {
        Self { heads: Some(heads), is_of_statement: true, known: Some(Arc::default()), ..self.clone() }
    }

    /// The same catalog at the moments of a plan, unless it is there for one statement anyway.
    pub(crate) async fn at_moments(&self, moments: &Moments) -> strandline::Result<Self> {
        let heads = match &self.heads {
            Some(heads) => heads.clone(),
            None => moments.known(&self.lake).await?,
        };
        Ok(Self { heads: Some(heads), ..self.clone() })
    }

    /// The same catalog as a branch has it whose head was just found.
    pub(crate) fn at_branch(&self, head: Ref) -> Self {
        let at = At::Branch(head.branch().clone());
        let heads = self.heads.clone().unwrap_or_else(|| Heads::of([head]));
        Self { at, heads: Some(heads), is_named: true, known: None, ..self.clone() }
    }

    /// The head of a branch. At most one request.
    pub(crate) async fn head(&self, branch: &RefName) -> strandline::Result<Ref> {
        match &self.heads {
            Some(heads) => heads.head(&self.lake, branch).await,
            None => head(&self.lake, branch).await,
        }
    }

    /// What a text names, read from where this stands.
    pub(crate) async fn find(&self, text: &str) -> strandline::Result<Ref> {
        reference::find(&self.lake, &self.at, self.heads.as_ref(), text).await
    }

    /// The same, and the head that it is behind, if it has to follow that.
    pub(crate) async fn find_behind(&self, text: &str) -> strandline::Result<(Ref, Option<Head>)> {
        let heads = self.heads.clone().unwrap_or_default();
        let found = reference::find(&self.lake, &self.at, Some(&heads), text).await?;
        // A statement of ours has one head of each branch anyway.
        let behind = match text.parse() {
            Ok(reference) if !self.is_of_statement => heads.stepped_from(&reference).await,
            _ => None,
        };
        Ok((found, behind))
    }

    /// How it is known whether what follows a branch has run before.
    pub(crate) fn used(&self) -> Used {
        if self.is_of_statement { Used::by_statement() } else { Used::by_plans() }
    }

    /// The session that plans its views, if there is one.
    pub(crate) fn session(&self) -> Option<SessionState> {
        self.planner.as_ref().and_then(|planner| planner.0())
    }

    /// The same catalog at a version, which is behind a head.
    pub(crate) fn shown_behind(&self, at: Ref, behind: Option<Head>) -> Self {
        Self { at: At::Ref(at), behind, known: None, ..self.clone() }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<String, Listed>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head that the version which it shows is behind.
    pub(crate) fn behind(&self) -> Option<&Head> {
        self.behind.as_ref()
    }

    /// The same catalog for the text of a view in it.
    pub(crate) fn within_view(&self, view: String) -> Self {
        let views = self.views.iter().cloned().chain([view]).collect();
        Self { views, ..self.clone() }
    }

    /// The views that this is in, the outermost first.
    pub(crate) fn views(&self) -> &[String] {
        &self.views
    }

    /// The lake.
    #[must_use]
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// What it shows.
    #[must_use]
    pub fn at(&self) -> &At {
        &self.at
    }

    /// The table under a name of the lake, or none. One request for the head of a branch, and at most two more unless the
    /// table is in its pack.
    ///
    /// # Errors
    /// The SDK's, by kind; see [`lake_error`](crate::lake_error).
    pub async fn table(&self, name: &str) -> Result<Option<LakeTable>> {
        let found = match &self.at {
            At::Branch(branch) => {
                let head = self.head(branch).await.map_err(external)?;
                let found = head.table(name).await;
                found.map(|table| LakeTable::floating(head, table, self.used(), self.is_named))
            }
            At::Ref(pinned) => pinned.table(name).await.map(|table| match &self.behind {
                Some(head) => LakeTable::behind(head, pinned.clone(), table, self.used()),
                None => LakeTable::pinned(pinned.clone(), table),
            }),
            At::Transaction(transaction) => {
                transaction.table(name).await.map(|table| LakeTable::within(transaction.clone(), table))
            }
        };
        match found {
            Ok(table) => table.map(Some),
            // DataFusion says itself that there is no such table, and goes on where that is no error. A name that no table can
            // have is no table's either.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => Ok(None),
            Err(error) => Err(external(error)),
        }
    }

    /// All names of the state that it shows, with what they stand for.
    pub(crate) async fn names(&self) -> strandline::Result<Arc<[(String, EntryType)]>> {
        Ok(self.listing().await?.names)
    }

    /// The same, and the head that has them.
    async fn listing(&self) -> strandline::Result<Listed> {
        let (at, heads) = match &self.at {
            At::Branch(branch) => {
                let head = self.head(branch).await?;
                (head.clone(), Some(self.heads.clone().unwrap_or_else(|| Heads::of([head]))))
            }
            At::Ref(pinned) => (pinned.clone(), None),
            At::Transaction(transaction) => {
                return Ok(Listed { names: transaction.list(None).await?.into(), heads: None });
            }
        };
        let mut names = Vec::new();
        for listed in [at.tables().await?, at.views().await?, at.namespaces().await?].into_iter().flatten() {
            names.push((listed.name.as_str().to_owned(), listed.kind));
        }
        Ok(Listed { names: names.into(), heads })
    }

    /// Checks that a namespace is there.
    pub(crate) async fn check_namespace(&self, name: &str) -> strandline::Result<()> {
        match &self.at {
            At::Branch(branch) => self.head(branch).await?.tables().within(name).await.map(drop),
            At::Ref(pinned) => pinned.tables().within(name).await.map(drop),
            At::Transaction(transaction) => transaction.list(Some(name)).await.map(drop),
        }
    }
}

/// The present head of a branch. One request, which brings nothing if the head is the one that is known.
pub(crate) async fn head(lake: &Lake, branch: &RefName) -> strandline::Result<Ref> {
    lake.at(Reference::new(Base::Branch(branch.clone()), Vec::new())).await
}

/// The catalogs of a session, with another one under one of their names.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) catalogs: Arc<dyn CatalogProviderList>,
    pub(crate) name: String,
    pub(crate) catalog: Arc<dyn CatalogProvider>,
}

impl CatalogProviderList for Beside {
    fn register_catalog(
        &self,
        name: String,
        catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        self.catalogs.register_catalog(name, catalog)
    }

    fn catalog_names(&self) -> Vec<String> {
        self.catalogs.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        if name == self.name { Some(Arc::clone(&self.catalog)) } else { self.catalogs.catalog(name) }
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let listed = listed(self);
        let namespaces = listed.names.iter().filter(|(_, kind)| *kind == EntryType::Namespace);
        let namespaces = namespaces.map(|(name, _)| name.clone());
        let schemas: BTreeSet<String> = namespaces.chain([PUBLIC.to_owned()]).collect();
        if self.known.is_none() {
            let each = schemas.iter().map(|schema| (schema.clone(), listed.clone()));
            *self.pending() = each.collect();
        }
        schemas.into_iter().collect()
    }

    fn register_schema(
        &self,
        name: &str,
        _: Arc<dyn SchemaProvider>,
    ) -> Result<Option<Arc<dyn SchemaProvider>>> {
        Err(elsewhere("CREATE SCHEMA", name))
    }

    fn deregister_schema(&self, name: &str, _: bool) -> Result<Option<Arc<dyn SchemaProvider>>> {
        Err(elsewhere("DROP SCHEMA", name))
    }

    /// A namespace by any name: whether it is there shows when something of it is looked up, which may wait, and this may not.
    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let taken = self.pending().remove(name).map(OnceLock::from).unwrap_or_default();
        Some(Arc::new(LakeSchema {
            catalog: self.clone(),
            name: name.to_owned(),
            taken,
            listed: AtomicBool::new(false),
        }))
    }
}

/// A namespace of a lake as a schema of DataFusion's.
#[derive(Debug)]
struct LakeSchema {
    catalog: LakeCatalog,
    name: String,
    /// What was listed with the names of all schemas: of these it is asked once, and of nothing else.
    taken: OnceLock<Listed>,
    /// Whether its names were listed: who asks for one of them then looks at all.
    listed: AtomicBool,
}

impl LakeSchema {
    /// The name in the lake of what has this name here.
    fn full_name(&self, name: &str) -> String {
        if self.name == PUBLIC { name.to_owned() } else { format!("{}.{name}", self.name) }
    }

    /// The listing that it shows.
    fn listing(&self) -> Listed {
        match &self.catalog.known {
            Some(_) => listed(&self.catalog),
            None => self.taken.get_or_init(|| listed(&self.catalog)).clone(),
        }
    }

    /// The listing, if somebody looks at all that it has.
    fn looked_at(&self) -> Option<&Listed> {
        self.listed.load(Ordering::Relaxed).then(|| self.taken.get()).flatten()
    }

    /// The name here of what has this name in the lake, if it stands in this namespace.
    fn own_name(&self, full: &str) -> Option<String> {
        match full.rsplit_once('.') {
            Some((namespace, name)) if namespace == self.name => Some(name.to_owned()),
            None if self.name == PUBLIC => Some(full.to_owned()),
            _ => None,
        }
    }
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        self.listed.store(true, Ordering::Relaxed);
        let listed = self.listing();
        let tables = listed.names.iter().filter(|(_, kind)| *kind != EntryType::Namespace);
        tables.filter_map(|(name, _)| self.own_name(name)).collect()
    }

    /// What the listing of a statement says, by which no metadata of tables need be read.
    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let full = self.full_name(name);
        let is_listed = self.catalog.known.is_some() || self.looked_at().is_some();
        let listing = is_listed.then(|| self.listing());
        let kind = listing.as_ref().and_then(|listing| listing.kind(&full));
        match kind {
            Some(EntryType::Table) => Ok(Some(TableType::Base)),
            Some(EntryType::View) => Ok(Some(TableType::View)),
            _ => Ok(self.table(name).await?.map(|table| table.table_type())),
        }
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        // All of a listing is of one head.
        let listed = self.looked_at().and_then(|listing| listing.heads.clone());
        let catalog = match listed {
            Some(heads) => Cow::Owned(LakeCatalog { heads: Some(heads), ..self.catalog.clone() }),
            None => Cow::Borrowed(&self.catalog),
        };
        let found = lookup::provider(&catalog, |name| self.full_name(name), name).await;
        match found {
            // A listing of all that there is does not fail for one view.
            Err(error) if self.listed.load(Ordering::Relaxed) => {
                view::unreadable_one(&self.catalog, &self.full_name(name), error).await.map(Some)
            }
            found => found,
        }
    }

    fn register_table(
        &self,
        name: String,
        _: Arc<dyn TableProvider>,
    ) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Err(elsewhere("CREATE", &name))
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Err(elsewhere("DROP", name))
    }

    fn table_exist(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.table_names().iter().any(|found| found.to_lowercase() == name)
    }
}

/// Changes of a catalog are commits, which calls of DataFusion's that cannot wait cannot make.
fn elsewhere(act: &str, name: &str) -> DataFusionError {
    let message =
        format!("{act} {name:?} in a lake: ask strandline_datafusion::Session, which knows its statements");
    refused(ErrorKind::Unsupported, message)
}

/// The names of a catalog, for calls of DataFusion's that cannot wait. They show nothing where the lake cannot be read, since
/// they have no way to say so; whatever asks for a table by its name is told.
fn listed(catalog: &LakeCatalog) -> Listed {
    let read = || {
        let catalog = catalog.clone();
        let listed = waited(async move { catalog.listing().await }).and_then(std::result::Result::ok);
        listed.unwrap_or_default()
    };
    match &catalog.known {
        Some(known) => known.get_or_init(read).clone(),
        None => read(),
    }
}

/// Names with what they stand for, and the head that has them.
#[derive(Clone, Debug, Default)]
struct Listed {
    names: Arc<[(String, EntryType)]>,
    heads: Option<Heads>,
}

impl Listed {
    fn kind(&self, full: &str) -> Option<EntryType> {
        self.names.iter().find(|(name, _)| name == full).map(|(_, kind)| *kind)
    }
}

/// Waits for a future where the caller cannot: on a thread of its own, which ends with it, because the caller's runtime may have
/// no other thread to go on with.
fn waited<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        Some(runtime.block_on(future))
    };
    std::thread::spawn(run).join().ok().flatten()
}
