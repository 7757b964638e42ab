//! Renaming a branch [BR-4].
//!
//! The new name is made at the head of the old one, then the old one is deleted by the token under which it had that head. The
//! pin of the making stays in the old pointer until then: by it a repetition after a crash knows the half that is done, and
//! does not take a branch that happens to be there for its own. The delete drops it, so that an old name which is made again
//! does not look half renamed, and says in its own pin that all is done.

use std::future::IntoFuture;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{Label, PinId, RefName};

use crate::error::{Error, ErrorKind, Result};
use crate::history::Ref;
use crate::lake::{Found, Head, Lake, Standing};
use crate::refs::create_branch::{BranchMaker, reason};
use crate::refs::delete_branch::bury;
use crate::refs::fast_forward::Mover;
use crate::refs::taking::{Depth, Taking};
use crate::refs::{PATIENCE, check_time};
use crate::runtime::Deadline;

/// A branch that is about to be renamed: `.await` it for its head.
///
/// The requests of making a branch and of deleting one. A dropped or failed attempt leaves the old name, or both, at the same
/// commits; renaming it again completes it. Tags and pins go on saying the old name.
///
/// ```
#[doc = include_str!("../orders.example")]
/// lake.create_branch("dev").await?;
/// let renamed = lake.rename_branch("dev", "next").await?;
/// assert_eq!(renamed.branch().as_str(), "next");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound` if there is no branch of the old name; `AlreadyExists` if there is one of the new name; `InvalidInput` if both
/// are one name; `CommitUnknown` if a swap went unanswered: renaming it again settles it; `PermissionDenied`, naming the ref;
/// `Unavailable` and what else the store says.
#[derive(Clone, Debug)]
#[must_use = "a branch is renamed when this is awaited"]
pub struct RenameBranch {
    lake: Lake,
    old: String,
    new: String,
}

impl Lake {
    /// Renames a branch; see [`RenameBranch`].
    pub fn rename_branch(&self, old: impl Into<String>, new: impl Into<String>) -> RenameBranch {
        RenameBranch { lake: self.clone(), old: old.into(), new: new.into() }
    }
}

impl RenameBranch {
    async fn run(self) -> Result<Ref> {
        let (old, new) = (RefName::new(self.old.as_str())?, RefName::new(self.new.as_str())?);
        if old == new {
            let text = format!("{:?} and {:?} are one name", old.as_str(), new.as_str());
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let (lake, deadline) = (&self.lake, Deadline::after(PATIENCE));
        let (begun, done) = (reason("rename to", &new), reason("renamed to", &new));
        let rename = Rename { lake, old: &old, new: &new, begun, done, deadline };
        let head = rename.run().await?;
        Ok(Ref::of_head(lake.clone(), head))
    }
}

impl IntoFuture for RenameBranch {
    type Output = Result<Ref>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

struct Rename<'a> {
    lake: &'a Lake,
    old: &'a RefName,
    new: &'a RefName,
    /// What the pin in the old pointer is for.
    begun: Label,
    /// What the pin of the old name's tombstone is for.
    done: Label,
    deadline: Deadline,
}

impl Rename<'_> {
    async fn run(&self) -> Result<Arc<Head>> {
        let absent =
            || Error::new(ErrorKind::NotFound, format!("there is no branch {:?}", self.old.as_str()));
        let (old, new) = futures::try_join!(self.lake.standing(self.old), self.lake.look(self.new))?;
        let old = old.ok_or_else(absent)?;
        match (new, old.is_live()) {
            (Found::Head(made), false) if pins(&old, &self.done).next().is_some() => Ok(made),
            (_, false) => Err(absent()),
            (Found::Head(made), true) if pins(&old, &self.begun).next().is_some() => self.finish(made).await,
            (Found::Head(_), true) => {
                let text = format!("there is a branch {:?}", self.new.as_str());
                Err(Error::new(ErrorKind::AlreadyExists, text))
            }
            (Found::Absent | Found::Deleted, true) => self.make().await,
        }
    }

    async fn make(&self) -> Result<Arc<Head>> {
        let head = self.lake.look(self.old).await?.head(self.old)?;
        let at = Ref::of_head(self.lake.clone(), head);
        let mut taking = Box::pin(Taking::begin(&at, Depth::All, self.begun.clone(), self.deadline)).await?;
        let made =
            Box::pin(BranchMaker::new(self.lake, &at, self.new, self.deadline).make(&mut taking)).await;
        match made {
            Ok(made) => self.finish(made).await,
            Err(error) => {
                // Where it is not known whether the new name was made, the pin lets a repetition know it.
                if error.kind() != ErrorKind::CommitUnknown {
                    taking.end().await;
                }
                Err(error)
            }
        }
    }

    /// Deletes the old name once both are at one commit.
    async fn finish(&self, mut made: Arc<Head>) -> Result<Arc<Head>> {
        loop {
            // Somebody else has deleted the old name: that is what was to be done.
            let Found::Head(old) = self.lake.look(self.old).await? else { return Ok(made) };
            let base = Standing::of_head(&old);
            let at = Ref::of_head(self.lake.clone(), old);
            let mover =
                Mover { lake: self.lake, at: &at, name: self.new, expecting: None, deadline: self.deadline };
            made = Box::pin(mover.run(made)).await?;
            let begun: Vec<PinId> = pins(&base, &self.begun).collect();
            if bury(self.lake, &base, self.done.clone(), &begun, self.deadline).await?.is_none() {
                return Ok(made);
            }
            check_time(self.deadline, format_args!("branch {:?} has both names", self.new.as_str()))?;
        }
    }
}

/// The pins of a pointer that are for this.
fn pins<'a>(standing: &'a Standing, reason: &'a Label) -> impl Iterator<Item = PinId> + 'a {
    standing.pointer.pins().iter().filter(move |pin| pin.reason == *reason).map(|pin| pin.id)
}
