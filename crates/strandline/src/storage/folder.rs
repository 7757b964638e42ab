//! A lake's folder on a local disk: staged files, renames and the fsyncs that make them last.
//!
//! Invariants: a file is written under `tmp/` and then gets its place whole; it is durable there, and every folder on the way
//! in its parent, before it is reported as put. What stands at a path is only ever replaced by a file that was fsynced before;
//! where nothing stands, an object gets its place first and is fsynced there, because nobody refers to it yet: so one commit of
//! the file system's journal makes file and entry durable, in place of two. What a crash leaves in `tmp/` is nobody's, and so
//! is what a power failure tears of an object on its way: it is put again over it. Only blocking calls here: callers run them
//! off the async threads.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use strandline_format::SCRATCH;

use crate::runtime::Runtime;

/// Whether writes to a local folder are made to survive a power failure.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline::storage::{Durability, StorageOptions};
///
/// // For tests and throw-away lakes.
/// let options = StorageOptions { durability: Durability::None, ..StorageOptions::default() };
/// let folder = tempfile::tempdir()?;
/// let lake = Lake::create(folder.path().to_string_lossy()).storage(options).await?;
/// assert_eq!(lake.main().await?.version().0, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Files and folders are fsynced before a write is reported as done.
    #[default]
    Fsync,
    /// The operating system writes when it likes: for tests and throw-away lakes. A power failure may lose commits.
    None,
}

/// How many folders are remembered as durable; past that the memory starts anew.
const REMEMBERED_FOLDERS: usize = 65_536;

/// The folder of one lake.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    durability: Durability,
    runtime: Runtime,
    durable: Mutex<HashSet<PathBuf>>,
}

impl Folder {
    /// The lake at this absolute path, which need not exist: the first write makes it.
    pub(crate) fn new(root: PathBuf, durability: Durability, runtime: Runtime) -> Self {
        Self { root, durability, runtime, durable: Mutex::default() }
    }

    /// The lake's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether what is written is made to last.
    pub(crate) fn is_durable(&self) -> bool {
        self.durability == Durability::Fsync
    }

    /// Where an object of the lake lies.
    pub(crate) fn locate(&self, path: &str) -> PathBuf {
        let mut place = PathBuf::with_capacity(self.root.as_os_str().len() + path.len() + 1);
        place.push(&self.root);
        place.extend(path.split('/'));
        place
    }

