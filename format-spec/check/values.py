"""Typed values: schemas, the statistics of columns and how they merge, deletion vectors.

All pure: values in, checked values out, `Fault` for what breaks the spec.
"""

import base64
import math
import re
import struct
import zlib
from collections import namedtuple
from decimal import Decimal

from wire import (
    BOOLEAN, COLUMN_NAME, Fault, TEXT, U64, bounded, ensure, fold, integer, listing, optional, record, show)

MAX_FIELD_ID = 2147483447
FIELD_ID = integer(1, MAX_FIELD_ID)
MAX_FIELD_DEPTH = 16
SUMMARY_FIELDS = 64
SUMMARY_BOUND = 64
MAX_SUMMARY_BOUND = 64
PLAIN_TYPES = (
    "boolean", "int", "long", "float", "double", "date", "time", "timestamp", "timestamptz", "timestamp_ns",
    "timestamptz_ns", "string", "uuid", "binary")


# Schemas [SCH-1..9]


def primitive(text):
    """A primitive type, as (name, arguments…). Another word than these may be a later version's [VER-8]."""
    if text in PLAIN_TYPES:
        return (text,)
    if text.split("(")[0] not in (*PLAIN_TYPES, "decimal", "fixed"):
        raise Fault("unsupported", f"the type {show(text)} is not known here")
    decimal = re.fullmatch(r"decimal\((0|[1-9][0-9]?),(0|[1-9][0-9]?)\)", text)
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2])
        ensure(1 <= precision <= 38 and scale <= precision, f"no such decimal: {text}")
        return ("decimal", precision, scale)
    fixed = re.fullmatch(r"fixed\(([1-9][0-9]{0,9})\)", text)
    ensure(fixed and int(fixed[1]) < 2**31, f"not a type: {show(text)}")
    return ("fixed", int(fixed[1]))


def type_text(kind):
    """A primitive type as it is written."""
    return kind[0] + (f"({','.join(map(str, kind[1:]))})" if kind[1:] else "")


class Schema:
    """A schema, every field in it by its id, (primitive type or None, required), and which of them a key may have [SCH-9]."""

    def __init__(self, value):
        self.by_id, self.key_fields, self.keyable = {}, set(), [True]
        head = record({"id": integer(0, 2**32 - 1), "dropped": optional(listing(FIELD_ID), ())})(value)
        self.dropped = set(head["dropped"])
        self.value = {"id": head["id"], "fields": self.fields(value.get("fields")), "dropped": sorted(self.dropped)}
        ensure(sorted(self.dropped) == list(head["dropped"]), "dropped ids do not ascend")
        ensure(self.dropped.isdisjoint(self.by_id), "a dropped field id is in use")

    def fields(self, value):
        fields = listing(self.field)(value)
        ensure(len({fold(field["name"]) for field in fields}) == len(fields), "sibling fields share a name")
        return fields

    def field(self, value):
        head = record({"name": COLUMN_NAME, "doc": optional(bounded(64 << 10))})(value)
        field = {**self.element(value), **head}
        for default in ("initial", "default"):
            if value.get(default) is not None:
                check_value(self.leaf(field["id"]), value[default])
                field[default] = value[default]
        return field

    def leaf(self, field_id):
        kind = self.by_id[field_id][0]
        ensure(kind, "a nested field has no default")
        return kind

    def element(self, value, required=None):
        """The members that fields, list elements, map keys and map values share."""
        head = record({"id": FIELD_ID, "required": optional(BOOLEAN, False)})(value)
        head["required"] = head["required"] if required is None else required
        ensure(head["id"] not in self.by_id, f"field id {head['id']} is used twice")
        ensure("type" in value, "has no member 'type'")
        self.by_id[head["id"]] = (primitive(value["type"]) if isinstance(value["type"], str) else None, head["required"])
        self.keyable.append(self.keyable[-1] and head["required"])
        ensure(len(self.keyable) <= MAX_FIELD_DEPTH + 1, f"fields stand in each other more than {MAX_FIELD_DEPTH} deep")
        if self.keyable[-1] and self.by_id[head["id"]][0]:
            self.key_fields.add(head["id"])
        found = {**head, "type": self.type(value["type"])}
        self.keyable.pop()
        return found

    def type(self, value):
        if isinstance(value, str):
            return value
        ensure(isinstance(value, dict) and len(value) == 1, f"not a type: {show(value)}")
        kind, inner = next(iter(value.items()))
        if kind == "struct":
            return {"struct": self.fields(inner)}
        self.keyable[-1] = False
        if kind == "list":
            return {"list": self.element(inner)}
        if kind != "map":
            raise Fault("unsupported", f"the type {show(kind)} is not known here")
        pair = record({"key": dict_of, "value": dict_of})(inner)
        return {"map": {"key": self.element(pair["key"], required=True), "value": self.element(pair["value"])}}


