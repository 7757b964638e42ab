//! The common ancestor of two heads [MRG-1], from as much of their histories as the caller has read.
//!
//! No I/O: where more of the past is needed the answer says so, and the caller reads on and asks again.

use crate::history::{HistoryEntry, MergedCommit};
use crate::id::Seq;

/// The newest part of a branch's history.
///
/// Contract: consecutive versions, oldest first; the last is the head itself, with the entry that
/// [`Commit::history_entry`](crate::Commit::history_entry) makes of it. A diff of two history trees gives what is above
/// the versions that two branches share.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::merge::{Ancestry, Lineage, common_ancestor};
///
/// let ours: Vec<_> = (0..=3).map(version).collect();
/// let lineage = Lineage::new(&ours);
/// assert!(matches!(common_ancestor(lineage, lineage), Ancestry::Common(_)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lineage<'a>(&'a [HistoryEntry]);

impl<'a> Lineage<'a> {
    /// These versions.
    #[must_use]
    pub fn new(versions: &'a [HistoryEntry]) -> Self {
        Self(versions)
    }

    fn at(self, seq: Seq) -> Option<&'a HistoryEntry> {
        let first = self.0.first()?.seq;
        self.0.get(usize::try_from(seq.0.checked_sub(first.0)?).ok()?).filter(|entry| entry.seq == seq)
    }

    fn holds(self, merged: &MergedCommit) -> bool {
        self.at(merged.seq).is_some_and(|entry| entry.commit.hash == merged.commit.hash)
    }

    fn above(self, seq: Option<Seq>) -> impl Iterator<Item = &'a HistoryEntry> {
        self.0.iter().filter(move |entry| seq.is_none_or(|seq| entry.seq > seq))
    }
}

/// What is known of the common ancestor.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::merge::{Ancestry, Lineage, common_ancestor};
///
/// let (ours, theirs): (Vec<_>, Vec<_>) = ((5..=9).map(version).collect(), (0..=3).map(version).collect());
/// match common_ancestor(Lineage::new(&ours), Lineage::new(&theirs)) {
///     Ancestry::NeedOlder(seq) => assert_eq!(seq, Seq(5)),
///     Ancestry::Common(found) => panic!("version {}", found.base.seq),
///     Ancestry::Unrelated => panic!("ours begins above theirs, so nobody knows"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Ancestry {
    /// There is one.
    Common(Box<CommonAncestor>),
    /// Versions below this one have to be read first, of either side.
    NeedOlder(Seq),
    /// The heads share nothing: they are not of one lake.
    Unrelated,
}

/// The base of a merge.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::merge::{Ancestry, Lineage, common_ancestor};
///
/// let ours: Vec<_> = (0..=3).map(version).collect();
/// let theirs: Vec<_> = (0..=1).map(version).collect();
/// let Ancestry::Common(found) = common_ancestor(Lineage::new(&ours), Lineage::new(&theirs)) else { panic!() };
/// assert_eq!((found.base.seq, found.shared), (Seq(1), Some(Seq(1))));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CommonAncestor {
    /// The commit.
    pub base: HistoryEntry,
    /// The last version that both branches have in the same place, below which their numbers are the same.
    pub shared: Option<Seq>,
    /// What our side merged that their branch does not have and the base does not reach by first parents.
    pub ours_merged: Vec<MergedCommit>,
    /// The same of their side. If both lists have something, the heads may have met through a third branch, and the
    /// caller must rule that out before it merges [MRG-2].
    pub theirs_merged: Vec<MergedCommit>,
}

