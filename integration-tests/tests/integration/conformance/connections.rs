//! What happens on the way to a server: answers that are lost, false or late, connections that break, and how many requests
//! and connections there are at all.

use std::time::Duration;

use bytes::Bytes;
use strandline::storage::{Change, DataKind, Durability, Loaded, Settled, Storage, Swap, Token, settle};
use strandline::{Deadline, ErrorKind, Lake};
use strandline_format::{Era, RefName};
use strandline_testkit::wire::Proxy;
use strandline_testkit::{Answer, Effect, PathClass, Release, RequestKind, Script, Status, Target};

use super::{Site, refs};
use crate::attempt::table;
use crate::crash::noise;
use crate::lake;

const PATIENCE: Duration = Duration::from_secs(60);

fn swap_of_main() -> Target {
    Target::any().kind(RequestKind::PutIfMatch).class(PathClass::Pointer)
}

/// What a swap is told, and what can be known from that alone.
const TOLD: &[(Answer, &str)] = &[
    (Answer::Closed, "unknown"),
    (Answer::Reset, "unknown"),
    (Answer::Status(Status::InternalError), "unknown"),
    (Answer::Status(Status::Unavailable), "unknown"),
    (Answer::Status(Status::TooManyRequests), "unknown"),
    (Answer::Status(Status::Conflict), "moved"),
    (Answer::Status(Status::PreconditionFailed), "moved"),
];

fn word(swap: &Swap) -> &'static str {
    match swap {
        Swap::Swapped(_) => "swapped",
        Swap::Moved(_) => "moved",
        Swap::Unknown(_) => "unknown",
    }
}

async fn settled(storage: &Storage, expected: &Token, bytes: &Bytes) -> Settled {
    let change = Change { path: lake::main(), expected: Some(expected.clone()), bytes: bytes.clone() };
    let mine = |current: &Loaded| Ok(current.bytes == *bytes);
    settle(storage.refs(), &change, &mine, Deadline::after(PATIENCE), storage.runtime()).await.unwrap()
}

/// A swap is told the truth by nobody, and what came of it is found out all the same.
pub(super) fn swaps(site: &Site) {
    let (proxy, place) = site.proxied();
    lake::run(async {
        let (direct, storage) = (site.open().await, lake::open_at(&place, Durability::None).await);
        let mut token = refs::create(&direct, "first").await;
        let cases = TOLD.iter().flat_map(|told| [true, false].map(|applied| (*told, applied)));
        for (number, ((answer, known), applied)) in cases.enumerate() {
            let effect = Effect::Fail { applied, answer };
            let bytes = |what: &str| Bytes::from(format!("{what} {number}"));
            proxy.set_script(Script::empty().and(swap_of_main(), effect));
            let swap = storage.refs().swap(&lake::main(), Some(&token), bytes("swap")).await.unwrap();
            assert_eq!(word(&swap), known, "{effect}: {swap:?}");
            let stands = direct.refs().load(&lake::main()).await.unwrap().unwrap();
            assert_eq!(stands.bytes == bytes("swap"), applied, "{effect}");
            proxy.set_script(Script::empty().and(swap_of_main(), effect));
            let change = settled(&storage, &stands.token, &bytes("settled")).await;
            let Settled::Applied(loaded) = change else { panic!("{effect}: {change:?}\n{}", proxy.log()) };
            let stands = direct.refs().load(&lake::main()).await.unwrap().unwrap();
            assert_eq!((&stands, &stands.bytes), (&loaded, &bytes("settled")), "{effect}");
            // It is sent again only if it may not have been applied.
            assert_eq!(puts(&proxy), if applied { 1 } else { 2 }, "{effect}\n{}", proxy.log());
            assert!(proxy.unfired().is_empty(), "{}", proxy.log());
            token = stands.token;
        }
    });
}

fn puts(proxy: &Proxy) -> usize {
    proxy.requests().iter().filter(|request| request.kind == RequestKind::PutIfMatch).count()
}

