//! Three-way merge of schemas: field by field, by id [SCH-12].
//!
//! Invariants: what only one side changed is taken from it; what both changed differently is a conflict, and every conflict
//! is reported, not the first one only; merging with the base itself gives the other side.

use std::collections::{BTreeSet, HashMap};

use super::evolve::next_id;
use super::{Field, Schema, Type};
use crate::error::Result;
use crate::id::FieldId;
use crate::name::NameKey;
use crate::value::Value;

/// What a merge comes to.
///
/// ```
#[doc = include_str!("schema.example")]
/// use strandline_format::{FieldId, SchemaEdit, SchemaMerge};
///
/// let base = schema(&["id", "note"]);
/// let ours = base.edited(&[SchemaEdit::Rename(FieldId(1), ColumnName::new("number")?)], &[], &mut || 70_000)?;
/// let theirs = base.edited(&[SchemaEdit::Drop(FieldId(2))], &[], &mut || 80_000)?;
/// // Different fields were touched.
/// let SchemaMerge::Merged(merged) = Schema::merge(&base, &ours, &theirs)? else { panic!("they do not disagree") };
/// assert_eq!((merged.fields().len(), merged.fields()[0].name.as_str()), (1, "number"));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaMerge {
    /// Both sides' changes together.
    Merged(Schema),
    /// All that the sides disagree on.
    Conflicts(Vec<SchemaConflict>),
}

/// One thing that two sides disagree on.
///
/// ```
#[doc = include_str!("schema.example")]
/// use strandline_format::{FieldId, SchemaEdit, SchemaMerge};
///
/// let base = schema(&["id"]);
/// let renamed = |name: &str| {
///     base.edited(&[SchemaEdit::Rename(FieldId(1), ColumnName::new(name).unwrap())], &[], &mut || 70_000)
/// };
/// let merge = Schema::merge(&base, &renamed("number")?, &renamed("key")?)?;
/// let SchemaMerge::Conflicts(conflicts) = merge else { panic!("two names for one field") };
/// assert_eq!(conflicts[0].field, FieldId(1));
/// assert!(conflicts[0].ours.is_some() && conflicts[0].theirs.is_some());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaConflict {
    /// The field; of two fields with one name, ours.
    pub field: FieldId,
    /// Its path of names, with dots between: where both sides gave it another name, the one before.
    pub path: String,
    /// What of it.
    pub kind: SchemaConflictKind,
    /// How it is on our side, for people to read; `None` if it is not there.
    pub ours: Option<String>,
    /// How it is on their side.
    pub theirs: Option<String>,
}

/// What of a field two sides disagree on.
///
/// ```
#[doc = include_str!("schema.example")]
/// use strandline_format::{FieldId, SchemaConflictKind, SchemaEdit, SchemaMerge};
///
/// let base = schema(&["id"]);
/// let renamed = |name: &str| {
///     base.edited(&[SchemaEdit::Rename(FieldId(1), ColumnName::new(name).unwrap())], &[], &mut || 70_000)
/// };
/// let merge = Schema::merge(&base, &renamed("number")?, &renamed("key")?)?;
/// let SchemaMerge::Conflicts(conflicts) = merge else { panic!("two names for one field") };
/// assert_eq!(conflicts[0].kind, SchemaConflictKind::Name);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchemaConflictKind {
    /// Its name.
    Name,
    /// Its type.
    Type,
    /// Whether null is refused.
    Required,
    /// What it is said to mean.
    Doc,
    /// What old rows have.
    Initial,
    /// What new rows get.
    Default,
    /// One side dropped it, the other changed it or something within it.
    Dropped,
    /// Both sides added a field with this id, and not the same one.
    Added,
    /// Two fields would have the same name.
    SameName,
    /// Each side dropped some of a struct's fields, and together all of them.
    Emptied,
}

impl Schema {
    /// Merges what `ours` and `theirs` changed since `base`.
    ///
    /// Columns stand as ours do, with theirs that were added after them; where only their order changed, as theirs.
    ///
    /// # Errors
    /// Those of [`Schema::new`], if a schema was handed in that no edits lead to.
    pub fn merge(base: &Self, ours: &Self, theirs: &Self) -> Result<SchemaMerge> {
        let mut merge = Merge { base, ours, theirs, conflicts: Vec::new() };
        let fields = merge.siblings(&base.fields, &ours.fields, &theirs.fields);
        let unnamed = merge.ids_without_a_name();
        merge.report_same_names(&fields, &unnamed);
        if !merge.conflicts.is_empty() {
            return Ok(SchemaMerge::Conflicts(merge.conflicts));
        }
        let dropped = left_out(&fields, &[base, ours, theirs]);
        let same_as = |side: &&Self| side.fields == fields && side.dropped == dropped;
        if let Some(side) = [ours, theirs].into_iter().filter(same_as).max_by_key(|side| side.id) {
            return Ok(SchemaMerge::Merged(side.clone()));
        }
        Self::new(next_id(ours.id.max(theirs.id))?, fields, dropped).map(SchemaMerge::Merged)
    }
}

