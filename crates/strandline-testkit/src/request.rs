//! Requests as the testkit sees them: what is asked of the store, and of which part of a lake.
//!
//! Invariant: one [`Request`] is what an S3 client would send as one HTTP request; the exceptions are said at
//! [`RequestKind`]. What does not belong here: counting and failing, which are layers over the requests.

use std::fmt;

use object_store::path::Path;
use strandline_format::{BRANCHES, DATA, LAKE_FILE, META, ObjectPath, PathKind, SCRATCH, TAGS};

/// What a request asks of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestKind {
    /// A whole object.
    Get,
    /// A range of an object. Ranges near each other are one request, as `object_store` sends them.
    GetRange,
    /// An object's metadata.
    Head,
    /// A put that overwrites whatever is there.
    Put,
    /// A put that must find nothing there.
    PutIfAbsent,
    /// A put that must find the object that its token names.
    PutIfMatch,
    /// The begin of a multipart upload.
    CreateMultipart,
    /// One part of a multipart upload.
    PutPart,
    /// The end of a multipart upload, which makes the object visible.
    CompleteMultipart,
    /// The end of a multipart upload that was given up.
    AbortMultipart,
    /// A listing. All its pages are one request.
    List,
    /// A delete. Every object of a bulk delete is a request.
    Delete,
    /// A copy that overwrites.
    Copy,
    /// A copy that must find nothing at its target.
    CopyIfAbsent,
    /// A rename that overwrites.
    Rename,
    /// A rename that must find nothing at its target.
    RenameIfAbsent,
}

impl RequestKind {
    /// Whether the request only reads: sending it twice, or not at all, changes nothing in the store.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::GetRange | Self::Head | Self::List)
    }

    /// Whether the answer brings bytes of an object.
    #[must_use]
    pub fn brings_bytes(self) -> bool {
        matches!(self, Self::Get | Self::GetRange)
    }

    /// Whether the request has a condition that the store checks when it applies it.
    #[must_use]
    pub fn is_conditional(self) -> bool {
        matches!(self, Self::PutIfAbsent | Self::PutIfMatch | Self::CopyIfAbsent | Self::RenameIfAbsent)
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Get => "get",
            Self::GetRange => "get range",
            Self::Head => "head",
            Self::Put => "put",
            Self::PutIfAbsent => "put if absent",
            Self::PutIfMatch => "put if match",
            Self::CreateMultipart => "create multipart",
            Self::PutPart => "put part",
            Self::CompleteMultipart => "complete multipart",
            Self::AbortMultipart => "abort multipart",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::CopyIfAbsent => "copy if absent",
            Self::Rename => "rename",
            Self::RenameIfAbsent => "rename if absent",
        })
    }
}

/// The part of a lake that a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathClass {
    /// A branch's pointer.
    Pointer,
    /// A tag.
    Tag,
    /// `lake.json`.
    Lake,
    /// A commit or tree node.
    Meta,
    /// A data file or deletion vector.
    Data,
    /// A scratch object, as the condition probe makes.
    Scratch,
    /// Whatever else: nobody's, or a folder above several classes.
    Foreign,
}

impl PathClass {
    /// The class of a path, relative to the lake's root. A folder has the class of what lies in it.
    ///
    /// ```
    /// use strandline_testkit::PathClass;
    /// assert_eq!(PathClass::of("refs/branches/main.json"), PathClass::Pointer);
    /// assert_eq!(PathClass::of("meta"), PathClass::Meta);
    /// assert_eq!(PathClass::of("meta/notes.txt"), PathClass::Foreign);
    /// ```
    #[must_use]
    pub fn of(path: &str) -> Self {
        match ObjectPath::parse(path) {
            Some(PathKind::Branch(_)) => Self::Pointer,
            Some(PathKind::Tag(_)) => Self::Tag,
            Some(PathKind::Lake) => Self::Lake,
            Some(PathKind::Meta { .. }) => Self::Meta,
            Some(PathKind::Data { .. } | PathKind::DeletionVector { .. }) => Self::Data,
            _ => Self::of_folder(path),
        }
    }

    fn of_folder(path: &str) -> Self {
        let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
        let under = |folder: &str| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match path {
            LAKE_FILE => Self::Lake,
            _ if under(SCRATCH) => Self::Scratch,
            _ if is_file => Self::Foreign,
            _ if under(BRANCHES) => Self::Pointer,
            _ if under(TAGS) => Self::Tag,
            _ if under(META) => Self::Meta,
            _ if under(DATA) => Self::Data,
            _ => Self::Foreign,
        }
    }
}

impl fmt::Display for PathClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pointer => "pointer",
            Self::Tag => "tag",
            Self::Lake => "lake",
            Self::Meta => "meta",
            Self::Data => "data",
            Self::Scratch => "scratch",
            Self::Foreign => "foreign",
        })
    }
}

/// One request to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it asks.
    pub kind: RequestKind,
    /// Of which object; for a listing the folder, for a copy or rename the target.
    pub path: Path,
    /// The part of the lake that the path belongs to.
    pub class: PathClass,
    /// The bytes that it sends.
    pub sent: u64,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.path)
    }
}

/// Where in the store the lake lies, so that paths can be classed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Root(pub(crate) Path);

impl Root {
    /// The request for a path of the store.
    pub(crate) fn request(&self, kind: RequestKind, path: &Path, sent: usize) -> Request {
        Request { kind, path: path.clone(), class: self.class(path), sent: sent as u64 }
    }

    fn class(&self, path: &Path) -> PathClass {
        let Some(rest) = path.as_ref().strip_prefix(self.0.as_ref()) else { return PathClass::Foreign };
        if self.0.as_ref().is_empty() {
            return PathClass::of(rest);
        }
        rest.strip_prefix('/').map_or(PathClass::Foreign, PathClass::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_classed_below_the_root() {
        let check = |root: &str, path: &str, expected| {
            let root = Root(Path::from(root));
            assert_eq!(root.request(RequestKind::Get, &Path::from(path), 0).class, expected, "{path}");
        };
        let hash = strandline_format::Hash::of(b"");
        check("", "lake.json", PathClass::Lake);
        check("", "refs/branches/team/nightly.json", PathClass::Pointer);
        check("", "refs/branches/team", PathClass::Pointer);
        check("", "refs/tags/v1.json", PathClass::Tag);
        check("", "refs", PathClass::Foreign);
        check("", &format!("meta/af/{hash}-3.json.zst"), PathClass::Meta);
        check("", &format!("meta/00/{hash}-3.json.zst"), PathClass::Foreign);
        check("", &format!("data/09090909-0909-4909-8909-090909090909/af/{hash}-3.dv"), PathClass::Data);
        check("", "data", PathClass::Data);
        check("", "tmp/probe-1.json", PathClass::Scratch);
        check("", "", PathClass::Foreign);
        check("some/lake", "some/lake/lake.json", PathClass::Lake);
        check("some/lake", "some/lakes/lake.json", PathClass::Foreign);
        check("some/lake", "lake.json", PathClass::Foreign);
    }
}
