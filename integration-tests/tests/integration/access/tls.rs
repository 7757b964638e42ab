//! Servers whose certificate comes from an authority that no system knows.

use object_store::path::Path;
use strandline_testkit::wire::{Authority, Proxy, StubBucket};
use tokio::time::Instant;

use super::errand::{Errand, Work};
use super::{admin, ways};
use crate::attempt;
use crate::lake::Place;
use crate::runner::Outcome;
use crate::servers;

pub(super) fn stub() -> Outcome {
    let authority = Authority::new().unwrap();
    let bucket = StubBucket::s3().serve_tls(&authority).unwrap();
    let options = format!("endpoint={} region=us-east-1 access_key_id=k secret_access_key=s", bucket.url());
    let place = Place { location: "s3://lake".to_owned(), options };
    check(&place, &authority);
    by_variable(&place, &authority);
    Outcome::Passed
}

/// The real server behind an end of TLS.
pub(super) fn minio() -> Outcome {
    let place = match servers::MINIO.place() {
        Ok(place) => admin::empty(&place),
        Err(why) => return Outcome::Skipped(why),
    };
    let authority = Authority::new().unwrap();
    let (_, endpoint) = place.words().find(|(name, _)| *name == "endpoint").unwrap();
    let proxy = Proxy::start_tls(endpoint, Path::from("lake"), &authority).unwrap();
    let options = place.options.replace(endpoint, &proxy.url());
    let place = Place { options, ..place };
    check(&place, &authority);
    by_variable(&place, &authority);
    Outcome::Passed
}

/// Only whoever names the authority trusts the server.
pub(super) fn check(place: &Place, authority: &Authority) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = ways::file(folder.path(), "ca.pem", &authority.pem());
    let other = ways::file(folder.path(), "other.pem", &Authority::new().unwrap().pem());
    let with = |options: &str| {
        let options = format!("{} {options}", place.options);
        Errand::new(&Place { options, ..place.clone() }, Work::Round)
    };
    for distrustful in [with(""), with(&format!("ca_bundle={other}"))] {
        let started = Instant::now();
        let told = distrustful.run();
        told.is_refused("invalid input", "certificate is not trusted");
        told.is_refused("invalid input", "ca_bundle");
        // It is not asked for again and again.
        assert!(started.elapsed() < attempt::SECONDS / 4, "{:?}", started.elapsed());
    }
    with(&format!("ca_bundle={bundle}")).run().is_done(3);
}

/// The variable of the AWS tools does as well.
fn by_variable(place: &Place, authority: &Authority) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = ways::file(folder.path(), "ca.pem", &authority.pem());
    Errand::new(place, Work::Read).with("AWS_CA_BUNDLE", &bundle).run().is_done(3);
}
