//! `COPY t FROM 'files'`: an INSERT of what is found in files.
//!
//! Files are Parquet, Arrow, CSV or JSON by lines, one or all of a folder or pattern. Those that say their types are read by DataFusion, and text
//! by our own reader, which takes the types from the table. Columns are found by their names, or by their place where a
//! CSV file has none, or where the statement lists them. Invariant: a column of a file that the table does not have is an error, never
//! passed over. What does not belong here: `COPY … TO`, and how text is read (`text_files`).

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::common::TableReference;
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{CopyOption, CopySource, CopyTarget, Statement};
use strandline::ErrorKind;

use super::text_files::{Form, Reading, TextFiles};
use crate::error::refused;
use crate::sql::folded;
use crate::text::Csv;

/// The name of the files in messages and plans.
const FILES: &str = "files";

/// A plan that inserts what files hold. Requests: those that it takes to find the files, and to look into the first of them.
///
/// # Errors
/// `NotFound` if there are no such files or table; `InvalidInput` for columns that the table does not have; `Unsupported` for options that
/// are not known.
pub(crate) async fn copy_from(state: &SessionState, statement: &Statement) -> Result<LogicalPlan> {
    let Statement::Copy { source, to: false, target, options, legacy_options, .. } = statement else {
        return Err(refused(ErrorKind::Unsupported, "COPY FROM takes files: write COPY t FROM 'files'"));
    };
    let CopySource::Table { table_name, columns } = source else {
        return Err(refused(ErrorKind::Unsupported, "COPY FROM goes into a table"));
    };
    let CopyTarget::File { filename } = target else {
        return Err(refused(ErrorKind::Unsupported, "COPY FROM takes files: write COPY t FROM 'files'"));
    };
    if let Some(option) = legacy_options.first() {
        let message = format!("{option}: write options as WITH (FORMAT csv, HEADER, DELIMITER ';')");
        return Err(refused(ErrorKind::Unsupported, message));
    }
    let fold = state.config_options().sql_parser.enable_ident_normalization;
    let name = object_name_to_table_reference(table_name.clone(), fold)?;
    let listed: Vec<String> = columns.iter().map(|name| folded(name, fold)).collect();
    let files = Files::new(filename, options)?;
    files.inserted_into(state, name, &listed).await
}

/// Which files, and how they are read.
struct Files {
    url: String,
    kind: Kind,
    compression: FileCompressionType,
    csv: Csv,
}

/// Who reads them.
enum Source {
    Typed(Arc<dyn FileFormat>),
    Text(Form),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Parquet,
    Arrow,
    Csv,
    Json,
}

impl Files {
    fn new(url: &str, options: &[CopyOption]) -> Result<Self> {
        let (compression, bare) = compression(url);
        let mut kind = kind(bare.rsplit('.').next().unwrap_or_default());
        let mut csv = Csv::default();
        for option in options {
            match option {
                CopyOption::Format(format) => kind = Some(named_kind(&format.value)?),
                CopyOption::Header(header) => csv.header = *header,
                CopyOption::Delimiter(delimiter) => csv.delimiter = byte(*delimiter)?,
                CopyOption::Quote(quote) => csv.quote = byte(*quote)?,
                CopyOption::Escape(escape) => csv.escape = Some(byte(*escape)?),
                CopyOption::Null(null) => csv.null.clone_from(null),
                other => {
                    let message = format!(
                        "COPY FROM has no option {other}: it has FORMAT, HEADER, DELIMITER, QUOTE, ESCAPE and NULL"
                    );
                    return Err(refused(ErrorKind::Unsupported, message));
                }
            }
        }
        let Some(kind) = kind else {
            let message =
                format!("{url:?} does not tell its format: write WITH (FORMAT parquet), arrow, csv or json");
            return Err(refused(ErrorKind::InvalidInput, message));
        };
        let of_csv = |option: &CopyOption| !matches!(option, CopyOption::Format(_));
        if let Some(option) = options.iter().find(|option| kind != Kind::Csv && of_csv(option)) {
            return Err(refused(ErrorKind::InvalidInput, format!("{option} is an option of CSV files only")));
        }
        Ok(Self { url: url.to_owned(), kind, compression, csv })
    }

    fn source(&self) -> Source {
        match self.kind {
            Kind::Parquet => Source::Typed(Arc::new(ParquetFormat::default())),
            Kind::Arrow => Source::Typed(Arc::new(ArrowFormat)),
            Kind::Csv => Source::Text(Form::Csv(self.csv.clone())),
            Kind::Json => Source::Text(Form::Ndjson),
        }
    }

