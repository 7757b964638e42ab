//! Single commits: picked into a branch, or taken back; and a branch as it was at one of its versions [MRG-9, MRG-10].

use std::future::IntoFuture;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::merge::{PICKED, pick_key};
use strandline_format::{
    Author, CommitProperties, Hash, Message, PropertyKey, PropertyValue, RefName, TxnId,
};

use crate::commit::build::Label;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Ref, Revision};
use crate::lake::{Head, Lake};
use crate::merge::{Act, Bringing, Choices, Kin, Side, before};
use crate::refs::carry::{Carrying, Merged, Preview};
use crate::refs::check_expected;

/// Which of the acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Pick,
    Revert,
    Reset,
}

/// A commit that is about to be picked or taken back, or a version that a branch is about to be reset to: `.await` it for what became of it.
///
/// It makes one commit with one parent; a revert that would change nothing makes none. Requests: as of a merge, see [`Merge`](crate::refs::Merge); a reset takes the states of its
/// version as they are. A commit comes into a branch once: picked again, it is found. A dropped future leaves the outcome unknown.
///
/// ```
#[doc = include_str!("../orders.example")]
/// lake.append("orders", orders(&[(4, -1)])).await?;
/// lake.append("orders", orders(&[(5, 20)])).await?;
/// // The commit before the last one was a mistake; the last one stays.
/// lake.revert("main~1").on("main").message("not an order").await?.committed()?;
/// assert_eq!(lake.table("orders").await?.rows(), 4);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `SnapshotExpired` if the commit or the one before it is not kept; `InvalidInput` if it has nothing before it, is a merge and to be
/// picked, or is not in the branch's history where it must be; `Conflict` if the branch is not at the commit that was expected, or, of a reset, has moved meanwhile;
/// else as of a merge.
#[derive(Clone, Debug)]
#[must_use = "it is done when this is awaited"]
pub struct Single {
    lake: Lake,
    what: What,
    of: Revision,
    branch: Option<String>,
    expecting: Option<Hash>,
    choices: std::result::Result<Choices, strandline_format::Error>,
    message: Option<String>,
    author: String,
}

impl Lake {
    /// Does to a branch what one commit of another branch did to that.
    pub fn cherry_pick(&self, commit: impl Into<Revision>) -> Single {
        Single::new(self, What::Pick, commit.into())
    }

    /// Takes back what one commit of a branch did; what came after it stays. So does a type that the commit made wider: values that need it
    /// may have come since, and only a reset makes it narrow again.
    pub fn revert(&self, commit: impl Into<Revision>) -> Single {
        Single::new(self, What::Revert, commit.into())
    }

    /// Makes a branch what it was at one of its versions, by a commit: nothing of its history is lost.
    pub fn reset(&self, to: impl Into<Revision>) -> Single {
        Single::new(self, What::Reset, to.into())
    }
}

impl Single {
    fn new(lake: &Lake, what: What, of: Revision) -> Self {
        Self {
            lake: lake.clone(),
            what,
            of,
            branch: None,
            expecting: None,
            choices: Ok(Choices::default()),
            message: None,
            author: String::new(),
        }
    }

    /// The branch, instead of that which the lake was opened at.
    pub fn on(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// Only if this commit is the branch's head.
    pub fn expecting(mut self, commit: Hash) -> Self {
        self.expecting = Some(commit);
        self
    }

    /// A table, view or namespace, by its name on either side, that gets the state of one side as a whole where they disagree: of the
    /// branch, or of the commit.
    pub fn take(self, name: &str, side: Side) -> Self {
        self.chosen(|choices| choices.take(name, side))
    }

    /// Whose rows count of those of a table that the branch and the commit disagree on, as of a [merge](crate::refs::Merge::rows).
    pub fn rows(self, table: &str, side: Side) -> Self {
        self.chosen(|choices| choices.take_rows(table, side))
    }

    /// Rows that take the place of those of a table that the branch and the commit disagree on, as of a
    /// [merge](crate::refs::Merge::with_rows).
    pub fn with_rows(self, table: &str, rows: impl IntoIterator<Item = RecordBatch>) -> Self {
        let rows: Vec<RecordBatch> = rows.into_iter().collect();
        self.chosen(|choices| choices.give(table, rows))
    }

    fn chosen(
        mut self,
        choose: impl FnOnce(Choices) -> std::result::Result<Choices, strandline_format::Error>,
    ) -> Self {
        self.choices = self.choices.and_then(choose);
        self
    }

    /// Why; the log shows it.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Who; the log shows it.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = author.into();
        self
    }

    /// What it would come to. Nothing is committed.
    ///
    /// ```
    #[doc = include_str!("../orders.example")]
    /// use strandline::refs::Preview;
    ///
    /// lake.append("orders", orders(&[(4, -1)])).await?;
    /// let preview = lake.revert("main").on("main").dry_run().await?;
    /// assert!(matches!(preview, Preview::Commit(tables) if tables == ["orders"]));
    /// assert_eq!(lake.table("orders").await?.rows(), 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of the act itself.
    pub async fn dry_run(self) -> Result<Preview> {
        let (ready, head) = self.prepare().await?;
        let ours = Ref::of_head(ready.lake.clone(), head);
        if ready.has_come(&ours).await? {
            return Ok(Preview::UpToDate);
        }
        ready.carrying().preview(&ours).await
    }

