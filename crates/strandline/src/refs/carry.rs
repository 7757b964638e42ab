//! Carrying out what is brought into a branch: looked at first, so that conflicts come back as a value with nothing done, then committed.
//!
//! Invariant: what is taken over from another ref goes through [`Taking`] [GC-7], and the commit through the one loop [MRG-6].

use std::sync::Arc;

use strandline_format::{RefName, Seq, TxnId};
use tokio::sync::Mutex;

use crate::commit::build::Label;
use crate::commit::check::find_key;
use crate::commit::{Brings, Looked, Member, Patience, Report, Written, name_commits};
use crate::error::{Error, ErrorKind, Result};
use crate::history::Ref;
use crate::lake::{Head, KNOWN_FEATURES, Lake};
use crate::merge::{
    Act, Bringing, Brought, Conflict, ConflictKind, ContestedKeys, ContestedRows, Disagreements, Upon,
};
use crate::refs::PATIENCE;
use crate::refs::create_branch::reason;
use crate::refs::taking::{Depth, Taking};
use crate::runtime::Deadline;
use crate::transaction::work::Work;
use crate::write::Uploads;

/// What stands in the way of a merge, a pick or a revert. Nothing was done.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::refs::Merged;
///
/// lake.create_branch("dev").await?;
/// let drop = lake.begin().branch("dev").await?;
/// drop.drop_table("orders").await?;
/// drop.commit().await?;
/// lake.append("orders", orders(&[(4, 99)])).await?;
///
/// let Merged::Conflicts(found) = lake.merge("dev").into("main").await? else { panic!("dropped and appended to") };
/// assert_eq!((found.conflicts.len(), found.conflicts[0].name.as_str()), (1, "orders"));
/// assert!(found.rows.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MergeConflicts {
    /// All that the sides disagree on.
    pub conflicts: Vec<Conflict>,
    /// The values of rows that they disagree on, on all sides, table by table.
    pub rows: Vec<ContestedRows>,
    /// The values of rows of both sides that have one key, table by table.
    pub keys: Vec<ContestedKeys>,
}

impl std::fmt::Display for MergeConflicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listed: Vec<String> = self.conflicts.iter().map(|conflict| format!("{conflict:#}")).collect();
        f.write_str(&listed.join("; "))
    }
}

impl MergeConflicts {
    /// The same as an error of the kind `Conflict` that says so in these words. Trying again does not help: somebody has to decide.
    ///
    /// ```
    /// use strandline::refs::MergeConflicts;
    ///
    /// let error = MergeConflicts::default().into_error("the branches disagree");
    /// assert!(!error.is_retryable());
    /// ```
    #[must_use]
    pub fn into_error(self, message: impl Into<String>) -> Error {
        Error::of_disagreement(self.conflicts, message)
    }
}

impl MergeConflicts {
    /// Whether all of it is about rows, so that whoever decides about these has decided it: [`Merge::rows`](crate::refs::Merge::rows). What
    /// stands in the way of names, schemas and constraints is decided for a table as a whole: [`Merge::take`](crate::refs::Merge::take).
    ///
    /// ```
    #[doc = include_str!("../orders.example")]
    /// use strandline::filter::col;
    /// use strandline::refs::Merged;
    ///
    /// lake.create_branch("dev").await?;
    /// for (branch, amount) in [("main", 31), ("dev", 32)] {
    ///     let change = lake.begin().branch(branch).await?;
    ///     change.update("orders", col("id").eq(1)).set("amount", amount).await?;
    ///     change.commit().await?;
    /// }
    /// let Merged::Conflicts(found) = lake.merge("dev").into("main").await? else { panic!("both changed row 1") };
    /// assert!(found.are_of_rows());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn are_of_rows(&self) -> bool {
        let is_of_rows =
            |conflict: &Conflict| matches!(conflict.kind, ConflictKind::Rows(_) | ConflictKind::Keys(_));
        self.conflicts.iter().all(is_of_rows)
    }
}

impl From<Disagreements> for MergeConflicts {
    fn from(found: Disagreements) -> Self {
        Self { conflicts: found.conflicts, rows: found.contested, keys: found.keys }
    }
}

