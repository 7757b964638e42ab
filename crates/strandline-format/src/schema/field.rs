//! One field and its type.
//!
//! The element of a list and the key and value of a map are fields too, with fixed names, so that everything that walks a
//! schema walks it one way. Whether a field may stand where it does is checked by the schema.

use crate::error::{Error, Result};
use crate::id::FieldId;
use crate::name::ColumnName;
use crate::value::{PrimitiveType, Value};

/// The names of what lists and maps are made of.
const ELEMENT: &str = "element";
const KEY: &str = "key";
const VALUE: &str = "value";

/// A column, or a field within one.
///
/// ```
/// use strandline_format::{ColumnName, Field, PrimitiveType, Schema};
///
/// let id = Field::required(ColumnName::new("id")?, PrimitiveType::Long);
/// let note = Field::optional(ColumnName::new("note")?, PrimitiveType::String);
/// let schema = Schema::numbered(vec![id, note])?;
/// assert_eq!((schema.fields()[1].id.0, schema.fields()[1].required), (2, false));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Field {
    /// Tells it apart for ever; in a field that is yet to be added, whatever one likes.
    pub id: FieldId,
    /// Its name among its siblings.
    pub name: ColumnName,
    /// What its values are.
    pub ty: Type,
    /// Whether null is refused.
    pub required: bool,
    /// What it means.
    pub doc: Option<String>,
    /// What rows have that were written before the field was added.
    pub initial: Option<Value>,
    /// What rows get that are written without it.
    pub default: Option<Value>,
}

/// What the values of a field are.
///
/// ```
/// use strandline_format::{PrimitiveType, Type};
///
/// let tags = Type::map(PrimitiveType::String, Type::list(PrimitiveType::Long, true)?, false)?;
/// assert_eq!(tags.children().len(), 2);
/// assert_eq!(tags.primitive(), None);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Single values.
    Primitive(PrimitiveType),
    /// Fields side by side.
    Struct(Vec<Field>),
    /// Any number of elements: the one field within.
    List(Box<[Field; 1]>),
    /// Any number of pairs: key and value.
    Map(Box<[Field; 2]>),
}

impl Field {
    /// A field in which null is allowed.
    #[must_use]
    pub fn optional(name: ColumnName, ty: impl Into<Type>) -> Self {
        let (id, ty) = (FieldId::default(), ty.into());
        Self { id, name, ty, required: false, doc: None, initial: None, default: None }
    }

    /// A field in which null is refused.
    #[must_use]
    pub fn required(name: ColumnName, ty: impl Into<Type>) -> Self {
        Self { required: true, ..Self::optional(name, ty) }
    }

    /// The same field with this id.
    #[must_use]
    pub fn with_id(self, id: FieldId) -> Self {
        Self { id, ..self }
    }

    /// Gives new ids to this field and then to those within it.
    pub(super) fn renumber(&mut self, next: &mut dyn FnMut() -> Result<FieldId>) -> Result<()> {
        self.id = next()?;
        self.ty.children_mut().iter_mut().try_for_each(|child| child.renumber(next))
    }

    /// Calls with the id of this field and of all within it.
    pub(super) fn each_id(&self, visit: &mut dyn FnMut(FieldId)) {
        visit(self.id);
        self.ty.children().iter().for_each(|child| child.each_id(visit));
    }

    pub(super) fn collect_leaves(&self, leaves: &mut Vec<(FieldId, PrimitiveType)>) {
        match &self.ty {
            Type::Primitive(ty) => leaves.push((self.id, *ty)),
            nested => nested.children().iter().for_each(|child| child.collect_leaves(leaves)),
        }
    }
}

/// Names are compared as they are written: a change of case is a change of the field, though not another name.
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.name.as_str() == other.name.as_str()
            && self.required == other.required
            && self.doc == other.doc
            && self.initial == other.initial
            && self.default == other.default
            && self.ty == other.ty
    }
}

impl Eq for Field {}

impl Type {
    /// A list of such elements.
    ///
    /// # Errors
    /// None in practice: `element` is a column name.
    pub fn list(element: impl Into<Self>, required: bool) -> Result<Self> {
        Ok(Self::list_of(part(ELEMENT, element.into(), required)?))
    }

    /// A map of such pairs; keys are never null.
    ///
    /// # Errors
    /// None in practice: `key` and `value` are column names.
    pub fn map(key: impl Into<Self>, value: impl Into<Self>, value_required: bool) -> Result<Self> {
        let (key, value) = (part(KEY, key.into(), true)?, part(VALUE, value.into(), value_required)?);
        Ok(Self::Map(Box::new([key, value])))
    }

    fn list_of(element: Field) -> Self {
        Self::List(Box::new([element]))
    }

    /// The fields within, in order; none in a primitive type.
    #[must_use]
    pub fn children(&self) -> &[Field] {
        match self {
            Self::Primitive(_) => &[],
            Self::Struct(fields) => fields,
            Self::List(element) => element.as_slice(),
            Self::Map(pair) => pair.as_slice(),
        }
    }

    /// Whether it is a struct without fields.
    pub(super) fn is_empty_struct(&self) -> bool {
        matches!(self, Self::Struct(fields) if fields.is_empty())
    }

    pub(super) fn children_mut(&mut self) -> &mut [Field] {
        match self {
            Self::Primitive(_) => &mut [],
            Self::Struct(fields) => fields,
            Self::List(element) => element.as_mut_slice(),
            Self::Map(pair) => pair.as_mut_slice(),
        }
    }

    /// The type, if it is a primitive one.
    #[must_use]
    pub fn primitive(&self) -> Option<PrimitiveType> {
        match self {
            Self::Primitive(ty) => Some(*ty),
            _ => None,
        }
    }

    /// What it is called in messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Primitive(ty) => ty.to_string(),
            Self::Struct(_) => "struct".to_owned(),
            Self::List(_) => "list".to_owned(),
            Self::Map(_) => "map".to_owned(),
        }
    }

    /// Checks what the shape promises: numbers in range, and that the parts of lists and maps are what they are called.
    pub(super) fn check_shape(&self) -> Result<()> {
        match self {
            Self::Primitive(ty) => ty.check(),
            Self::Struct(_) => Ok(()),
            Self::List(parts) => check_part(&parts[0], ELEMENT),
            Self::Map(parts) => {
                check_part(&parts[0], KEY)?;
                check_part(&parts[1], VALUE)?;
                if parts[0].required { Ok(()) } else { Err(Error::invalid("the key of a map is required")) }
            }
        }
    }
}

impl From<PrimitiveType> for Type {
    fn from(ty: PrimitiveType) -> Self {
        Self::Primitive(ty)
    }
}

fn part(name: &str, ty: Type, required: bool) -> Result<Field> {
    Ok(Field { required, ..Field::optional(ColumnName::new(name)?, ty) })
}

fn check_part(part: &Field, name: &str) -> Result<()> {
    let plain = part.doc.is_none() && part.initial.is_none() && part.default.is_none();
    if part.name.as_str() == name && plain {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} is called so, and has neither doc nor defaults")))
}
