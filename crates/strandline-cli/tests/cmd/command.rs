//! Running the command.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A config file in which nothing stands.
pub(crate) const NO_CONFIG: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// The command, in a folder whose lake it is about.
pub(crate) fn strand(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strand"));
    command.current_dir(folder).env("STRANDLINE_LAKE", "./lake").env("STRANDLINE_CONFIG", NO_CONFIG);
    command
}

pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    strand(folder).args(args).output().unwrap()
}

/// What a run printed, which must have gone well.
pub(crate) fn ok(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    assert!(output.status.success(), "{args:?}: {}", errors(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// What was said on standard error.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a lake.
pub(crate) fn lake() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    ok(folder.path(), &["init"]);
    folder
}

/// A run that is fed standard input.
pub(crate) fn fed(folder: &Path, args: &[&str], input: &str) -> Output {
    let mut child = strand(folder)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}
