//! Table nodes, member by member.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use strandline_format::merge::{TableConflict, TableMerge, TableSide, merge_tables};
use strandline_format::*;

use crate::generate;

fn schema_of(table: &Table) -> Schema {
    match &table.schema {
        TableSchema::Inline(schema) => schema.clone(),
        TableSchema::Stored(_) => Schema::numbered(Vec::new()).unwrap(),
    }
}

fn merge(base: &Table, ours: &Table, theirs: &Table) -> TableMerge {
    let schemas = [base, ours, theirs].map(schema_of);
    let side = |table, at: usize| TableSide { table, schema: &schemas[at] };
    merge_tables(side(base, 0), side(ours, 1), side(theirs, 2)).unwrap()
}

/// A node with what files and ids it has left out: those are merged apart.
fn members(table: &Table) -> Table {
    let plain = Table::new(table.id, table.created, table.schema.clone());
    Table {
        files: plain.files,
        totals: plain.totals,
        next_row: plain.next_row,
        next_file: plain.next_file,
        ..table.clone()
    }
}

fn base() -> Table {
    let column = |name: &str| Field::required(ColumnName::new(name).unwrap(), PrimitiveType::Long);
    let schema = Schema::numbered(vec![column("a"), column("b")]).unwrap();
    let mut table = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, TableSchema::Inline(schema));
    table.field_set(&FieldSet::of([FieldId(1), FieldId(2)])).unwrap();
    table
}

fn set(table: &mut Table, key: &str, value: &str) {
    table.properties.set(PropertyKey::new(key).unwrap(), PropertyValue::new(value).unwrap()).unwrap();
}

fn constraint(name: &str, check: &str) -> Constraint {
    Constraint { name: ColumnName::new(name).unwrap(), check: SqlText::new(check).unwrap() }
}

fn check(change_ours: impl Fn(&mut Table), change_theirs: impl Fn(&mut Table)) -> TableMerge {
    let (mut ours, mut theirs) = (base(), base());
    change_ours(&mut ours);
    change_theirs(&mut theirs);
    merge(&base(), &ours, &theirs)
}

#[test]
fn different_members_come_together() {
    let merged = check(
        |table| {
            set(table, "a", "1");
            table.constraints.push(constraint("x", "a > 0"));
        },
        |table| {
            set(table, "b", "2");
            table.comment = Comment::new("theirs").unwrap();
            table.constraints.push(constraint("y", "b > 0"));
            table.key = vec![FieldId(1)];
        },
    );
    assert_eq!(merged.conflicts, []);
    let table = merged.table;
    assert_eq!(table.properties.iter().count(), 2);
    assert_eq!((table.comment.as_str(), table.key.as_slice()), ("theirs", [FieldId(1)].as_slice()));
    assert_eq!(table.constraints, [constraint("x", "a > 0"), constraint("y", "b > 0")]);
}

#[test]
fn the_same_member_is_a_conflict() {
    let merged = check(
        |table| {
            set(table, "a", "1");
            table.constraints.push(constraint("x", "a > 0"));
            table.comment = Comment::new("ours").unwrap();
            table.key = vec![FieldId(1)];
        },
        |table| {
            set(table, "a", "2");
            table.constraints.push(constraint("X", "a > 1"));
            table.comment = Comment::new("theirs").unwrap();
            table.key = vec![FieldId(2)];
        },
    );
    let kinds: Vec<&str> = merged
        .conflicts
        .iter()
        .map(|conflict| match conflict {
            TableConflict::Schema(_) => "schema",
            TableConflict::Property { .. } => "property",
            TableConflict::Constraint { .. } => "constraint",
            TableConflict::Comment { .. } => "comment",
            TableConflict::Key { .. } => "key",
        })
        .collect();
    assert_eq!(kinds, ["property", "constraint", "comment", "key"]);
}

#[test]
fn a_key_that_the_merged_schema_does_not_allow_is_a_conflict() {
    let relaxed = |table: &mut Table| {
        let mut fields = schema_of(table).fields().to_vec();
        fields[0].required = false;
        table.schema = TableSchema::Inline(Schema::new(SchemaId(1), fields, Default::default()).unwrap());
    };
    let merged = check(|table| table.key = vec![FieldId(1)], relaxed);
    assert!(matches!(merged.conflicts.as_slice(), [TableConflict::Key { .. }]), "{:?}", merged.conflicts);
}

#[test]
fn a_property_removed_and_changed_is_a_conflict() {
    let mut with = base();
    set(&mut with, "a", "1");
    let (mut removed, mut changed) = (with.clone(), with.clone());
    removed.properties.remove(&PropertyKey::new("a").unwrap());
    set(&mut changed, "a", "2");
    for (ours, theirs) in [(&removed, &changed), (&changed, &removed)] {
        let merged = merge(&with, ours, theirs);
        assert!(matches!(merged.conflicts.as_slice(), [TableConflict::Property { .. }]));
    }
    assert!(merge(&with, &removed, &with).table.properties.is_empty());
    assert!(merge(&with, &with, &removed).table.properties.is_empty());
}

