//! The command at a terminal: Python's pseudo-terminal types into it and sees what a person would see.

use std::path::Path;
use std::process::Command;

/// Runs a command at a terminal of so many lines. Each step waits until what came since the step before matches, and nothing
/// more comes, then types. Prints all that came.
const TYPIST: &str = r#"
import fcntl, json, os, pty, re, select, struct, sys, termios, time
command, lines, steps = json.loads(sys.argv[1])
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 80, 0, 0))
    os.execvp(command[0], command)
seen, deadline = b"", time.monotonic() + 120
def read(seconds):
    """What came within this time, nothing if none did; None at the end."""
    if not select.select([terminal], [], [], seconds)[0]:
        return b""
    try:
        return os.read(terminal, 65536) or None
    except OSError:
        return None
for expected, typed in steps:
    since = b""
    while True:
        got = read(0.2)
        if got is None or time.monotonic() > deadline:
            sys.stdout.buffer.write(seen)
            sys.exit("it said no %r before %r was typed" % (expected, typed))
        since, seen = since + got, seen + got
        if not got and re.search(expected.encode(), since, re.S):
            break
    os.write(terminal, typed.encode())
while (got := read(max(0, deadline - time.monotonic()))):
    seen += got
sys.stdout.buffer.write(seen)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

/// A terminal, and what is typed at it.
pub(crate) struct Terminal<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) lines: u16,
    pub(crate) variables: &'a [(&'a str, &'a str)],
}

/// What a person saw, and the status in the end.
pub(crate) struct Seen {
    pub(crate) text: String,
    pub(crate) code: i32,
}

impl Terminal<'_> {
    /// Runs the command; for each of the steps waits for a text (a pattern of Python), then types one.
    pub(crate) fn run(&self, args: &[&str], steps: &[(&str, &str)]) -> Seen {
        let words: Vec<&str> =
            std::iter::once(env!("CARGO_BIN_EXE_strand")).chain(args.iter().copied()).collect();
        let script = serde_json::to_string(&(words, self.lines, steps)).unwrap();
        let output = Command::new("python3")
            .args(["-c", TYPIST, &script])
            .current_dir(self.folder)
            .env_remove("NO_COLOR")
            .env_remove("PAGER")
            .envs([
                ("STRANDLINE_LAKE", "./lake"),
                ("STRANDLINE_CONFIG", crate::command::NO_CONFIG),
                ("TERM", "xterm"),
            ])
            .envs(self.variables.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{text}{}", String::from_utf8_lossy(&output.stderr));
        Seen { text, code: output.status.code().unwrap() }
    }
}
