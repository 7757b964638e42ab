//! Stored trees against ordered maps: edits, lookups, walks, differences and merges of random histories.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use proptest::prelude::*;
use strandline::tree::{All, Change, Collision, KeyRange, Resolution, Trees};
use strandline_format::tree::Root;
use strandline_format::{Era, Hash, History, HistoryEntry, ObjectRef, Seq, Timestamp, TxnId};

use crate::fixture::{Counted, paused};

type Model = BTreeMap<Seq, HistoryEntry>;
type Edits = Vec<(Seq, Option<HistoryEntry>)>;

fn entry(seq: u64, salt: u64) -> HistoryEntry {
    HistoryEntry {
        seq: Seq(seq),
        commit: ObjectRef { hash: Hash::of(&salt.to_le_bytes()), era: Era(salt % 3), size: salt + 1 },
        time: Timestamp::from_micros(i64::try_from(seq).unwrap() * 1_000_000).unwrap(),
        txn: TxnId::from_bytes([7; 16]),
        keyed: false,
        merged: None,
    }
}

/// Rounds of edits: keys below 1500, a third of them removed, clustered or spread.
fn histories() -> impl Strategy<Value = Vec<Vec<(u64, bool)>>> {
    let spread = prop::collection::vec((0_u64..1_500, prop::bool::weighted(0.66)), 1..120);
    let run = (0_u64..1_500, 1_u64..250, any::<bool>())
        .prop_map(|(from, len, put)| (from..from + len).map(|key| (key, put)).collect::<Vec<_>>());
    prop::collection::vec(prop_oneof![spread, run], 1..12)
}

fn edits(keys: &[(u64, bool)], salt: u64) -> Edits {
    keys.iter().map(|(key, put)| (Seq(*key), put.then(|| entry(*key, salt + key)))).collect()
}

fn apply(model: &mut Model, edits: &Edits) {
    for (key, edit) in edits {
        match edit {
            Some(entry) => model.insert(*key, entry.clone()),
            None => model.remove(key),
        };
    }
}

/// A root, and what it should hold.
#[derive(Clone, Default)]
struct Version {
    root: Root<History>,
    model: Model,
}

impl Version {
    async fn edited(&self, trees: &Trees, edits: Edits) -> Self {
        let mut model = self.model.clone();
        apply(&mut model, &edits);
        let edited = trees.edit(&self.root, edits, Era(1)).await.unwrap();
        trees.upload(edited.nodes).await.unwrap();
        Self { root: edited.root, model }
    }

    async fn check(&self, trees: &Trees) {
        let all = trees.collect(&self.root, &All).await.unwrap();
        assert_eq!(all, self.model.values().cloned().collect::<Vec<_>>());
        let keys: Vec<Seq> = (0..1_800).step_by(37).map(Seq).collect();
        let expected: Vec<_> = keys.iter().map(|key| self.model.get(key).cloned()).collect();
        assert_eq!(trees.get_many(&self.root, &keys).await.unwrap(), expected);
        let range = trees.collect(&self.root, &KeyRange::new(Seq(200)..Seq(700))).await.unwrap();
        assert_eq!(
            range,
            self.model.range(Seq(200)..Seq(700)).map(|(_, entry)| entry.clone()).collect::<Vec<_>>()
        );
        let until = Seq(650);
        let last = trees
            .last_where(&self.root, |children, at| children.first[at] <= until, |entry| entry.seq <= until)
            .await
            .unwrap();
        assert_eq!(last, self.model.range(..=until).next_back().map(|(_, entry)| entry.clone()));
    }
}

fn expected_changes(before: &Model, after: &Model) -> Vec<Change<History>> {
    let keys: std::collections::BTreeSet<Seq> = before.keys().chain(after.keys()).copied().collect();
    let change =
        |key: Seq| Change { key, before: before.get(&key).cloned(), after: after.get(&key).cloned() };
    keys.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_stored_tree_is_an_ordered_map(rounds in histories()) {
        paused(async {
            let trees = Trees::new(Counted::new().storage.objects().clone());
            let mut versions = vec![Version::default()];
            for (salt, keys) in rounds.iter().enumerate() {
                let next = versions.last().unwrap().edited(&trees, edits(keys, salt as u64 * 10_000)).await;
                next.check(&trees).await;
                versions.push(next);
            }
            let newest = versions.last().unwrap();
            for version in &versions {
                let changes: Vec<_> = trees.diff(&version.root, &newest.root).try_collect().await.unwrap();
                assert_eq!(changes, expected_changes(&version.model, &newest.model));
            }
        });
    }

    #[test]
    fn a_merge_does_to_ours_what_changed_in_theirs(
        base in histories(), ours in histories(), theirs in histories(),
    ) {
        paused(async {
            let trees = Trees::new(Counted::new().storage.objects().clone());
            let mut versions = Vec::new();
            for (salt, rounds) in [(0, &base), (1_000_000, &ours), (2_000_000, &theirs)] {
                let mut version = versions.first().cloned().unwrap_or_default();
                for keys in rounds {
                    version = Version::edited(&version, &trees, edits(keys, salt)).await;
                }
                versions.push(version);
            }
            check_merge(&trees, &versions[0], &versions[1], &versions[2]).await;
            check_merge(&trees, &versions[0], &versions[2], &versions[1]).await;
        });
    }
}

async fn check_merge(trees: &Trees, base: &Version, ours: &Version, theirs: &Version) {
    let mut collided = Vec::new();
    let merged = trees
        .merge(&base.root, &ours.root, &theirs.root, |collision: &Collision<History>| {
            collided.push(collision.key);
            // Even keys are decided for theirs, odd ones are left as conflicts.
            if collision.key.0.is_multiple_of(2) {
                Resolution::Edit(collision.theirs.clone())
            } else {
                Resolution::Conflict
            }
        })
        .await
        .unwrap();
    let mut expected = ours.model.clone();
    let mut conflicts = Vec::new();
    for change in expected_changes(&base.model, &theirs.model) {
        let present = ours.model.get(&change.key).cloned();
        let both = present != change.before && present != change.after;
        if both && !change.key.0.is_multiple_of(2) {
            conflicts.push(change.key);
        } else {
            apply(&mut expected, &vec![(change.key, change.after)]);
        }
    }
    assert_eq!(merged.conflicts.iter().map(|conflict| conflict.key).collect::<Vec<_>>(), conflicts);
    let result =
        Version { root: ours.root.clone(), model: ours.model.clone() }.edited(trees, merged.edits).await;
    assert_eq!(result.model, expected);
    result.check(trees).await;
}
