"""The refs of a lake: lake.json, pointers with their pins and packs, tags; and all that each of them retains.

Faults are recorded and the next thing is read. What lies below a ref is the business of `lake`.
"""

import blake3

import wire
from lake import Skipped, Walk, in_object
from objects import AUTHOR, LABEL, MESSAGE, check_entry, check_step
from trees import ref_of
from wire import (
    Fault, HASH, HEX32, OBJECT, REF, REF_NAME, U64, UUID, check_header, choice, ensure, features, listing, matching, record, show,
    time)

MAX_PACK = 64 << 10
MAX_PINS = 1024
MAX_PROBED = 16

# Wire objects


def live_or_deleted(members):
    return record({"lake": UUID, "seq": U64, "nonce": HEX32, "state": choice("live", "deleted"), **members})


LAKE = record({"lake": UUID, "created": time, "features": features, "writer": LABEL})
POINTER = live_or_deleted({
    "branch": REF_NAME, "features": features, "era": U64, "head": REF, "expired_before": U64,
    "pins": listing(record({"id": HEX32, "commit": REF, "from": U64, "era": U64, "for": LABEL, "time": time})),
    "probed": listing(matching("[0-9a-f]{16}", "a store's fingerprint")), "pack": OBJECT})
TAG = live_or_deleted({
    "tag": REF_NAME, "features": features, "commit": REF, "version": U64, "branch": REF_NAME, "time": time, "author": AUTHOR, "message": MESSAGE})


# The lake


class Lake:
    """A lake in a folder, and all that is wrong with it."""

    def __init__(self, root, reads_data=True):
        self.folder, self.reads_data = wire.Folder(root), reads_data
        self.errors, self.id = {}, None
        self.paths = {path: wire.classify(path) for path in self.folder.listing() if not wire.is_scratch(path)}
        self.meta_hashes = {path.split("/")[2][:64] for path, kind in self.paths.items() if kind == "meta"}

    def report(self, fault):
        if not isinstance(fault, Skipped):
            self.errors.setdefault((fault.kind, fault.place, fault.message))

    def guard(self, path, act):
        """Acts; None, and a report, where that finds a fault."""
        try:
            return in_object(path, act)
        except Fault as fault:
            return self.report(fault)

    def ref_object(self, path, kind, parser):
        text = self.folder.ref_text(path)
        value = wire.parse_json(text, wire.MAX_REF)
        check_header(value, kind)
        return parser(value), text.decode("utf-8")

    def read_lake(self):
        found = self.guard("lake.json", lambda: self.ref_object("lake.json", "lake", LAKE)[0])
        self.id = found and found["lake"]

    def refs(self, folder):
        return [path for path, kind in self.paths.items() if kind == folder]

    def check_place(self, ref, folder, member, path):
        """A ref belongs to this lake and to this path [LAKE-2, PTR-3, TAG-2]."""
        ensure(self.id in (None, ref["lake"]), "is of another lake")
        check_name(ref, folder, member, path)

    def branch(self, path):
        """A branch with its retained history, or None if it is damaged [PTR]."""
        return self.guard(path, lambda: self.read_branch(path))

    def read_branch(self, path):
        pointer, text = self.ref_object(path, "pointer", POINTER)
        self.check_place(pointer, "branches", "branch", path)
        check_lists(pointer)
        self.check_pack(path, pointer, *raw_pack(text))
        walk = Walk(self)
        live = pointer["state"] == "live"
        walk.each(pointer["pins"], lambda pin: self.versions(walk, pin["commit"], pin["from"]))
        versions = self.versions(walk, pointer["head"], pointer["expired_before"]) if live else []
        ensure(walk.era <= pointer["era"], f"its era is {pointer['era']}, but it reaches {walk.era_at}")
        return {"pointer": pointer, "versions": versions, "walk": walk}

    def check_pack(self, path, pointer, size, pack):
        """Each text in the pack has its hash and stands under meta/ as well [PTR-8, PTR-9, PTR-12]."""
        ensure(size <= MAX_PACK, f"the pack has {size} bytes, the limit is {MAX_PACK}")
        check_tombstone(pointer, pack)
        for name, text in pack.items():
            self.guard(path, lambda: self.check_packed(name, text))

    def check_packed(self, name, text):
        check_packed(name, text)
        if name not in self.meta_hashes:
            raise Fault("missing", f"pack: {name} does not stand under meta/")

    def versions(self, walk, newest, oldest):
        """The commits that a head or a pin keeps, oldest first, each held against its history entry and its parent [GC-6]."""
        head = walk.commit(newest)
        ensure(oldest <= head["seq"], f"keeps versions from {oldest} on, but the newest, {head['seq']}, is expired")
        kept = head["history"][oldest:]
        versions = walk.each(kept, lambda entry: self.version(walk, head, entry)) + [head]
        walk.each(zip(versions, versions[1:]), lambda pair: in_object(
            wire.meta_path(pair[1]["ref"]), lambda: check_step(*pair)))
        return versions

    def version(self, walk, head, entry):
        path = wire.meta_path(entry)
        commit = walk.commit(ref_of(entry))
        in_object(path, lambda: check_entry(commit, entry))
        same = commit["history"] == head["history"][:commit["seq"]]
        in_object(path, lambda: ensure(same, "its history is not the beginning of the head's"))
        return commit

    def tag(self, path):
        """A tag, with all that a live one keeps [TAG-1, TAG-5]."""
        return self.guard(path, lambda: self.read_tag(path))

    def read_tag(self, path):
        tag, _ = self.ref_object(path, "tag", TAG)
        self.check_place(tag, "tags", "tag", path)
        if tag["state"] == "live":
            commit = Walk(self).commit(tag["commit"])
            ensure(commit["seq"] == tag["version"], f"is version {tag['version']}, its commit is {commit['seq']}")
        return tag


def check_name(ref, folder, member, path):
    """A ref is the one that was looked for at this path [PTR-3, TAG-2]."""
    ensure(wire.ref_path(folder, ref[member]) == path, f"is the {member} {show(ref[member])}, which lies elsewhere")


def check_tombstone(pointer, pack):
    ensure(pointer["state"] == "live" or not pack, "a tombstone has a pack")


def check_packed(name, text):
    """A packed text has the hash that it stands under [PTR-8]."""
    found = blake3.blake3(text).hexdigest()
    if found != HASH(name):
        raise Fault("corrupt", f"pack: expected hash {name}, found {found}")


def raw_pack(text):
    """How long a pointer's pack is, and the exact bytes of each text in it. The pointer has been parsed, so it is well-formed."""
    start, stop = {name: (at, end) for name, at, end in wire.raw_members(text, text.index("{"))}["pack"]
    texts = {name: text[at:end].encode("utf-8") for name, at, end in wire.raw_members(text, start)}
    return len(text[start:stop].encode("utf-8")), texts


def check_lists(pointer):
    """The bounds of pins and probed stores [PTR-10, PTR-11, PTR-14]."""
    pins, probed = [pin["id"] for pin in pointer["pins"]], pointer["probed"]
    if len(pins) > MAX_PINS:
        raise Fault("too-large", f"{len(pins)} pins, the limit is {MAX_PINS}")
    ensure(len(set(pins)) == len(pins), "two pins have one id")
    ensure(all(pin["era"] <= pointer["era"] for pin in pointer["pins"]), "a pin is of an era above the pointer's")
    ensure(len(set(probed)) == len(probed) <= MAX_PROBED, f"a store is probed twice, or more than {MAX_PROBED} are")
