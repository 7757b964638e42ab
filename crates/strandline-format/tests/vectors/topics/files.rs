//! Statistics: merging them, and filtering by them.
//!
//! Statistics stand in nodes only, so each case becomes a leaf of files that have nothing else of interest.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use strandline_format::tree::{Columns, Node, TreeKind};
use strandline_format::{
    Absent, Comparison, Error, FieldId, FieldStats, FileColumns, FileId, Files, Filter, Hash, Mask,
    ObjectRef, PrimitiveType, Test, Value,
};

use crate::outcome::{Failure, Outcome, json, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatsInput {
    stats: Box<RawValue>,
    rows: Vec<u64>,
}

/// `{"stats", "rows"}`, the statistics and row counts of several files, to those of all of them together, for each field
/// of which something is known: `[type, nulls, nans, values, min, max, min_exact, max_exact]`.
pub(crate) fn stats(input: &RawValue) -> Outcome {
    let StatsInput { stats, rows } = read(input)?;
    let leaf = Node::<Files>::Leaf(columns(&stats, &rows)?);
    let summary = leaf.describe(ObjectRef { hash: Hash::of(b""), era: Default::default(), size: 0 })?.summary;
    let fields =
        summary.stats.0.iter().map(|(id, field)| Ok(format!("\"{id}\":{}", show(field, summary.rows)?)));
    Ok(format!("{{{}}}", fields.collect::<Result<Vec<_>, Error>>()?.join(",")))
}

fn show(field: &FieldStats, rows: u64) -> Result<String, Error> {
    let count = |count: Option<u64>| count.map_or_else(|| "null".to_owned(), |count| count.to_string());
    let value = |value: Option<&Value>| value.map_or_else(|| Ok("null".to_owned()), Value::to_json);
    let (min, max) = (field.min.as_ref(), field.max.as_ref());
    Ok(format!(
        "[\"{}\",{},{},{},{},{},{},{}]",
        field.ty,
        count(field.nulls),
        count(field.nans),
        field.values.unwrap_or(rows),
        value(min.map(|bound| &bound.value))?,
        value(max.map(|bound| &bound.value))?,
        min.is_none_or(|bound| bound.exact),
        max.is_none_or(|bound| bound.exact),
    ))
}

/// The columns of files with these statistics.
fn columns(stats: &RawValue, rows: &[u64]) -> Result<FileColumns, Failure> {
    let same = |value: &str| vec![value; rows.len()].join(",");
    let list =
        |of: &dyn Fn(usize) -> u64| serde_json::to_string(&(0..rows.len()).map(of).collect::<Vec<_>>());
    let hash = serde_json::to_string(&Hash::of(b""))?;
    let text = format!(
        r#"{{"format":1,"kind":"files","level":0,"entries":{{"id":{},"hash":[{}],"size":[{}],"rows":{},"footer":[{}],"first_row":[{}],"added":[{}],"stats":{}}}}}"#,
        list(&|at| at as u64)?,
        same(&hash),
        same("100"),
        list(&|at| rows[at])?,
        same("12"),
        same("0"),
        same("0"),
        stats.get(),
    );
    match Node::<Files>::parse(text.as_bytes())? {
        Node::Leaf(columns) => Ok(columns),
        Node::Inner(..) => Err(Failure::Input("no leaf".to_owned())),
    }
}

/// A list of `{"rows", "stats"}`, each of one file, to the statistics of a leaf with these files.
pub(crate) fn stats_columns(input: &RawValue) -> Outcome {
    let mut entries = Vec::new();
    for StatsOfOne { rows, stats } in read::<Vec<StatsOfOne>>(input)? {
        let mut entry = columns(&stats, &[rows])?.item(0);
        entry.id = FileId(entries.len() as u64);
        entries.push(entry);
    }
    let leaf = Files::write_node(&Node::Leaf(FileColumns::from_items(&entries)))?;
    super::trees::member(super::trees::member(&leaf, "entries")?.as_bytes(), "stats")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatsOfOne {
    rows: u64,
    stats: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterInput {
    stats: Box<RawValue>,
    rows: Vec<u64>,
    filter: Box<RawValue>,
    #[serde(default)]
    absent: BTreeMap<FieldId, AbsentInput>,
}

/// Which files were written without a field, and what its rows have then.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AbsentInput {
    files: Vec<bool>,
    /// `[type, value]`, or null.
    initial: Option<(String, Box<RawValue>)>,
}

/// `{"stats", "rows", "filter", "absent"}` to the places of the files that may hold a row that passes.
pub(crate) fn filter(input: &RawValue) -> Outcome {
    let FilterInput { stats, rows, filter, absent } = read(input)?;
    let columns = columns(&stats, &rows)?;
    let filter = filter_of(&filter)?;
    let mut known = BTreeMap::new();
    for (id, AbsentInput { files, initial }) in absent {
        let initial = initial.map(|(ty, value)| literal(&ty, value.get())).transpose()?;
        known.insert(id, Absent { entries: files.into_iter().collect::<Mask>(), initial });
    }
    let kept = filter.may_match(columns.stats(), &rows, &|id| known.get(&id).cloned());
    json(kept.ones().collect::<Vec<_>>())
}

/// `true`, `false`, `["and", …]`, `["or", …]`, `["not", …]`, or `[test, field, type, literals…]`.
fn filter_of(input: &RawValue) -> Result<Filter, Failure> {
    if let Ok(constant) = read::<bool>(input) {
        return Ok(if constant { Filter::True } else { Filter::False });
    }
    let parts: Vec<Box<RawValue>> = read(input)?;
    let (word, rest) = parts.split_first().ok_or_else(|| Failure::Input("an empty filter".to_owned()))?;
    let word: String = read(word)?;
    let inner = || rest.iter().map(|part| filter_of(part)).collect::<Result<Vec<_>, _>>();
    Ok(match (word.as_str(), rest) {
        ("and", _) => Filter::And(inner()?),
        ("or", _) => Filter::Or(inner()?),
        ("not", [part]) => Filter::Not(Box::new(filter_of(part)?)),
        (_, [field]) => Filter::Field(read(field)?, test(&word, Vec::new())?),
        (_, [field, ty, literals @ ..]) => {
            let ty: String = read(ty)?;
            let literals =
                literals.iter().map(|text| literal(&ty, text.get())).collect::<Result<Vec<_>, _>>()?;
            Filter::Field(read(field)?, test(&word, literals)?)
        }
        _ => return Err(Failure::Input(format!("no filter: {}", input.get()))),
    })
}

/// A literal; NaN, which has no form of its own, is written as a text.
fn literal(ty: &str, text: &str) -> Result<Value, Failure> {
    match (ty.parse()?, text) {
        (PrimitiveType::Float, "\"NaN\"") => Ok(Value::Float(f32::NAN)),
        (PrimitiveType::Double, "\"NaN\"") => Ok(Value::Double(f64::NAN)),
        (ty, text) => Ok(Value::from_json(ty, text)?),
    }
}

fn test(word: &str, mut literals: Vec<Value>) -> Result<Test, Failure> {
    let comparison = match word {
        "=" => Some(Comparison::Equal),
        "<>" => Some(Comparison::NotEqual),
        "<" => Some(Comparison::Less),
        "<=" => Some(Comparison::LessOrEqual),
        ">" => Some(Comparison::Greater),
        ">=" => Some(Comparison::GreaterOrEqual),
        _ => None,
    };
    match (word, literals.len(), comparison) {
        ("is null", 0, _) => return Ok(Test::IsNull),
        ("is not null", 0, _) => return Ok(Test::IsNotNull),
        ("in", ..) => return Ok(Test::In(literals)),
        ("not in", ..) => return Ok(Test::NotIn(literals)),
        _ => {}
    }
    let last = literals.pop().ok_or_else(|| Failure::Input(format!("{word} takes a literal")))?;
    match (word, comparison, literals.pop()) {
        (_, Some(comparison), None) => Ok(Test::Compare(comparison, last)),
        ("between", None, Some(first)) => Ok(Test::Between(first, last)),
        ("starts with", None, None) => Ok(Test::StartsWith(last)),
        ("starts otherwise", None, None) => Ok(Test::NotStartsWith(last)),
        _ => Err(Failure::Input(format!("{word:?} is no test"))),
    }
}
