"""From bytes that may be hostile to checked values: JSON text, scalars, names, paths, and the folder's objects.

Every parser here takes one value and returns it checked, or raises `Fault`. `record`, `listing` and `mapping` build
parsers out of parsers, so a wire object is a table of its members. What the members mean together stands in `lake`.
"""

import json
import math
import os
import re
import unicodedata

import blake3
import zstandard

FORMAT = 1
MAX_META = 64 << 20
MAX_REF = 1 << 20
MAX_DEPTH = 64
COMPRESS_ABOVE = 4096
MAX_WINDOW = 128 << 20


class Number(float):
    """A number that is no integer, with its text, because a `float` is rounded from the decimal and not from a double."""

    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = text
        return number


class Fault(Exception):
    """One thing that is wrong: its kind as the spec names it, what, and in which object."""

    def __init__(self, kind, message, place=None):
        super().__init__(message)
        self.kind, self.message, self.place = kind, message, place

    def at(self, name):
        """The same fault, said to be in the member `name`."""
        return Fault(self.kind, f"{name}: {self.message}", self.place)


def ensure(holds, message):
    """Refuses what breaks a rule of the spec."""
    if not holds:
        raise Fault("malformed", message)


def show(value):
    """The beginning of a value, for a message."""
    return repr(value)[:80]


# JSON text [JSON-1..7]


def parse_json(data, limit=MAX_META):
    """One JSON object: bounded before it is parsed, no repeated member, nothing behind it, no number out of range."""
    if len(data) > limit:
        raise Fault("too-large", f"{len(data)} bytes of JSON, the limit is {limit}")
    check_depth(data)
    try:
        text = data.decode("utf-8")
        value = DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
    except ValueError as error:
        raise Fault("malformed", f"not JSON: {error}") from None
    ensure(isinstance(value, dict), "not a JSON object")
    return value


TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def check_depth(data):
    depth = 0
    for token in TOKENS.finditer(data):
        depth += {91: 1, 123: 1, 93: -1, 125: -1}.get(data[token.start()], 0)
        if depth > MAX_DEPTH:
            raise Fault("too-large", f"JSON nested deeper than {MAX_DEPTH}")


def unique(pairs):
    members = dict(pairs)
    ensure(len(members) == len(pairs), "a member is repeated")
    return members


def whole(text):
    """An exact integer; `-0` is no integer, and what has more digits than 64 bits hold is none either."""
    return int(text) if text != "-0" and len(text) <= 20 else finite(text)


def finite(text):
    number = Number(text)
    ensure(math.isfinite(number), f"the number {text[:40]} is out of range")
    return number


def no_constant(text):
    raise Fault("malformed", f"{text} is no JSON")


DECODER = json.JSONDecoder(
    object_pairs_hook=unique, parse_int=whole, parse_float=finite, parse_constant=no_constant)


def raw_members(text, at):
    """Name and exact text of each member of the object at `at`, in well-formed text: what the pack's hashes cover."""
    space = re.compile(r"[ \t\r\n:,]*")
    at = space.match(text, at + 1).end()
    while text[at] != "}":
        name, at = DECODER.raw_decode(text, at)
        at = space.match(text, at).end()
        _, end = DECODER.raw_decode(text, at)
        yield name, at, end
        at = space.match(text, end).end()


def check_header(value, kind):
    """Every object says its format and its kind [VER-2, VER-3]; a required feature goes before all other faults [VER-6]."""
    version, found = value.get("format"), value.get("kind")
    ensure(type(version) is int and 0 <= version < 2**64, "has no format")
    if version != FORMAT:
        raise Fault("unsupported", f"format version {version} is not known here, which is {FORMAT}")
    if kind in ("pointer", "tag", "lake"):
        check_known(value.get("features"))
    ensure(found == kind, f"expected kind {kind}, found {show(found)}")


# Parsers


def record(members):
    """Objects, each member by its own parser. Members that are not known are ignored [JSON-2, JSON-7]."""
    def parse(value):
        ensure(isinstance(value, dict), f"not an object: {show(value)}")
        return {name: read_member(value, name, parser) for name, parser in members.items()}
    return parse


def read_member(value, name, parser):
    if name not in value:
        ensure(hasattr(parser, "default"), f"has no member {name!r}")
        return parser.default
    try:
        return parser(value[name])
    except Fault as fault:
        raise fault.at(name) from None


