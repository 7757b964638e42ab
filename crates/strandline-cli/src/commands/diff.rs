//! `strand diff`: what differs between two versions: tables, columns, rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args as ClapArgs;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::Serialize;
use strandline::arrow::array::{ArrayRef, RecordBatch, StringArray};
use strandline::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use strandline::changes::{Diff, EntryDiff, RowChange, RowCounts, TableAspect, TableDiff};
use strandline::format::{EntryType, ReferenceRange};
use strandline::{Lake, Ref};

use crate::apart::{apart, apart_stream};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::names::{self, are_one};
use crate::output::{Cell, Kind, Record, number, text};
use crate::progress::Progress;

/// What is told of each row in front of its own columns.
const TABLE: &str = "_table";
const CHANGE: &str = "_change_type";

/// How many tables are compared at a time.
const TABLES: usize = 8;

/// Shows what differs between two versions
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The versions, as in main..dev
    #[arg(value_name = "FROM..TO")]
    range: String,
    /// Only this table
    #[arg(value_parser = names::table)]
    table: Option<String>,
    /// What differs, with numbers of rows (this is what is shown unless told otherwise)
    #[arg(long)]
    stat: bool,
    /// Which columns, keys and the like differ
    #[arg(long, conflicts_with = "stat")]
    schema: bool,
    /// Which rows differ
    #[arg(long, conflicts_with_all = ["stat", "schema"])]
    rows: bool,
    /// Ends with 7 if anything differs of what is asked for
    #[arg(long)]
    exit_code: bool,
}

/// Something that differs.
#[derive(Serialize)]
struct Different {
    name: String,
    kind: &'static str,
    change: &'static str,
    renamed_from: Option<String>,
    inserted: Option<u64>,
    deleted: Option<u64>,
    updated: Option<u64>,
}

impl Record for Different {
    const COLUMNS: &'static [(&'static str, Kind)] = &[
        text("name"),
        text("kind"),
        text("change"),
        text("was"),
        number("inserted"),
        number("deleted"),
        number("updated"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let number = |value: Option<u64>| value.map_or(Cell::None, Cell::Number);
        vec![
            Cell::text(&self.name),
            Cell::text(self.kind),
            Cell::text(self.change),
            Cell::text(self.renamed_from.clone().unwrap_or_default()),
            number(self.inserted),
            number(self.deleted),
            number(self.updated),
        ]
    }
}

/// A column, or something else of a table, that differs.
#[derive(Serialize)]
struct SchemaDifference {
    table: String,
    what: String,
}

impl Record for SchemaDifference {
    const COLUMNS: &'static [(&'static str, Kind)] = &[text("table"), text("difference")];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::text(&self.table), Cell::text(&self.what)]
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit> {
    context.no_reference("diff")?;
    let lake = context.lake_of_refs().await?;
    let (diff, from, to) = between(context, &lake, &args.range).await?;
    // By what it is called on either side.
    let wanted = |entry: &&EntryDiff| match &args.table {
        Some(table) => {
            [entry.after(), entry.before()].into_iter().flatten().any(|name| are_one(name.as_str(), table))
        }
        None => true,
    };
    let entries: Vec<&EntryDiff> = diff.entries().iter().filter(wanted).collect();
    if let (Some(table), true) = (&args.table, entries.is_empty())
        && context.stands(&from, table).await.is_err()
    {
        context.stands(&to, table).await?;
    }
    let (differs, told) = if args.rows {
        let differs = AtomicBool::new(false);
        let told = rows(context, &diff, &entries, &differs).await;
        (differs.into_inner(), told)
    } else if args.schema {
        let found = schema(&diff, &entries).await?;
        (!found.is_empty(), context.out.list(&found))
    } else {
        let progress = Progress::of_tables(context, "comparing", lake.storage().objects(), entries.len());
        let shown = progress.show();
        let stats = stream::iter(entries.iter().copied()).map(|entry| stat(&diff, entry)).buffered(TABLES);
        let stats = stats.inspect_ok(|_| progress.did_table());
        let stats = stats.try_collect::<Vec<_>>().await?;
        drop(shown);
        (!stats.is_empty(), context.out.list(&stats))
    };
    // Whoever reads no further still wants to know how it ends.
    told.or_else(Failure::heard)?;
    Ok(if args.exit_code && differs { Exit::Differences } else { Exit::Ok })
}

async fn between(context: &Context, lake: &Lake, range: &str) -> Result<(Diff, Ref, Ref)> {
    let range: ReferenceRange = range.parse().map_err(|error: strandline::format::Error| {
        Failure::from(error).of_arguments().hint("two references with two dots between, as in main..dev")
    })?;
    let from = context.at_reference(lake, Some(&range.from.to_string())).await?;
    let to = context.at_reference(lake, Some(&range.to.to_string())).await?;
    Ok((lake.diff(from.clone(), to.clone()).await?, from, to))
}

fn name_of(entry: &EntryDiff) -> &str {
    entry.after().or(entry.before()).map_or("", |name| name.as_str())
}

