//! How a schema changes: as pure edits, none of which rewrites data.
//!
//! Invariants: an id is never used again, whatever edits come in whatever order [SCH-6]; every old file still reads under
//! the changed schema [SCH-10]. Edits are applied together and checked as a whole, so that two columns can swap names.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::{Field, Schema, SchemaId, Type, check_column_name};
use crate::error::{Error, Result};
use crate::id::FieldId;
use crate::name::ColumnName;
use crate::value::{PrimitiveType, Value};

/// Where the ids of fields are drawn that are added to a table: at random, so that branches and concurrent transactions do
/// not hand out the same one [SCH-5].
pub const RANDOM_FIELD_IDS: RangeInclusive<u32> = 65_536..=2_146_999_999;

/// How often an id is drawn that is taken already, before the source of randomness is taken for broken.
const MAX_DRAWS: usize = 100;

/// One change of a schema.
///
/// ```
#[doc = include_str!("schema.example")]
/// use strandline_format::{FieldId, SchemaEdit};
///
/// let edits = [SchemaEdit::Rename(FieldId(1), ColumnName::new("number")?), SchemaEdit::Drop(FieldId(2))];
/// let edited = schema(&["id", "note"]).edited(&edits, &[], &mut || 70_000)?;
/// assert_eq!(edited.fields().len(), 1);
/// // The id of what was dropped is never used again.
/// assert!(edited.dropped().contains(&FieldId(2)));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaEdit {
    /// Adds a field; its ids, nested ones too, are drawn anew. A required one needs an initial default.
    Add {
        /// The struct that it is added to; `None` for a column.
        parent: Option<FieldId>,
        /// Where among its siblings.
        position: Position,
        /// The field.
        field: Field,
    },
    /// Drops a field and all within it, for ever.
    Drop(FieldId),
    /// Gives another name.
    Rename(FieldId, ColumnName),
    /// Moves a field among its siblings.
    Move(FieldId, Position),
    /// Widens the type.
    Widen(FieldId, PrimitiveType),
    /// Allows null.
    Relax(FieldId),
    /// Changes what rows get that are written without the field.
    SetDefault(FieldId, Option<Value>),
    /// Changes what the field is said to mean.
    SetDoc(FieldId, Option<String>),
}

/// A place among siblings.
///
/// ```
#[doc = include_str!("schema.example")]
/// use strandline_format::{FieldId, Position, SchemaEdit};
///
/// let edited = schema(&["id", "note"]).edited(&[SchemaEdit::Move(FieldId(2), Position::First)], &[], &mut || 70_000)?;
/// assert_eq!(edited.fields()[0].id, FieldId(2));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// Before all others.
    First,
    /// After all others.
    #[default]
    Last,
    /// Right after this one.
    After(FieldId),
}

impl Schema {
    /// The schema after these edits, which identifying fields (`key`) must survive; the same schema if nothing changes.
    /// `random` gives random numbers, from which the ids of added fields are made.
    ///
    /// # Errors
    /// `Invalid`, naming the field and why not.
    pub fn edited(
        &self,
        edits: &[SchemaEdit],
        key: &[FieldId],
        random: &mut dyn FnMut() -> u32,
    ) -> Result<Self> {
        let mut draft = Draft {
            fields: self.fields.clone(),
            dropped: self.dropped.clone(),
            used: self.ids().chain(self.dropped.iter().copied()).collect(),
        };
        for edit in edits {
            draft.apply(edit, random)?;
        }
        if draft.fields == self.fields && draft.dropped == self.dropped {
            return Ok(self.clone());
        }
        let is_new =
            |field: &&Field| self.field(field.id).is_none_or(|old| old.name.key() != field.name.key());
        draft.fields.iter().filter(is_new).try_for_each(check_column_name)?;
        let schema = Self::new(next_id(self.id)?, draft.fields, draft.dropped)?;
        schema.check_key(key)?;
        self.check_structs_kept(&schema)?;
        Ok(schema)
    }

    /// Edits leave no struct without a field [SCH-15]; one that has none already is not their doing.
    fn check_structs_kept(&self, edited: &Self) -> Result<()> {
        let is_empty = |schema: &Self, id| schema.field(id).is_some_and(|field| field.ty.is_empty_struct());
        match edited.ids().find(|id| is_empty(edited, *id) && !is_empty(self, *id)) {
            None => Ok(()),
            Some(id) => Err(Error::invalid(format!(
                "field {}: a struct needs a field, and this would be left without one: drop it as a whole, or add another field to it first",
                edited.describe(id)
            ))),
        }
    }
}

pub(super) fn next_id(id: SchemaId) -> Result<SchemaId> {
    id.0.checked_add(1).map(SchemaId).ok_or_else(|| Error::too_large("no schema number is left"))
}

/// A schema while it changes.
struct Draft {
    fields: Vec<Field>,
    dropped: BTreeSet<FieldId>,
    /// All ids that were ever in use.
    used: BTreeSet<FieldId>,
}

impl Draft {
    fn apply(&mut self, edit: &SchemaEdit, random: &mut dyn FnMut() -> u32) -> Result<()> {
        match edit {
            SchemaEdit::Add { parent, position, field } => {
                self.add(*parent, *position, field.clone(), random)
            }
            SchemaEdit::Drop(id) => self.drop_field(*id),
            SchemaEdit::Rename(id, name) => self.rename(*id, name),
            SchemaEdit::Move(id, position) => self.reposition(*id, *position),
            SchemaEdit::Widen(id, to) => self.change(*id, |field| widen(field, *to)),
            SchemaEdit::Relax(id) => self.change(*id, |field| {
                field.required = false;
                Ok(())
            }),
            SchemaEdit::SetDefault(id, default) => self.change(*id, |field| {
                field.default.clone_from(default);
                Ok(())
            }),
            SchemaEdit::SetDoc(id, doc) => self.change(*id, |field| {
                field.doc.clone_from(doc);
                Ok(())
            }),
        }
    }

