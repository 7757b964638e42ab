//! Objects that vanish, are cut, or have other bytes, and pointers that are garbage: an error that names the object and, where it
//! was read whole, the expected and the found hash; never wrong rows; what does not need the object is read and written as
//! before, and once it is restored everything is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use strandline::filter::col;
use strandline::storage::Durability;
use strandline::{Commit, Error, ErrorKind, Lake, Resolution, Result};
use strandline_format::{Hash, ObjectPath, PathKind, TableId};
use tempfile::TempDir;

use crate::crash::files;
use crate::runner::{Case, Outcome};
use crate::tables::{self, Row};
use crate::{lake, second_reader};

pub(crate) const CASES: &[Case] = &[
    Case { name: "damage::of_any_object_is_an_error_that_names_it", run: of_any_object },
    Case { name: "damage::of_a_large_file_gives_no_wrong_row", run: of_a_large_file },
    Case { name: "damage::of_a_pointer_is_an_error_and_is_never_overwritten", run: of_a_pointer },
];

/// The rows that are deleted by a vector too long for its entry.
const DELETED: i64 = 0;
const NAMES: [&str; 2] = ["good", "bad"];
const VERSIONS: u64 = 5;
/// How many places of a large file are tried.
const FLIPS: usize = 60;

/// A lake whose table "bad" has data files, a stored deletion vector and nodes of several versions; "good" has less of it.
async fn make(location: &str) {
    let lake = tables::create(location, Durability::None, &NAMES).await;
    let transaction = lake.begin().await.unwrap();
    transaction.append("good", tables::of_writer(0..10, 1)).await.unwrap();
    let many: Vec<Row> = (0..20_000).map(|id| (id, id % 3)).collect();
    transaction.append("bad", tables::batch(&many)).await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = lake.begin().await.unwrap();
    transaction.delete("bad", col("writer").eq(DELETED)).await.unwrap();
    transaction.commit().await.unwrap();
    lake.append("good", tables::of_writer(10..20, 1)).await.unwrap();
    let report = lake.append("bad", tables::of_writer(20_000..20_010, 1)).await.unwrap();
    assert_eq!(report.commit.version().0, VERSIONS);
}

/// What reading something came to.
struct Answer {
    what: String,
    came: Result<Vec<Row>>,
}

/// Reads every version of both tables, and the log, with nothing remembered.
async fn survey(location: &str) -> Vec<Answer> {
    let lake = match reopened(location).await {
        Ok(lake) => lake,
        Err(error) => return vec![Answer { what: "the lake".to_owned(), came: Err(error) }],
    };
    let mut answers = vec![Answer { what: "the log".to_owned(), came: log(&lake).await }];
    for version in 1..=VERSIONS {
        for name in NAMES {
            let came = read(&lake, version, name).await;
            answers.push(Answer { what: format!("{name} at version {version}"), came });
        }
    }
    answers
}

async fn reopened(location: &str) -> Result<Lake> {
    let main = strandline_format::RefName::new("main").unwrap();
    Lake::open_in(lake::open(location, Durability::None).await, &main).await
}

async fn read(lake: &Lake, version: u64, name: &str) -> Result<Vec<Row>> {
    tables::read(&lake.at(format!("main@{{{version}}}")).await?.table(name).await?).await
}

/// As many rows as there are commits.
async fn log(lake: &Lake) -> Result<Vec<Row>> {
    let commits: Vec<Commit> = lake.main().await?.log().stream().try_collect().await?;
    Ok(commits.iter().map(|commit| (i64::try_from(commit.version().0).unwrap(), 0)).collect())
}

/// A file of the lake that was damaged, and how to mend it.
struct Damage {
    path: PathBuf,
    sound: Vec<u8>,
    /// What stands there instead.
    wrong: Option<Vec<u8>>,
}

impl Damage {
    fn all(path: &Path, other: &[u8]) -> Vec<Self> {
        let sound = fs::read(path).unwrap();
        let flipped = |at: usize| {
            let mut bytes = sound.clone();
            bytes[at] ^= 4;
            Some(bytes)
        };
        let swapped = {
            let mut bytes = sound.clone();
            let half = bytes.len() / 2;
            bytes.rotate_left(half);
            Some(bytes)
        };
        let wrongs = [
            None,
            flipped(0),
            flipped(sound.len() / 2),
            flipped(sound.len() - 1),
            swapped,
            Some(sound[..sound.len() / 2].to_vec()),
            Some(Vec::new()),
            Some(other.to_vec()),
        ];
        wrongs.map(|wrong| Self { path: path.to_owned(), sound: sound.clone(), wrong }).into()
    }

    fn strike(&self) {
        match &self.wrong {
            Some(wrong) => fs::write(&self.path, wrong).unwrap(),
            None => fs::remove_file(&self.path).unwrap(),
        }
    }

