//! The kinds of data objects, and where one of each lies. What does not belong here: putting and getting them (`objects`).

use strandline_format::{ObjectPath, ObjectRef, TableId};

/// The kinds of objects under a table's prefix.
///
/// ```
/// use strandline::format::{Era, Hash, ObjectRef, TableId};
/// use strandline::storage::DataKind;
///
/// let object = ObjectRef { hash: Hash::of(b"PAR1"), era: Era(0), size: 4 };
/// let table: TableId = "0197c1d4-5f00-7000-8000-000000000001".parse()?;
/// assert!(DataKind::File.path(table, &object).as_str().ends_with("-0.parquet"));
/// assert!(DataKind::DeletionVector.path(table, &object).as_str().ends_with("-0.dv"));
/// # Ok::<(), strandline::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// A Parquet file.
    File,
    /// A deletion vector that is too large to stand in its file's entry.
    DeletionVector,
}

impl DataKind {
    /// Where an object of this kind lies.
    #[must_use]
    pub fn path(self, table: TableId, object: &ObjectRef) -> ObjectPath {
        match self {
            Self::File => ObjectPath::data(table, &object.hash, object.era),
            Self::DeletionVector => ObjectPath::deletion_vector(table, &object.hash, object.era),
        }
    }
}
