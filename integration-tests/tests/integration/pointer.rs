//! A pointer in a local folder under many processes: no swap is lost and none lands twice, also when writers are killed
//! while they hold the lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use strandline::Runtime;
use strandline::storage::{Durability, Swap};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::child::Process;
use crate::ledger::{self, Writers};
use crate::runner::{Case, Outcome};
use crate::{lake, signal};

pub(crate) const CASES: &[Case] = &[
    Case { name: "pointer::4_processes_lose_no_swap", run: no_swap_is_lost },
    Case { name: "pointer::4_processes_lose_no_swap_fsynced", run: no_fsynced_swap_is_lost },
    Case { name: "pointer::4_processes_lose_no_swap_under_kill_9", run: no_swap_is_lost_under_kill },
    Case {
        name: "pointer::4_processes_lose_no_swap_fsynced_under_kill_9",
        run: no_fsynced_swap_is_lost_under_kill,
    },
    Case { name: "pointer::is_usable_at_once_after_a_kill_of_all_writers", run: usable_after_all_are_killed },
];

/// How long a swap may take after somebody died with the lock in hand. The lock is freed at once; the rest is a slow machine.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How long all of a case may take.
const PATIENCE: Duration = Duration::from_secs(180);

fn no_swap_is_lost() -> Outcome {
    Race::new(Durability::None, 2_000).run(false)
}

fn no_fsynced_swap_is_lost() -> Outcome {
    Race::new(Durability::Fsync, 500).run(false)
}

fn no_swap_is_lost_under_kill() -> Outcome {
    Race::new(Durability::None, 2_000).run(true)
}

fn no_fsynced_swap_is_lost_under_kill() -> Outcome {
    Race::new(Durability::Fsync, 250).run(true)
}

/// Four processes at one ref of one folder.
struct Race {
    folder: TempDir,
    writers: Writers,
    /// What each has acknowledged before it was killed or ended.
    acknowledged: BTreeMap<u32, Vec<u32>>,
    kills: Kills,
}

#[derive(Default)]
struct Kills {
    /// Processes that verifiably held the lock when they died.
    holders: u32,
    others: u32,
    /// The longest time from a kill to the next swap that anybody acknowledged.
    longest_pause: Duration,
}

impl Race {
    fn new(durability: Durability, swaps: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap().into();
        let writers = Writers { place, durability, count: 4, swaps };
        Self { folder, writers, acknowledged: BTreeMap::new(), kills: Kills::default() }
    }

    fn run(mut self, kill: bool) -> Outcome {
        let started = Instant::now();
        let running =
            (0..self.writers.count).map(|writer| (writer, self.writers.start(writer).spawn())).collect();
        if kill {
            self.kill_until_done(running);
        } else {
            for (writer, process) in running {
                self.hear(writer, &process.finish());
            }
        }
        let took = started.elapsed();
        let ledger = self.ledger();
        self.writers.check(&ledger, &self.acknowledged, kill);
        assert!(self.kills.longest_pause < AT_ONCE, "{:?}", self.kills.longest_pause);
        // What a crash leaves is a lock that nobody holds; leftovers lie in tmp/.
        assert_eq!(names(&self.folder.path().join("refs/branches")), ["main.json", "main.json.lock"]);
        let Kills { holders, others, longest_pause } = self.kills;
        println!(
            "  {} swaps in {:.1} s; killed {holders} holding the lock, {others} others; longest pause after a kill {longest_pause:.1?}",
            ledger.len(),
            took.as_secs_f64(),
        );
        Outcome::Passed
    }

    fn ledger(&self) -> Vec<ledger::Line> {
        lake::run(async {
            ledger::read(&lake::open_at(&self.writers.place, self.writers.durability).await).await
        })
    }

    fn hear(&mut self, writer: u32, said: &[String]) {
        self.acknowledged.entry(writer).or_default().extend(ledger::numbers(said));
    }

    fn lock(&self) -> PathBuf {
        self.folder.path().join("refs/branches/main.json.lock")
    }

