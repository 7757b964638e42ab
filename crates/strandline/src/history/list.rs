//! What stands in the catalog of a version, by kind.

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{CatalogEntry, EntryType, NameKey, TableId, TableName};

use crate::error::Result;
use crate::history::Ref;
use crate::tree::KeyRange;

/// One thing of a catalog.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::EntryType;
///
/// let tables = lake.main().await?.tables().await?;
/// assert_eq!((tables[0].name.to_string().as_str(), tables[0].kind), ("orders", EntryType::Table));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is called, as it was written.
    pub name: TableName,
    /// What it is.
    pub kind: EntryType,
    /// Its id, which survives renames.
    pub id: TableId,
}

/// The names of one kind in a version: `.await` it.
///
/// Requests: the nodes of the catalog that hold such names, level by level, at most 16 at a time; none if the catalog is small
/// enough to stand in its commit. Memory: all that is listed. Dropping it leaves nothing.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let make = lake.begin().await?;
/// make.create_table("sales.returns").like(&orders(&[]).schema()).with_namespaces().await?;
/// make.commit().await?;
///
/// let main = lake.main().await?;
/// assert_eq!(main.tables().await?.len(), 2);
/// assert_eq!(main.tables().within("sales").await?[0].name.to_string(), "sales.returns");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound` if there is no such namespace; `InvalidInput` if it can be no name; `SnapshotExpired` if the version was
/// expired meanwhile; `Corrupt` and the store's errors.
#[derive(Clone, Debug)]
#[must_use = "names are listed when this is awaited"]
pub struct Names {
    at: Ref,
    kind: EntryType,
    namespace: Option<String>,
}

impl Names {
    pub(super) fn new(at: Ref, kind: EntryType) -> Self {
        Self { at, kind, namespace: None }
    }

    /// Only what stands in this namespace, and in those within it.
    pub fn within(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    async fn run(self) -> Result<Vec<Listed>> {
        let namespace = self.namespace.as_deref().map(TableName::new).transpose()?;
        match self.read(namespace.as_ref()).await {
            Ok(entries) => {
                Ok(entries.into_iter().filter(|entry| entry.entry_type == self.kind).map(listed).collect())
            }
            Err(error) => Err(self.at.explain(error).await),
        }
    }

    async fn read(&self, namespace: Option<&TableName>) -> Result<Vec<CatalogEntry>> {
        let snapshot = self.at.snapshot();
        let Some(namespace) = namespace else { return snapshot.entries().await };
        snapshot.expect(namespace, EntryType::Namespace).await?;
        // What follows a dot in the order of bytes is a slash, which no name has.
        let bound = |end: char| NameKey::of(&format!("{}{end}", namespace.key()));
        snapshot.trees.collect(&snapshot.catalog, &KeyRange::new(bound('.')..bound('/'))).await
    }
}

fn listed(entry: CatalogEntry) -> Listed {
    Listed { name: entry.name, kind: entry.entry_type, id: entry.id }
}

impl IntoFuture for Names {
    type Output = Result<Vec<Listed>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
