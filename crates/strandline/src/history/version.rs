//! A ref that was looked up: one version of the lake, and the branch that it was found on.

use std::sync::Arc;

use strandline_format::RefName;

use crate::history::Commit;
use crate::lake::{Head, Lake};
use crate::snapshot::Snapshot;

/// One version of a lake, as a reference named it at one moment. All reads through it see that version [REFG-6].
#[derive(Clone, Debug)]
pub struct Ref(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lake: Lake,
    branch: RefName,
    commit: Commit,
    /// What stood at the branch, if this is its head.
    head: Option<Arc<Head>>,
    snapshot: Snapshot,
}

impl Ref {
    /// The head of a branch.
    pub(crate) fn of_head(lake: Lake, head: Arc<Head>) -> Self {
        let commit = Commit::new(head.pointer().head(), head.commit().clone());
        let snapshot = head.snapshot(&lake);
        let branch = head.pointer().branch().clone();
        Self(Arc::new(Inner { lake, branch, commit, head: Some(head), snapshot }))
    }

    /// The lake.
    #[must_use]
    pub fn lake(&self) -> &Lake {
        &self.0.lake
    }

    /// The branch through which the version was found.
    #[must_use]
    pub fn branch(&self) -> &RefName {
        &self.0.branch
    }

    /// The commit that it leads to.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        &self.0.commit
    }

    /// What stood at the branch, if this is its head: what a transaction can begin on.
    pub(crate) fn head(&self) -> Option<&Arc<Head>> {
        self.0.head.as_ref()
    }

    /// What is read through it.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.0.snapshot
    }
}