/// What became of a merge, a pick, a revert or a reset.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::refs::Merged;
///
/// lake.create_branch("dev").await?;
/// let work = lake.begin().branch("dev").await?;
/// work.append("orders", orders(&[(4, 99)])).await?;
/// work.commit().await?;
///
/// match lake.merge("dev").into("main").await? {
///     // `main` stood still, so it only moves forward.
///     Merged::Forwarded(main) => assert_eq!(main.version().0, 2),
///     Merged::Conflicts(found) => panic!("nothing was done: {} conflicts", found.conflicts.len()),
///     Merged::UpToDate(_) | Merged::Committed(_) => panic!("dev has a commit, and main has none"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "conflicts are among the outcomes"]
pub enum Merged {
    /// The branch had all of it already: what was merged or picked is in its history, or what was to be taken back is not there.
    UpToDate(Ref),
    /// The branch was moved forward, without a commit of its own.
    Forwarded(Ref),
    /// A commit was made.
    Committed(Box<Report>),
    /// The sides disagree, and nothing was done: decide, and merge again.
    Conflicts(MergeConflicts),
}

impl Merged {
    /// The commit that was made.
    ///
    /// # Errors
    /// `Conflict`, telling all of them, if there are conflicts; `InvalidInput` if none was needed.
    pub fn committed(self) -> Result<Report> {
        match self {
            Self::Committed(report) => Ok(*report),
            Self::Conflicts(found) => {
                let message = found.to_string();
                Err(found.into_error(message))
            }
            Self::UpToDate(at) | Self::Forwarded(at) => {
                let message = format!("no commit was needed: the branch is at version {}", at.version());
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
        }
    }
}

/// What a merge, a pick or a revert would come to.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::refs::Preview;
///
/// lake.create_branch("dev").await?;
/// assert!(matches!(lake.merge("dev").into("main").dry_run().await?, Preview::UpToDate));
/// let work = lake.begin().branch("dev").await?;
/// work.append("orders", orders(&[(4, 99)])).await?;
/// work.commit().await?;
/// assert!(matches!(lake.merge("dev").into("main").dry_run().await?, Preview::Forward));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum Preview {
    /// The branch has all of it already.
    UpToDate,
    /// The branch would be moved forward.
    Forward,
    /// A commit would be made that changes these tables, views and namespaces, by name: none if all of it was done on the branch as well.
    Commit(Vec<String>),
    /// The sides disagree.
    Conflicts(MergeConflicts),
}

/// What an act comes to upon a head.
enum Looks {
    Work(Box<Work>),
    Conflicts(MergeConflicts),
    /// The branch has all of it.
    Nothing,
}

/// An act upon a branch.
pub(super) struct Carrying<'a> {
    pub(super) lake: &'a Lake,
    pub(super) branch: &'a RefName,
    pub(super) bringing: Arc<Bringing>,
    pub(super) label: Label,
    /// Whether its transaction is known again, and by which id.
    pub(super) txn: Option<TxnId>,
    /// The head that the branch must have, if that was said or follows from the act.
    pub(super) exact: bool,
    /// What is taken over from another ref.
    pub(super) source: Option<&'a Ref>,
}

