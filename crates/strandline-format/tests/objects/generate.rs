//! Values of every object, at random but within the rules.

use std::collections::BTreeMap;

use proptest::prelude::*;
use strandline_format::tree::Root;
use strandline_format::*;

pub(crate) fn text<const MAX: usize>() -> impl Strategy<Value = Text<MAX>> {
    "\\PC{0,12}|line\nbreak|\"quoted\\\\\"".prop_map(|text| Text::new(text).unwrap())
}

pub(crate) fn name() -> impl Strategy<Value = String> {
    "[A-Za-zäöÜß][a-z0-9_é]{0,6}"
}

pub(crate) fn ref_name() -> impl Strategy<Value = RefName> {
    prop::collection::vec(name(), 1..3).prop_map(|parts| RefName::new(parts.join("/")).unwrap())
}

pub(crate) fn table_name() -> impl Strategy<Value = TableName> {
    prop::collection::vec(name(), 1..3).prop_map(|parts| TableName::new(parts.join(".")).unwrap())
}

pub(crate) fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

pub(crate) fn object() -> impl Strategy<Value = ObjectRef> {
    (hash(), 0..9_u64, 1..90_000_u64).prop_map(|(hash, era, size)| ObjectRef { hash, era: Era(era), size })
}

pub(crate) fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_000_i64).prop_map(|micros| Timestamp::from_micros(micros).unwrap())
}

pub(crate) fn lake_id() -> impl Strategy<Value = LakeId> {
    any::<[u8; 16]>().prop_map(LakeId::from_random)
}

pub(crate) fn table_id() -> impl Strategy<Value = TableId> {
    any::<[u8; 16]>().prop_map(TableId::from_random)
}

pub(crate) fn nonce() -> impl Strategy<Value = Nonce> {
    any::<[u8; 16]>().prop_map(Nonce::from_bytes)
}

fn features() -> impl Strategy<Value = Features> {
    let write = prop::collection::btree_set("[a-z0-9-]{1,9}", 0..3);
    write.prop_map(|write| {
        Features::new([], write.into_iter().map(|name| Feature::new(name).unwrap())).unwrap()
    })
}

fn properties<const MAX: usize>() -> impl Strategy<Value = Properties<MAX>> {
    prop::collection::btree_map("[a-z.ä]{1,9}", text::<4096>(), 0..4).prop_map(|pairs| {
        let mut properties = Properties::default();
        for (key, value) in pairs {
            properties.set(PropertyKey::new(key).unwrap(), value).unwrap();
        }
        properties
    })
}

pub(crate) fn lake() -> impl Strategy<Value = Lake> {
    (lake_id(), time(), features(), text()).prop_map(|(id, created, features, writer)| Lake {
        id,
        created,
        features,
        writer,
    })
}

pub(crate) fn pack() -> impl Strategy<Value = Pack> {
    let text = prop_oneof![
        "[a-z\"\\\\]{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        (0..1000_u32).prop_map(|number| format!("{{\"kind\":\"x\",\"n\":[{number}, {number}.0]}}")),
    ];
    prop::collection::vec(text, 0..5).prop_map(|texts| {
        let mut builder = Pack::builder();
        for text in texts {
            builder.push(Hash::of(text.as_bytes()), &text).unwrap();
        }
        builder.finish()
    })
}

pub(crate) fn start() -> impl Strategy<Value = BranchStart> {
    (ref_name(), features(), 0..9_u64, object(), 0..9_u64, pack()).prop_map(
        |(branch, features, era, head, expired, pack)| BranchStart {
            branch,
            features,
            era: Era(era),
            head,
            expired_before: Seq(expired),
            pack,
        },
    )
}

pub(crate) fn pin() -> impl Strategy<Value = NewPin> {
    (any::<[u8; 16]>(), object(), 0..9_u64, text(), time()).prop_map(|(id, commit, from, reason, time)| {
        NewPin { id: PinId::from_bytes(id), commit, from: Seq(from), reason, time }
    })
}

pub(crate) fn release() -> impl Strategy<Value = Release> {
    pin().prop_map(|pin| Release { id: pin.id, reason: pin.reason, time: pin.time })
}

