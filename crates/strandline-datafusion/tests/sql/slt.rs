//! Walks the scripts in `slt/`: statements with what they give, each script on a lake of its own.
//!
//! A connection is a session; `connection other` in a script is another session on the same lake. Errors are compared with the
//! text that the SDK gives them, which begins with their kind. A file that is no script fails, so that none is overlooked.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, UInt64Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner, parse_file};
use strandline::Lake;
use strandline_datafusion::{Session, lake_error};

#[tokio::test(flavor = "multi_thread")]
async fn scripts_give_what_they_say() {
    let mut failures = Vec::new();
    let scripts = scripts();
    assert!(!scripts.is_empty());
    for script in scripts {
        failures.extend(run(&script).await);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Every file of the folder, in order.
fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql/slt");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        assert_eq!(
            file.extension().and_then(|end| end.to_str()),
            Some("slt"),
            "{} is no script",
            file.display()
        );
    }
    files
}

/// All that a script says otherwise than it is.
async fn run(script: &Path) -> Vec<String> {
    let name = script.file_stem().unwrap().to_string_lossy().into_owned();
    let lake = Lake::create(format!("memory://slt-{name}")).await.unwrap();
    let mut runner = Runner::new(|| async { Ok(Connection(Session::new(&lake).map_err(Failure)?)) });
    let mut failures = Vec::new();
    for record in parse_file(script).unwrap() {
        if let Err(error) = Box::pin(runner.run_async(record)).await {
            failures.push(error.to_string());
        }
    }
    failures
}

/// A session that is asked by a script.
struct Connection(Session);

/// An error with the text of the SDK's, if it is one.
#[derive(Debug)]
struct Failure(DataFusionError);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match lake_error(&self.0) {
            Some(error) => write!(f, "{error}"),
            None => write!(f, "{}", self.0.strip_backtrace()),
        }
    }
}

impl std::error::Error for Failure {}

#[async_trait]
impl AsyncDB for Connection {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let frame = self.0.sql(sql).await.map_err(Failure)?;
        let schema = std::sync::Arc::clone(frame.schema().inner());
        let batches = frame.collect().await.map_err(Failure)?;
        if schema.fields().is_empty() {
            return Ok(DBOutput::StatementComplete(0));
        }
        if schema.fields().len() == 1
            && schema.field(0).name() == "count"
            && schema.field(0).data_type() == &DataType::UInt64
        {
            let count =
                batches.iter().map(|batch| batch.column(0).as_primitive::<UInt64Type>().value(0)).sum();
            return Ok(DBOutput::StatementComplete(count));
        }
        let types = schema.fields().iter().map(|field| kind(field.data_type())).collect();
        Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(lines).collect() })
    }

    async fn shutdown(&mut self) {}
}

fn kind(ty: &DataType) -> DefaultColumnType {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DefaultColumnType::Text,
        ty if ty.is_integer() => DefaultColumnType::Integer,
        ty if ty.is_numeric() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Any,
    }
}

fn lines(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let formatters: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    let cell = |row: usize, formatter: &ArrayFormatter<'_>| match formatter.value(row).to_string() {
        text if text.is_empty() => "(empty)".to_owned(),
        text => text,
    };
    (0..batch.num_rows())
        .map(|row| formatters.iter().map(|formatter| cell(row, formatter)).collect())
        .collect()
}
