//! The shell as it is used at a terminal: Python's pseudo-terminal types into it.

use std::process::Command;

/// Runs the command at a terminal, types the lines when it waits for them, and prints all that came.
const TYPIST: &str = r#"
import os, pty, select, sys, time
program, lines = sys.argv[1:3]
child, terminal = pty.fork()
if child == 0:
    os.execvp(program, [program, "sql", "-l", "./lake"])
seen, said, deadline = b"", 0, time.monotonic() + 60
lines = [line.encode().decode("unicode_escape").encode() for line in lines.split("\n")]
def wait():
    global seen
    # It waits for a line once it has shown a prompt and says nothing more.
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.5)
        if not ready:
            if b"> " in seen[said:]: return True
            continue
        try: got = os.read(terminal, 65536)
        except OSError: return False
        if not got: return False
        seen += got
    return False
for line in lines:
    if not wait(): break
    said = len(seen)
    os.write(terminal, line)
while True:
    try: got = os.read(terminal, 65536)
    except OSError: break
    if not got: break
    seen += got
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

#[test]
fn the_shell_is_driven_at_a_terminal() {
    let Some(python) = ["python3", "python"].into_iter().find(|python| works(python)) else {
        eprintln!("skipped: no python to make a pseudo-terminal");
        return;
    };
    let folder = super::pipes::lake();
    let lines = [
        "CREATE TABLE orders (id BIGINT, customer VARCHAR);\\r",
        // Over two lines.
        "INSERT INTO orders\\r",
        "VALUES (1, 'ada'), (2, 'bob');\\r",
        // A mistake ends the statement and not the shell.
        "SELECT * FROM ordres;\\r",
        // Ctrl-C gives up what was typed.
        "SELECT nonsense\\x03",
        "\\\\d\\r",
        "\\\\d orders\\r",
        "\\\\timing\\r",
        // The tab completes the name of the table.
        "SELECT count(*) AS many FROM orde\\t;\\r",
        "\\\\ref v0\\r",
        "\\\\timng\\r",
        "\\\\q\\r",
    ];
    let output = Command::new(python)
        .args(["-c", TYPIST, env!("CARGO_BIN_EXE_strand"), &lines.join("\n")])
        .current_dir(folder.path())
        .env("STRANDLINE_CONFIG", "none.toml")
        .env("XDG_DATA_HOME", folder.path())
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{seen}\n{}", String::from_utf8_lossy(&output.stderr));
    for expected in ["main> ", "did you mean", "time: ", "many", "long", "main@0> ", "\\timing"] {
        assert!(seen.to_lowercase().contains(&expected.to_lowercase()), "{expected} is not in {seen}");
    }
    let history = std::fs::read_to_string(folder.path().join("strandline/history")).unwrap();
    assert!(history.contains("SELECT count(*)"), "{history}");
}

fn works(python: &str) -> bool {
    Command::new(python).args(["-c", "import pty"]).output().is_ok_and(|output| output.status.success())
}
