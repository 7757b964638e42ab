//! Every single fault and every pair of faults of every request of a commit over two tables, by one writer and by two: what a
//! transaction is told is the truth, at once, after requests that were thought lost have landed, and for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::commit::Patience;
use strandline::storage::{ObjectOptions, Storage, StoreLocation};
use strandline::tree::All;
use strandline::{ErrorKind, Lake, Ref, Report, Resolution, Result, Runtime, Unresolved};
use strandline_format::TxnId;
use strandline_testkit::{
    Fault, FaultyStore, Script, SeededRandom, VirtualClock, second_faults, single_faults,
};

use crate::fixture::{open, paused};

const TABLES: [&str; 2] = ["left", "right"];

pub(crate) fn storage(store: Arc<dyn ObjectStore>, seed: u64) -> Storage {
    let runtime = Runtime::system().with_random(SeededRandom::new(seed)).with_clock(VirtualClock::default());
    let location = StoreLocation::parse("memory://test").unwrap();
    Storage::from_stores(location, store.clone(), store, ObjectOptions::default(), runtime)
}

fn one_row(value: i64) -> RecordBatch {
    RecordBatch::try_from_iter([("value", Arc::new(Int64Array::from(vec![value])) as _)]).unwrap()
}

/// A lake with both tables, each with one row.
async fn prepared() -> InMemory {
    let store = Arc::new(InMemory::new());
    let lake = Lake::create_in(storage(store.clone(), 1)).await.unwrap();
    let transaction = lake.begin().await.unwrap();
    for table in TABLES {
        transaction.create_table(table).like(&one_row(0).schema()).await.unwrap();
        transaction.append(table, one_row(0)).await.unwrap();
    }
    transaction.commit().await.unwrap();
    store.fork()
}

/// What a writer was told.
struct Told {
    txn: TxnId,
    unresolved: Unresolved,
    outcome: Result<Report>,
}

/// Adds a row to both tables in one transaction. `None`: it failed before it could commit.
async fn write(store: &FaultyStore, writer: u64) -> Option<Told> {
    let lake = open(storage(Arc::new(store.clone()), 10 + writer)).await.ok()?;
    let transaction = lake.begin().await.ok()?;
    for table in TABLES {
        transaction.append(table, one_row(writer.cast_signed() + 1)).await.ok()?;
    }
    let patience = Patience { attempts: 20, timeout: Duration::from_secs(20) };
    let outcome = transaction.commit().patience(patience).await;
    Some(Told { txn: transaction.id(), unresolved: transaction.unresolved(), outcome })
}

/// How often each transaction stands in the history.
async fn truth(store: &Arc<InMemory>) -> BTreeMap<TxnId, usize> {
    let lake = open(storage(store.clone(), 99)).await.unwrap();
    let head = lake.head();
    let mut seen = BTreeMap::from([(head.commit().txn, 1)]);
    for entry in head.trees().collect(&head.commit().history, &All).await.unwrap() {
        *seen.entry(entry.txn).or_insert(0) += 1;
    }
    seen
}

/// Each version must have one row more than the one before it.
async fn check_versions(store: &Arc<InMemory>) {
    let lake = open(storage(store.clone(), 99)).await.unwrap();
    let mut before = vec![0];
    for version in 2..=lake.head().commit().seq.0 {
        let now = rows(&lake.at(format!("version:{version}")).await.unwrap()).await;
        let mut rest = before;
        let new: Vec<i64> = now.iter().copied().filter(|row| !take(&mut rest, *row)).collect();
        assert!(rest.is_empty() && new.len() == 1, "version {version} adds {new:?} and loses {rest:?}");
        before = now;
    }
}

/// The rows of both tables at a version.
async fn rows(at: &Ref) -> Vec<i64> {
    let [one, other] = [values(at, TABLES[0]).await, values(at, TABLES[1]).await];
    assert_eq!(one, other, "a commit is seen whole or not at all, at {at:?}");
    one
}

async fn values(at: &Ref, table: &str) -> Vec<i64> {
    let batches = at.table(table).await.unwrap().scan().collect().await.unwrap();
    let values = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    let mut values: Vec<i64> = batches.iter().flat_map(values).collect();
    values.sort_unstable();
    values
}

fn take(values: &mut Vec<i64>, value: i64) -> bool {
    let at = values.iter().position(|found| *found == value);
    at.map(|at| values.remove(at)).is_some()
}

/// Runs writers under a script, and holds what they were told against what is.
async fn check(
    base: &InMemory,
    script: &Script,
    writers: u64,
    tally: &mut BTreeMap<&'static str, usize>,
) -> FaultyStore {
    let inner = Arc::new(base.fork());
    let store = FaultyStore::new(inner.clone(), script.clone());
    let told = futures::future::join_all((0..writers).map(|writer| write(&store, writer))).await;
    let told: Vec<Told> = told.into_iter().flatten().collect();
    // The faults are over; the zombies are still on their way.
    let (log, recorded) = (store.log(), store.requests());
    store.set_script(Script::empty());
    for told in &told {
        let kind = told.outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "committed");
        *tally.entry(kind).or_default() += 1;
    }
    judge(&inner, &store, &told).await.unwrap_or_else(|why| {
        let outcomes: Vec<_> = told.iter().map(|told| &told.outcome).collect();
        panic!("{why}\n{script}\n{outcomes:?}\n{log}")
    });
    check_versions(&inner).await;
    // Whatever happened, the next writer goes on.
    let next = open(storage(inner.clone(), 50)).await.unwrap().begin().await.unwrap();
    for table in TABLES {
        next.append(table, one_row(-1)).await.unwrap();
    }
    next.commit().await.unwrap();
    store.set_script(Script::empty());
    drop(recorded);
    store
}

