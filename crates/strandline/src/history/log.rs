//! The log of a ref: its commits with what they changed, newest first or oldest first.
//!
//! Invariants: only versions that are kept are read; where more was asked for the stream says so by an error and gives no
//! other version in its place [OPEN-4]; nothing is read before it is wanted, but for a stated number of commits. What does not
//! belong here: what changed within a table, which is a diff of two versions.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use strandline_format::{HistoryEntry, Seq, TableChange, TableId, TableName};

use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Keeper, Line, Ref};
use crate::tree::KeyRange;

/// How many commits are fetched at a time, unless told otherwise.
const PREFETCH: usize = 8;

/// How many entries of the history are held at a time: about a leaf.
const WINDOW: u64 = 128;

/// A table that a log is of: by its id, or by its name in the version that the log begins at.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use futures::TryStreamExt;
///
/// let rename = lake.begin().await?;
/// rename.rename("orders", "sales").await?;
/// rename.commit().await?;
///
/// // A table is followed through its renames, by any name that it has where the log begins, or by its id.
/// let log = lake.main().await?.log().table("sales");
/// let versions: Vec<_> = log.stream().map_ok(|commit| commit.version().0).try_collect().await?;
/// assert_eq!(versions, [2, 1]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Subject(Whose);

#[derive(Clone, Debug)]
enum Whose {
    Id(TableId),
    Name(String),
}

impl From<TableId> for Subject {
    fn from(id: TableId) -> Self {
        Self(Whose::Id(id))
    }
}

impl From<&str> for Subject {
    fn from(name: &str) -> Self {
        Self(Whose::Name(name.to_owned()))
    }
}

impl From<&TableName> for Subject {
    fn from(name: &TableName) -> Self {
        Self(Whose::Name(name.as_str().to_owned()))
    }
}

/// The commits up to a ref, with what they changed. [`Log::stream`] gives them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures::TryStreamExt;
/// use strandline::Lake;
/// let lake = Lake::create("memory://log").await?;
/// let log: Vec<_> = lake.at("main").await?.log().limit(10).stream().try_collect().await?;
/// assert_eq!(log[0].message(), "the lake begins");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a log is read by its stream"]
pub struct Log {
    at: Ref,
    forwards: bool,
    from: Option<Seq>,
    to: Option<Seq>,
    limit: Option<u64>,
    subject: Option<Subject>,
    prefetch: usize,
}

impl Log {
    pub(super) fn new(at: Ref) -> Self {
        Self { at, forwards: false, from: None, to: None, limit: None, subject: None, prefetch: PREFETCH }
    }

    /// The oldest commit first.
    pub fn forwards(mut self) -> Self {
        self.forwards = true;
        self
    }

    /// Not from the oldest version that is kept but from this one on. If it is expired, the stream says so.
    pub fn from(mut self, version: Seq) -> Self {
        self.from = Some(version);
        self
    }

    /// Not to the version of the ref but to this one, inclusive.
    pub fn to(mut self, version: Seq) -> Self {
        self.to = Some(version);
        self
    }

    /// At most this many commits.
    pub fn limit(mut self, commits: u64) -> Self {
        self.limit = Some(commits);
        self
    }

    /// Only commits that changed this table, view or namespace, whatever it was called then. A name that is not in the version
    /// at which the log begins is looked for among the names that commits gave and took.
    pub fn table(mut self, table: impl Into<Subject>) -> Self {
        self.subject = Some(table.into());
        self
    }

    /// How many commits are fetched at a time; 8 unless told otherwise.
    pub fn prefetch(mut self, commits: NonZeroUsize) -> Self {
        self.prefetch = commits.get();
        self
    }

    /// The commits.
    ///
    /// Requests: one way down the history for about a hundred versions, and one for each commit, `prefetch` at a time and never
    /// more than `limit` asks for; with a table, those that did not change it are read as well. Memory: that many commits and
    /// 128 entries of the history. For a tag, one request more for the branch that keeps what is before it.
    ///
    /// # Errors
    /// The stream ends with its first error. `SnapshotExpired` where a version from [`Log::from`] on is not kept: before all
    /// others forwards, after all others backwards; or if it was expired meanwhile. `InvalidInput` if the table can be no name;
    /// `Corrupt` and the store's errors. Dropping the stream leaves nothing.
    pub fn stream(self) -> BoxStream<'static, Result<Commit>> {
        stream::once(self.begin()).map_ok(Walk::stream).try_flatten().boxed()
    }

    async fn begin(self) -> Result<Walk> {
        let filter = match &self.subject {
            Some(subject) => Some(Filter::of(&self.at, subject).await?),
            None => None,
        };
        let line = kept_line(&self.at).await?;
        let newest = self.to.map_or(self.at.version(), |to| to.min(self.at.version()));
        let oldest = self.from.unwrap_or(line.oldest());
        let expired = line.check_kept(oldest).err();
        let oldest = oldest.max(line.oldest());
        let window = self.limit.filter(|_| filter.is_none()).map_or(WINDOW, |limit| limit.clamp(1, WINDOW));
        let next = (oldest <= newest).then_some((oldest, newest));
        Ok(Walk {
            line,
            forwards: self.forwards,
            limit: self.limit,
            filter,
            prefetch: self.prefetch,
            window,
            next,
            expired,
        })
    }
}

