//! Merges of branches between which commits were picked: what both have is in the base, so that each row comes once, and what either side has done
//! to it since stays done [MRG-11].

use super::*;

pub(super) async fn append(lake: &Lake, branch: &str, u: i64) {
    on(lake, branch, async |on| on.append("t", rows(&[(u, 1, 1)])).await.map(drop).unwrap()).await;
}

pub(super) async fn pick(lake: &Lake, of: &str, on: &str) -> Report {
    let report = lake.cherry_pick(of).on(on).await.unwrap().committed().unwrap();
    assert!(!report.already, "{of} came to {on} now");
    report
}

/// Both ways, so that each branch has what the other one has.
pub(super) async fn meet(lake: &Lake, one: &str, other: &str) -> State {
    merge(lake, one, other).await;
    merge(lake, other, one).await;
    let met = state(lake, other).await;
    assert_eq!(state(lake, one).await, met);
    check_whole(lake, "met").await;
    met
}

/// The first rows with others, or without some.
pub(super) fn tens_with(others: &[(i64, Option<(i64, i64)>)]) -> State {
    let mut state: State = (0..10).map(|u| (u, (u * 10, u * 100))).collect();
    for (u, row) in others {
        match row {
            Some(row) => drop(state.insert(*u, *row)),
            None => drop(state.remove(u)),
        }
    }
    state
}

/// `dev` has a row put in, one set and one deleted by a commit, then goes on, and so does `main`, which picks that commit.
async fn picked() -> Lake {
    let (_, lake) = tens().await;
    append(&lake, "dev", 30).await;
    on(&lake, "dev", async |on| {
        on.append("t", rows(&[(20, 1, 1), (21, 1, 1)])).await.unwrap();
        on.update("t", col("u").eq(1)).set("a", -1).await.unwrap();
        on.delete("t", col("u").eq(2)).await.unwrap();
    })
    .await;
    append(&lake, "dev", 31).await;
    append(&lake, "main", 40).await;
    let report = pick(&lake, "dev~", "main").await;
    assert!(report.commit.changes()[0].picked.is_some() && report.commit.changes()[0].renumbered.is_none());
    lake
}

#[test]
fn what_was_picked_is_there_once_and_stays_what_either_side_made_of_it() {
    paused(async {
        for into in ["main", "dev"] {
            let lake = picked().await;
            // Of what was put in, set and deleted by the commit each side changes other things.
            set(&lake, "main", 20, "a", 5).await;
            set(&lake, "dev", 20, "b", 6).await;
            delete(&lake, "main", 21).await;
            set(&lake, "dev", 1, "b", 7).await;
            let other = if into == "main" { "dev" } else { "main" };
            let one = Some((1, 1));
            let expected = tens_with(&[
                (1, Some((-1, 7))),
                (2, None),
                (20, Some((5, 6))),
                (30, one),
                (31, one),
                (40, one),
            ]);
            assert_eq!(meet(&lake, other, into).await, expected);
            // It is one row on both sides from now on, in merges either way.
            set(&lake, "main", 20, "a", 8).await;
            set(&lake, "dev", 20, "b", 9).await;
            assert_eq!(meet(&lake, into, other).await[&20], (8, 9));
            delete(&lake, "dev", 20).await;
            append(&lake, "main", 41).await;
            let met = meet(&lake, "dev", "main").await;
            assert!(!met.contains_key(&20) && met.contains_key(&41));
        }
    });
}

