//! One state of a lake to read: the catalog of a commit, or of a transaction in the middle of its work.
//!
//! Invariant: everything that is read through a snapshot is of its one catalog [COM-1], so a query over many tables sees one
//! moment. What does not belong here: which commit that is (`history`), and changing anything (`transaction`).

use std::sync::Arc;

use futures::TryStreamExt;
use strandline_format::tree::Root;
use strandline_format::{
    Catalog, CatalogEntry, EntryType, Namespace, ObjectRef, Schema, Table as TableNode, TableName,
    TableSchema, View,
};

use crate::error::{Error, ErrorKind, Result};
use crate::storage::Objects;
use crate::table::TableState;
use crate::tree::{All, Trees};

/// A catalog and what it takes to read what it names. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) objects: Objects,
    pub(crate) trees: Arc<Trees>,
    pub(crate) catalog: Arc<Root<Catalog>>,
}

impl Snapshot {
    /// What stands under a name. No request if the way there is in the pack.
    pub(crate) async fn entry(&self, name: &TableName) -> Result<Option<CatalogEntry>> {
        self.trees.get(&self.catalog, name.key()).await
    }

    /// All names, in the order of their keys.
    pub(crate) async fn entries(&self) -> Result<Vec<CatalogEntry>> {
        let mut entries = Vec::new();
        let mut batches = std::pin::pin!(self.trees.scan(&self.catalog, &All));
        while let Some(batch) = batches.try_next().await? {
            entries.extend(batch.entries());
        }
        Ok(entries)
    }

    /// The table under a name, ready to be planned. At most two requests more than [`Snapshot::entry`].
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names, if there is no such table.
    pub(crate) async fn table(&self, name: &TableName) -> Result<TableState> {
        let entry = self.expect(name, EntryType::Table).await?;
        self.table_of(&entry).await
    }

    /// The table that an entry stands for.
    pub(crate) async fn table_of(&self, entry: &CatalogEntry) -> Result<TableState> {
        let (table, schema) = self.parsed(&entry.node).await?;
        if table.id != entry.id {
            let message = format!("it is of table {}, the catalog expects {}", table.id, entry.id);
            return Err(Error::new(ErrorKind::Corrupt, message).at(entry.node.hash));
        }
        let (objects, trees) = (self.objects.clone(), Arc::clone(&self.trees));
        Ok(TableState { objects, trees, name: entry.name.clone(), table, schema })
    }

    /// A table's node and its schema. No request if this process has read or written the node before.
    async fn parsed(&self, node: &ObjectRef) -> Result<(Arc<TableNode>, Arc<Schema>)> {
        if let Some(known) = self.objects.tables().get(node) {
            return Ok((known.table, known.schema));
        }
        let text = self.trees.text(node).await?;
        let table = TableNode::parse(&text).map_err(|error| error.at(node.hash))?;
        let schema = Arc::new(self.schema_of(&table).await?);
        let table = Arc::new(table);
        self.objects.tables().keep(node, Arc::clone(&table), Arc::clone(&schema));
        Ok((table, schema))
    }

    async fn schema_of(&self, table: &TableNode) -> Result<Schema> {
        match &table.schema {
            TableSchema::Inline(schema) => Ok(schema.clone()),
            TableSchema::Stored(object) => {
                let text = self.trees.text(object).await?;
                let schema = Schema::parse(&text).map_err(|error| error.at(object.hash))?;
                table.check_schema(&schema).map_err(|error| error.stored().at(object.hash))?;
                Ok(schema)
            }
        }
    }

    /// The view under a name.
    pub(crate) async fn view(&self, name: &TableName) -> Result<View> {
        let entry = self.expect(name, EntryType::View).await?;
        self.view_of(&entry).await
    }

    /// The view that an entry stands for.
    pub(crate) async fn view_of(&self, entry: &CatalogEntry) -> Result<View> {
        let text = self.trees.text(&entry.node).await?;
        Ok(View::parse(&text).map_err(|error| error.at(entry.node.hash))?)
    }

    /// The namespace under a name.
    pub(crate) async fn namespace(&self, name: &TableName) -> Result<Namespace> {
        let entry = self.expect(name, EntryType::Namespace).await?;
        self.namespace_of(&entry).await
    }

    /// The namespace that an entry stands for.
    pub(crate) async fn namespace_of(&self, entry: &CatalogEntry) -> Result<Namespace> {
        let text = self.trees.text(&entry.node).await?;
        Ok(Namespace::parse(&text).map_err(|error| error.at(entry.node.hash))?)
    }

    /// The entry under a name, which must be of this type.
    pub(crate) async fn expect(&self, name: &TableName, entry_type: EntryType) -> Result<CatalogEntry> {
        match self.entry(name).await? {
            Some(entry) if entry.entry_type == entry_type => Ok(entry),
            Some(entry) => {
                let (found, wanted) = (entry.entry_type.as_str(), entry_type.as_str());
                let message = format!("{:?} is a {found}, not a {wanted}", entry.name.as_str());
                Err(Error::new(ErrorKind::NotFound, message))
            }
            None => Err(self.unknown(name, entry_type).await),
        }
    }

    /// Says that there is no such name, and which ones are near. Reads the catalog, on the way of an error only.
    async fn unknown(&self, name: &TableName, entry_type: EntryType) -> Error {
        let near = match self.entries().await {
            Ok(entries) => crate::near::nearest(
                name.as_str(),
                entries
                    .iter()
                    .filter(|entry| entry.entry_type == entry_type)
                    .map(|entry| entry.name.as_str()),
            ),
            Err(_) => Vec::new(),
        };
        let message = format!("no {} {:?}{}", entry_type.as_str(), name.as_str(), crate::near::offer(&near));
        Error::new(ErrorKind::NotFound, message)
    }
}
