//! Finding out what became of a commit whose outcome was unknown [UNK-3, UNK-7].

use std::sync::Arc;
use std::time::Duration;

use strandline_format::{Commit as CommitNode, Hash, ObjectRef, RefName, Seq, TxnId};

use crate::commit::check::{commit_at, find_key, find_since};
use crate::error::{Error, ErrorKind, Result};
use crate::history::Commit;
use crate::lake::{Head, Lake};
use crate::runtime::Deadline;
use crate::storage::{Loaded, Settled};
use crate::tree::Trees;

/// A commit whose outcome is open: what to look for, and where. Keep it until it is resolved.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::commit::Resolution;
///
/// let load = lake.begin().await?;
/// load.append("orders", orders(&[(4, 99)])).await?;
/// // Kept before the commit, so that it is there whatever happens to this process.
/// let unresolved = load.unresolved();
/// load.commit().await?;
/// assert!(matches!(lake.resolve(&unresolved).await?, Resolution::Committed(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// The branch that it was to go to.
    pub branch: RefName,
    /// The transaction.
    pub txn: TxnId,
    /// Whether its id stands for an idempotency key.
    pub keyed: bool,
    /// The version that it began on.
    pub start: Seq,
    /// The commit of that version: a branch that was deleted and made anew does not have it, and cannot tell.
    pub start_commit: Hash,
}

/// What became of a commit.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::commit::Resolution;
///
/// let load = lake.begin().await?;
/// let unresolved = load.unresolved();
/// load.abandon().await;
/// match lake.resolve_by_fence(&unresolved).await? {
///     Resolution::Committed(commit) => panic!("nobody committed, and yet it is version {}", commit.version()),
///     Resolution::Aborted => println!("it can be run again"),
///     Resolution::Open => println!("it may still happen"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum Resolution {
    /// It stands in the history.
    Committed(Commit),
    /// It does not, and never will: its branch was fenced. With an idempotency key this is so of that run alone: another run
    /// with the same key can still commit.
    Aborted,
    /// It does not yet, but it still may.
    Open,
}

/// How long a fence may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Lake {
    /// Looks for a commit whose outcome was unknown. One request, and the nodes of the history since it began.
    ///
    /// # Errors
    /// The store's errors; `CommitUnknown` if the branch was deleted, or made anew, since the transaction began: what its
    /// history was cannot be told by what stands there now [UNK-7].
    pub async fn resolve(&self, unresolved: &Unresolved) -> Result<Resolution> {
        let head = self.head_of(unresolved).await?;
        Ok(look(&head, unresolved).await?.map_or(Resolution::Open, Resolution::Committed))
    }

    /// The same, but ends the doubt: swaps the branch to itself, so that no request from before can land any more. The
    /// writer must have stopped: one that goes on could commit upon the fence.
    ///
    /// # Errors
    /// As [`Lake::resolve`]; `CommitUnknown` if the fence itself is in doubt.
    pub async fn resolve_by_fence(&self, unresolved: &Unresolved) -> Result<Resolution> {
        let deadline = Deadline::after(PATIENCE);
        loop {
            let head = self.head_of(unresolved).await?;
            if let Some(commit) = look(&head, unresolved).await? {
                return Ok(Resolution::Committed(commit));
            }
            let nonce_stands = |nonce| {
                move |loaded: &Loaded| Ok(strandline_format::Pointer::parse(&loaded.bytes)?.nonce() == nonce)
            };
            match self.swap(&head, Ok, nonce_stands, deadline).await? {
                Settled::Applied(_) => break,
                Settled::NotApplied(_) if !deadline.passed() => {}
                Settled::NotApplied(_) => {
                    let message = "other writers kept the branch busy while it was to be fenced";
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
                Settled::Unknown(doubt) => {
                    return Err(Error::of_unresolved(unresolved.clone(), doubt.message()));
                }
            }
        }
        let head = self.head_of(unresolved).await?;
        Ok(look(&head, unresolved).await?.map_or(Resolution::Aborted, Resolution::Committed))
    }

    /// The head of the branch on which the transaction began.
    async fn head_of(&self, unresolved: &Unresolved) -> Result<Arc<Head>> {
        let gone = |why: &str| Error::of_unresolved(unresolved.clone(), why);
        let head = match self.newest(&unresolved.branch).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone("the branch was deleted")),
            head => head?,
        };
        if commit_at(&head, unresolved.start).await? != Some(unresolved.start_commit) {
            return Err(gone("the branch was deleted and made anew since it began"));
        }
        Ok(head)
    }
}

async fn look(head: &Head, unresolved: &Unresolved) -> Result<Option<Commit>> {
    match unresolved.keyed {
        // Another run with the key may have committed before this one began.
        true => find_key(head, unresolved.txn).await,
        false => find_since(head, unresolved.txn, unresolved.start).await,
    }
}

/// A commit by its reference. At most one request.
pub(crate) async fn read_commit(trees: &Trees, object: &ObjectRef) -> Result<Commit> {
    let node = CommitNode::parse(&trees.text(object).await?).map_err(|error| error.at(object.hash))?;
    Ok(Commit::new(*object, node))
}
