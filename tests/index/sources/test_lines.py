import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from index.errors import CorpusError
from index.sources.config import LinesSource
from index.sources.lines import line_documents

ROWS = [
    {"id": "a", "qualname": "lib.Frame.total", "signature": "def total()", "text": "Add up.", "n": 1},
    {"id": "b", "qualname": "Größe", "signature": "", "text": "Two\nlines.", "n": 2},
    {"id": "c", "qualname": None, "signature": None, "text": "Third.", "n": 3},
]


def lines_file(folder: Path, *lines: Any, name: str = "lib.jsonl") -> Path:
    """A file of JSON lines; strings and bytes are written as they are."""
    parts = (line if isinstance(line, str | bytes) else json.dumps(line) for line in lines)
    content = b"".join((part.encode() if isinstance(part, str) else part) + b"\n" for part in parts)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / name


def source(path: Path, **settings: Any) -> LinesSource:
    return LinesSource(lines=path, **{"text": "text", "id": "id", "licence": "MIT", **settings})


@pytest.mark.parametrize("name", ["lib.jsonl", "lib.jsonl.gz"])
def test_a_line_is_a_document(tmp_path: Path, name: str) -> None:
    """Text, id and symbol under the keys that the config names; the line's number is its place."""
    first, second, third = line_documents(source(lines_file(tmp_path, *ROWS, name=name), symbol="qualname"))
    assert (first.id, first.text, first.symbol, first.name) == ("a", "Add up.", "lib.Frame.total", "total")
    assert (first.kind, first.source, first.licence, first.path) == ("line", "lib", "MIT", name)
    assert (second.first_line, second.last_line, second.text) == (2, 2, "Two\nlines.")
    assert (third.symbol, third.name) == ("c", "c")


def test_several_keys_make_one_text(tmp_path: Path) -> None:
    """Joined by line ends, empty ones left out; whole numbers are text too."""
    found = line_documents(source(lines_file(tmp_path, *ROWS), text=("qualname", "signature", "text", "n")))
    assert [document.text for document in found] == [
        "lib.Frame.total\ndef total()\nAdd up.\n1", "Größe\nTwo\nlines.\n2", "Third.\n3",
    ]  # fmt: skip


def test_without_a_key_for_ids_they_are_made_of_the_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """So that a line more shifts none; the same text again is told."""
    before = line_documents(source(lines_file(tmp_path, *ROWS), id=""))
    after = line_documents(source(lines_file(tmp_path, {"text": "New."}, ROWS[0], *ROWS), id=""))
    assert {d.id: d.text for d in before}.items() < {d.id: d.text for d in after}.items()
    assert all(document.id.startswith("lib:") for document in before)
    assert "lines of the same text as an earlier one (1): line 3" in caplog.text


def test_blank_lines_pass_and_lines_without_text_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Numbers stay those of the file."""
    path = lines_file(
        tmp_path, b"\xef\xbb\xbf" + json.dumps(ROWS[0]).encode(), "", " \t", {"id": "x", "text": " "}, ROWS[1]
    )
    assert [document.first_line for document in line_documents(source(path))] == [1, 5]
    assert "left out lines without text (1): line 4" in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        (b'{"text": "caf\xe9"}', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1, 2]", 'holds "[1, 2]", no object'),
        ({"id": "x"}, 'has no key "text": its keys are id'),
        ({"text": "t"}, 'has no key "id": its keys are text'),
        ({"id": "x", "text": ["t"]}, """holds "['t']" under "text", no text"""),
        ({"id": True, "text": "t"}, 'holds "True" under "id", no text'),
        ({"id": "", "text": "t"}, 'has an empty id in "id"'),
        ({"id": "a", "text": "t"}, 'repeats the id "a" of line 1'),
    ],
)
def test_a_line_that_is_no_document_is_refused_by_its_number(tmp_path: Path, line: Any, message: str) -> None:
    """File, line, value and cure: a file of a million lines is not searched by hand."""
    with pytest.raises(CorpusError) as caught:
        line_documents(source(lines_file(tmp_path, ROWS[0], "", line, ROWS[1])))
    assert str(caught.value).startswith(f'lines "{tmp_path}/lib.jsonl" line 3 {message}')


@pytest.mark.parametrize(
    ("name", "content"),
    [("lib.jsonl.gz", b"no gzip"), ("lib.jsonl.gz", gzip.compress(b'{"id": "a", "text": "t"}\n' * 9)[:-9])],
)
def test_a_broken_archive_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """Not packed at all, and cut short."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=r'lines ".*gz" cannot be read .* copy it again'):
        line_documents(source(tmp_path / name, id=""))


def test_a_line_that_unpacks_to_megabytes_is_refused(tmp_path: Path) -> None:
    """A small archive can hold more than this machine."""
    with pytest.raises(CorpusError, match=r"line 2 is longer than 8 MiB"):
        line_documents(source(lines_file(tmp_path, ROWS[0], {"id": "x", "text": "x" * (9 << 20)}, name="lib.jsonl.gz")))


@pytest.mark.parametrize("path", ["missing.jsonl", ""])
def test_what_is_no_file_is_refused(tmp_path: Path, path: str) -> None:
    """Missing, or a folder."""
    with pytest.raises(CorpusError, match="is not a file: correct the path"):
        line_documents(source(tmp_path / path))


def test_a_file_without_text_is_refused(tmp_path: Path) -> None:
    """As any source that gives nothing."""
    with pytest.raises(CorpusError, match="holds no line with text"):
        line_documents(source(lines_file(tmp_path, "")))
