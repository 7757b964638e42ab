//! What is the same for all files of a writer: columns, Parquet's schema and settings, the order, the split.
//!
//! Invariants: every column and group of the Parquet schema has its field id [FILE-12], lists are of three levels, the
//! parts of lists and maps have their standard names; nothing in the settings depends on the time, the machine or the
//! number of cores, since the same rows are to give the same bytes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory};
use parquet::basic::{Compression as Codec, Encoding, Type as PhysicalType, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, Type, TypePtr};
use strandline_format::{
    Direction, FieldId, FieldSet, Hash, NullOrder, ObjectRef, OrderId, Schema, SortOrder,
};

use super::FileSpec;
use super::buffer::Limits;
use super::checksum::Pages;
use super::leaf::{Leaf, Values};
use super::options::{WriteOptions, invalid};
use super::refused;
use super::split::SplitPlan;
use super::spread::packs_better;
use crate::columns::parquet_schema;
use crate::error::Result;

/// What the name of whoever made a file begins with, of those that were made here.
pub(crate) const WRITER: &str = "strandline version ";

/// Who made a file, in the form that readers of Parquet expect.
const CREATED_BY: &str = concat!("strandline version ", env!("CARGO_PKG_VERSION"));

/// What each row of a run weighs besides its values: its place in the order.
const PLACE_BYTES: u64 = 16;

/// What is the same for all files.
pub(super) struct Plan {
    pub(super) arrow: SchemaRef,
    pub(super) root: TypePtr,
    pub(super) properties: WriterPropertiesPtr,
    pub(super) columns: Vec<PlannedLeaf>,
    pub(super) fields: FieldSet,
    pub(super) order: Option<OrderPlan>,
    pub(super) split: Option<SplitPlan>,
    pub(super) limits: Limits,
    pub(super) options: WriteOptions,
    pub(super) known: Arc<HashMap<Hash, ObjectRef>>,
}

/// A leaf, and what it takes to make encoders for it alone.
pub(super) struct PlannedLeaf {
    pub(super) leaf: Leaf,
    /// At which level its pages are compressed, if they are by zstd.
    pub(super) zstd: Option<ZstdLevel>,
    arrow: SchemaRef,
    root: TypePtr,
    settings: Settings,
    /// How many bits each value is stored in, if they are whole numbers.
    number_bits: Option<u64>,
}

/// What encoders are told.
#[derive(Clone)]
struct Settings {
    properties: WriterPropertiesPtr,
    /// The same for numbers that no dictionary is made of.
    packed: WriterPropertiesPtr,
}

/// How rows are sorted.
pub(super) struct OrderPlan {
    pub(super) id: OrderId,
    pub(super) keys: Vec<OrderKey>,
}

/// One field of an order: which column of leaves, and how.
pub(super) struct OrderKey {
    pub(super) leaf: usize,
    pub(super) options: SortOptions,
}

impl Plan {
    pub(super) fn new(spec: FileSpec) -> Result<Self> {
        let FileSpec { schema, arrow, order, split, options, known, .. } = spec;
        options.check()?;
        let leaves = Leaf::all(&arrow, &schema)?;
        if leaves.is_empty() {
            return Err(invalid("a table without columns has no data files"));
        }
        let order = order.map(|order| OrderPlan::new(&order, &leaves, &schema)).transpose()?;
        let split = split.map(|split| SplitPlan::new(&split, &leaves, &schema)).transpose()?;
        let table = ParquetLeaves::of(&schema)?;
        let root = parquet_root(&arrow, &table)?;
        let properties = Arc::new(properties(&root, &leaves, order.as_ref(), &options)?);
        let packed = WriterProperties::clone(&properties).into_builder().set_dictionary_enabled(false);
        let settings = Settings { properties: Arc::clone(&properties), packed: Arc::new(packed.build()) };
        let zstd = match options.compression.codec()? {
            Codec::ZSTD(level) => Some(level),
            _ => None,
        };
        let limits = limits(&options, order.is_some());
        let fields = FieldSet::of(leaves.iter().filter(|leaf| !leaf.is_reserved()).map(|leaf| leaf.id));
        let columns = leaves.into_iter().map(|leaf| PlannedLeaf::new(leaf, &table, &settings, zstd));
        let columns = columns.collect::<Result<_>>()?;
        Ok(Self { arrow, root, properties, columns, fields, order, split, limits, options, known })
    }

