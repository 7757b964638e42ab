//! What the graph of commits tells of a merge: the commits that it is merged against, and those that both sides have a copy of.
//!
//! A commit is a word, and has the hash of that word.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use strandline_format::Hash;
use strandline_format::merge::{Ancestry, CopiedTwice};

use super::merges::object_of;
use crate::outcome::{Outcome, json as outcome, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinesInput {
    /// Lines of words, the oldest first; a word is a commit, or `commit<merged`, or `commit=picked`.
    lines: Vec<String>,
    ours: String,
    theirs: String,
}

/// A graph of commits.
#[derive(Default)]
struct Graph {
    ancestry: Ancestry,
    words: BTreeMap<Hash, String>,
    /// The commits that were picked, each with all that are copies of it.
    copies: BTreeMap<Hash, Vec<Hash>>,
}

impl Graph {
    fn of(lines: &[String]) -> Self {
        let mut graph = Self::default();
        for line in lines {
            let mut before = None;
            for word in line.split(' ') {
                let (commit, merged) =
                    word.split_once('<').map_or((word, None), |(commit, of)| (commit, Some(of)));
                let (commit, picked) =
                    commit.split_once('=').map_or((commit, None), |(commit, of)| (commit, Some(of)));
                let hash = |word: &str| object_of(word).hash;
                graph.ancestry.add(hash(commit), before.into_iter().chain(merged.map(hash)));
                if let Some(origin) = picked.map(hash) {
                    graph.copies.entry(origin).or_insert_with(|| vec![origin]).push(hash(commit));
                }
                graph.words.insert(hash(commit), commit.to_owned());
                before = Some(hash(commit));
            }
        }
        graph
    }

    fn word(&self, commit: Hash) -> Option<&str> {
        self.words.get(&commit).map(String::as_str)
    }
}

/// `{"lines", "ours", "theirs"}`, commits of one lake and two heads, to their last common ancestors, of which a merge needs one.
pub(crate) fn ancestor(input: &RawValue) -> Outcome {
    let input: LinesInput = read(input)?;
    let graph = Graph::of(&input.lines);
    let found = graph.ancestry.common(object_of(&input.ours).hash, object_of(&input.theirs).hash);
    let mut bases: Vec<&str> = found.iter().filter_map(|hash| graph.word(*hash)).collect();
    bases.sort_unstable();
    outcome(json!({ "bases": bases }))
}

/// The same to the commits that each side has a copy of by itself, as they are picked into the base, in groups of lines: what was picked, both copies,
/// and the one whose change it is.
pub(crate) fn copies(input: &RawValue) -> Outcome {
    let input: LinesInput = read(input)?;
    let graph = Graph::of(&input.lines);
    let heads = [&input.ours, &input.theirs].map(|head| object_of(head).hash);
    let found = graph.ancestry.copied_twice(graph.copies.clone(), heads);
    let told = |hash: Hash| graph.word(hash).map(str::to_owned);
    let row = |twice: &CopiedTwice| [twice.origin, twice.ours, twice.theirs, twice.source()].map(told);
    let lines = |lines: &Vec<Vec<CopiedTwice>>| -> Vec<Vec<_>> {
        lines.iter().map(|line| line.iter().map(row).collect()).collect()
    };
    outcome(found.iter().map(lines).collect::<Vec<_>>())
}
