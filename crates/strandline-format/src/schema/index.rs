//! Where each field of a schema stands, so that a lookup does not search.
//!
//! Invariant: an index belongs to one list of fields; its places are never used with another.

use std::collections::{BTreeMap, HashMap};

use super::Field;
use crate::error::{Error, Result};
use crate::id::FieldId;
use crate::name::NameKey;

/// The places of all fields by id, and of the columns by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    places: BTreeMap<FieldId, Box<[usize]>>,
    columns: HashMap<NameKey, usize>,
}

impl Index {
    /// Finds all fields; refuses an id that two of them have [SCH-2].
    pub(super) fn of(fields: &[Field]) -> Result<Self> {
        let columns = fields.iter().enumerate().map(|(at, field)| (field.name.key().clone(), at)).collect();
        let mut index = Self { places: BTreeMap::new(), columns };
        index.add(fields, &mut Vec::new())?;
        Ok(index)
    }

    fn add(&mut self, fields: &[Field], place: &mut Vec<usize>) -> Result<()> {
        for (at, field) in fields.iter().enumerate() {
            place.push(at);
            if self.places.insert(field.id, place.as_slice().into()).is_some() {
                return Err(Error::invalid(format!(
                    "field {}: its id {} is that of another field too",
                    field.name, field.id
                )));
            }
            self.add(field.ty.children(), place)?;
            place.pop();
        }
        Ok(())
    }

    /// All ids, ascending.
    pub(super) fn ids(&self) -> impl Iterator<Item = FieldId> + '_ {
        self.places.keys().copied()
    }

    /// The place of a column.
    pub(super) fn column(&self, key: &NameKey) -> Option<usize> {
        self.columns.get(key).copied()
    }

    /// The fields from a column to the one with this id.
    pub(super) fn trail<'f>(&self, fields: &'f [Field], id: FieldId) -> Option<Vec<&'f Field>> {
        let mut trail = Vec::new();
        let mut siblings = fields;
        for at in self.places.get(&id)? {
            let field = siblings.get(*at)?;
            trail.push(field);
            siblings = field.ty.children();
        }
        Some(trail)
    }

    /// The field with this id.
    pub(super) fn field<'f>(&self, fields: &'f [Field], id: FieldId) -> Option<&'f Field> {
        self.trail(fields, id)?.pop()
    }
}
