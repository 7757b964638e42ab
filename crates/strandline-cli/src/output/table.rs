//! A table for people, which is also Markdown. Rows are laid out some at a time, so that memory stays bounded: columns are as
//! wide as what has come so far.

use std::io::{IsTerminal, Write};

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width};
use strandline::arrow::array::RecordBatch;

use super::sheet::Column;
use super::{Screen, records};
use crate::failure::Result;
use strandline_datafusion::text::cells::Cells;

/// How many rows are laid out at a time.
const PAGE: usize = 1000;

/// A terminal that is narrower, or does not say how wide it is, breaks lines as it likes.
const NARROW: u16 = 40;

/// What stands for a value that is not there.
const NULL: &str = "NULL";

/// Rows that are being printed.
pub(crate) struct Table {
    out: Screen,
    columns: Vec<Column>,
    page: Vec<Vec<String>>,
    /// How wide the columns of the last page were, without their padding.
    widths: Option<Vec<u16>>,
    /// Whether a person looks on; else it may become Markdown.
    terminal: bool,
    /// How many rows were printed under each other, since the terminal is too narrow for them.
    records: Option<usize>,
}

impl Table {
    pub(super) fn new(out: Screen, columns: Vec<Column>) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { out, columns, page: Vec::new(), widths: None, terminal, records: None }
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let cells = Cells::of(batch)?;
        let shown = |cell: Option<String>| cell.unwrap_or_else(|| NULL.to_owned());
        (0..batch.num_rows()).try_for_each(|row| self.row(cells.row(row).into_iter().map(shown).collect()))
    }

    pub(super) fn row(&mut self, cells: Vec<String>) -> Result<()> {
        let cells = cells.into_iter().map(|cell| self.shown(cell)).collect();
        self.page.push(cells);
        if self.page.len() < PAGE { Ok(()) } else { self.print() }
    }

    /// A text as it stands in a cell.
    fn shown(&self, text: String) -> String {
        if self.terminal { harmless(text) } else { harmless(text).replace('|', "\\|") }
    }

    fn print(&mut self) -> Result<()> {
        let mut table = comfy_table::Table::new();
        table.load_preset(ASCII_MARKDOWN);
        let names: Vec<String> = self.columns.iter().map(|column| self.shown(column.name.clone())).collect();
        table.set_header(names.iter());
        let page = std::mem::take(&mut self.page);
        let width = table.width().filter(|width| self.terminal && *width >= NARROW);
        let is_squeezed = self.is_under_each_other(&page, &names, width);
        if is_squeezed && !page.is_empty() {
            let before = self.records.unwrap_or_default();
            self.records = Some(before + page.len());
            return Ok(records::print(&mut self.out, &names, page.into_iter(), before)?);
        }
        if !self.terminal {
            table.force_no_tty();
        } else if width.is_some() && !is_squeezed {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.add_rows(page);
        for (column, shown) in self.columns.iter().zip(table.column_iter_mut()) {
            if column.numeric {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
        let first = self.widths.is_none();
        self.align(&mut table);
        for line in table.lines().skip(if first { 0 } else { 2 }) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Whether there is no room for the columns side by side, as the first page says.
    fn is_under_each_other(&self, page: &[Vec<String>], names: &[String], width: Option<u16>) -> bool {
        match (width, self.widths.is_some()) {
            _ if self.records.is_some() => true,
            (Some(width), false) => {
                let widest = |at: usize, name: &String| {
                    let cells = page.iter().filter_map(|row| row.get(at)).chain([name]);
                    let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or_default();
                    u16::try_from(widest).unwrap_or(u16::MAX)
                };
                let widths: Vec<u16> = names.iter().enumerate().map(|(at, name)| widest(at, name)).collect();
                records::are_squeezed(&widths, width)
            }
            _ => false,
        }
    }

    /// Makes columns at least as wide as those of the page before.
    fn align(&mut self, table: &mut comfy_table::Table) {
        let before = self.widths.take().unwrap_or_default();
        let mut widths = table.column_max_content_widths();
        for (at, width) in widths.iter_mut().enumerate() {
            *width = before.get(at).copied().unwrap_or_default().max(*width);
            let constraint = ColumnConstraint::LowerBoundary(Width::Fixed(width.saturating_add(2)));
            if let Some(column) = table.column_mut(at).filter(|_| !before.is_empty()) {
                column.set_constraint(constraint);
            }
        }
        self.widths = Some(widths);
    }

    pub(super) fn finish(mut self) -> Result<()> {
        let is_begun = self.widths.is_some() || self.records.is_some();
        if !self.columns.is_empty() && (!is_begun || !self.page.is_empty()) {
            self.print()?;
        }
        Ok(self.out.flush()?)
    }
}

/// A text without what would break the table or command the terminal.
pub(crate) fn harmless(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let shown = |letter: char| match letter {
        control if control.is_control() => control.escape_default().to_string(),
        other => other.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc".to_owned()), "a\\u{1b}[2Jb\\nc");
        assert_eq!(harmless("ä".to_owned()), "ä");
    }
}
