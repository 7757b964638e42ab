//! From a work to the objects of a commit: nodes, the commit itself, and the pack of the pointer that leads to it.
//!
//! Invariants: names of objects are known before any is stored, so that all of them go up in one wave [TXN-6]; the changes of
//! a commit are the difference to its parent's catalog [COM-6]; time never goes back [COM-3]. What does not belong here:
//! requests other than for nodes that a flush touches, and whether any of it may be committed (`check`).

use std::collections::HashSet;
use std::sync::Arc;

use strandline_format::tree::{Edit, EncodedNode};
use strandline_format::{
    Author, Catalog, CatalogEntry, Commit as CommitNode, CommitProperties, EntryType, Era, Hash,
    MergedCommit, Message, NameKey, ObjectRef, Pack, Parents, PickedNumbers, Renumbering, TableChange,
    TableId, TableName, TableSchema, TxnId,
};

use crate::error::{Error, ErrorKind, Result};
use crate::history::Commit;
use crate::runtime::Runtime;
use crate::snapshot::Snapshot;
use crate::transaction::draft::{Draft, Moved};
use crate::transaction::work::{After, Node, Touched, Work};

/// What a commit says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Label {
    pub(crate) author: Author,
    pub(crate) message: Message,
    pub(crate) properties: CommitProperties,
}

/// A commit and what is read through it: what the next one stands upon.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub(crate) commit: Commit,
    pub(crate) snapshot: Snapshot,
}

/// A commit whose objects are not stored yet.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) tip: Tip,
    /// All that is to be stored, the commit last.
    pub(crate) objects: Vec<EncodedNode>,
    /// The hashes of what readers need next: table nodes and small schemas.
    pub(crate) hot: Vec<Hash>,
}

/// Which transaction, in which era.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) txn: TxnId,
    pub(crate) keyed: bool,
    pub(crate) era: Era,
    /// What it merges, if it is a merge of branches.
    pub(crate) merged: Option<MergedCommit>,
}

/// Makes the commit that a work comes to upon a tip, on which it stands already.
pub(crate) async fn build(
    work: &Work,
    on: &Tip,
    identity: Identity,
    label: &Label,
    runtime: &Runtime,
) -> Result<Built> {
    let parent = on.commit.node();
    let version = parent.seq.next()?;
    let mut builder = Builder { on, era: identity.era, objects: Vec::new(), hot: Vec::new() };
    let mut edits: Vec<(NameKey, Edit<Catalog>)> = Vec::new();
    let mut changes = Vec::new();
    for (id, touched) in work.touched() {
        let (entry, moved) = builder.store(*id, touched, version).await?;
        edits.extend(renames(touched).map(|name| (name.key().clone(), None)));
        edits.extend(entry.iter().map(|entry| (entry.name.key().clone(), Some(entry.clone()))));
        let renumbered = renumbered(touched).filter(|_| identity.merged.is_some());
        let change = change(touched, entry.as_ref(), moved);
        let picked = picked(touched);
        changes.extend(change.map(|change| TableChange { renumbered, picked, ..change }));
    }
    // What one thing left another may have taken: puts come after removals.
    edits.sort_by_key(|(_, edit)| edit.is_some());
    let trees = &on.snapshot.trees;
    let catalog = trees.edit::<Catalog>(&on.snapshot.catalog, edits, identity.era).await?;
    let past = parent.history_entry(on.commit.object());
    let history = trees.edit(&parent.history, [(past.seq, Some(past))], identity.era).await?;
    builder.objects.extend(catalog.nodes.into_iter().chain(history.nodes));
    let node = CommitNode {
        seq: version,
        parents: match identity.merged {
            Some(merged) => Parents::Merge(on.commit.object(), merged),
            None => Parents::One(on.commit.object()),
        },
        time: runtime.commit_time(Some(parent.time)),
        txn: identity.txn,
        keyed: identity.keyed,
        author: label.author.clone(),
        message: label.message.clone(),
        properties: label.properties.clone(),
        catalog: catalog.root,
        history: history.root,
        changes,
    };
    builder.finish(node)
}

/// The names that a touched thing no longer has.
fn renames(touched: &Touched) -> impl Iterator<Item = &TableName> {
    let after = touched.after.as_ref().map(|after| after.name.key());
    touched.before.iter().map(|before| &before.name).filter(move |name| Some(name.key()) != after)
}

/// Where the numbers of what was merged stand, if that is elsewhere [MRG-4].
fn renumbered(touched: &Touched) -> Option<Renumbering> {
    match &touched.after.as_ref()?.node {
        Node::Table(draft) => draft.renumbered.clone().filter(|numbers| !numbers.is_identity()),
        _ => None,
    }
}

/// Where the numbers of what a picked commit added stand [MRG-11].
fn picked(touched: &Touched) -> Option<PickedNumbers> {
    match &touched.after.as_ref()?.node {
        Node::Table(draft) => draft.picked.clone(),
        _ => None,
    }
}