def optional(parser, default=None):
    """A member that may be left out, or be `null`, which says the same [JSON-9]."""
    def parse(value):
        return default if value is None else parser(value)
    parse.default, parse.present = default, parser
    return parse


def listing(parser):
    """Arrays."""
    def parse(value):
        ensure(isinstance(value, list), f"not an array: {show(value)}")
        return [parser(item) for item in value]
    return parse


def mapping(parser):
    """Objects whose member names are data."""
    def parse(value):
        ensure(isinstance(value, dict), f"not an object: {show(value)}")
        return {name: parser(item) for name, item in value.items()}
    return parse


def integer(low, high):
    """Exact integers within bounds."""
    def parse(value):
        ensure(type(value) is int and low <= value <= high, f"not an integer from {low} to {high}: {show(value)}")
        return value
    return parse


def matching(pattern, what):
    """Strings of one form."""
    compiled = re.compile(pattern)
    def parse(value):
        ensure(isinstance(value, str) and compiled.fullmatch(value), f"not {what}: {show(value)}")
        return value
    return parse


def choice(*values):
    """One of these strings; another one is a later version's [VER-8]."""
    def parse(value):
        if TEXT(value) not in values:
            raise Fault("unsupported", f"not one of {', '.join(values)}: {show(value)}")
        return value
    return parse


def bounded(most, least=0):
    """Texts by their length in bytes of UTF-8 [TEXT-1]."""
    def parse(value):
        size = len(TEXT(value).encode("utf-8"))
        ensure(least <= size <= most, f"a text of {size} bytes, not {least} to {most}: {show(value)}")
        return value
    return parse


def properties(most):
    """Properties: strings by names without control characters [PROP]."""
    def parse(value):
        found = mapping(bounded(4096))(value)
        ensure(len(found) <= most, f"{len(found)} properties, the limit is {most}")
        for name in found:
            ensure(not has_controls(bounded(255, 1)(name)), f"a property's key has a control character: {show(name)}")
        return found
    return parse


def has_controls(text):
    return any(unicodedata.category(char) == "Cc" for char in text)


def typed(kind, what):
    def parse(value):
        ensure(isinstance(value, kind), f"not {what}: {show(value)}")
        return value
    return parse


TEXT, BOOLEAN, OBJECT = typed(str, "a string"), typed(bool, "a boolean"), typed(dict, "an object")
U64 = integer(0, 2**64 - 1)
HASH = matching("[0-9a-f]{64}", "a hash")
HEX32 = matching("[0-9a-f]{32}", "32 lower-case hex digits")
UUID = matching("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "a lower-case hyphenated UUID")
SIZE = integer(1, 2**64 - 1)
REF = record({"hash": HASH, "era": U64, "size": SIZE})
TIME_FORM = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]{6}Z")


def time(value):
    """The canonical text of an instant; texts are ordered as the instants are [TIME-1, TIME-2]."""
    form = TIME_FORM.fullmatch(value) if isinstance(value, str) else None
    ensure(form, f"not a time like 2026-01-02T03:04:05.000006Z: {show(value)}")
    year, month, day, hour, minute, second = map(int, form.groups())
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    fits = 1 <= month <= 12 and 1 <= day <= days[month - 1] and hour < 24 and minute < 60 and second < 60
    ensure(fits and value <= "9999-12-30T21:59:59.999999Z", f"no such time: {value}")
    return value


FEATURE = matching("[a-z0-9-]{1,64}", "a feature name")


def check_known(value):
    """Refuses a `read` feature, of which version 1 has none, whatever else is wrong [VER-6]."""
    names = value.get("read") if isinstance(value, dict) else None
    names = names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
    for name in names:
        if re.fullmatch("[a-z0-9-]{1,64}", name):
            raise Fault("unsupported", f"the read feature {name} is not known here")


def names_once(value):
    """Names of features, each once [VER-4, VER-5]."""
    names = listing(FEATURE)(value)
    ensure(len(set(names)) == len(names) <= 64, "a feature stands twice, or there are more than 64")
    return names


FEATURES = record({"read": names_once, "write": names_once})


def features(value):
    """The features in force, as far as their form goes [VER-4, VER-5]."""
    check_known(value)
    return FEATURES(value)


# Names [NAME-1..8]


