//! The types of columns: inferred ones, made fit for a table, and those that were given.

use std::str::FromStr;
use std::sync::Arc;

use strandline::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use strandline::columns::arrow_field;
use strandline::format::{
    ColumnName, Field as TableField, NameKey, PrimitiveType, Schema as TableSchema, Type,
};

use strandline::near::offer_of;

use super::type_words::type_of;
use crate::failure::{Failure, Result};
use crate::names::column as name;

/// A column whose type is given: `zip=string`.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    column: String,
    ty: PrimitiveType,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (column, ty) = text.rsplit_once('=').ok_or("it has the form column=type")?;
        Ok(Self { column: name(column)?, ty: type_of(ty)? })
    }
}

/// Refuses types that are given for columns of a table that is there and has others.
pub(crate) fn check_given(given: &[Override], table: &TableSchema) -> Result<()> {
    for Override { column, ty } in given {
        let fields = table.fields();
        let found = fields.iter().find(|field| same(field.name.as_str(), column)).ok_or_else(|| {
            Failure::not_found(format!(
                "--type: the table has no column {column:?}{}",
                offer_of(column, fields.iter().map(|field| field.name.as_str()))
            ))
        })?;
        if found.ty != Type::Primitive(*ty) {
            let text = format!("--type: column {column:?} of the table is of another type than {ty}");
            return Err(Failure::usage(text).hint("`strand describe` shows its types, which the rows get"));
        }
    }
    Ok(())
}

/// Inferred columns with the given types, all nullable: whether null is refused is the table's business. Where nothing but
/// nulls was seen, text fits whatever comes later.
pub(super) fn settle(inferred: &Schema, overrides: &[Override]) -> Result<SchemaRef> {
    for given in overrides {
        find(inferred, &given.column).ok_or_else(|| {
            let names = inferred.fields().iter().map(|field| field.name().as_str());
            Failure::not_found(format!(
                "--type: no column {:?}{}",
                given.column,
                offer_of(&given.column, names)
            ))
        })?;
    }
    let settled = |field: &FieldRef| {
        let given = overrides.iter().find(|given| same(&given.column, field.name()));
        match given {
            Some(given) => typed(field.name(), given.ty),
            None => Ok(Arc::new(without_null(field))),
        }
    };
    let fields: Vec<FieldRef> = inferred.fields().iter().map(settled).collect::<Result<_>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns of these names with the types that a table has for them; those that it does not have are text, so that whoever
/// takes the rows can say that they are too many.
pub(super) fn of_table<'n>(names: impl IntoIterator<Item = &'n str>, table: &Schema) -> SchemaRef {
    let field = |name: &str| match find(table, name) {
        Some(field) => field.as_ref().clone().with_name(name).with_nullable(true),
        None => Field::new(name, DataType::Utf8, true),
    };
    Arc::new(Schema::new(names.into_iter().map(field).collect::<Vec<_>>()))
}

fn find<'s>(schema: &'s Schema, name: &str) -> Option<&'s FieldRef> {
    schema.fields().iter().find(|field| same(field.name(), name))
}

/// Names that differ only in case are one name.
fn same(one: &str, other: &str) -> bool {
    NameKey::of(one) == NameKey::of(other)
}

fn typed(name: &str, ty: PrimitiveType) -> Result<FieldRef> {
    let field = arrow_field(&TableField::optional(ColumnName::new(name)?, ty));
    Ok(Arc::new(Field::new(name, field.data_type().clone(), true).with_metadata(field.metadata().clone())))
}

/// A field whose type a table can have.
fn without_null(field: &FieldRef) -> Field {
    let ty = match field.data_type() {
        DataType::Null => DataType::Utf8,
        DataType::List(element) => DataType::List(Arc::new(without_null(element))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| Arc::new(without_null(field))).collect::<Fields>())
        }
        other => other.clone(),
    };
    Field::new(field.name(), ty, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        Schema::new(fields.iter().map(|(name, ty)| Field::new(*name, ty.clone(), false)).collect::<Vec<_>>())
    }

    #[test]
    fn given_types_win_and_columns_of_nulls_are_text() {
        let inferred = schema(&[("zip", DataType::Int64), ("note", DataType::Null)]);
        let settled = settle(&inferred, &["ZIP=string".parse().unwrap()]).unwrap();
        assert!(settled.fields().iter().all(|field| *field.data_type() == DataType::Utf8));
    }

    #[test]
    fn a_mistyped_column_is_named_with_the_nearest() {
        let failure = settle(&schema(&[("amount", DataType::Int64)]), &["amuont=double".parse().unwrap()]);
        let text = failure.unwrap_err().to_string();
        assert!(text.contains("did you mean \"amount\"?"), "{text}");
    }

    #[test]
    fn a_table_says_the_types_whatever_the_case_of_its_names() {
        let found = of_table(["Id", "extra"], &schema(&[("id", DataType::Int32)]));
        assert_eq!(found.field(0).data_type(), &DataType::Int32);
        assert_eq!(found.field(1).data_type(), &DataType::Utf8);
    }
}
