//! What a commit did to one table, view or namespace.

use crate::catalog::EntryType;
use crate::error::{Error, Result};
use crate::hash::{ObjectRef, clip};
use crate::id::TableId;
use crate::name::TableName;
use crate::numbering::{PickedNumbers, Renumbering};

/// What was done.
///
/// ```
/// use strandline_format::Operation;
/// assert_eq!(Operation::Append.as_str(), "append");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// It was made.
    Create,
    /// Rows were added.
    Append,
    /// Rows were replaced by others.
    Overwrite,
    /// Rows were deleted.
    Delete,
    /// Rows were changed, each keeping its id.
    Update,
    /// Another branch's changes came in.
    Merge,
    /// Files were rewritten, no row changed.
    Compact,
    /// The schema, properties or layout changed.
    Alter,
    /// It got another name.
    Rename,
    /// It was dropped.
    Drop,
    /// It is again what it was at an earlier commit.
    Restore,
}

impl Operation {
    const ALL: [Self; 11] = [
        Self::Create,
        Self::Append,
        Self::Overwrite,
        Self::Delete,
        Self::Update,
        Self::Merge,
        Self::Compact,
        Self::Alter,
        Self::Rename,
        Self::Drop,
        Self::Restore,
    ];

    /// The name of the operation in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::Delete => "delete",
            Self::Update => "update",
            Self::Merge => "merge",
            Self::Compact => "compact",
            Self::Alter => "alter",
            Self::Rename => "rename",
            Self::Drop => "drop",
            Self::Restore => "restore",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|operation| operation.as_str() == text);
        found.ok_or_else(|| Error::unsupported(format!("the operation {:?} is not known here", clip(text))))
    }
}

/// How many came and went.
///
/// ```
/// use strandline_format::Counts;
///
/// let rows = Counts { added: 3, removed: 1 };
/// assert_eq!(rows.added - rows.removed, 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many came.
    pub added: u64,
    /// How many went.
    pub removed: u64,
}

/// One line of the changelog that a commit carries [COM-6].
///
/// ```
/// use strandline_format::{Counts, EntryType, Era, Hash, ObjectRef, Operation, TableChange, TableId, TableName};
///
/// // Three rows came into an empty table.
/// let node = |text: &[u8]| ObjectRef { hash: Hash::of(text), era: Era(0), size: text.len() as u64 };
/// let change = TableChange {
///     table: TableId::from_random([1; 16]),
///     name: TableName::new("sales.orders")?,
///     entry_type: EntryType::Table,
///     operation: Operation::Append,
///     renamed_from: None,
///     old: Some(node(b"empty")),
///     new: Some(node(b"three rows")),
///     rows: Counts { added: 3, removed: 0 },
///     files: Counts { added: 1, removed: 0 },
///     bytes: Counts { added: 1_000, removed: 0 },
///     renumbered: None,
///     picked: None,
/// };
/// assert_ne!(change.old, change.new);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChange {
    /// Which table, view or namespace, whatever it is called.
    pub table: TableId,
    /// What it is called after the commit; for a drop, what it was called.
    pub name: TableName,
    /// What it is.
    pub entry_type: EntryType,
    /// What was done, or the most of it.
    pub operation: Operation,
    /// What it was called before, if that changed, whatever else was done.
    pub renamed_from: Option<TableName>,
    /// Its node before.
    pub old: Option<ObjectRef>,
    /// Its node after.
    pub new: Option<ObjectRef>,
    /// Live rows.
    pub rows: Counts,
    /// File entries.
    pub files: Counts,
    /// Bytes of files.
    pub bytes: Counts,
    /// In a merge: where the numbers of the merged commit's table stand in this one's, if that is elsewhere [MRG-4].
    pub renumbered: Option<Renumbering>,
    /// In a pick: where the numbers of what the commit added stand here [MRG-11].
    pub picked: Option<PickedNumbers>,
}

impl TableChange {
    /// Checks that the operation has the nodes and names that it takes [COM-7].
    pub(super) fn check(&self) -> Result<()> {
        let nodes = (self.old.is_some(), self.new.is_some());
        let fits = match self.operation {
            Operation::Create => nodes == (false, true),
            Operation::Drop => nodes == (true, false),
            // Of a whole branch, so they may make and drop tables as well.
            Operation::Merge | Operation::Restore => nodes != (false, false),
            _ => nodes == (true, true),
        };
        let operation = self.operation.as_str();
        if !fits {
            return Err(Error::invalid(format!(
                "{operation} of {} does not go with its old and new node",
                self.name
            )));
        }
        if self.operation == Operation::Rename && self.renamed_from.is_none() {
            return Err(Error::invalid(format!("{operation} of {} does not say from what", self.name)));
        }
        if self.renamed_from.is_some() && nodes != (true, true) {
            return Err(Error::invalid(format!("{operation} of {} cannot rename it", self.name)));
        }
        Ok(())
    }
}
