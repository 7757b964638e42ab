//! Random histories of two branches, against plain maps of what their rows and cells come to.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use strandline::Lake;
use strandline::merge::Side;
use strandline::refs::{MergeConflicts, Merged};
use strandline_format::{ColumnName, Field, PrimitiveType, Value};

use super::{State, delete, on, rows, set, state, tens, triples};
use crate::collector::check_whole;
use crate::fixture::paused;
use crate::histories::cases;
use crate::work::change;

/// A step of a random history of two branches.
#[derive(Clone, Debug)]
enum Step {
    Append(usize, usize),
    Delete(usize, usize),
    Set(usize, usize, bool, i64),
    /// Of rows with these keys: new ones, if they never were there; else the values are set.
    Upsert(usize, [i64; 2], i64),
    /// A column more, or one that came so less.
    Alter(usize, bool),
    /// Files are written anew, and rows stay what they are.
    Compact(usize),
    Merge(usize),
    /// To so many versions back.
    Reset(usize, u64),
    /// The commit so many versions back.
    Revert(usize, u64),
}

fn steps() -> impl Strategy<Value = Step> {
    let branch = 0..2_usize;
    prop_oneof![
        2 => (branch.clone(), 1..4_usize).prop_map(|(on, rows)| Step::Append(on, rows)),
        3 => (branch.clone(), 0..20_usize).prop_map(|(on, at)| Step::Delete(on, at)),
        6 => (branch.clone(), 0..20_usize, any::<bool>(), 0..3_i64)
            .prop_map(|(on, at, a, value)| Step::Set(on, at, a, value)),
        4 => (branch.clone(), 195..205_i64, 1..3_i64, 0..2_i64)
            .prop_map(|(on, key, step, value)| Step::Upsert(on, [key, key + step], value)),
        2 => (branch.clone(), any::<bool>()).prop_map(|(on, more)| Step::Alter(on, more)),
        2 => branch.clone().prop_map(Step::Compact),
        3 => branch.clone().prop_map(Step::Merge),
        1 => (branch.clone(), 1..4_u64).prop_map(|(on, back)| Step::Reset(on, back)),
        1 => (branch, 0..3_u64).prop_map(|(on, back)| Step::Revert(on, back)),
    ]
}

const BRANCHES: [&str; 2] = ["main", "dev"];

/// What three states come to, and the rows that the sides disagree on.
pub(super) fn expected(base: &State, ours: &State, theirs: &State) -> (State, Vec<i64>) {
    let (mut merged, mut contested) = (State::new(), Vec::new());
    let keys: BTreeSet<i64> = base.keys().chain(ours.keys()).chain(theirs.keys()).copied().collect();
    for u in keys {
        let row = match (base.get(&u), ours.get(&u), theirs.get(&u)) {
            (base, ours, theirs) if theirs == base => ours.copied(),
            (base, ours, theirs) if ours == base => theirs.copied(),
            (_, ours, theirs) if ours == theirs => ours.copied(),
            (Some(base), Some(ours), Some(theirs)) => {
                let cell = |base: i64, ours: i64, theirs: i64| match (ours == base, theirs == base) {
                    (true, _) => Some(theirs),
                    (_, true) => Some(ours),
                    _ => (ours == theirs).then_some(ours),
                };
                let cells = (cell(base.0, ours.0, theirs.0), cell(base.1, ours.1, theirs.1));
                let (Some(a), Some(b)) = cells else {
                    contested.push(u);
                    continue;
                };
                Some((a, b))
            }
            _ => {
                contested.push(u);
                continue;
            }
        };
        merged.extend(row.map(|row| (u, row)));
    }
    (merged, contested)
}

/// Two branches, and what they should be.
struct Pair {
    lake: Lake,
    /// The state of each version, by branch.
    states: [BTreeMap<u64, State>; 2],
    /// What was merged last, in either direction.
    base: State,
    /// Which keys each branch put in by itself.
    put: [BTreeSet<i64>; 2],
    /// The last row that was put in.
    last: i64,
    merges: usize,
}

impl Pair {
    async fn new(copies: bool) -> Self {
        let (_, lake) = tens().await;
        change(&lake, async |on| on.alter_table("t").key(["u"]).await.map(drop).unwrap()).await;
        assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
        if copies {
            for branch in BRANCHES {
                on(&lake, branch, async |on| {
                    on.alter_table("t")
                        .set_property("strandline.row-removal", "copy-on-write")
                        .await
                        .unwrap();
                })
                .await;
            }
        }
        let start: State = (0..10).map(|u| (u, (u * 10, u * 100))).collect();
        let version = lake.at("main").await.unwrap().version().0;
        // Nobody goes back to where the table had no key.
        let states = [0, 1].map(|_| BTreeMap::from([(version, start.clone())]));
        Self { lake, states, base: start, put: Default::default(), last: 100, merges: 0 }
    }

