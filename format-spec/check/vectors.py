"""Runs the spec's vector files against this reader: one function for each topic that it implements.

A file is {"topic", "cases": [{"name", "rules", "input", "expect" | "error"}]}. A topic that is not in `TOPICS` is listed,
never passed over in silence.
"""

import base64
import json
import os

import blake3

import merges
import refs
import schemas
import transforms
import trees
import wire
from lake import Walk
from objects import NODES, SCHEMA, check_key, field_set, read_commit
from values import (
    Schema, check_value, deletion_vector, merge_stats, primitive, promote, read_stats, type_text, widens, write_stats)
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


def node_of(value):
    """A case's tree and node: `{"kind", "node"}`, what kind is expected and the bytes."""
    use, text = USES[value["kind"]], octets(value["node"])
    parsed = wire.parse_json(text)
    wire.check_header(parsed, use.kind)
    return use, trees.read_node(use, parsed)


def node(value):
    found = node_of(value)[1]
    return {"level": found.level, "items": len(found.items)}


def node_in_parent(value):
    use, found = node_of(value)
    trees.check_level(found, value["level"])
    trees.check_place(value, trees.describe(use, found))
    return "ok"


def root(value):
    return {"level": trees.read_root(USES[value["kind"]], value["root"])["level"]}


class Texts:
    """The nodes of a case, in the place of a lake and its folder; the first fault is the answer."""

    def __init__(self, texts):
        self.folder, self.texts = self, {hash_of(text): text for text in map(octets, texts)}

    def report(self, fault):
        raise fault

    def meta(self, ref, kind):
        text = self.texts[ref["hash"]]
        wire.ensure(len(text) == ref["size"], "is of another size than its reference says")
        parsed = wire.parse_json(text)
        wire.check_header(parsed, kind)
        return parsed


def tree(value):
    """The keys that a tree holds."""
    use = USES[value["kind"]]
    found = trees.read_root(use, value["root"])
    return [entry["key"] for entry in Walk(Texts(value.get("nodes", []))).tree(use, found)]


def summary(value):
    """The columns of a reference to a node, as a parent with this one child has them."""
    use, found = node_of(value)
    text = octets(value["node"])
    said = trees.describe(use, found)
    columns = {"hash": hash_of(text), "size": len(text), **{COLUMN_OF.get(name, name): item for name, item in said.items()}}
    shown = {name: [item] for name, item in {**columns, "era": value["era"]}.items() if item or name not in ZEROS}
    stats = merge_stats([item["stats"] for item in found.items]) if use is trees.FILES else {}
    return {**shown, **({"stats": write_stats([stats], [said["rows"]])} if stats else {})}


def history_entry(value):
    """The columns of a history entry for a commit [HIST-2]."""
    text = octets(value["commit"])
    commit = read_commit(wire.parse_json(text))
    merged = commit["parents"][1] if len(commit["parents"]) == 2 else None
    columns = {"seq": commit["seq"], "hash": hash_of(text), "era": value["era"], "size": len(text), "time": commit["time"],
               "txn": commit["txn"], "keyed": commit["key"], "merged": merged}
    return {name: [item] for name, item in columns.items() if item or name not in ZEROS}


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


def stats_columns(value):
    """The statistics of several files as the columns of one leaf."""
    found = [read_stats(file["stats"], [file["rows"]])[0] for file in value]
    return write_stats(found, [file["rows"] for file in value])


def asked_name(value):
    """Whether a pointer or tag is that of the name asked for."""
    kind, folder, member = ("pointer", "branches", "branch") if "pointer" in value else ("tag", "tags", "tag")
    TOPICS[kind](value[kind])
    refs.check_name(json.loads(value[kind]), folder, member, wire.ref_path(folder, wire.check_ref_name(value["asked"])))
    return "ok"


def feature_lists(value):
    """Whether one that knows some features may read, or write [VER-6, VER-7]."""
    given(lambda: wire.FEATURES({"read": value["read"], "write": value["write"]}))
    needed = value["read"] + (value["write"] if value["act"] == "write" else [])
    if not set(needed) <= set(value["known"]):
        raise Fault("unsupported", "a feature is not known")
    return "ok"


def given(act):
    """Acts on what a caller gave: what is malformed in stored bytes is invalid there."""
    try:
        return act()
    except Fault as fault:
        raise Fault("invalid" if fault.kind == "malformed" else fault.kind, fault.message) from None


def schema_key(value):
    given(lambda: check_key(value["key"], Schema(value["schema"])))
    return "ok"


def in_field_set(value):
    return any(first <= value["has"] <= last for first, last in field_set(value["ranges"]))


def transform_case(value):
    """A transform; with a type, the type of what it gives, null if it takes no such values; with a value, what it gives."""
    text = transforms.transform(value["transform"])
    if "type" not in value:
        return text
    kind = primitive(value["type"])
    if "value" in value:
        order = check_value(kind, value["value"])
        found = transforms.apply(text, kind, value["value"])
        return written(kind, found, order) if text == "identity" else found
    result = transforms.result_type(text, kind)
    return result and type_text(result)


def fingerprint(value):
    parts = [value[name] for name in ("kind", "endpoint", "bucket", "root")]
    parts += [server for server in [value.get("server")] if server]
    return derived("\0".join(parts), "strandline store fingerprint")[:16]


def derived(text, context):
    return blake3.blake3(text.encode("utf-8"), derive_key_context=context).hexdigest()


def hash_of(text):
    return blake3.blake3(text).hexdigest()


def idempotency_key(value):
    return derived(value, "strandline idempotency key")[:32]


USES = {use.kind: use for use in (trees.FILES, trees.CATALOG, trees.HISTORY)}
# Columns that are left out where there is nothing in them [TREE-9], and those whose name is another one in memory.
ZEROS = ("era", "deleted", "keyed", "keys", "merges", "merged", "row_ids")
COLUMN_OF = {"keyed_count": "keyed"}
IDS = {"uuid": wire.UUID, "lake": wire.UUID, "table": wire.UUID, "txn": wire.HEX32, "nonce": wire.HEX32, "pin": wire.HEX32,
       "hash": wire.HASH}

TOPICS = {
    "ids": lambda value: IDS[value["type"]](value["text"]),
    "keys": idempotency_key,
    "names": name,
    "paths": path,
    "hashes": lambda value: hash_of(octets(value)),
    "times": wire.time,
    "types": lambda value: ".".join(map(str, primitive(value))) and value,
    "values": value_form,
    "stats": stats,
    "schemas": lambda value: Schema(value).value,
    "deletion-vectors": lambda value: deletion_vector(octets(value)),
    "lake": document("lake", refs.LAKE, wire.MAX_REF),
    "pointer": pointer,
    "tag": document("tag", refs.TAG, wire.MAX_REF),
    "commit": document("commit", read_commit),
    "table": document("table", NODES["table"]),
    "view": document("view", NODES["view"]),
    "namespace": document("namespace", NODES["namespace"]),
    "node": node,
    "node-in-parent": node_in_parent,
    "root": root,
    "trees": tree,
    "summaries": summary,
    "history-entries": history_entry,
    "stats-columns": stats_columns,
    "schema": document("schema", SCHEMA),
    "schema-keys": schema_key,
    "field-sets": in_field_set,
    "asked-names": asked_name,
    "features": feature_lists,
    "transforms": transform_case,
    "fingerprints": fingerprint,
    "eras": lambda value: value["upload"] + 1 >= value["pointer"],  # GC-4
    **merges.TOPICS,
    **schemas.TOPICS,
}
