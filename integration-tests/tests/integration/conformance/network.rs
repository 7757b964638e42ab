//! A transaction over two tables through a proxy that fails: at each of its requests, in each way, then again at its swap, and while
//! somebody else commits. What the transaction was told is the truth, at once, after requests that were thought lost have landed, and
//! in the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::join_all;
use strandline::commit::Patience;
use strandline::{Commit, Error, ErrorKind, Lake, Resolution, Result, Unresolved};
use strandline_format::{Seq, TxnId};
use strandline_testkit::wire::{Moment, Proxy};
use strandline_testkit::{Answer, Effect, PathClass, Release, Request, RequestKind, Script, Status, Target};
use tokio::runtime::Handle;

use super::Site;
use super::rows::{self, Row, batch, read};
use crate::lake::Place;

const TABLES: [&str; 2] = ["left", "right"];
/// How long a transaction tries.
const PATIENCE: Patience = Patience { attempts: 20, timeout: Duration::from_secs(30) };
/// How long a client waits for an answer, so that one that never comes does not take the tests' time.
const TIMEOUT: &str = " timeout=4s";
/// How late what is late comes.
const LATE: Duration = Duration::from_millis(300);
/// What number the rows begin with that somebody else adds.
const THEIRS: i64 = 1_000_000;
/// How much arrives of a request that is torn off: less than any body has.
const TORN: Effect = Effect::Tear { after: 10 };
/// How many transactions are tried at once, each on a lake of its own: most of their time goes by in waiting.
const LANES: usize = 16;

/// What a client is told, whether the request was applied or not.
const TOLD: [Answer; 6] = [
    Answer::Closed,
    Answer::Reset,
    Answer::Status(Status::InternalError),
    Answer::Status(Status::Unavailable),
    Answer::Status(Status::TooManyRequests),
    Answer::Status(Status::Conflict),
];

/// One request of the transaction: the how manieth of which kind.
#[derive(Clone, Copy, Debug)]
struct Spot {
    kind: RequestKind,
    class: PathClass,
    nth: usize,
}

impl Spot {
    /// Those of a run.
    fn all(run: &[Request]) -> Vec<Self> {
        let mut seen: BTreeMap<(RequestKind, PathClass), usize> = BTreeMap::new();
        let spots = run.iter().map(|request| {
            let seen = seen.entry((request.kind, request.class)).or_default();
            *seen += 1;
            Self { kind: request.kind, class: request.class, nth: *seen - 1 }
        });
        spots.collect()
    }

    /// One of each kind and part of the lake: those of one wave are alike.
    fn kinds(run: &[Request]) -> Vec<Self> {
        Self::all(run).into_iter().filter(|spot| spot.nth == 0).collect()
    }

    /// Where a commit is decided, the second time if it has been tried before.
    fn swap(nth: usize) -> Self {
        Self { kind: RequestKind::PutIfMatch, class: PathClass::Pointer, nth }
    }

    fn is_swap(self) -> bool {
        self.kind == RequestKind::PutIfMatch
    }

    fn target(self) -> Target {
        Target::any().kind(self.kind).class(self.class).nth(self.nth)
    }

    /// What can happen to it.
    fn effects(self) -> Vec<Effect> {
        let mut effects = vec![Effect::Slow(LATE)];
        effects.extend(TOLD.map(Effect::fail));
        if self.kind.is_read() {
            effects.extend([Effect::Break { after: 100 }, Effect::Trickle(LATE)]);
        } else {
            effects.extend(TOLD.map(Effect::apply_then));
            effects.extend([Effect::Zombie(Release::ByHand), TORN]);
        }
        if self.is_swap() {
            let moved = Answer::Status(Status::PreconditionFailed);
            effects.extend([true, false].map(|applied| Effect::Hang { applied }));
            effects.extend([Effect::fail(moved), Effect::apply_then(moved)]);
        }
        effects
    }

