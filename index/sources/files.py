"""A folder in, its files of some kind out, always in the same order; what is found there is not trusted.

Links are never followed: one that leads up would never end, and one that leads out would index what nobody named.
Nothing but regular files is opened.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from index.errors import CorpusError
from index.sources.checkout import ignored_in
from index.sources.config import TreeSource
from index.sources.left_out import LeftOut

MIB = 1024 * 1024
FILE_BYTES = 8 * MIB
# Nobody's own text: installed, downloaded or built.
FOREIGN_FOLDERS = frozenset({"_build", "node_modules", "site-packages"})


@dataclass(frozen=True)
class File:
    """A file and its path relative to the source's root, as ids and documents hold it."""

    location: Path
    path: str


def root_of(source: TreeSource) -> Path:
    """The folder that paths are relative to; raises CorpusError when the source is neither a folder nor a file."""
    if not source.path.is_dir() and not source.path.is_file():
        raise CorpusError(f"{source.label} is neither a folder nor a file: correct the path")
    return source.path if source.path.is_dir() else source.path.parent


def list_files(
    source: TreeSource, suffixes: tuple[str, ...], left: LeftOut, folders: frozenset[str] = FOREIGN_FOLDERS
) -> list[File]:
    """The source's files with one of these suffixes, or the one file that it is; folders of these names are left out.

    Raises CorpusError when there is none, or a folder cannot be listed.
    """
    root = root_of(source)
    if source.path.is_file() and source.path.name.lower().endswith(suffixes):
        return [File(source.path, source.path.name)]
    if source.path.is_file():
        raise CorpusError(f"{source.label} does not end in {', '.join(suffixes)}: name another file")
    tree = Tree(root, folders, ignored_in(root), left)
    named = [file for file in tree.files() if file.path.lower().endswith(suffixes)]
    found = [file for file in named if not excluded(file.path, source.exclude) and tree.opens(file)]
    if not found:
        left.tell()
        raise CorpusError(f"{source.label} holds no file that ends in {', '.join(suffixes)}: name another folder")
    return sorted(found, key=lambda file: file.path)


@dataclass(frozen=True)
class Tree:
    """A folder and what is not read in it: folders of some names, and what git ignores."""

    root: Path
    folders: frozenset[str]
    ignored: frozenset[str]
    left: LeftOut

    def files(self) -> Iterator[File]:
        """Everything in the folders that are entered; raises CorpusError for one that cannot be listed."""
        for top, names, files in os.walk(self.root, onerror=refuse):
            place = Path(top)
            names[:] = [name for name in sorted(names) if self.enters(place / name)]
            for name in sorted(files):
                yield File(place / name, self.path(place / name))

    def enters(self, folder: Path) -> bool:
        """Whether a folder is read; one that is not, unless hidden, is told."""
        if folder.name.startswith(".") or folder.name == "__pycache__":
            return False
        if folder.is_symlink():
            return self.leaves("links, which are not followed", folder)
        if folder.name in self.folders or folder.name.endswith(".egg-info"):
            return self.leaves("folders by their name", folder)
        if (folder / "pyvenv.cfg").exists():
            return self.leaves("virtual environments", folder)
        return self.path(folder) not in self.ignored or self.leaves("folders that git ignores", folder)

    def opens(self, file: File) -> bool:
        """Whether a file is read: a link may lead anywhere, and a pipe would be waited for; what is not, is told."""
        if file.location.is_symlink():
            return self.leaves("links, which are not followed", file.location)
        if not stat.S_ISREG(file.location.stat().st_mode):
            return self.leaves("names that are no regular files", file.location)
        return file.path not in self.ignored or self.leaves("files that git ignores", file.location)

    def leaves(self, reason: str, place: Path) -> bool:
        """False, once it is noted that something is left out."""
        self.left.add(reason, f'"{self.path(place)}"')
        return False

    def path(self, place: Path) -> str:
        """A place as ids and documents name it."""
        return place.relative_to(self.root).as_posix()


def refuse(error: OSError) -> None:
    """Raise CorpusError for a folder that os.walk would pass over in silence."""
    raise CorpusError(f'folder "{error.filename}" cannot be listed ({error.strerror}): make it readable')


def excluded(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern matches a path or a folder above it."""
    names = [path, *(parent.as_posix() for parent in PurePosixPath(path).parents)]
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def read_bytes(file: File, limit: int = FILE_BYTES) -> bytes:
    """A file's content; raises CorpusError when it cannot be read or is larger than `limit` bytes."""
    try:
        with file.location.open("rb") as opened:
            content = opened.read(limit + 1)
    except OSError as error:
        raise CorpusError(
            f'file "{file.location}" cannot be read ({error.strerror}): make it readable, or exclude it'
        ) from error
    if len(content) > limit:
        raise CorpusError(f'file "{file.location}" is larger than {limit // MIB} MiB: split it, or exclude it')
    return content


def read_text(file: File, limit: int = FILE_BYTES) -> str:
    """A file's text with "\\n" alone at line ends; raises CorpusError when it is not UTF-8, or as read_bytes does."""
    try:
        text = read_bytes(file, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f'file "{file.location}" is not UTF-8 text (byte {error.start}): save it as UTF-8, or exclude it'
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
