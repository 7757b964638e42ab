//! What an HTTP request asks of the store, in the words that the stores of the testkit count by.
//!
//! It knows the verbs of S3, Google and Azure at once, told apart by the headers and parameters that only one of them uses.

use object_store::path::Path;

use super::message::{HttpRequest, decoded};
use crate::request::{Request, RequestKind, Root};

/// The request, of a lake that lies below `root` in the server's paths.
pub(super) fn classify(request: &HttpRequest, root: &Root) -> Request {
    let kind = kind(request);
    let mut path = decoded(request.path());
    if kind == RequestKind::List {
        let prefix = request.parameter("prefix").unwrap_or_default();
        path = format!("{}/{prefix}", path.trim_end_matches('/'));
    }
    let sent = if kind.is_read() { 0 } else { request.body.len() };
    root.request(kind, &Path::from(path), sent)
}

fn kind(request: &HttpRequest) -> RequestKind {
    let has = |name: &str| request.parameter(name).is_some();
    let comp = request.parameter("comp");
    match (request.method.as_str(), comp.as_deref()) {
        ("GET", Some("list")) => RequestKind::List,
        ("GET", _) if has("list-type") => RequestKind::List,
        ("GET", _) if request.header("range").or(request.header("x-ms-range")).is_some() => {
            RequestKind::GetRange
        }
        ("GET", _) => RequestKind::Get,
        ("HEAD", _) => RequestKind::Head,
        ("PUT", Some("block")) => RequestKind::PutPart,
        ("PUT", Some("blocklist")) => RequestKind::CompleteMultipart,
        ("PUT", _) if has("uploadId") => RequestKind::PutPart,
        ("POST", _) if has("uploads") => RequestKind::CreateMultipart,
        ("POST", _) if has("uploadId") => RequestKind::CompleteMultipart,
        ("DELETE", _) if has("uploadId") => RequestKind::AbortMultipart,
        ("POST" | "DELETE", _) => RequestKind::Delete,
        _ => put_kind(request),
    }
}

fn put_kind(request: &HttpRequest) -> RequestKind {
    let copies = ["x-amz-copy-source", "x-goog-copy-source", "x-ms-copy-source"];
    let copies = copies.iter().any(|name| request.header(name).is_some());
    let generation = request.header("x-goog-if-generation-match");
    let absent = request.header("if-none-match") == Some("*") || generation == Some("0");
    let matches = request.header("if-match").or(generation).is_some();
    match (copies, absent, matches) {
        (true, true, _) => RequestKind::CopyIfAbsent,
        (true, ..) => RequestKind::Copy,
        (false, true, _) => RequestKind::PutIfAbsent,
        (false, false, true) => RequestKind::PutIfMatch,
        (false, false, false) => RequestKind::Put,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::PathClass;

    #[test]
    fn requests_of_three_stores_are_told_apart() {
        use RequestKind as Kind;
        let check = |method: &str, target: &str, header: &str, kind, class| {
            let headers = header.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
            let request = HttpRequest {
                method: method.to_owned(),
                target: target.to_owned(),
                headers: headers.into_iter().collect(),
                body: Vec::new(),
            };
            let seen = classify(&request, &Root(Path::from("b/it")));
            assert_eq!((seen.kind, seen.class), (kind, class), "{method} {target} {header}");
        };
        let main = "/b/it/refs/branches/main.json";
        check("GET", main, "", Kind::Get, PathClass::Pointer);
        check("GET", "/b/it%2Frefs%2Fbranches%2Fmain%2Ejson", "", Kind::Get, PathClass::Pointer);
        check("GET", "/b/it/lake.json", "range: bytes=0-1", Kind::GetRange, PathClass::Lake);
        check("GET", "/b/it/lake.json", "x-ms-range: bytes=0-1", Kind::GetRange, PathClass::Lake);
        check("HEAD", "/b/it/lake.json", "", Kind::Head, PathClass::Lake);
        check("GET", "/b?list-type=2&prefix=it%2Frefs%2Fbranches%2F", "", Kind::List, PathClass::Pointer);
        check("GET", "/b?restype=container&comp=list&prefix=it%2Fmeta%2F", "", Kind::List, PathClass::Meta);
        check("PUT", main, "", Kind::Put, PathClass::Pointer);
        check("PUT", main, "if-none-match: *", Kind::PutIfAbsent, PathClass::Pointer);
        check("PUT", main, "if-match: \"e\"", Kind::PutIfMatch, PathClass::Pointer);
        check("PUT", main, "x-goog-if-generation-match: 0", Kind::PutIfAbsent, PathClass::Pointer);
        check("PUT", main, "x-goog-if-generation-match: 17", Kind::PutIfMatch, PathClass::Pointer);
        check("PUT", "/b/it/x?comp=block&blockid=1", "", Kind::PutPart, PathClass::Foreign);
        check("PUT", "/b/it/x?comp=blocklist", "", Kind::CompleteMultipart, PathClass::Foreign);
        check("PUT", "/b/it/x?partNumber=1&uploadId=1", "", Kind::PutPart, PathClass::Foreign);
        check("POST", "/b/it/x?uploads", "", Kind::CreateMultipart, PathClass::Foreign);
        check("POST", "/b/it/x?uploadId=1", "", Kind::CompleteMultipart, PathClass::Foreign);
        check("DELETE", "/b/it/x?uploadId=1", "", Kind::AbortMultipart, PathClass::Foreign);
        check("DELETE", main, "", Kind::Delete, PathClass::Pointer);
        check("POST", "/b?delete", "", Kind::Delete, PathClass::Foreign);
        check("PUT", main, "x-amz-copy-source: /b/x", Kind::Copy, PathClass::Pointer);
    }
}
