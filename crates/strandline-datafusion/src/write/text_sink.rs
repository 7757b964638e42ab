//! `COPY … TO` CSV that tells NULL from a text of no characters, as what reads it does, and JSON whose values are those that `strand export` writes.
//!
//! DataFusion plans the statement and its options; only what writes rows as text is ours. Invariants: no file is there before all rows of all
//! files of the statement are written; what a store says is told of the file that it says it of.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::{QuoteStyle, WriterBuilder};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::json::writer::{LineDelimited, WriterBuilder as JsonBuilder};
use datafusion::arrow::util::display::FormatOptions;
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::file_format::csv::CsvSink;
use datafusion::datasource::file_format::json::JsonSink;
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, SendableRecordBatchStream};
use datafusion_datasource::file_sink_config::{FileSink, FileSinkConfig};
use datafusion_datasource::write::demux::DemuxedStreamReceiver;
use datafusion_datasource::write::{BatchSerializer, ObjectWriterBuilder};
use futures::stream::{self, StreamExt};
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;
use strandline::ErrorKind;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::Receiver;

use crate::error::{external, lake_error, refused, store_told};
use crate::text::cells::Texts;
use crate::text::{Quotes, Sheet};

/// The same plan, of which what writes text writes it as we read it.
pub(crate) fn as_read(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let Some(exec) = plan.downcast_ref::<DataSinkExec>() else { return plan };
    let Some(sink) = Sink::of(exec.sink()) else { return plan };
    Arc::new(DataSinkExec::new(Arc::clone(exec.input()), Arc::new(sink), exec.sort_order().clone()))
}

/// Refuses a COPY whose options nobody heeds, or which would put a file in the place of what is none, as of a device.
///
/// # Errors
/// `Unsupported` and `InvalidInput`.
pub(crate) fn check_copy(copy: &CopyTo) -> Result<()> {
    let lines = copy.options.iter().find(|(name, _)| name.eq_ignore_ascii_case("format.newline_delimited"));
    if lines.is_some_and(|(_, value)| value.eq_ignore_ascii_case("false")) {
        let message = "COPY TO writes JSON as an object on each line, and no array";
        return Err(refused(ErrorKind::Unsupported, message));
    }
    let place = Path::new(copy.output_url.strip_prefix("file://").unwrap_or(&copy.output_url));
    let folder = match std::fs::metadata(place) {
        Ok(found) if found.is_dir() => Some(place),
        Ok(found) if !found.is_file() => {
            let message = format!("{} is no file, and would become one", place.display());
            return Err(refused(ErrorKind::InvalidInput, message));
        }
        _ => place.parent(),
    };
    // The folder of a name alone is this one, which has an empty path.
    folder.filter(|folder| Path::new(".").join(folder).is_dir()).map_or(Ok(()), check_folder)
}

/// Refuses a folder that has no place for files, as /proc is: the store would try to make it, without end.
fn check_folder(folder: &Path) -> Result<()> {
    let probe = folder.join(".strandline-probe");
    match std::fs::File::create_new(&probe) {
        Ok(_) => Ok(std::fs::remove_file(&probe)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("no file can be made in {}", folder.display());
            Err(refused(ErrorKind::InvalidInput, message))
        }
        // What else is wrong, the store says when it writes.
        Err(_) => Ok(()),
    }
}

/// The error of a COPY; that there is no room for its files is told of them, however deep it stands.
pub(crate) fn full(error: DataFusionError, place: &str) -> DataFusionError {
    if lake_error(&error).is_some() {
        return error;
    }
    match store_told(&error, place) {
        Some(told) if told.kind() == ErrorKind::StoreFull => external(told),
        _ => error,
    }
}

struct Sink {
    /// What plans call it.
    name: &'static str,
    config: FileSinkConfig,
    rows: Arc<dyn BatchSerializer>,
    compression: (CompressionTypeVariant, Option<u32>),
}

impl Sink {
    /// Ours for one of DataFusion's, if it writes text.
    fn of(sink: &dyn DataSink) -> Option<Self> {
        let sink = sink as &dyn std::any::Any;
        if let Some(csv) = sink.downcast_ref::<CsvSink>() {
            let options = csv.writer_options().clone();
            let compression = (options.compression, options.compression_level);
            let rows = Arc::new(Rows(options.writer_options));
            return Some(Self { name: "CsvSink", config: csv.config().clone(), rows, compression });
        }
        let json = sink.downcast_ref::<JsonSink>()?;
        let options = json.writer_options();
        let compression = (options.compression, options.compression_level);
        Some(Self { name: "JsonSink", config: json.config().clone(), rows: Arc::new(Objects), compression })
    }
}

impl Sink {
    /// What messages call a file.
    fn name_of(&self, place: &ObjectPath) -> String {
        match self.config.object_store_url.as_str() {
            "file:///" => format!("/{place}"),
            store => format!("{store}{place}"),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl DisplayAs for Sink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(file={})", self.name, self.config.original_url)
    }
}

#[async_trait]
impl FileSink for Sink {
    fn config(&self) -> &FileSinkConfig {
        &self.config
    }

