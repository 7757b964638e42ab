//! Phases of a bench: each in a process of its own, timed from within, and a line of a table for each.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cost::{Cost, Meter};

/// Whatever stops a bench.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What to measure.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// How many files the table of "tree" has.
    pub(crate) entries: u64,
    /// The scale of what "write" writes, as TPC-H counts it.
    pub(crate) scale: f64,
    /// How often "write" writes it each way.
    pub(crate) rounds: NonZeroUsize,
    /// How many appends "append" makes.
    pub(crate) appends: NonZeroUsize,
    /// In how many files "tpch" has each plain table.
    pub(crate) files: NonZeroUsize,
    /// The one query that "tpch" asks, with the plans that it comes to; all of them if there is none.
    pub(crate) query: Option<i32>,
    /// How many rows each append has.
    pub(crate) rows: NonZeroUsize,
    /// How many each process of "processes" makes.
    pub(crate) appends_each: NonZeroUsize,
    /// The Python that runs the peers.
    pub(crate) python: String,
    /// Which phase this process is, and the folder that the phases share; the bench itself has neither.
    pub(crate) phase: Option<(String, PathBuf)>,
}

/// The options, for people.
const OPTIONS: &str = "--entries, --scale, --rounds, --appends, --files, --query, --rows, --each, --python";

impl Default for Task {
    fn default() -> Self {
        let at_least_one = |count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        Self {
            entries: 1_000_000,
            scale: 1.0,
            rounds: at_least_one(5),
            appends: at_least_one(1000),
            files: at_least_one(1),
            query: None,
            rows: at_least_one(1000),
            appends_each: at_least_one(25),
            python: "python3".to_owned(),
            phase: None,
        }
    }
}

impl Task {
    /// Reads `--entries N` and the like, and what the bench tells its phases.
    pub(crate) fn of(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let (mut task, mut phase, mut folder) = (Self::default(), None, None);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            let number = value.replace('_', "");
            match name.as_str() {
                "--entries" => task.entries = number.parse()?,
                "--scale" => task.scale = number.parse()?,
                "--rounds" => task.rounds = number.parse()?,
                "--appends" => task.appends = number.parse()?,
                "--files" => task.files = number.parse()?,
                "--query" => task.query = Some(number.parse()?),
                "--rows" => task.rows = number.parse()?,
                "--each" => task.appends_each = number.parse()?,
                "--python" => task.python = value,
                "--phase" => phase = Some(value),
                "--folder" => folder = Some(PathBuf::from(value)),
                _ => return Err(format!("no such option: {name}; there are {OPTIONS}").into()),
            }
        }
        Ok(Self { phase: phase.zip(folder), ..task })
    }

    /// Runs a phase in a process of its own and prints what it measured, and its rate against that of the baseline.
    pub(crate) fn measure(
        &self,
        bench: &str,
        phase: &str,
        folder: &Path,
        baseline: Option<&Measured>,
    ) -> Result<Measured, Failure> {
        let measured = self.run(bench, phase, folder)?;
        say(&measured.row(phase, self.entries, baseline));
        Ok(measured)
    }

    /// Runs a phase in a process of its own.
    pub(crate) fn run(&self, bench: &str, phase: &str, folder: &Path) -> Result<Measured, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([bench, "--entries", &self.entries.to_string(), "--scale", &self.scale.to_string()]);
        command.args(["--rounds", &self.rounds.to_string(), "--phase", phase, "--folder"]).arg(folder);
        measured(phase, command)
    }

    /// Runs a phase of a peer in a process of its own.
    ///
    /// # Errors
    /// That of the phase; Python is not there, or lacks the packages of `peers/requirements.txt`.
    pub(crate) fn run_peer(
        &self,
        peer: &str,
        phase: &str,
        folder: &Path,
        number: &str,
    ) -> Result<Measured, Failure> {
        let mut command = Command::new(&self.python);
        command.args([PEER, peer, phase]).arg(folder).arg(number);
        measured(&format!("{phase} of {peer}"), command)
    }
}

/// What other formats do.
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/peer.py");

fn measured(phase: &str, mut command: Command) -> Result<Measured, Failure> {
    let output = command.output().map_err(|error| format!("{phase} cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("{phase}: {said}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(Measured::of_line(&said).ok_or_else(|| format!("{phase} said {said:?}"))?)
}

/// What a phase measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) cost: Cost,
    /// Kibibytes, where the system tells.
    pub(crate) peak: Option<u64>,
    /// What else there is to say.
    pub(crate) note: String,
}

impl Measured {
    /// What a phase that began then has to say.
    pub(crate) fn since(meter: Meter, note: String) -> Self {
        Self { cost: meter.stop(), peak: peak_memory(), note }
    }

    /// As a phase says it to its bench.
    pub(crate) fn to_line(&self) -> String {
        let Cost { wall, processor } = self.cost;
        format!("{}\t{}\t{}\t{}", wall.as_nanos(), processor.as_nanos(), self.peak.unwrap_or(0), self.note)
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut fields = line.trim_end_matches('\n').splitn(4, '\t');
        let mut time = || Some(Duration::from_nanos(fields.next()?.parse().ok()?));
        let cost = Cost { wall: time()?, processor: time()? };
        let peak = fields.next()?.parse().ok().filter(|peak| *peak > 0);
        Some(Self { cost, peak, note: fields.next()?.to_owned() })
    }

    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    fn row(&self, phase: &str, entries: u64, baseline: Option<&Self>) -> String {
        let seconds = self.cost.wall.as_secs_f64();
        let mut row = format!("{phase:10} {seconds:9.3} s {:13.0} entries/s", entries as f64 / seconds);
        match self.peak {
            Some(peak) => _ = write!(row, " {:8.1} MiB at the peak", peak as f64 / 1024.0),
            None => row += "        ? MiB at the peak",
        }
        if let Some(baseline) = baseline {
            _ = write!(row, ", {:.2} x the time of the baseline", seconds / baseline.cost.wall.as_secs_f64());
        }
        if !self.note.is_empty() {
            _ = write!(row, "; {}", self.note);
        }
        row
    }
}

/// The most memory that this process ever had, in KiB; only Linux tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "this is a program whose answer is text")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