    /// Fewer, for servers that take their time: everything at the swap, and a lost answer elsewhere.
    fn selected(self) -> Vec<Effect> {
        match self.kind {
            RequestKind::PutIfMatch => self.effects(),
            kind if kind.is_read() => vec![Effect::Break { after: 100 }],
            _ => vec![
                Effect::apply_then(Answer::Reset),
                Effect::fail(Answer::Status(Status::Unavailable)),
                TORN,
            ],
        }
    }
}

/// What a transaction was told.
struct Told {
    row: i64,
    /// How it can be found out; nothing if it had not come as far as its commit.
    unresolved: Option<Unresolved>,
    outcome: Result<Commit>,
}

/// A lake, the way to it, and what is known to stand there.
struct Trial<'a> {
    proxy: &'a Proxy,
    place: Place,
    /// A way that does not fail.
    direct: Lake,
    /// The rows, and in which transaction each came.
    committed: BTreeMap<i64, TxnId>,
    tally: BTreeMap<&'static str, usize>,
    /// What somebody else has committed while requests failed.
    theirs: Arc<Mutex<Vec<(i64, TxnId)>>>,
}

/// Each fault of each request.
pub(super) fn outcomes(site: &Site) {
    let tally = in_lanes(site, |run| {
        let mut scripts = Vec::new();
        for spot in Spot::all(run) {
            let effects = if site.at_once { spot.effects() } else { spot.selected() };
            scripts.extend(effects.into_iter().map(|effect| Script::empty().and(spot.target(), effect)));
        }
        scripts
    });
    let of = |word| tally.get(word).copied().unwrap_or_default();
    let (committed, refused, all) = (of("committed"), of("unavailable"), tally.values().sum::<usize>());
    // One fault is no reason to give up, but for a data file that could not be put.
    assert!(committed + refused == all && refused * 10 < all, "{tally:?}");
}

/// While a swap fails somebody else commits: before it takes effect, or upon it. Where each takes its time, that of both which changes
/// what is found.
pub(super) fn beside_others(site: &Site) {
    let (proxy, place) = site.proxied();
    crate::lake::run(async {
        let mut trial = Trial::new(&proxy, &place, &site.place).await;
        let swap = Spot::swap(0);
        for effect in swap.effects().into_iter().filter(|effect| !matches!(effect, Effect::Hang { .. })) {
            let telling = if matches!(effect, Effect::Fail { applied: true, .. }) {
                Moment::After
            } else {
                Moment::Before
            };
            for moment in [Moment::Before, Moment::After] {
                if site.at_once || moment == telling {
                    trial.run_beside(Script::empty().and(swap.target(), effect), Some(moment)).await;
                }
            }
        }
        trial.check_all().await;
        let theirs = trial.theirs.lock().unwrap().len();
        println!("  {:?}, beside {theirs} of others", trial.tally);
        assert!(theirs > 15 && trial.tally["committed"] == theirs, "{:?}", trial.tally);
    });
}

/// The answer of a swap is lost, and so is what is read back to find out what came of it.
pub(super) fn read_back(site: &Site) {
    let (proxy, place) = site.proxied();
    crate::lake::run(async {
        let mut trial = Trial::new(&proxy, &place, &site.place).await;
        trial.run(Script::empty()).await;
        let reads =
            |request: &&Request| (request.kind, request.class) == (RequestKind::Get, PathClass::Pointer);
        // Those before it are of the beginning.
        let back = Spot {
            kind: RequestKind::Get,
            class: PathClass::Pointer,
            nth: proxy.requests().iter().filter(reads).count(),
        };
        let mut swaps = vec![Effect::apply_then(Answer::Reset), Effect::fail(Answer::Reset)];
        let mut looks = vec![Effect::fail(Answer::Status(Status::NotFound)), Effect::Break { after: 100 }];
        if site.at_once {
            let told = [Status::Conflict, Status::PreconditionFailed].map(Answer::Status);
            swaps.extend(told.into_iter().flat_map(|told| [Effect::apply_then(told), Effect::fail(told)]));
            looks.extend([Answer::Closed, Answer::Status(Status::Unavailable)].map(Effect::fail));
        }
        for swap in swaps {
            for look in &looks {
                let script = Script::empty().and(Spot::swap(0).target(), swap).and(back.target(), *look);
                trial.run(script).await;
                assert!(proxy.unfired().is_empty(), "{}", proxy.log());
            }
        }
        trial.check_all().await;
        println!("  {:?}", trial.tally);
    });
}

