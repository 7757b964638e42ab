//! Money that processes move between the accounts of two tables, while an auditor, a process too, adds up every version: the
//! sum never changes, and every transfer is a version of its own.

use strandline::filter::col;
use strandline::{Commit, Error, ErrorKind, Lake, Result, Runtime, Transaction};

use super::Site;
use super::rows::{self, Row, batch, read};
use super::writers::{WRITERS, until_committed};
use crate::child::{Process, Start, acknowledge};
use crate::lake::{self, Place};

const TABLES: [&str; 2] = ["savings", "checking"];
/// In each table.
const ACCOUNTS: u8 = 6;
const BALANCE: i64 = 100;
/// The version in which the accounts stand.
const OPENED: u64 = 2;

pub(super) fn balance(site: &Site) {
    // A transfer that loses a race has to read again, so they take longer than appends do.
    let each = site.turns.div_ceil(3).max(3);
    let closed = OPENED + u64::from(WRITERS * each);
    lake::run(open_accounts(&site.place));
    let Place { location, options } = &site.place;
    let (each, last) = (each.to_string(), closed.to_string());
    let teller = |_| Start::new("transfer money", &[location, options, &each]).spawn();
    let tellers: Vec<Process> = (0..WRITERS).map(teller).collect();
    let auditor = Start::new("audit money", &[location, options, &last]).spawn();
    let said: Vec<String> = tellers.into_iter().flat_map(Process::finish).collect();
    let mut versions: Vec<u64> = said.iter().map(|line| line.parse().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (OPENED + 1..=closed).collect::<Vec<_>>(), "every transfer is a version of its own");
    assert_eq!(auditor.finish().len() as u64, 1 + closed - OPENED);
}

async fn open_accounts(place: &Place) {
    let transaction = rows::create(place, &TABLES).await.begin().await.unwrap();
    for name in TABLES {
        let accounts: Vec<Row> = (0..i64::from(ACCOUNTS)).map(|account| (account, BALANCE)).collect();
        transaction.append(name, batch(&accounts)).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// A teller: makes its transfers one by one, each as often as it takes, and says the version of each.
pub(crate) async fn transfer_until_done(arguments: &[String]) {
    let [location, options, count] = arguments else { panic!("{arguments:?}") };
    let lake = rows::open(&Place { location: location.clone(), options: options.clone() }).await;
    for _ in 0..count.parse::<u32>().unwrap() {
        acknowledge(&until_committed(&lake, || transfer(&lake)).await.version().to_string());
    }
}

/// From an account of one table to one of the other.
async fn transfer(lake: &Lake) -> Result<Commit> {
    let [side, payer, payee, amount]: [u8; 4] = Runtime::system().random()?;
    let (from, to) = (TABLES[usize::from(side % 2)], TABLES[usize::from(1 - side % 2)]);
    let (payer, payee, amount) =
        (i64::from(payer % ACCOUNTS), i64::from(payee % ACCOUNTS), 1 + i64::from(amount % 30));
    let transaction = lake.begin().await?;
    change(&transaction, from, payer, -amount).await?;
    change(&transaction, to, payee, amount).await?;
    Ok(transaction.commit().await?.commit)
}

async fn change(transaction: &Transaction, table: &str, account: i64, amount: i64) -> Result<()> {
    let found = rows::read_where(&transaction.table(table).await?, col("id").eq(account)).await?;
    let [(_, balance)] = found[..] else {
        let message = format!("account {account} of {table} stands as {found:?}");
        return Err(Error::new(ErrorKind::Corrupt, message));
    };
    let row = batch(&[(account, balance + amount)]);
    transaction.overwrite(table, row).matching(col("id").eq(account)).await.map(drop)
}

/// The auditor: adds up each version as soon as it is there, until the last.
pub(crate) async fn audit_until_done(arguments: &[String]) {
    let [location, options, last] = arguments else { panic!("{arguments:?}") };
    let lake = rows::open(&Place { location: location.clone(), options: options.clone() }).await;
    let (mut next, last) = (OPENED, last.parse::<u64>().unwrap());
    while next <= last {
        let newest = lake.main().await.unwrap().version().0;
        for version in next..=newest {
            audit(&lake, version).await;
            acknowledge(&version.to_string());
        }
        next = newest + 1;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn audit(lake: &Lake, version: u64) {
    let at = lake.at(format!("main@{{{version}}}")).await.unwrap();
    let mut sum = 0;
    for name in TABLES {
        let rows = read(&at.table(name).await.unwrap()).await;
        let accounts: Vec<i64> = rows.iter().map(|row| row.0).collect();
        assert_eq!(accounts, (0..i64::from(ACCOUNTS)).collect::<Vec<_>>(), "{name} at version {version}");
        sum += rows.iter().map(|row| row.1).sum::<i64>();
    }
    assert_eq!(sum, 2 * i64::from(ACCOUNTS) * BALANCE, "version {version}");
}