#[test]
fn what_was_picked_and_changed_on_both_sides_is_a_conflict_beside_what_the_commit_made_of_it() {
    paused(async {
        let lake = picked().await;
        for (branch, value) in [("main", 5), ("dev", 6)] {
            set(&lake, branch, 20, "a", value).await;
            set(&lake, branch, 1, "a", value).await;
        }
        set(&lake, "main", 21, "a", 5).await;
        delete(&lake, "dev", 21).await;
        let found = conflicts(&lake, "dev", "main").await;
        let [told] = &found.rows[..] else { panic!("{found}") };
        assert_eq!(triples(&told.base), [(1, -1, 100), (20, 1, 1), (21, 1, 1)]);
        assert_eq!(triples(&told.ours), [(1, 5, 100), (20, 5, 1), (21, 5, 1)]);
        assert_eq!(triples(&told.theirs), [(1, 6, 100), (20, 6, 1)]);
        let merge = lake.merge("dev").into("main").rows("t", Side::Theirs);
        merge.await.unwrap().committed().unwrap();
        let merged = state(&lake, "main").await;
        assert_eq!((merged[&1], merged[&20], merged.get(&21)), ((6, 100), (6, 1), None));
    });
}

/// What one side takes back of a commit that both have is taken back.
#[test]
fn a_pick_that_was_taken_back_stays_so() {
    paused(async {
        for back_on in ["main", "dev"] {
            let lake = picked().await;
            let commit = if back_on == "main" { "main" } else { "dev~" };
            lake.revert(commit).on(back_on).await.unwrap().committed().unwrap();
            let one = Some((1, 1));
            assert_eq!(meet(&lake, "dev", "main").await, tens_with(&[(30, one), (31, one), (40, one)]));
        }
        // The same by hand, and by a reset.
        let lake = picked().await;
        set(&lake, "main", 1, "a", 10).await;
        delete(&lake, "main", 20).await;
        let met = meet(&lake, "dev", "main").await;
        assert_eq!((met[&1], met.get(&20)), ((10, 100), None));
        let lake = picked().await;
        lake.reset("main~").on("main").await.unwrap().committed().unwrap();
        let one = Some((1, 1));
        assert_eq!(meet(&lake, "dev", "main").await, tens_with(&[(30, one), (31, one), (40, one)]));
    });
}

/// A branch that brings nothing but what was picked changes nothing, and is related all the same.
#[test]
fn a_merge_of_nothing_but_what_was_picked_relates_the_rows() {
    paused(async {
        let (_, lake) = tens().await;
        append(&lake, "dev", 20).await;
        append(&lake, "main", 40).await;
        pick(&lake, "dev", "main").await;
        merge(&lake, "dev", "main").await;
        assert!(lake.at("main").await.unwrap().commit().changes().is_empty());
        set(&lake, "dev", 20, "a", 5).await;
        set(&lake, "main", 20, "b", 6).await;
        merge(&lake, "dev", "main").await;
        assert_eq!(state(&lake, "main").await, tens_with(&[(20, Some((5, 6))), (40, Some((1, 1)))]));
        check_whole(&lake, "merged").await;
    });
}

/// Such a merge records nothing, and one that goes the other way then has a head that the other one descends from.
#[test]
fn a_merge_back_of_nothing_but_what_was_picked_keeps_the_rows_what_they_are() {
    paused(async {
        for by_upsert in [true, false] {
            let (_, lake) = tens().await;
            change(&lake, async |on| on.alter_table("t").key(["u"]).await.map(drop).unwrap()).await;
            merge_forward(&lake).await;
            let new = rows(&[(20, 1, 1), (21, 1, 1)]);
            on(&lake, "main", async |on| match by_upsert {
                true => drop(on.upsert("t", new).by(["u"]).await.unwrap()),
                false => drop(on.append("t", new).await.unwrap()),
            })
            .await;
            pick(&lake, "main", "dev").await;
            merge(&lake, "main", "dev").await;
            assert!(lake.at("dev").await.unwrap().commit().changes().is_empty());
            merge(&lake, "dev", "main").await;
            let diff = lake.diff("main~", "main").await.unwrap().table("t").await.unwrap();
            let counts = diff.counts().await.unwrap();
            assert_eq!((counts.inserted, counts.updated, counts.deleted), (0, 0, 0));
            let added = column("c", PrimitiveType::Long);
            on(&lake, "dev", async |on| on.alter_table("t").add_column(added).await.map(drop).unwrap()).await;
            lake.create_branch("copy").from("dev").await.unwrap();
            merge(&lake, "main", "copy").await;
            merge(&lake, "dev", "main").await;
            set(&lake, "dev", 20, "a", 5).await;
            set(&lake, "main", 20, "b", 6).await;
            delete(&lake, "dev", 21).await;
            let expected = tens_with(&[(20, Some((5, 6))), (21, None)]);
            assert_eq!(meet(&lake, "dev", "main").await, expected);
        }
    });
}

