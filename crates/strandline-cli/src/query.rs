//! Statements on a lake, one after the other, each with its result.
//!
//! What does not belong here: where the statements come from (`commands/sql`, `shell`).

use datafusion::common::SchemaError;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use futures::{StreamExt, stream};
use strandline::format::{Base, Reference, Seq};
use strandline::{Error, ErrorKind, Ref, Transaction};
use strandline_datafusion::{At, Session};

use crate::apart::{apart, apart_stream};
use crate::context::{Context, is_branch};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::output::{DONE, Format, counted};
use crate::progress::{Progress, Sample, Shown, since};
use crate::running::Running;
use crate::statements::{Located, split};

/// Statements on a lake.
pub(crate) struct Queries<'c> {
    context: &'c Context,
    session: Session,
    running: Running,
    /// Whether it goes on after a failure.
    goes_on: bool,
}

impl<'c> Queries<'c> {
    /// For somebody who has yet to say what he wants: whatever is committed until then is read.
    pub(crate) async fn for_a_person(context: &'c Context) -> Result<Self> {
        let lake = context.lake().await?;
        let session = Session::new(&lake).map_err(Failure::from)?;
        let queries = Self { context, running: Running::of(&session), session, goes_on: true };
        if let Some(reference) = context.reference() {
            queries.stand_at(reference).await?;
        }
        Ok(queries)
    }

    /// At the version that is meant, for statements that are given.
    pub(crate) async fn open(context: &'c Context) -> Result<Self> {
        let at = context.at().await?;
        let session = match context.reference() {
            Some(reference) if !is_branch(reference, &at) => Session::reading(&at),
            _ => Session::of(&at),
        };
        let session = session.map_err(Failure::from)?;
        Ok(Self { context, running: Running::of(&session), session, goes_on: false })
    }

    /// Goes to a branch, or to a version that is only read: to what `--ref` means by this, wherever it stands before.
    pub(crate) async fn stand_at(&self, reference: &str) -> Result<()> {
        let found = self.context.at_reference(self.session.lake(), Some(reference)).await;
        let at = match found {
            Ok(at) => at,
            Err(failure) => return Err(self.of_another_branch(reference, failure).await),
        };
        // Statements read a version that names no branch as one of where they stand.
        let statement = match at.tag() {
            _ if is_branch(reference, &at) => format!("USE BRANCH {}", identifier(at.branch().as_str())),
            Some(tag) => format!("USE TAG {}", identifier(tag.as_str())),
            None => format!("USE VERSION 'branch:{}@{{{}}}'", at.branch(), at.version()),
        };
        Box::pin(self.session.sql(&statement)).await?;
        Ok(())
    }

    /// The same failure, with how a version is written of the branch where it stands.
    async fn of_another_branch(&self, reference: &str, failure: Failure) -> Failure {
        let here = match self.session.at().await {
            At::Branch(branch) => branch,
            At::Ref(at) => at.branch().clone(),
            At::Transaction(transaction) => transaction.branch().clone(),
        };
        match version_in(reference) {
            Some(version)
                if failure.is(ErrorKind::NotFound) && here != *self.session.lake().default_branch() =>
            {
                failure.hint(format!("version {version} of {here} is {here}@{{{version}}}"))
            }
            _ => failure,
        }
    }

    /// Where it stands, for a person.
    pub(crate) async fn place(&self) -> String {
        match self.session.at().await {
            At::Branch(branch) => branch.as_str().to_owned(),
            At::Ref(at) => format!("{}@{}", at.branch().as_str(), at.version()),
            At::Transaction(transaction) => format!("{}*", transaction.branch().as_str()),
        }
    }

