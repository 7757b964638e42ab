//! Writing a data object whose name is only known at its end, because the name is the hash.
//!
//! The bytes are hashed as they come and kept in memory up to a bound, past which all of them go to a spill file: in a
//! local lake a staged file of its own `tmp/`, which is renamed into place; else an unnamed temporary file, which is then
//! uploaded in parts. Nothing is visible in the lake before all of it is there.
//!
//! In a folder what was spilled is fsynced while more is written, and whatever such an fsync says of lost bytes is the writer's own failure.
//!
//! Memory of one writer: `spill_above` plus the largest piece that it is given while it is written, and
//! `part_bytes * (parallel_parts + 1)` while it is uploaded.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, TryStreamExt, stream};
use object_store::{MultipartUpload, ObjectStoreExt};
use strandline_format::{Era, Hash, ObjectPath, ObjectRef, TableId};
use tokio::task::JoinHandle;

use super::{DataKind, Objects, store_path};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Deadline;
use crate::storage::classify::{io_error, store_error};
use crate::storage::folder::{Folder, Staged};

/// The pause before a data file is put again.
const TROUBLE: Duration = Duration::from_secs(1);

/// So many bytes are hashed and written while they are in a core's cache.
const IN_CACHE: usize = 256 << 10;

/// A data object that is being written. Dropping it leaves nothing in the lake.
///
/// ```
#[doc = include_str!("../../orders.example")]
/// use strandline::format::{Era, Hash};
/// use strandline::storage::DataKind;
///
/// let orders = lake.table("orders").await?;
/// let mut writer = lake.storage().objects().write_data(DataKind::File, orders.id(), Era(0));
/// writer.write(b"PAR1").await?;
/// writer.write(b"...").await?;
/// // Only now has it a name, and is anything in the lake.
/// let object = writer.finish().await?;
/// assert_eq!((object.hash, object.size), (Hash::of(b"PAR1..."), 7));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DataWriter {
    objects: Objects,
    kind: DataKind,
    table: TableId,
    era: Era,
    hasher: Box<blake3::Hasher>,
    size: u64,
    buffer: BytesMut,
    spill: Option<Spill>,
    /// The sync of what was spilled that was begun last, beside whatever is written.
    sync: Option<JoinHandle<io::Result<()>>>,
}

/// Where the bytes go that are too many for memory.
#[derive(Debug)]
enum Spill {
    /// A file of the local lake that a rename puts into place.
    Staged(Staged),
    /// A file without a name, which the system removes when it is closed.
    Unnamed(File),
}

impl Spill {
    fn file(&mut self) -> &mut File {
        match self {
            Self::Staged(staged) => staged.file(),
            Self::Unnamed(file) => file,
        }
    }
}

impl DataWriter {
    pub(super) fn new(objects: Objects, kind: DataKind, table: TableId, era: Era) -> Self {
        let hasher = Box::new(blake3::Hasher::new());
        let (buffer, spill, sync) = (BytesMut::new(), None, None);
        Self { objects, kind, table, era, hasher, size: 0, buffer, spill, sync }
    }

