import json
from pathlib import Path

import pytest

from index.errors import CorpusError
from index.sources.config import AnySource, CodeSource, DocsSource, LinesSource, PackageSource
from index.sources.read import read_sources
from tests.index.sources.conftest import write


def test_sources_are_read_in_the_configs_order(tmp_path: Path, toytable: str) -> None:
    """Reading twice gives equal documents."""
    write(tmp_path, {"docs/a.md": "# A\ntext", "lines.jsonl": json.dumps({"text": "line"})})
    sources: list[AnySource] = [
        LinesSource(lines=tmp_path / "lines.jsonl", text="text"),
        PackageSource(package=toytable),
        DocsSource(docs=tmp_path / "docs"),
    ]
    found = read_sources(sources)
    assert read_sources(sources) == found
    assert list(dict.fromkeys(document.kind for document in found)) == ["line", "object", "example", "section"]


def test_an_id_of_two_sources_is_refused_naming_both(tmp_path: Path, toytable: str) -> None:
    """Nobody could tell which of them a decision's evidence is; another name is the cure."""
    package, code = PackageSource(package=toytable), CodeSource(code=tmp_path / "site" / toytable)
    with pytest.raises(
        CorpusError, match=r'"toytable:toytable.Table" comes from package "toytable" and from code ".*"'
    ):
        read_sources([package, code])
    renamed = CodeSource(code=tmp_path / "site" / toytable, name="source")
    ids = [document.id for document in read_sources([package, renamed])]
    assert len(ids) == len(set(ids)) > 10


def test_a_source_named_twice_is_refused(tmp_path: Path) -> None:
    """Every document would count double."""
    write(tmp_path, {"docs/a.md": "text"})
    with pytest.raises(CorpusError, match=r'comes from docs ".*docs" and from docs ".*docs"'):
        read_sources([DocsSource(docs=tmp_path / "docs"), DocsSource(docs=tmp_path / "docs")])


def test_half_characters_are_kept_as_they_were_written(tmp_path: Path) -> None:
    """No file can hold one; JSON and Python source write it as an escape."""
    (tmp_path / "lines.jsonl").write_text('{"text": "half \\ud83d", "id": "\\ude00"}\n')
    write(tmp_path, {"lib.py": 'def f():\n    """Half \\ud83d."""\n'})
    line, thing = read_sources(
        [LinesSource(lines=tmp_path / "lines.jsonl", text="text", id="id"), CodeSource(code=tmp_path / "lib.py")]
    )
    assert (line.id, line.text, thing.text) == ("\\ude00", "half \\ud83d", "lib.f()\nHalf \\ud83d.")
    assert line.hash != thing.hash
