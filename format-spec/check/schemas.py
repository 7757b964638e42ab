"""How a schema is edited [SCH-5, SCH-6, SCH-10, SCH-11, SCH-14, SCH-15], and how two are merged, field by field [SCH-12, SCH-13, SCH-15].

All pure: schemas in; one out, or every conflict. What does not belong here: whether a schema is one (values).
"""

import copy
import itertools

from objects import check_key
from values import Schema, primitive, promote, widens
from wire import Fault, ensure, fold

DRAWN = range(65_536, 2_147_000_000)
MAX_DRAWS = 100
TOLD_NAMES = ("_row_id", "_last_updated_sequence_number", "_last_updated", "_change_type", "_commit_version", "_commit_timestamp")


def edit_schema(value):
    try:
        return edited(value)
    except Fault as fault:
        raise Fault("invalid" if fault.kind == "malformed" else fault.kind, fault.message) from None


def edited(value):
    old = Schema(value["schema"])
    draft = Draft(old, value.get("random") or [0])
    for edit in value["edits"]:
        (verb, given), = edit.items()
        draft.VERBS[verb](draft, given)
    if draft.fields == old.value["fields"]:
        return old.value
    names = {field["id"]: fold(field["name"]) for field in old.value["fields"]}
    for field in draft.fields:
        ensure(names.get(field["id"]) == fold(field["name"]) or fold(field["name"]) not in TOLD_NAMES, "a name that rows are told with")
    ensure(not empty_structs(draft.fields) - empty_structs(old.value["fields"]), "a struct needs a field")
    if old.value["id"] == 2**32 - 1:
        raise Fault("too-large", "no schema number is left")
    dropped = old.dropped | set(old.by_id) - ids_in(draft.fields)
    new = Schema({"id": old.value["id"] + 1, "fields": draft.fields, "dropped": sorted(dropped | draft.dropped)})
    check_key(value.get("key") or [], new)
    return new.value


def empty_structs(fields):
    own = {field["id"] for field in fields if field["type"] == {"struct": []}}
    return own.union(*(empty_structs(children(field["type"])) for field in fields))


class Draft:
    """A schema's fields while they change."""

    def __init__(self, schema, random):
        self.fields = copy.deepcopy(schema.value["fields"])
        self.used, self.dropped = set(schema.by_id) | schema.dropped, set()
        self.random = itertools.cycle(random)

    def draw(self):
        for number in itertools.islice(self.random, MAX_DRAWS):
            field = DRAWN[number % len(DRAWN)]
            if field not in self.used:
                self.used.add(field)
                return field
        raise Fault("invalid", "the same ids again and again")

    def numbered(self, field):
        field["id"] = self.draw()
        kind = field["type"]
        if isinstance(kind, dict):
            inner = next(iter(kind.values()))
            for part in inner if "struct" in kind else [inner] if "list" in kind else [inner["key"], inner["value"]]:
                self.numbered(part)

    def found(self, wanted):
        """Where a field stands, as (the field, its siblings or None for a part of a list or map); within the key of a map none may change [SCH-11]."""
        def look(fields, siblings):
            for field in fields:
                if field["id"] == wanted:
                    return field, siblings
                kind = field["type"]
                inner = None
                if isinstance(kind, dict) and "struct" in kind:
                    inner = look(kind["struct"], kind["struct"])
                elif isinstance(kind, dict):
                    inner = look([kind["list"]] if "list" in kind else [kind["map"]["value"]], None)
                if inner:
                    return inner
            return None
        place = look(self.fields, self.fields)
        ensure(place, f"there is no field {wanted} that may change")
        return place

    def sibling(self, wanted):
        field, siblings = self.found(wanted)
        ensure(siblings is not None, "a part of a list or map")
        return field, siblings

    def place(self, siblings, field, position):
        if isinstance(position, dict):
            at = [sibling["id"] for sibling in siblings]
            ensure(position["after"] in at, "no sibling to stand after")
            siblings.insert(at.index(position["after"]) + 1, field)
        else:
            siblings.insert(0 if position == "first" else len(siblings), field)

    def add(self, given):
        field = Schema({"id": 0, "fields": [given["field"]]}).value["fields"][0]
        ensure(not field["required"] or "initial" in field, "a required field needs an initial default")
        self.numbered(field)
        siblings = self.fields
        if given.get("parent") is not None:
            kind = self.found(given["parent"])[0]["type"]
            ensure(isinstance(kind, dict) and "struct" in kind, "no struct to add fields to")
            siblings = kind["struct"]
        self.place(siblings, field, given["position"])

    def drop(self, wanted):
        field, siblings = self.sibling(wanted)
        siblings.remove(field)
        self.dropped |= ids_in([field])

    def rename(self, given):
        self.sibling(given[0])[0]["name"] = given[1]

    def move(self, given):
        field, siblings = self.sibling(given[0])
        if given[1] != {"after": given[0]}:
            siblings.remove(field)
            self.place(siblings, field, given[1])

    def widen(self, given):
        field, new = self.found(given[0])[0], primitive(given[1])
        ensure(isinstance(field["type"], str) and widens(primitive(field["type"]), new), "does not widen")
        for default in ("initial", "default"):
            if default in field:
                field[default] = promote(field[default], primitive(field["type"]), new)
                ensure(field[default] is not None, "a default without an image")
        field["type"] = given[1]

    def relax(self, wanted):
        self.found(wanted)[0]["required"] = False

    def set(self, member, given):
        field, value = self.found(given[0])[0], given[1]
        ensure("name" in field, "a part of a list or map")
        field[member] = value
        if member == "default" and value is None:
            del field[member]

    VERBS = {"add": add, "drop": drop, "rename": rename, "move": move, "widen": widen, "relax": relax,
             "set default": lambda self, given: self.set("default", given), "set doc": lambda self, given: self.set("doc", given)}


