//! The names that can be completed: tables, their columns, branches and tags.

use futures::stream::{self, StreamExt};
use strandline::Ref;

use crate::failure::Result;

/// Of how many tables the columns are looked up.
const TABLES: usize = 100;

/// How many tables are read at a time.
const AT_ONCE: usize = 16;

/// Names, without doubles, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// What stands in statements.
    pub(super) words: Vec<String>,
    /// Branches and tags.
    pub(super) refs: Vec<String>,
    /// Tables and views.
    pub(super) tables: Vec<String>,
}

impl Names {
    /// Of a version. Requests: those of listing it and all refs, and of each table up to a bound.
    pub(super) async fn of(at: &Ref) -> Result<Self> {
        let mut tables: Vec<String> = Vec::new();
        for names in [at.tables(), at.views()] {
            tables.extend(names.await?.into_iter().map(|listed| listed.name.as_str().to_owned()));
        }
        let mut words = tables.clone();
        let columns =
            stream::iter(tables.iter().take(TABLES)).map(|table| columns(at, table)).buffered(AT_ONCE);
        words.extend(columns.concat().await);
        words.sort();
        words.dedup();
        let mut refs: Vec<String> =
            at.lake().branches().await?.into_iter().map(|branch| branch.name.as_str().to_owned()).collect();
        refs.extend(at.lake().tags().await?.into_iter().map(|tag| tag.name.as_str().to_owned()));
        Ok(Self { words, refs, tables })
    }
}

async fn columns(at: &Ref, table: &str) -> Vec<String> {
    let Ok(table) = at.table(table).await else { return Vec::new() };
    table.schema().fields().iter().map(|field| field.name.as_str().to_owned()).collect()
}
