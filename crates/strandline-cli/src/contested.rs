//! Rows that two sides disagree on, with what they are on all sides: as programs read them, and a line for each as people do.
//!
//! What does not belong here: what the disagreement is about, which is in the message of the failure.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// So many rows are told to people.
const TOLD: usize = 20;

/// A row that two sides disagree on, or a row of each that have one key.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ContestedRow {
    pub(crate) table: String,
    pub(crate) key: Option<String>,
    pub(crate) base: Option<Box<RawValue>>,
    pub(crate) ours: Option<Box<RawValue>>,
    pub(crate) theirs: Option<Box<RawValue>>,
}

/// The rows as lines, as many as a person reads.
pub(crate) fn lines(rows: &[ContestedRow]) -> String {
    let mut text: String = rows.iter().take(TOLD).map(|row| format!("  {}\n", row.line())).collect();
    if let Some(more) = rows.len().checked_sub(TOLD).filter(|more| *more > 0) {
        text.push_str(&format!("  and {more} more, which -o json names\n"));
    }
    text
}

impl ContestedRow {
    /// What is at odds, cell by cell.
    fn line(&self) -> String {
        let [base, ours, theirs] = [&self.base, &self.ours, &self.theirs].map(cells);
        let sides = [&base, &ours, &theirs];
        let differs = |name: &str| {
            let mut found = sides.iter().filter_map(|side| Some(side.as_ref()?.get(name)));
            let first = found.next();
            found.any(|value| Some(value) != first)
        };
        let told = |side: &Option<Map<String, Value>>| match side {
            Some(cells) => {
                let alone = sides.iter().filter(|side| side.is_some()).count() == 1;
                let cells = cells.iter().filter(|(name, _)| *name != ROW_ID && (alone || differs(name)));
                cells.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
            }
            None if base.is_some() => "deleted".to_owned(),
            None => "none".to_owned(),
        };
        let before = base.as_ref().map(|_| format!("{} before, ", told(&base))).unwrap_or_default();
        let name = self.key.clone().or_else(|| row_id(sides)).unwrap_or_default();
        if let ([None, Some(ours), Some(theirs)], true) = (sides.map(Option::as_ref), self.key.is_some())
            && ours.keys().all(|cell| cell == ROW_ID || !differs(cell))
        {
            let [ours, theirs] =
                [ours, theirs].map(|row| row.get(ROW_ID).map(ToString::to_string).unwrap_or_default());
            return format!(
                "{} {name}: equal in all columns, but two rows: row {ours} of ours, row {theirs} of theirs",
                self.table
            );
        }
        format!("{} {name}: {before}ours: {}, theirs: {}", self.table, told(&ours), told(&theirs))
    }
}

const ROW_ID: &str = "_row_id";

fn cells(row: &Option<Box<RawValue>>) -> Option<Map<String, Value>> {
    serde_json::from_str(row.as_ref()?.get()).ok()
}

fn row_id(sides: [&Option<Map<String, Value>>; 3]) -> Option<String> {
    let id = sides.iter().find_map(|side| side.as_ref()?.get(ROW_ID))?;
    Some(format!("row {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_differ_are_told_of_each_side() {
        let row = |text: &str| (!text.is_empty()).then(|| RawValue::from_string(text.to_owned()).unwrap());
        let check = |key: Option<&str>, [base, ours, theirs]: [&str; 3], expected: &str| {
            let (table, key) = ("t".to_owned(), key.map(ToOwned::to_owned));
            let row = ContestedRow { table, key, base: row(base), ours: row(ours), theirs: row(theirs) };
            assert_eq!(lines(&[row]), format!("  {expected}\n"));
        };
        let [a, b, c] = ["1", "2", "3"].map(|value| format!(r#"{{"id":7,"n":{value},"s":"x","_row_id":4}}"#));
        check(Some("(id = 7)"), [&a, &b, &c], "t (id = 7): n 1 before, ours: n 2, theirs: n 3");
        check(None, [&a, &b, &a], "t row 4: n 1 before, ours: n 2, theirs: n 1");
        check(None, [&a, "", &c], "t row 4: n 1 before, ours: deleted, theirs: n 3");
        check(Some("(id = 7)"), ["", &b, &c], "t (id = 7): ours: n 2, theirs: n 3");
        let one = r#"{"id":7,"_row_id":4}"#;
        let other = r#"{"id":7,"_row_id":9}"#;
        check(
            Some("(id = 7)"),
            ["", one, other],
            "t (id = 7): equal in all columns, but two rows: row 4 of ours, row 9 of theirs",
        );
        check(None, ["", &b, ""], r#"t row 4: ours: id 7, n 2, s "x", theirs: none"#);
    }

    #[test]
    fn of_many_rows_the_first_are_told() {
        let row = ContestedRow {
            table: "t".to_owned(),
            key: Some("(id = 1)".to_owned()),
            base: None,
            ours: None,
            theirs: None,
        };
        let text = lines(&vec![row; TOLD + 3]);
        assert_eq!(text.lines().count(), TOLD + 1);
        assert!(text.ends_with("  and 3 more, which -o json names\n"), "{text}");
    }
}
