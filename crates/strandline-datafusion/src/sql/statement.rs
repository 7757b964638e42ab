//! The statements that lakes have and SQL parsers do not know.
//!
//! Invariant: a statement holds all that its text said; what it does not hold, the parser has refused. What does not belong
//! here: reading texts (`parse`) and carrying statements out (`run`).

use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{Expr, Query, Statement as SqlStatement};
use strandline::Isolation;
use strandline::format::{Direction, EntryType, NullOrder, Transform, Type};
use strandline::merge::Side;
use strandline::transaction::Place;

/// One statement.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    /// What DataFusion plans: queries, rows that come and go, settings.
    Plain(Box<DfStatement>),
    /// `COPY t FROM 'files'`, which DataFusion does not plan.
    CopyFrom(Box<SqlStatement>),
    Begin(Isolation),
    Commit {
        message: Option<String>,
    },
    Rollback,
    CreateSchema {
        name: Name,
        if_absent: bool,
    },
    CreateTable(Box<CreateTable>),
    CreateView(Box<CreateView>),
    Drop {
        kind: Kind,
        names: Vec<Name>,
        if_exists: bool,
    },
    AlterTable {
        name: Name,
        if_exists: bool,
        acts: Vec<Act>,
    },
    /// Small files, and those with many deletes, written anew; or all of them.
    Compact {
        name: Name,
        all: bool,
    },
    /// Of a column, or of a field within one: which part of the name is the table's shows when it is looked up.
    CommentOnColumn {
        name: Name,
        comment: Option<String>,
    },
    Rename {
        kind: Kind,
        name: Name,
        to: Name,
        if_exists: bool,
    },
    CreateBranch {
        name: String,
        from: Option<String>,
        if_absent: bool,
    },
    RenameBranch {
        name: String,
        to: String,
    },
    FastForward {
        branch: String,
        to: String,
    },
    CreateTag(CreateTag),
    Bring(Box<Bring>),
    DropRef {
        kind: RefKind,
        name: String,
        if_exists: bool,
    },
    Use(Use),
    Show(Show),
    Describe(Name),
}

/// A name of one or more parts, each as it is looked up: folded, unless it was quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) Vec<String>);

/// What stands in a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Schema,
    Table,
    View,
}

impl Kind {
    /// The word of statements for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Schema => "SCHEMA",
            Self::Table => "TABLE",
            Self::View => "VIEW",
        }
    }
}

/// What names a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefKind {
    Branch,
    Tag,
}

/// A table that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct CreateTable {
    pub(crate) name: Name,
    pub(crate) or_replace: bool,
    pub(crate) if_absent: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) key: Vec<String>,
    pub(crate) checks: Vec<Check>,
    pub(crate) sorted_by: Vec<Sorted>,
    pub(crate) split_by: Vec<(String, Transform)>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) comment: Option<String>,
    pub(crate) query: Option<Box<Query>>,
}

/// A column as it is declared.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) required: bool,
    pub(crate) default: Option<Expr>,
    pub(crate) comment: Option<String>,
}

/// A column that rows are sorted by.
pub(crate) type Sorted = (String, Direction, NullOrder);

/// A condition of a table; one without a name gets one from what it says.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) name: Option<String>,
    pub(crate) condition: String,
}

/// A view that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct CreateView {
    pub(crate) name: Name,
    pub(crate) or_replace: bool,
    pub(crate) if_absent: bool,
    pub(crate) columns: Vec<String>,
    pub(crate) query: Box<Query>,
}

/// What is brought into a branch.
#[derive(Clone, Debug)]
pub(crate) struct Bring {
    pub(crate) what: Brought,
    /// The version that is brought.
    pub(crate) reference: String,
    /// The branch, if not the one where the session stands.
    pub(crate) branch: Option<String>,
    pub(crate) takes: Vec<Takes>,
    pub(crate) message: Option<String>,
    /// Whether it is only told what would come of it.
    pub(crate) dry_run: bool,
}

/// What is taken of one side.
#[derive(Clone, Debug)]
pub(crate) struct Takes {
    pub(crate) side: Side,
    /// What these are whose state is taken as a whole; without it, the rows of tables that the sides disagree on.
    pub(crate) whole: Option<EntryType>,
    pub(crate) names: Vec<Name>,
}

/// How it is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// All that it has and the branch has not.
    Merged,
    /// What its commit did.
    Picked,
    /// The reverse of what its commit did.
    Reverted,
    /// Its state, in the place of the branch's.
    Reset,
}

/// A tag that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct CreateTag {
    pub(crate) name: String,
    pub(crate) on: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) or_replace: bool,
    pub(crate) if_absent: bool,
}

/// One change of a table; columns are paths of names between dots.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    AddColumn { within: Option<String>, column: Column, place: Option<Place>, if_absent: bool },
    DropColumn { path: String, if_exists: bool },
    RenameColumn { path: String, to: String },
    MoveColumn { path: String, place: Place },
    SetType { path: String, ty: Type },
    SetNotNull(String),
    DropNotNull(String),
    SetDefault { path: String, default: Option<Expr> },
    ColumnComment { path: String, comment: Option<String> },
    AddCheck(Check),
    DropCheck { name: String, if_exists: bool },
    Key(Vec<String>),
    SortedBy(Vec<Sorted>),
    SplitBy(Vec<(String, Transform)>),
    SetProperties(Vec<(String, String)>),
    UnsetProperties(Vec<String>),
    Comment(String),
}

/// What a session reads and writes from here on.
#[derive(Clone, Debug)]
pub(crate) enum Use {
    Branch(String),
    Tag(String),
    Version(String),
    Schema(Name),
}

/// What is shown.
#[derive(Clone, Debug)]
pub(crate) enum Show {
    Branches,
    Tags,
    Schemas,
    Tables { within: Option<Name> },
    Views { within: Option<Name> },
    Log { at: Option<String>, limit: Option<u64> },
    History { table: Name, limit: Option<u64> },
    Current,
}
