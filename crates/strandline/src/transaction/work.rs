//! What a transaction has done so far: the catalog that it comes to, beside the one that it stands on.
//!
//! Invariants: a work never changes what it stands on; everything that it touched is listed once, by id, with what stood
//! there before; names lead to at most one thing [CAT-1]; nothing of it is visible to anybody else. What does not belong here:
//! how files are encoded (`write`), what happens when the branch has moved (`merge`), and storing anything (`commit`).

use std::collections::BTreeMap;
use std::sync::Arc;

use strandline_format::{
    CatalogEntry, EntryType, Era, NameKey, Namespace, ObjectRef, Operation, TableId, TableName, View,
};

use crate::error::{Error, ErrorKind, Result};
use crate::merge::Theirs;
use crate::snapshot::Snapshot;
use crate::table::TableState;
use crate::transaction::draft::Draft;

/// A snapshot and what is done upon it.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    base: Snapshot,
    /// The era in which its data is uploaded.
    era: Era,
    touched: BTreeMap<TableId, Touched>,
    /// The names that no longer stand for what they do in the base, and what they stand for.
    names: BTreeMap<NameKey, Option<TableId>>,
}

/// A table, view or namespace that was made, changed or dropped.
#[derive(Clone, Debug)]
pub(crate) struct Touched {
    /// Its entry in the base; `None`: it was made.
    pub(crate) before: Option<CatalogEntry>,
    /// What it is now; `None`: it was dropped.
    pub(crate) after: Option<After>,
    /// What was done, or the most of it.
    pub(crate) operation: Operation,
}

/// What a touched name stands for.
#[derive(Clone, Debug)]
pub(crate) struct After {
    pub(crate) name: TableName,
    pub(crate) node: Node,
}

/// The node of a touched entry, before it is stored.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Table(Box<Draft>),
    View(Arc<View>),
    Namespace(Arc<Namespace>),
    /// It was renamed only.
    Kept(EntryType, ObjectRef),
    /// A table as another version has it, to be merged into what the branch has.
    Theirs(Box<Theirs>),
}

impl Node {
    pub(crate) fn entry_type(&self) -> EntryType {
        match self {
            Self::Table(_) | Self::Theirs(_) => EntryType::Table,
            Self::View(_) => EntryType::View,
            Self::Namespace(_) => EntryType::Namespace,
            Self::Kept(entry_type, _) => *entry_type,
        }
    }
}

/// What stands under a name in the middle of a transaction.
pub(crate) enum Standing<'w> {
    /// As in the base.
    Base(CatalogEntry),
    /// Made or changed by the work.
    Touched(TableId, &'w After),
}

impl Standing<'_> {
    pub(crate) fn id(&self) -> TableId {
        match self {
            Self::Base(entry) => entry.id,
            Self::Touched(id, _) => *id,
        }
    }

    pub(crate) fn name(&self) -> &TableName {
        match self {
            Self::Base(entry) => &entry.name,
            Self::Touched(_, after) => &after.name,
        }
    }

    pub(crate) fn entry_type(&self) -> EntryType {
        match self {
            Self::Base(entry) => entry.entry_type,
            Self::Touched(_, after) => after.node.entry_type(),
        }
    }
}

