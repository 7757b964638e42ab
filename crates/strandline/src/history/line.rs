//! A line of first parents: the commit that a ref names, all before it, and how much of that is kept.
//!
//! Invariants: a version below the keeper's oldest is never read, though its objects may still be there [OPEN-4]; a commit
//! that was fetched is the one that the history names [HIST-2]; an object that is missing under a reader is explained by
//! another look at the ref. What does not belong here: the grammar of references (`resolve`).

use std::sync::Arc;

use strandline_format::{Commit as CommitNode, HistoryEntry, ObjectRef, RefName, Seq, Timestamp};

use crate::error::{Error, ErrorKind, Result};
use crate::history::Commit;
use crate::lake::{Found, Head, Lake, StandingTag};
use crate::snapshot::Snapshot;
use crate::tree::Trees;

/// What keeps a line from being collected.
#[derive(Clone, Debug)]
pub(crate) enum Keeper {
    /// A branch: the versions of its history that are not expired.
    Branch(Arc<Head>),
    /// A tag: its commit alone [TAG-1].
    Tag(Box<StandingTag>),
}

/// A commit and its first parents.
#[derive(Debug)]
pub(crate) struct Line {
    lake: Lake,
    keeper: Keeper,
    tip: Commit,
    /// The tip to read, with what the pointer's pack holds at hand.
    snapshot: Snapshot,
}

impl Line {
    /// The line of a branch.
    pub(crate) fn of_head(lake: Lake, head: Arc<Head>) -> Self {
        let tip = head.version().clone();
        let snapshot = head.snapshot(&lake);
        Self { lake, keeper: Keeper::Branch(head), tip, snapshot }
    }

    /// The line of a tag. One request.
    pub(crate) async fn of_tag(lake: Lake, tag: StandingTag) -> Result<Self> {
        let objects = lake.storage().objects().clone();
        let trees = Arc::new(Trees::new(objects.clone()));
        let keeper = Keeper::Tag(Box::new(tag.clone()));
        match fetch(&trees, tag.commit(), tag.tag.target().version).await {
            Ok(tip) => {
                let snapshot = Snapshot { objects, trees, catalog: Arc::new(tip.node().catalog.clone()) };
                Ok(Self { lake, keeper, tip, snapshot })
            }
            Err(error) => Err(explain(&lake, &keeper, tag.tag.target().version, error).await),
        }
    }

    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    pub(crate) fn tip(&self) -> &Commit {
        &self.tip
    }

    pub(crate) fn trees(&self) -> &Trees {
        &self.snapshot.trees
    }

