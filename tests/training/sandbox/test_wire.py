"""Plain data between judge and candidate: what arrives equals what was sent, and nothing else arrives."""

import collections
import datetime
import decimal
import fractions
import itertools
import json
import math
import os
import struct
from typing import Any

import pytest

from training.sandbox.inside import wire

VALUES: list[Any] = [
    None, True, False, 0, -1, 1 << 62, 1 << 63, -(1 << 63), 3**2000, 0.1, -0.0, math.inf, 1e308, 5e-324, "", "ünï\0",
    "\ud800", b"", b"\x00\xff", 1j, complex(math.inf, -0.0), [], [[], [[1]]], (), (1, (2, [3])), set(), {1, "a", (2,)},
    frozenset({frozenset()}), {}, {1: {"a": {None: [True]}}}, {(1, 2): 3, 1.5: 4, None: 5, b"k": 6}, range(0),
    range(9, -9, -2), range(1 << 70), collections.Counter("aab"), collections.OrderedDict(b=1, a=2),
    collections.deque([1, [2]]), decimal.Decimal("-0.10"), decimal.Decimal("1E+999999"), decimal.Decimal("Infinity"),
    fractions.Fraction(-(7**99), 3), datetime.datetime.max, datetime.date.min, datetime.time(23, 59, 59, 999999),
    datetime.datetime(2024, 10, 27, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=-5, minutes=30))),
    datetime.timedelta.min, datetime.timedelta(microseconds=-1), {"t": "int", "v": "1"}, [{"t": "opaque"}],
]  # fmt: skip


def crossed(value: Any) -> Any:
    """A value after its way through text."""
    return wire.decode(json.loads(json.dumps(wire.encode(value))))


@pytest.mark.parametrize("value", VALUES)
def test_a_value_arrives_as_it_was_sent(value: Any) -> None:
    """Equal, of the same type, and with the same types inside."""
    arrived = crossed(value)
    assert type(arrived) is type(value) and arrived == value and repr(arrived) == repr(value)


def test_what_is_no_number_arrives_as_such() -> None:
    assert math.isnan(crossed(math.nan)) and crossed(decimal.Decimal("NaN")).is_nan()


def test_a_subclass_arrives_as_its_base() -> None:
    """With its contents, whatever its methods say."""

    class Numbers(list[int]):
        def __iter__(self) -> Any:
            return iter([7])

        def __len__(self) -> int:
            return 0

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    class Text(str):
        def __str__(self) -> str:
            return "lie"

    class Names(dict[str, int]):
        def items(self) -> Any:
            return [("lie", 1)]

    point = collections.namedtuple("point", "x y")
    for value, base in ((Numbers([1, 2]), [1, 2]), (Text("a"), "a"), (Names(a=1), {"a": 1}), (point(1, 2), (1, 2))):
        assert type(crossed(value)) is type(base) and crossed(value) == base


def test_views_and_iterators_keep_their_nature() -> None:
    """They hold the same items and equal no list."""
    assert crossed({"a": 1}.keys()) == {"a"} and list(crossed({"a": 1}.items())) == [("a", 1)]
    assert list(crossed({"a": [1]}.values())) == [[1]]
    for value in (iter([1, 2]), (number for number in (1, 2)), map(int, "12"), iter((1, 2)), zip([1, 2], strict=True)):
        arrived = crossed(value)
        assert arrived != [1, 2] and iter(arrived) is arrived and len(list(arrived)) == 2


@pytest.mark.parametrize("value", [object(), print, int, os, lambda: 1, Exception("x"), NotImplemented, ...])
def test_what_is_no_data_equals_nothing(value: Any) -> None:
    """Not even itself; it is true, has no hash, and its text names its type."""
    arrived = crossed(value)
    assert isinstance(arrived, wire.Opaque) and arrived and type(value).__qualname__ in repr(arrived)
    again = arrived
    assert arrived not in ([], value, None) and arrived != again and again is arrived
    with pytest.raises(TypeError, match="unhashable"):
        hash(arrived)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_depth_has_an_end() -> None:
    """Far from where Python's own recursion ends; a value that holds itself has no depth at all."""
    assert crossed(nested(wire.DEPTH - 1)) == nested(wire.DEPTH - 1)
    circle: list[Any] = []
    circle.append(circle)
    for value in (nested(wire.DEPTH + 1), circle, {"a": circle}):
        with pytest.raises(wire.NotPlain, match="nested too deep"):
            wire.encode(value)


