//! Opening the places that tests work in.

use std::num::NonZeroUsize;
use std::time::Duration;

use strandline::storage::{
    Durability, Loaded, ObjectOptions, Settled, Storage, StorageOptions, StoreLocation, StoreOptions,
};
use strandline::{Deadline, Head, Lake, Runtime};
use strandline_format::{Nonce, ObjectPath, Pointer, RefName};

/// Where something lies, and the options of the store that it takes to get there. What is not said here the environment says.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) location: String,
    /// As words, `region=us-east-1` say; a process tells them to another.
    pub(crate) options: String,
}

impl From<&str> for Place {
    fn from(location: &str) -> Self {
        Self { location: location.to_owned(), options: String::new() }
    }
}

impl Place {
    /// A place in one line: the location of a bucket, then options.
    pub(crate) fn parse(line: &str) -> Self {
        let (location, options) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        Self { location: location.trim_end_matches('/').to_owned(), options: options.to_owned() }
    }

    /// A folder of this name below.
    pub(crate) fn below(&self, folder: &str) -> Self {
        Self { location: format!("{}/{folder}", self.location), options: self.options.clone() }
    }

    /// Name and value of each option.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.split_whitespace().map(|word| word.split_once('=').unwrap())
    }

    /// How it is opened.
    pub(crate) fn how(&self, durability: Durability) -> StorageOptions {
        // Small enough for a test to make files that spill and go up in parts.
        let part_bytes = NonZeroUsize::new(5 << 20).unwrap();
        let objects = ObjectOptions { spill_above: 256 << 10, part_bytes, ..ObjectOptions::default() };
        let store = self.words().collect::<StoreOptions>();
        StorageOptions { store, durability, objects }
    }
}

/// Opens a place as a user would.
pub(crate) async fn open_at(place: &Place, durability: Durability) -> Storage {
    try_open_at(place, durability).await.unwrap()
}

/// The same, where its options may be wrong.
pub(crate) async fn try_open_at(place: &Place, durability: Durability) -> strandline::Result<Storage> {
    let location = StoreLocation::parse(&place.location)?;
    Storage::open(&location, &place.how(durability), Runtime::system()).await
}

/// Opens a location as a user would, options from the environment.
pub(crate) async fn open(location: &str, durability: Durability) -> Storage {
    open_at(&location.into(), durability).await
}

/// How long an outcome is looked for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Swaps a branch's pointer for its successor, which says the same.
pub(crate) async fn touch(lake: &Lake, head: &Head) -> strandline::Result<Settled> {
    // Nobody builds upon it here, so its nonce tells it.
    let mine = |nonce: Nonce| move |loaded: &Loaded| Ok(Pointer::parse(&loaded.bytes)?.nonce() == nonce);
    lake.swap(head, Ok, mine, Deadline::after(PATIENCE)).await
}

/// The pointer of the branch that tests swap.
pub(crate) fn main() -> ObjectPath {
    ObjectPath::branch(&RefName::new("main").unwrap())
}

/// Runs what is async.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// How a process is told whether to fsync.
pub(crate) fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::Fsync => "fsync",
        Durability::None => "none",
    }
}

/// The reverse.
pub(crate) fn durability_of(name: &str) -> Durability {
    if name == "fsync" { Durability::Fsync } else { Durability::None }
}
