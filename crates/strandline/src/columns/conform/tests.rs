//! Batches of every kind brought into tables of every kind.

use std::sync::Arc;

use arrow::array::ArrayData;
use arrow::array::types::Int32Type;
use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field as ArrowField, FieldRef, Fields, TimeUnit, TimestampMicrosecondType, i256,
};
use proptest::prelude::*;
use strandline_format::{ColumnName, Field, PrimitiveType, Type, Value};
use strandline_testkit::generate::batches::batches;

use super::*;
use crate::columns::fields_from_arrow;

fn name(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn of(text: &str) -> Type {
    Type::Primitive(text.parse().unwrap())
}

fn optional(text: &str, ty: impl Into<Type>) -> Field {
    Field::optional(name(text), ty)
}

fn required(text: &str, ty: impl Into<Type>) -> Field {
    Field::required(name(text), ty)
}

fn schema(fields: Vec<Field>) -> Schema {
    Schema::numbered(fields).unwrap()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn conform(fields: Vec<Field>, batch: &RecordBatch) -> Result<RecordBatch> {
    Conform::new(&schema(fields), batch.schema_ref())?.apply(batch)
}

/// One column brought into a type.
fn one(ty: Type, array: ArrayRef) -> Result<ArrayRef> {
    let out = conform(vec![optional("c", ty)], &batch(vec![("c", array)]))?;
    Ok(Arc::clone(out.column(0)))
}

/// The same values in a type without metadata.
fn bare(array: &ArrayRef) -> ArrayRef {
    make_array(bare_data(&array.to_data()))
}

fn bare_data(data: &ArrayData) -> ArrayData {
    let children = data.child_data().iter().map(bare_data).collect();
    let ty = bare_type(data.data_type());
    data.clone().into_builder().data_type(ty).child_data(children).build().unwrap()
}

fn bare_type(ty: &DataType) -> DataType {
    let bare = |field: &FieldRef| {
        Arc::new(ArrowField::new(field.name(), bare_type(field.data_type()), field.is_nullable()))
    };
    match ty {
        DataType::Struct(inside) => DataType::Struct(inside.iter().map(bare).collect()),
        DataType::List(element) => DataType::List(bare(element)),
        DataType::Map(pair, sorted) => DataType::Map(bare(pair), *sorted),
        other => other.clone(),
    }
}

fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(values.iter().collect::<StringArray>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_batch_of_the_tables_own_types_keeps_its_values(given in batches(40), cut in 0..40_usize) {
        let schema = Schema::numbered(fields_from_arrow(given.schema_ref()).unwrap()).unwrap();
        let conform = Conform::new(&schema, given.schema_ref()).unwrap();
        let out = conform.apply(&given).unwrap();
        prop_assert_eq!(out.schema(), arrow_schema(&schema));
        for column in out.columns() {
            column.to_data().validate_full().unwrap();
        }
        for (out, given) in out.columns().iter().zip(given.columns()) {
            prop_assert_eq!(&bare(out), &bare(given));
        }

        // What is in the table's schema already is the same, and a slice becomes a slice.
        let again = Conform::new(&schema, out.schema_ref()).unwrap();
        prop_assert_eq!(&again.apply(&out).unwrap(), &out);
        let cut = cut.min(given.num_rows());
        let (offset, length) = (cut / 2, given.num_rows() - cut);
        prop_assert_eq!(conform.apply(&given.slice(offset, length)).unwrap(), out.slice(offset, length));

        // Columns are found wherever they stand.
        let turned: Vec<usize> = (0..given.num_columns()).rev().collect();
        let turned = given.project(&turned).unwrap();
        let out_of_turned = Conform::new(&schema, turned.schema_ref()).unwrap().apply(&turned).unwrap();
        prop_assert_eq!(out_of_turned, out);
    }
}

#[test]
fn every_wider_type_comes_to_the_same_values() {
    let longs = || Arc::new(Int64Array::from(vec![Some(0), None, Some(86_400), Some(172_800)])) as ArrayRef;
    let small = || Arc::new(Int32Array::from(vec![Some(0), None, Some(100), Some(7)])) as ArrayRef;
    let times = Arc::new(Time64MicrosecondArray::from(vec![Some(0), None, Some(86_399_000_000)])) as ArrayRef;
    let days = Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)])) as ArrayRef;
    let moments =
        Arc::new(TimestampMicrosecondArray::from(vec![Some(-1_000_000), None, Some(5_000_000)])) as ArrayRef;
    let zoned = |zone: &str| {
        let moments = moments.as_primitive::<TimestampMicrosecondType>().clone();
        Arc::new(moments.with_timezone(zone)) as ArrayRef
    };
    let floats =
        Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::INFINITY), Some(1.5)])) as ArrayRef;
    let decimals = cast(&small(), &DataType::Decimal128(9, 2)).unwrap();
    let numbers = cast(&longs(), &DataType::Decimal128(20, 0)).unwrap();
    let words =
        strings(&[Some("x"), None, Some("ä"), Some("a text that is longer than a view holds"), Some("")]);
    let bytes = cast(&words, &DataType::Binary).unwrap();

    let check = |expected: &ArrayRef, wide: DataType, ty: Type| {
        let given = cast(expected, &wide).unwrap();
        assert_eq!(
            one(ty.clone(), given.clone()).unwrap().as_ref(),
            expected.as_ref(),
            "{wide} to {}",
            ty.describe()
        );
        // The same of slices, in the middle and at the ends.
        for (offset, length) in [(1, 2), (0, 1), (2, 1), (1, 0)] {
            let out = one(ty.clone(), given.slice(offset, length)).unwrap();
            assert_eq!(out.as_ref(), expected.slice(offset, length).as_ref(), "a slice of {wide}");
        }
    };
    for wide in [DataType::Int8, DataType::Int16, DataType::UInt8, DataType::UInt16] {
        check(&small(), wide.clone(), of("int"));
        check(&cast(&small(), &DataType::Int64).unwrap(), wide, of("long"));
    }
    check(&longs(), DataType::UInt32, of("long"));
    check(&longs(), DataType::Int32, of("long"));
    check(&numbers, DataType::UInt64, of("decimal(20,0)"));
    check(&cast(&longs(), &DataType::Decimal128(38, 0)).unwrap(), DataType::UInt64, of("decimal(38,0)"));
    check(&floats, DataType::Float16, of("float"));
    check(&cast(&floats, &DataType::Float64).unwrap(), DataType::Float16, of("double"));
    check(&cast(&floats, &DataType::Float64).unwrap(), DataType::Float32, of("double"));
    for wide in [DataType::Decimal32(9, 2), DataType::Decimal64(9, 2), DataType::Decimal256(9, 2)] {
        check(&decimals, wide, of("decimal(9,2)"));
    }
    check(
        &cast(&decimals, &DataType::Decimal128(30, 2)).unwrap(),
        DataType::Decimal32(9, 2),
        of("decimal(30,2)"),
    );
    check(&days, DataType::Date64, of("date"));
    let midnights = cast(&days, &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap();
    check(&midnights, DataType::Date32, of("timestamp"));
    check(&midnights, DataType::Date64, of("timestamp"));
    check(&times, DataType::Time32(TimeUnit::Second), of("time"));
    check(&times, DataType::Time32(TimeUnit::Millisecond), of("time"));
    check(&times, DataType::Time64(TimeUnit::Nanosecond), of("time"));
    for unit in [TimeUnit::Second, TimeUnit::Millisecond] {
        check(&moments, DataType::Timestamp(unit, None), of("timestamp"));
        check(&zoned("UTC"), DataType::Timestamp(unit, Some("+02:00".into())), of("timestamptz"));
    }
    check(
        &zoned("UTC"),
        DataType::Timestamp(TimeUnit::Microsecond, Some("+02:00".into())),
        of("timestamptz"),
    );
    let nanos = cast(&zoned("UTC"), &DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))).unwrap();
    check(&nanos, DataType::Timestamp(TimeUnit::Nanosecond, Some("-07:00".into())), of("timestamptz_ns"));
    for wide in [DataType::LargeUtf8, DataType::Utf8View] {
        check(&words, wide.clone(), of("string"));
        check(&words, DataType::Dictionary(DataType::Int8.into(), wide.into()), of("string"));
    }
    for wide in [DataType::LargeBinary, DataType::BinaryView] {
        check(&bytes, wide, of("binary"));
    }
    check(&small(), DataType::Dictionary(DataType::UInt64.into(), DataType::Int32.into()), of("int"));
    let ends = Arc::new(ArrowField::new("run_ends", DataType::Int32, false));
    let values = Arc::new(ArrowField::new("values", DataType::UInt8, true));
    check(&small(), DataType::RunEndEncoded(ends, values), of("int"));
}

