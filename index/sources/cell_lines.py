"""The text of a notebook in, the lines of each cell's source out: json gives values, and no positions.

The text must be JSON that was read before, with a list of objects as its "cells".
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator

DECODE = json.JSONDecoder().raw_decode
BETWEEN = re.compile(r"[\s:,]*")


def cell_lines(text: str) -> list[tuple[int, int]]:
    """First and last line of the "source" of every cell, in their order."""
    line_ends = [match.start() for match in re.finditer("\n", text)]
    cells = dict(members(text, text.index("{")))["cells"]
    spans = [dict(members(text, start))["source"] for start, _ in elements(text, cells[0])]
    return [(bisect_right(line_ends, start) + 1, bisect_right(line_ends, end - 1) + 1) for start, end in spans]


def members(text: str, start: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Key, and start and end of the value, of each member of the object that starts at a position."""
    position = after(text, start + 1)
    while text[position] != "}":
        key, position = DECODE(text, position)
        value = after(text, position)
        _, position = DECODE(text, value)
        yield key, (value, position)
        position = after(text, position)


def elements(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Start and end of each element of the list that starts at a position."""
    position = after(text, start + 1)
    while text[position] != "]":
        _, end = DECODE(text, position)
        yield position, end
        position = after(text, end)


def after(text: str, position: int) -> int:
    """The position of the next value, key or bracket."""
    match = BETWEEN.match(text, position)
    return match.end() if match else position