pub(crate) fn store() -> impl Strategy<Value = StoreFingerprint> {
    (0..40_u32).prop_map(|n| StoreFingerprint::of("s3", "https://example.org", &n.to_string(), ""))
}

/// One change of a pointer.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Advance(ObjectRef, Pack),
    Fence(u64),
    Pin(NewPin),
    UnpinFirst,
    DropOutdatedPins,
    Expire(u64, ObjectRef, Release),
    Tombstone(Release),
    Revive(BranchStart),
    Probed(StoreFingerprint),
}

pub(crate) fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (object(), pack()).prop_map(|(head, pack)| Act::Advance(head, pack)),
        (0..3_u64).prop_map(Act::Fence),
        pin().prop_map(Act::Pin),
        Just(Act::UnpinFirst),
        Just(Act::DropOutdatedPins),
        (0..20_u64, object(), release()).prop_map(|(to, newest, release)| Act::Expire(to, newest, release)),
        release().prop_map(Act::Tombstone),
        start().prop_map(Act::Revive),
        store().prop_map(Act::Probed),
    ]
}

/// The next pointer, or the same one where the act is refused.
pub(crate) fn apply(pointer: &Pointer, act: Act, nonce: Nonce) -> Pointer {
    let next = pointer.next(nonce).unwrap();
    let next = match act {
        Act::Advance(head, pack) => next.advance(head, pack),
        Act::Fence(by) => next.fence(Era(pointer.era().0 + by)),
        Act::Pin(pin) => next.pin(pin),
        Act::UnpinFirst => {
            Ok(pointer.pins().first().map_or_else(|| next.clone(), |pin| next.clone().unpin(pin.id)))
        }
        Act::DropOutdatedPins => Ok(next.drop_outdated_pins()),
        Act::Expire(to, newest, release) => next.expire(Seq(to), Seq(15), newest, release),
        Act::Tombstone(release) => next.tombstone(release),
        Act::Revive(start) => next.revive(BranchStart { branch: pointer.branch().clone(), ..start }),
        Act::Probed(store) => Ok(next.probed(store)),
    };
    next.map_or_else(|_| pointer.clone(), PointerUpdate::finish)
}

pub(crate) fn pointer() -> impl Strategy<Value = Pointer> {
    (lake_id(), start(), prop::collection::vec((act(), nonce()), 0..12), nonce()).prop_map(
        |(lake, start, acts, nonce)| {
            let pointer = Pointer::create_main(lake, start, nonce);
            acts.into_iter().fold(pointer, |pointer, (act, nonce)| apply(&pointer, act, nonce))
        },
    )
}

fn target() -> impl Strategy<Value = TagTarget> {
    (object(), any::<u64>(), ref_name(), time(), text(), text(), features()).prop_map(
        |(commit, version, branch, time, author, message, features)| TagTarget {
            commit,
            version: Seq(version),
            branch,
            time,
            author,
            message,
            features,
        },
    )
}

pub(crate) fn tag() -> impl Strategy<Value = Tag> {
    (lake_id(), ref_name(), target(), nonce(), any::<bool>()).prop_map(
        |(lake, name, target, nonce, deleted)| {
            let reserved = Tag::reserve(lake, name, target.clone(), nonce);
            if deleted { reserved } else { reserved.retarget(target, nonce).unwrap() }
        },
    )
}

fn merged() -> impl Strategy<Value = MergedCommit> {
    (0..99_u64, object()).prop_map(|(seq, commit)| MergedCommit { seq: Seq(seq), commit })
}

fn history(len: usize) -> impl Strategy<Value = Vec<HistoryEntry>> {
    let entry =
        (object(), 0..1000_i64, any::<[u8; 16]>(), any::<bool>(), prop::option::weighted(0.2, merged()));
    prop::collection::vec(entry, len).prop_map(|rows| {
        let mut now = 0;
        let entry = |(seq, (commit, pause, txn, keyed, merged)): (usize, _)| {
            now += pause;
            HistoryEntry {
                seq: Seq(seq as u64),
                commit,
                time: Timestamp::from_micros(now).unwrap(),
                txn: TxnId::from_bytes(txn),
                keyed,
                merged,
            }
        };
        rows.into_iter().enumerate().map(entry).collect()
    })
}