def test_every_kind_of_container_may_be_as_deep() -> None:
    """None needs so much of the stack that it ends earlier."""
    for wrap in (
        lambda value: (value,), lambda value: {"a": value}, lambda value: collections.deque([value]),
        lambda value: frozenset([value]), lambda value: iter([value]), lambda value: collections.OrderedDict(a=value),
    ):  # fmt: skip
        value: Any = 1
        for _ in range(wire.DEPTH - 1):
            value = wrap(value)
        crossed(value)


def test_the_number_of_items_has_an_end() -> None:
    """Also of an iterator that has none."""
    assert len(crossed([None] * wire.ITEMS)) == wire.ITEMS
    for value in ([None] * (wire.ITEMS + 1), itertools.repeat(None)):
        with pytest.raises(wire.NotPlain, match=f"more than {wire.ITEMS} items"):
            wire.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        {}, {"t": "int"}, {"v": 1}, {"t": "int", "v": "x"}, {"t": "int", "v": 1}, {"t": "eval", "v": "1"},
        {"t": [], "v": 1},
        {"t": "dict", "v": [[1]]}, {"t": "dict", "v": [[[], 1]]}, {"t": "set", "v": [[]]}, {"t": "bytes", "v": "zz"},
        {"t": "range", "v": [1, 2, 0]}, {"t": "complex", "v": ["a", []]}, {"t": "datetime", "v": "never"},
        {"t": "Fraction", "v": [1, 2]}, {"t": "timedelta", "v": ["a"]}, {"t": None, "v": None},
    ],
)  # fmt: skip
def test_what_is_never_sent_is_not_decoded(data: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        wire.decode(data)


# --- frames -----------------------------------------------------------------------------------------------------------


def received(contents: bytes) -> Any:
    """What a reader makes of these bytes and the end of the stream after them."""
    reader, writer = os.pipe()
    try:
        os.write(writer, contents)
        os.close(writer)
        return wire.receive(reader)
    finally:
        os.close(reader)


def framed(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def test_a_message_arrives_in_one_piece() -> None:
    """One after the other, also when they are larger than what a pipe holds."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        for message in ({"a": [1, "ü\ud800"]}, ["x" * (1 << 20)], None):
            wire.send(writer, message)
        os._exit(0)
    os.close(writer)
    assert wire.receive(reader) == {"a": [1, "ü\ud800"]}
    assert wire.receive(reader) == ["x" * (1 << 20)]
    assert [wire.receive(reader), wire.receive(reader)] == [None, None]
    os.close(reader)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("contents", [b"", b"\0", b"\5\0\0", framed(b"[1]")[:-1], b"\5\0\0\0"])
def test_a_stream_that_ends_early_is_an_end(contents: bytes) -> None:
    assert received(contents) is None


@pytest.mark.parametrize(
    "contents",
    [
        framed(b""), framed(b"nonsense"), framed(b"\xff\xfe"), framed(b"{'a': 1}"), framed(b"[1] [2]"),
        framed(b"[" * 60_000), framed(b"1" * 5000), b"\xff\xff\xff\xff",
        struct.pack("<I", wire.FRAME_BYTES + 1),
    ],
)  # fmt: skip
def test_malformed_bytes_are_told(contents: bytes) -> None:
    """Before anything of a frame that is too large is read."""
    with pytest.raises(wire.Malformed):
        received(contents)


def test_a_message_that_is_too_large_is_not_sent() -> None:
    """Which is told before that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(wire.NotPlain, match=f"larger than {wire.FRAME_BYTES} bytes"):
        wire.send(writer, "x" * wire.FRAME_BYTES)
    with pytest.raises(BrokenPipeError):
        wire.send(writer, "x" * 10)
    os.close(writer)
