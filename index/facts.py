"""index.json: what an index states about itself, written last, read and held against its other files.

Sizes are checked always; SHA-256 of the smallest files, as far as HASHED_BYTES go. Beyond that an altered byte goes
unseen here; a bundle's manifest is checked whole.
"""

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from index.config import Settings, explained
from index.errors import BundleError
from index.folder import FileFacts, file_facts, make_folder, refuse_foreign, replace_folder, write_through
from index.milvus.config import MilvusFacts
from index.vectors import VectorFacts

SCHEMA = 3
MARKER = "index.json"
HASHED_BYTES = 512 << 20  # SHA-256 of so much takes a second on one busy core
CURE = "rebuild it with `pointsman index build CONFIG`, or the bundle with the stage that made it"

logger = logging.getLogger(__name__)


class IndexFacts(Settings):
    """index.json."""

    schema_version: int
    encoder: str
    encoder_fingerprint: str
    dimension: int
    documents: int
    vectors: VectorFacts
    milvus: MilvusFacts | None = None
    files: dict[str, FileFacts]


def write_index(folder: Path, names: Sequence[str], write: Callable[[Path], None], facts: IndexFacts) -> None:
    """Let `write` write files of these names beside a folder, index.json last, then put all in the folder's place.

    `folder` is the old or the new index at every moment (see replace_folder). Raises ConfigError where other files
    stand.
    """
    refuse_foreign(folder, MARKER)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial)
    write(partial)
    for name in names:
        write_through(partial / name)
    facts = facts.model_copy(update={"files": {name: file_facts(partial / name) for name in names}})
    (partial / MARKER).write_text(facts.model_dump_json(indent=2, exclude_none=True) + "\n")
    write_through(partial / MARKER)
    write_through(partial)
    replace_folder(partial, folder, MARKER)


def build_of(folder: Path) -> tuple[int, int] | None:
    """Which build stands in a folder, known by its index.json's number and time; None where there is none.

    Not by content: a second build of the same documents is another folder.
    """
    try:
        facts = (folder / MARKER).stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def read_facts(folder: Path) -> IndexFacts:
    """Read index.json; raises BundleError naming the schema or the key."""
    path = folder / MARKER
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BundleError(f'index file "{path}" is missing or cannot be read ({error.strerror}): {CURE}') from error
    try:
        facts = IndexFacts.model_validate_json(text)
    except ValidationError as error:
        if (schema := schema_of(text)) != SCHEMA:
            raise BundleError(f'index "{folder}" has schema "{schema}", this version reads {SCHEMA}: {CURE}') from error
        raise BundleError(f'index file "{path}" cannot be read ({explained(error, IndexFacts)}): {CURE}') from error
    if facts.schema_version != SCHEMA:
        raise BundleError(f'index "{folder}" has schema "{facts.schema_version}", this version reads {SCHEMA}: {CURE}')
    return facts


def schema_of(text: bytes) -> object:
    """The schema that an index.json states; the first stated none. SCHEMA where it is no JSON object."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return SCHEMA
    return facts.get("schema_version", 1) if isinstance(facts, dict) else SCHEMA


def check_files(folder: Path, wanted: Mapping[str, FileFacts]) -> None:
    """Refuse an index with a file that is missing, of another size, or altered, naming it."""
    left = HASHED_BYTES
    for name, facts in sorted(wanted.items(), key=lambda item: item[1].bytes):
        left -= facts.bytes
        if left < 0:
            logger.info('index "%s" is large: "%s" is checked by its size alone', folder, name)
        check_file(folder / name, facts, whole=left >= 0)


def check_file(path: Path, wanted: FileFacts, *, whole: bool) -> None:
    """Refuse a file of another size, and where `whole` one of another content."""
    try:
        size = path.stat().st_size
        if size != wanted.bytes:
            raise BundleError(f'index file "{path}" has "{size}" bytes, not {wanted.bytes}: copy it again, or {CURE}')
        if whole and file_facts(path) != wanted:
            raise BundleError(f'index file "{path}" was altered: its SHA-256 is another; copy it again, or {CURE}')
    except FileNotFoundError as error:
        raise BundleError(f'index file "{path}" is missing: copy it again, or {CURE}') from error
    except OSError as error:
        raise BundleError(f'index file "{path}" cannot be read ({error.strerror}): copy it again, or {CURE}') from error