    /// How many rows of a run go into one row group.
    pub(super) fn rows_in_group(&self, rows: usize, bytes: u64) -> usize {
        let fit = u128::from(self.options.row_group_limit()) * rows as u128 / u128::from(bytes.max(1));
        usize::try_from(fit).unwrap_or(usize::MAX).clamp(1, self.options.row_group_rows.get())
    }
}

fn limits(options: &WriteOptions, sorted: bool) -> Limits {
    if sorted {
        let rows = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
        return Limits { rows, bytes: options.run_limit(), row_bytes: PLACE_BYTES };
    }
    Limits { rows: options.row_group_rows.get(), bytes: options.row_group_limit(), row_bytes: 0 }
}

impl PlannedLeaf {
    fn new(leaf: Leaf, table: &ParquetLeaves, settings: &Settings, zstd: Option<ZstdLevel>) -> Result<Self> {
        let arrow: SchemaRef = Arc::new(ArrowSchema::new(vec![Arc::clone(&leaf.field)]));
        let root = parquet_root(&arrow, table)?;
        let number_bits = columns(&root).get(leaf.position).and_then(number_bits);
        Ok(Self { leaf, zstd, arrow, root, settings: settings.clone(), number_bits })
    }

    /// An encoder of these values of the leaf, which leaves its pages there, as those of [`Leaf::position`].
    pub(super) fn encoder(&self, values: &[Values], pages: &Pages) -> Result<ArrowColumnWriter> {
        let is_packed = self.number_bits.is_some_and(|bits| packs_better(values, bits));
        let properties = if is_packed { &self.settings.packed } else { &self.settings.properties };
        let (root, properties) = (Arc::clone(&self.root), Arc::clone(properties));
        let writer = SerializedFileWriter::new(Vec::new(), root, properties).map_err(refused)?;
        let encoders = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&self.arrow));
        let encoders = encoders.with_page_store_factory(Arc::new(pages.clone()));
        let encoders = encoders.create_column_writers(0).map_err(refused)?;
        let none =
            || invalid(format!("column {:?} has no encoder for one of its leaves", self.leaf.field.name()));
        encoders.into_iter().nth(self.leaf.position).ok_or_else(none)
    }
}

impl OrderPlan {
    fn new(order: &SortOrder, leaves: &[Leaf], schema: &Schema) -> Result<Self> {
        let keys = order.fields.iter().map(|field| {
            let leaf = single_leaf(field.field, leaves, schema)?;
            let descending = field.direction == Direction::Descending;
            Ok(OrderKey {
                leaf,
                options: SortOptions { descending, nulls_first: field.nulls == NullOrder::First },
            })
        });
        Ok(Self { id: order.id, keys: keys.collect::<Result<_>>()? })
    }

    /// What Parquet says of the order: up to the first field that may be NaN, for which Parquet has no place.
    fn sorting_columns(&self, leaves: &[Leaf]) -> Option<Vec<SortingColumn>> {
        let keys = self.keys.iter().take_while(|key| !leaves[key.leaf].ty.is_floating());
        let columns = keys.map_while(|key| {
            Some(SortingColumn {
                column_idx: i32::try_from(key.leaf).ok()?,
                descending: key.options.descending,
                nulls_first: key.options.nulls_first,
            })
        });
        let columns: Vec<SortingColumn> = columns.collect();
        (!columns.is_empty()).then_some(columns)
    }
}

/// The leaf with this id, which has one value in each row.
pub(super) fn single_leaf(id: FieldId, leaves: &[Leaf], schema: &Schema) -> Result<usize> {
    let found = leaves.iter().position(|leaf| leaf.id == id && !leaf.is_repeated());
    found.ok_or_else(|| {
        let name = schema.describe(id);
        invalid(format!("rows cannot be laid out by {name}: it has no single value in each row"))
    })
}

