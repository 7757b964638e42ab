//! What each answer on the wire makes of a swap, against a server of a few lines that counts its requests.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use strandline_format::{Era, ObjectPath, RefName};

use crate::error::{ErrorKind, Result};
use crate::runtime::{Environment, Runtime};
use crate::storage::refs::{RefKind, Reloaded, Swap, Token};
use crate::storage::{Objects, Storage, StorageOptions, StoreLocation, StoreOptions};

#[derive(Clone, Copy, Debug)]
enum Answer {
    /// A status, a header line, and a code for the body.
    Status(u16, &'static str, &'static str),
    /// Takes the request and closes the connection.
    Close,
    /// Takes the request and says nothing.
    Hang,
}

/// A server that gives one answer to everything.
struct Server {
    address: String,
    requests: Arc<AtomicU64>,
}

impl Server {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || serve(stream, answer, &counter));
            }
        });
        Self { address, requests }
    }
}

fn serve(mut stream: TcpStream, answer: Answer, requests: &AtomicU64) {
    while let Some(body_length) = read_head(&mut stream) {
        let mut body = vec![0; body_length];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        requests.fetch_add(1, Ordering::Relaxed);
        match answer {
            Answer::Close => return,
            Answer::Hang => std::thread::sleep(Duration::from_secs(30)),
            Answer::Status(status, header, code) => {
                let body = if code.is_empty() {
                    String::new()
                } else {
                    format!("<Error><Code>{code}</Code></Error>")
                };
                let body = if status == 304 { String::new() } else { body };
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} X\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n{header}\r\n\
                     Content-Length: {length}\r\n\r\n{body}"
                );
                if stream.write_all(text.replace("\r\n\r\nContent", "\r\nContent").as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads up to the end of a request's head and gives the length of its body.
fn read_head(stream: &mut TcpStream) -> Option<usize> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    Some(length.map_or(0, |length| length.trim().parse().unwrap()))
}

#[derive(Debug)]
struct Nothing;

impl Environment for Nothing {
    fn variables(&self, _: &str) -> Vec<(String, String)> {
        Vec::new()
    }
}

async fn storage(endpoint: &str) -> Storage {
    let store = StoreOptions::new()
        .with("endpoint", endpoint)
        .with("allow_http", "true")
        .with("access_key_id", "id")
        .with("secret_access_key", "SECRET")
        .with("region", "us-east-1")
        .with("timeout", "500ms");
    let options = StorageOptions { store, ..StorageOptions::default() };
    let location = StoreLocation::parse("s3://bucket/lake").unwrap();
    Storage::open(&location, &options, Runtime::system().with_environment(Nothing)).await.unwrap()
}

fn main() -> ObjectPath {
    ObjectPath::branch(&RefName::new("main").unwrap())
}

fn outcome(result: &Result<Swap>) -> &'static str {
    match result {
        Ok(Swap::Swapped(_)) => "swapped",
        Ok(Swap::Moved(_)) => "moved",
        Ok(Swap::Unknown(_)) => "unknown",
        Err(error) => error.kind().as_str(),
    }
}

#[tokio::test]
async fn each_answer_to_a_swap_is_judged_and_none_is_repeated() {
    use Answer::{Close, Hang, Status};
    for (answer, on_update, on_create) in [
        (Status(200, "ETag: \"b\"", ""), "swapped", "swapped"),
        (Status(200, "ETag: W/\"b\"", ""), "unknown", "unknown"),
        (Status(200, "", ""), "unknown", "unknown"),
        (Status(412, "", "PreconditionFailed"), "moved", "moved"),
        (Status(409, "", "ConditionalRequestConflict"), "moved", "moved"),
        (Status(404, "", "NoSuchKey"), "moved", ErrorKind::StoreUnsuitable.as_str()),
        (Status(404, "", ""), "moved", "unavailable"),
        (Status(404, "", "NoSuchBucket"), "not found", "not found"),
        (Status(403, "", "AccessDenied"), "permission denied", "permission denied"),
        (Status(401, "", "Unauthorized"), "permission denied", "permission denied"),
        (Status(400, "", "ExpiredToken"), "permission denied", "permission denied"),
        (Status(400, "", "RequestTimeout"), "unknown", "unknown"),
        (Status(400, "", "InvalidRequest"), "invalid input", "invalid input"),
        (Status(301, "", "PermanentRedirect"), "unknown", "unknown"),
        (Status(307, "Location: ftp://elsewhere/", "TemporaryRedirect"), "unknown", "unknown"),
        (Status(304, "", ""), "moved", "moved"),
        (Status(405, "", "MethodNotAllowed"), "invalid input", "invalid input"),
        (Status(418, "", "Teapot"), "unknown", "unknown"),
        (Status(501, "", "NotImplemented"), "store unsuitable", "store unsuitable"),
        (Status(408, "", "RequestTimeout"), "unknown", "unknown"),
        (Status(429, "", "SlowDown"), "unknown", "unknown"),
        (Status(500, "", "InternalError"), "unknown", "unknown"),
        (Status(503, "", "SlowDown"), "unknown", "unknown"),
        (Close, "unknown", "unknown"),
        (Hang, "unknown", "unknown"),
    ] {
        let server = Server::start(answer);
        let storage = storage(&server.address).await;
        let update = storage.refs().swap(&main(), Some(&Token::new("\"a\"")), "1".into()).await;
        assert_eq!(outcome(&update), on_update, "{answer:?}: {update:?}");
        let create = storage.refs().swap(&main(), None, "1".into()).await;
        assert_eq!(outcome(&create), on_create, "{answer:?}: {create:?}");
        assert_eq!(server.requests.load(Ordering::Relaxed), 2, "{answer:?}");
        assert!(!format!("{update:?}{create:?}").contains("SECRET"));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_changes_nothing_for_certain() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let storage = storage(&format!("http://{closed}")).await;
    let error = storage.refs().swap(&main(), None, "1".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn loads_tell_absent_from_refused() {
    use Answer::Status;
    for (answer, expected) in [
        (Status(404, "", "NoSuchKey"), "absent"),
        (Status(404, "", "BlobNotFound"), "absent"),
        // Nothing is concluded from what a proxy says.
        (Status(404, "", ""), "unavailable"),
        (Status(404, "", "NoSuchBucket"), "not found"),
        (Status(403, "", "AccessDenied"), "permission denied"),
        (Status(200, "ETag: W/\"weak\"", ""), "store unsuitable"),
        (Status(200, "ETag: \"strong\"", ""), "loaded"),
    ] {
        let server = Server::start(answer);
        let storage = storage(&server.address).await;
        let found = match storage.refs().load(&main()).await {
            Ok(None) => "absent",
            Ok(Some(_)) => "loaded",
            Err(error) => error.kind().as_str(),
        };
        assert_eq!(found, expected, "{answer:?}");
        assert_eq!(server.requests.load(Ordering::Relaxed), 1, "{answer:?}");
    }
    let bare = Server::start(Status(404, "", ""));
    let storage_there = storage(&bare.address).await;
    let polled = storage_there.refs().load_if_changed(&main(), &Token::new("\"a\"")).await;
    assert_eq!(polled.unwrap_err().kind(), ErrorKind::Unavailable);
    let listed = storage_there.refs().list(RefKind::Branch).await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::Unavailable);
    let object = Objects::meta_ref(b"{}", Era(0));
    let got = storage_there.objects().get_meta(&object).await;
    assert_eq!(got.unwrap_err().kind(), ErrorKind::Unavailable);
    let server = Server::start(Status(304, "ETag: \"a\"", ""));
    let polled = storage(&server.address).await.refs().load_if_changed(&main(), &Token::new("\"a\"")).await;
    assert_eq!(polled.unwrap(), Reloaded::Unchanged);
}
