//! Single bits turned over in large files, which are read by ranges: an error that names the object, never other rows [FILE-14].

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use strandline_format::{ColumnName, Era, Field, FieldSet, FileEntry, PrimitiveType, Schema, Stats, Type};

use super::fixture::{Lake, Written, joined};
use crate::columns::arrow_schema;
use crate::filter::col;
use crate::page_header::PageHeader;
use crate::scan::file::SMALL_FILE;
use crate::storage::DataKind;
use crate::write::{Compression, FileSpec, TableWriter, WriteOptions};
use crate::{Error, ErrorKind};

/// More than a dictionary of different longs holds.
const ROWS: i32 = 150_003;

/// Of which rows the writer sees the values when it chooses between a dictionary and packing them.
const SEEN: i32 = 16;

fn mix(number: i64) -> i64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()).rotate_left(29)
}

/// A column of two texts by dictionary, one of longs that seem to be few, whose dictionary becomes too large before its end, one of few numbers, lists,
/// and the number of each row, packed, by which single pages are found.
fn table() -> (Schema, RecordBatch) {
    let of = |name: &str, ty: Type| Field::optional(ColumnName::new(name).unwrap(), ty);
    let schema = Schema::numbered(vec![
        of("text", PrimitiveType::String.into()),
        of("long", PrimitiveType::Long.into()),
        of("few", PrimitiveType::Int.into()),
        of("list", Type::list(PrimitiveType::Int, false).unwrap()),
        of("nth", PrimitiveType::Long.into()),
    ])
    .unwrap();
    let list = |n: i32| (n % 5 != 0).then(|| (0..n % 3).map(move |m| Some((n + m) % 90)));
    let columns: [ArrayRef; 5] = [
        Arc::new(
            (0..ROWS)
                .map(|n| (n % 7 != 0).then_some(if n % 2 == 0 { "a" } else { "b" }))
                .collect::<StringArray>(),
        ),
        Arc::new(
            (0..ROWS)
                .map(|n| mix(if n % SEEN == 0 { n % 3 } else { n }.into()) & !0xff)
                .collect::<Int64Array>(),
        ),
        Arc::new((0..ROWS).map(|n| n / 100 % 17).collect::<Int32Array>()),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>((0..ROWS).map(list))),
        Arc::new((0..ROWS).map(i64::from).collect::<Int64Array>()),
    ];
    let arrow = arrow_schema(&schema);
    let columns = columns.iter().zip(arrow.fields());
    let columns = columns.map(|(column, field)| arrow::compute::cast(column, field.data_type()).unwrap());
    let batch = RecordBatch::try_new(arrow.clone(), columns.collect()).unwrap();
    (schema, batch)
}

/// A file of the writer in a table, and how its bytes are turned over.
struct Flips {
    lake: Lake,
    entry: FileEntry,
    bytes: Bytes,
    rows: RecordBatch,
    flips: usize,
    refused: usize,
    /// Likewise, of reads of single pages.
    refused_pages: usize,
}

impl Flips {
    async fn new(compression: Compression) -> Self {
        let (schema, rows) = table();
        let mut lake = Lake::new(schema.clone());
        let row_group_rows = NonZeroUsize::new(1 << 20).unwrap();
        let spec = FileSpec {
            table: lake.node.id,
            schema: Arc::new(schema.clone()),
            arrow: rows.schema(),
            era: Era(1),
            order: None,
            split: None,
            options: WriteOptions { compression, row_group_rows, ..WriteOptions::default() },
            known: Arc::default(),
        };
        let mut writer = TableWriter::new(lake.objects(), spec).unwrap();
        writer.write(rows.clone()).await.unwrap();
        let file = writer.finish().await.unwrap().remove(0);
        assert_eq!((file.row_groups.len(), file.object.size > SMALL_FILE), (1, true));
        let bytes = lake.objects().get_data(DataKind::File, lake.node.id, &file.object).await.unwrap();
        let set = FieldSet::of(schema.leaves().iter().map(|(id, _)| *id));
        let entry = lake.add_bytes(bytes.clone(), set, Stats::default(), Written::default()).await;
        Self { lake, entry, bytes, rows, flips: 0, refused: 0, refused_pages: 0 }
    }

    /// The name and the bytes of each column chunk.
    fn chunks(&self) -> Vec<(String, Range<usize>)> {
        let reader = SerializedFileReader::new(self.bytes.clone()).unwrap();
        let chunks = reader.metadata().row_group(0).columns().iter().map(|chunk| {
            let (start, length) = chunk.byte_range();
            let [start, end] = [start, start + length].map(|at| usize::try_from(at).unwrap());
            (chunk.column_path().parts()[0].clone(), start..end)
        });
        chunks.collect()
    }

    /// Where the headers of a chunk's pages are.
    fn headers(&self, chunk: &Range<usize>) -> Vec<Range<usize>> {
        let (mut at, mut headers) = (chunk.start, Vec::new());
        while at < chunk.end {
            let header = PageHeader::read(&self.bytes[at..chunk.end]).unwrap();
            assert!(header.crc.is_some());
            headers.push(at..at + header.length);
            at += header.length + header.page;
        }
        headers
    }

    /// What the header of a page says of its values, with one bit turned over or none: how many there are, and of which encoding.
    fn said(&self, header: &Range<usize>, flipped: Option<(usize, usize)>) -> Option<(i32, i32)> {
        let mut bytes = self.bytes[header.start..].to_vec();
        if let Some((at, bit)) = flipped {
            bytes[at - header.start] ^= 1 << bit;
        }
        let header = PageHeader::read(&bytes).ok()?;
        // Two numbers stand for values that refer to a dictionary.
        Some((header.values, if header.encoding == 2 { 8 } else { header.encoding }))
    }

