//! A local folder as an object store whose writes last: `object_store`'s own never calls fsync in this version.
//!
//! Invariants: writes go through [`Folder`] (staged in `tmp/`, given their place, file and folder fsynced); whole reads, listings and
//! deletes are `LocalFileSystem`'s. A delete is not fsynced: one that a power failure takes back only leaves garbage.
//! What does not belong here: the conditional swap of pointers, which no object store trait can do on a disk.

use std::fmt;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    RenameTargetMode, Result, UploadPart,
};

use strandline_format::ObjectPath;

use super::folder::{Folder, PlaceError, Staged, ensure_regular};

const STORE: &str = "local folder";

/// Ranges are read at once, with what lies between them, if that is no more than this, and all of it no more than that: of a small file every
/// call takes as long as some KiB, and of a large one no more is kept in memory than was asked for.
const GAP: u64 = 16 << 10;
const AT_ONCE: u64 = 1 << 20;

/// A lake's folder as an object store.
#[derive(Clone, Debug)]
pub(crate) struct DurableLocal {
    folder: Arc<Folder>,
    /// Made when the folder is first seen to exist, because it refuses one that does not.
    reader: Arc<OnceLock<LocalFileSystem>>,
}

impl DurableLocal {
    pub(crate) fn new(folder: Arc<Folder>) -> Self {
        Self { folder, reader: Arc::default() }
    }

    fn reader(&self) -> Result<&LocalFileSystem> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader);
        }
        let root = self.folder.root();
        if let Err(error) = fs::metadata(root) {
            return Err(place_error(error, &root.display().to_string()));
        }
        let reader = LocalFileSystem::new_with_prefix(root)?;
        Ok(self.reader.get_or_init(|| reader))
    }

    /// Runs blocking work off the async threads. The work goes on to its end even if the future is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        location: &Path,
        work: impl FnOnce(&Folder, PathBuf) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = Arc::clone(&self.folder);
        let target = folder.locate(location.as_ref());
        let done = tokio::task::spawn_blocking(move || work(&folder, target)).await?;
        done.map_err(|error| place_error(error, location.as_ref()))
    }
}

/// A disk's error, as the object store trait words it.
fn place_error(source: io::Error, path: &str) -> Error {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path, source: Box::new(source) },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: Box::new(source) },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::PermissionDenied { path, source: Box::new(source) }
        }
        _ => Error::Generic { store: STORE, source: Box::new(source) },
    }
}

fn refused(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() }
}

fn place(folder: &Folder, staged: &Staged, target: &std::path::Path, create: bool) -> io::Result<()> {
    if create {
        folder.create(staged, target).map_err(PlaceError::into_inner)
    } else {
        folder.put(staged, target)
    }
}

/// Ranges of several files, each as [`read_ranges`] gives them, in one blocking call: for a small file that takes longer than to read it. If the
/// future is dropped, it ends with the file that is being read.
pub(super) async fn read_files(
    folder: &Arc<Folder>,
    files: Vec<(ObjectPath, Vec<Range<u64>>)>,
) -> Result<Vec<Result<Vec<Bytes>>>> {
    let (folder, awaited) = (Arc::clone(folder), Arc::new(()));
    let is_awaited = Arc::downgrade(&awaited);
    let read = move |(path, ranges): (ObjectPath, Vec<Range<u64>>)| {
        let read = read_ranges(&folder.locate(path.as_str()), &ranges);
        read.map_err(|error| place_error(error, path.as_str()))
    };
    let all = move || files.into_iter().take_while(|_| is_awaited.strong_count() > 0).map(read).collect();
    let done = tokio::task::spawn_blocking(all).await;
    drop(awaited);
    Ok(done?)
}

fn read_ranges(path: &std::path::Path, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
    let length = ensure_regular(path)?;
    // Whatever a range says, no more memory is taken than there are bytes.
    if let Some(range) = ranges.iter().find(|range| range.start > range.end || range.end > length) {
        return Err(beyond(range));
    }
    let mut file = fs::File::open(path)?;
    let mut read = vec![Bytes::new(); ranges.len()];
    for near in near_each_other(ranges) {
        let start = near.first().map_or(0, |at| ranges[*at].start);
        let end = near.iter().map(|at| ranges[*at].end).max().unwrap_or(start);
        let bytes = read_range(&mut file, &(start..end))?;
        for at in near {
            let within = |place: u64| usize::try_from(place - start).map_err(io::Error::other);
            read[at] = bytes.slice(within(ranges[at].start)?..within(ranges[at].end)?);
        }
    }
    Ok(read)
}

/// The places of ranges that are read at once, those that begin first in front.
fn near_each_other(ranges: &[Range<u64>]) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..ranges.len()).collect();
    places.sort_unstable_by_key(|at| ranges[*at].start);
    let mut all: Vec<(Range<u64>, Vec<usize>)> = Vec::new();
    for at in places {
        let range = &ranges[at];
        match all.last_mut() {
            Some((known, near))
                if range.start <= known.end.saturating_add(GAP)
                    && range.end.saturating_sub(known.start) <= AT_ONCE =>
            {
                known.end = known.end.max(range.end);
                near.push(at);
            }
            _ => all.push((range.clone(), vec![at])),
        }
    }
    all.into_iter().map(|(_, near)| near).collect()
}