/// What the commit says of a touched thing; nothing if it is as it was.
fn change(touched: &Touched, after: Option<&CatalogEntry>, moved: Moved) -> Option<TableChange> {
    let before = touched.before.as_ref();
    let same = |one: &CatalogEntry, other: &CatalogEntry| {
        one.node.hash == other.node.hash && one.name.as_str() == other.name.as_str()
    };
    if let (Some(before), Some(after)) = (before, after)
        && same(before, after)
    {
        return None;
    }
    let named = after.or(before)?;
    let renamed = before.filter(|before| before.name.as_str() != named.name.as_str());
    Some(TableChange {
        table: named.id,
        name: named.name.clone(),
        entry_type: named.entry_type,
        operation: touched.operation,
        renamed_from: renamed.map(|before| before.name.clone()),
        old: before.map(|before| before.node),
        new: after.map(|after| after.node),
        rows: moved.rows,
        files: moved.files,
        bytes: moved.bytes,
        renumbered: None,
        picked: None,
    })
}

struct Builder<'a> {
    on: &'a Tip,
    era: Era,
    objects: Vec<EncodedNode>,
    hot: Vec<Hash>,
}

impl Builder<'_> {
    /// The entry that a touched thing gets, and what came and went.
    async fn store(
        &mut self,
        id: TableId,
        touched: &Touched,
        version: strandline_format::Seq,
    ) -> Result<(Option<CatalogEntry>, Moved)> {
        let Some(After { name, node }) = &touched.after else {
            let moved = self.all_gone(touched).await?;
            return Ok((None, moved));
        };
        let (object, moved) = match node {
            Node::Kept(_, object) => (*object, Moved::default()),
            Node::View(view) => (self.push(view.to_json()?), Moved::default()),
            Node::Namespace(namespace) => (self.push(namespace.to_json()?), Moved::default()),
            Node::Table(draft) => (self.store_table(draft, version).await?, draft.moved),
            // A merge leaves none: it makes a draft of each.
            Node::Theirs(theirs) => {
                let message = format!("table {} was not merged", theirs.theirs.name.as_str());
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        Ok((
            Some(CatalogEntry { name: name.clone(), entry_type: node.entry_type(), id, node: object }),
            moved,
        ))
    }

    /// What goes with a table that is dropped.
    async fn all_gone(&self, touched: &Touched) -> Result<Moved> {
        let table = touched.before.as_ref().filter(|entry| entry.entry_type == EntryType::Table);
        match table {
            Some(entry) => {
                let mut draft = Draft::of(&self.on.snapshot.table_of(entry).await?, self.era);
                draft.clear();
                Ok(draft.moved)
            }
            None => Ok(Moved::default()),
        }
    }

    async fn store_table(&mut self, draft: &Draft, version: strandline_format::Seq) -> Result<ObjectRef> {
        let mut draft = draft.clone();
        draft.settle(version);
        let files = self.on.snapshot.trees.edit(&draft.table.files, [], self.era).await?;
        self.objects.extend(files.nodes);
        draft.table.files = files.root;
        if let TableSchema::Inline(schema) = &draft.table.schema
            && schema.wants_own_object()?
        {
            let text = schema.to_json()?;
            let object = self.push(text);
            self.hot.push(object.hash);
            draft.table.schema = TableSchema::Stored(object);
        }
        // The node checks itself against a schema that stands in it only, readers against any.
        draft.table.check_schema(&draft.schema)?;
        let object = self.push(draft.table.to_json()?);
        self.hot.push(object.hash);
        // The next transaction begins where this one ends.
        self.on.snapshot.objects.tables().keep(&object, Arc::new(draft.table), draft.schema);
        Ok(object)
    }

    fn push(&mut self, text: Vec<u8>) -> ObjectRef {
        let node = EncodedNode::new(text, self.era);
        let object = node.object;
        self.objects.push(node);
        object
    }

    fn finish(mut self, node: CommitNode) -> Result<Built> {
        let catalog = Arc::new(node.catalog.clone());
        let object = self.push(node.to_json()?);
        let mut trees = (*self.on.snapshot.trees).clone();
        trees.stage(&self.objects);
        let snapshot =
            Snapshot { objects: self.on.snapshot.objects.clone(), trees: Arc::new(trees), catalog };
        let tip = Tip { commit: Commit::new(object, node), snapshot };
        Ok(Built { tip, objects: self.objects, hot: self.hot })
    }
}

/// The pack of the pointer to the last of these commits: it, then what they changed, the newest first, then what the pointer
/// before had and nothing has replaced [PTR-12].
pub(crate) fn pack(built: &[Built], before: &Pack) -> Result<Pack> {
    let mut pack = Pack::builder();
    let Some(last) = built.last() else { return Ok(pack.finish()) };
    let text = |hash: &Hash| {
        let object = built.iter().flat_map(|built| &built.objects).find(|node| node.object.hash == *hash)?;
        std::str::from_utf8(&object.text).ok()
    };
    let head = last.tip.commit.hash();
    let replaced: HashSet<Hash> = built
        .iter()
        .flat_map(|built| built.tip.commit.node().changes.iter().filter_map(|change| change.old))
        .map(|node| node.hash)
        .collect();
    let hot =
        built.iter().rev().flat_map(|built| built.hot.iter().rev()).filter(|hash| !replaced.contains(hash));
    for hash in std::iter::once(&head).chain(hot) {
        if let Some(text) = text(hash) {
            pack.push(*hash, text)?;
        }
    }
    let parents: HashSet<Hash> = built
        .iter()
        .filter_map(|built| built.tip.commit.node().parents.first())
        .map(|parent| parent.hash)
        .collect();
    pack.keep(before, |hash| !replaced.contains(hash) && !parents.contains(hash));
    Ok(pack.finish())
}
