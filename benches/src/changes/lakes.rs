//! How a lake changes rows, by SQL and by the SDK, and how it reads them.

use std::future::Future;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::TryStreamExt;
use strandline::filter::col;
use strandline::transaction::Rows;
use strandline::{Error, ErrorKind, Lake};
use strandline_datafusion::Session;

use super::{claims, data};
use crate::cost::{Cost, Meter, median, ratio, show};
use crate::phase::{Failure, Measured};
use crate::rows;

/// What a MERGE of all columns says.
const MERGE: &str = "MERGE INTO lineitem AS t USING datafusion.public.source AS s \
    ON t.l_orderkey = s.l_orderkey AND t.l_linenumber = s.l_linenumber \
    WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *";

/// What rows come to, to be compared.
const SUMS: &str =
    "SELECT count(*), sum(l_quantity), sum(l_orderkey), sum(l_partkey), sum(length(l_comment)) FROM lineitem";

/// Makes a lake of `lineitem`.
pub(super) async fn load(folder: &Path, scale: f64) -> Result<Measured, Failure> {
    let batches = rows::lineitem(scale)?;
    let meter = Meter::start();
    let lake = Lake::create(folder.to_string_lossy()).await?;
    let transaction = lake.begin().await?;
    let table = transaction.create_table("lineitem").like(&rows::schema());
    table.property("strandline.compression", "zstd(1)").await?;
    transaction.append("lineitem", batches).await?;
    transaction.commit().await?;
    Ok(Measured::since(meter, String::new()))
}

/// A statement.
pub(super) async fn by_sql(act: &str, folder: &Path, source: &Path, scale: f64) -> Result<Measured, Failure> {
    let meter = Meter::start();
    let (ctx, session) = session(folder).await?;
    let between = |(low, high): (i64, i64)| format!("l_partkey BETWEEN {low} AND {high}");
    let statement = match act {
        "delete" => format!("DELETE FROM lineitem WHERE {}", between(data::deleted(scale))),
        "update" => format!(
            "UPDATE lineitem SET l_quantity = l_quantity + 1, l_comment = '{}' WHERE {}",
            data::COMMENT,
            between(data::updated(scale))
        ),
        _ => {
            let options = ParquetReadOptions::default();
            ctx.register_parquet("datafusion.public.source", source.to_string_lossy(), options).await?;
            MERGE.to_owned()
        }
    };
    let batches = session.sql(&statement).await?.collect().await?;
    let count = batches.first().ok_or("the statement says nothing")?;
    let rows = array_value_to_string(count.column(0), 0)?;
    Ok(Measured::since(meter, format!("{rows} rows")))
}

/// The same by calls.
pub(super) async fn by_sdk(act: &str, folder: &Path, source: &Path, scale: f64) -> Result<Measured, Failure> {
    let meter = Meter::start();
    let transaction = open(folder).await?.begin().await?;
    let within = |(low, high): (i64, i64)| col("l_partkey").between(low, high);
    let rows = match act {
        "delete" => transaction.delete("lineitem", within(data::deleted(scale))).await?,
        "update" => {
            let update = transaction.update("lineitem", within(data::updated(scale)));
            let more = |batch: &RecordBatch| {
                data::more_of(batch).map_err(|why| Error::new(ErrorKind::InvalidInput, why.to_string()))
            };
            update.set_with("l_quantity", more).set("l_comment", data::COMMENT).await?.updated
        }
        _ => {
            let (path, options) = (source.to_string_lossy().into_owned(), ParquetReadOptions::default());
            let batches = SessionContext::new().read_parquet(path, options).await?.execute_stream().await?;
            let upsert = transaction.upsert("lineitem", Rows::stream(batches));
            let changes = upsert.by(["l_orderkey", "l_linenumber"]).await?;
            changes.updated + changes.inserted
        }
    };
    transaction.commit().await?;
    Ok(Measured::since(meter, format!("{rows} rows")))
}

/// What the rows come to.
pub(super) async fn sums(folder: &Path) -> Result<Measured, Failure> {
    let meter = Meter::start();
    let batches = session(folder).await?.0.sql(SUMS).await?.collect().await?;
    let batch = batches.first().ok_or("no sums")?;
    let shown = batch.columns().iter().map(|column| array_value_to_string(column, 0));
    Ok(Measured::since(meter, shown.collect::<Result<Vec<_>, _>>()?.join(", ")))
}

/// A full scan, against one of the same rows written anew, in turns.
pub(super) async fn scan(folder: &Path, by_sql: bool, rounds: usize) -> Result<Measured, Failure> {
    let (ctx, session) = session(folder).await?;
    let copy = "CREATE TABLE compacted WITH ('strandline.compression' = 'zstd(1)') AS SELECT * FROM lineitem";
    session.sql(copy).await?.collect().await?;
    let (meter, lake) = (Meter::start(), open(folder).await?);
    let bytes = async |name: &str| Ok::<_, Failure>(lake.table(name).await?.totals().bytes);
    let (old, anew) = (bytes("lineitem").await?, bytes("compacted").await?);
    claims::scanned(old, anew)?;
    let mut costs: [Vec<Cost>; 2] = Default::default();
    for _ in 0..=rounds {
        for (table, costs) in ["compacted", "lineitem"].into_iter().zip(&mut costs) {
            costs.push(match by_sql {
                true => timed(select(&ctx, table)).await?,
                false => timed(read(&lake, table)).await?,
            });
        }
    }
    // The first round warms up.
    let [compacted, changed] = costs.map(|costs| median(&costs[1..]));
    let note = format!(
        "{} against {} of the same rows written anew, {:.3} times, {:.3} by processor time, {old} bytes against {anew}",
        show(changed.wall),
        show(compacted.wall),
        ratio(changed.wall, compacted.wall),
        ratio(changed.processor, compacted.processor),
    );
    Ok(Measured::since(meter, note))
}

async fn timed(reading: impl Future<Output = Result<(), Failure>>) -> Result<Cost, Failure> {
    let meter = Meter::start();
    reading.await?;
    Ok(meter.stop())
}

async fn select(ctx: &SessionContext, table: &str) -> Result<(), Failure> {
    let mut batches = ctx.sql(&format!("SELECT * FROM {table}")).await?.execute_stream().await?;
    while batches.try_next().await?.is_some() {}
    Ok(())
}

async fn read(lake: &Lake, table: &str) -> Result<(), Failure> {
    let mut batches = lake.table(table).await?.scan().await?;
    while batches.try_next().await?.is_some() {}
    Ok(())
}

async fn open(folder: &Path) -> Result<Lake, Failure> {
    Ok(Lake::open(folder.to_string_lossy()).await?)
}

/// A session in which the lake's tables are the default ones.
async fn session(folder: &Path) -> Result<(SessionContext, Session), Failure> {
    let ctx = SessionContext::new();
    let session = Session::with_context(ctx.clone(), &open(folder).await?)?;
    Ok((ctx, session))
}
