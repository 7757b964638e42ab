//! Text files as a table of the columns that another one has: what `COPY … FROM` reads of CSV and JSON.
//!
//! Each file says by itself which of the columns it has, and what it has not is the column's default. Invariant: what is wrong is told of the file and its line.
//! What does not belong here: what a text is as a value (`text`), and the options of the statement (`copy`).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use strandline::ErrorKind;
use strandline::format::NameKey;

use crate::error::refused;
use crate::text::{About, CHUNK, Columns, Csv, Misread, Reader, Required, csv, ndjson};

/// What stands in the files.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Csv(Csv),
    Ndjson,
}

/// A column that is to be filled.
#[derive(Clone, Debug)]
struct Filled {
    /// As the table has it.
    field: FieldRef,
    /// As it is read.
    read: FieldRef,
    default: Option<ScalarValue>,
}

/// How files are read.
#[derive(Debug)]
pub(super) struct Reading {
    form: Form,
    compression: FileCompressionType,
    columns: Vec<Filled>,
    /// The columns that the statement lists.
    listed: Vec<String>,
    schema: SchemaRef,
}

impl Reading {
    /// For the columns of a table; those that are listed are filled, or else all.
    ///
    /// # Errors
    /// `Unsupported` for a default that has to be computed.
    pub(super) fn new(
        form: Form,
        compression: FileCompressionType,
        table: &dyn TableProvider,
        listed: &[String],
    ) -> Result<Self> {
        let filled = |field: &FieldRef| {
            let default = match table.get_column_default(field.name()) {
                None => None,
                Some(Expr::Literal(value, _)) => Some(value.clone()),
                Some(other) => {
                    let message =
                        format!("column {:?} has a default that is computed: {other}", field.name());
                    return Err(refused(ErrorKind::Unsupported, message));
                }
            };
            Ok(Filled { field: FieldRef::clone(field), read: readable(field), default })
        };
        let columns = table.schema().fields().iter().map(filled).collect::<Result<Vec<_>>>()?;
        let nullable = |column: &Filled| column.field.as_ref().clone().with_nullable(true);
        let schema = Arc::new(Schema::new(columns.iter().map(nullable).collect::<Vec<_>>()));
        Ok(Self { form, compression, columns, listed: listed.to_vec(), schema })
    }

    fn column(&self, name: &str) -> Result<&Filled, Misread> {
        let key = NameKey::of(name);
        self.columns.iter().find(|column| NameKey::of(column.field.name()) == key).ok_or_else(|| {
            let known = self.columns.iter().map(|column| column.field.name().clone()).collect();
            let about = About::Unknown { name: name.to_owned(), known, within: false };
            Misread::new(format!("the table has no column {name:?}")).about(about)
        })
    }

    fn read_into(&self, columns: &[&Filled]) -> Columns {
        let fields: Vec<FieldRef> = columns.iter().map(|column| FieldRef::clone(&column.read)).collect();
        let required = columns.iter().filter(|column| !column.field.is_nullable());
        let required = Required::of(required.map(|column| column.field.name().as_str()));
        Columns::new(Arc::new(Schema::new(fields)), &required)
    }

    /// The columns of a CSV file: by their names, or by their place where it has none, or where they are listed.
    fn of_csv(&self, first: csv::First) -> Result<Columns, Misread> {
        let names = match first {
            csv::First::Names(names) if self.listed.is_empty() => names,
            csv::First::Names(names) => self.by_place(names.len())?,
            csv::First::Values(count) => self.by_place(count)?,
        };
        let columns = names.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?;
        for (place, column) in columns.iter().enumerate() {
            if columns[..place].iter().any(|before| before.field.name() == column.field.name()) {
                return Err(Misread::new(format!("{:?} stands there twice", column.field.name())));
            }
        }
        Ok(self.read_into(&columns))
    }

    fn by_place(&self, count: usize) -> Result<Vec<String>, Misread> {
        let names: Vec<String> = match self.listed.as_slice() {
            [] => self.columns.iter().map(|column| column.field.name().clone()).collect(),
            listed => listed.to_vec(),
        };
        if names.len() != count {
            let text = format!("it has {count} columns, and {} are to be filled", names.len());
            return Err(Misread::new(text));
        }
        Ok(names)
    }

