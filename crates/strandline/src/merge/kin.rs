//! How two versions are related: what they have in common, and which numbers of theirs are which of ours [MRG-3].
//!
//! Invariants: numbers that are not known to be the same are of different things, never guessed at; what a translation needs and
//! nothing keeps any more is `SnapshotExpired`, not an older base [EXP-5]. What does not belong here: where lines
//! part (`lines`), how numbers are followed (`numbers`), and what a merge or diff makes of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use strandline_format::{CatalogEntry, Hash, HistoryEntry, MergedCommit, Seq, TableId};
use tokio::sync::OnceCell;

use crate::commit::resolve::read_commit;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Ref};
use crate::merge::ancestry::{Ancestors, Lines};
use crate::merge::copies::{AllCopies, OnBoth, on_both};
use crate::merge::known::Known;
use crate::merge::lines::{Parted, apart, direct, own_entry, parted};
use crate::merge::numbers::Numbers;
use crate::tree::Trees;

/// Two versions, and what their histories have in common.
#[derive(Clone, Debug)]
pub(crate) struct Kin {
    ours: Ref,
    theirs: Ref,
    pub(super) trees: Trees,
    /// The last version that both have in the same place.
    shared: HistoryEntry,
    /// The versions above it, oldest first, the heads included; of one that the other one comes before, the head alone.
    our_past: Vec<HistoryEntry>,
    their_past: Vec<HistoryEntry>,
    /// What both come from, once it was asked for.
    ancestors: Arc<OnceCell<Ancestors>>,
    /// The same with what they merged before they last met.
    whole: Arc<OnceCell<Ancestors>>,
    /// The copies among either.
    copies: [Arc<OnceCell<AllCopies>>; 2],
    /// The commits that were read: how numbers are related is asked of the same ones for each table, and again and again.
    read: Arc<Mutex<BTreeMap<Hash, Commit>>>,
    /// The lines that were made for the base of a merge, which are stored nowhere.
    made: Vec<MadeLine>,
}

/// The versions of a line that was made for a merge; with the commit that they stand on.
#[derive(Clone, Debug)]
pub(super) struct MadeLine {
    pub(super) on: HistoryEntry,
    pub(super) made: Vec<HistoryEntry>,
}

impl Kin {
    /// Relates two versions. No request if their histories part within what their commits hold; else the nodes in which these
    /// differ.
    ///
    /// # Errors
    /// `InvalidInput` if they share nothing; `Corrupt` and the store's errors. Dropping the future leaves nothing.
    pub(crate) async fn of(ours: &Ref, theirs: &Ref) -> Result<Self> {
        let trees = ours.snapshot().trees.beside(&theirs.snapshot().trees);
        let direct = direct(&trees, ours.commit(), theirs.commit()).await?;
        let Parted { shared, ours: our_past, theirs: their_past } = match direct {
            Some(shared) => {
                let past = |at: &Ref| {
                    (at.version() > shared.seq).then(|| own_entry(at.commit())).into_iter().collect()
                };
                let (ours, theirs) = (past(ours), past(theirs));
                Parted { shared, ours, theirs }
            }
            None => apart(&trees, ours.commit(), theirs.commit()).await?.ok_or_else(unrelated)?,
        };
        Ok(Self {
            ours: ours.clone(),
            theirs: theirs.clone(),
            trees,
            shared,
            our_past,
            their_past,
            ancestors: Arc::default(),
            whole: Arc::default(),
            copies: Default::default(),
            read: Arc::default(),
            made: Vec::new(),
        })
    }

    /// What both come from, by way of whatever branches. Requests: as [`Ancestors::of`], the first time.
    pub(crate) async fn ancestors(&self) -> Result<&Ancestors> {
        self.ancestors.get_or_try_init(|| self.find(false)).await
    }

    async fn find(&self, whole: bool) -> Result<Ancestors> {
        let lines = Lines { shared: &self.shared, pasts: [&self.our_past, &self.their_past], whole };
        let found = Ancestors::of(&self.trees, self.ours.commit(), self.theirs.commit(), lines).await?;
        Ok(self.made.iter().fold(found, |found, line| found.with(&line.on, &line.made)))
    }

    pub(super) async fn whole(&self) -> Result<&Ancestors> {
        self.whole.get_or_try_init(|| self.find(true)).await
    }

