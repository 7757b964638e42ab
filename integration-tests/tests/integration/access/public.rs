//! A bucket that everybody may read: nothing is signed, reading works, and writing is refused.

use strandline_testkit::wire::{Access, Rights, StubBucket};

use super::admin;
use super::errand::{Errand, Work};
use crate::lake::{self, Place};
use crate::runner::Outcome;
use crate::{servers, tables};

const OWNER: &str = "AKIAOWNER";

pub(super) fn stub() -> Outcome {
    let access = Access::new();
    access.grant(OWNER, Rights::all());
    let bucket = StubBucket::s3().with_access(&access).serve().unwrap();
    let options = format!("endpoint={} allow_http=true region=us-east-1", bucket.url());
    let owner = Place {
        location: "s3://lake/open".to_owned(),
        options: format!("{options} access_key_id={OWNER} secret_access_key=x"),
    };
    let anybody = Place { options: format!("{options} skip_signature=true"), ..owner.clone() };
    prepare(&owner);
    // Not before its owner says so.
    let told = Errand::new(&anybody, Work::Read).run();
    told.is_refused("permission denied", "AccessDenied");
    access.publish(Rights::reading());
    let before = bucket.requests().len();
    reads(&anybody);
    let signed = bucket.requests()[before..].iter().filter(|request| request.access_key().is_some()).count();
    assert_eq!(signed, 0);
    Outcome::Passed
}

pub(super) fn minio() -> Outcome {
    let owner = match servers::MINIO.place() {
        Ok(place) => admin::empty(&place),
        Err(why) => return Outcome::Skipped(why),
    };
    prepare(&owner);
    let (bucket, prefix) = admin::bucket(&owner);
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":["*"]}},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::{bucket}/{prefix}/*"]}}]}}"#
    );
    admin::set_policy(&owner, &policy);
    let (open, _) = admin::split(&owner);
    reads(&Place { options: format!("{} skip_signature=true", open.options), ..open });
    Outcome::Passed
}

fn prepare(owner: &Place) {
    lake::run(async {
        let lake = tables::create_at(owner, &["t"]).await;
        lake.append("t", tables::batch(&[(1, 1)])).await.unwrap();
    });
}

/// Whatever the machine would know to sign with is left alone.
fn reads(anybody: &Place) {
    let errand = |work| {
        Errand::new(anybody, work)
            .with("AWS_ACCESS_KEY_ID", "AKIAELSEWHERE")
            .with("AWS_SECRET_ACCESS_KEY", "x")
    };
    errand(Work::Read).run().is_done(1);
    let told = errand(Work::Append).run();
    told.is_refused("permission denied", &anybody.location);
    errand(Work::Read).run().is_done(1);
}
