//! What is told of a namespace or a view: its comment and properties. A table's are part of what `alter` changes.
//!
//! Invariant: nothing but these two is changed, so the view stays the query that it was, under its id.

use std::future::IntoFuture;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{
    Comment, EntryType, Namespace, Operation, PropertyKey, PropertyValue, TableName, TableProperties, View,
};

use crate::error::Result;
use crate::transaction::Transaction;
use crate::transaction::work::{After, Node, StandingId, Work};

/// Changes what is told of a namespace or a view when awaited; what is not named stays.
///
/// # Errors
/// `NotFound`, offering the nearest names; `InvalidInput` for a text, key or value that cannot be one, or too many of them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// let lake = Lake::create("memory://annotated").await?;
/// let transaction = lake.begin().await?;
/// transaction.create_namespace("sales").await?;
/// transaction.alter_namespace("sales").comment("what we sell").set_property("owner", "ada").await?;
/// transaction.commit().await?;
/// let sales = lake.main().await?.namespace("sales").await?;
/// assert_eq!(sales.comment.as_str(), "what we sell");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is changed before it is awaited"]
pub struct Annotate {
    transaction: Transaction,
    entry_type: EntryType,
    name: String,
    comment: Option<String>,
    properties: Vec<(String, Option<String>)>,
}

impl Transaction {
    /// Changes the comment and properties of a namespace; see [`Annotate`].
    pub fn alter_namespace(&self, name: impl Into<String>) -> Annotate {
        Annotate::new(self, EntryType::Namespace, name.into())
    }

    /// Changes the comment and properties of a view; see [`Annotate`].
    pub fn alter_view(&self, name: impl Into<String>) -> Annotate {
        Annotate::new(self, EntryType::View, name.into())
    }
}

impl Annotate {
    fn new(transaction: &Transaction, entry_type: EntryType, name: String) -> Self {
        let transaction = transaction.clone();
        Self { transaction, entry_type, name, comment: None, properties: Vec::new() }
    }

    /// What it is for.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Sets a property.
    pub fn set_property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((key.into(), Some(value.into())));
        self
    }

    /// Takes a property away.
    pub fn unset_property(mut self, key: impl Into<String>) -> Self {
        self.properties.push((key.into(), None));
        self
    }

    async fn run(self) -> Result<()> {
        let name = TableName::new(self.name.as_str())?;
        let place = format!("{} {:?}", self.entry_type.as_str(), name.as_str());
        self.apply(&name).await.map_err(|error| error.at(place))
    }

    async fn apply(&self, name: &TableName) -> Result<()> {
        let mut state = self.transaction.open().await?;
        self.transaction.0.reads.name(name);
        let node = self.annotated(&state.work, name).await?;
        let standing = state.work.expect(name, self.entry_type).await?;
        let after = After { name: standing.name().clone(), node };
        let standing = StandingId::from(standing);
        state.work.change(standing, after, Operation::Alter);
        Ok(())
    }

    /// The node with other words.
    async fn annotated(&self, work: &Work, name: &TableName) -> Result<Node> {
        if self.entry_type == EntryType::View {
            let mut view: View = work.view(name).await?;
            self.change(&mut view.comment, &mut view.properties)?;
            return Ok(Node::View(Arc::new(view)));
        }
        let mut namespace: Namespace = work.namespace(name).await?;
        self.change(&mut namespace.comment, &mut namespace.properties)?;
        Ok(Node::Namespace(Arc::new(namespace)))
    }

    fn change(&self, comment: &mut Comment, properties: &mut TableProperties) -> Result<()> {
        if let Some(text) = &self.comment {
            *comment = Comment::new(text.as_str())?;
        }
        for (key, value) in &self.properties {
            let key = PropertyKey::new(key.as_str())?;
            match value {
                Some(value) => properties.set(key, PropertyValue::new(value.as_str())?)?,
                None => drop(properties.remove(&key)),
            }
        }
        Ok(())
    }
}

impl IntoFuture for Annotate {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
