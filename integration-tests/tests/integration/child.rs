//! Processes of a test: this binary, told what to do. What one has done it says in a line, at once, so that a test knows
//! what was acknowledged before it was killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use strandline::Runtime;
use tokio::time::Instant;

use crate::{access, appended, bank, conformance, crash, disk, folder, killed, ledger, memory};

/// The user without any rights of its own.
#[cfg(unix)]
const NOBODY: u32 = 65_534;
const ROLE: &str = "STRANDLINE_TEST_CHILD";
/// How long a process may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// What this process is to do, if it is not the test itself.
pub(crate) fn role() -> Option<String> {
    Runtime::system().environment().variable(ROLE)
}

/// Does it.
pub(crate) fn run(role: &str) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match role {
        "swap" => runtime.block_on(ledger::swap_until_done(&arguments)),
        "put" => runtime.block_on(crash::put_for_ever(&arguments)),
        "everything" => runtime.block_on(folder::try_everything(&arguments)),
        "transact" => runtime.block_on(killed::transact_for_ever(&arguments)),
        "append" => runtime.block_on(appended::append_until_done(&arguments)),
        "transfer" => runtime.block_on(bank::transfer_until_done(&arguments)),
        "audit" => runtime.block_on(bank::audit_until_done(&arguments)),
        "write tables" => runtime.block_on(disk::try_to_write(&arguments)),
        "errand" => runtime.block_on(access::run_errand(&arguments)),
        "stream" => runtime.block_on(memory::append_a_stream(&arguments)),
        "merge" => runtime.block_on(memory::merge_a_branch(&arguments)),
        "commit" => runtime.block_on(conformance::commit_until_done(&arguments)),
        "transfer money" => runtime.block_on(conformance::transfer_until_done(&arguments)),
        "audit money" => runtime.block_on(conformance::audit_until_done(&arguments)),
        other => panic!("no such role: {other}"),
    }
    ExitCode::SUCCESS
}

/// Says that something is done.
pub(crate) fn acknowledge(line: &str) {
    let mut out = std::io::stdout().lock();
    // One write, so that a kill leaves all of the line or none of it.
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// How a process is started.
pub(crate) struct Start {
    command: Command,
}

impl Start {
    /// A process with this role.
    pub(crate) fn new(role: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(ROLE, role).args(arguments);
        Self { command }
    }

    /// The same with a variable of the environment.
    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.command.env(variable, value);
        self
    }

    /// The same with nothing of this process's environment.
    pub(crate) fn alone(mut self) -> Self {
        let set: Vec<_> = self
            .command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
            .collect();
        self.command.env_clear();
        set.into_iter().filter_map(|(name, value)| Some((name, value?))).for_each(|(name, value)| {
            self.command.env(name, value);
        });
        self
    }

    /// The same as a user to whom permissions apply: the superuser's own never do.
    pub(crate) fn without_privileges(mut self) -> Self {
        #[cfg(unix)]
        if rustix::process::geteuid().is_root() {
            use std::os::unix::process::CommandExt;
            self.command.uid(NOBODY).gid(NOBODY);
        }
        self
    }

    /// The same where no file may grow beyond about 50 or 100 KiB (shells count in different blocks), and a write beyond is an
    /// error, not a signal. `None` where there is no shell for it.
    pub(crate) fn with_small_files(self) -> Option<Self> {
        let script = "trap '' XFSZ && ulimit -f 100 && exec \"$0\" \"$@\"";
        let works =
            Command::new("sh").args(["-c", script, "true"]).status().is_ok_and(|status| status.success());
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(self.command.get_program()).args(self.command.get_args());
        let set = self.command.get_envs().filter_map(|(name, value)| value.map(|value| (name, value)));
        command.envs(set);
        works.then_some(Self { command })
    }

    pub(crate) fn spawn(self) -> Process {
        self.try_spawn().unwrap()
    }

    /// `None` if the system does not let this process be started.
    pub(crate) fn try_spawn(mut self) -> Option<Process> {
        let mut child = self.command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().ok()?;
        let out = BufReader::new(child.stdout.take().unwrap());
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line));
        });
        Some(Process { child, said, reader: Some(reader) })
    }
}

/// A running process. Dropping it kills it, so that a failed test leaves none behind.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many lines it has said so far.
    pub(crate) fn said(&self) -> usize {
        self.said.lock().unwrap().len()
    }

    /// What it has said so far.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// `kill -9`, and what it had said until then.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.heard()
    }

    /// Waits until it ends well, and gives what it said.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "a process does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success(), "a process failed: {status}");
        self.heard()
    }

    fn heard(&mut self) -> Vec<String> {
        self.reader.take().into_iter().for_each(|reader| reader.join().unwrap());
        std::mem::take(&mut self.said.lock().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
