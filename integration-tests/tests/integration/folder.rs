//! Folders that fail: not writable, full, gone, or not folders at all. Each is an error of its own kind, within seconds, and
//! leaves nothing half-done.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use strandline::storage::{Durability, Storage};
use strandline_format::{Era, ObjectRef};
use tempfile::TempDir;

use crate::attempt::{self, SECONDS, Tried};
use crate::crash::check_folder;
use crate::lake;
use crate::runner::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    Case { name: "folder_that_is_not_a_folder", run: not_a_folder },
];

/// A lake with an object and a pointer.
struct Lake {
    folder: TempDir,
    object: ObjectRef,
}

impl Lake {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let object = lake::run(fill(&folder.path().join("lake")));
        Self { folder, object }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("lake")
    }
}

async fn fill(root: &Path) -> ObjectRef {
    let storage = open(root).await;
    let swapped = attempt::add_line(&storage, 10).await.unwrap();
    assert!(matches!(swapped, strandline::storage::Swap::Swapped(_)));
    storage.objects().put_meta(Bytes::from_static(b"{}"), Era(0)).await.unwrap()
}

async fn open(root: &Path) -> Storage {
    lake::open(root.to_str().unwrap(), Durability::Fsync).await
}

/// What came of each call, one word for each.
fn words(tried: &[Tried]) -> Vec<String> {
    tried.iter().map(|tried| format!("{}: {}", tried.call, tried.outcome)).collect()
}

fn check_times(tried: &[Tried]) {
    tried.iter().for_each(|tried| assert!(tried.took < SECONDS, "{tried:?}"));
}

fn not_a_folder() -> Outcome {
    for path in ["", "meta", "data", "tmp", "refs", "refs/branches"] {
        let lake = Lake::new();
        let target = if path.is_empty() { lake.root() } else { lake.root().join(path) };
        let _ = fs::remove_dir_all(&target);
        fs::write(&target, "a file").unwrap();
        let tried = lake::run(async { attempt::everything(&open(&lake.root()).await, &lake.object).await });
        println!("{path:?} {:#?}", words(&tried));
        for t in &tried { println!("   {} {:?} {}", t.call, t.took, t.text); }
    }
    for path in ["refs/branches/main.json", "refs/branches/main.json.lock"] {
        let lake = Lake::new();
        let target = if path.is_empty() { lake.root() } else { lake.root().join(path) };
        fs::remove_file(&target).unwrap();
        fs::create_dir(&target).unwrap();
        let tried = lake::run(async { attempt::everything(&open(&lake.root()).await, &lake.object).await });
        println!("{path:?} {:#?}", words(&tried));
        for t in &tried { println!("   {} {:?} {}", t.call, t.took, t.text); }
    }
    Outcome::Passed
}