    fn add(
        &mut self,
        parent: Option<FieldId>,
        position: Position,
        mut field: Field,
        random: &mut dyn FnMut() -> u32,
    ) -> Result<()> {
        if field.required && field.initial.is_none() {
            return Err(Error::invalid(format!(
                "field {}: a required field that is added needs an initial default",
                field.name
            )));
        }
        let used = &mut self.used;
        field.renumber(&mut || draw(used, random))?;
        let siblings = match parent {
            None => &mut self.fields,
            Some(id) => match &mut self.find(id)?.ty {
                Type::Struct(fields) => fields,
                _ => return Err(Error::invalid(format!("field #{id} is no struct to add fields to"))),
            },
        };
        place(siblings, field, position)
    }

    fn drop_field(&mut self, id: FieldId) -> Result<()> {
        let (siblings, at) = self.siblings(id)?;
        let field = siblings.remove(at);
        field.each_id(&mut |id| {
            self.dropped.insert(id);
        });
        Ok(())
    }

    fn rename(&mut self, id: FieldId, name: &ColumnName) -> Result<()> {
        let (siblings, at) = self.siblings(id)?;
        siblings[at].name = name.clone();
        Ok(())
    }

    fn reposition(&mut self, id: FieldId, position: Position) -> Result<()> {
        if position == Position::After(id) {
            return Ok(());
        }
        let (siblings, at) = self.siblings(id)?;
        let field = siblings.remove(at);
        place(siblings, field, position)
    }

    fn change(&mut self, id: FieldId, change: impl FnOnce(&mut Field) -> Result<()>) -> Result<()> {
        let field = self.find(id)?;
        change(field).map_err(|error| error.at(format!("field {}", field.name)))
    }

    /// A field that may be changed: not the key of a map, nor anything within one [SCH-11].
    fn find(&mut self, id: FieldId) -> Result<&mut Field> {
        find(&mut self.fields, id, false)?.ok_or_else(|| missing(id))
    }

    /// The columns or struct fields among which a field stands, and where.
    fn siblings(&mut self, id: FieldId) -> Result<(&mut Vec<Field>, usize)> {
        if let Some(at) = self.fields.iter().position(|field| field.id == id) {
            return Ok((&mut self.fields, at));
        }
        let parent = parent_of(&self.fields, id).ok_or_else(|| missing(id))?;
        let parent = self.find(parent)?;
        let name = parent.name.clone();
        match &mut parent.ty {
            Type::Struct(fields) => {
                let at = fields.iter().position(|field| field.id == id).ok_or_else(|| missing(id))?;
                Ok((fields, at))
            }
            _ => Err(Error::invalid(format!(
                "field {name}: what a list or map is made of cannot be dropped, renamed or moved"
            ))),
        }
    }
}

fn missing(id: FieldId) -> Error {
    Error::invalid(format!("there is no field #{id}"))
}

fn find(fields: &mut [Field], id: FieldId, in_key: bool) -> Result<Option<&mut Field>> {
    for field in fields {
        if field.id == id && in_key {
            return Err(Error::invalid(format!("field {}: the key of a map cannot be changed", field.name)));
        }
        if field.id == id {
            return Ok(Some(field));
        }
        let is_map = matches!(field.ty, Type::Map(_));
        for (at, child) in field.ty.children_mut().iter_mut().enumerate() {
            let found = find(std::slice::from_mut(child), id, in_key || is_map && at == 0)?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

fn parent_of(fields: &[Field], id: FieldId) -> Option<FieldId> {
    fields.iter().find_map(|field| {
        let children = field.ty.children();
        let is_parent = children.iter().any(|child| child.id == id);
        if is_parent { Some(field.id) } else { parent_of(children, id) }
    })
}

fn place(siblings: &mut Vec<Field>, field: Field, position: Position) -> Result<()> {
    let at = match position {
        Position::First => 0,
        Position::Last => siblings.len(),
        Position::After(id) => {
            let before = siblings.iter().position(|sibling| sibling.id == id);
            before.ok_or_else(|| Error::invalid(format!("field #{id} is no sibling of {}", field.name)))? + 1
        }
    };
    siblings.insert(at, field);
    Ok(())
}

fn widen(field: &mut Field, to: PrimitiveType) -> Result<()> {
    let refuse = |from: &str| Error::invalid(format!("type {from} does not widen to {to}"));
    to.check()?;
    match &field.ty {
        Type::Primitive(from) if from.promotes_to(to) => {}
        other => return Err(refuse(&other.describe())),
    }
    for value in [&mut field.initial, &mut field.default].into_iter().flatten() {
        *value = value.promote(to).ok_or_else(|| refuse("of the default"))?;
    }
    field.ty = Type::Primitive(to);
    Ok(())
}

/// A random id that no field ever had.
fn draw(used: &mut BTreeSet<FieldId>, random: &mut dyn FnMut() -> u32) -> Result<FieldId> {
    let span = RANDOM_FIELD_IDS.end() - RANDOM_FIELD_IDS.start() + 1;
    for _ in 0..MAX_DRAWS {
        let id = i32::try_from(RANDOM_FIELD_IDS.start() + random() % span).map(FieldId);
        if let Some(id) = id.ok().filter(|id| used.insert(*id)) {
            return Ok(id);
        }
    }
    Err(Error::invalid("the source of randomness gives the same field ids again and again"))
}