    /// A fresh file under `tmp/`, which goes away again unless it is moved into place.
    pub(crate) fn stage(&self) -> io::Result<Staged> {
        let name: [u8; 16] = self.runtime.random().map_err(io::Error::other)?;
        let folder = self.root.join(SCRATCH);
        let path = folder.join(format!("{:032x}.part", u128::from_be_bytes(name)));
        let open = || OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        self.make_folder(&folder)?;
        let file = match open() {
            // Somebody removed the folder since it was made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget_folders();
                self.make_folder(&folder)?;
                open()?
            }
            other => other?,
        };
        Ok(Staged::new(path, file))
    }

    /// A file under `tmp/` with this content, which is durable as far as it is not a matter of its place.
    pub(crate) fn stage_whole(&self, content: &[u8]) -> io::Result<Staged> {
        let mut staged = self.stage()?;
        staged.file().write_all(content)?;
        self.sync(&staged)?;
        Ok(staged)
    }

    /// Gives a staged object its place. Whatever stands there is the same object, and is replaced nevertheless: whether it is
    /// whole and durable nobody knows.
    pub(crate) fn put(&self, staged: &Staged, target: &Path) -> io::Result<()> {
        if self.durability == Durability::None || !self.link(staged, target)? {
            return self.replace(staged, target).map_err(PlaceError::into_inner);
        }
        Ok(())
    }

    /// Gives a staged file a place where nothing stands, and makes both durable at once; `false` if that cannot be.
    fn link(&self, staged: &Staged, target: &Path) -> io::Result<bool> {
        let Some(parent) = target.parent() else { return Ok(false) };
        let fresh = self.make_missing(parent)?;
        // Something stands there, the folder was removed since, or the file system has no links.
        if fs::hard_link(&staged.path, target).is_err() {
            return Ok(false);
        }
        note("link", target);
        self.sync(staged)?;
        self.sync_parent(target)?;
        self.make_durable(fresh)?;
        Ok(true)
    }

    /// Moves a staged file to its place, over whatever stands there.
    ///
    /// The error says how far it came: an outcome after the rename began is not known.
    pub(crate) fn replace(&self, staged: &Staged, target: &Path) -> Result<(), PlaceError> {
        self.prepare(staged, target).map_err(PlaceError::Before)?;
        note("rename", target);
        match fs::rename(&staged.path, target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Somebody removed the folder since it was made.
                self.forget_folders();
                self.prepare(staged, target).map_err(PlaceError::Before)?;
                fs::rename(&staged.path, target).map_err(PlaceError::After)?;
            }
            other => other.map_err(PlaceError::of_rename)?,
        }
        staged.moved.store(true, Ordering::Relaxed);
        self.sync_parent(target).map_err(PlaceError::After)
    }

    /// Gives a staged file its place only if nothing stands there.
    pub(crate) fn create(&self, staged: &Staged, target: &Path) -> Result<(), PlaceError> {
        self.prepare(staged, target).map_err(PlaceError::Before)?;
        fs::hard_link(&staged.path, target).map_err(PlaceError::Before)?;
        self.sync_parent(target).map_err(PlaceError::After)
    }

    /// Makes a folder and those above it, each durable in its parent.
    pub(crate) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let fresh = self.make_missing(folder)?;
        self.make_durable(fresh)
    }

    /// Makes a folder and those above it; gives those that are not known to be durable in their parents, the uppermost last.
    fn make_missing(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let fresh: Vec<PathBuf> = {
            let durable = self.remembered();
            let unknown = folder.ancestors().take_while(|at| !durable.contains(*at));
            // What is above the root is the business of `make_root`.
            unknown.take_while(|at| at.starts_with(&self.root)).map(Path::to_owned).collect()
        };
        for at in fresh.iter().rev() {
            if *at == self.root { self.make_root()? } else { ignore_existing(fs::create_dir(at))? }
        }
        Ok(fresh)
    }

    /// Makes the entries of folders durable in their parents. Another process may have made one and not have come to its
    /// fsync.
    fn make_durable(&self, fresh: Vec<PathBuf>) -> io::Result<()> {
        for folder in fresh.iter().filter(|folder| **folder != self.root) {
            self.sync_parent(folder)?;
        }
        let mut durable = self.remembered();
        if durable.len() >= REMEMBERED_FOLDERS {
            durable.clear();
        }
        durable.extend(fresh);
        Ok(())
    }

    /// Makes the entry of a path durable in its folder.
    pub(crate) fn sync_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if self.durability == Durability::Fsync => sync_folder(parent),
            _ => Ok(()),
        }
    }

    fn prepare(&self, staged: &Staged, target: &Path) -> io::Result<()> {
        self.sync(staged)?;
        target.parent().map_or(Ok(()), |parent| self.make_folder(parent))
    }

    fn sync(&self, staged: &Staged) -> io::Result<()> {
        if self.durability == Durability::Fsync && !staged.synced.load(Ordering::Relaxed) {
            note("fsync", &staged.path);
            staged.file.sync_all()?;
            staged.synced.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The root may lie several folders below the first that exists.
    fn make_root(&self) -> io::Result<()> {
        let missing: Vec<&Path> = self.root.ancestors().take_while(|path| !path.is_dir()).collect();
        if let Some(existing) = self.root.ancestors().nth(missing.len()) {
            // Another process may have made it and not have come to its fsync. A folder above it that we may not open
            // we cannot fsync either; to refuse every write for that would not make it any more durable.
            ignore_forbidden(self.sync_parent(existing))?;
        }
        for folder in missing.into_iter().rev() {
            ignore_existing(fs::create_dir(folder))?;
            self.sync_parent(folder)?;
        }
        Ok(())
    }

    fn forget_folders(&self) {
        self.remembered().clear();
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses what is no regular file, before it is opened: opening a pipe, say, would wait for ever. Gives its length.
pub(crate) fn ensure_regular(path: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "this is not a regular file: remove it, or restore it from a copy",
    ))
}

/// How far putting a file into its place came.
#[derive(Debug)]
pub(crate) enum PlaceError {
    /// Nothing changed.
    Before(io::Error),
    /// The file may stand in its place, and may or may not survive a power failure.
    After(io::Error),
}

impl PlaceError {
    /// A refused rename changed nothing; of others a network disk may have lost only the answer.
    fn of_rename(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::IsADirectory
            | Kind::NotADirectory => Self::Before(error),
            _ => Self::After(error),
        }
    }

    /// The cause.
    pub(crate) fn into_inner(self) -> io::Error {
        match self {
            Self::Before(error) | Self::After(error) => error,
        }
    }
}