fn catalog() -> impl Strategy<Value = Root<Catalog>> {
    let types = prop::sample::select(vec![EntryType::Table, EntryType::View, EntryType::Namespace]);
    prop::collection::vec((table_name(), types, table_id(), object()), 0..4).prop_map(|rows| {
        let mut root = Root::default();
        for (name, entry_type, id, node) in rows {
            root.edit([(name.key().clone(), Some(CatalogEntry { name, entry_type, id, node }))]);
        }
        root
    })
}

fn change() -> impl Strategy<Value = TableChange> {
    use Operation as Op;
    let nodes = prop::sample::select(vec![
        (Op::Create, false, true),
        (Op::Append, true, true),
        (Op::Rename, true, true),
        (Op::Merge, false, true),
        (Op::Restore, true, false),
        (Op::Drop, true, false),
        (Op::Compact, true, true),
    ]);
    let counts = (0..99_u64, 0..99_u64).prop_map(|(added, removed)| Counts { added, removed });
    (table_id(), table_name(), table_name(), nodes, object(), object(), counts.clone(), counts).prop_map(
        |(table, name, from, (operation, old, new), before, after, rows, files)| TableChange {
            table,
            name,
            entry_type: EntryType::Table,
            operation,
            renamed_from: (operation == Op::Rename).then_some(from),
            old: old.then_some(before),
            new: new.then_some(after),
            rows,
            files,
            bytes: Counts::default(),
            renumbered: None,
            picked: None,
        },
    )
}

pub(crate) fn commit() -> impl Strategy<Value = Commit> {
    let past = (0..6_usize).prop_flat_map(history);
    let texts = (text(), text(), properties());
    let changes = prop::collection::vec(change(), 0..4);
    (past, prop::option::of(merged()), any::<[u8; 16]>(), any::<bool>(), texts, catalog(), changes).prop_map(
        |(past, merged, txn, keyed, (author, message, properties), catalog, changes)| {
            let parent = past.last();
            let parents = match (parent, merged) {
                (None, _) => Parents::None,
                (Some(parent), None) => Parents::One(parent.commit),
                (Some(parent), Some(merged)) => Parents::Merge(parent.commit, merged),
            };
            let mut history = Root::default();
            let time = parent.map_or(Timestamp::EPOCH, |parent| parent.time);
            let seq = Seq(past.len() as u64);
            history.edit(past.into_iter().map(|entry| (entry.seq, Some(entry))));
            let txn = TxnId::from_bytes(txn);
            let mut changes = changes;
            let catalog = if parents == Parents::None { Root::default() } else { catalog };
            if parents.merged().is_some() {
                let files = NumberMap::new([Step { from: 3, by: 7 }, Step { from: 9, by: -2 }]).unwrap();
                let same = Pieces::of_pairs(&BTreeMap::from([(4, 2), (5, 3), (9, 8)])).unwrap();
                let renumbered = Some(Renumbering { files, rows: NumberMap::default(), same });
                changes
                    .iter_mut()
                    .for_each(|change: &mut TableChange| change.renumbered = renumbered.clone());
            }
            Commit { seq, parents, time, txn, keyed, author, message, properties, catalog, history, changes }
        },
    )
}

/// A schema of columns `c1`, `c2` and on, some of them dropped.
pub(crate) fn schema() -> impl Strategy<Value = Schema> {
    use PrimitiveType as T;
    let types = vec![T::Long, T::String, T::Double, T::Decimal { precision: 9, scale: 2 }, T::TimestampTz];
    let column = (prop::sample::select(types), any::<bool>(), prop::bool::weighted(0.2));
    (prop::collection::vec(column, 1..6), 0..9_u32).prop_map(|(columns, id)| {
        let mut fields = Vec::new();
        let mut dropped = std::collections::BTreeSet::new();
        for (at, (ty, required, gone)) in columns.into_iter().enumerate() {
            let field = FieldId(i32::try_from(at).unwrap() + 1);
            let name = ColumnName::new(format!("c{field}")).unwrap();
            match (gone, required) {
                (true, _) => drop(dropped.insert(field)),
                (false, true) => fields.push(Field::required(name, ty).with_id(field)),
                (false, false) => fields.push(Field::optional(name, ty).with_id(field)),
            }
        }
        Schema::new(SchemaId(id), fields, dropped).unwrap()
    })
}

