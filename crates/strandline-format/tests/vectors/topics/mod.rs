//! The topics: for each, what its input is and what the crate makes of it, as JSON.
//!
//! A topic is a function from a case's input to what came out. A module gathers topics that share a chapter.

mod deletes;
mod disputes;
pub(crate) mod documents;
mod files;
mod lineages;
mod merges;
mod names;
mod picks;
mod pointers;
mod references;
mod scalars;
mod schemas;
pub(crate) mod trees;
mod values;

use serde_json::value::RawValue;

use crate::outcome::Outcome;

/// What a topic makes of an input.
pub(crate) type Topic = fn(&RawValue) -> Outcome;

/// What reads texts of one kind, by the kind's name, and writes them again.
pub(crate) type Reader = (&'static str, fn(&[u8]) -> Outcome);

/// All topics, by the names of their files.
pub(crate) const TOPICS: &[(&str, Topic)] = &[
    ("asked-names", documents::asked_name),
    ("commit", documents::commit),
    ("common-ancestors", lineages::ancestor),
    ("deletion-vector-bytes", deletes::bytes),
    ("deletion-vector-sets", deletes::sets),
    ("deletion-vectors", deletes::vector),
    ("eras", pointers::era),
    ("features", scalars::features),
    ("field-sets", schemas::field_set),
    ("filters", files::filter),
    ("fingerprints", pointers::fingerprint),
    ("hashes", scalars::hash),
    ("history-entries", trees::history_entry),
    ("ids", scalars::id),
    ("keys", scalars::key),
    ("lake", documents::lake),
    ("merge-catalogs", merges::catalog),
    ("merge-cells", disputes::cells),
    ("merge-copies", lineages::copies),
    ("merge-disputes", disputes::dispute),
    ("merge-doubts", disputes::doubt),
    ("merge-files", merges::file),
    ("merge-keys", merges::keys),
    ("merge-numbers", merges::numbers),
    ("merge-rows", merges::row),
    ("merge-tables", merges::table),
    ("merge-translations", merges::translation),
    ("names", names::name),
    ("namespace", documents::namespace),
    ("node", trees::node),
    ("node-in-parent", trees::node_in_parent),
    ("pack-texts", pointers::pack),
    ("paths", names::path),
    ("picked-numbers", picks::numbers),
    ("picks", picks::pick),
    ("pointer", documents::pointer),
    ("pointer-updates", pointers::update),
    ("references", references::reference),
    ("root", trees::root),
    ("schema", documents::schema),
    ("schema-edits", schemas::edit),
    ("schema-keys", schemas::key),
    ("schema-merges", schemas::merge),
    ("schemas", schemas::schema),
    ("stats", files::stats),
    ("stats-columns", files::stats_columns),
    ("summaries", trees::summary),
    ("table", documents::table),
    ("tag", documents::tag),
    ("tag-updates", pointers::tag),
    ("times", scalars::time),
    ("transforms", values::transform),
    ("trees", trees::tree),
    ("truncation", values::truncation),
    ("types", values::primitive_type),
    ("values", values::value),
    ("view", documents::view),
];

/// The topic of this name.
pub(crate) fn find(name: &str) -> Option<Topic> {
    TOPICS.iter().find(|(known, _)| *known == name).map(|(_, topic)| *topic)
}
