//! The storage floor: objects by their hash, refs by conditional swap, in whatever place a lake lies.
//!
//! Invariants: [`refs`] is the only code that replaces an object, [`Objects`] the only one that puts them; both come from
//! the same [`Storage`], so that what a pointer refers to is durable in the same place before the pointer says so.
//! What does not belong here: what the bytes mean (the format's), and which of them to write (the layers' above).

mod access;
mod aws;
mod classify;
mod clients;
mod durable;
mod folder;
mod footers;
mod http;
mod identity;
mod lenders;
mod location;
mod nodes;
mod objects;
mod options;
mod pace;
mod probe;
mod refs;
mod settle;
mod tables;
mod traffic;
mod trust;
mod waiting;
pub(crate) mod zstd_context;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline_format::StoreFingerprint;

pub use classify::{StoreAnswer, store_error};
pub use folder::Durability;
pub use location::StoreLocation;
pub use objects::{DataKind, DataWriter, ObjectOptions, Objects};
pub use options::StoreOptions;
pub use probe::{Conditions, probe};
pub use refs::{Loaded, RefKind, RefStore, Reloaded, Staging, Swap, Token, TokenKind};
pub use settle::{Change, Recognise, Settled, settle};
pub use traffic::Traffic;

use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Runtime;
use durable::DurableLocal;
use folder::Folder;
use identity::Identity;
use location::Place;
use refs::{LocalRefs, ObjectRefs, Transport};
use waiting::Waiting;

/// How often the store is probed at once, where another server answers at the end than those that were tried.
const PROBES: usize = 3;

/// How a place is opened.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::num::NonZeroUsize;
/// use strandline::Lake;
/// use strandline::storage::{ObjectOptions, StorageOptions};
///
/// let mut objects = ObjectOptions::default();
/// objects.parallel_requests = NonZeroUsize::new(64).ok_or("64 is not 0")?;
/// let options = StorageOptions { objects, ..StorageOptions::default() };
/// let lake = Lake::create("memory://storage-options").storage(options).await?;
/// assert_eq!(lake.storage().objects().options().parallel_requests.get(), 64);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct StorageOptions {
    /// Options of the bucket; a folder and memory take none.
    pub store: StoreOptions,
    /// How much is done at once and remembered.
    pub objects: ObjectOptions,
    /// Whether writes to a folder are made to survive a power failure.
    pub durability: Durability,
}

/// A place where a lake lies or may be made. Cloning gives another handle to the same.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::storage::{Storage, StorageOptions, StoreLocation};
/// use strandline::{Lake, Runtime};
///
/// let location = StoreLocation::parse("memory://storage")?;
/// let storage = Storage::open(&location, &StorageOptions::default(), Runtime::system()).await?;
/// // Whether commits can be relied on there, before a lake is made.
/// storage.probe().await?;
/// let lake = Lake::create_in(storage).await?;
/// assert_eq!(lake.storage().location(), &location);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Storage(Arc<Inner>);

struct Inner {
    location: StoreLocation,
    identity: Identity,
    objects: Objects,
    refs: Arc<dyn RefStore>,
    runtime: Runtime,
    access: Vec<(&'static str, String)>,
}

impl Storage {
    /// Opens a place. No request is made of the store, and nothing is created: whether it is there shows at first use.
    ///
    /// For `s3://` without a region, profile files are read, and an instance is asked for its own.
    ///
    /// # Errors
    /// `InvalidInput` if an option is unknown or the options do not fit together.
    pub async fn open(location: &StoreLocation, options: &StorageOptions, runtime: Runtime) -> Result<Self> {
        match &location.0 {
            Place::Folder(path) => open_folder(location, path, options, runtime),
            Place::Memory(name) => open_memory(location, name, options, runtime),
            _ => open_bucket(location, options, runtime).await,
        }
    }

