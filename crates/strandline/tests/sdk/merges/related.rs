//! Branches that met by way of others: what is there comes once, and what was done since stays done, whichever way it came [MRG-1..4].

use std::collections::BTreeSet;

use proptest::prelude::*;
use strandline_format::Hash;

use super::random::{Disputed, done, expected, expected_beside, told};
use super::*;
use crate::histories::cases;

async fn append(lake: &Lake, branch: &str, u: i64) {
    on(lake, branch, async |on| on.append("t", rows(&[(u, 1, 1)])).await.map(drop).unwrap()).await;
}

/// Branches with a row each of their own; `state` sees to it that none stands twice.
async fn branches(names: &[(&str, i64)]) -> Lake {
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

async fn keys(lake: &Lake, branch: &str) -> Vec<i64> {
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

/// A step of a random history of several branches.
#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Set(usize, usize, bool, i64),
    Delete(usize, usize),
    /// A branch more, made of another one.
    Branch(usize),
    /// The first into the second, at so many versions back.
    Merge(usize, usize, usize),
    /// A commit of the first onto the second, so many versions back; whether it wins where they disagree.
    Pick(usize, usize, usize, bool),
    /// Both change a row, or one deletes it, and each merges what the other one was then.
    Crosswise(usize, usize, usize, bool),
}

impl Step {
    /// What it is of simpler ones.
    fn parts(&self) -> Vec<Self> {
        match *self {
            Self::Crosswise(one, other, row, deletes) => {
                let second = if deletes { Self::Delete(other, row) } else { Self::Set(other, row, true, 4) };
                vec![
                    Self::Set(one, row, true, 3),
                    second,
                    Self::Merge(one, other, 0),
                    Self::Merge(other, one, 1),
                ]
            }
            _ => vec![self.clone()],
        }
    }
}

fn steps() -> impl Strategy<Value = Step> {
    let any_branch = 0..8_usize;
    prop_oneof![
        3 => any_branch.clone().prop_map(Step::Append),
        3 => (any_branch.clone(), 0..20_usize, any::<bool>(), 0..3_i64)
            .prop_map(|(on, row, a, value)| Step::Set(on, row, a, value)),
        2 => (any_branch.clone(), 0..20_usize).prop_map(|(on, row)| Step::Delete(on, row)),
        1 => any_branch.clone().prop_map(Step::Branch),
        5 => (any_branch.clone(), any_branch, prop_oneof![1 => Just(0_usize), 1 => 1..4_usize])
            .prop_map(|(from, into, back)| Step::Merge(from, into, back)),
        2 => (0..8_usize, 0..8_usize, 0..3_usize, any::<bool>())
            .prop_map(|(from, onto, back, wins)| Step::Pick(from, onto, back, wins)),
        1 => (0..8_usize, 0..8_usize, 0..12_usize, any::<bool>())
            .prop_map(|(one, other, row, deletes)| Step::Crosswise(one, other, row, deletes)),
    ]
}

/// A commit, and what its rows are.
struct Node {
    parents: Vec<usize>,
    state: State,
    /// What it was picked from, first of all.
    origin: Option<usize>,
    /// Of a commit that is stored.
    hash: Option<Hash>,
    /// Whether it changed anything, which a pick of what is there already does not.
    changed: bool,
}

/// Several branches, and all their commits.
struct Web {
    lake: Lake,
    nodes: Vec<Node>,
    heads: Vec<usize>,
    last: i64,
    /// How many merges were committed, and how many had bases that disagree.
    merges: (usize, usize),
    /// How many bases have what was picked.
    picks: usize,
}

impl Web {
    async fn new() -> Self {
        let (_, lake) = tens().await;
        for name in ["b0", "b1", "b2"] {
            lake.create_branch(name).await.unwrap();
        }
        let state = (0..10).map(|u| (u, (u * 10, u * 100))).collect();
        let hash = Some(lake.at("b0").await.unwrap().commit().hash());
        let nodes = vec![Node { parents: Vec::new(), state, origin: None, hash, changed: true }];
        Self { lake, nodes, heads: vec![0; 3], last: 100, merges: (0, 0), picks: 0 }
    }

    fn ancestors(&self, head: usize) -> BTreeSet<usize> {
        let (mut found, mut open) = (BTreeSet::new(), vec![head]);
        while let Some(node) = open.pop() {
            if found.insert(node) {
                open.extend(&self.nodes[node].parents);
            }
        }
        found
    }

    /// What the common ancestors come to together that no other one has as an ancestor: the commit, which may be made for that alone, and the
    /// cells on which they disagree.
    fn base(&mut self, ours: usize, theirs: usize) -> (usize, Disputed) {
        let bases = self.bases(ours, theirs);
        let (mut base, others) = (bases[0], &bases[1..]);
        let mut disputed = Disputed::new();
        for other in others {
            let (below, beside) = self.base(base, *other);
            let of = |node: usize| &self.nodes[node].state;
            let (mut state, contested) = expected_beside(of(below), &beside, of(base), of(*other));
            for u in contested {
                let rows = (of(below).get(&u), of(base).get(&u), of(*other).get(&u));
                // Whether the row is there is open where one of them has not got it, and then all of it.
                let (row, open) = match rows {
                    (Some(_), Some(one), Some(other)) => (*other, [one.0 != other.0, one.1 != other.1]),
                    (_, one, other) => (*other.or(one).unwrap(), [true; 2]),
                };
                state.insert(u, row);
                let known = disputed.entry(u).or_insert([false; 2]);
                *known = [0, 1].map(|at| known[at] || open[at]);
            }
            self.nodes.push(Node {
                parents: vec![base, *other],
                state,
                origin: None,
                hash: None,
                changed: true,
            });
            base = self.nodes.len() - 1;
        }
        for source in self.picked_on_both(ours, theirs) {
            let mut state = self.nodes[base].state.clone();
            let before = &self.nodes[self.nodes[source].parents[0]].state;
            done(before, &self.nodes[source].state, &mut state);
            let origin = Some(self.nodes[source].origin.unwrap_or(source));
            self.nodes.push(Node { parents: vec![base], state, origin, hash: None, changed: true });
            base = self.nodes.len() - 1;
            self.picks += 1;
        }
        (base, disputed)
    }

    /// Of the commits that each side has a copy of, and both together have not, the ones that are picked into the base, in their order.
    fn picked_on_both(&self, ours: usize, theirs: usize) -> Vec<usize> {
        let (ours, theirs) = (self.ancestors(ours), self.ancestors(theirs));
        let all: BTreeSet<usize> = &ours | &theirs;
        let origins: BTreeSet<usize> = all.iter().filter_map(|node| self.nodes[*node].origin).collect();
        let mut found = Vec::new();
        for origin in origins {
            let is_copy = |node: &&usize| **node == origin || self.nodes[**node].origin == Some(origin);
            let mut copies: Vec<usize> = all.iter().filter(is_copy).copied().collect();
            copies.sort_by_key(|node| (*node != origin, self.nodes[*node].hash));
            let first = |sides: (bool, bool)| {
                copies.iter().copied().find(|node| (ours.contains(node), theirs.contains(node)) == sides)
            };
            if let (Some(one), Some(other), None) =
                (first((true, false)), first((false, true)), first((true, true)))
            {
                found.push((origin, one, other));
            }
        }
        let behind = |(_, one, other): &(usize, usize, usize)| {
            let (of_one, of_other) = (self.ancestors(*one), self.ancestors(*other));
            let has = |(_, one, other): &(usize, usize, usize)| {
                usize::from(of_one.contains(one)) + usize::from(of_other.contains(other))
            };
            found.iter().map(has).sum::<usize>()
        };
        let mut order: Vec<_> =
            found.iter().map(|pair| ((behind(pair), self.nodes[pair.0].hash), *pair)).collect();
        order.sort_unstable();
        let source = |(origin, one, other): (usize, usize, usize)| match (one == origin, other == origin) {
            (true, _) => one,
            (_, true) => other,
            _ if self.nodes[one].hash < self.nodes[other].hash => one,
            _ => other,
        };
        let changed =
            |(_, one, other): &(usize, usize, usize)| self.nodes[*one].changed && self.nodes[*other].changed;
        order.into_iter().map(|(_, pair)| pair).filter(changed).map(source).collect()
    }

    /// The common ancestors that no other one has as an ancestor, those on the line of ours first.
    fn bases(&self, ours: usize, theirs: usize) -> Vec<usize> {
        let common: BTreeSet<usize> = &self.ancestors(ours) & &self.ancestors(theirs);
        let is_last =
            |node: &usize| common.iter().all(|other| other == node || !self.ancestors(*other).contains(node));
        let mut last: Vec<usize> = common.iter().copied().filter(is_last).collect();
        let (ours, theirs) = (self.line(ours), self.line(theirs));
        let is_own = |node: &usize| ours.contains(node) && !theirs.contains(node);
        last.sort_by_key(|node| (!is_own(node), self.nodes[*node].hash));
        last
    }

    /// A commit and its first parents.
    fn line(&self, head: usize) -> BTreeSet<usize> {
        let before = |node: &usize| self.nodes[*node].parents.first().copied();
        std::iter::successors(Some(head), before).collect()
    }

    fn commit(&mut self, branch: usize, merged: Option<usize>, state: State) {
        let parents = std::iter::once(self.heads[branch]).chain(merged).collect();
        self.heads[branch] = self.nodes.len();
        self.nodes.push(Node { parents, state, origin: None, hash: None, changed: true });
    }

    async fn step(&mut self, step: &Step) {
        let count = self.heads.len();
        let (Step::Append(at)
        | Step::Set(at, ..)
        | Step::Delete(at, _)
        | Step::Branch(at)
        | Step::Merge(_, at, _)
        | Step::Pick(_, at, ..)
        | Step::Crosswise(_, at, ..)) = *step;
        let at = at % count;
        let name = format!("b{at}");
        let mut now = self.nodes[self.heads[at]].state.clone();
        match step {
            Step::Append(_) => {
                self.last += 1;
                append(&self.lake, &name, self.last).await;
                now.insert(self.last, (1, 1));
                self.commit(at, None, now);
            }
            Step::Set(_, row, a, value) => {
                let Some(u) = now.keys().nth(*row).copied() else { return };
                set(&self.lake, &name, u, if *a { "a" } else { "b" }, *value).await;
                let row = now.get_mut(&u).unwrap();
                *(if *a { &mut row.0 } else { &mut row.1 }) = *value;
                self.commit(at, None, now);
            }
            Step::Delete(_, row) => {
                let Some(u) = now.keys().nth(*row).copied() else { return };
                delete(&self.lake, &name, u).await;
                now.remove(&u);
                self.commit(at, None, now);
            }
            Step::Branch(_) if count < 5 => {
                self.lake.create_branch(format!("b{count}").as_str()).from(name.as_str()).await.unwrap();
                self.heads.push(self.heads[at]);
            }
            Step::Branch(_) | Step::Crosswise(..) => {}
            Step::Merge(from, _, back) => self.merge((from % count, *back), at).await,
            Step::Pick(from, _, back, wins) => self.pick((from % count, *back), at, *wins).await,
        }
        let hash = self.lake.at(name.as_str()).await.unwrap().commit().hash();
        let head = self.heads[at];
        self.nodes[head].hash = Some(hash);
        let head = &self.nodes[head];
        assert_eq!(state(&self.lake, &name).await, head.state, "{name} after {step:?}");
    }

    async fn pick(&mut self, (from, back): (usize, usize), onto: usize, wins: bool) {
        let (mut source, mut name) = (self.heads[from], format!("b{from}"));
        for _ in 0..back {
            let Some(before) = self.nodes[source].parents.first() else { break };
            source = *before;
            name.push('~');
        }
        let target = format!("b{onto}");
        let [before] = self.nodes[source].parents[..] else {
            if self.nodes[source].parents.len() > 1 {
                let error = self.lake.cherry_pick(name.as_str()).on(target.as_str()).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
            }
            return;
        };
        let origin = self.nodes[source].origin.unwrap_or(source);
        let has = self.ancestors(self.heads[onto]);
        let is_copy = |node: &usize| *node == origin || self.nodes[*node].origin == Some(origin);
        let pick = || self.lake.cherry_pick(name.as_str()).on(target.as_str());
        let outcome = pick().await.unwrap();
        if has.iter().any(is_copy) {
            assert!(
                matches!(&outcome, Merged::UpToDate(_))
                    || matches!(&outcome, Merged::Committed(report) if report.already),
                "{outcome:?}"
            );
            return;
        }
        let of = |node: usize| &self.nodes[node].state;
        let now = of(self.heads[onto]);
        let (mut picked, contested) = expected(of(before), now, of(source));
        if let Merged::Conflicts(found) = outcome {
            if found.conflicts.iter().any(|conflict| matches!(conflict.kind, ConflictKind::Files(_))) {
                assert!(of(before).keys().any(|u| !now.contains_key(u)), "{found}");
                return;
            }
            assert_eq!(told(&found), contested);
            if !wins {
                return;
            }
            pick().rows("t", Side::Theirs).await.unwrap().committed().unwrap();
            picked.extend(contested.iter().filter_map(|u| Some((*u, *of(source).get(u)?))));
        } else {
            assert!(contested.is_empty(), "{contested:?}");
        }
        self.commit(onto, None, picked);
        let head = self.heads[onto];
        let commit = self.lake.at(target.as_str()).await.unwrap();
        self.nodes[head].changed = !commit.commit().changes().is_empty();
        self.nodes[head].origin = Some(origin);
    }

    async fn merge(&mut self, (from, back): (usize, usize), into: usize) {
        let (ours, mut theirs) = (self.heads[into], self.heads[from]);
        let mut source = format!("b{from}");
        for _ in 0..back {
            let Some(before) = self.nodes[theirs].parents.first() else { break };
            theirs = *before;
            source.push('~');
        }
        let target = format!("b{into}");
        let (base, disputed) = self.base(ours, theirs);
        let merge = || self.lake.merge(source.as_str()).into(target.as_str());
        let outcome = merge().await.unwrap();
        let of = |node: usize| &self.nodes[node].state;
        let (mut merged, contested) = expected_beside(of(base), &disputed, of(ours), of(theirs));
        self.merges.1 += usize::from(!disputed.is_empty());
        match outcome {
            Merged::UpToDate(_) => assert_eq!(base, theirs),
            Merged::Forwarded(_) => {
                assert_eq!(base, ours);
                self.heads[into] = theirs;
            }
            Merged::Committed(_) => {
                assert!(contested.is_empty(), "{contested:?}");
                self.merges.0 += 1;
                self.commit(into, Some(theirs), merged);
            }
            Merged::Conflicts(found) => {
                assert_eq!(told(&found), contested);
                merge().rows("t", Side::Theirs).await.unwrap().committed().unwrap();
                merged.extend(contested.iter().filter_map(|u| Some((*u, *of(theirs).get(u)?))));
                self.merges.0 += 1;
                self.commit(into, Some(theirs), merged);
            }
        }
        assert!(matches!(
            self.lake.merge(source.as_str()).into(target.as_str()).await.unwrap(),
            Merged::UpToDate(_)
        ));
    }
}

#[test]
fn random_webs_of_branches_come_to_what_their_last_common_commits_say() {
    let merges = std::cell::Cell::new((0, 0, 0));
    proptest!(cases(30), |(history in prop::collection::vec(steps(), 5..40))| {
        let (done, disagreeing, picks) = paused(async {
            let mut web = Web::new().await;
            for step in history.iter().flat_map(Step::parts) {
                web.step(&step).await;
            }
            check_whole(&web.lake, "after the history").await;
            (web.merges.0, web.merges.1, web.picks)
        });
        let (all_done, all_disagreeing, all_picks) = merges.get();
        merges.set((all_done + done, all_disagreeing + disagreeing, all_picks + picks));
    });
    let (done, disagreeing, picks) = merges.get();
    assert!(done > 30 && disagreeing > 0, "{done} merges, {disagreeing} of bases that disagree");
    assert!(picks > 3, "{picks} of their bases have what was picked");
}
