//! `kill -9`: of writers in the middle of their commits, and of the server in the middle of a load.

use std::time::Duration;

use strandline::Runtime;
use tokio::time::Instant;

use super::Site;
use super::writers::{Load, one, two};
use crate::child::Process;
use crate::servers::Running;

const WRITERS: u32 = 4;
/// How often all writers are killed.
const KILLS: u32 = 5;
/// How long the first commit may take after all writers were killed: none of them held anything.
const AT_ONCE: Duration = Duration::from_secs(20);
/// How long it may take until something is said.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writers of two tables are killed; whatever is acknowledged stands there, whatever stands there is whole, and the next ones go
/// on at once, where those were.
pub(super) fn writers(site: &Site) {
    let load = Load { place: &site.place, writers: WRITERS, commits: 900, keyed: true, tables: two };
    load.prepare();
    let (mut said, mut landed) = (Vec::new(), 0);
    for _ in 0..KILLS {
        let started = Instant::now();
        let running: Vec<Process> = (0..WRITERS).map(|writer| load.start(writer)).collect();
        wait_for(&running, 1);
        assert!(started.elapsed() < AT_ONCE, "the first commit took {:?}", started.elapsed());
        let [moment] = Runtime::system().random().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(moment) * 2));
        said.extend(running.into_iter().flat_map(Process::kill));
        landed = load.check(&said);
    }
    println!("  {landed} commits, {} of them acknowledged", said.len());
}

/// The server is killed while writers are at work: they wait, and go on, and nothing that was acknowledged is lost.
pub(super) fn server(site: &Site, server: &Running) {
    let commits = site.turns;
    let load = Load { place: &site.place, writers: WRITERS, commits, keyed: false, tables: one };
    load.prepare();
    let running: Vec<Process> = (0..WRITERS).map(|writer| load.start(writer)).collect();
    for kill in 0..2 {
        wait_for(&running, 1 + (kill * WRITERS * commits / 2) as usize);
        server.kill();
        println!("  killed after {} acknowledged commits", said(&running));
    }
    let said: Vec<String> = running.into_iter().flat_map(Process::finish).collect();
    let landed = load.check(&said);
    assert_eq!((landed, said.len()), ((WRITERS * commits) as usize, landed));
}

fn said(running: &[Process]) -> usize {
    running.iter().map(Process::said).sum()
}

fn wait_for(running: &[Process], lines: usize) {
    let started = Instant::now();
    while said(running) < lines {
        assert!(started.elapsed() < PATIENCE, "only {} commits after {PATIENCE:?}", said(running));
        std::thread::sleep(Duration::from_millis(2));
    }
}