impl Schema {
    /// An older or another state's schema in the place of the one that stands now, of the same table: what that one has besides is
    /// dropped, so that no id is given again [MRG-10]. Types may become narrower by it, since all files are then those of that state.
    ///
    /// ```
    #[doc = include_str!("schema.example")]
    /// use strandline_format::{FieldId, SchemaEdit};
    ///
    /// let then = schema(&["id"]);
    /// let rename = SchemaEdit::Rename(FieldId(1), ColumnName::new("number")?);
    /// let now = then.edited(&[rename], &[], &mut || 70_000)?;
    /// let again = then.in_place_of(&now)?;
    /// assert_eq!((again.fields(), again.id()), (then.fields(), then.id()));
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    ///
    /// # Errors
    /// `TooLarge` if no schema number is left; those of [`Schema::new`], if the two are not of one table.
    pub fn in_place_of(&self, now: &Self) -> Result<Self> {
        let dropped = left_out(&self.fields, &[now, self]);
        let same_as = |side: &&Self| side.fields == self.fields && side.dropped == dropped;
        match [now, self].into_iter().filter(same_as).max_by_key(|side| side.id) {
            Some(side) => Ok(side.clone()),
            None => Self::new(next_id(now.id.max(self.id))?, self.fields.clone(), dropped),
        }
    }
}

impl Schema {
    /// Whether this side has back a field with values of its own that the base had dropped and the other side has not.
    ///
    /// ```
    #[doc = include_str!("schema.example")]
    /// use strandline_format::{FieldId, SchemaEdit};
    ///
    /// let then = schema(&["id", "note"]);
    /// let base = then.edited(&[SchemaEdit::Drop(FieldId(2))], &[], &mut || 70_000)?;
    /// let reset = then.in_place_of(&base)?;
    /// assert!(reset.has_back(&base, &base));
    /// assert!(!base.has_back(&base, &reset));
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    #[must_use]
    pub fn has_back(&self, base: &Self, other: &Self) -> bool {
        let is_back = |id| base.dropped.contains(&id) && other.field(id).is_none();
        self.leaves().into_iter().any(|(id, _)| is_back(id))
    }
}

struct Merge<'s> {
    base: &'s Schema,
    ours: &'s Schema,
    theirs: &'s Schema,
    conflicts: Vec<SchemaConflict>,
}

