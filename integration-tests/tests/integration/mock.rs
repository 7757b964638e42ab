//! A server of HTTP over raw sockets, scripted answer by answer: what real stores, proxies and networks do wrong, without any
//! server package in between that would put it right.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status, header lines, and a body.
    Say(u16, Vec<String>, Vec<u8>),
    /// A status, header lines, and a body that ends before its announced length.
    Cut(u16, Vec<String>, usize, Vec<u8>),
    /// A status, header lines, and a body without an end; chunked if no length is announced.
    Endless(u16, Vec<String>, Option<u64>),
    /// Nothing, and the connection is closed.
    Close,
    /// Nothing, and the connection stays open.
    Hang,
}

/// A server on a port of its own, until the test ends.
pub(crate) struct Server {
    pub(crate) address: String,
    log: Arc<Mutex<Vec<Request>>>,
    /// How many bytes of endless bodies were taken.
    taken: Arc<AtomicU64>,
}

impl Server {
    /// A server that answers each request so.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { address, log: Arc::default(), taken: Arc::default() };
        let (answer, log, taken) = (Arc::new(answer), Arc::clone(&server.log), Arc::clone(&server.taken));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log, taken) = (Arc::clone(&answer), Arc::clone(&log), Arc::clone(&taken));
                std::thread::spawn(move || {
                    // An error here is the client's end of the connection, which is its right.
                    let _ = serve(&stream, &*answer, &log, &taken);
                });
            }
        });
        server
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// How many bytes of endless bodies went out.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

fn serve(
    stream: &TcpStream,
    answer: &dyn Fn(&Request) -> Answer,
    log: &Mutex<Vec<Request>>,
    taken: &AtomicU64,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        log.lock().unwrap().push(request.clone());
        let mut out = stream;
        match answer(&request) {
            Answer::Say(status, headers, body) => {
                let body = if request.method == "HEAD" { Vec::new() } else { body };
                out.write_all(&head(status, &headers, &format!("Content-Length: {}", body.len())))?;
                out.write_all(&body)?;
            }
            Answer::Cut(status, headers, announced, body) => {
                out.write_all(&head(status, &headers, &format!("Content-Length: {announced}")))?;
                return out.write_all(&body);
            }
            Answer::Endless(status, headers, announced) => {
                return pour(out, status, &headers, announced, taken);
            }
            Answer::Close => return Ok(()),
            Answer::Hang => std::thread::sleep(Duration::from_secs(300)),
        }
    }
    Ok(())
}

fn head(status: u16, headers: &[String], length: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let modified = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT";
    format!("HTTP/1.1 {status} Status\r\n{modified}\r\n{headers}{length}\r\n\r\n").into_bytes()
}

fn pour(
    mut out: &TcpStream,
    status: u16,
    headers: &[String],
    announced: Option<u64>,
    taken: &AtomicU64,
) -> std::io::Result<()> {
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
        taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let Some(first) = read_line(reader)? else { return Ok(None) };
    let mut words = first.split(' ').map(ToOwned::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn read_line(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let read = reader.read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}
