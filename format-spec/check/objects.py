"""Commits, tables, views and namespaces: their members, and all that one of them shows by its own text.

Parsers as in `wire`. The checks of a whole history, catalog or tree of files take what `lake` has walked.
"""

from transforms import result_type, transform
from trees import (
    CATALOG, ENTRY_TYPE, FILES, HISTORY, PARENT, U32, has, holds_nothing, number_map, one_to_one, root_of, runs, same_object)
from values import FIELD_ID, MAX_FIELD_ID, Schema, check_value
from wire import (
    BOOLEAN, COLUMN_NAME, HEX32, REF, TABLE_NAME, U64, UUID, bounded, choice, ensure, fold, integer, listing, optional,
    properties, record, show, time)

# Wire objects

OPERATION = choice(
    "create", "append", "overwrite", "delete", "update", "merge", "compact", "alter", "rename", "drop", "restore")
COUNTS = ("rows_added", "rows_removed", "files_added", "files_removed", "bytes_added", "bytes_removed")

AUTHOR, MESSAGE, LABEL, SQL = bounded(1024), bounded(64 << 10), bounded(255), bounded(1 << 20)

CHANGE = record({
    "table": UUID, "name": TABLE_NAME, "type": optional(ENTRY_TYPE, "table"), "operation": OPERATION,
    "from": optional(TABLE_NAME), "old": optional(REF), "new": optional(REF), **{name: U64 for name in COUNTS},
    "renumbered": optional(record({"files": number_map, "rows": number_map, "same": optional(runs, [])})),
    "picked": optional(record({"files": one_to_one, "rows": one_to_one, "same": optional(runs, [])}))})

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
    "message": MESSAGE, "properties": optional(properties(64), {}), "catalog": root_of(CATALOG), "history": root_of(HISTORY),
    "changes": listing(change)})

PROPERTIES = {"comment": optional(MESSAGE), "properties": optional(properties(256), {})}
ORDER = record({"id": U32, "fields": listing(record(
    {"field": FIELD_ID, "direction": choice("asc", "desc"), "nulls": choice("first", "last")}))})
SPLIT = record({"id": U32, "fields": listing(record(
    {"id": integer(1000, 2**31 - 1), "field": FIELD_ID, "name": COLUMN_NAME, "transform": transform}))})

LAYOUT = record({"order": optional(U32), "split": optional(U32), "target_file_bytes": optional(U64)})


def id_range(value):
    ensure(isinstance(value, list) and len(value) == 2, f"not [first, last]: {show(value)}")
    ensure(FIELD_ID(value[0]) <= FIELD_ID(value[1]), f"a reversed range: {show(value)}")
    return value


def field_set(value):
    """Ids of fields as ranges that ascend and are disjoint [TBL-3]."""
    ranges = listing(id_range)(value)
    ensure(all(one[1] < two[0] for one, two in zip(ranges, ranges[1:])), "a field set is not in order")
    return ranges


TABLE = record({
    "id": UUID, "created": time, "schema": optional(Schema), "schema_ref": optional(REF), "field_sets": optional(listing(field_set), []),
    "key": optional(listing(FIELD_ID), []), "orders": optional(listing(ORDER), []), "splits": optional(listing(SPLIT), []),
    "layout": optional(LAYOUT, LAYOUT({})),
    "constraints": optional(listing(record({"name": COLUMN_NAME, "check": SQL})), []), **PROPERTIES,
    "next_row": U64, "next_file": U64, "restored": optional(U64, 0), "files": root_of(FILES),
    "totals": record({"files": U64, "rows": U64, "bytes": U64, "deleted": U64})})
SCHEMA = record({"schema": Schema})


def read_table(value):
    """A table with all that its own text shows."""
    table = TABLE(value)
    ensure((table["schema"] is None) != (table["schema_ref"] is None), "has not one of schema, schema_ref")  # TBL-1
    check_lists(table)
    if table["schema"]:
        check_table(table, table["schema"])
    check_buffer(table, table["files"])
    return table


def read_commit(value):
    """A commit with all that its own text shows."""
    commit = COMMIT(value)
    check_ancestry(commit, commit["history"])
    check_changes(commit)
    return commit


NODES = {
    "table": read_table,
    "view": record({"id": UUID, "created": time, "sql": SQL, "dialect": SQL, "schema": Schema, **PROPERTIES}),
    "namespace": record({"id": UUID, **PROPERTIES})}


# Structure


