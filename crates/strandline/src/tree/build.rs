//! Bulk build of a tree from entries that come in order.

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use strandline_format::Era;
use strandline_format::tree::{Builder, EncodedNode, Root, TreeKind};

use crate::error::Result;
use crate::tree::{FETCHES, Trees};

impl Trees {
    /// Builds a tree from entries in ascending order of their keys, and uploads its nodes as they come.
    ///
    /// Memory is bounded by one node of each level and 16 nodes that are being uploaded.
    ///
    /// # Errors
    /// `InvalidInput` for entries out of order; the store's errors. What a dropped future has uploaded nothing refers to.
    pub async fn build<K: TreeKind>(
        &self,
        entries: impl Stream<Item = Result<K::Entry>> + Send,
        era: Era,
    ) -> Result<Root<K>> {
        let mut builder = Builder::<K>::new(era);
        let mut entries = std::pin::pin!(entries.chunks(4 * FETCHES));
        let mut full = Vec::new();
        while let Some(chunk) = entries.next().await {
            for entry in chunk {
                builder.push(entry?)?;
            }
            full.extend(builder.take_nodes());
            if full.len() >= FETCHES {
                self.upload(std::mem::take(&mut full)).await?;
            }
        }
        let (root, rest) = builder.finish()?;
        full.extend(rest);
        self.upload(full).await?;
        Ok(root)
    }

    /// Uploads nodes, at most 16 at a time.
    ///
    /// # Errors
    /// The store's errors. Nothing refers to what a failed or dropped call has uploaded.
    pub async fn upload(&self, nodes: Vec<EncodedNode>) -> Result<()> {
        let put = |node: EncodedNode| self.objects.put_meta(Bytes::from(node.text), node.object.era);
        stream::iter(nodes).map(put).buffered(FETCHES).try_for_each(|_| async { Ok(()) }).await
    }
}