impl Merge<'_> {
    fn siblings(&mut self, base: &[Field], ours: &[Field], theirs: &[Field]) -> Vec<Field> {
        let (base_by_id, ours_by_id, theirs_by_id) = (by_id(base), by_id(ours), by_id(theirs));
        let merged = merged_order(&ids(base), &ids(ours), &ids(theirs)).into_iter().filter_map(|id| {
            let side = |fields: &HashMap<FieldId, &Field>| fields.get(&id).copied().cloned();
            self.one(side(&base_by_id).as_ref(), side(&ours_by_id).as_ref(), side(&theirs_by_id).as_ref())
        });
        merged.collect()
    }

    /// The merged field, unless it was dropped. After a conflict it is only a stand-in.
    fn one(&mut self, base: Option<&Field>, ours: Option<&Field>, theirs: Option<&Field>) -> Option<Field> {
        match (base, ours, theirs) {
            (Some(base), Some(ours), Some(theirs)) => Some(self.both(base, ours, theirs)),
            (Some(base), Some(kept), None) | (Some(base), None, Some(kept)) => {
                if kept != base {
                    self.report(SchemaConflictKind::Dropped, base.id, changed(ours), changed(theirs));
                }
                None
            }
            (None, Some(added), None) if self.has_dropped(self.theirs, added.id) => {
                self.report(SchemaConflictKind::Dropped, added.id, changed(ours), None);
                None
            }
            (None, None, Some(added)) if self.has_dropped(self.ours, added.id) => {
                self.report(SchemaConflictKind::Dropped, added.id, None, changed(theirs));
                None
            }
            (None, Some(ours), Some(theirs)) => {
                if ours != theirs {
                    self.report(SchemaConflictKind::Added, ours.id, shown(ours), shown(theirs));
                }
                Some(ours.clone())
            }
            (None, added, None) | (None, None, added) => added.cloned(),
            (Some(_), None, None) => None,
        }
    }

    /// Whether a side dropped a field that the base never had. What the base had dropped already the other side has restored.
    fn has_dropped(&self, side: &Schema, id: FieldId) -> bool {
        side.dropped.contains(&id) && !self.base.dropped.contains(&id)
    }

    fn both(&mut self, base: &Field, ours: &Field, theirs: &Field) -> Field {
        let name = |field: &Field| field.name.as_str().to_owned();
        let named_by_theirs = self.pick(
            SchemaConflictKind::Name,
            base.id,
            &name(base),
            &name(ours),
            &name(theirs),
            Clone::clone,
        );
        let ty = self.types(base, ours, theirs);
        let required = self.pick(
            SchemaConflictKind::Required,
            base.id,
            &base.required,
            &ours.required,
            &theirs.required,
            ToString::to_string,
        );
        let doc = self.pick(SchemaConflictKind::Doc, base.id, &base.doc, &ours.doc, &theirs.doc, |doc| {
            doc.clone().unwrap_or_default()
        });
        let initial = self.values(
            SchemaConflictKind::Initial,
            &ty,
            base,
            [&base.initial, &ours.initial, &theirs.initial],
        );
        let default = self.values(
            SchemaConflictKind::Default,
            &ty,
            base,
            [&base.default, &ours.default, &theirs.default],
        );
        let names = if named_by_theirs == theirs.name.as_str() { &theirs.name } else { &ours.name };
        Field { id: base.id, name: names.clone(), ty, required, doc, initial, default }
    }

    fn types(&mut self, base: &Field, ours: &Field, theirs: &Field) -> Type {
        match (&base.ty, &ours.ty, &theirs.ty) {
            (Type::Struct(b), Type::Struct(o), Type::Struct(t)) => {
                let before = self.conflicts.len();
                let fields = self.siblings(b, o, t);
                let is_emptied = fields.is_empty() && !o.is_empty() && !t.is_empty();
                // What is in dispute within it may stay.
                if is_emptied && self.conflicts.len() == before {
                    self.report(SchemaConflictKind::Emptied, base.id, members(ours, o), members(theirs, t));
                }
                Type::Struct(fields)
            }
            (Type::List(b), Type::List(o), Type::List(t)) if b[0].id == o[0].id && b[0].id == t[0].id => {
                Type::List(Box::new([self.both(&b[0], &o[0], &t[0])]))
            }
            (Type::Map(b), Type::Map(o), Type::Map(t))
                if ids(b.as_slice()) == ids(o.as_slice()) && ids(b.as_slice()) == ids(t.as_slice()) =>
            {
                let key = self.both(&b[0], &o[0], &t[0]);
                Type::Map(Box::new([key, self.both(&b[1], &o[1], &t[1])]))
            }
            // Files of the other side may hold what the narrower type does not.
            (b, o, t) if t == b && narrows(o, b) || o == b && narrows(t, b) => b.clone(),
            (b, o, t) => self.pick(SchemaConflictKind::Type, base.id, b, o, t, Type::describe),
        }
    }

    /// Values compare once they are of the merged type: a side that only widened has not changed them.
    fn values(
        &mut self,
        kind: SchemaConflictKind,
        ty: &Type,
        field: &Field,
        sides: [&Option<Value>; 3],
    ) -> Option<Value> {
        let widened = sides.map(|side| {
            let value = side.as_ref()?;
            Some(ty.primitive().and_then(|ty| value.promote(ty)).unwrap_or_else(|| value.clone()))
        });
        let show = |value: &Option<Value>| value.as_ref().map_or_else(String::new, ToString::to_string);
        self.pick(kind, field.id, &widened[0], &widened[1], &widened[2], show)
    }

    /// The side that changed something; ours, after a report, if both did, and differently.
    fn pick<T: Clone + PartialEq>(
        &mut self,
        kind: SchemaConflictKind,
        id: FieldId,
        base: &T,
        ours: &T,
        theirs: &T,
        show: impl Fn(&T) -> String,
    ) -> T {
        if ours == base {
            return theirs.clone();
        }
        if theirs != base && theirs != ours {
            self.report(kind, id, Some(show(ours)), Some(show(theirs)));
        }
        ours.clone()
    }

    fn report(
        &mut self,
        kind: SchemaConflictKind,
        id: FieldId,
        ours: Option<String>,
        theirs: Option<String>,
    ) {
        // Of two new names neither is known to both sides.
        let side = match kind {
            SchemaConflictKind::Name => self.base,
            _ if self.ours.field(id).is_some() => self.ours,
            _ => self.theirs,
        };
        self.conflicts.push(SchemaConflict { field: id, path: side.describe(id), kind, ours, theirs });
    }

    /// The fields whose merged name is only a stand-in, so that it clashes with nothing.
    fn ids_without_a_name(&self) -> BTreeSet<FieldId> {
        let is_unnamed = |kind| matches!(kind, SchemaConflictKind::Name | SchemaConflictKind::Added);
        self.conflicts
            .iter()
            .filter(|conflict| is_unnamed(conflict.kind))
            .map(|conflict| conflict.field)
            .collect()
    }

    fn report_same_names(&mut self, fields: &[Field], unnamed: &BTreeSet<FieldId>) {
        let mut seen: HashMap<&NameKey, &Field> = HashMap::with_capacity(fields.len());
        for field in fields {
            self.report_same_names(field.ty.children(), unnamed);
            if unnamed.contains(&field.id) {
                continue;
            }
            if let Some(other) = seen.insert(field.name.key(), field) {
                self.report_same_name(other, field);
            }
        }
    }

    /// No side has two fields of one name, so each side has one of them.
    fn report_same_name(&mut self, first: &Field, second: &Field) {
        let is_ours = self.ours.field(first.id).is_some_and(|field| field.name == first.name);
        let (ours, theirs) = if is_ours { (first, second) } else { (second, first) };
        self.report(SchemaConflictKind::SameName, ours.id, shown(ours), shown(theirs));
    }
}

