//! The row groups of a file that may hold a row that passes a filter, and the rows of one, by the statistics in the file's footer and its
//! index of pages.
//!
//! Invariant: pruning never changes results [READ-6]. Statistics of a footer are the writer's word alone, so whatever of them is
//! not certain counts as unknown: bounds in an undefined order, bounds of values that are stored in another unit, counts that
//! contradict each other. A footer does not count NaNs, so floats are pruned only where NaN cannot pass.
//! What does not belong here: the rules of pruning themselves (`strandline_format::Filter`), and whole files (`plan`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use parquet::basic::{ColumnOrder, SortOrder, Type as PhysicalType};
use parquet::data_type::AsBytes;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::column_index::{ColumnIndexMetaData, PrimitiveColumnIndex};
use strandline_format::{
    Absent, Bound, FieldId, FieldSet, FieldStats, Filter, Mask, PrimitiveType, Schema, Stats, StatsColumns,
    Type, Value,
};

use super::footer::rows_of;
use super::leaf;
use super::shape::Node;

/// What it takes to prune the row groups of one file.
pub(super) struct Pruning<'p> {
    pub(super) schema: &'p Schema,
    /// What the file was written with.
    pub(super) fields: &'p FieldSet,
    pub(super) columns: &'p [Node],
    pub(super) footer: &'p ParquetMetaData,
}

impl Pruning<'_> {
    /// The row groups that may hold a row that passes.
    pub(super) fn row_groups(&self, filter: &Filter) -> Mask {
        let leaves = self.leaves(filter);
        let groups = self.footer.row_groups();
        let rows: Vec<u64> = groups.iter().map(|group| rows_of(group).unwrap_or(u64::MAX)).collect();
        let stats: Vec<Stats> = groups
            .iter()
            .map(|group| Stats(leaves.iter().filter_map(|leaf| leaf.stats(group)).collect()))
            .collect();
        filter.may_match(&StatsColumns::from_rows(&stats), &rows, &|id| self.absent(id, groups.len()))
    }

    /// Which rows of a row group may pass by the index of pages; `None` if it rules none out, or is not there.
    pub(super) fn rows(&self, filter: &Filter, group: usize) -> Option<BooleanBuffer> {
        let rows = rows_of(self.footer.row_groups().get(group)?)?;
        let leaves = self.leaves(filter);
        let paged: Vec<Paged<'_>> =
            leaves.iter().filter_map(|leaf| Paged::of(leaf, self.footer, group, rows)).collect();
        let stretches = stretches(&paged, rows);
        let of = |stretch: &Range<u64>| Stats(paged.iter().filter_map(|leaf| leaf.stats(stretch)).collect());
        let stats: Vec<Stats> = stretches.iter().map(of).collect();
        let counts: Vec<u64> = stretches.iter().map(|stretch| stretch.end - stretch.start).collect();
        let kept = filter
            .may_match(&StatsColumns::from_rows(&stats), &counts, &|id| self.absent(id, stretches.len()));
        if kept.ones().count() == stretches.len() {
            return None;
        }
        let mut bits = BooleanBufferBuilder::new(usize::try_from(rows).ok()?);
        for (at, count) in counts.iter().enumerate() {
            bits.append_n(usize::try_from(*count).ok()?, kept.get(at));
        }
        Some(bits.finish())
    }

    /// The leaves that a filter asks for, as far as they can be pruned by.
    fn leaves(&self, filter: &Filter) -> Vec<Leaf<'_>> {
        let asked: BTreeSet<FieldId> = filter.fields().into_iter().collect();
        let mut nodes = BTreeMap::new();
        find(self.columns, &asked, &mut nodes);
        nodes.into_iter().filter_map(|(id, node)| self.leaf(id, node)).collect()
    }

    /// A column of the table that the file was written without has its initial default everywhere [READ-8].
    fn absent(&self, id: FieldId, groups: usize) -> Option<Absent> {
        let field =
            self.schema.field(id).filter(|_| self.schema.path(id).is_some_and(|path| path.len() == 1))?;
        let lacks = field.ty.primitive().is_some() && !self.fields.contains(id);
        lacks.then(|| Absent { entries: Mask::of(true, groups), initial: field.initial.clone() })
    }

    /// The leaf of a field that the file was written with, if its statistics are of use.
    fn leaf<'n>(&self, id: FieldId, node: &'n Node) -> Option<Leaf<'n>> {
        let Type::Primitive(wanted) = self.schema.field(id)?.ty else { return None };
        if !self.fields.contains(id) {
            return None;
        }
        let described = self.footer.file_metadata().schema_descr().column(node.leaves.start);
        let stored = leaf::stored_type(&node.ty, wanted)?;
        let usable = described.max_rep_level() == 0 && leaf::fits(&node.ty, &described, wanted);
        usable.then(|| Leaf {
            id,
            at: node.leaves.start,
            ty: &node.ty,
            physical: described.physical_type(),
            stored,
            wanted,
            ordered: self.is_ordered(node.leaves.start, &node.ty),
        })
    }

    /// Whether the bounds of a leaf are in the order of its values.
    fn is_ordered(&self, leaf: usize, ty: &DataType) -> bool {
        let orders = self.footer.file_metadata().column_orders();
        let Some(ColumnOrder::TYPE_DEFINED_ORDER(order)) = orders.and_then(|orders| orders.get(leaf)) else {
            return false;
        };
        let unsigned = matches!(
            ty,
            DataType::Utf8 | DataType::Binary | DataType::FixedSizeBinary(_) | DataType::Boolean
        );
        *order == if unsigned { SortOrder::UNSIGNED } else { SortOrder::SIGNED }
    }
}

