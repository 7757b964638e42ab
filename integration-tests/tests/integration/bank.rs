//! Money that processes move between the accounts of two tables, while an auditor, a process too, adds up every version: the
//! sum never changes, no balance is below zero, no transfer is lost.

use futures::TryStreamExt;
use strandline::filter::col;
use strandline::storage::Durability;
use strandline::{Error, ErrorKind, Isolation, Lake, Result, Transaction};

use crate::child::{Process, Start, acknowledge};
use crate::dice::Dice;
use crate::runner::{Case, Outcome};
use crate::tables::{self, Row};
use crate::{lake, second_reader};

pub(crate) const CASES: &[Case] = &[
    Case { name: "bank::keeps_its_sum_under_snapshot_isolation", run: || run(Isolation::Snapshot) },
    Case { name: "bank::keeps_its_sum_under_serializable_isolation", run: || run(Isolation::Serializable) },
];

const TABLES: [&str; 2] = ["savings", "checking"];
/// In each table.
const ACCOUNTS: i64 = 6;
const BALANCE: i64 = 100;
const TELLERS: u32 = 4;
const TRANSFERS: u32 = 12;
/// The version in which the accounts stand.
const OPENED: u64 = 2;
/// The version after the last transfer.
const CLOSED: u64 = OPENED + (TELLERS * TRANSFERS) as u64;

fn isolation_of(name: &str) -> Isolation {
    if name == "serializable" { Isolation::Serializable } else { Isolation::Snapshot }
}

/// A teller: makes its transfers one by one, each as often as it takes, and says each version.
pub(crate) async fn transfer_until_done(arguments: &[String]) {
    let [location, isolation, seed] = arguments else { panic!("{arguments:?}") };
    let (lake, isolation) = (tables::open(location, Durability::None).await, isolation_of(isolation));
    let dice = Dice::of(seed.parse().unwrap());
    for _ in 0..TRANSFERS {
        acknowledge(&transfer(&lake, isolation, &dice).await.to_string());
    }
}

async fn transfer(lake: &Lake, isolation: Isolation, dice: &Dice) -> u64 {
    loop {
        let transaction = lake.begin().isolation(isolation).await.unwrap();
        match attempt(&transaction, dice).await {
            Ok(Some(version)) => return version,
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// From an account of one table to one of the other; nothing from one that is empty.
async fn attempt(transaction: &Transaction, dice: &Dice) -> Result<Option<u64>> {
    let [from, to] = dice.pick(&[[0, 1], [1, 0]]).map(|table| TABLES[table]);
    let account = || i64::try_from(dice.below(u64::try_from(ACCOUNTS).unwrap())).unwrap();
    let (payer, payee) = (account(), account());
    let before = balance(transaction, from, payer).await?;
    if before == 0 {
        return Ok(None);
    }
    let amount = before.min(1 + i64::try_from(dice.below(30)).unwrap());
    set(transaction, from, (payer, before - amount)).await?;
    let before = balance(transaction, to, payee).await?;
    set(transaction, to, (payee, before + amount)).await?;
    Ok(Some(transaction.commit().await?.commit.version().0))
}

async fn balance(transaction: &Transaction, table: &str, account: i64) -> Result<i64> {
    let table = transaction.table(table).await?;
    let rows = tables::read_where(&table, col("id").eq(account)).await?;
    let [(_, balance)] = rows[..] else {
        return Err(Error::new(ErrorKind::Corrupt, format!("account {account} stands as {rows:?}")));
    };
    Ok(balance)
}

async fn set(transaction: &Transaction, table: &str, row: Row) -> Result<()> {
    transaction.overwrite(table, tables::batch(&[row])).matching(col("id").eq(row.0)).await.map(drop)
}

/// The auditor: adds up each version as soon as it is there, until the last.
pub(crate) async fn audit_until_done(arguments: &[String]) {
    let [location] = arguments else { panic!("{arguments:?}") };
    let lake = tables::open(location, Durability::None).await;
    let mut next = OPENED;
    while next <= CLOSED {
        let newest = lake.main().await.unwrap().version().0;
        for version in next..=newest {
            audit(&lake, version).await;
            acknowledge(&version.to_string());
        }
        next = newest + 1;
        tokio::task::yield_now().await;
    }
}

async fn audit(lake: &Lake, version: u64) {
    let at = lake.at(format!("main@{{{version}}}")).await.unwrap();
    let mut all = Vec::new();
    for name in TABLES {
        let rows = tables::read(&at.table(name).await.unwrap()).await.unwrap();
        let accounts: Vec<i64> = rows.iter().map(|row| row.0).collect();
        assert_eq!(accounts, (0..ACCOUNTS).collect::<Vec<_>>(), "{name} at version {version}");
        all.extend(rows.iter().map(|row| row.1));
    }
    assert_eq!(all.iter().sum::<i64>(), 2 * ACCOUNTS * BALANCE, "version {version}: {all:?}");
    assert!(all.iter().all(|balance| *balance >= 0), "version {version}: {all:?}");
}

fn run(isolation: Isolation) -> Outcome {
    let dice = Dice::fresh();
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    lake::run(open_accounts(location));
    let name = if isolation == Isolation::Serializable { "serializable" } else { "snapshot" };
    let teller = |_| Start::new("transfer", &[location, name, &dice.roll().to_string()]).spawn();
    let tellers: Vec<Process> = (0..TELLERS).map(teller).collect();
    let auditor = Start::new("audit", &[location]).spawn();
    let mut versions: Vec<u64> =
        tellers.into_iter().flat_map(Process::finish).map(|line| line.parse().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(
        versions,
        (OPENED + 1..=CLOSED).collect::<Vec<_>>(),
        "every transfer has a version of its own"
    );
    assert_eq!(auditor.finish().len() as u64, 1 + CLOSED - OPENED);
    lake::run(every_version_is_a_transfer(location));
    let without = second_reader::accepts(folder.path()).err();
    without.map_or(Outcome::Passed, |why| Outcome::Skipped(format!("all but the second reader: {why}")))
}

async fn open_accounts(location: &str) {
    let lake = tables::create(location, Durability::None, &TABLES).await;
    let transaction = lake.begin().await.unwrap();
    for name in TABLES {
        let accounts: Vec<Row> = (0..ACCOUNTS).map(|account| (account, BALANCE)).collect();
        transaction.append(name, tables::batch(&accounts)).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// What leaves one table comes into the other: the same in the rows as in what the commits say of themselves.
async fn every_version_is_a_transfer(location: &str) {
    let lake = tables::open(location, Durability::None).await;
    let log = lake.main().await.unwrap().log().forwards().from(strandline_format::Seq(OPENED + 1));
    let commits: Vec<strandline::Commit> = log.stream().try_collect().await.unwrap();
    for commit in commits {
        let rows: Vec<(u64, u64)> =
            commit.changes().iter().map(|change| (change.rows.added, change.rows.removed)).collect();
        assert_eq!(rows, [(1, 1), (1, 1)], "version {}", commit.version());
    }
}
