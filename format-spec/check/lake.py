"""A lake against the spec: refs, commits, trees and tables, each object verified and each structure held against itself.

A `Walk` covers what one branch or tag retains; the refs themselves stand in `refs`. Faults are recorded and the walk goes on with what does not depend on
them; so one damaged object hides nothing but what lies below it. Nothing here writes.
"""

import re
from collections import namedtuple

import wire
from values import (
    FIELD_ID, Schema, check_summary, deletion_vector, inline_blob, merge_stats, read_stats)
from wire import (
    BOOLEAN, COLUMN_NAME, Fault, HASH, HEX32, OBJECT, REF, SIZE, TABLE_NAME, TEXT, U64, UUID, bounded, choice, ensure, fold,
    integer, listing, optional, properties, record, show, time)

MAX_LEVEL = 8


class Skipped(Fault):
    """What depends on something that has been reported already."""

    def __init__(self):
        super().__init__("skipped", "depends on a damaged object")


# Columns and trees [TREE]

Use = namedtuple("Use", "kind key_type entries children sums")
Node = namedtuple("Node", "level items entries")


def rows_of(members, key):
    """Columnar JSON as one dict for each entry; a column with a default may be left out or empty [TREE-9]."""
    def parse(value):
        columns = record({name: spread(parser) for name, parser in members.items()})(value)
        length = len(columns[key])
        for name in columns:
            has_default = hasattr(members[name], "default")
            columns[name] = [members[name].default] * length if has_default and not columns[name] else columns[name]
            ensure(len(columns[name]) == length, f"column {name} has {len(columns[name])} values for {length} entries")
        return [dict(zip(columns, row)) for row in zip(*columns.values())]
    return parse


def spread(parser):
    column = listing(parser)
    if hasattr(parser, "default"):
        column.default = None
    return column


def with_stats(rows_parser):
    def parse(value):
        rows = rows_parser(value)
        stats = value["stats"] if has(value, "stats") else {}
        for row, found in zip(rows, read_stats(stats, [row["rows"] for row in rows])):
            row["stats"] = found
        return rows
    return parse


OBJECT_COLUMNS = {"hash": HASH, "era": optional(U64, 0), "size": SIZE}


def ref_of(row):
    return {name: row[name] for name in ("hash", "era", "size")}


def same_object(one, other):
    """Whether two references, or none and none, are to the same object: identity is the hash alone [REFR-2]."""
    return (one and one["hash"]) == (other and other["hash"])


def folded(value):
    ensure(fold(TEXT(value)) == value, f"not a folded name: {show(value)}")
    return value


# The catalog [CAT]

ENTRY_TYPE = choice("table", "view", "namespace")


def catalog_entries(value):
    rows = rows_of({"name": TABLE_NAME, "type": ENTRY_TYPE, "id": UUID, **OBJECT_COLUMNS}, "name")(value)
    return [{**row, "key": fold(row["name"]), "count": 1} for row in rows]


CATALOG = Use("catalog", folded, catalog_entries, rows_of(
    {"first": folded, "last": folded, **OBJECT_COLUMNS, "count": U64}, "first"), ("count",))

# The history [HIST]

PARENT = record({"seq": U64, "hash": HASH, "era": U64, "size": SIZE})


def history_entries(value):
    rows = rows_of({"seq": U64, **OBJECT_COLUMNS, "time": time, "txn": HEX32, "keyed": optional(BOOLEAN, False),
                    "merged": optional(PARENT)}, "seq")(value)
    return [{**row, "key": row["seq"], "count": 1, "keyed_count": int(row["keyed"]), "merges": int(bool(row["merged"])),
             "first_time": row["time"], "last_time": row["time"]} for row in rows]


def history_children(value):
    rows = rows_of({"first": U64, "last": U64, **OBJECT_COLUMNS, "count": U64, "first_time": time, "last_time": time,
                    "keyed": optional(U64, 0), "merges": optional(U64, 0)}, "first")(value)
    return [{**row, "keyed_count": row["keyed"]} for row in rows]


HISTORY = Use("history", U64, history_entries, history_children, ("count", "keyed_count", "merges"))

# A table's files [FILE]


def deletes(value):
    """A deletion vector, inline or an object of its own, never both [FILE-3]."""
    if has(OBJECT(value), "inline"):
        ensure(not any(has(value, name) for name in ("hash", "era", "size")), "a deletion vector is inline and an object as well")
        return record({"rows": integer(1, 2**64 - 1), "inline": TEXT})(value)
    return record({"rows": integer(1, 2**64 - 1), "hash": HASH, "era": U64, "size": U64})(value)


