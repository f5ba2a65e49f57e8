"""Encoders side by side on one core: how long a query takes, how many texts a second, how near to torch.

    python -m benchmarks.encoders                      # all, 3 rounds: 20 minutes; benchmarks/results/encoders.json
    python -m benchmarks.encoders --quick --out /tmp/quick.json

Each encoder has a process of its own, pinned to one core, in every round; figures are medians of the rounds. Queries
are joined from lines of configs/queries/ to 8, 60 and 250 words, and to 5 to 300 words evenly on a logarithmic scale
(`mixed`); each is asked once. `alone`: one after the other. `at_rate`: Poisson arrivals, answered in order by one
thread, timed from arrival; left out where the core cannot keep up. The baseline is torch.

Agreement with torch over the documents of the starter bundle and the lines of configs/queries/: cosines of the query
vectors, and how often the nearest document is torch's, with documents of the same encoder and with torch's.
Not covered: GPUs, several cores, the gate's other work on a query.
"""

import argparse
import datetime
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lora_cpu import ROOT
from index.embed import Encoder, EncoderConfig, load_encoder
from machine.facts import hardware, versions

RESULTS = ROOT / "benchmarks/results/encoders.json"
DOCUMENTS = ROOT / "bundles/polars/index/documents.jsonl"
QUERIES = ROOT / "configs/queries"
BASELINE = "starter"
ENCODERS = (BASELINE, "starter:onnx-int8", "starter:onnx-int8:128", "starter:static")
WORDS = {"short": (8, 8), "medium": (60, 60), "long": (250, 250), "mixed": (5, 300)}
NEAREST = 10
LATE_S = 2.0
LIBRARIES = ("onnxruntime", "torch", "sentence-transformers", "tokenizers", "model2vec", "numpy")


def lines() -> list[str]:
    """The queries of configs/queries/, one a line."""
    texts = [path.read_text("utf-8") for path in sorted(QUERIES.glob("*.txt"))]
    return [line for text in texts for line in text.splitlines() if line.strip() and not line.startswith("#")]


