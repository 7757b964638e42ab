//! Statements that are long or deep: they work or are refused, on the stack that a worker of tokio's has, and end no process.

use strandline::ErrorKind;
use strandline_datafusion::{Session, lake_error};

use crate::fixture::Counted;

/// What a thread of tokio's has, and a test's.
const STACK: usize = 2 << 20;

/// Runs statements on such a stack; gives the number of their rows, or their errors.
fn run(texts: Vec<String>) -> Vec<Result<usize, strandline::Error>> {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let session = Session::new(&Counted::new().await.lake).unwrap();
            session.sql("CREATE TABLE t (id INT, a INT); INSERT INTO t VALUES (1, 1), (2, 2)").await.unwrap();
            let mut outcomes = Vec::new();
            for text in texts {
                let rows = async { session.sql(&text).await?.collect().await };
                outcomes.push(match rows.await {
                    Ok(batches) => Ok(batches.iter().map(|batch| batch.num_rows()).sum()),
                    Err(error) => match lake_error(&error) {
                        Some(ours) => Err(strandline::Error::new(ours.kind(), ours.message())),
                        None => panic!("{error}"),
                    },
                });
            }
            outcomes
        })
    };
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap()
}

fn shown(text: &str) -> &str {
    &text[..text.len().min(60)]
}

fn work(cases: Vec<(String, usize)>) {
    let (texts, rows): (Vec<String>, Vec<usize>) = cases.into_iter().unzip();
    for ((text, rows), outcome) in texts.iter().zip(rows).zip(run(texts.clone())) {
        assert_eq!(outcome.map_err(|error| error.to_string()), Ok(rows), "{}", shown(text));
    }
}

fn are_refused(texts: &[String]) {
    for (text, outcome) in texts.iter().zip(run(texts.to_vec())) {
        let error = outcome.expect_err(shown(text));
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}: {error}", shown(text));
        assert!(error.message().contains("nested too deeply"), "{}: {error}", shown(text));
    }
}

fn joined(count: usize, between: &str, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(between)
}

#[test]
fn long_conditions_and_unions_work() {
    let each = |count, between| joined(count, between, |n| format!("id <> {}", n + 2));
    let any = joined(2500, " OR ", |n| format!("id = {}", n + 2));
    let mixed = joined(800, " OR ", |n| format!("id > {n} AND a <= {n} + 1 AND a <> 2"));
    let conditions = each(240, " AND ");
    work(vec![
        (format!("SELECT * FROM t WHERE {conditions}"), 1),
        (format!("SELECT * FROM t WHERE {any}"), 1),
        (format!("SELECT * FROM t WHERE {mixed}"), 1),
        (joined(800, " UNION ALL ", |_| "SELECT id FROM t".to_owned()), 1600),
        (format!("CREATE VIEW v AS SELECT * FROM t WHERE {conditions}; SELECT * FROM v"), 1),
        (format!("DELETE FROM t WHERE {conditions}"), 1),
    ]);
}

#[test]
fn what_is_as_deep_as_it_may_be_works() {
    work(vec![
        (format!("SELECT {} FROM t", joined(155, " + ", |_| "id".to_owned())), 2),
        (format!("SELECT id FROM t {}", "EXCEPT SELECT 9 ".repeat(45)), 2),
        (format!("SELECT {}1{}", "(".repeat(20), ")".repeat(20)), 1),
        (format!("CREATE TABLE d (x {}INT{}); SELECT * FROM d", "ARRAY<".repeat(10), ">".repeat(10)), 0),
    ]);
}

#[test]
fn what_is_deeper_is_refused() {
    let types = |count| format!("{}INT{}", "ARRAY<".repeat(count), ">".repeat(count));
    let sum = |count| " + 1".repeat(count);
    let each = |count| joined(count, " AND ", |n| format!("id <> {n}"));
    let hundred = each(100);
    are_refused(&[
        format!("SELECT * FROM t WHERE {}", each(800)),
        format!("SELECT id{} FROM t", sum(1500)),
        format!("SELECT id{} FROM t", "::INT".repeat(1500)),
        format!("SELECT id{} FROM t", "[1]".repeat(1500)),
        format!("SELECT id FROM t{}", " EXCEPT SELECT 9".repeat(800)),
        format!("SELECT {}1{}", "(".repeat(3000), ")".repeat(3000)),
        format!("SELECT {}true", "NOT ".repeat(48)),
        format!("SELECT {}true", "NOT ".repeat(3000)),
        format!("CREATE TABLE d (x {})", types(3000)),
        format!("CREATE TABLE d (x INT{})", "[]".repeat(3000)),
        format!("SELECT CAST(1 AS {})", types(3000)),
        format!("CREATE TABLE d (x INT, CHECK (x = 0{}))", sum(1500)),
        format!("CREATE TABLE d (x INT DEFAULT 0{})", sum(1500)),
        format!("CREATE VIEW v AS SELECT id{} FROM t", sum(1500)),
        format!("COPY (SELECT id{} FROM t) TO '/nowhere/t.csv'", sum(1500)),
        format!("EXPLAIN SELECT id{} FROM t", sum(1500)),
        // What is refused is dropped as well.
        format!("SELECT id{} FROM t", sum(30_000)),
        format!("SELECT * FROM t WHERE {}", each(30_000)),
        // Each part is short enough, and all of them together are not.
        format!("SELECT * FROM t WHERE ({hundred}) AND (({hundred}) AND {hundred})"),
        format!("SELECT {}id{} FROM t", "(".repeat(10), format!("{})", sum(60)).repeat(10)),
    ]);
}
