"""A lake against the spec: commits, trees and tables, each object verified and each structure held against itself.

A `Walk` covers what one branch or tag retains; the refs themselves stand in `refs`, what one text shows by itself in `trees`
and `objects`. Faults are recorded and the walk goes on with what does not depend on them; so one damaged object hides nothing
but what lies below it. Nothing here writes.
"""

import wire
from objects import (
    NODES, SCHEMA, check_catalog, check_files, check_history, check_table, read_commit)
from trees import CATALOG, FILES, HISTORY, check_level, check_reference, read_node, ref_of
from values import deletion_vector, inline_blob
from wire import Fault, ensure


class Skipped(Fault):
    """What depends on something that has been reported already."""

    def __init__(self):
        super().__init__("skipped", "depends on a damaged object")


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

    def tree(self, use, root):
        """All entries of a tree, by key: what its children hold, overridden by the root's buffer [TREE-3]."""
        entries = {}
        for below in self.each(root["children"], lambda child: self.node(use, child, root["level"] - 1)):
            entries.update((entry["key"], entry) for entry in below)
        for key in root["removes"]:
            entries.pop(key, None)
        entries.update((entry["key"], entry) for entry in root["puts"])
        return [entries[key] for key in sorted(entries)]

    def node(self, use, child, level):
        """All entries below a reference, which its node is held against."""
        path = wire.meta_path(child)
        if (use.kind, path) not in self.nodes:
            value = self.meta(ref_of(child), use.kind)
            node = in_object(path, lambda: read_node(use, value))
            self.nodes[use.kind, path] = node, self.entries(use, node)
        node, entries = self.nodes[use.kind, path]
        in_object(path, lambda: check_level(node, level))
        in_object(path, lambda: check_reference(use, child, node))
        return entries

    def entries(self, use, node):
        if node.level == 0:
            return node.items
        below = self.each(node.items, lambda child: self.node(use, child, node.level - 1))
        return [entry for entries in below for entry in entries]

    # Commits [COM]

    def commit(self, ref):
        """A commit's own members, with the entries of its history and of its catalog, held against each other."""
        path = wire.meta_path(ref)
        value = self.meta(ref, "commit")
        if path in self.commits:
            return self.commits[path]
        commit = in_object(path, lambda: read_commit(value))
        history = self.tree(HISTORY, commit["history"])
        in_object(path, lambda: check_history(commit, history))
        catalog = self.tree(CATALOG, commit["catalog"])
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
            return self.table(node, path)
        if kind == "view":
            node["schema"] = node["schema"].value
        return node

    # Tables [TBL]

    def table(self, table, path):
        schema = self.schema(table, path)
        files = self.tree(FILES, table["files"])
        in_object(path, lambda: check_files(table, files))
        self.each(files, lambda file: self.file(table["id"], file, path))
        return {**table, "schema": schema.value, "files": files}

    def schema(self, table, path):
        """Inline, where the table has been held against it, or an object of its own [TBL-2]."""
        ref = table.pop("schema_ref")
        if ref is None:
            return table["schema"]
        found = self.meta(ref, "schema")
        schema = in_object(wire.meta_path(ref), lambda: SCHEMA(found)["schema"])
        in_object(path, lambda: check_table(table, schema))
        return schema

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


def in_object(path, act):
    """Acts, and says of a fault that it is in this object."""
    try:
        return act()
    except Skipped:
        raise
    except Fault as fault:
        raise Fault(fault.kind, fault.message, fault.place or path) from None
