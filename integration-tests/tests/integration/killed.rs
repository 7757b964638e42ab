//! Writers of transactions that are killed at random moments: the lake opens, holds every commit that was acknowledged exactly
//! once and besides only whole ones that a writer had tried, at every moment the same rows in both tables, and the next writer
//! goes on at once. The second reader of the specification agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use futures::TryStreamExt;
use strandline::filter::col;
use strandline::storage::Durability;
use strandline::{Commit, ErrorKind, Lake, Result, Transaction};
use strandline_format::{ColumnName, Field, PrimitiveType, Seq};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::child::{Process, Start, acknowledge};
use crate::crash::check_folder;
use crate::dice::Dice;
use crate::pointer::stop_holder;
use crate::runner::{Case, Outcome};
use crate::tables::{self, Row};
use crate::{lake, second_reader, signal};

pub(crate) const CASES: &[Case] = &[
    Case { name: "killed::100_times_writers_of_two_tables", run: || kill(Durability::None) },
    Case { name: "killed::100_times_fsyncing_writers_of_two_tables", run: || kill(Durability::Fsync) },
];

/// How many lakes, and how many kills in each: the history of one is read again and again.
const LAKES: u32 = 4;
const KILLS: u32 = 25;
/// How many writers are at one lake.
const WRITERS: u32 = 4;
/// After how many kills all rows are read, instead of being counted.
const READ_EVERY: u32 = 5;
/// How long the next commit may take after all writers were killed.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How long a writer may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many columns are added before they are dropped again.
const COLUMNS: usize = 8;

/// What a transaction does, to both tables alike. Its text is the message of its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Act {
    verb: &'static str,
    writer: i64,
    first: i64,
    count: i64,
}

const VERBS: &[&str] = &["append", "overwrite", "delete", "create", "alter"];

impl Act {
    /// Mostly appends, so that there is something to lose.
    fn choose(dice: &Dice, writer: i64, first: i64) -> Self {
        let verb = dice.pick(&["append", "append", "append", "overwrite", "delete", "create", "alter"]);
        Self { verb, writer, first, count: 1 + i64::try_from(dice.below(4)).unwrap() }
    }

    fn to_text(self) -> String {
        let Self { verb, writer, first, count } = self;
        format!("{verb} {writer} {first} {count}")
    }

    fn of_text(text: &str) -> Self {
        let [verb, writer, first, count] = text.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{text:?}")
        };
        let verb = VERBS.iter().find(|known| **known == verb).unwrap();
        let number = |text: &str| text.parse().unwrap();
        Self { verb, writer: number(writer), first: number(first), count: number(count) }
    }

    fn rows(self) -> Vec<Row> {
        (self.first..self.first + self.count).map(|id| (id, self.writer)).collect()
    }

    /// The table that it makes.
    fn made(self) -> String {
        format!("made_{}", self.first)
    }

    /// Does it, up to the commit.
    async fn carry_out(self, transaction: &Transaction) -> Result<()> {
        let rows = tables::batch(&self.rows());
        if self.verb == "create" {
            transaction.create_table(self.made()).like(&rows.schema()).await?;
            transaction.append(&self.made(), &rows).await?;
        }
        for name in ["left", "right"] {
            match self.verb {
                "overwrite" => {
                    transaction.overwrite(name, &rows).matching(col("writer").eq(self.writer)).await?;
                }
                "delete" => {
                    let own = col("writer").eq(self.writer).and(col("id").lt(self.first - 2));
                    transaction.delete(name, own).await?;
                }
                verb => {
                    if verb == "alter" {
                        self.alter(transaction, name).await?;
                    }
                    transaction.append(name, &rows).await?;
                }
            }
        }
        Ok(())
    }

    async fn alter(self, transaction: &Transaction, name: &str) -> Result<()> {
        let table = transaction.table(name).await?;
        let fields = table.schema().fields();
        let alter = transaction.alter_table(name);
        if fields.len() < COLUMNS {
            let added = ColumnName::new(format!("c{}", self.first)).unwrap();
            alter.add_column(Field::optional(added, PrimitiveType::Long)).await.map(drop)
        } else {
            alter.drop_column(fields.last().unwrap().name.as_str()).await.map(drop)
        }
    }

    /// Does it to what should stand in the lake.
    fn apply(self, model: &mut Model) {
        match self.verb {
            "overwrite" => model.rows.retain(|row| row.1 != self.writer),
            "delete" => model.rows.retain(|row| row.1 != self.writer || row.0 >= self.first - 2),
            "create" => drop(model.made.insert(self.made(), self.rows())),
            _ => {}
        }
        if self.verb != "delete" {
            model.rows.extend(self.rows());
        }
    }
}

