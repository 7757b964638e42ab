"""What a merge goes by, of what a vector can hold: rows and keys [REB-7, REB-17], common ancestors and copies [MRG-1, MRG-11], cells [MRG-8], disputes
[MRG-2], and the numbers that a pick records [MRG-11]."""

import blake3


def hash_of(word):
    return blake3.blake3(word.encode("utf-8")).hexdigest()


def graph(lines):
    """The parents of each commit, and of each commit that was picked all that are copies of it."""
    parents, copies = {}, {}
    for line in lines:
        before = None
        for word in line.split(" "):
            commit, _, merged = word.partition("<")
            commit, _, picked = commit.partition("=")
            parents.setdefault(commit, set()).update(parent for parent in (before, merged) if parent)
            if picked:
                copies.setdefault(picked, {picked}).add(commit)
            before = commit
    return parents, copies


def ancestors(parents, head):
    found, open_ = set(), [head]
    while open_:
        commit = open_.pop()
        if commit not in found:
            found.add(commit)
            open_ += parents.get(commit, ())
    return found


def common_ancestors(value):
    parents, _ = graph(value["lines"])
    both = ancestors(parents, value["ours"]) & ancestors(parents, value["theirs"])
    return {"bases": sorted(one for one in both if not any(one in ancestors(parents, other) - {other} for other in both))}


def merge_copies(value):
    parents, copies = graph(value["lines"])
    ours, theirs = (ancestors(parents, value[side]) for side in ("ours", "theirs"))
    found = []
    for origin, commits in copies.items():
        alone = [sorted(commits & mine - other, key=lambda one: (one != origin, hash_of(one)))
                 for mine, other in ((ours, theirs), (theirs, ours))]
        if all(alone) and not commits & ours & theirs:
            found.append((origin, alone[0][0], alone[1][0]))

    def follows(one, other):
        return [one is not other and other[side] in ancestors(parents, one[side]) for side in (1, 2)]

    def is_after(one, other):
        after, before = follows(one, other), follows(other, one)
        for side in (1, 2):
            if one[side] == one[0] and other[side] == other[0]:
                return after[side - 1]
        return any(after) and not any(before)

    order, groups = sorted(found, key=lambda one: (sum(is_after(one, other) for other in found), hash_of(one[0]))), []
    for at, one in enumerate(order):
        if all(is_after(later, earlier) for later in order[at:] for earlier in order[:at]):
            groups.append([])
        line = next((line for line in groups[-1] if all(is_after(one, earlier) for earlier in line)), None)
        if line is None:
            groups[-1].append(line := [])
        line.append(one)

    def told(one):
        return [*one, one[0] if one[0] in one[1:] else min(one[1:], key=hash_of)]

    return [[[told(one) for one in line] for line in lines] for lines in groups]


def merged(base, ours, theirs, key=(), disputed=()):
    """A row that both sides touched: "ours", "theirs", "deleted", "conflict" or cells of both."""
    if ours is None or theirs is None:
        kept = theirs if ours is None else ours
        return "deleted" if kept is None or kept == base and not disputed else "conflict"
    if base is None:
        return "ours" if ours == theirs else "conflict"
    cells, sides = [], set()
    for at in range(len(base)):
        places = key if at in key else [at]
        was, mine, other = ([row[place] for place in places] for row in (base, ours, theirs))
        open_ = disputed == "row" or any(place in disputed for place in places)
        if mine == other:
            cells.append(ours[at])
        elif open_ or was not in (mine, other):
            return "conflict"
        else:
            sides.add("theirs" if mine == was else "ours")
            cells.append((theirs if mine == was else ours)[at])
    return cells if len(sides) == 2 else sides.pop() if sides else "ours"


def merge_cells(value):
    return merged(value["base"], value["ours"], value["theirs"], value.get("key", ()), value.get("disputed") or ())


def merge_disputes(value):
    base, rows, found = value["base"], value["commits"], set()
    for at, one in enumerate(rows):
        for other in rows[at + 1:]:
            if merged(base, one, other) == "conflict":
                if None in (base, one, other):
                    return "row"
                found |= {place for place in range(len(base)) if one[place] != other[place]}
    return sorted(found) or None


