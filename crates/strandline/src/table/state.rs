//! A table as one snapshot has it, ready to be planned and read.

use std::sync::Arc;

use strandline_format::{Schema, Table as TableNode, TableName};

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
