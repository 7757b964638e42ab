//! Updates: other values for the columns of rows that pass a predicate.
//!
//! Invariants: rows keep their ids; what is computed for a row is computed of the row as it was, whatever else is set. What does not belong here:
//! how rows come to be replaced (`change`), and expressions: a query engine has those.

use std::fmt;
use std::future::IntoFuture;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema};
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use strandline_format::{DeletionVector, Schema, TableName, Type, Value};

use crate::columns::constant;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Literal, Predicate};
use crate::scan::without;
use crate::transaction::change::Needs;
use crate::transaction::{RowChanges, Transaction, touch};

/// How many row groups of a file are read at once. Each is in memory as it is stored, of all columns.
const READ_AHEAD: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// An update that is about to be made: `.await` it.
///
/// Requests: those of finding the rows, of reading them, and of writing them to files of their own.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
///
/// let fix = lake.begin().await?;
/// let changed = fix.update("orders", col("amount").lt(0)).set("amount", 0).await?;
/// fix.commit().await?;
/// assert_eq!(changed.updated, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound` for the table or a column, offering the nearest names; `InvalidInput` if the predicate or a value does not fit the table, a
/// column is set twice, or a new row breaks a constraint; the store's errors. Nothing has changed then.
#[must_use = "rows are updated when this is awaited"]
pub struct Update {
    transaction: Transaction,
    table: String,
    predicate: Predicate,
    set: Vec<(String, To)>,
}

/// What a column is set to.
enum To {
    Literal(Option<Literal>),
    Computed(Box<Compute>),
}

type Compute = dyn Fn(&RecordBatch) -> Result<ArrayRef> + Send + Sync;

impl Transaction {
    /// Gives other values to columns of the rows that pass a predicate; what this returns is told which, `.await` carries it out.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strandline::Lake;
    /// use strandline::arrow::array::{Int64Array, RecordBatch, StringArray};
    /// use strandline::filter::col;
    /// use std::sync::Arc;
    ///
    /// let lake = Lake::create("memory://updates").await?;
    /// let batch = RecordBatch::try_from_iter([
    ///     ("id", Arc::new(Int64Array::from(vec![1, 2])) as _),
    ///     ("state", Arc::new(StringArray::from(vec!["open", "open"])) as _),
    /// ])?;
    /// let transaction = lake.begin().await?;
    /// transaction.create_table("orders").like(&batch.schema()).await?;
    /// transaction.append("orders", batch).await?;
    /// let changes = transaction.update("orders", col("id").eq(2)).set("state", "paid").await?;
    /// assert_eq!(changes.updated, 1);
    /// transaction.commit().await?;
    /// assert_eq!(lake.table("orders").await?.scan().filter(col("state").eq("paid")).count().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn update(&self, table: impl Into<String>, predicate: Predicate) -> Update {
        Update { transaction: self.clone(), table: table.into(), predicate, set: Vec::new() }
    }
}

impl Update {
    /// Sets a column to a value, which must be one of the column's type.
    pub fn set(self, column: impl Into<String>, value: impl Into<Literal>) -> Self {
        self.to(column.into(), To::Literal(Some(value.into())))
    }

    /// Sets a column to null.
    pub fn set_null(self, column: impl Into<String>) -> Self {
        self.to(column.into(), To::Literal(None))
    }

    /// Sets a column to what is computed for each row, out of batches of the rows as they were, with all of the table's columns.
    pub fn set_with(
        self,
        column: impl Into<String>,
        compute: impl Fn(&RecordBatch) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        self.to(column.into(), To::Computed(Box::new(compute)))
    }

    fn to(mut self, column: String, to: To) -> Self {
        self.set.push((column, to));
        self
    }

    async fn run(self) -> Result<RowChanges> {
        let name = TableName::new(self.table.as_str())?;
        self.carry_out(&name).await.map_err(|error| error.at(format_args!("table {:?}", name.as_str())))
    }

