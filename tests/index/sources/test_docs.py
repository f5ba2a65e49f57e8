import os
from pathlib import Path

import pytest

from index.errors import CorpusError
from index.sources.config import DocsSource
from index.sources.docs import docs_documents
from tests.index.sources.conftest import assert_in_place, facts, write

GUIDE = """# Guide

What it is.

## Install

```sh
pip install lib
```

## Use

""" + "\n\n".join(f"Paragraph {number} says " + "a few words more " * 20 for number in range(12))
REFERENCE = """
Reference
=========

Frames
------

A frame has rows:

.. code-block:: python

   frame = Frame()

.. toctree::

   guide
"""
FILES = {"guide.md": GUIDE, "api/reference.rst": REFERENCE, "notes.txt": "no documentation", "README.markdown": "Hi."}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write(tmp_path / "lib", FILES)


def test_a_section_is_a_document_below_its_headings(tree: Path) -> None:
    """Markdown and reStructuredText alike, with code kept."""
    found = {document.id: document for document in docs_documents(DocsSource(docs=tree, licence="MIT"))}
    assert found["lib:guide.md#Guide > Install"].text == "Guide > Install\n```sh\npip install lib\n```"
    assert found["lib:README.markdown"].text == "README\nHi."
    frames = found["lib:api/reference.rst#Reference > Frames"]
    assert frames.text == "Reference > Frames\nA frame has rows:\n\n```\nframe = Frame()\n```"
    assert (frames.kind, frames.source, frames.licence) == ("section", "lib", "MIT")
    assert (frames.path, frames.first_line, frames.last_line) == ("api/reference.rst", 8, 16)


def test_documents_stand_where_they_say_and_are_the_same_when_read_again(tree: Path) -> None:
    """Also the pieces of a long section, which are no longer than asked for."""
    source = DocsSource(docs=tree, max_characters=800)
    found = docs_documents(source)
    assert_in_place(tree, found)
    assert docs_documents(source) == found
    assert sum(document.symbol == "Guide > Use" for document in found) > 3
    assert all(len(document.text) <= 800 + len(document.symbol) + 1 for document in found)


def test_an_unrelated_change_keeps_ids_and_hashes(tree: Path) -> None:
    """A file more, a section above, a paragraph in another section, and a twin of a heading."""
    before = facts(docs_documents(DocsSource(docs=tree)))
    guide = GUIDE.replace("## Install", "## New\n\nnew\n\n## Install") + "\n# Guide\n\n## Use\n\nAgain."
    write(tree, {"aaa.md": "# New\n\ntext", "guide.md": guide})
    after = facts(docs_documents(DocsSource(docs=tree)))
    assert before.items() <= after.items()
    assert len(after) == len(before) + 3


def test_one_file_may_be_named(tree: Path) -> None:
    """A README alone is documentation."""
    assert {document.path for document in docs_documents(DocsSource(docs=tree / "guide.md"))} == {"guide.md"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no file that ends in .md"),
        ({"a.txt": "text"}, "holds no file that ends in .md"),
        ({"a.md": "# Only\n## Headings\n"}, "holds no text below its headings"),
        ({"a.md": "   \n"}, "holds no text below its headings"),
    ],
)
def test_a_folder_that_gives_nothing_is_refused(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    """An index of nothing would answer every query with nothing."""
    tmp_path.joinpath("lib").mkdir()
    write(tmp_path / "lib", files)
    with pytest.raises(CorpusError, match=rf'docs ".*lib" {message}'):
        docs_documents(DocsSource(docs=tmp_path / "lib"))


@pytest.mark.parametrize("name", ["no_such_folder", "notes.txt", "pipe"])
def test_what_cannot_be_documentation_is_refused_by_name(tree: Path, name: str) -> None:
    """Missing, of another kind, or no regular file: a pipe would be waited for."""
    os.mkfifo(tree / "pipe")
    with pytest.raises(CorpusError, match=rf'docs ".*{name}" (is neither|does not end)'):
        docs_documents(DocsSource(docs=tree / name))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"caf\xe9", r"is not UTF-8 text \(byte 3\)"), (b"x" * (8 * 1024 * 1024 + 1), "is larger than 8 MiB")],
)
def test_an_unreadable_file_is_refused_or_left_out_by_name(
    tree: Path, caplog: pytest.LogCaptureFixture, content: bytes, message: str
) -> None:
    """Whoever allows it learns what is missing."""
    write(tree, {"old/cafe.md": content})
    with pytest.raises(CorpusError, match=rf'file ".*cafe.md" {message}.*exclude it'):
        docs_documents(DocsSource(docs=tree))
    found = docs_documents(DocsSource(docs=tree, skip_unreadable=True))
    assert "old/cafe.md" not in {document.path for document in found}
    assert 'left out files that cannot be read (1): "old/cafe.md"' in caplog.text
    assert docs_documents(DocsSource(docs=tree, exclude=("old",))) == found
