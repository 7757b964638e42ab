//! Deleting a branch [BR-3].

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{Hash, Label, PinId, Pointer, PointerUpdate, RefName, Release};

use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Found, Lake, Standing};
use crate::refs::taking::other_live;
use crate::refs::{PATIENCE, check_expected, check_time, not_known, vanished};
use crate::runtime::Deadline;
use crate::storage::{Loaded, Settled};

/// A branch that is about to be deleted: `.await` it. Its tombstone stays, and for two collections what it kept.
///
/// Two requests for the branch, and one or more to see that another is live. A dropped future leaves the outcome unknown;
/// deleting it again settles it.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let dev = lake.create_branch("dev").await?;
/// // Not if somebody has committed to it meanwhile.
/// lake.delete_branch("dev").expecting(dev.commit().hash()).await?;
/// assert_eq!(lake.branches().await?.len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound` if there is no such branch; `Conflict` if it is not at the commit that was expected, or the last live branch;
/// `CommitUnknown` if the swap went unanswered: look the branch up, or delete it again; `PermissionDenied`, naming the branch;
/// `Unavailable` and what else the store says.
#[derive(Clone, Debug)]
#[must_use = "a branch is deleted when this is awaited"]
pub struct DeleteBranch {
    lake: Lake,
    name: String,
    expecting: Option<Hash>,
}

impl Lake {
    /// Deletes a branch; see [`DeleteBranch`].
    pub fn delete_branch(&self, name: impl Into<String>) -> DeleteBranch {
        DeleteBranch { lake: self.clone(), name: name.into(), expecting: None }
    }
}

impl DeleteBranch {
    /// Only if this commit is its head.
    pub fn expecting(mut self, commit: Hash) -> Self {
        self.expecting = Some(commit);
        self
    }

    async fn run(self) -> Result<()> {
        let name = RefName::new(self.name.as_str())?;
        let (lake, deadline) = (&self.lake, Deadline::after(PATIENCE));
        let mut now = lake.standing(&name).await?;
        loop {
            let base = now.filter(Standing::is_live).ok_or_else(|| absent(&name))?;
            check_expected("branch", &name, self.expecting, base.pointer.head().hash)?;
            check_not_last(lake, &name).await?;
            match bury(lake, &base, Label::new("deleted")?, &[], deadline).await? {
                None => return Ok(()),
                Some(moved) => now = Some(moved),
            }
            check_time(deadline, format_args!("branch {:?} was not deleted", name.as_str()))?;
        }
    }
}

impl IntoFuture for DeleteBranch {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

fn absent(name: &RefName) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no branch {:?}", name.as_str()))
}

async fn check_not_last(lake: &Lake, name: &RefName) -> Result<()> {
    let default = lake.default_branch();
    if name != default && matches!(lake.look(default).await?, Found::Head(_)) {
        return Ok(());
    }
    if other_live(lake, name).await?.is_none() {
        let text = format!("branch {:?} is the last one: a lake keeps at least one", name.as_str());
        return Err(Error::new(ErrorKind::Conflict, text));
    }
    Ok(())
}

/// Swaps a live pointer to its tombstone, with a pin for this reason. What stands there instead, if it has moved.
///
/// `covered` are own pins of versions that the pointer keeps anyway: by its history, which the pin of the tombstone takes over
/// with an era that is not below theirs, or by the pin of their expiry. So they may be dropped [GC-9].
pub(super) async fn bury(
    lake: &Lake,
    base: &Standing,
    reason: Label,
    covered: &[PinId],
    deadline: Deadline,
) -> Result<Option<Standing>> {
    let (name, runtime) = (base.pointer.branch(), lake.storage().runtime());
    let release = Release { id: PinId::from_bytes(runtime.random()?), reason, time: runtime.now() };
    // Nobody else sets this pin, and no collection drops it before two have passed.
    let id = release.id;
    let mine = |_| move |now: &Loaded| Ok(Pointer::parse(&now.bytes)?.pins().iter().any(|pin| pin.id == id));
    let at = (&base.pointer, &base.token);
    let update = |next: PointerUpdate| {
        let next = covered.iter().fold(next, |next, id| next.unpin(*id));
        Ok(next.tombstone(release)?)
    };
    let settled = lake.replace(at, update, mine, deadline).await;
    match settled.map_err(|error| error.at(format_args!("branch {:?} was not deleted", name.as_str())))? {
        Settled::Applied(_) => {
            lake.forget(name);
            Ok(None)
        }
        Settled::NotApplied(Some(now)) => Ok(Some(Standing::of(lake, name, &now)?)),
        Settled::NotApplied(None) => Err(vanished("branch", name)),
        Settled::Unknown(error) => {
            let act = format!("branch {:?} was deleted", name.as_str());
            Err(not_known(act, "deleting it again settles it", &error))
        }
    }
}
