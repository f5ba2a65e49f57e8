"""Bundles on disk in, verified specialists and their encoder out.

Imported only when there are bundles to load, in a thread: the encoder's library takes seconds to import.
"""

from collections.abc import Sequence
from pathlib import Path

from index.bundle import Specialist, base_facts, load_bundle, read_manifest
from index.embed import Encoder, EncoderConfig, load_encoder
from index.errors import BundleError
from starter import resolve_model


def load_specialists(
    folders: Sequence[Path], *, model: str, encoder: EncoderConfig | None = None
) -> tuple[Encoder, list[Specialist]]:
    """Load bundles for one base model; raises index.errors.BundleError naming the file, or a StarterError.

    A question is embedded once for all of them, so they state one encoder; `encoder` says where else it is found.
    """
    # A wrong path is said at once, not after the encoder and the model have been fetched.
    stated = {folder: read_manifest(folder).encoder for folder in folders}
    if encoder is None and len(set(stated.values())) > 1:
        told = ", ".join(f'"{folder}" by "{name}"' for folder, name in stated.items())
        raise BundleError(f"the bundles were embedded by several encoders ({told}): build them again with one")
    base = base_facts(resolve_model(model))
    loaded = load_encoder(encoder or stated[folders[0]])
    # The first call allocates and compiles what later calls reuse.
    loaded.encode(["warm up"])
    return loaded, [load_bundle(folder, base=base, encoder=loaded) for folder in folders]