def scalar(value):
    """A split's value; its type follows from the split's transform."""
    ensure(not isinstance(value, (list, dict)), f"a split's value is no scalar: {show(value)}")
    return value


def shift(value):
    ensure(isinstance(value, list) and len(value) == 2, f"not [from, by]: {show(value)}")
    return [U64(number) for number in value]


U32 = integer(0, 2**32 - 1)
FILE_COLUMNS = {
    "id": U64, **OBJECT_COLUMNS, "rows": U64, "footer": U64, "first_row": U64, "added": U64, "fields": optional(U32, 0),
    "deletes": optional(deletes), "row_groups": optional(listing(U64), [4]), "order": optional(U32),
    "split": optional(record({"id": U32, "values": listing(scalar)})), "shifts": optional(listing(shift)),
    "row_ids": optional(choice("derived", "stored"), "derived"),
    "external": optional(record({"url": TEXT, "etag": optional(TEXT)}))}


def file_entries(value):
    return [{**check_file(row), "key": row["id"], "count": 1, "bytes": row["size"],
             "deleted": row["deletes"]["rows"] if row["deletes"] else 0}
            for row in with_stats(rows_of(FILE_COLUMNS, "id"))(value)]


def check_file(row):
    starts = row["row_groups"]
    ensure(12 <= row["footer"] <= row["size"], f"file {row['id']}: the footer does not fit into the file")
    ensure(row["first_row"] + row["rows"] < 2**64, f"file {row['id']}: row ids beyond 64 bits")
    ensure(row["row_ids"] == "stored" or not row["shifts"], f"file {row['id']}: shifts row ids that are derived")
    ensure(all(one < two for one, two in zip(starts, starts[1:])), f"file {row['id']}: row groups are not in order")
    ensure(not starts or starts[-1] < row["size"], f"file {row['id']}: a row group begins behind the file's end")
    return row


FILES = Use("files", U64, file_entries, with_stats(rows_of(
    {"first": U64, "last": U64, **OBJECT_COLUMNS, "count": U64, "rows": U64, "bytes": U64, "deleted": optional(U64, 0)},
    "first")), ("count", "rows", "bytes", "deleted"))


def check_order(keys):
    ensure(all(one < two for one, two in zip(keys, keys[1:])), "keys do not ascend")


def check_reference(use, child, node):
    """A reference has its node's range and count, and the summary that merging gives [TREE-7, TREE-10, STAT-9]."""
    ends = (node.entries[0]["key"], node.entries[-1]["key"])
    ensure((child["first"], child["last"]) == ends, f"holds keys {ends[0]} to {ends[1]}, its reference says otherwise")
    for name in use.sums:
        total = sum(item[name] for item in node.items)
        ensure(child[name] == total, f"its reference says {name} = {child[name]}, merging gives {total}")
    if use is HISTORY:
        ends = (node.items[0]["first_time"], node.items[-1]["last_time"])
        ensure((child["first_time"], child["last_time"]) == ends, "its reference has other times")
    if use is FILES:
        check_summary(child["stats"], merge_stats([item["stats"] for item in node.items]))


