//! One commit that is picked or taken back, and a branch that is set back to a version.

use super::*;

#[test]
fn a_revert_and_a_pick_are_looked_at_first_and_decided_by_given_rows() {
    paused(async {
        let (_, lake) = tens().await;
        set(&lake, "main", 1, "a", -1).await;
        set(&lake, "main", 1, "a", -2).await;
        let head = lake.at("main").await.unwrap().version();
        let Preview::Conflicts(found) = lake.revert("main~").on("main").dry_run().await.unwrap() else {
            panic!("both changed the row")
        };
        let Merged::Conflicts(same) = lake.revert("main~").on("main").await.unwrap() else { panic!() };
        assert_eq!(same.conflicts.len(), found.conflicts.len());
        assert!(!Merged::Conflicts(same).committed().unwrap_err().is_retryable());
        let ours = &found.rows[0].ours;
        let mut columns = ours.columns().to_vec();
        columns[1] = longs([77]);
        let by_hand = RecordBatch::try_new(ours.schema(), columns).unwrap();
        let decided = || lake.revert("main~").on("main").with_rows("t", [by_hand.clone()]);
        let Preview::Commit(names) = decided().dry_run().await.unwrap() else { panic!("all is decided") };
        assert_eq!((names, lake.at("main").await.unwrap().version()), (vec!["t".to_owned()], head));
        decided().await.unwrap().committed().unwrap();
        assert_eq!(state(&lake, "main").await[&1], (77, 100));
        // Once a commit is picked, nothing is left to do.
        set(&lake, "main", 2, "a", -3).await;
        assert!(matches!(lake.cherry_pick("main").on("dev").dry_run().await.unwrap(), Preview::Commit(_)));
        assert_eq!(state(&lake, "dev").await[&2], (20, 200));
        lake.cherry_pick("main").on("dev").await.unwrap().committed().unwrap();
        assert!(matches!(lake.cherry_pick("main").on("dev").dry_run().await.unwrap(), Preview::UpToDate));
    });
}

#[test]
fn what_a_commit_did_and_the_branch_did_as_well_is_there_already() {
    paused(async {
        let (_, lake) = tens().await;
        for branch in ["dev", "main"] {
            set(&lake, branch, 1, "a", -1).await;
            on(&lake, branch, async |on| {
                on.delete("t", col("u").eq(2)).await.unwrap();
            })
            .await;
        }
        for commit in ["dev~", "dev"] {
            let before = state(&lake, "main").await;
            let preview = lake.cherry_pick(commit).on("main").dry_run().await.unwrap();
            assert!(matches!(&preview, Preview::Commit(names) if names.is_empty()), "{preview:?}");
            let report = lake.cherry_pick(commit).on("main").await.unwrap().committed().unwrap();
            assert!(report.changed_nothing && !report.already);
            assert_eq!(state(&lake, "main").await, before);
        }
        // That it was picked is known: what was done to the row since is of dev alone.
        set(&lake, "dev", 1, "a", -7).await;
        let report = lake.merge("dev").into("main").await.unwrap().committed().unwrap();
        assert!(!report.changed_nothing);
        assert_eq!(state(&lake, "main").await[&1], (-7, 100));
        // What was taken back, by whatever way, is not there to be taken back again.
        let head = lake.at("main").await.unwrap().version();
        set(&lake, "main", 3, "a", -3).await;
        set(&lake, "main", 3, "a", 30).await;
        assert!(matches!(lake.revert("main~").on("main").dry_run().await.unwrap(), Preview::UpToDate));
        let Merged::UpToDate(at) = lake.revert("main~").on("main").await.unwrap() else { panic!() };
        assert_eq!(at.version().0, head.0 + 2);
        set(&lake, "dev", 4, "a", -4).await;
        let report = lake.cherry_pick("dev").on("main").await.unwrap().committed().unwrap();
        assert!(!report.changed_nothing);
        check_whole(&lake, "picked").await;
    });
}

#[test]
fn a_commit_is_picked_once() {
    paused(async {
        let (_, lake) = tens().await;
        set(&lake, "dev", 1, "a", -1).await;
        on(&lake, "dev", async |on| on.append("t", rows(&[(20, 0, 0)])).await.map(drop).unwrap()).await;
        set(&lake, "dev", 20, "a", 5).await;
        set(&lake, "main", 2, "a", -2).await;
        let picked = lake.cherry_pick("dev@{3}").on("main").await.unwrap().committed().unwrap();
        let hash = lake.at("dev@{3}").await.unwrap().commit().hash().to_string();
        let property = picked.commit.properties().iter().find(|(key, _)| key.as_str() == "strandline.picked");
        assert_eq!(property.map(|(_, value)| value.as_str().to_owned()), Some(hash));
        let merged = state(&lake, "main").await;
        assert_eq!((merged[&1], merged[&2], merged[&20]), ((10, 100), (-2, 200), (0, 0)));
        let again = lake.cherry_pick("dev@{3}").on("main").await.unwrap().committed().unwrap();
        assert!(again.already);
        assert_eq!(state(&lake, "main").await, merged);
        check_whole(&lake, "picked").await;
    });
}