#[test]
fn rows_are_counted_from_the_first_of_several_batches() {
    let batch = batch(vec![("c", Arc::new(Date64Array::from(vec![0, 1])))]);
    let conform = Conform::new(&schema(vec![optional("c", of("date"))]), batch.schema_ref()).unwrap();
    let error = conform.apply_from(&batch, 16_384).unwrap_err();
    assert!(error.message().starts_with("column c, row 16385: "), "{error}");
}

#[test]
fn what_has_no_exact_image_is_an_error_with_its_row() {
    let check = |ty: &str, array: ArrayRef, row: usize| {
        let error = one(of(ty), array).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().starts_with(&format!("column c, row {row}: ")), "{error}");
        assert!(error.message().ends_with(&format!("is no value of type {ty}")), "{error}");
    };
    check("date", Arc::new(Date64Array::from(vec![Some(0), None, Some(1)])), 2);
    check("date", Arc::new(Date64Array::from(vec![i64::MAX - i64::MAX % 86_400_000])), 0);
    check("time", Arc::new(Time64NanosecondArray::from(vec![1000, 1001])), 1);
    check("time", Arc::new(Time64MicrosecondArray::from(vec![0, -1])), 1);
    check("time", Arc::new(Time64MicrosecondArray::from(vec![86_400_000_000])), 0);
    check("time", Arc::new(Time32SecondArray::from(vec![86_400])), 0);
    check("timestamp", Arc::new(TimestampSecondArray::from(vec![0, i64::MAX])), 1);
    check("timestamp", Arc::new(Date32Array::from(vec![i32::MAX])), 0);
    let decimal = |value| Decimal128Array::from(vec![0, value]).with_precision_and_scale(5, 2).unwrap();
    check("decimal(5,2)", Arc::new(decimal(100_000)), 1);
    check("decimal(9,2)", Arc::new(decimal(-100_000)), 1);
    assert!(one(of("decimal(5,2)"), Arc::new(decimal(-99_999))).is_ok());
    let large = Decimal256Array::from(vec![i256::MAX]).with_precision_and_scale(38, 0).unwrap();
    check("decimal(38,0)", Arc::new(large), 0);
}

