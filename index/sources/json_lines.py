"""A file of JSON lines in, plain or .gz, its objects with their line numbers out; nothing is held but one line."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

from index.errors import CorpusError
from index.sources.config import PathSource
from index.sources.files import MIB

LINE_BYTES = 8 * MIB
FILE_BYTES = 1024 * MIB


def json_lines(source: PathSource) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's number, from 1, and its object; blank lines are passed over.

    Raises CorpusError naming the file, and the line that is no JSON object, no UTF-8, or too long. A small .gz can hold
    more than a disk: what is unpacked is limited too.
    """
    total = 0
    for number, line in enumerate(raw_lines(source), 1):
        total += len(line)
        if len(line) > LINE_BYTES:
            raise refused(source, number, f"is longer than {LINE_BYTES // MIB} MiB", "split it")
        if total > FILE_BYTES:
            raise refused(source, number, f"is past the first {FILE_BYTES // MIB} MiB", "split the file")
        if line.strip():
            yield number, json_object(source, number, line)


def raw_lines(source: PathSource) -> Iterator[bytes]:
    """The lines of a file, longer ones cut just past LINE_BYTES; raises CorpusError when it cannot be read."""
    path = source.path
    if not path.is_file():
        raise CorpusError(f"{source.label} is not a file: correct the path")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while line := file.readline(LINE_BYTES + 1):
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{source.label} cannot be read ({error}): copy it again, it may be truncated") from error


def json_object(source: PathSource, number: int, line: bytes) -> dict[str, Any]:
    """One line's object; raises CorpusError naming the line."""
    try:
        found = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except (ValueError, RecursionError) as error:
        raise refused(source, number, f"is not JSON ({error})", "write one object a line, in UTF-8") from error
    if not isinstance(found, dict):
        raise refused(source, number, f'holds "{str(found)[:40]}", no object', "write one object a line")
    return found


def refused(source: PathSource, number: int, what: str, cure: str) -> CorpusError:
    """The error about one line."""
    return CorpusError(f"{source.label} line {number} {what}: {cure}")
