//! What two sides disagree on, as a value that names it [REB-14].
//!
//! What does not belong here: how it is said (`words`).

use strandline_format::merge::{CatalogConflict, CatalogConflictKind, RowFate, TableConflict};
use strandline_format::{Counts, FileId, Hash, Operation, RowId, Seq, TableChange, TableId, TableName};

use crate::merge::keys::Twins;

/// Something that stands in the way of a commit.
///
/// As text it says what the branch and what `this` did, which is the transaction; `{:#}` says `ours` and `theirs`, as the sides of a merge are
/// called.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::ErrorKind;
/// use strandline::filter::col;
///
/// let first = lake.begin().await?;
/// let second = lake.begin().await?;
/// for (transaction, amount) in [(&first, 31), (&second, 32)] {
///     transaction.update("orders", col("id").eq(1)).set("amount", amount).await?;
/// }
/// first.commit().await?;
///
/// let refused = second.commit().await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Conflict);
/// let conflict = &refused.conflicts()[0];
/// assert_eq!(conflict.name, "orders");
/// assert_eq!(conflict.commit.map(|(version, _)| version.0), Some(2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Which table, view or namespace; `None` where a name was read under which nothing stood.
    pub table: Option<TableId>,
    /// What it is called.
    pub name: String,
    /// What collided.
    pub kind: ConflictKind,
    /// The commit on the other side that did it, if it could be found.
    pub commit: Option<(Seq, Hash)>,
}

/// What collided.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::merge::ConflictKind;
///
/// let first = lake.begin().await?;
/// let second = lake.begin().await?;
/// first.drop_table("orders").await?;
/// second.append("orders", orders(&[(4, 99)])).await?;
/// first.commit().await?;
///
/// let refused = second.commit().await.unwrap_err();
/// assert!(matches!(refused.conflicts()[0].kind, ConflictKind::Catalog(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConflictKind {
    /// The name, or what stands under it.
    Catalog(CatalogConflictKind),
    /// The schema, a property, a constraint, the comment or the key.
    Table(TableConflict),
    /// Files of which both sides changed the same rows, or that the other side wrote where this one overwrites.
    Files(Vec<FileId>),
    /// Rows that both sides changed, or that one side changed and the other deleted.
    Rows(RowConflicts),
    /// Rows with one key, which stood together on neither side.
    Keys(KeyConflicts),
    /// A constraint of one side that cannot stand beside what the other one did: rows break it, or a column that it names is
    /// gone. Its name, and what is wrong.
    Constraint(String, String),
    /// Something that was read under the level `serializable`.
    Read(ReadConflict),
    /// What the sides come from, which does not tell what either has done to it since.
    Base(BaseConflict),
}

/// Why a table that two branches have in common does not say what each of them has done to it since. Whoever merges takes it as one of them has it:
/// [`Merge::take`](crate::refs::Merge::take).
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
/// use strandline::merge::{BaseConflict, ConflictKind, Side};
/// use strandline::refs::Preview;
///
/// lake.create_branch("dev").await?;
/// for (branch, amount) in [("main", 31), ("dev", 32), ("dev", 33)] {
///     let change = lake.begin().branch(branch).await?;
///     change.update("orders", col("id").eq(1)).set("amount", amount).await?;
///     change.commit().await?;
/// }
/// // All of `dev` comes to `main` in one table, of which the pick names one commit.
/// lake.cherry_pick("dev").on("main").take("orders", Side::Theirs).await?.committed()?;
///
/// let Preview::Conflicts(found) = lake.merge("dev").into("main").dry_run().await? else { panic!("nothing relates the rows") };
/// assert!(matches!(found.conflicts[0].kind, ConflictKind::Base(BaseConflict::Picked(..))));
/// lake.merge("dev").into("main").take("orders", Side::Ours).await?.committed()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseConflict {
    /// The branches have several last common commits, which disagree on it.
    Disagreement,
    /// This commit of one of the branches is a pick that took it as a whole, with rows of other commits that nothing relates.
    Picked(Seq, Hash),
}

