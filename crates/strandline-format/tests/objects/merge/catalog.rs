//! Catalogs, as maps from short names to numbers that stand for ids and nodes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use strandline_format::merge::{CatalogConflictKind, CatalogMerge, MergedNode, merge_catalogs};
use strandline_format::*;

use CatalogConflictKind as Kind;

fn object(node: u8) -> ObjectRef {
    ObjectRef { hash: Hash::of(&[node]), era: Era(0), size: 1 }
}

fn entry(name: &str, entry_type: EntryType, id: u8, node: u8) -> CatalogEntry {
    let name = TableName::new(name).unwrap();
    CatalogEntry { name, entry_type, id: TableId::from_random([id; 16]), node: object(node) }
}

/// A catalog written as `a=1.0 n/=2.0 v?=3.1`: tables, namespaces with a slash, views with a question mark; each has its id
/// and its node.
fn catalog(text: &str) -> Vec<CatalogEntry> {
    let parse = |word: &str| {
        let (name, numbers) = word.split_once('=').unwrap();
        let (id, node) = numbers.split_once('.').unwrap();
        let (name, entry_type) = match name.strip_suffix(['/', '?']) {
            Some(stem) if name.ends_with('/') => (stem, EntryType::Namespace),
            Some(stem) => (stem, EntryType::View),
            None => (name, EntryType::Table),
        };
        entry(name, entry_type, id.parse().unwrap(), node.parse().unwrap())
    };
    text.split_whitespace().map(parse).collect()
}

/// Our catalog with the merge's edits; a node to be merged is `m`.
fn applied(ours: &[CatalogEntry], merge: &CatalogMerge) -> String {
    let node =
        |object: ObjectRef| (0..=255_u8).find(|node| Hash::of(&[*node]) == object.hash).unwrap().to_string();
    let id = |id: TableId| id.as_bytes()[0];
    let mut map: BTreeMap<NameKey, String> = BTreeMap::new();
    for entry in ours {
        map.insert(entry.name.key().clone(), format!("{}={}.{}", entry.name, id(entry.id), node(entry.node)));
    }
    for key in &merge.removes {
        map.remove(key).expect("what is removed was there");
    }
    for put in &merge.puts {
        assert!(!merge.removes.contains(put.name.key()), "{} is put, so it is not removed", put.name);
        let node = match put.node {
            MergedNode::Taken(object) => node(object),
            MergedNode::Merge { .. } => "m".to_owned(),
        };
        map.insert(put.name.key().clone(), format!("{}={}.{node}", put.name, id(put.id)));
    }
    map.into_values().collect::<Vec<_>>().join(" ")
}

fn check(base: &str, ours: &str, theirs: &str, expected: &str) {
    let merge = merge_catalogs(&catalog(base), &catalog(ours), &catalog(theirs));
    assert_eq!(merge.conflicts, [], "{base} | {ours} | {theirs}");
    assert_eq!(applied(&catalog(ours), &merge), expected, "{base} | {ours} | {theirs}");
}

fn check_conflicts(base: &str, ours: &str, theirs: &str, expected: &[Kind]) {
    for (ours, theirs) in [(ours, theirs), (theirs, ours)] {
        let merge = merge_catalogs(&catalog(base), &catalog(ours), &catalog(theirs));
        let kinds: Vec<Kind> = merge.conflicts.iter().map(|conflict| conflict.kind).collect();
        assert_eq!(kinds, expected, "{base} | {ours} | {theirs}");
    }
}

#[test]
fn changes_of_one_side_are_taken() {
    check("a=1.0", "a=1.0", "a=1.1", "a=1.1");
    check("a=1.0", "a=1.1", "a=1.0", "a=1.1");
    check("a=1.0", "a=1.0 b=2.0", "a=1.0 c=3.0", "a=1.0 b=2.0 c=3.0");
    check("a=1.0 b=2.0", "a=1.0", "b=2.0", "");
    check("a=1.0", "a=1.0", "b=1.0", "b=1.0");
    check("a=1.0", "a=1.0", "A=1.0", "A=1.0");
    check("a=1.0", "b=1.0", "b=1.0", "b=1.0");
    check("a=1.0", "a=1.1", "a=1.2", "a=1.m");
    check("a=1.0", "b=1.1", "a=1.2", "b=1.m");
    check("a=1.0", "a=1.1", "b=1.0", "b=1.1");
    // Names change hands.
    check("a=1.0 b=2.0", "a=1.0 b=2.0", "b=1.0 a=2.0", "a=2.0 b=1.0");
    check("a=1.0", "a=1.0", "b=1.0 a=2.0", "a=2.0 b=1.0");
    check("a=1.0", "b=1.0", "a=1.0 c=2.0", "b=1.0 c=2.0");
    check("n/=1.0 n.a=2.0", "n/=1.0 n.a=2.0", "", "");
    check("n/=1.0", "n/=3.0", "n/=1.0 n.a=2.0", "n=3.0 n.a=2.0");
}

