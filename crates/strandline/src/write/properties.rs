//! How a table says that its files are to be written: by its layout, and by properties that begin with `strandline.`.
//!
//! | property | value |
//! |---|---|
//! | `strandline.compression` | `none`, `snappy`, `gzip(0-9)`, `brotli(0-11)`, `lz4`, `zstd(1-22)`; the level may be left out, and of zstd is 3 then; short column chunks that zstd hardly makes shorter stay as they are |
//! | `strandline.bloom-filters` | columns, paths of names between dots, separated by commas |
//! | `strandline.bloom-fpp` | how often a Bloom filter may be wrong, between 0 and 1 |
//! | `strandline.row-group-rows` | how many rows a row group has at most |
//! | `strandline.row-removal` | what becomes of files that lose some of their rows: `auto`, `merge-on-read`, `copy-on-write` |
//!
//! Invariant: a property of this prefix that is not known is refused where it is set, so that a slip does not pass in silence.

use std::num::NonZeroUsize;

use strandline_format::{Schema, Table};

use super::options::{Compression, RowRemoval, WriteOptions, invalid};
use crate::error::Result;
use crate::transaction::field_at;

/// What all of these properties begin with.
const PREFIX: &str = "strandline.";

const COMPRESSION: &str = "strandline.compression";
const BLOOM_FILTERS: &str = "strandline.bloom-filters";
const BLOOM_FPP: &str = "strandline.bloom-fpp";
const ROW_GROUP_ROWS: &str = "strandline.row-group-rows";

const ROW_REMOVAL: &str = "strandline.row-removal";

const KNOWN: [&str; 5] = [COMPRESSION, BLOOM_FILTERS, BLOOM_FPP, ROW_GROUP_ROWS, ROW_REMOVAL];

impl WriteOptions {
    /// The same for one table: what it says of its files comes before what these options say, by its layout and its
    /// properties: `strandline.compression` (`none`, `snappy`, `gzip(6)`, `brotli(5)`, `lz4`, `zstd(3)`),
    /// `strandline.bloom-filters` (columns, separated by commas), `strandline.bloom-fpp`, `strandline.row-group-rows`,
    /// `strandline.row-removal` (`auto`, `merge-on-read`, `copy-on-write`). Bloom filters are the table's alone; what is said of a column that
    /// is not there is passed over, since another writer may have dropped or renamed it.
    ///
    /// # Errors
    /// `InvalidInput`, naming the property or option, if it is not known or its value cannot be.
    pub fn for_table(&self, table: &Table, schema: &Schema) -> Result<Self> {
        let mut options = Self { bloom_filters: Vec::new(), ..self.clone() };
        if let Some(bytes) = table.layout.target_file_bytes {
            options.target_file_bytes = bytes;
        }
        for (key, value) in table.properties.iter().filter(|(key, _)| key.as_str().starts_with(PREFIX)) {
            options.set(key.as_str(), value.as_str(), schema)?;
        }
        options.check()?;
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str, schema: &Schema) -> Result<()> {
        let wrong = || invalid(format!("property {key:?} cannot be {value:?}"));
        match key {
            COMPRESSION => self.compression = compression(value).ok_or_else(wrong)?,
            BLOOM_FILTERS => {
                let columns = paths(value);
                self.bloom_filters = columns.filter_map(|path| field_at(schema, path).ok()).collect();
            }
            BLOOM_FPP => self.bloom_fpp = value.parse().map_err(|_| wrong())?,
            ROW_REMOVAL => self.row_removal = row_removal(value).ok_or_else(wrong)?,
            ROW_GROUP_ROWS => self.row_group_rows = value.parse::<NonZeroUsize>().map_err(|_| wrong())?,
            _ => {
                let near = crate::near::offer(&crate::near::nearest(key, KNOWN));
                return Err(invalid(format!(
                    "no property {key:?} is known to say how files are written{near}"
                )));
            }
        }
        Ok(())
    }
}

