//! Every single fault, and a crash, at every request of every act upon refs: what the caller is told is true, all refs stay
//! readable, and doing it again succeeds [BR-8].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use strandline::{ErrorKind, Lake, Result};
use strandline_testkit::{
    Effect, Fault, FaultyStore, Release, RequestKind, Script, Target, VirtualClock, single_faults,
};

use crate::collector::{check_whole, collect};
use crate::fixture::paused;
use crate::past::{grow, hour, reopen, storage};

#[derive(Clone, Copy, Debug)]
enum Act {
    CreateBranch,
    CreateBranchAgain,
    CreateBranchFromTag,
    DeleteBranch,
    RenameBranch,
    FastForward,
    Merge,
    CreateTag,
    MoveTag,
    DeleteTag,
}

const ACTS: &[Act] = &[
    Act::CreateBranch,
    Act::CreateBranchAgain,
    Act::CreateBranchFromTag,
    Act::DeleteBranch,
    Act::RenameBranch,
    Act::FastForward,
    Act::Merge,
    Act::CreateTag,
    Act::MoveTag,
    Act::DeleteTag,
];

impl Act {
    async fn run(self, lake: &Lake) -> Result<()> {
        match self {
            Self::CreateBranch => lake.create_branch("made").from("main~").await.map(drop),
            Self::CreateBranchAgain => lake.create_branch("dead").from("main~").await.map(drop),
            Self::CreateBranchFromTag => lake.create_branch("made").from("lost").await.map(drop),
            Self::DeleteBranch => lake.delete_branch("dev").await,
            Self::RenameBranch => lake.rename_branch("dev", "made").await.map(drop),
            Self::FastForward => lake.fast_forward("dev").to("main").await.map(drop),
            Self::Merge => lake.merge("main").into("parted").await.map(drop),
            Self::CreateTag => lake.create_tag("made").on("dev").await.map(drop),
            Self::MoveTag => lake.create_tag("v1").on("main").moving().await.map(drop),
            Self::DeleteTag => lake.delete_tag("v1").await,
        }
    }

    /// Whether what was to be done stands.
    async fn is_done(self, lake: &Lake) -> bool {
        let version = async |text: &str| lake.at(text).await.ok().map(|found| found.version().0);
        match self {
            Self::CreateBranch => version("branch:made").await == Some(2),
            Self::CreateBranchAgain => version("branch:dead").await == Some(2),
            Self::CreateBranchFromTag => version("branch:made").await == Some(2),
            Self::DeleteBranch => version("branch:dev").await.is_none(),
            Self::RenameBranch => {
                version("branch:dev").await.is_none() && version("branch:made").await == Some(1)
            }
            Self::FastForward => version("branch:dev").await == Some(3),
            Self::Merge => version("branch:parted").await == Some(3),
            Self::CreateTag => version("tag:made").await == Some(1),
            Self::MoveTag => version("tag:v1").await == Some(3),
            Self::DeleteTag => version("tag:v1").await.is_none(),
        }
    }

    /// What a repetition may say where the first attempt was applied after all.
    fn says_done(self, error: ErrorKind) -> bool {
        match self {
            Self::DeleteBranch | Self::DeleteTag => error == ErrorKind::NotFound,
            Self::CreateBranch | Self::CreateBranchAgain | Self::CreateBranchFromTag | Self::CreateTag => {
                error == ErrorKind::AlreadyExists
            }
            Self::RenameBranch | Self::FastForward | Self::Merge | Self::MoveTag => false,
        }
    }
}

/// `main` has the versions 0 to 3, `dev` was made at 1, `parted` too and has a commit of its own, the tag `v1` is on 1, `dead` is a tombstone, and `lost` names a
/// version that no branch keeps.
async fn begin() -> InMemory {
    let store = Arc::new(InMemory::new());
    let shared: Arc<dyn ObjectStore> = store.clone();
    let lake = Lake::create_in(storage(&shared, 1, &VirtualClock::at(hour(1)))).await.unwrap();
    grow(&lake, "main", 3).await;
    for name in ["dev", "losing"] {
        lake.create_branch(name).from("main~2").await.unwrap();
    }
    grow(&lake, "losing", 1).await;
    lake.create_branch("parted").from("main~2").await.unwrap();
    grow(&lake, "parted", 1).await;
    lake.create_branch("dead").await.unwrap();
    lake.create_tag("v1").on("dev").await.unwrap();
    lake.create_tag("lost").on("losing").await.unwrap();
    lake.delete_branch("losing").await.unwrap();
    lake.delete_branch("dead").await.unwrap();
    store.fork()
}

/// A store of the begin that fails, and a lake in it that was opened before it does.
async fn failing(begin: &InMemory) -> (FaultyStore, Arc<dyn ObjectStore>, Lake) {
    let faulty = FaultyStore::recording(Arc::new(begin.fork()));
    let store: Arc<dyn ObjectStore> = Arc::new(faulty.clone());
    let lake = reopen(&store, 2).await;
    faulty.set_script(Script::empty());
    (faulty, store, lake)
}

