//! The history: the commits before a commit, along its first parents, by version [HIST-1].
//!
//! An entry says enough to find a commit by version or time, to know a transaction again, and to find common ancestors,
//! without fetching the commit.

mod keys;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::hash::{Hash, ObjectRef};
use crate::id::{Era, Seq, TxnId};
use crate::time::Timestamp;
use crate::tree::wire::{self, RefColumns, WireKind};
use crate::tree::{Children, Columns, Limits, Node, Root, Sparse, TreeKind};

pub use keys::KeyFilter;

/// The history's use of the tree.
///
/// ```
#[doc = include_str!("history/version.example")]
/// use strandline_format::History;
/// use strandline_format::tree::{Root, TreeKind};
///
/// let mut history = Root::<History>::default();
/// history.edit((1..=3).map(|number| (Seq(number), Some(version(number)))));
/// assert_eq!(History::parse_root(&History::write_root(&history)?)?, history);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct History;

/// A commit that was merged into a branch: the second parent of a merge.
///
/// ```
#[doc = include_str!("history/version.example")]
/// use strandline_format::MergedCommit;
///
/// // Version 4 is a merge of another branch's version 3.
/// let merged = MergedCommit { seq: Seq(3), commit: version(3).commit };
/// let merge = HistoryEntry { merged: Some(merged), ..version(4) };
/// assert_eq!(merge.merged.map(|theirs| theirs.seq), Some(Seq(3)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergedCommit {
    /// Its version on the branch that it came from.
    pub seq: Seq,
    /// The commit.
    pub commit: ObjectRef,
}

/// One commit of the past.
///
/// ```
#[doc = include_str!("history/version.example")]
/// use strandline_format::History;
/// use strandline_format::tree::TreeKind;
///
/// // Found by its version, without the commits in between.
/// assert_eq!(History::key(&version(7)), Seq(7));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// The version.
    pub seq: Seq,
    /// The commit.
    pub commit: ObjectRef,
    /// When it was made.
    pub time: Timestamp,
    /// The transaction that made it.
    pub txn: TxnId,
    /// Whether the transaction's id stands for an idempotency key.
    pub keyed: bool,
    /// What it merged, if it is a merge.
    pub merged: Option<MergedCommit>,
}

/// History entries, an array for each attribute.
///
/// ```
#[doc = include_str!("history/version.example")]
/// use strandline_format::HistoryColumns;
/// use strandline_format::tree::Columns;
///
/// let columns = HistoryColumns::from_items(&[version(1), version(2)]);
/// assert_eq!(columns.as_slice()[1].seq, Seq(2));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryColumns(Vec<HistoryEntry>);

impl HistoryColumns {
    /// The entries, in the order of their versions.
    #[must_use]
    pub fn as_slice(&self) -> &[HistoryEntry] {
        &self.0
    }
}

/// What a parent knows of a run of history.
///
/// ```
#[doc = include_str!("history/version.example")]
/// use strandline_format::tree::{Columns, TreeKind};
/// use strandline_format::{History, HistoryColumns};
///
/// let keyed = HistoryEntry { keyed: true, txn: TxnId::of_key("load of monday"), ..version(2) };
/// let summary = History::summarize(&HistoryColumns::from_items(&[version(1), keyed]));
/// assert_eq!((summary.keyed, summary.merges), (1, 0));
/// assert!(summary.keys.is_some_and(|keys| keys.may_hold(TxnId::of_key("load of monday"))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySummary {
    /// The time of the oldest commit below.
    pub first_time: Timestamp,
    /// The time of the newest commit below.
    pub last_time: Timestamp,
    /// How many commits below came with an idempotency key.
    pub keyed: u64,
    /// Which idempotency keys may be below; `None`: that is not known, as it is of an inner node.
    pub keys: Option<KeyFilter>,
    /// How many commits below are merges.
    pub merges: u64,
}

/// Summaries of runs of history.
///
/// ```
#[doc = include_str!("history/version.example")]
/// use strandline_format::tree::{Columns, TreeKind};
/// use strandline_format::{History, HistoryColumns, HistorySummaries};
///
/// let run = |numbers: std::ops::Range<u64>| HistoryColumns::from_items(&numbers.map(version).collect::<Vec<_>>());
/// let summaries = [History::summarize(&run(1..4)), History::summarize(&run(4..6))];
/// assert_eq!(HistorySummaries::from_items(&summaries).as_slice(), summaries);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HistorySummaries(Vec<HistorySummary>);

