//! Taking over a commit of another ref [GC-7, GC-8].
//!
//! The commit is pinned in its source, so that it stays readable; on every base of the target, after that was read and before
//! it is swapped, the source is asked whether it keeps the commit still. That check is what makes it safe: whatever a
//! collection has fenced, it has fenced either the target, whose token is then stale, or a source that keeps the commit.
//!
//! Contract: `check` after each read of the target, `end` whatever came of it. A dropped `Taking` leaves a pin, which two
//! collections drop.

use std::time::Duration;

use strandline_format::{
    Era, Features, Label, NewPin, ObjectRef, PinId, Pointer, PointerUpdate, RefName, Seq,
};

use crate::error::{Error, ErrorKind, Result};
use crate::history::{Keeper, Line, Ref};
use crate::lake::{Found, Lake, Standing, StandingTag};
use crate::refs::keeps::{Claim, Kept};
use crate::refs::{check_time, vanished};
use crate::runtime::Deadline;
use crate::storage::{Loaded, RefKind, Settled};

/// How often the pin is tried to be dropped, where others swap the source meanwhile.
const UNPIN_ATTEMPTS: usize = 3;

/// How long that may take.
const UNPIN_PATIENCE: Duration = Duration::from_secs(5);

/// How much history is taken over with the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// All that the source keeps.
    All,
    /// The commit alone.
    Alone,
    /// The versions from this one on, as far as the source keeps them.
    From(Seq),
}

/// What the source said when it was last asked.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The era that the target must have at least.
    pub(crate) era: Era,
    /// The features in force there.
    pub(super) features: Features,
    /// The oldest version that is taken over.
    pub(super) from: Seq,
}

impl Source {
    /// The features of the target and those that are in force here.
    pub(crate) fn joined(&self, ours: &Features) -> Result<Features> {
        let read = ours.read().union(self.features.read()).cloned();
        let write = ours.write().union(self.features.write()).cloned();
        Ok(Features::new(read, write)?)
    }
}

/// A commit that is being taken over.
#[derive(Debug)]
pub(crate) struct Taking {
    lake: Lake,
    commit: ObjectRef,
    version: Seq,
    reason: Label,
    from: From,
}

/// The ref in the place of S.
#[derive(Debug)]
enum From {
    /// A branch, in which the commit was pinned.
    Branch(Box<Held>),
    /// A tag, which keeps the commit itself [GC-8].
    Tag(RefName, Source),
}

/// A pin, and the pointer that it stands in.
#[derive(Debug)]
struct Held {
    pin: PinId,
    claim: Claim,
    standing: Standing,
}

impl Taking {
    /// Step 1: pins the commit where it is kept. What only a tag keeps is not pinned.
    ///
    /// One swap of the source.
    pub(super) async fn begin(at: &Ref, depth: Depth, reason: Label, deadline: Deadline) -> Result<Self> {
        match at.line().keeper() {
            Keeper::Branch(head) => {
                Self::of_branch(at, Standing::of_head(head), depth, reason, deadline).await
            }
            Keeper::Tag(tag) => match at.lake().line_behind(tag).await? {
                Some(line) if line.oldest() <= at.version() => {
                    Self::of_line(at, &line, depth, reason, deadline).await
                }
                _ => Self::of_tag(at, tag.tag.name().clone(), reason, deadline).await,
            },
        }
    }

    /// The same for a tag as the target, into which nothing is taken over from a tag directly [GC-8].
    pub(super) async fn begin_in_pointer(at: &Ref, reason: Label, deadline: Deadline) -> Result<Self> {
        let taking = Self::begin(at, Depth::Alone, reason, deadline).await?;
        match &taking.from {
            From::Branch(_) => Ok(taking),
            From::Tag(tag, _) => {
                let tag = tag.clone();
                taking.through_pointer(tag, deadline).await
            }
        }
    }

    async fn of_line(at: &Ref, line: &Line, depth: Depth, reason: Label, deadline: Deadline) -> Result<Self> {
        match line.keeper() {
            Keeper::Branch(head) => {
                Self::of_branch(at, Standing::of_head(head), depth, reason, deadline).await
            }
            Keeper::Tag(tag) => Self::of_tag(at, tag.tag.name().clone(), reason, deadline).await,
        }
    }

    async fn of_branch(
        at: &Ref,
        base: Standing,
        depth: Depth,
        reason: Label,
        deadline: Deadline,
    ) -> Result<Self> {
        let (commit, version) = (at.commit().object(), at.version());
        let pinning = Pinning { lake: at.lake(), commit, version, reason: &reason, deadline };
        let held = Box::new(pinning.pin(base, depth, None).await?);
        let from = From::Branch(held);
        Ok(Self { lake: at.lake().clone(), commit, version, reason, from })
    }

    async fn of_tag(at: &Ref, tag: RefName, reason: Label, deadline: Deadline) -> Result<Self> {
        let lake = at.lake().clone();
        lake.ensure_probed(deadline).await?;
        let (commit, version) = (at.commit().object(), at.version());
        let source = tag_source(&lake, &tag, commit, version).await?;
        Ok(Self { lake, commit, version, reason, from: From::Tag(tag, source) })
    }

