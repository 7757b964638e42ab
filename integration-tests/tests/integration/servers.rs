//! The servers that somebody runs: which they are, and where the environment says that they stand.
//!
//! A variable for each has a place in one line, as [`Place::parse`] reads it: `s3://lake endpoint=http://127.0.0.1:9000 …`.
//! `.ci/servers COMMAND` starts them all and sets the variables. One that is missing is a counted skip, or a failure if
//! `STRANDLINE_REQUIRE_ALL` is set.

use strandline::Runtime;

use crate::lake::Place;

/// A server.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    variable: &'static str,
}

/// One that keeps its conditions.
pub(crate) const MINIO: Server = Server { name: "minio", variable: "STRANDLINE_TEST_MINIO" };
/// Another, of which many run at once without losing a swap, slowly.
pub(crate) const SEAWEEDFS: Server = Server { name: "seaweedfs", variable: "STRANDLINE_TEST_SEAWEEDFS" };
/// The one that is the closest to S3 in what it answers.
pub(crate) const MINISTACK: Server = Server { name: "ministack", variable: "STRANDLINE_TEST_MINISTACK" };
/// The one of Azure.
pub(crate) const AZURITE: Server = Server { name: "azurite", variable: "STRANDLINE_TEST_AZURITE" };
/// One that ignores conditions.
pub(crate) const RCLONE: Server = Server { name: "rclone", variable: "STRANDLINE_TEST_RCLONE" };
/// Another.
pub(crate) const S3RVER: Server = Server { name: "s3rver", variable: "STRANDLINE_TEST_S3RVER" };

impl Server {
    /// Where it stands, or how to get it.
    pub(crate) fn place(&self) -> Result<Place, String> {
        if let Some(line) = variable(self.variable) {
            return Ok(Place::parse(&line));
        }
        let why =
            format!("no server: {} is not set, `.ci/servers COMMAND` starts one and sets it", self.variable);
        assert!(variable("STRANDLINE_REQUIRE_ALL").is_none(), "{why}");
        Err(why)
    }
}

/// A store of the user's own, if one is named: a bucket at a cloud, say, with its options from the usual variables.
pub(crate) fn own() -> Option<Place> {
    variable("STRANDLINE_TEST_STORE").map(|line| Place::parse(&line))
}

fn variable(name: &str) -> Option<String> {
    Runtime::system().environment().variable(name)
}