    /// What is read through a commit of this line.
    pub(crate) fn snapshot(&self, commit: &Commit) -> Snapshot {
        if commit.hash() == self.tip.hash() {
            return self.snapshot.clone();
        }
        Snapshot { catalog: Arc::new(commit.node().catalog.clone()), ..self.snapshot.clone() }
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// The branch that versions here are counted on.
    pub(crate) fn branch(&self) -> &RefName {
        match &self.keeper {
            Keeper::Branch(head) => head.pointer().branch(),
            Keeper::Tag(tag) => &tag.tag.target().branch,
        }
    }

    /// The oldest version that is kept.
    pub(crate) fn oldest(&self) -> Seq {
        match &self.keeper {
            Keeper::Branch(head) => head.pointer().expired_before(),
            Keeper::Tag(_) => self.tip.version(),
        }
    }

    /// Refuses a version that is not kept [OPEN-4].
    pub(crate) fn check_kept(&self, version: Seq) -> Result<()> {
        if version >= self.oldest() {
            return Ok(());
        }
        let text =
            format!("version {version} of {self} is expired: the oldest that is kept is {}", self.oldest());
        Err(Error::new(ErrorKind::SnapshotExpired, text))
    }

    /// What the history says of a version, the tip included; `None` above the tip. At most as many dependent requests as
    /// the history has levels.
    pub(crate) async fn entry(&self, version: Seq) -> Result<Option<HistoryEntry>> {
        if version >= self.tip.version() {
            return Ok((version == self.tip.version()).then(|| self.tip_entry()));
        }
        match self.snapshot.trees.get(&self.tip.node().history, &version).await {
            Ok(Some(entry)) => Ok(Some(entry)),
            Ok(None) => Err(Error::new(
                ErrorKind::Corrupt,
                format!("version {version} is not in the history of {self}"),
            )),
            Err(error) => Err(self.explain(version, error).await),
        }
    }

    /// The newest version whose time is at most this one [REFG-4]. Requests as of [`Line::entry`].
    pub(crate) async fn entry_at(&self, time: Timestamp) -> Result<Option<HistoryEntry>> {
        if self.tip.time() <= time {
            return Ok(Some(self.tip_entry()));
        }
        let found = self.snapshot.trees.last_where(
            &self.tip.node().history,
            |children, at| children.summary.as_slice()[at].first_time <= time,
            |entry| entry.time <= time,
        );
        match found.await {
            Ok(entry) => Ok(entry),
            Err(error) => Err(self.explain(self.tip.version(), error).await),
        }
    }

    fn tip_entry(&self) -> HistoryEntry {
        self.tip.node().history_entry(self.tip.object())
    }

    /// The commit of an entry of this line. At most one request.
    pub(crate) async fn commit(&self, entry: &HistoryEntry) -> Result<Commit> {
        if entry.commit.hash == self.tip.hash() {
            return Ok(self.tip.clone());
        }
        match fetch(&self.snapshot.trees, entry.commit, entry.seq).await {
            Ok(commit) => Ok(commit),
            Err(error) => Err(self.explain(entry.seq, error).await),
        }
    }

    /// Whether this line has this commit as that version.
    pub(crate) async fn holds(&self, commit: ObjectRef, version: Seq) -> Result<bool> {
        let entry = self.entry(version).await?;
        Ok(entry.is_some_and(|entry| entry.commit.hash == commit.hash))
    }

    /// What an error of reading a version means: what is missing may have been expired meanwhile [OPEN-4]. Requests only
    /// if the error says that an object is missing or broken.
    pub(crate) async fn explain(&self, version: Seq, error: Error) -> Error {
        explain(&self.lake, &self.keeper, version, error).await
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.keeper {
            Keeper::Branch(head) => write!(f, "branch {:?}", head.pointer().branch().as_str()),
            Keeper::Tag(tag) => write!(f, "tag {:?}", tag.tag.name().as_str()),
        }
    }
}

/// A commit that must be this version. At most one request.
async fn fetch(trees: &Trees, object: ObjectRef, version: Seq) -> Result<Commit> {
    let text = trees.text(&object).await?;
    let node = CommitNode::parse(&text).map_err(|error| Error::from(error).at(object.hash))?;
    if node.seq != version {
        let text = format!("it is version {}, what leads to it says {version}", node.seq);
        return Err(Error::new(ErrorKind::Corrupt, text).at(object.hash));
    }
    Ok(Commit::new(object, node))
}

async fn explain(lake: &Lake, keeper: &Keeper, version: Seq, error: Error) -> Error {
    if error.kind() != ErrorKind::Corrupt {
        return error;
    }
    let (kept, what) = match keeper {
        Keeper::Branch(head) => (branch_keeps(lake, head, version).await, head.pointer().branch()),
        Keeper::Tag(tag) => (tag_keeps(lake, tag).await, tag.tag.name()),
    };
    match kept {
        Ok(false) => {
            let text =
                format!("version {version} of {:?} is not kept any more: {}", what.as_str(), error.message());
            Error::new(ErrorKind::SnapshotExpired, text)
        }
        // Where the second look fails, the first defect is what to report.
        Ok(true) | Err(_) => error,
    }
}

/// Whether a branch keeps, by now, a version that it had when `head` was read.
async fn branch_keeps(lake: &Lake, head: &Head, version: Seq) -> Result<bool> {
    let Found::Head(now) = lake.look(head.pointer().branch()).await? else { return Ok(false) };
    if now.pointer().head().hash == head.pointer().head().hash {
        return Ok(version >= now.pointer().expired_before());
    }
    let entry = now.trees().get(&now.commit().history, &head.commit().seq).await?;
    let same = entry.is_some_and(|entry| entry.commit.hash == head.pointer().head().hash);
    Ok(same && version >= now.pointer().expired_before())
}

async fn tag_keeps(lake: &Lake, tag: &StandingTag) -> Result<bool> {
    let now = lake.standing_tag(tag.tag.name()).await?;
    Ok(now.is_some_and(|now| now.is_live() && now.commit().hash == tag.commit().hash))
}
