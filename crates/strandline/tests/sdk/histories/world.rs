//! Two processes over one store, and the model beside them: each step is done to both, and whatever can be read is compared.
//!
//! Invariants, held after each step: every branch has the head that the model has; what is read at a head that moved is what the
//! model has; a commit that was refused may be refused by the model, and one that happened is its serial application upon the
//! head of that moment. At the end: every version of every branch is what it was when it was made, each transaction stands in
//! the history once, and the commits say of themselves what they did [COM-6, TBL-6].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::{Commit, Error, ErrorKind, Ref, Resolution, Result, Transaction};
use strandline_format::{Hash, TableId, Totals, TxnId};
use strandline_testkit::VirtualClock;

use crate::collector;
use crate::histories::call::{Call, Numbers, Refused, Seen, identities, seen};
use crate::histories::model::{K, Reach, Refusal, State, U, Work};
use crate::histories::process::{Fate, Process};
use crate::histories::script::{Act, Step};

const BRANCHES: [&str; 3] = ["main", "dev", "try"];
const TAGS: [&str; 2] = ["one", "two"];

/// One version of a branch.
#[derive(Clone, Debug)]
struct Version {
    hash: Hash,
    txn: TxnId,
    state: State,
}

/// A transaction that is open.
struct Open {
    transaction: Transaction,
    process: usize,
    branch: &'static str,
    /// The version that it began on, and its hash.
    start: (usize, Hash),
    work: Work,
}

/// What became of a commit, as its caller or a later look tells.
enum Outcome {
    /// As this version; the flag says that it was not this transaction that made it, but one with the same key.
    Committed(Box<Commit>, bool),
    Refused(Box<Error>),
    /// Nobody waited, and it did not happen.
    Gone,
}

/// Everything.
pub(crate) struct World {
    processes: [Process; 2],
    branches: BTreeMap<&'static str, Vec<Version>>,
    tags: BTreeMap<&'static str, Version>,
    open: Vec<Open>,
    numbers: Numbers,
    next_row: i64,
    /// The id of each row, by the value of `U`, once it was seen in a version.
    ids: RefCell<BTreeMap<i64, u64>>,
    /// The heads whose content was compared.
    compared: BTreeMap<&'static str, Hash>,
    tally: Tally,
}

/// How often things happened: a test in which they never do tests nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Commits upon the head that they began on, and upon later ones.
    pub(crate) straight: usize,
    pub(crate) carried: usize,
    /// Commits that were refused and must be, and those that only may be.
    pub(crate) refused: usize,
    pub(crate) perhaps: usize,
    /// Those of them that name rows.
    pub(crate) rows: usize,
    /// Commits that nobody waited for, and that happened or did not.
    pub(crate) landed: usize,
    pub(crate) lost: usize,
    /// Calls that were answered alike, and refused alike.
    pub(crate) calls: usize,
    pub(crate) errors: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        let Self { straight, carried, refused, perhaps, rows, landed, lost, calls, errors } = other;
        self.straight += straight;
        self.carried += carried;
        self.refused += refused;
        self.perhaps += perhaps;
        self.rows += rows;
        self.landed += landed;
        self.lost += lost;
        self.calls += calls;
        self.errors += errors;
    }
}

impl World {
    /// A lake with two tables, one of them split, and some rows.
    pub(crate) fn new() -> Self {
        let mut world = Self::empty();
        world.begin(0, "main", false, None);
        for (table, split) in [("t0", false), ("t1", true)] {
            world.call(0, Call::CreateTable { name: table.to_owned(), split }, Fate::Run);
            let row = |u| BTreeMap::from([(K, Some(u % 8)), (U, Some(u))]);
            let rows = vec![(world.next_row..world.next_row + 8).map(row).collect()];
            world.next_row += 8;
            world.call(0, Call::Append { table: table.to_owned(), rows, streamed: false }, Fate::Run);
        }
        world.commit(0, false, Fate::Run);
        world
    }

