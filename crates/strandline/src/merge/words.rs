//! Conflicts as text: what collided, in words that name both sides.
//!
//! Invariant: a merge calls its sides ours and theirs (`{:#}`), a transaction the branch and this. What does not belong here: what is a conflict
//! (`conflict`).

use std::fmt;

use strandline_format::merge::{CatalogConflictKind, RowFate, TableConflict};
use strandline_format::{SchemaConflict, SchemaConflictKind};

use crate::merge::conflict::{
    BaseConflict, Conflict, ConflictKind, KeyConflict, KeyConflicts, ReadConflict, RowConflict, RowConflicts,
};

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: ", self.name)?;
        self.kind.fmt(f)?;
        match &self.commit {
            Some((version, hash)) => write!(f, ", in version {version} ({})", &hash.to_string()[..12]),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConflictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog(kind) => f.write_str(catalog(*kind)),
            Self::Table(conflict) => table(conflict, f),
            Self::Files(files) => {
                let what = "the same rows were written on both sides, in files";
                listed(f, what, files, files.len() as u64)
            }
            Self::Rows(rows) => rows.fmt(f),
            Self::Keys(keys) => keys.fmt(f),
            Self::Constraint(name, why) => {
                write!(f, "constraint {name:?} does not go with the other side's changes: {why}")
            }
            Self::Read(read) => read.fmt(f),
            Self::Base(base) => base.fmt(f),
        }
    }
}

impl fmt::Display for BaseConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disagreement => f.write_str(
                "the sides have two last commits in common, which disagree on it, so that nobody can tell what was done since",
            ),
            Self::Picked(version, commit) => write!(
                f,
                "commit {commit} (version {version}) picked it and does not say which of its rows are which, so that they would be there twice",
            ),
        }
    }
}

impl fmt::Display for ReadConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("this name was looked up, and stands for something else by now"),
            Self::Listing => f.write_str("what stands in it was listed, and has changed"),
            Self::Schema => f.write_str("its schema was read, and has changed"),
            Self::Scan(filter) => write!(f, "rows for which {filter} were read, and some may have changed"),
        }
    }
}

/// What the two sides are called: those of a merge in a text that is asked for by `{:#}`, else a branch and a transaction.
struct Sides {
    ours: &'static str,
    theirs: &'static str,
    by_ours: &'static str,
    by_theirs: &'static str,
}

impl Sides {
    fn of(f: &fmt::Formatter<'_>) -> Self {
        match f.alternate() {
            true => Self { ours: "ours", theirs: "theirs", by_ours: "by ours", by_theirs: "by theirs" },
            false => {
                Self { ours: "the branch", theirs: "this", by_ours: "on the branch", by_theirs: "by this" }
            }
        }
    }

    /// What each of them has, if it has something.
    fn have(&self, f: &mut fmt::Formatter<'_>, of: [Option<String>; 2]) -> fmt::Result {
        let [ours, theirs] = of.map(|text| text.unwrap_or_else(|| "none".to_owned()));
        write!(f, "{} has {ours}, {} has {theirs}", self.ours, self.theirs)
    }
}

fn catalog(kind: CatalogConflictKind) -> &'static str {
    match kind {
        CatalogConflictKind::Dropped => "one side dropped it, the other changed it",
        CatalogConflictKind::Renamed => "both sides renamed it, to different names",
        CatalogConflictKind::SameName => "both sides made something of this name",
        CatalogConflictKind::NamespaceInUse => "its namespace was dropped on the other side",
        CatalogConflictKind::Changed => "both sides changed it",
        _ => "the sides disagree on it",
    }
}

fn table(conflict: &TableConflict, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sides = Sides::of(f);
    match conflict {
        TableConflict::Schema(conflict) => schema(conflict, f),
        TableConflict::Property { key, ours, theirs } => {
            write!(f, "property {:?}: ", key.as_str())?;
            sides.have(f, [ours, theirs].map(|side| Some(format!("{:?}", side.as_ref()?.as_str()))))
        }
        TableConflict::Constraint { ours, theirs } => {
            let name = ours.as_ref().or(theirs.as_ref()).map_or("", |constraint| constraint.name.as_str());
            write!(f, "constraint {name:?}: ")?;
            sides.have(f, [ours, theirs].map(|side| Some(format!("{:?}", side.as_ref()?.check.as_str()))))
        }
        TableConflict::Comment { .. } => f.write_str("both sides changed the comment"),
        TableConflict::Key { .. } => f.write_str("both sides changed the key"),
    }
}

fn schema(conflict: &SchemaConflict, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let what = match conflict.kind {
        SchemaConflictKind::Name => "both sides renamed it",
        SchemaConflictKind::Type => "both sides changed its type",
        SchemaConflictKind::Required => "both sides changed whether it may be null",
        SchemaConflictKind::Doc => "both sides changed its comment",
        SchemaConflictKind::Initial => "the sides give rows that were there before it other values",
        SchemaConflictKind::Default => "both sides changed its default",
        SchemaConflictKind::Dropped => {
            return write!(
                f,
                "column {:?}: one side dropped it, the other changed it or something within it",
                conflict.path
            );
        }
        SchemaConflictKind::Added => "each side added a column of its own under one id",
        SchemaConflictKind::SameName => "each side has a column of its own of this name",
        SchemaConflictKind::Emptied => {
            "the sides dropped different fields of it, and together all that it has"
        }
        _ => "the sides disagree on it",
    };
    write!(f, "column {:?}: {what}: ", conflict.path)?;
    let is_text = matches!(conflict.kind, SchemaConflictKind::Name | SchemaConflictKind::Doc);
    let shown = |side: &Option<String>| {
        let text = side.as_ref().filter(|text| !text.is_empty())?;
        Some(if is_text { format!("{text:?}") } else { text.clone() })
    };
    Sides::of(f).have(f, [shown(&conflict.ours), shown(&conflict.theirs)])
}

impl fmt::Display for RowConflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        listed(f, "the same rows were written on both sides:", self.rows(), self.count())
    }
}

impl fmt::Display for KeyConflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        listed(f, "both sides have a row of one key:", self.keys(), self.count())
    }
}

impl fmt::Display for KeyConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.alternate() {
            true => write!(f, "{} (row {} of ours, row {} of theirs)", self.key, self.ours, self.theirs),
            false => write!(f, "{} (row {} on the branch, row {} of this)", self.key, self.ours, self.theirs),
        }
    }
}

impl fmt::Display for RowConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sides { by_ours, by_theirs, .. } = Sides::of(f);
        let (ours, theirs) = (fate(self.ours), fate(self.theirs));
        write!(f, "row {} ({ours} {by_ours}, {theirs} {by_theirs})", self.row)
    }
}

fn fate(fate: RowFate) -> &'static str {
    match fate {
        // Only so in conflict with a side that wrote it anew.
        RowFate::Left => "left, with a field back",
        RowFate::Moved => "moved",
        RowFate::Deleted => "deleted",
        RowFate::Changed => "updated",
        RowFate::Restored => "restored",
    }
}

/// How many are named.
const NAMED: usize = 10;

/// The first few of so many, and how many there are besides.
fn listed<T: fmt::Display>(f: &mut fmt::Formatter<'_>, what: &str, items: &[T], count: u64) -> fmt::Result {
    f.write_str(what)?;
    let named = &items[..items.len().min(NAMED)];
    for (at, item) in named.iter().enumerate() {
        f.write_str(if at == 0 { " " } else { ", " })?;
        item.fmt(f)?;
    }
    match count.saturating_sub(named.len() as u64) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}
