//! Tables as they are read: one state of one table, and what it is like.
//!
//! Invariant: a table is of one snapshot; whatever is committed meanwhile, it stays what it is. What does not belong here: writing
//! (`transaction`) and how rows are read (`scan`).

mod places;
mod state;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use strandline_format::{
    Constraint, FieldId, FileEntry, Layout, Schema, SortOrder, Split, TableId, TableProperties, Timestamp,
    Totals,
};

pub use places::RowPlace;
pub(crate) use state::TableState;

use crate::columns::arrow_schema;
use crate::error::Result;
use crate::history::Ref;
use crate::scan::{FileReader, Scan};
use crate::transaction::reads::Reads;
use crate::tree::All;

/// A table as one version of the lake has it, or as a transaction sees it. Cloning is cheap.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline::arrow::array::{Int64Array, RecordBatch};
/// use strandline::filter::col;
/// use std::sync::Arc;
///
/// let lake = Lake::create("memory://tables").await?;
/// let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
/// let transaction = lake.begin().await?;
/// let orders = transaction.create_table("orders").like(&batch.schema()).await?;
/// assert_eq!(orders.rows(), 0);
/// transaction.append("orders", batch).await?;
/// transaction.commit().await?;
///
/// let orders = lake.table("orders").await?;
/// assert_eq!(orders.rows(), 3);
/// assert_eq!(orders.scan().filter(col("id").gt(1)).count().await?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    state: TableState,
    /// Where the scans of a transaction are noted.
    reads: Option<Reads>,
    /// The version through which it was found.
    at: Option<Ref>,
}

impl Table {
    /// A table of a commit.
    pub(crate) fn at(state: TableState, at: Ref) -> Self {
        Self { state, reads: None, at: Some(at) }
    }

    /// A table as a transaction sees it.
    pub(crate) fn in_transaction(state: TableState, reads: Reads) -> Self {
        Self { state, reads: Some(reads), at: None }
    }

    /// A table whose version is not known here.
    pub(crate) fn alone(state: TableState) -> Self {
        Self { state, reads: None, at: None }
    }

    /// The version that it is of; `None` of what a transaction sees, and of what came as a text.
    #[must_use]
    pub fn version(&self) -> Option<&Ref> {
        self.at.as_ref()
    }

    /// Its full name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.state.name.as_str()
    }

    /// Its id, which survives renames.
    #[must_use]
    pub fn id(&self) -> TableId {
        self.state.table.id
    }

    /// Its columns, with their ids.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.state.schema
    }

    /// Its columns as Arrow has them, which is the schema of what is read.
    #[must_use]
    pub fn arrow_schema(&self) -> SchemaRef {
        arrow_schema(&self.state.schema)
    }

    /// How many rows it has. No request.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.note_all();
        self.state.table.totals.rows
    }

    /// What its files come to. No request.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.note_all();
        self.state.table.totals
    }

    /// When it was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.state.table.created
    }

    /// The fields that identify a row.
    #[must_use]
    pub fn key(&self) -> &[FieldId] {
        &self.state.table.key
    }

    /// What no row may make false.
    #[must_use]
    pub fn constraints(&self) -> &[Constraint] {
        &self.state.table.constraints
    }

    /// What people and programs keep with it.
    #[must_use]
    pub fn properties(&self) -> &TableProperties {
        &self.state.table.properties
    }

    /// What it is for; empty if nobody said.
    #[must_use]
    pub fn comment(&self) -> &str {
        self.state.table.comment.as_str()
    }

    /// How new files are laid out.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.state.table.layout
    }

    /// The orders that its files may have.
    #[must_use]
    pub fn orders(&self) -> &[SortOrder] {
        &self.state.table.orders
    }

    /// The splits that its files may be of.
    #[must_use]
    pub fn splits(&self) -> &[Split] {
        &self.state.table.splits
    }

    /// Begins to read it.
    pub fn scan(&self) -> Scan {
        let scan = Scan::of(self.state.clone());
        match &self.reads {
            Some(reads) => scan.noted_in(reads.clone()),
            None => scan,
        }
    }

    /// Reads its files one by one, for a query engine.
    #[must_use]
    pub fn file_reader(&self) -> FileReader {
        FileReader::new(self.state.clone())
    }

    /// All of its files. One request for each node of their tree that is not at hand; memory for all entries.
    ///
    /// # Errors
    /// `Corrupt` for a node that is not what its reference says; the store's errors.
    pub async fn files(&self) -> Result<Vec<FileEntry>> {
        self.note_all();
        Arc::clone(&self.state.trees).collect(&self.state.table.files, &All).await
    }

    /// The same, some at a time: memory for the references to the leaves of their tree, and at most 16 leaves. The stream keeps nothing of this handle.
    pub fn file_stream(&self) -> BoxStream<'static, Result<Vec<FileEntry>>> {
        self.note_all();
        let batches = Arc::clone(&self.state.trees).walk(self.state.table.files.clone());
        batches.map_ok(|batch| batch.entries().collect()).boxed()
    }

    /// Whatever tells of all rows counts as a scan of them [REB-12].
    fn note_all(&self) {
        if let Some(reads) = &self.reads {
            reads.scan(self.id(), &strandline_format::Filter::True, "TRUE".to_owned());
        }
    }
}