/// Finds nodes by their ids, in one walk.
fn find<'n>(nodes: &'n [Node], asked: &BTreeSet<FieldId>, found: &mut BTreeMap<FieldId, &'n Node>) {
    for node in nodes {
        if asked.contains(&node.id) {
            found.insert(node.id, node);
        }
        find(&node.children, asked, found);
    }
}

/// A leaf column of the file, and what its statistics mean.
struct Leaf<'l> {
    id: FieldId,
    at: usize,
    ty: &'l DataType,
    physical: PhysicalType,
    stored: PrimitiveType,
    wanted: PrimitiveType,
    ordered: bool,
}

/// A leaf of one row group, and where its pages begin.
struct Paged<'p> {
    leaf: &'p Leaf<'p>,
    index: &'p ColumnIndexMetaData,
    /// The first row of each page, and behind them the number of all rows.
    starts: Vec<u64>,
}

impl<'p> Paged<'p> {
    /// `None` if there is no index of its pages, or it makes no sense.
    fn of(leaf: &'p Leaf<'p>, footer: &'p ParquetMetaData, group: usize, rows: u64) -> Option<Self> {
        let index = footer.column_index()?.get(group)?.get(leaf.at)?;
        let pages = footer.offset_index()?.get(group)?.get(leaf.at)?.page_locations();
        let starts = pages.iter().map(|page| u64::try_from(page.first_row_index).ok());
        let starts: Vec<u64> = starts.chain([Some(rows)]).collect::<Option<_>>()?;
        let fits = !matches!(index, ColumnIndexMetaData::NONE)
            && index.num_pages() == pages.len() as u64
            && starts[0] == 0
            && starts.is_sorted();
        fits.then_some(Self { leaf, index, starts })
    }

    /// What the page in which some rows stand says of them.
    fn stats(&self, stretch: &Range<u64>) -> Option<(FieldId, FieldStats)> {
        let page = self.starts.partition_point(|start| *start <= stretch.start).checked_sub(1)?;
        let rows = self.starts.get(page + 1)? - self.starts[page];
        let mut stats = FieldStats { nulls: self.nulls(page), ..FieldStats::unknown(self.leaf.stored) };
        if self.leaf.ordered {
            let [min, max] = bounds(self.index, page)?;
            // The index does not say which bounds were cut.
            stats.min = self.leaf.bound(min, false, -0.0);
            stats.max = self.leaf.bound(max, false, 0.0);
        }
        stats.check(rows).ok()?;
        // Of a part of a page it is known only whether none or all are null.
        let part = stretch.end - stretch.start;
        stats.nulls = stats.nulls.filter(|nulls| *nulls == 0 || *nulls == rows).map(|nulls| nulls.min(part));
        Some((self.leaf.id, stats))
    }

    fn nulls(&self, page: usize) -> Option<u64> {
        u64::try_from(self.index.null_count(page)?).ok()
    }
}

/// The bounds of a page as they are stored; a page of nulls has none.
fn bounds(index: &ColumnIndexMetaData, page: usize) -> Option<[Option<&[u8]>; 2]> {
    use ColumnIndexMetaData as Index;
    fn of<T: AsBytes>(pages: &PrimitiveColumnIndex<T>, page: usize) -> [Option<&[u8]>; 2] {
        [pages.min_value(page), pages.max_value(page)].map(|value| value.map(AsBytes::as_bytes))
    }
    Some(match index {
        Index::BOOLEAN(pages) => of(pages, page),
        Index::INT32(pages) => of(pages, page),
        Index::INT64(pages) => of(pages, page),
        Index::FLOAT(pages) => of(pages, page),
        Index::DOUBLE(pages) => of(pages, page),
        Index::BYTE_ARRAY(pages) | Index::FIXED_LEN_BYTE_ARRAY(pages) => {
            [pages.min_value(page), pages.max_value(page)]
        }
        Index::NONE | Index::INT96(_) => return None,
    })
}