#[test]
fn lists_grow_and_entries_follow() {
    let order = |id: u32, field: i32| SortOrder {
        id: OrderId(id),
        fields: vec![SortField {
            field: FieldId(field),
            direction: Direction::Ascending,
            nulls: NullOrder::Last,
        }],
    };
    let split = |id: u32, part: u32, transform: &str| Split {
        id: SplitId(id),
        fields: vec![SplitField {
            id: SplitFieldId(part),
            field: FieldId(1),
            name: ColumnName::new("part").unwrap(),
            transform: transform.parse().unwrap(),
        }],
    };
    let merged = check(
        |table| {
            table.orders.push(order(1, 1));
            table.splits.push(split(1, 1000, "bucket[4]"));
            table.field_set(&FieldSet::of([FieldId(1)])).unwrap();
            table.layout = Layout { order: Some(OrderId(1)), ..Layout::default() };
        },
        |table| {
            table.orders.extend([order(1, 2), order(2, 1)]);
            table.splits.extend([
                split(1, 1000, "bucket[8]"),
                split(7, 1001, "bucket[4]"),
                split(8, 1005, "bucket[2]"),
            ]);
            table.field_set(&FieldSet::of([FieldId(2)])).unwrap();
            table.field_set(&FieldSet::of([FieldId(1)])).unwrap();
            table.layout = Layout { split: Some(SplitId(1)), order: Some(OrderId(2)), ..Layout::default() };
        },
    );
    assert_eq!(merged.conflicts, []);
    assert_eq!(merged.table.orders, [order(1, 1), order(2, 2)]);
    assert_eq!(
        merged.table.splits,
        [split(1, 1000, "bucket[4]"), split(2, 1001, "bucket[8]"), split(8, 1005, "bucket[2]")]
    );
    assert_eq!(merged.table.layout.split, Some(SplitId(2)));
    assert_eq!(merged.table.layout.order, Some(OrderId(1)));
    let lists = &merged.lists;
    assert_eq!((lists.order(OrderId(1)), lists.order(OrderId(2))), (Some(OrderId(2)), Some(OrderId(1))));
    assert_eq!((lists.split(SplitId(1)), lists.split(SplitId(7))), (Some(SplitId(2)), Some(SplitId(1))));
    assert_eq!([0, 1, 2, 3].map(|at| lists.field_set(at)), [Some(0), Some(2), Some(1), None]);
    assert!(merged.table.to_json().is_ok());

    let runner = &mut proptest::test_runner::TestRunner::deterministic();
    let entry = generate::entry().new_tree(runner).unwrap().current();
    let split = |split| Some(SplitValues { split, values: vec![Scalar::Int(1)] });
    let theirs = FileEntry { fields: 1, order: Some(2), split: split(7), ..entry.clone() };
    let expected = FileEntry { fields: 2, order: Some(1), split: split(1), ..entry };
    assert_eq!(lists.translate(&theirs), Ok(expected));
    assert!(lists.translate(&FileEntry { fields: 3, ..theirs.clone() }).is_err());
    assert!(lists.translate(&FileEntry { order: Some(3), ..theirs.clone() }).is_err());
    assert!(lists.translate(&FileEntry { split: split(9), ..theirs }).is_err());
}

proptest! {
    #[test]
    fn the_base_gives_the_other_side(base in generate::table(), x in generate::table()) {
        // `x` is the base with other members; how schemas merge is shown where schemas are.
        let x = Table { id: base.id, created: base.created, schema: base.schema.clone(), ..x };
        let ours = merge(&base, &x, &base);
        prop_assert_eq!(&ours.conflicts, &[]);
        prop_assert_eq!(&ours.table.files, &x.files);
        let theirs = merge(&base, &base, &x);
        prop_assert_eq!(&theirs.conflicts, &[]);
        for merged in [&ours.table, &theirs.table] {
            prop_assert_eq!(&merged.properties, &x.properties);
            prop_assert_eq!(&merged.comment, &x.comment);
            prop_assert_eq!(&merged.key, &x.key);
            let names = |table: &Table| table.constraints.iter().map(|one| one.name.key().clone()).collect::<Vec<_>>();
            prop_assert_eq!(names(merged), names(&x));
            prop_assert_eq!(&merged.schema, &x.schema);
            prop_assert!(x.orders.iter().all(|order| merged.orders.contains(order)));
            prop_assert!(x.splits.iter().all(|split| merged.splits.contains(split)));
            prop_assert!(x.field_sets.iter().all(|set| merged.field_sets.contains(set)));
            prop_assert_eq!(merged.layout, x.layout);
        }
        prop_assert_eq!(members(&merge(&base, &x, &x).table), members(&x));
    }
}
