//! How two versions are related: where their lines parted, and what they have in common [MRG-3].
//!
//! Invariants: numbers that are not known to be the same are of different things, never guessed at; what a translation needs and
//! nothing keeps any more is `SnapshotExpired`, not an older base [EXP-5]. What does not belong here: which numbers are
//! the same (`numbers`), and what a merge or diff makes of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use strandline_format::{
    CatalogEntry, Hash, HistoryEntry, MergedCommit, PickedNumbers, Pieces, Renumbering, Seq,
    Table as TableNode, TableId,
};
use tokio::sync::OnceCell;

use crate::commit::resolve::read_commit;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Ref};
use crate::merge::Came;
use crate::merge::ancestry::{Ancestors, Lines};
use crate::merge::copies::{AllCopies, OnBoth, on_both};
use crate::merge::numbers::Numbers;
use crate::tree::{KeyRange, Trees};

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
    /// The versions of a base that was made for a merge, which are stored nowhere; with the commit that they stand on.
    made: Option<(HistoryEntry, Vec<HistoryEntry>)>,
}

/// Which numbers of theirs are of the same files and rows as which of ours, in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) files: Pieces,
    pub(crate) rows: Pieces,
    /// Rows of theirs that one of ours stands for, which has another id.
    pub(crate) same: Pieces,
    /// Below these, numbers are the same on both sides whatever was merged.
    pub(crate) shared: Ends,
    /// Whether merges since have given numbers of the one side to the other.
    pub(crate) met: bool,
}

/// The first file id and row id that were not handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) file: u64,
    pub(crate) row: u64,
}

impl Ends {
    pub(crate) fn of(table: &TableNode) -> Self {
        Self { file: table.next_file.0, row: table.next_row.0 }
    }

    fn min(self, other: Self) -> Self {
        Self { file: self.file.min(other.file), row: self.row.min(other.row) }
    }
}

impl Known {
    /// Of two states of one line: the numbers that both have.
    pub(crate) fn on_one_line(before: &TableNode, after: &TableNode) -> Self {
        Self::below(Ends::of(before).min(Ends::of(after)))
    }

    /// The numbers of ours in those of theirs.
    pub(crate) fn reversed(&self) -> Result<Self> {
        let (files, rows) = (self.files.reversed()?, self.rows.reversed()?);
        Ok(Self { files, rows, same: self.same.backwards()?, ..self.clone() })
    }

    /// What a pick has recorded [MRG-11].
    pub(super) fn of_picked(numbers: &PickedNumbers) -> Self {
        let PickedNumbers { files, rows, same } = numbers.clone();
        Self { files, rows, same, shared: Ends::default(), met: true }
    }

    /// What a merge has recorded of what it merged [MRG-4].
    pub(super) fn recorded(numbers: &Renumbering, ends: Ends) -> Result<Self> {
        let (files, rows) = (numbers.files.pieces(ends.file), numbers.rows.pieces(ends.row));
        let same = rows.then(&numbers.same)?;
        Ok(Self { files, rows, same, shared: Ends::default(), met: true })
    }

    /// These numbers and then others.
    pub(super) fn then(&self, next: &Self) -> Result<Self> {
        let same = self.same.then(&next.same)?;
        let same = same.or(&self.same.then(&next.rows)?).or(&self.rows.then(&next.same)?);
        Ok(Self {
            files: self.files.then(&next.files)?,
            rows: self.rows.then(&next.rows)?,
            same,
            ..next.clone()
        })
    }

    /// What is told elsewhere of numbers that are not told here.
    pub(super) fn add(&mut self, other: &Self) {
        (self.files, self.rows) = (self.files.or(&other.files), self.rows.or(&other.rows));
        self.same = self.same.or(&other.same);
        self.met = true;
    }

    pub(super) fn below(shared: Ends) -> Self {
        let (files, rows) = (Pieces::shared(shared.file), Pieces::shared(shared.row));
        Self { files, rows, same: Pieces::default(), shared, met: false }
    }
}

