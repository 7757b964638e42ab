//! Trees as they are stored: walking, searching, editing, comparing and merging them.
//!
//! The structure and every rule of it is in `strandline_format::tree`, which is pure; here is only the fetching, bounded and
//! in parallel. Invariants: each node is verified against its hash and against the reference that led to it before anything
//! is read from it; nothing is uploaded here, an edit hands out the nodes that it wrote, so that a commit can store them
//! together with all else in one wave. Requests are made level by level: a point lookup in a tree of level `n` makes at most
//! `n` dependent requests.

mod build;
mod diff;
mod edit;
mod merge;
mod read;
mod scan;
mod select;

use std::collections::HashMap;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use strandline_format::tree::{EncodedNode, Node, NodeRef, TreeKind};
use strandline_format::{Hash, ObjectRef, Pack};

pub use diff::Change;
pub use edit::Edited;
pub use merge::{Collision, Merged, Resolution};
pub use scan::Batch;
pub(crate) use select::Holding;
pub use select::{All, FileFilter, KeyRange, Select};

use crate::error::{Error, Result};
use crate::storage::Objects;

/// How many nodes of one tree are fetched at a time.
const FETCHES: usize = 16;

/// How many nodes of one level a walk has at most that keeps them as they were parsed: more would not be there any more when they are asked for again.
const KEPT: usize = 32;

/// The trees of one lake: where their nodes are read from.
///
/// Nodes that were written but not yet uploaded are read from memory, so a transaction sees its own edits.
///
/// ```
#[doc = include_str!("../tree/history.example")]
/// let root = trees.edit(&Root::<History>::default(), (1..=3).map(|n| (Seq(n), Some(version(n)))), Era(0)).await?.root;
/// assert_eq!(trees.get(&root, &Seq(2)).await?, Some(version(2)));
/// assert_eq!(trees.get(&root, &Seq(4)).await?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Trees {
    objects: Objects,
    /// Texts at hand: of a pack, which checks them, and of nodes that were just written.
    staged: HashMap<Hash, Bytes>,
}

impl Trees {
    /// The trees whose nodes are these objects.
    #[must_use]
    pub fn new(objects: Objects) -> Self {
        Self { objects, staged: HashMap::new() }
    }

    /// The same, with what a pointer's pack holds at hand, whatever the cache keeps.
    #[must_use]
    pub fn with_pack(objects: Objects, pack: &Pack) -> Self {
        let text = |(hash, text): (Hash, &str)| (hash, Bytes::copy_from_slice(text.as_bytes()));
        Self { objects, staged: pack.iter().map(text).collect() }
    }

    /// The same, with what another one has at hand as well.
    #[must_use]
    pub fn beside(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.staged.extend(other.staged.iter().map(|(hash, text)| (*hash, text.clone())));
        both
    }

    /// Whether the text of an object is at hand, so that nothing has to be read.
    pub(crate) fn has_at_hand(&self, object: &ObjectRef) -> bool {
        self.staged.contains_key(&object.hash)
    }

    /// The text of a metadata object, verified. At most one request.
    ///
    /// # Errors
    /// `Corrupt` if it is missing or not what its hash says; the store's errors. Dropping the future leaves nothing.
    pub async fn text(&self, object: &ObjectRef) -> Result<Bytes> {
        match self.staged.get(&object.hash) {
            Some(text) if text.len() as u64 == object.size => Ok(text.clone()),
            // Let the store say what is wrong with a size that is not the text's [REFR-3].
            _ => self.objects.get_meta(object).await,
        }
    }

    /// Makes nodes readable that are not yet uploaded.
    pub fn stage<'a>(&mut self, nodes: impl IntoIterator<Item = &'a EncodedNode>) {
        let text = |node: &EncodedNode| (node.object.hash, Bytes::copy_from_slice(&node.text));
        self.staged.extend(nodes.into_iter().map(text));
    }

    /// One node, verified. At most one request. With others of its walk that are not too many it is kept as it was parsed.
    async fn node<K: TreeKind>(
        &self,
        level: u8,
        reference: NodeRef<K>,
        of: usize,
    ) -> Result<(NodeRef<K>, Node<K>)> {
        let stored = |error: strandline_format::Error| Error::from(error.stored().at(reference.node.hash));
        let known = self.objects.nodes().get::<K>(&reference.node);
        let (node, is_known) = match known {
            Some(node) => (node, true),
            None => (Node::parse(&self.text(&reference.node).await?).map_err(stored)?, false),
        };
        reference.check(level, &node).map_err(stored)?;
        if !is_known && of <= KEPT {
            self.objects.nodes().keep(&reference.node, &node);
        }
        Ok((reference, node))
    }

    /// Nodes of one level, in the order of their references; at most [`FETCHES`] requests at a time.
    async fn nodes<K: TreeKind>(
        &self,
        level: u8,
        references: Vec<NodeRef<K>>,
    ) -> Result<Vec<(NodeRef<K>, Node<K>)>> {
        let of = references.len();
        let fetch = |reference| self.node(level, reference, of);
        stream::iter(references).map(fetch).buffered(FETCHES).try_collect().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use strandline_format::tree::Root;
    use strandline_format::{Era, History, HistoryEntry, Seq, Timestamp, TxnId};

    use super::*;
    use crate::Runtime;
    use crate::storage::{ObjectOptions, Storage, StoreLocation};

    fn version(number: u64) -> HistoryEntry {
        HistoryEntry {
            seq: Seq(number),
            commit: ObjectRef { hash: Hash::of(&number.to_le_bytes()), era: Era(0), size: 1 },
            time: Timestamp::EPOCH,
            txn: TxnId::from_bytes([7; 16]),
            keyed: false,
            merged: None,
        }
    }

    /// How many nodes a walk over so many entries has, and how many of them are kept as they were parsed.
    async fn kept(entries: u64) -> (usize, usize) {
        let store = Arc::new(InMemory::new());
        let location = StoreLocation::parse("memory://test").unwrap();
        let (options, runtime) = (ObjectOptions::default(), Runtime::system());
        let storage = Storage::from_stores(location, store.clone(), store, options, runtime);
        let mut trees = Trees::new(storage.objects().clone());
        let edits = (0..entries).map(|number| (Seq(number), Some(version(number))));
        let edited = trees.edit(&Root::<History>::default(), edits, Era(0)).await.unwrap();
        trees.stage(&edited.nodes);
        let read = trees.collect(&edited.root, &All).await.unwrap();
        assert_eq!(read.len() as u64, entries);
        let known = |node: &&EncodedNode| storage.objects().nodes().get::<History>(&node.object).is_some();
        let kept = edited.nodes.iter().filter(known).count();
        // What is kept says the same.
        assert_eq!(trees.collect(&edited.root, &All).await.unwrap(), read);
        (edited.nodes.len(), kept)
    }

    #[tokio::test]
    async fn nodes_of_short_walks_are_parsed_once() {
        let (nodes, kept_nodes) = kept(1_000).await;
        assert!((1..=KEPT).contains(&nodes) && kept_nodes == nodes, "{kept_nodes} of {nodes}");
        let (nodes, kept_nodes) = kept(100_000).await;
        assert!(nodes > KEPT && kept_nodes < KEPT, "{kept_nodes} of {nodes}");
    }
}