/// Parquet's schema of an Arrow schema, in which the table's leaves are what the format says [FILE-13]. Left to itself the
/// converter makes a 64-bit number of a decimal of one digit.
fn parquet_root(arrow: &SchemaRef, table: &ParquetLeaves) -> Result<TypePtr> {
    let converter = ArrowSchemaConverter::new().with_coerce_types(true);
    let root = converter.convert(arrow).map_err(refused)?.root_schema_ptr();
    table.put_into(&root)
}

/// The leaves of a table as Parquet has them, by field id.
struct ParquetLeaves(HashMap<i32, TypePtr>);

impl ParquetLeaves {
    fn of(schema: &Schema) -> Result<Self> {
        let leaves =
            parquet_schema(schema)?.columns().iter().map(|column| column.self_type_ptr()).collect::<Vec<_>>();
        Ok(Self(leaves.into_iter().map(|leaf| (leaf.get_basic_info().id(), leaf)).collect()))
    }

    /// The same type, with these leaves in the place of those with their ids.
    fn put_into(&self, ty: &TypePtr) -> Result<TypePtr> {
        let info = ty.get_basic_info();
        let id = info.has_id().then(|| info.id());
        let Type::GroupType { fields, .. } = ty.as_ref() else {
            let known = id.and_then(|id| self.0.get(&id));
            return Ok(Arc::clone(known.unwrap_or(ty)));
        };
        let fields = fields.iter().map(|field| self.put_into(field)).collect::<Result<_>>()?;
        let group = Type::group_type_builder(ty.name())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_converted_type(info.converted_type())
            .with_id(id)
            .with_fields(fields);
        let group = if info.has_repetition() { group.with_repetition(info.repetition()) } else { group };
        group.build().map(Arc::new).map_err(refused)
    }
}

fn properties(
    root: &TypePtr,
    leaves: &[Leaf],
    order: Option<&OrderPlan>,
    options: &WriteOptions,
) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(encoders_codec(options)?)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(order.and_then(|order| order.sorting_columns(leaves)))
        .set_coerce_types(true);
    let columns = columns(root);
    // What goes into no dictionary. Packed, numbers take less room than compressed, and a fraction of the time to be read.
    for column in columns.iter().filter(|column| number_bits(column).is_some()) {
        builder = builder.set_column_encoding(column.path().clone(), Encoding::DELTA_BINARY_PACKED);
    }
    // Row ids that follow each other in no pattern still ascend in many files, and no two of them are equal.
    for (_, column) in leaves.iter().zip(&columns).filter(|(leaf, _)| leaf.is_reserved()) {
        builder = builder.set_column_dictionary_enabled(column.path().clone(), false);
    }
    for id in &options.bloom_filters {
        let at = leaves.iter().position(|leaf| leaf.id == *id);
        let Some(path) = at.and_then(|at| columns.get(at)).map(|column| column.path()) else {
            return Err(invalid(format!("there is no column with field id {id} to have a Bloom filter")));
        };
        builder = builder
            .set_column_bloom_filter_fpp(path.clone(), options.bloom_fpp)
            .set_column_bloom_filter_max_ndv(path.clone(), options.row_group_rows.get() as u64);
    }
    Ok(builder.build())
}

/// What the encoder compresses by: pages of zstd it leaves as they are, for [`Pages`].
fn encoders_codec(options: &WriteOptions) -> Result<Codec> {
    let codec = options.compression.codec()?;
    Ok(if matches!(codec, Codec::ZSTD(_)) { Codec::UNCOMPRESSED } else { codec })
}

/// All leaves, in order.
fn columns(root: &TypePtr) -> Vec<ColumnDescPtr> {
    SchemaDescriptor::new(Arc::clone(root)).columns().to_vec()
}

/// How many bits each value of a leaf is stored in, if they are whole numbers.
fn number_bits(column: &ColumnDescPtr) -> Option<u64> {
    match column.physical_type() {
        PhysicalType::INT32 => Some(32),
        PhysicalType::INT64 => Some(64),
        _ => None,
    }
}
