//! Functions that tell of a lake: `lake_log([reference [, limit]])`, `lake_refs()` and `table_changes(table, from [, to [, 'net']])`.
//!
//! They tell of the lake that is the session's default catalog; of the only one, if that is no lake. Invariant: nothing is read
//! before rows are asked for. What does not belong here: what their columns are (`inspect`).

mod as_written;
mod far_times;
mod over_dates;

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProviderList, Session, TableFunctionArgs, TableFunctionImpl, TableProvider,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, ScalarUDF};
use strandline::ErrorKind;

use crate::catalog::LakeCatalog;
use crate::error::{external, refused};
use crate::inspect;
use crate::sql::CHANGES;
use as_written::AsWritten;

pub(crate) use as_written::AS_WRITTEN;

/// Makes the functions known to a session.
pub(crate) fn register(ctx: &SessionContext) {
    ctx.register_udtf("lake_log", Arc::new(LakeLog));
    ctx.register_udtf("lake_refs", Arc::new(LakeRefs));
    ctx.register_udtf(CHANGES, Arc::new(TableChanges));
    ctx.register_udf(ScalarUDF::new_from_impl(AsWritten::default()));
    ctx.register_udf(over_dates::function());
    far_times::functions().into_iter().for_each(|function| ctx.register_udf(function));
}

#[derive(Debug)]
struct LakeLog;

impl TableFunctionImpl for LakeLog {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let usage = "write lake_log(), lake_log('reference') or lake_log('reference', limit)";
        let (reference, limit) = match args.exprs() {
            [] => (None, None),
            [reference] => (text(reference, usage)?, None),
            [reference, limit] => (text(reference, usage)?, number(limit, usage)?),
            _ => return Err(refused(ErrorKind::InvalidInput, usage)),
        };
        let listing = inspect::lake_log(&lake_of(args.session())?, reference, limit).map_err(external)?;
        Ok(Arc::new(listing))
    }
}

#[derive(Debug)]
struct LakeRefs;

impl TableFunctionImpl for LakeRefs {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        if !args.exprs().is_empty() {
            return Err(refused(ErrorKind::InvalidInput, "lake_refs() takes nothing"));
        }
        Ok(Arc::new(inspect::lake_refs(&lake_of(args.session())?, inspect::Refs::All).map_err(external)?))
    }
}

/// A session of lakes writes a name in its place (`sql::travel`); in any other it cannot be answered, since its columns depend on
/// what two versions hold, and nobody may wait here.
#[derive(Debug)]
struct TableChanges;

impl TableFunctionImpl for TableChanges {
    fn call_with_args(&self, _: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let message = format!(
            "{CHANGES} in this session: name the changes like \"t$changes@v2..v4\" or \"t$net_changes@v2..v4\", or ask through \
             strandline_datafusion::Session"
        );
        Err(refused(ErrorKind::Unsupported, message))
    }
}

/// The lake that a session means.
fn lake_of(session: &dyn Session) -> Result<LakeCatalog> {
    let no_lake = || refused(ErrorKind::NotFound, "this session has no lake: register one");
    let state = session.as_any().downcast_ref::<SessionState>().ok_or_else(no_lake)?;
    let (catalogs, usual) = (state.catalog_list(), &state.config_options().catalog.default_catalog);
    if let Some(lake) = lake_at(catalogs.as_ref(), usual) {
        return Ok(lake);
    }
    let mut lakes = catalogs.catalog_names().into_iter().filter_map(|name| lake_at(catalogs.as_ref(), &name));
    match (lakes.next(), lakes.next()) {
        (Some(lake), None) => Ok(lake),
        (None, _) => Err(no_lake()),
        (Some(_), Some(_)) => {
            let message =
                "this session has several lakes: SET datafusion.catalog.default_catalog to one of them";
            Err(refused(ErrorKind::InvalidInput, message))
        }
    }
}

fn lake_at(catalogs: &dyn CatalogProviderList, name: &str) -> Option<LakeCatalog> {
    catalogs.catalog(name)?.downcast_ref::<LakeCatalog>().cloned()
}

fn text(value: &Expr, usage: &str) -> Result<Option<String>> {
    match value {
        Expr::Literal(value, _) if value.is_null() => Ok(None),
        Expr::Literal(value, _) => match value.try_as_str() {
            Some(text) => Ok(text.map(ToOwned::to_owned)),
            None => Err(refused(ErrorKind::InvalidInput, usage)),
        },
        _ => Err(refused(ErrorKind::InvalidInput, usage)),
    }
}

fn number(value: &Expr, usage: &str) -> Result<Option<u64>> {
    match value {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => u64::try_from(*number).ok(),
        Expr::Literal(ScalarValue::UInt64(number), _) => *number,
        _ => None,
    }
    .map(Some)
    .ok_or_else(|| refused(ErrorKind::InvalidInput, usage))
}
