//! What a query engine needs to read a table's files itself: it plans by [`Scan::plan`](super::Scan::plan), and asks here for
//! bytes, footers, deletion vectors, and where a file has a column of the table.
//!
//! Invariants are those of a scan [READ-2] [READ-3] [READ-8] [READ-9]: what is handed out was held against the entry, a column is found by its field id, and
//! bytes that no hash vouches for are checked as far as the footer allows. What does not belong here: which rows an engine wants,
//! and its types.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use bytes::Bytes;
use object_store::ObjectStore;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use strandline_format::tree::{Children, Root};
use strandline_format::{
    DeletionVector, FieldId, FieldSet, FileEntry, FileId, ObjectPath, Schema, Table as TableNode, TableName,
    TableSchema, Totals,
};

use super::adapt::{Adapter, Column, FileFields, Leaves};
use super::deletes::left;
use super::footer::{self, corrupt, guarded};
use super::narrow::narrow;
use super::select::Wanted;
use super::shape::{self, Node};
use super::{headers, rows};
use crate::columns::constant;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Lake;
use crate::storage::DataKind;
use crate::table::{Table, TableState};
use crate::tree::Trees;

/// Reads the files of one state of one table. Cloning is cheap.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline::arrow::array::{Int64Array, RecordBatch};
/// use std::sync::Arc;
///
/// let lake = Lake::create("memory://engine").await?;
/// let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2])) as _)])?;
/// let transaction = lake.begin().await?;
/// transaction.create_table("orders").like(&batch.schema()).await?;
/// transaction.append("orders", batch).await?;
/// transaction.commit().await?;
///
/// let orders = lake.table("orders").await?;
/// let plan = orders.scan().plan().await?;
/// let footer = orders.file_reader().footer(&plan.files[0]).await?;
/// assert_eq!(footer.file_metadata().num_rows(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileReader {
    state: TableState,
}

impl FileReader {
    pub(crate) fn new(state: TableState) -> Self {
        Self { state }
    }

