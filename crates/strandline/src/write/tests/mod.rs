//! Tests of the whole writer: what is read back, what is known of it, and how much was held meanwhile.

mod checksums;
mod files;
mod layout;
mod model;
mod round_trip;
mod statistics;

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema as ArrowSchema, SchemaRef};
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use strandline_format::{ColumnName, Era, Field, PrimitiveType, Schema, TableId, Type};
use strandline_testkit::generate::batches::batch;

use super::{FileSpec, NewFile, TableWriter, WriteOptions};
use crate::columns::{arrow_field, arrow_schema};
use crate::error::Result;
use crate::runtime::Runtime;
use crate::storage::{DataKind, ObjectOptions, Objects, Storage, StoreLocation};

fn table() -> TableId {
    TableId::from_random([7; 16])
}

fn objects_over(store: Arc<dyn ObjectStore>) -> Objects {
    let location = StoreLocation::parse("memory://test").unwrap();
    let options = ObjectOptions { spill_above: 100_000, ..ObjectOptions::default() };
    let storage = Storage::from_stores(location, store.clone(), store, options, Runtime::system());
    storage.objects().clone()
}

fn objects() -> Objects {
    objects_over(Arc::new(InMemory::new()))
}

fn name(name: &str) -> ColumnName {
    ColumnName::new(name).unwrap()
}

fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn primitive(text: &str) -> Type {
    Type::Primitive(text.parse().unwrap())
}

fn structure(fields: Vec<Field>) -> Type {
    Type::Struct(fields)
}

/// Every primitive type, and nested ones that nest each other.
fn every_type() -> Schema {
    let words = [
        "boolean",
        "int",
        "long",
        "float",
        "double",
        "decimal(9,2)",
        "decimal(18,0)",
        "decimal(38,10)",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "timestamp_ns",
        "timestamptz_ns",
        "string",
        "uuid",
        "fixed(5)",
        "fixed(100)",
        "binary",
    ];
    let flat = words.iter().map(|word| {
        let plain: String =
            word.chars().map(|char| if char.is_alphanumeric() { char } else { '_' }).collect();
        Field::optional(name(&plain), primitive(word))
    });
    let inner = structure(vec![
        Field::optional(name("a"), primitive("double")),
        Field::required(name("b"), structure(vec![Field::optional(name("c"), primitive("uuid"))])),
        Field::optional(name("l"), Type::list(primitive("float"), true).unwrap()),
    ]);
    let items = structure(vec![
        Field::required(name("sku"), primitive("string")),
        Field::optional(name("price"), primitive("decimal(9,2)")),
    ]);
    let lists = Type::list(Type::list(primitive("int"), false).unwrap(), false).unwrap();
    let inner_map = Type::map(primitive("int"), items.clone(), false).unwrap();
    let nested = [
        Field::required(name("required"), primitive("long")),
        Field::optional(name("inner"), inner),
        Field::optional(name("items"), Type::list(items, false).unwrap()),
        Field::required(name("lists"), lists),
        Field::optional(name("map"), Type::map(primitive("string"), inner_map, true).unwrap()),
    ];
    Schema::numbered(flat.chain(nested).collect()).unwrap()
}

fn flat(columns: &[(&str, &str)]) -> Schema {
    let fields = columns.iter().map(|(of, ty)| Field::optional(name(of), primitive(ty)));
    Schema::numbered(fields.collect()).unwrap()
}

/// The canonical Arrow schema of a table's.
fn spec(schema: &Schema, options: WriteOptions) -> FileSpec {
    FileSpec {
        table: table(),
        schema: Arc::new(schema.clone()),
        arrow: arrow_schema(schema),
        era: Era(3),
        order: None,
        split: None,
        options,
        known: Arc::default(),
    }
}

/// Options for small tests: two jobs at a time, row groups of so many rows.
fn options(row_group_rows: usize) -> WriteOptions {
    WriteOptions { row_group_rows: count(row_group_rows), parallelism: count(2), ..WriteOptions::default() }
}

/// Batches with hostile values, each of its own size.
fn batches(schema: &Schema, sizes: &[usize], seed: u64) -> Vec<RecordBatch> {
    let arrow = arrow_schema(schema);
    let sized = sizes.iter().zip(seed..);
    sized.map(|(rows, seed)| batch(&arrow, *rows, seed).unwrap()).collect()
}

fn together(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&batches[0].schema(), batches).unwrap()
}

async fn write(objects: &Objects, spec: FileSpec, batches: &[RecordBatch]) -> Result<Vec<NewFile>> {
    let mut writer = TableWriter::new(objects.clone(), spec)?;
    for batch in batches {
        writer.write(batch.clone()).await?;
    }
    writer.finish().await
}

async fn bytes(objects: &Objects, file: &NewFile) -> Bytes {
    objects.get_data(DataKind::File, table(), &file.object).await.unwrap()
}

/// The rows of a file, as a reader of Parquet sees them.
async fn read(objects: &Objects, file: &NewFile) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes(objects, file).await).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(std::result::Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

async fn read_all(objects: &Objects, files: &[NewFile]) -> RecordBatch {
    let mut batches = Vec::new();
    for file in files {
        batches.push(read(objects, file).await);
    }
    together(&batches)
}