def dict_of(value):
    ensure(isinstance(value, dict), f"not an object: {show(value)}")
    return value


# Values [VAL-1..7]

RANGES = {
    "int": (-2**31, 2**31 - 1), "date": (-2**31, 2**31 - 1), "long": (-2**63, 2**63 - 1), "time": (0, 86_400_000_000 - 1),
    "timestamp": (-2**63, 2**63 - 1), "timestamptz": (-2**63, 2**63 - 1), "timestamp_ns": (-2**63, 2**63 - 1),
    "timestamptz_ns": (-2**63, 2**63 - 1)}


def check_value(kind, value):
    """Checks a value's form, and returns what orders it among the values of its type."""
    name = kind[0]
    if name in RANGES:
        return integer(*RANGES[name])(value)
    if name == "boolean":
        return BOOLEAN(value)
    if name in ("float", "double"):
        return number(name, value)
    if name == "decimal":
        return decimal(kind, value)
    TEXT(value)
    if name == "uuid":
        ensure(re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value), f"not a uuid: {show(value)}")
    elif name in ("binary", "fixed"):
        ensure(re.fullmatch("([0-9a-f]{2})*", value), f"not lower-case hex: {show(value)}")
        ensure(name == "binary" or len(value) == 2 * kind[1], f"not {kind[-1]} bytes: {show(value)}")
    return value


def number(name, value):
    """Floats are totally ordered, -0.0 before 0.0; there is no NaN."""
    value = {"Infinity": math.inf, "-Infinity": -math.inf}.get(value, value) if isinstance(value, str) else value
    ensure(isinstance(value, (int, float)) and not isinstance(value, bool), f"not a number: {show(value)}")
    ensure(not math.isinf(value) or not hasattr(value, "text"), f"out of range: {show(value)}")
    value = single(value) if name == "float" else float(value)
    return (value, math.copysign(1, value))


def single(value):
    """The 32-bit float that is nearest to a number, rounded once from its decimal text [VAL-5]."""
    try:
        return struct.unpack("<f", struct.pack("<f", to_odd(value)))[0]
    except OverflowError:
        raise Fault("malformed", f"{value} is out of range") from None


def to_odd(value):
    """A double that rounds as its decimal does: where the double is not exact, the one beside it whose last bit is set."""
    exact = Decimal(getattr(value, "text", value))
    near = float(value)
    if math.isinf(near) or Decimal(near) == exact or struct.unpack("<q", struct.pack("<d", near))[0] & 1:
        return near
    return math.nextafter(near, math.inf if exact > Decimal(near) else -math.inf)


def decimal(kind, value):
    _, precision, scale = kind
    form = r"-?(0|[1-9][0-9]*)" + (r"\.[0-9]{%d}" % scale if scale else "")
    ensure(isinstance(value, str) and re.fullmatch(form, value), f"not a decimal of scale {scale}: {show(value)}")
    digits = value.replace(".", "").replace("-", "").lstrip("0")
    ensure(len(digits) <= precision and (digits or value[0] != "-"), f"not a decimal of {precision} digits: {show(value)}")
    return int(value.replace(".", ""))