/// Rows on which two sides disagree: the first of them, and how many there are.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
/// use strandline::merge::ConflictKind;
///
/// let first = lake.begin().await?;
/// let second = lake.begin().await?;
/// first.delete("orders", col("id").le(2)).await?;
/// second.update("orders", col("id").ge(2)).set("amount", 0).await?;
/// first.commit().await?;
///
/// let refused = second.commit().await.unwrap_err();
/// let ConflictKind::Rows(rows) = &refused.conflicts()[0].kind else { panic!("one row is touched by both") };
/// assert_eq!((rows.count(), rows.rows()[0].row.0), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowConflicts {
    rows: Vec<RowConflict>,
    count: u64,
    /// All of them, with where they stand; none of a transaction's, which is told of and not merged.
    contested: Vec<Contested>,
}

/// A row on which two sides disagree, and where it stands: in which file, at which position. What has deleted it has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contested {
    pub(super) row: RowConflict,
    pub(super) base: Option<(FileId, u64)>,
    pub(super) ours: Option<(FileId, u64)>,
    pub(super) theirs: Option<(FileId, u64)>,
}

/// A row on which two sides disagree.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
/// use strandline::format::merge::RowFate;
/// use strandline::merge::ConflictKind;
///
/// let first = lake.begin().await?;
/// let second = lake.begin().await?;
/// first.delete("orders", col("id").eq(1)).await?;
/// second.update("orders", col("id").eq(1)).set("amount", 0).await?;
/// first.commit().await?;
///
/// let refused = second.commit().await.unwrap_err();
/// let ConflictKind::Rows(rows) = &refused.conflicts()[0].kind else { panic!("one row is touched by both") };
/// // The branch has deleted what the transaction has changed.
/// assert_eq!((rows.rows()[0].ours, rows.rows()[0].theirs), (RowFate::Deleted, RowFate::Changed));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowConflict {
    /// Which row.
    pub row: RowId,
    /// What the branch did to it since.
    pub ours: RowFate,
    /// What was to be done to it.
    pub theirs: RowFate,
}

impl RowConflicts {
    /// How many are kept one by one.
    pub const LISTED: usize = 1000;

    /// Adds one; where it stands only if that is asked for.
    pub(super) fn push(&mut self, contested: Contested, keeps: bool) {
        self.count += 1;
        self.rows.push(contested.row);
        if self.rows.len() > 2 * Self::LISTED {
            self.rows.select_nth_unstable_by_key(Self::LISTED, |row| row.row);
            self.rows.truncate(Self::LISTED);
        }
        if keeps {
            self.contested.push(contested);
        }
    }

    /// All of them, in the order of their ids.
    pub(super) fn whole(mut self) -> Self {
        self.rows.sort_unstable_by_key(|row| row.row);
        self.rows.truncate(Self::LISTED);
        self.contested.sort_unstable_by_key(|contested| contested.row.row);
        self
    }

    pub(super) fn contested(&self) -> &[Contested] {
        &self.contested
    }

    /// The first ones, at most [`Self::LISTED`], in the order of their ids.
    #[must_use]
    pub fn rows(&self) -> &[RowConflict] {
        &self.rows
    }

    /// How many there are in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Rows of the two sides that have one key: the first of them, and how many pairs there are.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::merge::ConflictKind;
///
/// let first = lake.begin().await?;
/// let second = lake.begin().await?;
/// for (transaction, amount) in [(&first, 1), (&second, 2)] {
///     transaction.upsert("orders", orders(&[(4, amount)])).await?;
/// }
/// first.commit().await?;
///
/// let refused = second.commit().await.unwrap_err();
/// let ConflictKind::Keys(found) = &refused.conflicts()[0].kind else { panic!("both added the key 4") };
/// assert_eq!(found.count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyConflicts {
    keys: Vec<KeyConflict>,
    /// All of them, with where they stand.
    twins: Vec<Twins>,
}

