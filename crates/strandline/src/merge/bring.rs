//! What one version did since another one, as a work upon a branch: merges of branches, picks, reverts and resets [MRG-1..10].
//!
//! All of them are the one merge, with another base: a merge of branches takes the common ancestor, a pick the commit before the one that is
//! picked, a revert the commit that is taken back. Invariant: the work is made anew upon each head of the branch [MRG-6]. What does not
//! belong here: the merge itself (`merge`), and committing.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use strandline_format::merge::{Picking, TableEnds};
use strandline_format::{CatalogEntry, EntryType, Era, MergedCommit, Operation, Seq, TableId, TxnId};

use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Ref};
use crate::merge::base::{Base, Based, base_of};
use crate::merge::choices::{Choices, Decided, Side};
use crate::merge::doubt::{Doubts, Pair};
use crate::merge::kin::Kin;
use crate::merge::known::Known;
use crate::merge::theirs::{BaseNumbers, Own, Theirs};
use crate::merge::whole::{unlisted, upon_schema};
use crate::merge::{Came, Disagreements, MergeProgress, Rebase};
use crate::snapshot::Snapshot;
use crate::table::TableState;
use crate::transaction::draft::Draft;
use crate::transaction::work::{After, Node, Touched, Work};
use crate::tree::Trees;

/// What is brought into a branch.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// All that another version has and the branch has not.
    Merge(Ref),
    /// What one commit did; with the version before it.
    Pick { commit: Ref, before: Ref },
    /// That one commit of the branch did not happen; with the version before it.
    Revert { commit: Ref, before: Ref },
    /// What the branch was at one of its versions.
    Reset(Ref),
}

/// An act, and what is decided where it disagrees with the branch.
#[derive(Clone, Debug)]
pub(crate) struct Bringing {
    pub(crate) act: Act,
    pub(crate) choices: Choices,
    /// Who is told how far it is.
    pub(crate) progress: MergeProgress,
}

/// The state of the branch that it goes upon.
pub(crate) struct Upon<'a> {
    pub(crate) ours: &'a Ref,
    pub(crate) version: Seq,
    pub(crate) era: Era,
    pub(crate) txn: TxnId,
}

/// What an act comes to upon a state of the branch.
pub(crate) enum Brought {
    Done(Work),
    Disagreed(Disagreements),
    /// The branch has all of it.
    Nothing,
}

/// The ends of what is brought in, and how they are related to ours.
struct Ends {
    base: Snapshot,
    theirs: Snapshot,
    kin: Option<Kin>,
    stands: Base,
    /// The last version that both sides count alike.
    shared: Seq,
    /// The first version of ours in which a table of theirs may have been dropped.
    dropped_since: Seq,
    /// The last one whose number means the same in all rows of both.
    told: Seq,
    operation: Operation,
    /// Whether what it brings may be of other versions than those before the ends.
    mixes: bool,
    /// What is picked, if something is.
    picking: Option<Commit>,
    /// What the base does not tell.
    doubts: Doubts,
}

impl Bringing {
    /// One that nobody looks on at.
    pub(crate) fn new(act: Act, choices: Choices) -> Self {
        Self { act, choices, progress: MergeProgress::default() }
    }

    /// What a commit of it names as its second parent.
    pub(crate) fn merged(&self) -> Option<MergedCommit> {
        match &self.act {
            Act::Merge(theirs) => {
                Some(MergedCommit { seq: theirs.version(), commit: theirs.commit().object() })
            }
            Act::Pick { .. } | Act::Revert { .. } | Act::Reset(_) => None,
        }
    }

    /// The work upon a state of the branch, or what the sides disagree on. Requests: those of the differences between the
    /// common ancestor and both sides; rows are read only where both sides changed the same ones.
    pub(crate) async fn upon(&self, upon: &Upon<'_>) -> Result<Brought> {
        if let Act::Reset(to) = &self.act {
            return reset(upon, to).await.map(Brought::Done);
        }
        let Some(ends) = self.ends(upon.ours, upon.era).await? else { return Ok(Brought::Nothing) };
        let versions = [&ends.base, &ends.theirs, upon.ours.snapshot()];
        let decided = self.choices.decided(&versions).await?;
        let open = ends.doubts.open(upon.ours.snapshot(), &ends.theirs).await?;
        let work = ends.work(upon, &decided, &open).await?;
        let rebase = Rebase {
            work: &work,
            reads: None,
            onto: upon.ours.snapshot(),
            version: upon.version,
            era: upon.era,
            txn: upon.txn,
            choices: &decided,
            since: &Came::NOTHING,
            progress: &self.progress,
        };
        let conflicts = ends.doubts.conflicts(&open, &decided);
        let mut found = Disagreements { since: ends.shared, conflicts, ..Disagreements::default() };
        let work = Box::pin(rebase.carry(&mut found)).await?;
        Ok(if found.is_empty() { Brought::Done(work) } else { Brought::Disagreed(found) })
    }

