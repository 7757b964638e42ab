//! Which row ids a file may have, by its entry alone.
//!
//! Invariant: no row of the file has an id outside of the bounds, deleted ones included; what is not known bounds nothing. What does not belong
//! here: which id a row has, which only the file itself says where it stores ids [READ-4].

use crate::file::entry::{FileEntry, RowIds};
use crate::id::{FieldId, RowId, Seq};
use crate::stats::{Bound, FieldStats};
use crate::value::Value;

/// The field id of the column of row ids, in files that store them [SCH-4].
pub const ROW_ID_FIELD: FieldId = FieldId(2_147_483_540);

/// The field id of the column of the versions that last updated the rows, in such files [SCH-4].
pub const LAST_UPDATED_FIELD: FieldId = FieldId(2_147_483_539);

impl FileEntry {
    /// The least and the greatest id that a row of the file may have; `None` if it has no rows.
    ///
    /// Where ids are stored, they are known by the statistics of their column, read through `shifts` [FILE-9]; without those, they may be any
    /// [FILE-15].
    #[must_use]
    pub fn row_id_bounds(&self) -> Option<(u64, u64)> {
        let last = self.first_row.0.saturating_add(self.rows.checked_sub(1)?);
        let derived = Some((self.first_row.0, last));
        if self.row_ids == RowIds::Derived {
            return derived;
        }
        let Some(stats) = self.stats.0.get(&ROW_ID_FIELD) else { return Some(ANY) };
        let stored = match (stats.is_void(self.rows), bounds(stats)) {
            (true, _) => None,
            (false, Some(bounds)) => Some(self.shifted(bounds)),
            (false, None) => return Some(ANY),
        };
        // Where the column is null, the id follows from the place.
        let derived = derived.filter(|_| stats.nulls != Some(0));
        match (stored, derived) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        }
    }

    /// Whether a later state of a table holds nothing in this file but rows of an earlier one that only moved there since, by the first row id
    /// that was left then, and the last version on the same line; `false` where statistics do not tell [REB-16].
    #[must_use]
    pub fn only_moved(&self, next_row: RowId, version: Seq) -> bool {
        // Where it is null, the id or the version is a later one.
        let stored = |field: FieldId| self.stats.0.get(&field).filter(|stats| stats.nulls == Some(0));
        let known = |(_, last): (u64, u64)| last < next_row.0;
        let unchanged = |(_, last): (u64, u64)| last <= version.0;
        stored(ROW_ID_FIELD).is_some()
            && self.row_id_bounds().is_some_and(known)
            && stored(LAST_UPDATED_FIELD).and_then(bounds).is_some_and(unchanged)
    }

    /// Bounds of ids as they are stored, as bounds of what they are read as.
    fn shifted(&self, (min, max): (u64, u64)) -> (u64, u64) {
        if self.shifts.is_identity() {
            return (min, max);
        }
        let pieces = self.shifts.pieces(max.saturating_add(1));
        let within = pieces.as_slice().iter().filter(|piece| piece.end > min);
        let shifted = within.map(|piece| {
            let shift = |id: u64| id.saturating_add_signed(piece.by);
            (shift(piece.first.max(min)), shift(piece.end.saturating_sub(1).min(max)))
        });
        shifted.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))).unwrap_or(ANY)
    }
}

/// All ids that there may be.
const ANY: (u64, u64) = (0, u64::MAX);

