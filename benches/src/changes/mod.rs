//! The bench "changes": a hundredth of `lineitem` deleted, another one updated, and rows merged by key, a tenth of them new; by a lake in SQL, by a
//! lake's SDK, by `deltalake` and by Lance. Then scans of what is left of the lakes' tables against the same rows written anew.
//!
//! Invariants: each change is made by a process of its own, which opens the table first; each round begins with copies of the same
//! tables; the bench fails if one side does not have the same rows in the end, or if one of the figures that are counts is not met (`claims`).
//! What does not belong here: how a side makes its changes (`lakes`, `peers/peer.py`).

mod claims;
mod data;
mod lakes;

use std::path::Path;

use self::claims::{Claims, Took};
use crate::cost::{Cost, Meter, median, ratio, show, size_of};
use crate::phase::{Failure, Measured, Task, say};

/// Who changes the rows; the third one is what the others are compared with.
const SIDES: [&str; 4] = ["sql", "sdk", "delta", "lance"];

/// Those of them that are a lake.
const LAKES: usize = 2;

/// Where the one stands that the others are compared with.
const BASELINE: usize = 2;

/// What is done, one after the other.
const ACTS: [&str; 3] = ["delete", "update", "merge"];

/// Runs the bench, or one phase of it.
pub(crate) async fn run(task: &Task) -> Result<(), Failure> {
    let Some((phase, folder)) = &task.phase else { return all(task) };
    say(&one(phase, folder, task).await?.to_line());
    Ok(())
}

/// A phase of a lake.
async fn one(phase: &str, folder: &Path, task: &Task) -> Result<Measured, Failure> {
    let (act, side) = phase.split_once('-').ok_or("no such phase")?;
    let (here, source) = (folder.join(side), folder.join("source.parquet"));
    match act {
        "rows" => {
            let meter = Meter::start();
            let merged = data::write(&folder.join("lineitem.parquet"), &source, task.scale)?;
            Ok(Measured::since(meter, format!("{merged} rows to merge")))
        }
        "load" => lakes::load(&folder.join("base/lake"), task.scale).await,
        "sums" => lakes::sums(&here).await,
        "scan" => lakes::scan(&here, side == "sql", task.rounds.get()).await,
        act if side == "sql" => lakes::by_sql(act, &here, &source, task.scale).await,
        act => lakes::by_sdk(act, &here, &source, task.scale).await,
    }
}

fn all(task: &Task) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let rows = task.run("changes", "rows-", folder)?;
    say(&format!("changes: lineitem at scale {}, {}, {} rounds", task.scale, rows.note, task.rounds));
    std::fs::create_dir(folder.join("base"))?;
    for side in &SIDES[1..] {
        act(task, folder, "load", side)?;
    }
    let mut found: [[Found; SIDES.len()]; ACTS.len()] = Default::default();
    for round in 0..task.rounds.get() {
        SIDES.into_iter().try_for_each(|side| renew(folder, side))?;
        for (name, found) in ACTS.into_iter().zip(&mut found) {
            for (side, found) in SIDES.into_iter().zip(found) {
                found.add(measure(task, folder, name, side)?);
            }
        }
        if round == 0 {
            check(task, folder)?;
        }
    }
    let mut claims = Claims::default();
    for (name, found) in ACTS.into_iter().zip(&found) {
        tell(name, found);
        for (side, of_side) in SIDES.into_iter().zip(found).take(LAKES) {
            claims.change((name, side), task.scale, &of_side.took(), &found[BASELINE].took());
        }
    }
    for side in &SIDES[..LAKES] {
        let scanned = act(task, folder, "scan", side)?;
        say(&format!("scan after the changes by {side}: {}", scanned.note));
    }
    claims.end()
}

/// Lets a side do something, in a process of its own.
fn act(task: &Task, folder: &Path, name: &str, side: &str) -> Result<Measured, Failure> {
    match side {
        "sql" | "sdk" => task.run("changes", &format!("{name}-{side}"), folder),
        peer => task.run_peer(peer, name, folder, &task.scale.to_string()),
    }
}

/// What several rounds of one change took.
#[derive(Debug, Default)]
struct Found {
    costs: Vec<Cost>,
    /// The most of any round.
    bytes: u64,
    /// Likewise, in kibibytes.
    peak: u64,
    note: String,
}

impl Found {
    fn add(&mut self, (measured, bytes): (Measured, u64)) {
        self.costs.push(measured.cost);
        self.bytes = self.bytes.max(bytes);
        self.peak = self.peak.max(measured.peak.unwrap_or(0));
        self.note = measured.note;
    }

    fn took(&self) -> Took {
        Took { bytes: self.bytes, peak: self.peak }
    }
}

/// A change, and the bytes that it wrote.
fn measure(task: &Task, folder: &Path, name: &str, side: &str) -> Result<(Measured, u64), Failure> {
    let here = folder.join(side);
    let before = size_of(&here)?.1;
    let measured = act(task, folder, name, side)?;
    Ok((measured, size_of(&here)?.1.saturating_sub(before)))
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn tell(name: &str, found: &[Found; SIDES.len()]) {
    let (theirs, bytes) = (median(&found[BASELINE].costs), found[BASELINE].bytes as f64);
    for (side, found) in SIDES.into_iter().zip(found) {
        let ours = median(&found.costs);
        say(&format!(
            "{name:6} {side:5} {:>10} ({:>10} of processors), {:8.3} MB written, {:6.1} MiB at the peak, {}; {:.1} times as fast as {}, {:.1} by processor time, 1/{:.1} of its bytes",
            show(ours.wall),
            show(ours.processor),
            found.bytes as f64 / 1e6,
            found.peak as f64 / 1024.0,
            found.note,
            ratio(theirs.wall, ours.wall),
            SIDES[BASELINE],
            ratio(theirs.processor, ours.processor),
            bytes / found.bytes.max(1) as f64,
        ));
    }
}

/// All sides must have the same rows.
fn check(task: &Task, folder: &Path) -> Result<(), Failure> {
    let sums = SIDES.map(|side| act(task, folder, "sums", side).map(|measured| measured.note));
    let mut shown = Vec::new();
    for (side, sums) in SIDES.into_iter().zip(sums) {
        shown.push((side, sums?));
    }
    if shown.iter().all(|(_, sums)| *sums == shown[0].1) {
        return Ok(());
    }
    Err(format!("the rows differ: {shown:?}").into())
}

/// Puts a copy of the loaded table in the place of a changed one.
fn renew(folder: &Path, side: &str) -> Result<(), Failure> {
    let base = if matches!(side, "sql" | "sdk") { "lake" } else { side };
    let here = folder.join(side);
    if here.exists() {
        std::fs::remove_dir_all(&here)?;
    }
    copy(&folder.join("base").join(base), &here)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