    /// The store that the files are in. Paths are relative to the lake.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        self.state.objects.store()
    }

    /// The columns of the table.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.state.schema
    }

    /// Where an entry's file lies, below the lake.
    ///
    /// # Errors
    /// `Unsupported` if it lies outside of the lake.
    pub fn path(&self, entry: &FileEntry) -> Result<String> {
        Ok(footer::path(self.state.table.id, entry)?.to_string())
    }

    /// How messages name an entry's file.
    #[must_use]
    pub fn place(&self, entry: &FileEntry) -> String {
        match footer::path(self.state.table.id, entry) {
            Ok(path) => self.state.objects.at(&path),
            Err(_) => format!("file {}", entry.id),
        }
    }

    /// Whether the file is so small that it is read [whole](FileReader::whole), which verifies it.
    #[must_use]
    pub fn is_small(entry: &FileEntry) -> bool {
        entry.size <= super::file::SMALL_FILE
    }

    /// Whether all pages of a file have checksums for certain, because this SDK wrote it: then parts of it are vouched for as well.
    #[must_use]
    pub fn has_checksums(footer: &ParquetMetaData) -> bool {
        footer::has_checksums(footer)
    }

    /// All of a file, checked against its hash. One request, or none if it is small and was read lately.
    ///
    /// # Errors
    /// `Corrupt`, naming the object, if it is missing or is not what its hash says; `Unsupported` if it lies outside of the lake;
    /// what the store refuses or cannot do. Dropping the future leaves nothing.
    pub async fn whole(&self, entry: &FileEntry) -> Result<Bytes> {
        footer::path(self.state.table.id, entry)?;
        self.state.objects.keep_data(DataKind::File, self.state.table.id, &footer::object_of(entry)).await
    }

    /// Whether a file is so small that all of it is [kept](FileReader::known_whole) once it was read.
    #[must_use]
    pub fn is_kept(&self, entry: &FileEntry) -> bool {
        self.state.objects.keeps_data(entry.size)
    }

    /// All of a file, if it is small and was read lately. No request.
    #[must_use]
    pub fn known_whole(&self, entry: &FileEntry) -> Option<Bytes> {
        self.state.objects.kept_data(&footer::object_of(entry)).filter(|_| entry.external.is_none())
    }

    /// A file's footer. One request, or none if a file of this hash was read lately.
    ///
    /// # Errors
    /// As [`footer`](super::footer()).
    pub async fn footer(&self, entry: &FileEntry) -> Result<Arc<ParquetMetaData>> {
        footer::footer(&self.state.objects, self.state.table.id, entry).await
    }

    /// A file's footer out of the [whole](FileReader::whole) file. No request.
    ///
    /// # Errors
    /// As [`footer`](super::footer()).
    pub async fn footer_within(&self, entry: &FileEntry, file: &Bytes) -> Result<Arc<ParquetMetaData>> {
        footer::footer_within(&self.state.objects, &self.place(entry), entry, file).await
    }

    /// A file's footer, if a file of this hash was read lately. No request.
    ///
    /// # Errors
    /// `Corrupt`, naming the object, if it contradicts the entry.
    pub fn known_footer(&self, entry: &FileEntry) -> Result<Option<Arc<ParquetMetaData>>> {
        footer::known(&self.state.objects, self.state.table.id, entry)
    }

    /// Tells of bytes that were read of a file: if they are all of its index of pages, its footer is known with that from then on.
    /// No request.
    ///
    /// # Errors
    /// `Corrupt` if they stand where that index is and are none.
    pub fn note_page_index(
        &self,
        entry: &FileEntry,
        footer: &ParquetMetaData,
        range: &Range<u64>,
        bytes: &Bytes,
    ) -> Result<()> {
        let indexed = footer::with_page_index(footer, entry, range, bytes);
        if let Some(indexed) = indexed.map_err(|error| error.at(self.place(entry)))? {
            self.state.objects.footers().keep(&entry.hash, indexed);
        }
        Ok(())
    }

    /// Some ranges of a file. Column chunks that are read whole are held against the footer; neighbouring ranges share a request.
    ///
    /// # Errors
    /// `Corrupt`, naming the object, if it is missing, ends before a range does or contradicts its footer; what the store refuses
    /// or cannot do. Dropping the future leaves nothing.
    pub async fn ranges(
        &self,
        entry: &FileEntry,
        footer: &ParquetMetaData,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        let path = self.path_with(entry, ranges)?;
        let bytes = self.state.objects.get_ranges(&path, ranges).await?;
        self.check_whole(&path, footer, ranges, &bytes)?;
        Ok(bytes)
    }

    /// Ranges of several files, each as [`FileReader::ranges`] gives them: several requests at a time, of a folder all at once.
    ///
    /// # Errors
    /// As [`FileReader::ranges`], of the first file that has one.
    pub async fn ranges_of(
        &self,
        files: &[(&FileEntry, &ParquetMetaData, Vec<Range<u64>>)],
    ) -> Result<Vec<Vec<Bytes>>> {
        let wanted =
            files.iter().map(|(entry, _, ranges)| Ok((self.path_with(entry, ranges)?, ranges.clone())));
        let wanted = wanted.collect::<Result<Vec<_>>>()?;
        let read = self.state.objects.get_ranges_of(&wanted).await?;
        for (((path, ranges), (_, footer, _)), bytes) in wanted.iter().zip(files).zip(&read) {
            self.check_whole(path, footer, ranges, bytes)?;
        }
        Ok(read)
    }

    /// Where a file lies that has these ranges.
    fn path_with(&self, entry: &FileEntry, ranges: &[Range<u64>]) -> Result<ObjectPath> {
        let path = footer::path(self.state.table.id, entry)?;
        let Some(beyond) = ranges.iter().find(|range| range.is_empty() || range.end > entry.size) else {
            return Ok(path);
        };
        let message = format!("its footer places something at {beyond:?}, it has {} bytes", entry.size);
        Err(corrupt(message).at(self.state.objects.at(&path)))
    }

    fn check_whole(
        &self,
        path: &ObjectPath,
        footer: &ParquetMetaData,
        ranges: &[Range<u64>],
        bytes: &[Bytes],
    ) -> Result<()> {
        headers::check_whole(footer, ranges, bytes).map_err(|error| error.at(self.state.objects.at(path)))
    }

    /// The rows of a file that are gone. One request if that is an object of its own.
    ///
    /// # Errors
    /// `Corrupt` if it is missing, is not what its hash says, or contradicts the entry; what the store refuses or cannot do.
    pub async fn deletion_vector(&self, entry: &FileEntry) -> Result<Option<DeletionVector>> {
        super::deletion_vector(&self.state.objects, self.state.table.id, entry).await
    }

    /// The rows of each row group of a file that are left; `None` where all are. One request if what is gone is an object of its own.
    ///
    /// # Errors
    /// As [`FileReader::deletion_vector`], and `Corrupt` if the footer contradicts itself.
    pub async fn rows_left(
        &self,
        entry: &FileEntry,
        footer: &ParquetMetaData,
    ) -> Result<Vec<Option<BooleanBuffer>>> {
        let Some(deleted) = self.deletion_vector(entry).await? else {
            return Ok(vec![None; footer.num_row_groups()]);
        };
        let at = |error: Error| error.at(self.place(entry));
        left(&deleted, &footer::row_ranges(footer).map_err(at)?).map_err(at)
    }

    /// The fields that a file was written with.
    ///
    /// # Errors
    /// `Corrupt` if the table does not know.
    pub fn fields(&self, entry: &FileEntry) -> Result<&FieldSet> {
        let set = usize::try_from(entry.fields).ok().and_then(|at| self.state.table.field_sets.get(at));
        set.ok_or_else(|| {
            let message =
                format!("its entry refers to set {} of field ids, which the table lacks", entry.fields);
            corrupt(message).at(self.place(entry))
        })
    }

    /// The text of a table that has these files only: what another process needs to read them, besides the store. See
    /// [`Lake::table_of_text`].
    ///
    /// # Errors
    /// `InvalidInput` if two of the files have the same id.
    pub fn table_text(&self, files: &[FileEntry]) -> Result<String> {
        let edits: BTreeMap<FileId, Option<FileEntry>> =
            files.iter().map(|entry| (entry.id, Some(entry.clone()))).collect();
        if edits.len() != files.len() {
            return Err(Error::new(ErrorKind::InvalidInput, "two files have the same id"));
        }
        let table = TableNode {
            schema: TableSchema::Inline((*self.state.schema).clone()),
            totals: Totals::of(files),
            files: Root::new(0, Children::empty(), edits)?,
            ..(*self.state.table).clone()
        };
        String::from_utf8(table.to_json()?)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))
    }

    /// What columns a file has.
    ///
    /// # Errors
    /// `Corrupt` if they have no ids, or the same.
    pub fn shape(&self, entry: &FileEntry, footer: &Arc<ParquetMetaData>) -> Result<FileShape> {
        let set = self.fields(entry)?.clone();
        let at = |error: crate::Error| error.at(self.place(entry));
        let described = footer.file_metadata().schema_descr();
        let arrow = guarded(|| parquet_to_arrow_schema(described, None)).map_err(at)?;
        let columns = shape::columns(arrow.fields()).map_err(at)?;
        let arrow = Arc::new(arrow);
        let stored_rows = rows::stored(entry, &columns).map_err(at)?;
        let (schema, footer, place) = (Arc::clone(&self.state.schema), Arc::clone(footer), self.place(entry));
        Ok(FileShape { schema, arrow, columns, set, footer, stored_rows, place })
    }
}

