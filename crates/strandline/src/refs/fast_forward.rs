//! Moving a branch to a commit that has its head among its first parents, without a commit of its own [MRG-5].

use std::sync::Arc;

use std::future::IntoFuture;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{
    Hash, Label, Nonce, ObjectRef, Pack, PinId, Pointer, PointerUpdate, RefName, Release, Seq,
};

use crate::error::{Error, ErrorKind, Result};
use crate::history::{Ref, Revision};
use crate::lake::{Found, Head, Lake, Standing};
use crate::refs::create_branch::{BranchMaker, default_revision, reason};
use crate::refs::keeps::{Claim, Kept};
use crate::refs::taking::{Depth, Source, Taking};
use crate::refs::{PATIENCE, check_expected, check_time, not_known, vanished};
use crate::runtime::Deadline;
use crate::storage::{Loaded, Recognise, Settled};

/// A branch that is about to be moved forward: `.await` it for its head. Nothing happens if it is there already.
///
/// Where nobody is in the way: the branch and the version are looked up, the version is pinned where it is kept, both are read
/// again, the branch is swapped, the pin dropped. A dropped or failed attempt leaves at most a pin.
///
/// ```
#[doc = include_str!("../orders.example")]
/// lake.create_branch("dev").await?;
/// let work = lake.begin().branch("dev").await?;
/// work.append("orders", orders(&[(4, 99)])).await?;
/// work.commit().await?;
///
/// let main = lake.fast_forward("main").to("dev").await?;
/// assert_eq!(main.version().0, 2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Conflict` if the branch's head is not among the first parents of the version, or is not what was expected; `NotFound` or
/// `SnapshotExpired` if the version or the branch is not there or not kept; `CommitUnknown` if the swap went unanswered: look
/// the branch up, or move it again; `PermissionDenied`, naming the ref; `Unavailable` and what else the store says.
#[derive(Clone, Debug)]
#[must_use = "a branch is moved when this is awaited"]
pub struct FastForward {
    lake: Lake,
    branch: String,
    to: Option<Revision>,
    expecting: Option<Hash>,
}

impl Lake {
    /// Moves a branch forward, to the head of the default branch unless told otherwise; see [`FastForward`].
    pub fn fast_forward(&self, branch: impl Into<String>) -> FastForward {
        FastForward { lake: self.clone(), branch: branch.into(), to: None, expecting: None }
    }
}

impl FastForward {
    /// The version to move it to.
    pub fn to(mut self, revision: impl Into<Revision>) -> Self {
        self.to = Some(revision.into());
        self
    }

    /// Only if this commit is its head.
    pub fn expecting(mut self, commit: Hash) -> Self {
        self.expecting = Some(commit);
        self
    }

    async fn run(self) -> Result<Ref> {
        let name = RefName::new(self.branch.as_str())?;
        let (lake, deadline) = (&self.lake, Deadline::after(PATIENCE));
        let to = self.to.unwrap_or_else(|| default_revision(lake));
        let (at, found) = futures::try_join!(lake.at(to), lake.look(&name))?;
        let mover = Mover { lake, at: &at, name: &name, expecting: self.expecting, deadline };
        let head = mover.run(found.head(&name)?).await?;
        Ok(Ref::of_head(lake.clone(), head))
    }
}

impl IntoFuture for FastForward {
    type Output = Result<Ref>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// A branch that is moved to a commit.
pub(super) struct Mover<'a> {
    pub(super) lake: &'a Lake,
    pub(super) at: &'a Ref,
    pub(super) name: &'a RefName,
    pub(super) expecting: Option<Hash>,
    pub(super) deadline: Deadline,
}

