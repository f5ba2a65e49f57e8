"""A finished folder in, put where an older one of its kind stands: never half, and never over somebody else's files.

`marker` is the file that is written last into every folder of a kind (index.json, manifest.json): it tells them apart
from a folder that a misspelt path would name. Not covered: two processes that replace the same folder at once.
"""

import shutil
from pathlib import Path

from index.errors import ConfigError


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


def replace_folder(new: Path, target: Path, marker: str) -> None:
    """Rename `target` aside, `new` into its place, then delete what stood there; raises ConfigError as above.

    A kill leaves the old or the new folder as `target`, except between the two renames: then there is no `target`, the
    old folder is whole as `<target>.replaced` and the new one whole as `new`. Rename either, or build again.
    """
    refuse_foreign(target, marker)
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
