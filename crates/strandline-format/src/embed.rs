//! Parts of an object's JSON that have a door of their own: they are kept to the byte inside the wire struct and read
//! through that door, so that each is written and checked in one place.

use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::tree::{Root, TreeKind};

/// The root of a tree, as a member of its owner.
pub(crate) fn root_to_wire<K: TreeKind>(root: &Root<K>) -> Result<Box<RawValue>> {
    text_to_wire(K::write_root(root)?)
}

/// Reads a root that is a member of its owner.
pub(crate) fn root_from_wire<K: TreeKind>(wire: &RawValue) -> Result<Root<K>> {
    K::parse_root(wire.get())
}

/// JSON that is written already.
pub(crate) fn text_to_wire(text: String) -> Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|error| Error::invalid(format!("not JSON: {error}")))
}
