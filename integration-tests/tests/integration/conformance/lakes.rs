//! Lakes: made once, opened by location, their branches swapped.

use futures::future::join_all;
use strandline::storage::{Settled, Storage};
use strandline::{ErrorKind, Lake};
use strandline_format::{RefName, TableName};

use super::Site;
use crate::lake;

async fn open(site: &Site) -> strandline::Result<Lake> {
    Lake::open(&site.place.location).storage(site.place.how(Default::default())).await
}

async fn create(site: &Site) -> strandline::Result<Lake> {
    Lake::create(&site.place.location).storage(site.place.how(Default::default())).await
}

pub(super) fn opens(site: &Site) {
    lake::run(async {
        let storage: Storage = site.open().await;
        assert_eq!(storage.location().to_string(), site.place.location);
        assert_eq!(storage.fingerprint(), site.open().await.fingerprint());
        let beside = lake::open_at(&site.place.below("x"), Default::default()).await;
        assert_ne!(storage.fingerprint(), beside.fingerprint());
        assert_eq!(storage.refs().load(&lake::main()).await.unwrap(), None);
        let error = open(site).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.message().contains(&site.place.location), "{error}");
    });
}

pub(super) fn makes(site: &Site) {
    lake::run(async {
        let made = create(site).await.unwrap();
        let found = open(site).await.unwrap();
        assert_eq!((found.id(), found.head().commit()), (made.id(), made.head().commit()));
        assert_eq!(found.head().pointer().probed(), [found.storage().served()]);
        let none = TableName::new("orders").unwrap();
        assert_eq!(found.head().entry(&none).await.unwrap(), None);
        // The commit stands outside of the pointer as well.
        found.storage().objects().get_meta(&found.head().pointer().head()).await.unwrap();
        let again = create(site).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists, "{again}");
        let dev = RefName::new("dev").unwrap();
        let absent = found.branch(&dev).await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound, "{absent}");
    });
}

pub(super) fn races(site: &Site) {
    lake::run(async {
        let outcomes = join_all((0..4).map(|_| create(site))).await;
        let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1, "{refused:?}");
        for error in refused.into_iter().map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        }
        assert_eq!(open(site).await.unwrap().id(), made[0].as_ref().unwrap().id());
    });
}

pub(super) fn swaps(site: &Site) {
    lake::run(async {
        let main = RefName::new("main").unwrap();
        let (one, other) = (create(site).await.unwrap(), open(site).await.unwrap());
        let applied = lake::touch(&one, one.head()).await.unwrap();
        assert!(matches!(applied, Settled::Applied(_)), "{applied:?}");
        // The other one has read what has been replaced since.
        let stale = lake::touch(&other, other.head()).await.unwrap();
        assert!(matches!(stale, Settled::NotApplied(Some(_))), "{stale:?}");
        let head = other.branch(&main).await.unwrap();
        assert_eq!(head.pointer().seq(), one.head().pointer().seq().next().unwrap());
        let applied = lake::touch(&other, &head).await.unwrap();
        assert!(matches!(applied, Settled::Applied(_)), "{applied:?}");
        assert_eq!(one.branch(&main).await.unwrap().commit(), one.head().commit());
    });
}
