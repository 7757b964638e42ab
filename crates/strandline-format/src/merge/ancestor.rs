//! The common ancestors of two heads [MRG-1], from as much of the graph of commits as the caller has read.
//!
//! Invariant: both parents count, so that it makes no difference by way of which branches two heads have met. No I/O: which part of the past
//! has to be read is the caller's to know. What does not belong here: what the numbers of one commit are in another one (`numbering`).

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::Hash;

/// Commits with their parents.
///
/// ```
/// use strandline_format::Hash;
/// use strandline_format::merge::Ancestry;
///
/// let [root, ours, feature, theirs, merge] = [b"root", b"ours", b"feat", b"dev1", b"dev2"].map(|text| Hash::of(text));
/// let mut known = Ancestry::default();
/// known.add(ours, [root]);
/// known.add(feature, [root]);
/// known.add(theirs, [root]);
/// known.add(merge, [theirs, feature]);
/// assert_eq!(known.common(ours, merge), [root]);
/// assert_eq!(known.common(feature, merge), [feature]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Ancestry(BTreeMap<Hash, BTreeSet<Hash>>);

impl Ancestry {
    /// Adds a commit; what is known of it already stays.
    pub fn add(&mut self, commit: Hash, parents: impl IntoIterator<Item = Hash>) {
        self.0.entry(commit).or_default().extend(parents);
    }

    /// A commit and all that it comes from, as far as that is known.
    #[must_use]
    pub fn of(&self, head: Hash) -> BTreeSet<Hash> {
        let mut found = BTreeSet::new();
        let mut open = vec![head];
        while let Some(commit) = open.pop() {
            if found.insert(commit) {
                open.extend(self.0.get(&commit).into_iter().flatten());
            }
        }
        found
    }

    /// The common ancestors of two heads that no other one comes from: none of heads that share nothing, one that is the base of a merge, or
    /// several, of which none has what the others have [MRG-2].
    #[must_use]
    pub fn common(&self, ours: Hash, theirs: Hash) -> Vec<Hash> {
        let theirs = self.of(theirs);
        let common: BTreeSet<Hash> =
            self.of(ours).into_iter().filter(|commit| theirs.contains(commit)).collect();
        let passed: BTreeSet<Hash> =
            common.iter().filter_map(|commit| self.0.get(commit)).flatten().copied().collect();
        common.difference(&passed).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Ancestry;
    use crate::hash::Hash;

    fn hash(name: &str) -> Hash {
        Hash::of(name.as_bytes())
    }

    /// Lines like `a b m<x`: each commit comes from the one before it, and from what it merged.
    fn graph(lines: &[&str]) -> Ancestry {
        let mut graph = Ancestry::default();
        for line in lines {
            let mut before = None;
            for word in line.split(' ') {
                let (name, merged) = word.split_once('<').map_or((word, None), |(name, of)| (name, Some(of)));
                graph.add(hash(name), before.into_iter().chain(merged.map(hash)));
                before = Some(hash(name));
            }
        }
        graph
    }

    fn check(lines: &[&str], bases: &[&str]) {
        let graph = graph(lines);
        let [ours, theirs] = [lines[0], lines[1]].map(|line| {
            let last = line.rsplit(' ').next().unwrap();
            hash(last.split('<').next().unwrap())
        });
        let mut expected: Vec<Hash> = bases.iter().copied().map(hash).collect();
        expected.sort_unstable();
        assert_eq!(graph.common(ours, theirs), expected, "{lines:?}");
        assert_eq!(graph.common(theirs, ours), expected, "{lines:?}");
    }

    #[test]
    fn the_base_is_the_newest_commit_that_both_have() {
        check(&["a", "a"], &["a"]);
        check(&["a b c", "a b c d e"], &["c"]);
        check(&["a b c", "a b x y"], &["b"]);
        check(&["a b m<x", "a b x y"], &["x"]);
        check(&["a b m<x n<y", "a b x y z"], &["y"]);
        check(&["a b c d", "a b x y<c z"], &["c"]);
        check(&["a b c d<y e", "a b x y<c z<d"], &["d"]);
        check(&["a b", "x y"], &[]);
    }

    #[test]
    fn it_may_stand_on_a_third_branch() {
        check(&["a b c<q", "a x y<q", "a p q"], &["q"]);
        check(&["a b c<r", "a x y<q", "a p q r"], &["q"]);
        // Through what a branch merged, and through where it was made.
        check(&["a b m<t", "a x t<y z", "a y"], &["t"]);
        check(&["a b m<f", "a x y", "a x f"], &["x"]);
        check(&["a b m<x", "a p q<m", "a x"], &["m"]);
        check(&["a x", "a p q<m", "a b m<x"], &["x"]);
    }

    #[test]
    fn crosswise_merges_leave_two() {
        check(&["a b c d<x", "a b x y<c"], &["c", "x"]);
        // A branch that both merged, and that is older than where they parted.
        check(&["a b c d<q", "a b x<q y", "a q"], &["b", "q"]);
    }
}