def fold(name):
    """What two names share when they differ only in case or in how their accents are written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def refuse_name(broken, why):
    if broken:
        raise Fault("invalid", f"the name {why}")


def check_name(name):
    """What holds for every name."""
    refuse_name(not name, "is empty")
    refuse_name(len(name.encode("utf-8")) > 255, "is longer than 255 bytes")
    refuse_name(has_controls(name), "has a control character")
    refuse_name(name != name.strip(), "begins or ends with a space")
    return name


def check_ref_name(name):
    """The name of a branch or tag."""
    return check_ref_parts(check_name(name))


def check_ref_parts(name):
    refuse_name(any(char.isspace() for char in name), "has a space")
    refuse_name(any(char in "~^:?*[]\\@{}#%\"'<>|$`=," for char in name), "has a reserved character")
    refuse_name(".." in name, "has two dots in a row")
    for part in name.split("/"):
        refuse_name(not part or part[0] in ".-" or part[-1] == ".", "has an empty part or a part with a dot or dash at its edge")
        refuse_name(fold(part).endswith((".json", ".lock")), "has a part that ends in .json or .lock")
        refuse_name(len(escape(fold(part))) > 255 - len(".json.lock"), "has a part too long for a file name")
    return name


def check_table_name(name):
    """The full name of a table, view or namespace."""
    check_name(name)
    refuse_name(any(char in "$@/\\" for char in name), "has one of $ @ / \\")
    refuse_name(any(not part or part != part.strip() for part in name.split(".")), "has an empty part or a space at a dot")
    return name


def keyed_too(check):
    """A name and its key both follow the rules [NAME-10]."""
    def parse(name):
        check(fold(check(name)))
        return name
    return parse


check_ref_name, check_table_name, check_column_name = map(keyed_too, (check_ref_name, check_table_name, check_name))


def stored(check):
    """A name in stored bytes: what is invalid in a call is malformed there."""
    def parse(value):
        try:
            return check(TEXT(value))
        except Fault as fault:
            raise Fault("malformed", f"{fault.message}: {show(value)}") from None
    return parse


REF_NAME, TABLE_NAME, COLUMN_NAME = stored(check_ref_name), stored(check_table_name), stored(check_column_name)


# Paths [PATH-1..6]


def escape(key):
    """A folded name as part of a path."""
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789._-/"
    return "".join(chr(byte) if byte in plain else f"={byte:02x}" for byte in key.encode("utf-8"))


def unescape(text):
    """The folded name of a path, or None if no name has that path."""
    try:
        data = re.sub(rb"=([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode("utf-8"))
        key = data.decode("utf-8")
        return check_ref_parts(key) if escape(key) == text and fold(key) == key else None
    except (ValueError, Fault):
        return None


def ref_path(folder, name):
    return f"refs/{folder}/{escape(fold(name))}.json"


def keyed(ref):
    return f"{ref['hash'][:2]}/{ref['hash']}-{ref['era']}"


def meta_path(ref):
    return f"meta/{keyed(ref)}.json" + (".zst" if ref["size"] > COMPRESS_ABOVE else "")


def data_path(table, ref, suffix):
    return f"data/{table}/{keyed(ref)}.{suffix}"



META_PATH = re.compile(r"meta/(..)/([0-9a-f]{64})-(0|[1-9][0-9]{0,19})\.json(?:\.zst)?")
DATA_PATH = re.compile(r"data/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(..)/([0-9a-f]{64})-(0|[1-9][0-9]{0,19})\.(?:parquet|dv)")


def classify(path):
    """What an object's path says about it: lake, branches, tags, meta, data, or None for a foreign object."""
    if path == "lake.json":
        return "lake"
    folder = path.split("/")[1] if path.startswith(("refs/branches/", "refs/tags/")) else None
    if folder:
        key = unescape(path[len(f"refs/{folder}/"):-len(".json")])
        return folder if path.endswith(".json") and key else None
    for kind, form in (("meta", META_PATH), ("data", DATA_PATH)):
        found = form.fullmatch(path)
        if found:
            prefix, digest, era = found.groups()[-3:]
            return kind if digest.startswith(prefix) and int(era) < 2**64 else None
    return None


def is_scratch(path):
    """Scratch files and the lock files beside pointers are nobody's objects."""
    return path.startswith("tmp/") or path.startswith("refs/") and path.endswith(".json.lock")