    /// Kills and restarts writers at random moments until all are through. Between two kills somebody gets ahead, so it ends.
    fn kill_until_done(&mut self, mut running: BTreeMap<u32, Process>) {
        let started = Instant::now();
        while !running.is_empty() {
            assert!(started.elapsed() < PATIENCE, "the writers do not get through");
            std::thread::sleep(Duration::from_millis(1 + random_below(25)));
            self.reap(&mut running);
            if let Some(victim) = self.choose(&running) {
                let process = running.remove(&victim).unwrap();
                self.hear(victim, &process.kill());
                let killed = Instant::now();
                running.insert(victim, self.writers.start(victim).spawn());
                wait_for_progress(&mut running);
                self.kills.longest_pause = self.kills.longest_pause.max(killed.elapsed());
            }
        }
        assert!(cfg!(not(target_os = "linux")) || self.kills.holders > 0, "no holder was met");
    }

    fn reap(&mut self, running: &mut BTreeMap<u32, Process>) {
        let ended: Vec<u32> =
            running.iter_mut().filter_map(|(writer, process)| process.ended().map(|_| *writer)).collect();
        for writer in ended {
            let process = running.remove(&writer).unwrap();
            self.hear(writer, &process.finish());
        }
    }

    /// Mostly who holds the lock, else anybody: a writer may also die while it waits, reads or stages.
    fn choose(&mut self, running: &BTreeMap<u32, Process>) -> Option<u32> {
        if random_below(4) > 0
            && let Some(holder) = stop_holder(&self.lock(), running)
        {
            self.kills.holders += 1;
            return Some(holder);
        }
        let victim =
            *running.keys().nth(usize::try_from(random_below(running.len().max(1) as u64)).unwrap())?;
        self.kills.others += 1;
        Some(victim)
    }
}

/// Stops the process that holds the lock, if one of these does; it still holds it then.
pub(crate) fn stop_holder(lock: &Path, running: &BTreeMap<u32, Process>) -> Option<u32> {
    for _ in 0..100 {
        let Some((writer, process)) = holder_of(lock, running) else { continue };
        signal::stop(process.id());
        if holder_of(lock, running).is_some_and(|(still, _)| still == writer) {
            return Some(writer);
        }
        signal::go_on(process.id());
    }
    None
}

fn holder_of<'a>(lock: &Path, running: &'a BTreeMap<u32, Process>) -> Option<(u32, &'a Process)> {
    let id = signal::holder(lock)?;
    running.iter().find(|(_, process)| process.id() == id).map(|(writer, process)| (*writer, process))
}

fn wait_for_progress(running: &mut BTreeMap<u32, Process>) {
    let said = |running: &BTreeMap<u32, Process>| running.values().map(Process::said).sum::<usize>();
    let (before, started) = (said(running), Instant::now());
    while said(running) == before && !running.values_mut().all(|process| process.ended().is_some()) {
        assert!(started.elapsed() < PATIENCE, "nobody gets ahead after a kill");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn usable_after_all_are_killed() -> Outcome {
    let mut race = Race::new(Durability::None, u32::MAX);
    for _ in 0..10 {
        let mut running: BTreeMap<u32, Process> =
            (0..race.writers.count).map(|writer| (writer, race.writers.start(writer).spawn())).collect();
        wait_for_progress(&mut running);
        std::thread::sleep(Duration::from_millis(random_below(30)));
        race.kills.holders += u32::from(stop_holder(&race.lock(), &running).is_some());
        for (writer, process) in running {
            race.hear(writer, &process.kill());
        }
        let started = Instant::now();
        swap_once(&race.writers);
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    }
    assert!(cfg!(not(target_os = "linux")) || race.kills.holders > 0, "no holder was met");
    let ledger = race.ledger();
    for (writer, said) in &race.acknowledged {
        assert!(
            said.iter().all(|number| ledger.contains(&(*writer, *number))),
            "writer {writer} lost a swap"
        );
    }
    println!("  {} swaps, {} of 10 times with the holder stopped first", ledger.len(), race.kills.holders);
    Outcome::Passed
}

/// A swap of the test's own.
fn swap_once(writers: &Writers) {
    lake::run(async {
        let storage = lake::open_at(&writers.place, writers.durability).await;
        let current = storage.refs().load(&lake::main()).await.unwrap();
        let expected = current.as_ref().map(|loaded| &loaded.token);
        let bytes = ledger::with(current.as_ref(), (u32::MAX, 0));
        let swap = storage.refs().swap(&lake::main(), expected, bytes).await.unwrap();
        assert!(matches!(swap, Swap::Swapped(_)), "{swap:?}");
    });
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn random_below(bound: u64) -> u64 {
    u64::from_le_bytes(Runtime::system().random().unwrap()) % bound
}
