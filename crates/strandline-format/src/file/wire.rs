//! File entries in JSON [FILE-3], format version 1.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::file::columns::{FileColumns, FileSummaries, Files, RowGroups};
use crate::file::entry::{Deletes, External, MAX_INLINE_DELETES, RowIds, Scalar, SplitValues};
use crate::hash::{Hash, ObjectRef, clip};
use crate::id::{Era, FileId, RowId, Seq};
use crate::numbering::NumberMap;
use crate::stats::{StatsColumns, StatsReader, StatsWriter};
use crate::tree::wire::{RefColumns, WireKind, check_lens};
use crate::tree::{Children, Columns, Sparse};

#[derive(Serialize, Deserialize)]
pub(crate) struct EntriesV1 {
    id: Vec<FileId>,
    hash: Vec<Hash>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    era: Sparse<Era>,
    size: Vec<u64>,
    rows: Vec<u64>,
    footer: Vec<u64>,
    first_row: Vec<RowId>,
    added: Vec<Seq>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    fields: Sparse<u32>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    deletes: Sparse<Option<DeletesV1>>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    row_groups: Sparse<RowGroups>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    order: Sparse<Option<u32>>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    split: Sparse<Option<SplitV1>>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    shifts: Sparse<Option<Vec<(u64, i64)>>>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    row_ids: Sparse<RowIdsV1>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    external: Sparse<Option<ExternalV1>>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "StatsV1::is_empty"
    )]
    stats: StatsV1,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ChildrenV1 {
    first: Vec<FileId>,
    last: Vec<FileId>,
    hash: Vec<Hash>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    era: Sparse<Era>,
    size: Vec<u64>,
    count: Vec<u64>,
    rows: Vec<u64>,
    bytes: Vec<u64>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    deleted: Sparse<u64>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Sparse::is_left_out"
    )]
    row_ids: Sparse<Option<(u64, u64)>>,
    #[serde(
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "StatsV1::is_empty"
    )]
    stats: StatsV1,
}

/// Statistics on their way out, which know their length, or in, which do not yet.
enum StatsV1 {
    Out(StatsColumns),
    In(StatsReader),
}

impl StatsV1 {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Out(columns) if columns.fields().next().is_none())
    }

    fn into_columns(self, len: usize, rows: &[u64]) -> Result<StatsColumns> {
        let columns = match self {
            Self::Out(columns) => columns,
            Self::In(reader) => reader.of_entries(len)?,
        };
        columns.check_counts(rows)?;
        Ok(columns)
    }
}

impl Default for StatsV1 {
    fn default() -> Self {
        Self::In(StatsReader::default())
    }
}

impl Serialize for StatsV1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Out(columns) => StatsWriter(columns).serialize(serializer),
            Self::In(_) => Err(serde::ser::Error::custom("statistics that were read are not written")),
        }
    }
}

impl<'de> Deserialize<'de> for StatsV1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        StatsReader::deserialize(deserializer).map(Self::In)
    }
}

