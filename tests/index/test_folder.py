"""A new folder takes an older one's place, and no folder of another kind is deleted."""

from pathlib import Path

import pytest

from index.errors import ConfigError
from index.folder import make_folder, replace_folder


def folder(path: Path, text: str, name: str = "index.json") -> Path:
    """A folder of one file."""
    path.mkdir()
    (path / name).write_text(text)
    return path


def test_the_new_folder_stands_alone_in_the_place_of_the_old(tmp_path: Path) -> None:
    """Nothing is left beside it."""
    target = folder(tmp_path / "out", "old")
    replace_folder(folder(tmp_path / "out.partial", "new"), target, "index.json")
    assert (target / "index.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("made", [True, False])
def test_an_empty_or_missing_folder_may_be_named(tmp_path: Path, made: bool) -> None:
    """Nothing can be lost there."""
    target = tmp_path / "out"
    if made:
        target.mkdir()
    replace_folder(folder(tmp_path / "out.partial", "new"), target, "index.json")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (target / "index.json").read_text() == "new"


def test_a_folder_of_another_kind_is_refused_and_kept(tmp_path: Path) -> None:
    """`output: docs` must not cost anybody the docs; the folder, the missing file and the cure are named."""
    docs, new = folder(tmp_path / "docs", "text", "guide.md"), folder(tmp_path / "docs.partial", "new")
    with pytest.raises(ConfigError, match=r'/docs" holds files and no index\.json.*name another output folder'):
        replace_folder(new, docs, "index.json")
    assert (docs / "guide.md").read_text() == "text"
    assert (new / "index.json").read_text() == "new"


def test_a_file_or_a_link_is_refused_and_kept(tmp_path: Path) -> None:
    """Only a folder of its own is replaced."""
    new, real = folder(tmp_path / "out.partial", "new"), folder(tmp_path / "real", "old")
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(real)
    for name in ("file", "link"):
        with pytest.raises(ConfigError, match=rf'/{name}" is not a folder'):
            replace_folder(new, tmp_path / name, "index.json")
    assert (tmp_path / "file").read_text() == "text"
    assert (real / "index.json").read_text() == "old"


def test_when_the_new_folder_cannot_come_the_old_one_returns(tmp_path: Path) -> None:
    """A failure between the two renames is undone."""
    target = folder(tmp_path / "out", "old")
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "out.partial", target, "index.json")
    assert (target / "index.json").read_text() == "old"


def test_after_a_kill_between_the_renames_the_next_build_mends_it(tmp_path: Path) -> None:
    """What such a kill leaves: no target, the old folder aside. It is deleted only once a new one is in place."""
    aside = folder(tmp_path / "out.replaced", "old")
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "out.partial", tmp_path / "out", "index.json")
    assert (tmp_path / "out" / "index.json").read_text() == "old"
    (tmp_path / "out").rename(aside)
    replace_folder(folder(tmp_path / "out.partial", "new"), tmp_path / "out", "index.json")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "index.json").read_text() == "new"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Before the work whose result it would hold."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file.inner.*name another"):
        make_folder(tmp_path / "file" / "inner")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
