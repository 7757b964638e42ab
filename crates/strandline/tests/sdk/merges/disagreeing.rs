//! Branches whose last common commits disagree: what each side has decided by itself is nobody's in the base, and all else is merged [MRG-2].

use super::picked::append;
use super::random::told;
use super::related::{branches, keys};
use super::*;

#[test]
fn two_last_common_commits_are_one_base() {
    paused(async {
        for disagree in [false, true] {
            let lake = branches(&[("main", 20), ("dev", 30)]).await;
            if disagree {
                set(&lake, "main", 1, "a", 6).await;
                set(&lake, "dev", 1, "a", 7).await;
            }
            let main = lake.at("main").await.unwrap();
            for merge in [lake.merge("dev").into("main"), lake.merge(&main).into("dev")] {
                merge.rows("t", Side::Ours).await.unwrap().committed().unwrap();
            }
            // Neither of the two has the row that the other one has.
            delete(&lake, "main", 30).await;
            set(&lake, "dev", 20, "a", 5).await;
            if disagree {
                for (from, into) in [("dev", "main"), ("main", "dev")] {
                    assert_eq!(told(&conflicts(&lake, from, into).await), [1]);
                }
                lake.merge("dev").into("main").rows("t", Side::Theirs).await.unwrap().committed().unwrap();
                assert_eq!(state(&lake, "main").await[&1], (7, 100));
            } else {
                merge(&lake, "dev", "main").await;
            }
            assert_eq!(keys(&lake, "main").await, [20]);
            assert_eq!(state(&lake, "main").await[&20], (5, 1));
            append(&lake, "dev", 31).await;
            merge(&lake, "main", "dev").await;
            assert_eq!(keys(&lake, "dev").await, [20, 31]);
            check_whole(&lake, "merged").await;
        }
    });
}

/// Two branches that have merged each other at once, and decided otherwise on a row that `dev` has deleted, on one of which both set a cell, and on one that
/// each set to values of its own.
async fn decided_otherwise() -> Lake {
    let lake = branches(&[("main", 20), ("dev", 30)]).await;
    delete(&lake, "dev", 2).await;
    set(&lake, "main", 2, "b", 6).await;
    for (branch, value) in [("main", 6), ("dev", 7)] {
        set(&lake, branch, 1, "a", value).await;
        set(&lake, branch, 3, "a", value).await;
        set(&lake, branch, 3, "b", value).await;
    }
    let main = lake.at("main").await.unwrap();
    for merge in [lake.merge("dev").into("main"), lake.merge(&main).into("dev")] {
        merge.rows("t", Side::Ours).await.unwrap().committed().unwrap();
    }
    lake
}

#[test]
fn what_each_side_has_decided_on_by_itself_is_no_change_of_the_other_one() {
    paused(async {
        let lake = decided_otherwise().await;
        // One goes back to what it was before either changed it, which is no less a decision.
        set(&lake, "main", 1, "a", 10).await;
        // What both come to is not asked for.
        set(&lake, "dev", 3, "a", 6).await;
        set(&lake, "dev", 3, "b", 6).await;
        let found = conflicts(&lake, "dev", "main").await;
        assert_eq!(told(&found), [1, 2]);
        assert_eq!(told(&conflicts(&lake, "main", "dev").await), [1, 2]);
        let [rows] = &found.rows[..] else { panic!("{found}") };
        assert_eq!(triples(&rows.ours), [(1, 10, 100), (2, 20, 6)]);
        assert_eq!(triples(&rows.theirs), [(1, 7, 100)], "which has deleted the other one");
        lake.merge("dev").into("main").rows("t", Side::Theirs).await.unwrap().committed().unwrap();
        let merged = state(&lake, "main").await;
        assert_eq!((merged[&1], merged.get(&2), merged[&3]), ((7, 100), None, (6, 6)));
        check_whole(&lake, "merged").await;
        merge(&lake, "main", "dev").await;
        assert_eq!(state(&lake, "dev").await, merged);
    });
}