/// A deletion vector: `inline`, or the three members of a reference.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct DeletesV1 {
    rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inline: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<Hash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    era: Option<Era>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct SplitV1 {
    id: u32,
    values: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct ExternalV1 {
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

/// The text stays as it was read until it is known to be one that we know.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct RowIdsV1(String);

impl Default for RowIdsV1 {
    fn default() -> Self {
        Self("derived".to_owned())
    }
}

impl From<Deletes> for DeletesV1 {
    fn from(deletes: Deletes) -> Self {
        match deletes {
            Deletes::Inline { rows, blob } => {
                Self { rows, inline: Some(BASE64.encode(blob)), hash: None, era: None, size: None }
            }
            Deletes::Stored { rows, object: ObjectRef { hash, era, size } } => {
                Self { rows, inline: None, hash: Some(hash), era: Some(era), size: Some(size) }
            }
        }
    }
}

impl TryFrom<DeletesV1> for Deletes {
    type Error = Error;

    fn try_from(wire: DeletesV1) -> Result<Self> {
        match (wire.inline, wire.hash, wire.era, wire.size) {
            (Some(text), None, None, None) => {
                let blob = BASE64.decode(&text).map_err(|error| {
                    Error::malformed(format!("an inline deletion vector is not standard base64: {error}"))
                })?;
                if blob.len() > MAX_INLINE_DELETES {
                    return Err(Error::malformed(format!(
                        "an inline deletion vector of {} bytes",
                        blob.len()
                    )));
                }
                Ok(Self::Inline { rows: wire.rows, blob })
            }
            (None, Some(hash), Some(era), Some(size)) => {
                Ok(Self::Stored { rows: wire.rows, object: ObjectRef { hash, era, size } })
            }
            _ => Err(Error::malformed("a deletion vector is either `inline`, or `hash`, `era` and `size`")),
        }
    }
}

impl From<RowIds> for RowIdsV1 {
    fn from(row_ids: RowIds) -> Self {
        match row_ids {
            RowIds::Derived => Self::default(),
            RowIds::Stored => Self("stored".to_owned()),
        }
    }
}

impl TryFrom<RowIdsV1> for RowIds {
    type Error = Error;

    fn try_from(wire: RowIdsV1) -> Result<Self> {
        match wire.0.as_str() {
            "derived" => Ok(Self::Derived),
            "stored" => Ok(Self::Stored),
            other => Err(Error::unsupported(format!("row ids of unknown sort {:?}", clip(other)))),
        }
    }
}

impl Serialize for RowGroups {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RowGroups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Self::Float(value) if value.is_nan() => serializer.serialize_str("NaN"),
            Self::Float(value) => {
                serializer.serialize_str(if *value > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct ScalarVisitor;
        impl serde::de::Visitor<'_> for ScalarVisitor {
            type Value = Scalar;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("null, a boolean, a number or a text")
            }
            fn visit_unit<E>(self) -> std::result::Result<Scalar, E> {
                Ok(Scalar::Null)
            }
            fn visit_bool<E>(self, value: bool) -> std::result::Result<Scalar, E> {
                Ok(Scalar::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> std::result::Result<Scalar, E> {
                Ok(Scalar::Int(value))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<Scalar, E> {
                i64::try_from(value).map(Scalar::Int).map_err(|_| E::custom("a number beyond 64 bits"))
            }
            fn visit_f64<E>(self, value: f64) -> std::result::Result<Scalar, E> {
                Ok(Scalar::Float(value))
            }
            fn visit_str<E>(self, value: &str) -> std::result::Result<Scalar, E> {
                Ok(Scalar::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// Shifts in JSON; none at all is `null`, so that a column of none is left out.
fn shifts_to_wire(shifts: &NumberMap) -> Option<Vec<(u64, i64)>> {
    (!shifts.steps().is_empty()).then(|| shifts.to_pairs())
}

impl WireKind for Files {
    type Entries = EntriesV1;
    type Children = ChildrenV1;
    type Key = FileId;

    fn entries_to_wire(columns: &FileColumns) -> EntriesV1 {
        let split = |split: SplitValues| SplitV1 { id: split.split, values: split.values };
        let external = |external: External| ExternalV1 { url: external.url, etag: external.etag };
        EntriesV1 {
            id: columns.id.clone(),
            hash: columns.hash.clone(),
            era: columns.era.clone(),
            size: columns.size.clone(),
            rows: columns.rows.clone(),
            footer: columns.footer.clone(),
            first_row: columns.first_row.clone(),
            added: columns.added.clone(),
            fields: columns.fields.clone(),
            deletes: columns.deletes.map(|deletes| deletes.clone().map(DeletesV1::from)),
            row_groups: columns.row_groups.clone(),
            order: columns.order.clone(),
            split: columns.split.map(|values| values.clone().map(split)),
            shifts: columns.shifts.map(shifts_to_wire),
            row_ids: columns.row_ids.map(|row_ids| (*row_ids).into()),
            external: columns.external.map(|place| place.clone().map(external)),
            stats: StatsV1::Out(columns.stats.clone()),
        }
    }

    fn entries_from_wire(wire: EntriesV1) -> Result<FileColumns> {
        check_entry_lens(&wire)?;
        let split = |split: SplitV1| SplitValues { split: split.id, values: split.values };
        let external = |external: ExternalV1| External { url: external.url, etag: external.etag };
        let columns = FileColumns {
            stats: wire.stats.into_columns(wire.id.len(), &wire.rows)?,
            id: wire.id,
            hash: wire.hash,
            era: wire.era,
            size: wire.size,
            rows: wire.rows,
            footer: wire.footer,
            first_row: wire.first_row,
            added: wire.added,
            fields: wire.fields,
            deletes: wire.deletes.try_map(|deletes| deletes.clone().map(Deletes::try_from).transpose())?,
            row_groups: wire.row_groups,
            order: wire.order,
            split: wire.split.map(|values| values.clone().map(split)),
            shifts: wire
                .shifts
                .try_map(|shifts| NumberMap::from_pairs(shifts.clone().unwrap_or_default()))?,
            row_ids: wire.row_ids.try_map(|row_ids| RowIds::try_from(row_ids.clone()))?,
            external: wire.external.map(|place| place.clone().map(external)),
        };
        columns.check()?;
        Ok(columns)
    }

    fn children_to_wire(children: &Children<Self>) -> ChildrenV1 {
        let RefColumns { hash, era, size } = RefColumns::of(children.node.iter());
        ChildrenV1 {
            first: children.first.clone(),
            last: children.last.clone(),
            hash,
            era,
            size,
            count: children.count.clone(),
            rows: children.summary.rows.clone(),
            bytes: children.summary.bytes.clone(),
            deleted: children.summary.deleted.clone(),
            row_ids: children.summary.row_ids.clone(),
            stats: StatsV1::Out(children.summary.stats.clone()),
        }
    }

    fn children_from_wire(wire: ChildrenV1) -> Result<Children<Self>> {
        let len = wire.first.len();
        let lens = [("last", wire.last.len()), ("count", wire.count.len()), ("rows", wire.rows.len())];
        check_lens(len, &lens)?;
        check_lens(len, &[("bytes", wire.bytes.len())])?;
        wire.deleted.check("deleted", len)?;
        check_row_ids(&wire.row_ids, len)?;
        let refs = RefColumns { hash: wire.hash, era: wire.era, size: wire.size };
        Ok(Children {
            first: wire.first,
            last: wire.last,
            node: refs.into_refs(len)?,
            count: wire.count,
            summary: FileSummaries {
                stats: wire.stats.into_columns(len, &wire.rows)?,
                rows: wire.rows,
                bytes: wire.bytes,
                deleted: wire.deleted,
                row_ids: wire.row_ids,
            },
        })
    }

    fn key_to_wire(key: &FileId) -> FileId {
        *key
    }

    fn key_from_wire(key: FileId) -> Result<FileId> {
        Ok(key)
    }
}

/// Refuses ids of rows below children that do not ascend [FILE-15].
fn check_row_ids(row_ids: &Sparse<Option<(u64, u64)>>, len: usize) -> Result<()> {
    row_ids.check("row_ids", len)?;
    match row_ids.values().iter().flatten().find(|(first, last)| first > last) {
        None => Ok(()),
        Some((first, last)) => {
            Err(Error::malformed(format!("the row ids below a child are from {first} to {last}")))
        }
    }
}

fn check_entry_lens(wire: &EntriesV1) -> Result<()> {
    let len = wire.id.len();
    let lens = [("hash", wire.hash.len()), ("size", wire.size.len()), ("rows", wire.rows.len())];
    check_lens(len, &lens)?;
    let lens =
        [("footer", wire.footer.len()), ("first_row", wire.first_row.len()), ("added", wire.added.len())];
    check_lens(len, &lens)?;
    wire.era.check("era", len)?;
    wire.fields.check("fields", len)?;
    wire.deletes.check("deletes", len)?;
    wire.row_groups.check("row_groups", len)?;
    wire.order.check("order", len)?;
    wire.split.check("split", len)?;
    wire.shifts.check("shifts", len)?;
    wire.row_ids.check("row_ids", len)?;
    wire.external.check("external", len)
}

impl FileColumns {
    /// Checks each entry against itself, column by column: [`FileEntry::check`](crate::FileEntry::check) for all of them.
    fn check(&self) -> Result<()> {
        let plain = self.deletes.is_left_out() && self.row_groups.is_left_out() && self.shifts.is_left_out();
        let fits = |at: usize| {
            let ids_fit = self.first_row[at].0.checked_add(self.rows[at]).is_some();
            ids_fit && (12..=self.size[at]).contains(&self.footer[at])
        };
        match (0..self.len()).find(|at| !plain || !fits(*at)) {
            None => Ok(()),
            Some(_) => (0..self.len()).try_for_each(|at| self.without_stats(at).check()),
        }
    }
}
