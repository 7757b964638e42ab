//! A table as one snapshot has it, ready to be planned and read.

use std::sync::Arc;

use strandline_format::tree::Root;
use strandline_format::{FileEntry, Files, Schema, Table as TableNode, TableName};

use crate::storage::Objects;
use crate::tree::Trees;

/// A table of one snapshot: its node, its schema, and where its files are read from. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct TableState {
    pub(crate) objects: Objects,
    pub(crate) trees: Arc<Trees>,
    pub(crate) name: TableName,
    pub(crate) table: Arc<TableNode>,
    pub(crate) schema: Arc<Schema>,
}

impl TableState {
    /// The table as if it had this file only.
    pub(crate) fn of_file(&self, entry: FileEntry) -> Self {
        let mut files: Root<Files> = Root::default();
        files.edit([(entry.id, Some(entry))]);
        Self { table: TableNode { files, ..(*self.table).clone() }.into(), ..self.clone() }
    }
}