def documents(count: int) -> list[str]:
    """Texts of the starter bundle, `count` of them spread evenly."""
    texts = [json.loads(line)["text"] for line in DOCUMENTS.read_text("utf-8").splitlines()]
    return texts[:: max(len(texts) // count, 1)][:count]


def queries(least: int, most: int, rng: random.Random) -> Iterator[str]:
    """Endless queries of `least` to `most` words."""
    words = [line.split() for line in lines()]
    while True:
        wanted = round(least * (most / least) ** rng.random())
        query: list[str] = []
        while len(query) < wanted:
            query += rng.choice(words)
        yield " ".join(query[:wanted])


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50, p95, p99 in ms."""
    ms = 1000 * np.array(seconds)
    return {f"p{p}_ms": round(float(np.percentile(ms, p)), 3) for p in (50, 95, 99)}


def alone(encoder: Encoder, asked: Iterator[str], seconds: float) -> dict[str, Any]:
    """One query after the other: wall time, and the processor time that a busy machine does not lengthen as much."""
    walls, cpus = [], []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        query = next(asked)
        wall, cpu = time.perf_counter(), time.process_time()
        encoder.encode([query])
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    mean_ms = 1000 * statistics.mean(walls)
    cpu_ms = 1000 * statistics.median(cpus)
    return percentiles(walls) | {"mean_ms": round(mean_ms, 3), "cpu_p50_ms": round(cpu_ms, 3), "queries": len(walls)}


def at_rate(encoder: Encoder, asked: Iterator[str], rate: float, seconds: float, seed: int) -> dict[str, Any]:
    """Poisson arrivals answered in order by this thread, timed from arrival."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds))
    took = []
    started = time.perf_counter()
    for due in started + np.cumsum(gaps):
        query = next(asked)
        time.sleep(max(due - time.perf_counter(), 0))
        encoder.encode([query])
        took.append(time.perf_counter() - due)
        if took[-1] > LATE_S:
            return {"overloaded": True}
    return percentiles(took) | {"queries": len(took)}


def resident_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def measure(name: str, order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run in the encoder's process; its vectors go into `folder`."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    before = resident_mib()
    started = time.perf_counter()
    encoder = load_encoder(name)
    result: dict[str, Any] = {"load_s": round(time.perf_counter() - started, 2)}
    result["resident_mib"] = round(resident_mib() - before, 1)
    for kind, (least, most) in WORDS.items():
        asked = queries(least, most, random.Random(order["seed"]))
        encoder.encode([next(asked)])
        result[kind] = {"alone": alone(encoder, asked, order["seconds"])}
        busy = result[kind]["alone"]["mean_ms"] * order["rate"] / 1000
        result[kind]["busy_share"] = round(busy, 3)
        if busy < 1:
            result[kind]["at_rate"] = at_rate(encoder, asked, order["rate"], order["seconds"], order["seed"])
    texts = documents(order["documents"])
    started = time.perf_counter()
    np.save(folder / "documents.npy", encoder.encode(texts))
    result["documents_per_s"] = round(len(texts) / (time.perf_counter() - started), 1)
    np.save(folder / "queries.npy", encoder.encode(lines()))
    result["resident_at_end_mib"] = round(resident_mib() - before, 1)
    return result


def in_process(name: str, order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Measure one encoder in a process of its own, all libraries on one thread."""
    folder.mkdir()
    (folder / "order.json").write_text(json.dumps(order))
    command = [sys.executable, "-m", "benchmarks.encoders", "--encoder", name, "--out", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    load = os.getloadavg()[0]
    done = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"encoder {name!r} failed: {done.stderr[-3000:]}")
    return {"load_before": load} | json.loads((folder / "answer.json").read_text())


def agreement(folder: Path, baseline: Path) -> dict[str, Any]:
    """One encoder's vectors against torch's."""
    queries_QD, documents_ND = np.load(folder / "queries.npy"), np.load(folder / "documents.npy")
    torch_QD, torch_ND = np.load(baseline / "queries.npy"), np.load(baseline / "documents.npy")
    expected = nearest(torch_QD @ torch_ND.T)
    found = {"own_documents": compare(nearest(queries_QD @ documents_ND.T), expected)}
    if queries_QD.shape == torch_QD.shape:
        cosines = (queries_QD * torch_QD).sum(1)
        found["torch_documents"] = compare(nearest(queries_QD @ torch_ND.T), expected)
        found["cosine"] = {"mean": round(float(cosines.mean()), 5), "min": round(float(cosines.min()), 5)}
    return found | {"queries": len(queries_QD), "documents": len(documents_ND)}


def nearest(cosines_QN: np.ndarray) -> np.ndarray:
    """(Q, NEAREST): the documents of each query, best first."""
    return np.argsort(-cosines_QN, axis=1, kind="stable")[:, :NEAREST]


def compare(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """How often the first document is the same, and how many of the first ten are."""
    common = [len(set(a) & set(b)) / NEAREST for a, b in zip(found, expected, strict=True)]
    return {
        "same_first": round(float((found[:, 0] == expected[:, 0]).mean()), 4),
        "common_in_10": round(statistics.mean(common), 4),
    }


def run(names: list[str], order: dict[str, Any], rounds: int, out: Path) -> None:
    """All encoders, round after round; the file is rewritten after each round."""
    results: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": hardware() | {"versions": versions(*LIBRARIES)},
        "settings": order | {"words": WORDS},
        "ids": {name: EncoderConfig.model_validate(name).id for name in names},
        "encoders": {name: {"rounds": []} for name in names},
    }
    for name in names:
        load_encoder(name)  # made before anything is timed
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as work:
            for name in names:
                print(f"round {number + 1}: {name}", file=sys.stderr, flush=True)
                folder = Path(work) / str(names.index(name))
                results["encoders"][name]["rounds"].append(in_process(name, order, folder))
                results["encoders"][name]["agreement"] = agreement(folder, Path(work) / str(names.index(BASELINE)))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results["encoders"], order["rate"]))


def table(encoders: dict[str, Any], rate: float) -> str:
    """Medians over the rounds."""
    heads = " ".join(f"{kind:>26}" for kind in WORDS)
    rows = [f"{'ms alone p50 | p50/p99 at ' + format(rate, 'g') + '/s':36} {heads}   docs/s  same first"]
    for name, found in encoders.items():
        cells = " ".join(f"{cell([entry[kind] for entry in found['rounds']]):>26}" for kind in WORDS)
        per_s = statistics.median(entry["documents_per_s"] for entry in found["rounds"])
        rows.append(f"{name:36} {cells} {per_s:8.1f} {found['agreement']['own_documents']['same_first']:11.3f}")
    return "\n".join(rows)


def cell(entries: list[dict[str, Any]]) -> str:
    single = statistics.median(entry["alone"]["p50_ms"] for entry in entries)
    kept = [entry["at_rate"] for entry in entries if "p50_ms" in entry.get("at_rate", {})]
    if len(kept) < len(entries):
        return f"{single:.2f} | overloaded"
    p50, p99 = (statistics.median(entry[key] for entry in kept) for key in ("p50_ms", "p99_ms"))
    return f"{single:.2f} | {p50:.2f}/{p99:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(ENCODERS), help="encoders besides the baseline")
    parser.add_argument("--rate", type=float, default=50.0, help="queries a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds a measurement")
    parser.add_argument("--documents", type=int, default=4000, help="documents embedded, at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one short round: does it run at all?")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--encoder", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.encoder:
        order = json.loads((given.out / "order.json").read_text())
        (given.out / "answer.json").write_text(json.dumps(measure(given.encoder, order, given.out)))
        return
    order = {"rate": given.rate, "seconds": given.seconds, "documents": given.documents, "seed": given.seed}
    if given.quick:
        order |= {"seconds": 1.0, "documents": 100}
    names = list(dict.fromkeys((BASELINE, *given.only)))
    run(names, order, 1 if given.quick else given.rounds, given.out)


if __name__ == "__main__":
    main()
