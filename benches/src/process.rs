//! Phases as processes: what each took, and its peak of memory.

use std::path::Path;
use std::process::Command;

use crate::Result;

/// What a phase took.
pub(crate) struct Report {
    pub(crate) title: String,
    pub(crate) seconds: f64,
    pub(crate) peak_mib: u64,
}

/// Runs a phase in a process of its own.
pub(crate) fn run_phase(name: &str, folder: &Path, entries: u64) -> Result<Report> {
    let output = Command::new(std::env::current_exe()?)
        .args(["phase", name])
        .arg(folder)
        .arg(entries.to_string())
        .output()?;
    let said = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("phase {name}: {said}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let line = said.lines().last().unwrap_or_default();
    match line.split('\t').collect::<Vec<_>>()[..] {
        [title, seconds, peak] => {
            Ok(Report { title: title.to_owned(), seconds: seconds.parse()?, peak_mib: peak.parse()? })
        }
        _ => Err(format!("phase {name} said {line:?}").into()),
    }
}

/// Says what this process's phase took, for [`run_phase`] to read.
pub(crate) fn report(title: &str, seconds: f64) -> Result<()> {
    println!("{title}\t{seconds}\t{}", peak_mib()?);
    Ok(())
}

/// The most memory that this process has had resident, where the system tells.
fn peak_mib() -> Result<u64> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return Ok(0) };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
}
