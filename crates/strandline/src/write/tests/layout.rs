//! Sorted and split files, against plain comparisons and [`Transform::apply`] of each value.

use std::cmp::Ordering;
use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, Int32Array};
use arrow::datatypes::Int32Type;
use proptest::prelude::*;
use strandline_format::{
    Direction, FieldId, NullOrder, OrderId, Scalar, SortField, SortOrder, Split, SplitField, SplitFieldId,
    SplitId, Transform, Value,
};

use super::super::leaf::Leaf;
use super::super::transform::transform;
use super::*;
use crate::error::ErrorKind;

fn order(fields: &[(FieldId, Direction, NullOrder)]) -> SortOrder {
    let fields = fields.iter().map(|(field, direction, nulls)| SortField {
        field: *field,
        direction: *direction,
        nulls: *nulls,
    });
    SortOrder { id: OrderId(4), fields: fields.collect() }
}

fn split(fields: &[(FieldId, &str)]) -> Split {
    let fields = fields.iter().zip(1000..).map(|((field, transform), id)| SplitField {
        id: SplitFieldId(id),
        field: *field,
        name: name(&format!("s{id}")),
        transform: transform.parse().unwrap(),
    });
    Split { id: SplitId(6), fields: fields.collect() }
}

/// VAL-6, with NaN above all numbers and nulls where the order says.
fn compare(field: &SortField, a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let (Some(x), Some(y)) = (a, b) else {
        let nulls_first = b.is_none().cmp(&a.is_none());
        return if field.nulls == NullOrder::First { nulls_first } else { nulls_first.reverse() };
    };
    let ascending = match (x.is_nan(), y.is_nan()) {
        (false, false) => x.compare(y).unwrap(),
        (x_is, y_is) => x_is.cmp(&y_is),
    };
    if field.direction == Direction::Ascending { ascending } else { ascending.reverse() }
}

fn check_sorted(schema: &Schema, order: &SortOrder, rows: &RecordBatch) {
    let leaves = model::leaves(schema, rows);
    for row in 1..rows.num_rows() {
        let pairs = order.fields.iter().map(|field| {
            let values = &leaves[&field.field];
            compare(field, values[row - 1].as_ref(), values[row].as_ref())
        });
        let found = pairs.fold(Ordering::Equal, Ordering::then);
        assert_ne!(found, Ordering::Greater, "row {row} of {rows:?} by {order:?}");
    }
}

/// Rows as texts in any order, to see that none is lost or made up.
fn bag(schema: &Schema, batch: &RecordBatch) -> Vec<String> {
    let row = |row| format!("{:?}", model::leaves(schema, &batch.slice(row, 1)));
    let mut rows: Vec<String> = (0..batch.num_rows()).map(row).collect();
    rows.sort();
    rows
}

fn sortable() -> Vec<FieldId> {
    let schema = every_type();
    let leaves = Leaf::all(&arrow_schema(&schema), &schema).unwrap();
    leaves.into_iter().filter(|leaf| !leaf.is_repeated()).map(|leaf| leaf.id).collect()
}