/// The table is as the base of the merge has it, to the last byte.
#[test]
fn a_branch_that_takes_the_other_ones_word_and_then_its_own_again_has_decided() {
    paused(async {
        for other in ["main", "dev"] {
            let (_, lake) = tens().await;
            delete(&lake, other, 2).await;
            set(&lake, "main", 1, "a", 6).await;
            set(&lake, "dev", 1, "a", 7).await;
            let main = lake.at("main").await.unwrap();
            for merge in [lake.merge("dev").into("main"), lake.merge(&main).into("dev")] {
                merge.rows("t", Side::Theirs).await.unwrap().committed().unwrap();
            }
            set(&lake, "main", 1, "a", 6).await;
            set(&lake, "dev", 1, "a", 7).await;
            for (from, into) in [("dev", "main"), ("main", "dev")] {
                assert_eq!(told(&conflicts(&lake, from, into).await), [1], "{other}: {from} into {into}");
            }
        }
    });
}

#[test]
fn cells_that_last_common_commits_agree_on_are_merged_beside_those_on_which_they_do_not() {
    paused(async {
        let lake = decided_otherwise().await;
        // Of the cell that nobody disputes one side makes something else, and of the disputed one both the same.
        set(&lake, "main", 1, "a", 8).await;
        set(&lake, "dev", 1, "a", 8).await;
        set(&lake, "dev", 1, "b", 9).await;
        // Both delete, or both have again, what they disagree on.
        delete(&lake, "main", 2).await;
        delete(&lake, "dev", 3).await;
        assert_eq!(told(&conflicts(&lake, "dev", "main").await), [3]);
        delete(&lake, "main", 3).await;
        merge(&lake, "dev", "main").await;
        let merged = state(&lake, "main").await;
        assert_eq!((merged[&1], merged.get(&2), merged.get(&3)), ((8, 9), None, None));
        check_whole(&lake, "merged").await;
    });
}

/// Of the schema, of a table that one has dropped, and of a view nothing is merged row by row.
#[test]
fn a_table_on_which_last_common_commits_disagree_is_decided_as_a_whole_and_the_rest_is_merged() {
    paused(async {
        for side in [Side::Ours, Side::Theirs] {
            let lake = branches(&[("main", 20), ("dev", 30)]).await;
            change(&lake, async |on| {
                on.create_table("s").like(&rows(&[]).schema()).await.unwrap();
                on.append("s", rows(&[(1, 1, 1)])).await.unwrap();
            })
            .await;
            merge(&lake, "main", "dev").await;
            merge(&lake, "dev", "main").await;
            for (branch, name) in [("main", "x"), ("dev", "y")] {
                on(&lake, branch, async |on| {
                    on.alter_table("s").rename_column("a", name).await.unwrap();
                })
                .await;
                append(&lake, branch, if branch == "main" { 21 } else { 31 }).await;
            }
            let main = lake.at("main").await.unwrap();
            for merge in [lake.merge("dev").into("main"), lake.merge(&main).into("dev")] {
                merge.take("s", Side::Ours).await.unwrap().committed().unwrap();
            }
            delete(&lake, "main", 31).await;
            set(&lake, "dev", 21, "a", 5).await;
            for (from, into) in [("dev", "main"), ("main", "dev")] {
                let found = conflicts(&lake, from, into).await;
                let [conflict] = &found.conflicts[..] else { panic!("{found}") };
                assert_eq!(conflict.kind, ConflictKind::Base(BaseConflict::Disagreement));
                assert_eq!((conflict.name.as_str(), conflict.code()), ("s", "base"));
            }
            lake.merge("dev").into("main").take("s", side).await.unwrap().committed().unwrap();
            assert_eq!(keys(&lake, "main").await, [20, 21, 30]);
            assert_eq!(state(&lake, "main").await[&21], (5, 1));
            let s = lake.at("main").await.unwrap().table("s").await.unwrap();
            let expected = if side == Side::Ours { "x" } else { "y" };
            assert!(s.schema().fields().iter().any(|field| field.name.as_str() == expected));
            assert_eq!(s.rows(), 1);
            check_whole(&lake, "merged").await;
            // It is decided, and the next merge goes by it.
            let from_main = on(&lake, "main", async |on| {
                on.append("s", s_rows(expected, 7)).await.unwrap();
            });
            from_main.await;
            merge(&lake, "main", "dev").await;
            let s = lake.at("dev").await.unwrap().table("s").await.unwrap();
            assert!(s.schema().fields().iter().any(|field| field.name.as_str() == expected));
            assert_eq!(s.rows(), 2);
            check_whole(&lake, "merged").await;
        }
    });
}

