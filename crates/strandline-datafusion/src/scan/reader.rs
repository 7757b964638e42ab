//! The bytes of data files for DataFusion's Parquet reader, through the SDK.
//!
//! The smallest files are read whole, which verifies them, and kept; other small ones are until their footers are known. Of a larger one the footer is
//! read with its length known, and then what is asked for; so it is of a small one if its pages have checksums. Invariants: a footer is known to all
//! queries after the first, and its index of pages after the first that wanted that; readers of one opened file share what was read of it. What does
//! not belong here: which files are read.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion_datasource::PartitionedFile;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::OBJECT_STORE_COALESCE_DEFAULT;
use strandline::ErrorKind;
use strandline::format::FileEntry;
use strandline::scan::FileReader;
use tokio::sync::OnceCell;

use super::adapt::Footer;

/// A file that is being read: what its readers share. A [`PartitionedFile`] carries it.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) entry: Arc<FileEntry>,
    pub(super) footer: Footer,
    /// All of it, if it is small.
    whole: Arc<OnceCell<Bytes>>,
}

impl Opened {
    pub(super) fn new(entry: Arc<FileEntry>) -> Self {
        Self { entry, footer: Arc::new(OnceLock::new()), whole: Arc::new(OnceCell::new()) }
    }
}

/// Makes readers of one table's files.
#[derive(Debug)]
pub(super) struct Readers(pub(super) FileReader);

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let opened = file.extension::<Opened>().cloned().ok_or_else(|| {
            DataFusionError::Internal(format!("{} is no file of a lake's table", file.object_meta.location))
        })?;
        Ok(Box::new(Reader::new(self.0.clone(), opened, Counts::new(partition, metrics))))
    }
}

/// What reading costs, for EXPLAIN ANALYZE.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    requests: Count,
    bytes: Count,
    footers_cached: Count,
    files_cached: Count,
}

