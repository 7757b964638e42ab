//! What trees of a million entries cost, in requests and bytes.

use futures::{StreamExt, stream};
use strandline::tree::Trees;
use strandline_format::tree::{Columns, EncodedNode, Root, TreeKind};
use strandline_format::{COMPRESS_ABOVE, Era, FileColumns, FileId, Files};
use strandline_testkit::generate::entries;

use crate::fixture::{Counted, paused};

const MILLION: u64 = 1_000_000;

/// As the owner of a root, a table node say, would be stored: the root's text is what it is made of.
fn stored_size(text: &[u8]) -> u64 {
    if text.len() as u64 > COMPRESS_ABOVE {
        zstd::encode_all(text, 3).unwrap().len() as u64
    } else {
        text.len() as u64
    }
}

async fn build(counted: &Counted, count: u64) -> Root<Files> {
    let trees = Trees::new(counted.storage.objects().clone());
    trees
        .build::<Files>(stream::iter((0..count).map(|id| Ok(entries::file(id)))).boxed(), Era(0))
        .await
        .unwrap()
}

/// What another process makes of the text of a root.
fn reopened(root: &Root<Files>) -> Root<Files> {
    Files::parse_root(&Files::write_root(root).unwrap()).unwrap()
}

#[test]
fn a_tree_of_a_million_files() {
    paused(async {
        let counted = Counted::new();
        let root = build(&counted, MILLION).await;
        point_lookups_are_shallow(&counted, &root).await;
        appends_are_cheap_and_stay_so(&counted, &root).await;
        differences_cost_what_differs(&counted, &root).await;
    });
}

/// With the root in hand, as a pointer's pack or a table node gives it, the rest of a lookup is at most three requests, so
/// with the owner's own at most four.
async fn point_lookups_are_shallow(counted: &Counted, root: &Root<Files>) {
    for id in [0, 1, 499_999, 777_777, MILLION - 1] {
        let cold = counted.cold();
        let trees = Trees::new(cold.storage.objects().clone());
        let (found, counts) = cold.store.measure(trees.get(&reopened(root), &FileId(id))).await;
        assert_eq!(found.unwrap(), Some(entries::file(id)));
        assert!(counts.depth() <= 3 && counts.total().requests <= 3, "{counts}");
    }
}

/// 10,000 appends of one entry, each of which writes its owner.
async fn appends_are_cheap_and_stay_so(counted: &Counted, root: &Root<Files>) {
    const APPENDS: u64 = 10_000;
    let trees = Trees::new(counted.storage.objects().clone());
    let mut root = root.clone();
    let mut costs: Vec<(u64, u64)> = Vec::new();
    for id in MILLION..MILLION + APPENDS {
        let edited = trees.edit(&root, [(FileId(id), Some(entries::file(id)))], Era(0)).await.unwrap();
        let owner = stored_size(Files::write_root(&edited.root).unwrap().as_bytes());
        let nodes: u64 = edited.nodes.iter().map(|node: &EncodedNode| stored_size(&node.text)).sum();
        costs.push((1 + edited.nodes.len() as u64, owner + nodes));
        trees.upload(edited.nodes).await.unwrap();
        root = edited.root;
    }
    let average = |costs: &[(u64, u64)]| {
        let sum = costs.iter().fold((0, 0), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1));
        (sum.0 as f64 / costs.len() as f64, sum.1 as f64 / costs.len() as f64)
    };
    let (objects, bytes) = average(&costs);
    println!("an append: {objects:.2} objects, {bytes:.0} bytes");
    assert!(objects <= 2.0 && bytes <= 8.0 * 1024.0, "{objects} objects, {bytes} bytes");
    let (first, last) = (average(&costs[..100]).1, average(&costs[costs.len() - 100..]).1);
    println!("the first hundred: {first:.0} bytes, the last: {last:.0} bytes");
    assert!(last <= 1.1 * first, "first {first}, last {last}");
    let worst = costs.chunks(100).map(|hundred| average(hundred).1).fold(0.0, f64::max);
    assert!(worst <= 1.25 * first, "first {first}, worst hundred {worst}");
    assert_eq!(
        trees.get(&root, &FileId(MILLION + APPENDS - 1)).await.unwrap().unwrap().id,
        FileId(MILLION + APPENDS - 1)
    );
}

async fn differences_cost_what_differs(counted: &Counted, root: &Root<Files>) {
    let trees = Trees::new(counted.storage.objects().clone());
    let changed = |id: u64| {
        (
            FileId(id * 99_991),
            Some(entries::file(id * 99_991 + 5))
                .map(|file| strandline_format::FileEntry { id: FileId(id * 99_991), ..file }),
        )
    };
    let buffered = trees.edit(root, (1..=10).map(changed), Era(0)).await.unwrap().root;
    // Enough appends to push the ten changes down into their leaves.
    let mut flushed = buffered.clone();
    for id in MILLION.. {
        let edited = trees.edit(&flushed, [(FileId(id), Some(entries::file(id)))], Era(0)).await.unwrap();
        trees.upload(edited.nodes).await.unwrap();
        flushed = edited.root;
        if flushed.edits().is_empty() {
            break;
        }
    }
    for (name, after) in [("buffered", &buffered), ("flushed", &flushed)] {
        let cold = counted.cold();
        let trees = Trees::new(cold.storage.objects().clone());
        let (changes, counts) = cold.store.measure(trees.changes(&reopened(root), &reopened(after))).await;
        let changes = changes.unwrap();
        assert_eq!(changes.iter().filter(|change| change.before.is_some()).count(), 10);
        println!("a difference of ten, {name}: {counts}");
        assert!(counts.total().requests <= 64, "{name}: {counts}");
    }
}

/// A file entry with statistics for eight fields: at most 400 bytes in a leaf, 150 compressed.
#[test]
fn an_entry_is_small() {
    let files: Vec<_> = (0..160).map(|id| entries::file(500_000 + id)).collect();
    let leaf = strandline_format::tree::Node::<Files>::Leaf(FileColumns::from_items(&files));
    let text = Files::write_node(&leaf).unwrap();
    let (raw, packed) = (text.len() / files.len(), zstd::encode_all(&*text, 3).unwrap().len() / files.len());
    println!("an entry: {raw} bytes, {packed} compressed");
    assert!(raw <= 400 && packed <= 150, "{raw} bytes, {packed} compressed");
    let estimate = files.iter().map(Files::entry_weight).sum::<usize>();
    assert!(estimate.abs_diff(text.len()) < text.len() / 10, "estimated {estimate}, is {}", text.len());
}
