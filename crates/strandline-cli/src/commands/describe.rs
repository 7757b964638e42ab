//! `strand describe`: what a table or view is like.

use std::io::{self, Write};

use clap::Args as ClapArgs;
use serde::Serialize;
use strandline::format::{
    Field, FieldId, PropertyKey, PropertyValue, Schema, Seq, TableProperties, Type, View,
};
use strandline::{ErrorKind, Ref, Table, Transaction};

use crate::context::Context;
use crate::failure::Result;
use crate::names;
use crate::output::{Cell, Format, Kind, Record, Screen, counted, harmless, number, said, size, text};

/// Shows a table's columns, keys, layout and constraints
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The table or view
    #[arg(value_parser = names::table)]
    table: String,
}

/// A table, as programs read it.
#[derive(Serialize)]
struct Described {
    name: String,
    kind: &'static str,
    id: String,
    version: u64,
    created: String,
    comment: Option<String>,
    rows: Option<u64>,
    files: Option<u64>,
    bytes: Option<u64>,
    columns: Vec<Column>,
    key: Vec<String>,
    sorted_by: Vec<String>,
    split_by: Vec<String>,
    constraints: Vec<Constraint>,
    properties: Vec<Property>,
    sql: Option<String>,
    /// Whether it is as a transaction that began on the version has it.
    #[serde(skip)]
    within: bool,
}

/// A column.
#[derive(Serialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    required: bool,
    id: i32,
    default: Option<String>,
    comment: Option<String>,
}

#[derive(Serialize)]
struct Constraint {
    name: String,
    check: String,
}

#[derive(Serialize)]
struct Property {
    name: String,
    value: String,
}

impl Record for Column {
    const COLUMNS: &'static [(&'static str, Kind)] =
        &[text("column"), text("type"), text("null"), text("default"), text("comment"), number("id")];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.name),
            Cell::text(&self.ty),
            Cell::text(if self.required { "no" } else { "yes" }),
            Cell::text(self.default.clone().unwrap_or_default()),
            Cell::text(self.comment.clone().unwrap_or_default()),
            Cell::text(self.id.to_string()),
        ]
    }
}

impl Record for Described {
    const COLUMNS: &'static [(&'static str, Kind)] = Column::COLUMNS;

    fn cells(&self) -> Vec<Cell> {
        Vec::new()
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    show(context, &context.at().await?, &args.table).await
}

/// Shows what stands under a name in a version.
pub(crate) async fn show(context: &Context, at: &Ref, name: &str) -> Result<()> {
    let described = match context.table(at, name).await {
        Ok(table) => of_table(at.version(), &table),
        Err(failure) => match there(at.view(name).await)? {
            Some(view) => of_view(at.version(), name, &view),
            None => return Err(failure),
        },
    };
    print(context, &described)
}

/// Shows what stands under a name in a transaction, its own changes included.
pub(crate) async fn show_within(context: &Context, transaction: &Transaction, name: &str) -> Result<()> {
    let version = transaction.start().version();
    let described = match transaction.table(name).await {
        Ok(table) => of_table(version, &table),
        Err(error) => match there(transaction.view(name).await)? {
            Some(view) => of_view(version, name, &view),
            None => return Err(error.into()),
        },
    };
    print(context, &Described { within: true, ..described })
}

fn print(context: &Context, described: &Described) -> Result<()> {
    match context.out.format() {
        // A table with one row of lists is of no use: the columns are what is asked for.
        Format::Csv => context.out.list(&described.columns),
        Format::Table => {
            context.out.one(described, |out| head(described, out))?;
            context.out.list(&described.columns)
        }
        Format::Json | Format::Ndjson => context.out.one(described, |_| Ok(())),
    }
}

