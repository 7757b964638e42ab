//! Rows that take the place of others: of all, of those that pass a predicate, or of those in the same splits.
//!
//! Invariants: what goes and what comes is one change of the table; a file that comes out byte for byte as one that goes stays
//! as it is, neither uploaded nor listed anew; whoever else writes rows meanwhile where an overwrite replaces all collides with
//! it [REB-16]. What does not belong here: finding rows (`touch`), and encoding (`write`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{FileId, Filter, Hash, ObjectRef, Operation, Split, SplitField, TableName};

use crate::error::{Error, ErrorKind, Result};
use crate::filter::Predicate;
use crate::table::TableState;
use crate::transaction::rows::Rows;
use crate::transaction::touch::{self, Found};
use crate::transaction::{State, Transaction, splits};
use crate::write::{NewFile, Uploads};

/// Rows that are about to take the place of others: `.await` it.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
///
/// let reload = lake.begin().await?;
/// // What has an id above 1 becomes these rows, whatever it was; the rest stays.
/// reload.overwrite("orders", orders(&[(2, 13), (4, 99)])).matching(col("id").gt(1)).await?;
/// reload.commit().await?;
/// assert_eq!(lake.table("orders").await?.rows(), 3);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Transaction::append`]; `InvalidInput` if a new row does not pass the predicate whose rows it replaces.
#[derive(Debug)]
#[must_use = "rows are replaced when this is awaited"]
pub struct Overwrite {
    transaction: Transaction,
    table: String,
    rows: Rows,
    what: What,
}

/// Which rows go.
#[derive(Clone, Debug)]
enum What {
    All,
    Matching(Predicate),
    Splits,
}

/// What an overwrite did.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let reload = lake.begin().await?;
/// let done = reload.overwrite("orders", orders(&[(7, 70)])).await?;
/// assert_eq!((done.rows, done.files_kept), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overwritten {
    /// Rows that came.
    pub rows: u64,
    /// Files that came out as they had been, and were neither uploaded nor listed anew.
    pub files_kept: u64,
}

impl Transaction {
    /// Replaces all rows of a table; what this returns may be told to replace fewer, `.await` carries it out.
    pub fn overwrite(&self, table: impl Into<String>, rows: impl Into<Rows>) -> Overwrite {
        Overwrite { transaction: self.clone(), table: table.into(), rows: rows.into(), what: What::All }
    }

    /// A table as it is now, all appended rows in files.
    pub(super) async fn touched_table(&self, state: &mut State, name: &TableName) -> Result<TableState> {
        let id = self.find_table(state, name).await?;
        self.finish_appends(state, Some(id)).await?;
        state.work.table(name).await
    }
}

impl Overwrite {
    /// Replaces only the rows that pass. Every new row must pass as well.
    pub fn matching(mut self, predicate: Predicate) -> Self {
        self.what = What::Matching(predicate);
        self
    }

    /// Replaces only the rows in splits into which a new row falls: the table must be split.
    pub fn splits(mut self) -> Self {
        self.what = What::Splits;
        self
    }

    async fn run(self) -> Result<Overwritten> {
        let name = TableName::new(self.table.as_str())?;
        let (transaction, rows, what) = (self.transaction, self.rows, self.what);
        let done = transaction.overwrite_with(&name, rows, &what).await;
        done.map_err(|error| error.at(format_args!("table {:?}", name.as_str())))
    }
}

