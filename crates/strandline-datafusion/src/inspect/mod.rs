//! What is known of tables and of the lake, as tables: `t$history`, `t$files`, `t$stats`, `t$refs`, and what `lake_log()` and
//! `lake_refs()` give.
//!
//! Invariants: each tells of one version, the one that its name was looked up in; nothing is read before rows are asked for; none can
//! be written to. What does not belong here: the rows of tables, with where they stand (`t$rows`) or without (`table`).

mod columns;
mod files;
mod history;
mod listing;
mod log;
mod refs;
mod stats;

use std::sync::Arc;

use datafusion::arrow::util::display::array_value_to_string;
use datafusion::catalog::TableProvider;
use strandline::columns::constant;
use strandline::format::{Type, Value};
use strandline::{Error, Result};

pub(crate) use listing::Listing;

use crate::catalog::LakeCatalog;
use crate::sql::lookup;
use crate::sql::names::Inspection;

/// What is known of the table of this name.
///
/// # Errors
/// `NotFound`, offering the nearest names; the store's errors.
pub(crate) async fn table(
    catalog: &LakeCatalog,
    name: &str,
    inspection: Inspection,
) -> Result<Arc<dyn TableProvider>> {
    let table = lookup::table_of(catalog, None, name).await?;
    let what = format!("{name}${}", inspection.as_str());
    Ok(Arc::new(match inspection {
        Inspection::Files => files::listing(what, table)?,
        Inspection::Stats => stats::listing(what, table)?,
        Inspection::History => history::listing(what, lookup::present(catalog).await?, table.id())?,
        Inspection::Refs => refs::of_table(what, catalog.lake().clone(), table.id())?,
        Inspection::Rows => {
            let message = format!("{what} is read as its table is, and is no listing");
            return Err(Error::new(strandline::ErrorKind::Unsupported, message));
        }
    }))
}

/// The commits up to a reference, newest first, read from where a catalog stands.
pub(crate) fn lake_log(
    catalog: &LakeCatalog,
    reference: Option<String>,
    limit: Option<u64>,
) -> Result<Listing> {
    log::listing(catalog.clone(), reference, limit)
}

/// All branches and tags.
pub(crate) fn lake_refs(catalog: &LakeCatalog) -> Result<Listing> {
    refs::of_lake(catalog.lake().clone())
}

/// A value as SQL shows it.
pub(crate) fn value_text(value: &Value) -> String {
    let shown = constant(Some(value), &Type::Primitive(value.natural_type()), 1);
    let shown = shown.ok().and_then(|array| array_value_to_string(&array, 0).ok());
    // What no array can hold is shown as the metadata has it.
    shown.unwrap_or_else(|| value.to_string())
}

/// A batch that cannot be put together is a defect of this crate.
fn defect(error: &datafusion::arrow::error::ArrowError) -> Error {
    Error::new(strandline::ErrorKind::Corrupt, format!("a listing that does not fit its columns: {error}"))
}