    fn empty() -> Self {
        let (store, clock): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), VirtualClock::default());
        let processes = [1, 2].map(|seed| Process::begin(&store, seed, &clock));
        let head = processes[0].lake().head();
        let root =
            Version { hash: head.pointer().head().hash, txn: head.commit().txn, state: State::default() };
        Self {
            processes,
            branches: BTreeMap::from([("main", vec![root])]),
            tags: BTreeMap::new(),
            open: Vec::new(),
            numbers: Numbers::default(),
            next_row: 0,
            ids: RefCell::default(),
            compared: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// Runs a whole history.
    pub(crate) fn run(mut self, steps: Vec<Step>) -> Tally {
        for step in steps {
            self.step(step);
            self.compare_heads();
        }
        for branch in self.branches.keys().copied().collect::<Vec<_>>() {
            self.compare_history(branch);
        }
        self.tally
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Begin { process, branch, serializable, key } => {
                self.begin(process, BRANCHES[usize::from(branch)], serializable, key);
            }
            Step::Act { transaction, act, fate } => self.act(transaction, &act, fate),
            Step::Commit { transaction, together, fate } => self.commit(transaction, together, fate),
            Step::Abandon { transaction, silently } => self.abandon(transaction, silently),
            Step::CreateBranch { process, name, from, back, fate } => {
                self.create_branch(
                    process,
                    BRANCHES[usize::from(name) + 1],
                    BRANCHES[usize::from(from)],
                    back,
                    fate,
                );
            }
            Step::DeleteBranch { process, name, fate } => {
                self.delete_branch(process, BRANCHES[usize::from(name) + 1], fate);
            }
            Step::FastForward { process, name, to, fate } => {
                self.fast_forward(process, BRANCHES[usize::from(name) + 1], BRANCHES[usize::from(to)], fate);
            }
            Step::CreateTag { process, name, from, back, fate } => {
                self.create_tag(process, TAGS[usize::from(name)], BRANCHES[usize::from(from)], back, fate);
            }
            Step::DeleteTag { process, name, fate } => {
                self.delete_tag(process, TAGS[usize::from(name)], fate);
            }
            Step::Collect { process } => {
                let process = &self.processes[process];
                process.run(collector::collect(process.lake(), &process.store()));
            }
            Step::Past { process, branch, back } => {
                self.read_past(process, BRANCHES[usize::from(branch)], back);
            }
            Step::Reopen { process } => self.crash(process),
        }
    }

    /// Ends a process, with all that it has open, and begins another one.
    fn crash(&mut self, process: usize) {
        self.open.retain(|open| open.process != process);
        self.processes[process].begin_anew();
    }

    fn end(&mut self, process: usize, fate: Fate) {
        if matches!(fate, Fate::Crash(_)) {
            self.crash(process);
        }
    }

    fn begin(&mut self, process: usize, branch: &'static str, serializable: bool, key: Option<u8>) {
        let lake = self.processes[process].lake().clone();
        let mut begin = lake.begin().branch(branch);
        if serializable {
            begin = begin.serializable();
        }
        if let Some(key) = key {
            begin = begin.key(format!("key {key}"));
        }
        let begun = self.processes[process].run(begin.into_future());
        let Some(history) = self.branches.get(branch) else {
            assert_eq!(begun.unwrap_err().kind(), ErrorKind::NotFound);
            return;
        };
        let (transaction, head) = (begun.unwrap(), history.last().unwrap());
        assert_eq!(transaction.start().hash(), head.hash, "it begins on the newest head");
        let known = history.iter().any(|version| version.txn == transaction.id());
        assert_eq!(transaction.committed_before().is_some(), known);
        let (start, work) = ((history.len() - 1, head.hash), Work::on(&head.state, serializable));
        self.open.push(Open { transaction, process, branch, start, work });
    }

    fn act(&mut self, at: usize, act: &Act, fate: Fate) {
        if self.open.is_empty() {
            return;
        }
        let at = at % self.open.len();
        if let Some(call) = act.call(&self.open[at].work.now, &mut self.next_row) {
            self.call(at, call, fate);
        }
    }

    fn call(&mut self, at: usize, call: Call, fate: Fate) {
        let open = &mut self.open[at];
        let process = open.process;
        let columns = open.work.now.tables.values().find(|table| Some(table.name.as_str()) == call.table());
        let columns = columns.map(|table| table.columns.clone()).unwrap_or_default();
        let mut work = open.work.clone();
        let expected = call.apply(&mut work, &mut self.numbers);
        let call_text = format!("{call:?}");
        let Some(found) =
            self.processes[process].run_to(fate, call.carry_out(open.transaction.clone(), columns))
        else {
            self.open.remove(at);
            self.end(process, fate);
            return;
        };
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(found, expected, "{call_text}");
                open.work = work;
                self.tally.calls += 1;
            }
            (Err(found), Err(Refused)) => {
                let refused = [
                    ErrorKind::InvalidInput,
                    ErrorKind::NotFound,
                    ErrorKind::AlreadyExists,
                    ErrorKind::Conflict,
                ];
                assert!(refused.contains(&found.kind()), "{call_text}: {found}");
                // What was looked for in vain was read all the same; the rest is as it was.
                open.work.reads = work.reads;
                self.tally.errors += 1;
            }
            (found, expected) => panic!("{call_text}: the lake says {found:?}, the model {expected:?}"),
        }
    }

    fn abandon(&mut self, at: usize, silently: bool) {
        if self.open.is_empty() {
            return;
        }
        let open = self.open.remove(at % self.open.len());
        if !silently {
            self.processes[open.process].run(open.transaction.abandon());
            let told = self.processes[open.process].run(open.transaction.commit().into_future());
            // What a key had committed before needs no commit.
            let committed = open.transaction.committed_before().map(Commit::hash);
            let kind = told.as_ref().map(|report| report.commit.hash()).map_err(Error::kind);
            assert_eq!(kind, committed.ok_or(ErrorKind::InvalidInput));
        }
    }

    fn commit(&mut self, at: usize, together: bool, fate: Fate) {
        if self.open.is_empty() {
            return;
        }
        let chosen = at % self.open.len();
        let process = self.open[chosen].process;
        let mut members = Vec::new();
        for (at, open) in std::mem::take(&mut self.open).into_iter().enumerate() {
            // Of two with one key that nobody waits for, it could not be told which one it was.
            let twin = fate != Fate::Run && open.transaction.unresolved().keyed;
            let goes = at == chosen || (together && open.process == process && !twin);
            if goes { members.push(open) } else { self.open.push(open) }
        }
        let commits = members.iter().map(|open| open.transaction.commit().into_future());
        let told = self.processes[process].run_to(fate, futures::future::join_all(commits));
        let outcomes: Vec<Outcome> = match told {
            Some(told) => told
                .into_iter()
                .map(|told| match told {
                    Ok(report) => Outcome::Committed(Box::new(report.commit), report.already),
                    Err(error) => Outcome::Refused(Box::new(error)),
                })
                .collect(),
            None => {
                self.end(process, fate);
                let looked: Vec<Outcome> = members.iter().map(|open| self.look_up(open, fate)).collect();
                let landed =
                    looked.iter().filter(|outcome| matches!(outcome, Outcome::Committed(..))).count();
                self.tally.landed += landed;
                self.tally.lost += looked.len() - landed;
                looked
            }
        };
        self.enter(members.into_iter().zip(outcomes).collect());
    }

    /// What became of a commit that nobody waited for.
    fn look_up(&self, open: &Open, fate: Fate) -> Outcome {
        let unresolved = open.transaction.unresolved();
        let fences = matches!(fate, Fate::Crash(points) if points % 2 == 0);
        let process = &self.processes[1];
        let lake = process.lake();
        let found = process.run(async {
            if fences { lake.resolve_by_fence(&unresolved).await } else { lake.resolve(&unresolved).await }
        });
        match found {
            Ok(Resolution::Committed(commit)) => Outcome::Committed(Box::new(commit), false),
            Ok(Resolution::Aborted) => Outcome::Gone,
            Ok(Resolution::Open) => {
                assert!(!fences, "a fence leaves nothing open");
                Outcome::Gone
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::CommitUnknown, "{error}");
                let history = self.branches.get(open.branch);
                let start = history.and_then(|history| history.get(open.start.0)).map(|version| version.hash);
                assert_ne!(start, Some(open.start.1), "its branch is there: {error}");
                Outcome::Gone
            }
        }
    }

    /// Enters what was committed, in its order, and judges what was refused.
    fn enter(&mut self, mut outcomes: Vec<(Open, Outcome)>) {
        outcomes.sort_by_key(|(_, outcome)| match outcome {
            Outcome::Committed(commit, already) => (commit.version().0, *already),
            _ => (u64::MAX, false),
        });
        let before: BTreeMap<&str, usize> =
            self.branches.iter().map(|(name, all)| (*name, all.len())).collect();
        for (open, outcome) in outcomes {
            match outcome {
                Outcome::Committed(commit, _) => self.committed(&open, &commit),
                Outcome::Refused(error) => self.refused(&open, &error, before.get(open.branch).copied()),
                Outcome::Gone => {}
            }
        }
    }

    fn committed(&mut self, open: &Open, commit: &Commit) {
        let history =
            self.branches.get_mut(open.branch).expect("nothing is committed to a branch that is gone");
        let version = usize::try_from(commit.version().0).unwrap();
        assert_eq!(commit.txn(), open.transaction.id());
        if version < history.len() {
            let known = &history[version];
            assert_eq!((known.hash, known.txn), (commit.hash(), commit.txn()), "what was committed before");
            return;
        }
        assert!(history.iter().all(|known| known.txn != commit.txn()), "committed twice");
        assert_eq!(version, history.len(), "one version after the other");
        assert_eq!(history[open.start.0].hash, open.start.1, "committed to a branch that was made anew");
        let head = &history.last().unwrap().state;
        let (refusal, state) = open.work.upon(head);
        assert_ne!(
            refusal,
            Refusal::Always,
            "must conflict, but was committed: {:?} upon {head:?}",
            open.work
        );
        if history.len() - 1 == open.start.0 {
            self.tally.straight += 1;
        } else {
            self.tally.carried += 1;
        }
        history.push(Version { hash: commit.hash(), txn: commit.txn(), state });
    }

    fn refused(&mut self, open: &Open, error: &Error, before: Option<usize>) {
        let history = self.branches.get(open.branch);
        let anew =
            |history: &&Vec<Version>| history.get(open.start.0).map(|start| start.hash) == Some(open.start.1);
        let Some(history) = history.filter(anew) else {
            assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound), "{error}");
            return;
        };
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(!error.conflicts().is_empty(), "{error}");
        let heads = &history[before.unwrap_or(history.len()) - 1..];
        let refusal = heads.iter().map(|head| open.work.upon(&head.state).0).max();
        self.tally.rows += usize::from(error.conflicts().iter().any(|conflict| conflict.code() == "rows"));
        match refusal {
            Some(Refusal::Always) => self.tally.refused += 1,
            Some(Refusal::Maybe) => self.tally.perhaps += 1,
            _ => panic!(
                "must not conflict: {error}\n{:?}\nupon {:?}",
                open.work,
                heads.last().map(|head| &head.state)
            ),
        }
    }

    /// The version of a branch that is some versions before its head.
    fn back(&self, branch: &str, back: u8) -> Option<(usize, String)> {
        let newest = self.branches.get(branch)?.len() - 1;
        let back = usize::from(back).min(newest);
        Some((newest - back, format!("branch:{branch}~{back}")))
    }

    fn create_branch(
        &mut self,
        process: usize,
        name: &'static str,
        from: &'static str,
        back: u8,
        fate: Fate,
    ) {
        let Some((version, reference)) = self.back(from, back) else { return };
        let create = self.processes[process].lake().create_branch(name).from(reference);
        let made = self.processes[process].run_to(fate, create);
        let there = self.branches.contains_key(name);
        match made {
            Some(Err(error)) => assert!(there && error.kind() == ErrorKind::AlreadyExists, "{error}"),
            Some(Ok(_)) => assert!(!there, "made twice"),
            None => self.end(process, fate),
        }
        if !there && self.head(name).is_some() {
            let history = self.branches[from][..=version].to_vec();
            self.branches.insert(name, history);
        }
    }

    fn delete_branch(&mut self, process: usize, name: &'static str, fate: Fate) {
        let delete = self.processes[process].lake().delete_branch(name);
        match self.processes[process].run_to(fate, delete) {
            Some(deleted) => assert_eq!(deleted.is_ok(), self.branches.contains_key(name), "{deleted:?}"),
            None => self.end(process, fate),
        }
        if self.head(name).is_none() {
            self.branches.remove(name);
            self.compared.remove(name);
        }
    }

    fn fast_forward(&mut self, process: usize, name: &'static str, to: &'static str, fate: Fate) {
        let (Some(ours), Some(theirs)) = (self.branches.get(name), self.branches.get(to)) else { return };
        let holds = |history: &[Version], other: &[Version]| {
            history.get(other.len() - 1).is_some_and(|version| version.hash == other.last().unwrap().hash)
        };
        let moves = holds(theirs, ours);
        let there = moves && holds(ours, theirs);
        let forward = self.processes[process].lake().fast_forward(name).to(format!("branch:{to}"));
        match self.processes[process].run_to(fate, forward) {
            Some(Ok(_)) => assert!(there || moves, "{name} to {to}"),
            Some(Err(error)) => assert!(!there && !moves && error.kind() == ErrorKind::Conflict, "{error}"),
            None => self.end(process, fate),
        }
        let head = self.head(name).unwrap();
        if !there && moves && head != self.branches[name].last().unwrap().hash {
            self.branches.insert(name, self.branches[to].clone());
        }
    }

    fn create_tag(&mut self, process: usize, name: &'static str, from: &'static str, back: u8, fate: Fate) {
        let Some((version, reference)) = self.back(from, back) else { return };
        let create = self.processes[process].lake().create_tag(name).on(reference);
        let made = self.processes[process].run_to(fate, create);
        let there = self.tags.contains_key(name);
        match made {
            Some(Err(error)) => assert!(there && error.kind() == ErrorKind::AlreadyExists, "{error}"),
            Some(Ok(_)) => assert!(!there, "made twice"),
            None => self.end(process, fate),
        }
        if !there && self.tag(name).is_ok() {
            self.tags.insert(name, self.branches[from][version].clone());
        }
        if let Some(tagged) = self.tags.get(name) {
            let found = self.tag(name).unwrap();
            self.compare(&found, tagged);
        }
    }

    fn delete_tag(&mut self, process: usize, name: &'static str, fate: Fate) {
        let delete = self.processes[process].lake().delete_tag(name);
        match self.processes[process].run_to(fate, delete) {
            Some(deleted) => assert_eq!(deleted.is_ok(), self.tags.contains_key(name), "{deleted:?}"),
            None => self.end(process, fate),
        }
        if self.tag(name).is_err() {
            self.tags.remove(name);
        }
    }

    fn tag(&self, name: &str) -> Result<Ref> {
        self.processes[0].run(self.processes[0].lake().at(format!("tag:{name}")))
    }

    fn read_past(&self, process: usize, branch: &str, back: u8) {
        let Some((version, reference)) = self.back(branch, back) else { return };
        let process = &self.processes[process];
        let found = process.run(process.lake().at(reference)).unwrap();
        self.compare(&found, &self.branches[branch][version]);
    }

    /// The head of a branch, if it is live.
    fn head(&self, branch: &str) -> Option<Hash> {
        let process = &self.processes[0];
        let found = process.run(process.lake().at(format!("branch:{branch}")));
        found
            .map(|found| found.commit().hash())
            .map_err(|error| assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"))
            .ok()
    }

    fn compare_heads(&mut self) {
        for branch in BRANCHES {
            let expected = self.branches.get(branch).and_then(|history| history.last()).map(|head| head.hash);
            assert_eq!(self.head(branch), expected, "the head of {branch}");
            if expected != self.compared.get(branch).copied() {
                self.read_past(1, branch, 0);
                self.compared.extend(expected.map(|hash| (branch, hash)));
            }
        }
    }

    fn compare(&self, found: &Ref, expected: &Version) {
        assert_eq!((found.commit().hash(), found.commit().txn()), (expected.hash, expected.txn));
        let (process, version) = (&self.processes[1], found.version().0);
        process.run(async {
            let names = |listed: Vec<strandline::history::Listed>| {
                listed.into_iter().map(|listed| listed.name.as_str().to_owned()).collect::<BTreeSet<String>>()
            };
            let spaces: BTreeSet<String> = expected.state.namespaces.values().cloned().collect();
            assert_eq!(names(found.namespaces().await.unwrap()), spaces);
            let tables: BTreeSet<String> =
                expected.state.tables.values().map(|table| table.name.clone()).collect();
            assert_eq!(names(found.tables().await.unwrap()), tables);
            for table in expected.state.tables.values() {
                let stands = found.table(&table.name).await.unwrap();
                let (found, expected) =
                    (seen(&stands, &Reach::All).await.unwrap(), Seen::of(table, &Reach::All));
                assert_eq!(found, expected, "table {}", table.name);
                self.compare_ids(&identities(&stands).await.unwrap(), version);
                assert_eq!(
                    stands.rows(),
                    table.rows.len() as u64,
                    "what table {} says of itself",
                    table.name
                );
            }
        });
    }

    /// A row has one id for ever, and its version is one that there is.
    fn compare_ids(&self, found: &BTreeMap<i64, (u64, u64)>, newest: u64) {
        let mut ids = self.ids.borrow_mut();
        for (number, (id, updated)) in found {
            assert_eq!(ids.entry(*number).or_insert(*id), id, "the id of row {number}");
            assert!(*updated <= newest, "row {number} is of version {updated}, above {newest}");
        }
    }

    /// All versions of a branch, through a handle that has seen nothing.
    fn compare_history(&mut self, branch: &'static str) {
        self.crash(1);
        let history = &self.branches[branch];
        let process = &self.processes[1];
        let lake = process.lake().clone();
        let log: Vec<Commit> = process.run(async {
            let head = lake.at(format!("branch:{branch}")).await.unwrap();
            head.log().forwards().stream().try_collect().await.unwrap()
        });
        let found: Vec<(Hash, TxnId)> = log.iter().map(|commit| (commit.hash(), commit.txn())).collect();
        let expected: Vec<(Hash, TxnId)> =
            history.iter().map(|version| (version.hash, version.txn)).collect();
        assert_eq!(found, expected, "the history of {branch}");
        let ids: BTreeSet<TxnId> = expected.iter().map(|(_, txn)| *txn).collect();
        assert_eq!(ids.len(), expected.len(), "each transaction once");
        let mut before = BTreeMap::new();
        for (version, expected) in history.iter().enumerate() {
            let reference = format!("branch:{branch}~{}", history.len() - 1 - version);
            let found = process.run(lake.at(reference)).unwrap();
            self.compare(&found, expected);
            before = process.run(account(&found, &before));
        }
    }
}