    /// A storage over stores of the caller's own, whose paths are relative to the lake: for tests that count, delay or
    /// break requests. `refs` must not retry; swaps compare ETags; no read is repeated.
    #[must_use]
    pub fn from_stores(
        location: StoreLocation,
        objects: Arc<dyn ObjectStore>,
        refs: Arc<dyn ObjectStore>,
        options: ObjectOptions,
        runtime: Runtime,
    ) -> Self {
        let place: Arc<str> = location.to_string().into();
        let refs = ObjectRefs::new(refs.clone(), refs, Transport::Opaque, TokenKind::ETag, place.clone());
        Self(Arc::new(Inner {
            identity: Identity::of("given", &place),
            objects: Objects::new(objects, place, options, None),
            refs: Arc::new(refs),
            location,
            runtime,
            access: Vec::new(),
        }))
    }

    /// The same with other refs: for tests that script the outcomes of swaps themselves.
    #[must_use]
    pub fn with_refs(&self, refs: Arc<dyn RefStore>) -> Self {
        let Inner { location, identity, objects, runtime, access, .. } = &*self.0;
        Self(Arc::new(Inner {
            location: location.clone(),
            identity: identity.afresh(),
            objects: objects.clone(),
            refs,
            runtime: runtime.clone(),
            access: access.clone(),
        }))
    }

    /// Commits, tree nodes and data files.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.0.objects
    }

    /// Pointers, tags and `lake.json`.
    #[must_use]
    pub fn refs(&self) -> &dyn RefStore {
        &*self.0.refs
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &StoreLocation {
        &self.0.location
    }

    /// Stands for the place, by whichever server it is kept.
    #[must_use]
    pub fn fingerprint(&self) -> StoreFingerprint {
        self.0.identity.place()
    }

    /// The same with the server that answered last: what a pointer remembers of the stores for which the probe has passed.
    #[must_use]
    pub fn served(&self) -> StoreFingerprint {
        self.0.identity.present()
    }

    /// Probes the store, unless it is among these that were probed before, or has passed in this process [STO-9]; gives those that
    /// have passed here and are not among these.
    pub(crate) async fn ensure_probed(&self, before: &[StoreFingerprint]) -> Result<Vec<StoreFingerprint>> {
        for _ in 0..PROBES {
            if self.is_probed(before) {
                break;
            }
            self.probe().await?;
        }
        Ok(self.0.identity.passed().into_iter().filter(|store| !before.contains(store)).collect())
    }

    /// Takes somebody else's word that the probe has passed for these.
    pub(crate) fn believe(&self, stores: &[StoreFingerprint]) {
        self.0.identity.believe(stores);
    }

    /// Whether whoever answered last is among these, or has passed the probe in this process.
    pub(crate) fn is_probed(&self, before: &[StoreFingerprint]) -> bool {
        let present = self.served();
        before.contains(&present) || self.0.identity.passed().contains(&present)
    }

    /// Somebody of this name answers.
    #[cfg(test)]
    pub(crate) fn hear(&self, name: &str) {
        self.0.identity.hear(name);
    }

    /// How it is reached, by name: endpoint, region, and where credentials come from; nothing for a folder and memory. No
    /// secret stands in it.
    #[must_use]
    pub fn access(&self) -> &[(&'static str, String)] {
        &self.0.access
    }

    /// Time, randomness and environment.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    /// Tries whether the store keeps the conditions that commits rely on: see [`probe`].
    ///
    /// # Errors
    /// As [`probe`], said of this place.
    pub async fn probe(&self) -> Result<Conditions> {
        self.try_conditions().await.map_err(|error| error.at(self.location()))
    }

    /// The same, not yet said to be of this place.
    pub(crate) async fn try_conditions(&self) -> Result<Conditions> {
        self.0.identity.listen();
        let kept = probe(self.refs(), self.runtime()).await?;
        let untried = self.0.identity.pass();
        if !untried.is_empty() {
            tracing::debug!(servers = ?untried, "they answered within the probe and were not tried by it");
        }
        Ok(kept)
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Storage").field(&self.0.location).finish()
    }
}

fn refuse_options(options: &StorageOptions, location: &StoreLocation) -> Result<()> {
    if options.store.is_empty() {
        return Ok(());
    }
    let given = format!("{:?}", options.store);
    let given = given.trim_matches(['{', '}']);
    let text = format!("store options are for buckets, and this place takes none, so not {given}");
    Err(Error::new(ErrorKind::InvalidInput, text).at(location))
}

fn open_folder(
    location: &StoreLocation,
    path: &Path,
    options: &StorageOptions,
    runtime: Runtime,
) -> Result<Storage> {
    refuse_options(options, location)?;
    let root = canonical(path).map_err(|error| classify::io_error(error, location))?;
    let identity = Identity::of("folder", &root.to_string_lossy());
    let place: Arc<str> = root.display().to_string().into();
    let folder = Arc::new(Folder::new(root, options.durability, runtime.clone()));
    let store = Arc::new(DurableLocal::new(folder.clone()));
    let objects = Objects::new(store, place, options.objects, Some(folder.clone()));
    let refs = Arc::new(LocalRefs::new(folder));
    let (location, access) = (location.clone(), Vec::new());
    Ok(Storage(Arc::new(Inner { location, identity, objects, refs, runtime, access })))
}

/// The absolute path, links resolved as far as it exists.
#[expect(
    clippy::disallowed_methods,
    reason = "the place where a relative location meets the process's folder"
)]
fn canonical(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for ancestor in path.ancestors() {
        if let (Ok(resolved), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return Ok(if rest.as_os_str().is_empty() { resolved } else { resolved.join(rest) });
        }
    }
    Ok(path)
}

