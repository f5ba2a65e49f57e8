"""Documents on disk are those that were written, each read alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.corpus import CORPUS_FILES, read_corpus, write_corpus
from index.documents import Document
from index.errors import BundleError

DOCUMENTS = [
    Document(f"p:{n}", f'Größe "{n}"\n\u2028' * (n + 1), "p==1", "MIT", "object", f"p.f{n}", "src/f.py", n, n + 3)
    for n in range(5)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path, DOCUMENTS)
    return tmp_path


def test_what_is_written_is_what_is_read(folder: Path) -> None:
    """By row, from the end, by slice, one after the other, and backwards."""
    corpus = read_corpus(folder)
    assert len(corpus) == 5
    assert list(corpus) == DOCUMENTS
    assert (corpus[3], corpus[-1], corpus[np.int64(2)]) == (DOCUMENTS[3], DOCUMENTS[4], DOCUMENTS[2])
    assert corpus[1:4] == DOCUMENTS[1:4]
    assert corpus[::-2] == DOCUMENTS[::-2]
    assert list(reversed(corpus)) == DOCUMENTS[::-1]


@pytest.mark.parametrize("row", [5, -6])
def test_a_row_that_is_not_there_is_an_index_error(folder: Path, row: int) -> None:
    """So that a loop ends."""
    with pytest.raises(IndexError, match=f'"{row}" of 5'):
        read_corpus(folder)[row]


def test_documents_are_parsed_when_they_are_asked_for(folder: Path) -> None:
    """A line that is no document costs nothing until then, and is named then."""
    path = folder / CORPUS_FILES[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"x" * (len(lines[1]) - 1) + b"\n", *lines[2:]]))
    corpus = read_corpus(folder)
    assert corpus[2] == DOCUMENTS[2]
    with pytest.raises(BundleError, match=r'documents\.jsonl" line 2 cannot be read'):
        corpus[1]


@pytest.mark.parametrize("change", [{"text": None}, {"id": 7}, {"first_line": "7"}, {"title": "x"}, None])
def test_a_document_that_is_none_is_refused_naming_its_line(tmp_path: Path, change: dict[str, Any] | None) -> None:
    """A field that is missing, unknown or of another type would fail later, far from here."""
    fields = json.loads(json.dumps(DOCUMENTS[0].__dict__))
    line = json.dumps(fields | change if change is not None else [fields]).encode() + b"\n"
    (tmp_path / CORPUS_FILES[0]).write_bytes(line)
    np.save(tmp_path / CORPUS_FILES[1], np.array([0, len(line)]))
    with pytest.raises(BundleError, match=r"line 1 cannot be read.*rebuild"):
        read_corpus(tmp_path)[0]


def test_documents_stay_readable_when_their_folder_is_gone(folder: Path) -> None:
    """A build that replaces the folder takes nothing from who reads it."""
    corpus = read_corpus(folder)
    shutil.rmtree(folder)
    assert list(corpus) == DOCUMENTS


def test_offsets_of_other_documents_are_refused(folder: Path, tmp_path: Path) -> None:
    """They would cut lines in two."""
    (tmp_path / "other").mkdir()
    write_corpus(tmp_path / "other", [replace(DOCUMENTS[0], text="longer than the others" * 99)])
    shutil.copy(tmp_path / "other" / CORPUS_FILES[1], folder)
    with pytest.raises(BundleError, match=r'documents\.offsets\.npy" is not of'):
        read_corpus(folder)


@pytest.mark.parametrize("name", CORPUS_FILES)
@pytest.mark.parametrize("content", [None, b""])
def test_a_missing_or_empty_file_is_refused(folder: Path, name: str, content: bytes | None) -> None:
    """Both are needed."""
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match="documents that cannot be read"):
        read_corpus(folder)
