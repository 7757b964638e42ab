//! What comes of each answer, and of none, over real sockets: every call ends within seconds with an error of its kind, no
//! message holds a credential, no body is read without bound, and a swap is one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use strandline::storage::{
    Change, DataKind, Durability, Loaded, ObjectOptions, Settled, Storage, StorageOptions, StoreLocation,
    StoreOptions, settle,
};
use strandline::{Deadline, ErrorKind, Lake, Runtime};
use strandline_format::Era;
use strandline_testkit::FixedEnvironment;
use strandline_testkit::wire::{
    HttpAnswer as Answer, HttpRequest as Request, HttpServer as Server, Proxy, StubBucket, error,
};
use tokio::time::Instant;

use crate::attempt::{self, Tried};
use crate::crash::noise;
use crate::lake::{self, Place};
use crate::runner::{Case, Outcome};
use crate::tables;

pub(crate) const CASES: &[Case] = &[
    Case { name: "wire::a_bucket_that_keeps_its_conditions", run: honest },
    Case { name: "wire::each_answer_is_an_error_of_its_kind", run: kinds },
    Case { name: "wire::no_message_holds_a_credential", run: secrets },
    Case { name: "wire::no_body_is_read_without_bound", run: bounds },
    Case { name: "wire::a_body_that_is_cut_is_asked_for_again", run: cut_bodies },
    Case { name: "wire::a_first_read_that_meets_another_request_is_made_again", run: met },
    Case { name: "wire::who_has_opened_a_lake_waits_for_its_store", run: waits },
    Case { name: "wire::a_swap_whose_answer_is_lost_is_sent_once_and_found_out", run: lost_answers },
];

/// The keys of these tests.
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(crate) const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN//////////wEaCXVzLWVhc3QtMSJHMEU";

/// No patience.
const NONE: std::time::Duration = std::time::Duration::ZERO;

fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
    Server::start(answer).unwrap()
}

/// Opens a bucket at a server as a user would.
async fn open(server: &Server) -> Storage {
    let store = StoreOptions::new()
        .with("endpoint", server.url())
        .with("allow_http", "true")
        .with("access_key_id", ACCESS_KEY)
        .with("secret_access_key", SECRET_KEY)
        .with("session_token", TOKEN)
        .with("region", "us-east-1");
    // What one answer comes to is asked here, not whether a later one is better.
    let objects = ObjectOptions { put_patience: NONE, get_patience: NONE, ..ObjectOptions::default() };
    let options = StorageOptions { store, objects, ..StorageOptions::default() };
    let runtime = Runtime::system().with_environment(FixedEnvironment::default());
    Storage::open(&StoreLocation::parse("s3://bucket/lake").unwrap(), &options, runtime).await.unwrap()
}

/// Tries everything against a server that always answers so.
async fn against(answer: Answer) -> (Server, Vec<Tried>) {
    let server = serve(move |_| answer.clone());
    let tried = attempt::everything(&open(&server).await).await;
    (server, tried)
}

fn etag() -> Vec<String> {
    vec!["ETag: \"e\"".to_owned()]
}

/// The place of the swap among the calls.
const SWAP: usize = 6;

/// How often the pointer was put.
fn swaps(server: &Server) -> usize {
    let puts = |request: &&Request| request.method == "PUT" && request.path().ends_with("main.json");
    server.requests().iter().filter(puts).count()
}

fn in_time(name: &str, tried: &[Tried]) {
    tried.iter().for_each(|tried| assert!(tried.took < attempt::SECONDS, "{name}: {tried:?}"));
}

/// Checks what came of each call, and that the pointer was put once, whatever the answer.
fn check(name: &str, server: &Server, tried: &[Tried], expected: [&str; 8]) {
    for (tried, expected) in tried.iter().zip(expected) {
        assert_eq!(tried.outcome, expected, "{name}: {tried:?}");
    }
    in_time(name, tried);
    assert_eq!(swaps(server), 1, "{name}");
}

