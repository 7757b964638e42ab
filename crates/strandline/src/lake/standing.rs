//! What stands at a ref, live or a tombstone, and the one way in which it is replaced.
//!
//! Invariants: what is read is checked before anything is concluded from it [OPEN-1]; nothing is swapped into a store whose
//! conditions were not probed [STO-9]; a tag and a pointer are replaced by the token that was read with them and by nothing
//! else. What does not belong here: which change is allowed when (`refs`, `transaction`).

use async_trait::async_trait;
use bytes::Bytes;
use strandline_format::{
    LakeId, Nonce, ObjectPath, ObjectRef, Pointer, PointerUpdate, RefName, RefState, StoreFingerprint, Tag,
};

use crate::error::{Error, ErrorKind, Result};
use crate::lake::head::{Found, Head};
use crate::lake::{DEFAULT_BRANCH, KNOWN_FEATURES, Lake};
use crate::runtime::Deadline;
use crate::storage::{Change, Loaded, Recognise, Reloaded, Settled, Storage, Token, settle};

/// A branch's pointer, be it a tombstone, and the token that replaces exactly it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) pointer: Pointer,
    pub(crate) token: Token,
}

impl Standing {
    /// What a loaded pointer says, checked in the order of [OPEN-1].
    pub(crate) fn of(lake: &Lake, name: &RefName, loaded: &Loaded) -> Result<Self> {
        Self::parse(lake, name, loaded).map_err(|error| error.at(ObjectPath::branch(name)))
    }

    fn parse(lake: &Lake, name: &RefName, loaded: &Loaded) -> Result<Self> {
        let pointer = Pointer::parse(&loaded.bytes)?;
        pointer.features().check_read(KNOWN_FEATURES)?;
        pointer.check_branch(name)?;
        check_lake("branch", name, pointer.lake(), lake.id())?;
        Ok(Self { pointer, token: loaded.token.clone() })
    }

    /// The same of a head that was read.
    pub(crate) fn of_head(head: &Head) -> Self {
        Self { pointer: head.pointer().clone(), token: head.token().clone() }
    }

    /// Whether the branch is there.
    pub(crate) fn is_live(&self) -> bool {
        self.pointer.state() == RefState::Live
    }
}

/// A pointer that is to replace another one.
#[derive(Debug)]
pub(crate) struct NextPointer {
    pub(crate) pointer: Pointer,
    pub(crate) change: Change,
}

impl NextPointer {
    /// Whether this is what stands, and nobody has built upon it.
    pub(crate) fn stands(&self, loaded: &Loaded) -> bool {
        self.change.bytes == loaded.bytes
    }
}

/// A tag, be it deleted, and the token that replaces exactly it.
#[derive(Clone, Debug)]
pub(crate) struct StandingTag {
    pub(crate) tag: Tag,
    pub(crate) token: Token,
}

impl StandingTag {
    /// What a loaded tag says, checked as a pointer is [OPEN-1].
    pub(crate) fn of(lake: &Lake, name: &RefName, loaded: &Loaded) -> Result<Self> {
        Self::parse(lake, name, loaded).map_err(|error| error.at(ObjectPath::tag(name)))
    }

    fn parse(lake: &Lake, name: &RefName, loaded: &Loaded) -> Result<Self> {
        let tag = Tag::parse(&loaded.bytes)?;
        tag.target().features.check_read(KNOWN_FEATURES)?;
        tag.check_name(name)?;
        check_lake("tag", name, tag.lake(), lake.id())?;
        Ok(Self { tag, token: loaded.token.clone() })
    }

    /// Whether the tag is there.
    pub(crate) fn is_live(&self) -> bool {
        self.tag.state() == RefState::Live
    }

    /// The commit that it names.
    pub(crate) fn commit(&self) -> ObjectRef {
        self.tag.target().commit
    }
}

/// A change of a ref that is sent to none but a store that was probed.
struct Probed<'a> {
    storage: &'a Storage,
    /// For which the probe has passed, as far as pointers say.
    before: &'a [StoreFingerprint],
    mine: &'a dyn Recognise,
}

/// Carries a change of a ref through, at servers of which the probe has passed in this process or before [STO-9].
pub(crate) async fn settle_probed(
    storage: &Storage,
    change: &Change,
    before: &[StoreFingerprint],
    mine: &dyn Recognise,
    deadline: Deadline,
) -> Result<Settled> {
    let mine = Probed { storage, before, mine };
    settle(storage.refs(), change, &mine, deadline, storage.runtime()).await
}

#[async_trait]
impl Recognise for Probed<'_> {
    async fn is_mine(&self, current: &Loaded) -> Result<bool> {
        self.mine.is_mine(current).await
    }

    async fn is_mine_in_doubt(&self, current: &Loaded) -> Result<bool> {
        self.mine.is_mine_in_doubt(current).await
    }

    fn may_be_sent(&self) -> Result<()> {
        // The objects were put since the swap was prepared, and whoever took them takes the swap.
        if self.storage.is_probed(self.before) {
            return Ok(());
        }
        let text = "another server answers at this address than when the swap was prepared";
        Err(Error::new(ErrorKind::Unavailable, text).at(self.storage.location()))
    }
}

fn check_lake(kind: &str, name: &RefName, found: LakeId, expected: LakeId) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let text = format!("{kind} {:?} is of lake {found}, not of {expected}", name.as_str());
    Err(Error::new(ErrorKind::Corrupt, text))
}

impl Lake {
    /// The branch that versions and times are of where nobody names one: that which the lake was opened at.
    #[must_use]
    pub fn default_branch(&self) -> &RefName {
        self.head().pointer().branch()
    }