    fn mend(&self) {
        fs::write(&self.path, &self.sound).unwrap();
    }

    /// What an error must say of it.
    fn check_named(&self, hash: &Hash, error: &Error) {
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
        assert!(text.contains(&hash.to_string()), "{} is not named: {text}", self.path.display());
        match &self.wrong {
            None => assert!(text.contains("missing"), "{text}"),
            // What is compressed may not come to be hashed.
            Some(wrong) if wrong.len() == self.sound.len() && !self.is_compressed() => {
                let hashes = format!("expected hash {hash}, found {}", Hash::of(wrong));
                assert!(text.contains(&hashes), "{hashes}: {text}");
            }
            Some(_) => {}
        }
    }

    fn is_compressed(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "zst")
    }
}

/// An object by its path: its hash, and whose it is.
fn object(root: &Path, path: &Path) -> Option<(Hash, Option<TableId>)> {
    match ObjectPath::parse(path.strip_prefix(root).unwrap().to_str().unwrap())? {
        PathKind::Meta { hash, .. } => Some((hash, None)),
        PathKind::Data { table, hash, .. } | PathKind::DeletionVector { table, hash, .. } => {
            Some((hash, Some(table)))
        }
        _ => None,
    }
}

fn of_any_object() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    lake::run(make(location));
    let expected: Vec<Vec<Row>> =
        lake::run(survey(location)).into_iter().map(|answer| answer.came.unwrap()).collect();
    let bad =
        lake::run(async { tables::open(location, Durability::None).await.table("bad").await.unwrap().id() });
    let packed = lake::run(packed(location));
    let mut kinds = BTreeSet::new();
    for path in files(folder.path()) {
        let Some((hash, owner)) = object(folder.path(), &path) else { continue };
        kinds.insert(path.extension().unwrap().to_str().unwrap().to_owned());
        for damage in Damage::all(&path, b"{\"format\":1}") {
            damage.strike();
            let answers = lake::run(survey(location));
            let failed = check(&damage, &hash, &answers, &expected);
            assert!(failed > 0 || packed.contains(&hash), "nobody missed {}", path.display());
            if owner == Some(bad) {
                only_bad_fails(&answers);
            }
            damage.mend();
        }
    }
    ["dv", "json", "parquet"].iter().for_each(|kind| assert!(kinds.contains(*kind), "no {kind}"));
    goes_on(&folder)
}

/// The objects that the pointer brings along, which nobody asks for as long as it does.
async fn packed(location: &str) -> BTreeSet<Hash> {
    let lake = tables::open(location, Durability::None).await;
    lake.head().pointer().pack().iter().map(|(hash, _)| hash).collect()
}

/// How many answers are errors; the others are right.
fn check(damage: &Damage, hash: &Hash, answers: &[Answer], expected: &[Vec<Row>]) -> usize {
    let mut failed = 0;
    for (at, Answer { what, came }) in answers.iter().enumerate() {
        match came {
            Ok(rows) => assert_eq!(rows, &expected[at], "{what}, with {} damaged", damage.path.display()),
            Err(error) => {
                damage.check_named(hash, error);
                failed += 1;
            }
        }
    }
    failed
}

fn only_bad_fails(answers: &[Answer]) {
    for Answer { what, came } in answers {
        assert!(came.is_ok() || what.starts_with("bad"), "{what} fails because of bad's data");
    }
}

/// Everything reads and writes again.
fn goes_on(folder: &TempDir) -> Outcome {
    let location = folder.path().to_str().unwrap();
    lake::run(async {
        let lake = tables::open(location, Durability::None).await;
        let transaction = lake.begin().await.unwrap();
        for name in NAMES {
            transaction.append(name, tables::of_writer(30_000..30_001, 7)).await.unwrap();
        }
        let report = transaction.commit().await.unwrap();
        assert_eq!(report.commit.version().0, VERSIONS + 1);
        for name in NAMES {
            let rows = tables::read(&lake.table(name).await.unwrap()).await.unwrap();
            assert_eq!(rows.last(), Some(&(30_000, 7)));
        }
    });
    let without = second_reader::accepts(folder.path()).err();
    without.map_or(Outcome::Passed, |why| Outcome::Skipped(format!("all but the second reader: {why}")))
}

