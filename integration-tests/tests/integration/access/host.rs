//! Buckets that are named by the host, and not by the path. The names of these hosts are known to nobody, so a proxy is told them.

use object_store::path::Path;
use strandline_testkit::wire::{DOMAIN, Proxy, StubBucket};

use super::admin;
use super::errand::{Errand, Work};
use crate::lake::Place;
use crate::runner::Outcome;
use crate::servers;

/// The options for a bucket whose server is behind a proxy.
fn by_host(proxy: &str) -> String {
    format!("endpoint=http://lake.{DOMAIN} virtual_hosted_style_request=true proxy_url={proxy}")
}

pub(super) fn stub() -> Outcome {
    let bucket = StubBucket::s3().serve().unwrap();
    let rest = "region=us-east-1 access_key_id=k secret_access_key=s allow_http=true";
    let options = format!("{} {rest}", by_host(&bucket.url()));
    Errand::new(&Place { location: "s3://lake/here".to_owned(), options }, Work::Round).run().is_done(3);
    let requests = bucket.requests();
    for request in &requests {
        // What is listed, or removed at once, is asked of the bucket itself.
        assert!(request.path() == "/" || request.path().starts_with("/here/"), "{}", request.target);
        assert_eq!(request.header("host"), Some(&*format!("lake.{DOMAIN}")));
    }
    assert!(requests.len() > 10);
    Outcome::Passed
}

/// A server that is told the domain of its hosts, as `.ci/servers` does.
pub(super) fn minio() -> Outcome {
    let place = match servers::MINIO.place() {
        Ok(place) => admin::empty(&place),
        Err(why) => return Outcome::Skipped(why),
    };
    let (_, endpoint) = place.words().find(|(name, _)| *name == "endpoint").unwrap();
    let proxy = Proxy::start(endpoint, Path::from("")).unwrap();
    let options = place.options.replace(&format!("endpoint={endpoint}"), &by_host(&proxy.url()));
    Errand::new(&Place { options, ..place.clone() }, Work::Round).run().is_done(3);
    assert!(proxy.counts().total().requests > 10, "{}", proxy.counts());
    // The same lake by its path.
    Errand::new(&place, Work::Read).run().is_done(3);
    Outcome::Passed
}