    /// Takes what a tag keeps over into a live pointer, by a pin, which then is in the place of S.
    async fn through_pointer(self, tag: RefName, deadline: Deadline) -> Result<Self> {
        let lake = &self.lake;
        let (id, mut base) = (PinId::from_bytes(lake.storage().runtime().random()?), any_live(lake).await?);
        let claim = Claim { commit: self.commit, version: self.version, from: self.version };
        loop {
            check_time(deadline, "the commit was not pinned")?;
            tag_source(lake, &tag, self.commit, self.version).await?;
            let pinning = Pinning {
                lake,
                commit: claim.commit,
                version: claim.version,
                reason: &self.reason,
                deadline,
            };
            match pinning.swap(&base, id, claim, None).await? {
                Ok(standing) => {
                    let held = Box::new(Held { pin: id, claim, standing });
                    return Ok(Self { from: From::Branch(held), ..self });
                }
                Err(moved) if moved.is_live() => base = moved,
                Err(_) => base = any_live(lake).await?,
            }
        }
    }

    /// What the source said last.
    pub(super) fn source(&self) -> Source {
        match &self.from {
            From::Branch(held) => held.source(),
            From::Tag(_, source) => source.clone(),
        }
    }

    /// Step 2: asks the source, with the target's token in hand, whether it keeps the commit.
    ///
    /// One request; a swap of the source more, if a collection has fenced it since.
    pub(crate) async fn check(&mut self, deadline: Deadline) -> Result<Source> {
        match &mut self.from {
            From::Tag(tag, source) => {
                *source = tag_source(&self.lake, tag, self.commit, self.version).await?;
                Ok(source.clone())
            }
            From::Branch(held) => {
                let name = held.standing.pointer.branch().clone();
                let now = self.lake.standing(&name).await?.ok_or_else(|| vanished("branch", &name))?;
                let kept = Kept::by(&self.lake, &now);
                if kept.by_pin(&held.claim, now.pointer.era(), None).await? {
                    held.standing = now;
                    return Ok(held.source());
                }
                if !kept.by_history(&held.claim).await? {
                    return Err(let_go(&name, self.version));
                }
                // The own pin is of an era that a collection has passed: another one keeps the commit readable.
                let pinning = Pinning {
                    lake: &self.lake,
                    commit: self.commit,
                    version: self.version,
                    reason: &self.reason,
                    deadline,
                };
                let again = pinning.pin(now, Depth::From(held.claim.from), Some(held.pin)).await?;
                if again.claim != held.claim {
                    return Err(let_go(&name, self.version));
                }
                **held = again;
                Ok(held.source())
            }
        }
    }

    /// Step 4: drops the pin, if the source keeps the commits without it [GC-9]. It has a time of its own, as it is due whatever
    /// came of the act, and however long that took. What fails here fails nobody: the pin goes by itself.
    pub(super) async fn end(self) {
        let From::Branch(held) = self.from else { return };
        if let Err(error) = held.drop_pin(&self.lake, Deadline::after(UNPIN_PATIENCE)).await {
            tracing::debug!(%error, "a pin stays until two collections have passed");
        }
    }
}

impl Held {
    fn source(&self) -> Source {
        let pointer = &self.standing.pointer;
        Source {
            era: pointer.era().max(self.claim.commit.era),
            features: pointer.features().clone(),
            from: self.claim.from,
        }
    }

