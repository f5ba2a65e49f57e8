"""Documents, vectors and words in a collection of Milvus: built beside the old one, then put in its place.

    in the folder at `output`:   index.json (names the collection), words.json, lexical.vocabulary.json,
                                 lexical.indptr.npy
    in the collection, a row a document:
        row      0, 1, 2 ...
        dense    its unit vector, rounded to 16 bits as in a folder, so that cosines are the same numbers
        sparse   BM25 of each of its words; the inner product with a query of ones is the query's BM25
        the fields of the document

The folder is the switch: an index.json names one collection, with the words that its sparse vectors are numbered by,
and is replaced in one step. An alias on the server would be a second switch, and a reader between the two would ask one
build's collection with another's words. A build first drops what killed and replaced builds of this folder left, but
never the collection that the folder names; that one is kept until the build after, for readers that hold it.

A search asks twice for rows and once for what they hold; both scores are computed here from that, so that they are
exact however Milvus searched, and equal to those of the same index in a folder.
Not covered: two builds of one folder at once; documents longer than Milvus holds; a build of more vectors than fit into
its own memory; which of equally good documents come last, where not all do.
"""

import hashlib
import re
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, overload

import numpy as np

from index.corpus import NUMBERS
from index.documents import Document
from index.errors import BundleError, CorpusError
from index.facts import CURE, SCHEMA, IndexFacts, check_files, read_facts, write_index
from index.lexical import TERM_FILES, Terms, load_terms
from index.milvus.config import MilvusConfig, MilvusFacts
from index.milvus.server import DENSE, ROW, ROWS_A_CALL, SPARSE, TEXT_BYTES, Server, vector
from index.store import Index, LocalIndex
from index.vectors import EXACT, HNSW, RECALL, VectorFacts, efforts
from index.words import WORDS, read_word_counts

FILES = (*TERM_FILES, WORDS)
FIELDS = tuple(field.name for field in fields(Document))
TEXTS = tuple(name for name in FIELDS if name not in NUMBERS)
REMEMBERED = 2048  # rows; of 384 dimensions 20 MB
NO_WORD = {0: 1.0}  # word 0 is never asked for, and an empty vector is not taken everywhere


@dataclass(frozen=True)
class Row:
    """A document with its vector and the weights of its words."""

    document: Document
    vector: np.ndarray
    weights: Mapping[int, float]


