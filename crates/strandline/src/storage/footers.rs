//! The footers of data files that were read, so that reading a file again takes a request less.
//!
//! Invariants: the cache is bounded by the bytes that footers take in memory; a footer is found by the hash of its file, so it
//! never grows stale. Footers of files that have the same columns name the same description of them, so that who reads many files sees by a pointer that
//! they do; some of these descriptions are kept beside the cache.
//! What does not belong here: fetching a footer and holding it against an entry (`scan::footer`).

use std::sync::{Arc, Mutex, PoisonError};

use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataBuilder};
use parquet::schema::types::SchemaDescPtr;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use strandline_format::Hash;

use crate::error::Result;

/// About how many bytes a footer takes in memory, for the cache's first allocation.
const TYPICAL_FOOTER: u64 = 16 << 10;

/// For how many sets of columns it is known lately that files have them.
const SCHEMAS: usize = 32;

/// Footers by the hash of their file.
pub(crate) struct FooterCache {
    footers: Cache<Hash, Arc<ParquetMetaData>, BySize>,
    /// What describes columns, the latest last.
    schemas: Mutex<Vec<SchemaDescPtr>>,
}

impl FooterCache {
    /// A cache of at most this many bytes of footers as they are in memory.
    pub(crate) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / TYPICAL_FOOTER).unwrap_or(usize::MAX).max(16);
        Self { footers: Cache::with_weighter(items, bytes, BySize), schemas: Mutex::default() }
    }

    /// The footer of a file, if it is here.
    pub(crate) fn get(&self, file: &Hash) -> Option<Arc<ParquetMetaData>> {
        self.footers.get(file)
    }

    /// Keeps a footer of a file in place of the one that is here.
    pub(crate) fn keep(&self, file: &Hash, footer: Arc<ParquetMetaData>) {
        self.footers.insert(*file, footer);
    }

    /// The footer of a file, fetched if it is not here. Those who want the same one at the same time share a request.
    pub(crate) async fn get_or(
        &self,
        file: &Hash,
        fetch: impl Future<Output = Result<Arc<ParquetMetaData>>>,
    ) -> Result<Arc<ParquetMetaData>> {
        let shared = async { fetch.await.map(|footer| self.sharing(footer)) };
        self.footers.get_or_insert_async(file, shared).await
    }

    /// The same footer, with what describes its columns in common with others.
    fn sharing(&self, footer: Arc<ParquetMetaData>) -> Arc<ParquetMetaData> {
        let own = footer.file_metadata().schema_descr_ptr();
        let shared = self.schema_like(&own);
        if Arc::ptr_eq(&shared, &own) { footer } else { Arc::new(with_schema(footer, shared)) }
    }

    fn schema_like(&self, schema: &SchemaDescPtr) -> SchemaDescPtr {
        let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        let known = schemas.iter().rposition(|known| known.root_schema() == schema.root_schema());
        let shared = known.map_or_else(|| Arc::clone(schema), |at| schemas.remove(at));
        if schemas.len() >= SCHEMAS {
            schemas.remove(0);
        }
        schemas.push(Arc::clone(&shared));
        shared
    }
}

fn with_schema(footer: Arc<ParquetMetaData>, schema: SchemaDescPtr) -> ParquetMetaData {
    let file = footer.file_metadata();
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        schema,
        file.column_orders().cloned(),
    );
    let mut of = Arc::unwrap_or_clone(footer).into_builder();
    ParquetMetaDataBuilder::new(file)
        .set_row_groups(of.take_row_groups())
        .set_column_index(of.take_column_index())
        .set_offset_index(of.take_offset_index())
        .build()
}

/// What an entry costs: the footer in memory, and about what the cache keeps beside it.
#[derive(Clone, Debug)]
struct BySize;

impl Weighter<Hash, Arc<ParquetMetaData>> for BySize {
    fn weight(&self, _: &Hash, footer: &Arc<ParquetMetaData>) -> u64 {
        footer.memory_size() as u64 + 128
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    use super::*;

    fn footer(more: usize, rows: i64) -> Arc<ParquetMetaData> {
        let columns = ["", "required int64 b;"][more];
        let schema = parse_message_type(&format!("message m {{ required int64 a; {columns} }}")).unwrap();
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(schema)));
        let file = FileMetaData::new(1, rows, Some("test".to_owned()), None, Arc::clone(&schema), None);
        let column = |leaf| ColumnChunkMetaData::builder(schema.column(leaf)).build().unwrap();
        let chunks = (0..schema.num_columns()).map(column).collect();
        let group = RowGroupMetaData::builder(Arc::clone(&schema));
        let group = group.set_num_rows(rows).set_column_metadata(chunks).build().unwrap();
        Arc::new(ParquetMetaDataBuilder::new(file).set_row_groups(vec![group]).build())
    }

    #[tokio::test]
    async fn footers_with_the_same_columns_share_what_describes_them() {
        let cache = FooterCache::new(1 << 20);
        let mut kept = Vec::new();
        for (file, columns, rows) in [("one", 0, 1), ("two", 0, 2), ("three", 1, 3), ("four", 0, 4)] {
            let made = footer(columns, rows);
            let found =
                cache.get_or(&Hash::of(file.as_bytes()), async { Ok(Arc::clone(&made)) }).await.unwrap();
            // All else is as it was.
            assert_eq!(*found, *made);
            kept.push(found.file_metadata().schema_descr_ptr());
        }
        assert!(Arc::ptr_eq(&kept[0], &kept[1]) && Arc::ptr_eq(&kept[0], &kept[3]));
        assert!(!Arc::ptr_eq(&kept[0], &kept[2]));
    }
}
