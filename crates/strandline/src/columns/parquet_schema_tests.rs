//! What Parquet files say of each type, written from the canonical Arrow schema and read back.

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::printer::print_schema;
use strandline_format::ColumnName;
use strandline_testkit::generate::batches::batch;

use super::*;
use crate::columns::arrow_schema;

fn name(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn column(ty: impl Into<Type>) -> Schema {
    Schema::numbered(vec![Field::optional(name("c"), ty)]).unwrap()
}

fn primitive(text: &str) -> PrimitiveType {
    text.parse().unwrap()
}

/// A file of one batch of the canonical Arrow schema.
fn written(schema: &Schema) -> (arrow::array::RecordBatch, Bytes) {
    let batch = batch(&arrow_schema(schema), 50, 7).unwrap();
    let options = ArrowWriterOptions::new().with_parquet_schema(parquet_schema(schema).unwrap());
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut file, batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    (batch, file.into())
}

/// The schema that a file has, as text without its frame.
fn read_schema(schema: &Schema) -> String {
    let reader = SerializedFileReader::new(written(schema).1).unwrap();
    let mut out = Vec::new();
    print_schema(&mut out, reader.metadata().file_metadata().schema());
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines[1..lines.len() - 1].join(" ")
}

#[test]
fn each_primitive_type_is_what_the_specification_says() {
    let check = |ty: &str, expected: &str| {
        assert_eq!(read_schema(&column(primitive(ty))), format!("OPTIONAL {expected};"), "{ty}");
    };
    check("boolean", "BOOLEAN c [1]");
    check("int", "INT32 c [1]");
    check("long", "INT64 c [1]");
    check("float", "FLOAT c [1]");
    check("double", "DOUBLE c [1]");
    check("decimal(1,0)", "INT32 c [1] (DECIMAL(1,0))");
    check("decimal(9,2)", "INT32 c [1] (DECIMAL(9,2))");
    check("decimal(10,2)", "INT64 c [1] (DECIMAL(10,2))");
    check("decimal(18,18)", "INT64 c [1] (DECIMAL(18,18))");
    check("decimal(19,0)", "FIXED_LEN_BYTE_ARRAY (9) c [1] (DECIMAL(19,0))");
    check("decimal(38,10)", "FIXED_LEN_BYTE_ARRAY (16) c [1] (DECIMAL(38,10))");
    check("date", "INT32 c [1] (DATE)");
    check("time", "INT64 c [1] (TIME(MICROS,false))");
    check("timestamp", "INT64 c [1] (TIMESTAMP(MICROS,false))");
    check("timestamptz", "INT64 c [1] (TIMESTAMP(MICROS,true))");
    check("timestamp_ns", "INT64 c [1] (TIMESTAMP(NANOS,false))");
    check("timestamptz_ns", "INT64 c [1] (TIMESTAMP(NANOS,true))");
    check("string", "BYTE_ARRAY c [1] (STRING)");
    check("uuid", "FIXED_LEN_BYTE_ARRAY (16) c [1] (UUID)");
    check("fixed(5)", "FIXED_LEN_BYTE_ARRAY (5) c [1]");
    check("binary", "BYTE_ARRAY c [1]");
}

#[test]
fn nested_types_have_three_levels_and_ids_on_all_that_are_fields() {
    let check = |ty: Type, expected: &str| assert_eq!(read_schema(&column(ty)), expected);
    check(
        Type::list(PrimitiveType::Int, true).unwrap(),
        "OPTIONAL group c [1] (LIST) { REPEATED group list { REQUIRED INT32 element [2]; } }",
    );
    check(
        Type::map(PrimitiveType::String, PrimitiveType::Date, false).unwrap(),
        "OPTIONAL group c [1] (MAP) { REPEATED group key_value { REQUIRED BYTE_ARRAY key [2] (STRING); \
         OPTIONAL INT32 value [3] (DATE); } }",
    );
    check(
        Type::Struct(vec![Field::required(name("a"), PrimitiveType::Long)]),
        "OPTIONAL group c [1] { REQUIRED INT64 a [2]; }",
    );
}

#[test]
fn a_decimal_has_the_shortest_length() {
    // The table of Parquet's own specification: so many digits fit into so many bytes.
    for (length, digits) in [(9, 21), (10, 23), (11, 26), (12, 28), (13, 31), (14, 33), (15, 35), (16, 38)] {
        assert_eq!(decimal_length(digits), length, "{digits}");
        if digits < 38 {
            assert_eq!(decimal_length(digits + 1), length + 1, "{digits}");
        }
    }
}

#[test]
fn values_of_every_type_come_back() {
    let types = "boolean int long float double decimal(1,1) decimal(9,2) decimal(18,4) decimal(19,0) decimal(38,10) date \
                 time timestamp timestamptz timestamp_ns timestamptz_ns string uuid fixed(5) binary";
    let columns = types.split_whitespace().map(|ty| Field::optional(name(ty), primitive(ty)));
    let list = Type::list(Type::Struct(columns.clone().collect()), true).unwrap();
    let schema = Schema::numbered(columns.chain([Field::optional(name("all"), list)]).collect()).unwrap();
    let (batch, file) = written(&schema);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(builder.schema().fields(), batch.schema().fields(), "ids, zones and extensions come back");
    let read: Vec<_> = builder.build().unwrap().map(|batch| batch.unwrap()).collect();
    assert_eq!(read[0].columns(), batch.columns());
}

#[test]
fn parquets_own_choice_differs_for_one_digit_only() {
    let own = |schema: &Schema| {
        ArrowSchemaConverter::new().schema_root(ROOT).convert(&arrow_schema(schema)).unwrap()
    };
    for digits in 2..=38 {
        let schema = column(PrimitiveType::Decimal { precision: digits, scale: 1 });
        assert_eq!(own(&schema).root_schema(), parquet_schema(&schema).unwrap().root_schema(), "{digits}");
    }
    let one = column(primitive("decimal(1,0)"));
    assert_eq!(own(&one).column(0).physical_type(), PhysicalType::INT64);
    let uuid = column(PrimitiveType::Uuid);
    assert_eq!(own(&uuid).root_schema(), parquet_schema(&uuid).unwrap().root_schema());
}

#[test]
fn a_struct_without_fields_is_refused() {
    let error = parquet_schema(&column(Type::Struct(Vec::new()))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