    /// The commits that stand on several lines because they were picked. Requests: those of [`Kin::ancestors`], if anything was merged, and
    /// one for each of them.
    pub(crate) async fn copies(&self, whole: bool) -> Result<&AllCopies> {
        self.copies[usize::from(whole)]
            .get_or_try_init(|| async {
                if !self.may_have_copies() {
                    return Ok(AllCopies::default());
                }
                let ancestors = if whole { self.whole().await? } else { self.ancestors().await? };
                AllCopies::of(self, ancestors.groups()).await
            })
            .await
    }

    /// The commits that both sides have picked, or one from the other, since they parted.
    pub(super) async fn on_both(&self) -> Result<Vec<Vec<Vec<OnBoth>>>> {
        let heads = [self.ours.commit().hash(), self.theirs.commit().hash()];
        Ok(on_both(self.copies(false).await?, self.ancestors().await?.graph(), heads))
    }

    pub(super) fn heads(&self) -> [&Ref; 2] {
        [&self.ours, &self.theirs]
    }

    /// The commits with keys that each side has and the other one has not.
    pub(super) async fn keyed_alone(&self) -> Result<[Vec<HistoryEntry>; 2]> {
        if !self.may_have_copies() {
            return Ok(Default::default());
        }
        let heads = [self.ours.commit().hash(), self.theirs.commit().hash()];
        Ok(self.ancestors().await?.keyed_alone(heads))
    }

    /// Whether commits of other lines may have come since they parted.
    fn may_have_copies(&self) -> bool {
        let past = self.our_past.iter().chain(&self.their_past);
        !self.made.is_empty() || past.into_iter().any(|entry| entry.keyed || entry.merged.is_some())
    }

    /// The last version that two commits count alike. Requests: the nodes in which their histories differ.
    pub(crate) async fn parted(&self, one: &Commit, other: &Commit) -> Result<Seq> {
        Ok(parted(&self.trees, one, other).await?.ok_or_else(unrelated)?.shared.seq)
    }

    /// The same beside lines that were made for a merge, upon these commits and each other, and are at hand and stored nowhere.
    pub(super) fn beside(self, trees: &Trees, made: Vec<MadeLine>) -> Self {
        Self {
            trees: self.trees.beside(trees),
            ancestors: Arc::default(),
            whole: Arc::default(),
            copies: Default::default(),
            made,
            ..self
        }
    }

    /// Whether their head is among our first parents.
    pub(crate) fn is_ahead(&self) -> bool {
        self.their_past.is_empty()
    }

    /// Whether ours comes from one of these commits, whichever way it came. Requests: as [`Kin::ancestors`], unless theirs is on our line.
    pub(crate) async fn has_come(&self, commits: &[Option<Hash>]) -> Result<bool> {
        if self.is_ahead() && commits.contains(&Some(self.theirs.commit().hash())) {
            return Ok(true);
        }
        let (ancestors, head) = (self.ancestors().await?, self.ours.commit().hash());
        Ok(commits.iter().flatten().any(|commit| ancestors.reaches(head, *commit)))
    }

    /// Whether ours comes from a copy of a commit, whichever way it came. Requests: those of [`Kin::copies`].
    pub(crate) async fn has_copy(&self, origin: Hash) -> Result<bool> {
        let (copies, head) = (self.copies(false).await?, self.ours.commit().hash());
        let ancestors = self.ancestors().await?;
        let mut of_it = copies.found.iter().filter(|copies| copies.origin == origin);
        Ok(of_it.any(|copies| copies.commits.iter().any(|copy| ancestors.reaches(head, copy.hash()))))
    }

    /// The last version that both have in the same place.
    pub(crate) fn shared(&self) -> &HistoryEntry {
        &self.shared
    }

    /// Whether either has merged anything since.
    pub(crate) fn has_merges(&self) -> bool {
        self.our_past.iter().chain(&self.their_past).any(|entry| entry.merged.is_some())
    }

    /// Whether our head is among the first parents of theirs.
    pub(crate) fn is_behind(&self) -> bool {
        self.our_past.is_empty()
    }

    /// Which line a version stands on.
    pub(crate) fn stands(&self, entry: &HistoryEntry) -> Stands {
        let is_among = |past: &[HistoryEntry]| past.iter().any(|one| one.commit.hash == entry.commit.hash);
        match () {
            () if entry.commit.hash == self.shared.commit.hash => Stands::Both,
            () if is_among(&self.our_past) => Stands::Ours,
            () if is_among(&self.their_past) => Stands::Theirs,
            () => Stands::Elsewhere,
        }
    }

