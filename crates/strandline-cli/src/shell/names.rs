//! The names that can be completed: tables, their columns, branches and tags.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use strandline::Ref;
use strandline::format::Schema;

use crate::failure::Result;

/// Of how many tables the columns are looked up.
const TABLES: usize = 100;

/// How many tables are read at a time.
const AT_ONCE: usize = 16;

/// Names, without doubles, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Of branches and tags.
    pub(super) refs: Vec<String>,
    /// Tables and views, and the columns of each.
    pub(super) tables: BTreeMap<String, Vec<String>>,
}

impl Names {
    /// Of a version. Requests: those of listing it and all refs, and of each table up to a bound.
    pub(super) async fn of(at: &Ref) -> Result<Self> {
        let mut names: Vec<String> = Vec::new();
        for listed in [at.tables(), at.views()] {
            names.extend(listed.await?.into_iter().map(|listed| listed.name.as_str().to_owned()));
        }
        let rest = names.split_off(names.len().min(TABLES));
        let known = stream::iter(names).map(|name| async move {
            let columns = columns(at, &name).await;
            (name, columns)
        });
        let known = known.buffered(AT_ONCE);
        let mut tables: BTreeMap<String, Vec<String>> = known.collect().await;
        tables.extend(rest.into_iter().map(|name| (name, Vec::new())));
        let mut refs: Vec<String> =
            at.lake().branches().await?.into_iter().map(|branch| branch.name.as_str().to_owned()).collect();
        refs.extend(at.lake().tags().await?.into_iter().map(|tag| tag.name.as_str().to_owned()));
        refs.sort_unstable();
        refs.dedup();
        Ok(Self { refs, tables })
    }

    /// The columns of all tables, or of one that is called so.
    pub(super) fn columns(&self, of: Option<&str>) -> Vec<&str> {
        let is_one = |name: &str| of.is_none_or(|of| crate::names::are_one(name, of));
        let of_tables = self.tables.iter().filter(|(name, _)| is_one(name));
        let mut columns: Vec<&str> = of_tables.flat_map(|(_, columns)| columns).map(String::as_str).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

/// The columns of a table or view; none of what cannot be read.
async fn columns(at: &Ref, name: &str) -> Vec<String> {
    let names = |schema: &Schema| -> Vec<String> {
        schema.fields().iter().map(|field| field.name.as_str().to_owned()).collect()
    };
    match at.table(name).await {
        Ok(table) => names(table.schema()),
        Err(_) => at.view(name).await.map(|view| names(&view.schema)).unwrap_or_default(),
    }
}
