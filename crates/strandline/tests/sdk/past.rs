//! Lakes with a past, for the tests of refs: commits at known times, expired versions, fences.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use strandline::storage::{Loaded, ObjectOptions, Settled, Storage, StoreLocation};
use strandline::{Deadline, Head, Lake, Result, Runtime};
use strandline_format::{
    Era, Label, PinId, Pointer, PointerUpdate, RefName, Release, Seq, TableName, Timestamp,
};
use strandline_testkit::commits::{TableEdit, commit};
use strandline_testkit::generate::entries;
use strandline_testkit::{SeededRandom, VirtualClock};

use crate::fixture::open;

/// A storage whose ids and nonces follow from the seed, and whose time is the clock's.
pub(crate) fn storage(store: &Arc<dyn ObjectStore>, seed: u64, clock: &VirtualClock) -> Storage {
    let runtime = Runtime::system().with_random(SeededRandom::new(seed)).with_clock(clock.clone());
    let location = StoreLocation::parse("memory://test").unwrap();
    Storage::from_stores(location, store.clone(), store.clone(), ObjectOptions::default(), runtime)
}

/// The same lake as another process sees it.
pub(crate) async fn reopen(store: &Arc<dyn ObjectStore>, seed: u64) -> Lake {
    open(storage(store, seed, &VirtualClock::default())).await.unwrap()
}

pub(crate) fn branch(name: &str) -> RefName {
    RefName::new(name).unwrap()
}

/// The first instant of a day of January 2026, and hours.
pub(crate) fn hour(hour: u64) -> Timestamp {
    let begin: Timestamp = "2026-01-01T00:00:00.000000Z".parse().unwrap();
    Timestamp::from_micros(begin.as_micros() + i64::try_from(hour).unwrap() * 3_600_000_000).unwrap()
}

/// One file more in a table.
pub(crate) fn append(table: &str, file: u64) -> TableEdit {
    TableEdit { name: TableName::new(table).unwrap(), puts: vec![entries::file(file)], removes: Vec::new() }
}

/// Commits so many times upon the head of a branch, each to the table `t` and its own number of file.
pub(crate) async fn grow(lake: &Lake, name: &str, commits: u64) -> Head {
    let mut head = lake.branch(&branch(name)).await.unwrap();
    for _ in 0..commits {
        let next = head.commit().seq.0 + 1;
        head = commit(lake, &head, vec![append("t", next)]).await.unwrap();
    }
    head
}

/// Swaps a live branch's pointer, whatever stands in the way.
pub(crate) async fn swap(
    lake: &Lake,
    name: &str,
    update: impl Fn(&Head, PointerUpdate) -> PointerUpdate + Send + Sync,
) -> Result<()> {
    loop {
        let head = lake.branch(&branch(name)).await?;
        let mine = |nonce| move |now: &Loaded| Ok(Pointer::parse(&now.bytes)?.nonce() == nonce);
        let deadline = Deadline::after(Duration::from_secs(10));
        match lake.swap(&head, |next| Ok(update(&head, next)), mine, deadline).await? {
            Settled::Applied(_) => return Ok(()),
            Settled::NotApplied(_) => {}
            Settled::Unknown(error) => panic!("{error}"),
        }
    }
}

/// Expires the versions of a branch below one.
pub(crate) async fn expire(lake: &Lake, name: &str, to: u64) -> Result<()> {
    let head = lake.branch(&branch(name)).await?;
    let newest = head.trees().get(&head.commit().history, &Seq(to - 1)).await?.unwrap();
    let id = PinId::from_bytes(lake.storage().runtime().random()?);
    swap(lake, name, |head, next| {
        let release = Release { id, reason: Label::new("expiry").unwrap(), time: hour(0) };
        next.expire(Seq(to), head.commit().seq, newest.commit, release).unwrap()
    })
    .await
}

/// Fences a branch, as a collection does [GC-2].
pub(crate) async fn fence(lake: &Lake, name: &str, era: u64) {
    swap(lake, name, |_, next| next.fence(Era(era)).unwrap()).await.unwrap();
}