def widens(old, new):
    """Whether values of one type are exactly values of another."""
    if old[0] == new[0] == "decimal":
        return old[2] == new[2] and old[1] <= new[1]
    return old == new or (old[0], new[0]) in (("int", "long"), ("float", "double"), ("date", "timestamp"))


def promote(value, old, new):
    """A value of the old type, written as one of the new; None for a date too far away for a timestamp."""
    if value is None or old == new:
        return value
    if new[0] == "timestamp":
        micros = value * 86_400_000_000
        return micros if -2**63 <= micros < 2**63 else None
    return single(value) if new[0] == "double" and not isinstance(value, str) else value


# Statistics [STAT-1..10]

Stat = namedtuple("Stat", "type nulls nans values min max min_exact max_exact")


def read_stats(value, rows):
    """The statistics of each entry of a node: one dict by field id for each of `rows`, which are row counts."""
    stats = [{} for _ in rows]
    for field_id in dict_of(value):
        ensure(re.fullmatch("[1-9][0-9]{0,9}", field_id) and int(field_id) < 2**31, f"no field id: {show(field_id)}")
    ensure(list(value) == sorted(value, key=int), "field ids of statistics do not ascend")
    for field_id, columns in value.items():
        try:
            for found, stat in zip(stats, read_columns(columns, rows)):
                if stat is not None:
                    found[int(field_id)] = stat
        except Fault as fault:
            raise fault.at(f"statistics of field {field_id}") from None
    return stats


def read_columns(value, rows):
    """One `Stat` for each entry, or None where nothing is known; `values` that are left out or null are as many as rows."""
    ensure(list(dict_of(value))[:1] == ["type"], "the type of statistics does not come first")
    kind = primitive(TEXT(value["type"]))
    ensure(value.get("nans") is None or kind[0] in ("float", "double"), "only floats count NaNs")  # STAT-7
    count, anything = listing(optional(U64)), listing(lambda item: item)
    unknown, exact = [None] * len(rows), [True] * len(rows)
    columns = record({
        "nulls": optional(count, unknown), "nans": optional(count, unknown), "values": optional(count, unknown),
        "min": optional(anything, unknown), "max": optional(anything, unknown),
        "min_exact": optional(listing(BOOLEAN), exact), "max_exact": optional(listing(BOOLEAN), exact)})(value)
    ensure(all(len(column) == len(rows) for column in columns.values()), "columns differ in length")
    known = [any(columns[name][at] is not None for name in ("nulls", "nans", "values", "min", "max")) for at in range(len(rows))]
    columns["values"] = [count if value is None else value for value, count in zip(columns["values"], rows)]
    stats = [check_stat(Stat(kind, *parts)) for parts in zip(*columns.values())]
    return [stat if something else None for stat, something in zip(stats, known)]


def check_stat(stat):
    ensure((stat.nulls or 0) + (stat.nans or 0) <= stat.values, "more nulls and NaNs than values")
    ensure(not is_empty(stat) or (stat.min, stat.max) == (None, None), "a bound where there is no value")
    low, high = (bound_order(stat.type, bound) for bound in (stat.min, stat.max))
    ensure(low is None or high is None or low <= high, "min is above max")
    return stat


def bound_order(kind, bound):
    """What orders a bound, if it is there."""
    return None if bound is None else check_value(kind, bound)


def is_empty(stat):
    """Nulls and NaNs only: such an entry says nothing about bounds."""
    nans = stat.nans if stat.type[0] in ("float", "double") else 0
    return None not in (stat.nulls, nans) and stat.nulls + nans == stat.values


def merge_stats(parts):
    """What a reference says of its child: of the first 64 fields by id in it, those of which every part knows something."""
    fields = sorted(set().union(*parts))[:SUMMARY_FIELDS]
    return {field: merge_field([part[field] for part in parts]) for field in fields if all(field in part for part in parts)}


def merge_field(stats):
    kind = widest(stats)
    stats = [widen(stat, kind) for stat in stats]
    counts = [add(getattr(stat, name) for stat in stats) for name in ("nulls", "nans", "values")]
    low, low_exact = extreme(kind, min, [(short(kind, stat.min), stat.min_exact) for stat in stats if not is_empty(stat)])
    high, high_exact = extreme(kind, max, [(short(kind, stat.max), stat.max_exact) for stat in stats if not is_empty(stat)])
    return Stat(kind, *counts, low, high, low_exact, high_exact)