class Walk:
    """All that one ref retains."""

    def __init__(self, lake):
        self.lake, self.folder = lake, lake.folder
        self.nodes, self.tables, self.commits = {}, {}, {}
        self.era, self.era_at = 0, None

    def each(self, items, visit):
        """Visits all, reports every fault, and stops what depends on them."""
        results, failed = [], False
        for item in items:
            try:
                results.append(visit(item))
            except Fault as fault:
                self.lake.report(fault)
                failed = True
        if failed:
            raise Skipped()
        return results

    def meta(self, ref, kind):
        self.reach(ref, wire.meta_path(ref))
        return self.folder.meta(ref, kind)

    def reach(self, ref, path):
        """Remembers the highest era, which the pointer's may not be below [PTR-6]."""
        if ref["era"] > self.era:
            self.era, self.era_at = ref["era"], path

    def tree(self, use, value, place):
        """All entries of a tree, by key: what its children hold, overridden by the root's buffer [TREE-3]."""
        root = in_object(place, lambda: read_root(use, value))
        entries = {}
        for node in self.each(root["children"], lambda child: self.node(use, child, root["level"] - 1)):
            entries.update((entry["key"], entry) for entry in node.entries)
        for key in root["removes"]:
            entries.pop(key, None)
        entries.update((entry["key"], entry) for entry in root["puts"])
        return [entries[key] for key in sorted(entries)]

    def node(self, use, child, level):
        path = wire.meta_path(child)
        if (use.kind, path) not in self.nodes:
            value = self.meta(ref_of(child), use.kind)
            self.nodes[use.kind, path] = self.read_node(use, value, path)
        node = self.nodes[use.kind, path]
        in_object(path, lambda: ensure(node.level == level, f"is of level {node.level}, its parent expects {level}"))
        in_object(path, lambda: check_reference(use, child, node))
        return node

    def read_node(self, use, value, path):
        head, items = in_object(path, lambda: read_items(use, value))
        if head == 0:
            return Node(head, items, items)
        below = self.each(items, lambda child: self.node(use, child, head - 1))
        return Node(head, items, [entry for node in below for entry in node.entries])

    # Commits [COM]

    def commit(self, ref):
        """A commit's own members, with the entries of its history and of its catalog, held against each other."""
        path = wire.meta_path(ref)
        value = self.meta(ref, "commit")
        if path in self.commits:
            return self.commits[path]
        commit = in_object(path, lambda: COMMIT(value))
        history = self.tree(HISTORY, commit["history"], path)
        in_object(path, lambda: check_history(commit, history))
        catalog = self.tree(CATALOG, commit["catalog"], path)
        in_object(path, lambda: check_catalog(commit, catalog))
        nodes = self.each(catalog, lambda entry: self.catalog_node(entry, commit["seq"]))
        live = {node["id"]: node["totals"]["rows"] for node in nodes if "totals" in node}
        self.commits[path] = {
            **commit, "ref": ref, "history": history, "catalog": {entry["id"]: entry for entry in catalog}, "live_rows": live}
        return self.commits[path]

    def catalog_node(self, entry, seq):
        path, kind = wire.meta_path(entry), entry["type"]
        if (kind, path) not in self.tables:
            value = self.meta(ref_of(entry), kind)
            self.tables[kind, path] = self.read_catalog_node(kind, value, path)
        node = self.tables[kind, path]
        in_object(path, lambda: ensure(node["id"] == entry["id"], f"has id {node['id']}, the catalog says {entry['id']}"))
        added = max((file["added"] for file in node.get("files", ())), default=0)
        in_object(path, lambda: ensure(added <= seq, f"a file was added at version {added}, the commit is {seq}"))
        return node

    def read_catalog_node(self, kind, value, path):
        node = in_object(path, lambda: NODES[kind](value))
        if kind == "table":
            return self.table(node, value, path)
        if kind == "view":
            node["schema"] = in_object(path, lambda: Schema(node["schema"]).value)
        return node

    # Tables [TBL]

    def table(self, table, value, path):
        schema = self.schema(value, path)
        in_object(path, lambda: check_table(table, schema))
        files = self.tree(FILES, table["files"], path)
        in_object(path, lambda: check_files(table, files))
        self.each(files, lambda file: self.file(table["id"], file, path))
        return {**table, "schema": schema.value, "files": files}

    def schema(self, value, path):
        """Inline, or an object of its own."""
        in_object(path, lambda: ensure(has(value, "schema") != has(value, "schema_ref"), "has not one of schema, schema_ref"))
        if has(value, "schema"):
            return in_object(path, lambda: Schema(value["schema"]))
        ref = in_object(path, lambda: REF(value["schema_ref"]))
        found = self.meta(ref, "schema")
        return in_object(wire.meta_path(ref), lambda: Schema(found.get("schema")))

    def file(self, table, file, path):
        """The bytes of a data file and its deletion vector."""
        if file["external"] is None:
            data = wire.data_path(table, file, "parquet")
            self.reach(file, data)
            if self.lake.reads_data:
                self.folder.data(data, file)
        if file["deletes"]:
            in_object(path, lambda: self.vector(table, file))

    def vector(self, table, file):
        found = file["deletes"]
        if "inline" in found:
            blob = inline_blob(found["inline"])
        else:
            path = wire.data_path(table, found, "dv")
            self.reach(found, path)
            self.folder.data(path, found)
            blob = self.folder.read(path, found["size"], "corrupt")
        ranges = deletion_vector(blob)
        count = sum(last - first + 1 for first, last in ranges)
        ensure(count == found["rows"], f"file {file['id']}: {count} deleted rows, its entry says {found['rows']}")
        ensure(ranges[-1][1] < file["rows"], f"file {file['id']}: a deleted row is behind the file's end")
        file["deleted_ranges"] = ranges


