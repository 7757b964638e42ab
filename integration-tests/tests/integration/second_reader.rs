//! Lakes that the crates make, read by the second reader of `format-spec/check`: two implementations of one text agree.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};
use strandline::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use strandline::filter::col;
use strandline::tree::All;
use strandline::{Head, Lake, Runtime};
use strandline_format::{
    Bound, Deletes, DeletionVector, EntryType, FieldStats, FileEntry, FileId, NumberMap, RowIds, Step,
    TableName, Totals,
};
use strandline_testkit::commits::{TableEdit, commit};
use strandline_testkit::generate::entries;

use crate::lake::run;
use crate::runner::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    Case { name: "second_reader::agrees_on_lakes_that_the_crates_make", run: agrees },
    Case { name: "second_reader::agrees_on_a_lake_of_branches_that_were_merged", run: agrees_on_merges },
    Case { name: "second_reader::refuses_a_lake_in_which_one_byte_is_wrong", run: refuses_damage },
];

/// The Python that has the second reader's packages, if there is one.
fn python() -> Result<PathBuf, String> {
    let runtime = Runtime::system();
    let variable = |name| runtime.environment().variable(name);
    let python = PathBuf::from(variable("STRANDLINE_PYTHON").unwrap_or_else(|| "python3".to_owned()));
    let works = Command::new(&python).args(["-c", "import blake3, zstandard"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return Ok(python);
    }
    let why = "no Python with the packages of format-spec/check/requirements.txt: see CONTRIBUTING.md";
    if variable("STRANDLINE_REQUIRE_ALL").is_some() { panic!("{why}") } else { Err(why.to_owned()) }
}

/// The exit code and what the second reader says of a folder.
fn read(python: &Path, folder: &Path, data: bool) -> (Option<i32>, Json) {
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format-spec/check/check.py");
    let mut command = Command::new(python);
    command.arg(check).arg(folder).args((!data).then_some("--no-data"));
    let output = command.output().unwrap();
    let said = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), said)
}

/// Has the second reader check a lake, data files too, as it is or while others write.
///
/// # Errors
/// Why there is no second reader.
pub(crate) fn accepts(folder: &Path) -> Result<(), String> {
    let (code, said) = read(&python()?, folder, true);
    assert_eq!(code, Some(0), "{}", said["errors"]);
    Ok(())
}

fn agrees() -> Outcome {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return Outcome::Skipped(why),
    };
    for commits in [0, 1, 5, 90] {
        let folder = tempfile::tempdir().unwrap();
        let (head, expected) = run(async {
            let lake = Lake::create(folder.path().display().to_string()).await.unwrap();
            let head = grow(&lake, commits).await;
            let expected = tables(&head).await;
            (head, expected)
        });
        let (code, said) = read(&python, folder.path(), false);
        assert_eq!(code, Some(0), "{commits} commits: {}", said["errors"]);
        let branch = &said["branches"][0];
        assert_eq!(branch["head"]["hash"], head.pointer().head().hash.to_string());
        assert_eq!(branch["history"].as_array().map(Vec::len), usize::try_from(commits + 1).ok());
        assert_eq!(branch["tables"].as_array().unwrap().len(), expected.len());
        for (found, expected) in branch["tables"].as_array().unwrap().iter().zip(&expected) {
            assert_eq!(&compared(found), expected);
        }
    }
    Outcome::Passed
}

/// Two branches that both change rows of one table and merge each other, with a pick, a revert and a reset.
fn agrees_on_merges() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let lake = Lake::create(folder.path().display().to_string()).await.unwrap();
        let rows = |ids: std::ops::Range<i64>| {
            let ids = std::sync::Arc::new(Int64Array::from_iter_values(ids)) as ArrayRef;
            RecordBatch::try_from_iter([("id", ids.clone()), ("a", ids.clone()), ("b", ids)]).unwrap()
        };
        let on = lake.begin().await.unwrap();
        on.create_table("t").like(&rows(0..0).schema()).await.unwrap();
        on.append("t", rows(0..10)).await.unwrap();
        on.commit().await.unwrap();
        lake.create_branch("dev").await.unwrap();
        for (branch, other, first) in [("main", "dev", 100), ("dev", "main", 200), ("main", "dev", 300)] {
            let column = if branch == "main" { "a" } else { "b" };
            let on = lake.begin().branch(branch).await.unwrap();
            on.append("t", rows(first..first + 3)).await.unwrap();
            on.update("t", col("id").eq(1)).set(column, first).await.unwrap();
            on.delete("t", col("id").eq(first / 100 + 4)).await.unwrap();
            on.commit().await.unwrap();
            lake.merge(branch).into(other).squash().await.unwrap().committed().unwrap();
        }
        lake.create_branch("picked").from("main@{1}").await.unwrap();
        lake.cherry_pick("main@{2}").on("picked").await.unwrap().committed().unwrap();
        lake.revert("picked").on("picked").await.unwrap().committed().unwrap();
        lake.reset("picked~").on("picked").await.unwrap().committed().unwrap();
    });
    match accepts(folder.path()) {
        Ok(()) => Outcome::Passed,
        Err(why) => Outcome::Skipped(why),
    }
}

