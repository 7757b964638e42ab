//! The columns of one Parquet file as a tree, by field id.
//!
//! Arrow's view of the file, made from the Parquet schema alone, is the normal form: it has the legacy layouts of lists and
//! maps sorted out, and its leaves are the file's columns in order. Invariant: every column, group, element, key and value
//! has an id, and no two have the same [FILE-12]. What does not belong here: what a table wants of the file (`adapt`).

use std::collections::BTreeSet;
use std::ops::Range;

use arrow::datatypes::{DataType, Field, Fields};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use strandline_format::FieldId;

use super::footer::corrupt;
use crate::error::Result;

/// One field of a file, and those within it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: FieldId,
    /// The names that lead to it in the file; for messages only.
    pub(super) name: String,
    /// What the Parquet reader makes of it.
    pub(super) ty: DataType,
    /// Which of the file's leaf columns are its own.
    pub(super) leaves: Range<usize>,
    pub(super) children: Vec<Node>,
}

impl Node {
    /// Whether a leaf of it has an id that passes.
    pub(super) fn any_leaf(&self, passes: &impl Fn(FieldId) -> bool) -> bool {
        if self.children.is_empty() {
            return passes(self.id);
        }
        self.children.iter().any(|child| child.any_leaf(passes))
    }
}

/// The columns of a file.
///
/// # Errors
/// `Corrupt` if one has no id, or two have the same [READ-3].
pub(super) fn columns(fields: &Fields) -> Result<Vec<Node>> {
    let mut walk = Walk { leaves: 0, ids: BTreeSet::new() };
    fields.iter().map(|field| walk.node(field, "")).collect()
}

struct Walk {
    /// How many leaves were met.
    leaves: usize,
    ids: BTreeSet<FieldId>,
}

impl Walk {
    fn node(&mut self, field: &Field, parent: &str) -> Result<Node> {
        let name = format!("{parent}{}", field.name());
        let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY).and_then(|id| id.parse().ok()).map(FieldId);
        let Some(id) = id else { return Err(corrupt(format!("its column {name:?} has no field id"))) };
        if !self.ids.insert(id) {
            return Err(corrupt(format!("its column {name:?} has the field id {id}, which another has too")));
        }
        let start = self.leaves;
        let within = format!("{name}.");
        let children = match field.data_type() {
            DataType::Struct(fields) => fields.iter().map(|child| self.node(child, &within)).collect(),
            DataType::List(element) => self.node(element, &within).map(|element| vec![element]),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) => pair.iter().map(|part| self.node(part, &within)).collect(),
                other => Err(corrupt(format!("its map {name:?} is made of {other}"))),
            },
            _ => {
                self.leaves += 1;
                Ok(Vec::new())
            }
        }?;
        Ok(Node { id, name, ty: field.data_type().clone(), leaves: start..self.leaves, children })
    }
}