def merge_schemas(value):
    base, ours, theirs = (Schema(value[side]) for side in ("base", "ours", "theirs"))
    merge = Merge(base, ours, theirs)
    fields = merge.siblings(*(side.value["fields"] for side in (base, ours, theirs)))
    merge.same_names(fields)
    if merge.conflicts:
        return {"conflicts": merge.conflicts}
    dropped = set().union(*(side.dropped | set(side.by_id) for side in (base, ours, theirs))) - ids_in(fields)
    same = [side.value["id"] for side in (ours, theirs) if side.value["fields"] == fields and side.dropped == dropped]
    number = max(same) if same else max(ours.value["id"], theirs.value["id"]) + 1
    return {"merged": {"id": number, "fields": fields, "dropped": sorted(dropped)}}


def children(kind):
    """The fields within a type."""
    if isinstance(kind, str):
        return []
    if "struct" in kind:
        return kind["struct"]
    return [{**kind["list"], "name": "element"}] if "list" in kind else [{**kind["map"][part], "name": part} for part in ("key", "value")]


def ids_in(fields):
    return {field["id"] for field in fields}.union(*(ids_in(children(field["type"])) for field in fields))


def path_in(fields, wanted, above=()):
    """The names that lead to a field, with dots between; None if it is not there."""
    for field in fields:
        path = (*above, field["name"])
        found = ".".join(path) if field["id"] == wanted else path_in(children(field["type"]), wanted, path)
        if found is not None:
            return found
    return None


