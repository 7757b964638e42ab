//! A proxy on the way to a real server: it counts what goes by, and fails by script.
//!
//! Invariants: without a fault a request passes unchanged, its host and signature included, and so does its answer; "applied"
//! means that the server has answered it, "not applied" that it never saw it; a torn request is never whole; a zombie is sent at most once. The words for
//! requests and faults are those of the stores (`request`, `fault`), so that one script does for both. Memory: a request and
//! its answer for each connection, and the zombies. What does not belong here: sockets (`server`).

use std::collections::VecDeque;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;

use super::classify::classify;
use super::message::{HttpRequest, Said, read_answer};
use super::server::{HttpAnswer, HttpServer};
use super::tls::Authority;
use super::xml;
use crate::answer::{Answer, Status};
use crate::counts::{Counts, Tally};
use crate::damage;
use crate::fault::{Effect, Fault, Release, Script};
use crate::faulty::Landing;
use crate::request::{Request, Root};
use crate::running::Running;
use crate::shared::Shared;

/// How long the server may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// The same, to a request that breaks off.
const TORN: Duration = Duration::from_millis(500);

/// A proxy to one server, until it is dropped.
///
/// ```
/// use object_store::path::Path;
/// use strandline_testkit::wire::{Proxy, StubBucket};
/// let server = StubBucket::s3().serve()?;
/// let proxy = Proxy::start(&server.url(), Path::from("bucket/lake"))?;
/// assert_ne!(proxy.url(), server.url());
/// assert_eq!(proxy.counts().total().requests, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Proxy {
    server: HttpServer,
    relay: Arc<Relay>,
}

/// When somebody else acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the request that fails takes effect, if it ever does.
    Before,
    /// When it has, and before it is answered.
    After,
}

/// What somebody else does.
type Act = Arc<dyn Fn() + Send + Sync>;

/// How a proxy comes to its answers.
type Answering = Box<dyn Fn(&HttpRequest) -> HttpAnswer + Send + Sync>;

struct Relay {
    /// Host and port.
    upstream: Shared<String>,
    root: Root,
    state: Shared<State>,
}

#[derive(Default)]
struct State {
    running: Running,
    counts: Counts,
    /// How many requests have ended.
    ended: usize,
    zombies: VecDeque<Zombie>,
    landings: Vec<Landing>,
    meanwhile: Option<(Moment, Act)>,
}

/// A request that its client has given up, and that the server has not seen yet.
struct Zombie {
    request: Request,
    message: HttpRequest,
    /// How many requests must have ended when it is sent by itself.
    due: Option<usize>,
}

impl Proxy {
    /// A proxy to the server at a URL, `http://127.0.0.1:9000` say, in whose paths the lake lies below `root`: the bucket
    /// and the prefix in it; at Azure the account stands before them.
    ///
    /// # Errors
    /// If the URL is not one of plain HTTP, or there is no free port.
    pub fn start(upstream: &str, root: Path) -> io::Result<Self> {
        Self::over(upstream, root, HttpServer::start)
    }

    /// The same, reached over TLS with a certificate of this authority.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_tls(upstream: &str, root: Path, authority: &Authority) -> io::Result<Self> {
        Self::over(upstream, root, |answer| HttpServer::start_tls(authority, answer))
    }

    fn over(
        upstream: &str,
        root: Path,
        serve: impl FnOnce(Answering) -> io::Result<HttpServer>,
    ) -> io::Result<Self> {
        let upstream = Shared::new(host_of(upstream)?);
        let relay = Arc::new(Relay { upstream, root: Root(root), state: Shared::default() });
        let answering = Arc::clone(&relay);
        let server = serve(Box::new(move |request| answering.answer(request)))?;
        Ok(Self { server, relay })
    }

    /// Where it is reached, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Leads to another server from now on, as an address does behind which the server was exchanged.
    ///
    /// # Errors
    /// If the URL is not one of plain HTTP.
    pub fn lead_to(&self, upstream: &str) -> io::Result<()> {
        let host = host_of(upstream)?;
        self.relay.upstream.with(|upstream| *upstream = host);
        Ok(())
    }

    /// Has somebody else act at the first fault of the present script that fires. The request waits for him.
    pub fn meanwhile(&self, moment: Moment, act: impl Fn() + Send + Sync + 'static) {
        self.relay.state.with(|state| state.meanwhile = Some((moment, Arc::new(act))));
    }

    /// Begins another script and another recording. Zombies stay on their way, counts go on.
    pub fn set_script(&self, script: impl Into<Script>) {
        let running = Running::from(script.into());
        self.relay.state.with(|state| {
            state.running = running;
            state.landings.clear();
            state.meanwhile = None;
        });
    }

    /// The faults of the script that have not fired, or whose request was to be applied and did not get through to the server: a test with
    /// one of them has not tested it.
    #[must_use]
    pub fn unfired(&self) -> Vec<Fault> {
        self.relay.state.with(|state| state.running.unfired())
    }

    /// The requests since the script began, in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.relay.state.with(|state| state.running.requests())
    }

    /// What was counted so far. Depth is not known here.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.relay.state.with(|state| state.counts.clone())
    }

    /// How many connections were made to the proxy so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// Lets all zombies land now, oldest first, and says what became of each.
    pub fn release_zombies(&self) -> Vec<Landing> {
        let next = || self.relay.state.with(|state| state.zombies.pop_front());
        std::iter::from_fn(next).map(|zombie| self.relay.land(zombie)).collect()
    }

    /// The run with its faults, a line for each request, for the message of an assertion.
    #[must_use]
    pub fn log(&self) -> String {
        self.relay.state.with(|state| {
            let landings = state.landings.iter().map(|landing| format!("     {landing}\n"));
            state.running.lines().chain(landings).collect()
        })
    }
}

