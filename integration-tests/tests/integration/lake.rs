//! Opening the places that tests work in.

use std::num::NonZeroUsize;

use strandline::Runtime;
use strandline::storage::{Durability, ObjectOptions, Storage, StorageOptions, StoreLocation};
use strandline_format::{ObjectPath, RefName};

/// Opens a place as a user would, options from the environment.
pub(crate) async fn open(location: &str, durability: Durability) -> Storage {
    // Small enough for a test to make files that spill and go up in parts.
    let part_bytes = NonZeroUsize::new(5 << 20).unwrap();
    let objects = ObjectOptions { spill_above: 256 << 10, part_bytes, ..ObjectOptions::default() };
    let options = StorageOptions { durability, objects, ..StorageOptions::default() };
    let location = StoreLocation::parse(location).unwrap();
    Storage::open(&location, &options, Runtime::system()).await.unwrap()
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
