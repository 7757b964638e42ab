"""Tests of the second reader: a sound lake reads right, and every kind of damage has its kind of error, never a traceback."""

import base64
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import tracemalloc
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import zstandard  # noqa: E402

import check  # noqa: E402
import make_lake  # noqa: E402
import objects  # noqa: E402
import values  # noqa: E402
import vectors  # noqa: E402
import wire  # noqa: E402

HASHED = ("commit", "table", "view", "namespace", "schema", "files", "catalog", "history", "parquet", "dv")


def run(*arguments):
    """Exit code and document of the command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = check.main(list(arguments))
        except SystemExit as stop:
            return stop.code, None
    return code, json.loads(out.getvalue())


class LakeCase(unittest.TestCase):
    """A case with a folder of its own."""

    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)

    def full(self, path):
        return os.path.join(self.root, *path.split("/"))

    def read(self, path):
        with open(self.full(path), "rb") as file:
            return file.read()

    def replace(self, path, data):
        with open(self.full(path), "wb") as file:
            file.write(data)

    def assert_error(self, kind, fragment=""):
        code, document = run(self.root)
        self.assertEqual(code, 6, document if code else "no error was found")
        found = [error for error in document["errors"] if error["kind"] == kind and fragment in error["message"]]
        self.assertTrue(found, document["errors"])
        return found


class SoundLake(LakeCase):
    def test_state(self):
        make_lake.make(self.root)
        code, document = run(self.root, "--all")
        self.assertEqual(code, 0, document)
        main = document["branches"][1]
        orders = main["tables"][0]
        self.assertEqual([branch["branch"] for branch in document["branches"]], ["gone", "Main", "Team/Größe"])
        self.assertEqual([file["id"] for file in orders["files"]], [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 20])
        self.assertEqual(orders["files"][3]["deleted_ranges"], [[2, 6]])
        self.assertEqual(orders["totals"], {"files": 11, "rows": 105, "bytes": orders["totals"]["bytes"], "deleted": 5})
        self.assertEqual(orders["files"][0]["stats"]["2"]["nans"], 1)
        self.assertEqual([commit["seq"] for commit in main["history"]], [0, 1, 2, 3, 4])
        self.assertEqual([commit["seq"] for commit in document["branches"][2]["history"]], [1])
        self.assertEqual(document["branches"][2]["tables"][0]["files"][0]["deleted_ranges"], [[1, 1], [9, 9]])
        self.assertEqual((main["views"][0]["name"], main["namespaces"][0]["name"]), ("v", "sales"))
        self.assertEqual((document["tags"][0]["tag"], document["counters"]["foreign"]), ("V1", 1))
        self.assertEqual(document["counters"]["unreferenced"], 1, "the data of the file that was removed")

    def test_one_branch(self):
        make_lake.make(self.root)
        code, document = run(self.root, "--branch", "TEAM/grösse", "--pretty")
        self.assertEqual((code, len(document["branches"])), (0, 1))
        for name in ("nobody", "..", "", "\udcff"):
            self.assertEqual(run(self.root, "--branch", name)[0], 4)

    def test_no_lake_and_usage(self):
        self.assertEqual(run(self.root)[0], 4)
        self.assertEqual(run(self.root + "/nothing")[0], 4)
        self.assertEqual(run()[0], 2)
        self.assertEqual(run(self.root, "--branch", "a", "--all")[0], 2)

    def test_what_is_expired_may_be_gone(self):
        maker = make_lake.make(self.root)
        os.remove(self.full(maker.paths["commit"][0]))
        os.remove(self.full("refs/branches/main.json"))
        self.assertEqual(run(self.root)[0], 0)

    def test_data_can_be_left_out(self):
        maker = make_lake.make(self.root)
        for path in set(maker.paths["parquet"]):
            os.remove(self.full(path))
        self.assertEqual(run(self.root, "--no-data")[0], 0)
        self.assert_error("missing")


class DamagedBytes(LakeCase):
    def damage(self, act, error):
        """Damages one object of each kind, which must be named with this kind of error."""
        for kind in HASHED:
            with self.subTest(kind=kind):
                path = make_lake.make(self.root).paths[kind][-1]
                act(self.full(path))
                self.assertIn(path, [found["object"] for found in self.assert_error(error)])
                shutil.rmtree(self.root)
                os.mkdir(self.root)

    def test_flipped_byte(self):
        def flip(path):
            with open(path, "r+b") as file:
                data = bytearray(file.read())
                data[len(data) // 2] ^= 1
                file.seek(0)
                file.write(data)
        self.damage(flip, "corrupt")

    def test_cut_file(self):
        self.damage(lambda path: os.truncate(path, os.path.getsize(path) // 2), "corrupt")

    def test_missing_object(self):
        self.damage(os.remove, "missing")

    def test_bomb(self):
        """A gibibyte of zeros, well under the bound while it is folded, unfolds no further than its reference says."""
        maker = make_lake.make(self.root)
        packer = zstandard.ZstdCompressor().compressobj()
        bomb = b"".join([*(packer.compress(bytes(1 << 24)) for _ in range(64)), packer.flush()])
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        with self.assertRaises(wire.Fault) as caught:
            wire.decompress(bomb, 5000)
        self.assertEqual(caught.exception.kind, "corrupt")
        self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 24)
        small = zstandard.compress(bytes(1 << 20))
        self.replace(maker.paths["schema"][0], small)
        self.assert_error("corrupt", "more than")
        self.replace(maker.paths["schema"][0], bomb)
        self.assert_error("corrupt", "longer than")

    def test_several_damages_are_all_found(self):
        maker = make_lake.make(self.root)
        for kind in ("view", "dv", "namespace"):
            os.remove(self.full(maker.paths[kind][0]))
        self.assertEqual(len(self.assert_error("missing")), 3)


def setting(**members):
    def edit(value):
        value.update({name: member(value[name]) if callable(member) else member for name, member in members.items()})
    return edit


def deeper(*path, to):
    """Replaces what stands at a path of members and indexes, where the object has that path."""
    def edit(value):
        for step in path[:-1]:
            if isinstance(value, dict) and step not in value or isinstance(value, list) and step >= len(value):
                return
            value = value[step]
        if path[-1] in value if isinstance(value, dict) else path[-1] < len(value):
            value[path[-1]] = to(value[path[-1]]) if callable(to) else to
    return edit


def without(name):
    def edit(value):
        value.pop(name, None)
    return edit


def raw(before, after):
    """Changes the text itself."""
    return lambda value: json.dumps(value, separators=(",", ":")).replace(before, after, 1).encode()


def nested(depth):
    """A field in a field in a field."""
    kind = {"struct": [nested(depth - 1)]} if depth > 1 else "int"
    return {"id": depth, "name": "a", "type": kind}


FAR = base64.b64encode(make_lake.vector_blob([1, 10])).decode()

# name: (kind of object, edit, kind of error, part of the message)
WRONG = {
    "foreign version": ("commit", setting(format=2), "unsupported", "format version 2"),
    "unknown kind": ("view", setting(kind="portal"), "malformed", "portal"),
    "foreign version, malformed too": ("view", lambda v: b'{"format":7}', "unsupported", "version 7"),
    "other kind": ("view", setting(kind="table"), "malformed", "expected kind view"),
    "negative version": ("view", setting(format=-1), "malformed", "format"),
    "no version, unknown feature": ("pointer", lambda v: (v.pop("format"), v.update(features={"read": ["warp"], "write": []})) and None, "malformed", "format"),
    "unknown feature, other kind": ("pointer", setting(kind="tag", features={"read": ["warp"], "write": []}), "unsupported", "warp"),
    "repeated member": ("table", raw('"next_row"', '"key":[],"next_row"'), "malformed", "repeated"),
    "repeated unknown member": ("view", raw('"sql"', '"x":1,"x":1,"sql"'), "malformed", "repeated"),
    "trailing bytes": ("view", lambda v: json.dumps(v).encode() + b"{}", "malformed", "not JSON"),
    "byte order mark": ("view", lambda v: b"\xef\xbb\xbf" + json.dumps(v).encode(), "malformed", "not JSON"),
    "half a surrogate": ("view", raw("SELECT", "\\\\ud800".replace("\\\\", "\\")), "malformed", "not JSON"),
    "not UTF-8": ("view", lambda v: json.dumps(v).encode().replace(b"SELECT", b"\xff"), "malformed", "not JSON"),
    "deep nesting": ("view", lambda v: json.dumps({**v, "x": 0}).replace('"x": 0', '"x": ' + "[" * 64 + "]" * 64).encode(), "too-large", "deeper"),
    "an array": ("view", lambda v: b"[]", "malformed", "not a JSON object"),
    "a float seq": ("commit", raw('"seq":', '"seq":1.0,"was":'), "malformed", "seq"),
    "a minus zero": ("commit", raw('"seq":', '"seq":-0,"was":'), "malformed", "seq"),
    "a huge number": ("commit", setting(seq=2**64), "malformed", "seq"),
    "NaN": ("commit", setting(properties=float("nan")), "malformed", "NaN"),
    "wrong seq": ("commit", setting(seq=lambda seq: seq + 1), "malformed", "history"),
    "time before parent's": ("commit", setting(time=lambda time: time if time < "2026-01-02T03:04:03" else "2026-01-02T03:04:00.000000Z"), "malformed", "before its parent"),
    "other txn": ("commit", setting(txn="ff" * 16), "malformed", "history"),
    "unknown operation": ("commit", deeper("changes", 0, "operation", to="explode"), "unsupported", "explode"),
    "change of what is not there": ("commit", deeper("changes", 0, "new", "hash", to="ab" * 32), "malformed", "not what the catalog holds"),
    "a create without a node": ("commit", deeper("changes", 0, "new", to=None), "malformed", "do not fit create"),
    "a rename from nothing": ("commit", lambda v: deeper("changes", 0, "operation", to="rename")(v) if v["seq"] == 2 else None, "malformed", "from nothing"),
    "a parent of another version": ("commit", deeper("parents", 0, "seq", to=9), "malformed", "first parent"),
    "silent change": ("commit", deeper("changes", to=lambda changes: changes[1:]), "malformed", "do not tell"),
    "no such time": ("commit", setting(time="2026-02-30T00:00:00.000000Z"), "malformed", "no such time"),
    "a long author": ("commit", setting(author="x" * 1025), "malformed", "1024"),
    "a property without a key": ("table", setting(properties={"": "x"}), "malformed", "bytes"),
    "past the last time": ("view", setting(created="9999-12-31T00:00:00.000000Z"), "malformed", "no such time"),
    "shifts of derived ids": ("table", deeper("files", "puts", "shifts", to=None) and (lambda v: v["files"]["puts"].update(shifts=[[[1, 2]]] * len(v["files"]["puts"]["id"]))), "malformed", "shifts"),
    "three parents": ("commit", setting(parents=lambda refs: refs * 3), "malformed", "parents"),
    "path-like name": ("catalog", deeper("entries", "name", 1, to="sales/../x"), "malformed", "/"),
    "unknown entry type": ("catalog", deeper("entries", "type", 0, to="stream"), "unsupported", "stream"),
    "unsorted names": ("catalog", deeper("entries", "name", 1, to="aaa"), "malformed", "ascend"),
    "unfolded range": ("commit", deeper("catalog", "children", "first", 0, to="SALES"), "malformed", "folded"),
    "short column": ("catalog", deeper("entries", "id", to=lambda ids: ids[:1]), "malformed", "values for"),
    "no level": ("files", without("level"), "malformed", "level"),
    "wrong level": ("files", lambda v: setting(level=3)(v) if v["level"] else None, "malformed", "level"),
    "level too high": ("files", setting(level=9), "malformed", "level"),
    "wrong count": ("files", deeper("children", "count", 0, to=2), "malformed", "count"),
    "wrong rows": ("files", deeper("children", "rows", 0, to=31), "malformed", "rows"),
    "wrong first": ("files", deeper("children", "first", 0, to=0), "malformed", "keys"),
    "reversed range": ("files", deeper("children", "first", 0, to=3000), "malformed", "ascend"),
    "wrong min": ("files", deeper("children", "stats", "1", "min", 0, to=9), "malformed", "field 1"),
    "wrong nulls": ("files", deeper("children", "stats", "2", "nulls", 0, to=2), "malformed", "field 2"),
    "exact that is not": ("files", deeper("children", "stats", "3", "max_exact", to=[True, True]), "malformed", "field 3"),
    "summary left out": ("files", deeper("children", "stats", to=lambda stats: {"1": stats["1"]}), "malformed", "missing"),
    "min above max": ("files", deeper("entries", "stats", "1", "min", 0, to=1000), "malformed", "above max"),
    "more nulls than rows": ("files", deeper("entries", "stats", "1", "nulls", 0, to=11), "malformed", "more nulls"),
    "bound of another type": ("files", deeper("entries", "stats", "1", "min", 0, to="x"), "malformed", "integer"),
    "NaN as a bound": ("files", deeper("entries", "stats", "2", "min", 0, to="NaN"), "malformed", "number"),
    "NaNs of a string": ("files", deeper("entries", "stats", "3", "nans", to=None) and (lambda v: v.get("entries", {"stats": {"3": {}}})["stats"]["3"].update(nans=[0] * len(v["entries"]["id"])) if "entries" in v else None), "malformed", "NaN"),
    "unsorted files": ("files", deeper("entries", "id", to=lambda ids: ids[::-1]), "malformed", "ascend"),
    "file id not handed out": ("table", setting(next_file=2), "malformed", "id was never"),
    "row id not handed out": ("table", setting(next_row=2), "malformed", "row ids were never"),
    "wrong totals": ("table", deeper("totals", "rows", to=3), "malformed", "totals"),
    "statistics of a field that a file lacks": ("table", setting(field_sets=lambda sets: [[[1, 2]]] if sets == [[[1, 3], [6, 7], [9, 9]]] else sets), "malformed", "statistics of a field"),
    "no such field set": ("table", setting(field_sets=[]), "malformed", "field set"),
    "a split of another width": ("table", deeper("files", "puts", "split", 0, to={"id": 1, "values": []}), "malformed", "split does not fit"),
    "two meanings of a split field": ("table", setting(splits=lambda splits: splits + [{"id": 2, "fields": [{"id": 1000, "field": 3, "name": "x", "transform": "void"}]}]), "malformed", "two meanings"),
    "a vector in two places": ("table", deeper("files", "puts", "deletes", 0, to=lambda found: {"era": 0, "inline": "", **found}), "malformed", "as well"),
    "a key in a list": ("table", lambda v: setting(key=[7])(v), "malformed", "key"),
    "deep fields": ("view", lambda v: setting(schema={"id": 0, "fields": [nested(17)]})(v), "malformed", "16 deep"),
    "statistics not in order": ("table", deeper("files", "puts", "stats", to=lambda stats: dict(reversed(list(stats.items())))), "malformed", "ascend"),
    "type of statistics last": ("table", deeper("files", "puts", "stats", "1", to=lambda found: dict(reversed(list(found.items())))), "malformed", "first"),
    "a key field twice": ("table", setting(key=lambda key: key * 2), "malformed", "of the key stands twice"),
    "an order without fields": ("table", setting(orders=[{"id": 1, "fields": []}], layout={}), "malformed", "no fields"),
    "a split by a field that never was": ("table", deeper("splits", 0, "fields", 0, "field", to=99), "malformed", "never was"),
    "a transform of another type": ("table", deeper("splits", 0, "fields", 0, "transform", to="hour"), "malformed", "does not take"),
    "constraints of one name": ("table", setting(constraints=[{"name": name, "check": "true"} for name in "aA"]), "malformed", "constraint's name"),
    "two changes of one table": ("commit", setting(changes=lambda changes: changes * 2), "malformed", "change stands twice"),
    "no parents above version 0": ("commit", setting(parents=[]), "malformed", "no parents"),
    "history that goes back in time": ("history", deeper("entries", "time", 0, to="2026-02-02T00:00:00.000000Z"), "malformed", "precedes"),
    "null as an era": ("files", lambda v: v.get("entries", v.get("children")).update(era=[None]), "malformed", "era"),
    "base64 of another form": ("table", deeper("files", "puts", "deletes", 0, to=lambda found: {"rows": 2, "inline": "AA"}), "malformed", "base64"),
    "nullable key": ("table", setting(key=[2]), "malformed", "key"),
    "unknown transform": ("table", deeper("splits", 0, "fields", 0, "transform", to="zorder"), "unsupported", "transform"),
    "transform of nothing": ("table", deeper("splits", 0, "fields", 0, "transform", to="bucket[0]"), "malformed", "transform"),
    "a set with a list": ("table", setting(field_sets=[[[1, 4]]]), "malformed", "no leaf's"),
    "rows that came from nowhere": ("commit", deeper("changes", 0, "rows_removed", to=1), "malformed", "rows more"),
    "a new table of a later sort": ("table", deeper("schema", "fields", 1, "type", to={"union": []}), "unsupported", "union"),
    "a later type": ("table", deeper("schema", "fields", 1, "type", to="variant"), "unsupported", "variant"),
    "renumbered without a merge": ("commit", deeper("changes", 0, "rows_added", to=0) and (lambda v: v["changes"] and v["changes"][0].update(renumbered={"files": [], "rows": [[5, -1]]})), "malformed", "renumbered"),
    "picked without a key": ("commit", deeper("changes", 0, "rows_added", to=0) and (lambda v: v["changes"] and v["changes"][0].update(picked={"files": [], "rows": [[5, 1, -1]]})), "malformed", "picked"),
    "a reference to nothing": ("commit", deeper("changes", 0, "new", "size", to=0), "malformed", "size"),
    "a pin of a later era": ("pointer", deeper("pins", 0, "era", to=9), "malformed", "above the pointer's"),
    "a pin that keeps nothing": ("pointer", deeper("pins", 0, "from", to=9), "malformed", "expired"),
    "unknown read feature of a tag": ("tag", setting(features={"read": ["warp"], "write": []}), "unsupported", "warp"),
    "split field below 1000": ("table", deeper("splits", 0, "fields", 0, "id", to=1), "malformed", "1000"),
    "put and removed": ("table", deeper("files", "removes", to=[4]), "malformed", "put and removed"),
    "removed from nothing": ("table", lambda v: v["files"].update(removes=[70]) if not v["files"]["level"] else None, "malformed", "without children"),
    "children at level 0": ("table", lambda v: v["files"].update(children={}) if not v["files"]["level"] else None, "malformed", "first"),
    "level without children": ("table", deeper("files", "level", to=lambda level: 1 - min(level, 1)), "malformed", "root of level"),
    "schema twice": ("table", setting(schema={"id": 0, "fields": []}, schema_ref={}), "malformed", "schema"),
    "dropped id in use": ("table", deeper("schema", "dropped", to=[1]), "malformed", "dropped"),
    "field id twice": ("table", deeper("schema", "fields", 1, "id", to=1), "malformed", "twice"),
    "reserved field id": ("table", deeper("schema", "fields", 1, "id", to=2147483448), "malformed", "2147483447"),
    "names that fold to one": ("table", deeper("schema", "fields", 1, "name", to="ID"), "malformed", "share a name"),
    "unknown type": ("table", deeper("schema", "fields", 1, "type", to="decimal(9, 2)"), "malformed", "type"),
    "default of another type": ("table", deeper("schema", "fields", 2, "initial", to=1), "malformed", "string"),
    "wrong cardinality": ("table", deeper("files", "puts", "deletes", 0, "rows", to=3), "malformed", "3"),
    "a deleted row behind the end": ("table", deeper("files", "puts", "deletes", 0, to=lambda found: {"rows": 2, "inline": FAR} if "inline" in found else found), "malformed", "behind the file's end"),
    "two files with the same rows": ("table", deeper("files", "puts", "first_row", 0, to=20), "malformed", "share row ids"),
    "added in the future": ("table", deeper("files", "puts", "added", 0, to=9), "malformed", "was added at"),
    "another past": ("commit", lambda v: deeper("history", "puts", "time", 0, to="2026-01-02T03:04:00.000001Z")(v) if v["seq"] == 2 else None, "malformed", "beginning of the head's"),
    "no namespace": ("commit", lambda v: deeper("catalog", "puts", "name", 0, to="other")(v) if v["seq"] == 1 else None, "malformed", "no namespace"),
    "one id twice": ("commit", lambda v: deeper("catalog", "puts", "id", 0, to=make_lake.ORDERS)(v) if v["seq"] == 1 else None, "malformed", "one id"),
    "one pin twice": ("pointer", setting(pins=lambda pins: pins * 2), "malformed", "one id"),
    "too many pins": ("pointer", setting(pins=lambda pins: pins * 1025), "too-large", "pins"),
    "a large pack": ("pointer", deeper("pack", to=lambda pack: {"0" * 64: "x" * 65536}), "malformed", "the pack has"),
    "other lake": ("pointer", setting(lake=make_lake.VIEW), "malformed", "another lake"),
    "other branch": ("pointer", setting(branch="elsewhere"), "malformed", "elsewhere"),
    "unknown read feature": ("pointer", setting(features={"read": ["warp"], "write": []}), "unsupported", "warp"),
    "unknown read feature, malformed too": ("pointer", setting(features={"read": ["warp"], "write": []}, seq="x"), "unsupported", "warp"),
    "a feature twice": ("pointer", setting(features={"read": [], "write": ["a", "a"]}), "malformed", "twice"),
    "era below what is reached": ("pointer", setting(era=1), "malformed", "era"),
    "expired head": ("pointer", setting(expired_before=9), "malformed", "expired"),
    "tampered pack": ("pointer", deeper("pack", to=lambda pack: {name: {} for name in pack}), "corrupt", "pack"),
    "pack without object": ("pointer", deeper("pack", to=lambda pack: {"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262": 0}), "corrupt", "pack"),
    "unknown state": ("pointer", setting(state="asleep"), "unsupported", "state"),
    "too many probed": ("pointer", setting(probed=["0" * 16] * 17), "malformed", "16"),
    "large pointer": ("pointer", setting(x="x" * (1 << 20)), "too-large", ""),
    "wrong version of a tag": ("tag", setting(version=3), "malformed", "version"),
    "lake without id": ("lake", without("lake"), "malformed", "lake"),
}


class WrongContent(LakeCase):
    """Hashes are right here, and what they cover is not."""

    def test_wrong(self):
        for name, (kind, edit, error, fragment) in WRONG.items():
            with self.subTest(name):
                make_lake.make(self.root, {kind: edit})
                self.assert_error(error, fragment)
                shutil.rmtree(self.root)
                os.mkdir(self.root)

    def test_unknown_members_and_write_features_are_no_fault(self):
        extra = setting(later={"a": [1]})
        kinds = ("lake", "pointer", "tag", "commit", "table", "view", "namespace", "schema", "files", "catalog", "history")
        make_lake.make(self.root, {**dict.fromkeys(kinds, extra), "pointer": setting(features={"read": [], "write": ["warp"]})})
        self.assertEqual(run(self.root)[0], 0)

    def test_the_order_of_members_and_nulls_are_no_fault(self):
        kinds = ("lake", "pointer", "tag", "commit", "table", "view", "namespace", "schema", "files", "catalog", "history")
        make_lake.make(self.root, dict.fromkeys(kinds, lambda value: dict(reversed(list(value.items())))))
        self.assertEqual(run(self.root)[0], 0)
        shutil.rmtree(self.root)
        nulls = {"table": setting(layout=None, comment=None) and (lambda v: v.update(comment=None, schema_ref=v.get("schema_ref"))),
                 "namespace": lambda v: v.update(comment=None), "files": lambda v: v.update(later=None)}
        make_lake.make(self.root, nulls)
        self.assertEqual(run(self.root)[0], 0)

    def test_what_says_nothing_is_no_fault(self):
        edit = deeper("files", "removes", to=[7, 70])
        make_lake.make(self.root, {"table": edit, "files": lambda value: value.get("entries", value.get("children")).update(era=[])}, era=0)
        self.assertEqual(run(self.root)[0], 0)

    def test_anything_anywhere_is_an_answer(self):
        """Whatever stands in a member's place, there is a document and an exit code, never a traceback."""
        dice = random.Random(7)
        junk = [None, True, -1, 1.5, 2**70, "", "x", [], [[]], {}, {"a": 1}, [None], "0" * 64]
        for _ in range(150):
            kind = dice.choice(["pointer", "tag", "commit", "table", "view", "namespace", "schema", "files", "catalog", "history", "lake"])
            make_lake.make(self.root, {kind: lambda value: spoil(value, dice, junk)})
            self.assertIn(run(self.root)[0], (0, 6))
            shutil.rmtree(self.root)
            os.mkdir(self.root)


