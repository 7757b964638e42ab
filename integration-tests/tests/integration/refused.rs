//! Stores that ignore or break conditions: no lake is made in them and none there is written to, and each refusal names what
//! failed. A lake that was copied into one can be read.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use strandline::storage::{Durability, Storage};
use strandline::{Error, ErrorKind, Lake, Runtime};
use strandline_format::{RefName, TableName};
use strandline_testkit::wire::{Breach, Proxy, StubBucket};
use strandline_testkit::{PathClass, RequestKind};

use crate::lake::{self, Place};
use crate::runner::{Case, Outcome};
use crate::servers::{self, Server};
use crate::tables;

pub(crate) const CASES: &[Case] = &[
    Case { name: "refused::rclone", run: || server(&servers::RCLONE, &[IGNORES]) },
    Case { name: "refused::old_minio", run: || server(&servers::OLD_MINIO, &[NO_CREATION]) },
    Case { name: "refused::s3rver", run: || server(&servers::S3RVER, &[IGNORES]) },
    Case { name: "refused::s3s_fs", run: || server(&servers::S3S_FS, RACES) },
    Case { name: "refused::a_stub_that_ignores_conditions", run: || stub(Breach::Ignores, &[IGNORES]) },
    Case {
        name: "refused::a_stub_that_ignores_tokens",
        run: || stub(Breach::IgnoresTokens, &["it took a swap with a stale token"]),
    },
    Case {
        name: "refused::a_stub_that_swaps_what_is_absent",
        run: || stub(Breach::SwapsAbsent, &["it took a swap of an object that is not there"]),
    },
    Case {
        name: "refused::a_stub_that_races",
        // Of its two races a slow machine may miss the first.
        run: || stub(Breach::Races, RACES),
    },
    Case { name: "refused::a_stub_behind_the_address_of_another", run: exchanged_stub },
    Case { name: "refused::rclone_behind_the_address_of_minio", run: exchanged_server },
];

pub(crate) const NO_CREATION: &str = "it refused to create an object because it is not there";
/// Which of them it is, chance decides.
pub(crate) const RACES: &[&str] = &[
    "it told several writers that each had won",
    "it lost the write of the winner",
    "it applied a write that it had refused",
];
pub(crate) const IGNORES: &str = "it created an object that was there already";

fn server(server: &Server, names: &[&str]) -> Outcome {
    match server.place() {
        Ok(place) => check(&place, names),
        Err(why) => return Outcome::Skipped(why),
    }
    Outcome::Passed
}

fn stub(breach: Breach, names: &[&str]) -> Outcome {
    let server = StubBucket::s3().that(breach).serve().unwrap();
    let options = "access_key_id=id secret_access_key=key region=us-east-1 allow_http=true";
    let options = format!("endpoint={} {options}", server.url());
    check(&Place { location: "s3://lake".to_owned(), options }, names);
    Outcome::Passed
}

fn exchanged_stub() -> Outcome {
    let serve = |bucket: StubBucket, name| bucket.called(name).serve().unwrap();
    let before = serve(StubBucket::s3(), "one that keeps conditions");
    let after = serve(StubBucket::s3().that(Breach::Ignores), "one that does not");
    let at = |url: String| {
        let options =
            format!("endpoint={url} access_key_id=id secret_access_key=key region=us-east-1 allow_http=true");
        Place { location: "s3://lake/here".to_owned(), options }
    };
    exchange(&at(before.url()), &at(after.url()));
    Outcome::Passed
}

fn exchanged_server() -> Outcome {
    match (servers::MINIO.place(), servers::RCLONE.place()) {
        (Ok(before), Ok(after)) => {
            let folder = format!("test-{}", Runtime::system().nonce().unwrap());
            exchange(&before.below(&folder), &after.below(&folder));
            Outcome::Passed
        }
        (Err(why), _) | (_, Err(why)) => Outcome::Skipped(why),
    }
}