/// The line through which the log is read: what is before a tag is kept by a branch, if at all.
async fn kept_line(at: &Ref) -> Result<Arc<Line>> {
    if let Keeper::Tag(tag) = at.line().keeper()
        && let Some(behind) = at.lake().line_behind(tag).await?
        && behind.oldest() <= at.version()
    {
        return Ok(behind);
    }
    Ok(Arc::clone(at.line()))
}

/// Which commits are wanted.
enum Filter {
    Id(TableId),
    Name(TableName),
}

impl Filter {
    async fn of(at: &Ref, subject: &Subject) -> Result<Self> {
        let name = match &subject.0 {
            Whose::Id(id) => return Ok(Self::Id(*id)),
            Whose::Name(name) => TableName::new(name.as_str())?,
        };
        match at.snapshot().entry(&name).await {
            Ok(entry) => Ok(entry.map_or(Self::Name(name), |entry| Self::Id(entry.id))),
            Err(error) => Err(at.explain(error).await),
        }
    }

    fn wants(&self, commit: &Commit) -> bool {
        commit.changes().iter().any(|change| self.is_of(change))
    }

    fn is_of(&self, change: &TableChange) -> bool {
        match self {
            Self::Id(id) => change.table == *id,
            Self::Name(name) => change.name == *name || change.renamed_from.as_ref() == Some(name),
        }
    }
}

/// A log that has begun.
struct Walk {
    line: Arc<Line>,
    forwards: bool,
    limit: Option<u64>,
    filter: Option<Filter>,
    prefetch: usize,
    window: u64,
    /// The versions that are still to come, from and to.
    next: Option<(Seq, Seq)>,
    /// What to say of versions that are not kept.
    expired: Option<Error>,
}

impl Walk {
    fn stream(mut self) -> BoxStream<'static, Result<Commit>> {
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let (expired, forwards, prefetch) = (self.expired.take(), self.forwards, self.prefetch);
        let filter = self.filter.take();
        let ahead = if filter.is_none() { limit } else { usize::MAX };
        let line = Arc::clone(&self.line);
        let entries = stream::try_unfold(self, Self::window)
            .map_ok(|window| stream::iter(window).map(Ok))
            .try_flatten();
        let fetch = move |entry: Result<HistoryEntry>| {
            let line = Arc::clone(&line);
            async move { line.commit(&entry?).await }
        };
        let wanted = move |commit: &Result<Commit>| {
            let Ok(commit) = commit else { return true };
            filter.as_ref().is_none_or(|filter| filter.wants(commit))
        };
        let commits = entries.take(ahead).map(fetch).buffered(prefetch);
        let commits = commits.filter(move |commit| std::future::ready(wanted(commit)));
        let expired = stream::iter(expired.map(Err));
        let all = if forwards { expired.chain(commits).boxed() } else { commits.chain(expired).boxed() };
        until_error(all.take(limit))
    }

    /// The next entries, in the order of the log.
    async fn window(mut self) -> Result<Option<(Vec<HistoryEntry>, Self)>> {
        let Some((from, to)) = self.next else { return Ok(None) };
        let (first, last) = if self.forwards {
            (from, Seq(from.0.saturating_add(self.window - 1).min(to.0)))
        } else {
            (Seq(to.0.saturating_sub(self.window - 1).max(from.0)), to)
        };
        self.next = if self.forwards {
            (last < to).then(|| (Seq(last.0 + 1), to))
        } else {
            (first > from).then(|| (from, Seq(first.0 - 1)))
        };
        self.window = WINDOW;
        let mut entries = self.read(first, last).await?;
        if !self.forwards {
            entries.reverse();
        }
        Ok(Some((entries, self)))
    }

    async fn read(&self, first: Seq, last: Seq) -> Result<Vec<HistoryEntry>> {
        let tip = self.line.tip();
        let read = self.line.trees().collect(&tip.node().history, &KeyRange::new(first..=last)).await;
        let mut entries = match read {
            Ok(entries) => entries,
            Err(error) => return Err(self.line.explain(tip.version(), error).await),
        };
        if last == tip.version() {
            entries.extend(self.line.entry(last).await?);
        }
        let expected = last.0 - first.0 + 1;
        if entries.len() as u64 != expected {
            let text = format!("the history of {} lacks versions between {first} and {last}", self.line);
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        Ok(entries)
    }
}

/// Nothing comes after an error: what followed would not be the next commit.
fn until_error(
    commits: impl futures::Stream<Item = Result<Commit>> + Send + 'static,
) -> BoxStream<'static, Result<Commit>> {
    let until = |over: &mut bool, item: Result<Commit>| {
        let item = (!*over).then_some(item);
        *over = item.as_ref().is_none_or(Result::is_err);
        std::future::ready(item)
    };
    commits.scan(false, until).boxed()
}