/// A struct with what a side has left of it.
fn members(field: &Field, left: &[Field]) -> Option<String> {
    let names: Vec<&str> = left.iter().map(|field| field.name.as_str()).collect();
    Some(format!("{} with {} left", field.name, names.join(", ")))
}

/// A field in a word or two: two of one name are told apart by their types.
fn shown(field: &Field) -> Option<String> {
    Some(format!("{} {}", field.name, field.ty.describe()))
}

/// The fields that any of the schemas has or dropped and that are not among these: an older state lacks fields of which it knows
/// nothing [SCH-6].
fn left_out(fields: &[Field], schemas: &[&Schema]) -> BTreeSet<FieldId> {
    let known = schemas.iter().flat_map(|schema| schema.dropped.iter().copied().chain(schema.ids()));
    let mut left_out: BTreeSet<FieldId> = known.collect();
    take_out(fields, &mut left_out);
    left_out
}

fn take_out(fields: &[Field], ids: &mut BTreeSet<FieldId>) {
    for field in fields {
        ids.remove(&field.id);
        take_out(field.ty.children(), ids);
    }
}

/// Whether a side has a type that does not hold all that the base's does, after a reset.
fn narrows(side: &Type, base: &Type) -> bool {
    match (side.primitive(), base.primitive()) {
        (Some(side), Some(base)) => side != base && side.promotes_to(base),
        _ => false,
    }
}

/// What the side that kept a field made of it.
fn changed(kept: Option<&Field>) -> Option<String> {
    kept.map(|field| format!("{} {}, changed", field.name, field.ty.describe()))
}

fn ids(fields: &[Field]) -> Vec<FieldId> {
    fields.iter().map(|field| field.id).collect()
}

fn by_id(fields: &[Field]) -> HashMap<FieldId, &Field> {
    fields.iter().map(|field| (field.id, field)).collect()
}

/// The order of all fields of either side: that of the side which alone changed anything, else ours, unless only theirs
/// moved what was there before; what the other side added comes after [SCH-13].
fn merged_order(base: &[FieldId], ours: &[FieldId], theirs: &[FieldId]) -> Vec<FieldId> {
    let set = |side: &[FieldId]| side.iter().copied().collect::<BTreeSet<_>>();
    let (in_ours, in_theirs) = (set(ours), set(theirs));
    let common = base.iter().filter(|id| in_ours.contains(id) && in_theirs.contains(id));
    let common: BTreeSet<FieldId> = common.copied().collect();
    let kept = |side: &[FieldId]| side.iter().filter(|id| common.contains(id)).copied().collect::<Vec<_>>();
    let theirs_lead =
        ours == base || theirs != base && kept(ours) == kept(base) && kept(theirs) != kept(base);
    let (lead, follow) = if theirs_lead { (theirs, ours) } else { (ours, theirs) };
    let leading = set(lead);
    let after = follow.iter().filter(|id| !leading.contains(id));
    lead.iter().chain(after).copied().collect()
}
