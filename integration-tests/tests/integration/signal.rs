//! Stopping a process at the moment when it holds a lock, and killing one that is not a child.

use std::fs;
use std::path::Path;

/// The process that holds the lock on a file now, as far as the system tells.
#[cfg(target_os = "linux")]
pub(crate) fn holder(lock: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(lock).ok()?.ino().to_string();
    // "1: FLOCK  ADVISORY  WRITE 15072 fe:00:613 0 EOF", with "->" behind the number for those that wait.
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, process, file, ..] = fields[..] else { return None };
        let same_file = file.rsplit(':').next() == Some(&inode);
        same_file.then(|| process.parse().ok()).flatten()
    })
}

/// Elsewhere nobody tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn holder(lock: &Path) -> Option<u32> {
    let _ = fs::metadata(lock);
    None
}

/// Stops a process where it is. Without signals there is no holder to stop.
#[cfg(unix)]
pub(crate) fn stop(process: u32) {
    send(process, rustix::process::Signal::STOP);
}

/// Lets a stopped process go on.
#[cfg(unix)]
pub(crate) fn go_on(process: u32) {
    send(process, rustix::process::Signal::CONT);
}

/// `kill -9`.
#[cfg(unix)]
pub(crate) fn kill(process: u32) {
    send(process, rustix::process::Signal::KILL);
}

#[cfg(unix)]
fn send(process: u32, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    // It may have ended by now.
    let _ = rustix::process::kill_process(process, signal);
}

#[cfg(not(unix))]
pub(crate) fn stop(_: u32) {}

#[cfg(not(unix))]
pub(crate) fn go_on(_: u32) {}

#[cfg(not(unix))]
pub(crate) fn kill(_: u32) {}