/// Commits upon commits, over three tables, so that every tree gets nodes of its own; entries of every sort.
async fn grow(lake: &Lake, commits: u64) -> Head {
    let mut head = lake.head().clone();
    for version in 1..=commits {
        let name = TableName::new(["sales.orders", "sales.lines", "Äpfel"][(version % 3) as usize]).unwrap();
        let first = version * 40;
        let puts = (first..first + 40).map(varied).collect();
        let removes = (version > 6).then(|| FileId(first - 120 + version % 40)).into_iter().collect();
        head = commit(lake, &head, vec![TableEdit { name, puts, removes }]).await.unwrap();
    }
    head
}

/// An entry with deletes, row groups, stored row ids, or something unknown, by its id.
fn varied(id: u64) -> FileEntry {
    let mut file = entries::file(id);
    if id.is_multiple_of(3) {
        let vector = DeletionVector::from_positions((0..id % 50 + 1).map(|row| row * 17)).unwrap();
        file.deletes = Some(Deletes::Inline { rows: vector.cardinality(), blob: vector.encode().unwrap() });
    }
    if id.is_multiple_of(5) {
        file.row_groups = vec![4, 1_000 + id, 40_000 + id];
    }
    if id.is_multiple_of(7) {
        file.row_ids = RowIds::Stored;
        file.shifts =
            NumberMap::new([(10, id.cast_signed()), (id + 20, -9)].map(|(from, by)| Step { from, by }))
                .unwrap();
    }
    if id.is_multiple_of(4) {
        let field = Arc::make_mut(&mut file.stats).0.values_mut().nth((id % 8) as usize).unwrap();
        (field.nulls, field.min) = (None, None);
    }
    file
}

/// What the crates read at a head, in the form of the second reader's answer.
async fn tables(head: &Head) -> Vec<Json> {
    let mut tables = Vec::new();
    for entry in head.trees().collect(&head.commit().catalog, &All).await.unwrap() {
        if entry.entry_type != EntryType::Table {
            continue;
        }
        let table = head.table(&entry.name).await.unwrap();
        let files = head.trees().collect(&table.files, &All).await.unwrap();
        let Totals { files: count, rows, bytes, deleted } = table.totals;
        tables.push(json!({
            "name": entry.name.as_str(),
            "id": table.id.to_string(),
            "next_row": table.next_row.0,
            "next_file": table.next_file.0,
            "totals": { "files": count, "rows": rows, "bytes": bytes, "deleted": deleted },
            "files": files.iter().map(file).collect::<Vec<_>>(),
        }));
    }
    tables
}

/// The members of the second reader's table that are compared.
fn compared(table: &Json) -> Json {
    let names = ["name", "id", "next_row", "next_file", "totals", "files"];
    names.into_iter().map(|name| (name.to_owned(), table[name].clone())).collect()
}

fn file(entry: &FileEntry) -> Json {
    let shifts: Vec<Json> = entry.shifts.steps().iter().map(|step| json!([step.from, step.by])).collect();
    let mut file = json!({
        "id": entry.id.0, "hash": entry.hash.to_string(), "era": entry.era.0, "size": entry.size, "rows": entry.rows,
        "footer": entry.footer, "first_row": entry.first_row.0, "added": entry.added.0, "fields": entry.fields,
        "row_groups": entry.row_groups, "order": entry.order, "split": null, "external": null, "deletes": null,
        "row_ids": if entry.row_ids == RowIds::Stored { "stored" } else { "derived" },
        "shifts": if shifts.is_empty() { Json::Null } else { Json::from(shifts) },
        "stats": entry.stats.0.iter().map(|(id, field)| (id.to_string(), stats(field, entry.rows))).collect::<Json>(),
    });
    if let Some(Deletes::Inline { rows, blob }) = &entry.deletes {
        let positions: Vec<Json> =
            DeletionVector::decode(blob).unwrap().positions().map(|at| json!([at, at])).collect();
        file["deletes"] = json!({ "rows": rows, "inline": BASE64.encode(blob) });
        file["deleted_ranges"] = Json::from(positions);
    }
    file
}

fn stats(field: &FieldStats, rows: u64) -> Json {
    let value = |bound: &Option<Bound>| {
        bound.as_ref().map(|bound| serde_json::from_str::<Json>(&bound.value.to_json().unwrap()).unwrap())
    };
    let exact = |bound: &Option<Bound>| bound.as_ref().is_none_or(|bound| bound.exact);
    json!({
        "type": field.ty.to_string(), "nulls": field.nulls, "nans": field.nans, "values": rows,
        "min": value(&field.min), "min_exact": exact(&field.min),
        "max": value(&field.max), "max_exact": exact(&field.max),
    })
}

/// One byte of each object in turn: the second reader names the object, and never prints the state of a table.
fn refuses_damage() -> Outcome {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return Outcome::Skipped(why),
    };
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let lake = Lake::create(folder.path().display().to_string()).await.unwrap();
        grow(&lake, 3).await;
    });
    for path in objects(folder.path()) {
        let sound = std::fs::read(&path).unwrap();
        let mut wrong = sound.clone();
        let middle = wrong.len() / 2;
        wrong[middle] ^= 4;
        std::fs::write(&path, wrong).unwrap();
        let (code, said) = read(&python, folder.path(), false);
        assert_eq!(code, Some(6), "{}: {said}", path.display());
        assert!(said["branches"].is_null(), "{}: {said}", path.display());
        std::fs::write(&path, sound).unwrap();
    }
    assert_eq!(read(&python, folder.path(), false).0, Some(0));
    Outcome::Passed
}

/// The metadata objects of a lake.
fn objects(lake: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(lake.join("meta")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}
