"""A tiny writer of lakes, for the tests only: small, whole, and easy to damage on purpose.

`edits` holds a function for a kind of object, which changes its members before they are hashed and written: so a test
makes a lake whose hashes are right and whose content is wrong. Nothing here is shared with the reader under test.
"""

import base64
import json
import os
import struct
import zlib

import blake3
import zstandard

LAKE = "11111111-1111-4111-8111-111111111111"
ORDERS = "22222222-2222-4222-8222-222222222222"
VIEW = "33333333-3333-4333-8333-333333333333"
SALES = "44444444-4444-4444-8444-444444444444"
NO_FEATURES = {"read": [], "write": []}


def moment(seq):
    return f"2026-01-02T03:04:{seq:02}.000006Z"


def key_filter(txns):
    """The filter of a leaf's keys, as one number in little-endian order."""
    size = (10 * len(txns) + 7) // 8
    halves = [(int(txn[:16], 16), int(txn[16:], 16)) for txn in txns]
    places = {(a + i * b) % 2**64 % (8 * size) for a, b in halves for i in range(7)}
    return base64.b64encode(sum(1 << place for place in places).to_bytes(size, "little")).decode() if txns else None


def vector_blob(positions, form="array"):
    """A deletion vector of positions below 65536, its one container in the form asked for."""
    low = sorted(positions)
    if form == "run":
        body = struct.pack("<HH", 12347, 0) + b"\x01" + struct.pack("<HH", 0, len(low) - 1)
        body += struct.pack("<HHH", 1, low[0], low[-1] - low[0])
    else:
        body = struct.pack("<II", 12346, 1) + struct.pack("<HH", 0, len(low) - 1) + struct.pack("<I", 16)
        bits = sum(1 << value for value in low).to_bytes(8192, "little")
        body += bits if len(low) > 4096 else struct.pack(f"<{len(low)}H", *low)
    body = b"\xd1\xd3\x39\x64" + struct.pack("<QI", 1, 0) + body
    return struct.pack(">I", len(body)) + body + struct.pack(">I", zlib.crc32(body))


def columns(rows, defaults=()):
    """Rows as columns, without those that hold nothing but their default."""
    defaults = dict(defaults, era=0)
    names = [name for name in rows[0] if name not in defaults or any(row[name] != defaults[name] for row in rows)]
    return {name: [row[name] for row in rows] for name in names if name != "stats"}


