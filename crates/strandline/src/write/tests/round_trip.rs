//! What is written is read back by a reader of Parquet that knows nothing of us.

use parquet::basic::{LogicalType, Repetition};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::Type as ParquetType;
use strandline_format::{FieldSet, Type};

use super::super::Compression;
use super::*;

async fn metadata(objects: &Objects, file: &NewFile) -> ParquetMetaData {
    let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    reader.try_parse(&bytes(objects, file).await).unwrap();
    reader.finish().unwrap()
}

#[tokio::test]
async fn every_type_is_read_back_as_it_was() {
    let (objects, schema) = (objects(), every_type());
    for seed in 0..12 {
        let written = batches(&schema, &[50, 1, 0, 300, 20], seed * 100);
        // Small row groups are encoded in one job, the large one in one for each leaf.
        let group = if seed % 2 == 0 { 64 } else { 1000 };
        let files = write(&objects, spec(&schema, options(group)), &written).await.unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(read(&objects, &files[0]).await, together(&written), "{seed}");
    }
}

#[tokio::test]
async fn every_codec_is_read_back() {
    let (objects, schema) = (objects(), every_type());
    let written = batches(&schema, &[100], 1);
    for compression in [
        Compression::None,
        Compression::Snappy,
        Compression::Gzip(6),
        Compression::Brotli(4),
        Compression::Lz4Raw,
        Compression::Zstd(3),
    ] {
        let options = WriteOptions { compression, ..options(1000) };
        let files = write(&objects, spec(&schema, options), &written).await.unwrap();
        assert_eq!(read_all(&objects, &files).await, together(&written), "{compression:?}");
    }
}

#[tokio::test]
async fn an_entry_says_what_the_file_says() {
    let (objects, schema) = (objects(), every_type());
    let written = batches(&schema, &[100, 100], 5);
    let files = write(&objects, spec(&schema, options(64)), &written).await.unwrap();
    let file = &files[0];
    let found = metadata(&objects, file).await;
    assert_eq!((file.rows, found.file_metadata().num_rows()), (200, 200));
    assert_eq!(file.fields, FieldSet::of(schema.leaves().into_iter().map(|(id, _)| id)));
    let starts = found.row_groups().iter().map(|group| {
        let column = group.column(0);
        let first = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        u64::try_from(first).unwrap()
    });
    assert_eq!(file.row_groups, starts.collect::<Vec<_>>());
    assert_eq!(file.row_groups.len(), 4);
    let all = bytes(&objects, file).await;
    assert_eq!(file.object.size, all.len() as u64);
    let footer = all.slice(all.len() - usize::try_from(file.footer).unwrap()..);
    let footer = ParquetMetaDataReader::decode_metadata(&footer[..footer.len() - 8]).unwrap();
    assert_eq!(footer.num_row_groups(), 4);
    file.stats.check(file.rows).unwrap();
    assert!(found.file_metadata().created_by().unwrap().starts_with("strandline version"));
    assert_eq!(found.file_metadata().key_value_metadata(), None);
    assert!(found.offset_index().is_some());
}

/// FILE-12, and the forms of lists and maps that Iceberg asks for.
#[tokio::test]
async fn columns_and_groups_have_their_ids_and_names() {
    let (objects, schema) = (objects(), every_type());
    let files = write(&objects, spec(&schema, options(64)), &batches(&schema, &[10], 5)).await.unwrap();
    let found = metadata(&objects, &files[0]).await;
    let root = found.file_metadata().schema_descr().root_schema().clone();
    for (field, parquet) in schema.fields().iter().zip(root.get_fields()) {
        check_field(field, parquet);
    }
}

