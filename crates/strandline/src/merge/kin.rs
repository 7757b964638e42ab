//! How two versions are related: where their lines parted, and which of their numbers are of the same files and rows [MRG-3].
//!
//! Invariants: numbers that are not known to be the same are of different things, never guessed at; what a translation needs and
//! nothing keeps any more is `SnapshotExpired`, not an older base [EXP-5]. What does not belong here: what a merge or diff makes
//! of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{
    CatalogEntry, Hash, HistoryEntry, MergedCommit, PickedNumbers, Pieces, Renumbering, Seq,
    Table as TableNode, TableId,
};
use tokio::sync::OnceCell;

use crate::commit::resolve::read_commit;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Ref};
use crate::merge::Came;
use crate::merge::ancestry::{Ancestors, Lines, last_meeting};
use crate::merge::copies::{AllCopies, Copies, OnBoth, Told, on_both};
use crate::tree::{KeyRange, Trees};

/// Two versions, and what their histories have in common.
#[derive(Clone, Debug)]
pub(crate) struct Kin {
    ours: Ref,
    theirs: Ref,
    trees: Trees,
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
    fn add(&mut self, other: &Self) {
        (self.files, self.rows) = (self.files.or(&other.files), self.rows.or(&other.rows));
        self.same = self.same.or(&other.same);
        self.met = true;
    }