#[test]
fn a_row_that_was_picked_is_known_in_later_picks_either_way() {
    paused(async {
        let (_, lake) = tens().await;
        append(&lake, "main", 40).await;
        append(&lake, "dev", 20).await;
        pick(&lake, "dev", "main").await;
        // What is done to it where it came from, where it came to, and on a third branch that picked the pick.
        set(&lake, "dev", 20, "a", 5).await;
        pick(&lake, "dev", "main").await;
        set(&lake, "main", 20, "b", 6).await;
        pick(&lake, "main", "dev").await;
        lake.create_branch("third").from("main~3").await.unwrap();
        append(&lake, "third", 50).await;
        pick(&lake, "main~2", "third").await;
        pick(&lake, "main~", "third").await;
        set(&lake, "third", 20, "a", 7).await;
        for branch in ["dev", "main"] {
            pick(&lake, "third", branch).await;
            assert_eq!(state(&lake, branch).await[&20], (7, 6));
        }
        set(&lake, "third", 20, "b", 9).await;
        delete(&lake, "dev", 20).await;
        pick(&lake, "dev", "main").await;
        let found = conflicts(&lake, "dev", "third").await;
        assert_eq!(super::random::told(&found), [20], "deleted there and changed here");
        assert_eq!(meet(&lake, "dev", "main").await, tens_with(&[(40, Some((1, 1)))]));
    });
}

#[test]
fn commits_that_were_picked_in_another_order_are_in_the_base() {
    paused(async {
        let (_, lake) = tens().await;
        append(&lake, "dev", 20).await;
        set(&lake, "dev", 1, "a", 5).await;
        set(&lake, "dev", 1, "b", 6).await;
        append(&lake, "main", 40).await;
        for commit in ["dev", "dev~2", "dev~"] {
            pick(&lake, commit, "main").await;
        }
        set(&lake, "main", 1, "a", 7).await;
        set(&lake, "dev", 20, "a", 8).await;
        let expected = tens_with(&[(1, Some((7, 6))), (20, Some((8, 1))), (40, Some((1, 1)))]);
        assert_eq!(meet(&lake, "dev", "main").await, expected);
    });
}

/// What a pick was given by hand, since the commit builds on one that did not come, is what that side made of it.
#[test]
fn a_pick_that_was_decided_is_merged_by_what_the_commit_did() {
    paused(async {
        for side in [Side::Ours, Side::Theirs] {
            let (_, lake) = tens().await;
            on(&lake, "dev", async |on| {
                on.update("t", col("u").eq(1)).set("a", 5).set("b", 50).await.unwrap();
            })
            .await;
            set(&lake, "dev", 1, "a", 6).await;
            append(&lake, "dev", 20).await;
            append(&lake, "main", 40).await;
            let Merged::Conflicts(_) = lake.cherry_pick("dev~").on("main").await.unwrap() else { panic!() };
            lake.cherry_pick("dev~").on("main").rows("t", side).await.unwrap().committed().unwrap();
            let met = meet(&lake, "dev", "main").await;
            // The cell that the commit set is as main has decided, the other one as dev has it.
            let a = if side == Side::Ours { 10 } else { 6 };
            assert_eq!(met, tens_with(&[(1, Some((a, 50))), (20, Some((1, 1))), (40, Some((1, 1)))]));
        }
    });
}