/// Each fault of a request of each kind, and then each at the swap that follows.
pub(super) fn pairs(site: &Site) {
    let tally = in_lanes(site, pairs_of);
    let count: usize = tally.values().sum();
    assert!(count > 500 && tally["committed"] * 10 > count * 8, "{tally:?}");
}

/// Transactions under scripts, one each, several at once: how they ended. The scripts are made of the requests of one that nothing fails.
fn in_lanes(site: &Site, scripts: impl Fn(&[Request]) -> Vec<Script>) -> BTreeMap<&'static str, usize> {
    let ways: Vec<(Proxy, Place)> = (0..LANES).map(|_| site.proxied()).collect();
    crate::lake::run(async {
        let mut trials = Vec::new();
        for (number, way) in ways.iter().enumerate() {
            let lane = format!("lane-{number}");
            trials.push(Trial::new(&way.0, &way.1.below(&lane), &site.place.below(&lane)).await);
        }
        trials[0].run(Script::empty()).await;
        let run = ways[0].0.requests();
        let scripts = scripts(&run);
        let lanes = trials.iter_mut().enumerate().map(|(number, trial)| {
            let mine: Vec<Script> = scripts.iter().skip(number).step_by(LANES).cloned().collect();
            trial.run_all(mine)
        });
        join_all(lanes).await;
        let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
        for trial in &trials {
            trial.check_all().await;
            trial.tally.iter().for_each(|(word, times)| *tally.entry(*word).or_default() += times);
        }
        println!("  {tally:?} of {} scripts, {} requests", scripts.len(), run.len());
        tally
    })
}

fn pairs_of(run: &[Request]) -> Vec<Script> {
    let mut scripts = Vec::new();
    for first in Spot::kinds(run) {
        let second = Spot::swap(usize::from(first.is_swap()));
        for one in first.effects() {
            let both = |two| Script::empty().and(first.target(), one).and(second.target(), two);
            scripts.extend(second.effects().into_iter().map(both));
        }
    }
    scripts
}

impl<'a> Trial<'a> {
    /// On a new lake, which is reached through a proxy and without.
    async fn new(proxy: &'a Proxy, place: &Place, direct: &Place) -> Self {
        let place = Place { options: format!("{}{TIMEOUT}", place.options), ..place.clone() };
        rows::create(&place, &TABLES).await;
        let direct = rows::open(direct).await;
        let (committed, tally, theirs) = Default::default();
        Self { proxy, place, direct, committed, tally, theirs }
    }

    /// One after the other.
    async fn run_all(&mut self, scripts: Vec<Script>) {
        for script in scripts {
            self.run(script).await;
        }
    }

    /// One transaction under a script.
    async fn run(&mut self, script: Script) {
        self.run_beside(script, None).await;
    }

