//! Predicates bound to a schema: columns by their ids, literals of their types.
//!
//! A literal that no value of the column's type equals is decided here, for good: `int < 3000000000` holds for every value and
//! is unknown for null. So that null keeps its meaning, such a test becomes one of the type's own least value.

use strandline_format::{Comparison, Filter, NameKey, PrimitiveType, Schema, Test as Bound, Type, Value};

use super::literal::{Kind, Literal, clip};
use super::place::{Place, least, place, wanted};
use super::predicate::{Column, Node, Test};
use super::simplify::{conjunction, disjunction};
use crate::{Error, ErrorKind, Result, near};

pub(super) fn bind(node: &Node, schema: &Schema) -> Result<Filter> {
    let all = |parts: &[Node]| parts.iter().map(|part| bind(part, schema)).collect::<Result<Vec<_>>>();
    Ok(match node {
        Node::Constant(true) => Filter::True,
        Node::Constant(false) => Filter::False,
        Node::And(parts) => conjunction(all(parts)?),
        Node::Or(parts) => disjunction(all(parts)?),
        Node::Not(inner) => negation(bind(inner, schema)?),
        Node::Test(column, test) => Field::find(column, schema)?.bind(test)?,
    })
}

fn negation(filter: Filter) -> Filter {
    match filter {
        Filter::True => Filter::False,
        Filter::False => Filter::True,
        filter => Filter::Not(Box::new(filter)),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// A field that can be asked for.
struct Field<'c> {
    column: &'c Column,
    id: strandline_format::FieldId,
    ty: PrimitiveType,
}

impl<'c> Field<'c> {
    /// The field of a primitive type at a path of structs.
    fn find(column: &'c Column, schema: &Schema) -> Result<Self> {
        let mut inside: Option<&[strandline_format::Field]> = None;
        let mut names = column.0.iter().peekable();
        while let Some(name) = names.next() {
            let field = match inside {
                Some(siblings) => {
                    let key = NameKey::of(name);
                    siblings.iter().find(|field| *field.name.key() == key)
                }
                // Columns are indexed, and there may be very many.
                None => schema.find([name.as_str()]),
            };
            let siblings = inside.unwrap_or(schema.fields());
            let Some(field) = field else { return Err(not_there(column, name, siblings)) };
            match (&field.ty, names.peek()) {
                (Type::Primitive(ty), None) => return Ok(Self { column, id: field.id, ty: *ty }),
                (Type::Struct(fields), Some(_)) => inside = Some(fields),
                (Type::Primitive(ty), Some(inner)) => {
                    return Err(invalid(format!(
                        "column {column}: {name} is a {ty}, it has no {inner:?} in it"
                    )));
                }
                (ty @ (Type::Struct(_) | Type::List(_) | Type::Map(_)), _) => {
                    return Err(not_single(column, name, ty));
                }
            }
        }
        Err(invalid("a column without a name".to_owned()))
    }

    fn bind(&self, test: &Test) -> Result<Filter> {
        Ok(match test {
            Test::IsTrue => self.is_true()?,
            Test::IsNull => self.field(Bound::IsNull),
            Test::IsNotNull => self.field(Bound::IsNotNull),
            Test::Compare(comparison, literal) => self.compare(*comparison, &self.place(literal)?)?,
            Test::In(literals) => self.one_of(literals)?,
            Test::NotIn(literals) => self.none_of(literals)?,
            Test::Between(low, high) => self.between(&self.place(low)?, &self.place(high)?)?,
            Test::StartsWith(prefix) => self.field(Bound::StartsWith(self.prefix(prefix)?)),
        })
    }

    fn field(&self, test: Bound) -> Filter {
        Filter::Field(self.id, test)
    }

    fn is_true(&self) -> Result<Filter> {
        match self.ty {
            PrimitiveType::Boolean => Ok(Filter::equal(self.id, Value::Boolean(true))),
            ty => {
                Err(invalid(format!("column {} by itself is no condition: it is of type {ty}", self.column)))
            }
        }
    }

    fn place(&self, literal: &Literal) -> Result<Place> {
        place(literal, self.ty).ok_or_else(|| {
            let (column, ty) = (self.column, self.ty);
            let literal = clip(&literal.to_string());
            invalid(format!(
                "column {column} of type {ty} cannot be compared with {literal}: give {}",
                wanted(ty)
            ))
        })
    }

    fn prefix(&self, literal: &Literal) -> Result<Value> {
        match (&literal.0, self.ty) {
            (Kind::String(text), PrimitiveType::String) => Ok(Value::String(text.clone())),
            (Kind::Bytes(bytes), PrimitiveType::Binary) => Ok(Value::Binary(bytes.clone())),
            (Kind::Bytes(bytes), PrimitiveType::Fixed(_)) => Ok(Value::Fixed(bytes.clone())),
            (_, ty) => Err(invalid(format!(
                "column {} of type {ty} cannot begin with {}: strings begin with strings, binary and fixed with bytes",
                self.column,
                clip(&literal.to_string())
            ))),
        }
    }

    fn compare(&self, comparison: Comparison, place: &Place) -> Result<Filter> {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let compare = |comparison, value: &Value| Ok(Filter::compare(self.id, comparison, value.clone()));
        match (place, comparison) {
            (Place::At(value), comparison) => compare(comparison, value),
            (Place::JustAbove(_), Equal)
            | (Place::BelowAll, Equal | Less | LessOrEqual)
            | (Place::AboveAll, Equal | Greater | GreaterOrEqual) => self.decided(false),
            (Place::JustAbove(_), NotEqual)
            | (Place::BelowAll, NotEqual | Greater | GreaterOrEqual)
            | (Place::AboveAll, NotEqual | Less | LessOrEqual) => self.decided(true),
            (Place::JustAbove(value), Less | LessOrEqual) => compare(LessOrEqual, value),
            (Place::JustAbove(value), Greater | GreaterOrEqual) => compare(Greater, value),
        }
    }

    /// What is known of every value, though unknown for null.
    fn decided(&self, truth: bool) -> Result<Filter> {
        let comparison = if truth { Comparison::GreaterOrEqual } else { Comparison::Less };
        let least = least(self.ty)
            .ok_or_else(|| invalid(format!("column {}: {} has no least value", self.column, self.ty)))?;
        Ok(Filter::compare(self.id, comparison, least))
    }

    /// The literals that some value equals.
    fn reachable(&self, literals: &[Literal]) -> Result<Vec<Value>> {
        let places = literals.iter().map(|literal| self.place(literal));
        let at = |place| match place {
            Place::At(value) => Some(value),
            Place::JustAbove(_) | Place::BelowAll | Place::AboveAll => None,
        };
        places.filter_map(|place| place.map(at).transpose()).collect()
    }

    fn one_of(&self, literals: &[Literal]) -> Result<Filter> {
        let values = self.reachable(literals)?;
        if values.is_empty() { self.decided(false) } else { Ok(self.field(Bound::In(values))) }
    }

    fn none_of(&self, literals: &[Literal]) -> Result<Filter> {
        let values = self.reachable(literals)?;
        if values.is_empty() { self.decided(true) } else { Ok(self.field(Bound::NotIn(values))) }
    }

    fn between(&self, low: &Place, high: &Place) -> Result<Filter> {
        if let (Place::At(low), Place::At(high)) = (low, high) {
            return Ok(self.field(Bound::Between(low.clone(), high.clone())));
        }
        let low = self.compare(Comparison::GreaterOrEqual, low)?;
        Ok(conjunction(vec![low, self.compare(Comparison::LessOrEqual, high)?]))
    }
}

fn not_there(column: &Column, name: &str, siblings: &[strandline_format::Field]) -> Error {
    let part = if column.0.len() > 1 { format!(" of {column}") } else { String::new() };
    let names = siblings.iter().map(|field| field.name.as_str());
    near::not_there(format!("no column {:?}{part}", clip(name)), name, names)
}

fn not_single(column: &Column, name: &str, ty: &Type) -> Error {
    let kind = ty.describe();
    let why = match ty {
        Type::Struct(_) => "only the fields in it can be asked for",
        _ => "what is in it cannot be asked for, nor whether it is null",
    };
    invalid(format!("column {column}: {name} is a {kind}; {why}"))
}
