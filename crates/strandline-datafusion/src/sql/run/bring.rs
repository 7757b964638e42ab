//! Versions that are brought into branches: merged, picked, taken back, put in the place of what is there.
//!
//! Invariant: where the sides disagree nothing is done, and the error tells all that they disagree on. What does not belong here: who
//! wins, which is the SDK's to know, or said by `TAKE`.

use strandline::format::RefName;
use strandline::refs::{Merge, Merged, Single};
use strandline::{Error, ErrorKind, Result};

use super::transactions::said;
use super::{Run, invalid};
use crate::catalog::At;
use crate::sql::reference;
use crate::sql::statement::{Bring, Brought};

impl Run<'_> {
    pub(super) async fn bring(&self, bring: Bring) -> Result<()> {
        self.outside_of_transactions("what is brought into a branch")?;
        let branch = self.branch_to_change(bring.branch.as_deref())?;
        let of = Box::pin(reference::find(self.lake, &self.standing.place, &bring.reference)).await?;
        let outcome = match bring.what {
            Brought::Merged => self.merge(self.lake.merge(of).into(branch.as_str()), &bring)?.await?,
            Brought::Picked => single(self.lake.cherry_pick(of), &branch, bring.message).await?,
            Brought::Reverted => single(self.lake.revert(of), &branch, bring.message).await?,
            Brought::Reset => single(self.lake.reset(of), &branch, bring.message).await?,
        };
        match outcome {
            Merged::UpToDate(_) | Merged::Forwarded(_) | Merged::Committed(_) => Ok(()),
            Merged::Conflicts(found) => {
                let message = format!(
                    "branch {:?} and {:?} disagree, and nothing was done: {found}; TAKE OURS FOR table or TAKE THEIRS FOR table decides",
                    branch.as_str(),
                    bring.reference
                );
                Err(Error::new(ErrorKind::Conflict, message))
            }
        }
    }

    /// The branch that was named, or the one where the session stands.
    fn branch_to_change(&self, named: Option<&str>) -> Result<RefName> {
        match (named, &self.standing.place) {
            (Some(name), _) => Ok(RefName::new(name)?),
            (None, At::Branch(branch)) => Ok(branch.clone()),
            (None, At::Transaction(transaction)) => Ok(transaction.branch().clone()),
            (None, At::Ref(at)) => Err(invalid(format!(
                "this session stands at {}, which is only read: say INTO which branch",
                said(at)
            ))),
        }
    }

    fn merge(&self, mut merge: Merge, bring: &Bring) -> Result<Merge> {
        for (side, tables) in &bring.takes {
            for table in tables {
                merge = merge.rows(&self.own_name(table)?, *side);
            }
        }
        Ok(match &bring.message {
            Some(message) => merge.message(message),
            None => merge,
        })
    }
}

fn single(act: Single, branch: &RefName, message: Option<String>) -> Single {
    let act = act.on(branch.as_str());
    match message {
        Some(message) => act.message(message),
        None => act,
    }
}