fn s_rows(name: &str, u: i64) -> RecordBatch {
    batch([("u", longs([u])), (name, longs([1])), ("b", longs([1]))])
}

/// One of the last common commits made a table of that name anew, the other one changed it.
#[test]
fn a_name_that_stands_for_another_table_in_one_of_them_is_in_doubt_whichever_comes_first() {
    paused(async {
        for takes in [[Side::Ours, Side::Ours], [Side::Ours, Side::Theirs], [Side::Theirs, Side::Ours]] {
            let (_, lake) = tens().await;
            lake.create_branch("third").from("dev").await.unwrap();
            on(&lake, "main", async |on| {
                on.drop_table("t").await.unwrap();
                on.create_table("t").like(&rows(&[]).schema()).await.unwrap();
                on.append("t", rows(&[(2, 2, 2)])).await.map(drop).unwrap();
            })
            .await;
            append(&lake, "dev", 30).await;
            for (at, branch) in ["main", "dev"].into_iter().enumerate() {
                lake.create_tag(format!("c{at}").as_str()).on(branch).await.unwrap();
            }
            for (branch, [first, second]) in [("third", ["c0", "c1"]), ("dev", ["c0", "c0"])] {
                for (at, tag) in [first, second].into_iter().enumerate() {
                    let name = format!("{branch}{at}");
                    on(&lake, branch, async |on| {
                        on.create_table(name.as_str()).like(&rows(&[]).schema()).await.map(drop).unwrap();
                    })
                    .await;
                    let _ = lake.merge(tag).into(branch).take("t", takes[at]).await.unwrap();
                }
            }
            for (from, into) in [("third", "dev"), ("dev", "third")] {
                for side in [Side::Ours, Side::Theirs] {
                    let copy = format!("{into}-by-{side:?}-{takes:?}").replace(['[', ']', ',', ' '], "");
                    lake.create_branch(copy.as_str()).from(into).await.unwrap();
                    let merged = lake.merge(from).into(copy.as_str()).take("t", side).await.unwrap();
                    assert!(!matches!(merged, Merged::Conflicts(_)), "{merged:?}");
                    let wanted = if side == Side::Ours { into } else { from };
                    assert_eq!(state(&lake, &copy).await, state(&lake, wanted).await, "{copy}");
                }
            }
        }
    });
}

#[test]
fn what_both_have_picked_since_is_put_together_beside_rows_in_dispute() {
    paused(async {
        let lake = decided_otherwise().await;
        set(&lake, "dev", 4, "b", 6).await;
        set(&lake, "dev", 4, "a", 5).await;
        super::picked::pick(&lake, "dev", "main").await;
        for (from, into) in [("dev", "main"), ("main", "dev")] {
            assert_eq!(told(&conflicts(&lake, from, into).await), [1, 2, 3], "{from} into {into}");
        }
        lake.merge("dev").into("main").rows("t", Side::Ours).await.unwrap().committed().unwrap();
        assert_eq!(state(&lake, "main").await[&4], (5, 6));
    });
}