fn honest() -> Outcome {
    let bucket = StubBucket::s3();
    let server = serve(move |request| bucket.answer(request));
    lake::run(async {
        let storage = open(&server).await;
        storage.objects().put_meta(attempt::TEXT.into(), Era(0)).await.unwrap();
        let tried = attempt::everything(&storage).await;
        check("honest", &server, &tried, ["ok", "ok", "ok", "ok", "ok", "ok", "swapped", "ok"]);
    });
    Outcome::Passed
}

fn kinds() -> Outcome {
    let all = |kind| [kind; 8];
    let (denied, absent, invalid) = (all("permission denied"), all("not found"), all("invalid input"));
    let (mut redirected, mut doubtful) = (invalid, all("unavailable"));
    // What a redirect or no answer leaves of a swap is not known.
    (redirected[SWAP], doubtful[SWAP]) = ("unknown", "unknown");
    let cases = vec![
        (error(403, "AccessDenied"), denied),
        (error(401, "Unauthorized"), denied),
        (error(400, "ExpiredToken"), denied),
        (error(404, "NoSuchBucket"), absent),
        (error(301, "PermanentRedirect"), redirected),
        (error(400, "AuthorizationHeaderMalformed"), invalid),
        (error(500, "InternalError"), doubtful),
        (error(503, "SlowDown"), doubtful),
        (Answer::Say(502, Vec::new(), b"<html>Bad Gateway</html>".to_vec()), doubtful),
        (Answer::Say(503, Vec::new(), vec![0xff; 99]), doubtful),
        (Answer::Close, doubtful),
        (Answer::Hang, doubtful),
    ];
    lake::run(join_all(cases.into_iter().map(|(answer, expected)| async move {
        let name = format!("{answer:?}");
        let (server, tried) = against(answer).await;
        check(&name, &server, &tried, expected);
    })));
    lake::run(conditions_that_fail());
    Outcome::Passed
}

/// A failed condition, and S3's "somebody is at it now", are a lost race and no error.
async fn conditions_that_fail() {
    for answer in [error(412, "PreconditionFailed"), error(409, "ConditionalRequestConflict")] {
        let server = serve(move |request| match request.method.as_str() {
            "PUT" => answer.clone(),
            _ => error(404, "NoSuchKey"),
        });
        let tried = attempt::swap(&open(&server).await, 10).await;
        assert_eq!((tried.outcome.as_str(), swaps(&server)), ("moved", 1), "{tried:?}");
    }
}

fn secrets() -> Outcome {
    let statuses = [400, 403, 404, 409, 412, 500];
    lake::run(join_all(
        statuses.into_iter().flat_map(|status| [echo_as_s3, echo_as_proxy].map(|echo| (status, echo))).map(
            |(status, echo)| async move {
                let server =
                    serve(move |request| Answer::Say(status, Vec::new(), echo(request).into_bytes()));
                let tried = attempt::everything(&open(&server).await).await;
                let signatures = server.requests().iter().map(signature).collect::<Vec<_>>();
                let mut secrets = vec![ACCESS_KEY.to_owned(), SECRET_KEY.to_owned(), TOKEN.to_owned()];
                secrets.extend(signatures);
                for tried in tried {
                    let leaked = secrets.iter().find(|secret| tried.text.contains(secret.as_str()));
                    assert_eq!(leaked, None, "{status}: {}", tried.text);
                }
            },
        ),
    ));
    Outcome::Passed
}

/// What a request was signed with.
pub(crate) fn signature(request: &Request) -> String {
    let authorization = request.header("authorization").unwrap();
    authorization.split_once("Signature=").unwrap().1.to_owned()
}

/// S3 repeats what it was sent, in elements of their own.
pub(crate) fn echo_as_s3(request: &Request) -> String {
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    format!(
        "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated \
         does not match the signature you provided.</Message><AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId>\
         <SignatureProvided>{}</SignatureProvided><Token-0>{TOKEN}</Token-0><CanonicalRequest>{headers}</CanonicalRequest></Error>",
        signature(request)
    )
}