    /// A commit of any line. At most one request.
    ///
    /// # Errors
    /// `SnapshotExpired` if nothing keeps it.
    pub(crate) async fn commit(&self, entry: &HistoryEntry) -> Result<Commit> {
        self.once(entry.commit.hash, Box::pin(self.read_of(entry))).await
    }

    /// A commit, which is read if it was not before.
    async fn once(&self, hash: Hash, read: impl Future<Output = Result<Commit>>) -> Result<Commit> {
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let commit = read.await?;
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(hash, commit.clone());
        Ok(commit)
    }

    async fn read_of(&self, entry: &HistoryEntry) -> Result<Commit> {
        let line = |at: &Ref| at.line().clone();
        // A base that was made for a merge is stored nowhere, and so may a head be.
        let is_made = |line: &MadeLine| line.made.iter().any(|one| one.commit == entry.commit);
        if self.trees.has_at_hand(&entry.commit) || self.made.iter().any(is_made) {
            return read_commit(&self.trees, &entry.commit).await;
        }
        if let Some(head) =
            [&self.ours, &self.theirs].into_iter().find(|at| at.commit().hash() == entry.commit.hash)
        {
            return Ok(head.commit().clone());
        }
        match self.stands(entry) {
            Stands::Both => match line(&self.ours).commit(entry).await {
                Err(error) => line(&self.theirs).commit(entry).await.map_err(|_| error),
                found => found,
            },
            Stands::Ours => line(&self.ours).commit(entry).await,
            Stands::Theirs => line(&self.theirs).commit(entry).await,
            Stands::Elsewhere => read_commit(&self.trees, &entry.commit).await,
        }
        .map_err(|error| expired(entry.seq, entry.commit.hash, error))
    }

    /// The commit before one. At most one request.
    ///
    /// # Errors
    /// `SnapshotExpired` if nothing keeps it; `InvalidInput` if there is none.
    pub(super) async fn before(&self, commit: &Commit) -> Result<Commit> {
        let parent = commit.node().parents.first().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "the first commit of the lake has nothing before it")
        })?;
        let before = Seq(commit.version().0.saturating_sub(1));
        read_commit(&self.trees, &parent).await.map_err(|error| expired(before, parent.hash, error))
    }

    /// Which of their numbers in a table are which of ours. No request if one version comes before the other; else a few for each
    /// time the branches have met.
    pub(crate) async fn known(
        &self,
        table: TableId,
        (ours, theirs): (&CatalogEntry, &CatalogEntry),
    ) -> Result<Known> {
        let older = match (self.our_past.is_empty(), self.their_past.is_empty()) {
            (true, _) => Some(ours),
            (_, true) => Some(theirs),
            (false, false) => None,
        };
        let numbers = Numbers::new(self, table, (self.theirs.commit(), theirs));
        match older {
            Some(older) => Ok(Known::below(numbers.ends(Some(older)).await?)),
            None => {
                let lines = Parted {
                    shared: self.shared.clone(),
                    ours: self.our_past.clone(),
                    theirs: self.their_past.clone(),
                };
                numbers.known(&lines, (self.ours.commit(), self.theirs.commit())).await
            }
        }
    }

    /// The numbers of a base that stands on neither line: in those of ours, and those of theirs in them.
    pub(crate) async fn known_by(
        &self,
        base: &Commit,
        table: TableId,
        theirs: &CatalogEntry,
    ) -> Result<(Known, Known)> {
        let numbers = Numbers::new(self, table, (self.theirs.commit(), theirs));
        let (ours, theirs) = (self.ours.commit(), self.theirs.commit());
        Ok((numbers.between(ours, base).await?, numbers.between(base, theirs).await?))
    }

    /// A commit that was merged. At most one request.
    pub(super) async fn merged(&self, merged: &MergedCommit) -> Result<Commit> {
        let read = Box::pin(read_commit(&self.trees, &merged.commit));
        let found = self.once(merged.commit.hash, read).await;
        found.map_err(|error| expired(merged.seq, merged.commit.hash, error))
    }
}

fn expired(seq: Seq, commit: Hash, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Corrupt | ErrorKind::SnapshotExpired => Error::new(
            ErrorKind::SnapshotExpired,
            format!(
                "the versions are compared by version {seq} ({commit}), which is not kept any more: {}",
                error.message()
            ),
        ),
        _ => error,
    }
}

/// The line of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// It is the last one that both have.
    Both,
    Ours,
    Theirs,
    /// On none of the two.
    Elsewhere,
}

fn unrelated() -> Error {
    Error::new(ErrorKind::InvalidInput, "the two versions share no history: they are not of one lake")
}