    /// The ends; `None` if the branch descends from what is brought.
    async fn ends(&self, ours: &Ref, era: Era) -> Result<Option<Ends>> {
        match &self.act {
            Act::Merge(theirs) => Box::pin(merge_ends(ours, theirs, era)).await,
            Act::Pick { commit, before } => {
                let kin = Kin::of(ours, commit).await?;
                let (hash, origin) = (commit.commit().hash(), commit.commit().node().picked_from());
                if kin.has_come(&[Some(hash), origin]).await? || kin.has_copy(origin.unwrap_or(hash)).await? {
                    return Ok(None);
                }
                Ok(Some(Ends {
                    base: beside(before, ours),
                    theirs: beside(commit, ours),
                    shared: kin.shared().seq,
                    dropped_since: kin.shared().seq.next()?,
                    told: told(&kin),
                    kin: Some(kin),
                    stands: Base::Theirs,
                    operation: Operation::Merge,
                    mixes: true,
                    picking: Some(commit.commit().clone()),
                    doubts: Doubts::default(),
                }))
            }
            Act::Revert { commit, before } => {
                refuse_stranger(ours, commit).await?;
                Ok(Some(Ends {
                    base: beside(commit, ours),
                    theirs: beside(before, ours),
                    kin: None,
                    stands: Base::Ours,
                    shared: commit.version(),
                    dropped_since: commit.version(),
                    told: Seq(0),
                    operation: Operation::Restore,
                    mixes: false,
                    picking: None,
                    doubts: Doubts::default(),
                }))
            }
            Act::Reset(_) => Err(Error::new(ErrorKind::InvalidInput, "a reset merges nothing")),
        }
    }
}

async fn merge_ends(ours: &Ref, theirs: &Ref, era: Era) -> Result<Option<Ends>> {
    let kin = Kin::of(ours, theirs).await?;
    if kin.has_come(&[Some(theirs.commit().hash())]).await? {
        return Ok(None);
    }
    let Based { kin, commit, stands, trees, doubts } = Box::pin(base_of(kin, ours, era)).await?;
    let mut theirs_beside = beside(theirs, ours);
    if let Some(trees) = trees {
        theirs_beside.trees = Arc::new(theirs_beside.trees.beside(&trees));
    }
    // By way of another line they may have in common what is older than where their own parted.
    let mut shared = kin.shared().seq;
    if let Base::Elsewhere(base) = &stands {
        for side in [ours, theirs] {
            shared = shared.min(kin.parted(side.commit(), base).await?);
        }
    }
    Ok(Some(Ends {
        base: Snapshot { catalog: Arc::new(commit.node().catalog.clone()), ..theirs_beside.clone() },
        theirs: theirs_beside,
        shared,
        dropped_since: shared.next()?,
        told: told(&kin),
        kin: Some(kin),
        stands,
        operation: Operation::Merge,
        mixes: false,
        picking: None,
        doubts,
    }))
}

/// Versions above the last common one are of two lines, and a merge brings in files that store numbers of a third.
fn told(kin: &Kin) -> Seq {
    if kin.has_merges() { Seq(0) } else { kin.shared().seq }
}

/// What is read through a version, with what another one has at hand as well.
fn beside(at: &Ref, other: &Ref) -> Snapshot {
    let trees = at.snapshot().trees.beside(&other.snapshot().trees);
    Snapshot { trees: Arc::new(trees), ..at.snapshot().clone() }
}

async fn refuse_stranger(ours: &Ref, commit: &Ref) -> Result<()> {
    let version = commit.version();
    let entry = if version <= ours.version() { ours.line().entry(version).await? } else { None };
    if entry.is_some_and(|entry| entry.commit.hash == commit.commit().hash()) {
        return Ok(());
    }
    let message = format!(
        "commit {} is not in the history of branch {:?}",
        commit.commit().hash(),
        ours.branch().as_str()
    );
    Err(Error::new(ErrorKind::InvalidInput, message))
}

