//! The tree against an ordered map: random edit histories, whatever the sizes of its nodes.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use strandline_format::tree::{
    Builder, Child, Columns, EncodedNode, Flush, Limits, MAX_LEVEL, Node, NodeMap, NodeRef, Root, TreeKind,
    flush,
};
use strandline_format::{
    Bound, Era, FieldId, FieldStats, FileEntry, FileId, Files, Hash, History, HistoryEntry, ObjectRef,
    PrimitiveType, RowId, RowIds, Seq, Stats, Timestamp, TxnId, Value,
};

/// The nodes of a lake, by hash.
#[derive(Default)]
struct Nodes {
    texts: HashMap<Hash, Vec<u8>>,
}

impl Nodes {
    fn store(&mut self, nodes: Vec<EncodedNode>) {
        for node in nodes {
            assert_eq!(Hash::of(&node.text), node.object.hash);
            self.texts.insert(node.object.hash, node.text);
        }
    }

    fn node(&self, level: u8, reference: &NodeRef<History>) -> Node<History> {
        let node = Node::parse(&self.texts[&reference.node.hash]).unwrap();
        reference.check(level, &node).unwrap();
        node
    }

    /// Edits a root, flushing as often as its buffer wants.
    fn edit(&mut self, mut root: Root<History>, edits: Vec<(Seq, Option<HistoryEntry>)>) -> Root<History> {
        root.edit(edits);
        if !root.is_over_full() {
            return reread(&root);
        }
        let mut nodes = NodeMap::default();
        for _ in 0..20 {
            match flush(&root, &nodes, Era(3)).unwrap() {
                Flush::Need(needed) => {
                    for (level, reference) in needed {
                        nodes.insert(level, &reference, self.node(level, &reference)).unwrap();
                    }
                }
                Flush::Done(root, written) => {
                    self.store(written);
                    return reread(&root);
                }
            }
        }
        panic!("flush keeps asking for nodes");
    }

    fn entries(&self, root: &Root<History>) -> BTreeMap<Seq, HistoryEntry> {
        let mut all = BTreeMap::new();
        for child in root.children().items() {
            self.collect(root.level() - 1, &child, &mut all);
        }
        for (key, edit) in root.edits() {
            match edit {
                Some(entry) => all.insert(*key, entry.clone()),
                None => all.remove(key),
            };
        }
        all
    }

    fn collect(&self, level: u8, child: &Child<History>, all: &mut BTreeMap<Seq, HistoryEntry>) {
        let node = self.node(level, &child.reference);
        assert_eq!(&node.describe(child.reference.node).unwrap(), child, "a summary is what merging gives");
        match &node {
            Node::Leaf(columns) => all.extend(columns.items().into_iter().map(|entry| (entry.seq, entry))),
            Node::Inner(level, children) => {
                assert!(!children.is_empty());
                for child in children.items() {
                    self.collect(level - 1, &child, all);
                }
            }
        }
    }
}

/// What a reader of the root's JSON sees.
fn reread(root: &Root<History>) -> Root<History> {
    let text = History::write_root(root).unwrap();
    let read = History::parse_root(&text).unwrap();
    assert_eq!(&read, root);
    read
}

fn entry(seq: u64, salt: u64) -> HistoryEntry {
    HistoryEntry {
        seq: Seq(seq),
        commit: ObjectRef { hash: Hash::of(&salt.to_le_bytes()), era: Era(salt % 3), size: salt + 1 },
        time: Timestamp::from_micros(i64::try_from(seq).unwrap() * 1_000_000).unwrap(),
        txn: TxnId::from_bytes([u8::try_from(salt % 256).unwrap(); 16]),
        keyed: salt.is_multiple_of(5),
        merged: None,
    }
}

#[derive(Clone, Debug)]
enum Shape {
    Append(u64),
    Scatter(Vec<(u64, bool)>),
    RemoveRange(u64, u64),
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let shape = prop_oneof![
        3 => (1_u64..60).prop_map(Shape::Append),
        3 => prop::collection::vec((0_u64..2_000, prop::bool::weighted(0.6)), 1..60).prop_map(Shape::Scatter),
        1 => (0_u64..2_000, 1_u64..700).prop_map(|(from, len)| Shape::RemoveRange(from, from + len)),
    ];
    prop::collection::vec(shape, 1..40)
}