    /// The same while somebody else commits, at this moment of the first fault.
    async fn run_beside(&mut self, script: Script, others: Option<Moment>) {
        let row = i64::try_from(self.tally.values().sum::<usize>()).unwrap();
        self.proxy.set_script(script.clone());
        let before = self.theirs.lock().unwrap().len();
        if let Some(moment) = others {
            self.proxy.meanwhile(moment, self.other());
        }
        let told = self.write(row).await;
        let log = self.proxy.log();
        // What comes second may find no occasion: the first was the end of it, or was found out without another try.
        let first = script.faults().first();
        assert!(self.proxy.unfired().iter().all(|fault| Some(fault) != first), "{script}\n{log}");
        if others.is_some() {
            // A store that takes its time answers them after us.
            let done = async {
                while self.theirs.lock().unwrap().len() == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), done).await.expect("others did not commit");
        }
        let word = told.outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "committed");
        *self.tally.entry(word).or_default() += 1;
        self.committed.extend(self.theirs.lock().unwrap().iter().copied());
        self.judge(&told)
            .await
            .unwrap_or_else(|why| panic!("{why}\n{script}, {others:?}\n{:?}\n{log}", told.outcome));
    }

    /// Somebody who adds a row to both tables, by a way that does not fail.
    fn other(&self) -> impl Fn() + Send + Sync + 'static {
        let (lake, theirs, runtime) = (self.direct.clone(), Arc::clone(&self.theirs), Handle::current());
        move || {
            let row = THEIRS + i64::try_from(theirs.lock().unwrap().len()).unwrap();
            let txn = runtime.block_on(add_row(&lake, row)).unwrap();
            theirs.lock().unwrap().push((row, txn));
        }
    }

    /// Adds a row to both tables, from a handle that has nothing at hand.
    async fn write(&self, row: i64) -> Told {
        let mut unresolved = None;
        let outcome = async {
            let transaction = rows::try_open(&self.place).await?.begin().await?;
            for table in TABLES {
                transaction.append(table, batch(&[(row, row)])).await?;
            }
            unresolved = Some(transaction.unresolved());
            Ok(transaction.commit().patience(PATIENCE).await?.commit)
        };
        let outcome = outcome.await;
        Told { row, unresolved, outcome }
    }

    /// Whether that is the truth, and stays it when what was thought lost has landed.
    async fn judge(&mut self, told: &Told) -> std::result::Result<(), String> {
        let committed = match &told.outcome {
            Ok(_) => true,
            Err(error) => self.resolved(error).await?,
        };
        self.proxy.release_zombies();
        if let Some(unresolved) = &told.unresolved {
            let found = self.direct.resolve(unresolved).await.unwrap();
            if matches!(found, Resolution::Committed(_)) != committed {
                return Err(format!("told {committed}, and found: {found:?}"));
            }
            committed.then(|| self.committed.insert(told.row, unresolved.txn));
        }
        // Version 1 made the tables; each transaction makes one.
        let (found, expected) =
            (self.direct.main().await.unwrap().version().0, 1 + self.committed.len() as u64);
        if found == expected { Ok(()) } else { Err(format!("the newest version is {found}, not {expected}")) }
    }

    /// Whether a transaction with this error has committed. Only one kind of error leaves it open.
    async fn resolved(&self, error: &Error) -> std::result::Result<bool, String> {
        if error.kind() != ErrorKind::CommitUnknown {
            return Ok(false);
        }
        match self.direct.resolve_by_fence(error.unresolved().unwrap()).await.unwrap() {
            Resolution::Committed(_) => Ok(true),
            Resolution::Aborted => Ok(false),
            Resolution::Open => Err("a fence leaves nothing open".to_owned()),
        }
    }

    /// In the end each has happened once that was told so, and nothing else has.
    async fn check_all(&self) {
        let main = self.direct.main().await.unwrap();
        let commits: Vec<Commit> = main.log().forwards().from(Seq(2)).stream().try_collect().await.unwrap();
        let landed: Vec<TxnId> = commits.iter().map(Commit::txn).collect();
        let sorted = |mut txns: Vec<TxnId>| {
            txns.sort_unstable();
            txns
        };
        assert_eq!(sorted(landed), sorted(self.committed.values().copied().collect()));
        let expected: Vec<Row> = self.committed.keys().map(|row| (*row, *row)).collect();
        for table in TABLES {
            assert_eq!(read(&main.table(table).await.unwrap()).await, expected, "{table}");
        }
    }
}

async fn add_row(lake: &Lake, row: i64) -> Result<TxnId> {
    let transaction = lake.begin().await?;
    for table in TABLES {
        transaction.append(table, batch(&[(row, row)])).await?;
    }
    let txn = transaction.id();
    transaction.commit().patience(PATIENCE).await?;
    Ok(txn)
}
