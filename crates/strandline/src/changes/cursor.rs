//! How far a subscriber has got, as a text that it keeps.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use strandline_format::{Hash, LakeId, RefName, Seq, TableId};

use crate::error::{Error, ErrorKind, Result};
use crate::history::Ref;

/// What stands before the members.
const KIND: &str = "strandline-cursor-1";

/// The same where tables that are followed have other names by now, whose ids stand before the branch.
const KIND_WITH_RENAMED: &str = "strandline-cursor-2";

/// A place in the history of a branch: all commits up to it have been seen. Its text can be kept anywhere.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline::changes::Cursor;
/// let lake = Lake::create("memory://cursors").await?;
/// let cursor = Cursor::at(&lake.at("main").await?);
/// let kept = cursor.to_string();
/// assert_eq!(kept.parse::<Cursor>()?, cursor);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) lake: LakeId,
    pub(crate) version: Seq,
    pub(crate) commit: Hash,
    pub(crate) branch: RefName,
    /// The tables that are followed under a name that they have no more.
    pub(crate) renamed: BTreeSet<TableId>,
}

impl Cursor {
    /// The place of a version: what comes after it has not been seen.
    #[must_use]
    pub fn at(at: &Ref) -> Self {
        Self {
            lake: at.lake().id(),
            version: at.version(),
            commit: at.commit().hash(),
            branch: at.branch().clone(),
            renamed: BTreeSet::new(),
        }
    }

    /// The branch.
    #[must_use]
    pub fn branch(&self) -> &RefName {
        &self.branch
    }

    /// The last version that has been seen.
    #[must_use]
    pub fn version(&self) -> Seq {
        self.version
    }
}

impl fmt::Display for Cursor {
    /// The branch comes last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lake, version, commit, branch, renamed } = self;
        if renamed.is_empty() {
            return write!(f, "{KIND}:{lake}:{version}:{commit}:{}", branch.as_str());
        }
        let renamed: Vec<String> = renamed.iter().map(ToString::to_string).collect();
        write!(f, "{KIND_WITH_RENAMED}:{lake}:{version}:{commit}:{}:{}", renamed.join(","), branch.as_str())
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::new(ErrorKind::InvalidInput, format!("{text:?} is not a cursor"));
        let is_plain = text.split(':').next() == Some(KIND);
        let parts: Vec<&str> = text.splitn(if is_plain { 5 } else { 6 }, ':').collect();
        let (lake, version, commit, renamed, branch) = match parts[..] {
            [KIND, lake, version, commit, branch] => (lake, version, commit, None, branch),
            [KIND_WITH_RENAMED, lake, version, commit, renamed, branch] => {
                (lake, version, commit, Some(renamed), branch)
            }
            _ => return Err(wrong()),
        };
        let renamed = renamed.into_iter().flat_map(|ids| ids.split(','));
        let cursor = Self {
            lake: lake.parse().map_err(|_| wrong())?,
            version: Seq(version.parse().map_err(|_| wrong())?),
            commit: commit.parse().map_err(|_| wrong())?,
            branch: RefName::new(branch).map_err(|_| wrong())?,
            renamed: renamed.map(|id| id.parse().map_err(|_| wrong())).collect::<Result<_>>()?,
        };
        // One place has one text.
        if cursor.to_string() == text { Ok(cursor) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;
    use crate::error::ErrorKind;

    #[test]
    fn only_what_was_written_is_read() {
        let (lake, hash) = ("1b4db7eb-4057-4dda-91e0-2c8f1e6a7b10", "ab".repeat(32));
        let good = format!("strandline-cursor-1:{lake}:7:{hash}:main");
        assert_eq!(good.parse::<Cursor>().unwrap().to_string(), good);
        let table = "0b4db7eb-4057-4dda-91e0-2c8f1e6a7b10";
        let renamed = format!("strandline-cursor-2:{lake}:7:{hash}:{table}:main");
        let cursor = renamed.parse::<Cursor>().unwrap();
        assert_eq!((cursor.to_string(), cursor.branch().as_str()), (renamed, "main"));
        for bad in [
            format!("strandline-cursor-2:{lake}:7:{hash}::main"),
            format!("strandline-cursor-2:{lake}:7:{hash}:{table},{table}:main"),
            String::new(),
            "main".to_owned(),
            format!("strandline-cursor-2:{lake}:7:{hash}:main"),
            format!("strandline-cursor-1:{lake}:07:{hash}:main"),
            format!("strandline-cursor-1:{lake}:7:{hash}:"),
            format!("strandline-cursor-1:{lake}:7:{hash}"),
            format!("strandline-cursor-1:{lake}:-1:{hash}:main"),
        ] {
            assert_eq!(bad.parse::<Cursor>().unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }
}