/// Rows that stand in one page of each of the leaves; all rows are in one of them.
fn stretches(paged: &[Paged<'_>], rows: u64) -> Vec<Range<u64>> {
    let starts: BTreeSet<u64> =
        paged.iter().flat_map(|leaf| leaf.starts.iter().copied()).chain([0, rows]).collect();
    let starts: Vec<u64> = starts.into_iter().collect();
    starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

impl Leaf<'_> {
    /// What a row group's footer says of it that can be trusted.
    fn stats(&self, group: &RowGroupMetaData) -> Option<(FieldId, FieldStats)> {
        let found = group.columns().get(self.at)?.statistics()?;
        let mut stats = FieldStats { nulls: found.null_count_opt(), ..FieldStats::unknown(self.stored) };
        if self.ordered && !found.is_min_max_deprecated() {
            stats.min = self.bound(found.min_bytes_opt(), found.min_is_exact(), -0.0);
            stats.max = self.bound(found.max_bytes_opt(), found.max_is_exact(), 0.0);
        }
        let rows = rows_of(group)?;
        (found.physical_type() == self.physical && stats.check(rows).is_ok()).then_some((self.id, stats))
    }

    /// `zero` is the zero that both may be: writers do not agree on which of the two is less.
    fn bound(&self, bytes: Option<&[u8]>, exact: bool, zero: f32) -> Option<Bound> {
        let value = leaf::bound(bytes?, self.ty, self.physical, self.wanted)?;
        let cut_decimal = matches!(value, Value::Decimal { .. }) && self.physical == PhysicalType::BYTE_ARRAY;
        match value {
            Value::Float(0.0) => Some(Bound { value: Value::Float(zero), exact: false }),
            Value::Double(0.0) => Some(Bound { value: Value::Double(f64::from(zero)), exact: false }),
            _ if cut_decimal && !exact => None,
            value => Some(Bound { value, exact }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(ty: &DataType, physical: PhysicalType, stored: PrimitiveType) -> Leaf<'_> {
        Leaf { id: FieldId(1), at: 0, ty, physical, stored, wanted: stored, ordered: true }
    }

    #[test]
    fn bounds_are_taken_as_far_as_they_are_certain() {
        let check = |ty: DataType,
                     physical,
                     stored: &str,
                     bytes: &[u8],
                     exact,
                     expected: Option<(Value, bool)>| {
            let found = leaf(&ty, physical, stored.parse().unwrap()).bound(Some(bytes), exact, -0.0);
            assert_eq!(found, expected.map(|(value, exact)| Bound { value, exact }), "{stored} {bytes:?}");
        };
        let double = |number: f64| number.to_le_bytes();
        let as_double = |bytes: &[u8], expected| {
            check(DataType::Float64, PhysicalType::DOUBLE, "double", bytes, true, expected);
        };
        as_double(&double(1.5), Some((Value::Double(1.5), true)));
        as_double(&double(0.0), Some((Value::Double(-0.0), false)));
        as_double(&double(-0.0), Some((Value::Double(-0.0), false)));
        as_double(&double(f64::NAN), None);
        as_double(&[1, 2], None);
        let text = Value::String("ab".into());
        check(DataType::Utf8, PhysicalType::BYTE_ARRAY, "string", b"ab", false, Some((text, false)));
        check(DataType::Utf8, PhysicalType::BYTE_ARRAY, "string", b"\xFF", false, None);
        let uuid = DataType::FixedSizeBinary(16);
        check(
            uuid.clone(),
            PhysicalType::FIXED_LEN_BYTE_ARRAY,
            "uuid",
            &[7; 16],
            true,
            Some((Value::Uuid([7; 16]), true)),
        );
        check(uuid, PhysicalType::FIXED_LEN_BYTE_ARRAY, "uuid", &[7; 9], false, None);
        let decimal = DataType::Decimal128(5, 2);
        let value = Value::Decimal { unscaled: 258, scale: 2 };
        check(decimal.clone(), PhysicalType::BYTE_ARRAY, "decimal(5,2)", &[1, 2], true, Some((value, true)));
        check(decimal.clone(), PhysicalType::BYTE_ARRAY, "decimal(5,2)", &[1, 2], false, None);
        check(decimal, PhysicalType::INT32, "decimal(5,2)", &99_999_999_i32.to_le_bytes(), true, None);
    }
}