/// A writer that never ends. It says what it is about to commit, and each commit that was acknowledged to it.
pub(crate) async fn transact_for_ever(arguments: &[String]) {
    let [location, durability, writer, first, seed] = arguments else { panic!("{arguments:?}") };
    let lake = tables::open(location, lake::durability_of(durability)).await;
    let (writer, first): (i64, i64) = (writer.parse().unwrap(), first.parse().unwrap());
    let dice = Dice::of(seed.parse().unwrap());
    for turn in 0.. {
        let act = Act::choose(&dice, writer, first + 10 * turn);
        match transact(&lake, act, acknowledge).await {
            Ok(()) => {}
            // Two that change one schema collide: one of them begins anew.
            Err(error) if [ErrorKind::Conflict, ErrorKind::Unavailable].contains(&error.kind()) => {}
            Err(error) => panic!("{act:?}: {error}"),
        }
    }
}

async fn transact(lake: &Lake, act: Act, mut say: impl FnMut(&str)) -> Result<()> {
    let transaction = lake.begin().await?;
    act.carry_out(&transaction).await?;
    say(&format!("try {} {}", transaction.id(), act.to_text()));
    let report = transaction.commit().message(act.to_text()).await?;
    say(&format!("ack {} {}", transaction.id(), report.commit.version()));
    Ok(())
}

/// What should stand in the lake.
#[derive(Default)]
struct Model {
    /// The rows of both tables.
    rows: BTreeSet<Row>,
    made: BTreeMap<String, Vec<Row>>,
    /// The commits, by transaction: version and message.
    landed: BTreeMap<String, (u64, String)>,
    version: u64,
}

/// A lake, its writers, and what they said.
struct Scene<'a> {
    folder: TempDir,
    durability: Durability,
    dice: &'a Dice,
    running: BTreeMap<u32, Process>,
    lives: i64,
    tried: BTreeMap<String, String>,
    acknowledged: BTreeMap<String, u64>,
    model: Model,
    holders: u32,
}

fn kill(durability: Durability) -> Outcome {
    let dice = Dice::fresh();
    let (mut commits, mut acknowledged, mut holders) = (0, 0, 0);
    let mut verbs = BTreeSet::new();
    let mut without = None;
    for _ in 0..LAKES {
        let mut scene = Scene::new(durability, &dice);
        scene.kill_again_and_again();
        scene.kill_all();
        scene.check_all();
        without = scene.second_reader();
        commits += scene.model.landed.len();
        acknowledged += scene.acknowledged.len();
        holders += scene.holders;
        verbs.extend(
            scene.model.landed.values().filter_map(|(_, text)| text.split(' ').next().map(str::to_owned)),
        );
    }
    println!(
        "  {} kills, {holders} of them of who held the lock: {commits} commits, {acknowledged} acknowledged",
        LAKES * (KILLS + WRITERS)
    );
    VERBS.iter().for_each(|verb| assert!(verbs.contains(*verb), "no {verb} was ever committed"));
    assert!(cfg!(not(target_os = "linux")) || holders > 0, "no holder was met");
    without.map_or(Outcome::Passed, |why| Outcome::Skipped(format!("all but the second reader: {why}")))
}

impl<'a> Scene<'a> {
    fn new(durability: Durability, dice: &'a Dice) -> Self {
        let folder = tempfile::tempdir().unwrap();
        lake::run(tables::create(folder.path().to_str().unwrap(), durability, &["left", "right"]));
        Self {
            folder,
            durability,
            dice,
            running: BTreeMap::new(),
            lives: 0,
            tried: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            model: Model { version: 1, ..Model::default() },
            holders: 0,
        }
    }

    fn location(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// A process for a writer, whose ids nobody had before.
    fn start(&mut self, writer: u32) {
        self.lives += 1;
        let (first, seed) = (self.lives * 1_000_000, self.dice.roll());
        let durability = lake::durability_name(self.durability);
        let words = [writer.to_string(), first.to_string(), seed.to_string()];
        let arguments = [self.location(), durability, &words[0], &words[1], &words[2]];
        let process = Start::new("transact", &arguments).spawn();
        self.running.insert(writer, process);
    }

    fn hear(&mut self, said: &[String]) {
        for line in said {
            match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
                ["try", txn, act] => drop(self.tried.insert(txn.to_owned(), act.to_owned())),
                ["ack", txn, version] => {
                    self.acknowledged.insert(txn.to_owned(), version.parse().unwrap());
                }
                _ => panic!("{line:?}"),
            }
        }
    }

    fn kill_again_and_again(&mut self) {
        (0..WRITERS).for_each(|writer| self.start(writer));
        for kill in 1..=KILLS {
            std::thread::sleep(Duration::from_millis(self.dice.below(100)));
            let victim = self.choose();
            self.kill(victim);
            self.start(victim);
            self.check(kill % READ_EVERY == 0);
            if kill == KILLS / 2 {
                self.read_by_the_second_while_all_stand_still();
            }
        }
    }

    /// Whatever each is in the middle of, the lake is whole. The second reader lists the folder first, so nobody may go on.
    fn read_by_the_second_while_all_stand_still(&self) {
        let each = |act: fn(u32)| self.running.values().for_each(|process| act(process.id()));
        each(signal::stop);
        std::thread::sleep(Duration::from_millis(50));
        if cfg!(unix) {
            drop(self.second_reader());
        }
        each(signal::go_on);
    }

