//! Commits by the first digits of their hash [REFG-3].
//!
//! A history is ordered by version, so all of it that is kept is read. The default branch is searched alone; only a hash that
//! is not there costs a listing and the histories of the other refs, whose nodes are mostly shared and read once.

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use strandline_format::{Hash, HashPrefix, HistoryEntry, RefName};

use crate::error::{Error, ErrorKind, Result};
use crate::history::Line;
use crate::history::resolve::{Resolver, Spot};
use crate::lake::StandingTag;
use crate::storage::RefKind;
use crate::tree::KeyRange;

/// How many refs are read at a time.
const REFS: usize = 16;

/// How many commits an ambiguous prefix is looked for at the most; the error names them.
const CANDIDATES: usize = 8;

/// The commits that fit so far, each once.
#[derive(Default)]
struct Candidates {
    seen: HashSet<Hash>,
    spots: Vec<Spot>,
}

impl Candidates {
    fn add(&mut self, line: &Arc<Line>, entries: Vec<HistoryEntry>) {
        for entry in entries {
            if self.seen.insert(entry.commit.hash) {
                self.spots.push(Spot::of(Arc::clone(line), entry));
            }
        }
    }

    /// The one that fits; `None` if none does.
    fn only(mut self, prefix: &HashPrefix) -> Result<Option<Spot>> {
        if self.spots.len() <= 1 {
            return Ok(self.spots.pop());
        }
        let name = |spot: &Spot| {
            let hash = spot.entry.as_ref().map(|entry| entry.commit.hash.to_string()).unwrap_or_default();
            format!("{hash} (version {} of {})", spot.version, spot.line)
        };
        let named: Vec<String> = self.spots.iter().take(CANDIDATES).map(name).collect();
        let text = format!("more than one commit begins with {}: {}", prefix.as_str(), named.join(", "));
        Err(Error::new(ErrorKind::InvalidInput, text))
    }
}

impl Resolver<'_> {
    /// The one commit whose hash begins so.
    pub(super) async fn commit(&self, prefix: &HashPrefix) -> Result<Option<Spot>> {
        let mut found = Candidates::default();
        if let Some(line) = self.default_line().await? {
            found.add(&line, matching(&line, prefix).await?);
        }
        if found.spots.is_empty() {
            self.search_branches(prefix, &mut found).await?;
            self.search_tags(prefix, &mut found).await?;
        }
        found.only(prefix)
    }

    async fn search_branches(&self, prefix: &HashPrefix, found: &mut Candidates) -> Result<()> {
        let names = self.lake.storage().refs().list(RefKind::Branch).await?;
        let others = names.into_iter().filter(|name| name != self.lake.default_branch());
        let look = |name: RefName| async move { self.lake.branch_line(&name).await };
        let mut lines = stream::iter(others).map(look).buffered(REFS);
        while let Some(line) = lines.try_next().await? {
            if let Some(line) = line {
                found.add(&line, matching(&line, prefix).await?);
            }
        }
        Ok(())
    }

    async fn search_tags(&self, prefix: &HashPrefix, found: &mut Candidates) -> Result<()> {
        let names = self.lake.storage().refs().list(RefKind::Tag).await?;
        let look = |name: RefName| async move { self.lake.standing_tag(&name).await };
        let mut tags = stream::iter(names).map(look).buffered(REFS);
        while let Some(tag) = tags.try_next().await? {
            if let Some(tag) = tag.filter(|tag| tag.is_live() && prefix.matches(&tag.commit().hash)) {
                self.add_tag(tag, found).await?;
            }
        }
        Ok(())
    }

    async fn add_tag(&self, tag: StandingTag, found: &mut Candidates) -> Result<()> {
        let line = Arc::new(Line::of_tag(self.lake.clone(), tag).await?);
        let tip = line.entry(line.tip().version()).await?;
        found.add(&line, tip.into_iter().collect());
        Ok(())
    }
}

/// What fits of the versions that a branch keeps. Reads the leaves of its history from the oldest that is kept on.
async fn matching(line: &Line, prefix: &HashPrefix) -> Result<Vec<HistoryEntry>> {
    let range = KeyRange::new(line.oldest()..);
    let mut found = Vec::new();
    let mut batches = std::pin::pin!(line.trees().scan(&line.tip().node().history, &range));
    while let Some(batch) = batches.try_next().await? {
        found.extend(batch.entries().filter(|entry| prefix.matches(&entry.commit.hash)));
        if found.len() >= CANDIDATES {
            break;
        }
    }
    let tip = line.entry(line.tip().version()).await?;
    found.extend(tip.filter(|entry| prefix.matches(&entry.commit.hash)));
    Ok(found)
}
