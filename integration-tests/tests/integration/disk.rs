//! Transactions on a disk that is full or may only be read: an error of its kind, nothing of them in any table, everything
//! readable meanwhile, and the next commit works once there is room.

use std::path::Path;
use std::time::Duration;

use futures::stream;
use strandline::arrow::array::RecordBatch;
use strandline::filter::col;
use strandline::storage::Durability;
use strandline::transaction::Rows;
use strandline::{ErrorKind, Lake, Transaction, WriteOptions};

use tokio::time::Instant;

use crate::child::{Start, acknowledge};
use crate::crash::check_folder;
use crate::folder::{Disk, set_writable};
use crate::runner::{Case, Outcome};
use crate::tables::{self, Row};
use crate::{lake, second_reader};

pub(crate) const CASES: &[Case] = &[
    Case { name: "disk::that_is_full_in_the_middle_of_an_append", run: full_in_an_append },
    Case { name: "disk::that_is_full_in_the_middle_of_a_commit", run: full_in_a_commit },
    Case { name: "disk::that_may_only_be_read", run: read_only },
    Case { name: "disk::of_somebody_else", run: of_somebody_else },
];

const NAMES: [&str; 2] = ["left", "right"];
/// How long something may lie about.
const PATIENCE: Duration = Duration::from_secs(10);
const MOUNT: &str = "no right to mount a small disk";

/// A lake with a few rows in both tables.
async fn make(location: &str) -> Lake {
    let lake = tables::create(location, Durability::Fsync, &NAMES).await;
    append_both(&lake, 0).await.commit().await.unwrap();
    lake
}

/// A transaction with a row for both tables; files are small, so that of many rows some are stored before the others.
async fn append_both(lake: &Lake, id: i64) -> Transaction {
    let writing = WriteOptions { target_file_bytes: 128 << 10, ..WriteOptions::default() };
    let transaction = lake.begin().writing(writing).await.unwrap();
    for name in NAMES {
        transaction.append(name, tables::batch(&[(id, 1)])).await.unwrap();
    }
    transaction
}

/// Opened afresh, both tables have exactly these rows; all objects are whole and nothing lies about.
async fn check(root: &Path, ids: &[i64]) {
    let lake = tables::open(root.to_str().unwrap(), Durability::Fsync).await;
    for name in NAMES {
        let rows = tables::read(&lake.table(name).await.unwrap()).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), ids, "{name}");
    }
    // What is cut off by an error ends in the background.
    let started = Instant::now();
    while check_folder(root).leftovers > 0 {
        assert!(started.elapsed() < PATIENCE, "something is left in tmp/");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn accepted(root: &Path) -> Outcome {
    let without = second_reader::accepts(root).err();
    without.map_or(Outcome::Passed, |why| Outcome::Skipped(format!("all but the second reader: {why}")))
}

fn full_in_an_append() -> Outcome {
    let Some(disk) = Disk::new() else { return Outcome::Skipped(MOUNT.to_owned()) };
    let root = disk.path().join("lake");
    lake::run(async {
        let lake = make(root.to_str().unwrap()).await;
        for (id, room) in [(1, 0), (2, 64 << 10), (3, 512 << 10)] {
            disk.fill(room);
            let transaction = append_both(&lake, 100).await;
            let error =
                transaction.append("right", Rows::stream(stream::iter(too_much()))).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreFull, "{room}: {error}");
            transaction.abandon().await;
            refuses_batches(&lake).await;
            check(&root, &(0..id).collect::<Vec<_>>()).await;
            disk.free();
            append_both(&lake, id).await.commit().await.unwrap();
            check(&root, &(0..=id).collect::<Vec<_>>()).await;
        }
    });
    accepted(&root)
}

/// Batches are encoded and stored in the background: the error comes with the last of them or with the commit.
async fn refuses_batches(lake: &Lake) {
    let transaction = append_both(lake, 200).await;
    let batches = too_much().collect::<strandline::Result<Vec<_>>>().unwrap();
    let appended = transaction.append("right", batches).await.map(drop);
    let came = match appended {
        Ok(()) => transaction.commit().await.map(drop),
        refused => refused,
    };
    assert_eq!(came.unwrap_err().kind(), ErrorKind::StoreFull);
    assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// Rows that take more than the disk has.
fn too_much() -> impl Iterator<Item = strandline::Result<RecordBatch>> + Send + 'static {
    let part = |number: i64| {
        let first = number * 20_000;
        let noise = |id: i64| tables::scattered(id.cast_unsigned()).cast_signed();
        let rows: Vec<Row> = (first..first + 20_000).map(|id| (noise(id), noise(id + 1))).collect();
        Ok(tables::batch(&rows))
    };
    (1..40).map(part)
}

