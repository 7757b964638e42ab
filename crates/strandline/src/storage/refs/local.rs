//! Refs in a local folder, where the file system has no conditional put.
//!
//! Invariants: who swaps holds a lock on `<ref>.lock`, which is never unlinked (a lock on an unlinked file excludes
//! nobody) and cannot be taken for a ref (refs end in `.json`); under it the bytes are read again and compared by BLAKE3,
//! because an ETag of inode, time and size loses commits; a ref is replaced by the rename of a whole, fsynced file. All
//! of a swap runs in one blocking closure, which ends by itself when its future is dropped. A killed holder's lock is
//! freed by the operating system.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use strandline_format::{Hash, MAX_REF_BYTES, Nonce, ObjectPath, RefName};

use super::{Loaded, RefKind, RefStore, Reloaded, Staging, Swap, Token, check_length};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::classify::io_error;
use crate::storage::folder::{Folder, PlaceError, Staged, ensure_regular};

/// How long a swap waits for the lock before it gives up, with nothing changed.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// The first and the longest pause between two looks at the lock.
const LOCK_PAUSES: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(5));

/// Refs in a local folder.
#[derive(Clone, Debug)]
pub(crate) struct LocalRefs {
    folder: Arc<Folder>,
    lock_wait: Duration,
    ready: Arc<Ready>,
}

/// Files with the bytes of swaps that are to come, by the hash of these.
#[derive(Debug, Default)]
struct Ready(Mutex<HashMap<Hash, Staged>>);