impl Lake {
    /// A table out of a text that [`FileReader::table_text`] gave, and its files. No request.
    ///
    /// # Errors
    /// `InvalidInput` if the name or the text can be none; what the text says of files is believed, as that of any table.
    pub fn table_of_text(&self, name: &str, text: &str) -> Result<(Table, Vec<FileEntry>)> {
        let node = TableNode::parse(text.as_bytes())
            .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        let TableSchema::Inline(schema) = &node.schema else {
            return Err(Error::new(ErrorKind::InvalidInput, "the text of a table lacks its columns"));
        };
        let files = node.files.edits().values().flatten().cloned().collect();
        let objects = self.storage().objects().clone();
        let state = TableState {
            trees: Arc::new(Trees::new(objects.clone())),
            objects,
            name: TableName::new(name)?,
            schema: Arc::new(schema.clone()),
            table: Arc::new(node),
        };
        Ok((Table::alone(state), files))
    }
}

/// The columns of one file, and how they become the table's.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let orders = lake.table("orders").await?;
/// let reader = orders.file_reader();
/// for file in &orders.scan().plan().await?.files {
///     let shape = reader.shape(file, &reader.footer(file).await?)?;
///     // Rows that have not moved have ids that follow from their positions, and are not stored.
///     assert_eq!(shape.stored_rows(), None);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileShape {
    schema: Arc<Schema>,
    arrow: SchemaRef,
    columns: Vec<Node>,
    set: FieldSet,
    footer: Arc<ParquetMetaData>,
    stored_rows: Option<[usize; 2]>,
    place: String,
}