    /// The columns of a file of JSON: of those that have a default, the ones that its objects have.
    fn of_ndjson(&self, missing: &[String]) -> Result<Columns, Misread> {
        let mut columns = match self.listed.as_slice() {
            [] => self.columns.iter().collect(),
            listed => listed.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?,
        };
        columns.retain(|column| !missing.contains(column.field.name()));
        let columns = self.read_into(&columns);
        Ok(if self.listed.is_empty() { columns } else { columns.passing_over_others() })
    }

    /// The columns whose absence from a file of JSON has a meaning.
    fn looked_for(&self) -> Vec<String> {
        match self.listed.as_slice() {
            [] => {
                let with_default = self.columns.iter().filter(|column| column.default.is_some());
                with_default.map(|column| column.field.name().clone()).collect()
            }
            listed => listed.to_vec(),
        }
    }

    /// A batch of a file as one of the table.
    fn filled(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let column = |column: &Filled| -> Result<ArrayRef> {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let values = match (batch.column_by_name(column.field.name()), &column.default) {
                (Some(values), _) => ArrayRef::clone(values),
                (None, Some(default)) => default.to_array_of_size(rows)?,
                (None, None) => return Ok(new_null_array(column.field.data_type(), rows)),
            };
            if values.data_type() == column.field.data_type() {
                return Ok(values);
            }
            Ok(cast_with_options(&values, column.field.data_type(), &strict)?)
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), columns, &options)?)
    }
}

/// The column as text is read into it: what other types keep as well, and a reader has.
fn readable(field: &FieldRef) -> FieldRef {
    let within = |fields: &Fields| fields.iter().map(readable).collect::<Fields>();
    let ty = match field.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Date64 => DataType::Date32,
        DataType::Dictionary(_, value) => {
            let value = Field::new(field.name(), value.as_ref().clone(), true);
            readable(&Arc::new(value)).data_type().clone()
        }
        DataType::List(element) => DataType::List(readable(element)),
        DataType::Struct(fields) => DataType::Struct(within(fields)),
        DataType::Map(entries, sorted) => DataType::Map(readable(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(ty))
}

/// Files that are there.
#[derive(Clone)]
pub(super) struct TextFiles {
    reading: Arc<Reading>,
    url: ListingTableUrl,
    files: Vec<ObjectMeta>,
}

impl TextFiles {
    /// The files that a URL names: one, or all of a folder or pattern; those without a byte are passed over. Requests: one for a file, else those of a listing.
    ///
    /// # Errors
    /// `NotFound` if there are none, and those of the store.
    pub(super) async fn found(reading: Reading, url: ListingTableUrl, session: &dyn Session) -> Result<Self> {
        let store = session.runtime_env().object_store(url.object_store())?;
        let files = url.list_all_files(session, store.as_ref(), "").await?;
        let mut files: Vec<ObjectMeta> =
            files.try_filter(|file| std::future::ready(file.size > 0)).try_collect().await?;
        if files.is_empty() {
            let message = format!("{:?}: no files, or none with columns", url.as_str());
            return Err(refused(ErrorKind::NotFound, message));
        }
        files.sort_by(|one, other| one.location.cmp(&other.location));
        Ok(Self { reading: Arc::new(reading), url, files })
    }

    /// What messages call a file.
    fn name(&self, file: &ObjectMeta) -> String {
        match self.url.scheme() {
            "file" => format!("/{}", file.location),
            _ => format!("{}{}", self.url.object_store().as_str(), file.location),
        }
    }
}

impl fmt::Debug for TextFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.files.iter().map(|file| self.name(file)).collect();
        f.debug_struct("TextFiles").field("files", &names).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for TextFiles {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.reading.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = SchemaRef::clone(&self.reading.schema);
        let at_once = session.config().target_partitions().max(1);
        let each = self.files.len().div_ceil(at_once).max(1);
        let part = |files: &[ObjectMeta]| Arc::new(Self { files: files.to_vec(), ..self.clone() }) as _;
        let parts: Vec<Arc<dyn PartitionStream>> = self.files.chunks(each).map(part).collect();
        Ok(Arc::new(StreamingTableExec::try_new(schema, parts, projection, [], false, limit)?))
    }
}

