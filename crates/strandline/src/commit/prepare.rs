//! A transaction upon a base: what is checked there, and the commit that it would be [TXN-4].
//!
//! Invariants: the checks are made in the order of the rule, for every member on every base; nothing here changes a ref but the pin of
//! what is taken over. It may be dropped at any point and be begun again. What does not belong here: the checks themselves (`check`),
//! carrying a work over (`merge`), and storing anything (`group`).

use std::sync::Arc;

use strandline_format::{RefName, Seq, TableChange};

use crate::commit::build::{Built, Identity, Tip, build};
use crate::commit::check::{check_retained, check_start, landed, renew_uploads};
use crate::commit::queue::Waiting;
use crate::commit::resolve::read_commit;
use crate::commit::{Brings, Member};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Ref};
use crate::lake::{Head, KNOWN_FEATURES, Lake};
use crate::merge::{Brought, Conflict, Decided, MergeProgress, Rebase, Rebased, Upon, came_since};
use crate::refs::Source;
use crate::runtime::Deadline;

/// How many commits are looked through for the one that a conflict is with.
const SUSPECTS: u64 = 100;

/// What a member is to stand upon.
#[derive(Clone, Copy)]
pub(super) struct Onto<'a> {
    pub(super) lake: &'a Lake,
    pub(super) branch: &'a RefName,
    pub(super) head: &'a Head,
    /// The last of the commits that go before it in the same swap.
    pub(super) last: Option<&'a Built>,
}

/// What preparing a member came to.
pub(super) enum Prepared {
    Ready(Box<Ready>),
    /// It had committed before.
    Committed(Commit),
    /// It does not go with the commits before it: once they have landed, it is tried again.
    Later,
}

/// A commit that may be stored and swapped.
pub(super) struct Ready {
    pub(super) built: Built,
    /// What the ref said from which it takes something over.
    pub(super) source: Option<Source>,
}

