//! `t$files`: the data files of a table.

use datafusion::arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use strandline::format::{Deletes, FileEntry, ObjectPath, Scalar, SplitValues};
use strandline::{Result, Table};

use super::Told;
use super::columns::{batch, maybe_numbers, maybe_texts, numbers, texts};
use super::listing::Listing;

pub(super) fn listing(what: String, told: Told, table: Table) -> Result<Listing> {
    let empty = files(&table, &[])?;
    Ok(Listing::new(what, &empty, move |moments| {
        let (told, table) = (told.clone(), table.clone());
        let read = async move {
            let table = told.table(&moments, &table).await?;
            Result::Ok(table.file_stream().map(move |found| files(&table, &found?)))
        };
        stream::once(read).try_flatten().boxed()
    }))
}

fn files(table: &Table, files: &[FileEntry]) -> Result<RecordBatch> {
    batch(vec![
        numbers(files, "file_id", |file| file.id.0),
        texts(files, "path", |file| path(table, file)),
        numbers(files, "rows", FileEntry::live_rows),
        numbers(files, "deleted_rows", |file| file.deletes.as_ref().map_or(0, Deletes::rows)),
        numbers(files, "bytes", |file| file.size),
        numbers(files, "footer_bytes", |file| file.footer),
        numbers(files, "row_groups", |file| file.row_groups.len() as u64),
        numbers(files, "first_row_id", |file| file.first_row.0),
        numbers(files, "added", |file| file.added.0),
        maybe_numbers(files, "sort_order", |file| file.order.map(u64::from)),
        maybe_texts(files, "split", |file| file.split.as_ref().map(|split| split_text(table, split))),
        texts(files, "hash", |file| file.hash.to_string()),
        numbers(files, "era", |file| file.era.0),
    ])
}

/// Where a file lies: within the lake, or where it was imported from.
fn path(table: &Table, file: &FileEntry) -> String {
    match &file.external {
        Some(external) => external.url.clone(),
        None => ObjectPath::data(table.id(), &file.hash, file.era).as_str().to_owned(),
    }
}

/// `region=eu, ts_day=20454`
fn split_text(table: &Table, values: &SplitValues) -> String {
    let split = table.splits().iter().find(|split| split.id.0 == values.split);
    let names = split.map(|split| split.fields.as_slice()).unwrap_or_default();
    let one = |(place, value): (usize, &Scalar)| match names.get(place) {
        Some(field) => format!("{}={}", field.name, scalar_text(value)),
        None => scalar_text(value),
    };
    values.values.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

fn scalar_text(value: &Scalar) -> String {
    match value {
        Scalar::Null => "NULL".to_owned(),
        Scalar::Bool(truth) => truth.to_string(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Float(number) => number.to_string(),
        Scalar::Text(text) => text.clone(),
    }
}
