"""The folder that programs write to: empties it whatever they left there, tells when they write too much.

What they leave may be deep, unreadable, badly named, or without end.
"""

import itertools
import os

FILES = 10_000


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


def overfull(folder: str, size: int) -> bool:
    """Whether a folder holds more than `size` bytes, more than FILES files, or what cannot be seen from outside."""
    folders, files = [folder], 0
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    files += 1
                    size -= entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    if size < 0 or files > FILES:
                        return True
        except FileNotFoundError:  # it is being written to
            continue
        except OSError:
            return True
    return False
