"""Bundles on disk in, verified specialists and their encoder out.

Imported only when there are bundles to load, in a thread: the encoder's library takes seconds to import.
"""

from collections.abc import Sequence
from pathlib import Path

from index.bundle import Specialist, base_facts, load_bundle, read_manifest
from index.embed import Encoder, load_encoder
from starter import resolve_model


def load_specialists(folders: Sequence[Path], *, model: str, encoder: str) -> tuple[Encoder, list[Specialist]]:
    """Load bundles for one base model; raises index.errors.BundleError naming the file, or a StarterError."""
    for folder in folders:
        # A wrong path is said at once, not after the encoder and the model have been fetched.
        read_manifest(folder)
    base = base_facts(resolve_model(model))
    loaded = load_encoder(encoder)
    # The first call allocates and compiles what later calls reuse.
    loaded.encode(["warm up"])
    return loaded, [load_bundle(folder, base=base, encoder=loaded) for folder in folders]
