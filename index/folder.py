"""A finished folder in, put where an older one of its kind stands: never half, and never over somebody else's files.

`marker` is the file that is written last into every folder of a kind (index.json, manifest.json): it tells them apart
from a folder that a misspelt path would name, and holds the size and SHA-256 of the others.
Not covered: two processes that replace the same folder at once.
"""

import ctypes
import errno
import hashlib
import os
import shutil
from pathlib import Path

from index.config import Settings
from index.errors import ConfigError

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # fcntl.h, linux/fs.h
# An old kernel, a file system that cannot exchange, a sandbox that forbids what it does not know.
NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


class FileFacts(Settings):
    """Size and content of one file."""

    bytes: int
    sha256: str


def file_facts(path: Path) -> FileFacts:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return FileFacts(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def refuse_foreign(target: Path, marker: str) -> None:
    """Raise ConfigError when `target` holds something, and not what `marker` stands for."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ConfigError(f'"{target}" is not a folder of its own, so it is not replaced: name another output folder')
    if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
        raise ConfigError(
            f'folder "{target}" holds files and no {marker}, so it is not replaced: name another output folder, '
            "or delete this one"
        )


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; raises ConfigError when that is not possible, before any work is lost."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f'folder "{folder}" cannot be made ({error.strerror}): name another one') from error


def write_through(path: Path) -> None:
    """Return when a file, or the names in a folder, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_folder(new: Path, target: Path, marker: str) -> None:
    """Put `new` in the place of `target`, then delete what stood there; raises ConfigError as above.

    The two change places in one step, so that `target` is whole at every moment; after a kill `new` may hold the old
    folder. Where the system cannot do that: see `rename_aside`.
    """
    refuse_foreign(target, marker)
    if target.is_dir() and exchange(new, target):
        shutil.rmtree(new)
    else:
        rename_aside(new, target)
    write_through(target.parent)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the system cannot, OSError where the folders cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    if (number := ctypes.get_errno()) in NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def rename_aside(new: Path, target: Path) -> None:
    """Rename `target` aside, `new` into its place, then delete what stood there.

    A kill leaves the old or the new folder as `target`, except between the two renames: then there is no `target`, the
    old folder is whole as `<target>.replaced` and the new one whole as `new`. Rename either, or build again.
    """
    aside = target.with_name(target.name + ".replaced")
    if target.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
        target.rename(aside)
    try:
        new.rename(target)
    except OSError:
        if aside.is_dir():
            aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
