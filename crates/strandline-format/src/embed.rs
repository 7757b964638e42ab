//! Parts of an object's JSON that have a door of their own: they are kept to the byte inside the wire struct and read
//! through that door, so that each is written and checked in one place.

use serde_json::value::RawValue;

use crate::error::Result;
use crate::tree::wire::{WireKind, write_root};
use crate::tree::{Root, TreeKind};

/// The root of a tree, as a member of its owner.
pub(crate) fn root_to_wire<K: WireKind>(root: &Root<K>) -> Result<Box<RawValue>> {
    write_root(root)
}

/// Reads a root that is a member of its owner.
pub(crate) fn root_from_wire<K: TreeKind>(wire: &RawValue) -> Result<Root<K>> {
    K::parse_root(wire.get())
}
