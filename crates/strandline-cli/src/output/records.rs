//! Rows under each other, a column on each line, for people whose terminal is too narrow to have the columns side by side.
//!
//! What does not belong here: rows that become something else than text at a terminal (`table`).

use std::io::{self, Write};

/// So many letters of a column can be read; more lines would be of fewer.
const LEGIBLE: usize = 8;

/// So many at the least are left to a column beside those that stay in one piece.
const LEAST: usize = 5;

/// What stands between two columns.
const BETWEEN: usize = 3;

/// A column as it would be without lines that are broken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) width: u16,
    /// Whether it is broken in no case.
    pub(super) whole: bool,
}

/// Whether there is no room on a terminal of this width for columns side by side without lines that are broken.
pub(super) fn are_broken(columns: &[Wanted], terminal: u16) -> bool {
    side_by_side(columns, |column| column.width.into()) > usize::from(terminal)
}

/// Whether columns would be squeezed on a terminal of this width until nobody can read them.
pub(super) fn are_squeezed(columns: &[Wanted], terminal: u16) -> bool {
    let least = |column: &Wanted| if column.whole { usize::from(column.width) } else { LEAST };
    let terminal_of = usize::from(terminal);
    are_broken(columns, terminal)
        && (side_by_side(columns, |_| LEGIBLE) > terminal_of || side_by_side(columns, least) > terminal_of)
}

fn side_by_side(columns: &[Wanted], width: impl Fn(&Wanted) -> usize) -> usize {
    columns.iter().map(|column| width(column) + BETWEEN).sum::<usize>() + 1
}

/// A name in lines of so many letters as can be read, broken behind underscores only.
pub(super) fn folded(name: &str) -> String {
    let (mut lines, mut letters) = (String::new(), 0);
    for part in name.split_inclusive('_') {
        let more = part.chars().count();
        if letters > 0 && letters + more > LEGIBLE {
            lines.push('\n');
            letters = 0;
        }
        lines.push_str(part);
        letters += more;
    }
    lines
}

/// Prints the names of columns of which no rows came.
pub(super) fn print_none(out: &mut impl Write, names: &[String]) -> io::Result<()> {
    writeln!(out, "-[ no rows ]-")?;
    names.iter().try_for_each(|name| writeln!(out, "{name}"))
}

/// Prints rows, of which so many came before.
pub(super) fn print(
    out: &mut impl Write,
    names: &[String],
    rows: impl Iterator<Item = Vec<String>>,
    before: usize,
) -> io::Result<()> {
    let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for (row, cells) in rows.enumerate() {
        writeln!(out, "-[ row {} ]-", before + row + 1)?;
        for (name, cell) in names.iter().zip(cells) {
            writeln!(out, "{name:widest$} | {cell}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_behind_underscores() {
        let check = |name: &str, expected: &str| assert_eq!(folded(name), expected);
        check("is_nullable", "is_\nnullable");
        check("table_catalog_name", "table_\ncatalog_\nname");
        check("a_b_c", "a_b_c");
        check("_commit_timestamp", "_commit_\ntimestamp");
        check("", "");
    }

    #[test]
    fn columns_that_could_not_be_read_are_put_under_each_other() {
        let squeezed = |widths: &[u16], wholes: usize, terminal| {
            let wanted = |(at, width): (usize, &u16)| Wanted { width: *width, whole: at < wholes };
            are_squeezed(&widths.iter().enumerate().map(wanted).collect::<Vec<_>>(), terminal)
        };
        assert!(!squeezed(&[5; 8], 0, 80));
        assert!(!squeezed(&[3; 13], 0, 80), "they fit");
        assert!(!squeezed(&[200; 3], 0, 80), "lines are broken");
        assert!(squeezed(&[20; 20], 0, 80));
        assert!(!squeezed(&[20; 20], 0, 500));
        assert!(!squeezed(&[20, 10, 30, 30, 30, 30], 2, 80), "enough is left to the others");
        assert!(squeezed(&[29, 29, 30, 30], 2, 80));
        let mut out = Vec::new();
        let names = ["a".to_owned(), "long".to_owned()];
        let row = |one: &str, two: &str| vec![one.to_owned(), two.to_owned()];
        print(&mut out, &names, [row("1", "x"), row("", "NULL")].into_iter(), 7).unwrap();
        print_none(&mut out, &names[1..]).unwrap();
        let expected =
            "-[ row 8 ]-\na    | 1\nlong | x\n-[ row 9 ]-\na    | \nlong | NULL\n-[ no rows ]-\nlong\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