fn full_in_a_commit() -> Outcome {
    let Some(disk) = Disk::new() else { return Outcome::Skipped(MOUNT.to_owned()) };
    let root = disk.path().join("lake");
    let (mut committed, mut refused) = (0, 0);
    lake::run(async {
        let lake = make(root.to_str().unwrap()).await;
        let mut ids = vec![0];
        for step in 0..12 {
            let id = i64::try_from(step).unwrap() + 1;
            let transaction = append_both(&lake, id).await;
            // Looking at a table puts what was appended to it into files: from here on it is nodes and the pointer.
            for name in NAMES {
                transaction.table(name).await.unwrap();
            }
            disk.fill(step * 4096);
            match transaction.commit().await {
                Ok(report) => {
                    assert_eq!(report.commit.version().0, ids.len() as u64 + 2);
                    ids.push(id);
                    committed += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::StoreFull, "{step}: {error}");
                    refused += 1;
                }
            }
            check(&root, &ids).await;
            disk.free();
            check(&root, &ids).await;
        }
        append_both(&lake, 99).await.commit().await.unwrap();
        ids.push(99);
        check(&root, &ids).await;
    });
    println!("  of 12 commits {committed} had room enough, {refused} had not");
    assert!(committed > 0 && refused > 0);
    accepted(&root)
}

fn read_only() -> Outcome {
    let Some(disk) = Disk::new() else { return Outcome::Skipped(MOUNT.to_owned()) };
    let root = disk.path().join("lake");
    lake::run(async {
        let lake = make(root.to_str().unwrap()).await;
        let waiting = append_both(&lake, 1).await;
        waiting.table("left").await.unwrap();
        disk.set_writable(false);
        let fresh = tables::open(root.to_str().unwrap(), Durability::Fsync).await;
        for (what, kind) in Box::pin(attempts(&fresh)).await {
            assert_eq!(kind, expected(what), "{what}");
        }
        assert_eq!(waiting.commit().await.unwrap_err().kind(), ErrorKind::PermissionDenied);
        check(&root, &[0]).await;
        disk.set_writable(true);
        for (lake, id) in [(&lake, 2), (&fresh, 3)] {
            append_both(lake, id).await.commit().await.unwrap();
        }
        check(&root, &[0, 2, 3]).await;
    });
    accepted(&root)
}

/// What may be asked of tables, and what came of it.
async fn attempts(lake: &Lake) -> Vec<(&'static str, String)> {
    let kind = |came: strandline::Result<()>| {
        came.map_or_else(|error| error.kind().to_string(), |()| "ok".to_owned())
    };
    let row = || tables::batch(&[(500, 5)]);
    let read = async { tables::read(&lake.table("left").await?).await.map(drop) };
    let log = async { lake.at("main@{1}").await?.table("left").await.map(drop) };
    let append = async { lake.append("left", row()).await.map(drop) };
    let overwrite = async {
        let transaction = lake.begin().await?;
        transaction.overwrite("left", row()).await?;
        transaction.commit().await.map(drop)
    };
    let delete = async {
        let transaction = lake.begin().await?;
        transaction.delete("left", col("id").eq(0)).await?;
        transaction.commit().await.map(drop)
    };
    let create = async {
        let transaction = lake.begin().await?;
        transaction.create_table("more").like(&row().schema()).await?;
        transaction.commit().await.map(drop)
    };
    vec![
        ("read", kind(read.await)),
        ("read the past", kind(log.await)),
        ("append", kind(append.await)),
        ("overwrite", kind(overwrite.await)),
        ("delete", kind(delete.await)),
        ("create", kind(create.await)),
    ]
}

fn expected(what: &str) -> &'static str {
    if what.starts_with("read") { "ok" } else { "permission denied" }
}

/// The same in a process of its own, which says what came of each.
pub(crate) async fn try_to_write(arguments: &[String]) {
    let [location] = arguments else { panic!("{arguments:?}") };
    let lake = tables::open(location, Durability::Fsync).await;
    let tried = Box::pin(attempts(&lake)).await;
    tried.iter().for_each(|(what, kind)| acknowledge(&format!("{what}\t{kind}")));
}

fn of_somebody_else() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lake");
    lake::run(make(root.to_str().unwrap()));
    set_writable(folder.path(), false);
    let start = Start::new("write tables", &[root.to_str().unwrap()]).without_privileges();
    let said = start.try_spawn().map(|process| process.finish());
    set_writable(folder.path(), true);
    let Some(said) = said else {
        return Outcome::Skipped("this user may not run the test binary without privileges".to_owned());
    };
    assert_eq!(said.len(), 6);
    for line in said {
        let (what, kind) = line.split_once('\t').unwrap();
        assert_eq!(kind, expected(what), "{what}");
    }
    lake::run(async {
        check(&root, &[0]).await;
        let lake = tables::open(root.to_str().unwrap(), Durability::Fsync).await;
        append_both(&lake, 1).await.commit().await.unwrap();
        check(&root, &[0, 1]).await;
    });
    accepted(&root)
}
