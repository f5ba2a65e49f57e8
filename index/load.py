"""An index folder in, the index that it states out: its own files, or a collection in Milvus."""

from pathlib import Path

from index.errors import BundleError
from index.facts import build_of, read_facts
from index.milvus.store import read_from_milvus
from index.store import Index, read_from_folder

LOADS = 2


def load_index(folder: Path) -> Index:
    """Open an index; raises BundleError naming what is missing, altered, away, or does not fit the rest.

    A folder that is replaced meanwhile is read once more, so that an index is never of files of two builds.
    """
    for _ in range(LOADS):
        before, refused = build_of(folder), None
        try:
            index = read_index(folder)
        except BundleError as error:
            refused = error
        if build_of(folder) == before:  # so all files were opened between two looks at the same build
            if refused:
                raise refused
            return index
    raise BundleError(f'index "{folder}" was replaced whenever it was read: load it again when its builds are done')


def read_index(folder: Path) -> Index:
    """One attempt to open an index, see load_index."""
    facts = read_facts(folder)
    return read_from_milvus(folder, facts, facts.milvus) if facts.milvus else read_from_folder(folder, facts)
