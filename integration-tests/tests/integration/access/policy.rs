//! A policy that lets a user write one branch and not another: what commits to the one works, what commits to the other is
//! refused, and nothing of it is seen. Rights that such a user lacks are named.

use object_store::path::Path;
use strandline::storage::Durability;
use strandline::{ErrorKind, Lake, Resolution};
use strandline_testkit::wire::{Access, HttpServer, Proxy, Rights, StubBucket};

use super::admin;
use crate::lake::{self, Place};
use crate::runner::Outcome;
use crate::{refused, servers, tables};

/// What a user needs who commits to the branch dev: to put objects, and to swap its pointer.
const WRITES: [&str; 3] = ["data/", "meta/", "refs/branches/dev.json"];

pub(super) fn stub() -> Outcome {
    let bucket = StubBucket::s3().with_access(&users()).serve().unwrap();
    check(&place(&bucket.url(), "AKIAOWNER"), &place(&bucket.url(), "AKIADEV"));
    Outcome::Passed
}

/// Those who may do everything, write the branch dev, and write everything but list nothing.
fn users() -> Access {
    let access = Access::new();
    let rights = |paths: &[&str]| {
        paths.iter().fold(Rights::reading(), |rights, path| rights.writing(format!("team/{path}")))
    };
    access.grant("AKIAOWNER", Rights::all());
    access.grant("AKIADEV", rights(&WRITES));
    access.grant("AKIAUNLISTING", rights(&[""]).unlisting());
    access
}

fn place(url: &str, key: &str) -> Place {
    let options =
        format!("endpoint={url} allow_http=true region=us-east-1 access_key_id={key} secret_access_key=x");
    Place { location: "s3://lake/team".to_owned(), options }
}

/// S3 says of what is not there that it may not be read, to whoever may not list. Whatever looks whether something is there says so; what is
/// there is worked with.
pub(super) fn unlisting() -> Outcome {
    let bucket = StubBucket::s3().with_access(&users()).serve().unwrap();
    let (owner, user) = (place(&bucket.url(), "AKIAOWNER"), place(&bucket.url(), "AKIAUNLISTING"));
    lake::run(async {
        let names_the_right = |act: &str, error: strandline::Error| {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{act}: {error}");
            assert!(error.message().contains("s3:ListBucket"), "{act}: {error}");
        };
        let create = Lake::create(&user.location).storage(user.how(Durability::None)).await;
        names_the_right("making a lake", create.unwrap_err());
        let storage = lake::open_at(&user, Durability::None).await;
        names_the_right("the probe", storage.probe().await.unwrap_err());
        tables::create_at(&owner, &["t"]).await;
        let lake = tables::open_at(&user).await;
        lake.append("t", tables::batch(&[(1, 1)])).await.unwrap();
        assert_eq!(rows(&lake, "main").await, [(1, 1)]);
        names_the_right("a branch", lake.create_branch("new").await.unwrap_err());
        names_the_right("a tag", lake.create_tag("v1").await.unwrap_err());
        let opened = Lake::open(&user.location).storage(user.how(Durability::None));
        let absent = opened.branch(strandline_format::RefName::new("gone").unwrap()).await;
        names_the_right("opening at what is not there", absent.unwrap_err());
    });
    Outcome::Passed
}

/// A server that is upgraded is to be probed, which a user without rights below tmp/ cannot. Once somebody has who can, at `main`, that
/// user goes on, and need not wait for a commit to his own branch.
pub(super) fn renamed() -> Outcome {
    let access = users();
    let served = |name| StubBucket::s3().with_access(&access).called(name).serve().unwrap();
    let (before, after) = (served("MinIO/1"), served("MinIO/2"));
    let proxy = Proxy::start(&before.url(), Path::from("lake/team")).unwrap();
    let (owner, dev) = (place(&proxy.url(), "AKIAOWNER"), place(&proxy.url(), "AKIADEV"));
    lake::run(async {
        let own = tables::create_at(&owner, &["t"]).await;
        own.create_branch("dev").from("main").await.unwrap();
        let user = tables::open_at(&dev).await;
        append(&user, "dev", 1).await.unwrap();
        exchange(&proxy, &before, &after).await;
        let refused = append(&user, "dev", 2).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
        assert!(refused.message().contains("tmp/") && refused.message().contains("main"), "{refused}");
        println!("  {refused}");
        append(&own, "main", 3).await.unwrap();
        append(&user, "dev", 4).await.unwrap();
        assert_eq!(rows(&own, "dev").await, [(1, 1), (4, 4)]);
        // It stands in his branch from now on, and `main` is not asked again.
        append(&tables::open_at(&dev).await, "dev", 5).await.unwrap();
        let head = own.branch(&strandline_format::RefName::new("dev").unwrap()).await.unwrap();
        let probed = head.pointer().probed();
        assert!(probed.contains(&own.storage().served()), "{probed:?}");
    });
    Outcome::Passed
}

/// Another server stands there, with the same objects.
async fn exchange(proxy: &Proxy, before: &HttpServer, after: &HttpServer) {
    let open =
        async |server: &HttpServer| lake::open_at(&place(&server.url(), "AKIAOWNER"), Durability::None).await;
    refused::copy(&open(before).await, &open(after).await).await;
    proxy.lead_to(&after.url()).unwrap();
}

pub(super) fn minio() -> Outcome {
    let owner = match servers::MINIO.place() {
        Ok(place) => admin::empty(&place),
        Err(why) => return Outcome::Skipped(why),
    };
    check(&owner, &at_minio(&owner, &["s3:GetObject"], &WRITES));
    Outcome::Passed
}

/// The place as a user sees it who may do one thing less than everything there.
pub(crate) fn at_minio_without(owner: &Place, act: &str) -> Place {
    let all = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListBucket"];
    let others: Vec<&str> = all.into_iter().filter(|other| *other != act).collect();
    at_minio(owner, &others, &[])
}

/// The place as a user sees it whose session may do this, in all of it and with its bucket, and write what begins so.
fn at_minio(owner: &Place, acts: &[&str], writes: &[&str]) -> Place {
    let (bucket, prefix) = admin::bucket(owner);
    let quoted =
        |words: Vec<String>| words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(",");
    let allow = |acts: String, resources: String| {
        format!(r#"{{"Effect":"Allow","Action":[{acts}],"Resource":[{resources}]}}"#)
    };
    let all = vec![format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/{prefix}/*")];
    let mut statements = vec![allow(quoted(acts.iter().map(ToString::to_string).collect()), quoted(all))];
    if !writes.is_empty() {
        let below = writes.iter().map(|path| format!("arn:aws:s3:::{bucket}/{prefix}/{path}*")).collect();
        statements.push(allow(r#""s3:PutObject","s3:AbortMultipartUpload""#.to_owned(), quoted(below)));
    }
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    admin::with(owner, &admin::lend(owner, Some(&policy)))
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
