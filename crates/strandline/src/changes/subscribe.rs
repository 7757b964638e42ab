//! Commits as they happen: each once, in order, from a place that the caller keeps.
//!
//! Invariants: an event's cursor stands after its commit, so whoever goes on from it meets neither that commit again nor
//! misses the next one; a place that is not in the branch's history, or is older than what is kept, ends the stream with an error that says
//! so. What does not belong here: what became of rows (`changelog`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use strandline_format::{EntryType, NameKey, TableChange, TableId, TableName};

use crate::changes::changelog::{ChangeBatches, Reader, Step, told};
use crate::changes::cursor::Cursor;
use crate::commit::check::commit_at;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Line, Ref, Revision};
use crate::lake::{Head, Lake};
use crate::near::{nearest, offer};

/// How often is looked, unless told otherwise.
const EVERY: Duration = Duration::from_secs(1);

/// Where a subscription begins: after a version, or after what a cursor has seen.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use futures::TryStreamExt;
///
/// // From a version on; a consumer that is started again goes on after its cursor, whose text it has kept.
/// let mut events = lake.subscribe("main~1", ["orders"]).stream();
/// let seen = events.try_next().await?.ok_or("no event")?.cursor();
/// lake.append("orders", orders(&[(4, 99)])).await?;
///
/// let mut again = lake.subscribe(&seen, ["orders"]).stream();
/// let event = again.try_next().await?.ok_or("no event")?;
/// assert_eq!(event.commit().version().0, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Since(Place);

#[derive(Clone, Debug)]
enum Place {
    Version(Revision),
    Cursor(Cursor),
}

impl From<Cursor> for Since {
    fn from(cursor: Cursor) -> Self {
        Self(Place::Cursor(cursor))
    }
}

impl From<&Cursor> for Since {
    fn from(cursor: &Cursor) -> Self {
        Self(Place::Cursor(cursor.clone()))
    }
}

impl From<&str> for Since {
    fn from(revision: &str) -> Self {
        Self(Place::Version(revision.into()))
    }
}

impl From<&Ref> for Since {
    fn from(at: &Ref) -> Self {
        Self(Place::Version(at.into()))
    }
}

/// The commits after a place, as they happen. [`Subscription::stream`] gives them.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures::TryStreamExt;
/// use strandline::Lake;
/// use strandline::arrow::array::{Int64Array, RecordBatch};
/// use strandline::changes::Cursor;
/// use std::sync::Arc;
///
/// let lake = Lake::create("memory://events").await?;
/// let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
/// let transaction = lake.begin().await?;
/// transaction.create_table("orders").like(&batch.schema()).await?;
/// transaction.commit().await?;
/// let start = Cursor::at(&lake.at("main").await?);
/// lake.append("orders", batch).await?;
/// let mut events = lake.subscribe(start, ["orders"]).stream();
/// let event = events.try_next().await?.ok_or("no event")?;
/// assert_eq!(event.tables()[0].rows.added, 3);
/// let kept = event.cursor().to_string(); // for the next start of the program
/// assert_eq!(kept.parse::<Cursor>()?, event.cursor());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "commits are given by its stream"]
pub struct Subscription {
    lake: Lake,
    since: Since,
    tables: Vec<String>,
    every: Duration,
}

impl Lake {
    /// The commits of a branch after a version or cursor, as they happen; only those that change one of these tables, if any are
    /// named. A version also names the branch.
    pub fn subscribe<N: Into<String>>(
        &self,
        since: impl Into<Since>,
        tables: impl IntoIterator<Item = N>,
    ) -> Subscription {
        let tables = tables.into_iter().map(Into::into).collect();
        Subscription { lake: self.clone(), since: since.into(), tables, every: EVERY }
    }
}