impl Carrying<'_> {
    /// What it comes to upon a head. Nothing is written but deletion vectors and rows that nothing refers to yet.
    async fn look(&self, ours: &Ref) -> Result<Looks> {
        self.look_as(ours, self.id()?).await
    }

    /// The same, told to whoever only wants to know.
    pub(super) async fn preview(&self, ours: &Ref) -> Result<Preview> {
        let already = match (self.txn, ours.head()) {
            (Some(txn), Some(head)) => find_key(head, txn).await?.is_some(),
            _ => false,
        };
        if already {
            return Ok(Preview::UpToDate);
        }
        Ok(match self.look(ours).await? {
            Looks::Work(work) if work.changes_nothing().await? => Preview::Commit(Vec::new()),
            Looks::Work(work) => Preview::Commit(work.names().map(str::to_owned).collect()),
            Looks::Conflicts(conflicts) => Preview::Conflicts(conflicts),
            Looks::Nothing => Preview::UpToDate,
        })
    }

    async fn look_as(&self, ours: &Ref, txn: TxnId) -> Result<Looks> {
        let head =
            ours.head().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "not the head of a branch"))?;
        let upon = Upon { ours, version: ours.version().next()?, era: head.pointer().era(), txn };
        match self.bringing.upon(&upon).await {
            Ok(Brought::Done(work)) if self.is_there(&work).await? => Ok(Looks::Nothing),
            Ok(Brought::Done(work)) => Ok(Looks::Work(Box::new(work))),
            Ok(Brought::Nothing) => Ok(Looks::Nothing),
            Ok(Brought::Disagreed(mut found)) => {
                if let Err(error) = name_commits(&mut found.conflicts, head, found.since).await {
                    tracing::debug!(%error, "the commits behind a conflict could not be read");
                }
                Ok(Looks::Conflicts(found.into()))
            }
            Err(error) => Err(self.explain(ours, error).await),
        }
    }

    async fn explain(&self, ours: &Ref, error: Error) -> Error {
        let error = ours.explain(error).await;
        match self.source {
            Some(source) => source.explain(error).await,
            None => error,
        }
    }

    /// Whether there is nothing to be taken back. What was merged or picked is recorded all the same: later merges know it by that.
    async fn is_there(&self, work: &Work) -> Result<bool> {
        match self.bringing.act {
            Act::Revert { .. } => work.changes_nothing().await,
            Act::Merge(_) | Act::Pick { .. } | Act::Reset(_) => Ok(false),
        }
    }

    fn id(&self) -> Result<TxnId> {
        match self.txn {
            Some(txn) => Ok(txn),
            None => Ok(TxnId::from_bytes(self.lake.storage().runtime().random()?)),
        }
    }

    /// Commits it, unless the sides disagree.
    pub(super) async fn run(&self, head: Arc<Head>) -> Result<Merged> {
        head.pointer().features().check_write(KNOWN_FEATURES)?;
        let ours = Ref::of_head(self.lake.clone(), Arc::clone(&head));
        if let Some(txn) = self.txn
            && let Some(commit) = find_key(&head, txn).await?
        {
            return Ok(Merged::Committed(Box::new(Report { already: true, ..Report::of(commit) })));
        }
        let txn = self.id()?;
        let work = match self.look_as(&ours, txn).await? {
            Looks::Work(work) => *work,
            Looks::Conflicts(conflicts) => return Ok(Merged::Conflicts(conflicts)),
            Looks::Nothing => return Ok(Merged::UpToDate(ours)),
        };
        let changes_nothing = work.changes_nothing().await?;
        let looked = Looked { head: head.pointer().head().hash, era: head.pointer().era(), work };
        let deadline = Deadline::after(PATIENCE);
        let taking = match self.source {
            Some(source) => {
                let reason = reason("merge into", self.branch);
                Some(Box::pin(Taking::begin(source, Depth::Alone, reason, deadline)).await?)
            }
            None => None,
        };
        let taking = Arc::new(Mutex::new(taking));
        let committed = self.commit(&head, txn, looked, Arc::clone(&taking)).await;
        if let Some(taking) = taking.lock().await.take() {
            taking.end().await;
        }
        match committed {
            // Somebody else has brought it in meanwhile.
            Ok(report) if report.already && report.commit.txn() != txn => {
                Ok(Merged::UpToDate(Ref::of_head(self.lake.clone(), self.lake.newest(self.branch).await?)))
            }
            Ok(report) => {
                // Upon another head it was found anew what it changes.
                let upon_this = report.commit.version() == head.version().version().next()?;
                let changed_nothing = changes_nothing && upon_this && !report.already;
                Ok(Merged::Committed(Box::new(Report { changed_nothing, ..report })))
            }
            Err(error) if error.kind() == ErrorKind::Conflict && !error.conflicts().is_empty() => {
                self.disagreed(error).await
            }
            Err(error) => Err(error),
        }
    }

    /// The branch has moved, and what it has now disagrees: with the values of rows, as far as it still does.
    async fn disagreed(&self, error: Error) -> Result<Merged> {
        let now = Ref::of_head(self.lake.clone(), self.lake.newest(self.branch).await?);
        match self.look(&now).await? {
            Looks::Conflicts(conflicts) => Ok(Merged::Conflicts(conflicts)),
            Looks::Nothing => Ok(Merged::UpToDate(now)),
            Looks::Work(_) => Err(error),
        }
    }

    async fn commit(
        &self,
        head: &Head,
        txn: TxnId,
        looked: Looked,
        taking: Arc<Mutex<Option<Taking>>>,
    ) -> Result<Report> {
        let brings = Brings {
            bringing: Arc::clone(&self.bringing),
            taking,
            looked,
            exact: self.exact,
            oldest: self.oldest(),
        };
        let member = Member {
            txn,
            keyed: self.txn.is_some(),
            start: head.version().clone(),
            work: Work::on(head.snapshot(self.lake), head.pointer().era()),
            reads: None,
            label: self.label.clone(),
            patience: Patience::default(),
            written: Written::default(),
            uploads: Uploads::default(),
            brings: Some(brings),
        };
        self.lake.carry_through(self.branch, member).await
    }

    /// The oldest version of the branch itself that is read, which each head that it goes upon must keep.
    fn oldest(&self) -> Option<Seq> {
        match &self.bringing.act {
            Act::Revert { before, .. } | Act::Reset(before) => Some(before.version()),
            Act::Merge(_) | Act::Pick { .. } => None,
        }
    }
}