#[test]
fn equal_rows_of_one_key_are_one_when_a_commit_is_picked_and_when_it_is_merged() {
    paused(async {
        for same in [true, false] {
            let (_, lake) = tens().await;
            change(&lake, async |on| on.alter_table("t").key(["u"]).await.map(drop).unwrap()).await;
            merge_forward(&lake).await;
            append(&lake, "main", 20).await;
            on(&lake, "dev", async |on| {
                on.append("t", rows(&[(20, 1, if same { 1 } else { 2 }), (21, 1, 1)])).await.unwrap();
            })
            .await;
            append(&lake, "dev", 30).await;
            let picked = lake.cherry_pick("dev~").on("main");
            if same {
                picked.await.unwrap().committed().unwrap();
            } else {
                let Merged::Conflicts(found) = picked.clone().await.unwrap() else { panic!() };
                assert_eq!(found.keys[0].keys, ["(u = 20)"]);
                picked.rows("t", Side::Ours).await.unwrap().committed().unwrap();
            }
            set(&lake, "dev", 20, "a", 5).await;
            set(&lake, "dev", 21, "a", 5).await;
            merge(&lake, "dev", "main").await;
            let merged = state(&lake, "main").await;
            let expected = [(20, (5, 1)), (21, (5, 1)), (30, (1, 1))];
            assert_eq!(merged.into_iter().filter(|(u, _)| *u > 10).collect::<Vec<_>>(), expected);
            check_whole(&lake, "merged").await;
        }
    });
}

async fn merge_forward(lake: &Lake) {
    assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
}

#[test]
fn tables_columns_and_names_that_were_picked_are_in_the_base() {
    paused(async {
        let (_, lake) = tens().await;
        append(&lake, "dev", 30).await;
        on(&lake, "dev", async |on| {
            on.create_table("made").like(&rows(&[]).schema()).await.unwrap();
            on.append("made", rows(&[(1, 1, 1), (2, 1, 1)])).await.unwrap();
            on.alter_table("t").add_column(column("c", PrimitiveType::Long)).await.unwrap();
        })
        .await;
        append(&lake, "main", 40).await;
        pick(&lake, "dev", "main").await;
        on(&lake, "dev", async |on| on.rename("made", "called").await.map(drop).unwrap()).await;
        pick(&lake, "dev", "main").await;
        on(&lake, "main", async |on| {
            assert_eq!(on.delete("called", col("u").eq(1)).await.unwrap(), 1);
            on.append("called", rows(&[(3, 1, 1)])).await.unwrap();
        })
        .await;
        on(&lake, "dev", async |on| {
            on.update("called", col("u").eq(2)).set("a", 5).await.unwrap();
            on.append("called", rows(&[(4, 1, 1)])).await.unwrap();
            on.alter_table("t").rename_column("c", "d").await.unwrap();
        })
        .await;
        merge(&lake, "dev", "main").await;
        let main = lake.at("main").await.unwrap();
        let called = main.table("called").await.unwrap().scan().collect().await.unwrap();
        let mut called: Vec<_> = called.iter().flat_map(triples).collect();
        called.sort_unstable();
        assert_eq!(called, [(2, 5, 1), (3, 1, 1), (4, 1, 1)]);
        let t = main.table("t").await.unwrap();
        let columns: Vec<_> = t.schema().fields().iter().map(|field| field.name.as_str()).collect();
        assert_eq!(columns, ["u", "a", "b", "d"]);
        // One side drops what both have picked.
        change(&lake, async |on| on.drop_table("called").await.map(drop).unwrap()).await;
        merge(&lake, "main", "dev").await;
        assert!(lake.at("dev").await.unwrap().table("called").await.is_err());
        check_whole(&lake, "merged").await;
    });
}

