"""A specialist on disk: adapter, index and calibration in one folder whose manifest is written last.

    <name>/adapter/           adapter_config.json, adapter_model.safetensors
    <name>/index/             as index/store.py or index/milvus/store.py lays it out
    <name>/calibration.json
    <name>/manifest.json      its presence means the rest is complete

`load_bundle` checks every file against the manifest, and base, template and encoder against what is running.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from pydantic import Field, ValidationError

from index.adapter import BaseFacts, base_facts, check_adapter
from index.calibration import Calibration, read_calibration
from index.config import Settings, explained
from index.embed import Encoder
from index.errors import BundleError
from index.facts import MARKER, read_facts
from index.features import Vocabulary
from index.folder import FileFacts, file_facts
from index.load import load_index
from index.prompt import choose_evidence
from index.store import Hit, Index

__all__ = ["BaseFacts", "Manifest", "Retrieval", "Specialist", "base_facts", "load_bundle", "write_manifest"]

SCHEMA = 1
SEARCH_DEPTH = 24
ADAPTER = ("adapter/adapter_config.json", "adapter/adapter_model.safetensors")


class Manifest(Settings):
    """manifest.json: what the bundle is, what it was made for and from."""

    schema_version: int
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    base: str
    base_fingerprint: str
    template_hash: str
    rank: int
    target_modules: tuple[str, ...]
    encoder: str
    dimension: int
    names: tuple[str, ...] = Field(description="What users call the library in a question.")
    rivals: tuple[str, ...] = Field(default=(), description="What users name when they mean another library.")
    context: bool = Field(description="Whether evidence is put into the prompt by default.")
    seed: int
    data: dict[str, str] = Field(description="SHA-256 of tasks and rows, and the source with its licence.")
    contamination: str = Field(description="What was kept out of training and index, and how that was checked.")
    versions: dict[str, str]
    git_commit: str
    scores: dict[str, str] = Field(default={}, description="Where its measured scores stand.")
    files: dict[str, FileFacts]


@dataclass(frozen=True)
class Retrieval:
    """What one specialist's index says about one query; `hits` are the evidence, `score` is the best cosine."""

    hits: tuple[Hit, ...]
    features: Mapping[str, float]
    score: float
    probability: float


class Specialist:
    """A loaded bundle, immutable; `retrieve` may be called from any thread."""

    def __init__(self, folder: Path, manifest: Manifest, index: Index, calibration: Calibration) -> None:
        self.folder = folder
        self.manifest = manifest
        self.name = manifest.name
        # The manifest holds every file's hash, so this stands for the whole bundle.
        self.fingerprint = hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()
        self.base_fingerprint = manifest.base_fingerprint
        self.context = manifest.context
        self.calibration = calibration
        self.adapter = folder / "adapter"
        self._index = index
        self._vocabulary = Vocabulary(index, manifest.names, manifest.rivals)

    def retrieve(self, query: str, vector: np.ndarray) -> Retrieval:
        """Search the index with a query and its (D,) unit vector; hits best first."""
        hits = self._index.search(query, vector, SEARCH_DEPTH)
        features = self.calibration.seen(self._vocabulary.features(query, hits), vector)
        return Retrieval(
            tuple(choose_evidence(hits)), features, features["top"], self.calibration.probability(features)
        )


