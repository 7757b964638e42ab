//! What opening a lake and planning a table costs, in requests.

use strandline::Lake;
use strandline::tree::{All, FileFilter};
use strandline_format::{FieldId, FileEntry, FileId, Filter, RefName, Seq, TableName, TableSchema, Value};
use strandline_testkit::commits::{TableEdit, commit};
use strandline_testkit::generate::entries;

use crate::fixture::{Counted, open, paused};

fn table(number: u64) -> TableName {
    TableName::new(format!("sales.table_{number}")).unwrap()
}

fn edit(number: u64, files: u64) -> TableEdit {
    TableEdit { name: table(number), puts: (0..files).map(entries::file).collect(), removes: Vec::new() }
}

#[test]
fn opening_a_lake_of_ten_small_tables_and_planning_one_is_one_request() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        commit(&lake, lake.head(), (0..10).map(|number| edit(number, 8)).collect()).await.unwrap();

        let cold = counted.cold();
        let plan = async {
            let lake = open(cold.storage.clone()).await.unwrap();
            let table = lake.head().table(&table(3)).await.unwrap();
            let TableSchema::Inline(schema) = &table.schema else {
                panic!("a small schema stands in its table")
            };
            let filter = Filter::equal(FieldId(1), Value::Long(i64::try_from(5 * entries::ROWS).unwrap()));
            let select = FileFilter::new(filter, &table, schema);
            lake.head().trees().collect(&table.files, &select).await.unwrap()
        };
        let (files, counts) = cold.store.measure(plan).await;
        assert_eq!(files, [FileEntry { added: Seq(1), ..entries::file(5) }]);
        assert_eq!(counts.total().requests, 1, "{counts}");
    });
}

/// As many commits as it takes for every tree to get nodes of its own: what was written is what is read.
#[test]
fn a_lake_of_many_commits_is_what_was_committed() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        let mut head = lake.head().clone();
        for version in 1..=60_u64 {
            let puts = (0..20).map(|at| entries::file(version * 20 + at)).collect();
            let removes = (version > 1).then(|| FileId((version - 1) * 20)).into_iter().collect();
            head = commit(&lake, &head, vec![TableEdit { name: table(version % 7), puts, removes }])
                .await
                .unwrap();
            assert_eq!(head.commit().seq.0, version);
        }
        let cold = open(counted.cold().storage).await.unwrap();
        let head = cold.branch(&RefName::new("main").unwrap()).await.unwrap();
        let past = head.trees().collect(&head.commit().history, &All).await.unwrap();
        assert_eq!(past.iter().map(|entry| entry.seq.0).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
        let mut rows = 0;
        for number in 0..7 {
            let table = head.table(&table(number)).await.unwrap();
            let files = head.trees().collect(&table.files, &All).await.unwrap();
            assert_eq!(table.totals.files, files.len() as u64);
            rows += table.totals.rows;
        }
        assert_eq!(rows, 60 * 20 * entries::ROWS);
    });
}
