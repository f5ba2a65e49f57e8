"""How long the gate takes to decide, uncached and cached, at a steady rate of questions on one core.

    .venv/bin/python -m benchmarks.gate [--rate 50] [--seconds 20]

The service's own gate with the shipped bundles, in one process pinned to one core, no engine beside it. Questions
arrive at random (Poisson), first forgotten at once, then remembered; each time also one after the other, because a core
that slept until the question came takes longer. Baseline: the encoder alone on such questions, one after the other, in
the same run; the rest of a decision is searching and deciding. In a pass of its own a ticker beside the gate shows how
long the event loop was kept from its next task.
"""

import argparse
import asyncio
import datetime
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lora_cpu import ROOT, machine
from index.bundle import Specialist
from index.embed import Encoder
from index.load import load_index
from service.config import GateConfig
from service.gate import Gate
from service.loader import load_specialists
from service.metrics import Metrics
from service.request import RoutingOptions
from service.retriever import Retriever

RESULTS = ROOT / "benchmarks/results/gate.json"
QUESTIONS = ROOT / "configs/queries"
TICK_S = 0.001


def questions(count: int, seed: int) -> list[str]:
    """So many questions of users, drawn from the listed ones."""
    draw = random.Random(seed)
    lines = [line for path in sorted(QUESTIONS.glob("*.txt")) for line in path.read_text("utf-8").splitlines() if line]
    return [draw.choice(lines) for _ in range(count)]


def spread(times_ms: list[float]) -> dict[str, float]:
    """The usual percentiles."""
    p50, p95, p99 = np.percentile(times_ms, [50, 95, 99])
    return {"p50_ms": round(float(p50), 3), "p95_ms": round(float(p95), 3), "p99_ms": round(float(p99), 3)}


async def arrive(
    gate: Gate, asked: list[str], rate: float, seed: int, *, ticking: bool = False
) -> tuple[list[float], list[float]]:
    """Decision times of questions that arrive at a rate, and by how much the loop's ticks were late, both in ms."""
    draw, times, late = random.Random(seed), [], []

    async def one(question: str) -> None:
        decision = await gate.decide([{"role": "user", "content": question}], RoutingOptions(target=None))
        assert decision.candidates, decision.reason
        times.append(decision.gate_ms)

    async def tick() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(TICK_S)
            late.append(1000 * (time.perf_counter() - started - TICK_S))

    ticker = asyncio.create_task(tick()) if ticking else None
    begun, due, open_tasks = time.perf_counter(), 0.0, []
    for question in asked:
        due += draw.expovariate(rate)
        await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
        open_tasks.append(asyncio.create_task(one(question)))
    await asyncio.gather(*open_tasks)
    if ticker:
        ticker.cancel()
    return times, late


async def in_turn(gate: Gate, asked: list[str]) -> list[float]:
    """Decision times one after the other, in ms: without the waking of a core that slept between two questions."""
    ask = RoutingOptions(target=None)
    return [(await gate.decide([{"role": "user", "content": question}], ask)).gate_ms for question in asked]


def measure(encoder: Encoder, specialists: list[Specialist], rate: float, seconds: float) -> dict[str, Any]:
    """Alone, uncached, cached."""
    asked = questions(int(rate * seconds), 0)
    alone = []
    for question in questions(200, 1):
        started = time.perf_counter()
        encoder.encode([question])
        alone.append(1000 * (time.perf_counter() - started))
    metrics, named = Metrics(), {one.name: one for one in specialists}
    config = GateConfig(timeout_ms=60_000)

    def fresh(cache_size: int) -> Gate:
        retriever = Retriever(encoder, named, metrics, cache_size=cache_size, max_batch=config.max_batch)
        return Gate(
            config, base="base", specialists=named, retriever=retriever, adapters=lambda: list(named), metrics=metrics
        )

    forgetful, gate = fresh(0), fresh(len(asked))
    uncached, _ = asyncio.run(arrive(forgetful, asked, rate, 0))
    uncached_hot = asyncio.run(in_turn(forgetful, asked))
    _, late = asyncio.run(arrive(forgetful, asked, rate, 0, ticking=True))
    asyncio.run(in_turn(gate, asked))
    cached, _ = asyncio.run(arrive(gate, asked, rate, 1))
    cached_hot = asyncio.run(in_turn(gate, asked))
    return {
        "encoder": encoder.id, "rate_per_s": rate, "questions": len(asked), "encoder_alone": spread(alone),
        "uncached": spread(uncached), "uncached_in_turn": spread(uncached_hot),
        "cached": spread(cached), "cached_in_turn": spread(cached_hot), "event_loop_late": spread(late),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--bundles", type=Path, nargs="+", default=sorted((ROOT / "bundles").iterdir()))
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    core = sorted(os.sched_getaffinity(0))[0]
    os.sched_setaffinity(0, {core})
    encoder, specialists = load_specialists(given.bundles, model="starter")
    row = measure(encoder, specialists, given.rate, given.seconds)
    sizes = {one.name: len(load_index(one.folder / "index").documents) for one in specialists}
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "machine": machine(),
        "cores": 1, "documents": sizes,
    }  # fmt: skip
    given.out.write_text(json.dumps({**facts, **row}, indent=1) + "\n")
    for name in ("encoder_alone", "uncached", "uncached_in_turn", "cached", "cached_in_turn", "event_loop_late"):
        print(f"{name:16} p50 {row[name]['p50_ms']:8.3f} ms  p99 {row[name]['p99_ms']:8.3f} ms")


if __name__ == "__main__":
    main()