#[test]
fn what_stands_under_a_null_is_no_error() {
    let nulls = Some(NullBuffer::from(vec![false, true]));
    let dates = Date64Array::new(vec![1, 0].into(), nulls.clone());
    assert_eq!(one(of("date"), Arc::new(dates)).unwrap().null_count(), 1);
    let decimals = Decimal128Array::new(vec![i128::MAX, 0].into(), nulls.clone());
    let decimals = decimals.with_precision_and_scale(5, 0).unwrap();
    assert_eq!(one(of("decimal(5,0)"), Arc::new(decimals)).unwrap().null_count(), 1);
    // Nor is it under a null of what it stands in.
    let inside =
        Decimal128Array::new(vec![i128::MAX, 0].into(), None).with_precision_and_scale(5, 0).unwrap();
    let field = ArrowField::new("d", DataType::Decimal128(5, 0), true);
    let outer = StructArray::new(vec![field].into(), vec![Arc::new(inside)], nulls);
    let ty = Type::Struct(vec![required("d", of("decimal(5,0)"))]);
    assert_eq!(one(ty, Arc::new(outer)).unwrap().null_count(), 1);
}

#[test]
fn narrowing_and_reinterpreting_are_refused() {
    let check = |ty: &str, from: DataType| {
        let error = one(of(ty), new_null_array(&from, 1)).unwrap_err();
        let expected = format!("c: the table has {ty}, the batch has {}", describe(&from));
        assert!(error.message().contains(&expected), "{error}");
    };
    check("int", DataType::Int64);
    check("int", DataType::UInt32);
    check("long", DataType::UInt64);
    check("long", DataType::Float64);
    check("double", DataType::Int32);
    check("float", DataType::Float64);
    check("decimal(5,2)", DataType::Decimal128(6, 2));
    check("decimal(9,2)", DataType::Decimal128(5, 1));
    check("decimal(19,0)", DataType::UInt64);
    check("string", DataType::Binary);
    check("string", DataType::Int32);
    check("binary", DataType::Utf8);
    check("date", DataType::Utf8);
    check("uuid", DataType::Utf8);
    check("uuid", DataType::FixedSizeBinary(15));
    check("timestamp", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    check("timestamptz", DataType::Timestamp(TimeUnit::Microsecond, None));
    check("timestamptz", DataType::Date32);
    check("timestamp", DataType::Timestamp(TimeUnit::Nanosecond, None));
    check("timestamp_ns", DataType::Timestamp(TimeUnit::Microsecond, None));
    check("int", DataType::Duration(TimeUnit::Second));
    check("boolean", DataType::Struct(Fields::empty()));
}

#[test]
fn every_difference_is_named_at_once() {
    let inside = Type::Struct(vec![required("sku", of("string")), optional("price", of("decimal(9,2)"))]);
    let fields = vec![
        required("order_id", of("long")),
        required("placed", of("timestamptz")),
        optional("items", Type::list(inside, false).unwrap()),
        optional("tags", Type::map(of("string"), of("int"), false).unwrap()),
    ];
    let member = |name: &str, ty| ArrowField::new(name, ty, true);
    let element = member(
        "item",
        DataType::Struct(vec![member("SKU", DataType::Utf8), member("prise", DataType::Float64)].into()),
    );
    let pair = DataType::Struct(
        vec![ArrowField::new("k", DataType::Int32, false), member("v", DataType::Utf8)].into(),
    );
    let incoming = ArrowSchema::new(vec![
        member("oder_id", DataType::Int64),
        member("Placed", DataType::Timestamp(TimeUnit::Microsecond, None)),
        member("PLACED", DataType::Int8),
        member("items", DataType::List(Arc::new(element))),
        member("tags", DataType::Map(Arc::new(ArrowField::new("entries", pair, false)), false)),
        member("zz", DataType::Boolean),
    ]);
    let error = Conform::new(&schema(fields), &incoming).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let (head, rest) = error.message().split_once(": ").unwrap();
    assert_eq!(head, "the batch does not fit the table");
    let mut found: Vec<&str> = rest.split("; ").collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "Placed: the batch has \"Placed\" and \"PLACED\", which are one name but for case",
            "items.element.prise: the table has no such column, the batch has Float64, did you mean \"price\"?",
            "oder_id: the table has no such column, the batch has Int64, did you mean \"order_id\"?",
            "order_id: the table has long, required and without a default, the batch has none, did you mean \"oder_id\"?",
            "placed: the table has timestamptz, the batch has Int8",
            "tags.key: the table has string, the batch has Int32",
            "tags.value: the table has int, the batch has Utf8",
            "zz: the table has no such column, the batch has Boolean",
        ]
    );
}

