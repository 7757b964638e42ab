//! Looking up keys.

use std::collections::BTreeMap;

use strandline_format::Hash;
use strandline_format::tree::{Children, Columns, Node, NodeRef, Root, TreeKind};

use crate::error::Result;
use crate::tree::Trees;

impl Trees {
    /// The entry of one key. At most as many dependent requests as the tree has levels.
    ///
    /// # Errors
    /// `Corrupt` for a node that is not what its reference says; the store's errors. Dropping the future leaves nothing.
    pub async fn get<K: TreeKind>(&self, root: &Root<K>, key: &K::Key) -> Result<Option<K::Entry>> {
        Ok(self.get_many(root, std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// The entries of many keys, in the order of the keys. Nodes shared by keys are fetched once; as many dependent waves as
    /// the tree has levels.
    ///
    /// # Errors
    /// As [`Trees::get`].
    pub async fn get_many<K: TreeKind>(
        &self,
        root: &Root<K>,
        keys: &[K::Key],
    ) -> Result<Vec<Option<K::Entry>>> {
        let mut found: Vec<Option<K::Entry>> = vec![None; keys.len()];
        let mut wanted = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            match root.edits().get(key) {
                Some(edit) => found[place].clone_from(edit),
                None => wanted.push(place),
            }
        }
        let mut level = root.level();
        let mut paths = follow(root.children(), &wanted, keys);
        while !paths.is_empty() {
            level -= 1;
            let mut below = Vec::new();
            for (node, places) in self.path_nodes(level, paths).await? {
                match &node {
                    Node::Leaf(columns) => pick::<K>(columns, &places, keys, &mut found),
                    Node::Inner(_, children) => below.extend(follow(children, &places, keys)),
                }
            }
            paths = below;
        }
        Ok(found)
    }

    async fn path_nodes<K: TreeKind>(
        &self,
        level: u8,
        paths: Vec<Path<K>>,
    ) -> Result<Vec<(Node<K>, Vec<usize>)>> {
        let (references, mut places): (Vec<_>, BTreeMap<Hash, Vec<usize>>) = paths
            .into_iter()
            .map(|path| (path.reference.clone(), (path.reference.node.hash, path.places)))
            .unzip();
        let nodes = self.nodes(level, references).await?;
        let with_places = |(reference, node): (NodeRef<K>, _)| {
            (node, places.remove(&reference.node.hash).unwrap_or_default())
        };
        Ok(nodes.into_iter().map(with_places).collect())
    }

    /// The last entry for which `holds` is true, where it is true for a first part of the entries and false for the rest.
    ///
    /// `may_hold` says of a child's place whether it is true for the first entry below. At most as many dependent requests as
    /// the tree has levels, and as many more for each leaf whose entries the root's buffer removes.
    ///
    /// # Errors
    /// As [`Trees::get`].
    pub async fn last_where<K: TreeKind>(
        &self,
        root: &Root<K>,
        may_hold: impl Fn(&Children<K>, usize) -> bool + Send + Sync,
        holds: impl Fn(&K::Entry) -> bool + Send + Sync,
    ) -> Result<Option<K::Entry>> {
        let buffered = root.edits().values().flatten().rfind(|entry| holds(entry)).cloned();
        let overridden = |entry: &K::Entry| root.edits().contains_key(&K::key(entry));
        let mut stored = None;
        let mut end: Option<K::Key> = None;
        while let Some((first, leaf)) = self.last_leaf(root, &may_hold, end.as_ref()).await? {
            stored = leaf.items().into_iter().rfind(|entry| holds(entry) && !overridden(entry));
            if stored.is_some() {
                break;
            }
            end = Some(first);
        }
        Ok([stored, buffered].into_iter().flatten().max_by_key(|entry| K::key(entry)))
    }

    /// The last leaf that begins before `end` and may hold what is looked for, with its first key.
    async fn last_leaf<K: TreeKind>(
        &self,
        root: &Root<K>,
        may_hold: impl Fn(&Children<K>, usize) -> bool,
        end: Option<&K::Key>,
    ) -> Result<Option<(K::Key, K::Columns)>> {
        let last = |children: &Children<K>| {
            let early = |at: usize| end.is_none_or(|end| children.first[at] < *end);
            (0..children.len())
                .rfind(|at| early(*at) && may_hold(children, *at))
                .map(|at| children.reference(at))
        };
        let mut level = root.level();
        let mut next = last(root.children());
        while let Some(reference) = next {
            level -= 1;
            let (reference, node) = self.node(level, reference, 1).await?;
            match node {
                Node::Leaf(columns) => return Ok(Some((reference.first, columns))),
                Node::Inner(_, children) => next = last(&children),
            }
        }
        Ok(None)
    }
}

/// A node to fetch, and which of the wanted keys lead there.
struct Path<K: TreeKind> {
    reference: NodeRef<K>,
    places: Vec<usize>,
}

fn follow<K: TreeKind>(children: &Children<K>, places: &[usize], keys: &[K::Key]) -> Vec<Path<K>> {
    let mut routed: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in places {
        if let Some(at) = children.find(&keys[*place]) {
            routed.entry(at).or_default().push(*place);
        }
    }
    routed.into_iter().map(|(at, places)| Path { reference: children.reference(at), places }).collect()
}

fn pick<K: TreeKind>(
    columns: &K::Columns,
    places: &[usize],
    keys: &[K::Key],
    found: &mut [Option<K::Entry>],
) {
    for place in places {
        found[*place] = find::<K>(columns, &keys[*place]).map(|at| columns.item(at));
    }
}

/// The place of a key in a leaf.
fn find<K: TreeKind>(columns: &K::Columns, key: &K::Key) -> Option<usize> {
    let (mut from, mut to) = (0, columns.len());
    while from < to {
        let middle = from.midpoint(to);
        match K::key_at(columns, middle).cmp(key) {
            std::cmp::Ordering::Less => from = middle + 1,
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Greater => to = middle,
        }
    }
    None
}
