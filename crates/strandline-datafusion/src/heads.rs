//! The heads at which a statement reads.
//!
//! A statement looks its names up one after the other, and somebody may commit in between. Invariant: whatever follows a branch, by
//! its name or by steps from it, is found from the head of it that was seen first, and a tag that moves is found once. What does not
//! belong here: which tables of a plan are read together (`pin`).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline::format::{Base, RefName, Reference, Suffix};
use strandline::{Error, ErrorKind, Lake, Ref, Result};
use tokio::sync::Mutex;

/// What was seen of a lake's refs. Cloning gives another handle to the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// By the names of branches.
    heads: BTreeMap<String, Ref>,
    /// By the texts of references.
    others: BTreeMap<String, Ref>,
}

impl Heads {
    /// These heads of branches.
    pub(crate) fn of(heads: impl IntoIterator<Item = Ref>) -> Self {
        let heads = heads.into_iter().map(|head| (head.branch().as_str().to_owned(), head)).collect();
        Self(Arc::new(Mutex::new(Known { heads, others: BTreeMap::new() })))
    }

    /// Looks at everything anew, for a statement that is run again.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = Known::default();
    }

    /// The head of a branch. One request, if it was not seen yet.
    pub(crate) fn head<'h>(&'h self, lake: &'h Lake, branch: &'h RefName) -> BoxFuture<'h, Result<Ref>> {
        self.looked_at(lake, branch).boxed()
    }

    async fn looked_at(&self, lake: &Lake, branch: &RefName) -> Result<Ref> {
        let mut known = self.0.lock().await;
        if let Some(head) = known.heads.get(branch.as_str()) {
            return Ok(head.clone());
        }
        let head = lake.at(Reference::new(Base::Branch(branch.clone()), Vec::new())).await?;
        known.heads.insert(branch.as_str().to_owned(), head.clone());
        Ok(head)
    }

    /// What a reference names. Requests and errors as of [`Lake::at`], and for a word with steps behind it one more.
    ///
    /// Its type ends here: those of what is within would be too deep for the compiler, in the futures of whole statements.
    pub(crate) fn at<'h>(&'h self, lake: &'h Lake, reference: Reference) -> BoxFuture<'h, Result<Ref>> {
        let found = async move {
            match reference.base() {
                Base::Branch(branch) => self.stepped(lake, branch, reference.suffixes()).await,
                Base::Word(_) => self.at_word(lake, reference).await,
                Base::Tag(_) | Base::Version(_) | Base::Time(_) | Base::Commit(_) => {
                    self.found(lake, reference).await
                }
            }
        };
        found.boxed()
    }

    /// A word is a branch if there is one of that name.
    async fn at_word(&self, lake: &Lake, reference: Reference) -> Result<Ref> {
        let bare = self.found(lake, Reference::new(reference.base().clone(), Vec::new())).await?;
        if !bare.is_named_by(reference.base()) {
            return if reference.suffixes().is_empty() {
                Ok(bare)
            } else {
                self.found(lake, reference).await
            };
        }
        let branch = bare.branch().clone();
        self.0.lock().await.heads.entry(branch.as_str().to_owned()).or_insert(bare);
        self.stepped(lake, &branch, reference.suffixes()).await
    }

    async fn stepped(&self, lake: &Lake, branch: &RefName, steps: &[Suffix]) -> Result<Ref> {
        let head = self.head(lake, branch).await?;
        match steps.first() {
            None => return Ok(head),
            // What is looked up names the head as well, which nobody has said.
            Some(Suffix::AtVersion(version)) if *version > head.version() => {
                let (branch, last) = (branch.as_str(), head.version());
                let message =
                    format!("there is no version {version}: branch {branch:?} is at version {last}");
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            Some(_) => {}
        }
        self.found(lake, from(&head, steps)).await
    }

    /// The head that a reference was found from by steps back, if it was.
    pub(crate) async fn stepped_from(&self, reference: &Reference) -> Option<Head> {
        let name = match reference.base() {
            Base::Branch(branch) => branch.as_str(),
            Base::Word(word) => word.as_str(),
            Base::Tag(_) | Base::Version(_) | Base::Time(_) | Base::Commit(_) => return None,
        };
        let steps = reference.suffixes();
        // What says its version is that one, wherever the head is.
        matches!(steps.first()?, Suffix::Parent(_)).then_some(())?;
        let seen = self.0.lock().await.heads.get(name)?.clone();
        Some(Head { seen, steps: steps.into() })
    }

    async fn found(&self, lake: &Lake, reference: Reference) -> Result<Ref> {
        let text = reference.to_string();
        let mut known = self.0.lock().await;
        if let Some(found) = known.others.get(&text) {
            return Ok(found.clone());
        }
        let found = lake.at(reference).await?;
        known.others.insert(text, found.clone());
        Ok(found)
    }
}

/// A head, and the steps that led on from it.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) seen: Ref,
    pub(crate) steps: Arc<[Suffix]>,
}

fn from(head: &Ref, steps: &[Suffix]) -> Reference {
    let steps = [&[Suffix::AtVersion(head.version())], steps].concat();
    Reference::new(Base::Branch(head.branch().clone()), steps)
}

/// What is so many steps behind a head. Requests and errors as of [`Lake::at`].
pub(crate) async fn behind(head: &Ref, steps: &[Suffix]) -> Result<Ref> {
    head.lake().at(from(head, steps)).await
}
