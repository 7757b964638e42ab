//! A process that goes to a lake and back, with the environment that a test gives it, and tells everything that it hears on the way:
//! what any crate in it logs at any level, what its handles look like for debugging, and what came of it.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use strandline::filter::Predicate;
use strandline::storage::{Durability, ObjectOptions, Storage, StorageOptions, StoreLocation};
use strandline::transaction::Rows;
use strandline::{Error, Lake, WriteOptions};
use strandline_format::RefName;
use strandline_testkit::overhear;

use crate::attempt;
use crate::child::{Start, acknowledge};
use crate::lake::{self, Place};
use crate::tables;

const LOG: &str = "log ";
const DEBUG: &str = "debug ";
/// How many pieces a long write comes in, how many rows each has, and how long it waits for each.
const PIECES: i64 = 12;
const PIECE_ROWS: i64 = 100_000;
const PAUSE: Duration = Duration::from_millis(500);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A lake is made, a table written, and read again.
    Round,
    /// A table is read.
    Read,
    /// A row is added.
    Append,
    /// Files are written for seconds, and committed.
    LongWrite,
    /// Everything that a store can be asked.
    Everything,
}

const ALL: [Work; 5] = [Work::Round, Work::Read, Work::Append, Work::LongWrite, Work::Everything];

/// The rows of a long write.
pub(super) const LONG: i64 = PIECES * PIECE_ROWS;

/// An errand that is prepared.
pub(super) struct Errand(Start);

impl Errand {
    pub(super) fn new(place: &Place, work: Work) -> Self {
        let start = Start::new("errand", &[&place.location, &place.options, &format!("{work:?}")]);
        Self(start.alone())
    }

    /// The same with a variable of the environment.
    pub(super) fn with(self, variable: &str, value: &str) -> Self {
        Self(self.0.with(variable, value))
    }

    /// Runs it to its end.
    pub(super) fn run(self) -> Told {
        Told(self.0.spawn().finish())
    }
}

/// What it told.
pub(super) struct Told(Vec<String>);

impl Told {
    /// What came of it: `done` and a number of rows, or the kind of the error and its text with all causes.
    pub(super) fn outcome(&self) -> &str {
        self.0.iter().rfind(|line| !line.starts_with(LOG) && !line.starts_with(DEBUG)).unwrap()
    }

    #[track_caller]
    pub(super) fn is_done(&self, rows: i64) {
        assert_eq!(self.outcome(), format!("done {rows}"), "{}", self.0.join("\n"));
    }

    #[track_caller]
    pub(super) fn is_refused(&self, kind: &str, names: &str) {
        let outcome = self.outcome();
        assert!(outcome.starts_with(kind) && outcome.contains(names), "{outcome}");
    }

    /// Checks that nothing in it is a secret, nor the longest part of one that no encoding changes.
    #[track_caller]
    pub(super) fn hides<S: AsRef<str>>(&self, secrets: impl IntoIterator<Item = S>) {
        for secret in secrets {
            let word =
                secret.as_ref().split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|word| word.len());
            let word = word.filter(|word| word.len() >= 6).unwrap();
            let leak = self.0.iter().find(|line| line.contains(word));
            assert_eq!(leak, None, "{word} is no secret any more");
        }
    }

    /// How many lines somebody has logged.
    pub(super) fn logged_by(&self, target: &str) -> usize {
        self.0.iter().filter(|line| line.starts_with(LOG) && line.contains(target)).count()
    }
}

/// Does it.
pub(crate) async fn run(arguments: &[String]) {
    let [location, options, work] = arguments else { panic!("{arguments:?}") };
    overhear(|line| acknowledge(&format!("{LOG}{}", line.replace('\n', " ")))).unwrap();
    let place = Place { location: location.clone(), options: options.clone() };
    let work = ALL.into_iter().find(|known| format!("{known:?}") == *work).unwrap();
    match Box::pin(go(&place, work)).await {
        Ok(rows) => acknowledge(&format!("done {rows}")),
        Err(error) => {
            let text = attempt::shown(&error).replace('\n', " ");
            acknowledge(&format!("{}: {text}", error.kind()));
        }
    }
}

async fn go(place: &Place, work: Work) -> Result<usize, Error> {
    match work {
        Work::Round => Box::pin(round(place)).await,
        Work::Read => read(&open(place).await?).await,
        Work::Append => {
            let lake = open(place).await?;
            lake.append("t", tables::batch(&[(9, 9)])).await?;
            read(&lake).await
        }
        Work::LongWrite => Box::pin(write_for_long(place)).await,
        Work::Everything => {
            // What one answer comes to is asked, not whether a later one is better.
            let how = place.how(Durability::None);
            let (put_patience, get_patience) = (Duration::ZERO, Duration::ZERO);
            let objects = ObjectOptions { put_patience, get_patience, ..how.objects };
            let location = StoreLocation::parse(&place.location)?;
            let how = StorageOptions { objects, ..how };
            let storage = Storage::open(&location, &how, strandline::Runtime::system()).await?;
            let tried = attempt::everything(&storage).await;
            tried.iter().for_each(show);
            Ok(tried.len())
        }
    }
}

async fn open(place: &Place) -> Result<Lake, Error> {
    let storage = lake::try_open_at(place, Durability::None).await?;
    show(&(&storage, place.how(Durability::None)));
    Lake::open_in(storage, &RefName::new("main")?).await
}

async fn round(place: &Place) -> Result<usize, Error> {
    let storage = lake::try_open_at(place, Durability::None).await?;
    let lake = Lake::create_in(storage).await?;
    let transaction = lake.begin().await?;
    transaction.create_table("t").like(&tables::batch(&[]).schema()).await?;
    transaction.append("t", tables::batch(&[(1, 1), (2, 2)])).await?;
    show(&transaction);
    show(&transaction.commit().await?);
    lake.append("t", tables::batch(&[(3, 3)])).await?;
    read(&open(place).await?).await
}

async fn read(lake: &Lake) -> Result<usize, Error> {
    let main = lake.main().await?;
    let table = main.table("t").await?;
    show(&(lake, &main, &table));
    show(&table.scan().plan().await?);
    Ok(tables::read_where(&table, Predicate::all()).await?.len())
}

/// Files whose rows come so slowly that several credentials expire over them, and their commit.
async fn write_for_long(place: &Place) -> Result<usize, Error> {
    let lake = open(place).await?;
    // Files so small that they go up while rows still come.
    let small = WriteOptions { target_file_bytes: 2 << 20, ..WriteOptions::default() };
    let transaction = lake.begin().writing(small).await?;
    let pieces = stream::iter(0..PIECES).then(|piece| async move {
        tokio::time::sleep(PAUSE).await;
        // Nothing that compresses.
        let mix = |row: i64| row.wrapping_mul(0x1e37_79b9_7f4a_7c15).rotate_left(29);
        let rows = (piece * PIECE_ROWS..(piece + 1) * PIECE_ROWS).map(|row| (mix(row), mix(!row)));
        Ok::<_, Error>(tables::batch(&rows.collect::<Vec<_>>()))
    });
    transaction.append("t", Rows::stream(pieces)).await?;
    // Files of their own, each put with what holds at the time.
    for file in 0..4 {
        tokio::time::sleep(PAUSE).await;
        transaction.append("u", tables::batch(&[(file, file)])).await?;
    }
    transaction.commit().await?;
    Ok(usize::try_from(lake.table("t").await?.rows()).unwrap_or_default())
}

fn show(handle: &impl std::fmt::Debug) {
    acknowledge(&format!("{DEBUG}{}", format!("{handle:?}").replace('\n', " ")));
}
