//! File entries as a table of eight columns has them: what the tree's numbers are measured with.

use std::collections::BTreeMap;

use strandline_format::{
    Bound, ColumnName, Era, Field, FieldId, FieldSet, FieldStats, FileEntry, FileId, Hash, NumberMap,
    PrimitiveType, Result, RowId, RowIds, Schema, Seq, Stats, Value,
};

/// How many fields the entries have statistics for.
pub const FIELDS: i32 = 8;

/// The rows of each file.
pub const ROWS: u64 = 1_000_000;

/// The entry with this id: a file of an orders table that is loaded in the order of its keys and times.
///
/// Field 1 (the order's number) and 2 (its time) ascend with the id, so a range of them is a range of files; the others are
/// spread as in real data, and their bounds do not compress away.
///
/// ```
/// use strandline_testkit::generate::entries;
/// assert_eq!(entries::file(7), entries::file(7));
/// assert_eq!(entries::file(7).stats.0.len(), 8);
/// ```
#[must_use]
pub fn file(id: u64) -> FileEntry {
    let noise = Noise::of(id);
    FileEntry {
        id: FileId(id),
        hash: Hash::of(&id.to_le_bytes()),
        era: Era(0),
        size: 50_000_000 + noise.below(0, 9_000_000),
        rows: ROWS,
        footer: 4_000 + noise.below(1, 900),
        first_row: RowId(id * ROWS),
        added: Seq(id),
        fields: 0,
        deletes: None,
        row_groups: vec![4],
        order: None,
        split: None,
        shifts: NumberMap::default(),
        row_ids: RowIds::Derived,
        external: None,
        stats: Stats(
            (1..=FIELDS)
                .map(|field| (FieldId(field), field_stats(field, id, &noise)))
                .collect::<BTreeMap<_, _>>(),
        )
        .into(),
    }
}

/// The schema of the tables that the entries are of.
///
/// # Errors
/// None: the columns are what a schema may have.
pub fn schema() -> Result<Schema> {
    let column = |id: i32| {
        let (ty, ..) = bounds(id, 0, &Noise::of(0));
        Ok(Field::optional(ColumnName::new(format!("column_{id}"))?, ty))
    };
    Schema::numbered((1..=FIELDS).map(column).collect::<Result<_>>()?)
}

/// The fields that the entries' files were written with.
#[must_use]
pub fn field_set() -> FieldSet {
    FieldSet::of((1..=FIELDS).map(FieldId))
}

fn field_stats(field: i32, id: u64, noise: &Noise) -> FieldStats {
    let (ty, min, max, exact) = bounds(field, id, noise);
    let bound = |value| Some(Bound { value, exact });
    FieldStats {
        nulls: Some(0),
        nans: (field == 4).then_some(0),
        min: bound(min),
        max: bound(max),
        ..FieldStats::unknown(ty)
    }
}

/// The type and the bounds of a field in one file, and whether they are exact.
fn bounds(field: i32, id: u64, noise: &Noise) -> (PrimitiveType, Value, Value, bool) {
    let number = |from: u64, spread: u64| {
        i64::try_from(from + noise.below(field.unsigned_abs(), spread)).unwrap_or(i64::MAX)
    };
    let short = |from: i64| i32::try_from(from).unwrap_or(i32::MAX);
    match field {
        1 => (
            PrimitiveType::Long,
            Value::Long(number(id * ROWS, 1)),
            Value::Long(number(id * ROWS + ROWS - 1, 1)),
            true,
        ),
        2 => {
            let start = number(1_700_000_000_000_000 + id * 60_000_000, 1_000_000);
            (PrimitiveType::Timestamp, Value::Timestamp(start), Value::Timestamp(start + 59_000_000), true)
        }
        3 => (
            PrimitiveType::Int,
            Value::Int(short(number(0, 50))),
            Value::Int(short(number(99_000, 1_000))),
            true,
        ),
        4 => {
            let cents = |from| f64::from(short(number(from, 10_000))) / 100.0;
            (PrimitiveType::Double, Value::Double(cents(0)), Value::Double(cents(900_000)), true)
        }
        5 => {
            let text = |letter| Value::String(format!("{letter}{:07x}", number(0, 1 << 28)).into());
            (PrimitiveType::String, text('a'), text('z'), false)
        }
        6 => (
            PrimitiveType::Date,
            Value::Date(short(number(19_000, 3))),
            Value::Date(short(number(19_400, 3))),
            true,
        ),
        7 => {
            let ty = PrimitiveType::Decimal { precision: 12, scale: 2 };
            let unscaled = |from| Value::Decimal { unscaled: i128::from(number(from, 500)), scale: 2 };
            (ty, unscaled(100), unscaled(9_000_000), true)
        }
        _ => (PrimitiveType::Boolean, Value::Boolean(false), Value::Boolean(true), true),
    }
}

/// Numbers that look random and are the same for the same id.
struct Noise([u8; 32]);

impl Noise {
    fn of(id: u64) -> Self {
        Self(*Hash::of(&(!id).to_le_bytes()).as_bytes())
    }

    fn below(&self, place: u32, bound: u64) -> u64 {
        let at = place as usize % 25;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at..at + 8]);
        u64::from_le_bytes(bytes) % bound
    }
}
