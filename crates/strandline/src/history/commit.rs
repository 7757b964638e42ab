//! A commit as it is read: what it says, and the reference that names it.

use std::sync::Arc;

use strandline_format::tree::Root;
use strandline_format::{
    Author, Commit as CommitNode, CommitProperties, Hash, HistoryEntry, Message, ObjectRef, Parents, Seq,
    TableChange, Timestamp, TxnId,
};

/// A commit that a merge brought in.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::refs::Merged;
///
/// lake.create_branch("dev").await?;
/// let work = lake.begin().branch("dev").await?;
/// work.append("orders", orders(&[(4, 99)])).await?;
/// let dev = work.commit().await?.commit;
/// lake.append("orders", orders(&[(5, 1)])).await?;
///
/// let Merged::Committed(report) = lake.merge("dev").await? else { panic!("both sides went on") };
/// assert_eq!(report.commit.merged().map(|merged| merged.hash), Some(dev.hash()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergedParent {
    /// Its hash.
    pub hash: Hash,
    /// The version that it has on the branch that it came from.
    pub version: Seq,
}

/// A version of a branch: who changed what, and when. Cloning is cheap.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let main = lake.main().await?;
/// let commit = main.commit();
/// assert_eq!((commit.version().0, commit.message()), (1, "the first orders"));
/// assert_eq!(commit.changes()[0].rows.added, 3);
/// assert_eq!(commit.parent(), Some(lake.at("main~1").await?.commit().hash()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Commit {
    object: ObjectRef,
    node: Arc<CommitNode>,
}

impl Commit {
    pub(crate) fn new(object: ObjectRef, node: CommitNode) -> Self {
        Self { object, node: Arc::new(node) }
    }

    /// What the history says of a commit whose object may be gone: version, hash, time and transaction, and nothing else.
    pub(crate) fn remembered(entry: &HistoryEntry) -> Self {
        let node = CommitNode {
            seq: entry.seq,
            parents: Parents::None,
            time: entry.time,
            txn: entry.txn,
            keyed: entry.keyed,
            author: Author::default(),
            message: Message::default(),
            properties: CommitProperties::default(),
            catalog: Root::default(),
            history: Root::default(),
            changes: Vec::new(),
        };
        Self::new(entry.commit, node)
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

    /// The hash of the commit before it on its branch; the lake's first commit has none.
    #[must_use]
    pub fn parent(&self) -> Option<Hash> {
        self.node.parents.first().map(|parent| parent.hash)
    }

    /// What it merged, if it is a merge. Nothing keeps that commit: it may be gone [COM-8].
    #[must_use]
    pub fn merged(&self) -> Option<MergedParent> {
        let merged = self.node.parents.merged()?;
        Some(MergedParent { hash: merged.commit.hash, version: merged.seq })
    }

    /// The hashes of all commits that it follows: the one before it on its branch, then what it merged.
    pub fn parents(&self) -> impl Iterator<Item = Hash> + use<> {
        self.parent().into_iter().chain(self.merged().map(|merged| merged.hash))
    }

    /// What programs keep with it.
    #[must_use]
    pub fn properties(&self) -> &CommitProperties {
        &self.node.properties
    }

    /// Whether its transaction came with an idempotency key.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.node.keyed
    }

    /// What it did to each table, view and namespace.
    #[must_use]
    pub fn changes(&self) -> &[TableChange] {
        &self.node.changes
    }
}
