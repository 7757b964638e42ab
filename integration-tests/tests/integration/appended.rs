//! Eight processes that append at once, to one table and to a table each: no row is lost and none is there twice, every
//! acknowledged commit is a version of its own.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use strandline::Commit;
use strandline::storage::Durability;

use crate::child::{Start, acknowledge};
use crate::runner::{Case, Outcome};
use crate::tables::{self, Row};
use crate::{lake, second_reader};

pub(crate) const CASES: &[Case] = &[
    Case { name: "appended::by_8_processes_to_one_table", run: || append(Durability::None, 1) },
    Case { name: "appended::by_8_processes_to_8_tables", run: || append(Durability::Fsync, 8) },
];

const WRITERS: u32 = 8;
const APPENDS: u32 = 25;

/// The id of a writer's row.
fn id(writer: u32, number: u32) -> i64 {
    i64::from(writer) * 1000 + i64::from(number)
}

fn table_of(writer: u32, tables: u32) -> String {
    format!("t{}", writer % tables)
}

/// A writer: appends its rows one by one, and says each version that was acknowledged to it.
pub(crate) async fn append_until_done(arguments: &[String]) {
    let [location, durability, table, writer] = arguments else { panic!("{arguments:?}") };
    let lake = tables::open(location, lake::durability_of(durability)).await;
    let writer: u32 = writer.parse().unwrap();
    for number in 0..APPENDS {
        let row = (id(writer, number), i64::from(writer));
        let report = lake.append(table, tables::batch(&[row])).await.unwrap();
        acknowledge(&format!("{} {}", report.commit.version(), report.commit.txn()));
    }
}

fn append(durability: Durability, count: u32) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    let names: Vec<String> = (0..count).map(|table| table_of(table, count)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    lake::run(tables::create(location, durability, &names));
    let start = |writer: u32| {
        let (table, number) = (table_of(writer, count), writer.to_string());
        Start::new("append", &[location, lake::durability_name(durability), &table, &number]).spawn()
    };
    let running: Vec<_> = (0..WRITERS).map(start).collect();
    let said: Vec<String> = running.into_iter().flat_map(crate::child::Process::finish).collect();
    lake::run(check(location, durability, &said, count));
    let without = second_reader::accepts(folder.path()).err();
    without.map_or(Outcome::Passed, |why| Outcome::Skipped(format!("all but the second reader: {why}")))
}

async fn check(location: &str, durability: Durability, said: &[String], count: u32) {
    let lake = tables::open(location, durability).await;
    let main = lake.main().await.unwrap();
    let log = main.log().forwards().from(strandline_format::Seq(2));
    let commits: Vec<Commit> = log.stream().try_collect().await.unwrap();
    let landed: BTreeSet<String> =
        commits.iter().map(|commit| format!("{} {}", commit.version(), commit.txn())).collect();
    assert_eq!(landed, said.iter().cloned().collect(), "what landed is what was acknowledged");
    assert_eq!(said.len(), (WRITERS * APPENDS) as usize);
    let mut expected: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for writer in 0..WRITERS {
        let rows = (0..APPENDS).map(|number| (id(writer, number), i64::from(writer)));
        expected.entry(table_of(writer, count)).or_default().extend(rows);
    }
    for (name, rows) in expected {
        assert_eq!(tables::read(&main.table(&name).await.unwrap()).await.unwrap(), rows, "{name}");
    }
}
