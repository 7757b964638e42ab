//! Plans of statements, which are texts of several lines: under each other, and not squeezed into a table.

use std::io::Write;

use futures::{Stream, StreamExt};
use strandline::arrow::array::RecordBatch;

use super::screen::Screen;
use super::table::harmless;
use crate::failure::{Failure, Result};
use strandline_datafusion::text::cells::Cells;

/// Prints rows of a name and a text: the name, then the lines of the text below it.
pub(super) async fn print<E: Into<Failure>>(
    mut out: Screen,
    batches: impl Stream<Item = std::result::Result<RecordBatch, E>>,
) -> Result<()> {
    let mut batches = std::pin::pin!(batches);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(Into::into)?;
        let cells = Cells::of(&batch)?;
        for row in 0..batch.num_rows() {
            let mut texts = cells.row(row).into_iter().flatten();
            writeln!(out, "{}", harmless(texts.next().unwrap_or_default()))?;
            for line in texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()) {
                writeln!(out, "  {}", harmless(line))?;
            }
        }
    }
    Ok(out.flush()?)
}