/// The files of such a commit have the column, so that its id is taken on a branch that has not got it.
#[test]
fn a_column_that_a_picked_commit_builds_on_comes_with_its_branch_alone() {
    paused(async {
        let (_, lake) = tens().await;
        let added = column("c", PrimitiveType::Long);
        on(&lake, "dev", async |on| on.alter_table("t").add_column(added).await.map(drop).unwrap()).await;
        append(&lake, "dev", 20).await;
        append(&lake, "main", 40).await;
        pick(&lake, "dev", "main").await;
        let Merged::Conflicts(found) = lake.cherry_pick("dev~").on("main").await.unwrap() else { panic!() };
        assert!(matches!(found.conflicts[0].kind, ConflictKind::Table(_)), "{found}");
        let one = Some((1, 1));
        assert_eq!(meet(&lake, "dev", "main").await, tens_with(&[(20, one), (40, one)]));
        for branch in ["main", "dev"] {
            let t = lake.at(branch).await.unwrap().table("t").await.unwrap();
            assert!(t.schema().fields().iter().any(|field| field.name.as_str() == "c"), "{branch}");
        }
    });
}

#[test]
fn what_a_pick_and_its_commit_differ_in_is_all_that_a_diff_tells() {
    paused(async {
        let lake = picked().await;
        set(&lake, "main", 20, "a", 5).await;
        let diff = lake.diff("dev", "main").await.unwrap().table("t").await.unwrap();
        let counts = diff.counts().await.unwrap();
        assert_eq!((counts.inserted, counts.updated, counts.deleted), (1, 1, 2), "40; 20; 30 and 31");
    });
}

/// A merge brings what other commits did, which may come again by themselves.
#[test]
fn a_merge_is_not_picked_and_what_a_branch_descends_from_is_there() {
    paused(async {
        let (_, lake) = tens().await;
        lake.create_branch("x").await.unwrap();
        append(&lake, "x", 50).await;
        append(&lake, "dev", 20).await;
        merge(&lake, "x", "dev").await;
        let error = lake.cherry_pick("dev").on("main").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("is a merge of commit"), "{error}");
        append(&lake, "main", 40).await;
        merge(&lake, "dev", "main").await;
        delete(&lake, "main", 20).await;
        for commit in ["dev~", "x"] {
            assert!(
                matches!(lake.cherry_pick(commit).on("main").await.unwrap(), Merged::UpToDate(_)),
                "{commit}"
            );
        }
        assert!(!state(&lake, "main").await.contains_key(&20));
    });
}

/// `main` has taken `t` as a whole with the last commit of `dev`, and both have a table besides.
async fn taken_whole() -> Lake {
    let (_, lake) = tens().await;
    change(&lake, async |on| on.create_table("s").like(&rows(&[]).schema()).await.map(drop).unwrap()).await;
    merge_forward(&lake).await;
    append(&lake, "dev", 30).await;
    set(&lake, "dev", 1, "a", 5).await;
    lake.create_tag("before").on("dev").await.unwrap();
    set(&lake, "dev", 1, "a", 7).await;
    set(&lake, "main", 1, "a", 6).await;
    let Merged::Conflicts(_) = lake.cherry_pick("dev").on("main").await.unwrap() else { panic!() };
    let whole = lake.cherry_pick("dev").on("main").take("t", Side::Theirs);
    whole.await.unwrap().committed().unwrap();
    assert_eq!(state(&lake, "main").await, state(&lake, "dev").await);
    for (branch, u) in [("main", 1), ("dev", 2)] {
        on(&lake, branch, async |on| on.append("s", rows(&[(u, 1, 1)])).await.map(drop).unwrap()).await;
    }
    lake
}

async fn is_in_doubt(lake: &Lake, from: &str, into: &str) {
    let found = conflicts(lake, from, into).await;
    let [conflict] = &found.conflicts[..] else { panic!("{found}") };
    assert!(matches!(conflict.kind, ConflictKind::Base(BaseConflict::Picked(..))), "{found}");
    assert_eq!(conflict.name, "t");
}

