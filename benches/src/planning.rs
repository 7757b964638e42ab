//! The bench "planning": a query over a table of many files, of which ten pass, planned in SQL as by a process that has just opened the
//! lake, and again as by one that has asked before.
//!
//! The files are entries alone: planning opens none. What does not belong here: how entries are stored and found, which "tree"
//! measures.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::prelude::SessionContext;
use futures::stream;
use strandline::Lake;
use strandline::tree::Trees;
use strandline_datafusion::LakeTable;
use strandline_format::{FileId, Files, RowId, Schema, Table, TableId, TableSchema, Timestamp, Totals};
use strandline_testkit::generate::entries;
use tokio::time::Instant;

use crate::phase::{Failure, Measured, Task, say};

/// How many files pass.
const HITS: u64 = 10;

/// Runs the bench, or one phase of it.
pub(crate) async fn run(task: &Task) -> Result<(), Failure> {
    let Some((phase, folder)) = &task.phase else { return all(task) };
    let place = Place { folder: folder.clone(), entries: task.entries };
    let measured = match phase.as_str() {
        "store" => place.store().await,
        "open" => place.open().await,
        "cold" => place.plan(false).await,
        "warm" => place.plan(true).await,
        other => Err(format!("no such phase: {other}").into()),
    };
    say(&measured?.to_line());
    Ok(())
}

fn all(task: &Task) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    say(&format!("planning: {} entries with statistics of {} fields", task.entries, entries::FIELDS));
    task.measure("planning", "store", folder.path(), None)?;
    let open = task.measure("planning", "open", folder.path(), None)?;
    task.measure("planning", "cold", folder.path(), Some(&open))?;
    task.measure("planning", "warm", folder.path(), Some(&open))?;
    Ok(())
}

/// A lake in a folder, and the text of a table beside it.
struct Place {
    folder: PathBuf,
    entries: u64,
}

impl Place {
    /// Makes the lake and stores the entries.
    async fn store(&self) -> Result<Measured, Failure> {
        let started = Instant::now();
        let lake = Lake::create(self.lake().to_string_lossy()).await?;
        let trees = Trees::new(lake.storage().objects().clone());
        let era = lake.head().pointer().era();
        let files = stream::iter((0..self.entries).map(|id| Ok(entries::file(id))));
        let root = trees.build::<Files>(files, era).await?;
        let schema: Schema = entries::schema()?;
        let id = TableId::from_random([1; 16]);
        let mut table = Table::new(id, Timestamp::EPOCH, TableSchema::Inline(schema));
        table.field_set(&entries::field_set())?;
        (table.next_file, table.next_row) = (FileId(self.entries), RowId(self.entries * entries::ROWS));
        table.totals = Totals::of_root(&root).ok_or("the root does not show its totals")?;
        table.files = root;
        std::fs::write(self.text(), table.to_json()?)?;
        Ok(Measured::since(started, String::new()))
    }

    /// Opens the lake and makes a session: what planning needs and is no part of it.
    async fn open(&self) -> Result<Measured, Failure> {
        let started = Instant::now();
        self.session().await?;
        Ok(Measured::since(started, String::new()))
    }

    /// Plans the query, once before what is measured if it is to be warm.
    async fn plan(&self, warm: bool) -> Result<Measured, Failure> {
        let ctx = self.session().await?;
        if warm {
            self.planned(&ctx).await?;
        }
        let started = Instant::now();
        let plan = self.planned(&ctx).await?;
        let measured = Measured::since(started, plan.clone());
        let expected = format!("{HITS} of {} files", self.entries);
        if plan.contains(&expected) { Ok(measured) } else { Err(format!("not {expected}: {plan}").into()) }
    }

    /// What the plan says of its scan.
    async fn planned(&self, ctx: &SessionContext) -> Result<String, Failure> {
        let first = self.entries / 2 * entries::ROWS;
        let last = first + HITS * entries::ROWS - 1;
        let sql = format!("SELECT column_2 FROM t WHERE column_1 BETWEEN {first} AND {last}");
        let plan = ctx.sql(&sql).await?.create_physical_plan().await?;
        let text = datafusion::physical_plan::displayable(plan.as_ref()).one_line().to_string();
        let told = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
        let scan = told.split("lake=[").nth(1).and_then(|rest| rest.split(" by ").next());
        Ok(scan.map_or(text, str::to_owned))
    }

    async fn session(&self) -> Result<SessionContext, Failure> {
        let lake = Lake::open(self.lake().to_string_lossy()).await?;
        let (table, _) = lake.table_of_text("t", &std::fs::read_to_string(self.text())?)?;
        let ctx = SessionContext::new();
        strandline_datafusion::prepare(&ctx)?;
        ctx.register_table("t", Arc::new(LakeTable::pinned(lake.at("main").await?, table)?))?;
        Ok(ctx)
    }

    fn lake(&self) -> PathBuf {
        self.folder.join("lake")
    }

    fn text(&self) -> PathBuf {
        Path::new(&self.folder).join("table.json")
    }
}
