//! What makes a store this one and not another: what is asked for, and who answers [PTR-13].
//!
//! Invariants: where a store is never changes while it is open; who answers is what the transport last heard from the store
//! itself, never from whoever hands out credentials; a probe that has passed holds for the servers that it has tried and no
//! other [STO-9]: behind some addresses several answer, by turns or one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strandline_format::StoreFingerprint;

/// What a server has just done for the store that it says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It showed what stands there, or that nothing has changed.
    Read,
    /// It took a put.
    Put,
    /// It refused to create what was there.
    RefusedCreation,
    /// It refused a swap by a token that did not fit.
    RefusedSwap,
}

/// What the server of a bucket calls itself, as its newest answer says. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server(Arc<Mutex<Names>>);

#[derive(Debug, Default)]
struct Names {
    newest: String,
    /// Who answered first since somebody began to listen, and all that did since, with what they did.
    first: Option<String>,
    heard: BTreeMap<String, Part>,
}

/// What one server has done of a probe.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    puts: bool,
    refused_creation: bool,
    refused_swap: bool,
}

impl Part {
    fn add(&mut self, deed: Deed) {
        match deed {
            Deed::Read => {}
            Deed::Put => self.puts = true,
            Deed::RefusedCreation => (self.puts, self.refused_creation) = (true, true),
            Deed::RefusedSwap => (self.puts, self.refused_swap) = (true, true),
        }
    }

    /// Whether it has shown that it looks at both conditions.
    fn is_tried(self) -> bool {
        self.refused_creation && self.refused_swap
    }
}

impl Names {
    /// Those that a probe has tried which came out right. Of several, that is whoever refused what was to be refused: another one may
    /// have taken the place of the first at the last request. Who answers no put but reads from the first request to the last is a
    /// cache before the store.
    fn tried(&self) -> impl Iterator<Item = &str> {
        let alone = self.heard.len() <= 1;
        let reads = |name: &str| self.first.as_deref() == Some(name) && self.newest == name;
        let tried = move |name: &str, part: &Part| alone || part.is_tried() || !part.puts && reads(name);
        self.heard.iter().filter(move |(name, part)| tried(name, part)).map(|(name, _)| name.as_str())
    }
}

impl Server {
    /// Takes in what an answer says, and to what; nothing, if it does not say it.
    pub(crate) fn hear(&self, name: &str, deed: Deed) {
        let mut names = self.names();
        if names.newest != name {
            name.clone_into(&mut names.newest);
        }
        if names.first.is_none() {
            names.first = Some(name.to_owned());
        }
        if let Some(part) = names.heard.get_mut(name) {
            part.add(deed);
            return;
        }
        names.heard.entry(name.to_owned()).or_default().add(deed);
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

    #[cfg(test)]
    pub(crate) fn hear(&self, name: &str) {
        self.0.server.hear(name, Deed::Read);
    }

    /// A probe begins: whoever answers from here on answers it.
    pub(crate) fn listen(&self) {
        let mut names = self.0.server.names();
        names.first = None;
        names.heard.clear();
    }

    /// It has passed, for those that it has tried; gives those that answered in it and were not.
    pub(crate) fn pass(&self) -> Vec<String> {
        let names = self.0.server.names();
        let mut passed = self.passes();
        if names.newest.is_empty() && names.heard.is_empty() {
            // There is no server, or none that is listened to.
            passed.insert(self.place());
        }
        passed.extend(names.tried().map(|name| self.with(name)));
        let tried: BTreeSet<&str> = names.tried().collect();
        names.heard.keys().filter(|name| !tried.contains(name.as_str())).cloned().collect()
    }

    /// Somebody else's probe has passed for these: that of whoever answered last counts here.
    pub(crate) fn believe(&self, stores: &[StoreFingerprint]) {
        let present = self.present();
        self.passes().extend(stores.iter().filter(|store| **store == present));
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

    fn bucket(server: &Server) -> Identity {
        Identity::served("s3", "http://store:9000", "lake", "", server.clone())
    }

    /// Which of all names have passed, after a probe in which these did this, one after the other.
    fn passed<'a>(done: &[(&'a str, Deed)]) -> Vec<&'a str> {
        let server = Server::default();
        let bucket = bucket(&server);
        server.hear("long ago", Deed::RefusedCreation);
        server.hear("long ago", Deed::RefusedSwap);
        bucket.listen();
        done.iter().for_each(|(name, deed)| server.hear(name, *deed));
        let left = bucket.pass();
        let (passed, names) = (bucket.passed(), done.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>());
        assert!(!passed.contains(&bucket.with("long ago")));
        let (yes, no): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| passed.contains(&bucket.with(name)));
        assert_eq!(no, left);
        yes
    }

    #[test]
    fn a_probe_holds_for_the_servers_that_it_has_tried() {
        use Deed::{Put, Read, RefusedCreation, RefusedSwap};
        let whole = |name| [Read, Put, RefusedCreation, RefusedSwap, Read].map(|deed| (name, deed));
        assert_eq!(passed(&whole("MinIO")), ["MinIO"]);
        // It may answer by other statuses than those that are listened for.
        assert_eq!(passed(&[("MinIO", Read), ("MinIO", Put)]), ["MinIO"]);
        // The one was exchanged for the other, at the last request, the last put, and the last race.
        let last = |deeds: &[Deed]| {
            let exchanged = deeds.iter().map(|deed| ("rclone", *deed));
            whole("MinIO").into_iter().chain(exchanged).collect::<Vec<_>>()
        };
        for deeds in [&[Read][..], &[Put], &[RefusedSwap, Read], &[Put, RefusedCreation, Read]] {
            assert_eq!(passed(&last(deeds)), ["MinIO"], "{deeds:?}");
        }
        // A balancer with two behind it, each of which was tried.
        let both = [whole("head 1"), whole("head 2")].concat();
        assert_eq!(passed(&both), ["head 1", "head 2"]);
        // A cache, which answers reads alone.
        let cached = [("cache", Read), ("MinIO", Put), ("MinIO", RefusedCreation), ("MinIO", RefusedSwap)];
        assert_eq!(passed(&[&cached[..], &[("cache", Read)]].concat()), ["MinIO", "cache"]);
        assert_eq!(passed(&[&cached[..], &[("cache", Put), ("cache", Read)]].concat()), ["MinIO"]);
    }

    #[test]
    fn who_answers_next_is_another_one() {
        let server = Server::default();
        let bucket = bucket(&server);
        assert_eq!(bucket.present(), bucket.place());
        bucket.listen();
        server.hear("MinIO", Deed::Put);
        assert!(bucket.pass().is_empty() && bucket.passed().contains(&bucket.present()));
        server.hear("rclone/v1.75.2", Deed::Read);
        assert!(!bucket.passed().contains(&bucket.present()));
        assert_eq!(bucket.place(), self::bucket(&server).place());
        assert!(bucket.afresh().passed().is_empty());
        // What another one's probe has passed for counts for whoever answers, and for nobody else.
        let (rclone, other) = (bucket.with("rclone/v1.75.2"), bucket.with("another"));
        bucket.believe(&[other]);
        assert!(!bucket.passed().contains(&other) && !bucket.passed().contains(&rclone));
        bucket.believe(&[other, rclone]);
        assert!(!bucket.passed().contains(&other) && bucket.passed().contains(&rclone));
    }

    #[test]
    fn what_has_no_server_is_its_place() {
        let folder = Identity::of("folder", "/srv/lake");
        folder.listen();
        assert!(folder.pass().is_empty());
        assert_eq!(folder.passed(), BTreeSet::from([folder.place()]));
    }
}
