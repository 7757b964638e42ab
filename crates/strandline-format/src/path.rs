//! Where every object of a lake lies. Paths are made of ids, hashes and checked names here and nowhere else [PATH-1], so
//! metadata cannot point outside of its lake.
//!
//! All paths are relative to the lake's root and use `/`. No path is a prefix of another one's folder [PATH-2].

use std::fmt;

use crate::hash::{Hash, ObjectRef};
use crate::id::{Era, Nonce, TableId};
use crate::name::{NameKey, RefName};

/// Metadata text longer than this is stored compressed, under a name that ends in `.zst` [PATH-4].
pub const COMPRESS_ABOVE: u64 = 4096;

/// Where `lake.json` lies.
pub const LAKE_FILE: &str = "lake.json";
/// The folder of the branches' pointers.
pub const BRANCHES: &str = "refs/branches";
/// The folder of the tags.
pub const TAGS: &str = "refs/tags";
/// The folder of commits and tree nodes.
pub const META: &str = "meta";
/// The folder of data files and deletion vectors.
pub const DATA: &str = "data";
/// The folder for the scratch objects of the probe and, in a local folder, for files that are not yet in place.
/// Nothing in it is ever part of a lake.
pub const SCRATCH: &str = "tmp";

/// The path of an object, relative to the root of its lake.
///
/// ```
/// use strandline_format::{ObjectPath, RefName};
/// let path = ObjectPath::branch(&RefName::new("team/Nightly")?);
/// assert_eq!(path.as_str(), "refs/branches/team/nightly.json");
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectPath(String);

/// What an object's path says about it: the reverse of the constructors of [`ObjectPath`].
///
/// ```
/// use strandline_format::{ObjectPath, PathKind};
///
/// assert_eq!(ObjectPath::parse("refs/branches/main.json"), Some(PathKind::Branch("main".to_owned())));
/// assert_eq!(ObjectPath::parse("somebody/else's.txt"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathKind {
    /// `lake.json`.
    Lake,
    /// A branch's pointer, by the folded name.
    Branch(String),
    /// A tag, by the folded name.
    Tag(String),
    /// A commit or tree node.
    Meta {
        /// The hash of its JSON text.
        hash: Hash,
        /// When it was uploaded.
        era: Era,
        /// Whether it is stored compressed.
        compressed: bool,
    },
    /// A data file.
    Data {
        /// The table under whose prefix it lies.
        table: TableId,
        /// The hash of its bytes.
        hash: Hash,
        /// When it was uploaded.
        era: Era,
    },
    /// A deletion vector that is too large to stand in its file's entry.
    DeletionVector {
        /// The table under whose prefix it lies.
        table: TableId,
        /// The hash of its bytes.
        hash: Hash,
        /// When it was uploaded.
        era: Era,
    },
}

impl ObjectPath {
    /// `lake.json`.
    #[must_use]
    pub fn lake() -> Self {
        Self(LAKE_FILE.to_owned())
    }

    /// The pointer of a branch.
    #[must_use]
    pub fn branch(name: &RefName) -> Self {
        Self(format!("{BRANCHES}/{}.json", Escaped(name.key())))
    }

    /// A tag.
    #[must_use]
    pub fn tag(name: &RefName) -> Self {
        Self(format!("{TAGS}/{}.json", Escaped(name.key())))
    }

    /// A commit or tree node.
    #[must_use]
    pub fn meta(object: &ObjectRef) -> Self {
        let suffix = if object.size > COMPRESS_ABOVE { ".json.zst" } else { ".json" };
        Self(format!("{META}/{}{suffix}", Keyed(&object.hash, object.era)))
    }

    /// A data file of a table.
    #[must_use]
    pub fn data(table: TableId, hash: &Hash, era: Era) -> Self {
        Self(format!("{DATA}/{table}/{}.parquet", Keyed(hash, era)))
    }