/// A file that is too large to be read whole: a scan reads ranges of it, which it cannot hold against a hash over the whole, but
/// page by page against checksums.
fn of_a_large_file() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    let rows: Vec<Row> = (0..200_000).map(|id| (id, noise(id))).collect();
    lake::run(async {
        let lake = tables::create(location, Durability::None, &["large", "other"]).await;
        lake.append("large", tables::batch(&rows)).await.unwrap();
        lake.append("other", tables::of_writer(0..5, 1)).await.unwrap();
    });
    let path = files(folder.path()).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let (hash, _) = object(folder.path(), &path).unwrap();
    let sound = fs::read(&path).unwrap();
    assert!(sound.len() > 1 << 20, "{} bytes are read whole", sound.len());
    // Vanished, cut, and the footer damaged: these are found in any case.
    for wrong in [None, Some(sound[..sound.len() - 1].to_vec()), Some(sound[1..].to_vec()), Some(Vec::new())]
    {
        let damage = Damage { path: path.clone(), sound: sound.clone(), wrong };
        damage.strike();
        lake::run(async {
            let lake = tables::open(location, Durability::None).await;
            let error = tables::read(&lake.table("large").await.unwrap()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(&hash.to_string()), "{error}");
            assert_eq!(tables::read(&lake.table("other").await.unwrap()).await.unwrap().len(), 5);
        });
        damage.mend();
    }
    flips_of_a_large_file(location, &Damage { path, sound, wrong: None }, &rows);
    Outcome::Passed
}

/// Numbers without any order.
fn noise(id: i64) -> i64 {
    let bytes = *Hash::of(&id.to_le_bytes()).as_bytes();
    i64::from_le_bytes(bytes[..8].try_into().unwrap())
}

/// A flipped bit is found by the checksum of its page, unless it is where nobody reads.
fn flips_of_a_large_file(location: &str, damage: &Damage, rows: &[Row]) {
    let mut found = 0;
    for step in 0..FLIPS {
        let mut wrong = damage.sound.clone();
        let at = wrong.len() * step / FLIPS;
        wrong[at] ^= 4;
        let struck = Damage { wrong: Some(wrong), path: damage.path.clone(), sound: damage.sound.clone() };
        struck.strike();
        let came = lake::run(async {
            let lake = tables::open(location, Durability::None).await;
            tables::read(&lake.table("large").await.unwrap()).await
        });
        match came {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                found += 1;
            }
            Ok(came) => assert!(came == rows, "a flip of byte {at} gives wrong rows"),
        }
        struck.mend();
    }
    println!("  {found} of {FLIPS} flips of a large file are found by a scan, no other changes a row");
    assert!(found > FLIPS / 2);
}

fn of_a_pointer() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    lake::run(make(location));
    let path = folder.path().join("refs/branches/main.json");
    let sound = fs::read(&path).unwrap();
    let text = String::from_utf8(sound.clone()).unwrap();
    let head =
        lake::run(async { tables::open(location, Durability::None).await.head().pointer().head().hash });
    let elsewhere = text.replace(&head.to_string(), &Hash::of(b"elsewhere").to_string());
    let wrongs: [&[u8]; 7] = [
        b"garbage",
        b"",
        b"{}",
        &sound[..sound.len() - 1],
        b"\xff\xfe",
        elsewhere.as_bytes(),
        &text.replace("\"branch\":\"main\"", "\"branch\":\"dev\"").into_bytes(),
    ];
    for wrong in wrongs {
        assert_ne!(wrong, sound);
        lake::run(check_pointer(location, &path, wrong));
    }
    assert_eq!(
        wrongs.len() as u64 + VERSIONS,
        lake::run(async { tables::open(location, Durability::None).await.main().await.unwrap().version().0 })
    );
    let without = second_reader::accepts(folder.path()).err();
    without.map_or(Outcome::Passed, |why| Outcome::Skipped(format!("all but the second reader: {why}")))
}

async fn check_pointer(location: &str, path: &Path, wrong: &[u8]) {
    let said = String::from_utf8_lossy(wrong).into_owned();
    let sound = fs::read(path).unwrap();
    let lake = tables::open(location, Durability::None).await;
    fs::write(path, wrong).unwrap();
    let error = reopened(location).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{said}: {error}");
    assert!(
        error.to_string().contains("refs/branches/main.json") || error.to_string().contains("meta/"),
        "{error}"
    );
    // Whoever has it open already neither reads from it nor writes over it. What stood there before it became garbage nobody
    // can tell, so the commit is in doubt until it is restored.
    let error = lake.append("good", tables::of_writer(50_000..50_001, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitUnknown, "{said}: {error}");
    assert_eq!(lake.table("good").await.unwrap_err().kind(), ErrorKind::Corrupt, "{said}");
    assert_eq!(fs::read(path).unwrap(), wrong, "{said}: it was overwritten");
    fs::write(path, sound).unwrap();
    let resolved = lake.resolve_by_fence(error.unresolved().unwrap()).await.unwrap();
    assert!(matches!(resolved, Resolution::Aborted), "{said}: {resolved:?}");
    let before = tables::read(&lake.table("good").await.unwrap()).await.unwrap().len();
    lake.append("good", tables::of_writer(60_000..60_001, 1)).await.unwrap();
    assert_eq!(tables::read(&lake.table("good").await.unwrap()).await.unwrap().len(), before + 1);
}