/// A debugging proxy repeats it as text.
fn echo_as_proxy(request: &Request) -> String {
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("refused: {} {}\n{headers}", request.method, request.target)
}

/// More than any answer may have, and what the sockets hold on top of it.
const TAKEN: u64 = 32 << 20;

fn bounds() -> Outcome {
    let cases = [
        (Answer::Endless(200, etag(), Some(10 << 30)), ["corrupt", "unavailable", "corrupt"]),
        (Answer::Endless(200, etag(), Some(2)), ["ok", "unavailable", "corrupt"]),
        (Answer::Endless(200, etag(), None), ["unavailable", "unavailable", "unavailable"]),
        (Answer::Endless(403, Vec::new(), None), ["permission denied"; 3]),
        (Answer::Endless(404, Vec::new(), Some(10 << 30)), ["unavailable"; 3]),
        (Answer::Endless(500, Vec::new(), None), ["unavailable"; 3]),
    ];
    for (answer, expected) in cases {
        let name = format!("{answer:?}");
        let (server, tried) = lake::run(against(answer));
        let outcomes: Vec<&str> = tried[..3].iter().map(|tried| tried.outcome.as_str()).collect();
        assert_eq!(outcomes, expected, "{name}");
        in_time(&name, &tried);
        let requests = server.requests().len() as u64;
        assert!(server.taken() < TAKEN * requests, "{name}: {} bytes of {requests} answers", server.taken());
    }
    Outcome::Passed
}

fn cut_bodies() -> Outcome {
    lake::run(async {
        for (cuts, expected) in [(1, ["ok", "ok"]), (u64::MAX, ["unavailable", "unavailable"])] {
            let bucket = StubBucket::s3();
            let left = AtomicU64::new(0);
            let left = Arc::new(left);
            let script = Arc::clone(&left);
            let server = serve(move |request| cut_some(&script, request, bucket.answer(request)));
            let storage = open(&server).await;
            assert_eq!(settle_create(&storage).await, "applied");
            let text = noise(10_000).into();
            let object =
                storage.objects().put_data(DataKind::File, attempt::table(), text, Era(0)).await.unwrap();
            left.store(cuts, Ordering::Relaxed);
            let get = storage.objects().get_data(DataKind::File, attempt::table(), &object);
            let get = attempt::tried("get", get).await;
            left.store(cuts, Ordering::Relaxed);
            let path = lake::main();
            let tried = [get, attempt::tried("load", storage.refs().load(&path)).await];
            assert_eq!([tried[0].outcome.as_str(), tried[1].outcome.as_str()], expected, "{tried:?}");
            in_time("cut", &tried);
        }
    });
    Outcome::Passed
}

/// S3 says 409 where another request for the object is under way, which the client takes for an answer that stays.
fn met() -> Outcome {
    let (bucket, left) = (StubBucket::s3(), Arc::new(AtomicU64::new(0)));
    let script = Arc::clone(&left);
    let server = serve(move |request| {
        let meets = request.method == "GET" && script.load(Ordering::Relaxed) > 0;
        if meets {
            script.fetch_sub(1, Ordering::Relaxed);
            return error(409, "OperationAborted");
        }
        bucket.answer(request)
    });
    let options = format!(
        "endpoint={} region=us-east-1 access_key_id=k secret_access_key=s allow_http=true",
        server.url()
    );
    let place = Place { location: "s3://bucket/lake".to_owned(), options };
    lake::run(async {
        tables::create_at(&place, &["t"]).await.append("t", tables::batch(&[(1, 1)])).await.unwrap();
        left.store(2, Ordering::Relaxed);
        let opened = tables::open_at(&place).await;
        assert_eq!(tables::read(&opened.table("t").await.unwrap()).await.unwrap(), [(1, 1)]);
    });
    Outcome::Passed
}

