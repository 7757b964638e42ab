#!/usr/bin/env python3
"""A second reader of Strandline lakes: verifies every reachable object and prints the state as JSON.

    check.py FOLDER [--branch NAME | --all] [--pretty] [--no-data]
    check.py --vectors DIR [--pretty]

Exit codes: 0 all is well; 2 usage; 4 there is no lake, or no such branch; 6 something breaks the spec, and the JSON
document is {"errors": [{"kind", "object", "message"}]}. What is checked stands in `refs`, `lake`, `objects`,
`trees`, `transforms`, `values` and `wire`.
"""

import argparse
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import vectors  # noqa: E402
import wire  # noqa: E402
from refs import Lake  # noqa: E402
from values import type_text  # noqa: E402

OK, USAGE, NOT_FOUND, FAULTY = 0, 2, 4, 6


def main(arguments=None):
    """Runs the command; returns the exit code."""
    options = parse_arguments(arguments)
    if options.vectors is not None:
        code, document = vectors.run(options.vectors)
    else:
        code, document = check(options)
    print(json.dumps(document, indent=2 if options.pretty else None, allow_nan=False))
    return code


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="check.py", description="A second reader of Strandline lakes.")
    parser.add_argument("folder", nargs="?", help="the lake's folder")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--branch", metavar="NAME", help="this branch only")
    which.add_argument("--all", action="store_true", help="all branches and tags (this is the default)")
    parser.add_argument("--no-data", action="store_true", help="neither need nor read data files")
    parser.add_argument("--pretty", action="store_true", help="indent the JSON")
    parser.add_argument("--vectors", metavar="DIR", help="run the vector files in this folder instead")
    options = parser.parse_args(arguments)
    if (options.folder is None) == (options.vectors is None):
        parser.error("give a lake's folder, or --vectors DIR")
    return options


def check(options):
    """Reads the lake; returns the exit code and the document."""
    lake = Lake(options.folder, reads_data=not options.no_data)
    if not ({"lake", "branches", "tags"} & set(lake.paths.values())):
        return NOT_FOUND, failure("lake.json", f"there is no lake in {options.folder}")
    lake.read_lake()
    paths = lake.refs("branches")
    if options.branch is not None:
        paths = [path for path in paths if path == branch_path(options.branch)]
        if not paths:
            return NOT_FOUND, failure(None, f"there is no branch {options.branch!r}")
    branches = [lake.branch(path) for path in paths]
    tags = [] if options.branch is not None else [lake.tag(path) for path in lake.refs("tags")]
    if lake.errors:
        errors = [{"kind": kind, "object": place, "message": message} for kind, place, message in lake.errors]
        return FAULTY, {"lake": lake.id, "errors": errors, "counters": counters(lake)}
    return OK, {"lake": lake.id, "branches": [branch_state(branch) for branch in branches], "tags": tags,
                "errors": [], "counters": counters(lake)}


def branch_path(name):
    """Where a branch's pointer lies; None if no branch can have the name."""
    try:
        return wire.ref_path("branches", wire.check_ref_name(name))
    except (wire.Fault, ValueError):
        return None


def failure(place, message):
    return {"errors": [{"kind": "missing", "object": place, "message": message}]}


def counters(lake):
    known = [path for path, kind in lake.paths.items() if kind in ("meta", "data")]
    return {**lake.folder.counters, "foreign": sum(kind is None for kind in lake.paths.values()),
            "unreferenced": sum(path not in lake.folder.seen for path in known) if lake.reads_data else None}


def branch_state(branch):
    """A branch as a test compares it: its pointer, its head's catalog, its history."""
    pointer, versions = branch["pointer"], branch["versions"]
    state = {name: pointer[name] for name in (
        "branch", "state", "seq", "nonce", "era", "head", "expired_before", "pins", "probed")}
    state["packed"] = list(pointer["pack"])
    if not versions:
        return {**state, "tables": [], "views": [], "namespaces": [], "history": []}
    nodes = sorted(versions[-1]["catalog"].values(), key=lambda entry: entry["key"])
    for group in ("table", "view", "namespace"):
        state[group + "s"] = [node_state(branch["walk"], entry) for entry in nodes if entry["type"] == group]
    return {**state, "history": [history_state(commit) for commit in versions]}


def node_state(walk, entry):
    node = dict(walk.tables[entry["type"], wire.meta_path(entry)])
    if "files" in node:
        node["files"] = [file_state(file) for file in node["files"]]
    return {"name": entry["name"], "node": {name: entry[name] for name in ("hash", "era", "size")}, **node}


def file_state(file):
    """All attributes of an entry, its statistics by field and its deleted rows as ranges."""
    state = {name: value for name, value in file.items() if name not in ("key", "count", "bytes", "deleted", "stats")}
    state["stats"] = {str(field): {**stat._asdict(), "type": type_text(stat.type)} for field, stat in sorted(file["stats"].items())}
    return state


def history_state(commit):
    names = ("seq", "time", "txn", "key", "author", "message", "parents", "properties", "changes")
    return {"hash": commit["ref"]["hash"], **{name: commit[name] for name in names}}


if __name__ == "__main__":
    sys.exit(main())
