"""Headings and blocks of text in, chunks out: one a section, long ones split at paragraphs; then documents.

An id holds the file's path and the headings above the text. Where these are the same (the rest of a long section, a
heading used twice), the later ones also hold a hash of their text, so that no id depends on its neighbours.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import PurePosixPath

from index.documents import Document, Kind
from index.sources.checkout import Origin

EMBEDDED = re.compile(r"(data:[\w.+-]+/[\w.+-]+;base64,)[A-Za-z0-9+/=]+")


@dataclass(frozen=True)
class Block:
    """A heading of some level from 1, or, of level 0, text that is not split without need; lines count from 1.

    One that begins something new is not put into a chunk with what stands before it.
    """

    text: str
    first_line: int
    last_line: int
    level: int = 0
    begins: bool = False


@dataclass(frozen=True)
class Chunk:
    """Consecutive blocks below the same headings."""

    headings: tuple[str, ...]
    text: str
    first_line: int
    last_line: int


def chunks(blocks: Iterable[Block], limit: int) -> Iterator[Chunk]:
    """The sections of a text, each cut into chunks of at most `limit` characters."""
    headings: list[Block] = []
    body: list[Block] = []
    for block in blocks:
        if block.level:
            yield from packed(headings, body, limit)
            headings = [*(heading for heading in headings if heading.level < block.level), block]
            body = []
        else:
            body.append(block)
    yield from packed(headings, body, limit)


def packed(headings: Sequence[Block], blocks: Iterable[Block], limit: int) -> Iterator[Chunk]:
    """One section's blocks in as few chunks as their order allows."""
    path = tuple(heading.text for heading in headings if heading.text)
    group: list[Block] = []
    length = 0
    for piece in chain.from_iterable(pieces(block, limit) for block in blocks):
        if group and (piece.begins or length + len(piece.text) > limit):
            yield joined(path, group)
            group, length = [], 0
        group.append(piece)
        length += len(piece.text)
    if group:
        yield joined(path, group)


def joined(path: tuple[str, ...], group: Sequence[Block]) -> Chunk:
    """Blocks as one chunk, a blank line between them."""
    text = "\n\n".join(block.text for block in group)
    return Chunk(path, text, group[0].first_line, group[-1].last_line)


def pieces(block: Block, limit: int) -> Iterator[Block]:
    """A block whole, or by lines where it is longer than `limit`; a line that is longer yet is cut between words."""
    lines = EMBEDDED.sub(r"\1", block.text).split("\n")
    line_by_line = len(lines) == block.last_line - block.first_line + 1  # not so for prose in a notebook, which is JSON
    start = 0
    for end in ends(lines, limit):
        part = block
        if line_by_line:
            part = replace(block, first_line=block.first_line + start, last_line=block.first_line + end - 1)
        for text in cut("\n".join(lines[start:end]), limit):
            yield replace(part, text=text)
        start = end


def ends(lines: Sequence[str], limit: int) -> Iterator[int]:
    """Where to cut a list of lines: as many together as `limit` characters allow, at least one."""
    length = 0
    for number, line in enumerate(lines):
        if length and length + len(line) > limit:
            yield number
            length = 0
        length += len(line) + 1
    yield len(lines)


def cut(text: str, limit: int) -> Iterator[str]:
    """A text in pieces of at most `limit` characters, cut after a space where there is one."""
    start = 0
    while len(text) - start > limit:
        end = text.rfind(" ", start, start + limit) + 1 or start + limit
        yield text[start:end]
        start = end
    yield text[start:]


def section_documents(chunked: Iterable[Chunk], path: str, prefix: str, origin: Origin, kind: Kind) -> list[Document]:
    """The documents of one file; a chunk without text is none."""
    found: dict[str, Document] = {}
    for chunk in chunked:
        if not chunk.text.strip():
            continue
        symbol = " > ".join(chunk.headings)
        id_ = f"{prefix}:{path}#{symbol}" if symbol else f"{prefix}:{path}"
        symbol = symbol or PurePosixPath(path).with_suffix("").as_posix()
        text = f"{symbol}\n{chunk.text.strip()}"
        id_ = unused(id_, text, found)
        found[id_] = Document(
            id_, text, origin.source, origin.licence, kind, symbol, path, chunk.first_line, chunk.last_line
        )
    return list(found.values())


def unused(id_: str, text: str, taken: dict[str, Document]) -> str:
    """The id, with a hash of the text where it is taken, and a number where even that is."""
    if id_ not in taken:
        return id_
    twin = f"{id_}~{hashlib.sha256(text.encode(errors='backslashreplace')).hexdigest()[:8]}"
    numbered = (f"{twin}-{number}" for number in range(2, len(taken) + 3))
    return twin if twin not in taken else next(name for name in numbered if name not in taken)