/// Finds the base for merging the head of `theirs` into the head of `ours`.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::merge::{Ancestry, Lineage, common_ancestor};
///
/// // Both have versions 0 and 1 in common, and another version 2 each.
/// let ours: Vec<_> = [0, 1, 2].map(version).to_vec();
/// let other = HistoryEntry { commit: version(99).commit, ..version(2) };
/// let theirs = vec![version(0), version(1), other];
/// let Ancestry::Common(found) = common_ancestor(Lineage::new(&ours), Lineage::new(&theirs)) else { panic!() };
/// assert_eq!(found.base.seq, Seq(1));
/// ```
#[must_use]
pub fn common_ancestor(ours: Lineage<'_>, theirs: Lineage<'_>) -> Ancestry {
    let (Some(our_first), Some(their_first)) = (ours.0.first(), theirs.0.first()) else {
        return Ancestry::Unrelated;
    };
    let shared = shared_version(ours, theirs);
    let lowest = our_first.seq.max(their_first.seq);
    if shared.is_none() && lowest > Seq(0) {
        return Ancestry::NeedOlder(lowest);
    }
    let ours_in_theirs = newest_merged(theirs, ours, shared);
    let theirs_in_ours = newest_merged(ours, theirs, shared);
    let base = match (ours_in_theirs, theirs_in_ours) {
        (Some(mine), Some(yours)) => newer(ours, theirs, mine, yours),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => match shared.and_then(|seq| ours.at(seq)) {
            Some(entry) => entry,
            None => return Ancestry::Unrelated,
        },
    };
    Ancestry::Common(Box::new(CommonAncestor {
        base: base.clone(),
        shared,
        ours_merged: merged_elsewhere(ours, theirs, shared, base),
        theirs_merged: merged_elsewhere(theirs, ours, shared, base),
    }))
}

/// Step 1: the highest version that is the same on both.
fn shared_version(ours: Lineage<'_>, theirs: Lineage<'_>) -> Option<Seq> {
    let same = |entry: &&HistoryEntry| {
        theirs.at(entry.seq).is_some_and(|other| other.commit.hash == entry.commit.hash)
    };
    ours.0.iter().rev().find(same).map(|entry| entry.seq)
}

/// Step 2, one direction: of the commits of `of` that `by` merged, the newest, which has the others as ancestors.
fn newest_merged<'a>(by: Lineage<'_>, of: Lineage<'a>, shared: Option<Seq>) -> Option<&'a HistoryEntry> {
    let merged = by.above(shared).filter_map(|entry| entry.merged);
    let found = merged.filter(|merged| of.holds(merged)).filter_map(|merged| of.at(merged.seq));
    found.filter(|entry| shared.is_none_or(|seq| entry.seq > seq)).max_by_key(|entry| entry.seq)
}

/// Steps 3 and 4: of one commit on each branch, the one that is not an ancestor of the other.
fn newer<'a>(
    ours: Lineage<'_>,
    theirs: Lineage<'_>,
    mine: &'a HistoryEntry,
    yours: &'a HistoryEntry,
) -> &'a HistoryEntry {
    if reaches(ours, mine.seq, theirs, yours.seq) {
        return mine;
    }
    if reaches(theirs, yours.seq, ours, mine.seq) {
        return yours;
    }
    let rank = |entry: &HistoryEntry| (entry.time, entry.commit.hash);
    if rank(mine) > rank(yours) { mine } else { yours }
}

/// Whether `from`, on its branch, has merged version `to` of the other branch, or a later one.
fn reaches(branch: Lineage<'_>, from: Seq, other: Lineage<'_>, to: Seq) -> bool {
    let merged = branch.0.iter().filter(|entry| entry.seq <= from).filter_map(|entry| entry.merged);
    merged.filter(|merged| other.holds(merged)).any(|merged| merged.seq >= to)
}