    /// Every second time who holds the lock, else anybody who has begun.
    fn choose(&mut self) -> u32 {
        self.wait_until_one_has_begun();
        if self.dice.below(2) == 0
            && let Some(holder) =
                stop_holder(&self.folder.path().join("refs/branches/main.json.lock"), &self.running)
        {
            self.holders += 1;
            return holder;
        }
        let begun: Vec<u32> = self
            .running
            .iter()
            .filter(|(_, process)| process.said() > 0)
            .map(|(writer, _)| *writer)
            .collect();
        self.dice.pick(&begun)
    }

    fn wait_until_one_has_begun(&mut self) {
        let started = Instant::now();
        while self.running.values().all(|process| process.said() == 0) {
            assert!(started.elapsed() < PATIENCE, "no writer begins");
            std::thread::sleep(Duration::from_millis(1));
        }
        for (writer, process) in &mut self.running {
            assert!(process.ended().is_none(), "writer {writer} failed by itself");
        }
    }

    fn kill(&mut self, writer: u32) {
        let said = self.running.remove(&writer).unwrap().kill();
        self.hear(&said);
    }

    /// Kills all at once, and commits at once.
    fn kill_all(&mut self) {
        (0..WRITERS).for_each(|writer| self.kill(writer));
        let started = Instant::now();
        let act = Act { verb: "append", writer: 99, first: 0, count: 3 };
        let (location, durability) = (self.location().to_owned(), self.durability);
        let mut said = Vec::new();
        lake::run(async {
            let lake = tables::open(&location, durability).await;
            transact(&lake, act, |line| said.push(line.to_owned())).await.unwrap();
        });
        assert!(started.elapsed() < AT_ONCE, "the next commit took {:?}", started.elapsed());
        self.hear(&said);
        self.check(true);
    }

    /// Opens the lake afresh: what was acknowledged by now is in its history, and both tables are what the history says.
    fn check(&mut self, read: bool) {
        let heard: Vec<Vec<String>> = self.running.values().map(Process::so_far).collect();
        heard.iter().for_each(|said| self.hear(said));
        let (location, durability) = (self.location().to_owned(), self.durability);
        lake::run(async {
            let lake = tables::open(&location, durability).await;
            self.model.follow(&lake, read).await;
        });
        for (txn, version) in &self.acknowledged {
            let landed = self.model.landed.get(txn);
            assert_eq!(landed.map(|landed| landed.0), Some(*version), "{txn} was acknowledged");
        }
    }

    /// Now that nobody writes any more.
    fn check_all(&self) {
        for (txn, (version, message)) in &self.model.landed {
            assert_eq!(self.tried.get(txn), Some(message), "version {version} was never tried");
        }
        let (location, durability) = (self.location().to_owned(), self.durability);
        lake::run(async { self.model.check_made(&tables::open(&location, durability).await).await });
        check_folder(self.folder.path());
    }

    /// Why it could not be asked, if so.
    fn second_reader(&self) -> Option<String> {
        second_reader::accepts(&PathBuf::from(self.location())).err()
    }
}

impl Model {
    /// Takes in the commits since the last look, and compares what they come to.
    async fn follow(&mut self, lake: &Lake, read: bool) {
        let main = lake.main().await.unwrap();
        if main.version().0 > self.version {
            let log = main.log().forwards().from(Seq(self.version + 1));
            let commits: Vec<Commit> = log.stream().try_collect().await.unwrap();
            commits.iter().for_each(|commit| self.take(commit));
        }
        assert_eq!(self.version, main.version().0);
        for name in ["left", "right"] {
            let table = main.table(name).await.unwrap();
            assert_eq!(table.rows(), self.rows.len() as u64, "{name} at version {}", self.version);
            if read {
                assert_eq!(
                    tables::read(&table).await.unwrap(),
                    self.rows.iter().copied().collect::<Vec<_>>(),
                    "{name}"
                );
            }
        }
    }

    fn take(&mut self, commit: &Commit) {
        self.version += 1;
        assert_eq!(commit.version().0, self.version);
        let act = Act::of_text(commit.message());
        act.apply(self);
        let changes = |name: &str| {
            let change = commit.changes().iter().find(|change| change.name.as_str() == name);
            change.map(|change| (change.rows.added, change.rows.removed))
        };
        assert_eq!(changes("left"), changes("right"), "version {}: {act:?}", self.version);
        let before =
            self.landed.insert(commit.txn().to_string(), (self.version, commit.message().to_owned()));
        assert!(before.is_none(), "{} landed twice", commit.txn());
    }

    async fn check_made(&self, lake: &Lake) {
        let main = lake.main().await.unwrap();
        let names = main.tables().await.unwrap().into_iter().map(|listed| listed.name.as_str().to_owned());
        let made: Vec<String> = names.filter(|name| name.starts_with("made_")).collect();
        let expected: BTreeSet<&String> = self.made.keys().collect();
        assert_eq!(made.iter().collect::<BTreeSet<_>>(), expected);
        for (name, rows) in &self.made {
            assert_eq!(&tables::read(&main.table(name).await.unwrap()).await.unwrap(), rows, "{name}");
        }
    }
}
