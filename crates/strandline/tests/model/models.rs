//! The models of the protocol as it is: each is searched to its end, and nothing is found against it.

use stateright::{Checker, Expectation, Model};

use crate::bounds::{Bounds, Job, Network, Plan, Way, Work};
use crate::lake::Protocol;
use crate::properties::*;
use crate::store::{Commit, Content, Era, Keys, OTHER, Pointer, SHARED, Txn};

/// What the first commit reaches.
const OLD: Keys = Keys::one(SHARED, 0);

fn live(era: Era, trees: &[Keys]) -> Option<Pointer> {
    let commit =
        |(version, tree): (usize, &Keys)| Commit { txn: Txn::try_from(100 + version).unwrap(), tree: *tree };
    let commits: Vec<_> = trees.iter().enumerate().map(commit).collect();
    Some(Pointer::new(true, era, &commits))
}

fn append(on: usize, txn: Txn, content: Content) -> Job {
    Job { on, txn, work: Work::Append(content), keyed: false }
}

/// One branch with a commit that refers to nothing, and nobody at it.
fn quiet(name: &'static str) -> Bounds {
    Bounds {
        name,
        refs: [live(0, &[Keys::NONE]), None, None],
        tags: [false; 3],
        objects: Keys::NONE,
        jobs: Vec::new(),
        plans: Vec::new(),
        collectors: 0,
        rounds: 0,
        network: Network::Sure,
        reuse: false,
        let_go: [0; 3],
        deletes: [0; 3],
        remake: false,
        reaches: &[],
    }
}

/// Two writers at one branch, over a network that does what it likes.
pub(crate) fn commits() -> Bounds {
    Bounds {
        jobs: vec![append(0, 1, SHARED), append(0, 2, OTHER)],
        network: Network::Wrong,
        reaches: &[LOST_RACE, LOST_ANSWER, FENCED, GAVE_UP, RESOLVED_YES, RESOLVED_NO],
        ..quiet("commits")
    }
}

/// Two runs of one transaction, by its idempotency key.
pub(crate) fn keyed() -> Bounds {
    let run = Job { keyed: true, ..append(0, 1, SHARED) };
    Bounds { jobs: vec![run, run], reaches: &[LOST_ANSWER, FENCED, GAVE_UP], ..commits() }.named("keyed")
}

/// Two writers at a branch that is deleted and made anew meanwhile.
pub(crate) fn made_anew() -> Bounds {
    Bounds { deletes: [1, 0, 0], remake: true, ..commits() }.named("made anew")
}

/// Two writers upload the same bytes beside collections that overtake each other.
pub(crate) fn collected() -> Bounds {
    Bounds {
        jobs: vec![append(0, 1, SHARED), append(0, 2, SHARED)],
        objects: OLD,
        collectors: 2,
        rounds: 4,
        reaches: &[LOST_RACE, COLLECTED, COMMITTED_AFTER],
        ..quiet("collected")
    }
}

/// The same with one collector, over a network that loses answers.
pub(crate) fn collected_late() -> Bounds {
    Bounds {
        network: Network::Late,
        collectors: 1,
        rounds: 3,
        reaches: &[LOST_RACE, LOST_ANSWER, FENCED, COLLECTED, COMMITTED_AFTER],
        ..collected()
    }
    .named("collected, late")
}

/// One writer over the worst network, beside collections that overtake each other.
pub(crate) fn collected_alone() -> Bounds {
    Bounds {
        jobs: vec![append(0, 1, SHARED)],
        network: Network::Wrong,
        reaches: &[LOST_ANSWER, FENCED, COLLECTED, COMMITTED_AFTER],
        ..collected()
    }
    .named("collected, alone")
}

/// Two writers replace all by bytes that the branch has already, while it lets go of them and is collected.
pub(crate) fn reused() -> Bounds {
    let replace = |txn| Job { work: Work::Replace(SHARED), ..append(0, txn, SHARED) };
    Bounds {
        refs: [live(0, &[OLD]), None, None],
        objects: OLD,
        jobs: vec![replace(1), replace(2)],
        collectors: 2,
        rounds: 3,
        reuse: true,
        let_go: [1, 0, 0],
        reaches: &[LOST_RACE, COLLECTED, COMMITTED_AFTER, REUSED],
        ..quiet("reused")
    }
}

fn takes(source: usize, target: usize, way: Way) -> Plan {
    Plan { source, target, keys: OLD, way }
}

