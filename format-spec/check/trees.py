"""The three trees as text: their columns, nodes and roots, each by itself, and what a reference says of a node.

Parsers as in `wire`. How nodes are found, and what a whole tree holds, is the business of `lake`.
"""

import base64
from collections import namedtuple

from values import canonical_base64, check_summary, inline_blob, is_empty, merge_stats, read_stats
from wire import (
    BOOLEAN, Fault, HASH, HEX32, OBJECT, SIZE, TABLE_NAME, TEXT, U64, UUID, choice, ensure, fold, integer, listing, optional,
    record, show, time)

MAX_LEVEL = 8
ROW_ID = 2147483540  # the field of row ids in files that store them [SCH-4]


# Columns and trees [TREE]

Use = namedtuple("Use", "kind key_type entries children sums")
Node = namedtuple("Node", "level items")


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
    """A column of such elements, which are `null` only where that is their default [TREE-9, FILE-3]."""
    if not hasattr(parser, "default"):
        return listing(parser)
    return optional(listing(parser if parser.default is None else parser.present))


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
    return in_time([{**row, "key": row["seq"], "count": 1, "keyed_count": int(row["keyed"]), "merges": int(bool(row["merged"])),
                     "txns": [row["txn"]] if row["keyed"] else [],
                     "first_time": row["time"], "last_time": row["time"]} for row in rows])


def history_children(value):
    rows = rows_of({"first": U64, "last": U64, **OBJECT_COLUMNS, "count": U64, "first_time": time, "last_time": time,
                    "keyed": optional(U64, 0), "keys": optional(key_filter), "merges": optional(U64, 0)}, "first")(value)
    return in_time([{**row, "keyed_count": row["keyed"]} for row in rows])


def key_filter(value):
    """A filter of keys as text: not empty, and in canonical base64 [HIST-7]."""
    octets = canonical_base64(value)
    ensure(octets, "a filter of keys without a byte")
    return value


