//! Commits put together by hand, node by node, below any transaction: for tests of what stands under the transactions, and of
//! readers.
//!
//! Invariant: what is written follows every rule of the format that a reader checks. What does not belong here: rebasing,
//! retrying, data files (entries are taken as they are; their files need not be there).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use strandline::storage::{Loaded, Objects, Settled};
use strandline::tree::Edited;
use strandline::{Deadline, Error, ErrorKind, Head, Lake, Result};
use strandline_format::tree::EncodedNode;
use strandline_format::{
    Author, Catalog, CatalogEntry, Comment, Commit, CommitProperties, Counts, EntryType, Era, FileEntry,
    FileId, Files, Message, Namespace, ObjectRef, Operation, Pack, Parents, Pointer, RowId, Table,
    TableChange, TableId, TableName, TableProperties, TableSchema, Totals, TxnId,
};

use crate::generate::entries;

/// What a commit does to one table, which is made if it is not there.
#[derive(Clone, Debug)]
pub struct TableEdit {
    /// The table.
    pub name: TableName,
    /// Entries to put, as added by this commit; their ids may be there already.
    pub puts: Vec<FileEntry>,
    /// Entries to remove.
    pub removes: Vec<FileId>,
}

/// Commits edits of tables upon a head, and gives the head that results.
///
/// # Errors
/// `Conflict` if the branch has moved since `head` was read; else what stood in the way.
pub async fn commit(lake: &Lake, head: &Head, edits: Vec<TableEdit>) -> Result<Head> {
    let mut maker = Maker::new(lake, head)?;
    for edit in edits {
        maker.edit_table(edit).await?;
    }
    maker.finish().await
}

struct Maker<'a> {
    lake: &'a Lake,
    head: &'a Head,
    era: Era,
    /// All that is to be uploaded, with the newest roots first in the pack.
    objects: Vec<EncodedNode>,
    tables: Vec<EncodedNode>,
    catalog: BTreeMap<strandline_format::NameKey, Option<CatalogEntry>>,
    changes: Vec<TableChange>,
    txn: TxnId,
}

impl<'a> Maker<'a> {
    fn new(lake: &'a Lake, head: &'a Head) -> Result<Self> {
        let txn = TxnId::from_bytes(lake.storage().runtime().random()?);
        Ok(Self {
            lake,
            head,
            era: head.pointer().era(),
            objects: Vec::new(),
            tables: Vec::new(),
            catalog: BTreeMap::new(),
            changes: Vec::new(),
            txn,
        })
    }

    async fn edit_table(&mut self, mut edit: TableEdit) -> Result<()> {
        let version = self.head.commit().seq.next()?;
        edit.puts.iter_mut().for_each(|file| file.added = version);
        self.ensure_namespace(&edit.name).await?;
        let old = self.head.entry(&edit.name).await?;
        let mut table = match &old {
            Some(_) => self.head.table(&edit.name).await?,
            None => self.new_table()?,
        };
        let counts = self.edit_files(&mut table, &edit).await?;
        let node = EncodedNode::new(table.to_json()?, self.era);
        let entry = CatalogEntry {
            name: edit.name.clone(),
            entry_type: EntryType::Table,
            id: table.id,
            node: node.object,
        };
        self.catalog.insert(edit.name.key().clone(), Some(entry));
        self.changes.push(counts.into_change(&edit.name, table.id, old.map(|entry| entry.node), node.object));
        self.tables.push(node);
        Ok(())
    }

    /// A dotted name needs its namespace.
    async fn ensure_namespace(&mut self, name: &TableName) -> Result<()> {
        let Some(name) = name.namespace() else { return Ok(()) };
        if self.catalog.contains_key(name.key()) || self.head.entry(&name).await?.is_some() {
            return Ok(());
        }
        let runtime = self.lake.storage().runtime();
        let namespace = Namespace {
            id: TableId::from_random(runtime.random()?),
            comment: Comment::default(),
            properties: TableProperties::default(),
        };
        let node = EncodedNode::new(namespace.to_json()?, self.era);
        let entry = CatalogEntry {
            name: name.clone(),
            entry_type: EntryType::Namespace,
            id: namespace.id,
            node: node.object,
        };
        self.catalog.insert(name.key().clone(), Some(entry));
        self.changes.push(TableChange {
            entry_type: EntryType::Namespace,
            ..FileCounts::default().into_change(&name, namespace.id, None, node.object)
        });
        self.objects.push(node);
        Ok(())
    }

    fn new_table(&self) -> Result<Table> {
        let runtime = self.lake.storage().runtime();
        let schema = entries::schema()?;
        let mut table =
            Table::new(TableId::from_random(runtime.random()?), runtime.now(), TableSchema::Inline(schema));
        table.field_set(&entries::field_set())?;
        Ok(table)
    }