def widen(stat, kind):
    """The same statistics in a wider type."""
    return stat._replace(
        type=kind, min=promote(stat.min, stat.type, kind), max=promote(stat.max, stat.type, kind))


def write_stats(parts, rows):
    """The statistics of entries or children as columns, which leave out what says nothing [STAT-2, STAT-8, STAT-9]."""
    fields = sorted(set().union(*parts))
    return {str(field): write_columns([part.get(field) for part in parts], rows) for field in fields}


def write_columns(stats, rows):
    kind = widest([stat for stat in stats if stat])
    stats = [stat and widen(stat, kind) for stat in stats]
    columns = {name: [getattr(stat, name) if stat else None for stat in stats] for name in ("nulls", "nans")}
    columns["values"] = [stat and written_values(stat, count) for stat, count in zip(stats, rows)]
    columns.update((name, [getattr(stat, name) if stat else None for stat in stats]) for name in ("min", "max"))
    for name in ("min_exact", "max_exact"):
        columns[name] = [not stat or getattr(stat, name) or getattr(stat, name[:3]) is None for stat in stats]
    nothing = {"min_exact": True, "max_exact": True}
    said = {name: column for name, column in columns.items() if any(item != nothing.get(name) for item in column)}
    return {"type": type_text(kind), **said}


def written_values(stat, rows):
    """A count of values: left out if it is that of the rows and something else is known."""
    known = any(part is not None for part in (stat.nulls, stat.nans, stat.min, stat.max))
    return None if known and stat.values == rows else stat.values


def widest(stats):
    """The type that those of all parts widen to [VAL-7, STAT-8]."""
    kind = stats[0].type
    for stat in stats:
        kind = stat.type if widens(kind, stat.type) else kind
        ensure(widens(stat.type, kind), "types that do not widen to one another")
    return kind


def add(counts):
    counts = list(counts)
    return None if None in counts else sum(counts)


def short(kind, bound):
    """A bound, or None where it is too long for a summary [STAT-10]."""
    if bound is None or kind[0] not in ("string", "binary", "fixed"):
        return bound
    size = len(bound.encode("utf-8")) if kind[0] == "string" else len(bound) // 2
    return bound if size <= MAX_SUMMARY_BOUND else None


def extreme(kind, pick, bounds):
    """The winning bound, exact if any of the equal winners is; no bound where one is not known or too long [STAT-10]."""
    if not bounds or any(bound is None or too_long(kind, bound) for bound, _ in bounds):
        return None, True
    ordered = [(bound_order(kind, bound), bound, exact) for bound, exact in bounds]
    best = pick(order for order, _, _ in ordered)
    winners = [(bound, exact) for order, bound, exact in ordered if order == best]
    return winners[0][0], any(exact for _, exact in winners)