/// A file under `tmp/` on its way to its place. Dropping it removes what is left of it there.
#[derive(Debug)]
pub(crate) struct Staged {
    path: PathBuf,
    file: File,
    /// Whether its content is durable.
    synced: AtomicBool,
    /// Whether a rename took it to its place, so that nothing is left.
    moved: AtomicBool,
}

impl Staged {
    fn new(path: PathBuf, file: File) -> Self {
        Self { path, file, synced: AtomicBool::new(false), moved: AtomicBool::new(false) }
    }

    /// Another handle of the file, to make it durable beside its writer. What the system has to say of lost writes it says once: whoever
    /// syncs must pass it on.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Takes over a file that was staged by its path.
    pub(crate) fn adopt(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(Self::new(path, file))
    }

    /// The file, open for reading and writing.
    pub(crate) fn file(&mut self) -> &mut File {
        *self.synced.get_mut() = false;
        &mut self.file
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Anything that is not moved is a leftover in `tmp/`, which is nobody's.
        if !self.moved.load(Ordering::Relaxed) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn ignore_existing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn ignore_forbidden(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    note("fsync", folder);
    File::open(folder)?.sync_all()
}

/// Lets a test see what was done in which order.
fn note(_act: &'static str, _path: &Path) {
    #[cfg(test)]
    tests::ACTS.with_borrow_mut(|acts| acts.push((_act, _path.to_owned())));
}

/// Windows has no handle of a folder that could be flushed; its file systems journal the entries.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::io::Write;

    thread_local! {
        /// What this test has placed and fsynced, in order.
        pub(super) static ACTS: RefCell<Vec<(&'static str, PathBuf)>> = RefCell::default();
    }

    fn synced() -> Vec<PathBuf> {
        ACTS.take().into_iter().map(|(_, path)| path).collect()
    }

    /// What making the root fsyncs, given how many of its folders another process has made just before.
    #[cfg(unix)]
    #[test]
    fn the_root_is_durable_in_its_parent_whoever_made_it() {
        let check = |made: &str, expected: &[&str]| {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join(made)).unwrap();
            ACTS.take();
            let lake = folder(&dir.path().join("a/b"));
            lake.make_folder(lake.root()).unwrap();
            let above = dir.path().parent().unwrap();
            let place = |folder: &&str| if *folder == ".." { above.into() } else { dir.path().join(folder) };
            let expected: Vec<PathBuf> = expected.iter().map(place).collect();
            assert_eq!(synced(), expected, "{made}");
            lake.make_folder(lake.root()).unwrap();
            assert_eq!(synced(), Vec::<PathBuf>::new(), "once per handle");
        };
        check("a/b", &["a"]);
        check("a", &["", "a"]);
        check("", &["..", "", "a"]);
    }

    fn folder(root: &Path) -> Folder {
        Folder::new(root.to_owned(), Durability::Fsync, Runtime::system())
    }

    #[test]
    fn a_staged_file_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let lake = folder(&dir.path().join("a/b"));
        let mut staged = lake.stage().unwrap();
        staged.file().write_all(b"x").unwrap();
        lake.replace(&staged, &lake.locate("meta/ab/x.json")).unwrap();
        drop(staged);
        drop(lake.stage().unwrap());
        assert_eq!(fs::read(dir.path().join("a/b/meta/ab/x.json")).unwrap(), b"x");
        assert_eq!(fs::read_dir(dir.path().join("a/b/tmp")).unwrap().count(), 0);
    }

