//! What makes a store this one and not another: what is asked for, and who answers [PTR-13].
//!
//! Invariants: where a store is never changes while it is open; who answers is what the transport last heard from the store
//! itself, never from whoever hands out credentials; a probe that has passed holds for the servers that answered in it and no
//! other [STO-9]: behind some addresses several do.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strandline_format::StoreFingerprint;

/// What the server of a bucket calls itself, as its newest answer says. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server(Arc<Mutex<Names>>);

#[derive(Debug, Default)]
struct Names {
    newest: String,
    /// All since somebody began to listen.
    heard: BTreeSet<String>,
}

impl Server {
    /// Takes in what an answer says; nothing, if it does not say it.
    pub(crate) fn hear(&self, name: &str) {
        let mut names = self.names();
        if names.newest != name {
            name.clone_into(&mut names.newest);
        }
        if !names.heard.contains(name) {
            names.heard.insert(name.to_owned());
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store, and for which servers behind it the probe has passed in this process. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Identity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: &'static str,
    endpoint: String,
    bucket: String,
    root: String,
    server: Server,
    passed: Mutex<BTreeSet<StoreFingerprint>>,
}

impl Identity {
    /// A store that has no server, or tells nothing of it.
    pub(crate) fn of(kind: &'static str, root: &str) -> Self {
        Self::served(kind, "", "", root, Server::default())
    }

    /// A bucket.
    pub(crate) fn served(
        kind: &'static str,
        endpoint: &str,
        bucket: &str,
        root: &str,
        server: Server,
    ) -> Self {
        let (endpoint, bucket, root) = (endpoint.to_owned(), bucket.to_owned(), root.to_owned());
        Self(Arc::new(Inner { kind, endpoint, bucket, root, server, passed: Mutex::default() }))
    }

    /// The same store, of which nothing has passed yet.
    pub(crate) fn afresh(&self) -> Self {
        let Inner { kind, endpoint, bucket, root, server, .. } = &*self.0;
        Self::served(kind, endpoint, bucket, root, server.clone())
    }

    /// Where it is, whoever answers there.
    pub(crate) fn place(&self) -> StoreFingerprint {
        let Inner { kind, endpoint, bucket, root, .. } = &*self.0;
        StoreFingerprint::of(kind, endpoint, bucket, root)
    }

    /// The same with whoever answered last.
    pub(crate) fn present(&self) -> StoreFingerprint {
        let newest = self.0.server.names().newest.clone();
        self.with(&newest)
    }

    fn with(&self, server: &str) -> StoreFingerprint {
        let Inner { kind, endpoint, bucket, root, .. } = &*self.0;
        StoreFingerprint::served(kind, endpoint, bucket, root, server)
    }

    /// A probe begins: whoever answers from here on answers it.
    pub(crate) fn listen(&self) {
        self.0.server.names().heard.clear();
    }

    /// It has passed.
    pub(crate) fn pass(&self) {
        let heard = self.0.server.names().heard.clone();
        let mut passed = self.passes();
        passed.extend(heard.iter().map(|name| self.with(name)));
        passed.insert(self.present());
    }

    /// Those for which a probe has passed here.
    pub(crate) fn passed(&self) -> BTreeSet<StoreFingerprint> {
        self.passes().clone()
    }

    fn passes(&self) -> MutexGuard<'_, BTreeSet<StoreFingerprint>> {
        self.0.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_holds_for_the_servers_that_answered_in_it() {
        let server = Server::default();
        let bucket = Identity::served("s3", "http://store:9000", "lake", "", server.clone());
        assert_eq!(bucket.present(), bucket.place());
        server.hear("long ago");
        bucket.listen();
        // One that reads and one that writes, say.
        let heard = ["nginx", "MinIO"].map(|name| {
            server.hear(name);
            bucket.present()
        });
        bucket.pass();
        assert_eq!(bucket.passed(), BTreeSet::from(heard));
        server.hear("rclone/v1.75.2");
        assert!(!bucket.passed().contains(&bucket.present()));
        assert_eq!(bucket.place(), Identity::served("s3", "http://store:9000", "lake", "", server).place());
        assert!(bucket.afresh().passed().is_empty());
    }

    #[test]
    fn what_has_no_server_is_its_place() {
        let folder = Identity::of("folder", "/srv/lake");
        folder.pass();
        assert_eq!(folder.passed(), BTreeSet::from([folder.place()]));
    }
}