class Maker:
    """Writes objects into a folder and remembers where each kind went."""

    def __init__(self, root, edits=None, era=0):
        self.root, self.edits, self.era, self.paths = root, edits or {}, era, {}

    def write(self, path, data, kind):
        full = os.path.join(self.root, *path.split("/"))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
        self.paths.setdefault(kind, []).append(path)

    def text(self, kind, members):
        members = {"format": 1, "kind": kind, **members}
        members = self.edits.get(kind, lambda same: same)(members) or members
        return members if isinstance(members, bytes) else json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()

    def meta(self, kind, members):
        text = self.text(kind, members)
        digest = blake3.blake3(text).hexdigest()
        path = f"meta/{digest[:2]}/{digest}-{self.era}.json"
        packed = len(text) > 4096
        self.write(path + ".zst" * packed, zstandard.compress(text) if packed else text, kind)
        return {"hash": digest, "era": self.era, "size": len(text)}

    def data(self, table, data, suffix):
        digest = blake3.blake3(data).hexdigest()
        self.write(f"data/{table}/{digest[:2]}/{digest}-{self.era}.{suffix}", data, suffix)
        return {"hash": digest, "era": self.era, "size": len(data)}

    # Files

    def file(self, number, deletes=None):
        """A file entry of ten rows, `id` from 10 × number, one NaN and one null among the prices."""
        ref = self.data(ORDERS, f"PAR1 file {number} PAR1".encode() * 3, "parquet")
        stats = {1: ("long", 0, None, 10 * number, 10 * number + 9, True, True),
                 2: ("double", 1, 1, -0.0, 0.5 + number, True, True),
                 3: ("string", 0, None, f"a{number:03}", f"b{number:03}", True, False)}
        return {"id": number, **ref, "rows": 10, "footer": 20, "first_row": 10 * number, "added": 1, "fields": 0,
                "deletes": deletes, "row_groups": [4], "split": {"id": 1, "values": [3]}, "stats": stats}

    def stats_columns(self, rows):
        """Statistics as columns. A row's are (type, nulls, nans, min, max, min_exact, max_exact) by field."""
        result = {}
        for field in rows[0]["stats"]:
            parts = list(zip(*(row["stats"][field] for row in rows)))
            found = {"type": parts[0][0], "nulls": list(parts[1]), "min": list(parts[3]), "max": list(parts[4])}
            if parts[2][0] is not None:
                found["nans"] = list(parts[2])
            if not all(parts[6]):
                found["max_exact"] = list(parts[6])
            result[str(field)] = found
        return result

    def file_columns(self, rows):
        defaults = {"fields": 0, "deletes": None, "row_groups": [4], "split": None}
        return {**columns(rows, defaults), "stats": self.stats_columns(rows)}

    def files_node(self, level, rows):
        """A node, and the child row that refers to it."""
        member = {"entries": self.file_columns(rows)} if level == 0 else {"children": self.child_columns(rows)}
        ref = self.meta("files", {"level": level, **member})
        stats = {}
        for field in rows[0]["stats"]:
            parts = list(zip(*(row["stats"][field] for row in rows)))
            nans = None if parts[2][0] is None else sum(parts[2])
            stats[field] = (parts[0][0], sum(parts[1]), nans, min(parts[3]), max(parts[4]), True, all(parts[6]))
        return {"first": rows[0].get("first", rows[0].get("id")), "last": rows[-1].get("last", rows[-1].get("id")), **ref,
                "count": sum(row.get("count", 1) for row in rows), "rows": sum(row["rows"] for row in rows),
                "bytes": sum(row.get("bytes", row["size"]) for row in rows),
                "deleted": sum(row.get("deleted", (row.get("deletes") or {"rows": 0})["rows"]) for row in rows), "stats": stats}

    def child_columns(self, rows):
        return {**columns(rows, {"deleted": 0}), "stats": self.stats_columns(rows)}

    def files_root(self, files, puts=(), removes=()):
        """Leaves of three files, inner nodes of two leaves, and a buffer."""
        leaves = [self.files_node(0, files[at:at + 3]) for at in range(0, len(files), 3)]
        inner = [self.files_node(1, leaves[at:at + 2]) for at in range(0, len(leaves), 2)]
        root = {"level": 2 if inner else 0}
        root.update({"children": self.child_columns(inner)} if inner else {})
        root.update({"puts": self.file_columns(puts)} if puts else {})
        return {**root, **({"removes": list(removes)} if removes else {})}

    # Tables and commits

    def table(self, files, puts=(), removes=(), doc="", split=False):
        schema = {"id": 0, "fields": [
            {"id": 1, "name": "id", "type": "long", "required": True, "doc": doc},
            {"id": 2, "name": "price", "type": "double"}, {"id": 3, "name": "Größe", "type": "string", "initial": "m"},
            {"id": 4, "name": "tags", "type": {"list": {"id": 5, "type": {"map": {
                "key": {"id": 6, "type": "string"}, "value": {"id": 7, "type": "decimal(9,2)", "required": True}}}}}}],
            "dropped": [9]}
        held = {file["id"]: file for file in [*files, *puts] if file["id"] not in removes}.values()
        deleted = sum(file["deletes"]["rows"] for file in held if file["deletes"])
        totals = {"files": len(held), "rows": 10 * len(held) - deleted, "bytes": sum(file["size"] for file in held), "deleted": deleted}
        where = {"schema_ref": self.meta("schema", {"schema": schema})} if doc else {"schema": schema}
        return self.meta("table", {
            "id": ORDERS, "created": moment(1), **where, "field_sets": [[[1, 3], [6, 7], [9, 9]]], "key": [1],
            "orders": [{"id": 1, "fields": [{"field": 1, "direction": "asc", "nulls": "first"}]}],
            "splits": [{"id": 1, "fields": [{"id": 1000, "field": 1, "name": "b", "transform": "bucket[16]"}]}],
            "layout": {"order": 1, "split": None}, "constraints": [{"name": "c", "check": "id > 0"}], "properties": {},
            "next_row": 1000, "next_file": 100, "files": self.files_root(files, puts, removes), "totals": totals})

    def commit(self, seq, history, entries, changes, **more):
        """A commit above `history`, whose oldest half goes into a leaf of the history tree."""
        parents = [{"seq": seq - 1, **history[-1][0]}] if history else []
        members = {"seq": seq, "parents": parents, "time": moment(seq), "txn": f"{seq:032x}", "author": "a", "message": "m",
                   "catalog": self.catalog(entries), "history": self.history(history), "changes": changes, **more}
        ref = self.meta("commit", members)
        merged = [*members["parents"][1:], None]
        return ref, {"seq": seq, **ref, "time": moment(seq), "txn": f"{seq:032x}", "keyed": more.get("key", False),
                     "merged": merged[0]}

    def catalog(self, entries):
        rows = [{"name": name, "type": kind, "id": id_, **ref} for name, kind, id_, ref in sorted(entries, key=lambda e: e[0].lower())]
        if len(rows) < 3:
            return {"level": 0, **({"puts": columns(rows)} if rows else {})}
        leaf = self.meta("catalog", {"level": 0, "entries": columns(rows[:2])})
        child = {"first": rows[0]["name"].lower(), "last": rows[1]["name"].lower(), **leaf, "count": 2}
        return {"level": 1, "children": columns([child]), "puts": columns(rows[2:])}

    def history(self, history):
        rows = [row for _, row in history]
        defaults = {"keyed": False, "merged": None}
        if len(rows) < 3:
            return {"level": 0, **({"puts": columns(rows, defaults)} if rows else {})}
        leaf = self.meta("history", {"level": 0, "entries": columns(rows[:2], defaults)})
        child = {"first": 0, "last": 1, **leaf, "count": 2, "first_time": rows[0]["time"], "last_time": rows[1]["time"],
                 "keyed": sum(row["keyed"] for row in rows[:2]),
                 "keys": key_filter([row["txn"] for row in rows[:2] if row["keyed"]]), "merges": sum(bool(row["merged"]) for row in rows[:2])}
        return {"level": 1, "children": columns([child], {"keyed": 0, "keys": None, "merges": 0}), "puts": columns(rows[2:], defaults)}

    # Refs

    def pointer(self, name, path, head, **more):
        self.write(f"refs/branches/{path}.json", self.text("pointer", {
            "lake": LAKE, "branch": name, "features": NO_FEATURES, "seq": 3, "nonce": "ab" * 16, "era": self.era, "head": head,
            "expired_before": 0, "pins": [], "state": "live", "probed": ["0123456789abcdef"], "pack": {}, **more}), "pointer")

    def tag(self, name, commit, version):
        self.write(f"refs/tags/{name.lower()}.json", self.text("tag", {
            "lake": LAKE, "tag": name, "features": NO_FEATURES, "seq": 0, "nonce": "cd" * 16, "commit": commit, "version": version, "branch": "main",
            "time": moment(9), "author": "a", "message": "m", "state": "live"}), "tag")