/// Two lines, and how they stand to each other.
pub(super) struct Parted {
    /// The last version that both have in the same place.
    pub(super) shared: HistoryEntry,
    /// The versions above it, oldest first, the heads included.
    pub(super) ours: Vec<HistoryEntry>,
    pub(super) theirs: Vec<HistoryEntry>,
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
            made: None,
        })
    }

    /// What both come from, by way of whatever branches. Requests: as [`Ancestors::of`], the first time.
    pub(crate) async fn ancestors(&self) -> Result<&Ancestors> {
        self.ancestors.get_or_try_init(|| self.find(false)).await
    }

    async fn find(&self, whole: bool) -> Result<Ancestors> {
        let lines = Lines { shared: &self.shared, pasts: [&self.our_past, &self.their_past], whole };
        let found = Ancestors::of(&self.trees, self.ours.commit(), self.theirs.commit(), lines).await?;
        Ok(match &self.made {
            Some((on, made)) => found.with(on, made),
            None => found,
        })
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
    pub(super) async fn on_both(&self) -> Result<Vec<OnBoth>> {
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
        self.made.is_some() || past.into_iter().any(|entry| entry.keyed || entry.merged.is_some())
    }

    /// The last version that two commits count alike. Requests: the nodes in which their histories differ.
    pub(crate) async fn parted(&self, one: &Commit, other: &Commit) -> Result<Seq> {
        Ok(parted(&self.trees, one, other).await?.ok_or_else(unrelated)?.shared.seq)
    }

    /// The same beside a line that was made for a merge, upon one of these commits, and is at hand and stored nowhere.
    pub(super) fn beside(self, trees: &Trees, on: &HistoryEntry, made: Vec<HistoryEntry>) -> Self {
        Self {
            trees: self.trees.beside(trees),
            ancestors: Arc::default(),
            whole: Arc::default(),
            copies: Default::default(),
            made: Some((on.clone(), made)),
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
        let is_made =
            |(_, made): &(HistoryEntry, Vec<HistoryEntry>)| made.iter().any(|one| one.commit == entry.commit);
        if self.trees.has_at_hand(&entry.commit) || self.made.as_ref().is_some_and(is_made) {
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

/// Where one version stands in the first-parent history of the other, the older one.
pub(super) async fn direct(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<Option<HistoryEntry>> {
    let (old, new) = if ours.version() <= theirs.version() { (ours, theirs) } else { (theirs, ours) };
    let found = entry_of(trees, new, old.version()).await?;
    Ok(found.filter(|entry| entry.commit.hash == old.hash()))
}

/// Two commits of any lines; `None` if they share nothing.
pub(super) async fn parted(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<Option<Parted>> {
    if let Some(shared) = direct(trees, ours, theirs).await? {
        // Also of a line that another one comes before all is wanted.
        let (old, new) = if ours.version() <= theirs.version() { (ours, theirs) } else { (theirs, ours) };
        let past = past_since(trees, new, old.version()).await?;
        let (ours, theirs) = if old.hash() == ours.hash() { (Vec::new(), past) } else { (past, Vec::new()) };
        return Ok(Some(Parted { shared, ours, theirs }));
    }
    apart(trees, ours, theirs).await
}

/// The same of two of which neither comes before the other one on its line.
pub(super) async fn apart(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<Option<Parted>> {
    let (our_past, their_past) = pasts(trees, ours, theirs).await?;
    let shared = match parting(&our_past, &their_past) {
        Some(seq) => entry_of(trees, ours, seq).await?,
        None => None,
    };
    let Some(shared) = shared else { return Ok(None) };
    let since = |past: Past| past.into_values().filter(|entry| entry.seq > shared.seq).collect();
    let (ours, theirs) = (since(our_past), since(their_past));
    Ok(Some(Parted { shared, ours, theirs }))
}

/// The versions of a line above one of them, its head included.
async fn past_since(trees: &Trees, head: &Commit, since: Seq) -> Result<Vec<HistoryEntry>> {
    if head.version() <= since {
        return Ok(Vec::new());
    }
    let range = KeyRange::new(since.next()?..);
    let mut entries = trees.collect(&head.node().history, &range).await?;
    entries.push(own_entry(head));
    Ok(entries)
}

type Past = BTreeMap<Seq, HistoryEntry>;

/// The versions of both that are not the same at one place, and the heads.
async fn pasts(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<(Past, Past)> {
    let changes = trees.changes(&ours.node().history, &theirs.node().history).await?;
    let (mut our_past, mut their_past) = (Past::new(), Past::new());
    for change in changes {
        our_past.extend(change.before.map(|entry| (entry.seq, entry)));
        their_past.extend(change.after.map(|entry| (entry.seq, entry)));
    }
    our_past.insert(ours.version(), own_entry(ours));
    their_past.insert(theirs.version(), own_entry(theirs));
    Ok((our_past, their_past))
}

/// Where two commits parted.
struct Parting {
    shared: HistoryEntry,
    /// Whether either has merged anything since.
    has_merges: bool,
}

/// Where two commits of any branches parted; `None` if they share nothing.
async fn parting_of(trees: &Trees, one: &Commit, other: &Commit) -> Result<Option<Parting>> {
    let (one_past, other_past) = pasts(trees, one, other).await?;
    let Some(seq) = parting(&one_past, &other_past) else { return Ok(None) };
    let since = one_past.values().chain(other_past.values()).filter(|entry| entry.seq > seq);
    let has_merges = since.into_iter().any(|entry| entry.merged.is_some());
    Ok(entry_of(trees, one, seq).await?.map(|shared| Parting { shared, has_merges }))
}

/// What came into a line from others after one of its commits, up to another one. Requests: the nodes of the history that hold these
/// versions; for each merge among them what tells where its branch parted.
pub(crate) async fn came_since(trees: &Trees, since: &Commit, tip: &Commit) -> Result<Came> {
    let entries = past_since(trees, tip, since.version()).await?;
    let picks = entries.iter().any(|entry| entry.keyed);
    let mut came = Came { start: Some(since.version()), picks, ..Came::NOTHING };
    for merged in entries.iter().filter_map(|entry| entry.merged.as_ref()) {
        let parting = match read_commit(trees, &merged.commit).await {
            Ok(theirs) => parting_of(trees, since, &theirs).await?,
            // Nothing keeps it any more, so nothing is told.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            Err(error) => return Err(error),
        };
        let told = parting.filter(|parting| !parting.has_merges).map_or(Seq(0), |parting| parting.shared.seq);
        came.told = came.told.min(told);
    }
    Ok(came)
}

/// The last version that is the same on both: equal at one means equal below it.
fn parting(ours: &Past, theirs: &Past) -> Option<Seq> {
    let same = |(seq, entry): &(&Seq, &HistoryEntry)| {
        theirs.get(seq).is_some_and(|other| other.commit.hash == entry.commit.hash)
    };
    let found = ours.iter().filter(same).map(|(seq, _)| *seq).max();
    found.or_else(|| ours.keys().chain(theirs.keys()).min()?.0.checked_sub(1).map(Seq))
}

/// What the history of a commit says of a version, its own included.
async fn entry_of(trees: &Trees, at: &Commit, seq: Seq) -> Result<Option<HistoryEntry>> {
    if seq == at.version() {
        return Ok(Some(own_entry(at)));
    }
    trees.get(&at.node().history, &seq).await
}

pub(super) fn own_entry(at: &Commit) -> HistoryEntry {
    at.node().history_entry(at.object())
}

fn unrelated() -> Error {
    Error::new(ErrorKind::InvalidInput, "the two versions share no history: they are not of one lake")
}
