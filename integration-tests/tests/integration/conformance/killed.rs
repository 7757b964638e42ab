//! `kill -9`: of writers in the middle of their commits, and of the server in the middle of a load.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use strandline::storage::{DataKind, Durability};
use strandline::{Lake, Runtime};
use strandline_format::Era;
use tokio::time::Instant;

use super::writers::{Load, one, two};
use super::{Site, rows};
use crate::attempt;
use crate::child::Process;
use crate::crash::noise;
use crate::lake::{self, Place};
use crate::second_reader;
use crate::servers::Running;

const WRITERS: u32 = 4;
/// How long the first commit may take after all writers were killed, at least; and how many times as long as the first of all, before
/// which nobody was killed: none of them held anything, and processes that start take their time where many tests run.
const AT_ONCE: (Duration, u32) = (Duration::from_secs(5), 3);
/// How much is on its way when the server is killed, and since when.
const LARGE: usize = 24 << 20;
const UNDER_WAY: Duration = Duration::from_millis(30);
/// How long it may take until something is said.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writers of two tables are killed; whatever is acknowledged stands there, whatever stands there is whole, and the next ones go
/// on at once, where those were. In the end the second reader of the specification finds nothing wrong.
pub(super) fn writers(site: &Site) {
    let load = Load { place: &site.place, writers: WRITERS, commits: 900, keyed: true, tables: two };
    load.prepare();
    let (mut said, mut landed, mut allowed) = (Vec::new(), 0, None);
    for _ in 0..site.kills {
        let started = Instant::now();
        let running: Vec<Process> = (0..WRITERS).map(|writer| load.start(writer)).collect();
        wait_for(&running, 1);
        let took = started.elapsed();
        let allowed = *allowed.get_or_insert(AT_ONCE.0.max(took * AT_ONCE.1));
        assert!(took <= allowed, "the first commit took {took:?}, not {allowed:?}");
        let [moment] = Runtime::system().random().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(moment) * 2));
        said.extend(running.into_iter().flat_map(Process::kill));
        landed = load.check(&said);
    }
    let killed = site.kills * WRITERS;
    println!("  {killed} writers killed: {landed} commits, {} of them acknowledged", said.len());
    if let Err(why) = check_copy(&site.place) {
        println!("  without the second reader: {why}");
    }
}

/// Has the second reader look at all that lies there.
fn check_copy(place: &Place) -> Result<(), String> {
    let copy = tempfile::tempdir().unwrap();
    lake::run(async {
        let storage = lake::open_at(place, Durability::None).await;
        let store = storage.objects().store();
        let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
        for object in objects.iter().filter(|object| !object.location.as_ref().starts_with("tmp/")) {
            let path = copy.path().join(object.location.as_ref());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, store.get(&object.location).await.unwrap().bytes().await.unwrap()).unwrap();
        }
    });
    second_reader::accepts(copy.path())
}

/// The server is killed while writers are at work: they wait, and go on, and nothing that was acknowledged is lost. Who reads then
/// waits as well.
pub(super) fn server(site: &Site, server: &Running) {
    let commits = site.turns;
    let load = Load { place: &site.place, writers: WRITERS, commits, keyed: false, tables: one };
    load.prepare();
    let running: Vec<Process> = (0..WRITERS).map(|writer| load.start(writer)).collect();
    let large = Bytes::from(noise(LARGE));
    for kill in 0..2 {
        wait_for(&running, 1 + (kill * WRITERS * commits / 2) as usize);
        lake::run(async {
            let reader = rows::open(&site.place).await;
            let uploads = uploads(&reader, large.slice(kill as usize..));
            let killed = async {
                // The parts are on their way by then.
                tokio::time::sleep(UNDER_WAY).await;
                server.kill();
                let begun = Instant::now();
                let rows = rows::read(&reader.table(&one(0)[0]).await.unwrap()).await;
                println!("  {} rows read {:.1} s after the kill", rows.len(), begun.elapsed().as_secs_f64());
            };
            tokio::join!(uploads, killed);
        });
        println!("  killed after {} acknowledged commits", said(&running));
    }
    let said: Vec<String> = running.into_iter().flat_map(Process::finish).collect();
    let landed = load.check(&said);
    assert_eq!((landed, said.len()), ((WRITERS * commits) as usize, landed));
}

/// A file that goes up in parts while the server is killed: whatever of them was lost, it is there in the end, and whole.
async fn uploads(lake: &Lake, bytes: Bytes) {
    let objects = lake.storage().objects();
    let put = objects.put_data(DataKind::File, attempt::table(), bytes.clone(), Era(0)).await.unwrap();
    assert!(objects.get_data(DataKind::File, attempt::table(), &put).await.unwrap() == bytes);
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
