//! The three-way merge of trees: what changed from the base to theirs is done to ours.
//!
//! A rebase is this merge as well. Which entries agree is decided here; what happens where both sides changed one key is the
//! rule of the tree's use, handed in by the caller.

use futures::stream::{StreamExt, TryStreamExt};
use strandline_format::tree::{Edit, Root, TreeKind};

use crate::error::Result;
use crate::tree::{Change, Trees};

/// A key that both sides changed, in different ways.
///
/// ```
#[doc = include_str!("../tree/history.example")]
/// use strandline::tree::{Collision, Resolution};
///
/// let base = Root::<History>::default();
/// let ours = trees.edit(&base, [(Seq(1), Some(version(1)))], Era(0)).await?.root;
/// let other = HistoryEntry { keyed: true, ..version(1) };
/// let theirs = trees.edit(&base, [(Seq(1), Some(other))], Era(0)).await?.root;
/// let look = |collision: &Collision<History>| {
///     assert!(collision.base.is_none() && collision.ours != collision.theirs);
///     Resolution::Conflict
/// };
/// assert_eq!(trees.merge(&base, &ours, &theirs, look).await?.conflicts[0].key, Seq(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Collision<K: TreeKind> {
    /// The key.
    pub key: K::Key,
    /// Its entry in the common ancestor.
    pub base: Option<K::Entry>,
    /// Its entry in the tree that is merged into.
    pub ours: Option<K::Entry>,
    /// Its entry in the tree that is merged.
    pub theirs: Option<K::Entry>,
}

/// What becomes of a collision.
///
/// ```
#[doc = include_str!("../tree/history.example")]
/// use strandline::tree::Resolution;
///
/// let base = Root::<History>::default();
/// let ours = trees.edit(&base, [(Seq(1), Some(version(1)))], Era(0)).await?.root;
/// let other = HistoryEntry { keyed: true, ..version(1) };
/// let theirs = trees.edit(&base, [(Seq(1), Some(other))], Era(0)).await?.root;
/// // Ours stays: there is nothing to do.
/// let merged = trees.merge(&base, &ours, &theirs, |_| Resolution::Ours).await?;
/// assert!(merged.edits.is_empty() && merged.conflicts.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution<K: TreeKind> {
    /// Our entry stays.
    Ours,
    /// This edit takes its place.
    Edit(Edit<K>),
    /// It cannot be decided by rule.
    Conflict,
}

/// What a merge comes to.
///
/// ```
#[doc = include_str!("../tree/history.example")]
/// use strandline::tree::Resolution;
///
/// let base = Root::<History>::default();
/// let ours = trees.edit(&base, [(Seq(1), Some(version(1)))], Era(0)).await?.root;
/// let theirs = trees.edit(&base, [(Seq(2), Some(version(2)))], Era(0)).await?.root;
/// let merged = trees.merge(&base, &ours, &theirs, |_| Resolution::Conflict).await?;
/// // What is to be done to ours.
/// assert_eq!(merged.edits, [(Seq(2), Some(version(2)))]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Merged<K: TreeKind> {
    /// What to do to our tree.
    pub edits: Vec<(K::Key, Edit<K>)>,
    /// What could not be decided; the merge is complete only without any.
    pub conflicts: Vec<Collision<K>>,
}

/// How many changes are looked up in our tree at a time.
const LOOKUPS: usize = 1024;

impl Trees {
    /// Merges the way from `base` to `theirs` into `ours`. Requests: those of the diff, and the lookups of the changed keys
    /// in ours. Memory is bounded by the changes of theirs.
    ///
    /// # Errors
    /// `Corrupt` for a node that is not what its reference says; the store's errors. Dropping the future leaves nothing.
    pub async fn merge<K: TreeKind>(
        &self,
        base: &Root<K>,
        ours: &Root<K>,
        theirs: &Root<K>,
        mut resolve: impl FnMut(&Collision<K>) -> Resolution<K> + Send,
    ) -> Result<Merged<K>> {
        let mut merged = Merged { edits: Vec::new(), conflicts: Vec::new() };
        let mut chunks = std::pin::pin!(self.diff(base, theirs).chunks(LOOKUPS));
        while let Some(chunk) = chunks.next().await {
            let changes: Vec<Change<K>> = chunk.into_iter().collect::<Result<_>>()?;
            let keys: Vec<K::Key> = changes.iter().map(|change| change.key.clone()).collect();
            let present = self.get_many(ours, &keys).await?;
            changes
                .into_iter()
                .zip(present)
                .for_each(|(change, ours)| merged.add(change, ours, &mut resolve));
        }
        Ok(merged)
    }

    /// All that differs between two trees, at once: for small differences.
    ///
    /// # Errors
    /// As [`Trees::diff`].
    pub async fn changes<K: TreeKind>(&self, before: &Root<K>, after: &Root<K>) -> Result<Vec<Change<K>>> {
        self.diff(before, after).try_collect().await
    }
}

impl<K: TreeKind> Merged<K> {
    fn add(
        &mut self,
        change: Change<K>,
        ours: Option<K::Entry>,
        resolve: &mut impl FnMut(&Collision<K>) -> Resolution<K>,
    ) {
        if ours == change.before {
            self.edits.push((change.key, change.after));
            return;
        }
        if ours == change.after {
            return;
        }
        let collision = Collision { key: change.key, base: change.before, ours, theirs: change.after };
        match resolve(&collision) {
            Resolution::Ours => {}
            Resolution::Edit(edit) => self.edits.push((collision.key, edit)),
            Resolution::Conflict => self.conflicts.push(collision),
        }
    }
}