/// The lakes in memory of this process, by name. They live as long as it does.
static MEMORY: LazyLock<Mutex<HashMap<String, Arc<InMemory>>>> = LazyLock::new(Mutex::default);

fn open_memory(
    location: &StoreLocation,
    name: &str,
    options: &StorageOptions,
    runtime: Runtime,
) -> Result<Storage> {
    refuse_options(options, location)?;
    let mut lakes = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let store = Arc::clone(lakes.entry(name.to_owned()).or_default());
    drop(lakes);
    let place: Arc<str> = location.to_string().into();
    let refs =
        ObjectRefs::new(store.clone(), store.clone(), Transport::Opaque, TokenKind::ETag, place.clone());
    Ok(Storage(Arc::new(Inner {
        location: location.clone(),
        identity: Identity::of("memory", name),
        objects: Objects::new(store, place, options.objects, None),
        refs: Arc::new(refs),
        runtime,
        access: Vec::new(),
    })))
}

async fn open_bucket(
    location: &StoreLocation,
    options: &StorageOptions,
    runtime: Runtime,
) -> Result<Storage> {
    let connected = clients::connect(&location.0, &options.store, &runtime).await;
    let Some(clients) = connected.map_err(|error| error.at(location))? else {
        return Err(Error::new(ErrorKind::InvalidInput, "not a bucket").at(location));
    };
    let (kind, bucket, root) = location.0.identity();
    let place: Arc<str> = location.to_string().into();
    let access = clients.access();
    let waiting = Waiting::new(options.objects.get_patience, options.objects.first_patience);
    let refs = ObjectRefs::new(
        clients.objects.clone(),
        clients.swaps,
        Transport::Observed,
        clients.tokens,
        place.clone(),
    )
    .waiting(waiting.clone());
    Ok(Storage(Arc::new(Inner {
        location: location.clone(),
        identity: Identity::served(
            kind,
            clients.endpoint.trim_end_matches('/'),
            bucket,
            root,
            clients.server,
        ),
        objects: Objects::waiting(clients.objects, place, options.objects, waiting),
        refs: Arc::new(refs),
        runtime,
        access,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use strandline_format::{Era, ObjectPath, RefName};

    async fn open(location: &str) -> Result<Storage> {
        let location = StoreLocation::parse(location)?;
        Storage::open(&location, &StorageOptions::default(), Runtime::system()).await
    }

    fn main() -> ObjectPath {
        ObjectPath::branch(&RefName::new("main").unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn folders_and_memory_pass_the_probe_and_are_left_clean() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/lake");
        for location in ["memory://probed", folder.to_str().unwrap()] {
            let storage = open(location).await.unwrap();
            storage.probe().await.unwrap();
            let left = futures::StreamExt::collect::<Vec<_>>(storage.objects().store().list(None)).await;
            assert!(left.is_empty(), "{location}: {left:?}");
        }
        assert_eq!(std::fs::read_dir(folder.join("tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn the_same_place_is_the_same_lake_and_has_one_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("lake").to_str().unwrap().to_owned();
        for (one, other) in [("memory://same", "memory://same"), (&folder, &format!("{folder}/../lake"))] {
            let (first, second) = (open(one).await.unwrap(), open(other).await.unwrap());
            let object = first.objects().put_meta(Bytes::from_static(b"{}"), Era(0)).await.unwrap();
            assert!(matches!(first.refs().swap(&main(), None, "x".into()).await.unwrap(), Swap::Swapped(_)));
            let second = if one == other { second } else { open(other).await.unwrap() };
            assert_eq!(second.objects().get_meta(&object).await.unwrap(), "{}");
            assert!(second.refs().load(&main()).await.unwrap().is_some());
            assert_eq!(open(one).await.unwrap().fingerprint(), second.fingerprint());
        }
        assert_ne!(
            open("memory://same").await.unwrap().fingerprint(),
            open("memory://other").await.unwrap().fingerprint()
        );
    }

    #[tokio::test]
    async fn a_place_that_is_not_there_or_cannot_be_made_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = open(dir.path().join("nowhere").to_str().unwrap()).await.unwrap();
        assert!(nowhere.refs().load(&main()).await.unwrap().is_none());
        assert!(!dir.path().join("nowhere").exists());
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let in_file = open(dir.path().join("file/lake").to_str().unwrap()).await.unwrap();
        let error = in_file.probe().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let error = in_file.objects().put_meta(Bytes::from_static(b"{}"), Era(0)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }

    #[tokio::test]
    async fn what_a_crash_leaves_is_never_an_object_or_a_ref() {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path().to_str().unwrap()).await.unwrap();
        let object = storage.objects().put_meta(Bytes::from_static(b"{}"), Era(0)).await.unwrap();
        // A writer that was killed between staging and renaming.
        std::fs::write(dir.path().join("tmp/00ff.part"), "{\"cut").unwrap();
        std::fs::create_dir_all(dir.path().join("refs/branches")).unwrap();
        std::fs::write(dir.path().join("refs/branches/main.json.lock"), "").unwrap();
        let again = open(dir.path().to_str().unwrap()).await.unwrap();
        assert_eq!(again.objects().get_meta(&object).await.unwrap(), "{}");
        assert!(again.refs().load(&main()).await.unwrap().is_none());
        assert!(again.refs().list(RefKind::Branch).await.unwrap().is_empty());
        assert_eq!(ObjectPath::parse("tmp/00ff.part"), None);
        assert!(matches!(again.refs().swap(&main(), None, "x".into()).await.unwrap(), Swap::Swapped(_)));
    }

    #[tokio::test]
    async fn options_are_for_buckets_only() {
        let options =
            StorageOptions { store: StoreOptions::new().with("region", "x"), ..StorageOptions::default() };
        for location in ["memory://x", "some/folder"] {
            let location = StoreLocation::parse(location).unwrap();
            let error = Storage::open(&location, &options, Runtime::system()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[tokio::test]
    async fn what_is_shown_for_debugging_is_the_place_without_secrets() {
        let store = StoreOptions::new()
            .with("access_key_id", "s3cr3t-id")
            .with("secret_access_key", "s3cr3t-key")
            .with("session_token", "s3cr3t-token")
            .with("region", "x");
        let options = StorageOptions { store, ..StorageOptions::default() };
        let location = StoreLocation::parse("s3://b/p").unwrap();
        let storage = Storage::open(&location, &options, Runtime::system()).await.unwrap();
        let shown = format!("{options:?} {storage:?} {:?} {:?}", storage.objects(), storage.refs());
        assert!(shown.contains("s3://b/p") && !shown.contains("s3cr3t"), "{shown}");
        assert!(!shown.contains("AmazonS3"), "{shown}");
    }
}