impl Mover<'_> {
    pub(super) async fn run(&self, head: Arc<Head>) -> Result<Arc<Head>> {
        if self.is_there(&head).await? {
            return Ok(head);
        }
        let above = Depth::From(head.commit().seq.next()?);
        let mut taking =
            Box::pin(Taking::begin(self.at, above, reason("fast-forward of", self.name), self.deadline))
                .await?;
        let moved = Box::pin(self.advance(&mut taking)).await;
        taking.end().await;
        moved
    }

    async fn advance(&self, taking: &mut Taking) -> Result<Arc<Head>> {
        let pack = BranchMaker::new(self.lake, self.at, self.name, self.deadline).pack().await?;
        loop {
            check_time(self.deadline, format_args!("branch {:?} was not moved", self.name.as_str()))?;
            let head = self.lake.look(self.name).await?.head(self.name)?;
            if self.is_there(&head).await? {
                return Ok(head);
            }
            let source = taking.check(self.deadline).await?;
            match self.swap(&head, source, pack.clone()).await? {
                Settled::Applied(now) => {
                    return Found::of(self.lake.storage(), self.name, &now).await?.head(self.name);
                }
                Settled::NotApplied(Some(_)) => {}
                Settled::NotApplied(None) => return Err(vanished("branch", self.name)),
                Settled::Unknown(error) => {
                    let act = format!("branch {:?} was moved", self.name.as_str());
                    return Err(not_known(
                        act,
                        "it was if that commit is in its history, else move it again",
                        &error,
                    ));
                }
            }
        }
    }

    /// Whether the branch is there already; an error unless it is behind.
    async fn is_there(&self, head: &Head) -> Result<bool> {
        let (from, to) = (head.pointer().head(), self.at.commit());
        check_expected("branch", self.name, self.expecting, from.hash)?;
        if from.hash == to.hash() {
            return Ok(true);
        }
        let version = head.commit().seq;
        let history = &to.node().history;
        let entry = match version < to.version() {
            true => self.at.line().trees().get(history, &version).await?,
            false => None,
        };
        if entry.is_some_and(|entry| entry.commit.hash == from.hash) {
            return Ok(false);
        }
        let text = format!(
            "branch {:?} is at version {version}, commit {from}, which is not among the first parents of {to}: merge it",
            self.name.as_str(),
            from = from.hash,
            to = to.hash(),
        );
        Err(Error::new(ErrorKind::Conflict, text))
    }

    async fn swap(&self, head: &Head, source: Source, pack: Pack) -> Result<Settled> {
        let (runtime, to) = (self.lake.storage().runtime(), self.at.commit().object());
        let next = head.commit().seq.next()?;
        let release = Release {
            id: PinId::from_bytes(runtime.random()?),
            reason: Label::new("expiry, taken over by a fast-forward")?,
            time: runtime.now(),
        };
        let features = source.joined(head.pointer().features())?;
        let (old, version) = (head.pointer().head(), self.at.version());
        let update = |update: PointerUpdate| {
            let update = update.advance(to, pack)?.raise_era(source.era).require(features);
            expire_gap(update, source.from, next, version, old, release)
        };
        let claim = Claim { commit: to, version, from: version };
        let mine = |nonce| Moved { lake: self.lake, name: self.name, claim, nonce };
        let settled = self.lake.swap(head, update, mine, self.deadline).await;
        settled.map_err(|error| error.at(format_args!("branch {:?} was not moved", self.name.as_str())))
    }
}

/// Where the source does not keep all versions from the branch's next one on, the branch's own are expired with them [MRG-5].
fn expire_gap(
    update: PointerUpdate,
    kept_from: Seq,
    next: Seq,
    head: Seq,
    newest: ObjectRef,
    release: Release,
) -> Result<PointerUpdate> {
    if kept_from <= next {
        return Ok(update);
    }
    Ok(update.expire(kept_from, head, newest, release)?)
}

/// Knows the branch that was moved: by our nonce, or by the commit in its history, whoever brought it there.
struct Moved<'a> {
    lake: &'a Lake,
    name: &'a RefName,
    claim: Claim,
    nonce: Nonce,
}

#[async_trait]
impl Recognise for Moved<'_> {
    async fn is_mine(&self, current: &Loaded) -> Result<bool> {
        if Pointer::parse(&current.bytes)?.nonce() == self.nonce {
            return Ok(true);
        }
        let now = Standing::of(self.lake, self.name, current)?;
        Ok(now.is_live() && Kept::by(self.lake, &now).line_holds(now.pointer.head(), &self.claim).await?)
    }
}
