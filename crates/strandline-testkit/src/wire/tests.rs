//! The stub and the proxy, as the stores' own clients see them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use object_store::aws::AmazonS3Builder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutResult,
    RetryConfig, UpdateVersion,
};

use super::{Breach, HttpServer, Moment, Proxy, StubBucket};
use crate::answer::{Answer, Status};
use crate::fault::{Effect, Release, Script, Target};
use crate::request::{PathClass, RequestKind};

fn client_options() -> ClientOptions {
    ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(5))
}

fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn s3(url: &str) -> Arc<dyn ObjectStore> {
    let builder = AmazonS3Builder::new().with_endpoint(url).with_bucket_name("b").with_region("x");
    let builder = builder.with_access_key_id("id").with_secret_access_key("key");
    Arc::new(builder.with_client_options(client_options()).with_retry(no_retries()).build().unwrap())
}

fn gcs(url: &str) -> Arc<dyn ObjectStore> {
    let key = r#"{"disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}"#;
    let builder = GoogleCloudStorageBuilder::new().with_service_account_key(key).with_base_url(url);
    let builder = builder.with_bucket_name("b").with_client_options(client_options());
    Arc::new(builder.with_retry(no_retries()).build().unwrap())
}

/// Both dialects, with pages so small that every listing has several.
fn both() -> Vec<(&'static str, HttpServer, Arc<dyn ObjectStore>)> {
    let (one, other) =
        (StubBucket::s3().with_page(3).serve().unwrap(), StubBucket::gcs().with_page(3).serve().unwrap());
    let (first, second) = (s3(&one.url()), gcs(&other.url()));
    vec![("s3", one, first), ("gcs", other, second)]
}

fn update(put: &PutResult) -> PutMode {
    PutMode::Update(UpdateVersion { e_tag: put.e_tag.clone(), version: put.version.clone() })
}

async fn put(store: &Arc<dyn ObjectStore>, mode: PutMode, body: &str) -> Result<PutResult, Error> {
    let options = PutOptions { mode, ..PutOptions::default() };
    store.put_opts(&Path::from("refs/branches/main.json"), body.to_owned().into(), options).await
}

#[tokio::test]
async fn conditions_are_kept() {
    for (name, _server, store) in both() {
        let first = put(&store, PutMode::Create, "one").await.unwrap();
        let again = put(&store, PutMode::Create, "two").await.unwrap_err();
        assert!(matches!(again, Error::AlreadyExists { .. }), "{name}: {again}");
        let second = put(&store, update(&first), "two").await.unwrap();
        let stale = put(&store, update(&first), "three").await.unwrap_err();
        assert!(matches!(stale, Error::Precondition { .. }), "{name}: {stale}");
        store.delete(&Path::from("refs/branches/main.json")).await.unwrap();
        let absent = put(&store, update(&second), "three").await.unwrap_err();
        assert!(matches!(absent, Error::Precondition { .. }), "{name}: {absent}");
    }
}

