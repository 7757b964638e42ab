//! Nodes of a tree and the references to them.

use crate::error::{Error, Result};
use crate::hash::{Hash, ObjectRef};
use crate::id::Era;
use crate::tree::{Columns, MAX_LEVEL, TreeKind};

/// A node that is an object of its own: a leaf, or an inner node.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::tree::{Columns, Node};
/// use strandline_format::{History, HistoryColumns};
///
/// let leaf = Node::<History>::Leaf(HistoryColumns::from_items(&[version(1), version(2)]));
/// let (_, stored) = leaf.encode(Era(0))?;
/// assert_eq!(Node::parse(&stored.text)?, leaf);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Node<K: TreeKind> {
    /// Entries, in the order of their keys.
    Leaf(K::Columns),
    /// References to nodes one level down; the level is that of this node, at least 1.
    Inner(u8, Children<K>),
}

/// A reference to a node, with what it takes to check the node against it.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::tree::{Columns, Node};
/// use strandline_format::{History, HistoryColumns};
///
/// let leaf = |numbers: &[u64]| {
///     Node::<History>::Leaf(HistoryColumns::from_items(&numbers.iter().copied().map(version).collect::<Vec<_>>()))
/// };
/// let (child, _) = leaf(&[1, 2]).encode(Era(0))?;
/// child.reference.check(0, &leaf(&[1, 2]))?;
/// assert!(child.reference.check(0, &leaf(&[1, 2, 3])).is_err());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRef<K: TreeKind> {
    /// The smallest key below.
    pub first: K::Key,
    /// The greatest key below.
    pub last: K::Key,
    /// The node.
    pub node: ObjectRef,
    /// How many entries are below.
    pub count: u64,
}

/// All that a parent knows of a node.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::tree::{Columns, Node};
/// use strandline_format::{History, HistoryColumns};
///
/// let leaf = Node::<History>::Leaf(HistoryColumns::from_items(&[version(1), version(2)]));
/// let (child, _) = leaf.encode(Era(0))?;
/// assert_eq!((child.reference.first, child.reference.last, child.reference.count), (Seq(1), Seq(2), 2));
/// assert_eq!(child.summary.merges, 0);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Child<K: TreeKind> {
    /// Which node, and what range of keys it holds.
    pub reference: NodeRef<K>,
    /// What the entries below have in common.
    pub summary: K::Summary,
}

/// References to nodes in the order of their keys, an array for each attribute.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::tree::{Children, Columns, Node};
/// use strandline_format::{History, HistoryColumns};
///
/// let leaf = |number| Node::<History>::Leaf(HistoryColumns::from_items(&[version(number), version(number + 1)]));
/// let children = Children::from_items(&[leaf(1).encode(Era(0))?.0, leaf(5).encode(Era(0))?.0]);
/// // Where a key is, if it is anywhere; and where it would go.
/// assert_eq!((children.find(&Seq(6)), children.find(&Seq(4))), (Some(1), None));
/// assert_eq!(children.route(&Seq(9)), 1);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Children<K: TreeKind> {
    /// The smallest key below each.
    pub first: Vec<K::Key>,
    /// The greatest key below each.
    pub last: Vec<K::Key>,
    /// The nodes.
    pub node: Vec<ObjectRef>,
    /// How many entries are below each.
    pub count: Vec<u64>,
    /// What the entries below each have in common.
    pub summary: K::Summaries,
}

/// A node as it is stored.
///
/// ```
/// use strandline_format::tree::EncodedNode;
/// use strandline_format::{Era, Hash};
///
/// let node = EncodedNode::new(b"{}".to_vec(), Era(0));
/// assert_eq!((node.object.hash, node.object.size), (Hash::of(b"{}"), 2));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedNode {
    /// Where it goes and what it is.
    pub object: ObjectRef,
    /// Its JSON text.
    pub text: Vec<u8>,
}

impl EncodedNode {
    /// Names a text that is to be uploaded in this era.
    #[must_use]
    pub fn new(text: Vec<u8>, era: Era) -> Self {
        Self { object: ObjectRef { hash: Hash::of(&text), era, size: text.len() as u64 }, text }
    }
}

impl<K: TreeKind> Node<K> {
    /// How many levels lie below.
    #[must_use]
    pub fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Inner(level, _) => *level,
        }
    }

    /// What the text of a node says.
    ///
    /// # Errors
    /// `Malformed`, `Unsupported` or `TooLarge`.
    pub fn parse(text: &[u8]) -> Result<Self> {
        K::parse_node(text)
    }

    /// The node as it is stored, and the reference that its parent keeps.
    ///
    /// # Errors
    /// `TooLarge` beyond the bound for metadata; `Invalid` if it is empty.
    pub fn encode(&self, era: Era) -> Result<(Child<K>, EncodedNode)> {
        let encoded = EncodedNode::new(K::write_node(self)?, era);
        Ok((self.describe(encoded.object)?, encoded))
    }

    /// The reference that a parent keeps of this node.
    ///
    /// # Errors
    /// `Invalid` if the node is empty.
    pub fn describe(&self, node: ObjectRef) -> Result<Child<K>> {
        let reference = self.range(node)?;
        let summary = match self {
            Self::Leaf(columns) => K::summarize(columns),
            Self::Inner(_, children) => K::merge(children),
        };
        Ok(Child { reference, summary })
    }

    fn range(&self, node: ObjectRef) -> Result<NodeRef<K>> {
        let (ends, count) = match self {
            Self::Leaf(columns) => {
                let ends =
                    columns.len().checked_sub(1).map(|end| (K::key_at(columns, 0), K::key_at(columns, end)));
                (ends, columns.len() as u64)
            }
            Self::Inner(_, children) => {
                let ends = children.first.first().cloned().zip(children.last.last().cloned());
                (ends, children.count.iter().fold(0, |sum: u64, count| sum.saturating_add(*count)))
            }
        };
        let (first, last) = ends.ok_or_else(|| Error::invalid("a node of a tree has at least one entry"))?;
        Ok(NodeRef { first, last, node, count })
    }

    /// Checks what a node must be by itself: keys in order, ranges disjoint, nothing empty.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Leaf(columns) => check_leaf::<K>(columns),
            Self::Inner(level, children) => {
                if *level == 0 || *level > MAX_LEVEL {
                    return Err(Error::malformed(format!(
                        "an inner node has a level of 1 to {MAX_LEVEL}, not {level}"
                    )));
                }
                if children.is_empty() {
                    return Err(Error::malformed("an inner node without children"));
                }
                children.check()
            }
        }
    }
}