def has(value, name):
    """Whether a member is there; `null` is as good as left out [JSON-9]."""
    return value.get(name) is not None


def in_object(path, act):
    """Acts, and says of a fault that it is in this object."""
    try:
        return act()
    except Skipped:
        raise
    except Fault as fault:
        raise Fault(fault.kind, fault.message, fault.place or path) from None


def read_root(use, value):
    """A root by itself [TREE-2, TREE-4]."""
    root = record({"level": integer(0, MAX_LEVEL), "children": optional(use.children, []),
                   "puts": optional(use.entries, []), "removes": optional(listing(use.key_type), [])})(value)
    level, children = root["level"], root["children"]
    ensure((level > 0) == bool(children) == has(value, "children"), f"a root of level {level} has {len(children)} children")
    ensure(level or not root["removes"], "a root without children removes a key")
    puts = [entry["key"] for entry in root["puts"]]
    check_children(children)
    check_order(puts)
    check_order(root["removes"])
    ensure(set(puts).isdisjoint(root["removes"]), "a key is put and removed")
    return root


def read_items(use, value):
    """The level and the entries or children of a node [TREE-2, TREE-4, TREE-6]."""
    level = record({"level": integer(0, MAX_LEVEL)})(value)["level"]
    member, other = ("entries", "children") if level == 0 else ("children", "entries")
    ensure(has(value, member) and not has(value, other), f"a node of level {level} has {member} only")
    items = (use.entries if level == 0 else use.children)(value[member])
    ensure(items, "a node is empty")
    check_order([item["key"] for item in items]) if level == 0 else check_children(items)
    return level, items


def check_children(children):
    """Ranges that are disjoint and ascend [TREE-5, TREE-6]."""
    check_order([key for child in children for key in sorted({child["first"], child["last"]})])
    ensure(all(child["first"] <= child["last"] for child in children), "a child's range is reversed")
    ensure(all(child["count"] for child in children), "a child is empty")


# Wire objects

OPERATION = choice(
    "create", "append", "overwrite", "delete", "update", "merge", "compact", "alter", "rename", "drop", "restore")
COUNTS = ("rows_added", "rows_removed", "files_added", "files_removed", "bytes_added", "bytes_removed")

AUTHOR, MESSAGE, LABEL, SQL = bounded(1024), bounded(64 << 10), bounded(255), bounded(1 << 20)

def number_map(value):
    """Pairs of ids from which on, and by how much, they are greater [MRG-4]."""
    pairs = listing(step)(value)
    ensure(all(one[0] < two[0] for one, two in zip(pairs, pairs[1:])), "the pairs of a translation do not ascend")
    return pairs


def step(value):
    ensure(isinstance(value, list) and len(value) == 2, f"not [from, by]: {show(value)}")
    return [U64(value[0]), integer(-2**63, 2**63 - 1)(value[1])]


CHANGE = record({
    "table": UUID, "name": TABLE_NAME, "type": optional(ENTRY_TYPE, "table"), "operation": OPERATION,
    "from": optional(TABLE_NAME), "old": optional(REF), "new": optional(REF), **{name: U64 for name in COUNTS},
    "renumbered": optional(record({"files": number_map, "rows": number_map}))})

NODES_OF = {"create": (False, True), "drop": (True, False)}


def change(value):
    """A change has the nodes that its operation says, and a former name only where there are both [COM-7]."""
    found = CHANGE(value)
    nodes, name = (found["old"] is not None, found["new"] is not None), show(found["name"])
    either = found["operation"] in ("merge", "restore") and any(nodes)
    ensure(either or nodes == NODES_OF.get(found["operation"], (True, True)), f"{name}: nodes do not fit {found['operation']}")
    ensure(found["from"] is None or all(nodes), f"{name}: was renamed and has not both nodes")
    ensure(found["operation"] != "rename" or found["from"] is not None, f"{name}: was renamed from nothing")
    return found


