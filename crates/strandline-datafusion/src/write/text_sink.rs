//! `COPY … TO` CSV that tells NULL from a text of no characters, as what reads it does, and JSON whose values are those that `strand export` writes.
//!
//! DataFusion plans the statement and its options; only what writes rows as text is ours.

use std::fmt;
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
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, SendableRecordBatchStream};
use datafusion_datasource::file_sink_config::{FileSink, FileSinkConfig};
use datafusion_datasource::write::BatchSerializer;
use datafusion_datasource::write::demux::DemuxedStreamReceiver;
use datafusion_datasource::write::orchestration::spawn_writer_tasks_and_join;
use object_store::ObjectStore;

use crate::text::cells::Texts;
use crate::text::{Quotes, Sheet};

/// The same plan, of which what writes text writes it as we read it.
pub(crate) fn as_read(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let Some(exec) = plan.downcast_ref::<DataSinkExec>() else { return plan };
    let Some(sink) = Sink::of(exec.sink()) else { return plan };
    Arc::new(DataSinkExec::new(Arc::clone(exec.input()), Arc::new(sink), exec.sort_order().clone()))
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
        files: DemuxedStreamReceiver,
        store: Arc<dyn ObjectStore>,
    ) -> Result<u64> {
        let (compression, level) = self.compression;
        let rows = Arc::clone(&self.rows);
        spawn_writer_tasks_and_join(context, rows, compression.into(), level, store, demux_task, files).await
    }
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