impl Ready {
    fn files(&self) -> MutexGuard<'_, HashMap<Hash, Staged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a file away that no swap has taken.
struct Unused {
    ready: Arc<Ready>,
    hash: Hash,
}

impl Drop for Unused {
    fn drop(&mut self) {
        drop(self.ready.files().remove(&self.hash));
    }
}

/// Refs whose folder's fsync failed after the rename: no handle of this process may report what stands there before it is
/// durable [STO-12].
static UNSYNCED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

fn unsynced() -> MutexGuard<'static, HashSet<PathBuf>> {
    UNSYNCED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LocalRefs {
    pub(crate) fn new(folder: Arc<Folder>) -> Self {
        Self { folder, lock_wait: LOCK_WAIT, ready: Arc::default() }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: &ObjectPath,
        work: impl FnOnce(&Self, PathBuf) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (refs, target) = (self.clone(), self.folder.locate(path.as_str()));
        let done = tokio::task::spawn_blocking(move || work(&refs, target)).await;
        done.unwrap_or_else(|error| Err(Error::new(ErrorKind::Unavailable, error.to_string()).at(path)))
    }

    fn read(&self, target: &Path) -> Result<Option<Loaded>> {
        // Held over the fsync, so that a mark that is made meanwhile is not taken away by an fsync that began before it.
        let mut unsynced = unsynced();
        if unsynced.contains(target) {
            self.folder.sync_parent(target).map_err(|error| io_error(error, target.display()))?;
            unsynced.remove(target);
        }
        drop(unsynced);
        load_now(target)
    }

    /// A ref that was read before, so that it is most likely in memory: to hand it to another thread takes several times as long as to read it.
    /// What has an fsync to wait for goes there all the same.
    async fn load_again(&self, path: &ObjectPath) -> Result<Option<Loaded>> {
        let target = self.folder.locate(path.as_str());
        let is_synced = UNSYNCED.try_lock().is_ok_and(|unsynced| !unsynced.contains(&target));
        if is_synced { load_now(&target) } else { self.load(path).await }
    }

    fn swap_under_lock(&self, target: &Path, expected: Option<&Token>, bytes: &Bytes) -> Result<Swap> {
        let failed = |error: io::Error| io_error(error, target.display());
        if let Some(parent) = target.parent() {
            self.folder.make_folder(parent).map_err(failed)?;
        }
        let _lock = Lock::take(target, self.lock_wait)?;
        let current = self.read(target)?;
        if current.as_ref().map(|loaded| &loaded.token) != expected {
            let absent = || Error::new(ErrorKind::NotFound, "it is not there").at(target.display());
            return Ok(Swap::Moved(current.is_none().then(absent)));
        }
        let ready = self.ready.files().remove(&Hash::of(bytes));
        let staged = ready.map_or_else(|| self.folder.stage_whole(bytes), Ok).map_err(failed)?;
        match self.folder.replace(&staged, target) {
            Ok(()) => Ok(Swap::Swapped(token_of(bytes))),
            Err(PlaceError::Before(error)) => Err(failed(error)),
            Err(PlaceError::After(error)) => {
                unsynced().insert(target.to_owned());
                Ok(Swap::Unknown(failed(error)))
            }
        }
    }
}

fn load_now(target: &Path) -> Result<Option<Loaded>> {
    let bytes = read_bounded(target)?;
    Ok(bytes.map(|bytes| Loaded { token: token_of(&bytes), bytes }))
}

fn token_of(bytes: &[u8]) -> Token {
    Token::new(&Hash::of(bytes).to_string())
}

fn read_bounded(target: &Path) -> Result<Option<Bytes>> {
    let failed = |error: io::Error| io_error(error, target.display());
    let opened = ensure_regular(target).and_then(|length| Ok((length, File::open(target)?)));
    let (length, file) = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    // With room for all of it, it is read in one call.
    let length = usize::try_from(length).unwrap_or(MAX_REF_BYTES).min(MAX_REF_BYTES);
    let mut bytes = Vec::with_capacity(length + 1);
    file.take(MAX_REF_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_REF_BYTES {
        let text = format!("more than {MAX_REF_BYTES} bytes, which a ref never has");
        return Err(Error::new(ErrorKind::Corrupt, text).at(target.display()));
    }
    Ok(Some(bytes.into()))
}

/// The refs that a swap of this process is at. On network disks a file lock may belong to the whole process, so it
/// alone would not keep two threads apart.
static HELD: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// The right to swap one ref, in this process and among all.
#[derive(Debug)]
struct Lock {
    target: PathBuf,
    /// Closing it frees the lock.
    file: Option<File>,
}

impl Lock {
    fn take(target: &Path, patience: Duration) -> Result<Self> {
        let (mut pause, longest) = LOCK_PAUSES;
        let mut waited = Duration::ZERO;
        loop {
            if let Some(lock) = Self::try_take(target)? {
                return Ok(lock);
            }
            if waited >= patience {
                let text = format!("another writer has held its lock for {waited:?}");
                return Err(Error::new(ErrorKind::Unavailable, text).at(target.display()));
            }
            // Slept time is counted rather than asked of a clock, so that a paused clock cannot make this wait for ever.
            std::thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(longest);
        }
    }

    fn try_take(target: &Path) -> Result<Option<Self>> {
        if !HELD.lock().unwrap_or_else(PoisonError::into_inner).insert(target.to_owned()) {
            return Ok(None);
        }
        // From here on dropping the value gives the process-wide place back.
        let mut lock = Self { target: target.to_owned(), file: None };
        let failed = |error: io::Error| io_error(error, lock_path(target).display());
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(lock_path(target));
        let file = open.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                lock.file = Some(file);
                Ok(Some(lock))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(cannot_lock(&error, target)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file first: who takes the place next must find it unlocked.
        drop(self.file.take());
        HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.target);
    }
}

fn cannot_lock(error: &io::Error, target: &Path) -> Error {
    let text =
        format!("the file system cannot lock files, so writers could lose each other's commits: {error}");
    Error::new(ErrorKind::StoreUnsuitable, text).at(target.display())
}

fn lock_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn list_into(folder: &Path, prefix: &str, kind: RefKind, names: &mut Vec<RefName>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // A name that is not Unicode is foreign.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}/{name}");
        if entry.file_type()?.is_dir() {
            list_into(&entry.path(), &path, kind, names)?;
        } else {
            names.extend(kind.name_at(&path));
        }
    }
    Ok(())
}

#[async_trait]
impl RefStore for LocalRefs {
    async fn load(&self, path: &ObjectPath) -> Result<Option<Loaded>> {
        self.blocking(path, |refs, target| refs.read(&target)).await
    }

