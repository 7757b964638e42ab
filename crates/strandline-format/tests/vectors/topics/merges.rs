//! The rules of the one merge: rows, files, catalogs, tables and numbers.
//!
//! Ids and hashes that say nothing are given as short words and small numbers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use strandline_format::merge::{
    CatalogConflictKind, FileMerge, FileSide, FileSides, KeyedRow, ListMap, MergedNode, RowFate, RowMerge,
    TableConflict, TableSide, TouchedTwice, merge_catalogs, merge_tables, same_keys,
};
use strandline_format::tree::{Columns, Node, TreeKind};
use strandline_format::{
    CatalogEntry, DeletionVector, EntryType, Era, FileEntry, FileId, Files, Hash, NumberMap, ObjectRef,
    Pieces, Renumbering, RowId, RowIds, Seq, Stats, Step, Table, TableId, TableName, TableSchema,
};

use super::deletes::{Range, of, ranges};
use super::pointers::changes;
use crate::outcome::{Failure, Outcome, json as outcome, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowInput {
    ours: Fate,
    theirs: Fate,
    /// The side that has a field back.
    back: Option<Back>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Back {
    Ours,
    Theirs,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fate {
    Left,
    Moved,
    Deleted,
    Changed,
    Restored,
}

impl From<Fate> for RowFate {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Left => Self::Left,
            Fate::Moved => Self::Moved,
            Fate::Deleted => Self::Deleted,
            Fate::Changed => Self::Changed,
            Fate::Restored => Self::Restored,
        }
    }
}

/// `{"ours", "theirs"}`, what each side did to a row, to where it is then.
pub(crate) fn row(input: &RawValue) -> Outcome {
    let RowInput { ours, theirs, back } = read(input)?;
    let back = [Back::Ours, Back::Theirs].map(|side| back == Some(side));
    outcome(match RowMerge::with_fields_back(ours.into(), theirs.into(), back) {
        RowMerge::Ours => "ours",
        RowMerge::Theirs => "theirs",
        RowMerge::Deleted => "deleted",
        RowMerge::Conflict => "conflict",
    })
}

/// `[key, ours, theirs]` for each row of a result: its key there, and on each side that has the row.
pub(crate) fn keys(input: &RawValue) -> Outcome {
    let rows: Vec<(String, Option<String>, Option<String>)> = read(input)?;
    let rows: Vec<_> = rows.into_iter().map(|(key, ours, theirs)| KeyedRow { key, ours, theirs }).collect();
    outcome(same_keys(&rows))
}

/// A file of 100 rows on one side.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileInput {
    content: String,
    #[serde(default)]
    deleted: Vec<Range>,
    /// Where it was uploaded: no matter for what it is.
    #[serde(default)]
    era: Era,
}

