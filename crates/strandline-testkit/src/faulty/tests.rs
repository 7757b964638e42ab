//! Each fault does what it says, on a store that keeps conditions.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutResult, UpdateVersion};
use tokio::time::Instant;

use super::*;
use crate::answer::Status;
use crate::enumerate::{pair_faults, single_faults};
use crate::fault::Target;
use crate::request::RequestKind;

const LATER: Answer = Answer::Timeout;

fn path() -> Path {
    Path::from("refs/branches/main.json")
}

/// A store that holds `0`, its token, and the store below.
async fn store(script: Script) -> (FaultyStore, UpdateVersion, Arc<InMemory>) {
    let below = Arc::new(InMemory::new());
    let put = below.put(&path(), "0".into()).await.unwrap();
    (FaultyStore::new(Arc::clone(&below) as Arc<dyn ObjectStore>, script), put.into(), below)
}

fn only(kind: RequestKind, effect: Effect) -> Script {
    Script::empty().and(Target::any().kind(kind), effect)
}

async fn swap(store: &FaultyStore, token: &UpdateVersion, body: &'static str) -> Result<PutResult> {
    store.put_opts(&path(), body.into(), PutMode::Update(token.clone()).into()).await
}

async fn create(store: &FaultyStore, body: &'static str) -> Result<PutResult> {
    store.put_opts(&path(), body.into(), PutMode::Create.into()).await
}

async fn content(store: &dyn ObjectStore) -> String {
    let bytes = store.get(&path()).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn variant(error: &Error) -> &'static str {
    match error {
        Error::Generic { .. } => "Generic",
        Error::AlreadyExists { .. } => "AlreadyExists",
        Error::Precondition { .. } => "Precondition",
        _ => "another",
    }
}

#[tokio::test]
async fn a_failed_swap_is_applied_or_not_as_scripted() {
    let check = async |effect, expected, after| {
        let (store, token, below) = store(only(RequestKind::PutIfMatch, effect)).await;
        let error = swap(&store, &token, "1").await.unwrap_err();
        assert_eq!(variant(&error), expected, "{effect}: {error}");
        assert_eq!(content(&*below).await, after, "{effect}");
        assert!(store.unfired().is_empty());
    };
    for answer in [Answer::Timeout, Answer::Closed, Answer::Reset, Answer::Refused] {
        check(Effect::fail(answer), "Generic", "0").await;
        check(Effect::apply_then(answer), "Generic", "1").await;
    }
    for status in [Status::InternalError, Status::Unavailable, Status::TooManyRequests] {
        check(Effect::fail(Answer::Status(status)), "Generic", "0").await;
        check(Effect::apply_then(Answer::Status(status)), "Generic", "1").await;
    }
    check(Effect::fail(Answer::Status(Status::PreconditionFailed)), "Precondition", "0").await;
    check(Effect::apply_then(Answer::Status(Status::PreconditionFailed)), "Precondition", "1").await;
    check(Effect::fail(Answer::Status(Status::Conflict)), "AlreadyExists", "0").await;
    check(Effect::apply_then(Answer::Status(Status::Conflict)), "AlreadyExists", "1").await;
}

#[tokio::test]
async fn a_failed_create_is_applied_or_not_as_scripted() {
    let check = async |effect, dialect, expected, after| {
        let (store, _, below) = store(only(RequestKind::PutIfAbsent, effect)).await;
        let store = store.with_dialect(dialect);
        below.delete(&path()).await.unwrap();
        assert_eq!(variant(&create(&store, "1").await.unwrap_err()), expected, "{effect}");
        assert_eq!(below.head(&path()).await.is_ok(), after, "{effect}");
    };
    let denied = Answer::Status(Status::PreconditionFailed);
    check(Effect::fail(denied), Dialect::S3, "AlreadyExists", false).await;
    check(Effect::apply_then(denied), Dialect::S3, "AlreadyExists", true).await;
    check(Effect::apply_then(denied), Dialect::Azure, "Precondition", true).await;
    check(Effect::fail(Answer::Closed), Dialect::S3, "Generic", false).await;
    check(Effect::apply_then(Answer::Closed), Dialect::S3, "Generic", true).await;
}