impl Subscription {
    /// How long to wait after a look that found nothing, or once all that it found was taken: a second unless told otherwise.
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = pause;
        self
    }

    /// The events. A table is followed under all names that it gets, from the cursor of an event on too, and one that is made under
    /// a name later is met then.
    ///
    /// Requests: one for each look, which brings nothing if nothing is new; for what is new, those of a log. Nothing is asked
    /// before the stream is polled; a version is looked up at the first poll, so keep a [`Cursor`] where that is too late.
    ///
    /// # Errors
    /// The stream ends with its first error; go on from the last event's cursor. `InvalidInput` for a cursor of another lake
    /// or a name that can be none; `SnapshotExpired` if commits after the place are not kept any more; `Conflict` if the place is
    /// not in the branch's history: it was made anew; `NotFound` if the branch or version is not there; the store's errors.
    pub fn stream(self) -> BoxStream<'static, Result<Event>> {
        stream::once(self.begin()).map_ok(Watch::events).try_flatten().boxed()
    }

    async fn begin(self) -> Result<Watch> {
        let names = self.tables.iter().map(|name| Ok(TableName::new(name.as_str())?.key().clone()));
        let names = names.collect::<Result<BTreeSet<NameKey>>>()?;
        let cursor = match self.since.0 {
            Place::Version(revision) => Cursor::at(&self.lake.at(revision).await?),
            Place::Cursor(cursor) if cursor.lake == self.lake.id() => cursor,
            Place::Cursor(cursor) => {
                let message = format!("the cursor is of lake {}, this is {}", cursor.lake, self.lake.id());
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        let followed = Followed { all: names.is_empty(), names, renamed: cursor.renamed.clone() };
        let followed = Arc::new(Mutex::new(followed));
        Ok(Watch { lake: self.lake, cursor, followed, every: self.every, idle: false })
    }
}

/// The tables that are followed.
#[derive(Debug)]
struct Followed {
    all: bool,
    names: BTreeSet<NameKey>,
    /// Those that had one of the names and have another one now.
    renamed: BTreeSet<TableId>,
}

impl Followed {
    /// The changes of a commit that are of interest, if it is; which tables have a name is learned.
    fn of(&mut self, commit: &Commit) -> Option<Vec<TableChange>> {
        let mut found = Vec::new();
        for change in commit.changes() {
            let named = |name: &TableName| self.names.contains(name.key());
            let was_named = change.renamed_from.as_ref().is_some_and(named);
            if self.all || named(&change.name) || was_named || self.renamed.contains(&change.table) {
                found.push(change.clone());
            }
            if named(&change.name) {
                self.renamed.remove(&change.table);
            } else if was_named {
                self.renamed.insert(change.table);
            }
        }
        (self.all || !found.is_empty()).then_some(found)
    }
}

/// A subscription that has begun.
struct Watch {
    lake: Lake,
    cursor: Cursor,
    /// Shared with the events that are being taken, which come in order.
    followed: Arc<Mutex<Followed>>,
    every: Duration,
    /// Whether it waits before it looks again.
    idle: bool,
}

impl Watch {
    fn events(self) -> BoxStream<'static, Result<Event>> {
        stream::try_unfold(self, |watch| async move { watch.look().await.map(Some) }).try_flatten().boxed()
    }

    /// What came since, once something did.
    async fn look(mut self) -> Result<(BoxStream<'static, Result<Event>>, Self)> {
        loop {
            if std::mem::replace(&mut self.idle, true) {
                tokio::time::sleep(self.every).await;
            }
            let head = self.lake.newest(&self.cursor.branch).await?;
            self.check(&head).await?;
            if head.commit().seq > self.cursor.version {
                return self.news(head);
            }
        }
    }

    async fn check(&self, head: &Head) -> Result<()> {
        let (branch, version) = (self.cursor.branch.as_str(), self.cursor.version);
        if commit_at(head, version).await? != Some(self.cursor.commit) {
            let message = format!(
                "commit {} is not version {version} of branch {branch:?}: it was made anew, and where to go on is not known",
                self.cursor.commit
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let kept = head.pointer().expired_before();
        if version < kept {
            let message = format!(
                "version {version} of branch {branch:?} was the last that was seen, and what is kept begins with {kept}: commits in between are gone"
            );
            return Err(Error::new(ErrorKind::SnapshotExpired, message));
        }
        Ok(())
    }

    /// The commits up to a head. The cursor stands after them at once, as nothing else is looked for before all are taken.
    fn news(mut self, head: Arc<Head>) -> Result<(BoxStream<'static, Result<Event>>, Self)> {
        let line = Arc::new(Line::of_head(self.lake.clone(), head));
        let at = Ref::tip(Arc::clone(&line));
        let commits = at.log().forwards().from(self.cursor.version.next()?).stream();
        self.cursor = Cursor::at(&at);
        let followed = Arc::clone(&self.followed);
        let event = move |commit: Commit| {
            let mut followed = followed.lock().unwrap_or_else(PoisonError::into_inner);
            let event = followed.of(&commit).map(|tables| Event {
                at: Ref::on(Arc::clone(&line), commit),
                tables,
                renamed: followed.renamed.clone(),
            });
            std::future::ready(Ok(event))
        };
        Ok((commits.try_filter_map(event).boxed(), self))
    }
}

/// A commit that has happened.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use futures::TryStreamExt;
///
/// let mut events = lake.subscribe("main~1", ["orders"]).stream();
/// let event = events.try_next().await?.ok_or("no event")?;
/// assert_eq!(event.commit().message(), "the first orders");
/// assert_eq!(event.tables()[0].rows.added, 3);
/// let rows: Vec<RecordBatch> = event.changes("orders").await?.try_collect().await?;
/// assert_eq!(rows[0].num_rows(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Event {
    at: Ref,
    tables: Vec<TableChange>,
    renamed: BTreeSet<TableId>,
}

impl Event {
    /// The commit.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        self.at.commit()
    }

    /// The version that it made, to read.
    #[must_use]
    pub fn version(&self) -> &Ref {
        &self.at
    }

    /// The place after it, to go on from.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { renamed: self.renamed.clone(), ..Cursor::at(&self.at) }
    }

    /// What it did to the tables that are followed; of all, views and namespaces too, if none was named.
    #[must_use]
    pub fn tables(&self) -> &[TableChange] {
        &self.tables
    }

    /// What it did to the rows of one of these tables, by its name after the commit; see
    /// [`Table::changes`](crate::Table::changes).
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names, if the commit did not change such a table; else as
    /// [`Table::changes`](crate::Table::changes).
    pub async fn changes(&self, table: &str) -> Result<ChangeBatches> {
        let key = NameKey::of(table);
        let is_table = |change: &&TableChange| change.entry_type == EntryType::Table;
        let mut tables = self.tables.iter().filter(is_table);
        let Some(change) = tables.find(|change| *change.name.key() == key) else {
            let names = self.tables.iter().filter(is_table).map(|change| change.name.as_str());
            let near = offer(&nearest(table, names));
            let message = format!("version {} did not change a table {table:?}{near}", self.at.version());
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let reader = Reader { id: change.table, at: self.at.clone() };
        let steps: Vec<Step> = Step::of(self.at.commit(), change.table).into_iter().collect();
        told(reader, steps, None).await
    }
}