    fn now(&self, at: usize) -> State {
        self.states[at].last_key_value().unwrap().1.clone()
    }

    /// The head of a branch must be this.
    async fn expect(&mut self, at: usize, expected: State, what: &impl std::fmt::Debug) {
        assert_eq!(state(&self.lake, BRANCHES[at]).await, expected, "{} after {what:?}", BRANCHES[at]);
        let version = self.lake.at(BRANCHES[at]).await.unwrap().version().0;
        self.states[at].insert(version, expected);
    }

    async fn step(&mut self, step: &Step) {
        let (Step::Append(at, _)
        | Step::Delete(at, _)
        | Step::Set(at, ..)
        | Step::Upsert(at, ..)
        | Step::Alter(at, _)
        | Step::Compact(at)
        | Step::Merge(at)
        | Step::Reset(at, _)
        | Step::Revert(at, _)) = *step;
        let (branch, mut now) = (BRANCHES[at], self.now(at));
        match step {
            Step::Append(_, count) => {
                let first = self.last + 1;
                self.last += i64::try_from(*count).unwrap();
                let new: Vec<_> = (first..=self.last).map(|u| (u, 1, 1)).collect();
                on(&self.lake, branch, async |on| on.append("t", rows(&new)).await.map(drop).unwrap()).await;
                now.extend(new.iter().map(|row| (row.0, (row.1, row.2))));
            }
            Step::Delete(_, row) => {
                let Some(u) = now.keys().nth(*row).copied() else { return };
                delete(&self.lake, branch, u).await;
                now.remove(&u);
            }
            Step::Set(_, row, a, value) => {
                let Some(u) = now.keys().nth(*row).copied() else { return };
                set(&self.lake, branch, u, if *a { "a" } else { "b" }, *value).await;
                let row = now.get_mut(&u).unwrap();
                *(if *a { &mut row.0 } else { &mut row.1 }) = *value;
            }
            Step::Upsert(_, keys, value) => {
                // A row that came back under its key has another id, which the model does not know.
                let once = |key: &&i64| now.contains_key(key) || !self.stood(at, **key);
                let put: Vec<_> = keys.iter().filter(once).map(|key| (*key, *value, *value)).collect();
                if put.is_empty() {
                    return;
                }
                on(&self.lake, branch, async |on| {
                    on.upsert("t", rows(&put)).by(["u"]).await.map(drop).unwrap();
                })
                .await;
                self.put[at].extend(put.iter().map(|row| row.0).filter(|key| !now.contains_key(key)));
                now.extend(put.iter().map(|row| (row.0, (row.1, row.2))));
            }
            // What a reset brings back of two rows that became one is another row.
            Step::Reset(..) | Step::Revert(..) if !self.put[0].is_disjoint(&self.put[1]) => return,
            Step::Alter(_, more) => self.alter(branch, *more).await,
            Step::Compact(_) => {
                on(&self.lake, branch, async |on| on.compact("t").all().await.map(drop).unwrap()).await;
            }
            Step::Merge(_) => now = self.merge(at).await,
            Step::Reset(_, back) => {
                let head = *self.states[at].last_key_value().unwrap().0;
                let Some(then) = self.states[at].get(&(head - back.min(&(head - 1)))).cloned() else {
                    return;
                };
                let to = format!("{branch}@{{{}}}", head - back.min(&(head - 1)));
                self.lake.reset(to.as_str()).on(branch).await.unwrap().committed().unwrap();
                now = then;
            }
            Step::Revert(_, back) => {
                let head = *self.states[at].last_key_value().unwrap().0;
                let of = head - back.min(&(head - 1));
                let known = |version| self.states[at].get(&version).cloned();
                let (Some(base), Some(theirs)) = (known(of), known(of.saturating_sub(1))) else { return };
                let outcome = self.lake.revert(format!("{branch}@{{{of}}}")).on(branch).await.unwrap();
                let (merged, contested) = expected(&base, &now, &theirs);
                if let Merged::Conflicts(found) = outcome {
                    assert_eq!(told(&found), contested, "reverting {of} of {branch}");
                    return;
                }
                assert!(contested.is_empty(), "{contested:?}: reverting {of} of {branch}");
                now = merged;
            }
        }
        self.expect(at, now, step).await;
    }

