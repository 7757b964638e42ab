//! A collection by the letter of [GC-2] and [GC-3], for the races of refs with one: it deletes commits only, which is what a
//! ref that lost its footing would miss.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use strandline::Lake;
use strandline::storage::{RefKind, Swap};
use strandline::tree::{All, Trees};
use strandline_format::{
    Commit, Era, Hash, HistoryEntry, ObjectPath, ObjectRef, PathKind, Pointer, RefState, Seq, Tag,
};

/// One whole collection. Needs a live branch, and nobody who swaps as fast as it does for ever.
pub(crate) async fn collect(lake: &Lake, store: &Arc<dyn ObjectStore>) {
    let era = next_era(&pointers(lake).await);
    let (mut fenced, mut tags) = (BTreeMap::new(), BTreeMap::new());
    loop {
        let mut all_known = true;
        for name in lake.storage().refs().list(RefKind::Tag).await.unwrap() {
            if !tags.contains_key(name.as_str()) {
                all_known = false;
                tags.insert(name.as_str().to_owned(), fence_tag(lake, ObjectPath::tag(&name)).await);
            }
        }
        for name in lake.storage().refs().list(RefKind::Branch).await.unwrap() {
            if !fenced.contains_key(name.as_str()) {
                all_known = false;
                fenced.insert(name.as_str().to_owned(), fence(lake, ObjectPath::branch(&name), era).await);
            }
        }
        if all_known {
            break;
        }
    }
    let kept = mark(lake, fenced.values(), tags.values()).await;
    sweep(store, &kept, era).await;
}

async fn pointers(lake: &Lake) -> Vec<Pointer> {
    let mut found = Vec::new();
    for name in lake.storage().refs().list(RefKind::Branch).await.unwrap() {
        let loaded = lake.storage().refs().load(&ObjectPath::branch(&name)).await.unwrap().unwrap();
        found.push(Pointer::parse(&loaded.bytes).unwrap());
    }
    found
}

/// T of [GC-2]. Branches that are two eras behind cannot be: this is the only collector, and raises all.
fn next_era(pointers: &[Pointer]) -> Era {
    let greatest = pointers.iter().map(Pointer::era).max().unwrap();
    let all = pointers.iter().all(|pointer| pointer.era() == greatest);
    if all { Era(greatest.0 + 1) } else { greatest }
}

async fn fence(lake: &Lake, path: ObjectPath, era: Era) -> Pointer {
    loop {
        let loaded = lake.storage().refs().load(&path).await.unwrap().unwrap();
        let nonce = lake.storage().runtime().nonce().unwrap();
        let next = Pointer::parse(&loaded.bytes).unwrap().next(nonce).unwrap();
        let next = next.drop_outdated_pins().fence(era).unwrap().finish();
        let bytes = next.to_json().unwrap().into();
        match lake.storage().refs().swap(&path, Some(&loaded.token), bytes).await.unwrap() {
            Swap::Swapped(_) => return next,
            Swap::Moved(_) => {}
            Swap::Unknown(error) => panic!("{error}"),
        }
    }
}

async fn fence_tag(lake: &Lake, path: ObjectPath) -> Tag {
    loop {
        let loaded = lake.storage().refs().load(&path).await.unwrap().unwrap();
        let next =
            Tag::parse(&loaded.bytes).unwrap().renew(lake.storage().runtime().nonce().unwrap()).unwrap();
        let bytes = next.to_json().unwrap().into();
        match lake.storage().refs().swap(&path, Some(&loaded.token), bytes).await.unwrap() {
            Swap::Swapped(_) => return next,
            Swap::Moved(_) => {}
            Swap::Unknown(error) => panic!("{error}"),
        }
    }
}

/// The commits that these states keep [GC-6].
async fn mark(
    lake: &Lake,
    pointers: impl Iterator<Item = &Pointer>,
    tags: impl Iterator<Item = &Tag>,
) -> BTreeSet<Hash> {
    let mut kept = BTreeSet::new();
    for pointer in pointers {
        if pointer.state() == RefState::Live {
            keep(lake, pointer.head(), pointer.expired_before(), &mut kept).await;
        }
        for pin in pointer.pins() {
            keep(lake, pin.commit, pin.from, &mut kept).await;
        }
    }
    kept.extend(tags.filter(|tag| tag.state() == RefState::Live).map(|tag| tag.target().commit.hash));
    kept
}

async fn keep(lake: &Lake, tip: ObjectRef, from: Seq, kept: &mut BTreeSet<Hash>) {
    let trees = Trees::new(lake.storage().objects().clone());
    kept.insert(tip.hash);
    let commit = Commit::parse(&trees.text(&tip).await.expect("what a ref keeps is there")).unwrap();
    let entries: Vec<HistoryEntry> = trees.collect(&commit.history, &All).await.unwrap();
    kept.extend(entries.into_iter().filter(|entry| entry.seq >= from).map(|entry| entry.commit.hash));
}

/// Deletes the commits below the last era but one that nothing keeps.
async fn sweep(store: &Arc<dyn ObjectStore>, kept: &BTreeSet<Hash>, era: Era) {
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    for meta in listed {
        let Some(PathKind::Meta { hash, era: of, compressed: false }) =
            ObjectPath::parse(meta.location.as_ref())
        else {
            continue;
        };
        if kept.contains(&hash) || of.0 + 1 >= era.0 {
            continue;
        }
        let text = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
        if Commit::parse(&text).is_ok() {
            store.delete(&meta.location).await.unwrap();
        }
    }
}

/// That every ref leads to a commit that is there, as do all versions that branches keep.
pub(crate) async fn check_whole(lake: &Lake, what: &str) {
    for found in lake.branches().await.unwrap_or_else(|error| panic!("{what}: {error}")) {
        // The pack would hide that the head's own object is gone.
        let pointer = lake.branch(&found.name).await.unwrap().pointer().head();
        let object = lake.storage().objects().get_meta(&pointer).await;
        object.unwrap_or_else(|error| panic!("{what}: branch {}: {error}", found.name));
        let head = lake.at(format!("branch:{}", found.name)).await.unwrap();
        let log: strandline::Result<Vec<_>> = head.log().stream().try_collect().await;
        let log = log.unwrap_or_else(|error| panic!("{what}: branch {}: {error}", found.name));
        assert_eq!(log.len() as u64, found.version.0 + 1 - found.oldest.0, "{what}: branch {}", found.name);
    }
    for found in lake.tags().await.unwrap_or_else(|error| panic!("{what}: {error}")) {
        let tagged = lake.at(format!("tag:{}", found.name)).await;
        let tagged = tagged.unwrap_or_else(|error| panic!("{what}: tag {}: {error}", found.name));
        assert_eq!((tagged.commit().hash(), tagged.version()), (found.commit, found.version), "{what}");
    }
}
