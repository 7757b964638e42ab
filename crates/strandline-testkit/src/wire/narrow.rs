//! A narrow way to a server: so many bytes a second go each way, of all connections together, until it is closed.
//!
//! Invariants: bytes arrive as they were sent, and in their order; it is reached on the loopback alone; its threads end with their
//! connections, which end with it. What does not belong here: what the bytes mean (`proxy`).

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::proxy::host_of;
use crate::shared::Shared;

/// How many bytes go at once.
const PIECE: usize = 4 << 10;
/// How often somebody who is held looks whether he still is.
const LOOK: Duration = Duration::from_millis(10);

/// A way to one server, until it is dropped.
///
/// ```
/// use strandline_testkit::wire::{NarrowLink, StubBucket};
/// let server = StubBucket::s3().serve()?;
/// let link = NarrowLink::start(&server.url(), 512 << 10)?;
/// assert_ne!(link.url(), server.url());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct NarrowLink {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: String,
    bytes_a_second: u32,
    held: AtomicBool,
    ended: AtomicBool,
    /// Until when it is taken, upwards and downwards.
    taken: [Shared<Option<Instant>>; 2],
    open: Shared<Vec<TcpStream>>,
}

impl NarrowLink {
    /// A way to the server at a URL.
    ///
    /// # Errors
    /// If the URL is not one of plain HTTP, or there is no free port.
    pub fn start(upstream: &str, bytes_a_second: u32) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            upstream: host_of(upstream)?,
            bytes_a_second,
            held: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            taken: Default::default(),
            open: Shared::default(),
        });
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { address, state })
    }

    /// Where it is reached.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on nothing goes through any more, and no connection ends.
    pub fn hold(&self) {
        self.state.held.store(true, Ordering::SeqCst);
    }
}

impl Drop for NarrowLink {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the acceptor; if that fails it is awake.
        let _ = TcpStream::connect(self.address);
        // An error means that the connection is closed already.
        self.state.open.with(|open| open.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both))));
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for client in listener.incoming().flatten() {
        if state.ended.load(Ordering::SeqCst) {
            return;
        }
        // A connection that cannot be made is closed, as any proxy does.
        let _ = join(&client, state);
    }
}

/// Connects both sides, by a thread each way.
fn join(client: &TcpStream, state: &Arc<State>) -> io::Result<()> {
    let server = TcpStream::connect(&state.upstream)?;
    for stream in [client, &server] {
        stream.set_nodelay(true)?;
        let kept = stream.try_clone()?;
        state.open.with(|open| open.push(kept));
    }
    for (way, (from, to)) in [(client, &server), (&server, client)].into_iter().enumerate() {
        let (from, to, state) = (from.try_clone()?, to.try_clone()?, Arc::clone(state));
        std::thread::spawn(move || {
            // Either side may end it.
            let _ = carry(&from, &to, &state, way);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, state: &State, way: usize) -> io::Result<()> {
    let mut piece = [0; PIECE];
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        std::thread::sleep(state.turn(way, read));
        while state.held.load(Ordering::SeqCst) && !state.ended.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK);
        }
        to.write_all(&piece[..read])?;
    }
}

impl State {
    /// How long so many bytes take that go next.
    fn turn(&self, way: usize, bytes: usize) -> Duration {
        let now = Instant::now();
        let time = Duration::from_secs(bytes as u64) / self.bytes_a_second;
        self.taken[way].with(|taken| {
            let end = taken.map_or(now, |taken| taken.max(now)) + time;
            *taken = Some(end);
            end - now
        })
    }
}
