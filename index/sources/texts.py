"""A source of text files in, the documents of all its files out: what documentation and notebooks have in common."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from index.documents import Document
from index.errors import CorpusError
from index.sources.checkout import Origin, origin_of
from index.sources.config import TextSource
from index.sources.files import File, list_files, root_of
from index.sources.left_out import LeftOut

Kind = TypeVar("Kind", bound=TextSource)


def text_documents(
    source: Kind, suffixes: tuple[str, ...], read: Callable[[File, Kind, Origin], Iterable[Document]], holds: str
) -> list[Document]:
    """Read each file of a source; `holds` says what one should hold.

    Raises CorpusError when there are no files, when none holds that, and, unless `skip_unreadable`, what `read` raises.
    """
    left = LeftOut(source.label)
    files = list_files(source, suffixes, left)
    origin = origin_of(source, root_of(source))
    documents: list[Document] = []
    for file in files:
        try:
            documents += read(file, source, origin)
        except CorpusError as error:
            if not source.skip_unreadable:
                raise
            left.add("files that cannot be read", f'"{file.path}" ({error})')
    left.tell()
    if not documents:
        raise CorpusError(f"{source.label} holds no {holds}: name another folder")
    return documents