fn edits_of(
    shape: &Shape,
    model: &BTreeMap<Seq, HistoryEntry>,
    salt: u64,
) -> Vec<(Seq, Option<HistoryEntry>)> {
    let end = model.last_key_value().map_or(0, |(key, _)| key.0 + 1);
    let put = |seq: u64| (Seq(seq), Some(entry(seq, salt + seq)));
    match shape {
        Shape::Append(count) => (end..end + count).map(put).collect(),
        Shape::Scatter(keys) => {
            keys.iter().map(|(key, is_put)| if *is_put { put(*key) } else { (Seq(*key), None) }).collect()
        }
        Shape::RemoveRange(from, to) => (*from..*to).map(|key| (Seq(key), None)).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn holds_what_a_map_holds(shapes in shapes()) {
        let (mut nodes, mut root, mut model) = (Nodes::default(), Root::default(), BTreeMap::new());
        for (salt, shape) in shapes.iter().enumerate() {
            let edits = edits_of(shape, &model, salt as u64 * 10_000);
            for (key, edit) in edits.clone() {
                match edit {
                    Some(entry) => model.insert(key, entry),
                    None => model.remove(&key),
                };
            }
            root = nodes.edit(root, edits);
            prop_assert_eq!(&nodes.entries(&root), &model);
        }
    }
}

#[test]
fn a_bulk_build_holds_its_entries_at_every_size() {
    for count in [0, 1, 5, 20, 200, 5_000] {
        let mut builder = Builder::<History>::new(Era(0));
        (0..count).for_each(|seq| builder.push(entry(seq, seq)).unwrap());
        let mut nodes = Nodes::default();
        nodes.store(builder.take_nodes());
        let (root, rest) = builder.finish().unwrap();
        nodes.store(rest);
        let expected: BTreeMap<Seq, HistoryEntry> =
            (0..count).map(|seq| (Seq(seq), entry(seq, seq))).collect();
        assert_eq!(nodes.entries(&reread(&root)), expected, "{count} entries");
        assert!(root.children().items().iter().map(Child::weight).sum::<usize>() <= History::LIMITS.root);
    }
}

#[test]
fn a_bulk_build_refuses_keys_out_of_order() {
    let mut builder = Builder::<History>::new(Era(0));
    builder.push(entry(2, 0)).unwrap();
    assert!(builder.push(entry(2, 0)).is_err());
}

#[test]
fn nodes_stay_near_their_bounds() {
    let (mut nodes, mut root) = (Nodes::default(), Root::default());
    for seq in 0..3_000 {
        root = nodes.edit(root, vec![(Seq(seq), Some(entry(seq, seq)))]);
    }
    let Limits { leaf, .. } = History::LIMITS;
    assert!(root.level() >= 2);
    for text in nodes.texts.values() {
        assert!(text.len() < leaf + leaf / 4, "a node of {} bytes", text.len());
    }
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let mut nodes = Nodes::default();
    let all = |salt| (0..500).map(|seq| (Seq(seq), Some(entry(seq, salt + seq)))).collect::<Vec<_>>();
    let root = nodes.edit(Root::default(), all(0));
    let before = nodes.texts.len();
    let again = nodes.edit(root.clone(), all(0));
    assert_eq!((nodes.texts.len(), &again), (before, &root));
}

/// A table of few files whose statistics are enormous: its tree ends, whether it is built at once or grown.
#[test]
fn a_tree_of_heavy_entries_ends() {
    for bound in [60, 9_000] {
        let file = |id: u64| {
            let value = Value::Fixed(vec![u8::try_from(id % 251).unwrap(); bound].into());
            let ty = PrimitiveType::Fixed(u32::try_from(bound).unwrap());
            let exact = || Some(Bound::exact(value.clone()));
            let field = FieldStats { min: exact(), max: exact(), nulls: Some(0), ..FieldStats::unknown(ty) };
            let stats = Stats((1..=64).map(|id| (FieldId(id), field.clone())).collect());
            FileEntry { stats: stats.into(), ..heavy_file(id) }
        };
        let mut builder = Builder::<Files>::new(Era(0));
        (0..30).for_each(|id| builder.push(file(id)).unwrap());
        let (built, _) = builder.finish().unwrap();
        assert!(built.level() <= MAX_LEVEL);

        let (mut root, mut nodes) = (Root::<Files>::default(), HashMap::new());
        for id in 0..30 {
            root.edit([(FileId(id), Some(file(id)))]);
            let mut at_hand = NodeMap::default();
            root = loop {
                match flush(&root, &at_hand, Era(0)).unwrap() {
                    Flush::Done(root, written) => {
                        nodes.extend(written.into_iter().map(|node| (node.object.hash, node.text)));
                        break root;
                    }
                    Flush::Need(needed) => needed.iter().for_each(|(level, reference)| {
                        let node = Node::parse(&nodes[&reference.node.hash]).unwrap();
                        at_hand.insert(*level, reference, node).unwrap();
                    }),
                }
            };
        }
        assert_eq!(root.children().count.iter().sum::<u64>(), 30);
    }
}

fn heavy_file(id: u64) -> FileEntry {
    FileEntry {
        id: FileId(id),
        hash: Hash::of(&id.to_le_bytes()),
        era: Era(0),
        size: 100,
        rows: 10,
        footer: 50,
        first_row: RowId(id * 10),
        added: Seq(0),
        fields: 0,
        deletes: None,
        row_groups: vec![4],
        order: None,
        split: None,
        shifts: Default::default(),
        row_ids: RowIds::Derived,
        external: None,
        stats: Stats::default().into(),
    }
}