    /// Adds bytes. No request; writes to the spill file once there are many.
    ///
    /// # Errors
    /// What the disk under the spill file refuses. The writer is then of no more use. A future that is dropped makes
    /// it so, too: [`DataWriter::finish`] notices.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.objects.0.counters.wrote(bytes.len());
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > self.objects.0.options.spill_above {
            self.flush().await?;
        }
        Ok(())
    }

    /// The same on a thread that may block, for bytes that are many: what is past the bound goes to the spill file without a copy.
    ///
    /// # Errors
    /// As [`DataWriter::write`].
    pub(crate) fn write_blocking(&mut self, bytes: &[u8]) -> Result<()> {
        self.objects.0.counters.wrote(bytes.len());
        self.size += bytes.len() as u64;
        if !self.spills(bytes.len()) {
            self.hasher.update(bytes);
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        let before = self.buffer.split();
        let (spill, folder) = (self.spill.take(), self.objects.0.folder.as_deref());
        let hasher = &mut self.hasher;
        let spilled = spill_to(spill, folder, &before).and_then(|mut spill| {
            for piece in bytes.chunks(IN_CACHE) {
                hasher.update(piece);
                spill.file().write_all(piece)?;
            }
            Ok(spill)
        });
        self.spill = Some(spilled.map_err(|error| self.spill_error(error))?);
        self.sync_early().map_err(|error| self.spill_error(error))
    }

    /// Begins to make durable what was spilled, so that little is left when the last byte comes. One sync at a time.
    fn sync_early(&mut self) -> io::Result<()> {
        if self.sync.as_ref().is_some_and(|sync| !sync.is_finished()) {
            return Ok(());
        }
        if let Some(done) = self.sync.take().and_then(FutureExt::now_or_never) {
            done.unwrap_or_else(|error| Err(io::Error::other(error)))?;
        }
        let durable = self.objects.0.folder.as_ref().is_some_and(|folder| folder.is_durable());
        if let Some(Spill::Staged(staged)) = self.spill.as_ref().filter(|_| durable) {
            let file = staged.handle()?;
            self.sync = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    /// Waits for the sync that is under way.
    async fn synced(&mut self) -> io::Result<()> {
        match self.sync.take() {
            Some(sync) => sync.await.unwrap_or_else(|error| Err(io::Error::other(error))),
            None => Ok(()),
        }
    }

    /// Whether so many more bytes go to the spill file.
    pub(crate) fn spills(&self, more: usize) -> bool {
        self.buffer.len() + more > self.objects.0.options.spill_above
    }

    /// How many bytes it has been given.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many of them are in memory.
    pub(crate) fn held(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Moves what is in memory to the spill file, for who writes many files at once. No request.
    ///
    /// # Errors
    /// As [`DataWriter::write`].
    pub(crate) async fn spill(&mut self) -> Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.flush().await }
    }

    /// Puts the object into the lake. One request up to [`part_bytes`](super::ObjectOptions::part_bytes), else one for
    /// each part and two more; none in a local folder.
    ///
    /// # Errors
    /// What the store refuses or cannot do. A dropped future may leave an unreferenced object, or an upload that was
    /// begun and not ended, which a lifecycle rule of the bucket removes.
    pub async fn finish(self) -> Result<ObjectRef> {
        self.finish_unless(|_| None).await.map(|(object, _)| object)
    }

    /// The same, unless an object with this content is known to be in the lake: then nothing is put, and that one is meant
    /// [TXN-3]. Says whether it was so. The caller vouches that what he refers to keeps the object.
    ///
    /// # Errors
    /// As [`DataWriter::finish`].
    pub async fn finish_unless(
        self,
        known: impl FnOnce(&Hash) -> Option<ObjectRef> + Send,
    ) -> Result<(ObjectRef, bool)> {
        let (object, sealed) = self.seal_unless(known);
        match sealed {
            Some(sealed) => sealed.put().await.map(|()| (object, false)),
            None => Ok((object, true)),
        }
    }

    /// Says what the object is, before it is put; nothing is left to be put if it is known to be in the lake. No request.
    pub(crate) fn seal_unless(
        self,
        known: impl FnOnce(&Hash) -> Option<ObjectRef>,
    ) -> (ObjectRef, Option<SealedData>) {
        let hash = Hash::from_bytes(*self.hasher.finalize().as_bytes());
        let object = ObjectRef { hash, era: self.era, size: self.size };
        match known(&hash).filter(|known| known.size == self.size) {
            Some(known) => (known, None),
            None => (object, Some(SealedData { writer: self, object })),
        }
    }

    async fn put(mut self, object: &ObjectRef) -> Result<()> {
        let path = self.kind.path(self.table, object);
        if self.spill.is_some() {
            self.flush().await?;
            self.synced().await.map_err(|error| self.spill_error(error))?;
        }
        match self.spill.take() {
            None if self.buffer.len() as u64 != self.size => return Err(self.spill_error(dropped())),
            None => {
                let bytes = self.buffer.split().freeze();
                self.objects.patiently(|| self.objects.upload(&path, bytes.clone())).await?;
            }
            Some(Spill::Staged(staged)) => self.move_into_place(staged, &path).await?,
            Some(Spill::Unnamed(file)) => {
                self.objects.patiently(|| self.objects.upload_file(&path, &file, self.size)).await?;
            }
        }
        self.objects.0.counters.finished_data();
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let bytes = self.buffer.split().freeze();
        let (spill, folder) = (self.spill.take(), self.objects.0.folder.clone());
        let spilled = blocking(move || spill_to(spill, folder.as_deref(), &bytes));
        self.spill = Some(spilled.await.map_err(|error| self.spill_error(error))?);
        Ok(())
    }

    async fn move_into_place(&self, mut staged: Staged, path: &ObjectPath) -> Result<()> {
        let Some(folder) = self.objects.0.folder.clone() else {
            return Err(self.spill_error(io::Error::other("no folder to move it into")));
        };
        let (target, size) = (folder.locate(path.as_str()), self.size);
        let moved = blocking(move || {
            check_length(staged.file(), size)?;
            folder.put(&staged, &target)
        });
        moved.await.map_err(|error| io_error(error, self.objects.at(path)))
    }

    fn spill_error(&self, error: io::Error) -> Error {
        io_error(error, format!("{}: the spill file of a data file", self.objects.0.place))
    }
}

/// Adds bytes to the spill file, or begins one.
fn spill_to(spill: Option<Spill>, folder: Option<&Folder>, bytes: &[u8]) -> io::Result<Spill> {
    let mut spill = match (spill, folder) {
        (Some(spill), _) => spill,
        (None, Some(folder)) => Spill::Staged(folder.stage()?),
        (None, None) => Spill::Unnamed(unnamed_file()?),
    };
    spill.file().write_all(bytes)?;
    Ok(spill)
}

/// A data object whose bytes are all there and whose name is known, still to be put.
#[derive(Debug)]
pub(crate) struct SealedData {
    writer: DataWriter,
    object: ObjectRef,
}

impl SealedData {
    /// Puts it. Requests and errors as of [`DataWriter::finish`].
    pub(crate) async fn put(self) -> Result<()> {
        self.writer.put(&self.object).await
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "where spill files go is the system's say, and nothing depends on it"
)]
fn unnamed_file() -> io::Result<File> {
    tempfile::tempfile()
}

/// A write that was dropped half-way leaves a file that is not what was hashed.
fn check_length(file: &File, size: u64) -> io::Result<()> {
    if file.metadata()?.len() == size { Ok(()) } else { Err(dropped()) }
}

fn dropped() -> io::Error {
    io::Error::other("a write to it was dropped half-way")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

impl Objects {
    /// Puts again what a store in trouble did not take: a server that is started anew costs a writer some time, and not its work. The
    /// time begins with the first failure, since a large file may take longer than that over a slow link.
    pub(super) async fn patiently<F: Future<Output = Result<()>>>(&self, put: impl Fn() -> F) -> Result<()> {
        let mut deadline = None;
        loop {
            let done = put().await;
            let deadline: &mut Deadline =
                deadline.get_or_insert_with(|| Deadline::after(self.0.options.put_patience));
            match done {
                Err(error) if error.kind() == ErrorKind::Unavailable && !deadline.passed() => {
                    tracing::debug!(%error, "a data file is put again");
                }
                done => return done,
            }
            tokio::time::sleep(TROUBLE).await;
        }
    }

    /// Puts bytes in one request, or in parts if they are many.
    pub(super) async fn upload(&self, path: &ObjectPath, bytes: Bytes) -> Result<()> {
        let part = self.0.options.part_bytes.get();
        if bytes.len() <= part {
            return self.put(path, bytes).await;
        }
        let starts = (0..bytes.len()).step_by(part);
        let parts = starts.map(|start| Ok(bytes.slice(start..bytes.len().min(start + part))));
        self.upload_parts(path, stream::iter(parts)).await
    }

    /// Uploads a file in parts, each read when its turn comes.
    async fn upload_file(&self, path: &ObjectPath, file: &File, size: u64) -> Result<()> {
        let rewound = || {
            check_length(file, size)?;
            let mut file = file.try_clone()?;
            file.rewind().map(|()| file)
        };
        let file = rewound().map_err(|error| io_error(error, self.at(path)))?;
        let part = self.0.options.part_bytes.get();
        let parts = stream::try_unfold(Arc::new(file), move |file| async move {
            let reader = Arc::clone(&file);
            let bytes = blocking(move || read_part(&reader, part)).await?;
            Ok::<_, io::Error>((!bytes.is_empty()).then_some((bytes, file)))
        });
        let parts = parts.map_err(|error| io_error(error, self.at(path)));
        self.upload_parts(path, parts).await
    }

    async fn upload_parts(
        &self,
        path: &ObjectPath,
        parts: impl futures::Stream<Item = Result<Bytes>> + Send,
    ) -> Result<()> {
        let failed = |error: object_store::Error| store_error(&error, self.at(path));
        let mut upload = self.0.store.put_multipart(&store_path(path)).await.map_err(failed)?;
        let sent = self.send_parts(&mut *upload, parts, path).await;
        let done = match sent {
            Ok(()) => upload.complete().await.map(drop).map_err(failed),
            Err(error) => Err(error),
        }
        .map_err(begun_anew);
        if done.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::debug!(%path, error = %failed(error), "an upload that failed stays unfinished");
        }
        done
    }

    async fn send_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        parts: impl futures::Stream<Item = Result<Bytes>> + Send,
        path: &ObjectPath,
    ) -> Result<()> {
        // The order of the calls to `put_part` is the order of the parts; only the requests run side by side.
        let requests = parts.map_ok(|bytes| {
            let request = upload.put_part(bytes.into());
            async move { request.await.map_err(|error| store_error(&error, self.at(path))) }
        });
        requests.try_buffered(self.0.options.parallel_parts.get()).try_collect().await
    }
}

