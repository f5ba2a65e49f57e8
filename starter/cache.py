"""The cache of model folders: whole or absent, never half.

    <home>/models/<name>-<version>/            the model folder
    <home>/models/<name>-<version>/asset.json  written last: what was built from what, size and SHA-256 of each file
    <home>/models/.<name>-<version>.<random>   a build under way; renamed when complete
    <home>/models/.<name>-<version>.lock       held while building; the system frees it when its holder dies

Every `ensure` reads and hashes all files (0.5 s a GB where the processor has SHA instructions), so a damaged model is
rebuilt instead of served. Not covered: file systems without flock.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from starter.assets import RECIPE, Asset
from starter.build import build
from starter.errors import DiskSpaceError
from starter.home import home, models_folder, unwritable

MANIFEST = "asset.json"
MISSING = "not built yet"


def ensure(asset: Asset) -> Path:
    """The verified folder of an asset, built first where it is missing or broken."""
    folder = home() / "models" / asset.folder_name

    def make(console: Console) -> None:
        need_space(asset, folder.parent)
        _build(asset, folder, console)

    return built(folder, asset.model_id, models_folder, lambda: fault(asset, folder), make)


def built(
    folder: Path,
    what: str,
    open_parent: Callable[[], Path],
    fault: Callable[[], str | None],
    make: Callable[[Console], None],
) -> Path:
    """The folder, made first where `fault` finds something; one process makes it, the others wait for `what`.

    `open_parent` makes the folder above it, which nobody needs who finds a whole one.
    """
    if fault() is None:
        return folder
    parent, console = open_parent(), Console(stderr=True)
    with lock(parent, folder.name, what, console):
        found = fault()  # another process may have built it while this one waited
        if found is None:
            return folder
        for leftover in parent.glob(f".{folder.name}.*.building"):
            shutil.rmtree(leftover, ignore_errors=True)
        if found != MISSING:
            console.print(f'folder "{folder}": {found}; it is built again', soft_wrap=True, highlight=False)
            shutil.rmtree(folder)
        make(console)
    return folder


def fault(asset: Asset, folder: Path) -> str | None:
    """What is wrong with a cached folder, or None when it is whole."""
    if not folder.exists():
        return MISSING
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["recipe"] != recipe(asset):
            return "it was built by another recipe"
        for file, expected in manifest["files"].items():
            wrong = wrong_file(folder / file, expected["bytes"], expected["sha256"])
            if wrong:
                return f'"{file}" {wrong}'
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{MANIFEST} is missing or unreadable ({type(error).__name__}), so the build was not finished"
    return None


def wrong_file(path: Path, size: int, sha256: str) -> str | None:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes, expected {size}"
    return None if digest(path) == sha256 else "has other contents than were written"


def digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def recipe(asset: Asset) -> dict[str, Any]:
    return {"number": RECIPE, "asset": json.loads(json.dumps(dataclasses.asdict(asset)))}


def need_space(asset: Asset, models: Path) -> None:
    free = shutil.disk_usage(models).free
    if free < asset.build_bytes:
        raise DiskSpaceError(
            f'building {asset.model_id} needs {asset.build_bytes / 1e9:.1f} GB, "{models}" has {free / 1e9:.1f} GB '
            "free; free some space or set POINTSMAN_HOME to a folder on a larger disk"
        )


@contextlib.contextmanager
def lock(parent: Path, name: str, what: str, console: Console) -> Iterator[None]:
    """Held while the folder `name` below `parent` is built; who waits is told `what` is built."""
    path = parent / f".{name}.lock"
    try:
        handle = path.open("w")
    except OSError as error:
        raise unwritable(parent, error) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"another process is building {what}; waiting for it", highlight=False)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(asset: Asset, folder: Path, console: Console) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{asset.folder_name}.", suffix=".building", dir=folder.parent))
    try:
        result = build(asset, work, console)
        write_manifest(asset, result)
        result.rename(folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DiskSpaceError(
            f'the disk of "{folder.parent}" ran full while {asset.model_id} was built; free '
            f"{asset.build_bytes / 1e9:.1f} GB or set POINTSMAN_HOME to a folder on a larger disk"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_manifest(asset: Asset, folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        path.chmod(0o644)
    manifest = {
        "source": asset.model_id,
        "licence": asset.licence,
        "recipe": recipe(asset),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "gguf")},
        "files": {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": digest(path)}
            for path in files
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
