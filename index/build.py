"""`pointsman index build`: sources in, an index folder out, whole or not at all; only what is new is embedded.

`store` says where the index lies: by default in the folder at `output`, else in Milvus, and `output` names its place.
A document's vector is taken from the index that stands at `output` when that holds its text, embedded by the same
encoder; the vectors of a build that was killed are in the encoder's cache.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from index.config import Settings, read_config
from index.documents import Document
from index.embed import CachedEncoder, Encoder, EncoderConfig, load_encoder
from index.encoders.config import STARTER_QUICK
from index.errors import BundleError
from index.facts import MARKER
from index.folder import make_folder, refuse_foreign
from index.load import load_index
from index.milvus.config import MilvusConfig
from index.milvus.server import Server
from index.milvus.store import save_in_milvus
from index.sources.config import AnySource
from index.sources.read import read_sources
from index.store import Index, LocalIndex, make_index
from index.vectors import SAMPLE, Algorithm, VectorFacts, suited

QUESTION_CHARACTERS = 200


class StoreConfig(Settings):
    """The key `store` of a config."""

    milvus: MilvusConfig | None = Field(default=None, description="Without it the index lies in `output` whole.")


class IndexConfig(Settings):
    """configs/index/*.yaml."""

    sources: tuple[AnySource, ...] = Field(min_length=1, description="What is read; `package: NAME` is one package.")
    encoder: EncoderConfig = Field(default=STARTER_QUICK, description="What embeds the documents.")
    algorithm: Algorithm = Field(
        default="auto", description="How vectors are searched; auto: as their number asks for."
    )
    store: StoreConfig = Field(default=StoreConfig(), description="Where documents, vectors and words lie.")
    output: Path = Field(description="Folder of the finished index.")

    @model_validator(mode="before")
    @classmethod
    def _package_is_a_source(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "package" in values and "sources" not in values:
            others = {key: value for key, value in values.items() if key != "package"}
            return others | {"sources": [{"package": values["package"]}]}
        return values

    @model_validator(mode="after")
    def _milvus_has_the_algorithm(self) -> Self:
        if self.store.milvus and self.algorithm == "ivfpq":
            raise ValueError('key "algorithm" is "ivfpq": with store.milvus choose auto, exact or hnsw')
        return self


@dataclass(frozen=True)
class Changes:
    """Documents against those of the index before: by id, and how many vectors were not embedded again.

    A document that moved is removed under one id, added under another, and its vector reused.
    """

    added: int
    changed: int
    removed: int
    reused: int

    def __str__(self) -> str:
        return f"{self.added} added, {self.changed} changed text, {self.removed} removed, {self.reused} reused"


def earlier_index(folder: Path, encoder: Encoder) -> Index | None:
    """The index at a folder, if there is one whose vectors this encoder made; prints why they are not reused."""
    if not (folder / MARKER).is_file():
        return None
    try:
        index = load_index(folder)
    except BundleError as error:
        note(f"every document is embedded again: {error}")
        return None
    made, now = (index.encoder, index.fingerprint), (encoder.id, encoder.fingerprint)
    if (*made, index.dimension) != (*now, encoder.dimension):
        note(f'every document is embedded again: "{folder}" was embedded by "{made}", now it is "{now}"')
        return None
    return index


def note(text: str) -> None:
    """One line on the terminal, apart from the result."""
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(text)


def changes(documents: Sequence[Document], earlier: Index | None) -> Changes:
    """What a build of these documents changes."""
    old = {document.id: document.hash for document in earlier.documents} if earlier else {}
    new = {document.id: document.hash for document in documents}
    texts = set(old.values())
    return Changes(
        added=len(new.keys() - old.keys()),
        changed=sum(id_ in old and old[id_] != hash_ for id_, hash_ in new.items()),
        removed=len(old.keys() - new.keys()),
        reused=sum(document.hash in texts for document in documents),
    )


def vectors_of(documents: Sequence[Document], encoder: Encoder, earlier: Index | None) -> np.ndarray:
    """The documents' vectors (N, D): those of the earlier index, and each other text embedded once."""
    rows = {document.hash: row for row, document in enumerate(earlier.documents)} if earlier else {}
    texts = {document.hash: document.text for document in documents}
    known, fresh = [hash_ for hash_ in texts if hash_ in rows], [hash_ for hash_ in texts if hash_ not in rows]
    parts = [earlier.vectors.at([rows[hash_] for hash_ in known])] if earlier and known else []
    if fresh:
        parts.append(encode([texts[hash_] for hash_ in fresh], encoder))
    places = {hash_: place for place, hash_ in enumerate(known + fresh)}
    return np.concatenate(parts)[[places[document.hash] for document in documents]]


def encode(texts: Sequence[str], encoder: Encoder) -> np.ndarray:
    """Vectors of the texts, with a progress bar while they are embedded."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("embedding", total=len(texts))
        return encoder.encode(texts, lambda done: bar.advance(task, done))


def questions(documents: Sequence[Document]) -> list[str]:
    """Texts that are near to some of the documents and equal to none: what follows their first line."""
    chosen = documents[:: max(len(documents) // SAMPLE, 1)]
    return [(d.text.partition("\n")[2] or d.text)[:QUESTION_CHARACTERS] for d in chosen]


def build(
    documents: Sequence[Document], encoder: Encoder, earlier: Index | None = None, algorithm: Algorithm = "auto"
) -> LocalIndex:
    """An index of the documents; vectors of the earlier one are reused."""
    vectors_ND = vectors_of(documents, encoder, earlier)
    queries_QD = queries_of(documents, encoder, algorithm)
    with Console(stderr=True).status("indexing"):
        return make_index(
            documents, vectors_ND, encoder.id,
            fingerprint=encoder.fingerprint, algorithm=algorithm, queries_QD=queries_QD,
        )  # fmt: skip


def queries_of(documents: Sequence[Document], encoder: Encoder, algorithm: Algorithm) -> np.ndarray | None:
    """The vectors that an approximate search of the documents is measured with; None where it is exact."""
    exact = suited(algorithm, len(documents), encoder.dimension) == "exact"
    return None if exact else encoder.encode(questions(documents))


def build_in_milvus(
    documents: Sequence[Document], encoder: Encoder, earlier: Index | None, server: Server, config: IndexConfig
) -> VectorFacts:
    """The same into Milvus and the folder that names it; the vectors are indexed there."""
    assert config.store.milvus
    index = build(documents, encoder, earlier, "exact")
    queries_QD = queries_of(documents, encoder, config.algorithm)
    with Console(stderr=True).status("writing to Milvus"):
        return save_in_milvus(index, config.output, server, config.store.milvus, queries_QD)


def main(path: Path) -> None:
    """Build an index from its config; it appears whole or not at all."""
    config = read_config(path, IndexConfig)
    refuse_foreign(config.output, MARKER)
    server = Server(config.store.milvus) if config.store.milvus else None  # before hours of embedding
    documents = read_sources(config.sources)
    make_folder(config.output.parent)
    encoder = CachedEncoder(load_encoder(config.encoder))
    earlier = earlier_index(config.output, encoder)
    changed = changes(documents, earlier)
    if server:
        facts = build_in_milvus(documents, encoder, earlier, server, config)
    else:
        index = build(documents, encoder, earlier, config.algorithm)
        index.save(config.output)
        facts = index.vectors.facts
    Console(soft_wrap=True, markup=False, highlight=False).print(
        f"{len(documents)} documents: {changed}; {facts.algorithm} search, "
        f"recall@10 {facts.recall_at_10}, in {config.output}"
    )
