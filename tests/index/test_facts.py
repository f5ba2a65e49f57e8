"""What index.json must say, and that the other files are what it says."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from index.documents import Document
from index.errors import BundleError
from index.facts import HASHED_BYTES, MARKER, SCHEMA, check_files, read_facts
from index.folder import file_facts
from index.load import load_index
from index.store import FILES, LocalIndex, make_index
from tests.index.conftest import encode

TEXTS = ["sort the rows", "group by time", "join two tables", "read a file"]


@pytest.fixture(scope="module")
def index() -> LocalIndex:
    """A small one, made once: these tests are about its files."""
    documents = [Document(f"p:{n}", text, "p==1", "MIT", "object", f"p.f{n}") for n, text in enumerate(TEXTS)]
    return make_index(documents, encode(TEXTS), "words")


@pytest.fixture
def folder(index: LocalIndex, tmp_path: Path) -> Path:
    index.save(tmp_path / "index")
    return tmp_path / "index"


def rewrite(folder: Path, **changes: object) -> None:
    """Change keys of index.json alone."""
    facts = json.loads((folder / MARKER).read_text()) | changes
    (folder / MARKER).write_text(json.dumps(facts))


def test_it_says_what_the_index_is(folder: Path, index: LocalIndex) -> None:
    """Encoder, dimension, how vectors are searched, size and SHA-256 of each file."""
    facts = read_facts(folder)
    assert (facts.schema_version, facts.encoder, facts.dimension) == (SCHEMA, "words", 64)
    assert facts.documents == len(index.documents)
    assert (facts.vectors.algorithm, facts.vectors.recall_at_10) == ("exact", 1)
    assert facts.files == {name: file_facts(folder / name) for name in FILES}
    assert {path.name for path in folder.iterdir()} == {*FILES, MARKER}


def test_the_first_format_is_refused_telling_what_to_do(folder: Path) -> None:
    """It stated three keys and no schema."""
    (folder / MARKER).write_text('{"encoder": "all-MiniLM-L6-v2", "dimension": 384, "documents": 3466}')
    with pytest.raises(
        BundleError, match=f'/index" has schema "1", this version reads {SCHEMA}: rebuild it with `poin'
    ):
        load_index(folder)


def test_a_later_format_is_refused(folder: Path) -> None:
    """Whether its other keys are known or not."""
    rewrite(folder, schema_version=SCHEMA + 1)
    with pytest.raises(BundleError, match=f'has schema "{SCHEMA + 1}"'):
        load_index(folder)
    rewrite(folder, schema_version=SCHEMA + 1, shards=4)
    with pytest.raises(BundleError, match=f'has schema "{SCHEMA + 1}"'):
        load_index(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "should be an object"),
        (b"null", "should be an object"),
        (b'{"schema_version": 3, "encoder": 1}', 'key "encoder" is "1"'),
        (b'{"schema_version": 3, "encoder": "words"}', 'key "dimension" is missing'),
        (b'{"schema_version": 3', "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b"\xff", "Invalid JSON"),
        (b"", "Invalid JSON"),
    ],
)
def test_another_shape_is_refused_in_one_line(folder: Path, content: bytes, message: str) -> None:
    """JSON is not enough: each key and its type counts."""
    (folder / MARKER).write_bytes(content)
    with pytest.raises(BundleError) as caught:
        load_index(folder)
    assert f'index file "{folder / MARKER}" cannot be read' in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and "pydantic" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_each_missing_truncated_or_altered_file_is_named(folder: Path, name: str) -> None:
    """Three ways a copy goes wrong, told apart."""
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(BundleError, match=rf'{name}" has "{len(content) - 1}" bytes, not {len(content)}: copy'):
        load_index(folder)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match=rf'{name}" was altered'):
        load_index(folder)
    path.unlink()
    with pytest.raises(BundleError, match=rf'{name}" is missing'):
        load_index(folder)
    path.mkdir()
    with pytest.raises(BundleError, match=name):
        load_index(folder)


def test_a_missing_marker_is_named(folder: Path) -> None:
    """It is written last: its absence means a build that was killed."""
    (folder / MARKER).unlink()
    with pytest.raises(BundleError, match=r'index\.json" is missing'):
        load_index(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_listed_is_named(folder: Path, name: str) -> None:
    """Nothing is read that was not checked."""
    files = json.loads((folder / MARKER).read_text())["files"]
    rewrite(folder, files={key: value for key, value in files.items() if key != name})
    with pytest.raises(BundleError, match=f'lists no "{name}"'):
        load_index(folder)


def test_of_a_large_index_the_largest_files_are_checked_by_size(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What a second's hashing cannot reach is told; the smaller files are still hashed."""
    (tmp_path / "small").write_bytes(b"small")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(HASHED_BYTES)  # a hole: it takes no room
    wanted = {"small": file_facts(tmp_path / "small"), "large": file_facts(tmp_path / "small")}
    wanted["large"] = wanted["large"].model_copy(update={"bytes": HASHED_BYTES})
    with caplog.at_level(logging.INFO, "index.facts"):
        check_files(tmp_path, wanted)
    assert 'is large: "large" is checked by its size alone' in caplog.text
    (tmp_path / "small").write_bytes(b"small"[::-1])
    with pytest.raises(BundleError, match="small"):
        check_files(tmp_path, wanted)


@pytest.mark.parametrize(
    ("name", "message"),
    [("documents", 'states "999" documents'), ("dimension", "999 dimensions")],
)
def test_counts_that_only_index_json_states_are_named(folder: Path, name: str, message: str) -> None:
    """A lost line would shift every hit to another document."""
    rewrite(folder, **{name: 999})
    with pytest.raises(BundleError, match=message):
        load_index(folder)


def test_files_of_two_indexes_do_not_make_one(folder: Path, index: LocalIndex, tmp_path: Path) -> None:
    """Although each is whole: their hashes are those of their own index.json."""
    LocalIndex(index.documents[:3], index.vectors, index.lexical, index.words, "words").save(tmp_path / "other")
    for name in ("documents.jsonl", "documents.offsets.npy"):
        shutil.copy(tmp_path / "other" / name, folder)
    with pytest.raises(BundleError, match=r"documents\."):
        load_index(folder)
    with pytest.raises(BundleError, match=r'states "3" documents'):
        load_index(tmp_path / "other")
