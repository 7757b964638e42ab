//! A file that goes up in parts, and fails at each kind of request on its way: to begin, a part, to put them together. It is there in the
//! end, whole, or is said not to be.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use strandline::Runtime;
use strandline::storage::{DataKind, Durability, Storage, StorageOptions, StoreLocation};
use strandline_format::Era;
use strandline_testkit::wire::Proxy;
use strandline_testkit::{Answer, Effect, RequestKind, Script, Status, Target};

use super::Site;
use crate::attempt::table;
use crate::crash::noise;
use crate::lake::{self, Place};

/// The size of a part: the least that real servers take, and less where it may be.
const PART: usize = 5 << 20;
const SMALL_PART: usize = 64 << 10;
/// How late what is late comes.
const LATE: Duration = Duration::from_millis(300);

/// What becomes of a request.
const EFFECTS: [Effect; 12] = [
    Effect::Fail { applied: true, answer: Answer::Reset },
    Effect::Fail { applied: false, answer: Answer::Status(Status::Unavailable) },
    Effect::Tear { after: 10 },
    Effect::Fail { applied: false, answer: Answer::Reset },
    Effect::Fail { applied: true, answer: Answer::Closed },
    Effect::Fail { applied: false, answer: Answer::Closed },
    Effect::Fail { applied: true, answer: Answer::Status(Status::InternalError) },
    Effect::Fail { applied: false, answer: Answer::Status(Status::InternalError) },
    Effect::Fail { applied: true, answer: Answer::Status(Status::Unavailable) },
    Effect::Fail { applied: true, answer: Answer::Status(Status::TooManyRequests) },
    Effect::Fail { applied: false, answer: Answer::Status(Status::NotFound) },
    Effect::Slow(LATE),
];
/// So many of them where each takes its time.
const SELECTED: usize = 3;

const KINDS: [RequestKind; 3] =
    [RequestKind::CreateMultipart, RequestKind::PutPart, RequestKind::CompleteMultipart];

pub(super) fn puts(site: &Site) {
    let (part, effects) = if site.at_once { (SMALL_PART, EFFECTS.len()) } else { (PART, SELECTED) };
    let (proxy, place) = site.proxied();
    lake::run(async {
        // Which requests there are: some stores have none to begin with.
        let bytes = Bytes::from(noise(2 * part + part / 2));
        put(&open(&place, part).await, bytes.clone()).await;
        let asked = proxy.requests();
        let kinds = KINDS.iter().filter(|kind| asked.iter().any(|request| request.kind == **kind));
        let cases: Vec<(RequestKind, Effect)> =
            kinds.flat_map(|kind| EFFECTS[..effects].iter().map(|effect| (*kind, *effect))).collect();
        assert!(cases.len() >= 2 * effects, "{asked:?}");
        // Each waits a second for what it has to begin anew, so they go side by side, each by a way of its own.
        let trials = cases.iter().enumerate().map(|(number, (kind, effect))| {
            let ((proxy, place), bytes) = (site.proxied(), bytes.slice(number..));
            async move { fails_once(&proxy, &open(&place, part).await, (*kind, *effect), bytes).await }
        });
        join_all(trials).await;
        println!("  {} faults of {} requests", cases.len(), asked.len());
    });
}

async fn fails_once(proxy: &Proxy, storage: &Storage, (kind, effect): (RequestKind, Effect), bytes: Bytes) {
    // The request to begin with has no body to be torn, and no store knows nothing of what it is to begin.
    let unlike = [Effect::Tear { after: 10 }, Effect::fail(Answer::Status(Status::NotFound))];
    if kind == RequestKind::CreateMultipart && unlike.contains(&effect) {
        return;
    }
    proxy.set_script(Script::empty().and(Target::any().kind(kind), effect));
    put(storage, bytes).await;
    assert!(proxy.unfired().is_empty(), "{kind} {effect}: {}", proxy.log());
}

/// Puts it, and reads it back.
async fn put(storage: &Storage, bytes: Bytes) {
    let objects = storage.objects();
    let put = objects.put_data(DataKind::File, table(), bytes.clone(), Era(0)).await.unwrap();
    assert!(objects.get_data(DataKind::File, table(), &put).await.unwrap() == bytes);
}

async fn open(place: &Place, part: usize) -> Storage {
    let how = place.how(Durability::None);
    let mut objects = how.objects;
    objects.part_bytes = NonZeroUsize::new(part).unwrap();
    let location = StoreLocation::parse(&place.location).unwrap();
    Storage::open(&location, &StorageOptions { objects, ..how }, Runtime::system()).await.unwrap()
}