#[tokio::test]
async fn an_applied_request_still_obeys_its_condition() {
    let (store, token, below) = store(
        only(RequestKind::PutIfMatch, Effect::apply_then(LATER))
            .and(Target::any().kind(RequestKind::PutIfAbsent), Effect::apply_then(LATER)),
    )
    .await;
    below.put(&path(), "other".into()).await.unwrap();
    assert_eq!(variant(&swap(&store, &token, "1").await.unwrap_err()), "Generic");
    assert_eq!(variant(&create(&store, "1").await.unwrap_err()), "Generic");
    assert_eq!(content(&*below).await, "other");
    assert!(store.unfired().is_empty());
}

#[tokio::test]
async fn without_faults_answers_are_the_store_s_own() {
    let (store, token, _) = store(Script::empty()).await;
    assert_eq!(variant(&create(&store, "1").await.unwrap_err()), "AlreadyExists");
    swap(&store, &token, "1").await.unwrap();
    assert_eq!(variant(&swap(&store, &token, "2").await.unwrap_err()), "Precondition");
    assert_eq!(content(&store).await, "1");
    let kinds: Vec<_> = store.requests().iter().map(|request| request.kind).collect();
    assert_eq!(
        kinds,
        [RequestKind::PutIfAbsent, RequestKind::PutIfMatch, RequestKind::PutIfMatch, RequestKind::Get]
    );
}

#[tokio::test]
async fn a_zombie_lands_when_told_and_only_once() {
    let (store, token, below) = store(only(RequestKind::PutIfMatch, Effect::Zombie(Release::ByHand))).await;
    assert_eq!(variant(&swap(&store, &token, "1").await.unwrap_err()), "Generic");
    assert_eq!((content(&store).await, store.zombies().len()), ("0".to_owned(), 1));
    let landings = store.release_zombies().await;
    assert_eq!((landings.len(), &landings[0].refused), (1, &None), "{}", store.log());
    assert_eq!(content(&*below).await, "1");
    assert_eq!((store.release_zombies().await.len(), store.landings().len()), (0, 1));
}

#[tokio::test]
async fn a_zombie_obeys_its_condition_when_it_lands() {
    let (store, token, below) = store(only(RequestKind::PutIfMatch, Effect::Zombie(Release::ByHand))).await;
    swap(&store, &token, "late").await.unwrap_err();
    swap(&store, &token, "fence").await.unwrap();
    let landings = store.release_zombies().await;
    assert!(landings[0].refused.is_some(), "the token has changed: {}", store.log());
    assert_eq!(content(&*below).await, "fence");
}

#[tokio::test]
async fn a_late_create_resurrects_what_was_deleted() {
    let (store, _, below) = store(only(RequestKind::PutIfAbsent, Effect::Zombie(Release::After(1)))).await;
    create(&store, "late").await.unwrap_err();
    store.delete(&path()).await.unwrap();
    assert_eq!(content(&*below).await, "late");
    assert_eq!(store.landings().len(), 1);
}

#[tokio::test]
async fn a_zombie_lands_after_the_scripted_number_of_requests() {
    for later in 0..4 {
        let (store, token, below) =
            store(only(RequestKind::PutIfMatch, Effect::Zombie(Release::After(later)))).await;
        swap(&store, &token, "1").await.unwrap_err();
        for _ in 0..later {
            assert_eq!(content(&store).await, "0", "{}", store.log());
        }
        assert_eq!(content(&*below).await, "1", "after {later}: {}", store.log());
    }
}

#[tokio::test]
async fn reads_are_damaged_as_scripted() {
    let check = async |effect, read: &[u8], whole| {
        let (store, _, below) = store(only(RequestKind::Get, effect)).await;
        below.put(&path(), "abcd".into()).await.unwrap();
        let reply = store.get(&path()).await.unwrap();
        let promised = reply.meta.size;
        let chunks: Vec<_> = reply.into_stream().map_err(|error| variant(&error)).collect().await;
        let bytes: Vec<u8> =
            chunks.iter().filter_map(|chunk| chunk.as_ref().ok()).flatten().copied().collect();
        assert_eq!(bytes, read, "{effect}");
        assert_eq!(chunks.iter().all(Result::is_ok), whole, "{effect}");
        assert_eq!(promised == bytes.len() as u64, whole, "{effect}");
        assert_eq!(content(&*below).await, "abcd");
    };
    check(Effect::Flip { bit: 0 }, b"`bcd", true).await;
    check(Effect::Flip { bit: 8 + 1 }, b"a`cd", true).await;
    check(Effect::Flip { bit: 32 }, b"`bcd", true).await;
    check(Effect::Cut { bytes: 1 }, b"abc", true).await;
    check(Effect::Cut { bytes: 9 }, b"", true).await;
    check(Effect::Break { after: 2 }, b"ab", false).await;
}

