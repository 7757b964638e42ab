//! A table put together by hand: Parquet files from the Parquet crate's own writer, entries and a node around them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::util::pretty::pretty_format_batches;
use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnPath;
use strandline_format::tree::EncodedNode;
use strandline_format::{
    Bound, Deletes, DeletionVector, Era, FieldId, FieldSet, FieldStats, FileEntry, FileId, Hash, NumberMap,
    ObjectPath, ObjectRef, PrimitiveType, RowId, RowIds, Schema, Seq, Stats, Table as TableNode, TableId,
    TableName, TableSchema, Timestamp, Totals, Value,
};
use strandline_testkit::CountingStore;

use crate::columns::{arrow_schema, value_at};
use crate::scan::Scan;
use crate::storage::{DataKind, ObjectOptions, Objects};
use crate::table::TableState;
use crate::tree::Trees;

/// A table and its store, whose requests are counted.
pub(super) struct Lake {
    pub(super) store: CountingStore,
    pub(super) node: TableNode,
    pub(super) schema: Schema,
    pub(super) trees: Trees,
}

/// How a file is written.
#[derive(Clone, Default)]
pub(super) struct Written {
    pub(super) row_group_rows: Option<usize>,
    /// How many rows a page has, in a file that says to be of this writer.
    pub(super) page_rows: Option<usize>,
    /// Rows to delete.
    pub(super) deletes: Vec<u64>,
    pub(super) deletes_apart: bool,
    pub(super) row_ids: RowIds,
    pub(super) shifts: NumberMap,
    pub(super) first_row: u64,
    pub(super) added: u64,
}

impl Lake {
    pub(super) fn new(schema: Schema) -> Self {
        let store = CountingStore::new(Arc::new(InMemory::new()));
        let id = TableId::from_random([7; 16]);
        let node = TableNode::new(id, Timestamp::EPOCH, TableSchema::Inline(schema.clone()));
        let trees = Trees::new(objects(&store));
        Self { store, node, schema, trees }
    }

    /// A scan by somebody who has read nothing yet.
    pub(super) fn scan(&self) -> Scan {
        self.scan_with(objects(&self.store))
    }

    pub(super) fn scan_with(&self, objects: Objects) -> Scan {
        Scan::of(TableState {
            objects,
            trees: Arc::new(self.trees.clone()),
            name: TableName::new("t").unwrap(),
            table: Arc::new(self.node.clone()),
            schema: Arc::new(self.schema.clone()),
        })
    }

    pub(super) fn objects(&self) -> Objects {
        objects(&self.store)
    }

    /// Adds a file of a batch that is in the canonical types of the table's present schema.
    pub(super) async fn add(&mut self, batch: &RecordBatch, written: Written) -> FileEntry {
        let leaves = self.schema.leaves();
        let bytes = parquet_of(batch, &written);
        let stats = stats(&leaves, batch);
        self.add_bytes(bytes, FieldSet::of(leaves.iter().map(|(id, _)| *id)), stats, written).await
    }

    /// Adds a file as it is, with an entry that describes it.
    pub(super) async fn add_bytes(
        &mut self,
        bytes: Bytes,
        set: FieldSet,
        stats: Stats,
        written: Written,
    ) -> FileEntry {
        let table = self.node.id;
        let object = self.objects().put_data(DataKind::File, table, bytes.clone(), Era(1)).await.unwrap();
        let deletes = self.deletes(&written).await;
        let entry = FileEntry {
            id: self.node.next_file,
            first_row: RowId(written.first_row),
            added: Seq(written.added),
            fields: self.node.field_set(&set).unwrap(),
            deletes,
            row_ids: written.row_ids,
            shifts: written.shifts,
            stats: stats.into(),
            ..described(&bytes, object)
        };
        entry.check().unwrap();
        self.put(entry.clone()).await;
        entry
    }

    async fn deletes(&self, written: &Written) -> Option<Deletes> {
        if written.deletes.is_empty() {
            return None;
        }
        let vector = DeletionVector::from_positions(written.deletes.iter().copied()).unwrap();
        let (rows, blob) = (vector.cardinality(), vector.encode().unwrap());
        if !written.deletes_apart {
            return Some(Deletes::Inline { rows, blob });
        }
        let objects = self.objects();
        let put = objects.put_data(DataKind::DeletionVector, self.node.id, blob.into(), Era(1));
        Some(Deletes::Stored { rows, object: put.await.unwrap() })
    }

    /// Puts an entry in place of whatever has its id.
    pub(super) async fn put(&mut self, entry: FileEntry) {
        let before = self.trees.get(&self.node.files, &entry.id).await.unwrap();
        self.node.totals = self.node.totals.edited(before.as_ref(), Some(&entry));
        self.node.next_file = self.node.next_file.max(FileId(entry.id.0 + 1));
        let edits = BTreeMap::from([(entry.id, Some(entry))]);
        let edited = self.trees.edit(&self.node.files, edits, Era(1)).await.unwrap();
        self.trees.stage(&edited.nodes);
        self.node.files = edited.root;
    }

    /// Uploads the nodes of the tree, so that they are read from the store like anything else.
    pub(super) async fn upload(&mut self, nodes: &[EncodedNode]) {
        for node in nodes {
            self.objects().put_meta(node.text.clone().into(), node.object.era).await.unwrap();
        }
        self.trees = Trees::new(self.objects());
    }

