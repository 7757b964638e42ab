"""Runs the spec's vector files against this reader: one function for each topic that it implements.

A file is {"topic", "cases": [{"name", "rules", "input", "expect" | "error"}]}. A topic that is not in `TOPICS` is listed,
never passed over in silence.
"""

import base64
import json
import os

import blake3

import lake
import refs
import wire
from values import Schema, check_value, deletion_vector, merge_stats, primitive, promote, read_stats, widens
from wire import Fault


def run(folder):
    """Runs every file of the folder; returns an exit code and the counts for each topic."""
    topics, unknown = {}, []
    for name in sorted(name for name in os.listdir(folder) if name.endswith(".json") and name != "exemptions.json"):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            vector = json.load(file, object_pairs_hook=members, parse_int=whole, parse_float=wire.Number)
        if vector["topic"] in TOPICS:
            topics[vector["topic"]] = run_cases(TOPICS[vector["topic"]], vector["cases"])
        else:
            unknown.append(vector["topic"])
    failed = any(counts["failed"] for counts in topics.values())
    return 6 if failed else 0, {"topics": topics, "not_implemented": unknown}


class Twice(dict):
    """An object with a repeated member."""


def members(pairs):
    found = dict(pairs)
    return found if len(found) == len(pairs) else Twice(found)


def whole(text):
    return wire.Number(text) if text == "-0" else int(text)


def check_repeats(value):
    """Refuses a repeated member anywhere in an input that stands in its file as JSON [JSON-4]."""
    wire.ensure(not isinstance(value, Twice), "a member is repeated")
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            check_repeats(item)


def run_cases(act, cases):
    failures = [{"name": case["name"], "why": why} for case in cases for why in [run_case(act, case)] if why]
    return {"cases": len(cases), "passed": len(cases) - len(failures), "failed": failures}


def run_case(act, case):
    """Why the case fails, or None."""
    try:
        check_repeats(case["input"])
        found = act(case["input"])
    except Fault as fault:
        return None if case.get("error") == fault.kind else f"{fault.kind}: {fault.message}"
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        return f"the input has a form that this runner does not know: {error!r}"
    if "error" in case:
        return f"expected {case['error']}, found {show(found)}"
    return None if show(found) == show(case["expect"]) else f"found {show(found)}"


def show(value):
    """JSON text in which equal values, and only they, look equal: 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def octets(value):
    """Bytes as a case gives them: text, or {"hex"}, {"base64"} or {"repeat", "times", "then"} for what is no text."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if "hex" in value:
        return bytes.fromhex(value["hex"])
    if "base64" in value:
        return base64.b64decode(value["base64"])
    return octets(value["repeat"]) * value["times"] + octets(value.get("then", ""))


def document(kind, check, limit=wire.MAX_META):
    """Cases about one whole object: its canonical value is not compared, only whether it stands."""
    def act(value):
        parsed = wire.parse_json(octets(value), limit)
        wire.check_header(parsed, kind)
        check(parsed)
        return "ok"
    return act


def node(value):
    """A tree node of any use, by its own kind."""
    parsed = wire.parse_json(octets(value))
    kind = wire.TEXT(parsed.get("kind"))
    if kind not in USES:
        raise Fault("unsupported", f"an unknown kind {kind}")
    wire.check_header(parsed, kind)
    level, items = lake.read_items(USES[kind], parsed)
    return {"level": level, "items": len(items)}


def root(value):
    return {"level": lake.read_root(USES[value["kind"]], value["root"])["level"]}


def table(parsed):
    node = lake.TABLE(parsed)
    if lake.has(parsed, "schema"):
        lake.check_table(node, Schema(parsed["schema"]))
    lake.read_root(lake.FILES, node["files"])


def pointer(value):
    """A whole pointer, with its lists and its pack."""
    text = octets(value)
    document("pointer", refs.POINTER, wire.MAX_REF)(value)
    parsed = refs.POINTER(wire.parse_json(text, wire.MAX_REF))
    refs.check_lists(parsed)
    _, pack = refs.raw_pack(text.decode("utf-8"))
    refs.check_tombstone(parsed, pack)
    for packed, raw in pack.items():
        refs.check_packed(packed, raw)
    head = json.loads(pack.get(parsed["head"]["hash"], b"null"))
    seq = head.get("seq") if isinstance(head, dict) else None
    wire.ensure(type(seq) is not int or parsed["expired_before"] <= seq, "the head is expired")
    return "ok"


def name(value):
    check = {"ref": wire.check_ref_name, "table": wire.check_table_name, "column": wire.check_column_name}[value["type"]]
    return {"key": wire.fold(check(value["name"]))}


def path(value):
    if "branch" in value or "tag" in value:
        folder, member = ("branches", "branch") if "branch" in value else ("tags", "tag")
        return wire.ref_path(folder, wire.check_ref_name(value[member]))
    if "classify" in value:
        return wire.classify(value["classify"])
    if "table" in value:
        return wire.data_path(value["table"], value, {"data": "parquet", "dv": "dv"}[value["kind"]])
    return wire.meta_path(value)


def value_form(value):
    """A value of a type: accepted, and ordered before or after another."""
    kind = primitive(value["type"])
    order = check_value(kind, value["value"])
    if "other" in value:
        other = check_value(kind, value["other"])
        return "less" if order < other else "equal" if order == other else "greater"
    if "to" in value:
        to = primitive(value["to"])
        return promote(value["value"], kind, to) if widens(kind, to) else None
    return written(kind, value["value"], order)


def written(kind, value, order):
    """A value as it is written: of a double its number, of a float the shortest text that reads back as it."""
    if kind[0] not in ("float", "double") or isinstance(value, str):
        return value
    texts = (f"{order[0]:.{digits}g}" for digits in range(1, 10))
    return order[0] if kind[0] == "double" else next(float(text) for text in texts if reads_as(float(text), order[0]))


def reads_as(number, single):
    try:
        return check_value(("float",), number)[0] == single
    except Fault:
        return False


def stats(value):
    """Columns of statistics merged into one summary, as {field: [type, nulls, nans, values, min, max, exact, exact]}."""
    merged = merge_stats(read_stats(value["stats"], value["rows"]))
    return {str(field): [value["stats"][str(field)]["type"], *stat[1:]] for field, stat in merged.items()}


def idempotency_key(value):
    return blake3.blake3(value.encode("utf-8"), derive_key_context="strandline idempotency key").hexdigest()[:32]


USES = {"files": lake.FILES, "catalog": lake.CATALOG, "history": lake.HISTORY}
IDS = {"uuid": wire.UUID, "lake": wire.UUID, "table": wire.UUID, "txn": wire.HEX32, "nonce": wire.HEX32, "pin": wire.HEX32,
       "hash": wire.HASH}

TOPICS = {
    "ids": lambda value: IDS[value["type"]](value["text"]),
    "keys": idempotency_key,
    "names": name,
    "paths": path,
    "hashes": lambda value: blake3.blake3(octets(value)).hexdigest(),
    "times": wire.time,
    "types": lambda value: ".".join(map(str, primitive(value))) and value,
    "values": value_form,
    "stats": stats,
    "schemas": lambda value: Schema(value).value,
    "deletion-vectors": lambda value: deletion_vector(octets(value)),
    "lake": document("lake", refs.LAKE, wire.MAX_REF),
    "pointer": pointer,
    "tag": document("tag", refs.TAG, wire.MAX_REF),
    "commit": document("commit", lake.COMMIT),
    "table": document("table", table),
    "view": document("view", lake.NODES["view"]),
    "namespace": document("namespace", lake.NODES["namespace"]),
    "node": node,
    "root": root,
}