/// An upload that was begun, and that the store does not know any more, is begun again: a server was started anew, or has ended the upload and
/// its answer was lost.
fn begun_anew(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidInput => {
            let message = format!("the upload in parts came to nothing: {}", error.message());
            Error::new(ErrorKind::Unavailable, message)
        }
        _ => error,
    }
}

fn read_part(file: &File, part: usize) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(part);
    file.take(part as u64).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;
    use crate::storage::durable::DurableLocal;
    use crate::storage::folder::Durability;
    use crate::storage::objects::ObjectOptions;
    use object_store::memory::InMemory;
    use std::num::NonZeroUsize;
    use std::path::Path;
    use strandline_testkit::{Answer, Effect, FaultyStore, RequestKind, Script, Status, Target};

    const OPTIONS: ObjectOptions = ObjectOptions {
        cache_bytes: 1 << 20,
        footer_cache_bytes: 1 << 20,
        small_cache_bytes: 1 << 20,
        parallel_requests: NonZeroUsize::new(4).unwrap(),
        spill_above: 1500,
        part_bytes: NonZeroUsize::new(1000).unwrap(),
        parallel_parts: NonZeroUsize::new(3).unwrap(),
        compression: 3,
        put_patience: Duration::from_secs(10),
        get_patience: Duration::ZERO,
        first_patience: Duration::ZERO,
    };

    fn in_memory() -> Objects {
        Objects::new(Arc::new(InMemory::new()), Arc::from("memory://test"), OPTIONS, None)
    }

    /// What was sent of it before the store went away, a file that has been read to some place, is sent anew; past its time it is given up.
    #[tokio::test(start_paused = true)]
    async fn a_file_is_put_again_from_its_beginning_while_the_store_is_away() {
        for (size, kind) in
            [(800, RequestKind::Put), (1400, RequestKind::PutPart), (9000, RequestKind::PutPart)]
        {
            let store = Arc::new(FaultyStore::new(Arc::new(InMemory::new()), Script::empty()));
            let objects = Objects::new(store.clone(), Arc::from("memory://test"), OPTIONS, None);
            let away = |times| {
                let target = Target::any().kind(kind).nth(if size > 1500 { 2 } else { 0 }).times(times);
                Script::empty().and(target, Effect::fail(Answer::Refused))
            };
            store.set_script(away(3));
            let object = write(&objects, size).await;
            let found = objects.get_data(DataKind::File, table(), &object).await.unwrap();
            assert_eq!(found, data(size), "{size} bytes");
            assert!(store.unfired().is_empty(), "{size} bytes: {}", store.log());
            store.set_script(away(1000));
            let mut writer = objects.write_data(DataKind::File, table(), Era(2));
            writer.write(&data(size)).await.unwrap();
            assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }

    /// A server that has ended an upload whose answer was lost, or that was started anew, knows of none.
    #[tokio::test(start_paused = true)]
    async fn an_upload_that_the_store_does_not_know_is_begun_anew() {
        for kind in [RequestKind::PutPart, RequestKind::CompleteMultipart] {
            let store = Arc::new(FaultyStore::new(Arc::new(InMemory::new()), Script::empty()));
            let objects = Objects::new(store.clone(), Arc::from("memory://test"), OPTIONS, None);
            let gone = Effect::fail(Answer::Status(Status::NotFound));
            store.set_script(Script::empty().and(Target::any().kind(kind), gone));
            let object = objects.put_data(DataKind::File, table(), data(9000).into(), Era(1)).await.unwrap();
            let found = objects.get_data(DataKind::File, table(), &object).await.unwrap();
            assert_eq!(found, data(9000), "{kind:?}");
            assert!(store.unfired().is_empty(), "{kind:?}: {}", store.log());
        }
    }

    fn in_folder(root: &Path) -> Objects {
        let folder = Arc::new(Folder::new(root.to_owned(), Durability::Fsync, Runtime::system()));
        Objects::new(Arc::new(DurableLocal::new(folder.clone())), Arc::from("folder"), OPTIONS, Some(folder))
    }

    fn table() -> TableId {
        TableId::from_random([7; 16])
    }

    fn data(size: usize) -> Vec<u8> {
        (0..size).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect()
    }

    /// In pieces, of which every other one comes from a thread that may block.
    async fn write(objects: &Objects, size: usize) -> ObjectRef {
        let mut writer = objects.write_data(DataKind::File, table(), Era(1));
        for (number, piece) in data(size).chunks(700).enumerate() {
            if number % 2 == 0 {
                writer.write(piece).await.unwrap();
            } else {
                writer.write_blocking(piece).unwrap();
            }
        }
        assert_eq!(writer.size(), size as u64);
        writer.finish().await.unwrap()
    }

    #[tokio::test]
    async fn what_is_written_in_pieces_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        for objects in [in_memory(), in_folder(dir.path())] {
            for size in [0, 1, 999, 1000, 1001, 1500, 1501, 10_000] {
                let object = write(&objects, size).await;
                assert_eq!(object, Objects::meta_ref(&data(size), Era(1)), "{size}");
                assert_eq!(objects.get_data(DataKind::File, table(), &object).await.unwrap(), data(size));
                let (path, end) = (DataKind::File.path(table(), &object), object.size);
                for beyond in [0..end + 1, end..end + 1, end + 9..end + 10] {
                    let error = objects.get_ranges(&path, &[beyond]).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{size}: {error}");
                }
            }
        }
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_was_spilled_is_synced_while_more_is_written() {
        for (durability, synced) in [(Durability::Fsync, true), (Durability::None, false)] {
            let dir = tempfile::tempdir().unwrap();
            let folder = Arc::new(Folder::new(dir.path().to_owned(), durability, Runtime::system()));
            let store = Arc::new(DurableLocal::new(folder.clone()));
            let objects = Objects::new(store, Arc::from("folder"), OPTIONS, Some(folder));
            let mut writer = objects.write_data(DataKind::File, table(), Era(1));
            writer.write_blocking(&data(1000)).unwrap();
            assert!(writer.sync.is_none(), "nothing is spilled yet");
            writer.write_blocking(&data(1000)).unwrap();
            assert_eq!(writer.sync.is_some(), synced);
            // What a sync has found is the writer's to tell.
            let lost = tokio::task::spawn_blocking(|| Err(io::Error::other("a page was lost")));
            writer.sync = Some(lost);
            let error = writer.finish().await.unwrap_err();
            assert!(error.to_string().contains("a page was lost"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_dropped_writer_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let objects = in_folder(dir.path());
        let mut writer = objects.write_data(DataKind::File, table(), Era(1));
        writer.write(&data(5000)).await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 1);
        drop(writer);
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
        assert!(!dir.path().join("data").exists());
    }
}