/// A row on each side, with the key that they have in common.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::merge::ConflictKind;
///
/// let first = lake.begin().await?;
/// let second = lake.begin().await?;
/// for (transaction, amount) in [(&first, 1), (&second, 2)] {
///     transaction.upsert("orders", orders(&[(4, amount)])).await?;
/// }
/// first.commit().await?;
///
/// let refused = second.commit().await.unwrap_err();
/// let ConflictKind::Keys(found) = &refused.conflicts()[0].kind else { panic!("both added the key 4") };
/// let conflict = &found.keys()[0];
/// assert_eq!((conflict.key.as_str(), conflict.ours.0, conflict.theirs.0), ("(id = 4)", 3, 4));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConflict {
    /// The columns of the key, and their values.
    pub key: String,
    /// The row of the branch.
    pub ours: RowId,
    /// The row that was to be brought in: its id there is the one that it would get.
    pub theirs: RowId,
}

impl KeyConflicts {
    pub(super) fn push(&mut self, twins: Twins) {
        if self.keys.len() < RowConflicts::LISTED {
            let (ours, theirs) = (twins.ours.row, twins.theirs.row);
            self.keys.push(KeyConflict { key: twins.key.clone(), ours, theirs });
        }
        self.twins.push(twins);
    }

    pub(super) fn twins(&self) -> &[Twins] {
        &self.twins
    }

    /// The first ones, at most [`RowConflicts::LISTED`], in the order of the branch's rows.
    #[must_use]
    pub fn keys(&self) -> &[KeyConflict] {
        &self.keys
    }

    /// How many there are in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.twins.len() as u64
    }
}

/// What was read, and then changed by the other side.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::merge::{ConflictKind, ReadConflict};
///
/// let audit = lake.begin().serializable().await?;
/// audit.table("orders").await?.scan().count().await?;
/// audit.create_table("audited").like(&orders(&[]).schema()).await?;
/// // Somebody else changes what was counted.
/// lake.append("orders", orders(&[(4, 99)])).await?;
///
/// let refused = audit.commit().await.unwrap_err();
/// assert!(matches!(refused.conflicts()[0].kind, ConflictKind::Read(ReadConflict::Scan(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadConflict {
    /// What stands under a name.
    Name,
    /// What stands in a namespace.
    Listing,
    /// The schema of a table.
    Schema,
    /// Rows that a scan could have given; the predicate as text.
    Scan(String),
}

impl Conflict {
    pub(super) fn of_catalog(conflict: &CatalogConflict) -> Self {
        let entry = conflict.ours.as_ref().or(conflict.theirs.as_ref());
        Self {
            table: entry.map(|entry| entry.id),
            name: entry.map_or_else(String::new, |entry| entry.name.as_str().to_owned()),
            kind: ConflictKind::Catalog(conflict.kind),
            commit: None,
        }
    }

    pub(super) fn of_table(table: TableId, name: &TableName, kind: ConflictKind) -> Self {
        Self { table: Some(table), name: name.as_str().to_owned(), kind, commit: None }
    }

    pub(crate) fn of_read(table: Option<TableId>, name: &str, read: ReadConflict) -> Self {
        Self { table, name: name.to_owned(), kind: ConflictKind::Read(read), commit: None }
    }

    /// Whether a change of its table can be what it is with: one of rows, of the table's node, or of its name.
    pub(crate) fn may_be_of(&self, change: &TableChange) -> bool {
        let rows = change.rows != Counts::default() || change.files != Counts::default();
        match &self.kind {
            ConflictKind::Files(_)
            | ConflictKind::Rows(_)
            | ConflictKind::Keys(_)
            | ConflictKind::Read(ReadConflict::Scan(_)) => rows,
            ConflictKind::Table(_) | ConflictKind::Read(ReadConflict::Schema) => {
                !matches!(change.operation, Operation::Append | Operation::Delete | Operation::Update)
            }
            ConflictKind::Catalog(_) | ConflictKind::Constraint(..) | ConflictKind::Read(_) => true,
            // No commit of one side alone.
            ConflictKind::Base(_) => false,
        }
    }

    /// What kind of thing collided, in a word or two, as programs tell it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.kind {
            ConflictKind::Catalog(_) => "catalog",
            ConflictKind::Table(_) => "table",
            ConflictKind::Files(_) => "files",
            ConflictKind::Rows(_) => "rows",
            ConflictKind::Keys(_) => "keys",
            ConflictKind::Constraint(..) => "constraint",
            ConflictKind::Read(_) => "read",
            ConflictKind::Base(_) => "base",
        }
    }
}
