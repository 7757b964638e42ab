//! A writer of objects that is killed at random moments: whatever stands in the lake is whole, whatever was acknowledged
//! stands there, and what else is left lies under `tmp/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use strandline::Runtime;
use strandline::storage::{DataKind, Durability, Storage};
use strandline_format::{Era, Hash, MAX_META_BYTES, ObjectPath, PathKind, SCRATCH};

use crate::attempt::table;
use crate::child::{Start, acknowledge};
use crate::lake;
use crate::runner::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "crash::of_a_writer_leaves_only_whole_objects",
        run: || whole_objects(Durability::None, 60),
    },
    Case {
        name: "crash::of_a_fsyncing_writer_leaves_only_whole_objects",
        run: || whole_objects(Durability::Fsync, 30),
    },
];

/// The sizes of what is written: below and above what is compressed, what spills, and what goes up in parts.
const SIZES: &[usize] = &[1, 100, 4_096, 4_097, 50_000, 300_000, 1 << 20, 6 << 20];

/// A writer that never ends, and says the path of each object that it has put.
pub(crate) async fn put_for_ever(arguments: &[String]) {
    let [location, durability] = arguments else { panic!("{arguments:?}") };
    let storage = lake::open(location, lake::durability_of(durability)).await;
    let noise = noise(SIZES.iter().copied().max().unwrap());
    for size in SIZES.iter().copied().cycle() {
        acknowledge(put_meta(&storage, fresh(&noise, size.min(300_000))).await.as_str());
        acknowledge(put_data(&storage, fresh(&noise, size)).await.as_str());
        acknowledge(write_data(&storage, &fresh(&noise, size)).await.as_str());
    }
}

async fn put_meta(storage: &Storage, text: Bytes) -> ObjectPath {
    let object = storage.objects().put_meta(text, Era(3)).await.unwrap();
    ObjectPath::meta(&object)
}

async fn put_data(storage: &Storage, bytes: Bytes) -> ObjectPath {
    let object = storage.objects().put_data(DataKind::File, table(), bytes, Era(3)).await.unwrap();
    DataKind::File.path(table(), &object)
}

async fn write_data(storage: &Storage, bytes: &[u8]) -> ObjectPath {
    let mut writer = storage.objects().write_data(DataKind::DeletionVector, table(), Era(3));
    for piece in bytes.chunks(64 << 10) {
        writer.write(piece).await.unwrap();
    }
    DataKind::DeletionVector.path(table(), &writer.finish().await.unwrap())
}

/// Bytes that do not compress well.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    (0..).flat_map(|number: u64| *Hash::of(&number.to_le_bytes()).as_bytes()).take(size).collect()
}

/// The same bytes with another beginning, cheaply: a writer should spend its time at the disk.
fn fresh(noise: &[u8], size: usize) -> Bytes {
    let beginning: [u8; 16] = Runtime::system().random().unwrap();
    let mut bytes = noise[..size].to_vec();
    bytes.iter_mut().zip(beginning).for_each(|(byte, random)| *byte = random);
    bytes.into()
}

fn whole_objects(durability: Durability, rounds: u32) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    let mut acknowledged = BTreeSet::new();
    for _ in 0..rounds {
        let writer = Start::new("put", &[location, lake::durability_name(durability)]).spawn();
        while writer.said() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let [moment] = Runtime::system().random().unwrap();
        std::thread::sleep(Duration::from_micros(300 * u64::from(moment)));
        acknowledged.extend(writer.kill());
    }
    let found = check_folder(folder.path());
    let missing: Vec<_> = acknowledged.difference(&found.objects).collect();
    assert!(missing.is_empty(), "acknowledged and not there: {missing:?}");
    assert!(!acknowledged.is_empty(), "no writer got anything done");
    println!(
        "  {rounds} kills: {} objects whole, {} of them acknowledged, {} leftovers in tmp/",
        found.objects.len(),
        acknowledged.len(),
        found.leftovers
    );
    lake::run(still_usable(location, durability));
    Outcome::Passed
}

async fn still_usable(location: &str, durability: Durability) {
    let storage = lake::open(location, durability).await;
    let object = storage.objects().put_meta(Bytes::from_static(b"{}"), Era(4)).await.unwrap();
    assert_eq!(storage.objects().get_meta(&object).await.unwrap(), "{}");
}

/// What stands in a lake's folder.
#[derive(Default)]
pub(crate) struct Found {
    /// The paths of objects, each checked against its name.
    pub(crate) objects: BTreeSet<String>,
    /// How many files lie under `tmp/`.
    pub(crate) leftovers: usize,
}

/// Reads every file of a lake's folder: it is an object that is what its name says, or a ref or its lock, or lies in `tmp/`.
pub(crate) fn check_folder(root: &Path) -> Found {
    let mut found = Found::default();
    for file in files(root) {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        match ObjectPath::parse(&path) {
            _ if path.starts_with(SCRATCH) => found.leftovers += 1,
            Some(
                PathKind::Meta { hash, .. }
                | PathKind::Data { hash, .. }
                | PathKind::DeletionVector { hash, .. },
            ) => {
                let bytes = std::fs::read(&file).unwrap();
                assert_eq!(Hash::of(&plain(&path, bytes)), hash, "{path} is not what its name says");
                found.objects.insert(path);
            }
            Some(_) => {}
            None => assert!(path.ends_with(".json.lock"), "{path} is nobody's"),
        }
    }
    found
}

fn plain(path: &str, bytes: Vec<u8>) -> Vec<u8> {
    if path.ends_with(".zst") { zstd::bulk::decompress(&bytes, MAX_META_BYTES).unwrap() } else { bytes }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path()),
            false => vec![entry.path()],
        })
        .collect()
}
