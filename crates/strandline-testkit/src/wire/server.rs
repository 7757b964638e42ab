//! A server of HTTP over raw sockets, scripted answer by answer: what real stores, proxies and networks do wrong, without
//! any server package in between that would put it right.
//!
//! Invariants: it listens on a free port of the loopback alone; dropping it closes every connection and joins every
//! thread. A connection has a thread and holds one request and one answer, each at most `MAX_BODY` bytes; of more than
//! [`MAX_CONNECTIONS`] at once the newest are closed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;

use super::message::{HttpRequest, read_request};
use super::tls::{Authority, Channel};
use crate::shared::Shared;

/// How many connections are open at most.
const MAX_CONNECTIONS: usize = 256;
/// How a client begins that takes the server for one of TLS. Servers answer it in the clear.
const TLS_HANDSHAKE: u8 = 0x16;
/// In how many pieces a slow body comes.
const PIECES: usize = 16;

/// What a server does with a request. Header lines are given as `Name: value`; a length is added to them, and a date of
/// modification, unless they have one.
#[derive(Clone, Debug)]
pub enum HttpAnswer {
    /// A status, header lines, and a body.
    Say(u16, Vec<String>, Vec<u8>),
    /// A status, header lines, and a body that ends before its announced length, with the connection.
    Cut(u16, Vec<String>, usize, Vec<u8>),
    /// A status, header lines, and a body that takes this long to come.
    Slow(u16, Vec<String>, Vec<u8>, Duration),
    /// A status, header lines, and a body without an end; chunked if no length is announced.
    Endless(u16, Vec<String>, Option<u64>),
    /// Nothing, and the connection is closed.
    Close,
    /// Nothing, and the connection is reset.
    Reset,
    /// Nothing, and the connection stays open until the client closes it.
    Hang,
}

/// How a server comes to its answers.
type Answering = dyn Fn(&HttpRequest) -> HttpAnswer + Send + Sync;

/// A server on a port of its own, until it is dropped.
///
/// ```
/// use strandline_testkit::wire::{HttpAnswer, HttpServer};
/// let server = HttpServer::start(|_| HttpAnswer::Say(503, Vec::new(), b"busy".to_vec()))?;
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct HttpServer {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    tls: Option<Arc<ServerConfig>>,
    stopped: AtomicBool,
    log: Shared<Vec<HttpRequest>>,
    /// How many bytes of endless bodies were taken.
    taken: AtomicU64,
    accepted: AtomicU64,
    open: Shared<Vec<Connection>>,
}

struct Connection {
    /// Its thread alone owns it, so that it is closed, or reset, when that ends.
    stream: Weak<TcpStream>,
    thread: JoinHandle<()>,
}

impl HttpServer {
    /// A server that answers each request so.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn start(answer: impl Fn(&HttpRequest) -> HttpAnswer + Send + Sync + 'static) -> io::Result<Self> {
        Self::listen(None, answer)
    }

    /// The same over TLS, with a certificate of this authority.
    ///
    /// # Errors
    /// If there is no free port, or no certificate can be made.
    pub fn start_tls(
        authority: &Authority,
        answer: impl Fn(&HttpRequest) -> HttpAnswer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::listen(Some(authority.server()?), answer)
    }

    fn listen(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&HttpRequest) -> HttpAnswer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = listener.local_addr()?;
        let state = Arc::new(State { tls, ..State::default() });
        let (shared, answer): (_, Arc<Answering>) = (Arc::clone(&state), Arc::new(answer));
        let acceptor = std::thread::spawn(move || accept(&listener, &shared, &answer));
        Ok(Self { address, scheme, state, acceptor: Some(acceptor) })
    }

    /// Where it is reached.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// What was asked so far, without the bodies.
    #[must_use]
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.state.log.with(|log| log.clone())
    }

    /// How many bytes of endless bodies went out.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.state.taken.load(Ordering::Relaxed)
    }

    /// How many connections were made so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor; if that fails it is awake.
        let _ = TcpStream::connect(self.address);
        self.acceptor.take().into_iter().for_each(join);
        let open = self.state.open.with(std::mem::take);
        open.iter().for_each(Connection::close);
        open.into_iter().for_each(|connection| join(connection.thread));
    }
}

impl Connection {
    fn close(&self) {
        // An error means that the client has closed it already.
        let _ = self.stream.upgrade().map(|stream| stream.shutdown(Shutdown::Both));
    }
}