#[tokio::test]
async fn equal_bytes_have_one_etag_and_two_generations() {
    for (name, _server, store) in both() {
        let first = put(&store, PutMode::Overwrite, "same").await.unwrap();
        let second = put(&store, PutMode::Overwrite, "same").await.unwrap();
        assert_eq!(first.e_tag, second.e_tag, "{name}");
        assert_eq!(first.version == second.version, name == "s3");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_one_wins() {
    for (name, _server, store) in both() {
        let mut mode = PutMode::Create;
        for round in 0..5 {
            // Equal bytes would have equal ETags, and a stale swap would pass.
            let bodies: Vec<String> = (0..16).map(|n| format!("writer {n} of round {round}")).collect();
            let racers = bodies.iter().map(|body| put(&store, mode.clone(), body));
            let outcomes = join_all(racers).await;
            let winners: Vec<&PutResult> = outcomes.iter().flatten().collect();
            assert_eq!(winners.len(), 1, "{name}");
            mode = update(winners[0]);
        }
    }
}

#[tokio::test]
async fn bodies_come_whole_in_ranges_and_in_parts() {
    for (name, _server, store) in both() {
        let path = Path::from("a b/ü&<c>");
        let mut upload = store.put_multipart(&path).await.unwrap();
        for part in ["0123", "4567", "89"] {
            upload.put_part(part.into()).await.unwrap();
        }
        upload.complete().await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "0123456789", "{name}");
        assert_eq!(store.get_range(&path, 3..6).await.unwrap(), "345", "{name}");
        assert_eq!(store.head(&path).await.unwrap().size, 10, "{name}");
        assert!(store.get_range(&path, 10..12).await.is_err(), "{name}");
        let listed: Vec<_> = store.list(Some(&Path::from("a b"))).collect().await;
        assert_eq!(listed[0].as_ref().unwrap().location, path, "{name}");
    }
}

#[tokio::test]
async fn listings_have_pages_and_folders() {
    for (name, server, store) in both() {
        let keys = ["a", "d/1", "d/2", "d/3", "d/4", "d/e/5", "d/e/6", "f/7", "g"];
        for key in keys {
            store.put(&Path::from(key), key.into()).await.unwrap();
        }
        let listed = store.list(None).map(|object| object.unwrap().location.to_string());
        assert_eq!(listed.collect::<Vec<_>>().await, keys, "{name}");
        let listing = store.list_with_delimiter(Some(&Path::from("d"))).await.unwrap();
        let objects: Vec<_> = listing.objects.iter().map(|object| object.location.as_ref()).collect();
        assert_eq!(objects, ["d/1", "d/2", "d/3", "d/4"], "{name}");
        assert_eq!(listing.common_prefixes, [Path::from("d/e")], "{name}");
        let behind = store.list_with_offset(Some(&Path::from("d")), &Path::from("d/3"));
        assert_eq!(behind.count().await, 3, "{name}");
        let pages = server.requests().iter().filter(|asked| asked.parameter("list-type").is_some()).count();
        assert_eq!(pages, 3 + 2 + 1, "{name}");
        let all = futures::stream::iter(keys.map(|key| Ok(Path::from(key)))).boxed();
        assert_eq!(store.delete_stream(all).count().await, keys.len(), "{name}");
        assert_eq!(store.list(None).count().await, 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_breach_breaks_what_it_says() {
    let serve = |breach| StubBucket::s3().that(breach).serve().unwrap();
    let server = serve(Breach::Ignores);
    let store = s3(&server.url());
    let first = put(&store, PutMode::Create, "one").await.unwrap();
    put(&store, PutMode::Create, "two").await.unwrap();
    put(&store, update(&first), "three").await.unwrap();

    let server = serve(Breach::IgnoresTokens);
    let store = s3(&server.url());
    put(&store, PutMode::Create, "one").await.unwrap();
    put(&store, PutMode::Create, "two").await.unwrap_err();
    put(&store, update(&first), "two").await.unwrap();
    put(&store, update(&first), "three").await.unwrap();

    let server = serve(Breach::SwapsAbsent);
    let store = s3(&server.url());
    put(&store, update(&first), "one").await.unwrap();
    put(&store, PutMode::Create, "two").await.unwrap_err();
    let refused =
        put(&store, PutMode::Update(UpdateVersion { e_tag: Some("\"x\"".into()), version: None }), "two");
    refused.await.unwrap_err();

    let server = serve(Breach::Races);
    let store = s3(&server.url());
    let outcomes = join_all((0..8).map(|_| put(&store, PutMode::Create, "racer"))).await;
    assert!(outcomes.iter().flatten().count() > 1);
    put(&store, PutMode::Create, "late").await.unwrap_err();
}

/// A bucket behind a proxy, and the bucket itself.
fn proxied(script: impl Into<Script>) -> (Proxy, Arc<dyn ObjectStore>, Arc<dyn ObjectStore>, HttpServer) {
    let server = StubBucket::s3().serve().unwrap();
    let proxy = Proxy::start(&server.url(), Path::from("b")).unwrap();
    proxy.set_script(script);
    let (through, direct) = (s3(&proxy.url()), s3(&server.url()));
    (proxy, through, direct, server)
}

fn main() -> Path {
    Path::from("refs/branches/main.json")
}

async fn stands(store: &Arc<dyn ObjectStore>) -> Option<Bytes> {
    match store.get(&main()).await {
        Ok(found) => Some(found.bytes().await.unwrap()),
        Err(Error::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn answers_are_lost_and_false_with_and_without_an_effect() {
    let answers = [
        Answer::Timeout,
        Answer::Closed,
        Answer::Reset,
        Answer::Refused,
        Answer::Status(Status::InternalError),
        Answer::Status(Status::Unavailable),
        Answer::Status(Status::Conflict),
        Answer::Status(Status::TooManyRequests),
    ];
    let cases = answers.into_iter().flat_map(|answer| [true, false].map(|applied| (answer, applied)));
    join_all(cases.map(|(answer, applied)| async move {
        let effect = Effect::Fail { applied, answer };
        let script = Script::empty().and(Target::any().kind(RequestKind::PutIfAbsent), effect);
        let (proxy, through, direct, _server) = proxied(script);
        let error = put(&through, PutMode::Create, "one").await.unwrap_err();
        if let Answer::Status(status) = answer {
            assert!(error.to_string().contains(&status.to_string()[..3]), "{effect}: {error}");
        }
        assert_eq!(stands(&direct).await, applied.then_some("one".into()), "{effect}");
        assert!(proxy.unfired().is_empty(), "{}", proxy.log());
        // The next one passes.
        let mode = if applied { PutMode::Overwrite } else { PutMode::Create };
        put(&through, mode, "two").await.unwrap();
    }))
    .await;
}

#[tokio::test]
async fn bodies_are_damaged_cut_broken_off_and_slow() {
    let effects = [Effect::Flip { bit: 0 }, Effect::Cut { bytes: 1 }, Effect::Break { after: 2 }];
    let script = effects.iter().enumerate().fold(Script::empty(), |script, (nth, effect)| {
        script.and(Target::any().kind(RequestKind::Get).nth(nth), *effect)
    });
    let late = Duration::from_millis(300);
    let script = script.and(Target::any().kind(RequestKind::Get).nth(3), Effect::Slow(late));
    let script = script.and(Target::any().kind(RequestKind::Get).nth(4), Effect::Trickle(late));
    let (proxy, through, _, _server) = proxied(script);
    put(&through, PutMode::Overwrite, "0123456789").await.unwrap();
    let got = async || through.get(&main()).await.unwrap().bytes().await;
    assert_eq!(got().await.unwrap(), "1123456789");
    assert_eq!(got().await.unwrap(), "012345678");
    assert!(got().await.is_err());
    for _ in 0..2 {
        let started = tokio::time::Instant::now();
        assert_eq!(got().await.unwrap(), "0123456789");
        assert!(started.elapsed() > late / 2, "{:?}", started.elapsed());
    }
    assert!(proxy.unfired().is_empty(), "{}", proxy.log());
}

#[tokio::test]
async fn what_is_torn_off_never_stands_there() {
    for after in [0, 3] {
        let script =
            Script::empty().and(Target::any().kind(RequestKind::PutIfAbsent), Effect::Tear { after });
        let (proxy, through, direct, _server) = proxied(script);
        put(&through, PutMode::Create, "12345").await.unwrap_err();
        assert_eq!(stands(&direct).await, None, "{}", proxy.log());
        put(&through, PutMode::Create, "12345").await.unwrap();
    }
}

#[tokio::test]
async fn somebody_else_acts_while_a_request_fails() {
    for moment in [Moment::Before, Moment::After] {
        let effect = Effect::apply_then(Answer::Closed);
        let script = Script::empty().and(Target::any().kind(RequestKind::PutIfAbsent), effect);
        let (proxy, through, _, server) = proxied(script);
        let (other, runtime) = (s3(&server.url()), tokio::runtime::Runtime::new().unwrap());
        let theirs = Arc::new(Mutex::new(None));
        let told = Arc::clone(&theirs);
        proxy.meanwhile(moment, move || {
            let put = runtime.block_on(put(&other, PutMode::Create, "theirs"));
            *told.lock().unwrap() = Some(put.is_ok());
        });
        put(&through, PutMode::Create, "ours").await.unwrap_err();
        let first = theirs.lock().unwrap().take();
        assert_eq!(first, Some(moment == Moment::Before), "{moment:?}");
    }
}

#[tokio::test]
async fn an_address_can_lead_to_another_server() {
    let (proxy, through, _, _server) = proxied(Script::empty());
    put(&through, PutMode::Create, "one").await.unwrap();
    let other = StubBucket::s3().called("another").serve().unwrap();
    proxy.lead_to(&other.url()).unwrap();
    assert_eq!(stands(&through).await, None);
}

#[tokio::test]
async fn zombies_land_late_with_their_condition() {
    let target = || Target::any().kind(RequestKind::PutIfAbsent);
    let script = Script::empty().and(target(), Effect::Zombie(Release::After(1)));
    let script = script.and(target().nth(1), Effect::Zombie(Release::ByHand));
    let (proxy, through, direct, _server) = proxied(script);
    put(&through, PutMode::Create, "one").await.unwrap_err();
    assert_eq!(stands(&direct).await, None);
    // It lands before the next one is answered, and after that one was.
    assert!(through.get(&main()).await.is_err());
    assert_eq!(stands(&direct).await, Some("one".into()));
    put(&through, PutMode::Create, "two").await.unwrap_err();
    let landings = proxy.release_zombies();
    assert!(landings[0].refused.as_ref().unwrap().contains("412"), "{}", landings[0]);
    assert_eq!(stands(&direct).await, Some("one".into()));
}

#[tokio::test]
async fn requests_bytes_and_connections_are_counted() {
    let (proxy, through, _, _server) = proxied(Script::empty());
    let first = put(&through, PutMode::Create, "12345").await.unwrap();
    put(&through, update(&first), "123").await.unwrap();
    through.get(&main()).await.unwrap().bytes().await.unwrap();
    assert_eq!(through.list(None).count().await, 1);
    let counts = proxy.counts();
    assert_eq!(counts.of_to(RequestKind::PutIfAbsent, PathClass::Pointer).sent, 5, "{counts}");
    assert_eq!(counts.of_to(RequestKind::PutIfMatch, PathClass::Pointer).sent, 3, "{counts}");
    assert_eq!(counts.of_to(RequestKind::Get, PathClass::Pointer).received, 3, "{counts}");
    assert_eq!((counts.of(RequestKind::List).requests, counts.total().requests), (1, 4), "{counts}");
    assert_eq!(proxy.connections(), 1, "connections are used again");
}

#[tokio::test]
async fn a_server_that_is_gone_closes_the_connection() {
    let (proxy, through, _, server) = proxied(Script::empty());
    drop(server);
    assert!(put(&through, PutMode::Create, "one").await.is_err());
    assert_eq!(proxy.counts().total().requests, 1);
}

/// A request that was to be applied and met no server was not tried.
#[tokio::test]
async fn a_fault_whose_request_reaches_nobody_has_not_fired() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start(&format!("http://{nobody}"), Path::from("b")).unwrap();
    let store = s3(&proxy.url());
    let failure = Answer::Status(Status::InternalError);
    for (effect, fires) in [
        (Effect::fail(failure), true),
        (Effect::apply_then(failure), false),
        (Effect::Tear { after: 1 }, false),
    ] {
        proxy.set_script(Script::empty().and(Target::any(), effect));
        put(&store, PutMode::Create, "one").await.unwrap_err();
        assert_eq!(proxy.unfired().is_empty(), fires, "{effect}");
    }
}
