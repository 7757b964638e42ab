//! Commits that each branch has picked from the other one, so that they come in another order on each: what their order decides is in dispute [MRG-11].

use super::picked::{append, meet, tens_with};
use super::random::told;
use super::*;

/// Each branch commits, and takes the other one's commit, by whose rows if they disagree; then each is changed on and merged both ways.
async fn crossed(ours: impl AsyncFnOnce(&Lake), theirs: impl AsyncFnOnce(&Lake), sides: [Side; 2]) -> Lake {
    let (_, lake) = tens().await;
    ours(&lake).await;
    theirs(&lake).await;
    let (of_main, of_dev) = (lake.at("main").await.unwrap(), lake.at("dev").await.unwrap());
    for (commit, on, side) in [(&of_dev, "main", sides[0]), (&of_main, "dev", sides[1])] {
        lake.cherry_pick(commit).on(on).rows("t", side).await.unwrap().committed().unwrap();
    }
    lake
}

/// Whichever way the branches are merged, they disagree on these rows alone.
async fn disagree(lake: &Lake, rows: &[i64]) {
    for (from, into) in [("main", "dev"), ("dev", "main")] {
        let found = conflicts(lake, from, into).await;
        assert_eq!(told(&found), rows, "{from} into {into}: {found}");
    }
}

/// `dev` comes into `main`, with the rows of one of them where they disagree, and `main` into `dev` then.
async fn decide(lake: &Lake, side: Side) {
    lake.merge("dev").into("main").rows("t", side).await.unwrap().committed().unwrap();
    let back = lake.merge("main").into("dev").await.unwrap();
    assert!(!matches!(back, Merged::Conflicts(_)), "{back:?}");
    assert_eq!(state(lake, "main").await, state(lake, "dev").await);
    check_whole(lake, "decided").await;
}

#[test]
fn a_cell_that_they_end_with_differently_is_a_conflict() {
    paused(async {
        // What decides must not be a hash.
        for at in 0..4 {
            let lake = crossed(
                async |lake| set(lake, "main", 1, "a", 11 + at).await,
                async |lake| set(lake, "dev", 1, "a", 21 + at).await,
                [Side::Theirs; 2],
            )
            .await;
            disagree(&lake, &[1]).await;
            decide(&lake, Side::Ours).await;
            assert_eq!(state(&lake, "dev").await, tens_with(&[(1, Some((21 + at, 100)))]));
        }
    });
}

#[test]
fn a_cell_that_both_decided_alike_is_not() {
    paused(async {
        let lake = crossed(
            async |lake| set(lake, "main", 1, "a", 5).await,
            async |lake| set(lake, "dev", 1, "a", 6).await,
            [Side::Ours, Side::Theirs],
        )
        .await;
        set(&lake, "dev", 1, "b", 7).await;
        assert_eq!(meet(&lake, "dev", "main").await, tens_with(&[(1, Some((5, 7)))]));
    });
}

#[test]
fn what_no_order_decides_is_merged_as_ever() {
    paused(async {
        let lake = crossed(
            async |lake| {
                on(lake, "main", async |on| {
                    on.append("t", rows(&[(20, 1, 1)])).await.unwrap();
                    on.update("t", col("u").eq(1)).set("a", -1).await.unwrap();
                })
                .await;
            },
            async |lake| {
                on(lake, "dev", async |on| {
                    on.append("t", rows(&[(30, 1, 1)])).await.unwrap();
                    on.update("t", col("u").eq(1)).set("b", -2).await.unwrap();
                    on.delete("t", col("u").eq(2)).await.unwrap();
                })
                .await;
            },
            [Side::Ours; 2],
        )
        .await;
        set(&lake, "main", 20, "a", 5).await;
        set(&lake, "dev", 20, "b", 6).await;
        set(&lake, "main", 30, "b", 7).await;
        delete(&lake, "dev", 30).await;
        disagree(&lake, &[30]).await;
        decide(&lake, Side::Theirs).await;
        let expected = tens_with(&[(1, Some((-1, -2))), (2, None), (20, Some((5, 6)))]);
        assert_eq!(state(&lake, "dev").await, expected);
    });
}

#[test]
fn a_row_that_one_deleted_and_the_other_one_changed_is_a_conflict() {
    paused(async {
        let lake = crossed(
            async |lake| delete(lake, "main", 1).await,
            async |lake| set(lake, "dev", 1, "a", 6).await,
            [Side::Theirs; 2],
        )
        .await;
        disagree(&lake, &[1]).await;
    });
}

#[test]
fn several_of_each_branch_keep_their_order() {
    paused(async {
        let (_, lake) = tens().await;
        for branch in ["main", "dev"] {
            let first = if branch == "main" { 20 } else { 30 };
            append(&lake, branch, first).await;
            set(&lake, branch, first, "a", 5).await;
        }
        let (main, dev) = (lake.at("main").await.unwrap(), lake.at("dev").await.unwrap());
        for (of, on) in [(&dev, "main"), (&main, "dev")] {
            let before = of.parent().await.unwrap().unwrap();
            for commit in [&before, of] {
                lake.cherry_pick(commit).on(on).await.unwrap().committed().unwrap();
            }
        }
        set(&lake, "main", 30, "b", 6).await;
        set(&lake, "dev", 20, "b", 7).await;
        let expected = tens_with(&[(20, Some((5, 7))), (30, Some((5, 6)))]);
        assert_eq!(meet(&lake, "dev", "main").await, expected);
        check_whole(&lake, "merged").await;
    });
}
