//! The servers that somebody runs: which they are, and where the environment says that they stand.
//!
//! A variable for each has a place in one line, as [`Place::parse`] reads it: `s3://lake endpoint=http://127.0.0.1:9000 …`.
//! `.ci/servers COMMAND` starts them all and sets the variables, and starts again what a test has killed. One that is missing is a counted skip, or a failure if
//! `STRANDLINE_REQUIRE_ALL` is set.

use std::path::PathBuf;
use std::time::Duration;

use strandline::Runtime;
use tokio::time::Instant;

use crate::lake::Place;
use crate::signal;

/// How long a server is waited for that was killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    variable: &'static str,
    /// Whether it keeps what it has acknowledged when it is killed.
    pub(crate) lasts: bool,
}

const fn server(name: &'static str, variable: &'static str, lasts: bool) -> Server {
    Server { name, variable, lasts }
}

/// One that keeps its conditions.
pub(crate) const MINIO: Server = server("minio", "STRANDLINE_TEST_MINIO", true);
/// Another, of which many run at once without losing a swap, slowly.
pub(crate) const SEAWEEDFS: Server = server("seaweedfs", "STRANDLINE_TEST_SEAWEEDFS", true);
/// The one that is the closest to S3 in what it answers.
pub(crate) const MINISTACK: Server = server("ministack", "STRANDLINE_TEST_MINISTACK", true);
/// The one of Azure.
pub(crate) const AZURITE: Server = server("azurite", "STRANDLINE_TEST_AZURITE", false);
/// One that ignores conditions.
pub(crate) const RCLONE: Server = server("rclone", "STRANDLINE_TEST_RCLONE", false);
/// One of the first that have conditions, and none right.
pub(crate) const OLD_MINIO: Server = server("old_minio", "STRANDLINE_TEST_OLD_MINIO", false);
/// Another that ignores them.
pub(crate) const S3RVER: Server = server("s3rver", "STRANDLINE_TEST_S3RVER", false);
/// One that checks them, and writes a moment later.
pub(crate) const S3S_FS: Server = server("s3s_fs", "STRANDLINE_TEST_S3S_FS", false);

impl Server {
    /// Where it stands, or how to get it.
    pub(crate) fn place(&self) -> Result<Place, String> {
        if let Some(line) = variable(self.variable) {
            return Ok(Place::parse(&line));
        }
        let why =
            format!("no server: {} is not set, `.ci/servers COMMAND` starts one and sets it", self.variable);
        missing(why)
    }

    /// Its process, if whoever started it starts it again when it was killed; or how to get it so.
    pub(crate) fn running(&self) -> Result<Running, String> {
        let name = format!("{}_PID", self.variable);
        match variable(&name) {
            Some(file) => Ok(Running { file: file.into() }),
            None => missing(format!(
                "nobody starts the server again: {name} is not set, `.ci/servers COMMAND` sets it"
            )),
        }
    }
}

/// What is missing skips a test, or fails it.
pub(crate) fn missing<T>(why: String) -> Result<T, String> {
    assert!(variable("STRANDLINE_REQUIRE_ALL").is_none(), "{why}");
    Err(why)
}

/// A server that is started again whenever it was killed.
pub(crate) struct Running {
    /// Says which process it is.
    file: PathBuf,
}

/// A process: its id, and when it began as the system counts it. Ids are given again, such a pair is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    /// `None`: the system does not tell.
    began: Option<u64>,
}

impl Process {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let id = words.next()?.parse().ok()?;
        Some(Self { id, began: words.next().and_then(|word| word.parse().ok()) })
    }

    /// Whether its id still is its own.
    fn is_there(self) -> bool {
        let Some(began) = self.began else { return true };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        // What stands in parentheses is the name of the program, which may have anything in it.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        fields.split_whitespace().nth(19).and_then(|field| field.parse().ok()) == Some(began)
    }
}

impl Running {
    /// `kill -9`; gives as soon as another one has been started.
    pub(crate) fn kill(&self) {
        let killed = self.process();
        assert!(killed.is_there(), "the server has ended by itself, and {killed:?} would be another process");
        signal::kill(killed.id);
        let begun = Instant::now();
        while self.process() == killed {
            assert!(begun.elapsed() < PATIENCE, "nobody started the server again");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn process(&self) -> Process {
        let begun = Instant::now();
        loop {
            // It is empty while none runs.
            if let Some(process) = Process::parse(&std::fs::read_to_string(&self.file).unwrap()) {
                return process;
            }
            assert!(begun.elapsed() < PATIENCE, "{} holds no process", self.file.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A store of the user's own, if one is named: a bucket at a cloud, say, with its options from the usual variables.
pub(crate) fn own() -> Option<Place> {
    variable("STRANDLINE_TEST_STORE").map(|line| Place::parse(&line))
}

fn variable(name: &str) -> Option<String> {
    Runtime::system().environment().variable(name)
}
