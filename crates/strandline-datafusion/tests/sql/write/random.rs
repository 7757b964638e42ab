//! Random DELETE, UPDATE and MERGE against the same done by hand on a list of rows.

use std::fmt::Write as _;

use datafusion::prelude::SessionContext;
use strandline::ErrorKind;

use super::{assert_kind, refused, run};
use crate::fixture::{Counted, rows, session};

/// How many tables, and how many statements on each.
const TABLES: u64 = 12;
const STATEMENTS: usize = 10;

/// Choices that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn number(&mut self) -> i64 {
        i64::try_from(self.below(12)).unwrap()
    }

    fn value(&mut self) -> Option<i64> {
        (self.below(5) > 0).then(|| self.number())
    }
}

/// A row of `t` or `s`: `id`, by which a MERGE joins them, and `a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    id: Option<i64>,
    a: Option<i64>,
}

/// What is true, false or unknown of a row of `t`.
#[derive(Clone, Debug)]
enum Condition {
    Less(&'static str, i64),
    Equal(&'static str, i64),
    Null(&'static str),
    Known(Option<bool>),
    /// `column IN (SELECT id FROM s WHERE id > n)`
    In(&'static str, i64),
    /// A row of `s` with the same id, and an `a` above.
    Exists(i64),
    /// `a` is the greatest of `s`.
    Greatest,
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

impl Condition {
    fn random(dice: &mut Dice, depth: usize) -> Self {
        let column = if dice.below(2) == 0 { "id" } else { "a" };
        let pair = |dice: &mut Dice| {
            (Box::new(Self::random(dice, depth - 1)), Box::new(Self::random(dice, depth - 1)))
        };
        match dice.below(if depth == 0 { 8 } else { 12 }) {
            0 | 1 => Self::Less(column, dice.number()),
            2 => Self::Equal(column, dice.number()),
            3 => Self::Null(column),
            4 => Self::Known([None, Some(false), Some(true)][usize::try_from(dice.below(3)).unwrap()]),
            5 => Self::In(column, dice.number()),
            6 => Self::Exists(dice.number()),
            7 => Self::Greatest,
            8 | 9 => Self::Not(Box::new(Self::random(dice, depth - 1))),
            10 => {
                let (one, other) = pair(dice);
                Self::And(one, other)
            }
            _ => {
                let (one, other) = pair(dice);
                Self::Or(one, other)
            }
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::Less(column, number) => format!("t.{column} < {number}"),
            Self::Equal(column, number) => format!("t.{column} = {number}"),
            Self::Null(column) => format!("t.{column} IS NULL"),
            Self::Known(truth) => truth.map_or("CAST(NULL AS BOOLEAN)".to_owned(), |truth| truth.to_string()),
            Self::In(column, number) => {
                format!("t.{column} IN (SELECT id FROM lake.public.s WHERE id > {number})")
            }
            Self::Exists(number) => {
                format!("EXISTS (SELECT 1 FROM lake.public.s AS x WHERE x.id = t.id AND x.a > {number})")
            }
            Self::Greatest => "t.a = (SELECT max(a) FROM lake.public.s)".to_owned(),
            Self::Not(inner) => format!("NOT ({})", inner.sql()),
            Self::And(one, other) => format!("({}) AND ({})", one.sql(), other.sql()),
            Self::Or(one, other) => format!("({}) OR ({})", one.sql(), other.sql()),
        }
    }

    fn of(&self, row: Row, source: &[Row]) -> Option<bool> {
        let column = |name: &str| if name == "id" { row.id } else { row.a };
        match self {
            Self::Less(name, number) => column(name).map(|value| value < *number),
            Self::Equal(name, number) => column(name).map(|value| value == *number),
            Self::Null(name) => Some(column(name).is_none()),
            Self::Known(truth) => *truth,
            Self::In(name, number) => {
                let ids: Vec<i64> = source.iter().filter_map(|row| row.id).filter(|id| id > number).collect();
                match column(name) {
                    _ if ids.is_empty() => Some(false),
                    value => value.map(|value| ids.contains(&value)),
                }
            }
            Self::Exists(number) => {
                let same = |other: &&Row| other.id == row.id && row.id.is_some();
                Some(source.iter().filter(same).any(|other| other.a.is_some_and(|a| a > *number)))
            }
            Self::Greatest => {
                let greatest = source.iter().filter_map(|row| row.a).max();
                row.a.zip(greatest).map(|(a, greatest)| a == greatest)
            }
            Self::Not(inner) => inner.of(row, source).map(|truth| !truth),
            Self::And(one, other) => match (one.of(row, source), other.of(row, source)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (one, other) => one.zip(other).map(|(one, other)| one && other),
            },
            Self::Or(one, other) => match (one.of(row, source), other.of(row, source)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (one, other) => one.zip(other).map(|(one, other)| one || other),
            },
        }
    }

    fn holds(&self, row: Row, source: &[Row]) -> bool {
        self.of(row, source) == Some(true)
    }
}

/// A clause of a MERGE, with a limit that `a` of the side that is there must be below, or that is not asked.
#[derive(Clone, Copy, Debug)]
struct Clause {
    case: Case,
    below: Option<i64>,
    deletes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Matched,
    NotMatched,
    BySource,
}

impl Clause {
    fn random(dice: &mut Dice) -> Self {
        let case = [Case::Matched, Case::NotMatched, Case::BySource][usize::try_from(dice.below(3)).unwrap()];
        let below = (dice.below(3) > 0).then(|| dice.number());
        Self { case, below, deletes: dice.below(3) == 0 }
    }

    fn sql(self) -> String {
        let (when, side) = match self.case {
            Case::Matched => ("MATCHED", "t"),
            Case::NotMatched => ("NOT MATCHED", "s"),
            Case::BySource => ("NOT MATCHED BY SOURCE", "t"),
        };
        let and = self.below.map_or(String::new(), |below| format!(" AND {side}.a < {below}"));
        let then = match self.case {
            Case::NotMatched => "INSERT (id, a) VALUES (s.id, s.a + 1)",
            _ if self.deletes => "DELETE",
            Case::Matched => "UPDATE SET a = s.a",
            Case::BySource => "UPDATE SET a = t.a - 1, id = t.id + 20",
        };
        format!(" WHEN {when}{and} THEN {then}")
    }

    fn applies(self, case: Case, a: Option<i64>) -> bool {
        self.case == case && self.below.is_none_or(|below| a.is_some_and(|a| a < below))
    }
}

/// Nothing equals null, not even null.
fn is_match(row: &Row, other: &Row) -> bool {
    row.id.is_some() && row.id == other.id
}

/// The rows after a MERGE, and how many it changes; or the key of a row that several rows of the source would change.
fn merged(table: &[Row], source: &[Row], clauses: &[Clause]) -> End {
    let (mut after, mut count, mut twice) = (Vec::new(), 0, Vec::new());
    for row in table {
        let mut matches = source.iter().filter(|other| is_match(row, other));
        let matched = matches.next();
        let case = if matched.is_some() { Case::Matched } else { Case::BySource };
        let clause = clauses.iter().find(|clause| clause.applies(case, row.a));
        count += u64::from(clause.is_some());
        if clause.is_some() && matches.next().is_some() {
            twice.extend(row.id);
        }
        match (clause, matched) {
            (None, _) => after.push(*row),
            (Some(clause), _) if clause.deletes => {}
            (Some(_), Some(other)) => after.push(Row { a: other.a, ..*row }),
            (Some(_), None) => {
                after.push(Row { a: row.a.map(|a| a - 1), id: row.id.map(|id| id + 20) });
            }
        }
    }
    for other in source {
        let unmatched = !table.iter().any(|row| is_match(row, other));
        if unmatched && clauses.iter().any(|clause| clause.applies(Case::NotMatched, other.a)) {
            after.push(Row { a: other.a.map(|a| a + 1), ..*other });
            count += 1;
        }
    }
    if twice.is_empty() { Ok((after, count)) } else { Err(twice) }
}

fn values(rows: &[Row]) -> String {
    let cell = |value: Option<i64>| value.map_or("NULL".to_owned(), |value| value.to_string());
    let row = |row: &Row| format!("({}, {})", cell(row.id), cell(row.a));
    rows.iter().map(row).collect::<Vec<_>>().join(", ")
}

/// The rows after a statement, and how many it changes; or the keys one of which its error names.
type End = Result<(Vec<Row>, u64), Vec<i64>>;

/// One statement, and what it should come to.
fn statement(dice: &mut Dice, table: &[Row], source: &[Row]) -> (String, End) {
    let condition = Condition::random(dice, 2);
    let holds = |row: &Row| condition.holds(*row, source);
    let count = table.iter().filter(|row| holds(row)).count() as u64;
    match dice.below(4) {
        0 => {
            let left = table.iter().filter(|row| !holds(row)).copied().collect();
            (format!("DELETE FROM lake.public.t WHERE {}", condition.sql()), Ok((left, count)))
        }
        1 => {
            let number = dice.number();
            let change = |row: &Row| Row { a: row.id, id: row.a.map(|a| a + number) };
            let after = table.iter().map(|row| if holds(row) { change(row) } else { *row }).collect();
            (
                format!("UPDATE lake.public.t SET a = id, id = a + {number} WHERE {}", condition.sql()),
                Ok((after, count)),
            )
        }
        2 => {
            let new: Vec<Row> =
                (0..=dice.below(6)).map(|_| Row { id: dice.value(), a: dice.value() }).collect();
            let after = table.iter().chain(&new).copied().collect();
            let count = new.len() as u64;
            (format!("INSERT INTO lake.public.t VALUES {}", values(&new)), Ok((after, count)))
        }
        _ => {
            let clauses: Vec<Clause> = (0..=dice.below(3)).map(|_| Clause::random(dice)).collect();
            let mut sql = "MERGE INTO lake.public.t AS t USING lake.public.s AS s ON t.id = s.id".to_owned();
            for clause in &clauses {
                let _ = write!(sql, "{}", clause.sql());
            }
            let end = merged(table, source, &clauses);
            (sql, end)
        }
    }
}

async fn found(ctx: &SessionContext) -> Vec<String> {
    rows(ctx, "SELECT id, '/', a FROM lake.public.t ORDER BY id NULLS FIRST, a NULLS FIRST").await
}

fn expected(table: &[Row]) -> Vec<String> {
    let mut sorted = table.to_vec();
    sorted.sort();
    let cell = |value: Option<i64>| value.map_or(String::new(), |value| value.to_string());
    sorted.iter().map(|row| format!("{} / {}", cell(row.id), cell(row.a)).trim().to_owned()).collect()
}

/// Rows that a source has: of some tables none that has another one's key, nor none at all.
fn random_source(dice: &mut Dice, seed: u64) -> Vec<Row> {
    let mut source: Vec<Row> = Vec::new();
    for id in 0..12 {
        if dice.below(3) == 0 {
            source.push(Row { id: Some(id), a: dice.value() });
        }
    }
    if seed % 2 == 1 && !source.is_empty() {
        let again = source[usize::try_from(dice.below(source.len() as u64)).unwrap()];
        source.push(Row { a: dice.value(), ..again });
    }
    if !seed.is_multiple_of(3) {
        source.extend((0..seed % 3).map(|_| Row { id: None, a: dice.value() }));
    }
    source
}

#[tokio::test]
async fn random_statements_do_what_they_say() {
    let (mut refusals, mut nulls) = (0, 0);
    for seed in 0..TABLES {
        let mut dice = Dice(seed);
        let lake = Counted::new().await.lake;
        let empty = crate::fixture::longs([]);
        for name in ["t", "s"] {
            crate::fixture::table(&lake, name, &[("id", empty.clone()), ("a", empty.clone())]).await;
        }
        let ctx = session(&lake);
        let source = random_source(&mut dice, seed);
        if !source.is_empty() {
            run(&ctx, &format!("INSERT INTO lake.public.s VALUES {}", values(&source))).await.unwrap();
        }
        let mut table: Vec<Row> = (0..8).map(|_| Row { id: dice.value(), a: dice.value() }).collect();
        run(&ctx, &format!("INSERT INTO lake.public.t VALUES {}", values(&table))).await.unwrap();
        for _ in 0..STATEMENTS {
            let (sql, end) = statement(&mut dice, &table, &source);
            let what = format!("seed {seed}: {sql} on {table:?} with {source:?}");
            match end {
                Ok((after, count)) => {
                    let changed = run(&ctx, &sql).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_eq!(found(&ctx).await, expected(&after), "{what}");
                    assert_eq!(changed, count, "{what}");
                    let null_keys = |rows: &[Row]| rows.iter().filter(|row| row.id.is_none()).count();
                    let joins = sql.starts_with("MERGE") && null_keys(&source) > 0;
                    nulls += usize::from(joins && null_keys(&after) > null_keys(&table));
                    table = after;
                }
                Err(keys) => {
                    let error = refused(&lake, &ctx, &sql).await;
                    let is_named = keys.iter().any(|key| error.to_string().contains(&format!("id = {key},")));
                    assert!(is_named, "{what}: {error}");
                    assert_kind(&error, ErrorKind::InvalidInput, "several rows of the source match");
                    assert_eq!(found(&ctx).await, expected(&table), "{what}");
                    refusals += 1;
                }
            }
        }
    }
    assert!(refusals > 0 && nulls > 0, "{refusals} refused, {nulls} that put in rows without a key");
}