fn check_field(field: &Field, parquet: &ParquetType) {
    let info = parquet.get_basic_info();
    assert_eq!((info.name(), info.id()), (field.name.as_str(), field.id.0));
    let repetition = if field.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    assert_eq!(info.repetition(), repetition, "{}", field.name);
    let inside: Vec<&ParquetType> = match &field.ty {
        Type::Primitive(ty) => {
            assert!(parquet.is_primitive());
            let is_uuid = info.logical_type_ref() == Some(&LogicalType::Uuid);
            assert_eq!(is_uuid, *ty == PrimitiveType::Uuid, "{}", field.name);
            return;
        }
        Type::Struct(_) => parquet.get_fields().iter().map(AsRef::as_ref).collect(),
        Type::List(_) => {
            assert_eq!(info.logical_type_ref(), Some(&LogicalType::List));
            let list = &parquet.get_fields()[0];
            assert_eq!((list.name(), list.get_basic_info().repetition()), ("list", Repetition::REPEATED));
            list.get_fields().iter().map(AsRef::as_ref).collect()
        }
        Type::Map(_) => {
            assert_eq!(info.logical_type_ref(), Some(&LogicalType::Map));
            let pair = &parquet.get_fields()[0];
            assert_eq!(
                (pair.name(), pair.get_basic_info().repetition()),
                ("key_value", Repetition::REPEATED)
            );
            pair.get_fields().iter().map(AsRef::as_ref).collect()
        }
    };
    assert_eq!(inside.len(), field.ty.children().len());
    field.ty.children().iter().zip(inside).for_each(|(child, parquet)| check_field(child, parquet));
}

#[tokio::test]
async fn bloom_filters_are_there_where_they_were_wanted() {
    let (objects, schema) = (objects(), flat(&[("a", "string"), ("b", "long")]));
    let wanted = schema.find(["b"]).unwrap().id;
    let options = WriteOptions { bloom_filters: vec![wanted], ..options(100) };
    let written = batches(&schema, &[100], 3);
    let files = write(&objects, spec(&schema, options.clone()), &written).await.unwrap();
    let found = metadata(&objects, &files[0]).await;
    let offsets = found.row_group(0).columns().iter().map(|column| column.bloom_filter_offset().is_some());
    assert_eq!(offsets.collect::<Vec<_>>(), [false, true]);
    assert_eq!(read(&objects, &files[0]).await, written[0]);
    let unknown = WriteOptions { bloom_filters: vec![strandline_format::FieldId(99)], ..options };
    assert!(TableWriter::new(objects, spec(&schema, unknown)).is_err());
}

#[tokio::test]
async fn ten_thousand_columns_are_written() {
    let columns: Vec<(String, &str)> = (0..10_000).map(|number| (format!("c{number}"), "int")).collect();
    let columns: Vec<(&str, &str)> = columns.iter().map(|(name, ty)| (name.as_str(), *ty)).collect();
    let (objects, schema) = (objects(), flat(&columns));
    let written = batches(&schema, &[2, 1], 9);
    let files = write(&objects, spec(&schema, options(10)), &written).await.unwrap();
    assert_eq!(files[0].stats.0.len(), 10_000);
    assert_eq!(read(&objects, &files[0]).await, together(&written));
}

/// Columns of stored row ids are in the file, and not in its set of fields [FILE-8].
#[tokio::test]
async fn reserved_columns_come_along() {
    let (objects, schema) = (objects(), flat(&[("a", "string")]));
    let id = strandline_format::FieldId(2_147_483_540);
    let row_id = Field::optional(name("_row_id"), PrimitiveType::Long).with_id(id);
    let mut fields = arrow_schema(&schema).fields().to_vec();
    fields.push(Arc::new(arrow_field(&row_id)));
    let arrow: SchemaRef = Arc::new(ArrowSchema::new(fields));
    let written = batch(&arrow, 20, 3).unwrap();
    let spec = FileSpec { arrow, ..spec(&schema, options(10)) };
    let files = write(&objects, spec, std::slice::from_ref(&written)).await.unwrap();
    assert_eq!(read(&objects, &files[0]).await, written);
    assert!(!files[0].fields.contains(id) && files[0].stats.0.contains_key(&id));
}
