"""A new folder takes an older one's place, and no folder of another kind is deleted."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from index.errors import ConfigError
from index.folder import exchange, file_facts, make_folder, rename_aside, replace_folder


def exchanged(new: Path, target: Path) -> None:
    """By the system's exchange, where there is something to exchange."""
    replace_folder(new, target, "index.json")


BOTH_WAYS = pytest.mark.parametrize("replace", [exchanged, rename_aside])
Replace = Callable[[Path, Path], None]


def folder(path: Path, text: str, name: str = "index.json") -> Path:
    """A folder of one file."""
    path.mkdir()
    (path / name).write_text(text)
    return path


@BOTH_WAYS
def test_the_new_folder_stands_alone_in_the_place_of_the_old(tmp_path: Path, replace: Replace) -> None:
    """Nothing is left beside it."""
    target = folder(tmp_path / "out", "old")
    replace(folder(tmp_path / "out.partial", "new"), target)
    assert (target / "index.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_two_folders_change_places_in_one_step(tmp_path: Path) -> None:
    """Someone who looks all the time always finds one of them."""
    old, new = folder(tmp_path / "a", "old"), folder(tmp_path / "b", "new")
    missed, stop = [], threading.Event()

    def look() -> None:
        while not stop.is_set():
            missed.extend([] if (old / "index.json").exists() else ["missing"])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        assert all(exchange(old, new) for _ in range(2001))
    finally:
        stop.set()
        thread.join()
    assert missed == []
    assert ((old / "index.json").read_text(), (new / "index.json").read_text()) == ("new", "old")


def test_folders_that_cannot_change_places_stay(tmp_path: Path) -> None:
    """One that is missing; one that would become its own child."""
    old = folder(tmp_path / "a", "old")
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "none", old)
    (old / "child").mkdir()
    assert not exchange(old / "child", old)
    assert sorted(path.name for path in old.iterdir()) == ["child", "index.json"]


def test_a_file_is_known_by_size_and_content(tmp_path: Path) -> None:
    """SHA-256 as every other program computes it."""
    (tmp_path / "file").write_bytes(b"abc")
    facts = file_facts(tmp_path / "file")
    assert facts.bytes == 3
    assert facts.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@BOTH_WAYS
@pytest.mark.parametrize("made", [True, False])
def test_an_empty_or_missing_folder_may_be_named(tmp_path: Path, made: bool, replace: Replace) -> None:
    """Nothing can be lost there."""
    target = tmp_path / "out"
    if made:
        target.mkdir()
    replace(folder(tmp_path / "out.partial", "new"), target)
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


@BOTH_WAYS
def test_when_the_new_folder_cannot_come_the_old_one_returns(tmp_path: Path, replace: Replace) -> None:
    """Of two renames the first is undone."""
    target = folder(tmp_path / "out", "old")
    with pytest.raises(FileNotFoundError):
        replace(tmp_path / "out.partial", target)
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