#[tokio::test]
async fn a_cut_range_is_noticed_or_short_but_never_a_panic() {
    let (store, ..) = store(
        Script::empty().and(Target::any().kind(RequestKind::GetRange).always(), Effect::Cut { bytes: 3 }),
    )
    .await;
    store.put(&path(), "abcdefgh".into()).await.unwrap();
    assert_eq!(store.get_range(&path(), 2..6).await.unwrap(), Bytes::from("c"));
    assert!(store.get_ranges(&path(), &[0..2, 6..8]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn slow_requests_take_their_time_and_hanging_ones_for_ever() {
    let (slow, ..) = store(only(RequestKind::Get, Effect::Slow(Duration::from_secs(9)))).await;
    let begin = Instant::now();
    assert_eq!(content(&slow).await, "0");
    assert_eq!(begin.elapsed(), Duration::from_secs(9));

    for applied in [false, true] {
        let (store, token, below) = store(only(RequestKind::PutIfMatch, Effect::Hang { applied })).await;
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, swap(&store, &token, "1")).await.is_err());
        assert_eq!(content(&*below).await, if applied { "1" } else { "0" });
    }
}

#[tokio::test]
async fn targets_narrow_by_kind_path_class_and_number() {
    let failed = async |target: Target| {
        let (store, ..) = store(Script::empty().and(target, Effect::fail(Answer::Refused))).await;
        let other = Path::from("lake.json");
        let reads = [store.get(&other).await.err(), store.get(&path()).await.err()];
        let heads = [store.head(&path()).await.err(), store.head(&path()).await.err()];
        let refused = |error: &Option<Error>| error.as_ref().is_some_and(|e| variant(e) == "Generic");
        [refused(&reads[0]), refused(&reads[1]), refused(&heads[0]), refused(&heads[1])]
    };
    let (no, yes) = (false, true);
    assert_eq!(failed(Target::any()).await, [yes, no, no, no]);
    assert_eq!(failed(Target::any().nth(2)).await, [no, no, yes, no]);
    assert_eq!(failed(Target::any().nth(1).times(2)).await, [no, yes, yes, no]);
    assert_eq!(failed(Target::any().nth(1).always()).await, [no, yes, yes, yes]);
    assert_eq!(failed(Target::any().path(path())).await, [no, yes, no, no]);
    assert_eq!(failed(Target::any().class(crate::PathClass::Lake)).await, [yes, no, no, no]);
    assert_eq!(failed(Target::any().kind(RequestKind::Head).nth(1)).await, [no, no, no, yes]);
    assert_eq!(failed(Target::any().nth(9)).await, [no, no, no, no]);
}

#[tokio::test]
async fn a_lost_part_can_not_be_completed() {
    let (store, ..) = store(only(RequestKind::PutPart, Effect::fail(LATER))).await;
    let mut upload = store.put_multipart(&path()).await.unwrap();
    assert!(upload.put_part("lost".into()).await.is_err());
    upload.put_part("kept".into()).await.unwrap();
    assert!(upload.complete().await.is_err());
    assert_eq!(content(&store).await, "0");
}

/// A counter that is raised by a careful loop: the shape of what the exhaustive tests will try.
async fn raise(store: &FaultyStore) -> Result<bool> {
    let reply = store.get(&path()).await?;
    let token = UpdateVersion { e_tag: reply.meta.e_tag.clone(), version: None };
    swap(store, &token, "1").await.map(|_| true)
}

#[tokio::test]
async fn every_enumerated_fault_fires_and_truth_is_kept() {
    let (recording, ..) = store(Script::empty()).await;
    raise(&recording).await.unwrap();
    let run = recording.requests();
    assert_eq!(run.len(), 2);
    let (mut applied, mut answered) = (0, 0);
    for script in single_faults(&run) {
        let (store, _, below) = store(script.clone()).await;
        let outcome = raise(&store).await;
        assert!(store.unfired().is_empty(), "{script}");
        let landed = content(&*below).await == "1";
        assert!(landed || outcome.is_err(), "a success must be true: {script}\n{}", store.log());
        applied += usize::from(landed);
        answered += usize::from(outcome.is_ok());
    }
    assert!(applied > answered && answered > 0, "some lost answers, some harmless: {applied}, {answered}");
    for script in pair_faults(&run) {
        let (store, ..) = store(script).await;
        drop(raise(&store).await);
        store.release_zombies().await;
    }
}
