//! A bank of two tables: money goes from one account to another in serializable transactions, some of them open at once, while
//! requests fail and processes crash. No version of the history has another sum, and every account has what the transfers
//! that happened came to: a transfer that was told as done happened once, one that was refused never, also later.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;
use strandline::commit::Patience;
use strandline::filter::col;
use strandline::{ErrorKind, Lake, Ref, Resolution, Result, Transaction};
use strandline_format::TxnId;
use strandline_testkit::{Answer, Effect, FaultyStore, Release, RequestKind, Script, Target, VirtualClock};

use crate::histories::process::{Fate, Process};
use crate::histories::random;

const TABLES: [&str; 2] = ["left", "right"];
const ACCOUNTS: i64 = 4;
const EACH: i64 = 100;

/// An account: which table, which row.
type Account = (usize, i64);

/// One step.
#[derive(Clone, Debug)]
enum Step {
    /// Reads both accounts and writes them, in a transaction that stays open.
    Transfer {
        process: usize,
        from: Account,
        to: Account,
        amount: i64,
        overwrites: bool,
    },
    /// Commits one of the open transfers, or all of its process.
    Commit {
        transfer: usize,
        together: bool,
        fate: Fate,
    },
    /// Lets one of the next requests fail.
    Fault {
        kind: RequestKind,
        nth: usize,
        effect: Effect,
    },
    Crash {
        process: usize,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let account = || (0_usize..2, 0..ACCOUNTS);
    let transfer = (0_usize..2, account(), account(), 1_i64..20, any::<bool>());
    let fate = prop_oneof![
        5 => Just(Fate::Run),
        1 => (0_u8..12).prop_map(Fate::Cut),
        2 => (0_u8..30).prop_map(Fate::Crash),
    ];
    let kinds = prop::sample::select(vec![RequestKind::Get, RequestKind::Put, RequestKind::PutIfMatch]);
    let effects = prop::sample::select(vec![
        Effect::fail(Answer::Timeout),
        Effect::apply_then(Answer::Timeout),
        Effect::Zombie(Release::After(2)),
        Effect::Zombie(Release::ByHand),
    ]);
    prop_oneof![
        8 => transfer.prop_map(|(process, from, to, amount, overwrites)| Step::Transfer { process, from, to, amount, overwrites }),
        8 => (0_usize..6, any::<bool>(), fate).prop_map(|(transfer, together, fate)| Step::Commit { transfer, together, fate }),
        4 => (kinds, 0_usize..6, effects).prop_map(|(kind, nth, effect)| Step::Fault { kind, nth, effect }),
        1 => (0_usize..2).prop_map(|process| Step::Crash { process }),
    ]
}

/// A transfer that is open.
struct Transfer {
    transaction: Transaction,
    process: usize,
    deltas: [(Account, i64); 2],
}

/// How often things happened.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    refused: usize,
    unknown: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        let Self { done, refused, unknown } = other;
        (self.done, self.refused, self.unknown) =
            (self.done + done, self.refused + refused, self.unknown + unknown);
    }
}

struct Bank {
    store: FaultyStore,
    processes: [Process; 2],
    open: Vec<Transfer>,
    balances: BTreeMap<Account, i64>,
    /// The transfers that happened, and those that did not.
    done: Vec<TxnId>,
    never: Vec<TxnId>,
    tally: Tally,
}

fn row(account: i64, balance: i64) -> RecordBatch {
    rows(&[account], &[balance])
}

fn rows(accounts: &[i64], balances: &[i64]) -> RecordBatch {
    let column = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as _;
    RecordBatch::try_from_iter([("account", column(accounts)), ("balance", column(balances))]).unwrap()
}