    /// The plan of their rows going into a table.
    async fn inserted_into(
        &self,
        state: &SessionState,
        name: TableReference,
        listed: &[String],
    ) -> Result<LogicalPlan> {
        let provider = state.schema_for_ref(name.clone())?.table(name.table()).await?;
        let Some(provider) = provider else {
            return Err(refused(ErrorKind::NotFound, format!("there is no table {name}")));
        };
        let target = provider.schema();
        for name in listed {
            place(&target, name)?;
        }
        // What is kept of an earlier listing lacks files that came since, and does not say of which store it is.
        if let Some(listed) = state.runtime_env().cache_manager.get_list_files_cache() {
            listed.clear();
        }
        let url = ListingTableUrl::parse(&self.url)?;
        let (files, columns): (Arc<dyn TableProvider>, _) = match self.source() {
            Source::Text(form) => {
                let reading = Reading::new(form, self.compression, provider.as_ref(), listed)?;
                let files = TextFiles::found(reading, url, state).await?;
                let columns = files.schema().fields().iter().cloned().zip(0..).collect();
                (Arc::new(files), columns)
            }
            Source::Typed(format) => {
                let options = ListingOptions::new(format).with_file_extension("");
                let found = options.infer_schema(state, &url).await?;
                let columns = self.columns(&found, &target, listed)?;
                let fields: Vec<FieldRef> = columns.iter().map(|(field, _)| Arc::clone(field)).collect();
                let config = ListingTableConfig::new(url).with_listing_options(options);
                let config = config.with_schema(Arc::new(Schema::new(fields)));
                (Arc::new(ListingTable::try_new(config)?), columns)
            }
        };
        let target_source = provider_as_source(Arc::clone(&provider));
        let scan = LogicalPlanBuilder::scan(FILES, provider_as_source(files), None)?;
        let rows = rows(&scan, &target, &columns, |column| provider.get_column_default(column).cloned())?;
        let input = scan.project(rows)?.build()?;
        LogicalPlanBuilder::insert_into(input, name, target_source, InsertOp::Append)?.build()
    }

    /// The columns of files that say their types, each with the column of the table that it goes into.
    fn columns(&self, found: &Schema, target: &Schema, listed: &[String]) -> Result<Vec<(FieldRef, usize)>> {
        if found.fields().is_empty() {
            let message = format!("{:?}: no files, or none with columns", self.url);
            return Err(refused(ErrorKind::NotFound, message));
        }
        let has = |name: &&String| !found.fields().iter().any(|field| same(name, field.name()));
        if let Some(missing) = listed.iter().find(has) {
            let message = format!("{:?} has no column {missing:?}", self.url);
            return Err(refused(ErrorKind::InvalidInput, message));
        }
        let wanted =
            |field: &&FieldRef| listed.is_empty() || listed.iter().any(|one| same(one, field.name()));
        let columns = found.fields().iter().filter(wanted).map(|field| {
            let at =
                place(target, field.name()).map_err(|error| error.context(format!("file {:?}", self.url)))?;
            Ok((Arc::new(Field::new(field.name(), field.data_type().clone(), true)), at))
        });
        columns.collect()
    }
}

/// The columns of the table: from the files, or their defaults.
fn rows(
    scan: &LogicalPlanBuilder,
    target: &SchemaRef,
    columns: &[(FieldRef, usize)],
    default: impl Fn(&str) -> Option<Expr>,
) -> Result<Vec<Expr>> {
    let value = |(at, field): (usize, &FieldRef)| {
        let value = match columns.iter().find(|(_, to)| *to == at) {
            Some((from, _)) => Expr::Column(Column::new(Some(FILES), from.name())),
            None => {
                default(field.name()).unwrap_or(Expr::Literal(datafusion::common::ScalarValue::Null, None))
            }
        };
        Ok(value.cast_to(field.data_type(), scan.schema())?.alias(field.name()))
    };
    target.fields().iter().enumerate().map(value).collect()
}

fn same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// Where a column stands in a table.
fn place(target: &Schema, name: &str) -> Result<usize> {
    target.fields().iter().position(|field| same(field.name(), name)).ok_or_else(|| {
        let names: Vec<&str> = target.fields().iter().map(|field| field.name().as_str()).collect();
        let message = format!("the table has no column {name:?}: it has {}", names.join(", "));
        refused(ErrorKind::InvalidInput, message)
    })
}

/// How a file is compressed, and its name without that.
fn compression(url: &str) -> (FileCompressionType, &str) {
    let kinds = [
        (".gz", CompressionTypeVariant::GZIP),
        (".bz2", CompressionTypeVariant::BZIP2),
        (".xz", CompressionTypeVariant::XZ),
        (".zst", CompressionTypeVariant::ZSTD),
    ];
    let found = kinds
        .into_iter()
        .find_map(|(end, kind)| Some((FileCompressionType::from(kind), url.strip_suffix(end)?)));
    found.unwrap_or((FileCompressionType::UNCOMPRESSED, url))
}

fn kind(extension: &str) -> Option<Kind> {
    match extension.to_lowercase().as_str() {
        "parquet" => Some(Kind::Parquet),
        "arrow" | "ipc" | "feather" => Some(Kind::Arrow),
        "csv" => Some(Kind::Csv),
        "json" | "jsonl" | "ndjson" => Some(Kind::Json),
        _ => None,
    }
}

fn named_kind(name: &str) -> Result<Kind> {
    kind(name).ok_or_else(|| {
        refused(ErrorKind::Unsupported, format!("no format {name:?}: there are parquet, arrow, csv and json"))
    })
}

fn byte(letter: char) -> Result<u8> {
    u8::try_from(letter).ok().filter(u8::is_ascii).ok_or_else(|| {
        refused(ErrorKind::InvalidInput, format!("{letter:?} is not a letter that can divide a CSV file"))
    })
}