def check_ancestry(commit, history):
    """A commit against the root of its history: it is one above its parent, with which its history ends [COM-2, COM-3, HIST-1]."""
    parents, seq = commit["parents"], commit["seq"]
    if not parents:
        ensure(seq == 0 and holds_nothing(history), "has no parents, but a version above 0 or a history")
        ensure(holds_nothing(commit["catalog"]), "the root commit's catalog is not empty")
        return
    ensure(not holds_nothing(history), "has parents, and its history is empty")
    end = end_of(history)
    ensure(end is None or end["last"] == seq - 1, f"its history does not end with version {seq - 1}")
    ensure(end is None or end["last_time"] <= commit["time"], "a time is before its parent's")
    ensure(len(parents) <= 2, f"its number of parents is {len(parents)}")
    entry = end is not None and "txn" in end
    fits = parents[0]["seq"] == seq - 1 and (not entry or same_object(parents[0], end))
    ensure(fits, "its first parent is not the end of its history")


def end_of(history):
    """The last entry of a history, or the child that holds it; None where the root alone does not show it."""
    ends = [{**entry, "last": entry["key"]} for entry in history["puts"][-1:]] + history["children"][-1:]
    end = max(ends, key=lambda end: end["last"])  # of two with one key the first, which is the entry that stands
    return None if end["last"] in history["removes"] else end


def check_changes(commit):
    """Ids that differ, nothing renumbered where nothing is merged, and no numbers of a pick where nothing is picked [COM-6, COM-9, COM-10]."""
    merges = len(commit["parents"]) == 2
    ensure(merges or not any(change["renumbered"] for change in commit["changes"]), "something is renumbered, though nothing is merged")
    picks = len(commit["parents"]) == 1 and commit["key"]
    ensure(picks or not any(change["picked"] for change in commit["changes"]), "it has picked rows, though nothing is picked")
    check_unique([change["table"] for change in commit["changes"]], "a table's change")


def check_unique(values, what):
    ensure(len(set(values)) == len(values), f"{what} stands twice")


def check_history(commit, history):
    """The first parents, all of them and in order, each transaction once [HIST-1, COM-5]."""
    ensure([entry["seq"] for entry in history] == list(range(commit["seq"])), f"its history is not versions 0 to {commit['seq'] - 1}")
    txns = {entry["txn"] for entry in history} | {commit["txn"]}
    ensure(len(txns) == len(history) + 1, "a transaction stands twice in its history")
    if history:
        ensure(same_object(commit["parents"][0], history[-1]), "its first parent is not the end of its history")


def check_catalog(commit, catalog):
    """Names stand in namespaces, ids are unique, and what the commit says that it changed is there [CAT-4, CAT-5, COM-6]."""
    names = {entry["key"]: entry["type"] for entry in catalog}
    for name in names:
        inside = name.rpartition(".")[0]
        ensure(not inside or names.get(inside) == "namespace", f"{show(name)} stands in no namespace")
    by_id = {entry["id"]: entry for entry in catalog}
    ensure(len(by_id) == len(catalog), "two names have one id")
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


def check_lists(table):
    """A table's own lists, without its schema [TBL-5, TBL-10]."""
    check_unique([fold(constraint["name"]) for constraint in table["constraints"]], "a constraint's name")
    for name, hint in (("orders", "order"), ("splits", "split")):
        ids = [item["id"] for item in table[name]]
        check_unique(ids, f"an id of {name}")
        ensure(table["layout"][hint] in [None, *ids], f"the layout's {hint} is not there")
        ensure(all(item["fields"] for item in table[name]), f"one of the {name} has no fields")
    for order in table["orders"]:
        check_unique([part["field"] for part in order["fields"]], f"a field of order {order['id']}")
    for split in table["splits"]:
        check_unique([part["id"] for part in split["fields"]], f"a field's id in split {split['id']}")
        check_unique([fold(part["name"]) for part in split["fields"]], f"a field's name in split {split['id']}")
    meanings = {(part["id"], part["field"], part["transform"]) for split in table["splits"] for part in split["fields"]}
    ensure(len({meaning[0] for meaning in meanings}) == len(meanings), "a split field's id has two meanings")


