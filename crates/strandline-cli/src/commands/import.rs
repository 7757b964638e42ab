//! `strand import`: rows of files become rows of a table, in one commit; what changes nothing makes none, unless it was given words or a key.

use std::path::Path;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use futures::stream::{self, StreamExt};
use serde::Serialize;
use strandline::arrow::datatypes::{Field, Schema};
use strandline::columns::fields_from_arrow;
use strandline::format::{FieldId, Schema as TableSchema};
use strandline::transaction::Rows;
use strandline::{ErrorKind, Report, Table, Transaction};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::args::ForTheLog;
use crate::context::{Context, near_table};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::names::{self, Columns};
use crate::output::{Cell, Kind as CellKind, Record, counted, number, size, text};
use crate::progress::Progress;
use crate::source::{Input, Kind, Override, Reading, Required, Source, check_given};

/// Reads files into a table, in one commit
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The table, which is made if it is not there
    #[arg(value_parser = names::table)]
    table: String,
    /// The files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The format: csv, ndjson, parquet or arrow [default: what the files' names say]
    #[arg(short, long, value_enum, hide_possible_values = true)]
    format: Option<Kind>,
    /// What becomes of the rows that are there
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// The columns that identify a row: of a table that is made, or for an upsert
    #[arg(long, value_name = "COLUMN,…")]
    key: Vec<Columns>,
    /// Fails if the table is not there
    #[arg(long)]
    no_create: bool,
    /// The type of a column, instead of an inferred one, as in zip=string; may be given several times
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    types: Vec<Override>,
    /// What stands between the values of CSV [default: a comma, a tab in files called .tsv]
    #[arg(long, value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The first line of CSV names no columns
    #[arg(long)]
    no_header: bool,
    /// Imports once, however often it is run with this key
    #[arg(long, value_name = "KEY")]
    once: Option<String>,
    #[command(flatten)]
    log: ForTheLog,
}

/// What becomes of the rows that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// They stay
    #[default]
    Append,
    /// They go
    Overwrite,
    /// Those with the key of a row that comes are replaced by it
    Upsert,
}

/// What was imported.
#[derive(Serialize)]
struct Imported {
    table: String,
    /// `None`: nothing was committed, since nothing would have changed.
    version: Option<u64>,
    rows_added: u64,
    rows_removed: u64,
    files_added: u64,
    bytes_uploaded: u64,
    /// Whether an earlier run with the same key had done it.
    already: bool,
}

impl Record for Imported {
    const COLUMNS: &'static [(&'static str, CellKind)] = &[
        text("table"),
        number("version"),
        number("rows added"),
        number("rows removed"),
        number("files added"),
        number("bytes uploaded"),
        text("already"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.table),
            self.version.map_or(Cell::None, Cell::Number),
            Cell::Number(self.rows_added),
            Cell::Number(self.rows_removed),
            Cell::Number(self.files_added),
            Cell::Bytes(self.bytes_uploaded),
            Cell::text(self.already.to_string()),
        ]
    }
}

/// How often rows are put in again, and for how long: as a commit is tried.
const PATIENCE: (u32, Duration) = (100, Duration::from_secs(60));

/// What collides with what others have committed meanwhile, an upsert or a table that others have made too, has done nothing, and is begun
/// again if its files can be read again.
pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let (begun, (times, patience)) = (Instant::now(), PATIENCE);
    let may_repeat = args.files.iter().all(|file| is_kept(file));
    for _ in 0..if may_repeat { times } else { 0 } {
        match Box::pin(import(context, &args)).await {
            Err(failure) if failure.collides() && begun.elapsed() < patience => {}
            outcome => return outcome,
        }
    }
    Box::pin(import(context, &args)).await
}

/// Whether a file can be read more than once.
fn is_kept(file: &str) -> bool {
    std::fs::metadata(file).is_ok_and(|data| data.is_file())
}

async fn import(context: &Context, args: &Args) -> Result<()> {
    let progress = progress(context, args);
    let shown = progress.show();
    let work = interrupt::before_commit(Box::pin(transact(context, args, &progress))).await;
    let (transaction, made) = work.map_err(uncommitted)?;
    let came = Came { made, rows: progress.rows() };
    if !is_to_be_seen(args) && transaction.changes_nothing().await? {
        transaction.abandon().await;
        drop(shown);
        return say_nothing(context, &args.table, &transaction, came);
    }
    progress.names("committing");
    let mut commit = transaction.commit().message(message(args));
    if let Some(author) = &args.log.author {
        commit = commit.author(author);
    }
    let report = interrupt::commit(context, &transaction, commit).await?;
    drop(shown);
    say(context, &args.table, &report, came)
}