    async fn spawn_writer_tasks_and_join(
        &self,
        context: &Arc<TaskContext>,
        demux_task: SpawnedTask<Result<()>>,
        mut files: DemuxedStreamReceiver,
        store: Arc<dyn ObjectStore>,
    ) -> Result<u64> {
        let options = context.session_config();
        let (at_once, buffer) =
            (options.target_partitions(), options.options().execution.objectstore_writer_buffer_size);
        let mut writing = Vec::new();
        while let Some((place, batches)) = files.recv().await {
            let (compression, level) = self.compression;
            let writer = ObjectWriterBuilder::new(compression.into(), &place, Arc::clone(&store))
                .with_buffer_size(Some(buffer))
                .with_compression_level(level)
                .build()?;
            let file = File { name: self.name_of(&place), writer, rows: 0 };
            writing.push(SpawnedTask::spawn(file.write(Arc::clone(&self.rows), batches, at_once)));
        }
        let mut written = Vec::new();
        for file in writing {
            written.push(joined(file).await?);
        }
        joined(demux_task).await?;
        let mut rows = 0;
        for file in written {
            rows += file.end().await?;
        }
        Ok(rows)
    }
}

async fn joined<T: Send + 'static>(task: SpawnedTask<Result<T>>) -> Result<T> {
    task.join_unwind().await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?
}

/// One that is being written.
struct File {
    name: String,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    rows: u64,
}

impl File {
    /// Writes all batches, so many of which become text at once.
    async fn write(
        mut self,
        rows: Arc<dyn BatchSerializer>,
        batches: Receiver<RecordBatch>,
        at_once: usize,
    ) -> Result<Self> {
        let batches = stream::unfold((batches, true), |(mut batches, is_first)| async move {
            let batch = batches.recv().await?;
            Some(((batch, is_first), (batches, false)))
        });
        let texts = batches.map(move |(batch, is_first)| {
            let rows = Arc::clone(&rows);
            joined(SpawnedTask::spawn(async move {
                Ok((batch.num_rows() as u64, rows.serialize(batch, is_first)?))
            }))
        });
        let mut texts = std::pin::pin!(texts.buffered(at_once.max(1)));
        while let Some(text) = texts.next().await {
            let (rows, text) = text?;
            self.writer.write_all(&text).await.map_err(|error| told(error, &self.name))?;
            self.rows += rows;
        }
        Ok(self)
    }

    /// Makes the file be there; how many rows it has.
    async fn end(mut self) -> Result<u64> {
        self.writer.shutdown().await.map_err(|error| told(error, &self.name))?;
        Ok(self.rows)
    }
}

/// What a store said of a file.
fn told(error: std::io::Error, name: &str) -> DataFusionError {
    let error = DataFusionError::IoError(error);
    store_told(&error, name).map_or(error, external)
}

#[async_trait]
impl DataSink for Sink {
    fn schema(&self) -> &SchemaRef {
        self.config.output_schema()
    }

    async fn write_all(&self, data: SendableRecordBatchStream, context: &Arc<TaskContext>) -> Result<u64> {
        FileSink::write_all(self, data, context).await
    }
}

/// Writes batches by these options.
struct Rows(WriterBuilder);

impl Rows {
    fn sheet(&self) -> Sheet<'_> {
        let options = &self.0;
        let formats = FormatOptions::default()
            .with_date_format(options.date_format())
            .with_datetime_format(options.datetime_format())
            .with_timestamp_format(options.timestamp_format())
            .with_timestamp_tz_format(options.timestamp_tz_format())
            .with_time_format(options.time_format());
        Sheet {
            delimiter: options.delimiter(),
            quote: options.quote(),
            escape: (!options.double_quote()).then(|| options.escape()),
            null: options.null(),
            quotes: match options.quote_style() {
                QuoteStyle::Always => Quotes::All,
                QuoteStyle::NonNumeric => Quotes::Texts,
                QuoteStyle::Never => Quotes::Never,
                _ => Quotes::Needed,
            },
            trims: (options.ignore_leading_whitespace(), options.ignore_trailing_whitespace()),
            formats,
        }
    }
}

impl BatchSerializer for Rows {
    fn serialize(&self, batch: RecordBatch, initial: bool) -> Result<Bytes> {
        let (sheet, mut out) = (self.sheet(), Vec::new());
        if initial && self.0.header() {
            let schema = batch.schema();
            sheet.record(schema.fields().iter().map(|field| Some(field.name().as_str())), &mut out);
        }
        sheet.rows(&batch, &mut out)?;
        Ok(out.into())
    }
}

/// Writes batches as objects, each on a line.
struct Objects;

impl BatchSerializer for Objects {
    fn serialize(&self, batch: RecordBatch, _: bool) -> Result<Bytes> {
        // What is left out would be a default for who reads it.
        let builder = JsonBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(Texts));
        let mut writer = builder.build::<_, LineDelimited>(Vec::new());
        writer.write(&batch)?;
        writer.finish()?;
        Ok(writer.into_inner().into())
    }
}