async fn stat(diff: &Diff, entry: &EntryDiff) -> Result<Different> {
    let counts = match entry.kind() {
        EntryType::Table => {
            let table = diff.open(entry).await?;
            Some(apart(async move { table.counts().await }).await?)
        }
        _ => None,
    };
    let change = match (entry.before(), entry.after()) {
        (None, _) => "created",
        (_, None) => "dropped",
        _ if !entry.is_changed() => "renamed",
        _ => "changed",
    };
    let before = entry.before().filter(|_| entry.is_renamed());
    let count = |of: fn(&RowCounts) -> u64| counts.as_ref().map(of);
    Ok(Different {
        name: name_of(entry).to_owned(),
        kind: entry.kind().as_str(),
        change,
        renamed_from: before.map(|name| name.as_str().to_owned()),
        inserted: count(|counts| counts.inserted),
        deleted: count(|counts| counts.deleted),
        updated: count(|counts| counts.updated),
    })
}

async fn schema(diff: &Diff, entries: &[&EntryDiff]) -> Result<Vec<SchemaDifference>> {
    let mut found = Vec::new();
    for entry in entries {
        let mut say = |what: String| found.push(SchemaDifference { table: name_of(entry).to_owned(), what });
        let is_table = entry.kind() == EntryType::Table;
        let of = if is_table { String::new() } else { format!("{} ", entry.kind().as_str()) };
        match (entry.before(), entry.after()) {
            (None, _) => say(format!("{of}created")),
            (_, None) => say(format!("{of}dropped")),
            (Some(before), _) if entry.is_renamed() => say(format!("{of}renamed, it was {before}")),
            _ => {}
        }
        if !is_table {
            if entry.before().is_some() && entry.after().is_some() && entry.is_changed() {
                say(format!("{of}changed"));
            }
            continue;
        }
        let table = diff.open(entry).await?;
        table.schema().iter().for_each(|field| say(format!("column {field}")));
        table.aspects().iter().filter_map(aspect).for_each(|aspect| say(format!("{aspect} changed")));
    }
    Ok(found)
}

/// What is said of an aspect; columns are told one by one.
fn aspect(aspect: &TableAspect) -> Option<&'static str> {
    Some(match aspect {
        TableAspect::Schema => return None,
        TableAspect::Key => "key",
        TableAspect::Constraints => "constraints",
        TableAspect::Properties => "properties",
        TableAspect::Comment => "comment",
        TableAspect::Layout => "layout",
        _ => "something that this version does not know",
    })
}

/// The rows of all tables, and whether there are any: as a sheet for each to people, and else in one list whose rows say of which table they are.
async fn rows(context: &Context, diff: &Diff, entries: &[&EntryDiff], differs: &AtomicBool) -> Result<()> {
    let note = |_: &RecordBatch| differs.store(true, Ordering::Relaxed);
    let objects = diff.to().lake().storage().objects();
    let mut all = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind() == EntryType::Table) {
        let progress = Progress::of_traffic(context, "comparing", objects);
        let told = Told { table: name_of(entry).to_owned(), progress };
        let table = diff.open(entry).await?;
        if context.out.format().is_json() {
            all.push((told, table));
            continue;
        }
        let schema = told.columns(&table)?;
        context.out.rows(&schema, told.rows(table).inspect_ok(note)).await?;
    }
    if context.out.format().is_json() {
        let rows = stream::iter(all).map(|(told, table)| told.rows(table));
        context.out.objects(rows.flatten().inspect_ok(note)).await?;
    }
    Ok(())
}

/// How the rows of a table are told.
struct Told {
    table: String,
    progress: Progress,
}

impl Told {
    /// The columns, with the table and what became of the row in front.
    fn columns(&self, table: &TableDiff) -> Result<SchemaRef> {
        let told = [TABLE, CHANGE].map(|name| Arc::new(Field::new(name, DataType::Utf8, false)) as FieldRef);
        let fields: Vec<FieldRef> =
            told.into_iter().chain(table.columns()?.fields().iter().cloned()).collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    /// The rows, of which the first may be long in coming.
    fn rows(self, table: TableDiff) -> BoxStream<'static, Result<RecordBatch>> {
        let batches = async move {
            let shown = self.progress.show();
            let schema = self.columns(&table)?;
            let mut changes = apart_stream(apart(async move { table.rows().await }).await?);
            let first = changes.next().await;
            let shown = shown.beside_rows();
            let changes = stream::iter(first).chain(changes).map_err(Failure::from);
            let told = move |change| {
                // It goes away with the last of them.
                let _beside = &shown;
                stream::iter(self.batches(&schema, change))
            };
            Ok::<_, Failure>(changes.map_ok(told).try_flatten())
        };
        stream::once(batches).try_flatten().boxed()
    }

    fn batches(&self, schema: &SchemaRef, change: RowChange) -> Vec<Result<RecordBatch>> {
        let parts = match change {
            RowChange::Inserted(rows) => vec![("insert", rows)],
            RowChange::Deleted(rows) => vec![("delete", rows)],
            RowChange::Updated { before, after } => {
                vec![("update_preimage", before), ("update_postimage", after)]
            }
        };
        parts.into_iter().map(|(change, rows)| self.batch(schema, change, &rows)).collect()
    }

    fn batch(&self, schema: &SchemaRef, change: &str, rows: &RecordBatch) -> Result<RecordBatch> {
        self.progress.came(rows.num_rows());
        let told = [&self.table, change]
            .map(|text: &str| Arc::new(StringArray::from(vec![text; rows.num_rows()])) as ArrayRef);
        let columns = told.into_iter().chain(rows.columns().iter().cloned()).collect();
        Ok(RecordBatch::try_new(SchemaRef::clone(schema), columns)?)
    }
}
