"""Where model folders and what is made from them are kept: POINTSMAN_HOME, else `pointsman` in the user's cache."""

import os
from pathlib import Path

from starter.errors import HomeError


def home() -> Path:
    chosen = os.environ.get("POINTSMAN_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pointsman"


def models_folder() -> Path:
    """The folder of all model folders, created if needed."""
    return kept("models")


def kept(name: str) -> Path:
    """A folder below home, created if needed."""
    folder = home() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def unwritable(folder: Path, error: OSError) -> HomeError:
    return HomeError(
        f'the cache "{folder}" cannot be written ({error.strerror}); '
        "set POINTSMAN_HOME to a folder that this user may write to"
    )