impl HistorySummaries {
    /// The summaries, in the order of the children.
    #[must_use]
    pub fn as_slice(&self) -> &[HistorySummary] {
        &self.0
    }
}

impl Columns for HistoryColumns {
    type Item = HistoryEntry;

    fn from_items(items: &[HistoryEntry]) -> Self {
        Self(items.to_vec())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn item(&self, at: usize) -> HistoryEntry {
        self.0[at].clone()
    }
}

impl Columns for HistorySummaries {
    type Item = HistorySummary;

    fn from_items(items: &[HistorySummary]) -> Self {
        Self(items.to_vec())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn item(&self, at: usize) -> HistorySummary {
        self.0[at].clone()
    }
}

impl HistorySummary {
    /// What holds for the runs together; `None` of none.
    fn join(runs: impl Iterator<Item = Self>) -> Option<Self> {
        runs.reduce(|left, right| Self {
            first_time: left.first_time,
            last_time: right.last_time,
            keyed: left.keyed.saturating_add(right.keyed),
            keys: None,
            merges: left.merges.saturating_add(right.merges),
        })
    }

    fn of(entry: &HistoryEntry) -> Self {
        Self {
            first_time: entry.time,
            last_time: entry.time,
            keyed: u64::from(entry.keyed),
            keys: None,
            merges: u64::from(entry.merged.is_some()),
        }
    }

    /// The summary of nothing, which no node has.
    const NOTHING: Self =
        Self { first_time: Timestamp::EPOCH, last_time: Timestamp::EPOCH, keyed: 0, keys: None, merges: 0 };
}

impl TreeKind for History {
    const NAME: &'static str = "history";
    const LIMITS: Limits = Limits { buffer: 2560, leaf: 16 << 10, inner: 32 << 10, root: 4 << 10 };
    type Key = Seq;
    type Entry = HistoryEntry;
    type Summary = HistorySummary;
    type Columns = HistoryColumns;
    type Summaries = HistorySummaries;

    fn key(entry: &HistoryEntry) -> Seq {
        entry.seq
    }

    fn key_at(columns: &HistoryColumns, at: usize) -> Seq {
        columns.0[at].seq
    }

    fn summarize(columns: &HistoryColumns) -> HistorySummary {
        let keyed: Vec<TxnId> = columns.0.iter().filter(|entry| entry.keyed).map(|entry| entry.txn).collect();
        let run = HistorySummary::join(columns.0.iter().map(HistorySummary::of));
        HistorySummary { keys: KeyFilter::of(&keyed), ..run.unwrap_or(HistorySummary::NOTHING) }
    }

    fn merge(children: &Children<Self>) -> HistorySummary {
        let run = HistorySummary::join(children.summary.0.iter().cloned());
        // Of so many keys a filter would be larger than what it saves.
        HistorySummary { keys: None, ..run.unwrap_or(HistorySummary::NOTHING) }
    }

    fn entry_weight(entry: &HistoryEntry) -> usize {
        const SEQ_HASH_ERA_SIZE_TIME_TXN: usize = 7 + 67 + 2 + 5 + 30 + 35;
        const MERGED: usize = 110;
        SEQ_HASH_ERA_SIZE_TIME_TXN + if entry.merged.is_some() { MERGED } else { 0 }
    }

    fn summary_weight(summary: &HistorySummary) -> usize {
        30 + 30 + 2 + 2 + summary.keys.as_ref().map_or(0, KeyFilter::weight)
    }

    fn write_node(node: &Node<Self>) -> Result<Vec<u8>> {
        wire::write_node(node)
    }

    fn parse_node(text: &[u8]) -> Result<Node<Self>> {
        wire::parse_node(text)
    }

    fn write_root(root: &Root<Self>) -> Result<String> {
        wire::write_root(root).map(|text| text.get().to_owned())
    }

