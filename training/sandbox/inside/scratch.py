"""Empties the folder that programs write to, whatever they left there: deep, unreadable, or badly named."""

import itertools
import os


def empty(folder: str) -> None:
    """Delete all that a folder holds, but not the folder; nothing may write to it any more."""
    fresh = (os.path.join(folder, f"{os.urandom(16).hex()}-{number}") for number in itertools.count())
    while folders := delete_files(folder):
        for path in folders:
            # Folders are moved up before they are looked into: no path grows too long, no recursion too deep.
            for inner in delete_files(path):
                os.rename(inner, next(fresh))
            os.rmdir(path)


def delete_files(folder: str) -> list[str]:
    """Delete the files of a folder; its folders, made accessible."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, 0o700)
                folders.append(entry.path)
            else:
                os.unlink(entry.path)
    return folders
