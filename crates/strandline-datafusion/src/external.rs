//! `CREATE EXTERNAL TABLE … STORED AS STRANDLINE LOCATION '<url>#<table>'`: one table of a lake in a session that knows no lakes.
//!
//! The table is named as in a query: `orders`, `sales.orders@dev`, `orders@v3`, `orders$files`. Invariants: the columns are the table's, so a
//! statement that gives some is refused; the table follows the branch that it is named at, or the one that the lake opens at, and every query
//! looks for its head anew. What does not belong here: whole lakes in a session (`register`).

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider, TableProviderFactory};
use datafusion::error::Result;
use datafusion::logical_expr::CreateExternalTable;
use strandline::storage::StoreOptions;
use strandline::{ErrorKind, Lake};

use crate::catalog::{At, LakeCatalog};
use crate::error::{external, refused};
use crate::sql::lookup;
use crate::table::LakeTable;

/// What such tables are said to be stored as.
pub(crate) const STORED_AS: &str = "STRANDLINE";

/// What DataFusion puts before options that have no prefix.
const PREFIX: &str = "format.";

/// Makes tables of lakes for `CREATE EXTERNAL TABLE`.
#[derive(Debug)]
pub(crate) struct ExternalTables;

#[async_trait]
impl TableProviderFactory for ExternalTables {
    async fn create(
        &self,
        _: &dyn Session,
        statement: &CreateExternalTable,
    ) -> Result<Arc<dyn TableProvider>> {
        check(statement)?;
        let (url, table) = location(statement)?;
        let options = statement.options.iter().fold(StoreOptions::new(), |options, (name, value)| {
            options.with(name.strip_prefix(PREFIX).unwrap_or(name), value)
        });
        let lake = Lake::open(url).options(options).await.map_err(external)?;
        let at = At::Branch(lake.default_branch().clone());
        let found = lookup::provider(&LakeCatalog::new(lake, at), str::to_owned, table).await?;
        let found = found.ok_or_else(|| {
            refused(ErrorKind::NotFound, format!("the lake at {url} has no table {table:?}"))
        })?;
        Ok(match found.downcast_ref::<LakeTable>() {
            Some(table) => Arc::new(table.clone().kept()) as _,
            None => found,
        })
    }
}

/// Where the lake is, and what the table is called in it.
fn location(statement: &CreateExternalTable) -> Result<(&str, &str)> {
    let [location] = &statement.locations[..] else {
        let message = format!("one location is wanted, there are {}", statement.locations.len());
        return Err(refused(ErrorKind::InvalidInput, message));
    };
    location.rsplit_once('#').filter(|(url, table)| !url.is_empty() && !table.is_empty()).ok_or_else(|| {
        let message =
            format!("location {location:?} names no table: give the lake's URL, a #, and the table's name");
        refused(ErrorKind::InvalidInput, message)
    })
}

/// Refuses what only the table itself can say.
fn check(statement: &CreateExternalTable) -> Result<()> {
    let said = [
        ("columns", !statement.schema.fields().is_empty()),
        ("PARTITIONED BY", !statement.table_partition_cols.is_empty()),
        ("WITH ORDER", !statement.order_exprs.is_empty()),
        ("UNBOUNDED", statement.unbounded),
    ];
    match said.into_iter().find(|(_, said)| *said) {
        Some((what, _)) => {
            let message = format!("{what} of a table of a lake are the lake's to say: leave them out");
            Err(refused(ErrorKind::InvalidInput, message))
        }
        None => Ok(()),
    }
}
