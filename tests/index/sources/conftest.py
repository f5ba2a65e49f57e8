"""Small real trees: text files by their path, and the promise that a document stands where it says."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from index.documents import Document


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    """Files below a folder, which is made; returns the folder."""
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def words(text: str) -> list[str]:
    """What layout and markup leave of a text."""
    return re.findall(r"\w+", text)


def lines_of(root: Path, document: Document) -> str:
    """What stands in the file on a document's lines."""
    lines = (root / document.path).read_text("utf-8-sig").split("\n")
    assert 1 <= document.first_line <= document.last_line <= len(lines)
    return "\n".join(lines[document.first_line - 1 : document.last_line])


def assert_in_place(root: Path, documents: Iterable[Document]) -> None:
    """Every word below a document's first line, which holds its symbol, stands on its lines in its file."""
    for document in documents:
        assert not Path(document.path).is_absolute()
        _, _, body = document.text.partition("\n")
        assert body.strip()
        missing = set(words(body)) - set(words(lines_of(root, document)))
        assert not missing, f"{document.id} says {missing}, which is not on its lines"


def facts(documents: Iterable[Document]) -> dict[str, str]:
    """Hash by id: what must survive an unrelated change."""
    return {document.id: document.hash for document in documents}


def git(folder: Path, *arguments: str) -> str:
    """One git command by a committer of its own."""
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> str:
    """Commit everything in a folder, as a new checkout where it is none; returns the commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "state")
    return git(folder, "rev-parse", "HEAD").strip()