/// The second branch takes a commit over from the first, the third from the second; each of the first two lets go of it.
pub(crate) fn chain() -> Bounds {
    Bounds {
        refs: [live(1, &[OLD]), live(1, &[Keys::NONE]), live(1, &[Keys::NONE])],
        objects: OLD,
        plans: vec![takes(0, 1, Way::Commit), takes(1, 2, Way::Commit)],
        collectors: 2,
        rounds: 3,
        let_go: [1, 1, 0],
        reaches: &[RAISED, COLLECTED, TAKEN, TAKEN_DURING, TAKEN_ON, REFUSED],
        ..quiet("chain")
    }
}

/// A branch is made of a commit that its source lets go, beside collections, and deleted again.
pub(crate) fn branch() -> Bounds {
    Bounds {
        refs: [live(0, &[OLD]), None, None],
        objects: OLD,
        plans: vec![takes(0, 1, Way::Branch)],
        collectors: 2,
        rounds: 4,
        let_go: [1, 0, 0],
        deletes: [0, 1, 0],
        reaches: &[RAISED, COLLECTED, TAKEN, TAKEN_DURING, REFUSED],
        ..quiet("branch")
    }
}

/// A branch is made, and somebody writes on it, beside collections.
pub(crate) fn branch_written() -> Bounds {
    Bounds {
        jobs: vec![append(1, 1, OTHER)],
        let_go: [1, 0, 0],
        deletes: [0; 3],
        rounds: 3,
        reaches: &[RAISED, COLLECTED, TAKEN, BRANCH_WRITTEN],
        ..branch()
    }
    .named("branch, written")
}

/// Two creators of one branch: it is made, deleted, and made again.
pub(crate) fn recreated() -> Bounds {
    let plan = takes(0, 1, Way::Branch);
    Bounds {
        plans: vec![plan, plan],
        collectors: 1,
        rounds: 3,
        reaches: &[COLLECTED, TAKEN, REFUSED],
        ..branch()
    }
    .named("recreated")
}

/// A commit that only a tag keeps is taken over into a branch, while the tag is deleted.
pub(crate) fn tagged() -> Bounds {
    Bounds {
        refs: [live(1, &[Keys::NONE]), live(0, &[OLD]), None],
        tags: [false, true, false],
        objects: OLD,
        plans: vec![takes(1, 0, Way::Commit)],
        collectors: 2,
        rounds: 4,
        deletes: [0, 1, 0],
        reaches: &[COLLECTED, TAKEN, REFUSED],
        ..quiet("tagged")
    }
}

/// A tag is set on a commit that its branch lets go; a second branch takes the commit over from the tag, which is deleted.
pub(crate) fn tag_chain() -> Bounds {
    Bounds {
        refs: [live(1, &[OLD]), None, live(1, &[Keys::NONE])],
        tags: [false, true, false],
        objects: OLD,
        plans: vec![takes(0, 1, Way::Branch), takes(1, 2, Way::Commit)],
        collectors: 2,
        rounds: 3,
        let_go: [1, 0, 0],
        deletes: [0, 1, 0],
        reaches: &[RAISED, COLLECTED, TAKEN, TAKEN_ON, REFUSED],
        ..quiet("tag chain")
    }
}

impl Bounds {
    fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

/// Searches a model to its end. `is_done` says that no state is left; no depth, count or time cuts it off.
fn exhaust(bounds: Bounds) {
    let name = bounds.name;
    let checker = Protocol { bounds, shortcut: None }.checker().threads(2).spawn_bfs().join();
    let (states, steps, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    let report = format!("{name}: {states} states, {steps} steps, depth {depth}; {}", checker.model().bounds);
    assert!(checker.is_done(), "{report}: not exhausted");
    let found = checker.discoveries();
    for property in checker.model().properties() {
        match (property.expectation, found.get(property.name)) {
            (Expectation::Sometimes, None) => panic!("{report}\nnever reached: {}", property.name),
            (Expectation::Always, Some(path)) => {
                panic!("{report}\nnot true: {}\n{:#?}", property.name, path.clone().into_actions())
            }
            _ => {}
        }
    }
    println!("{report}");
}

/// A test for each model.
macro_rules! exhausted {
    ($($test:ident: $bounds:ident;)*) => {
        $(
            #[test]
            fn $test() {
                exhaust($bounds());
            }
        )*
    };
}

exhausted! {
    commits_are_exhausted: commits;
    keyed_is_exhausted: keyed;
    made_anew_is_exhausted: made_anew;
    collected_is_exhausted: collected;
    collected_late_is_exhausted: collected_late;
    collected_alone_is_exhausted: collected_alone;
    reused_is_exhausted: reused;
    chain_is_exhausted: chain;
    branch_is_exhausted: branch;
    branch_written_is_exhausted: branch_written;
    recreated_is_exhausted: recreated;
    tagged_is_exhausted: tagged;
    tag_chain_is_exhausted: tag_chain;
}