    async fn load_if_changed(&self, path: &ObjectPath, token: &Token) -> Result<Reloaded> {
        Ok(match self.load_again(path).await? {
            None => Reloaded::Absent,
            Some(loaded) if loaded.token == *token => Reloaded::Unchanged,
            Some(loaded) => Reloaded::Changed(loaded),
        })
    }

    async fn stage(&self, bytes: &Bytes) -> Result<Staging> {
        let (refs, bytes) = (self.clone(), bytes.clone());
        let staged = tokio::task::spawn_blocking(move || {
            let staged = refs.folder.stage_whole(&bytes).map_err(|error| {
                io_error(error, format!("{}: the next pointer", refs.folder.root().display()))
            })?;
            let hash = Hash::of(&bytes);
            refs.ready.files().insert(hash, staged);
            Ok(Staging::of(Unused { ready: Arc::clone(&refs.ready), hash }))
        });
        staged.await.unwrap_or_else(|error| Err(Error::new(ErrorKind::Unavailable, error.to_string())))
    }

    async fn swap(&self, path: &ObjectPath, expected: Option<&Token>, bytes: Bytes) -> Result<Swap> {
        check_length(path, &bytes)?;
        let expected = expected.cloned();
        self.blocking(path, move |refs, target| refs.swap_under_lock(&target, expected.as_ref(), &bytes))
            .await
    }

    async fn list(&self, kind: RefKind) -> Result<Vec<RefName>> {
        let folder = Arc::clone(&self.folder);
        let listed = tokio::task::spawn_blocking(move || {
            let (root, mut names) = (folder.locate(kind.folder()), Vec::new());
            list_into(&root, kind.folder(), kind, &mut names)
                .map_err(|error| io_error(error, root.display()))?;
            names.sort();
            Ok(names)
        });
        listed.await.unwrap_or_else(|error| Err(Error::new(ErrorKind::Unavailable, error.to_string())))
    }

    async fn remove_scratch(&self, probe: Nonce, _: u64) {
        let folder = self.folder.locate(&ObjectPath::scratch_folder(probe));
        let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(folder)).await;
        tracing::debug!(?removed, "a probe's scratch folder");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;
    use crate::storage::folder::Durability;

    fn refs(root: &Path) -> LocalRefs {
        let folder = Folder::new(root.to_owned(), Durability::None, Runtime::system());
        LocalRefs::new(Arc::new(folder))
    }

    fn main() -> ObjectPath {
        ObjectPath::branch(&RefName::new("main").unwrap())
    }

