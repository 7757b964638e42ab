//! Credentials that hold for two seconds, and a write that takes eight.

use std::time::Duration;

use strandline_testkit::wire::{Access, HttpServer, Rights};

use super::errand::{Errand, LONG, Work};
use super::ways::Ground;
use crate::lake::{self, Place};
use crate::runner::Outcome;
use crate::tables;

const TIME: Duration = Duration::from_secs(2);
const OWNER: &str = "AKIAOWNER";

/// A lake with two empty tables, made by somebody whose key holds.
fn prepared(ground: &Ground) -> Place {
    ground.access.grant(OWNER, Rights::all());
    let owner = owner(ground);
    lake::run(async { tables::create_at(&owner, &["t", "u"]).await });
    ground.place("region=us-east-1")
}

fn owner(ground: &Ground) -> Place {
    ground.place(&format!("region=us-east-1 access_key_id={OWNER} secret_access_key=x"))
}

/// The write goes on with fresh ones, found as the AWS tools do or as `object_store` does.
pub(super) fn goes_on() -> Outcome {
    for chain in [true, false] {
        let ground = Ground::new(TIME);
        let place = prepared(&ground);
        let url = ground.issuer.url();
        let errand = if chain {
            Errand::new(&place, Work::LongWrite).with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)
        } else {
            let place = Place { options: format!("{} metadata_endpoint={url}", place.options), ..place };
            Errand::new(&place, Work::LongWrite)
        };
        let told = errand.run();
        told.is_done(LONG);
        told.hides(ground.issuer.secrets());
        // The owner is one of them.
        let (used, lent) = (ground.access.used() - 1, ground.issuer.lent().len());
        println!("  {lent} lent, {used} used, {} requests", requests(&ground.bucket));
        assert!(used >= 3, "the write has used {used} credentials");
        // Ours are asked for when half of their time is over, `object_store` asks more often.
        assert!(!chain || lent <= 12, "{lent} were asked for");
    }
    Outcome::Passed
}

fn requests(bucket: &HttpServer) -> usize {
    bucket.requests().len()
}

/// Where nobody lends any more the write ends, in time, with nothing of it in the lake.
pub(super) fn ends() -> Outcome {
    let ground = Ground::new(TIME);
    let place = prepared(&ground);
    // What the bucket takes is not known to it: it expires as if nobody had lent anything since.
    let forgotten = Access::new();
    let stale = strandline_testkit::wire::Issuer::start_with({
        let access = ground.access.clone();
        move |number| {
            let lent = strandline_testkit::wire::Lent {
                key: format!("ASIASTALE{}", number.min(1)),
                secret: "staleSECRET".to_owned(),
                token: "staleTOKEN".to_owned(),
                time: TIME,
            };
            let known = if number < 2 { &access } else { &forgotten };
            known.lend(&lent.key, &lent.token, Rights::all(), TIME);
            lent
        }
    })
    .unwrap();
    let errand = Errand::new(&place, Work::LongWrite).with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &stale.url());
    let told = errand.run();
    told.is_refused("permission denied", "ExpiredToken");
    told.hides(stale.secrets());
    lake::run(async {
        let lake = tables::open_at(&owner(&ground)).await;
        assert_eq!(lake.main().await.unwrap().version().0, 1);
        assert_eq!(lake.table("t").await.unwrap().rows(), 0);
    });
    Outcome::Passed
}
