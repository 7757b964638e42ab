//! Scans on their way to another process.
//!
//! DataFusion's own serialiser would drop what a lake's scan adds (deletes, columns by id, verified bytes), so a scan refuses it,
//! and goes through [`LakeCodec`] on both sides. What is sent is the scan as DataFusion writes a Parquet scan, and with it the text of a table
//! that has just the scan's files: so the receiver reads the same files of the same commit, without a look at the lake's metadata. The column
//! of positions, which a Parquet reader makes and DataFusion does not send, goes as one of constants (`table::layout`).
//!
//! Only scans of tables go. What tells of a lake reads metadata as it runs, and a statement that writes belongs to the session whose commit it is:
//! both are refused, in words alone, since DataFusion keeps no more of what a codec says.
//!
//! Invariant: a file that was sent is read with all that its entry says, or the plan is refused. Two entries may have the same bytes, and so one path: an
//! entry is found by its id. What does not belong here: how a plan gets to another process, and which parts of it go where.

mod within;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion_datasource::PartitionedFile;
use datafusion_datasource::sink::DataSinkExec;
use datafusion_proto::physical_plan::{
    AsExecutionPlan, PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalPlanNode;
use serde::{Deserialize, Serialize};
use strandline::format::FileEntry;
use strandline::{ErrorKind, Lake};

use crate::error::{external, refused};
use crate::extremes;
use crate::scan::{self, Kept, LakeFile, LakeSource, LastRule, Origin, Scanned, Skips};
use crate::table::layout;
use within::Within;

/// Sends scans of lakes to other processes, and takes them there: a codec for `datafusion-proto` and what builds on it.
///
/// The receiver opens the lakes that plans may be of, and hands them in; it needs their stores, and nothing else. A plan is sent before it is run: what
/// DataFusion has found out by then, as the least of the first ten rows, would go along, and rows that are as great be passed over.
///
/// ```
#[doc = include_str!("../orders.example")]
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
    /// The ids of the files in the order of the plan's groups. One that is read in parts, or listed twice, stands there as often.
    files: Vec<Vec<u64>>,
    /// The text of the table of the scan's files.
    text: String,
}

const KIND: &str = "strandline scan 1";

impl PhysicalExtensionCodec for LakeCodec {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        out: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some((config, source)) = lake_scan(&node) else { return Err(not_sent(&node)) };
        let config = apart(config, source)?;
        let header = header(&config, source.scanned())?;
        serde_json::to_writer(&mut *out, &header)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        out.push(b'\n');
        let parquet = parquet_of(source.parquet().as_ref())?;
        let schema = layout::positions_as_constants(parquet.table_schema());
        let parquet = scan::over(parquet, schema)?;
        let plain = FileScanConfigBuilder::from(config).with_source(parquet).build();
        // By the caller's way of sending, which may keep filters one that several nodes share.
        converter
            .execution_plan_to_proto(&(DataSourceExec::from_data_source(plain) as _), &Within::default())?
            .try_encode(out)
    }

    fn try_decode(
        &self,
        bytes: &[u8],
        _: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
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
        let sent = Sent::of(lake, header)?;
        let within = Within { shifts: scan::shifts(sent.entries.values().map(AsRef::as_ref)) };
        let plain = PhysicalPlanNode::try_decode(&bytes[end + 1..])?;
        let plain =
            converter.proto_to_execution_plan(&plain, &PhysicalPlanDecodeContext::new(ctx, &within))?;
        let scan = plain.downcast_ref::<DataSourceExec>();
        let config = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        sent.taken(config.ok_or_else(|| broken("it is no scan of files"))?)
    }

    fn try_decode_udf(&self, name: &str, _: &[u8]) -> Result<Arc<ScalarUDF>> {
        within::function(name)
    }

    /// `min` and `max` of ours are told from DataFusion's, which the receiver may have under their names.
    fn try_encode_udaf(&self, function: &AggregateUDF, out: &mut Vec<u8>) -> Result<()> {
        if extremes::is_ours(function) {
            out.extend_from_slice(KIND.as_bytes());
        }
        Ok(())
    }

    fn try_decode_udaf(&self, name: &str, text: &[u8]) -> Result<Arc<AggregateUDF>> {
        let function = if text == KIND.as_bytes() { extremes::function(name) } else { None };
        function.ok_or_else(|| {
            DataFusionError::Plan(format!(
                "a plan that was sent calls {name}, which this session does not know"
            ))
        })
    }
}

/// Why a node is not sent.
fn not_sent(node: &Arc<dyn ExecutionPlan>) -> DataFusionError {
    let why = if node.is::<StreamingTableExec>() {
        "what tells of a lake (t$history, lake_log() and the like) is read where the lake is"
    } else if node.is::<DataSinkExec>() {
        "a statement that writes is committed by the session that it was given to"
    } else {
        return DataFusionError::NotImplemented(format!("{} is no scan of a lake", node.name()));
    };
    refused(ErrorKind::Unsupported, format!("this cannot be sent to another process: {why}"))
}