/// `classify::range_is_beyond` knows these words, which are those of `LocalFileSystem`.
fn beyond(range: &Range<u64>) -> io::Error {
    let message = format!("Out of range of file: {range:?} was to be read");
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}

fn read_range(file: &mut fs::File, range: &Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(|_| beyond(range))?;
    // Not filled with zeros first, which takes as long as reading what is in memory.
    let mut bytes = Vec::with_capacity(length);
    file.seek(SeekFrom::Start(range.start))?;
    Read::by_ref(file).take(range.end - range.start).read_to_end(&mut bytes)?;
    if bytes.len() < length { Err(beyond(range)) } else { Ok(bytes.into()) }
}

fn done() -> PutResult {
    PutResult { e_tag: None, version: None }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !options.attributes.is_empty() {
            return Err(refused("attributes"));
        }
        let create = match options.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            PutMode::Update(_) => return Err(refused("a conditional update")),
        };
        self.blocking(location, move |folder, target| {
            let mut staged = folder.stage()?;
            payload.iter().try_for_each(|bytes| staged.file().write_all(bytes))?;
            place(folder, &staged, &target, create)
        })
        .await?;
        Ok(done())
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(refused("attributes"));
        }
        let staged = self.blocking(location, |folder, _| folder.stage()).await?;
        let staged = Arc::new(Mutex::new(Some(staged)));
        Ok(Box::new(Upload { store: self.clone(), location: location.clone(), staged, length: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.blocking(location, |_, target| ensure_regular(&target)).await?;
        self.reader()?.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        // In one blocking call: each costs a query as much as reading some tens of KiB does.
        let ranges = ranges.to_vec();
        self.blocking(location, move |_, target| read_ranges(&target, &ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.reader() {
            Ok(reader) => reader.delete_stream(locations),
            Err(error) => failing(error),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.reader() {
            Ok(reader) => reader.list(prefix),
            Err(error) => failing(error),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.reader() {
            Ok(reader) => reader.list_with_offset(prefix, offset),
            Err(error) => failing(error),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.reader()?.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let source = self.folder.locate(from.as_ref());
        let create = options.mode == CopyMode::Create;
        self.blocking(to, move |folder, target| {
            let mut staged = folder.stage()?;
            io::copy(&mut fs::File::open(source)?, staged.file())?;
            place(folder, &staged, &target, create)
        })
        .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let source = self.folder.locate(from.as_ref());
        let create = options.target_mode == RenameTargetMode::Create;
        self.blocking(to, move |folder, target| {
            let staged = Staged::adopt(source)?;
            place(folder, &staged, &target, create)
        })
        .await
    }
}

fn failing<T: Send + 'static>(error: Error) -> BoxStream<'static, Result<T>> {
    stream::once(std::future::ready(Err(error))).boxed()
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.folder.root().display())
    }
}

/// An upload in parts: one staged file, each part at its own offset.
#[derive(Debug)]
struct Upload {
    store: DurableLocal,
    location: Path,
    staged: Arc<Mutex<Option<Staged>>>,
    length: u64,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let offset = self.length;
        self.length += u64::try_from(payload.content_length()).unwrap_or(u64::MAX);
        let (store, location, staged) = (self.store.clone(), self.location.clone(), Arc::clone(&self.staged));
        Box::pin(
            async move { store.blocking(&location, move |_, _| write_at(&staged, offset, &payload)).await },
        )
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (staged, length) =
            (self.staged.lock().unwrap_or_else(PoisonError::into_inner).take(), self.length);
        self.store
            .blocking(&self.location, move |folder, target| {
                let mut staged = staged.ok_or_else(ended)?;
                if staged.file().metadata()?.len() != length {
                    return Err(io::Error::other("a part of the upload was not written"));
                }
                place(folder, &staged, &target, false)
            })
            .await?;
        Ok(done())
    }

    async fn abort(&mut self) -> Result<()> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

fn write_at(staged: &Mutex<Option<Staged>>, offset: u64, payload: &PutPayload) -> io::Result<()> {
    let mut staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
    let file = staged.as_mut().ok_or_else(ended)?.file();
    file.seek(SeekFrom::Start(offset))?;
    payload.iter().try_for_each(|bytes| file.write_all(bytes))
}

fn ended() -> io::Error {
    io::Error::other("the upload has ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;
    use crate::storage::folder::Durability;
    use object_store::ObjectStoreExt;
    use strandline_format::RefName;

    fn store(root: &std::path::Path) -> DurableLocal {
        let folder = Folder::new(root.to_owned(), Durability::Fsync, Runtime::system());
        DurableLocal::new(Arc::new(folder))
    }

    async fn read(store: &DurableLocal, path: &str) -> Bytes {
        store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap()
    }

    fn leftovers(root: &std::path::Path) -> usize {
        fs::read_dir(root.join("tmp")).unwrap().count()
    }

    #[tokio::test]
    async fn puts_copies_renames_and_parts_arrive_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir.path().join("lake"));
        store.put(&Path::from("a/1"), "one".into()).await.unwrap();
        store.copy(&Path::from("a/1"), &Path::from("b/2")).await.unwrap();
        store.rename(&Path::from("a/1"), &Path::from("c/3")).await.unwrap();
        let mut upload = store.put_multipart(&Path::from("d/4")).await.unwrap();
        let (first, second) = (upload.put_part("first ".into()), upload.put_part("second".into()));
        second.await.unwrap();
        first.await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(read(&store, "b/2").await, "one");
        assert_eq!(read(&store, "c/3").await, "one");
        assert_eq!(read(&store, "d/4").await, "first second");
        assert!(!dir.path().join("lake/a/1").exists());
        assert_eq!(leftovers(&dir.path().join("lake")), 0);
    }

    #[tokio::test]
    async fn an_upload_that_lacks_a_part_or_is_dropped_leaves_no_object() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let mut upload = store.put_multipart(&Path::from("d/4")).await.unwrap();
        let _never_run = upload.put_part("first".into());
        assert!(upload.complete().await.is_err());
        let mut upload = store.put_multipart(&Path::from("d/4")).await.unwrap();
        upload.put_part("first".into()).await.unwrap();
        drop(upload);
        assert!(!dir.path().join("d/4").exists());
        assert_eq!(leftovers(dir.path()), 0);
    }

    #[tokio::test]
    async fn a_create_does_not_replace() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let create = || PutOptions::from(PutMode::Create);
        store.put_opts(&Path::from("x"), "1".into(), create()).await.unwrap();
        let error = store.put_opts(&Path::from("x"), "2".into(), create()).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }));
        assert_eq!(read(&store, "x").await, "1");
    }

    #[tokio::test]
    async fn ranges_come_as_they_were_asked_for_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let (store, path) = (store(dir.path()), Path::from("x"));
        store.put(&path, "0123456789".into()).await.unwrap();
        assert_eq!(store.get_ranges(&path, &[7..10, 0..1, 6..8]).await.unwrap(), ["789", "0", "67"]);
        for beyond in [9..11, 10..11, 50..60, 0..u64::MAX] {
            let error = store.get_ranges(&path, &[0..1, beyond.clone()]).await.unwrap_err();
            assert!(crate::storage::classify::range_is_beyond(&error), "{beyond:?}: {error}");
        }
        let error = store.get_ranges(&Path::from("y"), &[0..1, 1..2]).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_lies_close_is_read_at_once_and_comes_apart() {
        let check =
            |ranges: &[Range<u64>], expected: &[&[usize]]| assert_eq!(near_each_other(ranges), expected);
        check(&[], &[]);
        check(&[5..9, 0..2, 1..7], &[&[1, 2, 0]]);
        check(&[0..1, 1 + GAP..2 + GAP], &[&[0, 1]]);
        check(&[0..1, 2 + GAP..3 + GAP], &[&[0], &[1]]);
        // One that lies within another is no end of it.
        check(&[0..100, 10..20, 100 + GAP..101 + GAP], &[&[0, 1, 2]]);
        check(&[0..AT_ONCE, AT_ONCE..AT_ONCE + 1], &[&[0], &[1]]);

        let dir = tempfile::tempdir().unwrap();
        let (store, path) = (store(dir.path()), Path::from("x"));
        let bytes: Bytes = (0..100_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
        store.put(&path, bytes.clone().into()).await.unwrap();
        let ranges = [90_000..100_000, 0..10, 5..5, 3..20, 17_000..17_001];
        let expected = ranges.clone().map(|Range { start, end }| bytes.slice(start..end));
        let ranges = ranges.map(|range| range.start as u64..range.end as u64);
        assert_eq!(store.get_ranges(&path, &ranges).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn of_several_files_each_comes_or_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let path = |name: &str| ObjectPath::branch(&RefName::new(name).unwrap());
        let [one, other, gone] = ["one", "other", "gone"].map(path);
        store.put(&Path::from(one.as_str()), "0123".into()).await.unwrap();
        store.put(&Path::from(other.as_str()), "4567".into()).await.unwrap();
        let wanted = [(&other, 1..3), (&gone, 0..1), (&one, 2..9), (&one, 0..4)];
        let wanted = wanted.map(|(path, range)| (path.clone(), vec![range.clone(), range]));
        let read = read_files(&store.folder, wanted.into()).await.unwrap();
        assert_eq!(read[0].as_ref().unwrap()[..], ["56", "56"]);
        assert!(matches!(&read[1], Err(Error::NotFound { path, .. }) if path == gone.as_str()), "{read:?}");
        assert!(read[2].as_ref().is_err_and(crate::storage::classify::range_is_beyond), "{read:?}");
        assert_eq!(read[3].as_ref().unwrap()[..], ["0123", "0123"]);
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let error = store(&dir.path().join("gone")).get(&Path::from("x")).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
    }
}