COMMIT = record({
    "seq": U64, "parents": listing(PARENT), "time": time, "txn": HEX32, "key": optional(BOOLEAN, False), "author": AUTHOR,
    "message": MESSAGE, "properties": optional(properties(64), {}), "catalog": OBJECT, "history": OBJECT,
    "changes": listing(change)})

PROPERTIES = {"comment": optional(MESSAGE), "properties": optional(properties(256), {})}
TRANSFORM_FORM = re.compile(r"identity|(?:bucket|truncate)\[([1-9][0-9]{0,9})\]|year|month|day|hour|void")
TRANSFORMS = ("identity", "bucket", "truncate", "year", "month", "day", "hour", "void")


def transform(value):
    """A transform; another word than these may be a later version's [XFM-1, VER-8]."""
    if TEXT(value).split("[")[0] not in TRANSFORMS:
        raise Fault("unsupported", f"the transform {show(value)} is not known here")
    form = TRANSFORM_FORM.fullmatch(value)
    ensure(form and int(form[1] or 1) < 2**31, f"not a transform: {show(value)}")
    return value


ORDER = record({"id": U32, "fields": listing(record(
    {"field": FIELD_ID, "direction": choice("asc", "desc"), "nulls": choice("first", "last")}))})
SPLIT = record({"id": U32, "fields": listing(record(
    {"id": integer(1000, 2**31 - 1), "field": FIELD_ID, "name": COLUMN_NAME, "transform": transform}))})

LAYOUT = record({"order": optional(U32), "split": optional(U32), "target_file_bytes": optional(U64)})


def id_range(value):
    ensure(isinstance(value, list) and len(value) == 2, f"not [first, last]: {show(value)}")
    ensure(FIELD_ID(value[0]) <= FIELD_ID(value[1]), f"a reversed range: {show(value)}")
    return value


TABLE = record({
    "id": UUID, "created": time, "field_sets": optional(listing(listing(id_range)), []),
    "key": optional(listing(FIELD_ID), []), "orders": optional(listing(ORDER), []), "splits": optional(listing(SPLIT), []),
    "layout": optional(LAYOUT, LAYOUT({})),
    "constraints": optional(listing(record({"name": COLUMN_NAME, "check": SQL})), []), **PROPERTIES,
    "next_row": U64, "next_file": U64, "files": OBJECT,
    "totals": record({"files": U64, "rows": U64, "bytes": U64, "deleted": U64})})

NODES = {
    "table": TABLE,
    "view": record({"id": UUID, "created": time, "sql": SQL, "dialect": SQL, "schema": OBJECT, **PROPERTIES}),
    "namespace": record({"id": UUID, **PROPERTIES})}


# Structure


def check_history(commit, history):
    """The first parents, all of them and in order; a commit is one above its parent and never before it [COM-2, COM-3, COM-5]."""
    ensure([entry["seq"] for entry in history] == list(range(commit["seq"])), f"its history is not versions 0 to {commit['seq'] - 1}")
    times = [entry["time"] for entry in history] + [commit["time"]]
    ensure(all(one <= two for one, two in zip(times, times[1:])), "a time is before its parent's")
    txns = {entry["txn"] for entry in history} | {commit["txn"]}
    ensure(len(txns) == len(history) + 1, "a transaction stands twice in its history")
    ensure(len(commit["parents"]) <= 2 and bool(commit["parents"]) == bool(history), "its number of parents is wrong")
    if history:
        parent = commit["parents"][0]
        ensure(same_object(parent, history[-1]) and parent["seq"] == commit["seq"] - 1, "its first parent is not the end of its history")


def check_catalog(commit, catalog):
    """Names stand in namespaces, ids are unique, and what the commit says that it changed is there [CAT-4, CAT-5, COM-6]."""
    names = {entry["key"]: entry["type"] for entry in catalog}
    for name in names:
        inside = name.rpartition(".")[0]
        ensure(not inside or names.get(inside) == "namespace", f"{show(name)} stands in no namespace")
    by_id = {entry["id"]: entry for entry in catalog}
    ensure(len(by_id) == len(catalog), "two names have one id")
    ensure(commit["seq"] or not catalog, "the root commit's catalog is not empty")
    merges = len(commit["parents"]) == 2
    ensure(merges or not any(change["renumbered"] for change in commit["changes"]), "something is renumbered, though nothing is merged")
    changed = [change["table"] for change in commit["changes"]]
    ensure(len(set(changed)) == len(changed), "a table's change stands twice")
    for change in commit["changes"]:
        entry = by_id.get(change["table"])
        ensure(same_object(change["new"], entry), f"the change of {show(change['name'])} is not what the catalog holds")
        ensure(not entry or entry["name"] == change["name"], f"the change of {show(change['name'])} has another name than the catalog")


