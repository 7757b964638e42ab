//! Merging a version into a branch [MRG-1..8].

use std::future::IntoFuture;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{Author, Message, RefName};

use crate::commit::build::Label;
use crate::error::Result;
use crate::history::{Ref, Revision};
use crate::lake::{Head, Lake};
use crate::merge::{Act, Bringing, Choices, Kin, MergeProgress, Side};
use crate::refs::carry::{Carrying, Merged, Preview};

/// A version that is about to be merged into a branch: `.await` it for what became of it.
///
/// All tables, views and namespaces, their schemas and their rows come together in one commit, or nothing does. Rows are told
/// apart by their ids: what only one side did stands, a row that both changed is merged column by column, and what cannot be
/// merged comes back as [`Merged::Conflicts`] with the values of all sides; so do rows of both sides that have one key, unless they are equal, and rows of both sides'
/// cells that break a check. Where the branch has nothing of its own it is moved forward instead, unless something of it is to stay as it is.
///
/// Requests: those of the differences between the common ancestor and both sides; of data files only those that hold rows which
/// both sides changed; the pin of what is merged and its release; the commit. A dropped future leaves the outcome unknown.
///
/// Memory: about 40 MiB to tell rows apart that both sides touched; about 150 bytes for each of them whose values decide, and the values of 65,536 of these
/// on all sides at once; and the rows that are written of both sides' cells, or come back as conflicts.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline::arrow::array::{Int64Array, RecordBatch};
/// use strandline::refs::Merged;
/// use std::sync::Arc;
///
/// let lake = Lake::create("memory://merges").await?;
/// let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
/// let transaction = lake.begin().await?;
/// transaction.create_table("orders").like(&batch.schema()).await?;
/// transaction.commit().await?;
/// lake.create_branch("dev").await?;
/// let on_dev = lake.begin().branch("dev").await?;
/// on_dev.append("orders", batch.clone()).await?;
/// on_dev.commit().await?;
/// lake.append("orders", batch).await?;
///
/// let merged = lake.merge("dev").into("main").await?;
/// assert!(matches!(merged, Merged::Committed(_)));
/// assert_eq!(lake.table("orders").await?.rows(), 6);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound` and `InvalidInput` for names, those that something is decided for among them; `SnapshotExpired` if the common ancestor, or what a branch
/// has merged since the two met, is not kept any more; `Unsupported` if there are several last common ancestors that disagree with each other, or commits were picked without a record of their rows; `CommitUnknown`, `Unavailable` and `PermissionDenied`
/// as of a commit; `Corrupt` and the store's errors.
#[derive(Clone, Debug)]
#[must_use = "a version is merged when this is awaited"]
pub struct Merge {
    lake: Lake,
    from: Revision,
    branch: Option<String>,
    choices: std::result::Result<Choices, strandline_format::Error>,
    label: std::result::Result<Label, strandline_format::Error>,
    commit_always: bool,
    progress: MergeProgress,
}

impl Lake {
    /// Merges a version into the branch that the lake was opened at, or another one; see [`Merge`].
    pub fn merge(&self, from: impl Into<Revision>) -> Merge {
        Merge {
            lake: self.clone(),
            from: from.into(),
            branch: None,
            choices: Ok(Choices::default()),
            label: Ok(Label::default()),
            commit_always: false,
            progress: MergeProgress::default(),
        }
    }
}

impl Merge {
    /// The branch that it is merged into.
    pub fn into(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// A table, view or namespace, by its name on either side, that gets the state of one side as a whole.
    pub fn take(self, name: &str, side: Side) -> Self {
        self.chosen(|choices| choices.take(name, side))
    }

    /// Whose rows count of those of a table that the sides disagree on. Of two rows with one key the other side's goes, or is as this side has
    /// it.
    pub fn rows(self, table: &str, side: Side) -> Self {
        self.chosen(|choices| choices.take_rows(table, side))
    }

    /// Rows that take the place of those of a table that the sides disagree on: with the columns of
    /// [`ContestedRows`](crate::merge::ContestedRows), `_row_id` being the last. Of two rows with one key, that of our side is named by its id, and what is
    /// given for it stands before a new row of theirs.
    pub fn with_rows(self, table: &str, rows: impl IntoIterator<Item = RecordBatch>) -> Self {
        let rows: Vec<RecordBatch> = rows.into_iter().collect();
        self.chosen(|choices| choices.give(table, rows))
    }

    /// One commit for all that is merged, also where the branch could be moved forward over the commits themselves. What was merged is its second
    /// parent: by that a later merge knows what the branch has, and which of its rows are which.
    pub fn squash(mut self) -> Self {
        self.commit_always = true;
        self
    }

    /// Tells this how far it is, so that whoever waits can see it.
    ///
    /// ```
    #[doc = include_str!("../orders.example")]
    /// use strandline::filter::col;
    /// use strandline::merge::MergeProgress;
    ///
    /// lake.create_branch("dev").await?;
    /// for (branch, column) in [("main", "id"), ("dev", "amount")] {
    ///     let change = lake.begin().branch(branch).await?;
    ///     change.update("orders", col("id").eq(1)).set(column, 7).await?;
    ///     change.commit().await?;
    /// }
    /// let progress = MergeProgress::default();
    /// lake.merge("dev").into("main").watched_by(&progress).await?.committed()?;
    /// assert_eq!((progress.tables(), progress.rows()), ((1, 1), (1, 1)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watched_by(mut self, progress: &MergeProgress) -> Self {
        self.progress = progress.clone();
        self
    }

