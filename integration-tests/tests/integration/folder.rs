//! Folders that fail: not writable, full, gone, or not folders at all. Each is an error of its own kind, within seconds, and
//! leaves nothing half-done.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use strandline::storage::{Durability, Storage};
use strandline_format::Era;
use tempfile::TempDir;

use crate::attempt::{self, Tried};
use crate::child::{Start, acknowledge};
use crate::crash::{check_folder, files};
use crate::lake;
use crate::runner::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    Case { name: "folder::that_is_not_a_folder", run: not_a_folder },
    Case { name: "folder::whose_path_leads_nowhere", run: leads_nowhere },
    Case { name: "folder::that_is_not_writable", run: not_writable },
    Case { name: "folder::on_a_full_disk", run: full_disk },
    Case { name: "folder::with_a_limit_on_the_size_of_files", run: limited_files },
    Case { name: "folder::that_vanishes", run: vanishes },
];

/// Every call that stores something.
const WRITES: &[&str] = &["put", "put data", "write data", "swap", "probe"];

/// A lake with an object and a pointer, in a folder that others may look into.
struct Lake(TempDir);

impl Lake {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        lake::run(fill(&folder.path().join("lake")));
        Self(folder)
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("lake")
    }

    fn everything(&self) -> Vec<Tried> {
        lake::run(async { attempt::everything(&open(&self.root()).await).await })
    }
}

async fn fill(root: &Path) {
    let storage = open(root).await;
    assert_eq!(attempt::swap(&storage, 10).await.outcome, "swapped");
    let object = storage.objects().put_meta(Bytes::from_static(attempt::TEXT), Era(0)).await.unwrap();
    assert_eq!(object, attempt::object());
}

async fn open(root: &Path) -> Storage {
    lake::open(root.to_str().unwrap(), Durability::Fsync).await
}

/// Checks that these calls ended with this kind of error, in time, and all others well.
fn check(case: &str, tried: &[Tried], failing: &[&str], kind: &str) {
    for Tried { call, outcome, text, took } in tried {
        let well = if *call == "swap" { "swapped" } else { "ok" };
        let expected = if failing.contains(call) { kind } else { well };
        assert_eq!(outcome, expected, "{case}: {call}: {text}");
        assert!(*took < attempt::SECONDS, "{case}: {call} took {took:?}");
    }
}

/// Every file of a folder, and what is in it.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files(root).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn not_a_folder() -> Outcome {
    let refs = &["load", "list", "swap"][..];
    let check = |path: &str, failing: &[&str]| {
        let lake = Lake::new();
        let target = lake.root().join(path);
        if target.exists() {
            fs::remove_dir_all(&target).unwrap();
        }
        fs::write(&target, "a file").unwrap();
        check(path, &lake.everything(), failing, "invalid input");
    };
    check("meta", &["get", "put"]);
    check("data", &["put data", "write data"]);
    check("tmp", WRITES);
    check("refs", refs);
    check("refs/branches", refs);
    file_is_a_folder("refs/branches/main.json", &["load", "swap"], "corrupt");
    file_is_a_folder("refs/branches/main.json.lock", &["swap"], "invalid input");
    root_is_a_file();
    Outcome::Passed
}

fn file_is_a_folder(path: &str, failing: &[&str], kind: &str) {
    let lake = Lake::new();
    fs::remove_file(lake.root().join(path)).unwrap();
    fs::create_dir(lake.root().join(path)).unwrap();
    check(path, &lake.everything(), failing, kind);
}

fn root_is_a_file() {
    let lake = Lake::new();
    fs::remove_dir_all(lake.root()).unwrap();
    fs::write(lake.root(), "a file").unwrap();
    check("the root", &lake.everything(), &[&["load", "list", "get"], WRITES].concat(), "invalid input");
    assert_eq!(fs::read(lake.root()).unwrap(), b"a file");
}

fn leads_nowhere() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(300));
    let tried = lake::run(async { attempt::everything(&open(&long).await).await });
    check("a name that is too long", &tried, &[&["load", "list", "get"], WRITES].concat(), "invalid input");
    #[cfg(unix)]
    {
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
        let tried = lake::run(async { attempt::everything(&open(&link).await).await });
        // Nothing is there yet, as in a folder that is still to be made; but it cannot be made.
        let (get, rest): (Vec<Tried>, Vec<Tried>) = tried.into_iter().partition(|tried| tried.call == "get");
        check("a link to nowhere", &get, &["get"], "corrupt");
        check("a link to nowhere", &rest, WRITES, "not found");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && !folder.path().join("nowhere").exists());
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(files(folder.path()).len(), 0);
    Outcome::Passed
}

/// Tries everything in a process of its own, and says what came of it.
pub(crate) async fn try_everything(arguments: &[String]) {
    let [location] = arguments else { panic!("{arguments:?}") };
    let tried = attempt::everything(&lake::open(location, Durability::Fsync).await).await;
    tried.iter().for_each(|tried| acknowledge(&tried.to_line()));
}

fn heard(said: &[String]) -> Vec<Tried> {
    assert!(!said.is_empty(), "a process said nothing");
    said.iter().map(|line| Tried::of_line(line)).collect()
}