fn sort_fields() -> impl Strategy<Value = (FieldId, Direction, NullOrder)> {
    let directions = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    let nulls = prop::sample::select(vec![NullOrder::First, NullOrder::Last]);
    (prop::sample::select(sortable()), directions, nulls)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn files_are_sorted_by_any_order(
        fields in prop::collection::vec(sort_fields(), 1..4),
        sizes in prop::collection::vec(0..40_usize, 1..5),
        seed in any::<u32>(),
        small_runs in any::<bool>(),
    ) {
        let (schema, order) = (every_type(), order(&fields));
        let written = batches(&schema, &sizes, u64::from(seed));
        let sort_run_bytes = if small_runs { 20_000 } else { 1 << 30 };
        let spec = FileSpec {
            order: Some(order.clone()),
            ..spec(&schema, WriteOptions { sort_run_bytes, ..options(17) })
        };
        let objects = objects();
        run(async {
            let files = write(&objects, spec, &written).await.unwrap();
            for file in &files {
                assert_eq!(file.order, Some(OrderId(4)));
                check_sorted(&schema, &order, &read(&objects, file).await);
            }
            if !files.is_empty() {
                assert_eq!(bag(&schema, &read_all(&objects, &files).await), bag(&schema, &together(&written)));
            }
        });
    }

    #[test]
    fn transforms_of_columns_are_those_of_values(rows in 0..200_usize, seed in any::<u32>()) {
        let schema = every_type();
        let written = batches(&schema, &[rows], u64::from(seed)).remove(0);
        let values = model::leaves(&schema, &written);
        for leaf in Leaf::all(&written.schema(), &schema).unwrap().iter().filter(|leaf| !leaf.is_repeated()) {
            let column = leaf.values(&leaf.narrow(written.column(leaf.column)).unwrap()).unwrap();
            for text in ["identity", "bucket[16]", "truncate[3]", "year", "month", "day", "hour", "void"] {
                let how: Transform = text.parse().unwrap();
                let Some(result) = how.result_type(leaf.ty) else { continue };
                let expected: Result<Vec<Option<Value>>> = values[&leaf.id]
                    .iter()
                    .map(|value| value.as_ref().map_or(Ok(None), |value| Ok(how.apply(value)?)))
                    .collect();
                match (transform(how, &column), expected) {
                    (Ok(None), Ok(expected)) => assert!(expected.iter().all(Option::is_none)),
                    (Ok(Some(found)), Ok(expected)) => {
                        let found: Vec<Option<Value>> = (0..found.len())
                            .map(|row| found.is_valid(row).then(|| model::value(&found, row, result)))
                            .collect();
                        let same = found.iter().zip(&expected).all(|pair| match pair {
                            (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
                            (a, b) => a.is_none() && b.is_none(),
                        });
                        assert!(same && found.len() == expected.len(), "{text}: {found:?}, {expected:?}");
                    }
                    (found, expected) => assert!(found.is_err() && expected.is_err(), "{text}"),
                }
            }
        }
    }
}

fn scalar_of(value: Option<&Value>) -> Scalar {
    let Some(value) = value else { return Scalar::Null };
    match value {
        Value::Boolean(truth) => Scalar::Bool(*truth),
        Value::Int(number) | Value::Date(number) => Scalar::Int(i64::from(*number)),
        Value::Long(number) => Scalar::Int(*number),
        Value::Double(number) if number.is_finite() => Scalar::Float(*number),
        Value::String(text) => Scalar::Text(text.to_string()),
        other => Scalar::Text(other.to_json().unwrap().trim_matches('"').to_owned()),
    }
}

async fn check_split(schema: &Schema, split: &Split, objects: &Objects, files: &[NewFile]) {
    for file in files {
        let leaves = model::leaves(schema, &read(objects, file).await);
        let rows = usize::try_from(file.rows).unwrap();
        let values = |row: usize| -> Vec<Option<Value>> {
            let value = |field: &SplitField| {
                leaves[&field.field][row].as_ref().and_then(|value| field.transform.apply(value).unwrap())
            };
            split.fields.iter().map(value).collect()
        };
        let Some(found) = &file.split else {
            assert!((0..rows).all(|row| values(row).iter().flatten().any(Value::is_nan)));
            continue;
        };
        assert_eq!(found.split, 6);
        for row in 0..rows {
            let expected: Vec<Scalar> = values(row).iter().map(|value| scalar_of(value.as_ref())).collect();
            assert_eq!(found.values, expected);
        }
    }
}

#[tokio::test]
async fn files_have_the_rows_of_one_split() {
    let schema = every_type();
    let id = |path: &[&str]| schema.find(path.iter().copied()).unwrap().id;
    let splits = [
        split(&[(id(&["boolean"]), "identity"), (id(&["string"]), "bucket[3]")]),
        split(&[(id(&["double"]), "identity")]),
        split(&[(id(&["inner", "a"]), "identity"), (id(&["int"]), "void")]),
        split(&[(id(&["inner", "b", "c"]), "bucket[4]")]),
        split(&[(id(&["decimal_9_2_"]), "identity"), (id(&["fixed_5_"]), "bucket[2]")]),
        split(&[
            (id(&["string"]), "truncate[1]"),
            (id(&["uuid"]), "identity"),
            (id(&["binary"]), "truncate[1]"),
        ]),
        split(&[(id(&["date"]), "void")]),
    ];
    for (seed, split) in (0..).zip(splits) {
        let (objects, written) = (objects(), batches(&schema, &[100, 30, 60], seed * 50));
        let options = WriteOptions { open_files: count(1000), ..options(20) };
        let spec = FileSpec { split: Some(split.clone()), ..spec(&schema, options) };
        let files = write(&objects, spec, &written).await.unwrap();
        check_split(&schema, &split, &objects, &files).await;
        assert_eq!(bag(&schema, &read_all(&objects, &files).await), bag(&schema, &together(&written)));
        let distinct: HashSet<String> = files.iter().map(|file| format!("{:?}", file.split)).collect();
        assert_eq!(distinct.len(), files.len(), "one file for each split");
        assert!(files.len() > 1 || split.fields[0].transform == Transform::Void);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn split_files_are_the_same_whatever_the_parallelism_and_memory_is_bounded() {
    let schema = every_type();
    let split = split(&[(schema.find(["string"]).unwrap().id, "bucket[20]")]);
    let long = schema.find(["long"]).unwrap().id;
    let order = order(&[(long, Direction::Ascending, NullOrder::Last)]);
    let written = batches(&schema, &[200; 20], 3);
    for order in [None, Some(order)] {
        let mut found = Vec::new();
        for parallelism in [1, 4] {
            let memory_bytes = 1 << 20;
            let options = WriteOptions {
                parallelism: count(parallelism),
                memory_bytes,
                open_files: count(7),
                ..options(100)
            };
            let spec =
                FileSpec { split: Some(split.clone()), order: order.clone(), ..spec(&schema, options) };
            let objects = objects();
            let mut writer = TableWriter::new(objects.clone(), spec).unwrap();
            let mut largest = 0;
            for batch in &written {
                largest = largest.max(super::super::size::weight(batch));
                writer.write(batch.clone()).await.unwrap();
            }
            let most = writer.most_held();
            assert!(most <= memory_bytes + 4 * largest, "{most}, {largest}");
            let files = writer.finish().await.unwrap();
            check_split(&schema, &split, &objects, &files).await;
            assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 4000);
            assert!(files.len() > 20, "{}", files.len());
            found.push(files);
        }
        assert!(found[0] == found[1]);
    }
}

/// Arrow puts a NaN with a sign below all numbers.
#[tokio::test]
async fn every_nan_is_above_all_numbers_and_equal_rows_stay_as_they_came() {
    let (objects, schema) = (objects(), flat(&[("f", "float"), ("d", "double"), ("n", "int")]));
    let order = order(&[
        (FieldId(1), Direction::Ascending, NullOrder::Last),
        (FieldId(2), Direction::Descending, NullOrder::First),
    ]);
    let floats = [-f32::NAN, 0.0, -0.0, f32::NAN, f32::INFINITY, -f32::NAN, 0.0, 0.0];
    let doubles = [-f64::NAN, 1.0, 5.0, 2.0, 0.0, 3.0, -f64::NAN, 1.0];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float32Array::from_iter_values(floats)),
        Arc::new(Float64Array::from_iter_values(doubles)),
        Arc::new((0..8).collect::<Int32Array>()),
    ];
    let written = RecordBatch::try_new(arrow_schema(&schema), columns).unwrap();
    let spec = FileSpec { order: Some(order), ..spec(&schema, options(3)) };
    let files = write(&objects, spec, &[written.slice(0, 5), written.slice(5, 3)]).await.unwrap();
    let found = read(&objects, &files[0]).await;
    assert_eq!(found.column(2).as_primitive::<Int32Type>().values(), &[2, 6, 1, 7, 4, 0, 5, 3]);
}

