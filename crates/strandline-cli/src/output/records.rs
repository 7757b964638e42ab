//! Rows under each other, a column on each line, for people whose terminal is too narrow to have the columns side by side.
//!
//! What does not belong here: rows that become something else than text at a terminal (`table`).

use std::io::{self, Write};

/// So many letters of a column can be read; more lines would be of fewer.
const LEGIBLE: usize = 8;

/// What stands between two columns.
const BETWEEN: usize = 3;

/// Whether columns of these widths would be squeezed on a terminal of this one until nobody can read them.
pub(super) fn are_squeezed(widths: &[u16], terminal: u16) -> bool {
    let terminal = usize::from(terminal);
    let wanted: usize = widths.iter().map(|width| usize::from(*width) + BETWEEN).sum();
    wanted + 1 > terminal && widths.len() * (LEGIBLE + BETWEEN) + 1 > terminal
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
    fn columns_that_could_not_be_read_are_put_under_each_other() {
        assert!(!are_squeezed(&[5; 8], 80));
        assert!(!are_squeezed(&[3; 13], 80), "they fit");
        assert!(!are_squeezed(&[200; 3], 80), "lines are broken");
        assert!(are_squeezed(&[20; 20], 80));
        assert!(!are_squeezed(&[20; 20], 500));
        let mut out = Vec::new();
        let names = ["a".to_owned(), "long".to_owned()];
        let row = |one: &str, two: &str| vec![one.to_owned(), two.to_owned()];
        print(&mut out, &names, [row("1", "x"), row("", "NULL")].into_iter(), 7).unwrap();
        let expected = "-[ row 8 ]-\na    | 1\nlong | x\n-[ row 9 ]-\na    | \nlong | NULL\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