#[test]
fn disagreements_are_told() {
    check_conflicts("a=1.0", "", "a=1.1", &[Kind::Dropped]);
    check_conflicts("a=1.0", "", "b=1.0", &[Kind::Dropped]);
    check_conflicts("a=1.0", "b=1.0", "c=1.0", &[Kind::Renamed]);
    check_conflicts("", "a=1.0", "a=2.0", &[Kind::SameName]);
    check_conflicts("", "a=1.0", "A=2.0", &[Kind::SameName]);
    check_conflicts("b=1.0", "a=1.0", "b=1.0 a=2.0", &[Kind::SameName]);
    check_conflicts("v?=1.0", "v?=1.1", "v?=1.2", &[Kind::Changed]);
    check_conflicts("n/=1.0", "n/=1.1", "n/=1.2", &[Kind::Changed]);
    check_conflicts("", "a=1.0", "a=1.1", &[Kind::Changed]);
    check_conflicts("n/=1.0", "", "n/=1.0 n.a=2.0", &[Kind::NamespaceInUse]);
    // The name of a namespace went to something that holds nothing.
    check_conflicts("n/=1.0", "n=3.0", "n/=1.0 n.a=2.0", &[Kind::NamespaceInUse]);
    check_conflicts("n/=1.0", "N?=3.0", "n/=1.0 n.a=2.0", &[Kind::NamespaceInUse]);
    check_conflicts(
        "n/=1.0 a=2.0 b=3.0",
        "a=2.1",
        "n/=1.1 b=3.1",
        &[Kind::Dropped, Kind::Dropped, Kind::Dropped],
    );
}

/// Catalogs of a few ids, so that the sides meet often; no name twice.
fn any_catalog() -> impl Strategy<Value = String> {
    prop::collection::btree_map(1..6_u8, ("[a-e]", 0..3_u8), 0..5).prop_map(|entries| {
        let mut names = std::collections::BTreeSet::new();
        let words = entries.into_iter().filter(|(_, (name, _))| names.insert(name.clone()));
        words.map(|(id, (name, node))| format!("{name}={id}.{node}")).collect::<Vec<_>>().join(" ")
    })
}

proptest! {
    #[test]
    fn the_base_gives_the_other_side(base in any_catalog(), side in any_catalog()) {
        let (base_catalog, side_catalog) = (catalog(&base), catalog(&side));
        let theirs = merge_catalogs(&base_catalog, &base_catalog, &side_catalog);
        let ours = merge_catalogs(&base_catalog, &side_catalog, &base_catalog);
        prop_assert_eq!(&theirs.conflicts, &[]);
        prop_assert_eq!(&ours, &CatalogMerge::default());
        prop_assert_eq!(applied(&base_catalog, &theirs), applied(&side_catalog, &ours));
    }

    #[test]
    fn the_same_twice_is_the_same(base in any_catalog(), side in any_catalog()) {
        let both = catalog(&side);
        let merge = merge_catalogs(&catalog(&base), &both, &both);
        let told = merge.conflicts.iter().all(|conflict| conflict.kind == Kind::Changed);
        prop_assert!(told && merge.conflicts.is_empty(), "{merge:?}");
        prop_assert_eq!(merge, CatalogMerge::default());
    }

    #[test]
    fn the_sides_are_equal(base in any_catalog(), ours in any_catalog(), theirs in any_catalog()) {
        let (base, ours, theirs) = (catalog(&base), catalog(&ours), catalog(&theirs));
        let (one, other) = (merge_catalogs(&base, &ours, &theirs), merge_catalogs(&base, &theirs, &ours));
        let kinds = |merge: &CatalogMerge| merge.conflicts.iter().map(|conflict| conflict.kind).collect::<Vec<_>>();
        prop_assert_eq!(kinds(&one), kinds(&other));
        if one.conflicts.is_empty() {
            prop_assert_eq!(applied(&ours, &one), applied(&theirs, &other));
        }
    }
}