impl Work {
    /// What it touched, by name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.touched().values().filter_map(|touched| {
            let after = touched.after.as_ref().map(|after| after.name.as_str());
            after.or_else(|| touched.before.as_ref().map(|before| before.name.as_str()))
        })
    }

    /// Whether all that it touched is as it was, but for numbers that were handed out. Requests: those of finding the tables, unless files came.
    pub(crate) async fn changes_nothing(&self) -> Result<bool> {
        for touched in self.touched().values() {
            let (Some(before), Some(after)) = (&touched.before, &touched.after) else { return Ok(false) };
            // Names are equal in any letters.
            if before.name.as_str() != after.name.as_str() || !self.is_as_before(before, &after.node).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn is_as_before(&self, before: &CatalogEntry, node: &Node) -> Result<bool> {
        Ok(match node {
            Node::Kept(_, node) => node.hash == before.node.hash,
            Node::Table(draft) if draft.new_files().next().is_some() => false,
            Node::Table(draft) => draft.is_as(&self.base.table_of(before).await?)?,
            Node::View(view) => **view == self.base.view_of(before).await?,
            Node::Namespace(namespace) => **namespace == self.base.namespace_of(before).await?,
            Node::Theirs(_) => false,
        })
    }

    /// Nothing done yet.
    pub(crate) fn on(base: Snapshot, era: Era) -> Self {
        Self { base, era, touched: BTreeMap::new(), names: BTreeMap::new() }
    }

    /// What it stands on.
    pub(crate) fn base(&self) -> &Snapshot {
        &self.base
    }

    /// All that was touched, by id.
    pub(crate) fn touched(&self) -> &BTreeMap<TableId, Touched> {
        &self.touched
    }

    /// The drafts of tables, to be changed in place.
    pub(crate) fn drafts_mut(&mut self) -> impl Iterator<Item = &mut Draft> {
        self.touched.values_mut().filter_map(|touched| match &mut touched.after.as_mut()?.node {
            Node::Table(draft) => Some(&mut **draft),
            _ => None,
        })
    }

    /// What stands under a name now.
    pub(crate) async fn standing(&self, name: &TableName) -> Result<Option<Standing<'_>>> {
        match self.names.get(name.key()) {
            Some(None) => Ok(None),
            Some(Some(id)) => Ok(self.after(*id).map(|after| Standing::Touched(*id, after))),
            None => Ok(self.base.entry(name).await?.map(Standing::Base)),
        }
    }

    fn after(&self, id: TableId) -> Option<&After> {
        self.touched.get(&id)?.after.as_ref()
    }

    /// All names that stand now, in the order of their keys.
    pub(crate) async fn entries(&self) -> Result<Vec<(TableName, EntryType, TableId)>> {
        let base = self.base.entries().await?.into_iter();
        let kept = base
            .filter(|entry| !self.touched.contains_key(&entry.id))
            .map(|entry| (entry.name, entry.entry_type, entry.id));
        let made = self.touched.iter().filter_map(|(id, touched)| {
            let after = touched.after.as_ref()?;
            Some((after.name.clone(), after.node.entry_type(), *id))
        });
        let mut all: Vec<_> = kept.chain(made).collect();
        all.sort_by(|one, other| one.0.key().cmp(other.0.key()));
        Ok(all)
    }

    /// What stands under a name, which must be of this type.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names.
    pub(crate) async fn expect(&self, name: &TableName, wanted: EntryType) -> Result<Standing<'_>> {
        match self.standing(name).await? {
            Some(found) if found.entry_type() == wanted => Ok(found),
            Some(found) => {
                let (found, wanted) = (found.entry_type().as_str(), wanted.as_str());
                Err(Error::new(
                    ErrorKind::NotFound,
                    format!("{:?} is a {found}, not a {wanted}", name.as_str()),
                ))
            }
            None => Err(self.unknown(name, wanted).await),
        }
    }

    async fn unknown(&self, name: &TableName, wanted: EntryType) -> Error {
        let entries = self.entries().await.unwrap_or_default();
        let names = entries.iter().filter(|(_, found, _)| *found == wanted).map(|(name, ..)| name.as_str());
        let near = crate::near::offer(&crate::near::nearest(name.as_str(), names));
        Error::new(ErrorKind::NotFound, format!("no {} {:?}{near}", wanted.as_str(), name.as_str()))
    }

    /// The table under a name as it is now, to be read: with what the work did to it.
    pub(crate) async fn table(&self, name: &TableName) -> Result<TableState> {
        match self.expect(name, EntryType::Table).await? {
            Standing::Base(entry) => self.base.table_of(&entry).await,
            Standing::Touched(id, after) => self.state_of(id, after).await,
        }
    }

    /// The view under a name as it is now.
    pub(crate) async fn view(&self, name: &TableName) -> Result<View> {
        match self.expect(name, EntryType::View).await? {
            Standing::Base(entry) => self.base.view_of(&entry).await,
            Standing::Touched(_, After { node: Node::View(view), .. }) => Ok((**view).clone()),
            Standing::Touched(id, After { name, node: Node::Kept(entry_type, node) }) => {
                let (name, entry_type) = (name.clone(), *entry_type);
                self.base.view_of(&CatalogEntry { name, entry_type, id, node: *node }).await
            }
            Standing::Touched(..) => {
                Err(Error::new(ErrorKind::NotFound, format!("{:?} is not a view", name.as_str())))
            }
        }
    }

    /// The namespace under a name as it is now.
    pub(crate) async fn namespace(&self, name: &TableName) -> Result<Namespace> {
        match self.expect(name, EntryType::Namespace).await? {
            Standing::Base(entry) => self.base.namespace_of(&entry).await,
            Standing::Touched(_, After { node: Node::Namespace(namespace), .. }) => Ok((**namespace).clone()),
            Standing::Touched(id, After { name, node: Node::Kept(entry_type, node) }) => {
                let (name, entry_type) = (name.clone(), *entry_type);
                self.base.namespace_of(&CatalogEntry { name, entry_type, id, node: *node }).await
            }
            Standing::Touched(..) => {
                Err(Error::new(ErrorKind::NotFound, format!("{:?} is not a namespace", name.as_str())))
            }
        }
    }

    async fn state_of(&self, id: TableId, after: &After) -> Result<TableState> {
        match &after.node {
            Node::Table(draft) => Ok(draft.state(&self.base, &after.name)),
            Node::Kept(entry_type, node) => {
                let (name, entry_type) = (after.name.clone(), *entry_type);
                self.base.table_of(&CatalogEntry { name, entry_type, id, node: *node }).await
            }
            Node::Theirs(theirs) => Ok(theirs.theirs.clone()),
            Node::View(_) | Node::Namespace(_) => {
                Err(Error::new(ErrorKind::NotFound, format!("{:?} is not a table", after.name.as_str())))
            }
        }
    }

    /// The draft of a table, made from what stands there if it was not touched before.
    pub(crate) async fn draft(&mut self, name: &TableName, operation: Operation) -> Result<&mut Draft> {
        let standing = self.expect(name, EntryType::Table).await?;
        let (id, before) = match standing {
            Standing::Base(entry) => (entry.id, Some(entry)),
            Standing::Touched(id, _) => (id, None),
        };
        if !matches!(self.after(id), Some(After { node: Node::Table(_), .. })) {
            let state = self.table(name).await?;
            let after =
                After { name: state.name.clone(), node: Node::Table(Box::new(Draft::of(&state, self.era))) };
            match before {
                Some(before) => {
                    self.touch(id, Touched { before: Some(before), after: Some(after), operation });
                }
                None => self.replace(id, after),
            }
        }
        self.note(id, operation);
        let touched = self.touched.get_mut(&id).and_then(|touched| touched.after.as_mut());
        match touched.map(|after| &mut after.node) {
            Some(Node::Table(draft)) => Ok(draft),
            _ => Err(Error::new(ErrorKind::NotFound, format!("no table {:?}", name.as_str()))),
        }
    }

    /// A copy of the draft of a table, to be changed: what is done to it counts once it is put back, so that an operation that
    /// fails or is cut off half-way leaves nothing.
    pub(crate) async fn drafted(&self, name: &TableName) -> Result<Draft> {
        match self.expect(name, EntryType::Table).await? {
            Standing::Touched(_, After { node: Node::Table(draft), .. }) => Ok((**draft).clone()),
            _ => Ok(Draft::of(&self.table(name).await?, self.era)),
        }
    }

    /// Puts a draft in the place of what stands under the name of its table.
    pub(crate) async fn put_draft(
        &mut self,
        name: &TableName,
        draft: Draft,
        operation: Operation,
    ) -> Result<()> {
        let standing = self.expect(name, EntryType::Table).await?;
        let after = After { name: standing.name().clone(), node: Node::Table(Box::new(draft)) };
        let standing = StandingId::from(standing);
        self.change(standing, after, operation);
        Ok(())
    }

    /// Makes something under a name that nothing stands under.
    pub(crate) fn create(&mut self, id: TableId, after: After) {
        self.names.insert(after.name.key().clone(), Some(id));
        self.touch(id, Touched { before: None, after: Some(after), operation: Operation::Create });
    }

    /// Puts another node in the place of what stands under a name.
    pub(crate) fn change(&mut self, standing: StandingId, after: After, operation: Operation) {
        match standing {
            StandingId::Base(entry) => {
                let id = entry.id;
                self.touch(id, Touched { before: Some(entry), after: Some(after), operation });
            }
            StandingId::Touched(id) => {
                self.replace(id, after);
                self.note(id, operation);
            }
        }
    }

    /// Drops what stands under a name.
    pub(crate) fn drop_standing(&mut self, standing: StandingId, name: &TableName) {
        self.names.insert(name.key().clone(), None);
        match standing {
            StandingId::Base(entry) => {
                let touched =
                    Touched { before: Some(entry.clone()), after: None, operation: Operation::Drop };
                self.touched.insert(entry.id, touched);
            }
            StandingId::Touched(id) => match self.touched.get_mut(&id) {
                // What the work itself made leaves no trace.
                Some(touched) if touched.before.is_none() => drop(self.touched.remove(&id)),
                Some(touched) => (touched.after, touched.operation) = (None, Operation::Drop),
                None => {}
            },
        }
    }

    /// Gives another name to what stands under one.
    pub(crate) fn rename(&mut self, standing: StandingId, from: &TableName, to: &TableName) {
        let after = match &standing {
            StandingId::Base(entry) => Some(Node::Kept(entry.entry_type, entry.node)),
            StandingId::Touched(id) => self.after(*id).map(|after| after.node.clone()),
        };
        let Some(node) = after else { return };
        self.names.insert(from.key().clone(), None);
        self.change(standing, After { name: to.clone(), node }, Operation::Rename);
    }

    /// Enters what a merge found: everything that differs from the base, under its id.
    pub(crate) fn touch(&mut self, id: TableId, touched: Touched) {
        let (before, after) = (touched.before.as_ref(), touched.after.as_ref());
        if let Some(before) = before.filter(|before| !self.names.contains_key(before.name.key())) {
            self.names.insert(before.name.key().clone(), None);
        }
        if let Some(after) = after {
            self.names.insert(after.name.key().clone(), Some(id));
        }
        self.touched.insert(id, touched);
    }

    fn replace(&mut self, id: TableId, after: After) {
        self.names.insert(after.name.key().clone(), Some(id));
        if let Some(touched) = self.touched.get_mut(&id) {
            touched.after = Some(after);
        }
    }

    /// What was done to one thing is told by the most that was done: making it hides all else, then rows, then the rest.
    fn note(&mut self, id: TableId, operation: Operation) {
        if let Some(touched) = self.touched.get_mut(&id)
            && weight(operation) > weight(touched.operation)
        {
            touched.operation = operation;
        }
    }
}

/// What stands under a name, without a borrow of the work.
pub(crate) enum StandingId {
    Base(CatalogEntry),
    Touched(TableId),
}

impl From<Standing<'_>> for StandingId {
    fn from(standing: Standing<'_>) -> Self {
        match standing {
            Standing::Base(entry) => Self::Base(entry),
            Standing::Touched(id, _) => Self::Touched(id),
        }
    }
}

fn weight(operation: Operation) -> u8 {
    match operation {
        Operation::Create | Operation::Drop => 9,
        Operation::Restore => 8,
        Operation::Merge => 7,
        Operation::Overwrite => 6,
        Operation::Update => 5,
        Operation::Delete => 4,
        Operation::Append => 3,
        Operation::Compact => 2,
        Operation::Alter => 1,
        Operation::Rename => 0,
    }
}
