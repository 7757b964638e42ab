//! `strand diff`: what differs between two versions: tables, columns, rows.

use std::sync::Arc;

use clap::Args as ClapArgs;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use strandline::arrow::array::{ArrayRef, RecordBatch, StringArray};
use strandline::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use strandline::changes::{Diff, EntryDiff, RowChange, RowCounts, TableAspect, TableDiff};
use strandline::format::{EntryType, ReferenceRange};
use strandline::{Lake, Ref};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Cell, Kind, Record, number, text};

/// How many tables are compared at a time.
const TABLES: usize = 8;

/// Shows what differs between two versions
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The versions, as in main..dev
    #[arg(value_name = "FROM..TO")]
    range: String,
    /// Only this table
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
    let wanted = |entry: &&EntryDiff| match &args.table {
        Some(table) => name_of(entry).eq_ignore_ascii_case(table),
        None => true,
    };
    let entries: Vec<&EntryDiff> = diff.entries().iter().filter(wanted).collect();
    if let (Some(table), true) = (&args.table, entries.is_empty())
        && context.stands(&from, table).await.is_err()
    {
        context.stands(&to, table).await?;
    }
    let mut differs = !entries.is_empty();
    if args.rows {
        rows(context, &diff, &entries).await?;
    } else if args.schema {
        let found = schema(&diff, &entries).await?;
        differs = !found.is_empty();
        context.out.list(&found)?;
    } else {
        let stats = stream::iter(entries.iter().copied()).map(|entry| stat(&diff, entry)).buffered(TABLES);
        context.out.list(&stats.try_collect::<Vec<_>>().await?)?;
    }
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
        EntryType::Table => Some(diff.open(entry).await?.counts().await?),
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
    for entry in entries.iter().filter(|entry| entry.kind() == EntryType::Table) {
        let table = diff.open(entry).await?;
        let mut say = |what: String| found.push(SchemaDifference { table: name_of(entry).to_owned(), what });
        match table.is_there() {
            (false, _) => say("created".to_owned()),
            (_, false) => say("dropped".to_owned()),
            _ => {}
        }
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

async fn rows(context: &Context, diff: &Diff, entries: &[&EntryDiff]) -> Result<()> {
    for entry in entries.iter().filter(|entry| entry.kind() == EntryType::Table) {
        let table = diff.open(entry).await?;
        context.out.note(format!("{}:", name_of(entry)));
        table_rows(context, &table).await?;
    }
    Ok(())
}

async fn table_rows(context: &Context, table: &TableDiff) -> Result<()> {
    let columns = table.columns()?;
    let schema = with_change(&columns);
    let shown = SchemaRef::clone(&schema);
    let batches = table.rows().await?.map_err(Failure::from).map(move |change| {
        let parts = match change? {
            RowChange::Inserted(rows) => vec![("insert", rows)],
            RowChange::Deleted(rows) => vec![("delete", rows)],
            RowChange::Updated { before, after } => {
                vec![("update_preimage", before), ("update_postimage", after)]
            }
        };
        let told = parts.into_iter().map(|(change, rows)| changed(&schema, change, &rows));
        Ok::<_, Failure>(stream::iter(told.collect::<Vec<Result<RecordBatch>>>()))
    });
    context.out.rows(&shown, batches.try_flatten()).await?;
    Ok(())
}

/// The columns, with what became of the row in front.
fn with_change(columns: &Schema) -> SchemaRef {
    let change: FieldRef = Arc::new(Field::new("_change_type", DataType::Utf8, false));
    let fields: Vec<FieldRef> = std::iter::once(change).chain(columns.fields().iter().cloned()).collect();
    Arc::new(Schema::new(fields))
}

fn changed(schema: &SchemaRef, change: &str, rows: &RecordBatch) -> Result<RecordBatch> {
    let change: ArrayRef = Arc::new(StringArray::from(vec![change; rows.num_rows()]));
    let columns = std::iter::once(change).chain(rows.columns().iter().cloned()).collect();
    Ok(RecordBatch::try_new(SchemaRef::clone(schema), columns)?)
}
