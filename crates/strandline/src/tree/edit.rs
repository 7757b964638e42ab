//! Editing: into the root's buffer, and from there into the leaves once the buffer is full.

use strandline_format::Era;
use strandline_format::tree::{Edit, EncodedNode, Flush, NodeMap, NodeRef, Root, TreeKind, flush};

use crate::error::Result;
use crate::tree::Trees;

/// A tree after edits.
///
/// ```
#[doc = include_str!("../tree/history.example")]
/// let edited = trees.edit(&Root::<History>::default(), [(Seq(1), Some(version(1)))], Era(0)).await?;
/// // It fits into the buffer of the root, so nothing has to be uploaded.
/// assert!(edited.nodes.is_empty());
/// assert_eq!(trees.get(&edited.root, &Seq(1)).await?, Some(version(1)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Edited<K: TreeKind> {
    /// The root, for its owner to hold.
    pub root: Root<K>,
    /// The nodes to store before anything refers to the root.
    pub nodes: Vec<EncodedNode>,
}

impl Trees {
    /// Applies edits. No request while they fit into the root's buffer; else the nodes on the way to the leaves that they
    /// touch are fetched, a wave for each level. Nodes are written for `era` and not uploaded.
    ///
    /// # Errors
    /// `Corrupt` for a node that is not what its reference says; the store's errors. Dropping the future leaves nothing.
    pub async fn edit<K: TreeKind>(
        &self,
        root: &Root<K>,
        edits: impl IntoIterator<Item = (K::Key, Edit<K>)> + Send,
        era: Era,
    ) -> Result<Edited<K>> {
        let mut root = root.clone();
        root.edit(edits);
        if !root.is_over_full() {
            return Ok(Edited { root, nodes: Vec::new() });
        }
        let mut nodes = NodeMap::default();
        loop {
            match flush(&root, &nodes, era)? {
                Flush::Done(root, nodes) => return Ok(Edited { root, nodes }),
                Flush::Need(needed) => self.fetch_into(&mut nodes, needed).await?,
            }
        }
    }

    async fn fetch_into<K: TreeKind>(
        &self,
        nodes: &mut NodeMap<K>,
        mut needed: Vec<(u8, NodeRef<K>)>,
    ) -> Result<()> {
        needed.dedup_by(|next, before| next.1.node.hash == before.1.node.hash);
        while let Some((level, _)) = needed.first() {
            let level = *level;
            let (now, later): (Vec<_>, Vec<_>) = needed.into_iter().partition(|(at, _)| *at == level);
            let references = now.into_iter().map(|(_, reference)| reference).collect();
            for (reference, node) in self.nodes(level, references).await? {
                nodes.insert(level, &reference, node)?;
            }
            needed = later;
        }
        Ok(())
    }
}
