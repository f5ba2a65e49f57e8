"""What a search costs and finds under each algorithm, beside exact search over the same vectors in the same run.

    python -m benchmarks.index_search                          # 10,000, 100,000 and 1,000,000 vectors; half an hour
    python -m benchmarks.index_search --sizes 10000 --queries 200 --out /tmp/quick.json

Vectors: the embeddings of a real index, multiplied. Each is a random mixture of a document's vector, one of its NEAR
nearest and one of that one's, plus noise of length NOISE, so that neighbourhoods exist and hold as many vectors as the
size asks for; the cosine to the nearest and to the tenth are written beside the figures. Queries are made alike, with
QUERY_NOISE, and are in no index. What this does not show: a corpus of a million documents has more subjects than a few
thousand documents mixed, and its questions lie in other directions; recall on it is what `index build` measures then.

Each index is written, then mapped by a process of its own that searches one query at a time on one thread: ms a search,
recall@10 against exact, and what the process grew by: private memory, and pages of the mapped files, which the system
may take back. "fused" is Index.search of query text and vector, documents parsed, over texts mixed of two documents'
words. A size that stands in the results is not measured again.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from index.documents import Document
from index.load import load_index
from index.store import Index, make_index
from index.vectors import VectorFacts, make_vectors, read_vectors
from machine.facts import hardware, versions

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/index_search.json"
SIZES = (10_000, 100_000, 1_000_000)
ALGORITHMS: tuple[Literal["exact", "hnsw", "ivfpq"], ...] = ("exact", "hnsw", "ivfpq")
NEAR, NOISE, QUERY_NOISE = 16, 0.4, 0.7
CHUNK = 50_000
ROUNDS = 3
TOP, FUSED_TOP, FUSED_LIMIT = 10, 24, 100_000


def mixed(base: Index, count: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (N, D) in the neighbourhoods of an index, and the two rows (N, 2) that weigh most in each."""
    draw = np.random.default_rng(seed)
    base_ND = base.vectors.at(range(len(base.documents)))
    near = np.array([base.vectors.search(vector, NEAR + 1) for vector in base_ND])
    made, owners = np.empty((count, base.dimension), np.float32), np.empty((count, 2), np.int64)
    for start in range(0, count, CHUNK):
        here = slice(start, min(start + CHUNK, count))
        size = here.stop - start
        first = draw.integers(0, len(base_ND), size)
        second = near[first, draw.integers(1, NEAR + 1, size)]
        third = near[second, draw.integers(1, NEAR + 1, size)]
        weights = draw.dirichlet((1, 1, 1), size).astype(np.float32).T[:, :, None]
        middle = unit(weights[0] * base_ND[first] + weights[1] * base_ND[second] + weights[2] * base_ND[third])
        scatter = draw.standard_normal(middle.shape, np.float32) * noise / base.dimension**0.5
        made[here], owners[here] = unit(middle + scatter), np.stack((first, second), 1)
    return made, owners


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def texts(base: Index, owners: np.ndarray) -> list[str]:
    """For each pair of rows every other word of the one's text and of the other's."""
    words = [document.text.split() for document in base.documents]
    return [" ".join(words[a][::2] + words[b][1::2]) for a, b in owners]


def questions(base: Index, owners: np.ndarray) -> list[str]:
    """For each pair of rows what the first one's text says after its first line."""
    return [base.documents[int(a)].text.partition("\n")[2][:200] for a, _ in owners]


def memory_mib() -> np.ndarray:
    """Private memory and pages of mapped files of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return np.array([int(status[key].split()[0]) / 1024 for key in ("RssAnon", "RssFile")])


def timed(search: Callable[[int], object], count: int) -> dict[str, float]:
    """ms of single searches over ROUNDS rounds, after one that warms up."""
    times = []
    for number in range((ROUNDS + 1) * count):
        started = time.perf_counter()
        search(number % count)
        times.append(1000 * (time.perf_counter() - started))
    return {f"p{p}": round(float(np.percentile(times[count:], p)), 4) for p in (50, 95, 99)}


def search_vectors(folder: Path) -> dict[str, Any]:
    """In a process of its own: map vectors, time them, keep what they find."""
    queries = np.load(folder.parent / "queries.npy")
    before = memory_mib()
    facts = VectorFacts.model_validate_json((folder / "facts.json").read_bytes())
    vectors = read_vectors(folder / "vectors.faiss", facts)
    found = [vectors.search(query, TOP).tolist() for query in queries]
    times = timed(lambda n: vectors.search(queries[n], TOP), len(queries))
    return {"ms": times, "memory_mib": grown(before), "found": found}


def search_fused(folder: Path) -> dict[str, Any]:
    """In a process of its own: map a whole index, time its three searches."""
    queries, asked = np.load(folder.parent / "queries.npy"), json.loads((folder.parent / "questions.json").read_text())
    before, started = memory_mib(), time.perf_counter()
    index = load_index(folder)
    load_s = round(time.perf_counter() - started, 3)
    return {
        "load_s": load_s,
        "ms": timed(lambda n: index.search(asked[n], queries[n], FUSED_TOP), len(queries)),
        "dense_ms": timed(lambda n: index.search_dense(queries[n], FUSED_TOP), len(queries)),
        "lexical_ms": timed(lambda n: index.search_lexical(asked[n], FUSED_TOP), len(queries)),
        "memory_mib": grown(before),
    }


def grown(before: np.ndarray) -> dict[str, float]:
    """What this process grew by."""
    return dict(zip(("private", "mapped"), (memory_mib() - before).round(1).tolist(), strict=True))


def apart(folder: Path, what: str) -> dict[str, Any]:
    """Measure a folder in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.index_search", "--measure", what, str(folder)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout)