    async fn drop_pin(mut self, lake: &Lake, deadline: Deadline) -> Result<()> {
        let (id, name) = (self.pin, self.standing.pointer.branch().clone());
        for _ in 0..UNPIN_ATTEMPTS {
            if !self.may_drop(lake).await? {
                return Ok(());
            }
            let at = (&self.standing.pointer, &self.standing.token);
            let mine =
                |_| move |now: &Loaded| Ok(Pointer::parse(&now.bytes)?.pins().iter().all(|pin| pin.id != id));
            match lake.replace(at, |next| Ok(next.unpin(id)), mine, deadline).await? {
                Settled::NotApplied(Some(now)) => self.standing = Standing::of(lake, &name, &now)?,
                Settled::Applied(_) | Settled::NotApplied(None) | Settled::Unknown(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether the pin stands there and something else keeps the same.
    async fn may_drop(&self, lake: &Lake) -> Result<bool> {
        let Some(pin) = self.standing.pointer.pins().iter().find(|pin| pin.id == self.pin) else {
            return Ok(false);
        };
        let kept = Kept::by(lake, &self.standing);
        Ok(kept.by_history(&self.claim).await? || kept.by_pin(&self.claim, pin.era, Some(pin.id)).await?)
    }
}

/// What it takes to pin a commit in a branch.
struct Pinning<'a> {
    lake: &'a Lake,
    commit: ObjectRef,
    version: Seq,
    reason: &'a Label,
    deadline: Deadline,
}

impl Pinning<'_> {
    /// Pins it, if the branch's history keeps it, in the place of the pin `old`. A pin whose outcome stays unknown does no harm:
    /// nothing was taken over yet.
    async fn pin(&self, mut base: Standing, depth: Depth, old: Option<PinId>) -> Result<Held> {
        let id = PinId::from_bytes(self.lake.storage().runtime().random()?);
        loop {
            let claim = self.claim(&base, depth).await?;
            match self.swap(&base, id, claim, old).await? {
                Ok(standing) => return Ok(Held { pin: id, claim, standing }),
                Err(moved) => base = moved,
            }
            check_time(self.deadline, "the commit was not pinned")?;
        }
    }

    /// One swap. The inner error is what stands there instead.
    async fn swap(
        &self,
        base: &Standing,
        id: PinId,
        claim: Claim,
        old: Option<PinId>,
    ) -> Result<std::result::Result<Standing, Standing>> {
        let name = base.pointer.branch();
        let pin = NewPin {
            id,
            commit: claim.commit,
            from: claim.from,
            reason: self.reason.clone(),
            time: self.lake.storage().runtime().now(),
        };
        let update = |next: PointerUpdate| {
            let next = match old {
                Some(old) => next.unpin(old),
                None => next,
            };
            next.pin(pin).map_err(|error| no_room(name, &error))
        };
        let mine =
            |_| move |now: &Loaded| Ok(Pointer::parse(&now.bytes)?.pins().iter().any(|pin| pin.id == id));
        let at = (&base.pointer, &base.token);
        let settled = self.lake.replace(at, update, mine, self.deadline).await;
        match settled.map_err(|error| error.at(format_args!("branch {:?}", name.as_str())))? {
            Settled::Applied(now) => Ok(Ok(Standing::of(self.lake, name, &now)?)),
            Settled::NotApplied(Some(now)) => Ok(Err(Standing::of(self.lake, name, &now)?)),
            Settled::NotApplied(None) => Err(vanished("branch", name)),
            Settled::Unknown(error) => Err(error.at(format_args!(
                "nothing was done but that a pin may be left in branch {:?}",
                name.as_str()
            ))),
        }
    }

    /// What is to be kept, of what the branch keeps now.
    async fn claim(&self, base: &Standing, depth: Depth) -> Result<Claim> {
        let (name, oldest) = (base.pointer.branch(), base.pointer.expired_before());
        let gone = |what| {
            let text = format!("version {} {what} branch {:?}", self.version, name.as_str());
            Error::new(ErrorKind::NotFound, text)
        };
        if !base.is_live() {
            return Err(gone("was on the deleted"));
        }
        let from = match depth {
            Depth::All => oldest,
            Depth::Alone => self.version,
            Depth::From(from) => from.max(oldest),
        };
        let claim = Claim { commit: self.commit, version: self.version, from };
        if !Kept::by(self.lake, base).line_holds(base.pointer.head(), &claim).await? {
            return Err(gone("as it was found is not in the history of"));
        }
        if self.version < oldest {
            return Err(let_go(name, self.version));
        }
        Ok(claim)
    }
}

/// A pointer has no room for another pin, which passes: pins go by themselves.
fn no_room(name: &RefName, error: &strandline_format::Error) -> Error {
    let kind = match error.kind() {
        strandline_format::ErrorKind::TooLarge => ErrorKind::Unavailable,
        _ => return Error::from(error.clone()),
    };
    Error::new(kind, format!("branch {:?}: {error}", name.as_str()))
}

fn let_go(branch: &RefName, version: Seq) -> Error {
    let text = format!("branch {:?} does not keep version {version} any more", branch.as_str());
    Error::new(ErrorKind::SnapshotExpired, text)
}

/// What a tag says, if it still names the commit; with the era of a live branch [GC-8].
async fn tag_source(lake: &Lake, tag: &RefName, commit: ObjectRef, version: Seq) -> Result<Source> {
    let now = lake.standing_tag(tag).await?;
    let Some(now) = now.filter(|now| now.is_live() && now.commit().hash == commit.hash) else {
        let text = format!(
            "tag {:?} does not name its commit any more, and nothing else was seen to keep it",
            tag.as_str()
        );
        return Err(Error::new(ErrorKind::SnapshotExpired, text));
    };
    let era = any_live(lake).await?.pointer.era().max(commit.era);
    Ok(Source { era, features: source_features(&now), from: version })
}

fn source_features(tag: &StandingTag) -> Features {
    tag.tag.target().features.clone()
}

/// The pointer of the default branch, or of another one that is live. Lists only if the default branch is not there.
pub(super) async fn any_live(lake: &Lake) -> Result<Standing> {
    if let Found::Head(head) = lake.look(lake.default_branch()).await? {
        return Ok(Standing::of_head(&head));
    }
    other_live(lake, lake.default_branch())
        .await?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "the lake has no live branch"))
}

/// The pointer of a live branch other than this one.
pub(super) async fn other_live(lake: &Lake, but: &RefName) -> Result<Option<Standing>> {
    for name in lake.storage().refs().list(RefKind::Branch).await? {
        if name == *but {
            continue;
        }
        if let Some(standing) = lake.standing(&name).await?.filter(Standing::is_live) {
            return Ok(Some(standing));
        }
    }
    Ok(None)
}
