//! Tables of very many files: what planning them costs. Only one file is there; the others are entries, which nothing may open.

use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use strandline::Lake;
use strandline::format::{
    Bound, FieldId, FieldStats, FileEntry, FileId, Hash, PrimitiveType, RowId, Stats, TableName, Value,
};
use strandline_testkit::commits::{TableEdit, commit};
use strandline_testkit::{CountingStore, PathClass, RequestKind};

use crate::fixture::{Counted, longs, open, paused, rows, session, storage, table};

/// The rows of each file.
const ROWS: i64 = 10;

/// A table whose file number n has the ids from 10 n on, and as many again in `twice`. The file in the middle is there.
async fn many(lake: &Lake, files: i64) {
    let there = files / 2;
    let ids = there * ROWS..(there + 1) * ROWS;
    table(lake, "t", &[("id", longs(ids.clone())), ("twice", longs(ids.map(|id| id * 2)))]).await;
    let known = lake.table("t").await.unwrap().files().await.unwrap().remove(0);
    let edit = TableEdit {
        name: TableName::new("t").unwrap(),
        puts: (0..files).map(|at| entry(&known, at, at == there)).collect(),
        removes: Vec::new(),
    };
    let head = lake.branch(lake.default_branch()).await.unwrap();
    commit(lake, &head, vec![edit]).await.unwrap();
}

fn entry(known: &FileEntry, at: i64, there: bool) -> FileEntry {
    let place = u64::try_from(at).unwrap();
    let field = |id: i32, factor: i64| {
        let bound = |row: i64| Some(Bound::exact(Value::Long((at * ROWS + row) * factor)));
        let stats = FieldStats {
            nulls: Some(0),
            min: bound(0),
            max: bound(ROWS - 1),
            ..FieldStats::unknown(PrimitiveType::Long)
        };
        (FieldId(id), stats)
    };
    FileEntry {
        id: FileId(place),
        hash: if there { known.hash } else { Hash::of(&at.to_le_bytes()) },
        first_row: RowId(place * known.rows),
        stats: Stats([field(1, 1), field(2, 2)].into()).into(),
        ..known.clone()
    }
}

#[test]
fn counts_and_extremes_of_ten_thousand_files_open_none() {
    paused(async {
        let counted = Counted::new().await;
        many(&counted.lake, 10_000).await;
        let lake = counted.cold().await;
        let query = async {
            let sql = "SELECT count(*), count(id), min(id), max(twice) FROM lake.public.t";
            rows(&session(&lake), sql).await
        };
        let (found, counts) = counted.store.measure(query).await;
        assert_eq!(found, ["100000 100000 0 199998"]);
        assert_eq!(counts.to(PathClass::Data).requests, 0, "{counts}");
    });
}

#[test]
fn one_file_of_a_hundred_thousand_takes_six_requests_cold() {
    paused(async {
        let counted = Counted::new().await;
        many(&counted.lake, 100_000).await;
        let query = async {
            let lake = counted.cold().await;
            rows(&session(&lake), "SELECT twice FROM lake.public.t WHERE id = 500003").await
        };
        let (found, counts) = counted.store.measure(query).await;
        assert_eq!(found, ["1000006"]);
        assert!(counts.total().requests <= 6, "{counts}");
        assert_eq!(counts.of(RequestKind::Get).requests, counts.total().requests, "{counts}");
        assert_eq!(counts.to(PathClass::Data).requests, 1, "{counts}");
    });
}

#[test]
fn the_first_row_of_a_small_table_is_four_round_trips_away() {
    paused(async {
        let memory = Arc::new(InMemory::new());
        let lake = Lake::create_in(storage(&CountingStore::new(memory.clone()))).await.unwrap();
        table(&lake, "t", &[("id", longs(0..100))]).await;
        let trip = Duration::from_millis(30);
        let far = CountingStore::with_latency(memory, trip);
        let begun = tokio::time::Instant::now();
        let lake = open(storage(&far)).await;
        let found = rows(&session(&lake), "SELECT sum(id) FROM lake.public.t").await;
        assert_eq!(found, ["4950"]);
        assert!(begun.elapsed() <= 4 * trip, "{:?}", begun.elapsed());
        assert!(begun.elapsed() >= 2 * trip, "nothing was waited for: {:?}", begun.elapsed());
    });
}