#[test]
fn columns_that_are_missing_get_their_default_or_nulls() {
    let mut amount = required("amount", of("long"));
    amount.default = Some(Value::Long(7));
    let mut unit = optional("unit", of("string"));
    unit.default = Some(Value::String("kg".into()));
    unit.initial = Some(Value::String("lb".into()));
    let inside = Type::Struct(vec![required("a", of("int")), amount.clone(), unit.clone()]);
    let fields = vec![optional("note", of("uuid")), amount, unit, optional("s", inside)];
    let member = ArrowField::new("A", DataType::Int32, true);
    let given = StructArray::new(vec![member].into(), vec![Arc::new(Int32Array::from(vec![1, 2]))], None);
    let out = conform(fields, &batch(vec![("S", Arc::new(given))])).unwrap();
    assert_eq!(out.column(0).null_count(), 2);
    assert_eq!(out.column(1).as_ref(), &Int64Array::from(vec![7, 7]));
    assert_eq!(out.column(2).as_ref(), &StringArray::from(vec!["kg", "kg"]));
    let s = out.column(3).as_struct();
    assert_eq!(s.column(1).as_ref(), &Int64Array::from(vec![7, 7]));
    assert_eq!(s.column(2).as_ref(), &StringArray::from(vec!["kg", "kg"]));
}

