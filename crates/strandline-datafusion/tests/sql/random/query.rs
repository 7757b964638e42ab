//! Random queries, whose answers do not depend on the order in which rows are read.

use super::dice::Dice;
use super::world::{Column, Kind};

/// A query over the table `t` of these columns.
pub(super) fn query(dice: &mut Dice, columns: &[Column]) -> String {
    let filter =
        if dice.one_in(6) { String::new() } else { format!(" WHERE {}", predicate(dice, columns, 2)) };
    match dice.below(7) {
        0 => format!("SELECT count(*), {} FROM t{filter}", aggregates(dice, columns)),
        1 => format!("SELECT * FROM t{filter} ORDER BY id"),
        2 => {
            // Not by nested columns: DataFusion's own top-k compares the structs of later batches with its threshold otherwise than
            // it sorts them.
            let flat: Vec<&Column> = columns.iter().filter(|column| column.kind.is_flat()).collect();
            let (key, way) = (dice.pick(&flat).name.clone(), dice.pick(&["ASC", "DESC", "DESC NULLS LAST"]));
            format!(
                "SELECT {} FROM t{filter} ORDER BY {key} {way}, id LIMIT {}",
                list(dice, columns),
                1 + dice.below(20)
            )
        }
        3 => {
            let key = &dice.pick(columns).name;
            format!("SELECT {key}, count(*), min(id), max(id) FROM t{filter} GROUP BY {key} ORDER BY 3")
        }
        4 => format!(
            "SELECT count(*), sum(a.id), min(b.id) FROM t a JOIN (SELECT * FROM t{filter}) b ON a.id = b.id + {}",
            dice.below(5)
        ),
        5 => {
            // What statistics often decide of whole files.
            let (from, to) = (dice.below(150), dice.below(250));
            let key = &dice.pick(columns).name;
            let counted = format!("count(*), count({key}), {}", aggregates(dice, columns));
            format!(
                "SELECT {counted} FROM t WHERE id BETWEEN {from} AND {to} OR {}",
                predicate(dice, columns, 0)
            )
        }
        _ => format!("SELECT {} FROM t{filter} ORDER BY id", list(dice, columns)),
    }
}

fn list(dice: &mut Dice, columns: &[Column]) -> String {
    let some: Vec<&str> =
        columns.iter().filter(|_| dice.one_in(2)).map(|column| column.name.as_str()).collect();
    if some.is_empty() { "id".to_owned() } else { some.join(", ") }
}

fn aggregates(dice: &mut Dice, columns: &[Column]) -> String {
    let flat: Vec<&Column> = columns.iter().filter(|column| column.kind.is_flat()).collect();
    let each = (0..=dice.below(3)).map(|at| {
        let name = &dice.pick(&flat).name;
        format!("{}({name}) AS a{at}", dice.pick(&["count", "min", "max"]))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// A predicate that is as deep as this at most.
pub(super) fn predicate(dice: &mut Dice, columns: &[Column], depth: usize) -> String {
    if depth > 0 {
        let mut part = || predicate(dice, columns, depth - 1);
        let (one, other) = (part(), part());
        match dice.below(5) {
            0 | 1 => return format!("({one} AND {other})"),
            2 => return format!("({one} OR {other})"),
            3 => return format!("NOT ({one})"),
            _ => {}
        }
    }
    let column = dice.pick(columns);
    test(dice, column)
}

fn test(dice: &mut Dice, Column { name, kind }: &Column) -> String {
    if dice.one_in(8) {
        return format!("{name} IS {}NULL", dice.pick(&["", "NOT "]));
    }
    let mut literal = || kind.literal(dice);
    let (one, other) = (literal(), literal());
    match kind {
        Kind::Nested => format!("{name}['x'] {} {one}", dice.pick(&["=", "<", ">=", "<>"])),
        Kind::List => format!("array_length({name}) > {}", dice.below(4)),
        Kind::Boolean => dice.pick(&[name.clone(), format!("NOT {name}"), format!("{name} = {one}")]).clone(),
        Kind::Text if dice.one_in(3) => {
            format!(
                "{name} {}LIKE '{}%'",
                dice.pick(&["", "NOT "]),
                dice.pick(&["a", "aa", "b", "long", "é"])
            )
        }
        Kind::Long if dice.one_in(4) => format!("{name} % 3 = {}", dice.below(3)),
        _ => match dice.below(4) {
            0 => format!("{name} {}IN ({one}, {other})", dice.pick(&["", "NOT "])),
            1 => format!("{name} {}BETWEEN {one} AND {other}", dice.pick(&["", "NOT "])),
            _ => format!("{name} {} {one}", dice.pick(&["=", "<>", "<", "<=", ">", ">="])),
        },
    }
}
