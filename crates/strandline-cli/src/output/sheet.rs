//! A sheet of rows in one of the forms, written while the rows come.

use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::{DataType, Schema};

use super::delimited::Delimited;
use super::json::Json;
use super::table::Table;
use super::{Format, Kind, Record, Screen};
use crate::failure::Result;

/// A column of a sheet.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// What stands in it.
    pub(crate) kind: Kind,
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// The columns of batches.
pub(super) fn columns_of(schema: &Schema) -> Vec<Column> {
    let kind = |ty: &DataType| match ty {
        ty if ty.is_numeric() => Kind::Number,
        ty if ty.is_temporal() => Kind::Word,
        _ => Kind::Text,
    };
    schema.fields().iter().map(|field| Column::new(field.name(), kind(field.data_type()))).collect()
}

/// Rows that are being printed.
pub(crate) enum Sheet {
    Table(Table),
    Json(Json),
    Csv(Delimited),
}

impl Sheet {
    pub(super) fn new(format: Format, columns: Vec<Column>, out: Screen) -> Self {
        match format {
            Format::Table => Self::Table(Table::new(out, columns)),
            Format::Json => Self::Json(Json::array(out)),
            Format::Ndjson => Self::Json(Json::lines(out)),
            Format::Csv => Self::Csv(Delimited::new(out, columns)),
        }
    }

    pub(crate) fn record<R: Record>(&mut self, record: &R) -> Result<()> {
        match self {
            Self::Table(table) => table.row(record.cells().iter().map(super::Cell::short).collect()),
            Self::Json(json) => json.record(record),
            Self::Csv(csv) => csv.row(record.cells().iter().map(super::Cell::whole)),
        }
    }

    pub(crate) fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Table(table) => table.batch(batch),
            Self::Json(json) => json.batch(batch),
            Self::Csv(csv) => csv.batch(batch),
        }
    }

    /// Prints what is left. A sheet that is dropped before stays cut off.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Table(table) => table.finish(),
            Self::Json(json) => json.finish(),
            Self::Csv(csv) => csv.finish(),
        }
    }
}