    /// The transaction that is open.
    pub(crate) async fn transaction(&self) -> Option<Transaction> {
        match self.session.at().await {
            At::Transaction(transaction) => Some(transaction),
            At::Branch(_) | At::Ref(_) => None,
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

    /// Runs the statements of a text and prints what each answers. So many before it were carried out for good; tells how many are then.
    pub(crate) async fn run(&self, text: &str, mut stay: usize) -> Result<usize> {
        let statements = split(text).all();
        if statements.is_empty() {
            self.context.out.note("nothing to do: there is no statement");
        }
        let (count, mut open) = (statements.len(), 0);
        for (at, Located { text, line, column }) in statements.into_iter().enumerate() {
            let takes_back = takes_back(&text);
            if let Err(failure) = Box::pin(self.statement(text)).await {
                let failure = self.after(stay, failure.moved(line, column)).await;
                let place = || format!("statement {}, line {line}", at + 1);
                return Err(if count > 1 { failure.at(place()) } else { failure });
            }
            open += 1;
            if !self.in_transaction().await {
                stay += if takes_back { 0 } else { open };
                open = 0;
            }
        }
        Ok(stay)
    }

    async fn in_transaction(&self) -> bool {
        self.transaction().await.is_some()
    }

    /// The failure of a statement, with what became of those before it.
    async fn after(&self, stay: usize, failure: Failure) -> Failure {
        if self.in_transaction().await {
            return failure.hint(match self.goes_on {
                true => "the transaction is open, and nothing of it is committed",
                false => "nothing of the transaction was committed",
            });
        }
        match stay {
            0 => failure,
            stay => failure.hint(format!(
                "{} before it had been carried out, which stays",
                counted(stay as u64, "statement")
            )),
        }
    }

    async fn statement(&self, statement: String) -> Result<()> {
        let (session, running) = (self.session.clone(), self.running.clone());
        let objects = session.lake().storage().objects();
        let (traffic, written) = (since(objects), since(objects));
        let changes_names = changes_names(&statement);
        let sample = move || Sample { rows: running.rows(), traffic: traffic(), ..Sample::default() };
        self.running.forget();
        let shown = Progress::asked(self.context, "running", sample).show();
        let answer = apart(async move { Box::pin(session.sql(&statement)).await }).await?;
        // What is asked next is the answer, which has a plan of its own.
        let wrote = self.running.wrote();
        // A commit writes at the least itself.
        let is_idle = changes_names && written().bytes_written == 0 && !self.in_transaction().await;
        let done = if is_idle { "ok: nothing had to be changed" } else { "ok" };
        // What writes has done so before it answers. An answer that nobody reads to its end keeps nothing that follows from being done.
        let printed = interrupt::run(Box::pin(self.print(answer, shown, done))).await.or_else(Failure::heard);
        printed.map_err(|failure| match wrote {
            Some(_) => failure.at("standard output").hint(DONE),
            None => failure,
        })?;
        // The answer is a number alone, as DataFusion has it; a person may want to know more.
        if let Some(wrote) = wrote.filter(|_| self.context.out.is_watched()) {
            self.context.out.note(wrote.to_string());
        }
        Ok(())
    }

    /// Refuses to end with a transaction that nobody committed.
    pub(crate) async fn finish(&self) -> Result<()> {
        if self.in_transaction().await {
            let failure = Failure::input("a transaction was left open, and nothing of it was committed");
            return Err(failure.hint("end it with COMMIT or ROLLBACK"));
        }
        Ok(())
    }

    async fn print(&self, answer: DataFrame, shown: Shown, done: &str) -> Result<()> {
        let plan = matches!(answer.logical_plan(), LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
        let rows = Box::pin(answer.execute_stream()).await?;
        let schema = rows.schema();
        let mut rows = apart_stream(rows);
        // The first row may be long in coming.
        let first = rows.next().await;
        let shown = shown.beside_rows();
        let stream = stream::iter(first).chain(rows);
        if plan && self.context.out.format() == Format::Table {
            return self.context.out.plan(stream).await;
        }
        let has_columns = !schema.fields().is_empty();
        let rows = self.context.out.rows(&schema, stream).await?;
        drop(shown);
        if !has_columns && rows == 0 {
            self.context.out.note(done);
        }
        Ok(())
    }
}

/// Whether a statement takes back those before it.
fn takes_back(statement: &str) -> bool {
    statement.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("rollback"))
}

/// Whether a statement makes, drops or alters what stands in a lake, each time in a commit of its own or not at all.
fn changes_names(statement: &str) -> bool {
    let mut words = statement.split_whitespace().map(str::to_ascii_uppercase);
    let (act, of) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    matches!(act.as_str(), "CREATE" | "DROP" | "ALTER") && matches!(of.as_str(), "TABLE" | "VIEW" | "SCHEMA")
}

/// The version that a reference begins with, if it may be one.
fn version_in(reference: &str) -> Option<Seq> {
    let reference: Reference = reference.parse().ok()?;
    let readings = match reference.base() {
        Base::Word(word) => word.readings(),
        base => vec![base.clone()],
    };
    readings.into_iter().find_map(|base| match base {
        Base::Version(version) => Some(version),
        _ => None,
    })
}

/// A name in quotes, as SQL has it.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What is said of a column that is not there.
fn missing_column(error: &DataFusionError) -> Option<Failure> {
    let DataFusionError::SchemaError(error, _) = error.find_root() else { return None };
    let SchemaError::FieldNotFound { field, valid_fields } = &**error else { return None };
    let failure = Failure::not_found(format!("no column {:?}", field.flat_name()));
    Some(failure.offer(&field.name, valid_fields.iter().map(|known| known.name())))
}

/// What is said of a form of a query that has no plan, where that was found as late as when it was run.
fn not_planned(error: &DataFusionError) -> Option<Failure> {
    let DataFusionError::NotImplemented(message) = error.find_root() else { return None };
    let of_query = ["InSubquery", "Exists", "ScalarSubquery", "OuterReferenceColumn", "SetComparison"];
    // What follows is how the parser has it.
    let message = message.split(" { ").next().unwrap_or(message);
    let message = match message.strip_prefix("Physical plan does not support logical expression ") {
        Some(of) if of_query.iter().any(|of_query| of.starts_with(of_query)) => {
            "a query in this place has no plan: write a join, or a condition in WHERE"
        }
        _ => message,
    };
    Some(Failure::from(&Error::new(ErrorKind::Unsupported, message)))
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        match strandline_datafusion::lake_error(&error) {
            Some(ours) => Self::from(ours),
            None => {
                missing_column(&error).or_else(|| not_planned(&error)).unwrap_or_else(|| Self::of_any(&error))
            }
        }
    }
}
