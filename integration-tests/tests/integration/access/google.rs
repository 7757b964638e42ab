//! Buckets at Google: service accounts that a stub knows and does not know, one that may only read, public ones, and a certificate.
//!
//! The client signs its tokens itself, with RSA. Who signs them here is nobody's key, made for these tests and kept in a file, since `ring`
//! makes no keys of this kind; the stub reads which account a token names, and does not check the signature.

use std::path::Path;

use serde_json::json;
use strandline_testkit::wire::{Access, Authority, HttpServer, Rights, StubBucket};

use super::errand::{Errand, Work};
use super::{tls, ways};
use crate::lake::Place;
use crate::runner::Outcome;

const KEY: &str = include_str!("nobodys.pem");

fn account(name: &str) -> String {
    format!("{name}@project.iam.gserviceaccount.com")
}

/// The key file of a service account.
fn key_file(folder: &Path, name: &str) -> String {
    let key = json!({ "type": "service_account", "client_email": account(name), "private_key": KEY, "private_key_id": "1" });
    ways::file(folder, &format!("{name}.json"), &key.to_string())
}

fn place(bucket: &HttpServer, options: &str) -> Place {
    let options = format!("google_base_url={} allow_http=true {options}", bucket.url());
    Place { location: "gs://lake/here".to_owned(), options }
}

/// The longest line of a key is as much of a secret as the whole.
fn secrets() -> impl Iterator<Item = &'static str> {
    KEY.lines().skip(1).take(1)
}

pub(super) fn accounts() -> Outcome {
    let access = Access::new();
    access.grant(&account("owner"), Rights::all());
    access.grant(&account("reader"), Rights::reading());
    let bucket = StubBucket::gcs().with_access(&access).serve().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let errand = |name: &str, work| {
        let told = Errand::new(
            &place(&bucket, &format!("google_service_account={}", key_file(folder.path(), name))),
            work,
        )
        .run();
        told.hides(secrets());
        let tokens = bucket.requests().into_iter().filter_map(|request| {
            request.header("authorization")?.strip_prefix("Bearer ")?.split('.').nth(2).map(str::to_owned)
        });
        told.hides(tokens);
        told
    };
    errand("owner", Work::Round).is_done(3);
    let by_variable = Errand::new(&place(&bucket, ""), Work::Read);
    by_variable.with("GOOGLE_SERVICE_ACCOUNT", &key_file(folder.path(), "owner")).run().is_done(3);
    errand("reader", Work::Read).is_done(3);
    errand("reader", Work::Append).is_refused("permission denied", "AccessDenied");
    errand("stranger", Work::Read).is_refused("permission denied", "AuthenticationRequired");
    errand("stranger", Work::Round).is_refused("permission denied", "AuthenticationRequired");
    let anybody = |work| Errand::new(&place(&bucket, "google_skip_signature=true"), work).run();
    anybody(Work::Read).is_refused("permission denied", "AccessDenied");
    access.publish(Rights::reading());
    anybody(Work::Read).is_done(3);
    // Nobody looks for credentials on the way to that.
    anybody(Work::Append).is_refused("permission denied", "AccessDenied");
    Outcome::Passed
}

/// A certificate of an authority that only the option knows.
pub(super) fn certificate() -> Outcome {
    let authority = Authority::new().unwrap();
    let bucket = StubBucket::gcs().serve_tls(&authority).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = key_file(folder.path(), "owner");
    tls::check(&place(&bucket, &format!("google_service_account={key}")), &authority);
    Outcome::Passed
}

/// A bucket that does not let in who comes, and what must outlive the place.
pub(crate) fn closed() -> (Place, HttpServer, tempfile::TempDir) {
    let bucket = StubBucket::gcs().with_access(&Access::new()).serve().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = key_file(folder.path(), "stranger");
    (place(&bucket, &format!("google_service_account={key}")), bucket, folder)
}