/// Where one column of the table comes from in one file.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{ColumnName, Field, PrimitiveType};
/// use strandline::scan::ColumnSource;
///
/// let alter = lake.begin().await?;
/// alter.alter_table("orders").add_column(Field::optional(ColumnName::new("note")?, PrimitiveType::String)).await?;
/// alter.commit().await?;
///
/// let orders = lake.table("orders").await?;
/// let reader = orders.file_reader();
/// let file = &orders.scan().plan().await?.files[0];
/// let shape = reader.shape(file, &reader.footer(file).await?)?;
/// let fields = orders.schema().fields();
/// assert!(matches!(shape.source(fields[0].id)?, ColumnSource::Leaf(0)));
/// // The file is older than the column: all of its rows have the initial default.
/// assert!(matches!(shape.source(fields[2].id)?, ColumnSource::Constant(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum ColumnSource {
    /// From nowhere: the file was written before the column was added. Every row has this array's one value.
    Constant(ArrayRef),
    /// From the file's column at this place, which has the table's type or one that widens to it.
    Leaf(usize),
    /// From the file's column at this place, which the second part makes into the table's.
    Nested(usize, NestedColumn),
}

impl FileShape {
    /// Where a column of the table comes from.
    ///
    /// # Errors
    /// `Corrupt` if the file was written with the column and lacks it, or has it in a type that does not widen to the table's.
    pub fn source(&self, column: FieldId) -> Result<ColumnSource> {
        self.find(column).map_err(|error| error.at(&self.place))
    }

    fn find(&self, column: FieldId) -> Result<ColumnSource> {
        let file = FileFields { columns: &self.columns, set: &self.set, known: None, footer: &self.footer };
        let own = self.schema.fields().iter().find(|field| field.id == column);
        // Nearly all columns are such, and a query asks for each of its own.
        if let Some(plain) = own.filter(|field| field.ty.primitive().is_some()) {
            match Column::plain(plain, &file)? {
                Column::Initial(ty, value) => {
                    return Ok(ColumnSource::Constant(constant(value.as_ref(), &ty, 1)?));
                }
                Column::Leaf(at) => return Ok(ColumnSource::Leaf(at)),
                Column::Nested(_) => {}
            }
        }
        let wanted = Arc::new(Wanted::with_ids(&self.schema, &[column])?);
        let mut adapter = Adapter::new(&wanted, &file, &mut Leaves::new())?;
        match adapter.first() {
            Some(Column::Initial(ty, value)) => Ok(ColumnSource::Constant(constant(value.as_ref(), &ty, 1)?)),
            Some(Column::Leaf(at)) => Ok(ColumnSource::Leaf(at)),
            Some(Column::Nested(at)) => {
                adapter.place(&self.columns, &self.columns[at].leaves.clone().collect());
                Ok(ColumnSource::Nested(at, NestedColumn(adapter)))
            }
            None => Err(corrupt(format!("the table has no column {column}"))),
        }
    }

    /// Where the columns of row ids and of the versions that last updated the rows stand, if the file stores them [FILE-8].
    #[must_use]
    pub fn stored_rows(&self) -> Option<[usize; 2]> {
        self.stored_rows
    }

    /// The file's columns as the Parquet schema alone describes them to Arrow.
    #[must_use]
    pub fn stored_schema(&self) -> &SchemaRef {
        &self.arrow
    }

    /// The same columns as they take the fewest bytes while rows between others are deleted: texts of which a row group has few as keys of their
    /// dictionary, decimals of few digits in eight bytes. [`LeftRows::keep`](super::LeftRows::keep) makes what they are of them.
    #[must_use]
    pub fn narrow(&self, group: usize) -> ArrowSchema {
        narrow(self.arrow.fields(), &self.columns, &self.footer, &[group])
    }

    /// How messages name the file.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

/// How a nested column of one file becomes the table's.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::arrow::array::{ArrayRef, StructArray};
/// use strandline::scan::ColumnSource;
///
/// let point = StructArray::from(orders(&[(1, 2)]));
/// let batch = RecordBatch::try_from_iter([("point", Arc::new(point) as ArrayRef)])?;
/// let load = lake.begin().await?;
/// load.create_table("points").like(&batch.schema()).await?;
/// load.append("points", &batch).await?;
/// load.commit().await?;
///
/// let points = lake.table("points").await?;
/// let reader = points.file_reader();
/// let file = &points.scan().plan().await?.files[0];
/// let shape = reader.shape(file, &reader.footer(file).await?)?;
/// let ColumnSource::Nested(_, nested) = shape.source(points.schema().fields()[0].id)? else { panic!("a struct") };
/// assert_eq!(nested.adapt(batch.column(0))?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NestedColumn(Adapter);

impl NestedColumn {
    /// The column as the table has it, of all of the file's column.
    ///
    /// # Errors
    /// `Corrupt` if a value has no image in the table's type, or is null and must not be.
    pub fn adapt(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let batch = self.0.adapt(std::slice::from_ref(column), column.len())?;
        Ok(Arc::clone(batch.column(0)))
    }
}
