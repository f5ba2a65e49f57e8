"""A model folder in, a hash of everything in it that decides vectors out."""

import hashlib
from pathlib import Path

# Weights, tokenizer and settings; not read: other formats of the weights, pages, and what the caches write.
DECIDING = (".json", ".txt", ".model", ".safetensors", ".bin")
WRITTEN_BY_US = ("asset.json", "derived.json")


def fingerprint(folder: Path) -> str:
    """SHA-256 of the deciding files, by path and content."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in DECIDING and path.name not in WRITTEN_BY_US and path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\0".encode())
    return digest.hexdigest()


def with_facts(model: str, *facts: object) -> str:
    """A model folder's fingerprint together with what else decides vectors, such as the backend."""
    return hashlib.sha256("\0".join(map(str, (model, *facts))).encode()).hexdigest()
