//! What is known of tables and of the lake, as tables: `t$history`, `t$files`, `t$stats`, `t$refs`, and what `lake_log()` and
//! `lake_refs()` and `table_changes(…)` give.
//!
//! Invariants: each tells of one version, the one that its name was looked up in; nothing is read before rows are asked for; none can
//! be written to. What does not belong here: the rows of tables, with where they stand (`t$rows`) or without (`table`).

mod changes;
mod columns;
mod files;
mod history;
mod listing;
mod log;
mod refs;
mod stats;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline::columns::constant;
use strandline::format::{Type, Value};
use strandline::{Error, ErrorKind, Ref, Result, Table};

pub(crate) use listing::Listing;
pub(crate) use refs::Refs;

use crate::catalog::{At, LakeCatalog};
use crate::heads::{self, Head};
use crate::pin::{self, Moment, Moments};
use crate::sql::lookup;
use crate::sql::names::Inspection;

/// What is found for a name. It is made apart, since views within views look names up on one stack.
type Found<'a> = BoxFuture<'a, Result<Arc<dyn TableProvider>>>;

/// What is known of the table of this name.
///
/// # Errors
/// `NotFound`, offering the nearest names; the store's errors.
pub(crate) fn table<'a>(catalog: &'a LakeCatalog, name: &'a str, inspection: Inspection) -> Found<'a> {
    listed(catalog, name, inspection).boxed()
}

async fn listed(catalog: &LakeCatalog, name: &str, inspection: Inspection) -> Result<Arc<dyn TableProvider>> {
    let at = lookup::present(catalog).await?;
    let (follows, table) = match catalog.at() {
        At::Branch(_) => (Some(Head { seen: at.clone(), steps: Arc::default() }), at.table(name).await?),
        At::Ref(_) | At::Transaction(_) => {
            (catalog.behind().cloned(), lookup::table_of(catalog, None, name).await?)
        }
    };
    let told = Told { at, follows };
    let seen = told.follows.as_ref().map(|head| head.seen.clone());
    let what = format!("{name}${}", inspection.as_str());
    let listing = match inspection {
        Inspection::Files => files::listing(what, told, table)?,
        Inspection::Stats => stats::listing(what, told, table)?,
        Inspection::History => history::listing(what, told, table.id())?,
        Inspection::Refs => refs::of_table(what, catalog.lake().clone(), table.id())?,
        Inspection::Rows | Inspection::Changes | Inspection::NetChanges => {
            let message = format!("{what} is no listing of one version");
            return Err(Error::new(strandline::ErrorKind::Unsupported, message));
        }
    };
    Ok(Arc::new(match seen {
        Some(head) => listing.following(Moment::new(head), catalog.used()),
        None => listing,
    }))
}

/// The version that something is told of.
#[derive(Clone, Debug)]
struct Told {
    /// What it was when its name was looked up.
    at: Ref,
    /// The head that it follows, or stands so many steps behind.
    follows: Option<Head>,
}

impl Told {
    /// The version at the moment of its plan.
    async fn version(&self, moments: &Moments) -> Result<Ref> {
        let Some(Head { seen, steps }) = &self.follows else { return Ok(self.at.clone()) };
        let head = moments.head_of(seen).await?;
        if head.commit().hash() == seen.commit().hash() {
            Ok(self.at.clone())
        } else if steps.is_empty() {
            Ok(head)
        } else {
            heads::behind(&head, steps).await
        }
    }

    /// A table of it at the moment of its plan.
    async fn table(&self, moments: &Moments, table: &Table) -> Result<Table> {
        let version = self.version(moments).await?;
        if version.commit().hash() == self.at.commit().hash() {
            Ok(table.clone())
        } else {
            pin::again(&version, table).await
        }
    }
}

/// What became of the rows of a table after one version up to another one, or up to the one that is shown.
///
/// # Errors
/// Those of finding the versions and of [`Table::changes`].
pub(crate) fn changes<'a>(
    catalog: &'a LakeCatalog,
    name: &'a str,
    range: (&'a str, Option<&'a str>),
    net: bool,
) -> Found<'a> {
    changed(catalog, name, range, net).boxed()
}

async fn changed(
    catalog: &LakeCatalog,
    name: &str,
    (from, to): (&str, Option<&str>),
    net: bool,
) -> Result<Arc<dyn TableProvider>> {
    let from = catalog.find(from).await?;
    let to = match to {
        Some(to) => catalog.find(to).await?,
        None => lookup::present(catalog).await?,
    };
    let table = match to.table(name).await {
        // It may have another name by now, and be meant by that.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            lookup::present(catalog).await?.table(name).await?
        }
        found => found?,
    };
    let of = changes::Of { table, from, to, net };
    Ok(Arc::new(changes::listing(format!("changes of {name}"), of).await?))
}

/// The commits up to a reference, newest first, read from where a catalog stands.
pub(crate) fn lake_log(
    catalog: &LakeCatalog,
    reference: Option<String>,
    limit: Option<u64>,
) -> Result<Listing> {
    log::listing(catalog.clone(), reference, limit)
}

/// Branches and tags.
pub(crate) fn lake_refs(catalog: &LakeCatalog, which: Refs) -> Result<Listing> {
    refs::of_lake(catalog.lake().clone(), which)
}

/// A value as SQL shows it.
pub(crate) fn value_text(value: &Value) -> String {
    let shown = constant(Some(value), &Type::Primitive(value.natural_type()), 1);
    let shown = shown.ok().and_then(|array| strandline::columns::value_text(&array, 0).ok());
    // What no array can hold is shown as the metadata has it.
    shown.unwrap_or_else(|| value.to_string())
}

/// A batch that cannot be put together is a defect of this crate.
fn defect(error: &datafusion::arrow::error::ArrowError) -> Error {
    Error::new(strandline::ErrorKind::Corrupt, format!("a listing that does not fit its columns: {error}"))
}