    async fn carry_out(self, name: &TableName) -> Result<RowChanges> {
        let Self { transaction, predicate, set, .. } = self;
        let mut state = transaction.open().await?;
        let mut change = transaction.begin_change(&mut state, name, Needs::Rows).await?;
        let (now, filter) = (change.now.clone(), predicate.bind(&change.now.schema)?);
        let setting = Setting::new(set, &now.schema)?;
        transaction.0.reads.scan(now.table.id, &filter, predicate.to_string());
        let going = touch::matching(&now, &predicate).await?;
        for found in &going {
            let others = match &found.rows {
                Some(rows) => DeletionVector::below(found.entry.rows)?.added_since(rows),
                None => touch::deleted(&now, found).await?,
            };
            let mut batches =
                without(&now, &found.entry, &others)?.row_ids(true).prefetch(READ_AHEAD).await?;
            while let Some(batch) = batches.try_next().await? {
                change.take(&setting.apply(&batch)?).await?;
            }
        }
        let changed = change.finish(going).await?;
        transaction.enter(&mut state, name, changed).await
    }
}

/// What is set, by the place of its column.
struct Setting(Vec<(usize, Source)>);

enum Source {
    Constant(Type, Option<Value>),
    Computed(Box<Compute>),
}

impl Setting {
    fn new(set: Vec<(String, To)>, schema: &Schema) -> Result<Self> {
        let mut all: Vec<(usize, Source)> = Vec::with_capacity(set.len());
        for (column, to) in set {
            let place = place(&column, schema)?;
            if all.iter().any(|(known, _)| *known == place) {
                return Err(invalid(format!("column {column:?} is set twice")));
            }
            let field = &schema.fields()[place];
            let source = match to {
                To::Computed(compute) => Source::Computed(compute),
                To::Literal(None) => Source::Constant(field.ty.clone(), None),
                To::Literal(Some(literal)) => {
                    let value = field.ty.primitive().and_then(|ty| literal.value(ty));
                    let value = value.ok_or_else(|| {
                        invalid(format!(
                            "column {column:?} of type {} cannot be {literal}",
                            field.ty.describe()
                        ))
                    })?;
                    Source::Constant(field.ty.clone(), Some(value))
                }
            };
            all.push((place, source));
        }
        Ok(Self(all))
    }

    /// The rows with their new values, and their ids behind them, of a batch of a scan with row ids.
    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let count = batch.num_columns().saturating_sub(2);
        let project = |columns: usize| batch.project(&(0..columns).collect::<Vec<_>>()).map_err(refused);
        let (old, mut new) = (project(count)?, project(count + 1)?.columns().to_vec());
        for (place, source) in &self.0 {
            new[*place] = match source {
                Source::Constant(ty, value) => constant(value.as_ref(), ty, batch.num_rows())?,
                Source::Computed(compute) => compute(&old)?,
            };
        }
        let schema = batch.schema();
        let fields = schema.fields().iter().zip(&new);
        let fields =
            fields.map(|(field, array)| ArrowField::new(field.name(), array.data_type().clone(), true));
        let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
        RecordBatch::try_new(schema, new).map_err(refused)
    }
}

fn place(column: &str, schema: &Schema) -> Result<usize> {
    let id = schema.find([column]).map(|field| field.id);
    let place = schema.fields().iter().position(|field| Some(field.id) == id);
    place.ok_or_else(|| {
        let names = schema.fields().iter().map(|field| field.name.as_str());
        crate::near::not_there(format!("there is no column {column:?} to be set"), column, names)
    })
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn refused(error: arrow::error::ArrowError) -> Error {
    invalid(format!("the rows cannot be updated: {error}")).with_source(error)
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&String> = self.set.iter().map(|(column, _)| column).collect();
        let mut shown = f.debug_struct("Update");
        shown.field("table", &self.table).field("predicate", &self.predicate).field("columns", &columns);
        shown.finish_non_exhaustive()
    }
}

impl IntoFuture for Update {
    type Output = Result<RowChanges>;
    type IntoFuture = BoxFuture<'static, Result<RowChanges>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
