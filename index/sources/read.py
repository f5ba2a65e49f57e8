"""The sources of a config in, their documents out, in the config's order; ids are unique over all of them."""

from collections.abc import Sequence
from dataclasses import replace

from index.documents import Document
from index.errors import CorpusError
from index.sources.code import code_documents
from index.sources.config import (
    AnySource,
    CodeSource,
    DocsSource,
    LinesSource,
    NotebooksSource,
    PackageSource,
    RowsSource,
    Source,
)
from index.sources.docs import docs_documents
from index.sources.lines import line_documents
from index.sources.notebooks import notebook_documents
from index.sources.package import package_documents
from index.sources.rows import row_documents


def read_sources(sources: Sequence[AnySource]) -> list[Document]:
    """Read every source; raises CorpusError for one that gives nothing or cannot be read, and for an id of two."""
    documents: list[Document] = []
    owners: dict[str, Source] = {}
    for source in sources:
        for document in map(writable, read_source(source)):
            owner = owners.setdefault(document.id, source)
            if owner is not source:
                raise CorpusError(
                    f'document id "{document.id}" comes from {owner.label} and from {source.label}: '
                    "give one of them another name, or leave one out"
                )
            documents.append(document)
    return documents


def read_source(source: AnySource) -> list[Document]:
    """Read one source; raises CorpusError when it gives nothing or cannot be read."""
    match source:
        case PackageSource():
            return package_documents(source.package)
        case CodeSource():
            return code_documents(source)
        case DocsSource():
            return docs_documents(source)
        case NotebooksSource():
            return notebook_documents(source)
        case LinesSource():
            return line_documents(source)
        case RowsSource():
            return row_documents(source)


def writable(document: Document) -> Document:
    """The document with half characters, which no file can hold, as the escapes they were written as."""
    changes = {key: escaped(value) for key, value in vars(document).items() if isinstance(value, str)}
    return replace(document, **changes)  # type: ignore[arg-type]


def escaped(text: str) -> str:
    """A text that can be encoded."""
    return text.encode("utf-8", "backslashreplace").decode()