/// Cuts the bodies of reads while some cuts are left.
fn cut_some(left: &AtomicU64, request: &Request, honest: Answer) -> Answer {
    let taken = |left: u64| left.checked_sub(1);
    match honest {
        Answer::Say(status @ (200 | 206), headers, mut body)
            if request.method == "GET"
                && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok() =>
        {
            let announced = body.len();
            body.truncate(announced / 2);
            Answer::Cut(status, headers, announced, body)
        }
        other => other,
    }
}

fn lost_answers() -> Outcome {
    // What the client is told of a swap that is applied.
    let answers = [
        Answer::Close,
        error(500, "InternalError"),
        error(503, "SlowDown"),
        error(412, "PreconditionFailed"),
    ];
    for (answer, outcome) in answers.into_iter().zip(["unknown", "unknown", "unknown", "moved"]) {
        for settled in [false, true] {
            let (bucket, answer) = (StubBucket::s3(), answer.clone());
            let server = serve(move |request| match (bucket.answer(request), request.method.as_str()) {
                (_, "PUT") => answer.clone(),
                (honest, _) => honest,
            });
            lake::run(async {
                let storage = open(&server).await;
                match settled {
                    true => assert_eq!(settle_create(&storage).await, "applied"),
                    false => assert_eq!(attempt::swap(&storage, 10).await.outcome, outcome),
                }
            });
            assert_eq!(swaps(&server), 1);
        }
    }
    Outcome::Passed
}

/// Creates the pointer and finds out what came of it.
async fn settle_create(storage: &Storage) -> &'static str {
    let change = Change { path: lake::main(), expected: None, bytes: "mine".into() };
    let mine = |current: &Loaded| Ok(current.bytes == "mine");
    let deadline = Deadline::after(Duration::from_secs(30));
    match settle(storage.refs(), &change, &mine, deadline, storage.runtime()).await.unwrap() {
        Settled::Applied(_) => "applied",
        Settled::NotApplied(_) => "not applied",
        Settled::Unknown(_) => "unknown",
    }
}

/// How long a store is away: longer than the client tries by itself.
const AWAY: Duration = Duration::from_secs(9);

/// Whoever has opened a lake reads on when its store comes back; whoever comes to an address where nothing answers is told so soon.
fn waits() -> Outcome {
    let server = StubBucket::s3().serve().unwrap();
    let proxy = Proxy::start(&server.url(), object_store::path::Path::from("bucket/lake")).unwrap();
    let options = format!(
        "endpoint={} region=us-east-1 access_key_id=k secret_access_key=s allow_http=true",
        proxy.url()
    );
    let place = Place { location: "s3://bucket/lake".to_owned(), options };
    lake::run(async {
        let opened = tables::create_at(&place, &["t"]).await;
        opened.append("t", tables::batch(&[(1, 1)])).await.unwrap();
        // Nobody listens there.
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        proxy.lead_to(&format!("http://{nobody}")).unwrap();
        let begun = Instant::now();
        let reads = async {
            let rows = tables::read(&opened.table("t").await.unwrap()).await.unwrap();
            (rows, begun.elapsed())
        };
        let comes = async {
            let error = Lake::open(&place.location).storage(place.how(Durability::None)).await.unwrap_err();
            (error.kind(), begun.elapsed())
        };
        let comes_back = async {
            tokio::time::sleep(AWAY).await;
            proxy.lead_to(&server.url()).unwrap();
        };
        let ((rows, read), (kind, told), ()) = tokio::join!(reads, comes, comes_back);
        assert_eq!((rows, kind), (vec![(1, 1)], ErrorKind::Unavailable));
        assert!(told < AWAY && read > AWAY && read < AWAY * 2, "told after {told:?}, read after {read:?}");
        println!("  told after {:.1} s, read after {:.1} s", told.as_secs_f64(), read.as_secs_f64());
    });
    Outcome::Passed
}