/// Whether there is to be a version whatever comes of it: one that is found by its key, or says what it was told to say.
fn is_to_be_seen(args: &Args) -> bool {
    args.once.is_some() || args.log.message.is_some()
}

/// What is said of a failure before the commit.
fn uncommitted(failure: Failure) -> Failure {
    if failure.is(ErrorKind::Unavailable) {
        return failure.hint("nothing was committed; try again, or see what `strand doctor` can reach");
    }
    match failure.is(ErrorKind::InvalidInput) {
        true => failure.hint_if_none("nothing was committed"),
        false => failure,
    }
}

/// What came out of the files.
#[derive(Clone, Copy)]
struct Came {
    /// Whether the table was made for it.
    made: bool,
    rows: u64,
}

fn message(args: &Args) -> String {
    args.log.message.clone().unwrap_or_else(|| format!("import into {}", args.table))
}

fn progress(context: &Context, args: &Args) -> Progress {
    let sizes = args.files.iter().map(|file| std::fs::metadata(file).ok().map(|data| data.len()));
    Progress::of_bytes(context, "importing", sizes.sum(), args.files.len())
}

/// Does all but the commit, and tells whether the table was made for it.
async fn transact(context: &Context, args: &Args, progress: &Progress) -> Result<(Transaction, bool)> {
    let lake = context.lake().await?;
    progress.writes_to(lake.storage().objects());
    let mut begin = context.begin(&lake).await?;
    if let Some(key) = &args.once {
        begin = begin.key(key);
    }
    let transaction = begin.await.map_err(|error| Failure::from(error).of_arguments())?;
    if transaction.committed_before().is_some() {
        return Ok((transaction, false));
    }
    let mut table = known(context, &transaction, args).await?;
    let made = table.is_none();
    let mut reading = match &table {
        Some(table) => into_table(table, args)?,
        None => into_another(args),
    };
    let mut sources = Vec::new();
    for file in &args.files {
        let source = open(context, file, args, reading.clone(), progress).await?;
        if source.schema.fields().is_empty() {
            let empty = Failure::input(format!("{}: there are no columns in it", source.place));
            return Err(empty.hint("nothing was committed"));
        }
        let table = match &table {
            Some(table) => table,
            None => {
                let made = create(&transaction, args, &source).await?;
                let of_table = Some(made.arrow_schema());
                reading = Reading { overrides: Vec::new(), table: of_table, made: true, ..reading };
                table.insert(made)
            }
        };
        sources.push(source.fitting(table.schema())?.stream(progress.clone()));
    }
    let rows = Rows::stream(stream::iter(sources).flatten().boxed());
    write(&transaction, args, rows).await?;
    Ok((transaction, made))
}

/// How rows are read for a table that is there.
fn into_table(table: &Table, args: &Args) -> Result<Reading> {
    let key = Columns::names(&args.key);
    if args.mode != Mode::Upsert && !key.is_empty() && key_of(table) != key {
        return Err(Failure::usage(format!(
            "--key is for a table that is made and for --mode upsert, and {:?} is there with another key",
            args.table
        )));
    }
    check_given(&args.types, table.schema())?;
    let required = table.schema().fields().iter().filter(|field| field.required);
    let required = Required::of(required.map(|field| field.name.as_str()));
    let defaults = table.schema().fields().iter().filter(|field| field.default.is_some());
    let defaults = defaults.map(|field| field.name.as_str().to_owned()).collect();
    let (delimiter, no_header) = (args.delimiter, args.no_header);
    let table = Some(table.arrow_schema());
    Ok(Reading { table, made: false, required, defaults, overrides: Vec::new(), delimiter, no_header })
}

/// The same for one that is made.
fn into_another(args: &Args) -> Reading {
    let key = Columns::names(&args.key);
    let required = Required::of(key.iter().map(String::as_str));
    let (delimiter, no_header) = (args.delimiter, args.no_header);
    let (defaults, overrides) = (Vec::new(), args.types.clone());
    Reading { table: None, made: false, required, defaults, overrides, delimiter, no_header }
}

/// The table, if it is there.
async fn known(context: &Context, transaction: &Transaction, args: &Args) -> Result<Option<Table>> {
    let error = match transaction.table(&args.table).await {
        Ok(table) => return Ok(Some(table)),
        Err(error) if error.kind() == ErrorKind::NotFound && !args.no_create => return Ok(None),
        Err(error) => Failure::from(error),
    };
    Err(near_table(&context.at().await?, &args.table, error).await.of_arguments())
}

