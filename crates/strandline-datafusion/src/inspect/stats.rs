//! `t$stats`: what is known of each column of each file.

use datafusion::arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use strandline::format::{FieldId, FieldStats, FileEntry};
use strandline::{Result, Table};

use super::Told;
use super::columns::{batch, ids, maybe_numbers, maybe_texts, maybe_truths, numbers, texts};
use super::listing::Listing;
use super::value_text;

/// How many files are told of in one batch.
const FILES: usize = 256;

/// A column of a file.
struct Known {
    file: u64,
    column: String,
    field: FieldId,
    stats: FieldStats,
}

pub(super) fn listing(what: String, told: Told, table: Table) -> Result<Listing> {
    let empty = known(&[])?;
    Ok(Listing::new(what, &empty, move |moments| {
        let (told, table) = (told.clone(), table.clone());
        let read = async move {
            let table = told.table(&moments, &table).await?;
            let batches = table.file_stream().map_ok(move |found| {
                let some = found.chunks(FILES).map(|chunk| known(&of_files(&table, chunk)));
                stream::iter(some.collect::<Vec<_>>())
            });
            Result::Ok(batches.try_flatten())
        };
        stream::once(read).try_flatten().boxed()
    }))
}

/// All that is known of the columns that the table has; what is known of dropped ones is left out.
fn of_files(table: &Table, files: &[FileEntry]) -> Vec<Known> {
    let schema = table.schema();
    let mut all = Vec::new();
    for file in files {
        for (field, stats) in &file.stats.0 {
            let Some(path) = schema.path(*field) else { continue };
            let (file, field, stats) = (file.id.0, *field, stats.clone());
            all.push(Known { file, column: path.join("."), field, stats });
        }
    }
    all
}

fn known(all: &[Known]) -> Result<RecordBatch> {
    batch(vec![
        numbers(all, "file_id", |known| known.file),
        texts(all, "column", |known| known.column.clone()),
        ids(all, "field_id", |known| known.field.0),
        texts(all, "type", |known| known.stats.ty.to_string()),
        maybe_numbers(all, "nulls", |known| known.stats.nulls),
        maybe_numbers(all, "nans", |known| known.stats.nans),
        maybe_numbers(all, "values", |known| known.stats.values),
        maybe_texts(all, "min", |known| known.stats.min.as_ref().map(|bound| value_text(&bound.value))),
        maybe_truths(all, "min_is_exact", |known| known.stats.min.as_ref().map(|bound| bound.exact)),
        maybe_texts(all, "max", |known| known.stats.max.as_ref().map(|bound| value_text(&bound.value))),
        maybe_truths(all, "max_is_exact", |known| known.stats.max.as_ref().map(|bound| bound.exact)),
    ])
}