def check_table(table, schema):
    """A table's own lists against its schema [TBL-3, TBL-9, TBL-10]."""
    check_key(table["key"], schema)
    check_leaves(table["field_sets"], schema)
    for item in (*table["orders"], *table["splits"]):
        for part in item["fields"]:
            known = part["field"] in schema.by_id or part["field"] in schema.dropped
            ensure(known, f"field {part['field']} of an order or split never was")
    for part in (part for split in table["splits"] for part in split["fields"]):
        kind, _ = schema.by_id.get(part["field"], (None, None))
        takes = part["field"] in schema.dropped or kind and result_type(part["transform"], kind)
        ensure(takes, f"{part['transform']} does not take field {part['field']}")  # XFM-2


def check_key(key, schema):
    """Fields that may identify rows [TBL-9, SCH-9]."""
    check_unique(key, "a field of the key")
    for field in key:
        kind, _ = schema.by_id.get(field, (None, False))
        ensure(field in schema.key_fields and kind[0] not in ("float", "double"), f"field {field} cannot be part of the key")


def check_leaves(field_sets, schema):
    """Sets of leaf fields, or of such as were dropped [TBL-3]."""
    leaves = {field for field, (kind, _) in schema.by_id.items() if kind} | schema.dropped
    for ranges in field_sets:
        held = sum(last - first + 1 for first, last in ranges)
        known = sum(any(first <= field <= last for first, last in ranges) for field in leaves)
        ensure(held == known, "a field set has an id that is no leaf's, or never was")


def check_buffer(table, root):
    """The root of a table's files against the table, as far as it shows without its nodes [TBL-4, TBL-5, TBL-6]."""
    for file in root["puts"]:
        check_file_of(table, file)
    last = max((child["last"] for child in root["children"]), default=-1)
    ensure(last < table["next_file"], f"file {last}: its id was never handed out")
    if not root["children"] or not root["puts"] and not root["removes"]:
        check_totals(table, [*root["children"], *root["puts"]])


def check_file_of(table, file):
    """An entry against its table: ids handed out, its set, order and split are there, statistics of its fields only [TBL-4, TBL-5, STAT-12]."""
    name, split = f"file {file['id']}", file["split"]
    splits = {split["id"]: len(split["fields"]) for split in table["splits"]}
    ensure(file["id"] < table["next_file"], f"{name}: its id was never handed out")
    ensure(file["row_ids"] == "stored" or file["first_row"] + file["rows"] <= table["next_row"], f"{name}: its row ids were never handed out")
    ensure(file["fields"] < len(table["field_sets"]), f"{name}: its field set is not there")
    ranges = [*table["field_sets"][file["fields"]], (MAX_FIELD_ID + 1, 2**31 - 1)]
    ensure(all(any(first <= field <= last for first, last in ranges) for field in file["stats"]),
           f"{name}: has statistics of a field that is not in its set")
    ensure(file["order"] in [None, *(order["id"] for order in table["orders"])], f"{name}: its order is not there")
    ensure(not split or splits.get(split["id"]) == len(split["values"]), f"{name}: its split does not fit")


def check_files(table, files):
    """All entries of a table: ids handed out, row ids of one file each, totals [TBL-4..6, FILE-4]."""
    for file in files:
        check_file_of(table, file)
    live = {}
    for file in files:
        if file["row_ids"] == "derived":
            run = file["first_row"], file["first_row"] + file["rows"], file["hash"]
            live[run] = live.get(run, 0) + file["rows"] - (file["deletes"]["rows"] if file["deletes"] else 0)
    runs = sorted(live)
    ensure(all(one[1] <= two[0] for one, two in zip(runs, runs[1:])), "two files share row ids")
    ensure(all(rows <= run[1] - run[0] for run, rows in live.items()), "a file that is listed again shares row ids")
    check_totals(table, files)


def check_totals(table, items):
    """What entries, or children that hold all of them, add up to [TBL-6]."""
    found = {name: sum(item[of] for item in items) for name, of in (
        ("files", "count"), ("rows", "rows"), ("bytes", "bytes"), ("deleted", "deleted"))}
    found["rows"] -= found["deleted"]
    ensure(table["totals"] == found, f"totals are {table['totals']}, its files give {found}")


def check_entry(commit, entry):
    """A history entry says what the commit that it names says [HIST-2]."""
    others = commit["parents"][1:]
    same = (entry["seq"], entry["time"], entry["txn"], entry["keyed"]) == tuple(
        commit[name] for name in ("seq", "time", "txn", "key"))
    merged = [entry["merged"]] if entry["merged"] else []
    ensure(same and [(one["seq"], one["hash"]) for one in merged] == [(one["seq"], one["hash"]) for one in others], f"version {entry['seq']}: its history entry differs from it")
