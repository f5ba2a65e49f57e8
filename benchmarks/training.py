"""Seconds a training step takes with freed memory kept, beside the C library's own way, in the same run.

    python -m benchmarks.training [--steps 8] [--rounds 2]

The starter model, rank 16 on seven projections, four rows a step made of the starter bundle's documents, each way in a
process of its own, in turns. Six minutes on two cores.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from index.load import load_index
from machine.facts import hardware, versions
from machine.heap import keep_freed_memory
from starter import resolve_model
from training.config import SftSettings
from training.rows import Row
from training.trainer import train_adapter

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/training.json"
WAYS = ("default", "kept")
CHARACTERS = 900


def rows(count: int) -> list[Row]:
    """Chat rows of the bundle's longer documents, the same in every run."""
    documents = [d for d in load_index(ROOT / "bundles/polars/index").documents if len(d.text) >= CHARACTERS]
    return [
        {
            "prompt": [{"role": "user", "content": f"What does {document.symbol} do?"}],
            "completion": [{"role": "assistant", "content": document.text[:CHARACTERS]}],
        }
        for document in documents[:: max(len(documents) // count, 1)][:count]
    ]


def page_faults() -> int:
    """Pages that the kernel gave this process so far."""
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[7])


def measure(way: str, steps: int) -> dict[str, Any]:
    """In a process of its own: the mean over `steps`, by the trainer's own clock."""
    if way == "kept":
        assert keep_freed_memory()
    settings = SftSettings(epochs=100, max_steps=steps, save_steps=1000, max_length_tokens=560)
    with tempfile.TemporaryDirectory() as folder:
        before, started = page_faults(), time.perf_counter()
        found = train_adapter(resolve_model("starter"), rows(4 * steps), settings, Path(folder))
        took = time.perf_counter() - started
    return {"step_s": round(found["train_runtime"] / steps, 3), "whole_s": round(took, 1),
            "page_faults": page_faults() - before, "loss": found["train_loss"]}  # fmt: skip


def apart(way: str, steps: int) -> dict[str, Any]:
    """Measure one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", "--measure", way, "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.steps)))
        return
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(given.rounds):
        for way in WAYS:
            found[way].append(apart(way, given.steps))
            print(f"{way:8} {found[way][-1]['step_s']:7.3f} s a step, {found[way][-1]['page_faults']:,} page faults")
    medians = {way: statistics.median(one["step_s"] for one in found[way]) for way in WAYS}
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "steps": given.steps,
        "machine": {**hardware(), "versions": versions("torch", "trl", "peft", "transformers")},
        "default_by_kept": round(medians["default"] / medians["kept"], 3), **found,
    }  # fmt: skip
    given.out.write_text(json.dumps(facts, indent=1) + "\n")
    print(f"{facts['default_by_kept']:.2f} times as fast")


if __name__ == "__main__":
    main()