impl Bank {
    fn new() -> Self {
        let store = FaultyStore::new(Arc::new(InMemory::new()), Script::empty());
        let (shared, clock): (Arc<dyn ObjectStore>, _) = (Arc::new(store.clone()), VirtualClock::default());
        let processes = [1, 2].map(|seed| Process::begin(&shared, seed, &clock));
        processes[0].run(open_accounts(processes[0].lake())).unwrap();
        let accounts = (0..2).flat_map(|table| (0..ACCOUNTS).map(move |account| ((table, account), EACH)));
        Self {
            store,
            processes,
            open: Vec::new(),
            balances: accounts.collect(),
            done: Vec::new(),
            never: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn run(mut self, steps: Vec<Step>) -> Tally {
        for step in steps {
            match step {
                Step::Transfer { process, from, to, amount, overwrites } if from != to => {
                    self.transfer(process, [(from, -amount), (to, amount)], overwrites);
                }
                Step::Transfer { .. } => {}
                Step::Commit { transfer, together, fate } => self.commit(transfer, together, fate),
                Step::Fault { kind, nth, effect } => {
                    self.store.set_script(Script::empty().and(Target::any().kind(kind).nth(nth), effect));
                }
                Step::Crash { process } => self.crash(process),
            }
        }
        self.audit();
        self.tally
    }

    fn crash(&mut self, process: usize) {
        // A process that begins must find its lake, and what it finds is not the question here.
        self.store.set_script(Script::empty());
        self.open.retain(|open| open.process != process);
        self.processes[process].begin_anew();
    }

    fn transfer(&mut self, process: usize, deltas: [(Account, i64); 2], overwrites: bool) {
        let lake = self.processes[process].lake().clone();
        let written = self.processes[process].run(write(&lake, deltas, overwrites));
        // What fails before the commit has not happened.
        self.open.extend(written.ok().map(|transaction| Transfer { transaction, process, deltas }));
    }

    fn commit(&mut self, at: usize, together: bool, fate: Fate) {
        if self.open.is_empty() {
            return;
        }
        let chosen = at % self.open.len();
        let process = self.open[chosen].process;
        let mut going = Vec::new();
        for (at, open) in std::mem::take(&mut self.open).into_iter().enumerate() {
            let goes = at == chosen || (together && open.process == process);
            if goes { going.push(open) } else { self.open.push(open) }
        }
        let patience = Patience { attempts: 20, timeout: Duration::from_secs(20) };
        let commits = going.iter().map(|open| open.transaction.commit().patience(patience).into_future());
        let told = self.processes[process].run_to(fate, futures::future::join_all(commits));
        let happened: Vec<Option<bool>> = match told {
            Some(told) => {
                told.iter().map(|told| self.happened(told.as_ref().err().map(|error| error.kind()))).collect()
            }
            None => going.iter().map(|_| None).collect(),
        };
        if matches!(fate, Fate::Crash(_)) {
            self.crash(process);
        }
        for (open, happened) in going.into_iter().zip(happened) {
            let happened = happened.unwrap_or_else(|| self.look_up(&open.transaction));
            self.enter(&open, happened);
        }
    }

    /// What a caller was told; `None`: nothing certain.
    fn happened(&self, error: Option<ErrorKind>) -> Option<bool> {
        match error {
            None => Some(true),
            Some(ErrorKind::CommitUnknown) => None,
            Some(ErrorKind::Conflict | ErrorKind::Unavailable) => Some(false),
            Some(kind) => panic!("{kind:?}"),
        }
    }

    fn look_up(&mut self, transaction: &Transaction) -> bool {
        self.tally.unknown += 1;
        self.store.set_script(Script::empty());
        let process = &self.processes[1];
        let found = process.run(process.lake().resolve_by_fence(&transaction.unresolved())).unwrap();
        match found {
            Resolution::Committed(commit) => {
                assert_eq!(commit.txn(), transaction.id());
                true
            }
            Resolution::Aborted => false,
            Resolution::Open => panic!("a fence leaves nothing open"),
        }
    }

    fn enter(&mut self, open: &Transfer, happened: bool) {
        if !happened {
            self.tally.refused += 1;
            self.never.push(open.transaction.id());
            return;
        }
        self.tally.done += 1;
        self.done.push(open.transaction.id());
        for (account, delta) in open.deltas {
            *self.balances.get_mut(&account).unwrap() += delta;
        }
    }

    /// After everything that was on its way has landed: the whole history.
    fn audit(&mut self) {
        self.store.set_script(Script::empty());
        let store = self.store.clone();
        self.processes[0].run(store.release_zombies());
        self.crash(0);
        let process = &self.processes[0];
        process.run(async {
            let head = process.lake().main().await.unwrap();
            let log: Vec<_> = head.log().forwards().stream().try_collect().await.unwrap();
            let ids: Vec<TxnId> = log.iter().map(strandline::Commit::txn).collect();
            for txn in &self.done {
                assert_eq!(ids.iter().filter(|id| *id == txn).count(), 1, "a transfer that was told as done");
            }
            assert!(self.never.iter().all(|txn| !ids.contains(txn)), "a transfer that was refused");
            assert_eq!(ids.len(), self.done.len() + 2, "the root, the accounts, the transfers");
            for version in 1..log.len() {
                let at = process.lake().at(format!("main~{}", log.len() - 1 - version)).await.unwrap();
                let sum: i64 = balances(&at).await.unwrap().values().sum();
                assert_eq!(sum, 2 * ACCOUNTS * EACH, "the sum in version {version}");
            }
            assert_eq!(balances(&head).await.unwrap(), self.balances);
        });
    }
}

async fn open_accounts(lake: &Lake) -> Result<()> {
    let transaction = lake.begin().await?;
    let accounts: Vec<i64> = (0..ACCOUNTS).collect();
    for table in TABLES {
        transaction.create_table(table).like(&row(0, 0).schema()).await?;
        transaction.append(table, rows(&accounts, &vec![EACH; accounts.len()])).await?;
    }
    transaction.commit().await.map(drop)
}

/// Reads both accounts and writes them.
async fn write(lake: &Lake, deltas: [(Account, i64); 2], overwrites: bool) -> Result<Transaction> {
    let transaction = lake.begin().serializable().await?;
    for ((table, account), delta) in deltas {
        let this = || col("account").eq(account);
        let table = TABLES[table];
        let found =
            transaction.table(table).await?.scan().filter(this()).columns(["balance"]).collect().await?;
        let balances: Vec<i64> = found
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        let [balance] = balances[..] else { panic!("account {account} has {balances:?}") };
        if overwrites {
            transaction.overwrite(table, row(account, balance + delta)).matching(this()).await?;
        } else {
            transaction.delete(table, this()).await?;
            transaction.append(table, row(account, balance + delta)).await?;
        }
    }
    Ok(transaction)
}

/// Every account of a version, once.
async fn balances(at: &Ref) -> Result<BTreeMap<Account, i64>> {
    let mut balances = BTreeMap::new();
    for (table, name) in TABLES.into_iter().enumerate() {
        for batch in at.table(name).await?.scan().collect().await? {
            let column = |at: usize| batch.column(at).as_primitive::<Int64Type>();
            for (account, balance) in column(0).values().iter().zip(column(1).values()) {
                assert_eq!(
                    balances.insert((table, *account), *balance),
                    None,
                    "account {account} is there twice"
                );
            }
        }
    }
    Ok(balances)
}

#[test]
fn every_version_of_a_bank_keeps_its_sum() {
    let histories = prop::collection::vec(steps(), 1..40);
    let tally =
        random("every_version_of_a_bank_keeps_its_sum", 80, &histories, |steps| Bank::new().run(steps));
    println!("{tally:?}");
    for (what, count) in [("done", tally.done), ("refused", tally.refused), ("unknown", tally.unknown)] {
        assert!(count > 3, "{what}: {count}");
    }
}