impl Counts {
    pub(super) fn new(partition: usize, metrics: &ExecutionPlanMetricsSet) -> Self {
        let counter = |name| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            requests: counter("lake_requests"),
            bytes: counter("lake_bytes_read"),
            footers_cached: counter("lake_footer_cache_hits"),
            files_cached: counter("lake_file_cache_hits"),
        }
    }

    fn read(&self, requests: usize, bytes: u64) {
        self.requests.add(requests);
        self.bytes.add(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}

/// Reads one file.
pub(super) struct Reader {
    reader: FileReader,
    opened: Opened,
    counts: Counts,
}

impl Reader {
    pub(super) fn new(reader: FileReader, opened: Opened, counts: Counts) -> Self {
        Self { reader, opened, counts }
    }

    pub(super) fn entry(&self) -> &Arc<FileEntry> {
        &self.opened.entry
    }

    /// All of the file, if that takes no request.
    fn here(&self) -> Option<&Bytes> {
        if let Some(here) = self.opened.whole.get() {
            return Some(here);
        }
        let kept = self.reader.known_whole(&self.opened.entry)?;
        self.counts.files_cached.add(usize::from(self.opened.whole.set(kept).is_ok()));
        self.opened.whole.get()
    }

    async fn whole(&self) -> strandline::Result<&Bytes> {
        if let Some(here) = self.here() {
            return Ok(here);
        }
        let read = async {
            self.counts.read(1, self.opened.entry.size);
            self.reader.whole(&self.opened.entry).await
        };
        self.opened.whole.get_or_try_init(|| read).await
    }

    pub(super) async fn footer(&self) -> strandline::Result<Arc<ParquetMetaData>> {
        if let Some(footer) = self.opened.footer.get() {
            return Ok(Arc::clone(footer));
        }
        let entry = &self.opened.entry;
        let footer = if let Some(known) = self.reader.known_footer(entry)? {
            self.counts.footers_cached.add(1);
            known
        } else if FileReader::is_small(entry) {
            self.reader.footer_within(entry, self.whole().await?).await?
        } else {
            self.counts.read(1, entry.footer);
            self.reader.footer(entry).await?
        };
        Ok(Arc::clone(self.opened.footer.get_or_init(|| footer)))
    }

    /// Some ranges of the file, each by itself.
    pub(super) async fn ranges(&self, ranges: Vec<Range<u64>>) -> strandline::Result<Vec<Bytes>> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let footer = self.footer().await?;
        if self.takes_whole(&footer) {
            return self.slices(&ranges).await;
        }
        self.count(&ranges);
        self.reader.ranges(&self.opened.entry, &footer, &ranges).await
    }

    /// Whether ranges are taken out of the whole file: it was read, or will be kept then, or parts of it are not vouched for.
    fn takes_whole(&self, footer: &ParquetMetaData) -> bool {
        let entry = &self.opened.entry;
        let is_vouched_for = !FileReader::is_small(entry) || FileReader::has_checksums(footer);
        self.here().is_some() || self.reader.is_kept(entry) || !is_vouched_for
    }

    async fn slices(&self, ranges: &[Range<u64>]) -> strandline::Result<Vec<Bytes>> {
        let whole = self.whole().await?;
        ranges.iter().map(|range| self.slice(whole, range)).collect()
    }

    fn count(&self, ranges: &[Range<u64>]) {
        let bytes = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        self.counts.read(requests_of(ranges), bytes);
    }

    /// What stands beside the rows: filters, and the index of pages, which DataFusion would ask for again with each query.
    async fn aside(&self, range: Range<u64>) -> strandline::Result<Bytes> {
        let bytes = self.ranges(vec![range.clone()]).await?.pop().unwrap_or_default();
        let footer = self.footer().await?;
        self.reader.note_page_index(&self.opened.entry, &footer, &range, &bytes)?;
        Ok(bytes)
    }

    fn slice(&self, whole: &Bytes, range: &Range<u64>) -> strandline::Result<Bytes> {
        let at = |place: u64| usize::try_from(place).ok().filter(|place| *place <= whole.len());
        match (at(range.start), at(range.end)) {
            (Some(start), Some(end)) if start <= end => Ok(whole.slice(start..end)),
            _ => {
                let message =
                    format!("its footer places something at {range:?}, it has {} bytes", whole.len());
                Err(strandline::Error::new(ErrorKind::Corrupt, message)
                    .at(self.reader.place(&self.opened.entry)))
            }
        }
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, std::result::Result<Bytes, ParquetError>> {
        async move { self.aside(range).await.map_err(parquet) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, std::result::Result<Vec<Bytes>, ParquetError>> {
        async move { self.ranges(ranges).await.map_err(parquet) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, std::result::Result<Arc<ParquetMetaData>, ParquetError>> {
        async move { self.footer().await.map_err(parquet) }.boxed()
    }
}

fn parquet(error: strandline::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// A file, its footer, and what of it is to be read.
pub(super) type Wanted = (Reader, Arc<ParquetMetaData>, Vec<Range<u64>>);

/// Ranges of several files of one table, in their order: of those of which parts are read, all in one call; of others so many at once.
pub(super) async fn ranges_of(files: &[Wanted], at_once: usize) -> strandline::Result<Vec<Vec<Bytes>>> {
    let (whole, parts): (Vec<usize>, Vec<usize>) = (0..files.len())
        .filter(|at| !files[*at].2.is_empty())
        .partition(|at| files[*at].0.takes_whole(&files[*at].1));
    let mut read = vec![Vec::new(); files.len()];
    if let Some(first) = parts.first() {
        let wanted: Vec<_> = parts
            .iter()
            .map(|at| {
                let (reader, footer, ranges) = &files[*at];
                reader.count(ranges);
                (&**reader.entry(), &**footer, ranges.clone())
            })
            .collect();
        let found = files[*first].0.reader.ranges_of(&wanted).await?;
        parts.iter().zip(found).for_each(|(at, found)| read[*at] = found);
    }
    let slices = whole.clone().into_iter().map(|at| files[at].0.slices(&files[at].2));
    let slices: Vec<_> = stream::iter(slices).buffered(at_once).try_collect().await?;
    whole.into_iter().zip(slices).for_each(|(at, found)| read[at] = found);
    Ok(read)
}

/// How many requests these ranges take: neighbours share one.
fn requests_of(ranges: &[Range<u64>]) -> usize {
    let mut sorted: Vec<&Range<u64>> = ranges.iter().collect();
    sorted.sort_unstable_by_key(|range| range.start);
    let (mut requests, mut end) = (0, None::<u64>);
    for range in sorted {
        if end.is_none_or(|end| range.start > end.saturating_add(OBJECT_STORE_COALESCE_DEFAULT)) {
            requests += 1;
        }
        end = Some(end.map_or(range.end, |end| end.max(range.end)));
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_lie_close_share_a_request() {
        const FAR: u64 = OBJECT_STORE_COALESCE_DEFAULT;
        assert_eq!(requests_of(&[]), 0);
        assert_eq!(requests_of(&[0..1, 5..9, 1..2]), 1);
        assert_eq!(requests_of(&[0..1, 1 + FAR..2 + FAR]), 1);
        assert_eq!(requests_of(&[0..1, 2 + FAR..3 + FAR]), 2);
    }
}