/// With the table come rows of commits that were not picked, which nothing relates.
#[test]
fn a_table_that_was_taken_as_a_whole_with_a_pick_is_decided_as_a_whole_and_the_rest_is_merged() {
    paused(async {
        for (side, [from, into]) in [
            (Side::Ours, ["dev", "main"]),
            (Side::Theirs, ["dev", "main"]),
            (Side::Ours, ["main", "dev"]),
            (Side::Theirs, ["main", "dev"]),
        ] {
            let lake = taken_whole().await;
            set(&lake, "main", 30, "a", 8).await;
            append(&lake, "dev", 31).await;
            is_in_doubt(&lake, from, into).await;
            let taken = state(&lake, if side == Side::Ours { into } else { from }).await;
            lake.merge(from).into(into).take("t", side).await.unwrap().committed().unwrap();
            assert_eq!(state(&lake, into).await, taken);
            assert_eq!(lake.at(into).await.unwrap().table("s").await.unwrap().rows(), 2);
            check_whole(&lake, "merged").await;
            // From then on it is as after any merge in which a table was decided.
            append(&lake, into, 50).await;
            merge(&lake, into, from).await;
            let expected: State = taken.into_iter().chain([(50, (1, 1))]).collect();
            assert_eq!(state(&lake, from).await, expected);
            set(&lake, from, 30, "a", 9).await;
            append(&lake, from, 51).await;
            merge(&lake, from, into).await;
            assert_eq!(state(&lake, into).await, state(&lake, from).await);
            check_whole(&lake, "merged").await;
        }
    });
}

/// Another branch may have the same rows though it has not the commit that was picked.
#[test]
fn a_table_that_was_taken_as_a_whole_is_in_doubt_beside_branches_without_the_commit() {
    paused(async {
        let lake = taken_whole().await;
        lake.create_branch("old").from("before").await.unwrap();
        is_in_doubt(&lake, "before", "main").await;
        is_in_doubt(&lake, "main", "old").await;
        // By way of a third branch as well.
        lake.create_branch("third").from("main~3").await.unwrap();
        append(&lake, "third", 40).await;
        lake.merge("main").into("third").take("t", Side::Theirs).await.unwrap().committed().unwrap();
        is_in_doubt(&lake, "third", "old").await;
        // What has the pick, or did nothing to the table, is merged as ever.
        lake.create_branch("fourth").from("main").await.unwrap();
        append(&lake, "fourth", 41).await;
        append(&lake, "main", 42).await;
        merge(&lake, "fourth", "main").await;
        let merged: Vec<i64> = state(&lake, "main").await.into_keys().filter(|u| *u >= 10).collect();
        assert_eq!(merged, [30, 41, 42]);
        lake.merge("main").into("old").take("t", Side::Theirs).await.unwrap().committed().unwrap();
        append(&lake, "old", 43).await;
        merge(&lake, "old", "main").await;
        assert_eq!(state(&lake, "main").await, state(&lake, "old").await);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn a_commit_that_came_as_a_pick_of_a_merged_branch_is_not_picked_again() {
    paused(async {
        let (_, lake) = tens().await;
        lake.create_branch("third").from("dev").await.unwrap();
        delete(&lake, "dev", 1).await;
        append(&lake, "main", 40).await;
        pick(&lake, "dev", "third").await;
        merge(&lake, "third", "main").await;
        on(&lake, "main", async |on| on.append("t", rows(&[(1, 5, 5)])).await.map(drop).unwrap()).await;
        let again = lake.cherry_pick("dev").on("main").await.unwrap();
        assert!(matches!(again, Merged::UpToDate(_)), "{again:?}");
        assert_eq!(state(&lake, "main").await, tens_with(&[(1, Some((5, 5))), (40, Some((1, 1)))]));
    });
}
