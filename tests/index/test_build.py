from pathlib import Path

import pytest

from index import build, search
from index.errors import ConfigError, CorpusError
from index.store import load_index


@pytest.fixture
def config(tmp_path: Path, toytable: str) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(f"package: {toytable}\nencoder: starter\noutput: {tmp_path / 'out'}\n")
    return path


@pytest.mark.assets
def test_an_index_is_built_and_searched_with_the_real_encoder(config: Path, tmp_path: Path, capsys) -> None:
    """From a package's name to its nearest document, both commands."""
    build.main(config)
    assert load_index(tmp_path / "out").encoder == "all-MiniLM-L6-v2"
    assert not (tmp_path / "out.partial").exists()
    search.main("sum up the rows of a table", tmp_path / "out", 1)
    assert "toytable.Table.total" in capsys.readouterr().out


@pytest.mark.assets
def test_a_failed_build_leaves_the_old_index(config: Path, tmp_path: Path) -> None:
    """Whatever happens to the new one."""
    build.main(config)
    before = load_index(tmp_path / "out").documents
    config.write_text(config.read_text().replace("toytable", "no_such_package_here"))
    with pytest.raises(CorpusError, match="no_such_package_here"):
        build.main(config)
    assert load_index(tmp_path / "out").documents == before


def test_an_output_folder_with_other_files_is_refused_and_kept(config: Path, tmp_path: Path) -> None:
    """Before anything is embedded."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "guide.md").write_text("text")
    with pytest.raises(ConfigError, match=r'out" holds files and no index\.json'):
        build.main(config)
    assert (tmp_path / "out" / "guide.md").read_text() == "text"


def test_a_misspelt_key_names_file_and_key(config: Path) -> None:
    """Refused before anything is read."""
    config.write_text(config.read_text().replace("package", "pakage"))
    with pytest.raises(ConfigError, match=r'toy\.yaml.*"pakage"'):
        build.main(config)


def test_a_query_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A byte of another encoding reaches the command as half a character, which no encoder can read."""
    with pytest.raises(CorpusError, match=r'"caf\\udce9" is not UTF-8 text') as caught:
        search.main("caf\udce9", tmp_path, 5)
    assert str(caught.value).isascii()


def test_an_empty_query_is_refused(tmp_path: Path) -> None:
    """Nothing is nearest to nothing."""
    with pytest.raises(CorpusError, match="empty"):
        search.main("  ", tmp_path, 5)