/// A swap that is still on its way when another of its kind was applied does nothing when it lands.
pub(super) fn zombies(site: &Site) {
    let (proxy, place) = site.proxied();
    lake::run(async {
        let (direct, storage) = (site.open().await, lake::open_at(&place, Durability::None).await);
        let token = refs::create(&direct, "first").await;
        proxy.set_script(Script::empty().and(swap_of_main(), Effect::Zombie(Release::ByHand)));
        let change = settled(&storage, &token, &"mine".into()).await;
        let Settled::Applied(mine) = change else { panic!("{change:?}\n{}", proxy.log()) };
        let theirs = refs::swap(&direct, &lake::main(), Some(&mine.token), "theirs").await.unwrap();
        let landings = proxy.release_zombies();
        assert!(landings.len() == 1 && landings[0].refused.is_some(), "{landings:?}");
        let stands = direct.refs().load(&lake::main()).await.unwrap().unwrap();
        assert_eq!(stands, Loaded { bytes: "theirs".into(), token: theirs });
    });
}

/// What is read is right or an error, and what passes by itself is tried again.
pub(super) fn reads(site: &Site) {
    let (proxy, place) = site.proxied();
    let bytes = Bytes::from(noise(200_000));
    let cases = [
        (Effect::Break { after: 70_000 }, "ok"),
        (Effect::Trickle(Duration::from_secs(1)), "ok"),
        (Effect::Slow(Duration::from_secs(1)), "ok"),
        (Effect::fail(Answer::Status(Status::InternalError)), "ok"),
        (Effect::fail(Answer::Status(Status::Unavailable)), "ok"),
        (Effect::fail(Answer::Status(Status::TooManyRequests)), "ok"),
        (Effect::fail(Answer::Closed), "ok"),
        (Effect::fail(Answer::Reset), "ok"),
        (Effect::Flip { bit: 99_999 }, "corrupt"),
        (Effect::Cut { bytes: 1 }, "corrupt"),
        (Effect::fail(Answer::Status(Status::Forbidden)), "permission denied"),
    ];
    lake::run(async {
        let storage = lake::open_at(&place, Durability::None).await;
        let put = storage.objects().put_data(DataKind::File, table(), bytes.clone(), Era(0)).await.unwrap();
        for (effect, expected) in cases {
            proxy.set_script(Script::empty().and(Target::any().kind(RequestKind::Get), effect));
            let got = storage.objects().get_data(DataKind::File, table(), &put).await;
            let outcome = got.as_ref().map_or_else(|error| error.kind().to_string(), |_| "ok".to_owned());
            assert_eq!(outcome, expected, "{effect}: {:?}\n{}", got.err(), proxy.log());
            assert!(got.is_err() || got.is_ok_and(|got| got == bytes), "{effect}");
            assert!(proxy.unfired().is_empty(), "{}", proxy.log());
        }
    });
}

/// Opening a lake is one request, swapping its branch one more, and nothing is listed; connections are used again.
pub(super) fn economy(site: &Site) {
    let (proxy, place) = site.proxied();
    lake::run(async {
        let storage = site.open().await;
        Lake::create_in(storage).await.unwrap();
        let main = RefName::new("main").unwrap();
        let before = proxy.counts();
        let through = lake::open_at(&place, Durability::None).await;
        let warm = Lake::open_in(through, &main).await.unwrap();
        let opened = proxy.counts().since(&before);
        assert_eq!(opened.total().requests, 1, "{opened}");
        assert_eq!(opened.of_to(RequestKind::Get, PathClass::Pointer).requests, 1, "{opened}");
        // The proxy is another endpoint, whose conditions were not probed: the first swap does that, and remembers it.
        let first = lake::touch(&warm, warm.head()).await.unwrap();
        assert!(matches!(first, Settled::Applied(_)), "{first:?}");
        let (before, connections) = (proxy.counts(), proxy.connections());
        for _ in 0..10 {
            let head = warm.branch(&main).await.unwrap();
            let swap = lake::touch(&warm, &head).await.unwrap();
            assert!(matches!(swap, Settled::Applied(_)), "{swap:?}");
        }
        let swapped = proxy.counts().since(&before);
        assert_eq!(swapped.of_to(RequestKind::Get, PathClass::Pointer).requests, 10, "{swapped}");
        assert_eq!(swapped.of_to(RequestKind::PutIfMatch, PathClass::Pointer).requests, 10, "{swapped}");
        assert_eq!(swapped.total().requests, 20, "{swapped}");
        assert_eq!(proxy.connections(), connections, "connections are used again");
        let gone = warm.branch(&RefName::new("gone").unwrap()).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{gone}");
        // A cold handle has one for reads and one for swaps.
        let cold = proxy.connections();
        let other = Lake::open_in(lake::open_at(&place, Durability::None).await, &main).await.unwrap();
        let _ = lake::touch(&other, other.head()).await.unwrap();
        assert_eq!(proxy.connections() - cold, 2);
    });
}