def too_long(kind, bound):
    """Whether a bound is longer than a reference keeps it; binary bounds are in hex here."""
    length = {"string": lambda: len(bound.encode()), "binary": lambda: len(bound) // 2, "fixed": lambda: len(bound) // 2}
    return kind[0] in length and length[kind[0]]() > SUMMARY_BOUND


def check_summary(found, merged):
    """Holds what a reference says against what merging its child's parts gives."""
    for field in merged:
        ensure(field in found, f"the statistics of field {field} are missing")
    for field, stat in found.items():
        ensure(field in merged and widens(merged[field].type, stat.type), f"the statistics of field {field} are not its child's")
        ensure(same(stat, widen(merged[field], stat.type)), f"the statistics of field {field} are not what merging gives")


def same(one, other):
    bounds = [[bound_order(stat.type, bound) for bound in (stat.min, stat.max)] for stat in (one, other)]
    flags = [[stat.min is None or stat.min_exact, stat.max is None or stat.max_exact] for stat in (one, other)]
    return one[:4] == other[:4] and bounds[0] == bounds[1] and flags[0] == flags[1]


# Deletion vectors [DV-1..3]


class Cursor:
    """Bytes that are read from front to back and never past their end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        ensure(self.at + count <= len(self.data), "a deletion vector is cut off")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def shorts(self, count):
        return struct.unpack(f"<{count}H", self.take(2 * count))


def canonical_base64(text):
    """The bytes of a text in canonical base64, with its padding."""
    try:
        octets = base64.b64decode(TEXT(text), validate=True)
    except ValueError:
        raise Fault("malformed", "not base64") from None
    ensure(base64.b64encode(octets).decode() == text, "not canonical base64")
    return octets


def inline_blob(text):
    """The bytes of a deletion vector that stands in its entry: canonical base64 of at most 1024 bytes."""
    blob = canonical_base64(text)
    ensure(len(blob) <= 1024, "an inline deletion vector is longer than 1024 bytes")
    return blob


def deletion_vector(blob):
    """The deleted positions as ascending ranges [first, last], which stay small however many they cover."""
    cursor = Cursor(blob)
    ensure(cursor.number(">I") == len(blob) - 8, "a deletion vector's length is wrong")
    body = blob[4:-4]
    if zlib.crc32(body) != struct.unpack(">I", blob[-4:])[0]:
        raise Fault("corrupt", "a deletion vector does not match its checksum")
    cursor = Cursor(body)
    ensure(cursor.take(4) == b"\xd1\xd3\x39\x64", "a deletion vector's magic number is wrong")
    ranges, last_key = [], -1
    for _ in range(cursor.number("<Q")):
        key = cursor.number("<I")
        ensure(last_key < key < 2**31 - 1, "the bitmaps are not in order")
        last_key = key
        for first, last in bitmap(cursor):
            extend(ranges, (key << 32) + first, (key << 32) + last)
    ensure(cursor.at == len(body), "bytes behind a deletion vector")
    return ranges


def extend(ranges, first, last):
    if ranges and ranges[-1][1] + 1 == first:
        ranges[-1][1] = last
    else:
        ranges.append([first, last])


def bitmap(cursor):
    """The ranges of one portable 32-bit roaring bitmap."""
    start, cookie = cursor.at, cursor.number("<I")
    ensure(cookie == 12346 or cookie & 0xFFFF == 12347, "a bitmap's cookie is wrong")
    has_runs = cookie != 12346
    count = (cookie >> 16) + 1 if has_runs else cursor.number("<I")
    ensure(count <= 65536, "a bitmap has too many containers")
    flags = cursor.take((count + 7) // 8) if has_runs else b""
    heads = cursor.shorts(2 * count)
    offsets = [cursor.number("<I") for _ in range(count)] if not has_runs or count >= 4 else None
    ensure(all(one < two for one, two in zip(heads[::2], heads[2::2])), "a bitmap's containers are not in order")
    for index in range(count):
        ensure(offsets is None or offsets[index] == cursor.at - start, "a container's offset is wrong")
        is_run = has_runs and flags[index // 8] >> index % 8 & 1
        for first, last in container(cursor, is_run, heads[2 * index + 1] + 1):
            yield (heads[2 * index] << 16) + first, (heads[2 * index] << 16) + last


def container(cursor, is_run, cardinality):
    if is_run:
        numbers = cursor.shorts(2 * cursor.number("<H"))
        ranges = [(first, first + more) for first, more in zip(numbers[::2], numbers[1::2])]
    elif cardinality <= 4096:
        ranges = [(value, value) for value in cursor.shorts(cardinality)]
    else:
        bits = int.from_bytes(cursor.take(8192), "little")
        ranges = [(value, value) for value in range(65536) if bits >> value & 1]
    ensure(all(one[1] < two[0] for one, two in zip(ranges, ranges[1:])), "a container is not in order")
    ensure(not ranges or ranges[-1][1] < 65536, "a run leaves its container")
    ensure(sum(last - first + 1 for first, last in ranges) == cardinality, "a container's cardinality is wrong")
    return ranges
