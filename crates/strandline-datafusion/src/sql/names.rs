//! What a name in a query asks for: a table, of another version maybe, or what is known of it.
//!
//! ```text
//! name = table ["$" inspection] ["@" reference]
//!      | table "$" ("changes" | "net_changes") "@" reference ".." [reference]
//! ```
//!
//! `$` and `@` stand in no table's name and `$` in no reference [NAME-2, NAME-3], so a name reads in one way; the two parts may
//! come in either order. What does not belong here: what a reference leads to (`reference`).

use strandline::{Error, ErrorKind, Result};

/// What may be asked of a table besides its rows as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Inspection {
    /// The commits that changed it.
    History,
    /// Its data files.
    Files,
    /// What is known of each column of each file.
    Stats,
    /// The branches and tags that it is on.
    Refs,
    /// Its rows, with columns of where each stands.
    Rows,
    /// What became of its rows between two versions, commit by commit.
    Changes,
    /// The same on balance.
    NetChanges,
}

impl Inspection {
    pub(crate) const ALL: [Self; 7] =
        [Self::History, Self::Files, Self::Stats, Self::Refs, Self::Rows, Self::Changes, Self::NetChanges];

    /// Its name behind the `$`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Files => "files",
            Self::Stats => "stats",
            Self::Refs => "refs",
            Self::Rows => "rows",
            Self::Changes => "changes",
            Self::NetChanges => "net_changes",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|known| text.eq_ignore_ascii_case(known.as_str()));
        found.ok_or_else(|| {
            let known: Vec<String> = Self::ALL.iter().map(|known| format!("${}", known.as_str())).collect();
            let message = format!("no inspection table ${text}: there are {}", known.join(", "));
            Error::new(ErrorKind::NotFound, message)
        })
    }
}

/// A name that was taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked<'n> {
    /// The table's own name.
    pub(crate) table: &'n str,
    /// What is asked of it, if not its rows.
    pub(crate) inspection: Option<Inspection>,
    /// The text of a reference, if not the version that is shown anyway.
    pub(crate) reference: Option<&'n str>,
}

impl<'n> Asked<'n> {
    /// Takes a name apart.
    ///
    /// # Errors
    /// `NotFound` for an inspection that is not known, `InvalidInput` for a name that says something twice or ends too early.
    pub(crate) fn parse(name: &'n str) -> Result<Self> {
        let (table, rest) = name.split_at(name.find(['$', '@']).unwrap_or(name.len()));
        let (reference, inspection) = match (rest.strip_prefix('@'), rest.strip_prefix('$')) {
            (Some(rest), _) => split(rest, '$'),
            (None, Some(rest)) => {
                let (inspection, reference) = split(rest, '@');
                (reference, inspection)
            }
            (None, None) => (None, None),
        };
        let twice = inspection.is_some_and(|text| text.contains('$'));
        if twice || [inspection, reference].contains(&Some("")) {
            let message =
                format!("{name:?} is no name of a table: write \"table@reference\" or \"table$files\"");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(Self { table, inspection: inspection.map(Inspection::parse).transpose()?, reference })
    }

    /// The versions between which changes are asked for; the second is the one that is shown anyway, if it is not said.
    ///
    /// # Errors
    /// `InvalidInput` if there is no first one.
    pub(crate) fn range(&self) -> Result<(&'n str, Option<&'n str>)> {
        match self.reference.and_then(|reference| reference.split_once("..")) {
            Some((from, to)) if !from.is_empty() => Ok((from, Some(to).filter(|to| !to.is_empty()))),
            _ => {
                let table = self.table;
                let message = format!(
                    "changes are between two versions: write table_changes('{table}', 2, 4) or \"{table}$changes@v2..v4\""
                );
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
        }
    }

    /// Whether it is a table itself, as it is shown anyway: what can be written to.
    pub(crate) fn is_plain(&self) -> bool {
        self.inspection.is_none() && self.reference.is_none()
    }
}

/// What stands before and after a mark.
fn split(text: &str, mark: char) -> (Option<&str>, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (Some(before), Some(after)),
        None => (Some(text), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, table: &str, inspection: Option<Inspection>, reference: Option<&str>) {
        assert_eq!(Asked::parse(name).unwrap(), Asked { table, inspection, reference }, "{name}");
    }

    #[test]
    fn names_are_taken_apart_in_either_order() {
        check("orders", "orders", None, None);
        check("orders@dev", "orders", None, Some("dev"));
        check("orders@dev@{7}~2", "orders", None, Some("dev@{7}~2"));
        check("orders$files", "orders", Some(Inspection::Files), None);
        check("orders$HISTORY@v1", "orders", Some(Inspection::History), Some("v1"));
        check("orders@tag:v1$stats", "orders", Some(Inspection::Stats), Some("tag:v1"));
        check("orders$rows@v1", "orders", Some(Inspection::Rows), Some("v1"));
        check("orders$changes@dev@{2}..v4", "orders", Some(Inspection::Changes), Some("dev@{2}..v4"));
    }

    #[test]
    fn changes_are_between_two_versions() {
        let range = |name| Asked::parse(name).unwrap().range().map_err(|error| error.kind());
        assert_eq!(range("t$changes@dev@{2}..v4"), Ok(("dev@{2}", Some("v4"))));
        assert_eq!(range("t$net_changes@v2.."), Ok(("v2", None)));
        for name in ["t$changes", "t$changes@v2", "t$changes@..v4"] {
            assert_eq!(range(name), Err(ErrorKind::InvalidInput), "{name}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (name, kind) in [
            ("orders$", ErrorKind::InvalidInput),
            ("orders@", ErrorKind::InvalidInput),
            ("orders@$files", ErrorKind::InvalidInput),
            ("orders$files@", ErrorKind::InvalidInput),
            ("orders$files$stats", ErrorKind::InvalidInput),
            ("orders@dev$files$stats", ErrorKind::InvalidInput),
            ("orders$columns", ErrorKind::NotFound),
        ] {
            assert_eq!(Asked::parse(name).unwrap_err().kind(), kind, "{name}");
        }
    }
}