#[tokio::test]
async fn sorted_runs_respect_the_target() {
    let (objects, schema) = (objects(), flat(&[("a", "long"), ("b", "string")]));
    let order = order(&[(FieldId(1), Direction::Descending, NullOrder::First)]);
    let written = batches(&schema, &[500; 10], 3);
    let options = WriteOptions { target_file_bytes: 8000, ..options(200) };
    let spec = FileSpec { order: Some(order.clone()), ..spec(&schema, options) };
    let files = write(&objects, spec, &written).await.unwrap();
    assert!(files.len() > 2, "{files:?}");
    for file in &files {
        assert!(file.object.size < 16_000, "{}", file.object.size);
        check_sorted(&schema, &order, &read(&objects, file).await);
    }
    // One run, so the files follow each other in its order too.
    check_sorted(&schema, &order, &read_all(&objects, &files).await);
}

#[tokio::test]
async fn layouts_that_cannot_be_are_refused() {
    let schema = every_type();
    let element = schema.find(["lists", "element", "element"]).unwrap().id;
    let boolean = schema.find(["boolean"]).unwrap().id;
    let check = |order: Option<SortOrder>, split: Option<Split>| {
        let spec = FileSpec { order, split, ..spec(&schema, options(10)) };
        let error = TableWriter::new(objects(), spec).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    };
    check(Some(order(&[(element, Direction::Ascending, NullOrder::First)])), None);
    check(Some(order(&[(FieldId(999), Direction::Ascending, NullOrder::First)])), None);
    check(None, Some(split(&[(element, "identity")])));
    check(None, Some(split(&[(boolean, "year")])));
    // A transform that is no longer used asks for no field.
    let dropped = FileSpec { split: Some(split(&[(FieldId(999), "void")])), ..spec(&schema, options(10)) };
    assert!(TableWriter::new(objects(), dropped).is_ok());
}
