//! What differs between two schemas, field by field, and the columns in which rows of both can be told side by side.
//!
//! Invariant: fields are matched by id, so that a rename is a rename and a name that was dropped and given again is another field.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use strandline_format::{Field, FieldId, PrimitiveType, Schema, Type, Value};

use crate::error::Result;

/// What differs of one field.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::changes::FieldAspect;
///
/// let rename = lake.begin().await?;
/// rename.alter_table("orders").rename_column("amount", "price").await?;
/// rename.commit().await?;
///
/// let fields = lake.diff("main~1", "main").await?.table("orders").await?.schema();
/// assert_eq!((fields[0].before.as_deref(), fields[0].after.as_deref()), (Some("amount"), Some("price")));
/// assert_eq!(fields[0].what, [FieldAspect::Name]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDiff {
    /// Which.
    pub id: FieldId,
    /// Its path of names before, with dots between; `None` if it was not there.
    pub before: Option<String>,
    /// Its path of names after; `None` if it is not there.
    pub after: Option<String>,
    /// What of it.
    pub what: Vec<FieldAspect>,
}

/// What of a field differs.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::changes::FieldAspect;
///
/// let drop = lake.begin().await?;
/// drop.alter_table("orders").drop_column("amount").await?;
/// drop.commit().await?;
///
/// let fields = lake.diff("main~1", "main").await?.table("orders").await?.schema();
/// assert_eq!(fields[0].what, [FieldAspect::Dropped]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldAspect {
    /// It was added.
    Added,
    /// It was dropped.
    Dropped,
    /// Its name.
    Name,
    /// Its type, from and to.
    Type(String, String),
    /// Its type, in such a way that no type holds the values of both: rows are compared without it. A type only ever widens [SCH-10], so it
    /// takes a writer that does not keep to that: a column that is made anew under its name is another field.
    Incompatible(String, String),
    /// Whether null is refused.
    Required,
    /// What it is said to mean.
    Doc,
    /// What old or new rows have.
    Default,
}

impl fmt::Display for FieldDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.after.as_ref().or(self.before.as_ref()).map_or("", String::as_str);
        write!(f, "{name}:")?;
        for aspect in &self.what {
            match aspect {
                FieldAspect::Added => write!(f, " added")?,
                FieldAspect::Dropped => write!(f, " dropped")?,
                FieldAspect::Name => write!(f, " renamed from {}", self.before.as_deref().unwrap_or(""))?,
                FieldAspect::Type(from, to) => write!(f, " {from} -> {to}")?,
                FieldAspect::Incompatible(from, to) => write!(f, " {from} -> {to}, not comparable")?,
                FieldAspect::Required => write!(f, " nullability changed")?,
                FieldAspect::Doc => write!(f, " comment changed")?,
                FieldAspect::Default => write!(f, " default changed")?,
            }
        }
        Ok(())
    }
}

/// All fields that differ, those of `before` in the order of their ids, then those that were added.
pub(crate) fn fields(before: &Schema, after: &Schema) -> Vec<FieldDiff> {
    let path = |schema: &Schema, id| schema.field(id).map(|_| schema.describe(id));
    let ids: BTreeMap<FieldId, ()> = before.ids().chain(after.ids()).map(|id| (id, ())).collect();
    let diff = |id: FieldId| {
        let what = aspects(before.field(id), after.field(id));
        let diff = FieldDiff { id, before: path(before, id), after: path(after, id), what };
        (!diff.what.is_empty()).then_some(diff)
    };
    ids.into_keys().filter_map(diff).collect()
}

fn aspects(before: Option<&Field>, after: Option<&Field>) -> Vec<FieldAspect> {
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) => (before, after),
        (None, Some(_)) => return vec![FieldAspect::Added],
        (Some(_), None) => return vec![FieldAspect::Dropped],
        (None, None) => return Vec::new(),
    };
    let mut what = Vec::new();
    if before.name.as_str() != after.name.as_str() {
        what.push(FieldAspect::Name);
    }
    let (from, to) = (before.ty.describe(), after.ty.describe());
    if common(Some(before), after).is_none() {
        what.push(FieldAspect::Incompatible(from, to));
    } else if from != to {
        what.push(FieldAspect::Type(from, to));
    }
    for (differs, aspect) in [
        (before.required != after.required, FieldAspect::Required),
        (before.doc != after.doc, FieldAspect::Doc),
        ((&before.initial, &before.default) != (&after.initial, &after.default), FieldAspect::Default),
    ] {
        if differs {
            what.push(aspect);
        }
    }
    what
}

