//! How a table's schema and Arrow meet: the Arrow schema of a table, the fields that an Arrow schema asks for, batches
//! brought into a table's types, and single values in and out of arrays.
//!
//! Invariants: a table has one canonical Arrow schema ([`arrow_schema`]), and whatever is written or read is of exactly that;
//! nothing is ever rounded, cut or wrapped around: a value that has no exact image is an error that names it. What does not
//! belong here: I/O, statistics, and the adapting of old files to newer schemas.
//!
//! # Types
//!
//! The types of tables are Iceberg's. Each has one canonical Arrow type, in which scans give it; wider Arrow types are taken
//! as the table's type on their row, both when a table is made from an Arrow schema and when a batch is written.
//!
//! | table | canonical Arrow type | taken as well |
//! |---|---|---|
//! | `boolean` | Boolean | |
//! | `int` | Int32 | Int8, Int16, UInt8, UInt16 |
//! | `long` | Int64 | UInt32 |
//! | `float` | Float32 | Float16 |
//! | `double` | Float64 | |
//! | `decimal(P,S)` | Decimal128(P, S) | Decimal32, Decimal64, Decimal256 of at most 38 digits |
//! | `decimal(20,0)` | Decimal128(20, 0) | UInt64 |
//! | `date` | Date32 | Date64, if every value is a whole day |
//! | `time` | Time64(µs) | Time32(s), Time32(ms); Time64(ns), if every value is a whole microsecond |
//! | `timestamp` | Timestamp(µs) | Timestamp(s), Timestamp(ms) |
//! | `timestamptz` | Timestamp(µs, "UTC") | Timestamp(s), (ms), (µs) of any zone: the instant is kept, the zone's name is not |
//! | `timestamp_ns` | Timestamp(ns) | |
//! | `timestamptz_ns` | Timestamp(ns, "UTC") | Timestamp(ns) of any zone, likewise |
//! | `string` | Utf8 | LargeUtf8, Utf8View |
//! | `uuid` | FixedSizeBinary(16) with the extension `arrow.uuid` | |
//! | `fixed(N)` | FixedSizeBinary(N) | |
//! | `binary` | Binary | LargeBinary, BinaryView |
//! | struct | Struct | |
//! | list | List of `element` | LargeList, ListView, LargeListView, FixedSizeList |
//! | map | Map, unsorted, of `key` and `value` in `key_value` | parts of any other names, sorted ones |
//! | as the values | | Dictionary, RunEndEncoded |
//!
//! Duration, Interval, Union, Null, decimals of more than 38 digits or with a negative scale, byte strings of no length and
//! structs without fields are refused by name, with what to use instead. Extensions other than `arrow.uuid` are taken as the
//! type that they are stored in.
//!
//! A batch may moreover have what widens to the table's type: `int` for `long`, `float` for `double`, a decimal of fewer
//! digits and the same scale, `date` for `timestamp` [VAL-7]; FixedSizeBinary(16) for `uuid` and back, the bytes being the
//! same; and a column of Null, for nulls of any type.

mod conform;
mod from_arrow;
mod literal;
mod parquet_schema;
mod rows;
mod text;
mod types;

pub use conform::Conform;
pub use from_arrow::fields_from_arrow;
pub use literal::{constant, value_at};
pub use parquet_schema::parquet_schema;
pub use rows::{batch_of_rows, schema_of_rows};
#[doc(hidden)]
pub use text::{ValueTexts, value_text};
pub use types::{arrow_field, arrow_schema, arrow_type};