impl Relay {
    fn answer(&self, message: &HttpRequest) -> HttpAnswer {
        let request = classify(message, &self.root);
        let effect = self.state.with(|state| {
            let sent = Tally { requests: 1, sent: request.sent, received: 0 };
            state.counts.add(&request, sent);
            state.running.begin(&request)
        });
        let other = effect.and_then(|_| self.state.with(|state| state.meanwhile.take()));
        let act = |now| other.iter().filter(|(moment, _)| *moment == now).for_each(|(_, act)| act());
        act(Moment::Before);
        let answer = self.suffer(&request, message, effect);
        act(Moment::After);
        self.end();
        answer
    }

    fn suffer(&self, request: &Request, message: &HttpRequest, effect: Option<Effect>) -> HttpAnswer {
        let reached = |went: bool| {
            if let (false, Some(effect)) = (went, effect) {
                self.state.with(|state| state.running.misfire(request, effect));
            }
        };
        // Whether the server has taken it is what nobody learns; it must have seen it.
        let apply = |applied: bool| reached(!applied || self.forward(message).is_ok());
        match effect {
            None => self.pass(request, message, whole),
            Some(Effect::Fail { applied: was, answer }) => {
                apply(was);
                instead(answer)
            }
            Some(Effect::Hang { applied: was }) => {
                apply(was);
                HttpAnswer::Hang
            }
            Some(Effect::Zombie(release)) => {
                self.keep(request, message, release);
                HttpAnswer::Close
            }
            Some(Effect::Flip { bit }) => self.pass(request, message, |status, headers, body| {
                whole(status, headers, damage::flip(&body, bit).into())
            }),
            Some(Effect::Cut { bytes }) => self.pass(request, message, |status, headers, body| {
                whole(status, headers, damage::cut(&body, bytes).into())
            }),
            Some(Effect::Break { after }) => self.pass(request, message, |status, headers, body| {
                HttpAnswer::Cut(status, headers, body.len(), damage::first(&body, after).into())
            }),
            Some(Effect::Tear { after }) => {
                reached(self.tear(message, after).is_ok());
                HttpAnswer::Close
            }
            Some(Effect::Slow(time)) => {
                std::thread::sleep(time);
                self.pass(request, message, whole)
            }
            Some(Effect::Trickle(time)) => self.pass(request, message, |status, headers, body| {
                HttpAnswer::Slow(status, headers, body, time)
            }),
        }
    }

    /// The server's own answer, delivered so. A server that cannot be reached closes the connection.
    fn pass(
        &self,
        request: &Request,
        message: &HttpRequest,
        deliver: impl FnOnce(u16, Vec<String>, Vec<u8>) -> HttpAnswer,
    ) -> HttpAnswer {
        let Ok(said) = self.forward(message) else { return HttpAnswer::Close };
        if request.kind.brings_bytes() && (200..300).contains(&said.status) {
            let received = Tally { received: said.body.len() as u64, ..Tally::default() };
            self.state.with(|state| state.counts.add(request, received));
        }
        deliver(said.status, kept(&said, message.method == "HEAD"), said.body)
    }

