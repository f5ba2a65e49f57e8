"""JSON lines in, one document a line out: the config names the keys that hold text, id and symbol."""

import hashlib
from collections.abc import Mapping
from typing import Any

from index.documents import Document
from index.errors import CorpusError
from index.sources.config import LinesSource
from index.sources.json_lines import json_lines, refused
from index.sources.left_out import LeftOut


def line_documents(source: LinesSource) -> list[Document]:
    """Read a file of JSON lines; lines without text, and without ids those of the same text, are told and left out.

    Raises CorpusError naming the line that lacks a key, holds no text there, or repeats an id.
    """
    left = LeftOut(source.label)
    found: dict[str, Document] = {}
    for number, line in json_lines(source):
        document = line_document(source, number, line)
        if not document.text.strip():
            left.add("lines without text", f"line {number}")
        elif not source.id and document.id in found:
            left.add("lines of the same text as an earlier one", f"line {number}")
        elif twin := found.get(document.id):
            what = f'repeats the id "{document.id}" of line {twin.first_line}'
            raise refused(source, number, what, "name another key as id, or delete one of the lines")
        else:
            found[document.id] = document
    left.tell()
    if not found:
        raise CorpusError(f"{source.label} holds no line with text: name another file")
    return list(found.values())


def line_document(source: LinesSource, number: int, line: Mapping[str, Any]) -> Document:
    """One line's document."""
    keys = (source.text,) if isinstance(source.text, str) else source.text
    text = "\n".join(filter(None, (value(source, number, line, key) for key in keys)))
    id_ = value(source, number, line, source.id) if source.id else f"{source.prefix}:{digest(text)}"
    if not id_:
        raise refused(source, number, f'has an empty id in "{source.id}"', "name another key as id")
    symbol = (value(source, number, line, source.symbol) if source.symbol else "") or id_
    path = source.path.name
    return Document(id_, text, source.prefix, source.licence, "line", symbol, path, number, number)


def digest(text: str) -> str:
    """What stands for a text in an id."""
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:12]


def value(source: LinesSource, number: int, line: Mapping[str, Any], key: str) -> str:
    """A line's value under a key: text, or a whole number as text, and empty for null."""
    if key not in line:
        what = f'has no key "{key}"'
        raise refused(source, number, what, f"its keys are {', '.join(map(str, line))}")
    found = line[key]
    if found is not None and (isinstance(found, bool) or not isinstance(found, str | int)):
        raise refused(source, number, f'holds "{str(found)[:40]}" under "{key}", no text', "name another key")
    return "" if found is None else str(found)