/// Whether all writers were told the truth, before and after the late requests have landed.
async fn judge(inner: &Arc<InMemory>, store: &FaultyStore, all: &[Told]) -> std::result::Result<(), String> {
    let before = truth(inner).await;
    // What comes later is looked at version by version.
    rows(&open(storage(inner.clone(), 99)).await.unwrap().at("main").await.unwrap()).await;
    let mut resolved = Vec::new();
    for told in all {
        resolved.push(resolve(inner, told).await?);
    }
    store.release_zombies().await;
    let after = truth(inner).await;
    for (told, resolved) in all.iter().zip(resolved) {
        let times = |found: &BTreeMap<TxnId, usize>| found.get(&told.txn).copied().unwrap_or(0);
        let (before, after) = (times(&before), times(&after));
        if (told.outcome.is_ok() && before != 1) || after != resolved {
            return Err(format!(
                "{} was told {resolved}, was {before} times in the history and is {after} times",
                told.txn
            ));
        }
    }
    Ok(())
}

/// How often a transaction is in the history, by what its writer was told or by what came of it.
async fn resolve(inner: &Arc<InMemory>, told: &Told) -> std::result::Result<usize, String> {
    match &told.outcome {
        Ok(_) => Ok(1),
        Err(error) if error.kind() == ErrorKind::CommitUnknown => {
            let lake = open(storage(inner.clone(), 70)).await.unwrap();
            match lake.resolve_by_fence(&told.unresolved).await.unwrap() {
                Resolution::Committed(_) => Ok(1),
                Resolution::Aborted => Ok(0),
                Resolution::Open => Err("a fence leaves nothing open".to_owned()),
            }
        }
        Err(_) => Ok(0),
    }
}

/// The requests of a run under a script.
async fn recorded(base: &InMemory, script: &Script, writers: u64) -> Vec<strandline_testkit::Request> {
    let store = FaultyStore::new(Arc::new(base.fork()), script.clone());
    futures::future::join_all((0..writers).map(|writer| write(&store, writer))).await;
    store.requests()
}

fn every_single_fault(writers: u64) -> BTreeMap<&'static str, usize> {
    paused(async {
        let base = prepared().await;
        let run = recorded(&base, &Script::empty(), writers).await;
        let mut tally = BTreeMap::new();
        for script in single_faults(&run) {
            check(&base, &script, writers, &mut tally).await;
        }
        tally
    })
}

/// Of all pairs of faults every `of`-th, beginning with the one with number `from`.
fn pairs_of_faults(writers: u64, from: usize, of: usize) -> BTreeMap<&'static str, usize> {
    paused(async {
        let base = prepared().await;
        let run = recorded(&base, &Script::empty(), writers).await;
        let (mut tally, mut number) = (BTreeMap::new(), 0);
        for first in single_faults(&run) {
            let after = recorded(&base, &first, writers).await;
            let fault: &Fault = &first.faults()[0];
            for script in second_faults(fault, fault.target.first(), &after) {
                if number % of == from {
                    check(&base, &script, writers, &mut tally).await;
                }
                number += 1;
            }
        }
        println!("{number} pairs of faults, every {of}th, {writers} writers: {tally:?}");
        tally
    })
}

#[test]
fn one_writer_is_told_the_truth_whatever_fails_once() {
    let tally = every_single_fault(1);
    println!("single faults, one writer: {tally:?}");
    assert!(tally["committed"] > 50, "{tally:?}");
}

#[test]
fn two_writers_are_told_the_truth_whatever_fails_once() {
    let tally = every_single_fault(2);
    println!("single faults, two writers: {tally:?}");
    assert!(tally["committed"] > 100, "{tally:?}");
}

#[test]
fn one_writer_is_told_the_truth_whatever_fails_twice() {
    let tally = pairs_of_faults(1, 0, 1);
    assert!(tally["committed"] > 1000, "{tally:?}");
}

#[test]
fn two_writers_are_told_the_truth_whatever_fails_twice_of_a_part() {
    let tally = pairs_of_faults(2, 7, 31);
    assert!(tally["committed"] > 1000, "{tally:?}");
}

/// All of them, in two halves for two cores: minutes, which CI takes.
#[test]
#[ignore = "takes minutes; CI runs it"]
fn two_writers_are_told_the_truth_whatever_fails_twice_one_half() {
    pairs_of_faults(2, 0, 2);
}

#[test]
#[ignore = "takes minutes; CI runs it"]
fn two_writers_are_told_the_truth_whatever_fails_twice_other_half() {
    pairs_of_faults(2, 1, 2);
}