def spoil(value, dice, junk):
    place = value
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not steps:
            return None
        step = dice.choice(steps)
        if isinstance(place[step], (dict, list)) and dice.random() < 0.7:
            place = place[step]
            continue
        place[step] = dice.choice(junk)
        return None


class Values(unittest.TestCase):
    def assert_fault(self, kind, act, *arguments):
        with self.assertRaises(wire.Fault) as caught:
            act(*arguments)
        self.assertEqual(caught.exception.kind, kind)

    def test_order(self):
        for text, ascending in {
            "double": ["-Infinity", -1.5, -0.0, 0.0, 1e300, "Infinity"], "float": [-0.0, 0.1, 3.4028235e38, "Infinity"],
            "decimal(9,2)": ["-10.00", "-0.45", "0.00", "0.45", "10.00"], "string": ["", "Z", "a", "é", "\U00010000"],
            "binary": ["", "00", "7f", "7fff", "80"], "boolean": [False, True], "int": [-2**31, 2**31 - 1]}.items():
            orders = [values.check_value(values.primitive(text), value) for value in ascending]
            self.assertEqual(orders, sorted(orders))
            self.assertEqual(len(set(orders)), len(orders))

    def test_forms(self):
        for text, wrong in [
                ("int", 2**31), ("int", True), ("int", 1.0), ("long", "1"), ("double", "NaN"), ("float", 1e39), ("boolean", 0),
                ("decimal(3,2)", "10.00"), ("decimal(9,2)", "1.5"), ("decimal(9,0)", "-0"), ("decimal(9,2)", "01.00"),
                ("uuid", "11111111-1111-4111-8111-11111111111A"), ("fixed(2)", "00"), ("binary", "0"), ("binary", "AA"), ("time", -1)]:
            with self.subTest(f"{text} {wrong!r}"):
                self.assert_fault("malformed", values.check_value, values.primitive(text), wrong)
        for text in ("decimal(39,2)", "decimal(2,3)", "decimal(0,0)", "fixed(0)", "fixed(01)", "fixed", "int(3)"):
            self.assert_fault("malformed", values.primitive, text)
        for text in ("Int", "varchar", ""):
            self.assert_fault("unsupported", values.primitive, text)

    def test_floats_are_rounded_once(self):
        """By way of a double, the first would be rounded twice, to even, and the second to even although it is above."""
        for text, expected in [
                ("1.00000005960464477539062", 1.0), ("1.000000059604644775390626", 1.0000001192092896), ("0.1", 0.10000000149011612),
                ("-1.000000059604644775390626", -1.0000001192092896), ("16777217", 16777216.0), ("1e-400", 0.0), ("-0.0", -0.0)]:
            value = wire.parse_json(f'{{"x":{text}}}'.encode())["x"]
            self.assertEqual(values.check_value(("float",), value)[0], expected, text)

    def test_a_body_is_one_frame(self):
        frame = zstandard.compress(b"x" * 5000)
        self.assertEqual(wire.decompress(frame, 5000), b"x" * 5000)
        skippable = bytes.fromhex("502a4d180100000009")
        for body in (frame + b"x", frame + zstandard.compress(b""), skippable + frame, frame + skippable, frame[:-1], b"", frame[:5]):
            self.assert_fault("corrupt", wire.decompress, body, 5000)

        def windowed(descriptor):
            return bytes.fromhex("28b52ffd00") + bytes([descriptor, 1 | 3 << 3, 0, 0]) + b"abc"
        self.assertEqual(wire.decompress(windowed(17 << 3), 3), b"abc")
        for descriptor in (17 << 3 | 1, 31 << 3):
            self.assert_fault("corrupt", wire.decompress, windowed(descriptor), 3)

    def test_what_is_known(self):
        """A count of values alone is known; of a field of which one part knows nothing, nothing is."""
        def merged(**columns):
            return values.merge_stats(values.read_stats({"1": {"type": "long", **columns}}, [5, 5])).get(1)
        self.assertEqual(merged(values=[9, 5])[3], 14)
        self.assertIsNone(merged(values=[9, None]))
        self.assertEqual(merged(values=[9, None], nulls=[None, 0])[3], 14)
        self.assertIsNone(merged(nulls=None, values=None))

    def test_merge(self):
        def merged(kind, rows, **columns):
            return values.merge_stats(values.read_stats({"1": {"type": kind, **columns}}, rows)).get(1)
        one = merged("long", [5, 5], nulls=[5, 1], min=[None, 3], max=[None, 4])
        self.assertEqual(one[1:], (6, None, 10, 3, 4, True, True))
        one = merged("long", [5, 5], nulls=[1, 1], min=[None, 3], max=[9, 4])
        self.assertEqual(one[4:6], (None, 9))
        one = merged("string", [5, 5], min=["a", "a"], max=["b", "c"], min_exact=[True, False], max_exact=[True, False])
        self.assertEqual(one[1:], (None, None, 10, "a", "c", True, False))
        self.assertIsNone(merged("long", [5, 5], min=[None, 3], max=[None, 4]))

    def test_merge_of_types_that_widen(self):
        narrow, wide = ({1: values.Stat((kind,), 0, None, 1, 3, 3, True, True)} for kind in ("int", "long"))
        self.assertEqual(values.merge_stats([narrow, wide])[1].type, ("long",))
        self.assertEqual(values.promote(1, ("date",), ("timestamp",)), 86_400_000_000)
        self.assertEqual(values.promote(0.1, ("float",), ("double",)), 0.10000000149011612)

    def test_a_file_listed_again_has_other_rows(self):
        def check_files(*deleted, first_rows=(0, 0)):
            files = [{"id": number, "hash": "a" * 64, "row_ids": "derived", "first_row": first, "rows": 10, "fields": 0, "stats": {},
                      "order": None, "split": None, "count": 1, "bytes": 5, "deletes": {"rows": gone}, "deleted": gone}
                     for number, (gone, first) in enumerate(zip(deleted, first_rows))]
            totals = {"files": 2, "rows": 20 - sum(deleted), "bytes": 10, "deleted": sum(deleted)}
            objects.check_files({"next_file": 2, "next_row": 20, "field_sets": [[(1, 1)]], "orders": [], "splits": [], "totals": totals}, files)

        check_files(4, 6)
        self.assert_fault("malformed", check_files, 4, 5)
        with self.assertRaises(wire.Fault):
            check_files(4, 6, first_rows=(0, 5))

    def test_vectors_in_every_container(self):
        for positions, form in [([0], "array"), (range(0, 9000, 2), "bitmap"), (range(5, 60000), "run"), ([1, 3, 65535], "array")]:
            ranges = values.deletion_vector(make_lake.vector_blob(positions, form))
            self.assertEqual([value for first, last in ranges for value in range(first, last + 1)], list(positions))

    def test_every_cut_of_a_vector_is_a_fault(self):
        blob = make_lake.vector_blob([1, 5, 9])
        for end in range(len(blob)):
            self.assert_fault("malformed", values.deletion_vector, blob[:end])

    def test_names(self):
        self.assertEqual(wire.fold("Straße"), wire.fold("STRASSE"))
        self.assertEqual(wire.unescape(wire.escape("grösse/x")), "grösse/x")
        self.assertIsNone(wire.unescape(wire.escape("größe/x")), "no key")
        for name in ("", "a..b", "a//b", ".a", "a/-b", "a.lock", "a.JSON", "a b", "a~1", "a@{1}", "ä" * 60, "\0"):
            self.assert_fault("invalid", wire.check_ref_name, name)
        for name in ("a", "a/b.c", "Größe", "v1.0_x-y"):
            self.assertEqual(wire.check_ref_name(name), name)

    def test_paths(self):
        digest = "ab" * 32
        for path, kind in [
                (f"meta/ab/{digest}-0.json", "meta"), (f"meta/ab/{digest}-12.json.zst", "meta"), (f"meta/ac/{digest}-0.json", None),
                (f"meta/ab/{digest}-01.json", None), (f"data/{make_lake.ORDERS}/ab/{digest}-0.dv", "data"), ("lake.json", "lake"),
                ("refs/branches/a/b.json", "branches"), ("refs/branches/A.json", None), ("refs/branches/gr=c3=b6.json", "branches"),
                ("refs/branches/=61.json", None), ("refs/tags/v1.json", "tags"), ("refs/tags/.json", None), ("x", None)]:
            self.assertEqual(wire.classify(path), kind, path)