def measure(base: Index, size: int, count: int, work: Path) -> dict[str, Any]:
    """All figures of one size."""
    vectors_ND, owners = mixed(base, size, NOISE, 0)
    queries, asked = mixed(base, count, QUERY_NOISE, 1)
    np.save(work / "queries.npy", queries)
    row: dict[str, Any] = {}
    for algorithm in ALGORITHMS:
        row[algorithm] = measure_vectors(vectors_ND, queries, algorithm, work)
        found = row[algorithm].pop("found")
        best = np.array([cosines(vectors_ND[rows], query) for rows, query in zip(found, queries, strict=True)])
        if algorithm == "exact":
            tenth = best[:, -1:]
            row["cosines"] = {"nearest": middle(best[:, 0]), "tenth": middle(tenth)}
        # an equal cosine is as good: 16 bits round nearly equal ones into any order
        row[algorithm]["recall_at_10"] = round(float((best >= tenth - 1e-5).mean()), 4)
        print(f"{size:9,} {algorithm:6} {shown(row[algorithm])}", flush=True)
    if size <= FUSED_LIMIT:
        (work / "questions.json").write_text(json.dumps(questions(base, asked)))
        row["fused"] = measure_fused(base, vectors_ND, owners, work)
        print(f"{size:9,} fused  {shown(row['fused'])}", flush=True)
    return row


def cosines(rows_KD: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Those of TOP rows; -1 for each that a search did not find."""
    return np.pad(rows_KD @ query, (0, TOP - len(rows_KD)), constant_values=-1)


def middle(values: np.ndarray) -> float:
    """Their median, for people."""
    return round(float(np.median(values)), 3)


def measure_vectors(vectors_ND: np.ndarray, queries: np.ndarray, algorithm: Any, work: Path) -> dict[str, Any]:
    """Build under one algorithm, write, measure apart. Effort is chosen on a sample, not on the queries."""
    folder = work / algorithm
    folder.mkdir()
    started = time.perf_counter()
    vectors = make_vectors(vectors_ND, algorithm)
    build_s = round(time.perf_counter() - started, 2)
    vectors.write(folder / "vectors.faiss")
    (folder / "facts.json").write_text(vectors.facts.model_dump_json())
    facts = {"build_s": build_s, "bytes": (folder / "vectors.faiss").stat().st_size}
    return facts | vectors.facts.model_dump(include={"parameters"}) | apart(folder, "vectors")


def measure_fused(base: Index, vectors_ND: np.ndarray, owners: np.ndarray, work: Path) -> dict[str, Any]:
    """Build, save and measure a whole index of these vectors."""
    documents = [Document(str(n), text, "mixed", "MIT", "object", str(n)) for n, text in enumerate(texts(base, owners))]
    started = time.perf_counter()
    index = make_index(documents, vectors_ND, base.encoder)
    build_s = round(time.perf_counter() - started, 2)
    index.save(work / "fused")
    size = sum(path.stat().st_size for path in (work / "fused").iterdir())
    facts = {"build_s": build_s, "bytes": size, "algorithm": index.vectors.facts.algorithm}
    return facts | apart(work / "fused", "fused")


def shown(row: dict[str, Any]) -> str:
    """One line of figures."""
    ms, memory = row["ms"], row["memory_mib"]
    recall = f"recall@10 {row['recall_at_10']:.4f}  " if "recall_at_10" in row else ""
    return (
        f"p50 {ms['p50']:8.3f} ms  p95 {ms['p95']:8.3f}  p99 {ms['p99']:8.3f}  {recall}build {row['build_s']:8.1f} s  "
        f"{row['bytes'] / 2**20:7.1f} MiB  private {memory['private']:6.1f}  mapped {memory['mapped']:7.1f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--base", type=Path, default=ROOT / "bundles/polars/index", help="index that is multiplied")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        what, folder = given.measure
        print(json.dumps((search_vectors if what == "vectors" else search_fused)(Path(folder))))
        return
    base = load_index(given.base)
    stored = json.loads(given.out.read_text()) if given.out.is_file() else {"sizes": {}}
    for size in given.sizes:
        if str(size) not in stored["sizes"]:
            with tempfile.TemporaryDirectory() as work:
                row = measure(base, size, given.queries, Path(work))
            stored["sizes"][str(size)] = {
                "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "queries": given.queries,
                "dimension": base.dimension, "rounds": ROUNDS, "threads": 1,
                "machine": {**hardware(), "versions": versions("faiss-cpu", "bm25s", "numpy")}, **row,
            }  # fmt: skip
            given.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
