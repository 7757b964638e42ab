//! Tables, transactions, time and refs, once around: what one handle commits another one reads.

use std::collections::BTreeSet;

use strandline::filter::col;
use strandline::merge::ConflictKind;
use strandline::{ErrorKind, Lake, Resolution, Transaction};
use strandline_format::{ColumnName, Field, PrimitiveType, Value};

use super::Site;
use super::rows::{self, Row, batch, read, read_at};
use crate::lake;

/// Two tables in one transaction, all that can be done to rows and columns, and every version of it afterwards.
pub(super) fn tables(site: &Site) {
    lake::run(async {
        let (lake, other) =
            (rows::create(&site.place, &["left", "right"]).await, rows::open(&site.place).await);
        let transaction = lake.begin().await.unwrap();
        transaction.append("left", batch(&[(1, 1), (2, 1), (3, 1)])).await.unwrap();
        transaction.append("right", batch(&[(1, 2)])).await.unwrap();
        assert_eq!(read(&transaction.table("right").await.unwrap()).await, [(1, 2)]);
        assert_eq!(read(&other.table("right").await.unwrap()).await, []);
        commit(&transaction, 2).await;
        let transaction = other.begin().await.unwrap();
        assert_eq!(transaction.delete("left", col("id").lt(2)).await.unwrap(), 1);
        transaction.overwrite("right", batch(&[(7, 3), (8, 3)])).await.unwrap();
        commit(&transaction, 3).await;
        let transaction = lake.begin().await.unwrap();
        transaction.overwrite("left", batch(&[(3, 4)])).matching(col("id").eq(3)).await.unwrap();
        commit(&transaction, 4).await;
        evolve(&lake).await;
        past(&rows::open(&site.place).await).await;
    });
}

async fn commit(transaction: &Transaction, version: u64) {
    let report = transaction.commit().await.unwrap();
    assert_eq!((report.commit.version().0, report.already), (version, false));
}

/// In version 5 the table has other columns; its files stay.
async fn evolve(lake: &Lake) {
    let transaction = lake.begin().await.unwrap();
    let initial = Some(Value::Long(5));
    let field = Field::optional(ColumnName::new("more").unwrap(), PrimitiveType::Long);
    let alter = transaction.alter_table("left").drop_column("who").rename_column("id", "number");
    alter.add_column(Field { initial: initial.clone(), default: initial, ..field }).await.unwrap();
    commit(&transaction, 5).await;
}

/// Each version is what it was.
async fn past(lake: &Lake) {
    let versions: [(&str, &[Row], &[Row]); 4] = [
        ("main~4", &[], &[]),
        ("main@{2}", &[(1, 1), (2, 1), (3, 1)], &[(1, 2)]),
        ("v3", &[(2, 1), (3, 1)], &[(7, 3), (8, 3)]),
        ("main~1", &[(2, 1), (3, 4)], &[(7, 3), (8, 3)]),
    ];
    for (reference, left, right) in versions {
        assert_eq!(read_at(lake, reference, "left").await, left, "{reference}");
        assert_eq!(read_at(lake, reference, "right").await, right, "{reference}");
    }
    let left = lake.table("left").await.unwrap();
    let names: Vec<_> = left.arrow_schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["number", "more"]);
    let found = left.scan().filter(col("more").eq(5).and(col("number").eq(2))).count().await.unwrap();
    assert_eq!((found, left.rows()), (1, 2));
}

