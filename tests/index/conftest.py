"""A small documented package on the import path, and an index of it that needs no encoder model."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index.documents import Document
from index.sources.package import package_documents
from index.store import Index, make_index
from index.words import words

SOURCE = '''
"""Toy tables."""
from toytable.text import TextNamespace

__all__ = ["Table", "concat"]


class Table:
    """Rows of numbers.

    Parameters
    ----------
    rows
        Whole numbers.

    Examples
    --------
    >>> Table([1, 2]).total()
    3
    """

    def __init__(self, rows):
        self.rows = rows

    def total(self):
        """
        Add all rows with :func:`sum`.

        .. engine-support:: in-memory

        Examples
        --------
        Add two rows.

        >>> table = Table([1, 2])
        >>> table.total()
        3

        An empty table adds up to nothing.

        >>> Table([]).total()  # doctest: +SKIP
        0
        """
        return sum(self.rows)

    @property
    def text(self) -> TextNamespace:
        """Text operations."""
        return TextNamespace(self)

    def _hidden(self):
        """Never documented."""


def concat(left, right, *, how="vertical"):
    """Put two tables together."""
    return Table(left.rows + right.rows)
'''
NAMESPACE = '''
"""Namespaces."""


class TextNamespace:
    """Text operations on a table."""

    def __init__(self, table):
        self.table = table

    def contains(self, text):
        """Whether any row contains a text."""
        return any(text in str(row) for row in self.table.rows)
'''
DIMENSION = 64


def encode(texts: list[str]) -> np.ndarray:
    """Unit vectors (N, 64) of hashed words: real distances without a model."""
    rows = np.zeros((len(texts), DIMENSION), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in words(text):
            row[sum(word.encode()) % DIMENSION] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def toytable(tmp_path: Path) -> Iterator[str]:
    package = tmp_path / "site" / "toytable"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(SOURCE)
    (package / "text.py").write_text(NAMESPACE)
    (package / "mute.py").write_text("def silent(): pass\n")
    sys.path.insert(0, str(package.parent))
    yield "toytable"
    sys.path.remove(str(package.parent))
    for name in [name for name in sys.modules if name.split(".")[0] == "toytable"]:
        del sys.modules[name]


@pytest.fixture
def documents(toytable: str) -> list[Document]:
    return package_documents(toytable)


@pytest.fixture
def index(documents: list[Document]) -> Index:
    return make_index(documents, encode([d.text for d in documents]), "words")
