"""Folders that are made from a model folder on this machine: whole or absent, never half.

    <home>/encoders/<name>-<key>/              what the program wrote
    <home>/encoders/<name>-<key>/derived.json  written last: what it was made from, size and SHA-256 of each file
    <home>/encoders/.<name>-<key>.<random>     a build under way; renamed when complete
    <home>/encoders/.<name>-<key>.lock         held while building

The key is a hash of the recipe, so another model, setting or library version has another folder. Folders of older
recipes are left: every one may be deleted at any time. The files are read and hashed whenever a folder is asked for.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from starter import child
from starter.cache import MISSING, built, digest, wrong_file
from starter.errors import ConversionError, ModelError
from starter.home import home, kept

MANIFEST = "derived.json"
REFUSED = 3  # exit status of a program that printed why this model cannot be used
Recipe = Mapping[str, str]


def derived(name: str, recipe: Recipe, module: str, source: Path) -> Path:
    """The verified folder that `python -m module SOURCE FOLDER` writes, made first where it is missing or broken.

    Raises ModelError with the program's own words where it exits with REFUSED, ConversionError where it fails.
    """
    name = f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}-{key(recipe)}"
    folder = home() / "encoders" / name

    def make_it(console: Console) -> None:
        with console.status(f"making {name}, once"):
            make(folder, recipe, module, source)

    return built(folder, name, lambda: kept("encoders"), lambda: fault(folder), make_it)


def key(recipe: Recipe) -> str:
    """Twelve hexadecimal digits that stand for a recipe."""
    return hashlib.sha256(json.dumps(dict(recipe), sort_keys=True).encode()).hexdigest()[:12]


def fault(folder: Path) -> str | None:
    """What is wrong with a folder, or None when it is whole."""
    if not folder.exists():
        return MISSING
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        for file, expected in files.items():
            if wrong := wrong_file(folder / file, expected["bytes"], expected["sha256"]):
                return f'"{file}" {wrong}'
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{MANIFEST} is missing or unreadable ({type(error).__name__})"
    return None


def make(folder: Path, recipe: Recipe, module: str, source: Path) -> None:
    """Run the program in a working folder beside `folder`, write the manifest, rename."""
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".building", dir=folder.parent))
    try:
        result = work / "files"
        result.mkdir()
        run(module, source, result, work)
        paths = sorted(path for path in result.rglob("*") if path.is_file())
        files = {
            path.relative_to(result).as_posix(): {"bytes": path.stat().st_size, "sha256": digest(path)}
            for path in paths
        }
        manifest = {"program": module, "recipe": dict(recipe), "files": files}
        (result / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        result.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run(module: str, source: Path, result: Path, work: Path) -> None:
    """The program in a process of its own, so that its libraries and their memory end with it."""
    paths = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1", "TMPDIR": str(work)}
    command = [sys.executable, "-m", module, str(source), str(result)]
    status, output = child.run(command, environment, lambda: None)
    if status == REFUSED:
        raise ModelError(child.last_line(output))
    if status != 0:
        raise ConversionError(
            f'the model "{source}" could not be converted by {module}: "{child.last_line(output)}" (exit status '
            f'{status}; a negative one is a signal, -9 mostly means too little memory): use the backend "torch"'
        )