impl FileInput {
    fn entry(&self) -> FileEntry {
        FileEntry {
            id: FileId(0),
            hash: Hash::of(self.content.as_bytes()),
            era: self.era,
            size: 1000,
            rows: 100,
            footer: 100,
            first_row: RowId(0),
            added: Seq(1),
            fields: 0,
            deletes: None,
            row_groups: vec![4],
            order: None,
            split: None,
            shifts: NumberMap::default(),
            row_ids: RowIds::Derived,
            external: None,
            stats: Stats::default().into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesInput {
    base: Option<FileInput>,
    ours: Option<FileInput>,
    theirs: Option<FileInput>,
    #[serde(default)]
    ours_moves: bool,
    #[serde(default)]
    theirs_moves: bool,
}

/// `{"base", "ours", "theirs", "ours_moves", "theirs_moves"}`, one file id on all sides, to what it comes to.
pub(crate) fn file(input: &RawValue) -> Outcome {
    let input: FilesInput = read(input)?;
    let given = [&input.base, &input.ours, &input.theirs];
    let entries = given.map(|side| side.as_ref().map(FileInput::entry));
    let mut vectors = Vec::new();
    for side in given {
        vectors.push(of(side.as_ref().map_or(&[][..], |side| &side.deleted))?);
    }
    let side = |at: usize| entries[at].as_ref().map(|entry| FileSide { entry, deletes: &vectors[at] });
    let sides = FileSides {
        base: side(0),
        ours: side(1),
        theirs: side(2),
        ours_moves: input.ours_moves,
        theirs_moves: input.theirs_moves,
    };
    outcome(show_file(&sides.merge()))
}

fn show_file(merge: &FileMerge) -> Json {
    let positions = |vector: &DeletionVector| ranges(vector);
    match merge {
        FileMerge::Ours => json!("ours"),
        FileMerge::Theirs => json!("theirs"),
        FileMerge::Remove => json!("removed"),
        FileMerge::Deletes(vector) => json!({ "ours, deleted": positions(vector) }),
        FileMerge::Again(vector) => json!({ "theirs again, deleted": positions(vector) }),
        FileMerge::Rows(TouchedTwice::Positions(vector)) => json!({ "touched twice": positions(vector) }),
        FileMerge::Rows(TouchedTwice::AllLive) => json!({ "touched twice": "all live rows" }),
        FileMerge::Conflict(_) => json!("conflict"),
    }
}

/// Name, type, a number for the id, a word for the node.
pub(super) type NamedInput = (String, String, u8, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogsInput {
    base: Vec<NamedInput>,
    ours: Vec<NamedInput>,
    theirs: Vec<NamedInput>,
}

/// The words that nodes are given as, by their hashes.
pub(super) type Words = BTreeMap<Hash, String>;

/// `{"base", "ours", "theirs"}`, each a list of `[name, type, id, node]`, to what is removed from and put into ours, and what the
/// sides disagree on.
pub(crate) fn catalog(input: &RawValue) -> Outcome {
    let CatalogsInput { base, ours, theirs } = read(input)?;
    let mut words = Words::new();
    let mut side = |side: Vec<NamedInput>| {
        side.into_iter().map(|named| catalog_entry(named, &mut words)).collect::<Result<Vec<_>, _>>()
    };
    let (base, ours, theirs) = (side(base)?, side(ours)?, side(theirs)?);
    let merge = merge_catalogs(&base, &ours, &theirs);
    let name = |entry: &Option<CatalogEntry>| entry.as_ref().map(|entry| entry.name.to_string());
    let mut conflicts: Vec<Json> = Vec::new();
    for conflict in &merge.conflicts {
        conflicts.push(json!([conflict_word(conflict.kind), name(&conflict.ours), name(&conflict.theirs)]));
    }
    if !conflicts.is_empty() {
        return outcome(json!({ "conflicts": conflicts }));
    }
    let puts = merge.puts.iter().map(|put| {
        json!([
            put.name.as_str(),
            put.entry_type.as_str(),
            put.id.as_bytes()[0],
            show_node(&put.node, &words)
        ])
    });
    let removes: Vec<&str> = merge.removes.iter().map(|key| key.as_str()).collect();
    outcome(json!({ "removes": removes, "puts": puts.collect::<Vec<_>>() }))
}

pub(super) fn catalog_entry(
    (name, sort, id, node): NamedInput,
    words: &mut Words,
) -> Result<CatalogEntry, Failure> {
    let entry_type = match sort.as_str() {
        "table" => EntryType::Table,
        "view" => EntryType::View,
        "namespace" => EntryType::Namespace,
        _ => return Err(Failure::Input(format!("{sort:?} is no type"))),
    };
    let object = object_of(&node);
    words.insert(object.hash, node);
    Ok(CatalogEntry {
        name: TableName::new(name)?,
        entry_type,
        id: TableId::from_random([id; 16]),
        node: object,
    })
}

pub(super) fn object_of(word: &str) -> ObjectRef {
    ObjectRef { hash: Hash::of(word.as_bytes()), era: Era(0), size: 2 }
}

fn show_node(node: &MergedNode, words: &Words) -> Json {
    let word = |object: &ObjectRef| words.get(&object.hash).cloned();
    match node {
        MergedNode::Taken(object) => json!(word(object)),
        MergedNode::Merge { base, ours, theirs } => {
            json!({ "merge": [word(base), word(ours), word(theirs)] })
        }
    }
}

fn conflict_word(kind: CatalogConflictKind) -> &'static str {
    match kind {
        CatalogConflictKind::Dropped => "dropped",
        CatalogConflictKind::Renamed => "renamed",
        CatalogConflictKind::SameName => "same name",
        CatalogConflictKind::NamespaceInUse => "namespace in use",
        CatalogConflictKind::Changed => "changed",
        _ => "other",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TablesInput {
    base: Box<RawValue>,
    ours: Box<RawValue>,
    theirs: Box<RawValue>,
}

/// `{"base", "ours", "theirs"}`, three tables, to the members that the merged one has otherwise than ours, or what the sides
/// disagree on.
pub(crate) fn table(input: &RawValue) -> Outcome {
    let input: TablesInput = read(input)?;
    let parse = |text: &RawValue| Table::parse(text.get().as_bytes());
    let (base, ours, theirs) = (parse(&input.base)?, parse(&input.ours)?, parse(&input.theirs)?);
    let merge = merge_tables(side(&base)?, side(&ours)?, side(&theirs)?)?;
    if merge.conflicts.is_empty() {
        return changes(input.ours.get().as_bytes(), &merge.table.to_json()?);
    }
    outcome(json!({ "conflicts": merge.conflicts.iter().map(table_conflict).collect::<Vec<_>>() }))
}

fn side(table: &Table) -> Result<TableSide<'_>, Failure> {
    match &table.schema {
        TableSchema::Inline(schema) => Ok(TableSide { table, schema }),
        TableSchema::Stored(_) => Err(Failure::Input("a table whose schema is elsewhere".to_owned())),
    }
}

fn table_conflict(conflict: &TableConflict) -> Json {
    match conflict {
        TableConflict::Schema(conflict) => json!(["schema", conflict.path]),
        TableConflict::Property { key, .. } => json!(["property", key.as_str()]),
        TableConflict::Constraint { ours, theirs } => {
            json!([
                "constraint",
                ours.as_ref().or(theirs.as_ref()).map(|constraint| constraint.name.as_str())
            ])
        }
        TableConflict::Comment { .. } => json!(["comment"]),
        TableConflict::Key { .. } => json!(["key"]),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NumbersInput {
    /// Ids below are the same on both branches.
    shared: u64,
    /// What an earlier merge of theirs into ours recorded, for the ids below its `end`.
    #[serde(default)]
    into_ours: Option<Recorded>,
    /// What an earlier merge of ours into theirs recorded.
    #[serde(default)]
    into_theirs: Option<Recorded>,
    /// The next id of theirs, and of ours.
    their_next: u64,
    our_next: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    steps: Vec<(u64, i64)>,
    end: u64,
}

impl Recorded {
    fn pieces(self) -> Result<Pieces, Failure> {
        Ok(number_map(self.steps)?.pieces(self.end))
    }
}

fn number_map(steps: Vec<(u64, i64)>) -> Result<NumberMap, Failure> {
    Ok(NumberMap::new(steps.into_iter().map(|(from, by)| Step { from, by }))?)
}

fn steps(map: &NumberMap) -> Vec<(u64, i64)> {
    map.steps().iter().map(|step| (step.from, step.by)).collect()
}

/// What is known of ids of theirs, and how many there are, to `{"steps", "next"}`: the whole translation into ours' numbers, and
/// the next id then.
pub(crate) fn numbers(input: &RawValue) -> Outcome {
    let input: NumbersInput = read(input)?;
    let mut known = Pieces::default();
    if let Some(recorded) = input.into_ours {
        known = known.or(&recorded.pieces()?);
    }
    if let Some(recorded) = input.into_theirs {
        known = known.or(&recorded.pieces()?.reversed()?);
    }
    let (map, next) = known.or(&Pieces::shared(input.shared)).complete(input.their_next, input.our_next)?;
    outcome(json!({ "steps": steps(&map), "next": next }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TranslationInput {
    /// The columns of one entry.
    entry: Box<RawValue>,
    ours: Box<RawValue>,
    theirs: Box<RawValue>,
    files: Vec<(u64, i64)>,
    rows: Vec<(u64, i64)>,
    added: Seq,
}

/// `{"entry", "ours", "theirs", "files", "rows", "added"}`, an entry that theirs added, both tables and the translations of ids, to
/// the entry as ours gets it.
pub(crate) fn translation(input: &RawValue) -> Outcome {
    let input: TranslationInput = read(input)?;
    let mut ours = Table::parse(input.ours.get().as_bytes())?;
    let lists = ListMap::merge(&mut ours, &Table::parse(input.theirs.get().as_bytes())?)?;
    let map = Renumbering {
        files: number_map(input.files)?,
        rows: number_map(input.rows)?,
        ..Renumbering::default()
    };
    let leaf = format!(r#"{{"format":1,"kind":"files","level":0,"entries":{}}}"#, input.entry.get());
    let Node::Leaf(columns) = Node::<Files>::parse(leaf.as_bytes())? else {
        return Err(Failure::Input("no leaf".to_owned()));
    };
    let translated = map.translate(&columns.item(0), &lists, input.added)?;
    let text = Files::write_node(&Node::Leaf(Columns::from_items(&[translated])))?;
    super::trees::member(&text, "entries")
}
