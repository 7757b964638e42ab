//! Random histories of several branches that are merged and picked crosswise, against the graph of their commits.

use std::collections::BTreeSet;

use proptest::prelude::*;
use strandline_format::Hash;

use super::laws::{Ids, Version, check_changes, check_diff};
use super::picked::append;
use super::random::{Disputed, done, expected, expected_beside, in_groups, joined, told};
use super::*;
use crate::histories::halves;

/// A step of a random history of several branches.
#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Set(usize, usize, bool, i64),
    Delete(usize, usize),
    /// A branch more, made of another one.
    Branch(usize),
    /// The first into the second, at so many versions back; whether it wins where they disagree.
    Merge(usize, usize, usize, bool),
    /// A commit of the first onto the second, so many versions back; whether it wins where they disagree.
    Pick(usize, usize, usize, bool),
    /// Both change a row, or one deletes it, and each merges what the other one was then; which one of these wins where they disagree.
    Crosswise(usize, usize, usize, bool, [bool; 2]),
    /// To so many versions back.
    Reset(usize, usize),
    /// The commit so many versions back.
    Revert(usize, usize),
    /// A column more, of which all rows have one value.
    Alter(usize),
    /// Files are written anew, and rows stay what they are.
    Compact(usize),
}

impl Step {
    /// What it is of simpler ones.
    fn parts(&self) -> Vec<Self> {
        match *self {
            Self::Crosswise(one, other, row, deletes, wins) => {
                let second = if deletes { Self::Delete(other, row) } else { Self::Set(other, row, true, 4) };
                vec![
                    Self::Set(one, row, true, 3),
                    second,
                    Self::Merge(one, other, 0, wins[0]),
                    Self::Merge(other, one, 1, wins[1]),
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
        1 => (any_branch.clone(), 0..20_usize).prop_map(|(on, row)| Step::Set(on, row, false, NULL)),
        2 => (any_branch.clone(), 0..20_usize).prop_map(|(on, row)| Step::Delete(on, row)),
        1 => any_branch.clone().prop_map(Step::Branch),
        5 => (any_branch.clone(), any_branch.clone(), prop_oneof![1 => Just(0_usize), 1 => 1..4_usize], any::<bool>())
            .prop_map(|(from, into, back, wins)| Step::Merge(from, into, back, wins)),
        4 => (0..8_usize, 0..8_usize, 0..3_usize, any::<bool>())
            .prop_map(|(from, onto, back, wins)| Step::Pick(from, onto, back, wins)),
        1 => (0..8_usize, 0..8_usize, 0..12_usize, any::<bool>(), any::<[bool; 2]>())
            .prop_map(|(one, other, row, deletes, wins)| Step::Crosswise(one, other, row, deletes, wins)),
        1 => (any_branch.clone(), 1..4_usize).prop_map(|(on, back)| Step::Reset(on, back)),
        1 => (any_branch.clone(), 0..3_usize).prop_map(|(on, back)| Step::Revert(on, back)),
        1 => any_branch.clone().prop_map(Step::Alter),
        1 => any_branch.prop_map(Step::Compact),
    ]
}

/// What a history is made of besides.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Whether the table has a key.
    keyed: bool,
    /// Whether commits are taken back and columns added, or commits picked: what was put back and is picked nothing relates, and neither a column
    /// that a picked commit builds on.
    takes_back: bool,
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
    /// The ids that rows have on each branch.
    ids: Vec<Ids>,
    kind: Kind,
    /// The version from which on the branches part.
    first: u64,
    last: i64,
    /// How many merges were committed, and how many had bases that disagree.
    merges: (usize, usize),
    /// How many bases have what was picked.
    picks: usize,
}

impl Web {
    async fn new(kind: Kind) -> Self {
        let (_, lake) = tens().await;
        change(&lake, async |on| {
            let table = on.alter_table("t").make_optional("b");
            let table = if kind.keyed { table.key(["u"]) } else { table };
            table.await.map(drop).unwrap();
        })
        .await;
        for name in ["b0", "b1", "b2"] {
            lake.create_branch(name).await.unwrap();
        }
        let state = (0..10).map(|u| (u, (u * 10, u * 100))).collect();
        let start = lake.at("b0").await.unwrap();
        let (first, hash) = (start.version().0, Some(start.commit().hash()));
        let nodes = vec![Node { parents: Vec::new(), state, origin: None, hash, changed: true }];
        let ids = vec![Ids::default(); 3];
        Self { lake, nodes, heads: vec![0; 3], ids, kind, first, last: 100, merges: (0, 0), picks: 0 }
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
            let state = joined((of(below), &beside), of(base), of(*other), &mut disputed);
            self.nodes.push(Node {
                parents: vec![base, *other],
                state,
                origin: None,
                hash: None,
                changed: true,
            });
            base = self.nodes.len() - 1;
        }
        for lines in self.picked_on_both(ours, theirs) {
            let start = base;
            for (at, line) in lines.iter().enumerate() {
                let tip = line.iter().fold(start, |tip, source| self.pick_into(tip, *source));
                if at == 0 {
                    base = tip;
                    continue;
                }
                let of = |node: usize| &self.nodes[node].state;
                let state = joined((of(start), &Disputed::new()), of(base), of(tip), &mut disputed);
                self.nodes.push(Node {
                    parents: vec![base, tip],
                    state,
                    origin: None,
                    hash: None,
                    changed: true,
                });
                base = self.nodes.len() - 1;
            }
        }
        (base, disputed)
    }

    /// What a commit comes to upon a base.
    fn pick_into(&mut self, base: usize, source: usize) -> usize {
        let mut state = self.nodes[base].state.clone();
        done(&self.nodes[self.nodes[source].parents[0]].state, &self.nodes[source].state, &mut state);
        let origin = Some(self.nodes[source].origin.unwrap_or(source));
        self.nodes.push(Node { parents: vec![base], state, origin, hash: None, changed: true });
        self.picks += 1;
        self.nodes.len() - 1
    }

    /// Of the commits that each side has a copy of, and both together have not, the ones that are picked into the base, in groups of lines.
    fn picked_on_both(&self, ours: usize, theirs: usize) -> Vec<Vec<Vec<usize>>> {
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
        type Pair = (usize, usize, usize);
        let follows = |one: &Pair, other: &Pair| {
            [(one.1, other.1), (one.2, other.2)]
                .map(|(one, other)| one != other && self.ancestors(one).contains(&other))
        };
        let is_after = |one: &Pair, other: &Pair| {
            let (after, before) = (follows(one, other), follows(other, one));
            match () {
                () if one.0 == one.1 && other.0 == other.1 => after[0],
                () if one.0 == one.2 && other.0 == other.2 => after[1],
                () => after != [false; 2] && before == [false; 2],
            }
        };
        let behind = |one: &Pair| found.iter().filter(|other| is_after(one, other)).count();
        let mut order: Vec<_> =
            found.iter().map(|pair| ((behind(pair), self.nodes[pair.0].hash), *pair)).collect();
        order.sort_unstable();
        let source = |(origin, one, other): Pair| match (one == origin, other == origin) {
            (true, _) => one,
            (_, true) => other,
            _ if self.nodes[one].hash < self.nodes[other].hash => one,
            _ => other,
        };
        // What was there already is told of no table.
        let of_pair = |at: usize| {
            let pair = order[at].1;
            (self.nodes[pair.1].changed && self.nodes[pair.2].changed).then(|| source(pair))
        };
        let line = |line: Vec<usize>| line.into_iter().filter_map(of_pair).collect();
        let groups =
            in_groups(order.len(), |one, other| is_after(&order[one].1, &order[other].1)).into_iter();
        groups.map(|lines| lines.into_iter().map(line).collect()).collect()
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
        | Step::Reset(at, _)
        | Step::Revert(at, _)
        | Step::Alter(at)
        | Step::Compact(at)
        | Step::Merge(_, at, ..)
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
                self.ids.push(self.ids[at].clone());
            }
            Step::Branch(_) | Step::Crosswise(..) => {}
            Step::Merge(from, _, back, wins) => self.merge((from % count, *back), at, *wins).await,
            Step::Pick(..) if self.kind.takes_back => return,
            Step::Pick(from, _, back, wins) => self.pick((from % count, *back), at, *wins).await,
            Step::Compact(_) => {
                on(&self.lake, &name, async |on| on.compact("t").all().await.map(drop).unwrap()).await;
                self.commit_if_any(at, now).await;
            }
            Step::Reset(..) | Step::Revert(..) | Step::Alter(_) if !self.kind.takes_back => return,
            Step::Reset(_, back) => {
                let Some((to, _)) = self.back(at, *back) else { return };
                let target = format!("{name}~{back}");
                self.lake.reset(target.as_str()).on(name.as_str()).await.unwrap().committed().unwrap();
                let then = self.nodes[to].state.clone();
                self.commit_if_any(at, then).await;
            }
            Step::Revert(_, back) => self.revert(at, *back).await,
            Step::Alter(_) => {
                self.last += 1;
                let field = strandline_format::Field {
                    initial: Some(strandline_format::Value::Long(7)),
                    default: Some(strandline_format::Value::Long(7)),
                    ..column(&format!("x{}", self.last), PrimitiveType::Long)
                };
                on(&self.lake, &name, async |on| {
                    on.alter_table("t").add_column(field).await.map(drop).unwrap();
                })
                .await;
                self.commit(at, None, now);
            }
        }
        let head = self.lake.at(name.as_str()).await.unwrap();
        let rows = rows_at(&head).await;
        let node = &mut self.nodes[self.heads[at]];
        node.hash = Some(head.commit().hash());
        let what = format!("{name} after {step:?}");
        self.ids[at].keep(&rows, |_| false, &what);
        assert_eq!(rows.into_iter().map(|(u, row)| (u, row.1)).collect::<State>(), node.state, "{what}");
    }

    /// A commit, if there was something to commit.
    async fn commit_if_any(&mut self, at: usize, state: State) {
        let head = self.lake.at(format!("b{at}").as_str()).await.unwrap().commit().hash();
        if self.nodes[self.heads[at]].hash != Some(head) {
            self.commit(at, None, state);
        }
    }

    /// The commit of a branch so many first parents back that has one before it, with that.
    fn back(&self, at: usize, back: usize) -> Option<(usize, usize)> {
        let before = |node: usize| self.nodes[node].parents.first().copied();
        let found = (0..back).try_fold(self.heads[at], |node, _| before(node))?;
        Some((found, before(found)?))
    }

    async fn revert(&mut self, at: usize, back: usize) {
        let Some((of, before)) = self.back(at, back) else { return };
        let name = format!("b{at}");
        let outcome = self.lake.revert(format!("{name}~{back}")).on(name.as_str()).await.unwrap();
        let state = |node: usize| &self.nodes[node].state;
        let (reverted, contested) = expected(state(of), state(self.heads[at]), state(before));
        if let Merged::Conflicts(found) = outcome {
            assert_eq!(told(&found), contested, "reverting {back} back on {name}");
            return;
        }
        assert!(contested.is_empty(), "{contested:?}: reverting {back} back on {name}");
        self.commit_if_any(at, reverted).await;
    }

    /// What diffs tell of the heads, and changes of all that led to them.
    async fn check_told(&self) {
        let mut heads = Vec::new();
        for at in 0..self.heads.len() {
            let name = format!("b{at}");
            let last = self.lake.at(name.as_str()).await.unwrap().version().0;
            let mut line = Vec::new();
            for version in self.first..=last {
                line.push(Version::of(&self.lake, &format!("{name}@{{{version}}}")).await);
            }
            check_changes(&line).await;
            heads.extend(line.pop());
        }
        for from in &heads {
            for to in &heads {
                check_diff(&self.lake, (from, to), |_| false).await;
            }
        }
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

    async fn merge(&mut self, (from, back): (usize, usize), into: usize, wins: bool) {
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
                let (side, taken) = if wins { (Side::Theirs, theirs) } else { (Side::Ours, ours) };
                merge().rows("t", side).await.unwrap().committed().unwrap();
                merged.extend(contested.iter().filter_map(|u| Some((*u, *of(taken).get(u)?))));
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
    for half in halves(30) {
        let kind = (any::<bool>(), proptest::bool::weighted(0.4));
        let kind = kind.prop_map(|(keyed, takes_back)| Kind { keyed, takes_back });
        proptest!(half, |(kind in kind, history in prop::collection::vec(steps(), 5..40))| {
            let (done, disagreeing, picks) = paused(async {
                let mut web = Web::new(kind).await;
                for step in history.iter().flat_map(Step::parts) {
                    web.step(&step).await;
                }
                web.check_told().await;
                check_whole(&web.lake, "after the history").await;
                (web.merges.0, web.merges.1, web.picks)
            });
            let (all_done, all_disagreeing, all_picks) = merges.get();
            merges.set((all_done + done, all_disagreeing + disagreeing, all_picks + picks));
        });
        println!("merges, those of bases that disagree, and of bases with picks: {:?}", merges.get());
    }
    let (done, disagreeing, picks) = merges.get();
    assert!(done > 20 && disagreeing > 0, "{done} merges, {disagreeing} of bases that disagree");
    assert!(picks > 0, "{picks} of their bases have what was picked");
}