    /// Turns one bit over and reads the column of a row in its last page, without the others: it is that row, or an error.
    async fn check_page(&mut self, column: &str, at: usize, bit: usize, may_pass: bool) {
        let what = format!("bit {bit} of byte {at} in {column}");
        self.flip(at, bit).await;
        let row = ROWS - 2;
        let scan = self.lake.scan().columns([column]).filter(col("nth").eq(i64::from(row)));
        let row = usize::try_from(row).unwrap();
        match scan.collect().await {
            Ok(batches) => {
                let found = joined(&batches[0].schema(), &batches);
                let expected = self.rows.column_by_name(column).unwrap().slice(row, 1);
                assert!(*found.column(0) == expected, "{what}: another row");
                assert!(may_pass, "{what} was not seen");
            }
            Err(error) => {
                self.refuses(&error, &what);
                self.refused_pages += 1;
            }
        }
    }

    async fn flip(&self, at: usize, bit: usize) {
        let mut flipped = self.bytes.to_vec();
        flipped[at] ^= 1 << bit;
        self.lake.replace(&self.entry, flipped.into()).await;
    }

    fn refuses(&self, error: &Error, what: &str) {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert!(error.message().contains(&self.entry.hash.to_string()), "{error}");
    }

    /// Turns one bit over and reads the column with and without a limit.
    async fn check(&mut self, column: &str, at: usize, bit: usize, may_pass: bool) {
        self.flip(at, bit).await;
        for limit in [None, Some(50_000)] {
            let mut scan = self.lake.scan().columns([column]);
            if let Some(limit) = limit {
                scan = scan.limit(limit);
            }
            self.flips += 1;
            match scan.collect().await {
                Ok(batches) => {
                    let found = joined(&batches[0].schema(), &batches);
                    let expected = self.rows.column_by_name(column).unwrap().slice(0, found.num_rows());
                    let rows = limit.map_or(self.rows.num_rows(), |limit| usize::try_from(limit).unwrap());
                    assert_eq!(found.num_rows(), rows, "bit {bit} of byte {at} in {column}");
                    assert!(*found.column(0) == expected, "bit {bit} of byte {at} in {column}: other rows");
                    assert!(may_pass || limit.is_some(), "bit {bit} of byte {at} in {column} was not seen");
                }
                Err(error) => {
                    self.refuses(&error, &format!("bit {bit} of byte {at} in {column}"));
                    self.refused += 1;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_bit_of_a_page_is_seen() {
    let codecs = [
        Compression::None,
        Compression::Snappy,
        Compression::Gzip(1),
        Compression::Brotli(1),
        Compression::Lz4Raw,
        Compression::Zstd(1),
    ];
    for (compression, seed) in codecs.into_iter().zip(0..) {
        let mut flips = Flips::new(compression).await;
        for (column, chunk) in flips.chunks() {
            let headers = flips.headers(&chunk);
            for n in 0..12 {
                let random = usize::try_from(mix(mix(seed * 1000 + n) + 1) >> 3 & 0xff_ffff).unwrap();
                let at = chunk.start + random % chunk.len();
                let within = headers.iter().any(|header| header.contains(&at));
                flips.check(&column, at, random % 8, within).await;
            }
            let last = headers[headers.len() - 1].end;
            for n in 0..4 {
                flips.check_page(&column, last + (chunk.end - 1 - last) * n / 3, n, true).await;
            }
            // The first and the last byte of some pages.
            for header in headers.iter().step_by(3) {
                flips.check(&column, header.end, 7, false).await;
                flips
                    .check(
                        &column,
                        if header.start > chunk.start { header.start - 1 } else { chunk.end - 1 },
                        0,
                        false,
                    )
                    .await;
            }
        }
        assert!(flips.refused > flips.flips / 2, "{} of {}", flips.refused, flips.flips);
        assert!(flips.refused_pages > 10, "{}", flips.refused_pages);
    }
}

/// A header has no checksum of its own: what it says of the values is held against the footer.
#[tokio::test]
async fn a_bit_of_a_header_gives_no_other_rows() {
    let mut others = 0;
    for (compression, step) in [(Compression::None, 1), (Compression::Zstd(1), 7)] {
        let mut flips = Flips::new(compression).await;
        for (column, chunk) in flips.chunks() {
            let headers = flips.headers(&chunk);
            for header in [&headers[0], &headers[1], &headers[headers.len() - 1]] {
                for bit in (0..header.len() * 8).step_by(step) {
                    flips.check(&column, header.start + bit / 8, bit % 8, true).await;
                }
            }
            let last = &headers[headers.len() - 1];
            for bit in (0..last.len() * 8).step_by(3 * step) {
                let (at, bit) = (last.start + bit / 8, bit % 8);
                let said = flips.said(last, Some((at, bit)));
                others += usize::from(said.is_some() && said != flips.said(last, None));
                flips.check_page(&column, at, bit, said.is_none() || said == flips.said(last, None)).await;
            }
        }
        assert!(flips.refused > flips.flips / 2, "{} of {}", flips.refused, flips.flips);
        assert!(flips.refused_pages > 10, "{}", flips.refused_pages);
    }
    assert!(others > 10, "{others} headers said something else of their values");
}