#[test]
fn commits_that_change_one_row_are_picked_one_after_the_other_or_alone() {
    paused(async {
        let (_, lake) = tens().await;
        set(&lake, "dev", 1, "a", 5).await;
        set(&lake, "dev", 1, "b", 7).await;
        set(&lake, "dev", 1, "a", 6).await;
        lake.create_branch("series").from("main").await.unwrap();
        for (commit, expected) in [("dev~2", (5, 100)), ("dev~", (5, 7)), ("dev", (6, 7))] {
            lake.cherry_pick(commit).on("series").await.unwrap().committed().unwrap();
            assert_eq!(state(&lake, "series").await[&1], expected);
        }
        // Of the second one alone, only its cell.
        lake.cherry_pick("dev~").on("main").await.unwrap().committed().unwrap();
        assert_eq!(state(&lake, "main").await[&1], (10, 7));
        // What it builds on is not there: the cell was 5.
        let Merged::Conflicts(found) = lake.cherry_pick("dev").on("main").await.unwrap() else { panic!() };
        let [told] = &found.rows[..] else { panic!("{found:?}") };
        let sides = [&told.base, &told.ours, &told.theirs].map(triples);
        assert_eq!(sides, [[(1, 5, 7)], [(1, 10, 7)], [(1, 6, 7)]]);
        // A row that is gone here.
        delete(&lake, "main", 1).await;
        let Merged::Conflicts(found) = lake.cherry_pick("dev").on("main").await.unwrap() else { panic!() };
        assert!(matches!(found.conflicts[0].kind, ConflictKind::Rows(_)), "{found}");
        check_whole(&lake, "picked").await;
    });
}

#[test]
fn a_commit_is_taken_back_and_what_came_after_it_stays() {
    paused(async {
        let (_, lake) = tens().await;
        change(&lake, async |on| {
            on.update("t", col("u").eq(1)).set("a", -1).await.unwrap();
            on.delete("t", col("u").ge(8)).await.unwrap();
            on.append("t", rows(&[(20, 0, 0)])).await.unwrap();
        })
        .await;
        set(&lake, "main", 2, "a", -2).await;
        lake.revert("main~").await.unwrap().committed().unwrap();
        let mut expected: State = (0..10).map(|u| (u, (u * 10, u * 100))).collect();
        expected.insert(2, (-2, 200));
        assert_eq!(state(&lake, "main").await, expected);
        // What was changed again since is a conflict.
        set(&lake, "main", 3, "a", -3).await;
        set(&lake, "main", 3, "a", -4).await;
        let Merged::Conflicts(found) = lake.revert("main~").await.unwrap() else { panic!() };
        assert_eq!(found.conflicts.len(), 1);
        set(&lake, "dev", 1, "b", 5).await;
        let error = lake.revert("dev").on("main").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidInput), "{error}");
        check_whole(&lake, "reverted").await;
    });
}

#[test]
fn a_branch_is_what_it_was_after_a_reset_and_keeps_its_history() {
    paused(async {
        let (_, lake) = tens().await;
        let then = state(&lake, "main").await;
        let version = lake.at("main").await.unwrap();
        set(&lake, "main", 1, "a", -1).await;
        change(&lake, async |on| {
            on.append("t", rows(&[(20, 0, 0)])).await.unwrap();
            on.alter_table("t").add_column(column("c", PrimitiveType::Long)).await.unwrap();
            on.create_table("other").fields(order_fields()).await.unwrap();
        })
        .await;
        let stale = lake.at("main").await.unwrap().commit().hash();
        delete(&lake, "main", 5).await;
        let error = lake.reset(&version).expecting(stale).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let report = lake.reset(&version).await.unwrap().committed().unwrap();
        assert_eq!(report.commit.version().0, 5);
        assert_eq!(state(&lake, "main").await, then);
        assert!(lake.table("other").await.is_err());
        let table = lake.table("t").await.unwrap();
        assert_eq!(table.schema().fields().len(), 3);
        // New rows get numbers that nobody had.
        lake.append("t", rows(&[(30, 0, 0)])).await.unwrap();
        assert_eq!(state(&lake, "main").await.len(), 11);
        assert_eq!(state(&lake, "main~2").await.len(), 10);
        check_whole(&lake, "reset").await;
    });
}