#[test]
fn a_null_that_is_given_is_no_default() {
    let mut unit = optional("unit", of("string"));
    unit.default = Some(Value::String("kg".into()));
    let out = conform(vec![unit], &batch(vec![("unit", strings(&[None]))])).unwrap();
    assert_eq!(out.column(0).null_count(), 1);
}

fn list_of(values: ArrayRef, lengths: &[usize], nulls: Option<Vec<bool>>) -> ListArray {
    let field = Arc::new(ArrowField::new("item", values.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    ListArray::new(field, offsets, values, nulls.map(NullBuffer::from))
}

#[test]
fn a_null_in_a_required_column_is_named_with_its_row() {
    let check = |field: Field, array: ArrayRef, expected: &str| {
        let error = conform(vec![field], &batch(vec![("c", array)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.message(), expected);
    };
    check(
        required("c", of("string")),
        strings(&[Some("a"), None, None]),
        "column c, row 1: null, but the column is required",
    );
    check(
        required("c", of("int")),
        Arc::new(NullArray::new(2)),
        "column c, row 0: null, but the column is required",
    );
    let coded: DictionaryArray<Int32Type> = [Some("a"), None].into_iter().collect();
    check(required("c", of("string")), Arc::new(coded), "column c, row 1: null, but the column is required");

    let member: FieldRef = Arc::new(ArrowField::new("a", DataType::Utf8, true));
    let words = strings(&[Some("x"), None, None]);
    let nulls = NullBuffer::from(vec![true, false, true]);
    let pairs = StructArray::new(vec![Arc::clone(&member)].into(), vec![words], Some(nulls));
    let inner = Type::Struct(vec![required("a", of("string"))]);
    // Row 1 is under a null of the struct; row 2 is not.
    check(
        optional("c", inner.clone()),
        Arc::new(pairs.clone()),
        "column c.a, row 2: null, but the column is required",
    );

    // Elements 0, 1 and 2 are of the rows 1, 1 and 3; the slice begins at row 1.
    let list = list_of(Arc::new(pairs), &[0, 2, 0, 1], None);
    let lists = Type::list(inner, false).unwrap();
    check(
        optional("c", lists.clone()),
        Arc::new(list.clone()),
        "column c.element.a, row 3: null, but the column is required",
    );
    check(
        optional("c", lists),
        Arc::new(list.slice(1, 3)),
        "column c.element.a, row 2: null, but the column is required",
    );
    let ints = list_of(Arc::new(Int32Array::from(vec![Some(1), None])), &[1, 0, 1], None);
    let required_ints = Type::list(of("int"), true).unwrap();
    check(
        optional("c", required_ints),
        Arc::new(ints),
        "column c.element, row 2: null, but the column is required",
    );
}

#[test]
fn nulls_under_nulls_are_none_of_our_business() {
    // The first list is null but has elements, null ones; so has what lies before and behind a slice.
    let values = Arc::new(Int32Array::from(vec![None, Some(1), Some(2), None]));
    let list = list_of(values, &[1, 1, 1, 1], Some(vec![false, true, true, true]));
    let ty = Type::list(of("int"), true).unwrap();
    let out = one(ty.clone(), Arc::new(list.slice(0, 3))).unwrap();
    out.to_data().validate_full().unwrap();
    assert_eq!(out.null_count(), 1);
    assert_eq!(out.as_list::<i32>().values().as_ref(), &Int32Array::from(vec![1, 2]));
    assert!(one(ty.clone(), Arc::new(list)).is_err(), "the last one counts");

    // A null between others: the elements that count do not lie side by side.
    let values = Arc::new(Int32Array::from(vec![Some(1), None, Some(2)]));
    let list = list_of(values, &[1, 1, 1], Some(vec![true, false, true]));
    let out = one(ty, Arc::new(list)).unwrap();
    assert_eq!(out.as_list::<i32>().values().as_ref(), &Int32Array::from(vec![1, 2]));

    // A struct in a struct: the outer null counts for the innermost field.
    let nulls = |bits: &[bool]| Some(NullBuffer::from(bits));
    let inner = StructArray::new(
        vec![ArrowField::new("a", DataType::Utf8, true)].into(),
        vec![strings(&[None, Some("x")])],
        None,
    );
    let field = ArrowField::new("i", inner.data_type().clone(), true);
    let outer = StructArray::new(vec![field].into(), vec![Arc::new(inner)], nulls(&[false, true]));
    let ty = Type::Struct(vec![required("i", Type::Struct(vec![required("a", of("string"))]))]);
    let out = one(ty, Arc::new(outer)).unwrap();
    out.to_data().validate_full().unwrap();
    assert_eq!(out.null_count(), 1);
}

#[test]
fn every_form_of_list_and_map_is_taken() {
    let ty = Type::list(of("long"), true).unwrap();
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
    let field = Arc::new(ArrowField::new("item", DataType::Int32, true));
    let expect = |array: ArrayRef, expected: &[Option<&[i64]>]| {
        let out = one(ty.clone(), array).unwrap();
        out.to_data().validate_full().unwrap();
        let rows: Vec<Option<Vec<i64>>> = out
            .as_list::<i32>()
            .iter()
            .map(|row| row.map(|row| row.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()))
            .collect();
        assert_eq!(rows, expected.iter().map(|row| row.map(<[i64]>::to_vec)).collect::<Vec<_>>());
    };
    let nulls = Some(NullBuffer::from(vec![true, false, true]));
    let large = LargeListArray::new(
        Arc::clone(&field),
        OffsetBuffer::from_lengths([1, 1, 2]),
        Arc::clone(&values),
        nulls.clone(),
    );
    expect(Arc::new(large.clone()), &[Some(&[1]), None, Some(&[3, 4])]);
    expect(Arc::new(large.slice(2, 1)), &[Some(&[3, 4])]);
    let views = ListViewArray::new(
        Arc::clone(&field),
        vec![2, 0, 0].into(),
        vec![2, 1, 3].into(),
        Arc::clone(&values),
        nulls.clone(),
    );
    expect(Arc::new(views.clone()), &[Some(&[3, 4]), None, Some(&[1, 2, 3])]);
    expect(Arc::new(views.slice(1, 2)), &[None, Some(&[1, 2, 3])]);
    let views = LargeListViewArray::new(
        Arc::clone(&field),
        vec![3, 0, 0].into(),
        vec![1, 0, 0].into(),
        Arc::clone(&values),
        None,
    );
    expect(Arc::new(views), &[Some(&[4]), Some(&[]), Some(&[])]);
    // The elements of a null of fixed size may be null themselves.
    let values = Arc::new(Int32Array::from(vec![Some(1), Some(2), None, None, Some(5), Some(6)]));
    let fixed = FixedSizeListArray::new(field, 2, values, nulls);
    expect(Arc::new(fixed.clone()), &[Some(&[1, 2]), None, Some(&[5, 6])]);
    expect(Arc::new(fixed.slice(1, 2)), &[None, Some(&[5, 6])]);

    let keys = strings(&[Some("a"), Some("b"), Some("c")]);
    let parts = vec![
        ArrowField::new("keys", DataType::Utf8, false),
        ArrowField::new("values", DataType::Int16, true),
    ];
    let pairs = StructArray::new(parts.into(), vec![keys, Arc::new(Int16Array::from(vec![1, 2, 3]))], None);
    let entries = Arc::new(ArrowField::new("entries", pairs.data_type().clone(), false));
    let map = MapArray::new(entries, OffsetBuffer::from_lengths([1, 0, 2]), pairs, None, true);
    let ty = Type::map(of("string"), of("long"), false).unwrap();
    let out = one(ty, Arc::new(map.slice(1, 2))).unwrap();
    out.to_data().validate_full().unwrap();
    assert_eq!(out.as_map().values().as_ref(), &Int64Array::from(vec![2, 3]));
    assert_eq!(out.as_map().value_offsets(), [0, 0, 2]);
}

#[test]
fn what_needs_nothing_is_not_copied() {
    let words = strings(&[Some("a"), None]);
    let list: ArrayRef = Arc::new(list_of(Arc::clone(&words), &[1, 1], None));
    let fields = vec![optional("w", of("string")), optional("l", Type::list(of("string"), false).unwrap())];
    let given = batch(vec![("w", Arc::clone(&words)), ("l", list)]);
    let out = conform(fields, &given).unwrap();
    assert!(Arc::ptr_eq(out.column(0), &words));
    let inside = out.column(1).as_list::<i32>().values().as_string::<i32>();
    assert_eq!(inside.values().as_ptr(), words.as_string::<i32>().values().as_ptr());
}

#[test]
fn uuids_and_sixteen_bytes_are_the_same() {
    let bytes = FixedSizeBinaryArray::try_from_iter(std::iter::once([7; 16])).unwrap();
    assert_eq!(one(of("uuid"), Arc::new(bytes.clone())).unwrap().as_ref(), &bytes);
    let fields = vec![optional("c", of("uuid"))];
    let uuids = conform(fields, &batch(vec![("c", Arc::new(bytes.clone()))])).unwrap();
    assert_eq!(conform(vec![optional("c", of("fixed(16)"))], &uuids).unwrap().column(0).as_ref(), &bytes);
}

#[test]
fn a_column_of_null_is_nulls_of_any_type() {
    for ty in [of("uuid"), Type::list(of("int"), true).unwrap(), Type::Struct(vec![required("a", of("int"))])]
    {
        let out = one(ty, Arc::new(NullArray::new(3))).unwrap();
        assert_eq!((out.len(), out.null_count()), (3, 3));
    }
}

#[test]
fn batches_without_rows_or_columns_are_fine() {
    let empty = batch(vec![("c", Arc::new(Int32Array::from(Vec::<i32>::new())))]);
    assert_eq!(conform(vec![required("c", of("long"))], &empty).unwrap().num_rows(), 0);
    let options = RecordBatchOptions::new().with_row_count(Some(5));
    let bare =
        RecordBatch::try_new_with_options(Arc::new(ArrowSchema::empty()), Vec::new(), &options).unwrap();
    assert_eq!(conform(vec![optional("c", of("long"))], &bare).unwrap().column(0).null_count(), 5);
    assert_eq!(conform(Vec::new(), &bare).unwrap().num_rows(), 5);
}

#[test]
fn a_batch_of_another_schema_is_refused() {
    let ints = batch(vec![("c", Arc::new(Int32Array::from(vec![1])))]);
    let conform = Conform::new(&schema(vec![optional("c", of("long"))]), ints.schema_ref()).unwrap();
    let error = conform.apply(&batch(vec![("c", strings(&[Some("a")]))])).unwrap_err();
    assert!(error.message().contains("expected (c Int32), found (c Utf8)"), "{error}");
    assert!(conform.apply(&RecordBatch::new_empty(Arc::new(ArrowSchema::empty()))).is_err());
}

/// A search of all names for each column would take minutes.
#[test]
fn ten_thousand_columns_are_not_too_many() {
    let fields: Vec<Field> =
        (0..10_000).map(|at| optional(&format!("Column{at}"), PrimitiveType::Int)).collect();
    let schema = schema(fields);
    let column = |name: String| (name, Arc::new(Int16Array::from(vec![1, 2])) as ArrayRef);
    let given =
        RecordBatch::try_from_iter((0..10_000).rev().map(|at| column(format!("column{at}")))).unwrap();
    let conform = Conform::new(&schema, given.schema_ref()).unwrap();
    for _ in 0..10 {
        assert_eq!(conform.apply(&given).unwrap().num_columns(), 10_000);
    }
    let strange = RecordBatch::try_from_iter((0..10_000).map(|at| column(format!("colum{at}")))).unwrap();
    let error = Conform::new(&schema, strange.schema_ref()).unwrap_err();
    assert_eq!(error.message().matches("the table has no such column").count(), 10_000);
}
