"""Documents on disk: `documents.jsonl`, one a line, and `documents.offsets.npy`, where each line starts.

Both files are mapped and a document is parsed when it is asked for, so that a million of them cost no memory and no
time at the start; the REMEMBERED ones asked for last stay parsed.
"""

import json
import mmap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import overload

import numpy as np

from index.documents import Document
from index.errors import BundleError

LINES, OFFSETS = "documents.jsonl", "documents.offsets.npy"
CORPUS_FILES = (LINES, OFFSETS)
NUMBERS = ("first_line", "last_line")
REMEMBERED = 8192


class Corpus(Sequence[Document]):
    """The documents of a folder, in their order; may be read from any thread, also after the folder was replaced."""

    def __init__(self, lines: mmap.mmap, offsets: np.ndarray, path: Path) -> None:
        self._count = len(offsets) - 1
        self._read = lru_cache(REMEMBERED)(partial(read_document, lines, offsets, path))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, row: int) -> Document: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Document]: ...
    def __getitem__(self, row: int | slice) -> Document | Sequence[Document]:
        if isinstance(row, slice):
            return [self._read(number) for number in range(*row.indices(self._count))]
        if not -self._count <= row < self._count:
            raise IndexError(f'document "{row}" of {self._count}')
        return self._read(row % self._count)


def read_document(lines: mmap.mmap, offsets: np.ndarray, path: Path, row: int) -> Document:
    """Parse one line; raises BundleError naming it when a field is missing, unknown, or of another type."""
    line = lines[offsets[row] : offsets[row + 1]]
    try:
        fields = json.loads(line)
        document = Document(**fields)
        for key, value in fields.items():
            if type(value) is not (int if key in NUMBERS else str):
                raise TypeError(f'key "{key}" is "{value}"')
    except (ValueError, TypeError, RecursionError) as error:
        raise BundleError(f'index file "{path}" line {row + 1} cannot be read ({error}): rebuild the index') from error
    return document


def write_corpus(folder: Path, documents: Iterable[Document]) -> None:
    """Write CORPUS_FILES."""
    offsets = [0]
    with (folder / LINES).open("wb") as file:
        for document in documents:
            file.write(json.dumps(asdict(document), ensure_ascii=False).encode() + b"\n")
            offsets.append(file.tell())
    np.save(folder / OFFSETS, np.array(offsets, np.int64))


def read_corpus(folder: Path) -> Corpus:
    """Map the documents of a folder; raises BundleError naming the file that cannot be read."""
    path = folder / LINES
    try:
        offsets = np.asarray(np.load(folder / OFFSETS, mmap_mode="r"))
        with path.open("rb") as file:
            lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, EOFError, ValueError) as error:
        raise BundleError(f'index "{folder}" has documents that cannot be read ({error}): rebuild the index') from error
    if offsets.ndim != 1 or len(offsets) < 2 or offsets[-1] != len(lines):
        raise BundleError(f'index file "{folder / OFFSETS}" is not of "{path}": rebuild the index')
    return Corpus(lines, offsets, path)
