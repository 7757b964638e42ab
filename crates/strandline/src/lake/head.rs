//! The head of a branch: its pointer as it was read, the token to replace exactly that, and the newest commit.

use std::sync::Arc;

use bytes::Bytes;
use strandline_format::tree::Root;
use strandline_format::{
    Catalog, CatalogEntry, Commit as CommitNode, Era, LakeId, Nonce, ObjectPath, ObjectRef, Pack, Pointer,
    PointerUpdate, RefName, RefState, Table, TableName,
};

use crate::commit::build::Tip;
use crate::error::{Error, ErrorKind, Result};
use crate::history::Commit;
use crate::lake::{KNOWN_FEATURES, Lake};
use crate::runtime::Deadline;
use crate::snapshot::Snapshot;
use crate::storage::{Loaded, Recognise, Settled, Storage, Token};
use crate::tree::Trees;

/// What stood at the head of a branch at one moment.
///
/// All reads through it see that moment, whatever is committed meanwhile.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{RefName, TableName};
///
/// let head = lake.branch(&RefName::new("main")?).await?;
/// assert_eq!(head.commit().seq.0, 1);
/// let orders = head.table(&TableName::new("orders")?).await?;
/// assert_eq!(orders.totals.rows, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Head {
    pointer: Pointer,
    token: Token,
    commit: Commit,
    trees: Arc<Trees>,
    /// The commit's, for all that is read through this head.
    catalog: Arc<Root<Catalog>>,
}

/// What stands at a branch's path.
pub(crate) enum Found {
    /// Nothing: there never was such a branch.
    Absent,
    /// The tombstone of a branch that was deleted.
    Deleted,
    /// A branch.
    Head(Arc<Head>),
}

impl Found {
    /// Reads a branch. One request, and one more if the newest commit is too large for the pack.
    pub(crate) async fn load(storage: &Storage, name: &RefName) -> Result<Self> {
        let path = ObjectPath::branch(name);
        match storage.refs().load(&path).await? {
            Some(loaded) => Self::of(storage, name, &loaded).await.map_err(|error| error.at(&path)),
            None => Ok(Self::Absent),
        }
    }

    /// What a loaded pointer says, checked in this order [OPEN-1].
    pub(crate) async fn of(storage: &Storage, name: &RefName, loaded: &Loaded) -> Result<Self> {
        let pointer = Pointer::parse(&loaded.bytes)?;
        pointer.features().check_read(KNOWN_FEATURES)?;
        pointer.check_branch(name)?;
        if pointer.state() == RefState::Deleted {
            return Ok(Self::Deleted);
        }
        Ok(Self::Head(Arc::new(Head::read(storage, pointer, loaded.token.clone()).await?)))
    }

    /// The head, or why there is none.
    pub(crate) fn head(self, name: &RefName) -> Result<Arc<Head>> {
        let why = match self {
            Self::Head(head) => return Ok(head),
            Self::Absent => "there is no branch",
            Self::Deleted => "this branch was deleted:",
        };
        Err(Error::new(ErrorKind::NotFound, format!("{why} {:?}", name.as_str())))
    }
}