fn of_table(version: Seq, table: &Table) -> Described {
    let (schema, totals, layout) = (table.schema(), table.totals(), table.layout());
    let order = table.orders().iter().find(|order| Some(order.id) == layout.order);
    let split = table.splits().iter().find(|split| Some(split.id) == layout.split);
    let sorted = order.into_iter().flat_map(|order| &order.fields);
    let split = split.into_iter().flat_map(|split| &split.fields);
    Described {
        name: table.name().to_owned(),
        kind: "table",
        id: table.id().to_string(),
        version: version.0,
        created: table.created().to_string(),
        comment: said(table.comment()),
        rows: Some(totals.rows),
        files: Some(totals.files),
        bytes: Some(totals.bytes),
        columns: columns(schema),
        key: table.key().iter().map(|id| path(schema, *id)).collect(),
        sorted_by: sorted
            .map(|by| {
                let (direction, nulls) = (by.direction.as_str(), by.nulls.as_str());
                format!("{} {direction} nulls {nulls}", path(schema, by.field))
            })
            .collect(),
        split_by: split.map(|by| format!("{}({})", by.transform, path(schema, by.field))).collect(),
        constraints: table
            .constraints()
            .iter()
            .map(|constraint| Constraint {
                name: constraint.name.as_str().to_owned(),
                check: constraint.check.as_str().to_owned(),
            })
            .collect(),
        properties: properties(table.properties()),
        sql: None,
        within: false,
    }
}

/// What was found, if it is there.
fn there<T>(found: strandline::Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn of_view(version: Seq, name: &str, view: &View) -> Described {
    Described {
        name: name.to_owned(),
        kind: "view",
        id: view.id.to_string(),
        version: version.0,
        created: view.created.to_string(),
        comment: said(view.comment.as_str()),
        rows: None,
        files: None,
        bytes: None,
        columns: columns(&view.schema),
        key: Vec::new(),
        sorted_by: Vec::new(),
        split_by: Vec::new(),
        constraints: Vec::new(),
        properties: properties(&view.properties),
        sql: Some(view.sql.as_str().to_owned()),
        within: false,
    }
}

fn properties(properties: &TableProperties) -> Vec<Property> {
    let owned = |(name, value): (&PropertyKey, &PropertyValue)| Property {
        name: name.as_str().to_owned(),
        value: value.as_str().to_owned(),
    };
    properties.iter().map(owned).collect()
}

fn path(schema: &Schema, id: FieldId) -> String {
    schema.path(id).map(|path| path.join(".")).unwrap_or_default()
}

fn columns(schema: &Schema) -> Vec<Column> {
    let column = |field: &Field| Column {
        name: field.name.as_str().to_owned(),
        ty: type_text(&field.ty),
        required: field.required,
        id: field.id.0,
        default: field.default.as_ref().map(ToString::to_string),
        comment: field.doc.clone(),
    };
    schema.fields().iter().map(column).collect()
}

/// A type with all that is in it.
fn type_text(ty: &Type) -> String {
    let parts =
        |fields: &[Field]| fields.iter().map(|field| type_text(&field.ty)).collect::<Vec<_>>().join(", ");
    match ty {
        Type::Primitive(ty) => ty.to_string(),
        Type::List(element) => format!("list<{}>", parts(element.as_slice())),
        Type::Map(pair) => format!("map<{}>", parts(pair.as_slice())),
        Type::Struct(fields) => {
            let named = |field: &Field| format!("{}: {}", field.name.as_str(), type_text(&field.ty));
            format!("struct<{}>", fields.iter().map(named).collect::<Vec<_>>().join(", "))
        }
    }
}

/// All but the columns, for people.
fn head(described: &Described, out: &mut Screen) -> io::Result<()> {
    let at = if described.within { "in the transaction that began at" } else { "at" };
    writeln!(out, "{} {} {at} version {}", described.kind, described.name, described.version)?;
    if let (Some(rows), Some(files), Some(bytes)) = (described.rows, described.files, described.bytes) {
        writeln!(out, "{} in {}, {}", counted(rows, "row"), counted(files, "file"), size(bytes))?;
    }
    for (name, values) in
        [("key", &described.key), ("sorted by", &described.sorted_by), ("split by", &described.split_by)]
    {
        if !values.is_empty() {
            writeln!(out, "{name}: {}", values.join(", "))?;
        }
    }
    for constraint in &described.constraints {
        let check = harmless(constraint.check.clone());
        writeln!(out, "check {}: {check}", harmless(constraint.name.clone()))?;
    }
    for property in &described.properties {
        let value = harmless(property.value.clone());
        writeln!(out, "property {} = {value}", harmless(property.name.clone()))?;
    }
    for (name, value) in [("comment", &described.comment), ("query", &described.sql)] {
        if let Some(value) = value {
            // The lines of a query are its author's.
            let lines: Vec<String> = value.lines().map(|line| harmless(line.to_owned())).collect();
            writeln!(out, "{name}: {}", lines.join("\n  "))?;
        }
    }
    writeln!(out)
}