fn check_leaf<K: TreeKind>(columns: &K::Columns) -> Result<()> {
    if columns.is_empty() {
        return Err(Error::malformed("a leaf without entries"));
    }
    check_ascending::<K>(columns)
}

/// Refuses entries whose keys do not ascend strictly [TREE-4].
pub(crate) fn check_ascending<K: TreeKind>(columns: &K::Columns) -> Result<()> {
    let keys: Vec<K::Key> = (0..columns.len()).map(|at| K::key_at(columns, at)).collect();
    match keys.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(Error::malformed(format!("key {} stands before {}", pair[0], pair[1]))),
        None => Ok(()),
    }
}

impl<K: TreeKind> NodeRef<K> {
    /// Checks a node against the reference that led to it [TREE-7]. The summary is `verify`'s business: it costs more.
    ///
    /// # Errors
    /// `Malformed`, naming what differs.
    pub fn check(&self, level: u8, node: &Node<K>) -> Result<()> {
        if node.level() != level {
            return Err(Error::malformed(format!(
                "a node of level {}, its parent expects {level}",
                node.level()
            )));
        }
        let found = node.range(self.node).map_err(Error::stored)?;
        if (&found.first, &found.last, found.count) == (&self.first, &self.last, self.count) {
            return Ok(());
        }
        Err(Error::malformed(format!(
            "a node holds {} entries from {} to {}, its parent expects {} from {} to {}",
            found.count, found.first, found.last, self.count, self.first, self.last
        )))
    }
}

impl<K: TreeKind> Child<K> {
    /// About how many bytes of JSON the reference takes in its parent.
    #[must_use]
    pub fn weight(&self) -> usize {
        const HASH_ERA_SIZE_COUNT: usize = 67 + 2 + 6 + 6;
        HASH_ERA_SIZE_COUNT
            + display_len(&self.reference.first)
            + display_len(&self.reference.last)
            + 2
            + K::summary_weight(&self.summary)
    }
}

/// How long the text of a key is.
pub(crate) fn display_len(value: &impl std::fmt::Display) -> usize {
    struct Count(usize);
    impl std::fmt::Write for Count {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail; a `Display` that fails has no length worth knowing.
    let _ = std::fmt::write(&mut count, format_args!("{value}"));
    count.0
}

impl<K: TreeKind> Children<K> {
    /// No children.
    #[must_use]
    pub fn empty() -> Self {
        Self::from_items(&[])
    }

    /// One reference; `at` is below the number of children.
    #[must_use]
    pub fn reference(&self, at: usize) -> NodeRef<K> {
        NodeRef {
            first: self.first[at].clone(),
            last: self.last[at].clone(),
            node: self.node[at],
            count: self.count[at],
        }
    }

    /// The place of the one child whose range holds `key`, if any.
    #[must_use]
    pub fn find(&self, key: &K::Key) -> Option<usize> {
        let at = self.last.partition_point(|last| last < key);
        (at < self.len() && self.first[at] <= *key).then_some(at)
    }

    /// The place of the child that an edit of `key` belongs to: the last that begins at or before it, else the first.
    #[must_use]
    pub fn route(&self, key: &K::Key) -> usize {
        self.first.partition_point(|first| first <= key).saturating_sub(1)
    }

    /// Refuses ranges that are reversed, overlap or do not ascend [TREE-5].
    pub(crate) fn check(&self) -> Result<()> {
        for at in 0..self.len() {
            let reversed = self.first[at] > self.last[at];
            let overlaps = at > 0 && self.last[at - 1] >= self.first[at];
            if reversed || overlaps {
                let (first, last) = (&self.first[at], &self.last[at]);
                return Err(Error::malformed(format!(
                    "the range {first} to {last} of child {at} is out of order"
                )));
            }
            if self.count[at] == 0 {
                return Err(Error::malformed(format!("child {at} has no entries")));
            }
        }
        Ok(())
    }
}

impl<K: TreeKind> Columns for Children<K> {
    type Item = Child<K>;

    fn from_items(items: &[Child<K>]) -> Self {
        let summaries: Vec<K::Summary> = items.iter().map(|child| child.summary.clone()).collect();
        Self {
            first: items.iter().map(|child| child.reference.first.clone()).collect(),
            last: items.iter().map(|child| child.reference.last.clone()).collect(),
            node: items.iter().map(|child| child.reference.node).collect(),
            count: items.iter().map(|child| child.reference.count).collect(),
            summary: K::Summaries::from_items(&summaries),
        }
    }

    fn len(&self) -> usize {
        self.node.len()
    }

    fn item(&self, at: usize) -> Child<K> {
        Child { reference: self.reference(at), summary: self.summary.item(at) }
    }
}