fn parquet_of(source: &dyn FileSource) -> Result<&ParquetSource> {
    source.downcast_ref::<ParquetSource>().ok_or_else(|| broken("it is no scan of Parquet files"))
}

/// The scan of a node, if it is one of a lake.
fn lake_scan(node: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &LakeSource)> {
    let config = node.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()?;
    Some((config, config.file_source().downcast_ref::<LakeSource>()?))
}

/// The same scan, each of its files by itself.
fn apart(config: &FileScanConfig, source: &LakeSource) -> Result<FileScanConfig> {
    let (columns, reader) = (source.table_schema().file_schema(), &source.scanned().reader);
    let group = |group: &FileGroup| scan::taken_apart(group.iter(), columns, reader).map(FileGroup::new);
    let groups = config.file_groups.iter().map(group).collect::<Result<_>>()?;
    Ok(FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build())
}

fn header(config: &FileScanConfig, scanned: &Scanned) -> Result<Header> {
    let entry_of = |file: &PartitionedFile| {
        let file = file.extension::<LakeFile>().ok_or_else(|| broken("one of its files is of no lake"))?;
        Ok::<_, DataFusionError>(Arc::clone(&file.0))
    };
    let (mut entries, mut files) = (BTreeMap::new(), Vec::with_capacity(config.file_groups.len()));
    for group in &config.file_groups {
        let group = group.iter().map(entry_of).collect::<Result<Vec<_>>>()?;
        files.push(group.iter().map(|entry| entry.id.0).collect());
        entries.extend(group.into_iter().map(|entry| (entry.id.0, entry)));
    }
    let entries: Vec<FileEntry> = entries.into_values().map(Arc::unwrap_or_clone).collect();
    Ok(Header {
        kind: KIND.to_owned(),
        lake: scanned.origin.lake.id().to_string(),
        store: config.object_store_url.as_str().trim_start_matches(scan::STORE_SCHEME).to_owned(),
        table: scanned.origin.table.clone(),
        label: scanned.origin.label.clone(),
        kept: scanned.kept.clone(),
        preserve_order: config.preserve_order,
        skips: scanned.skips,
        files,
        text: scanned.reader.table_text(&entries).map_err(external)?,
    })
}

/// What a header says.
struct Sent {
    scanned: Scanned,
    entries: HashMap<u64, Arc<FileEntry>>,
    files: Vec<Vec<u64>>,
    preserve_order: bool,
}

impl Sent {
    fn of(lake: &Lake, header: Header) -> Result<Self> {
        let (table, entries) = lake.table_of_text(&header.table, &header.text).map_err(external)?;
        let origin = Origin { lake: lake.clone(), table: header.table, label: header.label };
        let reader = table.file_reader();
        let scanned = Scanned { reader, origin, kept: header.kept, whole: None, skips: header.skips };
        let entries = entries.into_iter().map(|entry| (entry.id.0, Arc::new(entry))).collect();
        Ok(Self { scanned, entries, files: header.files, preserve_order: header.preserve_order })
    }

    /// The scan that was sent.
    fn taken(self, config: &FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        let shapes = self.files.iter().map(Vec::len);
        if !shapes.eq(config.file_groups.iter().map(FileGroup::len)) {
            return Err(broken("it reads other files than it tells of"));
        }
        let group = |(group, ids): (&FileGroup, &Vec<u64>)| {
            let files = group.iter().zip(ids).map(|(file, id)| self.file(file, *id));
            files.collect::<Result<Vec<_>>>().map(FileGroup::new)
        };
        let groups = config.file_groups.iter().zip(&self.files).map(group).collect::<Result<Vec<_>>>()?;
        let parquet = parquet_of(config.file_source().as_ref())?;
        let schema = layout::positions_as_made(parquet.table_schema());
        let parquet = scan::over(parquet, schema)?;
        let source = scan::source_of(parquet_of(parquet.as_ref())?, Arc::new(self.scanned));
        let config = FileScanConfigBuilder::from(config.clone())
            .with_source(Arc::new(source))
            .with_file_groups(groups)
            .with_preserve_order(self.preserve_order)
            .build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        LastRule::of_scan(&scan)
    }

    fn file(&self, file: &PartitionedFile, id: u64) -> Result<PartitionedFile> {
        let path = file.object_meta.location.as_ref();
        let unknown = || broken(&format!("it reads {path}, and says nothing of it"));
        let entry = self.entries.get(&id).ok_or_else(unknown)?;
        if self.scanned.reader.path(entry).map_err(external)? != path {
            return Err(unknown());
        }
        Ok(file.clone().with_extension(LakeFile(Arc::clone(entry))))
    }
}

fn broken(why: &str) -> DataFusionError {
    refused(ErrorKind::InvalidInput, format!("a scan that was sent cannot be taken: {why}"))
}
