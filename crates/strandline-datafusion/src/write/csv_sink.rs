//! `COPY … TO` CSV that tells NULL from a text of no characters, as what reads it does.
//!
//! DataFusion plans the statement and its options; only what writes rows as text is ours, and it is the one of `strand export`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::{QuoteStyle, WriterBuilder};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::FormatOptions;
use datafusion::common::file_options::csv_writer::CsvWriterOptions;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::file_format::csv::CsvSink;
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, SendableRecordBatchStream};
use datafusion_datasource::file_sink_config::{FileSink, FileSinkConfig};
use datafusion_datasource::write::BatchSerializer;
use datafusion_datasource::write::demux::DemuxedStreamReceiver;
use datafusion_datasource::write::orchestration::spawn_writer_tasks_and_join;
use object_store::ObjectStore;

use crate::text::{Quotes, Sheet};

/// The same plan, of which what writes CSV writes it as we read it.
pub(crate) fn as_read(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let Some(exec) = plan.downcast_ref::<DataSinkExec>() else { return plan };
    let Some(sink) = (exec.sink() as &dyn std::any::Any).downcast_ref::<CsvSink>() else { return plan };
    let ours = Sink { config: sink.config().clone(), options: sink.writer_options().clone() };
    Arc::new(DataSinkExec::new(Arc::clone(exec.input()), Arc::new(ours), exec.sort_order().clone()))
}

struct Sink {
    config: FileSinkConfig,
    options: CsvWriterOptions,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsvSink")
    }
}

impl DisplayAs for Sink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsvSink(file={})", self.config.original_url)
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
        let CsvWriterOptions { writer_options, compression, compression_level } = self.options.clone();
        let rows = Arc::new(Rows(writer_options));
        let compression = compression.into();
        spawn_writer_tasks_and_join(context, rows, compression, compression_level, store, demux_task, files)
            .await
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