/// What holds after an attempt, whatever came of it: all is readable, the act can be repeated, and collections take nothing
/// that a ref keeps.
async fn check_after(act: Act, store: &Arc<dyn ObjectStore>, done: bool, what: &str) {
    check_whole(&reopen(store, 3).await, what).await;
    let again = reopen(store, 4).await;
    match act.run(&again).await {
        Ok(()) => {}
        Err(error) => assert!(done && act.says_done(error.kind()), "{what}: repeated: {error}"),
    }
    assert!(act.is_done(&again).await, "{what}: repeated");
    for _ in 0..3 {
        collect(&again, store).await;
    }
    let last = reopen(store, 5).await;
    check_whole(&last, &format!("{what}: collected")).await;
    assert!(act.is_done(&last).await, "{what}: collected");
}

#[test]
fn whatever_fails_in_an_act_upon_refs_the_outcome_is_told_truly() {
    paused(async {
        let begin = begin().await;
        let mut told: BTreeMap<String, u32> = BTreeMap::new();
        for act in ACTS {
            let (recording, _, lake) = failing(&begin).await;
            act.run(&lake).await.unwrap_or_else(|error| panic!("{act:?}: {error}"));
            for script in single_faults(&recording.requests()) {
                let (faulty, store, lake) = failing(&begin).await;
                faulty.set_script(script.clone());
                let outcome = act.run(&lake).await;
                faulty.release_zombies().await;
                let what = format!("{act:?}, {script}: {outcome:?}\n{}", faulty.log());
                faulty.set_script(Script::empty());
                let done = act.is_done(&reopen(&store, 6).await).await;
                match &outcome {
                    Ok(()) => assert!(done, "{what}"),
                    Err(error) if error.kind() == ErrorKind::CommitUnknown => {}
                    Err(_) => assert!(!done, "{what}"),
                }
                let kind = outcome.as_ref().err().map_or("done", |error| error.kind().as_str());
                *told.entry(format!("{act:?} {kind}")).or_default() += 1;
                check_after(*act, &store, done, &what).await;
            }
        }
        println!("single faults in acts upon refs: {told:#?}");
    });
}

/// The swap that an act comes to goes unanswered until the time is up, and lands afterwards, or never.
#[test]
fn an_act_whose_last_swap_is_never_answered_is_unknown_and_done_again() {
    const LAST: &[(Act, &str)] = &[
        (Act::CreateBranch, "refs/branches/made.json"),
        (Act::CreateBranchAgain, "refs/branches/dead.json"),
        (Act::CreateBranchFromTag, "refs/branches/made.json"),
        (Act::DeleteBranch, "refs/branches/dev.json"),
        (Act::RenameBranch, "refs/branches/made.json"),
        (Act::FastForward, "refs/branches/dev.json"),
        (Act::Merge, "refs/branches/parted.json"),
        (Act::CreateTag, "refs/tags/made.json"),
        (Act::MoveTag, "refs/tags/v1.json"),
        (Act::DeleteTag, "refs/tags/v1.json"),
    ];
    paused(async {
        let begin = begin().await;
        for (act, path) in LAST {
            for lands in [false, true] {
                let (faulty, store, lake) = failing(&begin).await;
                let target = Target::any().kind(RequestKind::PutIfMatch).path(Path::from(*path)).always();
                faulty.set_script(Script::from(Fault { target, effect: Effect::Zombie(Release::ByHand) }));
                let error = act.run(&lake).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::CommitUnknown, "{act:?}: {error}");
                faulty.set_script(Script::empty());
                if lands {
                    faulty.release_zombies().await;
                }
                let done = act.is_done(&reopen(&store, 6).await).await;
                // The new name is only half of a rename.
                assert_eq!(done, lands && !matches!(act, Act::RenameBranch), "{act:?}");
                check_after(*act, &store, done, &format!("{act:?}, lands: {lands}")).await;
                // What is still on its way lands upon another token.
                faulty.release_zombies().await;
                check_whole(&reopen(&store, 7).await, &format!("{act:?}, landed last")).await;
                assert!(act.is_done(&reopen(&store, 8).await).await, "{act:?}");
            }
        }
    });
}

#[test]
fn whoever_crashes_in_an_act_upon_refs_leaves_what_can_be_completed() {
    paused(async {
        let begin = begin().await;
        for act in ACTS {
            let (recording, _, lake) = failing(&begin).await;
            act.run(&lake).await.unwrap();
            for number in 0..recording.requests().len() {
                for applied in [false, true] {
                    let (faulty, store, lake) = failing(&begin).await;
                    let target = Target::any().nth(number);
                    faulty.set_script(Script::from(Fault { target, effect: Effect::Hang { applied } }));
                    let run = tokio::time::timeout(Duration::from_secs(5), act.run(&lake)).await;
                    let what =
                        format!("{act:?}, crashed at {number}, applied {applied}: {run:?}\n{}", faulty.log());
                    drop(lake);
                    faulty.set_script(Script::empty());
                    let done = act.is_done(&reopen(&store, 6).await).await;
                    check_after(*act, &store, done, &what).await;
                }
            }
        }
    });
}