def filter_of(txns):
    """The filter of the keyed entries of a leaf; none of none [HIST-7]."""
    octets = bytearray(-(-10 * len(txns) // 8))
    for txn in txns:
        first, step = int(txn[:16], 16), int(txn[16:], 16)
        for number in range(7):
            place = (first + number * step) % 2**64 % (8 * len(octets))
            octets[place // 8] |= 1 << place % 8
    return base64.b64encode(octets).decode() if txns else None


def in_time(rows):
    """Entries or children whose times do not go back [HIST-3]."""
    times = [row[name] for row in rows for name in ("first_time", "last_time")]
    ensure(all(one <= two for one, two in zip(times, times[1:])), "a time is before the one that precedes it")
    return rows


HISTORY = Use("history", U64, history_entries, history_children, ("count", "keyed_count", "merges"))

# A table's files [FILE]


def deletes(value):
    """A deletion vector, inline or an object of its own, never both [FILE-3]."""
    if has(OBJECT(value), "inline"):
        ensure(not any(has(value, name) for name in ("hash", "era", "size")), "a deletion vector is inline and an object as well")
        return record({"rows": integer(1, 2**64 - 1), "inline": inline})(value)
    return record({"rows": integer(1, 2**64 - 1), "hash": HASH, "era": U64, "size": U64})(value)


def inline(value):
    """The text of a deletion vector that is short and in canonical base64 [FILE-7]."""
    inline_blob(value)
    return value


def scalar(value):
    """A split's value; its type follows from the split's transform."""
    ensure(not isinstance(value, (list, dict)), f"a split's value is no scalar: {show(value)}")
    return value


def number_map(value):
    """Pairs of ids from which on, and by how much, they are greater [MRG-4]."""
    pairs = listing(step)(value)
    ensure(all(one[0] < two[0] for one, two in zip(pairs, pairs[1:])), "the pairs of a translation do not ascend")
    return pairs


def step(value):
    ensure(isinstance(value, list) and len(value) == 2, f"not [from, by]: {show(value)}")
    return [U64(value[0]), integer(-2**63, 2**63 - 1)(value[1])]


def runs(value):
    """Ids in a row that others stand for: the first, how many, and by how much those are greater [COM-9, MRG-4]."""
    found = listing(run)(value)
    ensure(all(one[0] + one[1] <= two[0] for one, two in zip(found, found[1:])), "runs of ids that do not ascend")
    return found


def one_to_one(value):
    """Runs of which no two ids have one number [COM-10]."""
    found = runs(value)
    there = sorted((first + by, count) for first, count, by in found)
    ensure(all(one[0] + one[1] <= two[0] for one, two in zip(there, there[1:])), "two ids have one number")
    return found


def run(value):
    ensure(isinstance(value, list) and len(value) == 3, f"not [first, count, by]: {show(value)}")
    first, count, by = U64(value[0]), U64(value[1]), integer(-2**63, 2**63 - 1)(value[2])
    ensure(count > 0 and first + count < 2**64 and first + by >= 0 and first + by + count < 2**64, f"no run of ids: {show(value)}")
    return [first, count, by]


def shifts(value):
    """A translation of stored row ids, in which no pair begins at an id that has no number then [FILE-9]."""
    pairs = number_map(value)
    ensure(all(0 <= start + by < 2**64 for start, by in pairs), "shifts to below zero or beyond 64 bits")
    return pairs


U32 = integer(0, 2**32 - 1)
FILE_COLUMNS = {
    "id": U64, **OBJECT_COLUMNS, "rows": U64, "footer": U64, "first_row": U64, "added": U64, "fields": optional(U32, 0),
    "deletes": optional(deletes), "row_groups": optional(listing(U64), [4]), "order": optional(U32),
    "split": optional(record({"id": U32, "values": listing(scalar)})), "shifts": optional(shifts),
    "row_ids": optional(choice("derived", "stored"), "derived"),
    "external": optional(record({"url": TEXT, "etag": optional(TEXT)}))}


def file_entries(value):
    return [{**check_file(row), "key": row["id"], "count": 1, "bytes": row["size"],
             "deleted": row["deletes"]["rows"] if row["deletes"] else 0}
            for row in with_stats(rows_of(FILE_COLUMNS, "id"))(value)]


def check_file(row):
    """What an entry's attributes are to each other [FILE-2]."""
    starts = row["row_groups"]
    ensure(12 <= row["footer"] <= row["size"], f"file {row['id']}: the footer does not fit into the file")
    ensure(not row["deletes"] or row["deletes"]["rows"] <= row["rows"], f"file {row['id']}: more rows deleted than there are")
    ensure(row["first_row"] + row["rows"] < 2**64, f"file {row['id']}: row ids beyond 64 bits")
    ensure(row["row_ids"] == "stored" or not row["shifts"], f"file {row['id']}: shifts row ids that are derived")
    ensure(all(one < two for one, two in zip(starts, starts[1:])), f"file {row['id']}: row groups are not in order")
    ensure(not starts or starts[-1] < row["size"], f"file {row['id']}: a row group begins behind the file's end")
    return row


def id_range(value):
    """The least and the greatest of some ids [FILE-15]."""
    ensure(isinstance(value, list) and len(value) == 2, f"not [least, greatest]: {show(value)}")
    least, greatest = map(U64, value)
    ensure(least <= greatest, f"row ids from {least} to {greatest}")
    return [least, greatest]


FILES = Use("files", U64, file_entries, with_stats(rows_of(
    {"first": U64, "last": U64, **OBJECT_COLUMNS, "count": U64, "rows": U64, "bytes": U64, "deleted": optional(U64, 0),
     "row_ids": optional(id_range)},
    "first")), ("count", "rows", "bytes", "deleted"))


def ids_below(node):
    """What a reference says of the row ids below its node; None if that is not known [FILE-15]."""
    ranges = [item["row_ids"] for item in node.items] if node.level else [found for found in map(ids_of, node.items) if found]
    return None if None in ranges or not ranges else hull(ranges)


def ids_of(entry):
    """Which row ids an entry leaves open: the least and the greatest, or None if it has no rows."""
    if not entry["rows"]:
        return None
    derived, stat = [entry["first_row"], entry["first_row"] + entry["rows"] - 1], entry["stats"].get(ROW_ID)
    if entry["row_ids"] == "derived":
        return derived
    if stat and is_empty(stat):
        return derived
    if not stat or None in (stat.min, stat.max):
        return [0, 2**64 - 1]
    return hull([shifted(entry["shifts"] or [], stat.min, stat.max), *([] if stat.nulls == 0 else [derived])])


def shifted(pairs, least, greatest):
    """What the ids between these become: within a piece of a translation they keep their order [MRG-4]."""
    starts = [0, *(start for start, _ in pairs)]
    pieces = zip(starts, [0, *(by for _, by in pairs)], [*(start - 1 for start in starts[1:]), 2**64 - 1])
    met = [(max(start, least), by, min(end, greatest)) for start, by, end in pieces]
    return hull([[low + by, high + by] for low, by, high in met if low <= high])


def hull(ranges):
    return [min(least for least, _ in ranges), max(greatest for _, greatest in ranges)]


def check_order(keys):
    ensure(all(one < two for one, two in zip(keys, keys[1:])), "keys do not ascend")


def describe(use, node):
    """What a reference says of its node: range, count, and the summary that merging gives [TREE-7, TREE-10, STAT-9]."""
    first, last = ("key", "key") if node.level == 0 else ("first", "last")
    said = {"first": node.items[0][first], "last": node.items[-1][last]}
    said.update((name, sum(item[name] for item in node.items)) for name in use.sums)
    if use is HISTORY:
        said.update(first_time=node.items[0]["first_time"], last_time=node.items[-1]["last_time"])
        said.update(keys=None if node.level else filter_of([txn for item in node.items for txn in item["txns"]]))
    if use is FILES:
        said.update(row_ids=ids_below(node))
    return said


def check_reference(use, child, node):
    """A node is what its reference says [TREE-7, TREE-10, STAT-9]."""
    found = describe(use, node)
    check_place(child, found)
    for name, value in found.items():
        if name == "row_ids" and child[name] is None:
            continue
        ensure(child[name] == value, f"its reference says {name} = {child[name]}, merging gives {value}")
    if use is FILES:
        check_summary(child["stats"], merge_stats([item["stats"] for item in node.items]))


def check_place(child, found):
    """Range and count, by which a reader finds its way [TREE-7]."""
    ends = (found["first"], found["last"])
    ensure((child["first"], child["last"]) == ends, f"holds keys {ends[0]} to {ends[1]}, its reference says otherwise")
    ensure(child["count"] == found["count"], f"its reference says count = {child['count']}, merging gives {found['count']}")


def check_level(node, level):
    ensure(node.level == level, f"is of level {node.level}, its parent expects {level}")


def has(value, name):
    """Whether a member is there; `null` is as good as left out [JSON-9]."""
    return value.get(name) is not None


def root_of(use):
    """Roots of one of the trees, each by itself."""
    return lambda value: read_root(use, value)


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
    if use is HISTORY and children:
        in_time([children[-1], *(entry for entry in root["puts"] if entry["key"] > children[-1]["last"])])
    return root


def holds_nothing(root):
    """Whether a root has no entries, as far as it shows by itself."""
    return not root["puts"] and sum(child["count"] for child in root["children"]) <= len(root["removes"])


def read_node(use, value):
    """A node by itself: its level and its entries or children [TREE-2, TREE-4, TREE-6]."""
    level = record({"level": integer(0, MAX_LEVEL)})(value)["level"]
    member, other = ("entries", "children") if level == 0 else ("children", "entries")
    ensure(has(value, member) and not has(value, other), f"a node of level {level} has {member} only")
    items = (use.entries if level == 0 else use.children)(value[member])
    ensure(items, "a node is empty")
    check_order([item["key"] for item in items]) if level == 0 else check_children(items)
    return Node(level, items)


def check_children(children):
    """Ranges that are disjoint and ascend [TREE-5, TREE-6]."""
    check_order([key for child in children for key in sorted({child["first"], child["last"]})])
    ensure(all(child["first"] <= child["last"] for child in children), "a child's range is reversed")
    ensure(all(child["count"] for child in children), "a child is empty")