/// Behind an address that was probed stands another server one day, with the same objects. Writers that were at work notice it before they
/// swap, and so do those that come [STO-9].
fn exchange(before: &Place, after: &Place) {
    let endpoint = |place: &Place| place.words().find(|(name, _)| *name == "endpoint").unwrap().1.to_owned();
    let (bucket, _) = before.location.trim_start_matches("s3://").split_once('/').unwrap();
    let proxy = Proxy::start(&endpoint(before), Path::from(bucket)).unwrap();
    let address =
        Place { options: before.options.replace(&endpoint(before), &proxy.url()), ..before.clone() };
    lake::run(async {
        let writer = tables::create_at(&address, &["t"]).await;
        writer.append("t", tables::batch(&[(1, 1)])).await.unwrap();
        let version = writer.main().await.unwrap().version();
        let (from, to) =
            (lake::open_at(before, Durability::None).await, lake::open_at(after, Durability::None).await);
        copy(&from, &to).await;
        proxy.lead_to(&endpoint(after)).unwrap();
        let swaps =
            |proxy: &Proxy| proxy.counts().of_to(RequestKind::PutIfMatch, PathClass::Pointer).requests;
        let swapped = swaps(&proxy);
        let comes = Lake::open(&address.location).storage(address.how(Durability::None)).await.unwrap();
        for lake in [&writer, &comes] {
            // The keys of the server before are the same, or it would not be taken for it.
            let refused = lake.append("t", tables::batch(&[(2, 2)])).await.unwrap_err();
            is_refusal(&refused, &address, &[IGNORES]);
            assert_eq!(lake.main().await.unwrap().version(), version);
            assert_eq!(tables::read(&lake.table("t").await.unwrap()).await.unwrap(), [(1, 1)]);
            println!("  {refused}");
        }
        assert_eq!(swaps(&proxy), swapped, "{}", proxy.log());
    });
}

fn check(place: &Place, names: &[&str]) {
    let nonce = Runtime::system().nonce().unwrap();
    let place = place.below(&format!("test-{nonce}"));
    lake::run(async {
        let refused = Lake::create(&place.location).storage(place.how(Durability::None)).await.unwrap_err();
        is_refusal(&refused, &place, names);
        let storage = lake::open_at(&place, Durability::None).await;
        let left: Vec<_> = storage.objects().store().list(None).try_collect().await.unwrap();
        assert!(left.is_empty(), "{left:?}");
        let made = Lake::create(format!("memory://copied-{nonce}")).await.unwrap();
        copy(made.storage(), &storage).await;
        reads(&made, &place).await;
        let copied = Lake::open_in(storage, &RefName::new("main").unwrap()).await.unwrap();
        let refused = lake::touch(&copied, copied.head()).await.unwrap_err();
        is_refusal(&refused, &place, names);
        // And it has changed nothing.
        reads(&made, &place).await;
        println!("  {refused}");
    });
}

/// A refusal that names one of these.
fn is_refusal(error: &Error, place: &Place, names: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::StoreUnsuitable, "{error}");
    assert!(names.iter().any(|names| error.message().contains(names)), "{error}");
    assert!(error.message().contains(&place.location), "{error}");
}

/// As any tool copies it: object by object, without conditions.
pub(crate) async fn copy(from: &Storage, to: &Storage) {
    let (from, to) = (from.objects().store(), to.objects().store());
    let objects: Vec<_> = from.list(None).try_collect().await.unwrap();
    assert!(objects.len() >= 3, "{objects:?}");
    for object in objects {
        let bytes = from.get(&object.location).await.unwrap().bytes().await.unwrap();
        to.put(&object.location, bytes.into()).await.unwrap();
    }
}

/// The copy is the same lake, to a reader with nothing at hand.
async fn reads(made: &Lake, place: &Place) {
    let lake = Lake::open(&place.location).storage(place.how(Durability::None)).await.unwrap();
    assert_eq!((lake.id(), lake.head().commit()), (made.id(), made.head().commit()));
    assert_eq!(lake.head().pointer(), made.head().pointer());
    assert_eq!(lake.head().entry(&TableName::new("orders").unwrap()).await.unwrap(), None);
    lake.storage().objects().get_meta(&lake.head().pointer().head()).await.unwrap();
}
