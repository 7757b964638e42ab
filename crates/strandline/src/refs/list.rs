//! What branches and tags there are.

use futures::stream::{self, StreamExt, TryStreamExt};
use strandline_format::{Hash, RefName, Seq, Tag as TagNode, Timestamp};

use crate::error::Result;
use crate::lake::{Found, Head, Lake, StandingTag};
use crate::storage::RefKind;

/// How many refs are read at a time.
const REFS: usize = 16;

/// A branch, as it stood when it was listed.
///
/// ```
#[doc = include_str!("../orders.example")]
/// lake.create_branch("dev").await?;
/// let branches = lake.branches().await?;
/// let names: Vec<&str> = branches.iter().map(|branch| branch.name.as_str()).collect();
/// assert_eq!(names, ["dev", "main"]);
/// assert_eq!(branches[0].head, branches[1].head);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its name, as it was written.
    pub name: RefName,
    /// The hash of its newest commit.
    pub head: Hash,
    /// The version of that commit.
    pub version: Seq,
    /// The time of that commit.
    pub time: Timestamp,
    /// The oldest version that it keeps.
    pub oldest: Seq,
}

/// A tag, as it stood when it was listed or set.
///
/// ```
#[doc = include_str!("../orders.example")]
/// lake.create_tag("closing").on("main").message("the books are closed").await?;
/// let tags = lake.tags().await?;
/// assert_eq!((tags[0].name.as_str(), tags[0].message.as_str()), ("closing", "the books are closed"));
/// assert_eq!((tags[0].branch.as_str(), tags[0].version.0), ("main", 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name, as it was written.
    pub name: RefName,
    /// The hash of the commit that it names.
    pub commit: Hash,
    /// The version of that commit.
    pub version: Seq,
    /// The branch on which that is its version.
    pub branch: RefName,
    /// When it was set.
    pub time: Timestamp,
    /// Who set it; empty if nobody said.
    pub author: String,
    /// What for; empty if nobody said.
    pub message: String,
}

impl Branch {
    fn of(head: &Head) -> Self {
        Self {
            name: head.pointer().branch().clone(),
            head: head.pointer().head().hash,
            version: head.commit().seq,
            time: head.commit().time,
            oldest: head.pointer().expired_before(),
        }
    }
}

impl Tag {
    pub(super) fn of(tag: &TagNode) -> Self {
        let target = tag.target();
        Self {
            name: tag.name().clone(),
            commit: target.commit.hash,
            version: target.version,
            branch: target.branch.clone(),
            time: target.time,
            author: target.author.as_str().to_owned(),
            message: target.message.as_str().to_owned(),
        }
    }
}

impl Lake {
    /// All live branches, in the order of their keys. A listing, and a request for each branch that is or was, 16 at a time.
    ///
    /// # Errors
    /// `Corrupt` or `Unsupported`, naming the branch, if one cannot be read; the store's errors. Dropping the future leaves
    /// nothing.
    pub async fn branches(&self) -> Result<Vec<Branch>> {
        let names = self.storage().refs().list(RefKind::Branch).await?;
        let look = |name: RefName| async move {
            Result::Ok(match self.look(&name).await? {
                Found::Head(head) => Some(Branch::of(&head)),
                Found::Absent | Found::Deleted => None,
            })
        };
        let found: Vec<Option<Branch>> = stream::iter(names).map(look).buffered(REFS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// All live tags, in the order of their keys. A listing, and a request for each tag that is or was, 16 at a time.
    ///
    /// # Errors
    /// As [`Lake::branches`].
    pub async fn tags(&self) -> Result<Vec<Tag>> {
        let names = self.storage().refs().list(RefKind::Tag).await?;
        let look = |name: RefName| async move { self.standing_tag(&name).await };
        let found: Vec<_> = stream::iter(names).map(look).buffered(REFS).try_collect().await?;
        Ok(found
            .into_iter()
            .flatten()
            .filter(StandingTag::is_live)
            .map(|found| Tag::of(&found.tag))
            .collect())
    }
}
