//! What a pointer keeps from being collected [GC-6]: whether some commits are among it.

use strandline_format::{Commit, Era, ObjectRef, Pin, PinId, Seq};

use crate::error::{Error, Result};
use crate::lake::{Lake, Standing};
use crate::tree::Trees;

/// Commits that are to be kept: one, and its first parents down to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) commit: ObjectRef,
    pub(super) version: Seq,
    pub(super) from: Seq,
}

/// A pointer that is asked what it keeps.
pub(super) struct Kept<'a> {
    pub(super) standing: &'a Standing,
    trees: Trees,
}

impl<'a> Kept<'a> {
    pub(super) fn by(lake: &Lake, standing: &'a Standing) -> Self {
        let trees = Trees::with_pack(lake.storage().objects().clone(), standing.pointer.pack());
        Self { standing, trees }
    }

    /// Whether the branch is live and its history has them, unexpired. No request if the commit is the head; else those of
    /// a lookup in the history.
    pub(super) async fn by_history(&self, claim: &Claim) -> Result<bool> {
        let pointer = &self.standing.pointer;
        if !self.standing.is_live() || claim.from < pointer.expired_before() {
            return Ok(false);
        }
        self.line_holds(pointer.head(), claim).await
    }

    /// Whether a pin of at least this era, other than `but`, keeps them.
    pub(super) async fn by_pin(&self, claim: &Claim, era: Era, but: Option<PinId>) -> Result<bool> {
        let fits = |pin: &&Pin| pin.era >= era && pin.from <= claim.from && Some(pin.id) != but;
        for pin in self.standing.pointer.pins().iter().filter(fits) {
            if self.line_holds(pin.commit, claim).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the commit is the tip, or in the tip's first-parent history.
    pub(super) async fn line_holds(&self, tip: ObjectRef, claim: &Claim) -> Result<bool> {
        if tip.hash == claim.commit.hash {
            return Ok(true);
        }
        let text = self.trees.text(&tip).await?;
        let tip = Commit::parse(&text).map_err(|error| Error::from(error).at(tip.hash))?;
        if tip.seq <= claim.version {
            return Ok(false);
        }
        let entry = self.trees.get(&tip.history, &claim.version).await?;
        Ok(entry.is_some_and(|entry| entry.commit.hash == claim.commit.hash))
    }
}
