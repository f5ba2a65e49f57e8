"""What each algorithm finds, and what it is measured to find."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import faiss
import numpy as np
import pytest

from index.errors import BundleError, CorpusError
from index.vectors import (
    EXACT_VECTORS,
    HNSW_BYTES,
    IVFPQ_VECTORS,
    RECALL,
    VectorFacts,
    Vectors,
    efforts,
    hnsw,
    make_vectors,
    one_thread,
    read_vectors,
    sample,
    suited,
)  # fmt: skip

DIMENSION = 32
COUNT = IVFPQ_VECTORS


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors_ND() -> np.ndarray:
    """Points round 64 centres, so that neighbourhoods exist."""
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((64, DIMENSION))
    return unit(centres[draw.integers(0, 64, COUNT)] + 0.5 * draw.standard_normal((COUNT, DIMENSION)))


@pytest.fixture(scope="module", params=["exact", "hnsw", "ivfpq"])
def vectors(request: pytest.FixtureRequest, vectors_ND: np.ndarray) -> Vectors:
    """The same vectors under each algorithm, from a build that no other process can hold up."""
    with one_thread():
        return make_vectors(vectors_ND, request.param)


def test_exact_search_is_exact(vectors_ND: np.ndarray) -> None:
    """Against a plain product, up to what 16 bits round."""
    found = make_vectors(vectors_ND, "exact")
    for query in sample(vectors_ND)[:20]:
        wanted = np.sort(vectors_ND @ query)[::-1][:10]
        assert vectors_ND[found.search(query, 10)] @ query == pytest.approx(wanted, abs=1e-3)


def test_every_algorithm_reaches_its_recall_on_queries_it_was_not_measured_on(
    vectors: Vectors, vectors_ND: np.ndarray
) -> None:
    """Drawn apart from the sample that chose the effort."""
    draw = np.random.default_rng(1)
    queries = unit(vectors_ND[draw.integers(0, COUNT, 100)] + 0.1 * draw.standard_normal((100, DIMENSION)))
    found = sum(
        len({*vectors.search(query, 10).tolist()} & {*np.argsort(-vectors_ND @ query)[:10].tolist()})
        for query in queries
    )
    assert found / 1000 >= RECALL - 0.02
    assert vectors.facts.recall_at_10 >= RECALL


def test_cosines_are_exact_for_any_row_under_every_algorithm(vectors: Vectors, vectors_ND: np.ndarray) -> None:
    """The compressed codes of ivfpq choose candidates; what is told is the 16-bit product."""
    rows = [0, 17, COUNT - 1, 17]
    assert vectors.cosines(vectors_ND[5], rows) == pytest.approx(vectors_ND[rows] @ vectors_ND[5], abs=1e-3)
    assert vectors.at(rows) == pytest.approx(vectors_ND[rows], abs=1e-3)


def test_what_is_written_is_what_is_mapped(vectors: Vectors, vectors_ND: np.ndarray, tmp_path: Path) -> None:
    """Same rows, same products; also when it is written again from the mapped file."""
    vectors.write(tmp_path / "v")
    read_vectors(tmp_path / "v", vectors.facts).write(tmp_path / "again")
    mapped = read_vectors(tmp_path / "again", vectors.facts)
    assert (mapped.count, mapped.dimension) == (COUNT, DIMENSION)
    for query in vectors_ND[:5]:
        assert mapped.search(query, 30).tolist() == vectors.search(query, 30).tolist()


MEMORY = """
import sys, faiss, numpy as np
from pathlib import Path
from index.vectors import EXACT, read_vectors
def anonymous(): return int(next(l for l in open("/proc/self/status") if l.startswith("RssAnon")).split()[1])
before = anonymous()
kept = [read_vectors(Path(path), EXACT) for path in sys.argv[1:]]
print(anonymous() - before)
"""


def test_vectors_are_mapped_and_not_read(tmp_path: Path) -> None:
    """6 MB of 16-bit floats, exact and under a graph, cost less than 2 MB of the process's own memory."""
    draw = np.random.default_rng(0)
    rows = unit(draw.standard_normal((8000, 384)))
    make_vectors(rows, "exact").write(tmp_path / "exact")
    graph = faiss.IndexHNSWSQ(384, faiss.ScalarQuantizer.QT_fp16, 4, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 4
    graph.train(rows[:1])
    with one_thread():
        graph.add(rows)
    faiss.write_index(graph, str(tmp_path / "hnsw"))
    grown = [
        int(
            subprocess.run([sys.executable, "-W", "ignore", "-c", MEMORY, path], capture_output=True, check=True).stdout
        )
        for path in (tmp_path / "exact", tmp_path / "hnsw")
    ]
    assert max(grown) < 2048, grown


def test_the_effort_rises_until_the_recall_holds(vectors_ND: np.ndarray) -> None:
    """Queries that lie between all neighbourhoods need more of it than those that lie in one."""
    draw = np.random.default_rng(2)
    with one_thread():
        easy = make_vectors(vectors_ND, "ivfpq", vectors_ND[:50])
        hard = make_vectors(vectors_ND, "ivfpq", unit(draw.standard_normal((50, DIMENSION))))
    assert easy.facts.parameters["nprobe"] < hard.facts.parameters["nprobe"]
    assert min(easy.facts.recall_at_10, hard.facts.recall_at_10) >= RECALL
    assert (easy.facts.queries, hard.facts.queries) == (50, 50)


def test_a_graph_that_cannot_reach_the_recall_is_not_taken() -> None:
    """Islands of hundreds of equal texts: `auto` searches exactly, and who named the algorithm is told."""
    islands = unit(np.random.default_rng(0).standard_normal((40, DIMENSION)))
    rows = np.repeat(islands, EXACT_VECTORS // 40 + 1, axis=0)
    with one_thread():
        assert make_vectors(rows).facts.algorithm == "exact"
        with pytest.raises(CorpusError, match=r'"hnsw" finds only "0\.\d+".*choose algorithm auto or exact'):
            make_vectors(rows, "hnsw")


def test_what_a_graph_cannot_reach_is_no_hit() -> None:
    """Fewer rows than asked for, and none that does not exist."""
    rows = np.repeat(unit(np.random.default_rng(0).standard_normal((10, DIMENSION))), 200, axis=0)
    with one_thread():
        graph, _ = hnsw(rows)
    facts = VectorFacts(algorithm="hnsw", parameters={"efSearch": 64}, recall_at_10=0, queries=0)
    found = Vectors(graph, facts).search(rows[0], len(rows))
    assert 0 < len(found) < len(rows)
    assert found.min() >= 0


def test_ties_are_no_loss(vectors_ND: np.ndarray) -> None:
    """Any 10 of 20 equal vectors are the nearest 10."""
    twins = np.repeat(vectors_ND[:200], 20, axis=0)
    measured = next(efforts(make_vectors(twins, "exact").under({"algorithm": "hnsw"}), twins, vectors_ND[:20]))
    assert measured.facts.recall_at_10 == 1


@pytest.mark.parametrize(
    ("count", "dimension", "algorithm"),
    [
        (EXACT_VECTORS, 384, "exact"),
        (EXACT_VECTORS + 1, 384, "hnsw"),
        (1_000_000, 384, "hnsw"),
        (HNSW_BYTES // 768, 384, "ivfpq"),
        (HNSW_BYTES // 2, 3, "hnsw"),
    ],
)
def test_the_size_decides(count: int, dimension: int, algorithm: str) -> None:
    """Product codes need a multiple of 4 dimensions; whoever names an algorithm gets it."""
    assert suited("auto", count, dimension) == algorithm
    assert suited("exact", count, dimension) == "exact"


@pytest.mark.parametrize("shape", [(IVFPQ_VECTORS - 1, DIMENSION), (IVFPQ_VECTORS, 30)])
def test_too_few_vectors_for_product_codes_are_refused(shape: tuple[int, int]) -> None:
    """faiss itself would train on nothing, with a warning on the terminal."""
    with pytest.raises(CorpusError, match=f'"ivfpq" needs .*"{shape[0]}" of "{shape[1]}"'):
        make_vectors(np.ones(shape, np.float32), "ivfpq")


def test_more_than_there_is_can_be_asked_for() -> None:
    """Under exact search and in a small graph."""
    rows = unit(np.random.default_rng(0).standard_normal((5, 8)))
    for algorithm in ("exact", "hnsw"):
        assert sorted(make_vectors(rows, algorithm).search(rows[0], 100).tolist()) == [0, 1, 2, 3, 4]


THREADS = """
import os, sys, threading, numpy as np
from pathlib import Path
from index.vectors import VectorFacts, read_vectors
facts = VectorFacts.model_validate_json(sys.argv[2])
vectors = read_vectors(Path(sys.argv[1]), facts)
for row in range(20):
    vectors.cosines(vectors.at([row])[0], vectors.search(vectors.at([row])[0], 64))
print(len(os.listdir("/proc/self/task")) - threading.active_count())
"""


def test_a_search_starts_no_threads(vectors: Vectors, tmp_path: Path) -> None:
    """Told by the system, in a process that did nothing else, with 4 threads allowed to faiss."""
    vectors.write(tmp_path / "v")
    command = [sys.executable, "-W", "ignore", "-c", THREADS, tmp_path / "v", vectors.facts.model_dump_json()]
    environment = {**os.environ, "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "1"}  # numpy's own, made at its import
    assert subprocess.run(command, capture_output=True, check=True, env=environment).stdout == b"0\n"


def test_the_number_of_threads_is_the_callers_and_comes_back() -> None:
    """A search on one thread does not slow a build on another, nor the next build on its own."""
    inside, leave, seen = threading.Event(), threading.Event(), []

    def search() -> None:
        with one_thread():
            seen.append(faiss.omp_get_max_threads())
            inside.set()
            leave.wait(10)

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        thread = threading.Thread(target=search)
        thread.start()
        assert inside.wait(10)
        assert (seen, faiss.omp_get_max_threads()) == ([1], 3)
        leave.set()
        thread.join()
        with pytest.raises(ValueError, match="any"), one_thread():
            raise ValueError("any")
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


@pytest.mark.parametrize("content", [b"", b"no vectors", None])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Empty, of another kind, missing, each in one line."""
    if content is not None:
        (tmp_path / "v").write_bytes(content)
    facts = VectorFacts(algorithm="exact", parameters={}, recall_at_10=1, queries=0)
    with pytest.raises(BundleError, match=r'/v" cannot be read .*rebuild the index') as caught:
        read_vectors(tmp_path / "v", facts)
    assert "\n" not in str(caught.value)


def test_a_cut_file_is_refused(vectors: Vectors, tmp_path: Path) -> None:
    """Before anything is mapped beyond its end, which would kill the process."""
    vectors.write(tmp_path / "v")
    content = (tmp_path / "v").read_bytes()
    for length in (10, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "v").write_bytes(content[:length])
        with pytest.raises(BundleError, match="cannot be read"):
            read_vectors(tmp_path / "v", vectors.facts)