    async fn run(self) -> Result<Merged> {
        let (ready, head) = self.prepare().await?;
        let ours = Ref::of_head(ready.lake.clone(), Arc::clone(&head));
        if ready.has_come(&ours).await? {
            return Ok(Merged::UpToDate(ours));
        }
        ready.carrying().run(head).await
    }

    async fn prepare(self) -> Result<(Ready, Arc<Head>)> {
        let branch = match &self.branch {
            Some(branch) => RefName::new(branch.as_str())?,
            None => self.lake.default_branch().clone(),
        };
        let of = self.lake.at(self.of.clone()).await?;
        let head = match self.lake.newest(&branch).await {
            Ok(head) => head,
            Err(error) => return Err(self.lake.explain_branch(&branch, error).await),
        };
        check_expected("branch", &branch, self.expecting, head.pointer().head().hash)?;
        let act = match self.what {
            What::Pick => {
                refuse_merge(&of)?;
                Act::Pick { before: before(&of).await?, commit: of.clone() }
            }
            What::Revert => Act::Revert { before: before(&of).await?, commit: of.clone() },
            What::Reset => Act::Reset(of.clone()),
        };
        let choices = self.choices.clone()?;
        let now = head.snapshot(&self.lake);
        match &act {
            Act::Pick { before, .. } | Act::Revert { before, .. } => {
                choices.check_names(&[&now, of.snapshot(), before.snapshot()]).await?;
            }
            Act::Merge(_) | Act::Reset(_) => choices.check_names(&[&now, of.snapshot()]).await?,
        }
        let picked = match self.what {
            // A pick is a copy of what it was picked from, and picked again another one of that.
            What::Pick => Some(of.commit().node().picked_from().unwrap_or_else(|| of.commit().hash())),
            What::Revert | What::Reset => None,
        };
        let label = self.label(&of, picked)?;
        let exact = self.what == What::Reset || self.expecting.is_some();
        let bringing = Arc::new(Bringing::new(act, choices));
        Ok((Ready { lake: self.lake, branch, of, bringing, label, picked, exact }, head))
    }

    fn label(&self, of: &Ref, picked: Option<Hash>) -> Result<Label> {
        let hash = of.commit().hash().to_string();
        let message = match (&self.message, self.what) {
            (Some(message), _) => message.clone(),
            (None, What::Pick) => of.commit().message().to_owned(),
            (None, What::Revert) => format!("revert {} (version {})", &hash[..12], of.version()),
            (None, What::Reset) => format!("reset to version {} ({})", of.version(), &hash[..12]),
        };
        let mut properties = CommitProperties::default();
        if let Some(origin) = picked {
            properties.set(PropertyKey::new(PICKED)?, PropertyValue::new(origin.to_string())?)?;
        }
        let author = match (self.author.is_empty(), self.what) {
            (true, What::Pick) => of.commit().author().to_owned(),
            _ => self.author.clone(),
        };
        Ok(Label { message: Message::new(message)?, author: Author::new(author)?, properties })
    }
}

/// A merge is no one commit's work: what was picked of it would be there again once a branch comes that it brought [MRG-9].
fn refuse_merge(of: &Ref) -> Result<()> {
    let Some(merged) = of.commit().merged() else { return Ok(()) };
    let message = format!(
        "version {} of {:?} is a merge of commit {} (version {}): merge that commit, or pick those that it brought one by one",
        of.version(),
        of.branch().as_str(),
        merged.hash,
        merged.version
    );
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// An act whose names were looked up.
struct Ready {
    lake: Lake,
    branch: RefName,
    of: Ref,
    bringing: Arc<Bringing>,
    label: Label,
    /// The commit that is picked, if one is, or that it was picked from.
    picked: Option<Hash>,
    exact: bool,
}

impl Ready {
    /// Whether the branch descends from what is picked, or from what that was picked from.
    async fn has_come(&self, ours: &Ref) -> Result<bool> {
        match self.picked {
            Some(origin) => {
                Kin::of(ours, &self.of).await?.has_come(&[Some(origin), Some(self.of.commit().hash())]).await
            }
            None => Ok(false),
        }
    }

    fn carrying(&self) -> Carrying<'_> {
        Carrying {
            lake: &self.lake,
            branch: &self.branch,
            bringing: Arc::clone(&self.bringing),
            label: self.label.clone(),
            txn: self.picked.map(|hash| TxnId::of_key(&pick_key(hash))),
            exact: self.exact,
            source: self.picked.map(|_| &self.of),
        }
    }
}

impl IntoFuture for Single {
    type Output = Result<Merged>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