    /// What stands at a branch. One request, answered without a body if the head is the newest that this process knows; one
    /// more if the newest commit is too large for the pack.
    pub(crate) async fn look(&self, name: &RefName) -> Result<Found> {
        let path = ObjectPath::branch(name);
        let loaded = match self.known(name) {
            Some(known) => match self.storage().refs().load_if_changed(&path, known.token()).await? {
                Reloaded::Unchanged => return Ok(Found::Head(known)),
                Reloaded::Changed(loaded) => Some(loaded),
                Reloaded::Absent => None,
            },
            None => self.storage().refs().load(&path).await?,
        };
        let Some(loaded) = loaded else {
            self.forget(name);
            return Ok(Found::Absent);
        };
        match Found::of(self.storage(), name, &loaded).await.map_err(|error| error.at(&path))? {
            Found::Head(head) => {
                head.check_lake(self.id())?;
                Ok(Found::Head(self.learn(head)))
            }
            gone => {
                self.forget(name);
                Ok(gone)
            }
        }
    }

    /// The pointer of a branch, tombstones too, with its token. `None`: there never was such a branch. One request.
    pub(crate) async fn standing(&self, name: &RefName) -> Result<Option<Standing>> {
        let loaded = self.storage().refs().load(&ObjectPath::branch(name)).await?;
        loaded.map(|loaded| Standing::of(self, name, &loaded)).transpose()
    }

    /// A tag, deleted ones too, with its token. `None`: there never was such a tag. One request.
    pub(crate) async fn standing_tag(&self, name: &RefName) -> Result<Option<StandingTag>> {
        let loaded = self.storage().refs().load(&ObjectPath::tag(name)).await?;
        loaded.map(|loaded| StandingTag::of(self, name, &loaded)).transpose()
    }

    /// What [`Lake::swap`] does, to any pointer: tombstones are swapped too.
    pub(crate) async fn replace<M: Recognise>(
        &self,
        standing: (&Pointer, &Token),
        update: impl FnOnce(PointerUpdate) -> Result<PointerUpdate> + Send,
        mine: impl FnOnce(Nonce) -> M + Send,
        deadline: Deadline,
    ) -> Result<Settled> {
        let next = self.prepare(standing, update, deadline).await?;
        self.put(&next, &mine(next.pointer.nonce()), deadline).await
    }

    /// The pointer that is to follow, before it is put. No request once the store was probed.
    pub(crate) async fn prepare(
        &self,
        (pointer, token): (&Pointer, &Token),
        update: impl FnOnce(PointerUpdate) -> Result<PointerUpdate> + Send,
        deadline: Deadline,
    ) -> Result<NextPointer> {
        if pointer.lake() != self.id() {
            return Err(Error::new(ErrorKind::InvalidInput, "this head is of another lake"));
        }
        pointer.features().check_write(KNOWN_FEATURES)?;
        let storage = self.storage();
        let mut next = update(pointer.next(storage.runtime().nonce()?)?.drop_outdated_pins())?;
        for store in self.probed_since(pointer.branch(), pointer.probed(), deadline).await? {
            next = next.probed(store);
        }
        let pointer = next.finish();
        let change = Change {
            path: ObjectPath::branch(pointer.branch()),
            expected: Some(token.clone()),
            bytes: Bytes::from(pointer.to_json()?),
        };
        Ok(NextPointer { pointer, change })
    }

    /// Swaps a pointer in that was prepared, and finds out what came of it.
    pub(crate) async fn put(
        &self,
        next: &NextPointer,
        mine: &dyn Recognise,
        deadline: Deadline,
    ) -> Result<Settled> {
        settle_probed(self.storage(), &next.change, next.pointer.probed(), mine, deadline).await
    }

    /// Probes the store, unless the pointer that the lake was opened by says that it was [STO-9]: before a ref is put or
    /// swapped that has no such member itself.
    pub(crate) async fn ensure_probed(&self, deadline: Deadline) -> Result<()> {
        let head = self.head();
        self.probed_since(self.default_branch(), head.pointer().probed(), deadline).await.map(drop)
    }

    /// The stores for which the probe has passed and that are not among these of a branch's pointer. Whoever answers is among both when it
    /// returns, unless the servers take turns.
    ///
    /// No request if he was before. Else `main` is asked whether he has passed since: a server's new version is then probed once in a lake, and
    /// not by users who may not write below `tmp/`.
    pub(crate) async fn probed_since(
        &self,
        branch: &RefName,
        before: &[StoreFingerprint],
        deadline: Deadline,
    ) -> Result<Vec<StoreFingerprint>> {
        let storage = self.storage();
        let probed = async {
            if !storage.is_probed(before) && branch.as_str() != DEFAULT_BRANCH {
                storage.believe(&self.probed_for_main().await);
            }
            storage.ensure_probed(before).await.map_err(explain_probe)
        };
        deadline.run("the probe", probed).await?
    }

    /// Nothing if `main` cannot be read, for whatever reason: then the store is probed.
    async fn probed_for_main(&self) -> Vec<StoreFingerprint> {
        let Ok(main) = RefName::new(DEFAULT_BRANCH) else { return Vec::new() };
        match self.standing(&main).await {
            Ok(Some(main)) => main.pointer.probed().to_vec(),
            Ok(None) | Err(_) => Vec::new(),
        }
    }
}

/// A user may write a branch and not `tmp/`, where the store is probed.
fn explain_probe(error: Error) -> Error {
    if error.kind() != ErrorKind::PermissionDenied {
        return error;
    }
    let text = format!(
        "the server of this store is to be probed before anything is swapped there, which takes the right to put and get objects below tmp/; \
         whoever has it does that by a commit to {DEFAULT_BRANCH:?} or to this branch: {}",
        error.message()
    );
    Error::new(ErrorKind::PermissionDenied, text).with_source(error)
}
