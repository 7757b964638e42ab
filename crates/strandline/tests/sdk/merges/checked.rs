//! What a merge puts together is held to what the merged table promises: its checks and its key [MRG-8]; and what was decided beforehand counts
//! wherever the branch stands [MRG-5]. What is not merged, and what a branch leaves that is gone.

use super::random::told;
use super::*;

/// `dev` gets what `main` has.
async fn forward(lake: &Lake) {
    let merged = lake.merge("main").into("dev").await.unwrap();
    assert!(matches!(merged, Merged::Forwarded(_)), "{merged:?}");
}

/// A lake whose rows promise something, from the beginning or by the branch `dev`, and of which the two branches set one cell of row 3 each: together they
/// break it.
async fn breaking(by: &str) -> Lake {
    let (_, lake) = tens().await;
    let check = async |branch: &str| {
        on(&lake, branch, async |on| {
            on.alter_table("t").add_check("fits", "a < 50 OR b > 250 OR u <> 3").await.unwrap();
        })
        .await;
    };
    check(by).await;
    if by == "main" {
        forward(&lake).await;
    }
    for (branch, column, value) in [("main", "a", 60), ("dev", "b", 100)] {
        set(&lake, branch, 3, column, value).await;
        set(&lake, branch, 1, column, value).await;
    }
    lake
}

#[test]
fn a_row_of_both_sides_cells_that_breaks_a_check_is_a_conflict() {
    paused(async {
        for by in ["main", "dev"] {
            let lake = breaking(by).await;
            let Preview::Conflicts(found) = lake.merge("dev").into("main").dry_run().await.unwrap() else {
                panic!("nothing is wrong with it")
            };
            assert_eq!(told(&found), [3]);
            let [rows] = &found.rows[..] else { panic!("{found}") };
            let sides = [&rows.base, &rows.ours, &rows.theirs].map(triples);
            assert_eq!(sides, [[(3, 30, 300)], [(3, 60, 300)], [(3, 30, 100)]]);
            assert_eq!(told(&conflicts(&lake, "main", "dev").await), [3]);

            let given = |row: (i64, i64, i64)| {
                let ids = rows.ours.column_by_name("_row_id").unwrap().clone();
                let values = super::rows(&[row]);
                let [u, a, b] = ["u", "a", "b"].map(|name| values.column_by_name(name).unwrap().clone());
                batch([("u", u), ("a", a), ("b", b), ("_row_id", ids)])
            };
            let broken =
                lake.merge("dev").into("main").with_rows("t", [given((3, 60, 100))]).await.unwrap_err();
            assert!(
                broken.kind() == ErrorKind::InvalidInput && broken.message().contains("fits"),
                "{broken}"
            );

            for (of, expected) in
                [(Some(Side::Ours), (60, 300)), (Some(Side::Theirs), (30, 100)), (None, (40, 7))]
            {
                let lake = breaking(by).await;
                let merge = lake.merge("dev").into("main");
                let merge = match of {
                    Some(side) => merge.rows("t", side),
                    None => merge.with_rows("t", [given((3, 40, 7))]),
                };
                merge.await.unwrap().committed().unwrap();
                let merged = state(&lake, "main").await;
                assert_eq!((merged[&3], merged[&1]), (expected, (60, 100)), "{of:?}");
                check_whole(&lake, "merged").await;
            }
        }
    });
}

