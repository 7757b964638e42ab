//! Statements on a lake, one after the other, each with its result.
//!
//! What does not belong here: where the statements come from (`commands/sql`, `shell`).

use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use futures::StreamExt;
use strandline::Ref;
use strandline_datafusion::{At, Session};
use tokio::task::JoinSet;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::Format;
use crate::statements::split;

/// How many batches are computed before they are asked for.
const AHEAD: usize = 1;

/// Statements on a lake.
pub(crate) struct Queries<'c> {
    context: &'c Context,
    session: Session,
}

impl<'c> Queries<'c> {
    /// For somebody who has yet to say what he wants: whatever is committed until then is read.
    pub(crate) async fn for_a_person(context: &'c Context) -> Result<Self> {
        let lake = context.lake().await?;
        let queries = Self { context, session: Session::new(&lake).map_err(Failure::from)? };
        if let Some(reference) = context.reference() {
            queries.stand_at(reference).await?;
        }
        Ok(queries)
    }

    /// At the version that is meant, for statements that are given.
    pub(crate) async fn open(context: &'c Context) -> Result<Self> {
        Ok(Self { context, session: Session::of(&context.at().await?).map_err(Failure::from)? })
    }

    /// Goes to a branch, or to a version that is only read.
    pub(crate) async fn stand_at(&self, reference: &str) -> Result<()> {
        let at = self.context.at_reference(self.session.lake(), Some(reference)).await?;
        let statement = match at.is_head() {
            true => format!("USE BRANCH {}", identifier(at.branch().as_str())),
            false => format!("USE VERSION '{}'", reference.replace('\'', "''")),
        };
        Box::pin(self.session.sql(&statement)).await?;
        Ok(())
    }

    /// Where it stands, for a person.
    pub(crate) async fn place(&self) -> String {
        match self.session.at().await {
            At::Branch(branch) => branch.as_str().to_owned(),
            At::Ref(at) => format!("{}@{}", at.branch().as_str(), at.version()),
            At::Transaction(transaction) => format!("{}*", transaction.branch().as_str()),
        }
    }

    /// What is read now, as a version; of a transaction, what it began on.
    pub(crate) async fn version(&self) -> Result<Ref> {
        let lake = self.session.lake();
        match self.session.at().await {
            At::Branch(branch) => Ok(lake.at(format!("branch:{}", branch.as_str())).await?),
            At::Ref(at) => Ok(at),
            At::Transaction(transaction) => {
                let (branch, start) = (transaction.branch().as_str(), transaction.start().version());
                Ok(lake.at(format!("branch:{branch}@{{{start}}}")).await?)
            }
        }
    }

    /// Runs the statements of a text and prints what each answers.
    pub(crate) async fn run(&self, text: &str) -> Result<()> {
        for statement in split(text).all() {
            let session = self.session.clone();
            let answer = apart(async move { Box::pin(session.sql(&statement)).await }).await?;
            self.print(answer).await?;
        }
        Ok(())
    }

    /// Refuses to end with a transaction that nobody committed.
    pub(crate) async fn finish(&self) -> Result<()> {
        match self.session.at().await {
            At::Transaction(_) => {
                let failure = Failure::input("a transaction was left open, and nothing of it was committed");
                Err(failure.hint("end it with COMMIT or ROLLBACK"))
            }
            At::Branch(_) | At::Ref(_) => Ok(()),
        }
    }

    async fn print(&self, answer: DataFrame) -> Result<()> {
        let plan = matches!(answer.logical_plan(), LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
        let stream = rows_apart(Box::pin(answer.execute_stream()).await?);
        if plan && self.context.out.format() == Format::Table {
            return self.context.out.plan(stream).await;
        }
        let schema = stream.schema();
        let has_columns = !schema.fields().is_empty();
        let rows = self.context.out.rows(&schema, stream).await?;
        if !has_columns && rows == 0 {
            self.context.out.note("ok");
        }
        Ok(())
    }
}

/// Does work in a task of its own, which ends when nobody waits for it any more. A statement may compute for minutes without a
/// pause: done in the task that waits, Ctrl-C would not be heard.
async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // It is cancelled with this future, which then is not polled.
        _ => std::future::pending().await,
    }
}

/// Rows that come from a task of its own, for the same reason.
fn rows_apart(mut rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let mut apart = RecordBatchReceiverStream::builder(rows.schema(), AHEAD);
    let sender = apart.tx();
    apart.spawn(async move {
        while let Some(batch) = rows.next().await {
            if sender.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    });
    apart.build()
}

/// A name in quotes, as SQL has it.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        match strandline_datafusion::lake_error(&error) {
            Some(ours) => Self::from(ours),
            None => Self::of_any(&error).hint("the statement was not carried out"),
        }
    }
}