    async fn increment(refs: &LocalRefs) {
        loop {
            let current = refs.load(&main()).await.unwrap().unwrap();
            let number: u64 = std::str::from_utf8(&current.bytes).unwrap().parse().unwrap();
            match refs.swap(&main(), Some(&current.token), (number + 1).to_string().into()).await.unwrap() {
                Swap::Swapped(_) => return,
                Swap::Moved(_) => {}
                Swap::Unknown(error) => panic!("{error}"),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn racing_tasks_lose_no_increment() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(refs(dir.path()).swap(&main(), None, "0".into()).await.unwrap(), Swap::Swapped(_)));
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                // Each has a handle of its own, as separate opens of one lake have.
                let refs = refs(dir.path());
                tokio::spawn(async move {
                    for _ in 0..200 {
                        increment(&refs).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(refs(dir.path()).load(&main()).await.unwrap().unwrap().bytes, "3200");
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_was_staged_is_swapped_in_once_or_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let refs = refs(dir.path());
        let staged = || fs::read_dir(dir.path().join("tmp")).unwrap().count();
        let first = Bytes::from_static(b"1");
        let staging = refs.stage(&first).await.unwrap();
        assert_eq!(staged(), 1);
        let Swap::Swapped(token) = refs.swap(&main(), None, first.clone()).await.unwrap() else { panic!() };
        assert_eq!(staged(), 0, "it was moved, not copied");
        drop(staging);
        let unused = refs.stage(&Bytes::from_static(b"never")).await.unwrap();
        let second = refs.swap(&main(), Some(&token), "2".into()).await.unwrap();
        assert!(matches!(second, Swap::Swapped(_)), "what was not staged is swapped in as well");
        assert_eq!(refs.load(&main()).await.unwrap().unwrap().bytes, "2");
        assert_eq!(staged(), 1);
        drop(unused);
        assert_eq!(staged(), 0);
    }

    #[tokio::test]
    async fn a_lock_held_elsewhere_ends_as_unavailable_with_nothing_changed() {
        let dir = tempfile::tempdir().unwrap();
        let mut refs = refs(dir.path());
        refs.lock_wait = Duration::from_millis(20);
        let Swap::Swapped(token) = refs.swap(&main(), None, "1".into()).await.unwrap() else { panic!() };
        let other = File::open(lock_path(&refs.folder.locate(main().as_str()))).unwrap();
        other.lock().unwrap();
        let error = refs.swap(&main(), Some(&token), "2".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        drop(other);
        assert_eq!(refs.load(&main()).await.unwrap().unwrap().bytes, "1");
        assert!(matches!(refs.swap(&main(), Some(&token), "2".into()).await.unwrap(), Swap::Swapped(_)));
    }

    #[tokio::test]
    async fn locks_leftovers_and_foreign_files_are_not_refs() {
        let dir = tempfile::tempdir().unwrap();
        let refs = refs(dir.path());
        for name in ["main", "team/nightly"] {
            let path = ObjectPath::branch(&RefName::new(name).unwrap());
            assert!(matches!(refs.swap(&path, None, "x".into()).await.unwrap(), Swap::Swapped(_)));
        }
        fs::write(dir.path().join("refs/branches/notes.txt"), "x").unwrap();
        fs::write(dir.path().join("tmp/0123.part"), "x").unwrap();
        let names: Vec<String> =
            refs.list(RefKind::Branch).await.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["main", "team/nightly"]);
        assert!(refs.list(RefKind::Tag).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_ref_that_is_too_long_is_neither_read_nor_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("refs/branches")).unwrap();
        fs::write(dir.path().join(main().as_str()), vec![b' '; MAX_REF_BYTES + 1]).unwrap();
        assert_eq!(refs(dir.path()).load(&main()).await.unwrap_err().kind(), ErrorKind::Corrupt);
        let too_long = vec![b' '; MAX_REF_BYTES + 1].into();
        let error = refs(dir.path()).swap(&main(), None, too_long).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn a_failed_fsync_of_the_folder_is_made_up_for_before_the_next_read() {
        let dir = tempfile::tempdir().unwrap();
        let refs = refs(dir.path());
        assert!(matches!(refs.swap(&main(), None, "1".into()).await.unwrap(), Swap::Swapped(_)));
        let target = refs.folder.locate(main().as_str());
        unsynced().insert(target.clone());
        let another_handle = super::tests::refs(dir.path());
        assert!(another_handle.load(&main()).await.unwrap().is_some());
        assert!(!unsynced().contains(&target));
        // A ref that was read before is read without a thread of its own, but not past that.
        unsynced().insert(target.clone());
        let again = another_handle.load_if_changed(&main(), &token_of(b"1")).await.unwrap();
        assert!(matches!(again, Reloaded::Unchanged));
        assert!(!unsynced().contains(&target));
    }
}