class Merge:
    def __init__(self, base, ours, theirs):
        self.base, self.ours, self.theirs = base, ours, theirs
        self.conflicts, self.unnamed = [], set()

    def report(self, kind, field):
        """A field is called as ours call it, else as theirs do; where both renamed it, as before."""
        known = [self.base] if kind == "name" else [self.ours, self.theirs]
        path = next(filter(None, (path_in(side.value["fields"], field) for side in known)))
        self.conflicts.append([field, path, kind])
        if kind in ("name", "added"):
            self.unnamed.add(field)

    def siblings(self, base, ours, theirs):
        sides = [{field["id"]: field for field in side} for side in (base, ours, theirs)]
        merged = (self.one(*(side.get(field) for side in sides)) for field in order(*(list(side) for side in sides)))
        return [field for field in merged if field is not None]

    def one(self, base, ours, theirs):
        if base and ours and theirs:
            return self.both(base, ours, theirs)
        kept = ours or theirs
        if base:
            if kept and kept != base:
                self.report("dropped", base["id"])
            return None
        if ours and theirs:
            if ours != theirs:
                self.report("added", ours["id"])
            return ours
        other = self.theirs if ours else self.ours
        if kept["id"] in other.dropped and kept["id"] not in self.base.dropped:
            self.report("dropped", kept["id"])
            return None
        return kept

    def both(self, base, ours, theirs):
        def pick(of, values=lambda value: value):
            return self.pick(of, base["id"], *(values(side.get(of)) for side in (base, ours, theirs)))
        merged = {"id": base["id"]}
        if "name" in base:
            merged["name"] = pick("name")
        kind = merged["type"] = self.types(base, ours, theirs)
        merged["required"] = pick("required")
        if "doc" in base:
            merged["doc"] = pick("doc")
        for default in ("initial", "default"):
            # A side that only widened the type has not changed the value.
            sides = [promoted(side, default, kind) for side in (base, ours, theirs)]
            found = self.pick(default, base["id"], *sides)
            if found is not None:
                merged[default] = found
        return merged

    def pick(self, kind, field, base, ours, theirs):
        if ours == base:
            return theirs
        if theirs not in (base, ours):
            self.report(kind, field)
        return ours

    def types(self, base, ours, theirs):
        kinds = [side["type"] for side in (base, ours, theirs)]
        if all(isinstance(kind, str) for kind in kinds):
            old, one, other = map(primitive, kinds)
            # Files of the other side may hold what the narrower type does not.
            if other == old and widens(one, old) or one == old and widens(other, old):
                return base["type"]
        elif all(isinstance(kind, dict) and "struct" in kind for kind in kinds):
            return {"struct": self.members(base["id"], *(kind["struct"] for kind in kinds))}
        elif all(isinstance(kind, dict) and "list" in kind for kind in kinds) and len({kind["list"]["id"] for kind in kinds}) == 1:
            return {"list": self.both(*(kind["list"] for kind in kinds))}
        elif all(isinstance(kind, dict) and "map" in kind for kind in kinds):
            parts = {part: [kind["map"][part] for kind in kinds] for part in ("key", "value")}
            if all(len({side["id"] for side in sides}) == 1 for sides in parts.values()):
                return {"map": {part: self.both(*sides) for part, sides in parts.items()}}
        return self.pick("type", base["id"], *kinds)

    def members(self, struct, base, ours, theirs):
        before = len(self.conflicts)
        fields = self.siblings(base, ours, theirs)
        if ours and theirs and not fields and len(self.conflicts) == before:
            self.report("emptied", struct)
        return fields

    def same_names(self, fields):
        seen = {}
        for field in fields:
            self.same_names(children(field["type"]))
            if field["id"] in self.unnamed:
                continue
            name = fold(field["name"])
            if name in seen:
                first = seen[name]
                ours = first if self.is_ours(first) else field
                self.report("same name", ours["id"])
            seen[name] = field

    def is_ours(self, field):
        path = path_in(self.ours.value["fields"], field["id"])
        return path is not None and path.split(".")[-1] == field["name"]


def promoted(field, default, kind):
    value = field.get(default)
    if value is None or not isinstance(kind, str):
        return value
    old, new = primitive(field["type"]), primitive(kind)
    found = promote(value, old, new) if widens(old, new) else value
    return value if found is None else found


def order(base, ours, theirs):
    """The ids of siblings as they stand in the merge [SCH-13]."""
    common = set(base) & set(ours) & set(theirs)
    kept = [[field for field in side if field in common] for side in (base, ours, theirs)]
    theirs_lead = ours == base or theirs != base and kept[1] == kept[0] != kept[2]
    lead, follow = (theirs, ours) if theirs_lead else (ours, theirs)
    return lead + [field for field in follow if field not in lead]


TOPICS = {"schema-edits": edit_schema, "schema-merges": merge_schemas}
