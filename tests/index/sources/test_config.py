from pathlib import Path

import pytest
from pydantic import Field

from index.config import Settings, read_config
from index.errors import ConfigError
from index.sources.config import AnySource, CodeSource, LinesSource, PackageSource, RowsSource


class Sources(Settings):
    """What a config that lists sources holds."""

    sources: tuple[AnySource, ...] = Field(min_length=1)


def read(folder: Path, *entries: str) -> tuple[AnySource, ...]:
    """The entries of a config as settings."""
    path = folder / "toy.yaml"
    path.write_text("sources:\n" + "".join(f"  - {entry}\n" for entry in entries))
    return read_config(path, Sources).sources


def test_each_entry_is_read_as_what_its_key_names(tmp_path: Path) -> None:
    """All six kinds, as the head of the module shows them."""
    entries = read(
        tmp_path,
        "package: polars",
        "{code: ../whenever, licence: MIT}",
        '{docs: ../whenever/docs, exclude: ["changelog.md"]}',
        "{notebooks: examples}",
        "{lines: library.jsonl.gz, text: [signature, text], id: id, symbol: qualname, licence: MIT}",
        "{rows: runs/polars-sft/rows.jsonl, licence: MIT}",
    )
    assert [entry.key for entry in entries] == ["package", "code", "docs", "notebooks", "lines", "rows"]
    assert isinstance(entries[0], PackageSource) and isinstance(entries[1], CodeSource)
    assert isinstance(entries[4], LinesSource) and entries[4].text == ("signature", "text")
    assert isinstance(entries[5], RowsSource) and entries[5].label == 'rows "runs/polars-sft/rows.jsonl"'


@pytest.mark.parametrize("entry", ["{}", "{package: polars, code: .}", "polars", "{pakage: polars}", "{licence: MIT}"])
def test_an_entry_names_exactly_one_kind(tmp_path: Path, entry: str) -> None:
    """None or two kinds: nobody can know what is meant, so the choices are shown."""
    with pytest.raises(ConfigError, match=r"toy\.yaml.*sources\.0.*exactly one of the keys package, code, docs"):
        read(tmp_path, entry)


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("{docs: d, licens: MIT}", "licens"),
        ("{package: polars, licence: MIT}", "licence"),
        ("{lines: f.jsonl}", "text"),
        ("{docs: d, max_characters: 10}", "max_characters"),
        ("{code: c, name: a/b}", "name"),
    ],
)
def test_a_wrong_key_is_named_with_its_entry(tmp_path: Path, entry: str, key: str) -> None:
    """Misspelt, of another kind, missing, or of a value that cannot be."""
    with pytest.raises(ConfigError, match=rf"toy\.yaml.*sources\.1\..*{key}"):
        read(tmp_path, "package: polars", entry)


@pytest.mark.parametrize(
    ("path", "prefix"), [("lib", "lib"), ("lib.v1.jsonl.gz", "lib.v1"), ("a/rows.jsonl", "rows"), ("a/..", "here")]
)
def test_ids_begin_with_the_last_part_of_the_path(tmp_path: Path, path: str, prefix: str) -> None:
    """Never with the whole: an index must not tell where it was built."""
    (tmp_path / "here" / "a").mkdir(parents=True)
    assert RowsSource(rows=tmp_path / "here" / path).prefix == prefix
    assert RowsSource(rows=tmp_path / path, name="other").prefix == "other"
