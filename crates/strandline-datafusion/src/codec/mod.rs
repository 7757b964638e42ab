//! Scans on their way to another process.
//!
//! DataFusion's own serialiser would drop what a lake's scan adds (deletes, columns by id, verified bytes), so a scan refuses it,
//! and goes through [`LakeCodec`] on both sides. What is sent is the scan as DataFusion writes a Parquet scan, and with it the text of a table
//! that has just the scan's files: so the receiver reads the same files of the same commit, without a look at the lake's metadata.
//!
//! Invariant: a file that was sent is read with all that its entry says, or the plan is refused. What does not belong here: how a plan gets to another
//! process, and which parts of it go where.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::{
    DefaultPhysicalExtensionCodec, PhysicalExtensionCodec, PhysicalProtoConverterExtension,
};
use serde::{Deserialize, Serialize};
use strandline::format::FileEntry;
use strandline::{ErrorKind, Lake};

use crate::error::{external, refused};
use crate::scan::{self, Kept, LakeFile, LakeSource, LastRule, Origin, Scanned, Skips};

/// Sends scans of lakes to other processes, and takes them there: a codec for `datafusion-proto` and what builds on it.
///
/// The receiver opens the lakes that plans may be of, and hands them in; it needs their stores, and nothing else.
///
/// ```
#[doc = include_str!("orders.example")]
/// use datafusion::physical_plan::collect;
/// use datafusion::prelude::SessionContext;
/// use datafusion_proto::bytes::{
///     physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
/// };
/// use strandline_datafusion::LakeCodec;
///
/// let ctx = SessionContext::new();
/// strandline_datafusion::register(&ctx, "lake", &lake)?;
/// let plan = ctx.sql("SELECT id FROM lake.public.orders WHERE amount > 0").await?.create_physical_plan().await?;
/// let sent = physical_plan_to_bytes_with_extension_codec(plan, &LakeCodec::default())?;
///
/// // In another process, which has opened the lake.
/// let there = SessionContext::new();
/// let codec = LakeCodec::new([lake]);
/// let plan = physical_plan_from_bytes_with_extension_codec(&sent, &there.task_ctx(), &codec)?;
/// let rows: usize = collect(plan, there.task_ctx()).await?.iter().map(|batch| batch.num_rows()).sum();
/// assert_eq!(rows, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct LakeCodec {
    lakes: Vec<Lake>,
}

impl LakeCodec {
    /// A codec that takes scans of these lakes. Sending needs none.
    #[must_use]
    pub fn new(lakes: impl IntoIterator<Item = Lake>) -> Self {
        Self { lakes: lakes.into_iter().collect() }
    }

    fn lake(&self, id: &str) -> Result<&Lake> {
        self.lakes.iter().find(|lake| lake.id().to_string() == id).ok_or_else(|| {
            let message = format!(
                "a plan reads lake {id}, which this process was not given: open it, and hand it to the codec"
            );
            refused(ErrorKind::NotFound, message)
        })
    }
}

/// What goes before DataFusion's own bytes, as one line of JSON.
#[derive(Serialize, Deserialize)]
struct Header {
    /// What this is, so that other bytes are refused by name.
    kind: String,
    lake: String,
    /// What the store is known by where the plan was made, below the scheme of such names.
    store: String,
    table: String,
    label: String,
    kept: Kept,
    preserve_order: bool,
    #[serde(default)]
    skips: Skips,
    /// The text of the table of the scan's files.
    text: String,
}

const KIND: &str = "strandline scan 1";

