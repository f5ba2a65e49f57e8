"""Documents and their vectors: built whole, saved, loaded, searched. The one file that imports faiss.

On disk: `vectors.faiss` (exact inner product, 16-bit floats), `documents.jsonl`, and `index.json` written last.
Not covered: approximate search; updates in place.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import faiss
import numpy as np
from pydantic import ValidationError

from index.config import Settings, explained
from index.documents import Document
from index.errors import BundleError, CorpusError

FILES = ("vectors.faiss", "documents.jsonl", "index.json")


class IndexFacts(Settings):
    """index.json."""

    encoder: str
    dimension: int
    documents: int


@dataclass(frozen=True)
class Hit:
    """A document and its cosine similarity to the query."""

    document: Document
    score: float


class Index:
    """Documents with one unit vector each; immutable once made."""

    def __init__(self, documents: Sequence[Document], vectors: faiss.Index, encoder: str) -> None:
        self.documents = tuple(documents)
        self.encoder = encoder
        self.dimension = vectors.d
        self._vectors = vectors

    def search(self, vector: np.ndarray, k: int) -> list[Hit]:
        """The k nearest documents of one (D,) unit vector, best first."""
        scores, rows = self._vectors.search(vector.reshape(1, -1).astype(np.float32), min(k, len(self.documents)))
        return [Hit(self.documents[row], float(score)) for row, score in zip(rows[0], scores[0], strict=True)]

    def save(self, folder: Path) -> None:
        """Write the three files, index.json last."""
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(self._vectors, str(folder / "vectors.faiss"))
        lines = (json.dumps(asdict(document), ensure_ascii=False) + "\n" for document in self.documents)
        (folder / "documents.jsonl").write_text("".join(lines), encoding="utf-8")
        facts = {"encoder": self.encoder, "dimension": self.dimension, "documents": len(self.documents)}
        (folder / "index.json").write_text(json.dumps(facts, indent=2) + "\n")


def make_index(documents: Sequence[Document], vectors_ND: np.ndarray, encoder: str) -> Index:
    """Build an index of N documents from their unit vectors (N, D); refuses an empty corpus."""
    if not documents:
        raise CorpusError('the corpus has "0" documents: name a package that has docstrings')
    store = faiss.IndexScalarQuantizer(vectors_ND.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    store.add(np.ascontiguousarray(vectors_ND, np.float32))
    return Index(documents, store, encoder)


def load_index(folder: Path) -> Index:
    """Read an index; raises BundleError naming the file that is missing, unreadable or does not fit the others."""
    for name in FILES:
        if not (folder / name).is_file():
            raise BundleError(
                f'index file "{folder / name}" is missing: rebuild it with `pointsman index build CONFIG`'
            )
    facts = read_facts(folder / "index.json")
    documents = read_documents(folder / "documents.jsonl")
    try:
        vectors = faiss.read_index(str(folder / "vectors.faiss"))
    except RuntimeError as error:
        why = " ".join(str(error).split())
        raise BundleError(
            f'index file "{folder / "vectors.faiss"}" cannot be read ({why}): rebuild the index'
        ) from error
    if not len(documents) == vectors.ntotal == facts.documents:
        raise BundleError(
            f'index "{folder}" holds {len(documents)} documents and {vectors.ntotal} vectors, '
            f'and its index.json states "{facts.documents}": rebuild it'
        )
    return Index(documents, vectors, facts.encoder)


def read_facts(path: Path) -> IndexFacts:
    """Read index.json; raises BundleError naming the key."""
    try:
        return IndexFacts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        why = explained(error, IndexFacts)
        raise BundleError(f'index file "{path}" cannot be read ({why}): rebuild the index') from error


def read_documents(path: Path) -> list[Document]:
    """Read documents.jsonl; raises BundleError naming the line."""
    documents = []
    for number, line in enumerate(path.read_bytes().rstrip(b"\n").split(b"\n"), 1):
        try:
            documents.append(read_document(line))
        except (ValueError, TypeError, RecursionError) as error:
            raise BundleError(
                f'index file "{path}" line {number} cannot be read ({error}): rebuild the index'
            ) from error
    return documents


def read_document(line: bytes) -> Document:
    """One document from its JSON; raises ValueError or TypeError when a field is missing, unknown, or not text."""
    document = Document(**json.loads(line))
    for key, value in asdict(document).items():
        if not isinstance(value, str):
            raise TypeError(f'key "{key}" is "{value}", not text')
    return document
