//! Rows that a picked commit had put back, as a reset or a revert does, where the branch had never had them: they are known by what the pick recorded,
//! in merges and in later picks [MRG-11].

use super::picked::{append, meet, pick, tens_with};
use super::random::told;
use super::*;

/// How `dev` has its rows back after they were deleted.
#[derive(Clone, Copy, Debug)]
enum Back {
    Reset,
    Revert,
}

const WAYS: [Back; 2] = [Back::Reset, Back::Revert];

/// `dev` has rows put in, changed as is said, all deleted and put back; `main` has a row of its own and picks the last commit.
async fn put_back(back: Back, change: impl AsyncFnOnce(&Lake)) -> Lake {
    let (_, lake) = tens().await;
    on(&lake, "dev", async |on| on.append("t", rows(&[(20, 1, 1), (21, 1, 1)])).await.map(drop).unwrap())
        .await;
    change(&lake).await;
    on(&lake, "dev", async |on| assert_eq!(on.delete("t", col("u").ge(20)).await.unwrap(), 2)).await;
    match back {
        Back::Reset => lake.reset("dev~").on("dev").await,
        Back::Revert => lake.revert("dev").on("dev").await,
    }
    .unwrap()
    .committed()
    .unwrap();
    append(&lake, "main", 40).await;
    pick(&lake, "dev", "main").await;
    lake
}

/// The first rows, that of `main`, and these.
fn with_40(others: &[(i64, Option<(i64, i64)>)]) -> State {
    let mut expected = tens_with(others);
    expected.insert(40, (1, 1));
    expected
}

#[test]
fn both_branches_have_the_same_rows() {
    paused(async {
        for (back, into) in WAYS.into_iter().flat_map(|back| ["main", "dev"].map(|into| (back, into))) {
            let lake = put_back(back, async |_| {}).await;
            set(&lake, "main", 20, "a", 5).await;
            set(&lake, "dev", 20, "b", 6).await;
            delete(&lake, "dev", 21).await;
            let from = if into == "main" { "dev" } else { "main" };
            merge(&lake, from, into).await;
            let expected = with_40(&[(20, Some((5, 6)))]);
            assert_eq!(state(&lake, into).await, expected, "{back:?} into {into}");
            merge(&lake, into, from).await;
            assert_eq!(state(&lake, from).await, expected);
            check_whole(&lake, "merged").await;
        }
    });
}

#[test]
fn a_row_that_both_changed_is_a_conflict_of_that_row() {
    paused(async {
        for back in WAYS {
            let lake = put_back(back, async |_| {}).await;
            set(&lake, "main", 20, "a", 5).await;
            set(&lake, "dev", 20, "a", 6).await;
            let found = conflicts(&lake, "dev", "main").await;
            assert_eq!(told(&found), [20], "{back:?}: {found}");
        }
    });
}

/// The file stores the id that the row had in another file, which never came.
#[test]
fn so_it_is_of_a_row_that_stood_in_another_file_before() {
    paused(async {
        for back in WAYS {
            let lake = put_back(back, async |lake| set(lake, "dev", 20, "a", 3).await).await;
            assert_eq!(state(&lake, "main").await, with_40(&[(20, Some((3, 1))), (21, Some((1, 1)))]));
            set(&lake, "main", 20, "b", 5).await;
            set(&lake, "dev", 21, "a", 6).await;
            let expected = with_40(&[(20, Some((3, 5))), (21, Some((6, 1)))]);
            assert_eq!(meet(&lake, "dev", "main").await, expected, "{back:?}");
        }
    });
}

#[test]
fn rows_that_are_put_back_again_are_still_the_same() {
    paused(async {
        for back in WAYS {
            let lake = put_back(back, async |_| {}).await;
            delete(&lake, "main", 20).await;
            on(&lake, "dev", async |on| assert_eq!(on.delete("t", col("u").ge(20)).await.unwrap(), 2)).await;
            lake.revert("dev").on("dev").await.unwrap().committed().unwrap();
            pick(&lake, "dev", "main").await;
            assert_eq!(state(&lake, "main").await.get(&20), Some(&(1, 1)), "{back:?}");
            set(&lake, "dev", 20, "b", 7).await;
            set(&lake, "main", 20, "a", 6).await;
            let expected = with_40(&[(20, Some((6, 7))), (21, Some((1, 1)))]);
            assert_eq!(meet(&lake, "dev", "main").await, expected, "{back:?}");
        }
    });
}