    /// Changes the bytes of a file in the store, behind everybody's back.
    pub(super) async fn replace(&self, entry: &FileEntry, bytes: Bytes) {
        self.store.put(&self.place(entry), bytes.into()).await.unwrap();
    }

    pub(super) async fn remove(&self, entry: &FileEntry) {
        self.store.delete(&self.place(entry)).await.unwrap();
    }

    pub(super) fn place(&self, entry: &FileEntry) -> Path {
        Path::from(ObjectPath::data(self.node.id, &entry.hash, entry.era).as_str())
    }

    pub(super) fn totals(&self) -> Totals {
        self.node.totals
    }
}

fn objects(store: &CountingStore) -> Objects {
    Objects::new(Arc::new(store.clone()), Arc::from("memory://t"), ObjectOptions::default(), None)
}

/// A Parquet file of a batch.
pub(super) fn parquet(batch: &RecordBatch, row_group_rows: Option<usize>) -> Bytes {
    parquet_of(batch, &Written { row_group_rows, ..Written::default() })
}

fn parquet_of(batch: &RecordBatch, written: &Written) -> Bytes {
    let mut properties = WriterProperties::builder().set_max_row_group_row_count(written.row_group_rows);
    if let Some(rows) = written.page_rows {
        properties = properties.set_data_page_row_count_limit(rows).set_write_batch_size(1);
        // Some pages refer to a dictionary then, and those behind them do not.
        properties = properties.set_dictionary_page_size_limit(1024);
        // The pages of the second column and of every third one behind it end at other rows.
        for field in batch.schema().fields().iter().skip(1).step_by(3) {
            let column = ColumnPath::from(field.name().as_str());
            properties = properties.set_column_dictionary_enabled(column.clone(), false);
            properties = properties.set_column_data_page_size_limit(column, 12);
        }
        properties = properties.set_created_by(format!("{}test", crate::write::WRITER));
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap().into()
}

/// What an entry says of a file by itself.
pub(super) fn described(bytes: &Bytes, object: ObjectRef) -> FileEntry {
    let footer = u32::from_le_bytes(*bytes[..bytes.len() - 4].last_chunk().unwrap());
    let reader = SerializedFileReader::new(bytes.clone()).unwrap();
    let groups = reader.metadata().row_groups();
    FileEntry {
        id: FileId(0),
        hash: object.hash,
        era: object.era,
        size: object.size,
        rows: reader.metadata().file_metadata().num_rows().try_into().unwrap(),
        footer: u64::from(footer) + 8,
        first_row: RowId(0),
        added: Seq(0),
        fields: 0,
        deletes: None,
        row_groups: groups.iter().map(|group| group.columns()[0].byte_range().0).collect(),
        order: None,
        split: None,
        shifts: NumberMap::default(),
        row_ids: RowIds::Derived,
        external: None,
        stats: Stats::default().into(),
    }
}

pub(super) fn ref_of(bytes: &Bytes) -> ObjectRef {
    ObjectRef { hash: Hash::of(bytes), era: Era(1), size: bytes.len() as u64 }
}

/// The statistics of the columns that are no part of others.
pub(super) fn stats(leaves: &[(FieldId, PrimitiveType)], batch: &RecordBatch) -> Stats {
    let schema = batch.schema();
    let of = |id: FieldId, ty: PrimitiveType| {
        let at = schema
            .fields()
            .iter()
            .position(|field| field.metadata()["PARQUET:field_id"] == id.to_string())?;
        Some((id, stats_of(batch.column(at), ty)))
    };
    Stats(leaves.iter().filter_map(|(id, ty)| of(*id, *ty)).collect())
}

fn stats_of(column: &ArrayRef, ty: PrimitiveType) -> FieldStats {
    let values = (0..column.len()).filter_map(|row| value_at(column, row, ty).unwrap());
    let (nans, values): (Vec<Value>, Vec<Value>) = values.partition(Value::is_nan);
    let order = |one: &&Value, other: &&Value| one.compare(other).unwrap();
    FieldStats {
        ty,
        nulls: Some(column.null_count() as u64),
        nans: ty.is_floating().then_some(nans.len() as u64),
        values: None,
        min: values.iter().min_by(order).cloned().map(Bound::exact),
        max: values.iter().max_by(order).cloned().map(Bound::exact),
    }
}

/// An empty or one-batch view of what came.
pub(super) fn joined(schema: &arrow::datatypes::SchemaRef, batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(schema, batches).unwrap()
}

/// The rows of one column, as text, one row each.
pub(super) fn texts(batch: &RecordBatch, column: usize) -> Vec<String> {
    let table = pretty_format_batches(&[batch.project(&[column]).unwrap()]).unwrap().to_string();
    let lines: Vec<&str> = table.lines().collect();
    lines[3..lines.len() - 1].iter().map(|line| line.trim_matches(['|', ' ']).to_owned()).collect()
}

/// The longs of a column.
pub(super) fn longs(batches: &[RecordBatch], column: usize) -> Vec<i64> {
    let column = |batch: &RecordBatch| {
        batch.column(column).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
    };
    batches.iter().flat_map(column).collect()
}

/// The canonical schema of the fixture's table.
pub(super) fn arrow_of(lake: &Lake) -> arrow::datatypes::SchemaRef {
    arrow_schema(&lake.schema)
}