fn shifts() -> NumberMap {
    NumberMap::new([Step { from: 7, by: 3 }, Step { from: 100, by: -4 }]).unwrap()
}

pub(crate) fn deletes() -> impl Strategy<Value = Deletes> {
    prop::collection::btree_set(0..100_u64, 1..9).prop_map(|rows| {
        let vector = DeletionVector::from_positions(rows).unwrap();
        Deletes::Inline { rows: vector.cardinality(), blob: vector.encode().unwrap() }
    })
}

/// An entry of a table of one field set, without orders and splits; ids are for the caller.
pub(crate) fn entry() -> impl Strategy<Value = FileEntry> {
    (hash(), 100..900_u64, 0..3_u64, prop::option::of(deletes()), any::<bool>(), 0..9_u64).prop_map(
        |(hash, rows, era, deletes, stored, added)| FileEntry {
            id: FileId(0),
            hash,
            era: Era(era),
            size: 1000 + rows,
            rows,
            footer: 500,
            first_row: RowId(0),
            added: Seq(added),
            fields: 0,
            deletes,
            row_groups: vec![4],
            order: None,
            split: None,
            shifts: if stored { shifts() } else { NumberMap::default() },
            row_ids: if stored { RowIds::Stored } else { RowIds::Derived },
            external: None,
            stats: Stats::default().into(),
        },
    )
}

/// Adds entries to a table as a writer does.
pub(crate) fn append(table: &mut Table, entries: Vec<FileEntry>) {
    for mut entry in entries {
        (entry.id, entry.first_row) = (table.next_file, table.next_row);
        table.next_file = entry.id.next().unwrap();
        table.next_row = RowId(entry.first_row.0 + entry.rows);
        table.totals = table.totals.edited(None, Some(&entry));
        table.files.edit([(entry.id, Some(entry))]);
    }
}

pub(crate) fn table() -> impl Strategy<Value = Table> {
    let stored = prop::option::weighted(0.2, object());
    let texts = (text(), properties(), prop::collection::vec(text(), 0..3));
    let entries = prop::collection::vec(entry(), 0..5);
    (table_id(), time(), schema(), stored, texts, entries, any::<bool>()).prop_map(
        |(id, created, schema, stored, (comment, properties, checks), entries, laid_out)| {
            let known = FieldSet::of(
                schema.leaves().into_iter().map(|(id, _)| id).chain(schema.dropped().iter().copied()),
            );
            let first = known.ranges()[0].0;
            let schema = stored.map_or(TableSchema::Inline(schema), TableSchema::Stored);
            let mut table = Table { comment, properties, ..Table::new(id, created, schema) };
            let name = |at: usize| ColumnName::new(format!("k{at}")).unwrap();
            let constraint = |(at, check)| Constraint { name: name(at), check };
            table.constraints = checks.into_iter().enumerate().map(constraint).collect();
            table.field_set(&known).unwrap();
            if laid_out {
                lay_out(&mut table, first);
            }
            append(&mut table, entries);
            table
        },
    )
}

fn lay_out(table: &mut Table, field: FieldId) {
    let (direction, nulls) = (Direction::Descending, NullOrder::First);
    table.orders.push(SortOrder { id: OrderId(3), fields: vec![SortField { field, direction, nulls }] });
    let part = SplitField {
        id: SplitField::FIRST_ID,
        field,
        name: ColumnName::new("part").unwrap(),
        transform: Transform::Void,
    };
    table.splits.push(Split { id: SplitId(1), fields: vec![part] });
    table.layout =
        Layout { order: Some(OrderId(3)), split: Some(SplitId(1)), target_file_bytes: Some(128 << 20) };
}

pub(crate) fn view() -> impl Strategy<Value = View> {
    (table_id(), time(), text(), text(), schema(), text(), properties()).prop_map(
        |(id, created, sql, dialect, schema, comment, properties)| View {
            id,
            created,
            sql,
            dialect,
            schema,
            comment,
            properties,
        },
    )
}

pub(crate) fn namespace() -> impl Strategy<Value = Namespace> {
    (table_id(), text(), properties()).prop_map(|(id, comment, properties)| Namespace {
        id,
        comment,
        properties,
    })
}