def check_step(before, after):
    """The changes of a commit are the difference of its catalog from its parent's [COM-6]."""
    changes = {change["table"]: change for change in after["changes"]}
    for table in {**before["catalog"], **after["catalog"]}:
        old, new = before["catalog"].get(table), after["catalog"].get(table)
        same = old and new and old["name"] == new["name"] and same_object(old, new)
        ensure(bool(same) != (table in changes), f"the changes do not tell what happened to table {table}")
        ensure(same or same_object(changes[table]["old"], old), f"the change of table {table} has another old node than the parent")
    for table in changes:
        more = after["live_rows"].get(table, 0) - before["live_rows"].get(table, 0)
        said = changes[table]["rows_added"] - changes[table]["rows_removed"]
        ensure(said == more, f"the change of table {table} says {said} rows more, there are {more}")


def check_table(table, schema):
    """A table's own lists [TBL-3, TBL-9, TBL-10]."""
    for field in table["key"]:
        kind, _ = schema.by_id.get(field, (None, False))
        ensure(field in schema.key_fields and kind[0] not in ("float", "double"), f"field {field} cannot be part of the key")
    leaves = {field for field, (kind, _) in schema.by_id.items() if kind} | schema.dropped
    for ranges in table["field_sets"]:
        ensure(all(one[1] < two[0] for one, two in zip(ranges, ranges[1:])), "a field set is not in order")
        held = sum(last - first + 1 for first, last in ranges)
        known = sum(any(first <= field <= last for first, last in ranges) for field in leaves)
        ensure(held == known, "a field set has an id that is no leaf's, or never was")
    for name, hint in (("orders", "order"), ("splits", "split")):
        ids = [item["id"] for item in table[name]]
        ensure(len(set(ids)) == len(ids), f"an id stands twice in {name}")
        ensure(table["layout"][hint] in [None, *ids], f"the layout's {hint} is not there")
    meanings = {(part["id"], part["field"], part["transform"]) for split in table["splits"] for part in split["fields"]}
    ensure(len({meaning[0] for meaning in meanings}) == len(meanings), "a split field's id has two meanings")


def check_files(table, files):
    """Entries against their table: ids handed out, sets, orders and splits, totals [TBL-4..6, FILE-2, FILE-4]."""
    orders = {order["id"] for order in table["orders"]}
    splits = {split["id"]: len(split["fields"]) for split in table["splits"]}
    for file in files:
        name = f"file {file['id']}"
        ensure(file["id"] < table["next_file"], f"{name}: its id was never handed out")
        ensure(file["row_ids"] == "stored" or file["first_row"] + file["rows"] <= table["next_row"], f"{name}: its row ids were never handed out")
        ensure(file["fields"] < len(table["field_sets"]), f"{name}: its field set is not there")
        ensure(file["order"] is None or file["order"] in orders, f"{name}: its order is not there")
        ensure(not file["split"] or splits.get(file["split"]["id"]) == len(file["split"]["values"]), f"{name}: its split does not fit")
        ensure(file["deleted"] <= file["rows"], f"{name}: more rows deleted than there are")
    rows = sorted((file["first_row"], file["first_row"] + file["rows"]) for file in files if file["row_ids"] == "derived")
    ensure(all(one[1] <= two[0] for one, two in zip(rows, rows[1:])), "two files share row ids")
    deleted = sum(file["deleted"] for file in files)
    found = {"files": len(files), "rows": sum(file["rows"] for file in files) - deleted,
             "bytes": sum(file["bytes"] for file in files), "deleted": deleted}
    ensure(table["totals"] == found, f"totals are {table['totals']}, its files give {found}")


def check_entry(commit, entry):
    """A history entry says what the commit that it names says [HIST-2]."""
    others = commit["parents"][1:]
    same = (entry["seq"], entry["time"], entry["txn"], entry["keyed"]) == tuple(
        commit[name] for name in ("seq", "time", "txn", "key"))
    merged = [entry["merged"]] if entry["merged"] else []
    ensure(same and [(one["seq"], one["hash"]) for one in merged] == [(one["seq"], one["hash"]) for one in others], f"version {entry['seq']}: its history entry differs from it")
