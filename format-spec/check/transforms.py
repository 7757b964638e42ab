"""Split transforms: their text, and the types that they take and give."""

import re

from wire import Fault, TEXT, ensure, show

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
