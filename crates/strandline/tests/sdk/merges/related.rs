//! Branches that met by way of others: what is there comes once, and what was done since stays done, whichever way it came [MRG-1..4].

use super::picked::append;
use super::random::told;
use super::*;

/// Branches with a row each of their own; `state` sees to it that none stands twice.
pub(super) async fn branches(names: &[(&str, i64)]) -> Lake {
    let (_, lake) = tens().await;
    for (name, _) in names {
        if !["main", "dev"].contains(name) {
            lake.create_branch(*name).await.unwrap();
        }
    }
    for (name, u) in names {
        append(&lake, name, *u).await;
    }
    lake
}

pub(super) async fn keys(lake: &Lake, branch: &str) -> Vec<i64> {
    state(lake, branch).await.into_keys().filter(|u| *u >= 10).collect()
}

#[test]
fn what_came_by_way_of_another_branch_does_not_come_again() {
    paused(async {
        let lake = branches(&[("main", 10), ("x", 11), ("dev", 12)]).await;
        merge(&lake, "x", "main").await;
        merge(&lake, "main", "dev").await;
        // All of it is there.
        assert!(matches!(lake.merge("x").into("dev").await.unwrap(), Merged::UpToDate(_)));
        assert_eq!(keys(&lake, "dev").await, [10, 11, 12]);
        // What is there of it is known again, from either end.
        set(&lake, "x", 11, "a", 5).await;
        append(&lake, "x", 13).await;
        delete(&lake, "dev", 12).await;
        merge(&lake, "x", "dev").await;
        assert_eq!(keys(&lake, "dev").await, [10, 11, 13]);
        assert_eq!(state(&lake, "dev").await[&11], (5, 1));
        merge(&lake, "dev", "x").await;
        assert_eq!(state(&lake, "x").await, state(&lake, "dev").await);
        check_whole(&lake, "merged").await;
    });
}

/// That `main` has merged `x` says that it has what `x` had then, and not that `x` has what `main` had.
#[test]
fn what_was_merged_before_the_branches_met_one_way_is_known_the_other_way() {
    paused(async {
        let lake = branches(&[("dev", 11), ("main", 10)]).await;
        lake.create_tag("old").on("dev").await.unwrap();
        append(&lake, "dev", 12).await;
        merge(&lake, "dev", "main").await;
        lake.create_branch("x").from("main~2").await.unwrap();
        append(&lake, "x", 20).await;
        merge(&lake, "x", "main").await;
        merge(&lake, "old", "x").await;
        set(&lake, "main", 11, "a", 5).await;
        merge(&lake, "x", "main").await;
        assert_eq!(keys(&lake, "main").await, [10, 11, 12, 20]);
        assert_eq!(state(&lake, "main").await[&11], (5, 1));
        check_whole(&lake, "merged").await;
    });
}

/// The one that comes second finds all of it there.
#[test]
fn two_merges_of_one_head_at_once_make_one_commit() {
    paused(async {
        let lake = branches(&[("dev", 11), ("main", 10)]).await;
        let both = futures::future::join(
            lake.merge("dev").into("main").into_future(),
            lake.merge("dev").into("main").into_future(),
        );
        let (one, other) = both.await;
        let outcomes = [one.unwrap(), other.unwrap()];
        let made = outcomes.iter().filter(|outcome| matches!(outcome, Merged::Committed(_))).count();
        let there = outcomes.iter().filter(|outcome| matches!(outcome, Merged::UpToDate(_))).count();
        assert_eq!((made, there), (1, 1), "{outcomes:?}");
        assert_eq!(lake.at("main").await.unwrap().version().0, 3);
    });
}

#[test]
fn an_older_version_of_what_was_merged_is_there_already() {
    paused(async {
        let lake = branches(&[("main", 10), ("dev", 11)]).await;
        append(&lake, "dev", 12).await;
        merge(&lake, "dev", "main").await;
        assert!(matches!(lake.merge("dev~").into("main").await.unwrap(), Merged::UpToDate(_)));
        // What the two have is compared by that as well.
        let diff = lake.diff("dev~", "main").await.unwrap();
        let counts = diff.table("t").await.unwrap().counts().await.unwrap();
        assert_eq!((counts.inserted, counts.deleted, counts.updated), (2, 0, 0));
    });
}