/// Refuses properties that do not fit a table which is made or altered. `before` is what it was: what did not fit then may stay.
///
/// # Errors
/// As [`WriteOptions::for_table`]; and for a column that is not there.
pub(crate) fn check_properties(
    table: &Table,
    schema: &Schema,
    before: Option<(&Table, &Schema)>,
) -> Result<()> {
    WriteOptions::default().for_table(table, schema)?;
    let filters = |table: &Table| {
        let found = table.properties.iter().find(|(key, _)| key.as_str() == BLOOM_FILTERS);
        found.map(|(_, value)| value.as_str().to_owned()).unwrap_or_default()
    };
    let value = filters(table);
    let lost = |path: &str| {
        before.is_some_and(|(was, columns)| filters(was) == value && field_at(columns, path).is_err())
    };
    for path in paths(&value).filter(|path| !lost(path)) {
        field_at(schema, path).map_err(|error| {
            let why = error.message();
            invalid(format!(
                "property {BLOOM_FILTERS:?} names {path:?}: {why}; set it anew together with the column"
            ))
        })?;
    }
    Ok(())
}

fn paths(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|path| !path.is_empty())
}

fn row_removal(text: &str) -> Option<RowRemoval> {
    match text {
        "auto" => Some(RowRemoval::Auto),
        "merge-on-read" => Some(RowRemoval::MergeOnRead),
        "copy-on-write" => Some(RowRemoval::CopyOnWrite),
        _ => None,
    }
}

/// A compression by its name, with a level if it has one.
fn compression(text: &str) -> Option<Compression> {
    let (name, level) = match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
        None => (text, None),
    };
    let or = |default: u32| level.map_or(Some(default), |level| level.parse().ok());
    match name {
        "none" if level.is_none() => Some(Compression::None),
        "snappy" if level.is_none() => Some(Compression::Snappy),
        "lz4" if level.is_none() => Some(Compression::Lz4Raw),
        "gzip" => or(6).map(Compression::Gzip),
        "brotli" => or(5).map(Compression::Brotli),
        "zstd" => or(3).and_then(|level| i32::try_from(level).ok()).map(Compression::Zstd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use strandline_format::{
        ColumnName, Field, FieldId, PrimitiveType, PropertyKey, PropertyValue, TableId, TableSchema,
        Timestamp,
    };

    use super::*;

    #[test]
    fn compressions_by_name() {
        let check = |text, expected| assert_eq!(compression(text), expected, "{text}");
        check("none", Some(Compression::None));
        check("zstd", Some(Compression::Zstd(3)));
        check("zstd(19)", Some(Compression::Zstd(19)));
        check("gzip(9)", Some(Compression::Gzip(9)));
        check("brotli", Some(Compression::Brotli(5)));
        check("lz4", Some(Compression::Lz4Raw));
        check("snappy", Some(Compression::Snappy));
        for wrong in ["", "zstd(", "zstd(x)", "snappy(1)", "none(0)", "lzo", "zstd 3"] {
            check(wrong, None);
        }
    }

    #[test]
    fn what_a_table_says_comes_first() {
        let field = Field::optional(ColumnName::new("a").unwrap(), PrimitiveType::Long);
        let schema = Schema::numbered(vec![field]).unwrap();
        let (id, inline) = (TableId::from_random([1; 16]), TableSchema::Inline(schema.clone()));
        let mut table = Table::new(id, Timestamp::EPOCH, inline);
        let given = WriteOptions {
            target_file_bytes: 5,
            memory_bytes: 6,
            compression: Compression::None,
            bloom_filters: vec![FieldId(77)],
            ..WriteOptions::default()
        };
        let alone = WriteOptions { bloom_filters: Vec::new(), ..given };
        assert_eq!(given.for_table(&table, &schema).unwrap(), alone);
        table.layout.target_file_bytes = Some(7);
        let key = PropertyKey::new(COMPRESSION).unwrap();
        table.properties.set(key, PropertyValue::new("snappy").unwrap()).unwrap();
        let both = WriteOptions { target_file_bytes: 7, compression: Compression::Snappy, ..alone };
        assert_eq!(given.for_table(&table, &schema).unwrap(), both);
        let nothing = WriteOptions { memory_bytes: 0, ..given };
        assert_eq!(nothing.for_table(&table, &schema).unwrap_err().kind(), crate::ErrorKind::InvalidInput);
    }
}