impl Ends {
    /// What was done between the ends, with each changed table as theirs has it.
    async fn work(&self, upon: &Upon<'_>, decided: &Decided, open: &BTreeMap<TableId, Pair>) -> Result<Work> {
        let mut work = Work::on(self.base.clone(), upon.era);
        let mut touched = self.touched().await?;
        touched.retain(|id, _| !self.doubts.tables.contains_key(id));
        touched.extend(open.iter().map(|(id, sides)| (*id, sides.clone())));
        for (id, (before, after)) in touched {
            let takes_theirs = self.doubts.takes_theirs(id, decided);
            let is_open = self.doubts.tables.contains_key(&id) && !takes_theirs;
            if is_open || decided.whole.get(&id) == Some(&Side::Ours) {
                continue;
            }
            let operation = self.operation;
            let after = match after {
                Some(entry) => {
                    let node = self.node(upon.ours, (before.as_ref(), takes_theirs), &entry).await?;
                    Some(After { name: entry.name, node })
                }
                None => None,
            };
            work.touch(id, Touched { before, after, operation });
        }
        Ok(work)
    }

    /// All that differs between the ends, by id.
    async fn touched(&self) -> Result<BTreeMap<TableId, Pair>> {
        let changes = self.theirs.trees.changes(&self.base.catalog, &self.theirs.catalog).await?;
        let mut touched: BTreeMap<TableId, Pair> = BTreeMap::new();
        for change in changes {
            if let Some(before) = change.before {
                let id = before.id;
                touched.entry(id).or_default().0 = Some(before);
            }
            if let Some(after) = change.after {
                let id = after.id;
                touched.entry(id).or_default().1 = Some(after);
            }
        }
        Ok(touched)
    }

    async fn node(
        &self,
        ours: &Ref,
        (before, takes_theirs): (Option<&CatalogEntry>, bool),
        after: &CatalogEntry,
    ) -> Result<Node> {
        let same = before.is_some_and(|before| before.node.hash == after.node.hash);
        if same && !takes_theirs || after.entry_type != EntryType::Table {
            return Ok(Node::Kept(after.entry_type, after.node));
        }
        let theirs = self.theirs.table_of(after).await?;
        let base = match before {
            Some(before) => Some(self.base.table_of(before).await?),
            None => None,
        };
        let standing = find(&self.theirs.trees, ours, (&self.base, before), after).await?;
        // What theirs has made ours cannot have dropped; a revert brings back what its commit dropped.
        let was_ours = before.is_some() || takes_theirs || self.operation == Operation::Restore;
        let last = match &standing {
            None if was_ours => last_of(ours, after.id, self.dropped_since).await?,
            _ => None,
        };
        let gone = match &last {
            Some(last) => Some(ours.snapshot().table_of(last).await?),
            None => None,
        };
        let known = match (&self.kin, standing.or(last)) {
            (Some(kin), Some(standing)) => kin.known(after.id, (&standing, after)).await?,
            (None, Some(standing)) => {
                let state = ours.snapshot().table_of(&standing).await?;
                Known::on_one_line(&theirs.table, &state.table)
            }
            (_, None) => Known::default(),
        };
        let numbers = match (&self.stands, &self.kin) {
            (Base::Ours, _) => BaseNumbers::Ours,
            (Base::Elsewhere(commit), Some(kin)) => {
                let (to_ours, of_theirs) = kin.known_by(commit, after.id, after).await?;
                BaseNumbers::Own(Box::new(Own { to_ours, of_theirs }))
            }
            (Base::Theirs | Base::Elsewhere(_), _) => BaseNumbers::Theirs,
        };
        let picking = self.picking(after.id, (base.as_ref(), &theirs));
        let disputed = self.doubts.rows.get(&after.id).cloned().unwrap_or_default();
        let Self { shared, told, mixes, .. } = *self;
        Ok(Node::Theirs(Box::new(Theirs {
            base,
            theirs,
            gone,
            known,
            numbers,
            shared,
            told,
            mixes,
            picking,
            disputed,
        })))
    }

