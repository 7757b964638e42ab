//! Making a lake [INIT-1].
//!
//! The order is what makes a crash harmless: `lake.json` first, then the root commit, the pointer of `main` last. What a
//! crash leaves before the pointer is completed by the next attempt, under the same id.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::tree::Root;
use strandline_format::{
    Author, BranchStart, Commit, CommitProperties, Era, Features, Label, Lake as LakeFile, LakeId, Message,
    ObjectPath, ObjectRef, Parents, Pointer, RefName, Seq, TxnId,
};

use crate::error::{Error, ErrorKind, Result};
use crate::lake::head::{Encoded, Found, Head};
use crate::lake::open::Place;
use crate::lake::settle_probed;
use crate::lake::{DEFAULT_BRANCH, KNOWN_FEATURES, Lake};
use crate::runtime::{Deadline, Runtime};
use crate::storage::{Change, Loaded, Recognise, RefKind, Settled, Storage, StorageOptions, StoreOptions};

/// How long an outcome is looked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A lake that is about to be made: `.await` it.
///
/// Probes the store's conditions (about 60 small requests), then writes three objects. A dropped or failed attempt leaves at
/// most `lake.json` and unreferenced objects; making the lake again completes it.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline::storage::{Durability, StorageOptions};
///
/// let folder = tempfile::tempdir()?;
/// // Nothing of this lake has to survive a power failure.
/// let options = StorageOptions { durability: Durability::None, ..StorageOptions::default() };
/// let lake = Lake::create(folder.path().join("lake").to_string_lossy()).storage(options).await?;
/// assert!(folder.path().join("lake/lake.json").exists());
/// assert_eq!(lake.main().await?.version().0, 0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `AlreadyExists` if there is a lake; `StoreUnsuitable` if the store does not keep conditions; `CommitUnknown` if it could
/// not be found out in time whether the last step was applied; `InvalidInput`, `PermissionDenied`, `NotFound` (the bucket)
/// or `Unavailable` as the store says.
#[derive(Clone, Debug)]
#[must_use = "a lake is made when this is awaited"]
pub struct Create {
    place: Place,
}

impl Create {
    pub(super) fn new(location: String) -> Self {
        Self { place: Place::new(location) }
    }

    /// Options of the store, under `object_store`'s own names.
    pub fn options(mut self, options: StoreOptions) -> Self {
        self.place.options.store = options;
        self
    }

    /// How the storage works: its options, its cache, how much it does at once, whether a folder is fsynced.
    pub fn storage(mut self, options: StorageOptions) -> Self {
        self.place.options = options;
        self
    }

    /// Time, randomness and environment of one's own.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.place.runtime = runtime;
        self
    }

    async fn run(self) -> Result<Lake> {
        Lake::create_in(self.place.storage().await?).await
    }
}

impl Lake {
    /// Makes a lake in a storage that the caller has made. Requests and errors as of [`Create`].
    ///
    /// # Errors
    /// As [`Create`].
    pub async fn create_in(storage: Storage) -> Result<Self> {
        begin(&storage).await.map_err(|error| error.at(storage.location()))
    }
}

