//! A bucket that keeps its conditions, as small as the tests need it: what the answers of [`mock`](crate::mock) are scripted over.

use std::collections::BTreeMap;
use std::sync::Mutex;

use strandline_format::Hash;

use crate::mock::{Answer, Request};

/// Objects by their path in the bucket.
#[derive(Default)]
pub(crate) struct Bucket(Mutex<BTreeMap<String, Vec<u8>>>);

impl Bucket {
    /// What a store that keeps its conditions does.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let mut objects = self.0.lock().unwrap();
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        match (request.method.as_str(), query) {
            ("GET", query) if query.contains("list-type=2") => list(&objects, query),
            ("GET", _) => match objects.get(path) {
                None => error(404, "NoSuchKey"),
                Some(body) if request.header("if-none-match") == Some(&etag(body)) => {
                    Answer::Say(304, vec![format!("ETag: {}", etag(body))], Vec::new())
                }
                Some(body) => read(body, request.header("range")),
            },
            ("PUT", _) => put(&mut objects, path, request),
            ("POST", _) => {
                delete(&mut objects, path, &String::from_utf8_lossy(&request.body));
                Answer::Say(200, Vec::new(), b"<DeleteResult></DeleteResult>".to_vec())
            }
            _ => error(501, "NotImplemented"),
        }
    }
}

/// An answer with an error as S3 words it.
pub(crate) fn error(status: u16, code: &str) -> Answer {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code} said</Message></Error>");
    Answer::Say(status, vec!["Content-Type: application/xml".to_owned()], body.into_bytes())
}

fn read(body: &[u8], range: Option<&str>) -> Answer {
    let tag = format!("ETag: {}", etag(body));
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return Answer::Say(200, vec![tag], body.to_vec());
    };
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    let range = format!("Content-Range: bytes {first}-{last}/{}", body.len());
    Answer::Say(206, vec![tag, range], body[first..=last].to_vec())
}

fn put(objects: &mut BTreeMap<String, Vec<u8>>, path: &str, request: &Request) -> Answer {
    let current = objects.get(path).map(|body| etag(body));
    let creates = request.header("if-none-match") == Some("*");
    let expected = request.header("if-match");
    match (&current, expected) {
        (Some(_), _) if creates => return error(412, "PreconditionFailed"),
        (None, Some(_)) => return error(404, "NoSuchKey"),
        (Some(current), Some(expected)) if expected != current => return error(412, "PreconditionFailed"),
        _ => {}
    }
    objects.insert(path.to_owned(), request.body.clone());
    Answer::Say(200, vec![format!("ETag: {}", etag(&request.body))], Vec::new())
}

fn etag(body: &[u8]) -> String {
    format!("\"{}\"", &Hash::of(body).to_string()[..32])
}

fn list(objects: &BTreeMap<String, Vec<u8>>, query: &str) -> Answer {
    let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
    let prefix = prefix.replace("%2F", "/");
    // "/bucket/" stands before the key.
    let keys = objects.iter().filter_map(|(path, body)| Some((path.splitn(3, '/').nth(2)?, body)));
    let found = keys.filter(|(key, _)| key.starts_with(&prefix)).map(|(key, body)| {
        let (tag, size) = (etag(body), body.len());
        let time = "2015-10-21T07:28:00.000Z";
        format!("<Contents><Key>{key}</Key><LastModified>{time}</LastModified><ETag>{tag}</ETag><Size>{size}</Size></Contents>")
    });
    let body = format!(
        "<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>",
        found.collect::<String>()
    );
    Answer::Say(200, Vec::new(), body.into_bytes())
}

fn delete(objects: &mut BTreeMap<String, Vec<u8>>, bucket: &str, body: &str) {
    for key in body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
        objects.remove(&format!("{}/{key}", bucket.trim_end_matches('/')));
    }
}