impl Head {
    async fn read(storage: &Storage, pointer: Pointer, token: Token) -> Result<Self> {
        let trees = Arc::new(Trees::with_pack(storage.objects().clone(), pointer.pack()));
        let commit = CommitNode::parse(&trees.text(&pointer.head()).await?)?;
        if commit.seq < pointer.expired_before() {
            let text = format!("its head is version {}, which it calls expired", commit.seq);
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        let commit = Commit::new(pointer.head(), commit);
        Ok(Self::of(pointer, token, commit, trees))
    }

    /// The head that a commit of this process has just made.
    pub(crate) fn made(storage: &Storage, pointer: Pointer, token: Token, commit: Commit) -> Self {
        let trees = Arc::new(Trees::with_pack(storage.objects().clone(), pointer.pack()));
        Self::of(pointer, token, commit, trees)
    }

    fn of(pointer: Pointer, token: Token, commit: Commit, trees: Arc<Trees>) -> Self {
        let catalog = Arc::new(commit.node().catalog.clone());
        Self { pointer, token, commit, trees, catalog }
    }

    /// The head behind a pointer, even if the branch was deleted: whether something was committed before that, its history
    /// tells. At most one request.
    pub(crate) async fn behind(storage: &Storage, name: &RefName, loaded: &Loaded) -> Result<Self> {
        let pointer = Pointer::parse(&loaded.bytes)?;
        pointer.features().check_read(KNOWN_FEATURES)?;
        pointer.check_branch(name)?;
        Self::read(storage, pointer, loaded.token.clone()).await
    }

    /// What a commit upon this head stands upon.
    pub(crate) fn tip(&self, lake: &Lake) -> Tip {
        Tip { commit: self.commit.clone(), snapshot: self.snapshot(lake) }
    }

    pub(super) fn check_lake(&self, expected: LakeId) -> Result<()> {
        let found = self.pointer.lake();
        if found == expected {
            return Ok(());
        }
        let text =
            format!("branch {:?} is of lake {found}, not of {expected}", self.pointer.branch().as_str());
        Err(Error::new(ErrorKind::Corrupt, text))
    }

    /// The pointer as it was read.
    #[must_use]
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// What to swap against.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The newest commit.
    #[must_use]
    pub fn commit(&self) -> &CommitNode {
        self.commit.node()
    }

    /// The same, with what names it.
    pub(crate) fn version(&self) -> &Commit {
        &self.commit
    }

    /// The trees of this head, with what the pointer's pack holds at hand.
    #[must_use]
    pub fn trees(&self) -> &Trees {
        &self.trees
    }

    /// The catalog of this head, to read.
    pub(crate) fn snapshot(&self, lake: &Lake) -> Snapshot {
        Snapshot {
            objects: lake.storage().objects().clone(),
            trees: Arc::clone(&self.trees),
            catalog: Arc::clone(&self.catalog),
        }
    }

    /// What stands under a name. No request if the way there is in the pack.
    ///
    /// # Errors
    /// `Corrupt` for a node that is not what its reference says; the store's errors.
    pub async fn entry(&self, name: &TableName) -> Result<Option<CatalogEntry>> {
        self.trees.get(&self.commit().catalog, name.key()).await
    }

    /// The table under a name. At most one request more than [`Head::entry`], none if the table is in the pack.
    ///
    /// # Errors
    /// `NotFound` if there is no such table; else as [`Head::entry`].
    pub async fn table(&self, name: &TableName) -> Result<Table> {
        use strandline_format::EntryType;
        let entry = self.entry(name).await?;
        let entry = entry.filter(|entry| entry.entry_type == EntryType::Table).ok_or_else(|| {
            let branch = self.pointer.branch().as_str();
            Error::new(ErrorKind::NotFound, format!("no table {:?} on branch {branch:?}", name.as_str()))
        })?;
        Ok(Table::parse(&self.trees.text(&entry.node).await?).map_err(|error| error.at(entry.node.hash))?)
    }
}

impl Lake {
    /// Replaces the pointer that `head` was read from, and finds out what came of it: the only way to change a branch.
    ///
    /// `update` is given the pointer that follows, with a fresh nonce, and changes it; `mine` tells whether a pointer that
    /// was read back, or its history, holds the change, given that nonce: the nonce alone does not tell it once somebody has
    /// built upon the change [UNK-1]. The first swap from this store probes its
    /// conditions, unless the pointer says that they were probed before; then it says so from this swap on [STO-9]. One
    /// request if nobody is in the way. A dropped future leaves the outcome unknown.
    ///
    /// # Errors
    /// An error means for certain that nothing was applied: `StoreUnsuitable` if the store breaks conditions,
    /// `Unsupported` if the branch requires a feature that is not known, `InvalidInput` if the head is of another lake,
    /// what `update` and the store refuse.
    pub async fn swap<M: Recognise>(
        &self,
        head: &Head,
        update: impl FnOnce(PointerUpdate) -> Result<PointerUpdate> + Send,
        mine: impl FnOnce(Nonce) -> M + Send,
        deadline: Deadline,
    ) -> Result<Settled> {
        self.replace((&head.pointer, &head.token), update, mine, deadline).await
    }
}

/// A commit that is ready to be pointed to.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) object: ObjectRef,
    pub(super) text: Bytes,
}

impl Encoded {
    pub(super) fn of(commit: &CommitNode, era: Era) -> Result<Self> {
        let text = Bytes::from(commit.to_json()?);
        Ok(Self { object: crate::storage::Objects::meta_ref(&text, era), text })
    }

    /// A pack with nothing but this commit.
    pub(super) fn pack(&self) -> Result<Pack> {
        let mut pack = Pack::builder();
        if let Ok(text) = std::str::from_utf8(&self.text) {
            pack.push(self.object.hash, text)?;
        }
        Ok(pack.finish())
    }
}