/// A thread that panicked has printed what it had to say.
fn join(thread: JoinHandle<()>) {
    let _ = thread.join();
}

fn accept(listener: &TcpListener, state: &Arc<State>, answer: &Arc<Answering>) {
    for stream in listener.incoming().flatten() {
        if state.stopped.load(Ordering::SeqCst) {
            return;
        }
        state.open.with(|open| {
            open.retain(|connection| !connection.thread.is_finished());
            if open.len() >= MAX_CONNECTIONS {
                return;
            }
            state.accepted.fetch_add(1, Ordering::Relaxed);
            let (shared, answer, stream) = (Arc::clone(state), Arc::clone(answer), Arc::new(stream));
            let watched = Arc::downgrade(&stream);
            let thread = std::thread::spawn(move || {
                // An error here is the client's end of the connection, which is its right.
                let _ = serve(&stream, &shared, &*answer);
            });
            open.push(Connection { stream: watched, thread });
        });
    }
}

fn serve(stream: &TcpStream, state: &State, answer: &Answering) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let channel = Channel::new(stream, state.tls.as_ref())?;
    let mut reader = BufReader::new(&channel);
    if reader.fill_buf()?.first() == Some(&TLS_HANDSHAKE) {
        return (&channel).write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nthis is no HTTP");
    }
    while let Some(request) = read_request(&mut reader)? {
        state.log.with(|log| log.push(request.head()));
        if !say((stream, &channel), state, answer(&request), request.method == "HEAD")? {
            return Ok(());
        }
    }
    Ok(())
}

/// Gives an answer; whether the connection goes on.
fn say(
    (stream, mut out): (&TcpStream, &Channel<'_>),
    state: &State,
    answer: HttpAnswer,
    head_only: bool,
) -> io::Result<bool> {
    match answer {
        HttpAnswer::Say(status, headers, body) => {
            let mut message = head(status, &headers, &length(body.len()));
            message.extend(if head_only { &[] } else { &body[..] });
            out.write_all(&message)?;
            return Ok(true);
        }
        HttpAnswer::Cut(status, headers, announced, body) => {
            out.write_all(&head(status, &headers, &length(announced)))?;
            out.write_all(&body)?;
        }
        HttpAnswer::Slow(status, headers, body, time) => {
            out.write_all(&head(status, &headers, &length(body.len())))?;
            trickle(out, state, &body, time)?;
            return Ok(true);
        }
        HttpAnswer::Endless(status, headers, announced) => pour(out, state, status, &headers, announced)?,
        HttpAnswer::Close => {}
        // With no time to linger, what is closed is reset.
        HttpAnswer::Reset => socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?,
        HttpAnswer::Hang => while out.read(&mut [0; 1024])? > 0 {},
    }
    Ok(false)
}

fn length(bytes: usize) -> String {
    format!("Content-Length: {bytes}")
}

fn head(status: u16, headers: &[String], length: &str) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|line| line.to_ascii_lowercase().starts_with(name));
    let mut lines = headers.to_vec();
    if !has("last-modified:") {
        lines.push("Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT".to_owned());
    }
    if !has("content-length:") {
        lines.push(length.to_owned());
    }
    format!("HTTP/1.1 {status} Status\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

fn trickle(mut out: &Channel<'_>, state: &State, body: &[u8], time: Duration) -> io::Result<()> {
    let pause = time / u32::try_from(PIECES).unwrap_or(1);
    for piece in body.chunks(body.len().div_ceil(PIECES).max(1)) {
        if state.stopped.load(Ordering::SeqCst) {
            return Ok(());
        }
        std::thread::sleep(pause);
        out.write_all(piece)?;
    }
    Ok(())
}

fn pour(
    mut out: &Channel<'_>,
    state: &State,
    status: u16,
    headers: &[String],
    announced: Option<u64>,
) -> io::Result<()> {
    let length = announced
        .map_or("Transfer-Encoding: chunked".to_owned(), |length| format!("Content-Length: {length}"));
    out.write_all(&head(status, headers, &length))?;
    let piece = [b'x'; 4096];
    loop {
        if announced.is_none() {
            out.write_all(b"1000\r\n")?;
        }
        out.write_all(&piece)?;
        if announced.is_none() {
            out.write_all(b"\r\n")?;
        }
        state.taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
}
