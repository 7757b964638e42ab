//! Requests and answers of HTTP/1.1 as they stand on a socket.
//!
//! Invariants: a message is read whole, and never more than [`MAX_BODY`] bytes of its body are held; header names are in
//! lower case. What does not belong here: connections and their owners (`server`), and what the messages mean (`bucket`,
//! `proxy`).

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;

/// The longest body that is taken: a part of an upload has a few MiB.
pub(crate) const MAX_BODY: usize = 64 << 20;
/// The longest line of a head.
const MAX_LINE: u64 = 64 << 10;
/// The most header lines of a message.
const MAX_HEADERS: usize = 200;

/// A request as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The verb.
    pub method: String,
    /// The path with its query, as it was sent.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The access key that it was signed with, if it was.
    #[must_use]
    pub fn access_key(&self) -> Option<&str> {
        let (_, scope) = self.header("authorization")?.split_once("Credential=")?;
        scope.split('/').next()
    }

    /// Who signed it: the access key, or the account that a token of Google's names.
    pub(crate) fn signer(&self) -> Option<String> {
        let account = || {
            let token = self.header("authorization")?.strip_prefix("Bearer ")?;
            let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
            let claims = String::from_utf8(claims).ok()?;
            Some(claims.split_once("\"iss\":\"")?.1.split('"').next()?.to_owned())
        };
        self.access_key().map(ToOwned::to_owned).or_else(account)
    }

    /// The path without its query, as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A parameter of the query, decoded; empty if it stands there without a value.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs
            .into_iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| decoded(&value.replace('+', " ")))
    }

    /// The same without its body, as a log keeps it.
    pub(crate) fn head(&self) -> Self {
        let Self { method, target, headers, .. } = self;
        Self { method: method.clone(), target: target.clone(), headers: headers.clone(), body: Vec::new() }
    }
}

/// The text behind percent signs.
pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What a server says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Reads the next request of a connection; `None` if it is closed in between.
pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<HttpRequest>> {
    let Some(first) = read_line(reader)? else { return Ok(None) };
    let mut words = first.split(' ').map(ToOwned::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err(malformed(&first)) };
    let target = origin_form(target);
    let headers = read_headers(reader)?;
    let length = content_length(&headers)?.unwrap_or_default();
    let body = read_exactly(reader, length)?;
    Ok(Some(HttpRequest { method, target, headers, body }))
}

/// What a server is asked; a proxy is told the host as well, which stands in a header too.
fn origin_form(target: String) -> String {
    match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or_else(|| "/".to_owned(), |at| rest[at..].to_owned()),
        None => target,
    }
}

/// Reads the answer to a request of this verb.
pub(crate) fn read_answer(reader: &mut impl BufRead, method: &str) -> io::Result<Said> {
    let first = read_line(reader)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    let status = first.split(' ').nth(1).and_then(|digits| digits.parse().ok());
    let status: u16 = status.ok_or_else(|| malformed(&first))?;
    let headers = read_headers(reader)?;
    if (100..200).contains(&status) {
        return read_answer(reader, method);
    }
    let body = match (method, status) {
        ("HEAD", _) | (_, 204 | 304) => Vec::new(),
        _ if header(&headers, "transfer-encoding").is_some() => read_chunks(reader)?,
        _ => match content_length(&headers)? {
            Some(length) => read_exactly(reader, length)?,
            None => read_at_most(reader)?,
        },
    };
    Ok(Said { status, headers, body })
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        if headers.len() > MAX_HEADERS {
            return Err(malformed("too many headers"));
        }
    }
    Ok(headers)
}

fn content_length(headers: &[(String, String)]) -> io::Result<Option<usize>> {
    let Some(text) = header(headers, "content-length") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| malformed(text))
}

fn read_exactly(reader: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    if length > MAX_BODY {
        return Err(malformed("a body that is too long"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn read_at_most(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    reader.take(MAX_BODY as u64).read_to_end(&mut body)?;
    Ok(body)
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?.unwrap_or_default();
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16).map_err(|_| malformed(&line))?;
        if length == 0 {
            // Trailers, up to the empty line.
            read_headers(reader)?;
            return Ok(body);
        }
        if body.len() + length > MAX_BODY {
            return Err(malformed("a body that is too long"));
        }
        body.extend(read_exactly(reader, length)?);
        read_line(reader)?;
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = reader.take(MAX_LINE).read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

fn malformed(what: &str) -> io::Error {
    let shown: Cow<'_, str> = what.chars().take(80).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP as it is spoken here: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> io::Result<Option<HttpRequest>> {
        read_request(&mut text.as_bytes())
    }

    fn answer(method: &str, text: &str) -> io::Result<(u16, Vec<u8>)> {
        read_answer(&mut text.as_bytes(), method).map(|said| (said.status, said.body))
    }

    #[test]
    fn a_request_is_taken_apart() {
        let text =
            "PUT /b/a%2Fb?x=1%2F2&uploads&y=a+b HTTP/1.1\r\nIf-Match: \"e\"\r\nContent-Length: 2\r\n\r\nhi";
        let request = request(text).unwrap().unwrap();
        assert_eq!((request.path(), request.header("if-match")), ("/b/a%2Fb", Some("\"e\"")));
        let parameters = ["x", "uploads", "y", "z"].map(|name| request.parameter(name));
        assert_eq!(parameters, [Some("1/2".into()), Some(String::new()), Some("a b".into()), None]);
        assert_eq!(request.body, b"hi");
    }

    #[test]
    fn what_is_not_whole_is_an_error() {
        assert_eq!(request("").unwrap(), None);
        for cut in
            ["GET", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "PUT / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhi"]
        {
            assert!(request(cut).is_err(), "{cut:?}");
        }
        let endless = format!("PUT / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", u64::MAX);
        assert!(request(&endless).is_err());
        assert!(answer("GET", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi").is_err());
    }

    #[test]
    fn bodies_are_read_however_they_are_framed() {
        let check = |method, text, status, body: &str| {
            assert_eq!(answer(method, text).unwrap(), (status, body.as_bytes().to_vec()), "{text:?}");
        };
        check("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", 200, "hi");
        check("GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end");
        check("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, "");
        check("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "");
        check("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "");
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n1\r\n!\r\n0\r\nt: 1\r\n\r\n";
        check("GET", chunked, 200, "hi!");
    }
}
