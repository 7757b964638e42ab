//! Making a branch [BR-1].
//!
//! The order is what makes a late or lost request harmless: the commit is pinned in its source, the name is reserved by a
//! tombstone, the source is asked with the tombstone's token in hand, and only a swap of that very tombstone brings the branch
//! to life.

use std::sync::Arc;

use std::future::IntoFuture;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{BranchStart, Label, Nonce, ObjectPath, Pack, Pointer, RefName};

use crate::error::{Error, ErrorKind, Result};
use crate::history::{Keeper, Ref, Revision};
use crate::lake::settle_probed;
use crate::lake::{Found, Head, Lake, Standing};
use crate::refs::keeps::{Claim, Kept};
use crate::refs::taking::{Depth, Source, Taking};
use crate::refs::{PATIENCE, check_time, not_known, vanished};
use crate::runtime::Deadline;
use crate::storage::{Change, Loaded, Recognise, Settled};

/// A branch that is about to be made: `.await` it for its head.
///
/// Seven dependent requests where nobody is in the way: the version and the name are looked up, the source is pinned, the name
/// looked up again and reserved, the source asked, the branch brought to life, the pin dropped. A dropped or failed attempt leaves at most a pin and a tombstone,
/// and making the branch again succeeds.
///
/// # Errors
/// `AlreadyExists` if there is such a branch; `NotFound` or `SnapshotExpired` if the version is not there or not kept;
/// `InvalidInput` for a name that is not allowed; `CommitUnknown` if the last step went unanswered: look the branch up, or make
/// it again; `PermissionDenied`, naming the ref; `Unavailable` and what else the store says.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// let lake = Lake::create("memory://branches").await?;
/// let dev = lake.create_branch("dev").from("main").await?;
/// assert!(dev.is_head());
/// assert_eq!(lake.branches().await?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a branch is made when this is awaited"]
pub struct CreateBranch {
    lake: Lake,
    name: String,
    from: Option<Revision>,
    depth: Depth,
}

impl Lake {
    /// Makes a branch, at the head of the default branch unless told otherwise; see [`CreateBranch`].
    pub fn create_branch(&self, name: impl Into<String>) -> CreateBranch {
        CreateBranch { lake: self.clone(), name: name.into(), from: None, depth: Depth::All }
    }
}

impl CreateBranch {
    /// The version to begin at: of a branch, a tag, or a commit that one of them keeps.
    pub fn from(mut self, revision: impl Into<Revision>) -> Self {
        self.from = Some(revision.into());
        self
    }

    /// Keeps that version alone, and not what is before it.
    pub fn without_history(mut self) -> Self {
        self.depth = Depth::Alone;
        self
    }

    async fn run(self) -> Result<Ref> {
        let name = RefName::new(self.name.as_str())?;
        let (deadline, lake) = (Deadline::after(PATIENCE), &self.lake);
        let from = self.from.unwrap_or_else(|| default_revision(lake));
        let (at, there) = futures::try_join!(lake.at(from), lake.standing(&name))?;
        if there.is_some_and(|there| there.is_live()) {
            return Err(already(&name));
        }
        let mut taking = Box::pin(Taking::begin(&at, self.depth, reason("branch", &name), deadline)).await?;
        let made = Box::pin(BranchMaker::new(lake, &at, &name, deadline).make(&mut taking)).await;
        taking.end().await;
        Ok(Ref::of_head(lake.clone(), made?))
    }
}

impl IntoFuture for CreateBranch {
    type Output = Result<Ref>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// The head of the default branch.
pub(super) fn default_revision(lake: &Lake) -> Revision {
    let base = strandline_format::Base::Branch(lake.default_branch().clone());
    strandline_format::Reference::new(base, Vec::new()).into()
}

/// What a pin is for: words and a name, which is cut where both are too long together.
pub(super) fn reason(what: &str, name: &RefName) -> Label {
    let mut text = format!("{what} {name}");
    loop {
        match Label::new(text.as_str()) {
            Ok(label) => return label,
            Err(_) => text.pop(),
        };
    }
}

fn already(name: &RefName) -> Error {
    let text = format!("there is a branch {:?}: delete it first, or choose another name", name.as_str());
    Error::new(ErrorKind::AlreadyExists, text)
}

/// Steps 2 to 4.
pub(super) struct BranchMaker<'a> {
    lake: &'a Lake,
    at: &'a Ref,
    name: &'a RefName,
    deadline: Deadline,
}

impl<'a> BranchMaker<'a> {
    pub(super) fn new(lake: &'a Lake, at: &'a Ref, name: &'a RefName, deadline: Deadline) -> Self {
        Self { lake, at, name, deadline }
    }

