//! The checksums of pages, and whether the index of pages is still right with them [FILE-14].

use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int32Type;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, RowSelection, RowSelector};
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};

use super::super::Compression;
use super::*;
use crate::page_header::PageHeader;

const CODECS: [Compression; 6] = [
    Compression::None,
    Compression::Snappy,
    Compression::Gzip(6),
    Compression::Brotli(4),
    Compression::Lz4Raw,
    Compression::Zstd(3),
];

fn reader(bytes: &Bytes) -> ParquetRecordBatchReaderBuilder<Bytes> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options).unwrap()
}

/// The headers of a chunk's pages, with the offset of each.
fn headers(file: &Bytes, chunk: &ColumnChunkMetaData) -> Vec<(usize, PageHeader)> {
    let (start, length) = chunk.byte_range();
    let (mut at, end) = (usize::try_from(start).unwrap(), usize::try_from(start + length).unwrap());
    let mut headers = Vec::new();
    while at < end {
        let header = PageHeader::read(&file[at..end]).unwrap();
        let next = at + header.length + header.page;
        headers.push((at, header));
        at = next;
    }
    assert_eq!(at, end, "pages fill the chunk");
    headers
}

/// Every page has its checksum, and is where the metadata and the index of pages say. Gives the number of pages and of dictionaries.
fn check(file: &Bytes, footer: &ParquetMetaData) -> (usize, usize) {
    let (mut pages, mut dictionaries, mut end) = (0, 0, 4);
    for (group, index) in footer.row_groups().iter().zip(footer.offset_index().unwrap()) {
        for (chunk, index) in group.columns().iter().zip(index) {
            assert!(
                chunk.byte_range().0 >= end,
                "chunks follow each other; a Bloom filter may stand between row groups"
            );
            let headers = headers(file, chunk);
            let mut uncompressed = 0;
            for (at, header) in &headers {
                let data = at + header.length;
                assert_eq!(header.crc, Some(crc32fast::hash(&file[data..data + header.page])));
                uncompressed += header.length;
            }
            assert!(chunk.uncompressed_size() >= i64::try_from(uncompressed).unwrap());
            let (first, data) =
                headers.split_at(headers.partition_point(|(_, header)| header.is_dictionary()));
            let place = |(at, _): &(usize, PageHeader)| i64::try_from(*at).unwrap();
            assert_eq!(chunk.dictionary_page_offset(), first.first().map(place));
            assert_eq!(chunk.data_page_offset(), place(&data[0]));
            assert_eq!(index.page_locations.len(), data.len());
            for (location, page) in index.page_locations.iter().zip(data) {
                let size = i32::try_from(page.1.length + page.1.page).unwrap();
                assert_eq!((location.offset, location.compressed_page_size), (place(page), size));
            }
            (pages, dictionaries) = (pages + headers.len(), dictionaries + first.len());
            end = chunk.byte_range().0 + chunk.byte_range().1;
        }
    }
    (pages, dictionaries)
}

#[tokio::test]
async fn every_page_has_its_checksum() {
    let schema = every_type();
    let bloom_filters = vec![schema.find(["string"]).unwrap().id];
    for (compression, seed) in CODECS.into_iter().zip(0..) {
        let objects = objects();
        let options = WriteOptions { compression, bloom_filters: bloom_filters.clone(), ..options(64) };
        let written = batches(&schema, &[50, 300], seed);
        let files = write(&objects, spec(&schema, options), &written).await.unwrap();
        let file = bytes(&objects, &files[0]).await;
        let found = reader(&file);
        let (pages, dictionaries) = check(&file, found.metadata());
        assert!(pages > 100 && dictionaries > 50, "{compression:?}: {pages}, {dictionaries}");
        assert_eq!(read(&objects, &files[0]).await, together(&written), "{compression:?}");
    }
}

/// A column with a dictionary, one whose dictionary becomes too large half-way, lists, and one that has nulls only.
fn columns(rows: i64) -> (Schema, RecordBatch) {
    let list = Type::list(primitive("int"), false).unwrap();
    let [few, many, lists, nulls] = ["few", "many", "lists", "nulls"].map(name);
    let schema = Schema::numbered(vec![
        Field::optional(few, primitive("string")),
        Field::optional(many, primitive("long")),
        Field::optional(lists, list),
        Field::optional(nulls, primitive("long")),
    ])
    .unwrap();
    let mix = |n: i64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()).rotate_left(29);
    let of = |n: i64| (n % 5 != 0).then(|| (0..n % 4).map(move |m| Some(i32::try_from(n + m).unwrap())));
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>((0..rows).map(of));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            (0..rows).map(|n| (n % 7 != 0).then(|| format!("text {}", n % 100))).collect::<StringArray>(),
        ),
        Arc::new((0..rows).map(mix).collect::<Int64Array>()),
        Arc::new(lists),
        Arc::new((0..rows).map(|_| None).collect::<Int64Array>()),
    ];
    let arrow = arrow_schema(&schema);
    let cast = columns
        .iter()
        .zip(arrow.fields())
        .map(|(column, field)| arrow::compute::cast(column, field.data_type()).unwrap());
    (schema, RecordBatch::try_new(arrow.clone(), cast.collect()).unwrap())
}

/// Rows out of the middle of pages, so that whole pages are passed over by what the index says of them.
#[tokio::test]
async fn the_index_of_pages_leads_to_the_right_rows() {
    let (schema, written) = columns(300_000);
    for compression in [Compression::None, Compression::Zstd(3)] {
        let objects = objects();
        let options = WriteOptions { compression, ..options(170_000) };
        let files = write(&objects, spec(&schema, options), std::slice::from_ref(&written)).await.unwrap();
        let file = bytes(&objects, &files[0]).await;
        assert!(check(&file, reader(&file).metadata()).0 > 4 * 15);
        let mut rows: Vec<u64> = Vec::new();
        let mut selectors = Vec::new();
        let mut at = 0;
        for (skip, select) in [(0, 1), (19_998, 3), (61_000, 10), (88_990, 5), (1, 1), (99_000, 40), (5, 900)]
        {
            selectors.extend([RowSelector::skip(skip), RowSelector::select(select)]);
            at += skip as u64;
            rows.extend(at..at + select as u64);
            at += select as u64;
        }
        let found = reader(&file).with_row_selection(RowSelection::from(selectors)).build().unwrap();
        let found = together(&found.map(std::result::Result::unwrap).collect::<Vec<_>>());
        assert_eq!(found.columns(), take_record_batch(&written, &UInt64Array::from(rows)).unwrap().columns());
        assert_eq!(read(&objects, &files[0]).await.columns(), written.columns());
    }
}