#[test]
fn a_branch_that_was_made_of_another_one_brings_what_it_was_made_of_once() {
    paused(async {
        let lake = branches(&[("main", 20), ("dev", 10)]).await;
        lake.create_branch("feature").from("dev").await.unwrap();
        append(&lake, "feature", 11).await;
        append(&lake, "dev", 12).await;
        merge(&lake, "feature", "main").await;
        delete(&lake, "main", 10).await;
        set(&lake, "dev", 1, "a", 7).await;
        merge(&lake, "dev", "main").await;
        assert_eq!(keys(&lake, "main").await, [11, 12, 20], "what main has deleted stays so");
        assert_eq!(state(&lake, "main").await[&1], (7, 100));
        merge(&lake, "main", "feature").await;
        assert_eq!(state(&lake, "feature").await, state(&lake, "main").await);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn what_one_branch_did_to_what_came_from_another_one_stays_done() {
    paused(async {
        let lake = branches(&[("main", 20), ("x", 10), ("dev", 30)]).await;
        set(&lake, "x", 1, "a", 9).await;
        merge(&lake, "x", "main").await;
        delete(&lake, "main", 10).await;
        set(&lake, "main", 1, "a", 1).await;
        merge(&lake, "main", "dev").await;
        append(&lake, "x", 11).await;
        merge(&lake, "x", "dev").await;
        assert_eq!(keys(&lake, "dev").await, [11, 20, 30]);
        assert_eq!(state(&lake, "dev").await[&1], (1, 100));
    });
}

#[test]
fn branches_that_merged_one_branch_are_merged_by_what_they_have_of_it() {
    paused(async {
        let lake = branches(&[("main", 20), ("x", 10), ("dev", 30)]).await;
        merge(&lake, "x", "main").await;
        append(&lake, "x", 11).await;
        merge(&lake, "x", "dev").await;
        delete(&lake, "main", 10).await;
        set(&lake, "dev", 10, "b", 8).await;
        let found = conflicts(&lake, "dev", "main").await;
        assert_eq!(told(&found), [10], "deleted on one side and changed on the other");
        let merged = lake.merge("dev").into("main").rows("t", Side::Ours).await.unwrap();
        merged.committed().unwrap();
        assert_eq!(keys(&lake, "main").await, [11, 20, 30]);
        merge(&lake, "main", "x").await;
        assert_eq!(keys(&lake, "x").await, [11, 20, 30]);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn a_branch_that_is_older_than_those_that_merged_it_is_in_their_base() {
    paused(async {
        let (_, lake) = tens().await;
        lake.create_branch("x").await.unwrap();
        append(&lake, "x", 10).await;
        append(&lake, "main", 20).await;
        lake.create_branch("late").from("main").await.unwrap();
        append(&lake, "late", 30).await;
        append(&lake, "main", 21).await;
        merge(&lake, "x", "main").await;
        merge(&lake, "x", "late").await;
        delete(&lake, "main", 10).await;
        delete(&lake, "late", 20).await;
        set(&lake, "late", 1, "a", 3).await;
        merge(&lake, "late", "main").await;
        assert_eq!(keys(&lake, "main").await, [21, 30]);
        merge(&lake, "main", "late").await;
        assert_eq!(state(&lake, "late").await, state(&lake, "main").await);
        merge(&lake, "late", "x").await;
        assert_eq!(state(&lake, "x").await, state(&lake, "main").await);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn a_pick_is_known_whatever_way_it_came() {
    paused(async {
        let pick = async |lake: &Lake, of: &str, on: &str| {
            lake.cherry_pick(of).on(on).await.unwrap().committed().unwrap();
        };
        // Whatever is merged, the row that was picked is one row, and what is done to it on either side is done to it.
        let merged = async |lake: &Lake, from: &str, into: &str| {
            set(lake, from, 10, "a", 7).await;
            set(lake, into, 10, "b", 8).await;
            merge(lake, from, into).await;
            assert_eq!(state(lake, into).await[&10], (7, 8));
            check_whole(lake, "merged").await;
        };
        let all = [("main", 20), ("x", 10), ("dev", 30)];
        // The branch of the commit is merged into one that has the pick of another one.
        let lake = branches(&all).await;
        pick(&lake, "x", "main").await;
        merge(&lake, "main", "dev").await;
        merged(&lake, "x", "dev").await;
        assert_eq!(keys(&lake, "dev").await, [10, 20, 30]);
        merged(&lake, "main", "dev").await;
        // The other way round.
        let lake = branches(&all).await;
        merge(&lake, "x", "dev").await;
        pick(&lake, "x", "main").await;
        merged(&lake, "dev", "main").await;
        merged(&lake, "x", "main").await;
        assert_eq!(keys(&lake, "main").await, [10, 20, 30]);
        // Two have picked one commit.
        let lake = branches(&all).await;
        pick(&lake, "x", "main").await;
        pick(&lake, "x", "dev").await;
        merged(&lake, "dev", "main").await;
        merged(&lake, "x", "main").await;
        assert_eq!(keys(&lake, "main").await, [10, 20, 30]);
        // A pick is the pick of what it was picked from.
        let lake = branches(&all).await;
        pick(&lake, "x", "main").await;
        pick(&lake, "main", "dev").await;
        assert!(matches!(lake.cherry_pick("dev").on("x").await.unwrap(), Merged::UpToDate(_)));
        assert!(lake.cherry_pick("x").on("dev").await.unwrap().committed().unwrap().already);
        assert!(
            matches!(lake.cherry_pick("dev").on("main").await.unwrap(), Merged::Committed(report) if report.already)
        );
        merged(&lake, "main", "dev").await;
        merged(&lake, "x", "dev").await;
        merged(&lake, "dev", "x").await;
        assert_eq!(keys(&lake, "dev").await, [10, 20, 30]);
        assert_eq!(state(&lake, "dev").await, state(&lake, "x").await);
    });
}

#[test]
fn two_jobs_under_one_key_are_no_picks() {
    paused(async {
        let (_, lake) = tens().await;
        for (branch, u) in [("main", 20), ("dev", 30)] {
            let job = lake.begin().branch(branch).key("nightly").await.unwrap();
            job.append("t", rows(&[(u, 1, 1)])).await.unwrap();
            job.commit().await.unwrap();
        }
        merge(&lake, "dev", "main").await;
        assert_eq!(keys(&lake, "main").await, [20, 30]);
    });
}

/// The merge that brings the branch changes another table, and relates nothing.
#[test]
fn rows_that_one_has_by_a_merge_and_the_other_by_a_pick_keep_their_ids() {
    paused(async {
        for picks in [1, 2] {
            let (_, lake) = tens().await;
            on(&lake, "main", async |on| {
                on.create_table("x").like(&rows(&[]).schema()).await.map(drop).unwrap();
            })
            .await;
            assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
            lake.create_branch("third").from("dev").await.unwrap();
            for u in 0..picks {
                append(&lake, "third", 20 + u).await;
            }
            on(&lake, "dev", async |on| on.append("x", rows(&[(1, 1, 1)])).await.map(drop).unwrap()).await;
            merge(&lake, "third", "dev").await;
            let ids = async |branch: &str| {
                let table = lake.at(branch).await.unwrap().table("t").await.unwrap();
                table.scan().row_ids(true).collect().await.unwrap()
            };
            let before = ids("dev").await;
            for back in (0..picks).rev() {
                let commit = format!("third{}", "~".repeat(usize::try_from(back).unwrap()));
                super::picked::pick(&lake, &commit, "main").await;
            }
            merge(&lake, "dev", "main").await;
            let back = lake.merge("main").into("dev").await.unwrap();
            assert!(!matches!(back, Merged::Conflicts(_)), "{back:?}");
            assert_eq!(ids("dev").await, before);
            delete(&lake, "third", 20).await;
            merge(&lake, "third", "dev").await;
            assert_eq!(keys(&lake, "dev").await, (21..20 + picks).collect::<Vec<i64>>());
            merge(&lake, "dev", "main").await;
            assert_eq!(keys(&lake, "main").await, (21..20 + picks).collect::<Vec<i64>>());
            check_whole(&lake, "merged").await;
        }
    });
}