    fn below(shared: Ends) -> Self {
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

/// One table whose numbers are followed from commit to commit.
struct Numbers<'a> {
    kin: &'a Kin,
    table: TableId,
    /// Its entry in a version that has it, by which it is found in others.
    now: (&'a Commit, &'a CatalogEntry),
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
            None => parted(&trees, ours.commit(), theirs.commit()).await?.ok_or_else(unrelated)?,
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

    async fn whole(&self) -> Result<&Ancestors> {
        self.whole.get_or_try_init(|| self.find(true)).await
    }

    /// The commits that stand on several lines because they were picked. Requests: those of [`Kin::ancestors`], if anything was merged, and
    /// one for each of them.
    pub(crate) async fn copies(&self, whole: bool) -> Result<&AllCopies> {
        self.copies[usize::from(whole)]
            .get_or_try_init(|| async {
                let may_have =
                    |past: &[HistoryEntry]| past.iter().any(|entry| entry.keyed || entry.merged.is_some());
                if self.made.is_none() && !may_have(&self.our_past) && !may_have(&self.their_past) {
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
        let numbers = Numbers { kin: self, table, now: (self.theirs.commit(), theirs) };
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
        let numbers = Numbers { kin: self, table, now: (self.theirs.commit(), theirs) };
        let (ours, theirs) = (self.ours.commit(), self.theirs.commit());
        Ok((numbers.between(ours, base).await?, numbers.between(base, theirs).await?))
    }

    /// A commit that was merged. At most one request.
    async fn merged(&self, merged: &MergedCommit) -> Result<Commit> {
        read_commit(&self.trees, &merged.commit)
            .await
            .map_err(|error| expired(merged.seq, merged.commit.hash, error))
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

impl Numbers<'_> {
    /// The numbers of one commit in those of another one.
    fn between<'b>(&'b self, to: &'b Commit, from: &'b Commit) -> BoxFuture<'b, Result<Known>> {
        async move {
            match parted(&self.kin.trees, to, from).await? {
                Some(lines) => self.known(&lines, (to, from)).await,
                None => Ok(Known::default()),
            }
        }
        .boxed()
    }

    /// What the merges on both lines have recorded. Each knew all that the lines had met in before, so that of those which merged of the other line
    /// the latest tells all that this had up to there; what either has merged of other lines and the other one not with it is followed by itself.
    async fn known(&self, lines: &Parted, (to, from): (&Commit, &Commit)) -> Result<Known> {
        let shared = self.kin.commit(&lines.shared).await?;
        let mut known = Known::below(self.ends_at(&shared).await?);
        let (mut since, mut told) = ([lines.shared.seq; 2], [lines.shared.seq; 2]);
        let sides = [(&lines.ours, &lines.theirs), (&lines.theirs, &lines.ours)];
        for (at, (by, of)) in sides.into_iter().enumerate() {
            if let Some(met) = last_meeting(by, of) {
                since[at] = since[at].max(met);
            }
            if let Some((pieces, met)) = self.latest(by, of).await? {
                known.add(&if at == 0 { pieces } else { pieces.reversed()? });
                // What the one has merged of others until then the other one need not have.
                told[1 - at] = told[1 - at].max(met);
            }
        }
        let later: Vec<&HistoryEntry> = sides
            .iter()
            .zip(told)
            .flat_map(|((by, of), told)| elsewhere(by, of).filter(move |entry| entry.seq > told))
            .collect();
        // A merge that did not change the table has recorded nothing of what was found before it.
        let earlier = |(by, of, since): (&[HistoryEntry], &[HistoryEntry], Seq), told: Seq| {
            elsewhere(by, of).any(|entry| entry.seq > told && entry.seq <= since)
        };
        let is_whole = (0..2).any(|at| earlier((sides[at].0, sides[at].1, since[at]), told[at]));
        if !later.is_empty() {
            let ancestors = match is_whole {
                true => self.kin.whole().await?,
                false => self.kin.ancestors().await?,
            };
            for (at, (by, of)) in sides.into_iter().enumerate() {
                let other = if at == 0 { from } else { to };
                let counts = |entry: &&HistoryEntry| {
                    let meets = |merged: MergedCommit| {
                        ancestors.meet_above(merged.commit.hash, other.hash(), lines.shared.commit.hash)
                    };
                    entry.seq > told[at] && entry.merged.is_some_and(meets)
                };
                for entry in elsewhere(by, of).rev().filter(counts) {
                    let Some(pieces) = self.by_way_of(entry, other).await? else { continue };
                    known.add(&if at == 0 { pieces } else { pieces.reversed()? });
                }
            }
        }
        self.add_picked(&mut known, (to, from), is_whole).await?;
        Ok(known)
    }

    /// What commits were picked tell, of which one side has one copy and the other side another one.
    async fn add_picked(
        &self,
        known: &mut Known,
        (to, from): (&Commit, &Commit),
        is_whole: bool,
    ) -> Result<()> {
        let copies = self.kin.copies(is_whole).await?;
        if copies.found.is_empty() {
            return Ok(());
        }
        let graph =
            if is_whole { self.kin.whole().await?.graph() } else { self.kin.ancestors().await?.graph() };
        let [of_to, of_from] = [to, from].map(|head| graph.of(head.hash()));
        // What one has from the other it has by way of merges alone.
        if of_to.contains(&from.hash()) || of_from.contains(&to.hash()) {
            return Ok(());
        }
        for copies in &copies.found {
            let of = |side: &BTreeSet<Hash>| {
                let commits: Vec<&Commit> =
                    copies.commits.iter().filter(|commit| side.contains(&commit.hash())).collect();
                commits
            };
            for here in of(&of_to) {
                for there in of(&of_from).into_iter().filter(|there| there.hash() != here.hash()) {
                    if let Some(numbers) = self.by_copies(copies, (to, here), (from, there)).await? {
                        known.add(&numbers);
                    }
                }
            }
        }
        Ok(())
    }

    /// The numbers of one commit in those of another one, by a copy that it has of what this one has a copy of.
    async fn by_copies(
        &self,
        copies: &Copies,
        (to, here): (&Commit, &Commit),
        (from, there): (&Commit, &Commit),
    ) -> Result<Option<Known>> {
        let numbers = match (copies.told(here, self.table), copies.told(there, self.table)) {
            (Told::Picked(here), Told::Picked(there)) => there.reversed()?.then(&here)?,
            (Told::Picked(here), Told::Origin) => *here,
            (Told::Origin, Told::Picked(there)) => there.reversed()?,
            _ => return Ok(None),
        };
        let (to_there, of_here) = (self.between(there, from).await?, self.between(to, here).await?);
        Ok(Some(Known { met: true, ..to_there.then(&numbers)?.then(&of_here)? }))
    }

    /// What the latest merge of the other line has recorded that changed the table; one that did not found nothing that is not known from the
    /// one before.
    async fn latest(&self, by: &[HistoryEntry], of: &[HistoryEntry]) -> Result<Option<(Known, Seq)>> {
        for by in by.iter().rev() {
            let Some(merged) = by.merged else { continue };
            let Some(of) = of.iter().find(|other| other.commit.hash == merged.commit.hash) else { continue };
            let Some(numbers) = self.recorded(by).await? else { continue };
            let ends = self.ends_at(&self.kin.commit(of).await?).await?;
            return Ok(Some((Known::recorded(&numbers, ends)?, of.seq)));
        }
        Ok(None)
    }

    /// The numbers of a commit in those of a merge, by way of what was merged.
    async fn by_way_of(&self, by: &HistoryEntry, from: &Commit) -> Result<Option<Known>> {
        let Some(merged) = by.merged else { return Ok(None) };
        let Some(numbers) = self.recorded(by).await? else { return Ok(None) };
        let merged = self.kin.merged(&merged).await?;
        let recorded = Known::recorded(&numbers, self.ends_at(&merged).await?)?;
        self.between(&merged, from).await?.then(&recorded).map(Some)
    }

    async fn recorded(&self, by: &HistoryEntry) -> Result<Option<Renumbering>> {
        let commit = self.kin.commit(by).await?;
        let change = commit.changes().iter().find(|change| change.table == self.table);
        Ok(change.map(|change| change.renumbered.clone().unwrap_or_default()))
    }

    async fn ends_at(&self, commit: &Commit) -> Result<Ends> {
        let (at, entry) = self.now;
        let found = entry_at(&self.kin.trees, self.table, (commit, at), Some(entry)).await?;
        self.ends(found.as_ref()).await
    }

    async fn ends(&self, entry: Option<&CatalogEntry>) -> Result<Ends> {
        let Some(entry) = entry else { return Ok(Ends::default()) };
        let text = self.kin.trees.text(&entry.node).await?;
        Ok(Ends::of(&TableNode::parse(&text).map_err(|error| error.at(entry.node.hash))?))
    }
}

/// The versions of a line that merged what is on neither.
fn elsewhere<'a>(
    by: &'a [HistoryEntry],
    of: &'a [HistoryEntry],
) -> impl DoubleEndedIterator<Item = &'a HistoryEntry> {
    let on_either = move |hash: Hash| by.iter().chain(of).any(|other| other.commit.hash == hash);
    by.iter().filter(move |entry| entry.merged.is_some_and(|merged| !on_either(merged.commit.hash)))
}

/// Where one version stands in the first-parent history of the other, the older one.
async fn direct(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<Option<HistoryEntry>> {
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

/// A table's entry in the catalog of a commit, if it was there, by that of another one.
async fn entry_at(
    trees: &Trees,
    table: TableId,
    (commit, at): (&Commit, &Commit),
    now: Option<&CatalogEntry>,
) -> Result<Option<CatalogEntry>> {
    let changes = trees.changes(&commit.node().catalog, &at.node().catalog).await?;
    let is_it = |entry: &&CatalogEntry| entry.id == table;
    if let Some(before) = changes.iter().filter_map(|change| change.before.as_ref()).find(is_it) {
        return Ok(Some(before.clone()));
    }
    let came = changes.iter().filter_map(|change| change.after.as_ref()).any(|entry| entry.id == table);
    Ok(now.filter(|_| !came).cloned())
}

fn unrelated() -> Error {
    Error::new(ErrorKind::InvalidInput, "the two versions share no history: they are not of one lake")
}
