//! Deciding how the columns of a batch become those of a table.
//!
//! Invariant: a plan exists only if nothing differs that its conversion cannot bridge without loss. What does not belong here:
//! values.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field as ArrowField, FieldRef, Fields};
use strandline_format::{Field, NameKey, PrimitiveType, Type, Value};

use super::{exact, leaf};
use crate::columns::from_arrow::{Shape, describe, shape};
use crate::columns::types::{arrow_type, fields, pair_field};
use crate::error::{Error, ErrorKind, Result};
use crate::near;

/// For how many names near ones are looked for: each is compared with all names, and there may be 10,000 of both.
const MOST_OFFERS: usize = 20;

/// Where a field of the table comes from.
#[derive(Debug)]
pub(super) enum Slot {
    /// From the column, or the member of a struct, at this place.
    Given { at: usize, part: Part },
    /// From its default, or nulls.
    Filled { path: String, value: Option<Value>, ty: Type },
}

/// How an array becomes that of a field.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) path: String,
    pub(super) required: bool,
    pub(super) plan: Plan,
}

/// How values are converted. Dictionaries and run ends are unpacked first, whatever the plan.
#[derive(Debug)]
pub(super) enum Plan {
    /// As they are: the type is the canonical one, and nothing within has to be looked at.
    Same,
    /// From what the table calls their type to a type that it widens to.
    Leaf { natural: PrimitiveType, to: PrimitiveType },
    /// From what rows have for it, value by value.
    Exact(PrimitiveType),
    /// From nulls without a type.
    Nulls(DataType),
    /// Member by member.
    Struct(Fields, Vec<Slot>),
    /// All elements at once.
    List(FieldRef, Box<Part>),
    /// All keys and all values at once.
    Map(FieldRef, Box<[Part; 2]>),
}

/// The making of plans: what differs so far.
#[derive(Debug, Default)]
pub(super) struct Planner {
    differences: Vec<String>,
    offers: usize,
    of_rows: bool,
}

impl Planner {
    /// Takes what rows have for values, too.
    pub(super) fn of_rows() -> Self {
        Self { of_rows: true, ..Self::default() }
    }

    /// Whether anything differs.
    pub(super) fn finish(self) -> Result<()> {
        if self.differences.is_empty() {
            return Ok(());
        }
        let message = format!("the batch does not fit the table: {}", self.differences.join("; "));
        Err(Error::new(ErrorKind::InvalidInput, message))
    }

    /// Plans the fields of a table or struct. `parent` is the path to them, with a dot behind it.
    pub(super) fn members(&mut self, fields: &[Field], given: &Fields, parent: &str) -> Vec<Slot> {
        let mut places = self.places(given, parent);
        let mut missing = Vec::new();
        let mut slots = Vec::with_capacity(fields.len());
        for field in fields {
            let path = format!("{parent}{}", field.name);
            match places.remove(field.name.key()) {
                Some(at) => {
                    if let Some(part) = self.part(field, &given[at], path) {
                        slots.push(Slot::Given { at, part });
                    }
                }
                None if field.required && field.default.is_none() => missing.push((path, field)),
                None => {
                    slots.push(Slot::Filled { path, value: field.default.clone(), ty: field.ty.clone() });
                }
            }
        }
        let mut unknown: Vec<usize> = places.into_values().collect();
        unknown.sort_unstable();
        self.report_missing(&missing, &unknown, given);
        self.report_unknown(&unknown, given, fields, parent);
        slots
    }

    /// Where the names of a batch stand.
    fn places(&mut self, given: &Fields, parent: &str) -> HashMap<NameKey, usize> {
        let mut places = HashMap::with_capacity(given.len());
        for (at, field) in given.iter().enumerate() {
            if let Some(first) = places.insert(NameKey::of(field.name()), at) {
                let (first, second) = (given[first].name(), field.name());
                self.differ(format!(
                    "{parent}{first}: the batch has {first:?} and {second:?}, which are one name but for case"
                ));
            }
        }
        places
    }

    fn report_missing(&mut self, missing: &[(String, &Field)], unknown: &[usize], given: &Fields) {
        for (path, field) in missing {
            let offer =
                self.offer(field.name.as_str(), || unknown.iter().map(|at| given[*at].name().as_str()));
            let ty = field.ty.describe();
            self.differ(format!(
                "{path}: the table has {ty}, required and without a default, the batch has none{offer}"
            ));
        }
    }

    fn report_unknown(&mut self, unknown: &[usize], given: &Fields, fields: &[Field], parent: &str) {
        for at in unknown {
            let field = &given[*at];
            let (name, ty) = (field.name(), describe(field.data_type()));
            let offer = self.offer(name, || fields.iter().map(|field| field.name.as_str()));
            self.differ(format!("{parent}{name}: the table has no such column, the batch has {ty}{offer}"));
        }
    }

    fn offer<'n, N: Iterator<Item = &'n str>>(&mut self, wanted: &str, names: impl FnOnce() -> N) -> String {
        if self.offers == MOST_OFFERS {
            return String::new();
        }
        self.offers += 1;
        near::offer(&near::nearest(wanted, names()))
    }

    fn differ(&mut self, what: String) {
        self.differences.push(what);
    }

    fn part(&mut self, field: &Field, given: &ArrowField, path: String) -> Option<Part> {
        let plan = self.plan(&field.ty, given, &path)?;
        Some(Part { path, required: field.required, plan })
    }

    fn plan(&mut self, ty: &Type, given: &ArrowField, path: &str) -> Option<Plan> {
        if !is_looked_into(ty) && *given.data_type() == arrow_type(ty) {
            return Some(Plan::Same);
        }
        let inside = |name: &str| format!("{path}.{name}");
        match (ty, shape(given)) {
            (_, Ok(Shape::Nulls)) => Some(Plan::Nulls(arrow_type(ty))),
            (Type::Primitive(to), Ok(Shape::Primitive(natural))) if leaf::fits(natural, *to) => {
                Some(Plan::Leaf { natural, to: *to })
            }
            (Type::Primitive(to), _) if self.of_rows && exact::fits(given.data_type(), *to) => {
                Some(Plan::Exact(*to))
            }
            (Type::Struct(members), Ok(Shape::Struct(given))) => {
                let slots = self.members(members, given, &inside(""));
                Some(Plan::Struct(fields(members), slots))
            }
            (Type::List(element), Ok(Shape::List(given))) => {
                let part = self.part(&element[0], given, inside("element"))?;
                Some(Plan::List(fields(element.as_slice())[0].clone(), Box::new(part)))
            }
            (Type::Map(pair), Ok(Shape::Map(key, value))) => {
                let key = self.part(&pair[0], key, inside("key"));
                let value = self.part(&pair[1], value, inside("value"))?;
                Some(Plan::Map(pair_field(fields(pair.as_slice())), Box::new([key?, value])))
            }
            (_, refused) => {
                let why = refused.err().map(|instead| format!(": {instead}")).unwrap_or_default();
                let (wanted, found) = (ty.describe(), describe(given.data_type()));
                self.differ(format!("{path}: the table has {wanted}, the batch has {found}{why}"));
                None
            }
        }
    }
}

/// Whether values of the canonical type may still be wrong: Arrow checks neither the digits of decimals nor times of day, and
/// what is required may be null all the same.
fn is_looked_into(ty: &Type) -> bool {
    match ty {
        Type::Primitive(ty) => matches!(ty, PrimitiveType::Decimal { .. } | PrimitiveType::Time),
        nested => nested.children().iter().any(|child| child.required || is_looked_into(&child.ty)),
    }
}