impl PartitionStream for TextFiles {
    fn schema(&self) -> &SchemaRef {
        &self.reading.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (files, schema) = (self.clone(), SchemaRef::clone(&self.reading.schema));
        let batches = stream::once(async move {
            let store = context.runtime_env().object_store(files.url.object_store())?;
            let each = stream::iter(files.files.clone()).map(Ok::<_, DataFusionError>);
            let batches = each.and_then(move |file| {
                let source = Source {
                    name: files.name(&file),
                    reading: Arc::clone(&files.reading),
                    store: Arc::clone(&store),
                    file,
                };
                source.batches()
            });
            Ok::<_, DataFusionError>(batches.try_flatten())
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, batches.try_flatten()))
    }
}

/// One file.
struct Source {
    reading: Arc<Reading>,
    store: Arc<dyn ObjectStore>,
    file: ObjectMeta,
    name: String,
}

type Chunks = BoxStream<'static, Result<Bytes>>;

impl Source {
    async fn batches(self) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let reader: Box<dyn Reader> = match &self.reading.form {
            Form::Csv(csv) => {
                let reading = Arc::clone(&self.reading);
                Box::new(csv::Reader::new(csv, move |first| reading.of_csv(first)))
            }
            Form::Ndjson => {
                let missing = self.missing().await?;
                let columns = self.reading.of_ndjson(&missing);
                Box::new(
                    columns
                        .and_then(|columns| ndjson::Reader::new(&columns))
                        .map_err(|wrong| self.told(&wrong))?,
                )
            }
        };
        let chunks = self.chunks().await?;
        let state = Rows { source: self, reader, chunks, chunk: Bytes::new(), over: false };
        Ok(stream::try_unfold(
            state,
            |mut rows| async move { Ok(rows.next().await?.map(|batch| (batch, rows))) },
        )
        .boxed())
    }

    /// The bytes of the file as they are once nothing is compressed.
    async fn chunks(&self) -> Result<Chunks> {
        let found = self.store.get(&self.file.location).await?;
        self.reading.compression.convert_stream(found.into_stream().map_err(DataFusionError::from).boxed())
    }

    /// The columns that have a default, and which no object of the file has.
    async fn missing(&self) -> Result<Vec<String>> {
        let names = self.reading.looked_for();
        let mut looking = ndjson::Looking::of(names.iter().map(String::as_str));
        if looking.is_done() {
            return Ok(Vec::new());
        }
        let mut chunks = self.chunks().await?;
        while !looking.is_done() {
            match chunks.try_next().await? {
                Some(bytes) => looking.push(&bytes).map_err(|wrong| self.told(&wrong))?,
                None => {
                    looking.end().map_err(|wrong| self.told(&wrong))?;
                    break;
                }
            }
        }
        let missing = names.into_iter().zip(looking.found()).filter(|(_, found)| !**found);
        let missing: Vec<String> = missing.map(|(name, _)| name).collect();
        match missing.first() {
            Some(name) if !self.reading.listed.is_empty() => {
                Err(self.told(&Misread::new(format!("it has no column {name:?}"))))
            }
            _ => Ok(missing),
        }
    }

    fn told(&self, wrong: &Misread) -> DataFusionError {
        let names = |names: &[&str]| format!(": it has {}", names.join(", "));
        let known = match wrong.what() {
            About::Unknown { known, within: true, .. } => {
                names(&known.iter().map(String::as_str).collect::<Vec<_>>())
            }
            About::Unknown { within: false, .. } => {
                let columns = self.reading.columns.iter();
                names(&columns.map(|column| column.field.name().as_str()).collect::<Vec<_>>())
            }
            _ => String::new(),
        };
        refused(ErrorKind::InvalidInput, format!("{}: {wrong}{known}", self.name))
    }
}

/// The rows of one file.
struct Rows {
    source: Source,
    reader: Box<dyn Reader>,
    chunks: Chunks,
    /// What came of it and was not read.
    chunk: Bytes,
    over: bool,
}

impl Rows {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.reader.batch() {
                return self.source.reading.filled(&batch).map(Some);
            }
            if self.over {
                return Ok(None);
            }
            if self.chunk.is_empty() {
                let next = self.chunks.try_next().await?;
                self.over = next.is_none();
                self.chunk = next.unwrap_or_default();
            }
            let bytes = self.chunk.split_to(self.chunk.len().min(CHUNK));
            let read = if self.over { self.reader.end() } else { self.reader.push(&bytes) };
            read.map_err(|wrong| self.source.told(&wrong))?;
        }
    }
}