/// What `by` merged that `other` does not hold, unless the base stands on `by` and has it already. What is older than all that
/// was read of `other` is listed too: whether it is in that branch's past is for the caller, who can read on.
fn merged_elsewhere(
    by: Lineage<'_>,
    other: Lineage<'_>,
    shared: Option<Seq>,
    base: &HistoryEntry,
) -> Vec<MergedCommit> {
    let base_is_here = by.at(base.seq).is_some_and(|entry| entry.commit.hash == base.commit.hash);
    let known = if base_is_here { shared.max(Some(base.seq)) } else { shared };
    by.above(known).filter_map(|entry| entry.merged).filter(|merged| !other.holds(merged)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Hash, ObjectRef};
    use crate::id::{Era, TxnId};
    use crate::time::Timestamp;

    fn object(name: &str) -> ObjectRef {
        ObjectRef { hash: Hash::of(name.as_bytes()), era: Era(0), size: 1 }
    }

    /// A branch written as `a b c<x5 d`: commits by name, from version 0; `c` merges `x`, which is version 5 of its branch.
    fn branch(text: &str) -> Vec<HistoryEntry> {
        let entry = |(seq, word): (usize, &str)| {
            let (name, merged) =
                word.split_once('<').map_or((word, None), |(name, merged)| (name, Some(merged)));
            let merged = merged.map(|merged| MergedCommit {
                seq: Seq(merged[1..].parse().unwrap()),
                commit: object(&merged[..1]),
            });
            HistoryEntry {
                seq: Seq(seq as u64),
                commit: object(name),
                time: Timestamp::from_micros(seq as i64).unwrap(),
                txn: TxnId::from_bytes([0; 16]),
                keyed: false,
                merged,
            }
        };
        text.split(' ').enumerate().map(entry).collect()
    }

    fn find(ours: &[HistoryEntry], theirs: &[HistoryEntry]) -> Ancestry {
        common_ancestor(Lineage::new(ours), Lineage::new(theirs))
    }

    fn check(ours: &str, theirs: &str, base: &str) {
        for (ours, theirs) in [(ours, theirs), (theirs, ours)] {
            let Ancestry::Common(found) = find(&branch(ours), &branch(theirs)) else {
                panic!("{ours} | {theirs}")
            };
            assert_eq!(found.base.commit, object(base), "{ours} | {theirs}");
        }
    }

    #[test]
    fn the_base_is_the_newest_commit_that_both_have() {
        check("a", "a", "a");
        check("a b c", "a b c", "c");
        check("a b c", "a b c d e", "c");
        check("a b c", "a b x y", "b");
        // Main merged x, then dev went on.
        check("a b m<x2", "a b x y", "x");
        check("a b m<x2 n<y3", "a b x y z", "y");
        // Dev took over main's c before main merged it.
        check("a b c d", "a b x y<c2 z", "c");
        check("a b c d<y3", "a b x y<c2 z", "y");
        check("a b c d<y3 e", "a b x y<c2 z<d3", "d");
        // By descent, whatever the times say.
        check("a b d<y3", "a b x y z<d2", "d");
        // Each merged an old commit of the other: the later one is the base.
        check("a b c d<x3 e", "a b w x y z<c2", "x");
        check("a b c d e<x2", "a p x y<d3", "d");
    }

    #[test]
    fn a_criss_cross_has_the_same_base_from_both_sides() {
        let (ours, theirs) = (branch("a b c d<x2"), branch("a b x y<c2"));
        let base = |ancestry| match ancestry {
            Ancestry::Common(found) => found.base.commit.hash,
            other => panic!("{other:?}"),
        };
        let greater = object("c").hash.max(object("x").hash);
        assert_eq!(base(find(&ours, &theirs)), greater);
        assert_eq!(base(find(&theirs, &ours)), greater);
    }

    #[test]
    fn too_little_history_is_asked_for() {
        let (ours, theirs) = (branch("a b c d"), branch("a b x y"));
        assert_eq!(find(&ours[2..], &theirs[2..]), Ancestry::NeedOlder(Seq(2)));
        assert_eq!(find(&ours[3..], &theirs), Ancestry::NeedOlder(Seq(3)));
        assert_eq!(find(&ours[1..], &theirs), find(&ours, &theirs));
        assert_eq!(find(&branch("p q"), &theirs), Ancestry::Unrelated);
        assert_eq!(find(&[], &theirs), Ancestry::Unrelated);
    }

    #[test]
    fn meetings_through_a_third_branch_are_told() {
        let lists = |ours: &str, theirs: &str| match find(&branch(ours), &branch(theirs)) {
            Ancestry::Common(found) => {
                let seqs =
                    |merged: Vec<MergedCommit>| merged.iter().map(|merged| merged.seq.0).collect::<Vec<_>>();
                (seqs(found.ours_merged), seqs(found.theirs_merged))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(lists("a b c<t7 d", "a b x y<t7"), (vec![7], vec![7]));
        assert_eq!(lists("a b c<t7 d<x2", "a b x y<t7"), (vec![7], vec![7]));
        // What was merged before the base is in the base.
        assert_eq!(lists("a b c d<y3", "a b x<t7 y z"), (vec![], vec![]));
        assert_eq!(lists("a b c d", "a b x y<c2"), (vec![], vec![]));
    }
}