impl Onto<'_> {
    /// Checks a member, carries it over, and makes its commit.
    ///
    /// # Errors
    /// `Conflict`, with all that is in its way, if it conflicts with the head; `SnapshotExpired`, `Unsupported`, and the store's errors.
    pub(super) async fn prepare(&self, waiting: &mut Waiting) -> Result<Prepared> {
        let (head, deadline, member) = (self.head, waiting.deadline, &mut waiting.member);
        // It is made upon a head, and asks its source with that head's token in hand.
        if member.brings.is_some() && self.last.is_some() {
            return Ok(Prepared::Later);
        }
        check_start(head, &member.start).await?;
        if let Some(commit) = landed(head, member).await? {
            return Ok(Prepared::Committed(commit));
        }
        head.pointer().features().check_write(KNOWN_FEATURES)?;
        check_retained(head, &member.start)?;
        renew_uploads(member, head, self.lake.storage().objects()).await?;
        let tip = self.last.map_or_else(|| head.tip(self.lake), |built| built.tip.clone());
        waiting.checked = tip.commit.version().0 - member.start.version().0;
        let (carried, source) = match &member.brings {
            Some(brings) => match self.bring(member, brings, deadline).await? {
                Some(carried) => carried,
                // It came while this was waiting.
                None => return Ok(Prepared::Committed(head.version().clone())),
            },
            None => (self.carry(member, &tip).await?, None),
        };
        let work = match carried {
            Rebased::Done(work) => work,
            Rebased::Conflicts(_) if self.last.is_some() => return Ok(Prepared::Later),
            Rebased::Conflicts(conflicts) => return Err(self.conflict(conflicts, &member.start).await),
        };
        let merged = member.brings.as_ref().and_then(|brings| brings.bringing.merged());
        let identity = Identity { txn: member.txn, keyed: member.keyed, era: head.pointer().era(), merged };
        let built = build(&work, &tip, identity, &member.label, self.lake.storage().runtime()).await?;
        Ok(Prepared::Ready(Box::new(Ready { built, source })))
    }

    /// The member's work upon the tip.
    async fn carry(&self, member: &mut Member, tip: &Tip) -> Result<Rebased> {
        if tip.commit.hash() == member.start.hash() {
            return Ok(Rebased::Done(member.work.clone()));
        }
        // Its rows are read where the other side made a constraint [REB-11].
        member.uploads.stored().await?;
        let since = came_since(&tip.snapshot.trees, &member.start, &tip.commit).await?;
        let rebase = Rebase {
            work: &member.work,
            reads: member.reads.as_ref(),
            onto: &tip.snapshot,
            version: tip.commit.version().next()?,
            era: self.head.pointer().era(),
            txn: member.txn,
            choices: &Decided::default(),
            since: &since,
            progress: &MergeProgress::default(),
        };
        Box::pin(rebase.run()).await
    }

    /// What the member brings in, upon the head; `None` if that has all of it. The source is asked first whether it keeps that [GC-7].
    async fn bring(
        &self,
        member: &Member,
        brings: &Brings,
        deadline: Deadline,
    ) -> Result<Option<(Rebased, Option<Source>)>> {
        self.check_brings(member, brings)?;
        let source = match brings.taking.lock().await.as_mut() {
            Some(taking) => Some(taking.check(deadline).await?),
            None => None,
        };
        if let Some(work) = brings.looked.upon(self.head) {
            return Ok(Some((Rebased::Done(work.clone()), source)));
        }
        let ours = Ref::of_head(self.lake.clone(), Arc::new(self.head.clone()));
        let (version, era) = (ours.version().next()?, self.head.pointer().era());
        let upon = Upon { ours: &ours, version, era, txn: member.txn };
        Ok(match Box::pin(brings.bringing.upon(&upon)).await? {
            Brought::Done(work) => Some((Rebased::Done(work), source)),
            Brought::Disagreed(found) => Some((Rebased::Conflicts(found.conflicts), source)),
            Brought::Nothing => None,
        })
    }

    /// Refuses a head that is not the one that was meant, or lacks a version of its own that is read.
    fn check_brings(&self, member: &Member, brings: &Brings) -> Result<()> {
        let (pointer, branch) = (self.head.pointer(), self.branch.as_str());
        if brings.exact && pointer.head().hash != member.start.hash() {
            let message = format!("branch {branch:?} has moved to {}", pointer.head().hash);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        if let Some(oldest) = brings.oldest.filter(|oldest| *oldest < pointer.expired_before()) {
            let message = format!("version {oldest} of branch {branch:?} was expired");
            return Err(Error::new(ErrorKind::SnapshotExpired, message));
        }
        Ok(())
    }

    /// The error of conflicts, with the commits that they are with.
    async fn conflict(&self, mut conflicts: Vec<Conflict>, start: &Commit) -> Error {
        if let Err(error) = name_commits(&mut conflicts, self.head, start.version()).await {
            tracing::debug!(%error, "the commits behind a conflict could not be read");
        }
        Error::of_conflicts(self.branch, conflicts)
    }
}

/// Names the commits that conflicts are with: the newest ones of a branch after a version that can be.
pub(crate) async fn name_commits(conflicts: &mut [Conflict], head: &Head, since: Seq) -> Result<()> {
    let mut commit = head.version().clone();
    let oldest = since.0.max(commit.version().0.saturating_sub(SUSPECTS));
    while commit.version().0 > oldest {
        for conflict in conflicts.iter_mut().filter(|conflict| conflict.commit.is_none()) {
            let did =
                |change: &TableChange| Some(change.table) == conflict.table && conflict.may_be_of(change);
            let touched = commit.changes().iter().any(did);
            conflict.commit = touched.then(|| (commit.version(), commit.hash()));
        }
        if conflicts.iter().all(|conflict| conflict.commit.is_some()) {
            return Ok(());
        }
        let Some(parent) = commit.node().parents.first() else { return Ok(()) };
        commit = read_commit(head.trees(), &parent).await?;
    }
    Ok(())
}
