//! A lake: where it is, which one it is, and the heads of its branches.
//!
//! Invariants: opening is one request for a branch's pointer, which carries the lake's id, the format and the features in
//! force [OPEN-1]; nothing is written by opening; nothing is swapped into a store whose conditions were not probed
//! [STO-9]. Tables, transactions and the commit loop stand on top of this.

mod create;
mod head;
mod open;
mod shortcuts;
mod standing;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strandline_format::{Feature, LakeId, NameKey, RefName};

pub use create::Create;
pub(crate) use head::Found;
pub use head::Head;
pub use open::Open;
pub(crate) use standing::{NextPointer, Standing, StandingTag, settle_probed};

use crate::commit::Committers;
use crate::error::Result;
use crate::storage::Storage;

/// So many heads of branches are known at once, each with what its pointer packs.
const HEADS: usize = 256;

/// The features that this version knows: a lake that requires another one is refused by its name [VER-6].
pub(crate) const KNOWN_FEATURES: &[Feature] = &[];

/// The branch that a lake begins with.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::lake::DEFAULT_BRANCH;
///
/// assert_eq!(lake.branches().await?[0].name.as_str(), DEFAULT_BRANCH);
/// # Ok(())
/// # }
/// ```
pub const DEFAULT_BRANCH: &str = "main";

/// A lake in a bucket or folder.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// let lake = Lake::create("memory://orders").await?;
/// let again = Lake::open("memory://orders").await?;
/// assert_eq!(lake.id(), again.id());
/// assert_eq!(again.head().commit().seq.0, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Lake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: LakeId,
    storage: Storage,
    head: Arc<Head>,
    /// The newest heads that this process has seen, by branch.
    heads: Mutex<HashMap<NameKey, Arc<Head>>>,
    committers: Committers,
}

impl Lake {
    /// Makes a lake at a URL or in a folder; its options are set on what this returns, `.await` carries it out.
    ///
    /// See [`Create`] for requests, errors, and what a dropped future leaves.
    pub fn create(location: impl Into<String>) -> Create {
        Create::new(location.into())
    }

    /// Opens the lake at a URL or in a folder; its options are set on what this returns, `.await` carries it out.
    ///
    /// See [`Open`] for requests and errors.
    pub fn open(location: impl Into<String>) -> Open {
        Open::new(location.into())
    }

    fn new(storage: Storage, head: Arc<Head>) -> Self {
        let id = head.pointer().lake();
        let heads = HashMap::from([(head.pointer().branch().key().clone(), Arc::clone(&head))]);
        let committers = Committers::default();
        Self(Arc::new(Inner { id, storage, head, heads: Mutex::new(heads), committers }))
    }

    fn heads(&self) -> MutexGuard<'_, HashMap<NameKey, Arc<Head>>> {
        self.0.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest head of a branch that this process has seen. No request.
    pub(crate) fn known(&self, branch: &RefName) -> Option<Arc<Head>> {
        self.heads().get(branch.key()).cloned()
    }

    /// Remembers a head, unless a newer one is known; gives the newer one. Whoever looks at more branches than that begins anew, but for the
    /// one that the lake was opened at.
    pub(crate) fn learn(&self, head: Arc<Head>) -> Arc<Head> {
        let mut heads = self.heads();
        if heads.len() >= HEADS && !heads.contains_key(head.pointer().branch().key()) {
            heads.retain(|branch, _| branch == self.default_branch().key());
        }
        let known = heads.entry(head.pointer().branch().key().clone()).or_insert_with(|| Arc::clone(&head));
        if known.pointer().seq() < head.pointer().seq() {
            *known = head;
        }
        Arc::clone(known)
    }

    /// Forgets the head of a branch that was found to be gone.
    pub(crate) fn forget(&self, branch: &RefName) {
        self.heads().remove(branch.key());
    }

    /// The present head of a branch. One request, which brings nothing if the head is the one that is known.
    pub(crate) async fn newest(&self, branch: &RefName) -> Result<Arc<Head>> {
        self.look(branch).await?.head(branch)
    }

    pub(crate) fn committers(&self) -> &Committers {
        &self.0.committers
    }

    /// The lake's id, which it keeps wherever it is copied.
    #[must_use]
    pub fn id(&self) -> LakeId {
        self.0.id
    }

    /// Where it is stored.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// The head that was found when the lake was opened.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.0.head
    }

    /// The present head of a branch. One request, unless the newest commit does not fit into the pointer's pack.
    ///
    /// # Errors
    /// `NotFound` if there is no such branch, `Unsupported` if it requires a feature that is not known, `Corrupt` if it
    /// is of another lake or broken. Dropping the future leaves nothing.
    pub async fn branch(&self, name: &RefName) -> Result<Head> {
        Ok((*self.newest(name).await?).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever goes over the branches of a large lake does not keep all of their heads.
    #[tokio::test]
    async fn so_many_heads_are_remembered_and_no_more() {
        let lake = Lake::create("memory://heads").await.unwrap();
        let main = lake.default_branch().clone();
        let names: Vec<RefName> = (0..HEADS + 10).map(|n| RefName::new(format!("b{n}")).unwrap()).collect();
        let learn = async |name: &RefName| {
            lake.create_branch(name.as_str()).await.unwrap();
            lake.newest(name).await.unwrap();
            assert!(lake.heads().len() <= HEADS, "{}", lake.heads().len());
            assert!(lake.known(name).is_some() && lake.known(&main).is_some(), "{name}");
        };
        for name in &names[..HEADS - 1] {
            learn(name).await;
        }
        assert_eq!(lake.heads().len(), HEADS);
        // What is known already takes no room of another one.
        lake.newest(&names[0]).await.unwrap();
        assert_eq!(lake.heads().len(), HEADS);
        learn(&names[HEADS - 1]).await;
        assert!(lake.known(&names[0]).is_none() && lake.heads().len() == 2);
        // What was forgotten is only asked for again.
        assert_eq!(lake.newest(&names[0]).await.unwrap().pointer().branch(), &names[0]);
    }
}