    /// What putting an object does, each act with the last part of its path; what lies in `tmp/` is `staged`.
    #[cfg(unix)]
    fn acts_of_put(lake: &Folder, target: &Path) -> Vec<String> {
        let staged = lake.stage().unwrap();
        ACTS.take();
        lake.put(&staged, target).unwrap();
        let last = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let part = |path: &Path| if *path == staged.path { "staged".to_owned() } else { last(path) };
        ACTS.take().iter().map(|(act, path)| format!("{act} {}", part(path))).collect()
    }

    #[cfg(unix)]
    #[test]
    fn an_object_is_fsynced_in_its_place_but_replaces_only_what_it_is_as_durable_as() {
        let dir = tempfile::tempdir().unwrap();
        let lake = folder(dir.path());
        lake.make_folder(lake.root()).unwrap();
        let target = lake.locate("meta/ab/x.json");
        let root = dir.path().file_name().unwrap().to_string_lossy();
        let first = ["link x.json", "fsync staged", "fsync ab", "fsync meta", &format!("fsync {root}")];
        assert_eq!(acts_of_put(&lake, &target), first);
        assert_eq!(acts_of_put(&lake, &target), ["fsync staged", "rename x.json", "fsync ab"]);
        let second = lake.locate("meta/ab/y.json");
        assert_eq!(acts_of_put(&lake, &second), ["link y.json", "fsync staged", "fsync ab"]);
        fs::remove_dir_all(dir.path().join("meta")).unwrap();
        lake.put(&lake.stage().unwrap(), &target).unwrap();
        assert!(target.is_file());
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_staged_whole_is_fsynced_once() {
        let dir = tempfile::tempdir().unwrap();
        let lake = folder(dir.path());
        let staged = lake.stage_whole(b"x").unwrap();
        let target = lake.locate("refs/x.json");
        ACTS.take();
        lake.replace(&staged, &target).unwrap();
        assert!(ACTS.take().iter().all(|(_, path)| *path != staged.path));
        let mut changed = lake.stage_whole(b"x").unwrap();
        changed.file().write_all(b"y").unwrap();
        ACTS.take();
        lake.replace(&changed, &target).unwrap();
        assert_eq!(ACTS.take()[0], ("fsync", changed.path.clone()));
    }

    #[test]
    fn a_place_that_is_taken_is_not_created_again() {
        let dir = tempfile::tempdir().unwrap();
        let lake = folder(dir.path());
        let target = lake.locate("lake.json");
        lake.create(&lake.stage().unwrap(), &target).unwrap();
        let error = lake.create(&lake.stage().unwrap(), &target).unwrap_err().into_inner();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_folder_removed_meanwhile_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let lake = folder(dir.path());
        let target = lake.locate("meta/ab/x.json");
        lake.replace(&lake.stage().unwrap(), &target).unwrap();
        fs::remove_dir_all(dir.path().join("meta")).unwrap();
        lake.replace(&lake.stage().unwrap(), &target).unwrap();
        assert!(target.is_file());
    }
}
