//! What a name in a query leads to: a table, a view, another version of one, or what is known of it.
//!
//! Invariant: whatever a name leads to is of one version; a name that can be none is an error, one that is not there is `None`.
//! What does not belong here: reading any of it.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::Result;
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline::format::{Reference, View};
use strandline::{ErrorKind, Ref, Table};

use crate::catalog::{At, LakeCatalog};
use crate::error::external;
use crate::inspect;
use crate::sql::names::{Asked, Inspection};
use crate::sql::{reference, view};
use crate::table::{Extra, LakeTable};

/// What a name within a namespace leads to, or none.
///
/// # Errors
/// `NotFound` for a reference or an inspection that is not there, `InvalidInput` for a name that can be none; the store's errors.
pub(crate) async fn provider(
    catalog: &LakeCatalog,
    full_name: impl Fn(&str) -> String,
    name: &str,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let asked = Asked::parse(name).map_err(external)?;
    let net = asked.inspection == Some(Inspection::NetChanges);
    if net || asked.inspection == Some(Inspection::Changes) {
        let (from, to) = asked.range().map_err(external)?;
        let name = full_name(asked.table);
        let changes = inspect::changes(catalog, &name, (from, to), net);
        return changes.await.map_err(external).map(Some);
    }
    let catalog = at_reference(catalog, asked.reference).await.map_err(external)?;
    let name = full_name(asked.table);
    let located = asked.inspection == Some(Inspection::Rows);
    if let Some(inspection) = asked.inspection.filter(|_| !located) {
        return inspect::table(&catalog, &name, inspection).await.map_err(external).map(Some);
    }
    if let Some(table) = catalog.table(&name).await? {
        return shown(table, located).map(Some);
    }
    if located {
        return Ok(None);
    }
    match view_of(&catalog, &name).await {
        Ok(stored) => view::provider(&catalog, &name, &stored).await.map(Some),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => Ok(None),
        Err(error) => Err(external(error)),
    }
}

/// A table, with columns of where its rows stand or without.
fn shown(table: LakeTable, located: bool) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(if located { table.with_extras(&Extra::ALL)? } else { table }))
}

/// The catalog as a reference has it.
fn at_reference<'a>(
    catalog: &'a LakeCatalog,
    reference: Option<&'a str>,
) -> BoxFuture<'a, strandline::Result<LakeCatalog>> {
    let Some(text) = reference else { return std::future::ready(Ok(catalog.clone())).boxed() };
    let found = async move {
        let (found, behind) = catalog.find_behind(text).await?;
        Ok(match names_branch(text, &found) {
            true => catalog.at_branch(found),
            false => catalog.shown_behind(found, behind),
        })
    };
    found.boxed()
}

/// Whether a text is a branch's name and nothing more: what it leads to follows that branch.
fn names_branch(text: &str, found: &Ref) -> bool {
    text.parse().is_ok_and(|reference: Reference| {
        reference.suffixes().is_empty() && found.is_named_by(reference.base())
    })
}

/// The table under a name of the lake, in the version of a reference.
///
/// # Errors
/// `NotFound`, offering the nearest names; the store's errors.
pub(crate) async fn table_of(
    catalog: &LakeCatalog,
    reference: Option<&str>,
    name: &str,
) -> strandline::Result<Table> {
    let catalog = at_reference(catalog, reference).await?;
    match catalog.at() {
        At::Branch(_) => present(&catalog).await?.table(name).await,
        At::Ref(at) => at.table(name).await,
        At::Transaction(transaction) => transaction.table(name).await,
    }
}

/// The view under a name of the lake.
pub(crate) async fn view_of(catalog: &LakeCatalog, name: &str) -> strandline::Result<View> {
    match catalog.at() {
        At::Branch(_) => present(catalog).await?.view(name).await,
        At::Ref(at) => at.view(name).await,
        At::Transaction(transaction) => transaction.view(name).await,
    }
}

/// The version that a catalog shows now; of a transaction, the one that it began on.
pub(crate) async fn present(catalog: &LakeCatalog) -> strandline::Result<Ref> {
    match catalog.at() {
        At::Ref(at) => Ok(at.clone()),
        At::Branch(branch) => catalog.head(branch).await,
        at @ At::Transaction(_) => catalog.lake().at(reference::of(at)).await,
    }
}
