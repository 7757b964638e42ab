//! Random histories of two branches, against plain maps of what their rows and cells come to.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use strandline::merge::Side;
use strandline::refs::{MergeConflicts, Merged};
use strandline::{ConflictKind, ErrorKind, Lake};
use strandline_format::{ColumnName, Field, Hash, PrimitiveType, Value};

use super::laws::{Ids, Version, check_changes, check_diff};
use super::{State, delete, on, rows, rows_at, set, state, tens, triples};
use crate::collector::check_whole;
use crate::fixture::paused;
use crate::histories::halves;
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
    /// Whether the other branch wins where they disagree.
    Merge(usize, bool),
    /// To so many versions back.
    Reset(usize, u64),
    /// The commit so many versions back.
    Revert(usize, u64),
    /// The commit of the other branch so many versions back; whether it wins where they disagree.
    Pick(usize, u64, bool),
    /// What becomes of the row that was appended last, if it is there: it is deleted, or gets a value.
    Last(usize, Option<i64>),
    /// A row that the other branch never had, perhaps changed, is deleted and put back by a commit that the other branch picks.
    PutBack(usize, bool),
}

impl Step {
    /// What it is of simpler ones.
    fn parts(&self) -> Vec<Self> {
        match *self {
            Self::PutBack(at, changed) => {
                let changed = changed.then_some(Self::Last(at, Some(5)));
                let deleted = [Self::Last(at, None), Self::Revert(at, 0), Self::Pick(1 - at, 0, true)];
                std::iter::once(Self::Append(at, 1)).chain(changed).chain(deleted).collect()
            }
            _ => vec![self.clone()],
        }
    }
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
        3 => (branch.clone(), any::<bool>()).prop_map(|(on, wins)| Step::Merge(on, wins)),
        1 => (branch.clone(), 1..4_u64).prop_map(|(on, back)| Step::Reset(on, back)),
        1 => (branch.clone(), 0..3_u64).prop_map(|(on, back)| Step::Revert(on, back)),
        4 => (branch.clone(), 0..4_u64, any::<bool>())
            .prop_map(|(on, back, wins)| Step::Pick(on, back, wins)),
        1 => (branch, any::<bool>()).prop_map(|(on, changed)| Step::PutBack(on, changed)),
    ]
}

const BRANCHES: [&str; 2] = ["main", "dev"];

/// Rows on which the commits disagree that a base was made of: by its columns `a` and `b`, of which neither side has left it as it is in the base, nor the row.
pub(super) type Disputed = BTreeMap<i64, [bool; 2]>;

/// What three states come to, and the rows that the sides disagree on.
pub(super) fn expected(base: &State, ours: &State, theirs: &State) -> (State, Vec<i64>) {
    expected_beside(base, &Disputed::new(), ours, theirs)
}