    /// What is to be recorded of a table that is picked: nothing of a pick that has recorded nothing.
    fn picking(&self, table: TableId, (base, theirs): (Option<&TableState>, &TableState)) -> Option<Picking> {
        let commit = self.picking.as_ref()?;
        let ends = |state: &TableState| TableEnds::of(&state.table);
        let before = match commit.node().picked_from() {
            Some(_) => {
                let change = commit.changes().iter().find(|change| change.table == table)?;
                Some(change.picked.clone()?)
            }
            None => None,
        };
        let first = base.map(ends).unwrap_or_default();
        Some(Picking { first, end: ends(theirs), before, ..Picking::default() })
    }
}

/// Our entry of a table, whatever we call it.
async fn find(
    trees: &Trees,
    ours: &Ref,
    (base, before): (&Snapshot, Option<&CatalogEntry>),
    after: &CatalogEntry,
) -> Result<Option<CatalogEntry>> {
    for name in [Some(&after.name), before.map(|before| &before.name)].into_iter().flatten() {
        if let Some(entry) = ours.snapshot().entry(name).await?.filter(|entry| entry.id == after.id) {
            return Ok(Some(entry));
        }
    }
    // Ours may have renamed it.
    let changes = trees.changes(&base.catalog, &ours.snapshot().catalog).await?;
    Ok(changes.into_iter().filter_map(|change| change.after).find(|entry| entry.id == after.id))
}

/// Our entry of a table that we have no more, as it was when it was dropped. Requests: the commits since then.
async fn last_of(ours: &Ref, id: TableId, since: Seq) -> Result<Option<CatalogEntry>> {
    if since > ours.version() {
        return Ok(None);
    }
    let log = ours.log().table(id).from(since).limit(1).stream();
    let mut log = std::pin::pin!(log);
    let Some(dropped) = log.try_next().await? else { return Ok(None) };
    let change = dropped.changes().iter().find(|change| change.table == id);
    let gone = change.and_then(|change| Some((change.name.clone(), change.old?)));
    Ok(gone.map(|(name, node)| CatalogEntry { name, entry_type: EntryType::Table, id, node }))
}

/// What the branch was at one of its versions, upon what it is now [MRG-10].
async fn reset(upon: &Upon<'_>, to: &Ref) -> Result<Work> {
    refuse_stranger(upon.ours, to).await?;
    let (now, then) = (beside(upon.ours, to), beside(to, upon.ours));
    let since = to.version().next()?;
    let ends = Ends {
        base: now.clone(),
        theirs: then.clone(),
        kin: None,
        stands: Base::Ours,
        shared: to.version(),
        dropped_since: since,
        told: Seq(0),
        operation: Operation::Restore,
        mixes: false,
        picking: None,
        doubts: Doubts::default(),
    };
    let mut work = Work::on(now.clone(), upon.era);
    for (id, (before, after)) in ends.touched().await? {
        let node = match &after {
            Some(after) if after.entry_type == EntryType::Table => {
                let last = match &before {
                    Some(before) => Some(now.table_of(before).await?),
                    None => match last_of(upon.ours, id, since).await? {
                        Some(last) => Some(unlisted(&now.table_of(&last).await?)),
                        None => None,
                    },
                };
                let then = then.table_of(after).await?;
                Some(Node::Table(Box::new(restored(&then, &last.unwrap_or_else(|| unlisted(&then)), upon)?)))
            }
            Some(after) => Some(Node::Kept(after.entry_type, after.node)),
            None => None,
        };
        let after = after.zip(node).map(|(entry, node)| After { name: entry.name, node });
        work.touch(id, Touched { before, after, operation: Operation::Restore });
    }
    Ok(work)
}

/// An earlier state of a table in the place of the last one, whose numbers stay handed out [MRG-10].
fn restored(then: &TableState, last: &TableState, upon: &Upon<'_>) -> Result<Draft> {
    let mut table = (*then.table).clone();
    table.next_file = table.next_file.max(last.table.next_file);
    table.next_row = table.next_row.max(last.table.next_row);
    table.restored = upon.version;
    let schema;
    (table.schema, schema) = upon_schema(then, &last.schema)?;
    let mut draft = Draft::of(last, upon.era);
    draft.restore(table, schema);
    Ok(draft)
}

/// The commit before one, which must be kept.
pub(crate) async fn before(commit: &Ref) -> Result<Ref> {
    commit.parent().await?.ok_or_else(|| {
        let message = "the first commit of the lake has nothing before it";
        Error::new(ErrorKind::InvalidInput, message)
    })
}