    fn parse_root(text: &str) -> Result<Root<Self>> {
        wire::parse_root(text)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EntriesV1 {
    seq: Vec<Seq>,
    hash: Vec<Hash>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    era: Sparse<Era>,
    size: Vec<u64>,
    time: Vec<Timestamp>,
    txn: Vec<TxnId>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    keyed: Sparse<bool>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    merged: Sparse<Option<MergedV1>>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct MergedV1 {
    seq: Seq,
    #[serde(flatten)]
    commit: crate::hash::RefV1,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ChildrenV1 {
    first: Vec<Seq>,
    last: Vec<Seq>,
    hash: Vec<Hash>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    era: Sparse<Era>,
    size: Vec<u64>,
    count: Vec<u64>,
    first_time: Vec<Timestamp>,
    last_time: Vec<Timestamp>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    keyed: Sparse<u64>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    keys: Sparse<Option<KeyFilter>>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    merges: Sparse<u64>,
}

impl WireKind for History {
    type Entries = EntriesV1;
    type Children = ChildrenV1;
    type Key = Seq;

    fn entries_to_wire(columns: &HistoryColumns) -> EntriesV1 {
        let rows = &columns.0;
        let merged = |merged: MergedCommit| MergedV1 { seq: merged.seq, commit: merged.commit.into() };
        let RefColumns { hash, era, size } = RefColumns::of(rows.iter().map(|row| &row.commit));
        EntriesV1 {
            seq: rows.iter().map(|row| row.seq).collect(),
            hash,
            era,
            size,
            time: rows.iter().map(|row| row.time).collect(),
            txn: rows.iter().map(|row| row.txn).collect(),
            keyed: Sparse::of(rows.iter().map(|row| row.keyed)),
            merged: Sparse::of(rows.iter().map(|row| row.merged.map(merged))),
        }
    }

    fn entries_from_wire(wire: EntriesV1) -> Result<HistoryColumns> {
        let len = wire.seq.len();
        wire::check_lens(len, &[("time", wire.time.len()), ("txn", wire.txn.len())])?;
        wire.keyed.check("keyed", len)?;
        wire.merged.check("merged", len)?;
        let commits = RefColumns { hash: wire.hash, era: wire.era, size: wire.size }.into_refs(len)?;
        let row = |at: usize| HistoryEntry {
            seq: wire.seq[at],
            commit: commits[at],
            time: wire.time[at],
            txn: wire.txn[at],
            keyed: wire.keyed.get(at),
            merged: wire
                .merged
                .get(at)
                .map(|merged| MergedCommit { seq: merged.seq, commit: merged.commit.into() }),
        };
        let rows: Vec<HistoryEntry> = (0..len).map(row).collect();
        check_times(rows.windows(2).map(|pair| (pair[0].time, pair[1].time)))?;
        Ok(HistoryColumns(rows))
    }

    fn children_to_wire(children: &Children<Self>) -> ChildrenV1 {
        let summaries = &children.summary.0;
        let RefColumns { hash, era, size } = RefColumns::of(children.node.iter());
        ChildrenV1 {
            first: children.first.clone(),
            last: children.last.clone(),
            hash,
            era,
            size,
            count: children.count.clone(),
            first_time: summaries.iter().map(|run| run.first_time).collect(),
            last_time: summaries.iter().map(|run| run.last_time).collect(),
            keyed: Sparse::of(summaries.iter().map(|run| run.keyed)),
            keys: Sparse::of(summaries.iter().map(|run| run.keys.clone())),
            merges: Sparse::of(summaries.iter().map(|run| run.merges)),
        }
    }

    fn children_from_wire(wire: ChildrenV1) -> Result<Children<Self>> {
        let len = wire.first.len();
        let (first_times, last_times) = (wire.first_time.len(), wire.last_time.len());
        let (last, count) = (wire.last.len(), wire.count.len());
        wire::check_lens(
            len,
            &[("last", last), ("count", count), ("first_time", first_times), ("last_time", last_times)],
        )?;
        wire.keyed.check("keyed", len)?;
        wire.keys.check("keys", len)?;
        wire.merges.check("merges", len)?;
        check_times(wire.first_time.iter().copied().zip(wire.last_time.iter().copied()))?;
        check_times(wire.last_time.iter().copied().zip(wire.first_time.iter().copied().skip(1)))?;
        let run = |at: usize| HistorySummary {
            first_time: wire.first_time[at],
            last_time: wire.last_time[at],
            keyed: wire.keyed.get(at),
            keys: wire.keys.get(at),
            merges: wire.merges.get(at),
        };
        Ok(Children {
            summary: HistorySummaries((0..len).map(run).collect()),
            first: wire.first,
            last: wire.last,
            node: RefColumns { hash: wire.hash, era: wire.era, size: wire.size }.into_refs(len)?,
            count: wire.count,
        })
    }

    fn key_to_wire(key: &Seq) -> Seq {
        *key
    }

    fn key_from_wire(key: Seq) -> Result<Seq> {
        Ok(key)
    }
}

/// Refuses times that go back [HIST-3].
fn check_times(mut pairs: impl Iterator<Item = (Timestamp, Timestamp)>) -> Result<()> {
    match pairs.find(|(before, after)| before > after) {
        Some((before, after)) => {
            Err(Error::malformed(format!("a commit of {after} stands after one of {before}")))
        }
        None => Ok(()),
    }
}
