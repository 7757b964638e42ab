//! The queries of TPC-H with the values that the benchmark validates with, and their limits of rows.

use tpchgen::q_and_a::queries;

use crate::phase::Failure;

/// How many queries there are.
pub(crate) const QUERIES: i32 = 22;

/// What stands for the parameters of each query, in their order.
const VALUES: [&[&str]; 22] = [
    &["90"],
    &["15", "BRASS", "EUROPE"],
    &["BUILDING", "1995-03-15"],
    &["1993-07-01"],
    &["ASIA", "1994-01-01"],
    &["1994-01-01", "0.06", "24"],
    &["FRANCE", "GERMANY"],
    &["BRAZIL", "AMERICA", "ECONOMY ANODIZED STEEL"],
    &["green"],
    &["1993-10-01"],
    &["GERMANY", "0.0001"],
    &["MAIL", "SHIP", "1994-01-01"],
    &["special", "requests"],
    &["1995-09-01"],
    &["1996-01-01"],
    &["Brand#45", "MEDIUM POLISHED", "49", "14", "23", "45", "19", "3", "36", "9"],
    &["Brand#23", "MED BOX"],
    &["300"],
    &["Brand#12", "Brand#23", "Brand#34", "1", "10", "20"],
    &["forest", "1994-01-01", "CANADA"],
    &["SAUDI ARABIA"],
    &["13", "31", "23", "29", "30", "18", "17"],
];

/// How many rows those queries give that have a limit.
const LIMITS: [(i32, u32); 5] = [(2, 100), (3, 10), (10, 20), (18, 100), (21, 100)];

/// A query, by its number from 1.
pub(crate) fn query(number: i32) -> Result<String, Failure> {
    let values = usize::try_from(number - 1).ok().and_then(|at| VALUES.get(at));
    let (Some(text), Some(values)) = (queries::query(number), values) else {
        return Err(format!("TPC-H has no query {number}").into());
    };
    // The longest names first, because `:1` begins `:10`.
    let filled = values.iter().enumerate().rev();
    let text = filled.fold(text.to_owned(), |text, (at, value)| text.replace(&format!(":{}", at + 1), value));
    let text = text.replace("day (3)", "day");
    let text = if text.contains("create view") { inlined(&text)? } else { text };
    let text = text.trim().trim_end_matches(';').to_owned();
    Ok(match LIMITS.iter().find(|(of, _)| *of == number) {
        Some((_, limit)) => format!("{text} limit {limit}"),
        None => text,
    })
}

/// The query over a view that it makes and drops, as one over a common table.
fn inlined(text: &str) -> Result<String, Failure> {
    let text = text.replace("revenue:s", "revenue");
    let mut parts = text.split(';');
    let (Some(view), Some(query)) = (parts.next(), parts.next()) else {
        return Err("the query makes a view, and asks nothing of it".into());
    };
    let (name, body) = view.split_once(" as").ok_or("the view has no query")?;
    Ok(format!("{} as ({body}) {query}", name.replace("create view", "with")))
}