    /// Sends a request to the server, on a connection of its own.
    fn forward(&self, message: &HttpRequest) -> io::Result<Said> {
        let stream = self.connect()?;
        (&stream).write_all(&[encoded_head(message).as_bytes(), &message.body].concat())?;
        read_answer(&mut BufReader::new(&stream), &message.method)
    }

    /// Sends the beginning of a request, and waits until the server has done with it.
    fn tear(&self, message: &HttpRequest, after: u64) -> io::Result<()> {
        let stream = self.connect()?;
        let sent = damage::first(&message.body, after);
        (&stream).write_all(&[encoded_head(message).as_bytes(), &sent].concat())?;
        stream.shutdown(Shutdown::Write)?;
        stream.set_read_timeout(Some(TORN))?;
        // Whether it answers or closes is nothing to who has broken off.
        drop(io::copy(&mut &stream, &mut io::sink()));
        Ok(())
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.upstream.with(|upstream| upstream.clone()))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(stream)
    }

    fn keep(&self, request: &Request, message: &HttpRequest, release: Release) {
        self.state.with(|state| {
            let due = match release {
                // The request itself ends, too.
                Release::After(later) => Some(state.ended + 1 + later),
                Release::ByHand => None,
            };
            state.zombies.push_back(Zombie { request: request.clone(), message: message.clone(), due });
        });
    }

    /// Notes that a request has ended, and lets the zombies land that are due.
    fn end(&self) {
        self.state.with(|state| state.ended += 1);
        while let Some(zombie) = self.state.with(State::next_due) {
            self.land(zombie);
        }
    }

    fn land(&self, zombie: Zombie) -> Landing {
        let refused = match self.forward(&zombie.message) {
            Ok(said) if (200..300).contains(&said.status) => None,
            Ok(said) => Some(format!("the server answered {}", said.status)),
            Err(error) => Some(error.to_string()),
        };
        let landing = Landing { request: zombie.request, refused };
        self.state.with(|state| state.landings.push(landing.clone()));
        landing
    }
}

impl State {
    fn next_due(&mut self) -> Option<Zombie> {
        let at = self.zombies.iter().position(|zombie| zombie.due.is_some_and(|due| due <= self.ended))?;
        self.zombies.remove(at)
    }
}

fn whole(status: u16, headers: Vec<String>, body: Vec<u8>) -> HttpAnswer {
    HttpAnswer::Say(status, headers, body)
}

/// What the client gets in place of the truth.
fn instead(answer: Answer) -> HttpAnswer {
    match answer {
        Answer::Timeout => HttpAnswer::Hang,
        Answer::Closed => HttpAnswer::Close,
        // The connection stands already, so it cannot be refused any more.
        Answer::Reset | Answer::Refused => HttpAnswer::Reset,
        Answer::Status(status) => {
            let (number, code) = said_as(status);
            let headers = vec!["Content-Type: application/xml".to_owned()];
            HttpAnswer::Say(number, headers, xml::error(code).into_bytes())
        }
    }
}

/// A status as S3 words it.
fn said_as(status: Status) -> (u16, &'static str) {
    match status {
        Status::Unauthorized => (401, "Unauthorized"),
        Status::Forbidden => (403, "AccessDenied"),
        Status::NotFound => (404, "NoSuchKey"),
        Status::Conflict => (409, "ConditionalRequestConflict"),
        Status::PreconditionFailed => (412, "PreconditionFailed"),
        Status::TooManyRequests => (429, "SlowDown"),
        Status::InternalError => (500, "InternalError"),
        Status::Unavailable => (503, "SlowDown"),
    }
}

/// The headers that are the answer's and not the connection's.
fn kept(said: &Said, head_only: bool) -> Vec<String> {
    let of_connection = |name: &str| match name {
        // Without a body nothing else tells how long it would be.
        "content-length" => !head_only,
        "transfer-encoding" | "connection" | "keep-alive" => true,
        _ => false,
    };
    let kept = said.headers.iter().filter(|(name, _)| !of_connection(name));
    kept.map(|(name, value)| format!("{name}: {value}")).collect()
}

/// Host and port of a URL.
pub(super) fn host_of(url: &str) -> io::Result<String> {
    let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    host.map(ToOwned::to_owned)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not an http:// URL"))
}

fn encoded_head(message: &HttpRequest) -> String {
    let headers = message.headers.iter().filter(|(name, _)| name != "connection");
    let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{} {} HTTP/1.1\r\n{headers}connection: close\r\n\r\n", message.method, message.target)
}