impl Transaction {
    /// The new rows are written without the transaction being held: what goes is found before, and must still be so after.
    async fn overwrite_with(&self, name: &TableName, rows: Rows, what: &What) -> Result<Overwritten> {
        let (now, intake) = {
            let mut state = self.open().await?;
            (self.touched_table(&mut state, name).await?, self.intake(&state, name).await?)
        };
        let (going, intake) = match what {
            What::All | What::Splits => (touch::everything(&now).await?, intake),
            What::Matching(predicate) => {
                let required = intake.requiring(predicate.bind(&now.schema)?, predicate.to_string());
                (touch::matching(&now, predicate).await?, required)
            }
        };
        let split = intake.split().cloned();
        let files = intake.reusing(known(&going)).write(rows.into_stream(), self.objects()).await?;
        let (going, reach) = match what {
            What::All => (going, Filter::True),
            What::Matching(predicate) => (going, predicate.bind(&now.schema)?),
            What::Splits => of_splits(&now, split, &files, going).await?,
        };
        let mut state = self.open().await?;
        if *state.work.table(name).await?.table != *now.table {
            let message = "the table was changed while rows were written to replace others: write them again";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        self.exchange(&mut state, name, going, files, reach).await
    }

    /// Takes out what goes, and adds what comes; what is both stays.
    async fn exchange(
        &self,
        state: &mut State,
        name: &TableName,
        going: Vec<Found>,
        files: Vec<NewFile>,
        reach: Filter,
    ) -> Result<Overwritten> {
        let rows = files.iter().map(|file| file.rows).sum();
        let (kept, coming) = keep(&going, files);
        let mut draft = state.work.drafted(name).await?;
        let mut uploads = Uploads::default();
        if kept.is_empty() && reach == Filter::True {
            draft.clear();
        } else {
            let going = going.into_iter().filter(|found| !kept.contains(&found.entry.id));
            uploads = draft.take_out(going.collect(), self.objects()).await?;
        }
        draft.overwrites.push(reach);
        let base: Vec<FileId> = kept.iter().copied().filter(|id| !draft.is_new(*id)).collect();
        draft.kept.extend(base);
        let written: Vec<NewFile> = coming.iter().filter(|file| !file.reused).cloned().collect();
        super::rows::add_files(&mut draft, coming)?;
        state.work.put_draft(name, draft, Operation::Overwrite).await?;
        state.pending.extend(uploads);
        state.written.reused += kept.len() as u64;
        state.count(&written);
        Ok(Overwritten { rows, files_kept: kept.len() as u64 })
    }
}

/// What goes of the splits into which new rows fall, and a filter that all rows in them pass.
async fn of_splits(
    now: &TableState,
    split: Option<Split>,
    files: &[NewFile],
    all: Vec<Found>,
) -> Result<(Vec<Found>, Filter)> {
    let Some(split) = split else {
        let message = "it is not split, so no split can be replaced: split it first, or give a predicate";
        return Err(Error::new(ErrorKind::InvalidInput, message));
    };
    let source = |field: &SplitField| now.schema.field(field.field).and_then(|field| field.ty.primitive());
    let reach = splits::reach(&split, files, source);
    Ok((splits::within(now, &split, files, all).await?, reach))
}

/// The objects of the files that go as a whole: a new file with these bytes needs no upload.
fn known(going: &[Found]) -> HashMap<Hash, ObjectRef> {
    let whole = going.iter().filter(|found| found.is_whole());
    let object =
        |found: &Found| ObjectRef { hash: found.entry.hash, era: found.entry.era, size: found.entry.size };
    whole.map(|found| (found.entry.hash, object(found))).collect()
}

/// The entries that stay because a new file is the same to the byte, one for each, and the new files that are left.
fn keep(going: &[Found], files: Vec<NewFile>) -> (HashSet<FileId>, Vec<NewFile>) {
    let mut at_hand: BTreeMap<Hash, Vec<&Found>> = BTreeMap::new();
    for found in going.iter().filter(|found| found.is_whole()) {
        at_hand.entry(found.entry.hash).or_default().push(found);
    }
    let mut kept = HashSet::new();
    let mut coming = Vec::new();
    for file in files {
        let same = |found: &&&Found| {
            found.entry.split == file.split && found.entry.order == file.order.map(|order| order.0)
        };
        let place = at_hand.get(&file.object.hash).and_then(|all| all.iter().position(|found| same(&found)));
        match (at_hand.get_mut(&file.object.hash), place) {
            (Some(all), Some(place)) => drop(kept.insert(all.swap_remove(place).entry.id)),
            _ => coming.push(file),
        }
    }
    (kept, coming)
}

impl IntoFuture for Overwrite {
    type Output = Result<Overwritten>;
    type IntoFuture = BoxFuture<'static, Result<Overwritten>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