    async fn edit_files(&mut self, table: &mut Table, edit: &TableEdit) -> Result<FileCounts> {
        let keys: Vec<FileId> =
            edit.puts.iter().map(|file| file.id).chain(edit.removes.iter().copied()).collect();
        let before = self.head.trees().get_many(&table.files, &keys).await?;
        let after = edit.puts.iter().map(Some).chain(edit.removes.iter().map(|_| None));
        let mut counts = FileCounts::default();
        for (before, after) in before.iter().zip(after) {
            table.totals = table.totals.edited(before.as_ref(), after);
            counts.add(before.as_ref(), after);
        }
        for file in &edit.puts {
            table.next_file = table.next_file.max(FileId(file.id.0 + 1));
            table.next_row = table.next_row.max(RowId(file.first_row.0 + file.rows));
        }
        let puts = edit.puts.iter().map(|file| (file.id, Some(file.clone())));
        let edits: Vec<_> = puts.chain(edit.removes.iter().map(|id| (*id, None))).collect();
        let Edited { root, nodes } = self.head.trees().edit::<Files>(&table.files, edits, self.era).await?;
        table.files = root;
        self.objects.extend(nodes);
        Ok(counts)
    }

    async fn finish(mut self) -> Result<Head> {
        let commit = self.commit().await?;
        let commit = EncodedNode::new(commit.to_json()?, self.era);
        let pack = pack(std::iter::once(&commit).chain(&self.tables))?;
        let head = commit.object;
        let objects = self.lake.storage().objects();
        self.objects.extend(std::mem::take(&mut self.tables));
        self.objects.push(commit);
        upload(objects, std::mem::take(&mut self.objects)).await?;
        self.swap(head, pack).await
    }

    async fn commit(&mut self) -> Result<Commit> {
        let (head, trees) = (self.head, self.head.trees());
        let base = head.commit();
        let catalog =
            trees.edit::<Catalog>(&base.catalog, std::mem::take(&mut self.catalog), self.era).await?;
        let past = base.history_entry(head.pointer().head());
        let history = trees.edit(&base.history, [(past.seq, Some(past))], self.era).await?;
        self.objects.extend(catalog.nodes.into_iter().chain(history.nodes));
        Ok(Commit {
            seq: base.seq.next()?,
            parents: Parents::One(head.pointer().head()),
            time: self.lake.storage().runtime().commit_time(Some(base.time)),
            txn: self.txn,
            keyed: false,
            author: Author::default(),
            message: Message::default(),
            properties: CommitProperties::default(),
            catalog: catalog.root,
            history: history.root,
            changes: std::mem::take(&mut self.changes),
        })
    }

    async fn swap(&self, to: ObjectRef, pack: Pack) -> Result<Head> {
        let deadline = Deadline::after(Duration::from_secs(10));
        // Nobody else commits here, so nobody builds upon the swap before it is read back: the nonce tells it.
        let mine = |nonce| move |now: &Loaded| Ok(Pointer::parse(&now.bytes)?.nonce() == nonce);
        match self.lake.swap(self.head, |next| Ok(next.advance(to, pack)?), mine, deadline).await? {
            Settled::Applied(_) => self.lake.branch(self.head.pointer().branch()).await,
            Settled::NotApplied(_) => Err(Error::new(ErrorKind::Conflict, "the branch has moved")),
            Settled::Unknown(error) => Err(error),
        }
    }
}

fn pack<'n>(nodes: impl Iterator<Item = &'n EncodedNode>) -> Result<Pack> {
    let mut pack = Pack::builder();
    for node in nodes {
        if let Ok(text) = std::str::from_utf8(&node.text) {
            pack.push(node.object.hash, text)?;
        }
    }
    Ok(pack.finish())
}

async fn upload(objects: &Objects, nodes: Vec<EncodedNode>) -> Result<()> {
    for node in nodes {
        objects.put_meta(Bytes::from(node.text), node.object.era).await?;
    }
    Ok(())
}

/// What a change of files comes to.
#[derive(Clone, Copy, Debug, Default)]
struct FileCounts {
    before: Totals,
    after: Totals,
}

impl FileCounts {
    fn add(&mut self, before: Option<&FileEntry>, after: Option<&FileEntry>) {
        self.before = self.before.edited(None, before);
        self.after = self.after.edited(None, after);
    }

    fn into_change(
        self,
        name: &TableName,
        table: TableId,
        old: Option<ObjectRef>,
        new: ObjectRef,
    ) -> TableChange {
        let counts = |of: fn(&Totals) -> u64| Counts { added: of(&self.after), removed: of(&self.before) };
        TableChange {
            table,
            name: name.clone(),
            entry_type: EntryType::Table,
            operation: if old.is_some() { Operation::Append } else { Operation::Create },
            renamed_from: None,
            old,
            new: Some(new),
            rows: counts(|totals| totals.rows),
            files: counts(|totals| totals.files),
            bytes: counts(|totals| totals.bytes),
            renumbered: None,
            picked: None,
        }
    }
}
