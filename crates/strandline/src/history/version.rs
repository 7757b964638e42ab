//! A ref that was looked up: one version of the lake, and what keeps it.

use std::sync::Arc;

use strandline_format::{Base, EntryType, Namespace, RefName, Seq, TableName, View};

use crate::error::{Error, Result};
use crate::history::{Commit, Keeper, Line, Log, Names, resolve};
use crate::lake::{Head, Lake};
use crate::snapshot::Snapshot;

/// One version of a lake, as a reference named it at one moment. All reads through it see that version [REFG-6].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// let lake = Lake::create("memory://refs").await?;
/// let found = lake.at("main").await?;
/// assert_eq!(found.version().0, 0);
/// assert!(found.tables().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Ref(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Arc<Line>,
    commit: Commit,
    snapshot: Snapshot,
}

impl Ref {
    /// The head of a branch.
    pub(crate) fn of_head(lake: Lake, head: Arc<Head>) -> Self {
        Self::tip(Arc::new(Line::of_head(lake, head)))
    }

    /// The commit that a line begins with.
    pub(crate) fn tip(line: Arc<Line>) -> Self {
        let commit = line.tip().clone();
        Self::on(line, commit)
    }

    /// A commit that is read by what is at hand, and that need not be of the line.
    pub(crate) fn read_by(line: Arc<Line>, commit: Commit, snapshot: Snapshot) -> Self {
        Self(Arc::new(Inner { line, commit, snapshot }))
    }

    /// A commit of a line.
    pub(crate) fn on(line: Arc<Line>, commit: Commit) -> Self {
        let snapshot = line.snapshot(&commit);
        Self(Arc::new(Inner { line, commit, snapshot }))
    }

    /// The lake.
    #[must_use]
    pub fn lake(&self) -> &Lake {
        self.0.line.lake()
    }

    /// The branch through which the version was found; of a tag, the branch that it was taken from.
    #[must_use]
    pub fn branch(&self) -> &RefName {
        self.0.line.branch()
    }

    /// The tag, if it is a tag and no branch that keeps the version for this ref.
    #[must_use]
    pub fn tag(&self) -> Option<&RefName> {
        match self.0.line.keeper() {
            Keeper::Tag(tag) => Some(tag.tag.name()),
            Keeper::Branch(_) => None,
        }
    }

    /// The commit that it leads to.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        &self.0.commit
    }

    /// The version: the commit's place in its branch.
    #[must_use]
    pub fn version(&self) -> Seq {
        self.0.commit.version()
    }

    /// Whether it is what stood at the head of its branch: what a transaction can begin on.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.head().is_some()
    }

    /// Whether a reference which begins so, and for whose beginning this was found, names the branch at whose head this is: what is found for the head's
    /// hash, version or time is that version, whatever the branch comes to.
    ///
    /// ```
    #[doc = include_str!("../orders.example")]
    /// use strandline::format::Reference;
    ///
    /// let (branch, version): (Reference, Reference) = ("main".parse()?, "v1".parse()?);
    /// assert!(lake.at("main").await?.is_named_by(branch.base()));
    /// assert!(lake.at("v1").await?.is_head() && !lake.at("v1").await?.is_named_by(version.base()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_named_by(&self, base: &Base) -> bool {
        let named = match base {
            Base::Branch(branch) => branch.as_str() == self.branch().as_str(),
            Base::Word(word) => word.as_str() == self.branch().as_str(),
            Base::Tag(_) | Base::Version(_) | Base::Time(_) | Base::Commit(_) => false,
        };
        named && self.tag().is_none() && self.is_head()
    }

    /// The version before this one, through the same branch; `None` of the first. As many requests as the history has
    /// levels, and one for the commit.
    ///
    /// # Errors
    /// `SnapshotExpired` if it is not kept; `Corrupt` and the store's errors. Dropping the future leaves nothing.
    pub async fn parent(&self) -> Result<Option<Self>> {
        match self.version().0.checked_sub(1) {
            Some(before) => resolve::on_line(&self.0.line, Seq(before), None).await.map(Some),
            None => Ok(None),
        }
    }

    /// The names of the tables, in their order, when awaited; see [`Names`].
    pub fn tables(&self) -> Names {
        Names::new(self.clone(), EntryType::Table)
    }

    /// The names of the views, in their order, when awaited; see [`Names`].
    pub fn views(&self) -> Names {
        Names::new(self.clone(), EntryType::View)
    }

    /// The namespaces, in their order, when awaited; see [`Names`].
    pub fn namespaces(&self) -> Names {
        Names::new(self.clone(), EntryType::Namespace)
    }

    /// The view under a name. No request if the way there is in the pack, else one for each level of the catalog and one
    /// for the view.
    ///
    /// # Errors
    /// `NotFound`, offering near names, if there is no such view; `InvalidInput` if it can be no name; `SnapshotExpired` if
    /// the version was expired meanwhile; `Corrupt` and the store's errors. Dropping the future leaves nothing.
    pub async fn view(&self, name: &str) -> Result<View> {
        let name = TableName::new(name)?;
        match self.snapshot().view(&name).await {
            Ok(view) => Ok(view),
            Err(error) => Err(self.explain(error).await),
        }
    }

    /// The namespace under a name: what is told of it. Requests and errors as of [`Ref::view`].
    ///
    /// # Errors
    /// As [`Ref::view`].
    pub async fn namespace(&self, name: &str) -> Result<Namespace> {
        let name = TableName::new(name)?;
        match self.snapshot().namespace(&name).await {
            Ok(namespace) => Ok(namespace),
            Err(error) => Err(self.explain(error).await),
        }
    }

    /// The commits up to this one; see [`Log`].
    pub fn log(&self) -> Log {
        Log::new(self.clone())
    }

    /// What stood at the branch, if this is its head: what a transaction can begin on.
    pub(crate) fn head(&self) -> Option<&Arc<Head>> {
        match self.0.line.keeper() {
            Keeper::Branch(head) if head.pointer().head().hash == self.0.commit.hash() => Some(head),
            _ => None,
        }
    }

    /// What is read through it.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.0.snapshot
    }

    /// The line on which it was found.
    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.0.line
    }

    /// What an error of a read through this ref means: an object that is missing may have been expired meanwhile, which is
    /// `SnapshotExpired`, and no defect [OPEN-4]. No request unless the error is `Corrupt`.
    pub(crate) async fn explain(&self, error: Error) -> Error {
        self.0.line.explain(self.version(), error).await
    }
}