impl IntoFuture for Create {
    type Output = Result<Lake>;
    type IntoFuture = BoxFuture<'static, Result<Lake>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

async fn begin(storage: &Storage) -> Result<Lake> {
    let main = RefName::new(DEFAULT_BRANCH)?;
    refuse_existing(storage, &main).await?;
    storage.try_conditions().await?;
    let file = ensure_file(storage).await?;
    file.features.check_write(KNOWN_FEATURES)?;
    let root = Encoded::of(&root_commit(storage.runtime())?, Era(0))?;
    storage.objects().put_meta(root.text.clone(), root.object.era).await?;
    let head = point_main(storage, &main, &file, &root).await?;
    Ok(Lake::new(storage.clone(), head))
}

/// Says so if there is a lake, be it one whose `main` was deleted, or if what is there contradicts itself [INIT-3].
async fn refuse_existing(storage: &Storage, main: &RefName) -> Result<()> {
    let Some(loaded) = storage.refs().load(&ObjectPath::branch(main)).await? else {
        return refuse_what_is_left(storage, main).await;
    };
    let pointer =
        Pointer::parse(&loaded.bytes).map_err(|error| Error::from(error).at(ObjectPath::branch(main)))?;
    let file = storage.refs().load(&ObjectPath::lake()).await?;
    let named = file.map(|loaded| parse_file(&loaded)).transpose()?.map(|file| file.id);
    if named == Some(pointer.lake()) {
        return Err(already_there());
    }
    let named = named.map_or_else(|| "is missing".to_owned(), |id| format!("names lake {id}"));
    let text = format!("branch \"main\" is of lake {}, but {LAKE} {named}", pointer.lake());
    Err(Error::new(ErrorKind::Corrupt, text))
}

/// Says so if there are branches or tags without a `main`, which was there before any of them: it is lost, and another one would be of another lake,
/// or hide its history. Who may not list can make a lake all the same.
async fn refuse_what_is_left(storage: &Storage, main: &RefName) -> Result<()> {
    for kind in [RefKind::Branch, RefKind::Tag] {
        let names = match storage.refs().list(kind).await {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(()),
            Err(error) => return Err(error),
        };
        // Somebody makes the lake at this moment.
        if kind == RefKind::Branch && names.contains(main) {
            return Ok(());
        }
        if let Some(name) = names.first() {
            let what = if kind == RefKind::Branch { "branch" } else { "tag" };
            let text = format!(
                "{} is lost: there is a {what} {:?}, and no lake has any before that; restore it from a copy",
                ObjectPath::branch(main),
                name.as_str()
            );
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
    }
    Ok(())
}

fn already_there() -> Error {
    Error::new(ErrorKind::AlreadyExists, "there is a lake here already: open it")
}

const LAKE: &str = strandline_format::LAKE_FILE;

fn parse_file(loaded: &Loaded) -> Result<LakeFile> {
    LakeFile::parse(&loaded.bytes).map_err(|error| Error::from(error).at(LAKE))
}

/// `lake.json`, written if absent: of two that begin at once, or after a crash, both go on with the one that stands.
async fn ensure_file(storage: &Storage) -> Result<LakeFile> {
    if let Some(loaded) = storage.refs().load(&ObjectPath::lake()).await? {
        return parse_file(&loaded);
    }
    let runtime = storage.runtime();
    let file = LakeFile {
        id: LakeId::from_random(runtime.random()?),
        created: runtime.now(),
        features: Features::default(),
        writer: Label::new(concat!("strandline/", env!("CARGO_PKG_VERSION")))?,
    };
    let change = Change { path: ObjectPath::lake(), expected: None, bytes: Bytes::from(file.to_json()?) };
    let mine = |loaded: &Loaded| Ok(parse_file(loaded)?.id == file.id);
    match settle_probed(storage, &change, &[], &mine, Deadline::after(PATIENCE)).await? {
        Settled::Applied(_) => Ok(file),
        Settled::NotApplied(Some(theirs)) => parse_file(&theirs),
        Settled::NotApplied(None) => {
            Err(Error::new(ErrorKind::Unavailable, "it was removed while it was made").at(LAKE))
        }
        Settled::Unknown(error) => Err(not_known(&error)),
    }
}

/// The outcome of a step is not known: the next attempt finds out.
fn not_known(error: &Error) -> Error {
    let text =
        format!("it is not known whether the lake was made, making it again settles it: {}", error.message());
    Error::new(ErrorKind::CommitUnknown, text)
}

fn root_commit(runtime: &Runtime) -> Result<Commit> {
    Ok(Commit {
        seq: Seq(0),
        parents: Parents::None,
        time: runtime.commit_time(None),
        txn: TxnId::from_bytes(runtime.random()?),
        keyed: false,
        author: Author::default(),
        message: Message::new("the lake begins")?,
        properties: CommitProperties::default(),
        catalog: Root::default(),
        history: Root::default(),
        changes: Vec::new(),
    })
}

/// Puts the pointer of `main` where none stands: from here on there is a lake.
async fn point_main(storage: &Storage, main: &RefName, file: &LakeFile, root: &Encoded) -> Result<Arc<Head>> {
    let start = BranchStart {
        branch: main.clone(),
        features: file.features.clone(),
        era: Era(0),
        head: root.object,
        expired_before: Seq(0),
        pack: root.pack()?,
    };
    let nonce = storage.runtime().nonce()?;
    let probed = storage.ensure_probed(&[]).await?;
    let pointer = probed.into_iter().fold(Pointer::create_main(file.id, start, nonce), Pointer::probed_in);
    let change =
        Change { path: ObjectPath::branch(main), expected: None, bytes: Bytes::from(pointer.to_json()?) };
    let mine = BeginsWith { storage, main, root: root.object };
    let gone = || Error::new(ErrorKind::Unavailable, "branch \"main\" was removed while it was made");
    match settle_probed(storage, &change, &[], &mine, Deadline::after(PATIENCE)).await? {
        Settled::Applied(loaded) => Found::of(storage, main, &loaded).await?.head(main),
        Settled::NotApplied(Some(_)) => Err(already_there()),
        Settled::NotApplied(None) => Err(gone()),
        Settled::Unknown(error) => Err(not_known(&error)),
    }
}

/// Whether a branch's history begins with our root commit, whatever was committed upon it since.
struct BeginsWith<'a> {
    storage: &'a Storage,
    main: &'a RefName,
    root: ObjectRef,
}

#[async_trait]
impl Recognise for BeginsWith<'_> {
    async fn is_mine(&self, current: &Loaded) -> Result<bool> {
        let Found::Head(head) = Found::of(self.storage, self.main, current).await? else { return Ok(false) };
        if head.pointer().head() == self.root {
            return Ok(true);
        }
        let first = head.trees().get(&head.commit().history, &Seq(0)).await?;
        Ok(first.is_some_and(|entry| entry.commit.hash == self.root.hash))
    }
}
