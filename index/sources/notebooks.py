"""Notebooks in; each explanation with the code that follows it out, as documents: the one file that imports nbformat.

Outputs, raw cells and metadata are left out. Lines are those of the cells' sources in the file, which is JSON; the
whole file's where it is of a format before 4, as such a notebook is converted first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import nbformat
from nbformat.reader import reads

from index.documents import Document
from index.errors import CorpusError
from index.sources.cell_lines import cell_lines
from index.sources.checkout import Origin
from index.sources.config import NotebooksSource
from index.sources.files import MIB, File, read_text
from index.sources.markdown import markdown_blocks
from index.sources.sections import Block, chunks, section_documents
from index.sources.texts import text_documents

NOTEBOOK_BYTES = 64 * MIB  # outputs hold pictures


def notebook_documents(source: NotebooksSource) -> list[Document]:
    """Read notebooks.

    Raises CorpusError when there are none, when none holds a cell with text, and, unless `skip_unreadable`, for one
    that cannot be read.
    """
    return text_documents(source, (".ipynb",), file_documents, "notebook with text or code")


def file_documents(file: File, source: NotebooksSource, origin: Origin) -> list[Document]:
    """The documents of one notebook; raises CorpusError naming it."""
    text = read_text(file, NOTEBOOK_BYTES)
    try:
        blocks = list(notebook_blocks(text))
    except Exception as error:  # nbformat meets what is no notebook with whatever comes first
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise CorpusError(
            f'file "{file.location}" is no notebook that can be read ({why}): save it again in Jupyter, or exclude it'
        ) from error
    found = chunks(blocks, source.max_characters)
    return section_documents(found, file.path, source.prefix, origin, "notebook")


def notebook_blocks(text: str) -> Iterator[Block]:
    """The headings, paragraphs and fenced code of a notebook; raises whatever nbformat does for one that is broken."""
    notebook = reads(text)  # type: ignore[no-untyped-call]
    if notebook["nbformat"] < 4:
        notebook = nbformat.convert(notebook, 4)  # type: ignore[no-untyped-call]
        lines = [(1, text.count("\n") + 1)] * len(notebook["cells"])
    else:
        lines = cell_lines(text)
    explained = True
    for cell, (first, last) in zip(notebook["cells"], lines, strict=True):
        if cell["cell_type"] == "markdown":
            for number, block in enumerate(markdown_blocks(cell["source"])):
                begins = number == 0 and not explained
                yield replace(block, first_line=first, last_line=last, begins=begins)
            explained = True
        elif cell["cell_type"] == "code" and cell["source"].strip():
            yield Block(f"```{language_of(notebook)}\n{cell['source'].rstrip()}\n```", first, last)
            explained = False


def language_of(notebook: Mapping[str, Any]) -> str:
    """The language of a notebook's code as fences name it."""
    stated = notebook["metadata"].get("language_info", {})
    return str(stated.get("name", "python"))