fn not_writable() -> Outcome {
    let lake = Lake::new();
    let before = contents(&lake.root());
    set_writable(lake.0.path(), false);
    let outcome = not_writable_to_others(&lake);
    set_writable(lake.0.path(), true);
    assert_eq!(contents(&lake.root()), before);
    outcome
}

fn not_writable_to_others(lake: &Lake) -> Outcome {
    let absent = lake.0.path().join("absent/lake");
    for (root, get) in [(lake.root(), "ok"), (absent, "corrupt")] {
        let start = Start::new("everything", &[root.to_str().unwrap()]).without_privileges();
        let Some(process) = start.try_spawn() else {
            return Outcome::Skipped("this user may not run the test binary without privileges".to_owned());
        };
        let mut tried = heard(&process.finish());
        let found = tried.remove(2);
        assert_eq!((found.call, found.outcome.as_str()), ("get", get), "{}", found.text);
        check("not writable", &tried, WRITES, "permission denied");
    }
    Outcome::Passed
}

/// Takes the right to write to all folders below, or gives it back. A privileged user needs none: see `without_privileges`.
pub(crate) fn set_writable(folder: &Path, writable: bool) {
    let mut permissions = fs::metadata(folder).unwrap().permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, if writable { 0o755 } else { 0o555 });
    #[cfg(not(unix))]
    permissions.set_readonly(!writable);
    fs::set_permissions(folder, permissions).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            set_writable(&entry.path(), writable);
        }
    }
}

/// A small disk, where the system lets us make one.
pub(crate) struct Disk(TempDir);

impl Disk {
    const BYTES: usize = 4 << 20;

    pub(crate) fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={}", Self::BYTES);
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it, but for this much.
    pub(crate) fn fill(&self, room: usize) {
        let filler = self.filler();
        fs::write(&filler, vec![1; Self::BYTES]).unwrap_err();
        let filled = fs::metadata(&filler).unwrap().len();
        let file = fs::File::options().write(true).open(&filler).unwrap();
        file.set_len(filled.saturating_sub(room as u64)).unwrap();
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    /// Lets nobody write to it, the superuser neither, or everybody again.
    pub(crate) fn set_writable(&self, writable: bool) {
        let options = if writable { "remount,rw" } else { "remount,ro" };
        let mount = Command::new("mount").args(["-o", options]).arg(self.0.path()).status();
        assert!(mount.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What stays mounted is seen when the folder cannot be removed.
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn full_disk() -> Outcome {
    let Some(disk) = Disk::new() else {
        return Outcome::Skipped("no right to mount a small disk".to_owned());
    };
    let root = disk.path().join("lake");
    lake::run(fill(&root));
    let before = contents(&root);
    disk.fill(0);
    let tried = lake::run(async { attempt::everything(&open(&root).await).await });
    check("a full disk", &tried, WRITES, "store full");
    let writes = tried.iter().filter(|tried| WRITES.contains(&tried.call));
    writes.for_each(|tried| assert!(tried.text.contains("No space left"), "{tried:?}"));
    assert_eq!(contents(&root), before);
    disk.free();
    let tried = lake::run(async { attempt::everything(&open(&root).await).await });
    check("a disk that has room again", &tried, &[], "");
    Outcome::Passed
}

fn limited_files() -> Outcome {
    let lake = Lake::new();
    let before = fs::read(lake.root().join("refs/branches/main.json")).unwrap();
    let Some(start) = Start::new("everything", &[lake.root().to_str().unwrap()]).with_small_files() else {
        return Outcome::Skipped("no shell to limit the size of files with".to_owned());
    };
    let tried = heard(&start.spawn().finish());
    check("small files", &tried, &["put data", "write data", "swap"], "store full");
    assert_eq!(fs::read(lake.root().join("refs/branches/main.json")).unwrap(), before);
    assert_eq!(check_folder(&lake.root()).leftovers, 0);
    Outcome::Passed
}

fn vanishes() -> Outcome {
    for part in ["", "refs", "refs/branches"] {
        let lake = Lake::new();
        let before = contents(&lake.root().join(part)).into_values().collect::<Vec<_>>();
        lake::run(swap_what_has_gone(&lake, part));
        // Not a byte of what was taken away has changed, and what was made anew is whole.
        assert_eq!(contents(&lake.0.path().join("gone")).into_values().collect::<Vec<_>>(), before);
        assert_eq!(check_folder(&lake.root()).leftovers, 0);
    }
    Outcome::Passed
}

async fn swap_what_has_gone(lake: &Lake, part: &str) {
    let storage = open(&lake.root()).await;
    let base = storage.refs().load(&lake::main()).await.unwrap().map(|loaded| loaded.token);
    fs::rename(lake.root().join(part), lake.0.path().join("gone")).unwrap();
    let path = lake::main();
    let stale = attempt::tried_swap("swap", storage.refs().swap(&path, base.as_ref(), "x".into())).await;
    assert!(["moved", "not found"].contains(&stale.outcome.as_str()), "{part}: {stale:?}");
    assert!(stale.took < attempt::SECONDS, "{stale:?}");
    assert_eq!(storage.refs().load(&lake::main()).await.unwrap(), None, "{part}");
    // Objects go into a folder that is made anew, as the first ones did.
    let object = storage.objects().put_meta(Bytes::from_static(b"{\"b\":2}"), Era(1)).await.unwrap();
    assert_eq!(storage.objects().get_meta(&object).await.unwrap(), "{\"b\":2}");
}
