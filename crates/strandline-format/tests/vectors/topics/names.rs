//! Names with their keys, and paths both ways.

use serde::Deserialize;
use serde_json::value::RawValue;
use strandline_format::{
    ColumnName, Era, Hash, NameKey, ObjectPath, ObjectRef, PathKind, RefName, TableId, TableName,
};

use crate::outcome::{Failure, Outcome, json, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameInput {
    #[serde(rename = "type")]
    sort: String,
    name: String,
}

/// `{"type", "name"}` to `{"key"}`; the name itself stays as it was given.
pub(crate) fn name(input: &RawValue) -> Outcome {
    let NameInput { sort, name } = read(input)?;
    let (kept, key) = match sort.as_str() {
        "ref" => RefName::new(name.as_str()).map(|found| (found.to_string(), found.key().clone()))?,
        "table" => TableName::new(name.as_str()).map(|found| (found.to_string(), found.key().clone()))?,
        "column" => ColumnName::new(name.as_str()).map(|found| (found.to_string(), found.key().clone()))?,
        _ => return Err(Failure::Input(format!("{sort:?} is no sort of name"))),
    };
    if kept != name || NameKey::of(key.as_str()) != key {
        return json(
            serde_json::json!({ "kept": kept, "key of the key": NameKey::of(key.as_str()).as_str() }),
        );
    }
    json(serde_json::json!({ "key": key.as_str() }))
}

/// One of the objects that have a path, or a path to be classified.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathInput {
    branch: Option<String>,
    tag: Option<String>,
    classify: Option<String>,
    kind: Option<String>,
    table: Option<TableId>,
    hash: Option<Hash>,
    era: Option<Era>,
    size: Option<u64>,
}

/// `{"branch"}`, `{"tag"}`, `{"hash", "era", "size"}` or `{"table", "kind", "hash", "era"}` to a path; `{"classify"}`, a
/// path, to what it is the path of.
pub(crate) fn path(input: &RawValue) -> Outcome {
    let path = match read(input)? {
        PathInput { classify: Some(path), .. } => return json(classify(&path)),
        PathInput { branch: Some(name), .. } => ObjectPath::branch(&RefName::new(name)?),
        PathInput { tag: Some(name), .. } => ObjectPath::tag(&RefName::new(name)?),
        PathInput { hash: Some(hash), era: Some(era), size: Some(size), .. } => {
            ObjectPath::meta(&ObjectRef { hash, era, size })
        }
        PathInput { table: Some(table), kind: Some(kind), hash: Some(hash), era: Some(era), .. } => {
            match kind.as_str() {
                "data" => ObjectPath::data(table, &hash, era),
                "dv" => ObjectPath::deletion_vector(table, &hash, era),
                _ => return Err(Failure::Input(format!("{kind:?} is no kind of data"))),
            }
        }
        _ => return Err(Failure::Input("no object that has a path".to_owned())),
    };
    if classify(path.as_str()).is_none() {
        return json(format!("{path} is taken for a foreign object"));
    }
    json(path.as_str())
}

fn classify(path: &str) -> Option<&'static str> {
    Some(match ObjectPath::parse(path)? {
        PathKind::Lake => "lake",
        PathKind::Branch(_) => "branches",
        PathKind::Tag(_) => "tags",
        PathKind::Meta { .. } => "meta",
        PathKind::Data { .. } | PathKind::DeletionVector { .. } => "data",
        _ => "other",
    })
}