/// A base that a pick is done to may have a row that stands on neither branch, and breaks what the table promises.
#[test]
fn a_base_promises_nothing() {
    paused(async {
        let (_, lake) = tens().await;
        on(&lake, "main", async |on| {
            on.alter_table("t").add_check("fits", "a < 50 OR b > 150").await.unwrap();
            assert_eq!(on.update("t", col("u").gt(4)).set("a", 1).await.unwrap().updated, 5);
        })
        .await;
        forward(&lake).await;
        set(&lake, "dev", 1, "b", 900).await;
        set(&lake, "dev", 1, "a", 60).await;
        set(&lake, "main", 1, "b", 700).await;
        lake.cherry_pick("dev").on("main").await.unwrap().committed().unwrap();
        assert_eq!(state(&lake, "main").await[&1], (60, 700));
        assert_eq!(told(&conflicts(&lake, "dev", "main").await), [1]);
        lake.merge("dev").into("main").rows("t", Side::Ours).await.unwrap().committed().unwrap();
        assert_eq!(state(&lake, "main").await[&1], (60, 700));
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn no_row_gets_a_key_that_neither_side_gave_it() {
    paused(async {
        let (_, lake) = tens().await;
        on(&lake, "main", async |on| on.alter_table("t").key(["u"]).await.unwrap()).await;
        forward(&lake).await;
        on(&lake, "dev", async |on| on.alter_table("t").key(["u", "a"]).await.unwrap()).await;
        set(&lake, "dev", 1, "a", 11).await;
        set(&lake, "dev", 2, "b", 12).await;
        set(&lake, "main", 1, "u", 21).await;
        set(&lake, "main", 2, "u", 22).await;
        // By the key of `main` alone the two would go together.
        for (from, into) in [("dev", "main"), ("main", "dev")] {
            assert_eq!(told(&conflicts(&lake, from, into).await), [1, 21]);
        }
        lake.merge("dev").into("main").rows("t", Side::Theirs).await.unwrap().committed().unwrap();
        let merged = state(&lake, "main").await;
        assert_eq!((merged[&1], merged[&22], merged.get(&21)), ((11, 100), (20, 12), None));
    });
}

#[test]
fn what_is_to_stay_stays_where_the_branch_has_nothing_of_its_own() {
    paused(async {
        for side in [Side::Ours, Side::Theirs] {
            let (_, lake) = tens().await;
            set(&lake, "dev", 1, "a", 11).await;
            on(&lake, "dev", async |on| {
                on.create_table("s").like(&rows(&[]).schema()).await.unwrap();
            })
            .await;
            let merge = || lake.merge("dev").into("main").take("t", side);
            let (preview, merged) = (merge().dry_run().await.unwrap(), merge().await.unwrap());
            let a = match side {
                Side::Ours => {
                    assert!(!matches!(preview, Preview::Forward), "{preview:?}");
                    assert!(matches!(merged, Merged::Committed(_)), "{merged:?}");
                    10
                }
                Side::Theirs => {
                    assert!(matches!((preview, merged), (Preview::Forward, Merged::Forwarded(_))));
                    11
                }
            };
            assert_eq!(state(&lake, "main").await[&1], (a, 100));
            assert_eq!(lake.table("s").await.unwrap().rows(), 0);
            assert!(matches!(lake.merge("dev").into("main").await.unwrap(), Merged::UpToDate(_)));
        }
    });
}

#[test]
fn what_is_of_another_lake_is_not_merged() {
    paused(async {
        let ((_, lake), (_, other)) = (tens().await, tens().await);
        let theirs = other.at("dev").await.unwrap();
        for refused in [
            lake.merge(&theirs).into("main").await.unwrap_err(),
            lake.cherry_pick(&theirs).on("main").await.unwrap_err(),
            lake.diff("main", &theirs).await.map(drop).unwrap_err(),
        ] {
            assert!(
                refused.kind() == ErrorKind::InvalidInput && refused.message().contains("another lake"),
                "{refused}"
            );
        }
    });
}

#[test]
fn a_branch_that_is_deleted_is_read_to_its_end() {
    paused(async {
        let (_, lake) = tens().await;
        set(&lake, "dev", 1, "a", 11).await;
        let table = lake.at("dev").await.unwrap().table("t").await.unwrap();
        let open = table.scan().await.unwrap();
        lake.delete_branch("dev").await.unwrap();
        let rows = |batches: Vec<RecordBatch>| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        assert_eq!(rows(open.collect().await.unwrap()), 10);
        assert_eq!(rows(table.scan().collect().await.unwrap()), 10);
        assert_eq!(lake.at("dev").await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}