/// The columns of `after`, as wide and as free to be null as rows of both need them. What no type holds of both is left out.
///
/// # Errors
/// None in practice: it has the names and ids of `after`.
pub(crate) fn side_by_side(before: &Schema, after: &Schema) -> Result<Schema> {
    let fields = after.fields().iter().filter_map(|field| common(before.field(field.id), field));
    Ok(Schema::new(after.id(), fields.collect(), after.dropped().clone())?)
}

/// The fields among these with values of their own that only one of two states has. Where one was dropped and came back, or goes by
/// now, files of both may hold values of it.
pub(crate) fn of_one_side(told: &Schema, (before, after): (&Schema, &Schema)) -> BTreeSet<FieldId> {
    let leaves = told.leaves().into_iter().map(|(id, _)| id);
    leaves.filter(|id| before.field(*id).is_some() != after.field(*id).is_some()).collect()
}

/// A field in which values of both can be told, if there is one.
fn common(before: Option<&Field>, after: &Field) -> Option<Field> {
    let Some(before) = before else {
        // Without an initial default, rows of before have nothing there.
        return Some(Field { required: after.required && after.initial.is_some(), ..after.clone() });
    };
    let ty = match (&before.ty, &after.ty) {
        (Type::Primitive(before), Type::Primitive(after)) => Type::Primitive(before.common_with(*after)?),
        (Type::Struct(before), Type::Struct(after)) => {
            let known = |field: &Field| before.iter().find(|known| known.id == field.id);
            let fields: Vec<Field> = after.iter().filter_map(|field| common(known(field), field)).collect();
            (!fields.is_empty()).then_some(Type::Struct(fields))?
        }
        (Type::List(before), Type::List(after)) if before[0].id == after[0].id => {
            Type::List(Box::new([common(Some(&before[0]), &after[0])?]))
        }
        (Type::Map(before), Type::Map(after)) if before[0] == after[0] && before[1].id == after[1].id => {
            Type::Map(Box::new([after[0].clone(), common(Some(&before[1]), &after[1])?]))
        }
        _ => return None,
    };
    let widened = |value: &Option<Value>| widen(value.as_ref()?, ty.primitive());
    let (initial, default) = (widened(&after.initial), widened(&after.default));
    Some(Field { ty, initial, default, required: before.required && after.required, ..after.clone() })
}

fn widen(value: &Value, ty: Option<PrimitiveType>) -> Option<Value> {
    value.promote(ty?)
}

#[cfg(test)]
mod tests {
    use strandline_format::{ColumnName, SchemaId};

    use super::*;

    fn field(id: i32, name: &str, ty: PrimitiveType) -> Field {
        Field { id: FieldId(id), ..Field::optional(ColumnName::new(name).unwrap(), ty) }
    }

    /// Nothing refuses what a writer did that keeps to no rule: it is told, and the other columns are compared.
    #[test]
    fn a_type_that_became_an_incompatible_one_is_told_and_left_out() {
        let schema = |amount, more| {
            let inner = Field { ty: Type::Struct(vec![field(4, "x", amount)]), ..field(3, "s", more) };
            let fields = vec![field(1, "id", more), field(2, "amount", amount), inner];
            Schema::new(SchemaId(0), fields, BTreeSet::new()).unwrap()
        };
        let before = schema(PrimitiveType::String, PrimitiveType::Int);
        let after = schema(PrimitiveType::Long, PrimitiveType::Long);
        let told: Vec<String> = fields(&before, &after).iter().map(ToString::to_string).collect();
        let apart = "string -> long, not comparable";
        assert_eq!(told[..2], ["id: int -> long".to_owned(), format!("amount: {apart}")]);
        assert!(told[2].ends_with("not comparable") && told[3..] == [format!("s.x: {apart}")], "{told:?}");
        for (before, after) in [(&before, &after), (&after, &before)] {
            let columns = side_by_side(before, after).unwrap();
            let names: Vec<_> = columns.fields().iter().map(|field| field.name.as_str()).collect();
            assert_eq!(names, ["id"]);
            assert_eq!(columns.fields()[0].ty, Type::Primitive(PrimitiveType::Long));
        }
    }
}
