"""Split transforms: their text, the types that they take and give, and what they give for a value."""

import re
import struct
from datetime import date

from wire import Fault, TEXT, ensure, show

EPOCH = date(1970, 1, 1).toordinal()
CYCLE_YEARS, CYCLE_DAYS = 400, 146097

TRANSFORM_FORM = re.compile(r"identity|(?:bucket|truncate)\[([1-9][0-9]{0,9})\]|year|month|day|hour|void")
INSTANTS = ("timestamp", "timestamptz", "timestamp_ns", "timestamptz_ns")
TAKES = {
    "bucket": ("int", "long", "decimal", "date", "time", *INSTANTS, "string", "uuid", "fixed", "binary"),
    "truncate": ("int", "long", "decimal", "string", "binary"),
    "year": ("date", *INSTANTS), "month": ("date", *INSTANTS), "day": ("date", *INSTANTS), "hour": INSTANTS}
TRANSFORMS = ("identity", *TAKES, "void")


def transform(value):
    """A transform; another word than these may be a later version's [XFM-1, VER-8]."""
    if word(TEXT(value)) not in TRANSFORMS:
        raise Fault("unsupported", f"the transform {show(value)} is not known here")
    form = TRANSFORM_FORM.fullmatch(value)
    ensure(form and int(form[1] or 1) < 2**31, f"not a transform: {show(value)}")
    return value


def word(text):
    return text.split("[")[0]


def result_type(text, kind):
    """The type of what a transform gives for values of a type, or None if it takes no such values [XFM-2]."""
    if word(text) not in TAKES:
        return kind
    if kind[0] not in TAKES[word(text)]:
        return None
    return kind if word(text) == "truncate" else ("int",)


def apply(text, kind, value):
    """What a transform gives for a value in its JSON form [XFM-2]."""
    if result_type(text, kind) is None:
        raise Fault("invalid", f"{text} does not take {kind[0]}")
    if value is None or text == "void":
        return None
    if text == "identity":
        return value
    if word(text) == "bucket":
        return (murmur(hashed_bytes(kind, value)) & 0x7FFFFFFF) % argument(text)
    return truncated(argument(text), kind, value) if word(text) == "truncate" else since_epoch(text, kind, value)


def argument(text):
    return int(text[text.index("[") + 1:-1])


def hashed_bytes(kind, value):
    """The bytes that a bucket is made from [XFM-3]."""
    name = kind[0]
    if name == "decimal":
        number = unscaled(value)
        return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)
    if name in ("uuid", "fixed", "binary"):
        return bytes.fromhex(value.replace("-", ""))
    return value.encode("utf-8") if name == "string" else struct.pack("<q", value // 1000 if name.endswith("_ns") else value)


def unscaled(value):
    return int(value.replace(".", ""))


def murmur(data):
    """Murmur3 of 32 bits, the x86 variant, with seed 0 [XFM-3]."""
    mixed, whole = 0, len(data) & ~3
    for at in range(0, whole, 4):
        mixed = (rotate(mixed ^ scramble(int.from_bytes(data[at:at + 4], "little")), 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    mixed ^= scramble(int.from_bytes(data[whole:], "little")) ^ len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        mixed = (mixed ^ mixed >> shift) * factor & 0xFFFFFFFF
    return mixed


def scramble(block):
    return rotate(block * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF


def rotate(number, by):
    return (number << by | number >> 32 - by) & 0xFFFFFFFF


def truncated(width, kind, value):
    """The beginning of a text or of bytes; the next multiple at or below a number, wrapping at its type's end [XFM-4]."""
    if kind[0] == "string":
        return value[:width]
    if kind[0] == "binary":
        return value[:2 * width]
    if kind[0] == "decimal":
        return scaled(unscaled(value) - unscaled(value) % width, kind[2])
    half = 2**31 if kind[0] == "int" else 2**63
    return (value - value % width + half) % (2 * half) - half


def scaled(number, scale):
    digits = str(abs(number)).rjust(scale + 1, "0")
    return "-" * (number < 0) + (f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)


def since_epoch(text, kind, value):
    """Whole years, months, days or hours, rounded down [XFM-5]."""
    hours = value * 24 if kind[0] == "date" else value // (3_600_000_000_000 if kind[0].endswith("_ns") else 3_600_000_000)
    if text in ("day", "hour"):
        return hours // 24 if text == "day" else hours
    cycles, day = divmod(hours // 24 + EPOCH - 1, CYCLE_DAYS)  # years far away are the same as those of one whole cycle
    found = date.fromordinal(day + 1)
    years = cycles * CYCLE_YEARS + found.year - 1970
    return years if text == "year" else 12 * years + found.month - 1
