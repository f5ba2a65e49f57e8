"""A folder of documentation in, one document a section out: its text below its headings."""

from collections.abc import Iterator
from dataclasses import replace

from index.documents import Document
from index.errors import CorpusError
from index.sources.checkout import Origin
from index.sources.config import DocsSource
from index.sources.files import File, read_text
from index.sources.markdown import markdown_blocks
from index.sources.restructured import rendered, restructured_blocks
from index.sources.sections import Chunk, chunks, section_documents
from index.sources.texts import text_documents

MARKDOWN = (".md", ".markdown")
RESTRUCTURED = (".rst",)


def docs_documents(source: DocsSource) -> list[Document]:
    """Read Markdown and reStructuredText files.

    Raises CorpusError when there are none, when none holds text, and, unless `skip_unreadable`, for one that cannot be
    read.
    """
    return text_documents(source, MARKDOWN + RESTRUCTURED, file_documents, "text below its headings")


def file_documents(file: File, source: DocsSource, origin: Origin) -> list[Document]:
    """The documents of one file; raises CorpusError naming it."""
    text = read_text(file)
    if file.path.lower().endswith(MARKDOWN):
        found = chunks(markdown_blocks(text), source.max_characters)
    else:
        found = restructured_chunks(file, text, source.max_characters)
    return section_documents(found, file.path, source.prefix, origin, "section")


def restructured_chunks(file: File, text: str, limit: int) -> Iterator[Chunk]:
    """The chunks of a reStructuredText file, as its readers see them; raises CorpusError naming it."""
    try:
        for chunk in chunks(restructured_blocks(text), limit):
            yield replace(chunk, text=rendered(chunk.text))
    except CorpusError as error:
        raise CorpusError(f'file "{file.location}": {error}') from error
    except RecursionError as error:
        raise CorpusError(f'file "{file.location}" is nested too deeply: correct the markup, or exclude it') from error
