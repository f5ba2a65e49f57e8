import os
from pathlib import Path

import pytest

from index.errors import CorpusError
from index.sources.config import DocsSource
from index.sources.files import File, list_files, read_bytes, read_text
from index.sources.left_out import LeftOut
from tests.index.sources.conftest import commit, write


def paths(root: Path, *exclude: str) -> list[str]:
    """The Markdown files that are found, and told what is not."""
    source = DocsSource(docs=root, exclude=exclude)
    left = LeftOut(source.label)
    found = list_files(source, (".md",), left)
    left.tell()
    return [file.path for file in found]


def test_files_are_found_in_one_order(tmp_path: Path) -> None:
    """Whatever the file system says first; endings of any case."""
    assert paths(write(tmp_path, {"b.md": "", "a/z.md": "", "a.MD": "", "c.txt": ""})) == ["a.MD", "a/z.md", "b.md"]


def test_hidden_installed_and_built_folders_are_not_entered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is hidden goes without saying; the rest is told."""
    folders = (".git", ".tox", "__pycache__", "node_modules/x", "env", "_build", "x.egg-info")
    write(tmp_path, {"a.md": "", "env/pyvenv.cfg": "", **{f"{folder}/a.md": "" for folder in folders}})
    assert paths(tmp_path) == ["a.md"]
    assert caplog.text.count("left out") == 2
    assert 'left out virtual environments (1): "env"' in caplog.text
    assert "left out folders by their name (3)" in caplog.text
    assert ".git" not in caplog.text


def test_links_are_not_followed_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither up, which never ends, nor out, to what nobody named."""
    write(tmp_path, {"secret.md": "hunter2", "lib/a.md": "text"})
    (tmp_path / "lib" / "loop").symlink_to(tmp_path / "lib")
    (tmp_path / "lib" / "out.md").symlink_to(tmp_path / "secret.md")
    (tmp_path / "lib" / "self.md").symlink_to("self.md")
    os.mkfifo(tmp_path / "lib" / "pipe.md")
    assert paths(tmp_path / "lib") == ["a.md"]
    assert "left out links, which are not followed (3)" in caplog.text
    assert 'left out names that are no regular files (1): "pipe.md"' in caplog.text


def test_patterns_leave_out_files_and_folders(tmp_path: Path) -> None:
    """A pattern matches a whole path, or a folder above it."""
    write(tmp_path, {"a.md": "", "old/a.md": "", "old/deep/b.md": "", "new/changelog.md": "", "older.md": ""})
    assert paths(tmp_path, "old", "*/changelog.md") == ["a.md", "older.md"]
    with pytest.raises(CorpusError, match="holds no file"):
        paths(tmp_path, "*")


def test_what_git_ignores_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Results and caches are nobody's documentation; what is new and not committed is read."""
    write(tmp_path, {".gitignore": "runs/\n*.tmp.md\n", "a.md": ""})
    commit(tmp_path)
    write(tmp_path, {"runs/x/a.md": "", "b.tmp.md": "", "new.md": ""})
    assert paths(tmp_path) == ["a.md", "new.md"]
    assert 'left out folders that git ignores (1): "runs"' in caplog.text
    assert 'left out files that git ignores (1): "b.tmp.md"' in caplog.text
    assert paths(tmp_path / "runs") == ["x/a.md"]


def test_a_name_that_is_no_text_is_a_path_all_the_same(tmp_path: Path) -> None:
    """Old disks hold names of other encodings."""
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("x")
    assert paths(tmp_path) == [os.fsdecode(b"caf\xe9.md")]


def test_a_text_has_one_kind_of_line_end_and_no_mark(tmp_path: Path) -> None:
    """So that lines are counted as every editor does."""
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_text(File(tmp_path / "a.md", "a.md")) == "a\nb\nc\n"


def test_an_enormous_file_is_named_and_not_read_whole(tmp_path: Path) -> None:
    """One byte past the limit is enough to know."""
    (tmp_path / "a.md").write_bytes(b"x" * 100)
    assert len(read_bytes(File(tmp_path / "a.md", "a.md"), limit=100)) == 100
    (tmp_path / "a.md").write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(CorpusError, match=r'a.md" is larger than 1 MiB: split it, or exclude it'):
        read_bytes(File(tmp_path / "a.md", "a.md"), limit=1 << 20)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the system's own reason, here that it has become a folder."""
    with pytest.raises(CorpusError, match=r'" cannot be read \(Is a directory\): make it readable, or exclude it'):
        read_bytes(File(tmp_path, "a.md"))