    /// Whether a row with this key stood in a branch at any time, or in what was merged last.
    fn stood(&self, at: usize, key: i64) -> bool {
        self.base.contains_key(&key) || self.states[at].values().any(|state| state.contains_key(&key))
    }

    /// Rows stay what they are, whatever columns stand beside.
    async fn alter(&mut self, branch: &str, more: bool) {
        let table = self.lake.at(branch).await.unwrap().table("t").await.unwrap();
        let extra = table
            .arrow_schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .find(|name| name.starts_with('x'));
        self.last += 1;
        let name = format!("x{}", self.last);
        on(&self.lake, branch, async |on| {
            let table = on.alter_table("t");
            let altered = match extra.filter(|_| !more) {
                Some(extra) => table.drop_column(extra),
                None => table.add_column(Field {
                    initial: Some(Value::Long(7)),
                    default: Some(Value::Long(7)),
                    ..Field::optional(ColumnName::new(name.as_str()).unwrap(), PrimitiveType::Long)
                }),
            };
            altered.await.map(drop).unwrap();
        })
        .await;
    }

    /// Merges the other branch into one, and gives what that should be then.
    async fn merge(&mut self, into: usize) -> State {
        let (ours, theirs) = (self.now(into), self.now(1 - into));
        let (merged, contested) = expected(&self.base, &ours, &theirs);
        let (from, to) = (BRANCHES[1 - into], BRANCHES[into]);
        self.check_other_way(into, &merged, &contested).await;
        let outcome = self.lake.merge(from).into(to).await.unwrap();
        let merged = match &outcome {
            Merged::Conflicts(found) => {
                assert_eq!(told(found), contested, "merging {from} into {to}");
                let merge = self.lake.merge(from).into(to).rows("t", Side::Theirs);
                merge.await.unwrap().committed().unwrap();
                let kept = contested.iter().filter_map(|u| Some((*u, *theirs.get(u)?)));
                merged.into_iter().chain(kept).collect()
            }
            Merged::UpToDate(_) | Merged::Forwarded(_) | Merged::Committed(_) => {
                assert!(contested.is_empty(), "{contested:?}: merging {from} into {to}");
                merged
            }
        };
        if !matches!(outcome, Merged::UpToDate(_)) {
            self.base = theirs;
        }
        if let Merged::Forwarded(_) = outcome {
            self.states[into] = self.states[1 - into].clone();
        }
        assert!(matches!(self.lake.merge(from).into(to).await.unwrap(), Merged::UpToDate(_)));
        self.merges += 1;
        merged
    }

    /// Which side is merged into which makes no difference to the rows.
    async fn check_other_way(&self, into: usize, merged: &State, contested: &[i64]) {
        let copy = format!("copy-{}", self.merges);
        self.lake.create_branch(copy.as_str()).from(BRANCHES[1 - into]).await.unwrap();
        match self.lake.merge(BRANCHES[into]).into(copy.as_str()).await.unwrap() {
            Merged::Conflicts(found) => assert_eq!(told(&found), contested, "the other way round"),
            _ => assert_eq!(state(&self.lake, &copy).await, *merged, "the other way round"),
        }
    }
}

async fn run(history: &[Step], copies: bool) -> usize {
    let mut pair = Pair::new(copies).await;
    for step in history {
        pair.step(step).await;
    }
    check_whole(&pair.lake, "after the history").await;
    pair.merges
}

/// The rows that a merge says the sides disagree on; one that came back, or that both have put in, is not among those of the base.
pub(super) fn told(found: &MergeConflicts) -> Vec<i64> {
    let rows = found.rows.iter().flat_map(|rows| [&rows.base, &rows.ours, &rows.theirs]);
    let keys = found.keys.iter().flat_map(|keys| [&keys.ours, &keys.theirs]);
    let told: BTreeSet<i64> = rows.chain(keys).flat_map(triples).map(|row| row.0).collect();
    told.into_iter().collect()
}

#[test]
fn random_branches_come_to_what_their_rows_and_cells_say() {
    let histories = prop::collection::vec(steps(), 1..25);
    let merges = std::cell::Cell::new(0);
    proptest!(cases(40), |(history in histories, copies in any::<bool>())| {
        merges.set(merges.get() + paused(run(&history, copies)));
    });
    assert!(merges.get() > 20, "{} merges", merges.get());
}
