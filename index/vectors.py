"""Unit vectors in, the nearest rows by inner product out. The one file that imports faiss.

    exact   every vector compared, as 16-bit floats                          up to EXACT_VECTORS
    hnsw    a graph over 16-bit floats                                       up to HNSW_BYTES
    ivfpq   lists of 4-bit product codes, dimension/8 bytes a vector; the    beyond
            best candidates are compared again as 16-bit floats

`auto` decides by these limits. An approximate index is measured when it is built: its effort rises until recall@10
against exact search reaches RECALL. Where no effort does (thousands of equal texts divide a graph), `auto` stays exact.

`vectors.faiss` is mapped: the 16-bit floats and the graph's links. In memory are 12 bytes a vector of hnsw, and of
ivfpq the codes, the row numbers and the centres of the lists.
Not covered: changes in place; building from more vectors than fit in memory; graphs that are the same in every build.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isqrt
from pathlib import Path
from typing import Literal, Protocol, Self, TypeVar

import faiss
import numpy as np

from index.config import Settings
from index.errors import BundleError, CorpusError

# Measured on 2 cores (EPYC, AVX-512), one thread, 384 dimensions, ms a search at p50: exact 0.18 at 10,000 and 7 at
# 100,000; hnsw 0.10 at 100,000.
EXACT_VECTORS = 10_000
HNSW_BYTES = 4 << 30  # a graph is read here and there, so it is fast only while all of it fits in memory
LINKS, LINK_EFFORT = 16, 100  # 32 links: half as much time again for the same recall
IVFPQ_VECTORS = 4096  # fewer do not fill lists and codes
TRAINED_PER_LIST = 64
HNSW = {"M": LINKS, "efConstruction": LINK_EFFORT}
EFFORTS = {
    "hnsw": [{"efSearch": number} for number in (64, 128, 256, 512, 1024)],
    "ivfpq": [{"nprobe": number, "candidates": 32 * number} for number in (8, 16, 32, 64, 128, 256)],
}
RECALL, RECALL_AT, SAMPLE, TIE = 0.95, 10, 256, 1e-6
SAMPLE_NOISE = 0.75  # a sampled vector is turned to a cosine of 0.8, as far as questions are from their documents

Algorithm = Literal["auto", "exact", "hnsw", "ivfpq"]


class VectorFacts(Settings):
    """How vectors are searched, and what that was measured to find."""

    algorithm: Literal["exact", "hnsw", "ivfpq"]
    parameters: dict[str, int]
    recall_at_10: float
    queries: int


EXACT = VectorFacts(algorithm="exact", parameters={}, recall_at_10=1.0, queries=0)


class VectorSearch(Protocol):
    """N unit vectors of D dimensions that are searched, wherever they lie; Vectors says what each method does."""

    facts: VectorFacts
    count: int
    dimension: int

    def search(self, vector_D: np.ndarray, k: int) -> np.ndarray: ...
    def cosines(self, vector_D: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray: ...
    def at(self, rows: Sequence[int] | np.ndarray) -> np.ndarray: ...


class Tunable(Protocol):
    """Vectors whose search takes an effort."""

    facts: VectorFacts

    def search(self, vector_D: np.ndarray, k: int) -> np.ndarray: ...
    def under(self, changes: Mapping[str, object]) -> Self: ...


TunableType = TypeVar("TunableType", bound=Tunable)


@contextmanager
def one_thread() -> Iterator[None]:
    """faiss uses no thread but the caller's.

    The number belongs to the calling thread alone: searches on others, and the encoder's library, keep theirs.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class Vectors:
    """N unit vectors of D dimensions as 16-bit floats; may be searched from any thread."""

    def __init__(self, index: faiss.Index, facts: VectorFacts) -> None:
        self.facts = facts
        self.count, self.dimension = int(index.ntotal), int(index.d)
        self._index = index

    def search(self, vector_D: np.ndarray, k: int) -> np.ndarray:
        """Rows of the k nearest, best first; fewer where there are no more, and where a graph reaches no more."""
        k = min(k, self.count)
        with one_thread():
            _, rows = self._index.search(np.asarray(vector_D, np.float32)[None], k, params=self._parameters(k))
        return rows[0][rows[0] >= 0]

    def _parameters(self, k: int) -> faiss.SearchParameters | None:
        if self.facts.algorithm == "exact":
            return None
        if self.facts.algorithm == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=max(self.facts.parameters["efSearch"], k))
        lists = faiss.SearchParametersIVF(nprobe=self.facts.parameters["nprobe"])
        again = max(self.facts.parameters["candidates"] / k, 2)
        return faiss.IndexRefineSearchParameters(k_factor=again, base_index_params=lists)

    def cosines(self, vector_D: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Inner products of a vector with these rows."""
        # not `@`: its library takes all cores for so little
        return np.einsum("nd,d->n", self.at(rows), np.asarray(vector_D, np.float32))

    def at(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The vectors (n, D) of these rows, float32 as they were rounded to 16 bits."""
        with one_thread():
            return self._index.reconstruct_batch(np.asarray(rows, np.int64))

    def under(self, changes: Mapping[str, object]) -> "Vectors":
        """The same index with other facts."""
        return Vectors(self._index, self.facts.model_copy(update=changes))

    def write(self, path: Path) -> None:
        """Write the vectors with what their search needs."""
        faiss.write_index(self._index, str(path))


def make_vectors(
    vectors_ND: np.ndarray, algorithm: Algorithm = "auto", queries_QD: np.ndarray | None = None
) -> Vectors:
    """Build what finds the nearest of N unit vectors; raises CorpusError when the algorithm does not suit them.

    Recall is measured on unit vectors (Q, D) of queries, or else on a sample of the vectors, each turned by noise.
    """
    vectors_ND = np.ascontiguousarray(vectors_ND, np.float32)
    kind = suited(algorithm, *vectors_ND.shape)
    if kind == "exact":
        return Vectors(exact(vectors_ND), EXACT)
    queries_QD = sample(vectors_ND) if queries_QD is None else np.ascontiguousarray(queries_QD, np.float32)
    built, parameters = hnsw(vectors_ND) if kind == "hnsw" else ivfpq(vectors_ND)
    facts = VectorFacts(algorithm=kind, parameters=parameters, recall_at_10=0.0, queries=len(queries_QD))
    for vectors in efforts(Vectors(built, facts), vectors_ND, queries_QD):
        if vectors.facts.recall_at_10 >= RECALL:
            return vectors
    if algorithm == "auto":
        return Vectors(exact(vectors_ND), EXACT)
    raise CorpusError(
        f'algorithm "{kind}" finds only "{vectors.facts.recall_at_10}" of the {RECALL_AT} nearest, not {RECALL}, '
        f"with {vectors.facts.parameters}: choose algorithm auto or exact"
    )


def suited(algorithm: Algorithm, count: int, dimension: int) -> Literal["exact", "hnsw", "ivfpq"]:
    """The algorithm asked for; of `auto` that for so many vectors."""
    if algorithm != "auto":
        return algorithm
    if count <= EXACT_VECTORS:
        return "exact"
    graph_bytes = count * (2 * dimension + 2 * LINKS * 4)
    return "hnsw" if graph_bytes <= HNSW_BYTES or dimension % 4 else "ivfpq"


def exact(vectors_ND: np.ndarray) -> faiss.Index:
    """Every vector, as 16-bit floats."""
    dimension = vectors_ND.shape[1]
    index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    with one_thread():
        index.add(vectors_ND)
    return index


def hnsw(vectors_ND: np.ndarray) -> tuple[faiss.Index, dict[str, int]]:
    """A graph over 16-bit floats, built by all threads, and its parameters."""
    dimension = vectors_ND.shape[1]
    index = faiss.IndexHNSWSQ(dimension, faiss.ScalarQuantizer.QT_fp16, LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = LINK_EFFORT
    index.train(vectors_ND[:1])
    index.add(vectors_ND)
    return index, dict(HNSW)


def ivfpq(vectors_ND: np.ndarray) -> tuple[faiss.Index, dict[str, int]]:
    """Lists of product codes before 16-bit floats, built by all threads, and their parameters."""
    count, dimension = vectors_ND.shape
    if count < IVFPQ_VECTORS or dimension % 4:
        raise CorpusError(
            f'algorithm "ivfpq" needs {IVFPQ_VECTORS} vectors or more, of a multiple of 4 dimensions, and there are '
            f'"{count}" of "{dimension}": choose algorithm auto'
        )
    lists, codes = min(4 * isqrt(count), count // TRAINED_PER_LIST), dimension // 4
    factory = f"IVF{lists},PQ{codes}x4fs,Refine(SQfp16)"
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(np.ascontiguousarray(vectors_ND[:: count // (TRAINED_PER_LIST * lists)]))
    index.add(vectors_ND)
    return index, {"lists": lists, "codes": codes}


def sample(vectors_ND: np.ndarray) -> np.ndarray:
    """Unit vectors (SAMPLE, D) near to some of these and equal to none: a vector finds itself too easily."""
    count, dimension = vectors_ND.shape
    rows = np.linspace(0, count - 1, min(SAMPLE, count)).astype(int)
    noise = np.random.default_rng(0).standard_normal((len(rows), dimension)) * SAMPLE_NOISE / dimension**0.5
    turned = (vectors_ND[rows] + noise).astype(np.float32)
    return turned / np.linalg.norm(turned, axis=1, keepdims=True)


def efforts(vectors: TunableType, vectors_ND: np.ndarray, queries_QD: np.ndarray) -> Iterator[TunableType]:
    """The same vectors searched with more and more effort, each with the recall measured."""
    best_QK, _ = faiss.knn(queries_QD, vectors_ND, min(RECALL_AT, len(vectors_ND)), metric=faiss.METRIC_INNER_PRODUCT)
    for effort in EFFORTS[vectors.facts.algorithm]:
        vectors = vectors.under({"parameters": vectors.facts.parameters | effort})
        yield vectors.under({"recall_at_10": round(recall(vectors, vectors_ND, queries_QD, best_QK), 4)})


def recall(vectors: Tunable, vectors_ND: np.ndarray, queries_QD: np.ndarray, best_QK: np.ndarray) -> float:
    """The share of the K best that a search finds; a row as near as the last of them counts, so ties do not."""
    found = sum(
        int((vectors_ND[vectors.search(query, len(best))] @ query >= best[-1] - TIE).sum())
        for query, best in zip(queries_QD, best_QK, strict=True)
    )
    return found / best_QK.size


def read_vectors(path: Path, facts: VectorFacts) -> Vectors:
    """Map vectors; raises BundleError when the file cannot be read."""
    try:
        return Vectors(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), facts)
    except RuntimeError as error:
        why = " ".join(str(error).split())
        raise BundleError(f'index file "{path}" cannot be read ({why}): rebuild the index') from error