    pub(super) async fn make(&self, taking: &mut Taking) -> Result<Arc<Head>> {
        let pack = self.pack().await?;
        let mut target = self.lake.standing(self.name).await?;
        loop {
            check_time(self.deadline, format_args!("branch {:?} was not made", self.name.as_str()))?;
            let Some(tombstone) = target else {
                target = self.reserve(taking.source()).await?;
                continue;
            };
            if tombstone.is_live() {
                return Err(already(self.name));
            }
            let source = taking.check(self.deadline).await?;
            match self.revive(&tombstone, self.start(source, pack.clone())).await? {
                Settled::Applied(now) => {
                    return Found::of(self.lake.storage(), self.name, &now).await?.head(self.name);
                }
                Settled::NotApplied(Some(now)) => target = Some(Standing::of(self.lake, self.name, &now)?),
                Settled::NotApplied(None) => return Err(vanished("branch", self.name)),
                Settled::Unknown(error) => return Err(self.not_known(&error)),
            }
        }
    }

    fn not_known(&self, error: &Error) -> Error {
        let act = format_args!("branch {:?} was made", self.name.as_str()).to_string();
        not_known(act, "it was if it is there at that commit, else make it again", error)
    }

    fn start(&self, source: Source, pack: Pack) -> BranchStart {
        BranchStart {
            branch: self.name.clone(),
            features: source.features,
            era: source.era,
            head: self.at.commit().object(),
            expired_before: source.from,
            pack,
        }
    }

    /// Puts a tombstone where nothing stands, and gives what stands there then; `None` if that is not seen yet. It does no
    /// harm whenever it lands.
    async fn reserve(&self, source: Source) -> Result<Option<Standing>> {
        let storage = self.lake.storage();
        let nonce = storage.runtime().nonce()?;
        // The source was swapped before in this very store, or the store was probed for it [STO-9]: so this makes no request.
        let head = self.lake.head();
        let before = head.pointer().probed();
        let passed = self.lake.probed_since(self.lake.default_branch(), before, self.deadline).await?;
        let present = storage.served();
        let vouched = before.iter().chain(&passed).find(|store| **store == present).copied();
        let reserved = Pointer::reserve(self.lake.id(), self.start(source, Pack::default()), nonce);
        let pointer = vouched.into_iter().fold(reserved, Pointer::probed_in);
        let path = ObjectPath::branch(self.name);
        let change = Change { path, expected: None, bytes: Bytes::from(pointer.to_json()?) };
        let mine = |now: &Loaded| Ok(Pointer::parse(&now.bytes)?.nonce() == nonce);
        match settle_probed(storage, &change, before, &mine, self.deadline)
            .await
            .map_err(|error| self.named(error))?
        {
            Settled::Applied(now) | Settled::NotApplied(Some(now)) => {
                Ok(Some(Standing::of(self.lake, self.name, &now)?))
            }
            Settled::NotApplied(None) => Ok(None),
            // A tombstone may come to stand there, which is as good as none: the branch was not made.
            Settled::Unknown(error) => Err(self.named(error)),
        }
    }

    async fn revive(&self, tombstone: &Standing, start: BranchStart) -> Result<Settled> {
        let claim = Claim { commit: start.head, version: self.at.version(), from: start.expired_before };
        let mine = |nonce| Revived { lake: self.lake, name: self.name, claim, nonce };
        let at = (&tombstone.pointer, &tombstone.token);
        let settled = self.lake.replace(at, |next| Ok(next.revive(start)?), mine, self.deadline).await;
        settled.map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        error.at(format_args!("branch {:?} was not made", self.name.as_str()))
    }

    /// The commit, and what else a reader of it needs, if the source's pack is of it.
    pub(super) async fn pack(&self) -> Result<Pack> {
        let (line, object) = (self.at.line(), self.at.commit().object());
        let text = line.trees().text(&object).await?;
        let mut pack = Pack::builder();
        if let Ok(text) = std::str::from_utf8(&text) {
            pack.push(object.hash, text)?;
        }
        if let (Keeper::Branch(head), true) = (line.keeper(), self.at.is_head()) {
            for (hash, text) in head.pointer().pack().iter() {
                pack.push(hash, text)?;
            }
        }
        Ok(pack.finish())
    }
}

/// Knows the branch that we brought to life: by our nonce, and once a sending is in doubt, by the commit in its history.
struct Revived<'a> {
    lake: &'a Lake,
    name: &'a RefName,
    claim: Claim,
    nonce: Nonce,
}

#[async_trait]
impl Recognise for Revived<'_> {
    async fn is_mine(&self, current: &Loaded) -> Result<bool> {
        Ok(Pointer::parse(&current.bytes)?.nonce() == self.nonce)
    }

    async fn is_mine_in_doubt(&self, current: &Loaded) -> Result<bool> {
        let now = Standing::of(self.lake, self.name, current)?;
        if now.pointer.nonce() == self.nonce {
            return Ok(true);
        }
        Ok(now.is_live() && Kept::by(self.lake, &now).line_holds(now.pointer.head(), &self.claim).await?)
    }
}