/// The same of a base that does not tell of some cells.
pub(super) fn expected_beside(
    base: &State,
    disputed: &Disputed,
    ours: &State,
    theirs: &State,
) -> (State, Vec<i64>) {
    let (mut merged, mut contested) = (State::new(), Vec::new());
    let keys: BTreeSet<i64> = base.keys().chain(ours.keys()).chain(theirs.keys()).copied().collect();
    for u in keys {
        let open = disputed.get(&u).filter(|_| base.contains_key(&u));
        let row = match (base.get(&u), ours.get(&u), theirs.get(&u)) {
            (_, ours, theirs) if open.is_some() && ours == theirs => ours.copied(),
            (_, ours, theirs) if open.is_some() && (ours.is_none() || theirs.is_none()) => {
                contested.push(u);
                continue;
            }
            (base, ours, theirs) if open.is_none() && theirs == base => ours.copied(),
            (base, ours, theirs) if open.is_none() && ours == base => theirs.copied(),
            (_, ours, theirs) if ours == theirs => ours.copied(),
            (Some(base), Some(ours), Some(theirs)) => {
                let cell = |is_open: bool, base: i64, ours: i64, theirs: i64| match (
                    ours == base && !is_open,
                    theirs == base && !is_open,
                ) {
                    (true, _) => Some(theirs),
                    (_, true) => Some(ours),
                    _ => (ours == theirs).then_some(ours),
                };
                let [a, b] = open.copied().unwrap_or_default();
                let cells = (cell(a, base.0, ours.0, theirs.0), cell(b, base.1, ours.1, theirs.1));
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

/// What a commit does to a state of whatever else was done: each cell that it changed is as it made it.
pub(super) fn done(before: &State, after: &State, to: &mut State) {
    for u in before.keys().chain(after.keys()).copied().collect::<BTreeSet<i64>>() {
        match (before.get(&u), after.get(&u), to.get_mut(&u)) {
            (before, after, _) if before == after => {}
            (_, None, _) => drop(to.remove(&u)),
            (Some(before), Some(after), Some(row)) => {
                let cell = |before: i64, after: i64, row: i64| if before == after { row } else { after };
                *row = (cell(before.0, after.0, row.0), cell(before.1, after.1, row.1));
            }
            (_, Some(after), _) => drop(to.insert(u, *after)),
        }
    }
}

/// What two lines come to together that begin with one state, and what they disagree on beside what is in dispute there.
pub(super) fn joined(
    base: (&State, &Disputed),
    one: &State,
    other: &State,
    disputed: &mut Disputed,
) -> State {
    let (mut state, contested) = expected_beside(base.0, base.1, one, other);
    for u in contested {
        // Whether the row is there is open where one of them has not got it, and then all of it.
        let (row, open) = match (base.0.get(&u), one.get(&u), other.get(&u)) {
            (Some(_), Some(one), Some(other)) => (*other, [one.0 != other.0, one.1 != other.1]),
            (_, one, other) => (*other.or(one).unwrap(), [true; 2]),
        };
        state.insert(u, row);
        let known = disputed.entry(u).or_insert([false; 2]);
        *known = [0, 1].map(|at| known[at] || open[at]);
    }
    state
}

/// Things in an order, by their places, in groups of lines: groups come one after the other, lines beside each other.
pub(super) fn in_groups(count: usize, is_after: impl Fn(usize, usize) -> bool) -> Vec<Vec<Vec<usize>>> {
    let mut groups: Vec<Vec<Vec<usize>>> = Vec::new();
    for at in 0..count {
        if (at..count).all(|later| (0..at).all(|earlier| is_after(later, earlier))) {
            groups.push(Vec::new());
        }
        let lines = groups.last_mut().unwrap();
        match lines.iter_mut().find(|line| line.iter().all(|earlier| is_after(at, *earlier))) {
            Some(line) => line.push(at),
            None => lines.push(vec![at]),
        }
    }
    groups
}

/// A commit that was picked: which, as what, and the states around it.
struct Picked {
    commits: [Hash; 2],
    /// The versions of both branches that it is, and the branch that it was picked from.
    places: [u64; 2],
    from: usize,
    before: State,
    after: State,
    /// Whether anything came of it: what was there already is told of no table.
    changed: bool,
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
    /// The same without what it picked: of a key that is in both there were two rows.
    own: [BTreeSet<i64>; 2],
    /// Keys of rows that one branch has had put back by a commit which was picked: commits before that are of rows that the other one never had.
    back: BTreeSet<i64>,
    /// The last row that was put in.
    last: i64,
    merges: usize,
    /// The commits that each branch descends from.
    have: [BTreeSet<Hash>; 2],
    picked: Vec<Picked>,
    /// The ids that rows have on each branch.
    ids: [Ids; 2],
    /// Of two rows with one key those in whose place the other branch's came by the last step.
    taken: BTreeSet<i64>,
    /// How many merges had to do with picks.
    related: usize,
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
        Self {
            lake,
            states,
            base: start,
            put: Default::default(),
            own: Default::default(),
            back: BTreeSet::new(),
            last: 100,
            merges: 0,
            have: Default::default(),
            picked: Vec::new(),
            ids: Default::default(),
            taken: BTreeSet::new(),
            related: 0,
        }
    }

    fn now(&self, at: usize) -> State {
        self.states[at].last_key_value().unwrap().1.clone()
    }

    /// The head of a branch must be this.
    async fn expect(&mut self, at: usize, expected: State, what: &impl std::fmt::Debug) {
        let head = self.lake.at(BRANCHES[at]).await.unwrap();
        let rows = rows_at(&head).await;
        let what = format!("{} after {what:?}", BRANCHES[at]);
        let taken = std::mem::take(&mut self.taken);
        self.ids[at].keep(&rows, |u| taken.contains(&u), &what);
        assert_eq!(rows.into_iter().map(|(u, row)| (u, row.1)).collect::<State>(), expected, "{what}");
        self.states[at].insert(head.version().0, expected);
        self.have[at].insert(head.commit().hash());
    }

    /// What both branches have: what was merged last, and what was picked since; with what the order of picks leaves open.
    fn common(&mut self) -> (State, Disputed) {
        let counts = |picked: &&Picked| {
            let has = |at: usize, commit: usize| self.have[at].contains(&picked.commits[commit]);
            let alone = [0, 1].map(|commit| has(0, commit) != has(1, commit));
            picked.changed && alone == [true, true] && has(0, 0) != has(0, 1)
        };
        let mut picks: Vec<&Picked> = self.picked.iter().filter(counts).collect();
        let is_after = |one: &Picked, other: &Picked| {
            let sides = if one.from == other.from { vec![one.from] } else { vec![0, 1] };
            sides.into_iter().all(|at| one.places[at] > other.places[at])
        };
        let behind = |one: &Picked| picks.iter().filter(|other| is_after(one, other)).count();
        let ranks: BTreeMap<Hash, usize> = picks.iter().map(|one| (one.commits[0], behind(one))).collect();
        picks.sort_by_key(|one| (ranks[&one.commits[0]], one.commits[0]));
        self.related += usize::from(!picks.is_empty());
        let (mut common, mut disputed) = (self.base.clone(), Disputed::new());
        for lines in in_groups(picks.len(), |one, other| is_after(picks[one], picks[other])) {
            let start = common.clone();
            for (at, line) in lines.iter().enumerate() {
                let mut state = start.clone();
                line.iter().for_each(|pick| done(&picks[*pick].before, &picks[*pick].after, &mut state));
                common = match at {
                    0 => state,
                    _ => joined((&start, &Disputed::new()), &common, &state, &mut disputed),
                };
            }
        }
        (common, disputed)
    }

    async fn step(&mut self, step: &Step) {
        let (Step::Append(at, _)
        | Step::Delete(at, _)
        | Step::Set(at, ..)
        | Step::Upsert(at, ..)
        | Step::Alter(at, _)
        | Step::Compact(at)
        | Step::Merge(at, _)
        | Step::Reset(at, _)
        | Step::Revert(at, _)
        | Step::Pick(at, ..)
        | Step::Last(at, _)
        | Step::PutBack(at, _)) = *step;
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
            Step::Last(_, value) => {
                let u = self.last;
                let Some(row) = now.get_mut(&u) else { return };
                match value {
                    Some(value) => {
                        set(&self.lake, branch, u, "a", *value).await;
                        row.0 = *value;
                    }
                    None => {
                        delete(&self.lake, branch, u).await;
                        now.remove(&u);
                    }
                }
            }
            Step::PutBack(..) => unreachable!("it is made of others"),
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
                let new = put.iter().map(|row| row.0).filter(|key| !now.contains_key(key));
                for keys in [&mut self.put[at], &mut self.own[at]] {
                    keys.extend(new.clone());
                }
                now.extend(put.iter().map(|row| (row.0, (row.1, row.2))));
            }
            // What a reset brings back of two rows that became one is another row.
            Step::Reset(..) | Step::Revert(..) if !self.put[0].is_disjoint(&self.put[1]) => return,
            Step::Alter(_, more) => self.alter(branch, *more).await,
            Step::Compact(_) => {
                on(&self.lake, branch, async |on| on.compact("t").all().await.map(drop).unwrap()).await;
            }
            Step::Merge(_, wins) => now = self.merge(at, *wins).await,
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
            Step::Pick(_, back, wins) => match self.pick(at, *back, *wins).await {
                Some(merged) => now = merged,
                None => return,
            },
        }
        self.expect(at, now, step).await;
    }

    /// Picks a commit of the other branch, and gives what the branch should be then; nothing if there is no such commit, or it is not picked.
    async fn pick(&mut self, at: usize, back: u64, wins: bool) -> Option<State> {
        let (to, from) = (BRANCHES[at], BRANCHES[1 - at]);
        let of = self.states[1 - at].last_key_value().unwrap().0.checked_sub(back)?;
        let known = |version| self.states[1 - at].get(&version).cloned();
        let (before, after) = (known(of.checked_sub(1)?)?, known(of)?);
        let of = self.lake.at(format!("{from}@{{{of}}}")).await.unwrap();
        let hash = of.commit().hash();
        let again = self.have[at].contains(&hash)
            || self.picked.iter().any(|picked| picked.commits.contains(&hash) && self.has_any(at, picked));
        if of.commit().merged().is_some() {
            assert_eq!(self.lake.cherry_pick(&of).on(to).await.unwrap_err().kind(), ErrorKind::InvalidInput);
            return None;
        }
        // Rows that a picked commit has put back come once more with the one that had put them in, of which the model knows keys alone.
        if after.keys().any(|u| !before.contains_key(u) && self.back.contains(u)) {
            return None;
        }
        let now = self.now(at);
        let (mut merged, contested) = expected(&before, &now, &after);
        let pick = self.lake.cherry_pick(&of).on(to);
        let outcome = pick.clone().await.unwrap();
        if again {
            assert!(
                matches!(&outcome, Merged::UpToDate(_))
                    || matches!(&outcome, Merged::Committed(report) if report.already),
                "{outcome:?}"
            );
            return None;
        }
        if let Merged::Conflicts(found) = outcome {
            // Of rows that never came here nothing can be told but that they are not here, whether they were changed or moved.
            let strange =
                found.conflicts.iter().any(|conflict| matches!(conflict.kind, ConflictKind::Files(_)));
            if strange {
                let is_strange = |u: &i64| {
                    !now.contains_key(u)
                        || self.back.contains(u)
                        || self.own.iter().all(|own| own.contains(u))
                };
                assert!(before.keys().any(is_strange), "{found}: picking {hash} into {to}");
                return None;
            }
            assert_eq!(told(&found), contested, "picking {hash} into {to}");
            // A column that a picked commit built on counts as dropped where it never came.
            let of_columns =
                found.conflicts.iter().any(|conflict| matches!(conflict.kind, ConflictKind::Table(_)));
            assert!(!of_columns || before == after, "{found}: picking {hash} into {to}");
            if of_columns || !wins {
                return None;
            }
            pick.rows("t", Side::Theirs).await.unwrap().committed().unwrap();
            self.take(&contested);
            merged.extend(contested.iter().filter_map(|u| Some((*u, *after.get(u)?))));
        } else {
            assert!(contested.is_empty(), "{contested:?}: picking {hash} into {to}");
        }
        let head = self.lake.at(to).await.unwrap();
        let (pick, changed) = (head.commit().hash(), !head.commit().changes().is_empty());
        let origin = self.picked.iter().find(|picked| picked.commits.contains(&hash));
        assert!(origin.is_none(), "a copy of one of its own commits is known");
        let stood_before =
            |u: &&i64| self.states[1 - at].range(..of.version().0).any(|(_, state)| state.contains_key(*u));
        self.back.extend(after.keys().filter(|u| !before.contains_key(*u)).filter(stood_before));
        let (here, there) = (head.version().0, of.version().0);
        let places = if at == 0 { [here, there] } else { [there, here] };
        self.picked.push(Picked { commits: [hash, pick], places, from: 1 - at, before, after, changed });
        // What was put in under its key by itself here, and there, is one row or two, of which the model knows keys alone.
        let put: Vec<i64> = self.put[1 - at].iter().filter(|key| merged.contains_key(key)).copied().collect();
        self.put[at].extend(put);
        Some(merged)
    }

    /// Of rows that each branch has put in by itself the other one's are taken.
    fn take(&mut self, contested: &[i64]) {
        let are_two = |u: &&i64| self.own.iter().all(|own| own.contains(u));
        self.taken.extend(contested.iter().filter(are_two));
    }

    fn has_any(&self, at: usize, picked: &Picked) -> bool {
        picked.commits.iter().any(|commit| self.have[at].contains(commit))
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
    async fn merge(&mut self, into: usize, wins: bool) -> State {
        let (ours, theirs) = (self.now(into), self.now(1 - into));
        let (common, disputed) = self.common();
        let (merged, contested) = expected_beside(&common, &disputed, &ours, &theirs);
        let (from, to) = (BRANCHES[1 - into], BRANCHES[into]);
        // A pick of what was put back may have named the number of a row that never came: then the other branch's stands for both (LIMITS.md).
        self.take(&merged.keys().copied().collect::<Vec<_>>());
        self.check_other_way(into, &merged, &contested).await;
        let outcome = self.lake.merge(from).into(to).await.unwrap();
        let (side, taken) = if wins { (Side::Theirs, &theirs) } else { (Side::Ours, &ours) };
        let merged = match &outcome {
            // Of two rows of one key that came in another order on each side nobody tells which is which.
            Merged::Conflicts(found) if is_open(found) => {
                assert!(!disputed.is_empty(), "merging {from} into {to}: {found}");
                self.lake.merge(from).into(to).take("t", side).await.unwrap().committed().unwrap();
                taken.clone()
            }
            Merged::Conflicts(found) => {
                assert_eq!(told(found), contested, "merging {from} into {to}");
                self.lake.merge(from).into(to).rows("t", side).await.unwrap().committed().unwrap();
                if wins {
                    self.take(&contested);
                }
                let kept = contested.iter().filter_map(|u| Some((*u, *taken.get(u)?)));
                merged.into_iter().chain(kept).collect()
            }
            Merged::UpToDate(_) | Merged::Forwarded(_) | Merged::Committed(_) => {
                assert!(contested.is_empty(), "{contested:?}: merging {from} into {to}");
                merged
            }
        };
        if !matches!(outcome, Merged::UpToDate(_)) {
            self.base = theirs;
            let theirs = self.have[1 - into].clone();
            self.have[into].extend(theirs);
        }
        if let Merged::Forwarded(_) = outcome {
            self.states[into] = self.states[1 - into].clone();
        }
        assert!(matches!(self.lake.merge(from).into(to).await.unwrap(), Merged::UpToDate(_)));
        self.merges += 1;
        merged
    }

    /// The versions of a branch.
    async fn line(&self, at: usize) -> Vec<Version> {
        let names = self.states[at].keys().map(|version| format!("{}@{{{version}}}", BRANCHES[at]));
        futures::future::join_all(names.map(|name| async move { Version::of(&self.lake, &name).await })).await
    }

    /// What changes tell of all versions, and diffs of some of them against both heads.
    async fn check_told(&self) {
        let lines = [self.line(0).await, self.line(1).await];
        // Put in by each branch, or put back where it never was: before branches meet nothing says that it is one row.
        let are_two = |u: i64| self.own.iter().all(|own| own.contains(&u)) || self.back.contains(&u);
        for line in &lines {
            check_changes(line).await;
            for version in line.iter().rev().step_by(line.len() / 3 + 1) {
                for head in lines.iter().filter_map(|line| line.last()) {
                    check_diff(&self.lake, (version, head), are_two).await;
                    check_diff(&self.lake, (head, version), are_two).await;
                }
            }
        }
    }

    /// Which side is merged into which makes no difference to the rows.
    async fn check_other_way(&self, into: usize, merged: &State, contested: &[i64]) {
        let copy = format!("copy-{}", self.merges);
        self.lake.create_branch(copy.as_str()).from(BRANCHES[1 - into]).await.unwrap();
        match self.lake.merge(BRANCHES[into]).into(copy.as_str()).await.unwrap() {
            Merged::Conflicts(found) if is_open(&found) => {}
            Merged::Conflicts(found) => assert_eq!(told(&found), contested, "the other way round"),
            _ => assert_eq!(state(&self.lake, &copy).await, *merged, "the other way round"),
        }
    }
}

/// How many merges there were, and how many of them had to do with picks.
async fn run(history: &[Step], copies: bool) -> [usize; 2] {
    let mut pair = Pair::new(copies).await;
    for step in history.iter().flat_map(Step::parts) {
        pair.step(&step).await;
    }
    pair.check_told().await;
    check_whole(&pair.lake, "after the history").await;
    [pair.merges, pair.related]
}

/// Whether the base of a merge leaves the table open.
fn is_open(found: &MergeConflicts) -> bool {
    found.conflicts.iter().any(|conflict| matches!(conflict.kind, ConflictKind::Base(_)))
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
    let merges = std::cell::Cell::new([0, 0]);
    for half in halves(40) {
        proptest!(half, |(history in &histories, copies in any::<bool>())| {
            let (sum, more) = (merges.get(), paused(run(&history, copies)));
            merges.set([0, 1].map(|at| sum[at] + more[at]));
        });
        println!("merges, and those after picks: {:?}", merges.get());
    }
    let [merges, related] = merges.get();
    assert!(merges > 20 && related > 0, "{merges} merges, {related} after picks");
}