fn bounds(stats: &FieldStats) -> Option<(u64, u64)> {
    let id = |bound: &Option<Bound>| match bound {
        Some(Bound { value: Value::Long(id), .. }) => u64::try_from(*id).ok(),
        _ => None,
    };
    id(&stats.min).zip(id(&stats.max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbering::{NumberMap, Step};
    use crate::stats::Stats;
    use crate::value::PrimitiveType;
    use crate::{Era, FileId, Hash};

    fn entry(row_ids: RowIds, stored: Option<(i64, i64, u64)>, shifts: &[(u64, i64)]) -> FileEntry {
        let bound = |id| Some(Bound::exact(Value::Long(id)));
        let stats = stored.map(|(min, max, nulls)| {
            let stats = FieldStats::unknown(PrimitiveType::Long);
            (ROW_ID_FIELD, FieldStats { nulls: Some(nulls), min: bound(min), max: bound(max), ..stats })
        });
        FileEntry {
            id: FileId(1),
            hash: Hash::of(b"file"),
            era: Era(0),
            size: 100,
            rows: 10,
            footer: 50,
            first_row: RowId(70),
            added: Seq(1),
            fields: 0,
            deletes: None,
            row_groups: vec![4],
            order: None,
            split: None,
            shifts: NumberMap::new(shifts.iter().map(|(from, by)| Step { from: *from, by: *by })).unwrap(),
            row_ids,
            external: None,
            stats: Stats(stats.into_iter().collect()).into(),
        }
    }

    #[test]
    fn ids_that_follow_from_places_are_in_a_row() {
        assert_eq!(entry(RowIds::Derived, None, &[]).row_id_bounds(), Some((70, 79)));
        assert_eq!(FileEntry { rows: 0, ..entry(RowIds::Derived, None, &[]) }.row_id_bounds(), None);
    }

    #[test]
    fn stored_ids_are_within_their_statistics_and_those_of_places_if_some_are_null() {
        let check = |stored, shifts: &[(u64, i64)], expected| {
            assert_eq!(
                entry(RowIds::Stored, stored, shifts).row_id_bounds(),
                Some(expected),
                "{stored:?} {shifts:?}"
            );
        };
        check(None, &[], (0, u64::MAX));
        check(Some((3, 50, 0)), &[], (3, 50));
        check(Some((3, 50, 1)), &[], (3, 79));
        check(Some((72, 75, 9)), &[], (70, 79));
        check(Some((3, 50, 0)), &[(10, 100)], (3, 150));
        check(Some((3, 50, 0)), &[(51, 100)], (3, 50));
        check(Some((30, 50, 0)), &[(10, -5), (40, 5)], (25, 55));
        check(Some((30, 50, 0)), &[(10, 100), (40, -40)], (0, 139));
    }

    #[test]
    fn a_file_holds_moved_rows_alone_if_all_ids_and_versions_are_stored_and_old() {
        type Stored = Option<(i64, i64, u64)>;
        let check = |row_ids, ids: Stored, versions: Stored, shifts: &[(u64, i64)], expected| {
            let mut file = entry(row_ids, ids, shifts);
            let mut stats = Stats::clone(&file.stats);
            let versions = entry(row_ids, versions, &[]).stats.0.get(&ROW_ID_FIELD).cloned();
            stats.0.extend(versions.map(|versions| (LAST_UPDATED_FIELD, versions)));
            file.stats = stats.into();
            assert_eq!(
                file.only_moved(RowId(50), Seq(7)),
                expected,
                "{ids:?} {versions:?} {shifts:?}",
                versions = file.stats
            );
        };
        let (ids, versions) = (Some((3, 49, 0)), Some((2, 7, 0)));
        check(RowIds::Stored, ids, versions, &[], true);
        check(RowIds::Derived, ids, versions, &[], false);
        check(RowIds::Stored, None, versions, &[], false);
        check(RowIds::Stored, ids, None, &[], false);
        check(RowIds::Stored, Some((3, 50, 0)), versions, &[], false);
        check(RowIds::Stored, Some((3, 49, 1)), versions, &[], false);
        check(RowIds::Stored, ids, Some((2, 8, 0)), &[], false);
        check(RowIds::Stored, ids, Some((2, 7, 1)), &[], false);
        check(RowIds::Stored, ids, versions, &[(40, 10)], false);
        check(RowIds::Stored, Some((3, 59, 0)), versions, &[(50, -10)], true);
    }
}
