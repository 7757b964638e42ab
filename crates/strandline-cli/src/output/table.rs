//! A table for people, which is also Markdown. Rows are laid out some at a time, so that memory stays bounded: columns are as
//! wide as what has come so far.

use std::io::{IsTerminal, Write};

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width};
use strandline::arrow::array::RecordBatch;

use super::records::Wanted;
use super::sheet::Column;
use super::{Kind, Screen, records};
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
    /// Whether the first page had no room for all columns without lines that are broken.
    broken: bool,
    /// Whether a person looks on; else it may become Markdown.
    terminal: bool,
    /// How many rows were printed under each other, since the terminal is too narrow for them.
    records: Option<usize>,
}

impl Table {
    pub(super) fn new(out: Screen, columns: Vec<Column>) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { out, columns, page: Vec::new(), widths: None, broken: false, terminal, records: None }
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
        let width = comfy_table::Table::new().width().filter(|width| self.terminal && *width >= NARROW);
        let names: Vec<String> = self.columns.iter().map(|column| self.shown(column.name.clone())).collect();
        let page = std::mem::take(&mut self.page);
        if self.is_under_each_other(&page, &names, width) {
            let before = self.records.unwrap_or_default();
            self.records = Some(before + page.len());
            match page.is_empty() {
                true => records::print_none(&mut self.out, &names)?,
                false => records::print(&mut self.out, &names, page.into_iter(), before)?,
            }
            return Ok(());
        }
        for line in self.lines(page, &names, width) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// A page as it is printed, on the first one below the names of the columns.
    fn lines(&mut self, page: Vec<Vec<String>>, names: &[String], width: Option<u16>) -> Vec<String> {
        let wanted = self.wanted(&page, names);
        let is_first = self.widths.is_none();
        if is_first {
            self.broken = width.is_some_and(|width| records::are_broken(&wanted, width));
        }
        let mut table = comfy_table::Table::new();
        table.load_preset(ASCII_MARKDOWN);
        let name = |name: &String| if self.broken { records::folded(name) } else { name.clone() };
        table.set_header(names.iter().map(name));
        match width {
            Some(width) => {
                table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
            }
            None if self.terminal => {}
            None => {
                table.force_no_tty();
            }
        }
        table.add_rows(page);
        for (column, shown) in self.columns.iter().zip(table.column_iter_mut()) {
            if column.kind == Kind::Number {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.constrain(&mut table, &wanted);
        let (header, rows) = apart(table.lines().collect());
        self.widths = Some(self.widths_of(&table, header.last().map_or("", String::as_str)));
        if is_first { [header, rows].concat() } else { rows }
    }

    /// How wide columns are that nothing breaks.
    fn wanted(&self, page: &[Vec<String>], names: &[String]) -> Vec<Wanted> {
        let wanted = |(at, (column, name)): (usize, (&Column, &String))| {
            let cells = page.iter().filter_map(|row| row.get(at)).chain([name]);
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or_default();
            let width = u16::try_from(widest).unwrap_or(u16::MAX);
            Wanted { width, whole: column.kind == Kind::Word }
        };
        self.columns.iter().zip(names).enumerate().map(wanted).collect()
    }

    /// Whether there is no room for the columns side by side, as the first page says.
    fn is_under_each_other(&self, page: &[Vec<String>], names: &[String], width: Option<u16>) -> bool {
        match (width, self.widths.is_some()) {
            _ if self.records.is_some() => true,
            (Some(width), false) => records::are_squeezed(&self.wanted(page, names), width),
            _ => false,
        }
    }

    /// Keeps whole what is not to be broken, and columns as wide as those of the page before.
    fn constrain(&self, table: &mut comfy_table::Table, wanted: &[Wanted]) {
        for (at, wanted) in wanted.iter().enumerate() {
            let padded = |width: u16| Width::Fixed(width.saturating_add(2));
            let before = self.widths.as_ref().and_then(|widths| widths.get(at).copied());
            let constraint = match before {
                Some(before) if self.broken => ColumnConstraint::Absolute(padded(before)),
                Some(before) => ColumnConstraint::LowerBoundary(padded(before)),
                None if self.broken && wanted.whole => ColumnConstraint::LowerBoundary(padded(wanted.width)),
                None => continue,
            };
            if let Some(column) = table.column_mut(at) {
                column.set_constraint(constraint);
            }
        }
    }

    /// How wide the columns of a page are: as far as they were broken, the line below their names says it.
    fn widths_of(&self, table: &comfy_table::Table, line: &str) -> Vec<u16> {
        if self.broken {
            let columns = line.trim_matches('|').split('|');
            return columns
                .map(|dashes| u16::try_from(dashes.len().saturating_sub(2)).unwrap_or(u16::MAX))
                .collect();
        }
        let before = self.widths.as_deref().unwrap_or_default();
        let widest = |(at, width): (usize, u16)| before.get(at).copied().unwrap_or_default().max(width);
        table.column_max_content_widths().into_iter().enumerate().map(widest).collect()
    }

    pub(super) fn finish(mut self) -> Result<()> {
        let is_begun = self.widths.is_some() || self.records.is_some();
        if !self.columns.is_empty() && (!is_begun || !self.page.is_empty()) {
            self.print()?;
        }
        Ok(self.out.flush()?)
    }
}

/// The names of the columns, with the line below them, and the rows.
fn apart(mut lines: Vec<String>) -> (Vec<String>, Vec<String>) {
    let names = lines.iter().position(|line| line.starts_with("|-")).map_or(0, |line| line + 1);
    let rows = lines.split_off(names);
    (lines, rows)
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

    fn table(columns: &[(&str, Kind)]) -> Table {
        let columns = columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect();
        Table { terminal: true, ..Table::new(Screen::plain(), columns) }
    }

    /// The pages of a table on a terminal of this width.
    fn lines(table: &mut Table, width: u16, pages: &[&[&[&str]]]) -> String {
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        let owned = |page: &&[&[&str]]| {
            page.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect::<Vec<_>>()
        };
        let pages = pages.iter().flat_map(|page| table.lines(owned(page), &names, Some(width)));
        pages.map(|line| line + "\n").collect()
    }

    #[test]
    fn times_stay_in_one_piece_and_pages_are_laid_out_alike() {
        let mut log = table(&[("version", Kind::Number), ("time", Kind::Word), ("message", Kind::Text)]);
        let time = "2026-01-02T03:04:05Z";
        let pages: [&[&[&str]]; 2] = [&[&["1", time, "a message of some words"]], &[&["2", time, "short"]]];
        let expected = "\
| version | time                 | message |
|---------|----------------------|---------|
|       1 | 2026-01-02T03:04:05Z | a       |
|         |                      | message |
|         |                      | of some |
|         |                      | words   |
|       2 | 2026-01-02T03:04:05Z | short   |
";
        assert_eq!(lines(&mut log, 44, &pages), expected);
    }

    #[test]
    fn long_names_are_folded_where_there_is_no_room() {
        let columns = ["table_catalog", "table_schema", "is_nullable"].map(|name| (name, Kind::Text));
        let page: &[&[&str]] = &[&["lake", "public", "YES"]];
        let expected = "\
| table_  | table_ | is_      |
| catalog | schema | nullable |
|---------|--------|----------|
| lake    | public | YES      |
";
        assert_eq!(lines(&mut table(&columns), 40, &[page]), expected);
        assert!(lines(&mut table(&columns), 80, &[page]).starts_with("| table_catalog | "));
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc".to_owned()), "a\\u{1b}[2Jb\\nc");
        assert_eq!(harmless("ä".to_owned()), "ä");
    }
}