class Folder:
    """The objects of a lake in a folder: each read whole, bounded, and held against its hash before it is parsed."""

    def __init__(self, root):
        self.root = root
        self.counters = {"objects_verified": 0, "bytes_verified": 0}
        self.seen = {}

    def listing(self):
        """All files, as sorted paths relative to the lake's root."""
        files = (os.path.relpath(os.path.join(folder, name), self.root)
                 for folder, _, names in os.walk(self.root) for name in names)
        return sorted(path.replace(os.sep, "/") for path in files)

    def open(self, path):
        try:
            full = os.path.join(self.root, *path.split("/"))
            if os.path.exists(full) and not os.path.isfile(full):
                raise Fault("malformed", "not a regular file")
            return open(full, "rb")
        except OSError as error:
            raise Fault("missing", f"cannot be read: {error.strerror}") from None

    def read(self, path, limit, kind):
        """A whole file; what is longer than its bound is a fault of this kind [REFR-3]."""
        with self.open(path) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Fault(kind, f"longer than {limit} bytes")
        return data

    def ref_text(self, path):
        """The text of lake.json, a pointer or a tag, which no hash protects."""
        return self.read(path, MAX_REF, "too-large")

    def meta(self, ref, kind):
        """A metadata object: the hash is over the text, before it is parsed [HASH-1, HASH-3]."""
        path = meta_path(ref)
        try:
            if path not in self.seen:
                self.seen[path] = self.verified_text(path, ref)
            if self.seen[path][0] != ref["size"]:
                raise Fault("corrupt", f"its size is {self.seen[path][0]}, a reference says {ref['size']}")
            check_header(self.seen[path][1], kind)
            return self.seen[path][1]
        except Fault as fault:
            raise Fault(fault.kind, fault.message, path) from None

    def verified_text(self, path, ref):
        if ref["size"] > MAX_META:
            raise Fault("too-large", f"{ref['size']} bytes of JSON, the limit is {MAX_META}")
        compressed = ref["size"] > COMPRESS_ABOVE
        data = self.read(path, ref["size"] + ref["size"] // 128 + 1024 if compressed else ref["size"], "corrupt")
        text = decompress(data, ref["size"]) if compressed else data
        self.check_hash(ref, blake3.blake3(text).hexdigest(), len(text))
        return len(text), parse_json(text)

    def data(self, path, ref):
        """A data file or deletion vector, hashed whole in pieces."""
        if path in self.seen:
            return
        hasher, size = blake3.blake3(), 0
        try:
            with self.open(path) as file:
                for piece in iter(lambda: file.read(1 << 20), b""):
                    hasher.update(piece)
                    size += len(piece)
            self.check_hash(ref, hasher.hexdigest(), size)
        except Fault as fault:
            raise Fault(fault.kind, fault.message, path) from None
        self.seen[path] = True

    def check_hash(self, ref, found, size):
        if found != ref["hash"] or size != ref["size"]:
            raise Fault("corrupt", f"expected hash {ref['hash']} over {ref['size']} bytes, found {found} over {size}")
        self.counters["objects_verified"] += 1
        self.counters["bytes_verified"] += size


def check_frame(data):
    """One zstd frame with nothing behind it, in a window that is not too large; its blocks say where it ends."""
    if data[:4] != b"\x28\xb5\x2f\xfd":
        raise Fault("corrupt", "not zstd")
    header = zstandard.get_frame_parameters(data)
    at, last = zstandard.frame_header_size(data), False
    while not last:
        block = int.from_bytes(data[at:at + 3], "little")
        last, is_run = block & 1, block >> 1 & 3 == 1
        at += 3 + (1 if is_run else block >> 3)
        if at > len(data):
            raise Fault("corrupt", "the frame is cut off")
    if at + 4 * header.has_checksum != len(data):
        raise Fault("corrupt", "not exactly one frame")
    single = data[4] >> 5 & 1
    if not single and header.window_size > MAX_WINDOW:
        raise Fault("corrupt", f"the frame asks for a window of {header.window_size} bytes")


def decompress(data, size):
    """At most `size` bytes and one more: a bomb never unfolds [PATH-7]."""
    try:
        check_frame(data)
        with zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(data) as stream:
            text = stream.read(size + 1)
    except zstandard.ZstdError as error:
        raise Fault("corrupt", f"not zstd: {error}") from None
    if len(text) != size:
        raise Fault("corrupt", f"unfolds to {'more than ' * (len(text) > size)}{min(len(text), size)} bytes, expected {size}")
    return text
