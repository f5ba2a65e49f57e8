"""Plain data in frames over a stream: what judge and candidate may say to each other.

Only data crosses: numbers, text, containers, dates. A subclass arrives as its base with its contents, an iterator as an
iterator over at most ITEMS items, anything else as an Opaque that equals nothing. So no method a candidate overrides
(`__eq__`, `__bool__`) can ever run where it is judged. JSON, because its reader builds nothing but data.
"""

import collections
import datetime
import decimal
import fractions
import itertools
import json
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

FRAME_BYTES = 32 << 20
DEPTH = 200
ITEMS = 2_000_000
HEADER = struct.Struct("<I")
JSON = json.JSONEncoder(check_circular=False)
SMALL = 1 << 63
# What a call may change of what it is given.
CHANGEABLE = (list, dict, set, collections.deque)


class NotPlain(Exception):
    """A value that cannot cross, such as a function given as an argument."""


class Malformed(Exception):
    """Bytes that no honest sender would have sent."""


class Opaque:
    """Stands for a value that is no data: equal to nothing, true like any object."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, other: object) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<{self._name} object>"


def pairs(value: Any, depth: int) -> list[Any]:
    """A mapping as a list of key and value."""
    return [[encode(key, depth), encode(item, depth)] for key, item in dict.items(value)]


def sequence(value: Any, depth: int) -> list[Any]:
    """The items of an iterable; raises NotPlain when there are too many."""
    items = [encode(item, depth) for item in itertools.islice(value, ITEMS + 1)]
    if len(items) > ITEMS:
        raise NotPlain(f"more than {ITEMS} items")
    return items


def delta(value: datetime.timedelta) -> list[int]:
    """A duration's three parts."""
    return [value.days, value.seconds, value.microseconds]


# First match wins: subclasses stand before their bases.
ENCODERS: tuple[tuple[type | tuple[type, ...], str, Callable[[Any, int], Any]], ...] = (
    (collections.Counter, "Counter", pairs),
    (collections.OrderedDict, "OrderedDict", pairs),
    (dict, "dict", pairs),
    (tuple, "tuple", sequence),
    (frozenset, "frozenset", sequence),
    (set, "set", sequence),
    (collections.deque, "deque", sequence),
    ((bytes, bytearray), "bytes", lambda value, depth: bytes(value).hex()),
    (complex, "complex", lambda value, depth: [value.real, value.imag]),
    (range, "range", lambda value, depth: [value.start, value.stop, value.step]),
    (decimal.Decimal, "Decimal", lambda value, depth: str(value)),
    (fractions.Fraction, "Fraction", lambda value, depth: [hex(value.numerator), hex(value.denominator)]),
    (datetime.datetime, "datetime", lambda value, depth: datetime.datetime.isoformat(value)),
    (datetime.date, "date", lambda value, depth: datetime.date.isoformat(value)),
    (datetime.time, "time", lambda value, depth: datetime.time.isoformat(value)),
    (datetime.timedelta, "timedelta", lambda value, depth: delta(value)),
    (type({}.keys()), "keys", sequence),
    (type({}.values()), "values", sequence),
    (type({}.items()), "items", sequence),
    (Iterator, "iterator", sequence),
)


def encode(value: Any, depth: int = 0) -> Any:
    """A value as JSON data; raises NotPlain on what is nested too deep or holds too much."""
    kind = type(value)
    if kind is str or kind is bool or kind is float or value is None:
        return value
    if isinstance(value, int):
        number = int(value) if kind is not bool else value
        return number if -SMALL < number < SMALL else {"t": "int", "v": hex(number)}
    if depth > DEPTH:
        raise NotPlain("nested too deep")
    if kind is list or isinstance(value, list):
        return sequence(list.__iter__(value), depth + 1)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float(value)
    for types, tag, encoder in ENCODERS:
        if isinstance(value, types):
            return {"t": tag, "v": encoder(value, depth + 1)}
    if kind.__module__.split(".")[0] == "numpy" and hasattr(value, "tolist"):
        return encode(value.tolist(), depth + 1)
    return {"t": "opaque", "v": f"{kind.__module__}.{kind.__qualname__}"[:200]}


def mapping(items: Any) -> list[tuple[Any, Any]]:
    """Pairs back into keys and values."""
    return [(decode(key), decode(value)) for key, value in items]


def values(items: Any) -> list[Any]:
    """A list of decoded items."""
    return [decode(item) for item in items]


DECODERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda v: int(v, 16),
    "Counter": lambda v: collections.Counter(dict(mapping(v))),
    "OrderedDict": lambda v: collections.OrderedDict(mapping(v)),
    "dict": lambda v: dict(mapping(v)),
    "tuple": lambda v: tuple(values(v)),
    "frozenset": lambda v: frozenset(values(v)),
    "set": lambda v: set(values(v)),
    "deque": lambda v: collections.deque(values(v)),
    "bytes": bytes.fromhex,
    "complex": lambda v: complex(*v),
    "range": lambda v: range(*v),
    "Decimal": decimal.Decimal,
    "Fraction": lambda v: fractions.Fraction(int(v[0], 16), int(v[1], 16)),
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda v: datetime.timedelta(*v),
    "keys": lambda v: dict.fromkeys(values(v)).keys(),
    "values": lambda v: dict(enumerate(values(v))).values(),
    "items": lambda v: dict(values(v)).items(),
    "iterator": lambda v: iter(values(v)),
    "opaque": lambda v: Opaque(str(v)),
}


def decode(data: Any) -> Any:
    """Data back into a value; raises KeyError, TypeError or ValueError on what `encode` never writes."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if isinstance(data, dict):
        return DECODERS[data["t"]](data["v"])
    return data


def send(descriptor: int, message: Any) -> None:
    """Write one frame; raises NotPlain when it is too large, OSError when nobody reads any more."""
    send_text(descriptor, JSON.encode(message))


def send_text(descriptor: int, text: str) -> None:
    """Write one frame of JSON; raises as `send` does."""
    body = text.encode()
    if len(body) > FRAME_BYTES:
        raise NotPlain(f"larger than {FRAME_BYTES} bytes")
    rest = memoryview(HEADER.pack(len(body)) + body)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def receive(descriptor: int) -> Any:
    """Read one frame; None at the end of the stream; raises Malformed."""
    header = read_exactly(descriptor, HEADER.size)
    if header is None:
        return None
    (size,) = HEADER.unpack(header)
    if size > FRAME_BYTES:
        raise Malformed(f"frame of {size} bytes")
    body = read_exactly(descriptor, size)
    if body is None:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error


def read_exactly(descriptor: int, size: int) -> bytes | None:
    """`size` bytes, or None when the stream ends before."""
    parts = []
    while size:
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