/// A branch that is written to, seen by nobody else, and that the other one goes forward to.
pub(super) fn branches(site: &Site) {
    lake::run(async {
        let (lake, other) = (rows::create(&site.place, &["t"]).await, rows::open(&site.place).await);
        lake.append("t", batch(&[(1, 1)])).await.unwrap();
        lake.create_tag("before").on("main").await.unwrap();
        lake.create_branch("dev").from("main").await.unwrap();
        let transaction = other.begin().branch("dev").await.unwrap();
        transaction.append("t", batch(&[(2, 2)])).await.unwrap();
        commit(&transaction, 3).await;
        assert_eq!(read_at(&lake, "main", "t").await, [(1, 1)]);
        assert_eq!(read_at(&lake, "dev", "t").await, [(1, 1), (2, 2)]);
        assert_eq!(names(&lake).await, ["dev", "main"].map(str::to_owned).into());
        assert_eq!(other.fast_forward("main").to("dev").await.unwrap().version().0, 3);
        lake.delete_branch("dev").await.unwrap();
        assert_eq!(other.at("branch:dev").await.unwrap_err().kind(), ErrorKind::NotFound);
        // Main goes on from there.
        assert_eq!(lake.append("t", batch(&[(3, 3)])).await.unwrap().commit.version().0, 4);
        assert_eq!(read_at(&other, "main", "t").await, [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(read_at(&other, "before", "t").await, [(1, 1)]);
        assert_eq!(other.create_tag("before").on("main").await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(other.tags().await.unwrap().len(), 1);
    });
}

async fn names(lake: &Lake) -> BTreeSet<String> {
    lake.branches().await.unwrap().into_iter().map(|branch| branch.name.as_str().to_owned()).collect()
}

/// What two writers do to each other.
pub(super) fn rivals(site: &Site) {
    lake::run(async {
        let (lake, other) = (rows::create(&site.place, &["t", "u"]).await, rows::open(&site.place).await);
        let (one, two) = (lake.begin().await.unwrap(), other.begin().await.unwrap());
        one.append("t", batch(&[(1, 1)])).await.unwrap();
        two.append("t", batch(&[(2, 2)])).await.unwrap();
        one.commit().await.unwrap();
        // It has lost the race, and is carried over.
        let report = two.commit().await.unwrap();
        assert_eq!((report.retries, report.checked, report.commit.version().0), (1, 1, 3));
        assert_eq!(read_at(&lake, "main", "t").await, [(1, 1), (2, 2)]);
        serializable(&lake, &other).await;
        keyed(&lake, &other).await;
        resolved(&lake, &other).await;
    });
}

/// What was read must not change.
async fn serializable(lake: &Lake, other: &Lake) {
    let transaction = lake.begin().serializable().await.unwrap();
    let found = rows::read_where(&transaction.table("t").await.unwrap(), col("id").eq(9)).await.unwrap();
    assert_eq!(found, []);
    transaction.append("u", batch(&[(1, 1)])).await.unwrap();
    let by = other.append("t", batch(&[(9, 2)])).await.unwrap().commit;
    let error = transaction.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let [conflict] = error.conflicts() else { panic!("{error}") };
    assert!(matches!(conflict.kind, ConflictKind::Read(_)), "{conflict}");
    assert_eq!((conflict.name.as_str(), conflict.commit), ("t", Some((by.version(), by.hash()))));
    assert_eq!(read_at(other, "main", "u").await, []);
}

/// Of two runs with the same key one commits, also if they overlap.
async fn keyed(lake: &Lake, other: &Lake) {
    let begin = async |lake: &Lake| {
        let transaction = lake.begin().key("load 1").await.unwrap();
        transaction.append("u", batch(&[(4, 4)])).await.unwrap();
        transaction
    };
    let (one, two) = (begin(lake).await, begin(other).await);
    let first = one.commit().await.unwrap().commit;
    let second = two.commit().await.unwrap();
    assert_eq!((second.already, second.commit.hash()), (true, first.hash()));
    let third = begin(other).await;
    assert_eq!(third.committed_before().map(strandline::Commit::hash), Some(first.hash()));
    assert!(third.commit().await.unwrap().already);
    assert_eq!(read_at(other, "main", "u").await, [(4, 4)]);
}

/// What became of a commit is known to whoever asks.
async fn resolved(lake: &Lake, other: &Lake) {
    let transaction = lake.begin().await.unwrap();
    transaction.append("u", batch(&[(5, 5)])).await.unwrap();
    let unresolved = transaction.unresolved();
    assert!(matches!(other.resolve(&unresolved).await.unwrap(), Resolution::Open));
    let commit = transaction.commit().await.unwrap().commit;
    for lake in [other, lake] {
        let Resolution::Committed(found) = lake.resolve(&unresolved).await.unwrap() else { panic!() };
        assert_eq!(found.hash(), commit.hash());
    }
    let never = lake.begin().await.unwrap().unresolved();
    assert!(matches!(other.resolve_by_fence(&never).await.unwrap(), Resolution::Aborted));
}