class Rows:
    """The rows of a collection; those asked for last stay in memory. May be read from any thread."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name
        self._kept: OrderedDict[int, Row] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, numbers: Sequence[int]) -> list[Row]:
        """Rows by their numbers, all that are not in memory with one question."""
        with self._lock:
            found = {number: self._kept[number] for number in numbers if number in self._kept}
        missing = [number for number in dict.fromkeys(numbers) if number not in found]
        got = self._server.rows(self._name, missing, (*FIELDS, DENSE, SPARSE)) if missing else []
        found |= {number: row_of(values) for number, values in zip(missing, got, strict=True)}
        with self._lock:
            for number in numbers:
                self._kept[number] = found[number]
                self._kept.move_to_end(number)
            while len(self._kept) > max(REMEMBERED, len(numbers)):  # a search asks for its documents next
                self._kept.popitem(last=False)
        return [found[number] for number in numbers]


def row_of(values: Mapping[str, Any]) -> Row:
    """A row as Milvus gives it."""
    return Row(document_of(values), vector(values[DENSE]), values[SPARSE])


def document_of(values: Mapping[str, Any]) -> Document:
    """The document of a row."""
    return Document(**{name: values[name] for name in FIELDS})


class MilvusDocuments(Sequence[Document]):
    """The documents of a collection, in their order."""

    def __init__(self, server: Server, name: str, count: int, rows: Rows) -> None:
        self._server, self._name, self._count, self._rows = server, name, count, rows

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, row: int) -> Document: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Document]: ...
    def __getitem__(self, row: int | slice) -> Document | Sequence[Document]:
        numbers = range(self._count)[row]  # raises IndexError as any sequence
        if isinstance(numbers, int):
            return self._rows.at([numbers])[0].document
        return [found.document for found in self._rows.at(numbers)]

    def __iter__(self) -> Iterator[Document]:
        """Every document, without vectors and words, many with one question."""
        for start in range(0, self._count, ROWS_A_CALL):
            numbers = range(start, min(start + ROWS_A_CALL, self._count))
            yield from map(document_of, self._server.rows(self._name, numbers, FIELDS))


class MilvusVectors:
    """The dense vectors of a collection."""

    def __init__(self, server: Server, name: str, count: int, dimension: int, facts: VectorFacts, rows: Rows) -> None:
        self._server, self._name, self._rows = server, name, rows
        self.count, self.dimension, self.facts = count, dimension, facts

    def search(self, vector_D: np.ndarray, k: int) -> np.ndarray:
        """Rows of the k nearest, best first; of equal ones the last first, as faiss has them."""
        effort = {"ef": max(self.facts.parameters["efSearch"], k)} if self.facts.algorithm == "hnsw" else {}
        found = self._server.search(self._name, DENSE, vector(vector_D), min(k, self.count), effort)
        return np.array([row for row, _ in sorted(found, key=lambda one: (-one[1], -one[0]))], np.int64)

    def cosines(self, vector_D: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Inner products of a vector with these rows."""
        vectors = [row.vector for row in self._rows.at([int(row) for row in rows])]
        return np.einsum("nd,d->n", np.array(vectors, np.float32).reshape(-1, self.dimension), vector(vector_D))

    def at(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The vectors (n, D) of these rows, float32 as they were rounded to 16 bits."""
        found = self._server.rows(self._name, [int(row) for row in rows], (DENSE,))
        return np.array([row[DENSE] for row in found], np.float32)

    def under(self, changes: Mapping[str, object]) -> "MilvusVectors":
        """The same vectors with other facts."""
        facts = self.facts.model_copy(update=changes)
        return MilvusVectors(self._server, self._name, self.count, self.dimension, facts, self._rows)


class MilvusLexical:
    """The words of a collection's documents."""

    def __init__(self, server: Server, name: str, count: int, terms: Terms, rows: Rows) -> None:
        self._server, self._name, self._terms, self._rows = server, name, terms, rows
        self.count = count

    def rank(self, query: str) -> "MilvusRanking":
        """The documents by BM25 for a query."""
        return MilvusRanking(self._server, self._name, self.count, self._terms.asked(query), self._rows)


class MilvusRanking:
    """The documents of a collection by BM25 for some words."""

    def __init__(self, server: Server, name: str, count: int, asked: Sequence[int], rows: Rows) -> None:
        self._server, self._name, self._count, self._asked, self._rows = server, name, count, asked, rows

    def best(self, k: int) -> list[int]:
        """Rows of the at most k highest scores above 0, highest first; equal ones in their order."""
        if not self._asked:
            return []
        ones = dict.fromkeys(self._asked, 1.0)
        found = self._server.search(self._name, SPARSE, ones, min(k, self._count), {})
        # rounded as the local scores are, so that equal ones are equal
        return [row for row, score in sorted(found, key=lambda one: (-np.float32(one[1]), one[0])) if score > 0]

    def at(self, rows: Sequence[int]) -> np.ndarray:
        """The scores (n,) of these rows."""
        return np.array([self._score(row.weights) for row in self._rows.at(rows)], np.float32)

    def _score(self, weights: Mapping[int, float]) -> np.float32:
        held = [weights[word] for word in self._asked if word in weights]
        # cumsum adds one after the other, as the posting lists are added; sum would add in pairs and round otherwise
        return np.cumsum(np.array([0.0, *held], np.float32), dtype=np.float32)[-1]


def save_in_milvus(
    index: LocalIndex,
    folder: Path,
    server: Server,
    config: MilvusConfig,
    queries_QD: np.ndarray | None = None,
) -> VectorFacts:
    """Write an index into a new collection, then put a folder that names it into the place of `folder`.

    With unit vectors of queries the collection is searched by a graph, whose effort they measure (index/vectors.py).
    """
    refuse_long(index.documents)
    drop_leftovers(server, config, folder)
    name = f"{prefix(config, folder)}{uuid.uuid4().hex[:12]}"
    server.create(name, index.dimension, TEXTS, NUMBERS)
    server.insert(name, rows_of(index))
    exact = queries_QD is None
    server.finish(name, "FLAT" if exact else "HNSW", {} if exact else HNSW)
    if (found := server.shape(name)) != (len(index.documents), index.dimension):
        raise BundleError(f'Milvus at "{config.uri}" holds "{found}" of "{name}", not all: build the index again')
    vectors = EXACT if queries_QD is None else measured_facts(index, server, name, queries_QD)
    facts = IndexFacts(
        schema_version=SCHEMA, encoder=index.encoder, encoder_fingerprint=index.fingerprint,
        dimension=index.dimension, documents=len(index.documents), vectors=vectors,
        milvus=MilvusFacts.of(config, name), files={},
    )  # fmt: skip

    def write(partial: Path) -> None:
        index.lexical.terms.save(partial)
        index.words.save(partial)

    write_index(folder, FILES, write, facts)
    return vectors


def measured_facts(index: LocalIndex, server: Server, name: str, queries_QD: np.ndarray) -> VectorFacts:
    """The facts of a graph in Milvus: the least effort that finds enough."""
    vectors_ND = index.vectors.at(range(index.vectors.count))
    facts = VectorFacts(algorithm="hnsw", parameters=dict(HNSW), recall_at_10=0.0, queries=len(queries_QD))
    built = MilvusVectors(server, name, len(vectors_ND), index.dimension, facts, Rows(server, name))
    for vectors in efforts(built, vectors_ND, queries_QD):
        if vectors.facts.recall_at_10 >= RECALL:
            return vectors.facts
    raise CorpusError(
        f'algorithm "hnsw" finds only "{vectors.facts.recall_at_10}" of the nearest in Milvus, not {RECALL}: '
        "choose algorithm exact"
    )


def rows_of(index: LocalIndex) -> Iterator[dict[str, object]]:
    """An index as rows of a collection."""
    weights = index.lexical.weights()
    for start in range(0, len(index.documents), ROWS_A_CALL):
        documents = index.documents[start : start + ROWS_A_CALL]
        vectors = index.vectors.at(range(start, start + len(documents)))
        for number, (document, dense) in enumerate(zip(documents, vectors, strict=True), start):
            yield {**asdict(document), ROW: number, DENSE: dense, SPARSE: next(weights) or NO_WORD}


def refuse_long(documents: Sequence[Document]) -> None:
    """Refuse a document with a text that Milvus would not take, before anything is written."""
    for document in documents:
        for name in TEXTS:
            if (size := len(getattr(document, name).encode())) > TEXT_BYTES:
                raise CorpusError(
                    f'document "{document.id}" has a {name} of "{size}" bytes, Milvus holds {TEXT_BYTES}: '
                    "leave it out, or keep the index in a folder"
                )


def prefix(config: MilvusConfig, folder: Path) -> str:
    """How the collections of one folder's builds begin: two folders under one name never drop each other's."""
    return f"{config.collection}_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}_"


def drop_leftovers(server: Server, config: MilvusConfig, folder: Path) -> None:
    """Delete what killed and replaced builds of this folder left; nothing where its index.json cannot be read."""
    current = ""
    if folder.exists():
        try:
            facts = read_facts(folder)
        except BundleError:
            return
        current = facts.milvus.build if facts.milvus else ""
    mine = re.compile(re.escape(prefix(config, folder)) + "[0-9a-f]{12}")
    for name in server.collections():
        if mine.fullmatch(name) and name != current:
            server.drop(name)


def read_from_milvus(folder: Path, facts: IndexFacts, milvus: MilvusFacts) -> Index:
    """The index that a folder names; raises BundleError where the server or the collection is away or another."""
    if unlisted := set(FILES) - set(facts.files):
        raise BundleError(f'index "{folder}" lists no "{min(unlisted)}" in index.json: {CURE}')
    check_files(folder, {name: facts.files[name] for name in FILES})
    terms, words = load_terms(folder), read_word_counts(folder)
    server, name = Server(milvus), milvus.build
    if name not in server.collections():
        raise BundleError(
            f'index "{folder}" lies in collection "{name}", which Milvus at "{milvus.uri}" has not: {CURE}'
        )
    server.load(name)
    count, dimension = server.shape(name)
    if len({facts.documents, count, words.documents}) > 1 or dimension != facts.dimension:
        raise BundleError(
            f'index "{folder}" states "{facts.documents}" documents of {facts.dimension} dimensions, collection '
            f'"{name}" holds {count} of {dimension}, words of {words.documents}: {CURE}'
        )
    rows = Rows(server, name)
    return Index(
        MilvusDocuments(server, name, count, rows),
        MilvusVectors(server, name, count, dimension, facts.vectors, rows),
        MilvusLexical(server, name, count, terms, rows),
        words, facts.encoder, facts.encoder_fingerprint,
    )  # fmt: skip
