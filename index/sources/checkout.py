"""A folder in, where its text comes from: the commit, when git tracks it, and the licence.

git is asked without hooks or monitors, and never for anything that a network could answer. The commit ends in "-dirty"
when tracked files differ from it. Not covered: other version control.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from index.sources.config import PathSource
from index.sources.left_out import logger
from index.sources.licence import licence_in


@dataclass(frozen=True)
class Origin:
    """What every document of a source states."""

    source: str
    licence: str


def origin_of(source: PathSource, folder: Path) -> Origin:
    """The name and commit of a folder, and its licence: as its files tell it, else as the config does."""
    commit = commit_of(folder)
    told = next(filter(None, map(licence_in, upward(folder) if commit else [folder])), "")
    if told and source.licence not in ("unknown", told):
        logger.warning('%s: its own files say licence "%s", not "%s"', source.label, told, source.licence)
    return Origin(f"{source.prefix}@{commit}" if commit else source.prefix, told or source.licence)


def upward(folder: Path) -> Iterator[Path]:
    """A folder of a checkout, and those above it up to the checkout's own."""
    for parent in (folder.resolve(), *folder.resolve().parents):
        yield parent
        if (parent / ".git").exists():
            return


def commit_of(folder: Path) -> str:
    """The commit that a folder was checked out from; "" when git is not installed or does not track it."""
    if not git(folder, "rev-parse", "--verify", "--quiet", "HEAD:./"):
        return ""
    return git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def ignored_in(folder: Path) -> frozenset[str]:
    """The files and folders, relative to a folder, that git is told to ignore; none where it does not track it."""
    if not commit_of(folder):
        return frozenset()
    names = git(folder, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    return frozenset(name.rstrip("/") for name in names.split("\0") if name)


def git(folder: Path, *arguments: str) -> str:
    """git's answer about a folder; "" when it has none."""
    # In a hook GIT_ variables name another repository. Without optional locks nothing is written into the checkout.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    except OSError:
        return ""
    return os.fsdecode(answer.stdout).strip() if answer.returncode == 0 else ""