    /// A deletion vector of a table.
    #[must_use]
    pub fn deletion_vector(table: TableId, hash: &Hash, era: Era) -> Self {
        Self(format!("{DATA}/{table}/{}.dv", Keyed(hash, era)))
    }

    /// An object of a probe of the store's conditions: never part of a lake.
    #[must_use]
    pub fn scratch(probe: Nonce, number: u64) -> Self {
        Self(format!("{}/{number}.json", Self::scratch_folder(probe)))
    }

    /// The folder of the scratch objects of one probe.
    #[must_use]
    pub fn scratch_folder(probe: Nonce) -> String {
        format!("{SCRATCH}/probe-{probe}")
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a path that a listing gave. `None` is a foreign object, which is nobody's and never touched.
    ///
    /// ```
    /// use strandline_format::{ObjectPath, PathKind};
    /// assert_eq!(ObjectPath::parse("lake.json"), Some(PathKind::Lake));
    /// assert_eq!(ObjectPath::parse("meta/../lake.json"), None);
    /// ```
    #[must_use]
    pub fn parse(path: &str) -> Option<PathKind> {
        if path == LAKE_FILE {
            return Some(PathKind::Lake);
        }
        let (folder, rest) = path.split_once('/')?;
        match folder {
            "refs" => parse_ref(rest),
            META => parse_meta(rest),
            DATA => parse_data(rest),
            _ => None,
        }
    }
}

fn parse_ref(rest: &str) -> Option<PathKind> {
    let (folder, rest) = rest.split_once('/')?;
    let name = unescape(rest.strip_suffix(".json")?)?;
    let canonical = RefName::new(name.as_str()).ok()?;
    let found = format!("refs/{folder}/{rest}");
    match folder {
        "branches" if ObjectPath::branch(&canonical).0 == found => Some(PathKind::Branch(name)),
        "tags" if ObjectPath::tag(&canonical).0 == found => Some(PathKind::Tag(name)),
        _ => None,
    }
}

fn parse_meta(rest: &str) -> Option<PathKind> {
    let (stem, compressed) = match rest.strip_suffix(".json.zst") {
        Some(stem) => (stem, true),
        None => (rest.strip_suffix(".json")?, false),
    };
    let (hash, era) = parse_keyed(stem)?;
    Some(PathKind::Meta { hash, era, compressed })
}

fn parse_data(rest: &str) -> Option<PathKind> {
    let (table, rest) = rest.split_once('/')?;
    let table: TableId = table.parse().ok()?;
    if let Some(stem) = rest.strip_suffix(".parquet") {
        let (hash, era) = parse_keyed(stem)?;
        return Some(PathKind::Data { table, hash, era });
    }
    let (hash, era) = parse_keyed(rest.strip_suffix(".dv")?)?;
    Some(PathKind::DeletionVector { table, hash, era })
}

/// `<hh>/<hash>-<era>`.
fn parse_keyed(stem: &str) -> Option<(Hash, Era)> {
    let (prefix, rest) = stem.split_once('/')?;
    let (hash, era) = rest.split_once('-')?;
    let era_number: u64 = era.parse().ok()?;
    let canonical = era == era_number.to_string() && hash.starts_with(prefix) && prefix.len() == 2;
    canonical.then_some((hash.parse().ok()?, Era(era_number)))
}

struct Keyed<'a>(&'a Hash, Era);

impl fmt::Display for Keyed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}/{}-{}", self.0.as_bytes()[0], self.0, self.1)
    }
}

/// A folded name in which every byte but `a-z 0-9 . _ - /` is written `=xx` [PATH-5].
struct Escaped<'a>(&'a NameKey);

fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/')
}

/// How long a folded name is once it is part of a path.
pub(crate) fn escaped_len(key: &NameKey) -> usize {
    key.as_str().bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum()
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_str().bytes().try_for_each(|byte| {
            if is_plain(byte) { write!(f, "{}", char::from(byte)) } else { write!(f, "={byte:02x}") }
        })
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        bytes.extend(crate::id::parse_hex::<1>(std::str::from_utf8(digits).ok()?)?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
