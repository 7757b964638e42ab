//! A commit as it is read: what it says, and the reference that names it.

use std::sync::Arc;

use strandline_format::{Commit as CommitNode, Hash, ObjectRef, Seq, TableChange, Timestamp, TxnId};

/// A version of a branch: who changed what, and when. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Commit {
    object: ObjectRef,
    node: Arc<CommitNode>,
}

impl Commit {
    pub(crate) fn new(object: ObjectRef, node: CommitNode) -> Self {
        Self { object, node: Arc::new(node) }
    }

    /// The reference that names it.
    pub(crate) fn object(&self) -> ObjectRef {
        self.object
    }

    /// All that it says.
    pub(crate) fn node(&self) -> &CommitNode {
        &self.node
    }

    /// The hash that authenticates everything in this version.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.object.hash
    }

    /// Its place in its branch, from 0.
    #[must_use]
    pub fn version(&self) -> Seq {
        self.node.seq
    }

    /// When it was made; never before its parent.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.node.time
    }

    /// The transaction that made it.
    #[must_use]
    pub fn txn(&self) -> TxnId {
        self.node.txn
    }

    /// Who made it; empty if nobody said.
    #[must_use]
    pub fn author(&self) -> &str {
        self.node.author.as_str()
    }

    /// What for; empty if nobody said.
    #[must_use]
    pub fn message(&self) -> &str {
        self.node.message.as_str()
    }

    /// What it did to each table, view and namespace.
    #[must_use]
    pub fn changes(&self) -> &[TableChange] {
        &self.node.changes
    }
}