impl PhysicalExtensionCodec for LakeCodec {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        out: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some((config, source)) = lake_scan(&node) else {
            return Err(DataFusionError::NotImplemented(format!("{} is no scan of a lake", node.name())));
        };
        if !source.parquet().table_schema().virtual_columns().is_empty() {
            let message = "a scan with columns of where rows stand (_row_id and the like) cannot be sent to another process";
            return Err(refused(ErrorKind::Unsupported, message));
        }
        let config = apart(config);
        let header = header(&config, source.scanned())?;
        serde_json::to_writer(&mut *out, &header)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        out.push(b'\n');
        let plain = FileScanConfigBuilder::from(config).with_source(Arc::clone(source.parquet())).build();
        let plain = DataSourceExec::from_data_source(plain);
        let bytes = physical_plan_to_bytes_with_extension_codec(plain, &DefaultPhysicalExtensionCodec {})?;
        out.extend_from_slice(&bytes);
        Ok(())
    }

    fn try_decode(
        &self,
        bytes: &[u8],
        _: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| broken("it has no header"))?;
        let header: Header =
            serde_json::from_slice(&bytes[..end]).map_err(|error| broken(&error.to_string()))?;
        if header.kind != KIND {
            return Err(broken(&format!("it is a {:?}, not a {KIND:?}", header.kind)));
        }
        let lake = self.lake(&header.lake)?;
        // The sender's name for the store, which the plan has; a lake's own, so that nobody else's is replaced.
        let url = format!("{}{}", scan::STORE_SCHEME, header.store);
        let url = ObjectStoreUrl::parse(url)?;
        let store = Arc::clone(lake.storage().objects().store());
        ctx.runtime_env().register_object_store(url.as_ref(), store);
        let plain = physical_plan_from_bytes_with_extension_codec(
            &bytes[end + 1..],
            ctx,
            &DefaultPhysicalExtensionCodec {},
        )?;
        let scan = plain.downcast_ref::<DataSourceExec>();
        let config = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        let config = config.ok_or_else(|| broken("it is no scan of files"))?;
        taken(lake, header, config)
    }
}

/// The scan of a node, if it is one of a lake.
fn lake_scan(node: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &LakeSource)> {
    let config = node.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()?;
    Some((config, config.file_source().downcast_ref::<LakeSource>()?))
}

/// The same scan, each of its files by itself.
fn apart(config: &FileScanConfig) -> FileScanConfig {
    let group = |group: &FileGroup| FileGroup::new(group.iter().flat_map(scan::files_of).cloned().collect());
    let groups = config.file_groups.iter().map(group).collect();
    FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build()
}

fn header(config: &FileScanConfig, scanned: &Scanned) -> Result<Header> {
    // A file that is read in parts is in several groups.
    let mut entries: HashMap<u64, FileEntry> = HashMap::new();
    for file in config.file_groups.iter().flat_map(FileGroup::iter) {
        let Some(LakeFile(entry)) = file.extension::<LakeFile>() else {
            return Err(broken("one of its files is of no lake"));
        };
        entries.insert(entry.id.0, (**entry).clone());
    }
    let entries: Vec<FileEntry> = entries.into_values().collect();
    Ok(Header {
        kind: KIND.to_owned(),
        lake: scanned.origin.lake.id().to_string(),
        store: config.object_store_url.as_str().trim_start_matches(scan::STORE_SCHEME).to_owned(),
        table: scanned.origin.table.clone(),
        label: scanned.origin.label.clone(),
        kept: scanned.kept.clone(),
        preserve_order: config.preserve_order,
        skips: scanned.skips,
        text: scanned.reader.table_text(&entries).map_err(external)?,
    })
}

/// The scan that was sent.
fn taken(lake: &Lake, header: Header, config: &FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
    let (table, entries) = lake.table_of_text(&header.table, &header.text).map_err(external)?;
    let reader = table.file_reader();
    let mut files: HashMap<String, Arc<FileEntry>> = HashMap::new();
    for entry in entries {
        files.insert(reader.path(&entry).map_err(external)?, Arc::new(entry));
    }
    let parquet = config.file_source().downcast_ref::<ParquetSource>();
    let parquet = parquet.ok_or_else(|| broken("it is no scan of Parquet files"))?;
    let origin = Origin { lake: lake.clone(), table: header.table, label: header.label };
    let scanned = Scanned { reader, origin, kept: header.kept, whole: None, skips: header.skips };
    let source = scan::source_of(parquet, Arc::new(scanned));
    let group = |group: &FileGroup| {
        let file = |file: &datafusion_datasource::PartitionedFile| {
            let path = file.object_meta.location.as_ref();
            let entry =
                files.get(path).ok_or_else(|| broken(&format!("it reads {path}, and says nothing of it")))?;
            Ok(file.clone().with_extension(LakeFile(Arc::clone(entry))))
        };
        group.iter().map(file).collect::<Result<Vec<_>>>().map(FileGroup::new)
    };
    let groups = config.file_groups.iter().map(group).collect::<Result<Vec<_>>>()?;
    let config = FileScanConfigBuilder::from(config.clone())
        .with_source(Arc::new(source))
        .with_file_groups(groups)
        .with_preserve_order(header.preserve_order)
        .build();
    let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
    LastRule::of_scan(&scan)
}

fn broken(why: &str) -> DataFusionError {
    refused(ErrorKind::InvalidInput, format!("a scan that was sent cannot be taken: {why}"))
}