def merge_doubts(value):
    return "alike" if value["ours"] == value["theirs"] else value.get("resolved") or "conflict"


# What a row comes to, by what ours did (the rows) and what theirs did to it [REB-7].
FATES = ("left", "moved", "deleted", "changed", "restored")
ROWS = ("ours theirs deleted theirs theirs", "ours ours deleted theirs conflict", "deleted deleted deleted conflict conflict",
        "ours ours conflict conflict conflict", "ours conflict conflict conflict conflict")


def merge_rows(value):
    ours, theirs = value["ours"], value["theirs"]
    lacks = {"theirs": ours, "ours": theirs}.get(value.get("back"))
    if lacks in ("moved", "changed") and not {"deleted", "restored"} & {ours, theirs}:
        return "conflict"
    return ROWS[FATES.index(ours)].split()[FATES.index(theirs)]


def merge_keys(value):
    """Pairs of rows of one key that stand together on neither side, that of ours first."""
    pairs = []
    for one, (key, *sides) in enumerate(value):
        for other in range(one + 1, len(value)):
            if value[other][0] == key and not any(mine == key == yours for mine, yours in zip(sides, value[other][1:])):
                pairs.append([one, other] if sides[0] == key else [other, one])
    return pairs


def runs(pairs):
    """Ids and what they are elsewhere, as [first, count, by]."""
    found = []
    for one, other in sorted(pairs.items()):
        if found and found[-1][0] + found[-1][1] == one and found[-1][2] == other - one:
            found[-1][1] += 1
        else:
            found.append([one, 1, other - one])
    return found


def pairs(found):
    return {first + at: first + at + by for first, count, by in found for at in range(count)}


def picked_numbers(value):
    known = {name: pairs(value["known"].get(name, ())) for name in ("files", "rows", "same")}
    own, told = {}, {}
    for at, name in enumerate(("files", "rows")):
        own[name] = set(range(value["before"][at], value["after"][at]))
        rest = (one for one in range(value["after"][at]) if one not in known[name])
        told[name] = {**known[name], **dict(zip(rest, range(value["next"][at], 1 << 32)))}
    for file, row_ids, least, greatest in value["lists"]:
        if file not in known["files"]:
            own["files"].add(file)
        older = {row for row in range(value["before"][1]) if row not in known["rows"]}
        back = {row for row in older if least <= row <= greatest}
        own["rows"] |= older if back and row_ids == "stored" else back
    found = {name: {one: told[name][one] for one in own[name]} for name in own}
    found["same"] = {row: known["same"][row] for row in own["rows"] if row in known["same"]}
    before = value.get("recorded")
    if before is not None:
        first = {name: pairs(before.get(name, ())) for name in ("files", "rows")}
        found = {name: {one: found[name][there] for one, there in first["rows" if name == "same" else name].items()
                        if there in found[name]} for name in found}
    return {name: runs(found[name]) for name in ("files", "rows", "same")}


def picks(value):
    commit = value["commit"]
    named = commit["properties"].get("strandline.picked", "")
    txn = blake3.blake3(f"strandline.pick {named}".encode(), derive_key_context="strandline idempotency key").hexdigest()[:32]
    is_pick = len(named) == 64 and commit.get("key", False) and commit["txn"] == txn
    untold = [change["name"] for change in commit["changes"] if is_pick and change.get("type", "table") == "table"
              and change["new"] and change["new"] != change["old"] and not change.get("picked")]
    return {"of": named if is_pick else None, "untold": untold}


TOPICS = {
    "common-ancestors": common_ancestors,
    "merge-cells": merge_cells,
    "merge-copies": merge_copies,
    "merge-disputes": merge_disputes,
    "merge-doubts": merge_doubts,
    "merge-keys": merge_keys,
    "merge-rows": merge_rows,
    "picked-numbers": picked_numbers,
    "picks": picks,
}