async fn open(
    context: &Context,
    file: &str,
    args: &Args,
    mut reading: Reading,
    progress: &Progress,
) -> Result<Source> {
    if Path::new(file).is_dir() {
        let folder = Failure::usage(format!("{file:?} is a folder, not a file"));
        return Err(folder.hint("several files are named one by one, as by folder/*.csv"));
    }
    let kind = args.format.or_else(|| Kind::of_name(file)).ok_or_else(|| {
        Failure::usage(format!("the name {file:?} does not say a format"))
            .hint("--format is one of csv, ndjson, parquet and arrow")
    })?;
    if reading.delimiter.is_none() && file.to_ascii_lowercase().ends_with(".tsv") {
        reading.delimiter = Some(b'\t');
    }
    let input = Input::open(file, context.runtime.environment())?;
    let progress = progress.clone();
    let opened = spawn_blocking(move || Source::open(input, kind, &reading, &progress)).await;
    opened.map_err(|error| Failure::input(format!("{file}: the reader was stopped: {error}")))?
}

/// The columns of a table's key.
fn key_of(table: &Table) -> Vec<String> {
    let column = |id: &FieldId| table.schema().field(*id).map(|field| field.name.as_str().to_owned());
    table.key().iter().filter_map(column).collect()
}

async fn create(transaction: &Transaction, args: &Args, source: &Source) -> Result<Table> {
    let key = Columns::names(&args.key);
    let schema = keyed(&source.schema, &key);
    // What columns a file has is no mistake of the command line.
    let columns = fields_from_arrow(&schema).and_then(|columns| Ok(TableSchema::of_new_table(columns)?));
    columns.map_err(|error| Failure::from(error).at(&source.place))?;
    let table = transaction.create_table(&args.table).like(&schema).key(&key).with_namespaces();
    table.await.map_err(|error| Failure::from(error).of_arguments())
}

/// The same columns, those of the key without nulls.
fn keyed(schema: &Schema, key: &[String]) -> Schema {
    let field = |field: &std::sync::Arc<Field>| {
        let is_key = key.iter().any(|name| names::are_one(name, field.name()));
        field.as_ref().clone().with_nullable(!is_key && field.is_nullable())
    };
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

async fn write(transaction: &Transaction, args: &Args, rows: Rows) -> Result<()> {
    match args.mode {
        Mode::Append => transaction.append(&args.table, rows).await.map(drop)?,
        Mode::Overwrite => transaction.overwrite(&args.table, rows).await.map(drop)?,
        Mode::Upsert if args.key.is_empty() => transaction.upsert(&args.table, rows).await.map(drop)?,
        Mode::Upsert => {
            let key = Columns::names(&args.key);
            transaction.upsert(&args.table, rows).by(&key).await.map(drop)?;
        }
    }
    Ok(())
}

fn say(context: &Context, table: &str, report: &Report, came: Came) -> Result<()> {
    let of_table = report.tables.iter().find(|found| names::are_one(&found.name, table));
    let (rows, files) = of_table.map(|found| (found.rows, found.files)).unwrap_or_default();
    let imported = Imported {
        table: table.to_owned(),
        version: Some(report.commit.version().0),
        rows_added: rows.0,
        rows_removed: rows.1,
        files_added: files.0,
        bytes_uploaded: report.bytes_uploaded,
        already: report.already,
    };
    let version = report.commit.version();
    let sentence = match (report.already, rows) {
        (true, _) => format!("nothing to do: this was imported as version {version}"),
        (false, (0, 0)) if came.rows == 0 && came.made => {
            format!("made {table}, into which no rows came: version {version}")
        }
        (false, (0, 0)) if came.rows == 0 => {
            format!("no rows came: version {version}: {table} has the rows that it had")
        }
        // Files that come out byte for byte as they were stay where they are.
        (false, (0, 0)) => format!("version {version}: {table} has the rows that it had"),
        (false, _) => format!(
            "imported {} into {table}: version {version}, {} uploaded",
            counted(rows.0, "row"),
            size(report.bytes_uploaded)
        ),
    };
    context.out.done(&imported, sentence)
}

/// What is said where nothing was committed.
fn say_nothing(context: &Context, table: &str, transaction: &Transaction, came: Came) -> Result<()> {
    let imported = Imported {
        table: table.to_owned(),
        version: None,
        rows_added: 0,
        rows_removed: 0,
        files_added: 0,
        bytes_uploaded: 0,
        already: false,
    };
    let why = if came.rows == 0 { "no rows came" } else { "nothing to do" };
    let version = transaction.start().version();
    context.out.done(&imported, format!("{why}: {table} has the rows that it had in version {version}"))
}

fn delimiter(text: &str) -> std::result::Result<u8, String> {
    match text {
        "\\t" | "tab" => Ok(b'\t'),
        _ if text.len() == 1 => Ok(text.as_bytes()[0]),
        _ => Err("it is one character of ASCII, or tab".to_owned()),
    }
}
