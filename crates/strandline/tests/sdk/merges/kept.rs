//! Rows that were kept against a delete, which the base of later merges has not got [TBL-12].

use super::random::told;
use super::*;

/// How a row is kept.
#[derive(Clone, Copy, Debug)]
enum By {
    Rows,
    Table,
}

async fn keep(lake: &Lake, from: &str, into: &str, side: Side, by: By) {
    let merge = lake.merge(from).into(into);
    let merge = match by {
        By::Rows => merge.rows("t", side),
        By::Table => merge.take("t", side),
    };
    merge.await.unwrap().committed().unwrap();
}

/// `dev` has deleted row 3, which `main` and `other` have changed.
async fn deleted(values: [i64; 2]) -> Lake {
    let (_, lake) = tens().await;
    lake.create_branch("other").await.unwrap();
    delete(&lake, "dev", 3).await;
    for (branch, value) in ["main", "other"].into_iter().zip(values) {
        set(&lake, branch, 3, "a", value).await;
        set(&lake, branch, 4, "b", 8).await;
    }
    lake
}

#[test]
fn a_row_that_two_branches_kept_is_one_row() {
    paused(async {
        for ways in
            [[By::Rows, By::Rows], [By::Table, By::Table], [By::Rows, By::Table], [By::Table, By::Rows]]
        {
            for (from, into) in [("other", "main"), ("main", "other")] {
                let lake = deleted([5, 8]).await;
                for (branch, by) in ["main", "other"].into_iter().zip(ways) {
                    keep(&lake, "dev", branch, Side::Ours, by).await;
                }
                assert_eq!(told(&conflicts(&lake, from, into).await), [3], "{ways:?}");
                keep(&lake, from, into, Side::Theirs, By::Rows).await;
                let kept = if from == "main" { 5 } else { 8 };
                assert_eq!(state(&lake, into).await[&3], (kept, 300), "{ways:?}");
                check_whole(&lake, "merged").await;

                let lake = deleted([5, 5]).await;
                for (branch, by) in ["main", "other"].into_iter().zip(ways) {
                    keep(&lake, "dev", branch, Side::Ours, by).await;
                }
                merge(&lake, from, into).await;
                assert_eq!(state(&lake, into).await[&3], (5, 300), "{ways:?}");
            }
        }
    });
}

/// The branch that has deleted it has it back from a third one.
#[test]
fn a_row_that_came_back_by_a_merge_is_one_row() {
    paused(async {
        for ways in
            [[By::Rows, By::Rows], [By::Table, By::Rows], [By::Rows, By::Table], [By::Table, By::Table]]
        {
            let lake = deleted([5, 8]).await;
            keep(&lake, "dev", "main", Side::Ours, ways[0]).await;
            keep(&lake, "other", "dev", Side::Theirs, ways[1]).await;
            for (from, into) in [("dev", "main"), ("main", "dev")] {
                assert_eq!(told(&conflicts(&lake, from, into).await), [3], "{ways:?}");
            }
            keep(&lake, "dev", "main", Side::Ours, By::Rows).await;
            assert_eq!(state(&lake, "main").await[&3], (5, 300), "{ways:?}");
            merge(&lake, "main", "dev").await;
            assert_eq!(state(&lake, "dev").await[&3], (5, 300), "{ways:?}");
        }
    });
}
