//! A policy that lets a user write one branch and not another: what commits to the one works, what commits to the other is
//! refused, and nothing of it is seen.

use strandline::{ErrorKind, Lake, Resolution};
use strandline_testkit::wire::{Access, Rights, StubBucket};

use super::admin;
use crate::lake::{self, Place};
use crate::runner::Outcome;
use crate::{servers, tables};

/// What a user needs who commits to the branch dev: to put objects, and to swap its pointer.
const WRITES: [&str; 3] = ["data/", "meta/", "refs/branches/dev.json"];

pub(super) fn stub() -> Outcome {
    let access = Access::new();
    let rights = WRITES.iter().fold(Rights::reading(), |rights, path| rights.writing(format!("team/{path}")));
    access.grant("AKIAOWNER", Rights::all());
    access.grant("AKIADEV", rights);
    let bucket = StubBucket::s3().with_access(&access).serve().unwrap();
    let place = |key: &str| Place {
        location: "s3://lake/team".to_owned(),
        options: format!(
            "endpoint={} allow_http=true region=us-east-1 access_key_id={key} secret_access_key=x",
            bucket.url()
        ),
    };
    check(&place("AKIAOWNER"), &place("AKIADEV"));
    Outcome::Passed
}

pub(super) fn minio() -> Outcome {
    let owner = match servers::MINIO.place() {
        Ok(place) => admin::empty(&place),
        Err(why) => return Outcome::Skipped(why),
    };
    let (bucket, prefix) = admin::bucket(&owner);
    let writes = WRITES.map(|path| format!(r#""arn:aws:s3:::{bucket}/{prefix}/{path}*""#)).join(",");
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[
            {{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::{bucket}/{prefix}/*"]}},
            {{"Effect":"Allow","Action":["s3:PutObject","s3:AbortMultipartUpload"],"Resource":[{writes}]}}]}}"#
    );
    let dev = admin::with(&owner, &admin::lend(&owner, Some(&policy)));
    check(&owner, &dev);
    Outcome::Passed
}

fn check(owner: &Place, dev: &Place) {
    lake::run(async {
        let own = tables::create_at(owner, &["t"]).await;
        own.append("t", tables::batch(&[(1, 1)])).await.unwrap();
        own.create_branch("dev").from("main").await.unwrap();
        let before = own.storage().refs().load(&lake::main()).await.unwrap();
        let user = tables::open_at(dev).await;
        append(&user, "dev", 2).await.unwrap();
        refused(&user, &own).await;
        // Nothing has come of it, and the user goes on.
        assert_eq!(own.storage().refs().load(&lake::main()).await.unwrap(), before);
        append(&user, "dev", 3).await.unwrap();
        assert_eq!(rows(&own, "main").await, [(1, 1)]);
        assert_eq!(rows(&own, "dev").await, [(1, 1), (2, 2), (3, 3)]);
        let denied = user.fast_forward("main").to("dev").await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied, "{denied}");
        own.fast_forward("main").to("dev").await.unwrap();
        assert_eq!(rows(&user, "main").await.len(), 3);
    });
}

async fn append(lake: &Lake, branch: &str, id: i64) -> strandline::Result<()> {
    let transaction = lake.begin().branch(branch).await?;
    transaction.append("t", tables::batch(&[(id, id)])).await?;
    transaction.commit().await.map(drop)
}

/// The error names the object that may not be written, and it is known that nothing was committed.
async fn refused(user: &Lake, own: &Lake) {
    let transaction = user.begin().await.unwrap();
    transaction.append("t", tables::batch(&[(9, 9)])).await.unwrap();
    let unresolved = transaction.unresolved();
    let error = transaction.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.message().contains("refs/branches/main.json"), "{error}");
    assert!(error.unresolved().is_none() && !error.is_retryable(), "{error:?}");
    assert!(matches!(own.resolve(&unresolved).await.unwrap(), Resolution::Open));
    println!("  {error}");
}

async fn rows(lake: &Lake, branch: &str) -> Vec<tables::Row> {
    tables::read(&lake.at(branch).await.unwrap().table("t").await.unwrap()).await.unwrap()
}