def change(id_, name, operation, old, new, kind="table", rows=0):
    counts = dict.fromkeys(("rows_removed", "files_added", "files_removed", "bytes_added", "bytes_removed"), 0)
    counts["rows_added"] = rows
    return {"table": id_, "name": name, "type": kind, "operation": operation, "old": old, "new": new, **counts}


def texts_of(maker, *refs):
    """The raw texts of a pack, newest first."""
    pack = {}
    for ref in refs:
        with open(os.path.join(maker.root, "meta", ref["hash"][:2], f"{ref['hash']}-{ref['era']}.json"), "rb") as file:
            pack[ref["hash"]] = json.loads(file.read())
    return pack


def make(root, edits=None, era=2):
    """A lake with every kind of object: four versions, two live branches, a deleted one, a tag; returns its maker."""
    maker = Maker(root, edits, era)
    maker.write("lake.json", maker.text("lake", {"lake": LAKE, "created": moment(0), "features": NO_FEATURES, "writer": "test"}), "lake")
    inline = {"rows": 2, "inline": base64.b64encode(vector_blob([1, 9])).decode()}
    first = maker.table([], [maker.file(1, inline), maker.file(2)])
    sales = maker.meta("namespace", {"id": SALES, "properties": {"owner": "a"}})
    history = [maker.commit(0, [], [], [])]
    history.append(maker.commit(1, history, [("sales", "namespace", SALES, sales), ("sales.Orders", "table", ORDERS, first)], [
        change(SALES, "sales", "create", None, sales, "namespace"), change(ORDERS, "sales.Orders", "create", None, first, rows=18)]))
    vector = {"rows": 5, **maker.data(ORDERS, vector_blob(range(2, 7), "run"), "dv")}
    second = maker.table([maker.file(number) for number in range(1, 12)], [maker.file(4, vector), maker.file(20)], [7], doc="d" * 5000)
    view = maker.meta("view", {"id": VIEW, "created": moment(2), "sql": "SELECT 1", "dialect": "datafusion",
                               "schema": {"id": 0, "fields": []}, "comment": "c", "properties": {}})
    entries = [("sales", "namespace", SALES, sales), ("sales.Orders", "table", ORDERS, second), ("v", "view", VIEW, view)]
    history.append(maker.commit(2, history, entries, [
        change(ORDERS, "sales.Orders", "append", first, second, rows=87), change(VIEW, "v", "create", None, view, "view")], key=True, message="m" * 5000))
    other = {"seq": 7, "hash": "ee" * 32, "era": 0, "size": 77}
    history.append(maker.commit(3, history, entries, [], parents=[{"seq": 2, **history[-1][0]}, other]))
    history.append(maker.commit(4, history, entries, []))
    heads = [ref for ref, _ in history]
    maker.pointer("Main", "main", heads[4], pack=texts_of(maker, heads[4], heads[3]))
    maker.pointer("Team/Größe", "team/gr=c3=b6sse", heads[1], expired_before=1)
    maker.pointer("gone", "gone", heads[2], state="deleted", pins=[{"id": "99" * 16, "commit": heads[1], "from": 1, "era": era, "for": "branch x", "time": moment(5)}])
    maker.tag("V1", heads[1], 1)
    maker.write("tmp/left-over", b"x", "scratch")
    maker.write("meta/README", b"x", "foreign")
    return maker