/// The tables of a version by id, with their names and totals.
type Accounts = BTreeMap<TableId, (String, Totals)>;

/// Holds what a commit says that it did against what it did.
async fn account(found: &Ref, before: &Accounts) -> Accounts {
    let mut after = Accounts::new();
    for listed in found.tables().await.unwrap() {
        let table = found.table(listed.name.as_str()).await.unwrap();
        let files = table.files().await.unwrap();
        assert_eq!(table.totals(), Totals::of(&files), "totals of {}", table.name());
        assert!(files.iter().all(|file| file.added <= found.version()), "a file from the future");
        after.insert(table.id(), (table.name().to_owned(), table.totals()));
    }
    let mut told = BTreeMap::new();
    for change in found.commit().changes() {
        assert!(told.insert(change.table, change).is_none(), "two changes of one id");
    }
    for id in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(id), after.get(id));
        let Some(change) = told.get(id) else {
            assert_eq!(old, new, "a change that is not told");
            continue;
        };
        let totals = |side: Option<&(String, Totals)>| side.map(|(_, totals)| *totals).unwrap_or_default();
        let (was, is) = (totals(old), totals(new));
        assert_eq!(was.rows + change.rows.added - change.rows.removed, is.rows, "rows of {change:?}");
        assert_eq!(was.files + change.files.added - change.files.removed, is.files, "files of {change:?}");
        assert_eq!(
            (old.is_some(), new.is_some()),
            (change.old.is_some(), change.new.is_some()),
            "{change:?}"
        );
    }
    after
}

/// What a call is about.
impl Call {
    fn table(&self) -> Option<&str> {
        match self {
            Self::Append { table, .. }
            | Self::Overwrite { table, .. }
            | Self::Update { table, .. }
            | Self::Upsert { table, .. } => Some(table),
            _ => None,
        }
    }
}