def write_manifest(folder: Path, facts: Mapping[str, object]) -> Manifest:
    """Hash every file of a bundle folder and write manifest.json, last and whole."""
    files = {
        str(path.relative_to(folder)): file_facts(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    manifest = Manifest.model_validate({**facts, "schema_version": SCHEMA, "files": files})
    partial = folder / "manifest.json.partial"
    partial.write_text(manifest.model_dump_json(indent=2) + "\n")
    partial.rename(folder / "manifest.json")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read manifest.json; raises BundleError when the bundle is incomplete or of another schema."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise BundleError(
            f'bundle "{folder}" has no manifest.json: it is incomplete, or the path is wrong; build it again'
        )
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else explained(error, Manifest)
        raise BundleError(f'manifest "{path}" cannot be read ({why}): build the bundle again') from error
    if manifest.schema_version != SCHEMA:
        raise BundleError(f'bundle "{folder}" has schema "{manifest.schema_version}", this version reads {SCHEMA}')
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Refuse a bundle with a missing, truncated, altered or unlisted file, naming it."""
    for name, wanted in manifest.files.items():
        check_file(folder, name, wanted)
    refuse_lacking(folder, manifest, (*ADAPTER, "calibration.json", f"index/{MARKER}"))
    refuse_lacking(folder, manifest, [f"index/{name}" for name in read_facts(folder / "index").files])
    for path in sorted((*(folder / "adapter").rglob("*"), *(folder / "index").rglob("*"))):
        listed = str(path.relative_to(folder)) in manifest.files
        if not listed and (path.is_symlink() or not path.is_dir()):
            raise BundleError(
                f'bundle file "{path}" is not listed in manifest.json: remove it, or build the bundle again'
            )


def refuse_lacking(folder: Path, manifest: Manifest, names: Iterable[str]) -> None:
    """Refuse a manifest that does not list one of these files, naming it."""
    for name in names:
        if name not in manifest.files:
            raise BundleError(f'bundle "{folder}" lists no "{name}" in manifest.json: build it again')


def check_file(folder: Path, name: str, wanted: FileFacts) -> None:
    """Refuse one file of the manifest that is outside the bundle, missing, unreadable, truncated or altered."""
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise BundleError(f'bundle "{folder}" lists "{name}" in manifest.json, outside the bundle: build it again')
    path = folder / name
    try:
        found = file_facts(path) if path.is_file() else None
    except OSError as error:
        raise BundleError(f'bundle file "{path}" cannot be read ({error.strerror}): copy the bundle again') from error
    if found is None:
        raise BundleError(f'bundle file "{path}" is missing: copy the bundle again')
    if found.bytes < wanted.bytes:
        raise BundleError(f'bundle file "{path}" is truncated: {found.bytes} of {wanted.bytes} bytes; copy it again')
    if found != wanted:
        raise BundleError(f'bundle file "{path}" was altered: its SHA-256 is not the manifest\'s; copy it again')


def check_running(folder: Path, manifest: Manifest, base: BaseFacts) -> None:
    """Refuse a bundle made for another base or template, naming both sides."""
    pairs = (
        ("base weights", f"{manifest.base} {manifest.base_fingerprint[:12]}", f"{base.id} {base.fingerprint[:12]}"),
        ("chat template", manifest.template_hash[:12], base.template_hash[:12]),
    )
    for what, bundled, running in pairs:
        if bundled != running:
            raise BundleError(
                f'bundle "{folder}" was made for {what} "{bundled}", but "{running}" is running: '
                "serve the model it was made for, or train it again on this one"
            )


def check_encoder(folder: Path, index: Index, encoder: Encoder) -> None:
    """Refuse to search an index by an encoder that did not embed it, naming both; a model may lie elsewhere by now."""
    if (index.fingerprint, index.dimension) != (encoder.fingerprint, encoder.dimension):
        embedded = f"{index.encoder} {index.fingerprint[:12]} ({index.dimension})"
        asking = f"{encoder.id} {encoder.fingerprint[:12]} ({encoder.dimension})"
        raise BundleError(
            f'index "{folder}" was embedded by "{embedded}", but "{asking}" is loaded: name that encoder, or rebuild '
            "the index"
        )


def check_probe(folder: Path, calibration: Calibration, index: Index) -> None:
    """Refuse a probe that was fitted on other vectors than the index has."""
    if calibration.probe and len(calibration.probe.weights) != index.dimension:
        raise BundleError(
            f'calibration of bundle "{folder}" has a probe of "{len(calibration.probe.weights)}" dimensions, its index '
            f"{index.dimension}: calibrate it again"
        )


def load_bundle(folder: Path, *, base: BaseFacts, encoder: Encoder) -> Specialist:
    """Verify and load a bundle; raises BundleError with the file and the cure."""
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    check_running(folder, manifest, base)
    config = check_adapter(folder / "adapter", base)
    if config["r"] != manifest.rank:
        raise BundleError(
            f'bundle "{folder}" states rank "{manifest.rank}", its adapter has {config["r"]}: build it again'
        )
    index, calibration = load_index(folder / "index"), read_calibration(folder / "calibration.json")
    check_encoder(folder / "index", index, encoder)
    check_probe(folder, calibration, index)
    if manifest.dimension != index.dimension:
        raise BundleError(
            f'manifest of bundle "{folder}" states "{manifest.dimension}" dimensions, its index has {index.dimension}: '
            "build the bundle again"
        )
    return Specialist(folder, manifest, index, calibration)