#[test]
fn another_branch_picks_them_from_there() {
    paused(async {
        for back in WAYS {
            let lake = put_back(back, async |lake| set(lake, "dev", 20, "a", 3).await).await;
            lake.create_branch("third").from("main@{1}").await.unwrap();
            pick(&lake, "main", "third").await;
            set(&lake, "third", 20, "b", 8).await;
            let expected = with_40(&[(20, Some((3, 8))), (21, Some((1, 1)))]);
            assert_eq!(meet(&lake, "third", "dev").await.get(&20), Some(&(3, 8)), "{back:?}");
            assert_eq!(meet(&lake, "dev", "main").await, expected, "{back:?}");
        }
    });
}

/// Of a file that stores ids nobody knows whose rows they are, so that all older ones are told of.
#[test]
fn what_their_branch_did_to_rows_that_never_came_is_told_of() {
    paused(async {
        for (back, moved) in WAYS.into_iter().flat_map(|back| [false, true].map(|moved| (back, moved))) {
            let change = async |lake: &Lake| {
                append(lake, "dev", 10).await;
                if moved {
                    set(lake, "dev", 20, "a", 3).await;
                }
            };
            let lake = put_back(back, change).await;
            set(&lake, "dev", 10, "a", 5).await;
            let Merged::Conflicts(found) = lake.cherry_pick("dev").on("main").await.unwrap() else {
                panic!("row 10 never came")
            };
            match &found.conflicts[0].kind {
                ConflictKind::Files(_) => assert!(!moved, "{found}"),
                ConflictKind::Rows(_) => assert!(moved && told(&found) == [10], "{found}"),
                _ => panic!("{found}"),
            }
            let first = if moved { 3 } else { 1 };
            let expected = with_40(&[(10, Some((5, 1))), (20, Some((first, 1))), (21, Some((1, 1)))]);
            assert_eq!(meet(&lake, "dev", "main").await, expected, "{back:?}");
        }
    });
}

/// Nothing relates the row that comes then to the one that is there, so that there are two of them, of one key or not. Branches that have both go on.
#[test]
fn the_commit_that_put_a_row_in_is_picked_after_the_one_that_put_it_back() {
    paused(async {
        for (keyed, at) in [true, false].into_iter().flat_map(|keyed| (0..3).map(move |at| (keyed, at))) {
            let (_, lake) = tens().await;
            if keyed {
                on(&lake, "main", async |on| {
                    on.alter_table("t").key(["u"]).await.map(drop).unwrap();
                })
                .await;
                assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
            }
            append(&lake, "main", 20).await;
            let appended = lake.at("main").await.unwrap();
            set(&lake, "main", 20, "a", 5 + at).await;
            delete(&lake, "main", 20).await;
            lake.revert("main").on("main").await.unwrap().committed().unwrap();
            pick(&lake, "main", "dev").await;
            let appended = lake.cherry_pick(&appended).on("dev").rows("t", Side::Theirs);
            appended.await.unwrap().committed().unwrap();
            lake.reset("main~").on("main").await.unwrap().committed().unwrap();
            for (from, into) in [("main", "dev"), ("dev", "main")] {
                let copy = format!("copy-{into}");
                lake.create_branch(copy.as_str()).from(into).await.unwrap();
                let merge = lake.merge(from).into(copy.as_str()).take("t", Side::Ours);
                assert!(!matches!(merge.await.unwrap(), Merged::Conflicts(_)));
                if keyed {
                    assert_eq!(state(&lake, &copy).await, state(&lake, into).await);
                }
                check_whole(&lake, &copy).await;
            }
        }
    });
}
