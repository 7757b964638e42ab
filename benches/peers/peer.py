"""What other table formats do in the benches: one phase of one of them, in this process, which says what it took.

    python peer.py delta|lance PHASE FOLDER NUMBER

The benches of `strandline-benches` run it, and say what the phases are. Below FOLDER lie what they share (`lineitem.parquet`, `source.parquet`)
and a folder for each side; NUMBER is the scale, or the order that a query asks for. Time and processor time are of the phase alone, with its libraries loaded; the peak of memory is the process's.
"""

import os
import re
import statistics
import sys
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

KEY = ["l_orderkey", "l_linenumber"]
COMMENT = "changed"
AGAIN = 20


def parts(scale, start):
    """A hundredth of the parts, as the bench has it."""
    every = int(float(scale) * 200_000)
    first = int(every * start)
    return first + 1, int(first + every / 100)


def between(scale, start):
    return "l_partkey BETWEEN {} AND {}".format(*parts(scale, start))


class Delta:
    """`deltalake`, with the settings of a lake's files. It writes files anew when rows of them change."""

    def __init__(self, folder, scale):
        import deltalake
        self.lib, self.folder, self.scale = deltalake, folder, scale
        self.here = os.path.join(folder, "delta")
        self.settings = deltalake.WriterProperties(compression="ZSTD", compression_level=1)

    def table(self):
        return self.lib.DeltaTable(self.here)

    def load(self, rows):
        self.lib.write_deltalake(os.path.join(self.folder, "base", "delta"), rows, writer_properties=self.settings)

    def delete(self):
        return self.table().delete(between(self.scale, 0.5), writer_properties=self.settings)["num_deleted_rows"]

    def update(self):
        updates = {"l_quantity": "l_quantity + 1", "l_comment": f"'{COMMENT}'"}
        done = self.table().update(updates, predicate=between(self.scale, 0.25), writer_properties=self.settings)
        return done["num_updated_rows"]

    def merge(self, source):
        on = " AND ".join(f"t.{column} = s.{column}" for column in KEY)
        merge = self.table().merge(source, on, source_alias="s", target_alias="t", writer_properties=self.settings)
        done = merge.when_matched_update_all().when_not_matched_insert_all().execute()
        return done["num_target_rows_updated"] + done["num_target_rows_inserted"]

    def batches(self, columns):
        return self.table().to_pyarrow_dataset().to_batches(columns=columns)

    def checkpoint(self):
        self.table().create_checkpoint()

    def plan(self, table, order):
        """Plans a query that one file may have rows of; which files are left is seen in the plan."""
        sql = f"EXPLAIN SELECT column_1, column_5 FROM t WHERE column_1 = {order}"
        plan = self.lib.QueryBuilder().register("t", table).execute(sql).read_all()
        files = set(re.findall(r"part-\d+\.parquet", str(pa.table(plan).to_pydict())))  # a large file stands there in parts
        if len(files) != 1:
            raise SystemExit(f"{len(files)} files are left instead of one")


class Lance:
    """Lance, with row ids that stay. It has a format of files of its own."""

    def __init__(self, folder, scale):
        import lance
        self.lib, self.folder, self.scale = lance, folder, scale
        self.here = os.path.join(folder, "lance")

    def table(self):
        return self.lib.dataset(self.here)

    def load(self, rows):
        self.lib.write_dataset(rows, os.path.join(self.folder, "base", "lance"), enable_stable_row_ids=True)

    def delete(self):
        return self.table().delete(between(self.scale, 0.5))["num_deleted_rows"]

    def update(self):
        updates = {"l_quantity": "l_quantity + 1", "l_comment": f"'{COMMENT}'"}
        return self.table().update(updates, where=between(self.scale, 0.25))["num_rows_updated"]

    def merge(self, source):
        merge = self.table().merge_insert(KEY).when_matched_update_all().when_not_matched_insert_all()
        done = merge.execute(source)
        return done["num_updated_rows"] + done["num_inserted_rows"]

    def batches(self, columns):
        return self.table().to_batches(columns=columns)


def sums(peer):
    """What the rows come to, as the bench shows it."""
    columns = ["l_quantity", "l_orderkey", "l_partkey", "l_comment"]
    rows, totals = 0, [0, 0, 0, 0]
    for batch in peer.batches(columns):
        if batch.num_rows == 0:
            continue
        rows += batch.num_rows
        values = [batch.column(name) for name in columns[:3]] + [pc.utf8_length(batch.column("l_comment"))]
        totals = [total + pc.sum(value).as_py() for total, value in zip(totals, values)]
    return ", ".join(map(str, [rows, *totals]))


def peak():
    """The most memory that this process ever had, in KiB."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def again(peer, order):
    """The median of planning a query with an open table."""
    table, took = peer.table(), []
    for _ in range(AGAIN):
        began = time.perf_counter_ns()
        peer.plan(table, order)
        took.append(time.perf_counter_ns() - began)
    return int(statistics.median(took))


def read(folder, name):
    return pq.read_table(os.path.join(folder, name))


def main(name, phase, folder, number):
    peer = {"delta": Delta, "lance": Lance}[name](folder, number)
    rows = read(folder, "lineitem.parquet") if phase == "load" else None
    acts = {
        "load": lambda: peer.load(rows), "delete": lambda: f"{peer.delete()} rows", "update": lambda: f"{peer.update()} rows",
        "merge": lambda: f"{peer.merge(read(folder, 'source.parquet'))} rows", "sums": lambda: sums(peer),
        "checkpoint": lambda: peer.checkpoint(), "open": lambda: peer.plan(peer.table(), number)}
    began, processor = time.perf_counter_ns(), time.process_time_ns()
    if phase == "again":
        print(again(peer, number), 0, peak(), "", sep="\t")
        return
    note = acts[phase]() or ""
    print(time.perf_counter_ns() - began, time.process_time_ns() - processor, peak(), note, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
