//! Deleting a tag [BR-6].

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{Hash, RefName, RefState, Tag as TagNode};

use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Lake, StandingTag};
use crate::refs::create_tag::put;
use crate::refs::{PATIENCE, check_expected, check_time, not_known, vanished};
use crate::runtime::Deadline;
use crate::storage::{Loaded, Settled};

/// A tag that is about to be deleted: `.await` it. Its object stays, and keeps nothing.
///
/// Two requests where nobody is in the way. A dropped future leaves the outcome unknown; deleting it again settles it.
///
/// ```
#[doc = include_str!("../orders.example")]
/// lake.create_tag("closing").on("main").await?;
/// lake.delete_tag("closing").await?;
/// assert!(lake.tags().await?.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound` if there is no such tag; `Conflict` if it names another commit than was expected, or was moved meanwhile;
/// `CommitUnknown` if the swap went unanswered: look the tag up, or delete it again; `PermissionDenied`, naming the tag;
/// `Unavailable` and what else the store says.
#[derive(Clone, Debug)]
#[must_use = "a tag is deleted when this is awaited"]
pub struct DeleteTag {
    lake: Lake,
    name: String,
    expecting: Option<Hash>,
}

impl Lake {
    /// Deletes a tag; see [`DeleteTag`].
    pub fn delete_tag(&self, name: impl Into<String>) -> DeleteTag {
        DeleteTag { lake: self.clone(), name: name.into(), expecting: None }
    }
}

impl DeleteTag {
    /// Only if it names this commit.
    pub fn expecting(mut self, commit: Hash) -> Self {
        self.expecting = Some(commit);
        self
    }

    async fn run(self) -> Result<()> {
        let name = RefName::new(self.name.as_str())?;
        let (lake, deadline) = (&self.lake, Deadline::after(PATIENCE));
        let absent = || Error::new(ErrorKind::NotFound, format!("there is no tag {:?}", name.as_str()));
        let mut base = lake.standing_tag(&name).await?.filter(StandingTag::is_live).ok_or_else(absent)?;
        // What is deleted is the tag that was read: one that was moved since is somebody's new word.
        let commit = self.expecting.unwrap_or(base.commit().hash);
        lake.ensure_probed(deadline).await?;
        loop {
            check_expected("tag", &name, Some(commit), base.commit().hash)?;
            match bury(lake, &name, &base, deadline).await? {
                None => return Ok(()),
                Some(moved) => base = moved,
            }
            check_time(deadline, format_args!("tag {:?} was not deleted", name.as_str()))?;
        }
    }
}

impl IntoFuture for DeleteTag {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// Swaps a live tag to its tombstone. What stands there instead, if it has moved. A tag that somebody else has deleted
/// meanwhile is deleted.
async fn bury(
    lake: &Lake,
    name: &RefName,
    base: &StandingTag,
    deadline: Deadline,
) -> Result<Option<StandingTag>> {
    let next = base.tag.tombstone(lake.storage().runtime().nonce()?)?;
    let mine = |now: &Loaded| Ok(TagNode::parse(&now.bytes)?.state() == RefState::Deleted);
    let settled = put(lake, name, Some(base), &next, &mine, deadline).await;
    match settled.map_err(|error| error.at(format_args!("tag {:?} was not deleted", name.as_str())))? {
        Settled::Applied(_) => Ok(None),
        Settled::NotApplied(Some(now)) => Ok(Some(StandingTag::of(lake, name, &now)?)),
        Settled::NotApplied(None) => Err(vanished("tag", name)),
        Settled::Unknown(error) => {
            let act = format!("tag {:?} was deleted", name.as_str());
            Err(not_known(act, "deleting it again settles it", &error))
        }
    }
}