class Vectors(LakeCase):
    def test_counts(self):
        cases = [{"name": "good", "rules": [], "input": "2026-01-02T03:04:05.000006Z", "expect": "2026-01-02T03:04:05.000006Z"},
                 {"name": "bad", "rules": [], "input": "2026-01-02", "error": "malformed"},
                 {"name": "wrong kind", "rules": [], "input": "2026-01-02", "error": "corrupt"},
                 {"name": "no error", "rules": [], "input": "2024-02-29T00:00:00.000000Z", "error": "malformed"},
                 {"name": "odd input", "rules": [], "input": ["x"], "error": "malformed"}]
        for name, topic in (("times", "times"), ("other", "other"), ("names", "names")):
            with open(os.path.join(self.root, name + ".json"), "w", encoding="utf-8") as file:
                json.dump({"topic": topic, "cases": cases if topic != "names" else [{"name": "form", "input": 5, "expect": 1}]}, file)
        code, document = run("--vectors", self.root)
        self.assertEqual((code, document["not_implemented"]), (6, ["other"]))
        self.assertEqual([case["name"] for case in document["topics"]["times"]["failed"]], ["wrong kind", "no error"])
        self.assertEqual(len(document["topics"]["names"]["failed"]), 1)

    def test_whole_objects(self):
        self.assertIsNone(vectors.run_case(vectors.TOPICS["view"], {"input": '{"format":9,"kind":"view"}', "error": "unsupported"}))
        self.assertIsNone(vectors.run_case(vectors.TOPICS["view"], {"input": {"repeat": "[", "times": 65}, "error": "too-large"}))


if __name__ == "__main__":
    unittest.main()