    /// Why; the log shows it.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.label = self.label.and_then(|label| Ok(Label { message: Message::new(message)?, ..label }));
        self
    }

    /// Who; the log shows it.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.label = self.label.and_then(|label| Ok(Label { author: Author::new(author)?, ..label }));
        self
    }

    fn chosen(
        mut self,
        choose: impl FnOnce(Choices) -> std::result::Result<Choices, strandline_format::Error>,
    ) -> Self {
        self.choices = self.choices.and_then(choose);
        self
    }

    /// What it would come to. Nothing is committed.
    ///
    /// # Errors
    /// As of the merge.
    pub async fn dry_run(self) -> Result<Preview> {
        let (ready, head) = self.prepare().await?;
        let ours = Ref::of_head(ready.lake.clone(), head);
        match ready.relation(&ours).await? {
            Relation::Behind => return Ok(Preview::UpToDate),
            Relation::Ahead if !ready.is_commit => return Ok(Preview::Forward),
            Relation::Ahead | Relation::Parted => {}
        }
        ready.carrying().preview(&ours).await
    }

    async fn run(self) -> Result<Merged> {
        let (ready, head) = self.prepare().await?;
        let ours = Ref::of_head(ready.lake.clone(), Arc::clone(&head));
        match ready.relation(&ours).await? {
            Relation::Behind => Ok(Merged::UpToDate(ours)),
            Relation::Ahead if !ready.is_commit => {
                let moved = ready.lake.fast_forward(ready.branch.as_str()).to(&ready.theirs).await?;
                Ok(Merged::Forwarded(moved))
            }
            Relation::Ahead | Relation::Parted => ready.carrying().run(head).await,
        }
    }

    async fn prepare(self) -> Result<(Ready, Arc<Head>)> {
        let (choices, label) = (self.choices?, self.label?);
        let branch = match &self.branch {
            Some(branch) => RefName::new(branch.as_str())?,
            None => self.lake.default_branch().clone(),
        };
        let theirs = self.lake.at(self.from).await?;
        let head = match self.lake.newest(&branch).await {
            Ok(head) => head,
            Err(error) => return Err(self.lake.explain_branch(&branch, error).await),
        };
        choices.check_names(&[&head.snapshot(&self.lake), theirs.snapshot()]).await?;
        let label = match label.message.as_str().is_empty() {
            true => Label { message: Message::new(merge_message(&theirs, &branch))?, ..label },
            false => label,
        };
        // Their commit itself has nothing as ours has it [MRG-5].
        let is_commit = self.commit_always || choices.keeps_any();
        let bringing =
            Bringing { progress: self.progress, ..Bringing::new(Act::Merge(theirs.clone()), choices) };
        let bringing = Arc::new(bringing);
        Ok((Ready { lake: self.lake, branch, theirs, bringing, label, is_commit }, head))
    }
}

fn merge_message(theirs: &Ref, branch: &RefName) -> String {
    let from = theirs.tag().unwrap_or_else(|| theirs.branch());
    format!("merge {} (version {}) into {}", from.as_str(), theirs.version(), branch.as_str())
}

/// How the branch stands to what is merged.
enum Relation {
    /// It has all of it.
    Behind,
    /// It has nothing else.
    Ahead,
    Parted,
}

/// A merge whose names were looked up.
struct Ready {
    lake: Lake,
    branch: RefName,
    theirs: Ref,
    bringing: Arc<Bringing>,
    label: Label,
    /// Whether the branch is not to be moved to their commit itself.
    is_commit: bool,
}

impl Ready {
    async fn relation(&self, ours: &Ref) -> Result<Relation> {
        let kin = Kin::of(ours, &self.theirs).await?;
        if kin.is_behind() && !kin.is_ahead() {
            return Ok(Relation::Ahead);
        }
        // It may have come by way of other branches.
        let has_come = kin.has_come(&[Some(self.theirs.commit().hash())]).await?;
        Ok(if has_come { Relation::Behind } else { Relation::Parted })
    }

    fn carrying(&self) -> Carrying<'_> {
        Carrying {
            lake: &self.lake,
            branch: &self.branch,
            bringing: Arc::clone(&self.bringing),
            label: self.label.clone(),
            txn: None,
            exact: false,
            source: Some(&self.theirs),
        }
    }
}

impl IntoFuture for Merge {
    type Output = Result<Merged>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
