//! Tables of very many columns: they work, and what they ask of the store grows with the number of columns and no faster. How long they take is
//! the business of a bench.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use strandline::filter::{Predicate, col};
use strandline::format::PrimitiveType;
use strandline::{ErrorKind, Lake};
use strandline_testkit::Counts;

use crate::fixture::{Counted, open, paused};
use crate::work::{batch, change, column, longs};

/// How many columns the narrower table has; the other has four times as many.
const FEW: usize = 2_500;

/// Whatever the number of columns: a pointer, what of a file is read whole because it is small.
const CONSTANT: u64 = 64 << 10;

fn names(columns: usize) -> impl Iterator<Item = String> {
    (0..columns).map(|at| format!("column {at}"))
}

fn wide(columns: usize) -> RecordBatch {
    let value = |at: usize| Arc::new(Int64Array::from(vec![i64::try_from(at).unwrap(), 1])) as ArrayRef;
    let columns = names(columns).enumerate().map(|(at, name)| (name, value(at), true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// What each act on a table asked of the store.
struct Acts {
    counted: Counted,
    done: Vec<(&'static str, Counts)>,
}

impl Acts {
    async fn count<T>(&mut self, name: &'static str, act: impl Future<Output = T>) -> T {
        let (done, counts) = self.counted.store.measure(act).await;
        self.done.push((name, counts));
        done
    }
}

/// Makes, writes, reads and changes a table of so many columns.
async fn used(columns: usize) -> Vec<(&'static str, Counts)> {
    let counted = Counted::new();
    let mut acts = Acts { counted, done: Vec::new() };
    let lake = Lake::create_in(acts.counted.storage.clone()).await.unwrap();
    let rows = wide(columns);
    let make = change(&lake, async |on| drop(on.create_table("wide").like(&rows.schema()).await.unwrap()));
    acts.count("create", make).await;
    acts.count("append", lake.append("wide", rows.clone())).await.unwrap();
    let cold = open(acts.counted.cold().storage).await.unwrap();
    let table = acts.count("open", cold.table("wide")).await.unwrap();
    let read = acts.count("read", table.scan().collect()).await.unwrap();
    assert_eq!((read[0].num_columns(), read[0].num_rows()), (columns, 2));
    assert_eq!(read[0].column(columns - 1), rows.column(columns - 1));
    let one = format!("column {}", columns / 2);
    let alone = acts.count("read one", table.scan().columns([one.as_str()]).collect()).await.unwrap();
    assert_eq!(alone[0].num_columns(), 1);
    let each =
        names(columns).step_by(columns / 10).map(|name| col(&name).ge(0)).reduce(Predicate::and).unwrap();
    assert_eq!(acts.count("filter", table.scan().filter(each).count()).await.unwrap(), 2);
    let alter = change(&lake, async |on| {
        let alter = names(columns).take(100).fold(on.alter_table("wide"), |alter, name| {
            alter.rename_column(&name, format!("renamed {name}"))
        });
        alter.drop_column("column 101").add_column(column("more", PrimitiveType::Long)).await.unwrap();
    });
    acts.count("alter", alter).await;
    lake.append("wide", batch([("more", longs([7]))])).await.unwrap();
    let table = lake.table("wide").await.unwrap();
    assert_eq!((table.rows(), table.schema().fields().len()), (3, columns));
    assert_eq!(table.scan().filter(col("renamed column 5").eq(5)).count().await.unwrap(), 1);
    let error = lake.append("wide", wide(columns)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let delete = change(&lake, async |on| {
        assert_eq!(on.delete("wide", col("renamed column 5").eq(5)).await.unwrap(), 1);
    });
    Box::pin(acts.count("delete", delete)).await;
    acts.done
}

#[test]
fn ten_thousand_columns_ask_for_four_times_what_a_quarter_of_them_does() {
    let (few, many) = (paused(used(FEW)), paused(used(4 * FEW)));
    for ((name, few), (_, many)) in few.iter().zip(&many) {
        println!("{name}: {few}{many}");
        // A file that is small enough is read whole, in one request in place of two.
        assert!(many.total().requests <= few.total().requests + 1, "{name}: {few}{many}");
        assert!(many.depth() <= few.depth() + 1, "{name}: {few}{many}");
        let bytes = |counts: &Counts| counts.total().sent + counts.total().received;
        assert!(bytes(many) <= 4 * bytes(few) + bytes(few) / 2 + CONSTANT, "{name}: {few}{many}");
    }
}
