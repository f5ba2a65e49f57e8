"""What the service costs beside plain vLLM: added time to first token and throughput at 1, 4 and 16 concurrent.

    python -m benchmarks.service_overhead                    # starter model; writes results/service_overhead.json
    python -m benchmarks.service_overhead --config CONFIG --rounds 2 --out /tmp/quick.json

Two servers are up at once with the same engine flags and environment: the service, asked for "auto" with the gate on
and its memory off (every question is embedded and searched), and vLLM's own server, asked for the model that the gate
chooses. Evidence is off, so both get the same prompt. Rounds alternate which goes first, so that a slow minute of the
machine hits both. Five minutes.

Not covered: evidence (it lengthens the prompt, and both servers would pay for that), a remembered question (cheaper).
"""

import argparse
import asyncio
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from benchmarks.lora_cpu import machine
from index.config import read_config
from service.config import GateConfig, ServiceConfig
from service.engines import environment
from service.engines.arguments import command_line
from starter import home

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results") / "service_overhead.json"
CONCURRENCIES = (1, 4, 16)
REQUESTS = {1: 4, 4: 8, 16: 32}
FIRST_TOKENS = 12
TOKENS = 24
START_S = 240
RESAMPLES = 2000
# One part of the questions belongs to the starter specialist, the other to base.
TOPICS = (
    "sort a polars DataFrame by two columns, case {}",
    "write a Python function that returns the {}th prime",
    "polars: group by a column and count rows, case {}",
    "parse the {}th line of a log file with a regular expression",
)


@dataclass(frozen=True)
class Timed:
    """One streamed request, as its client saw it."""

    first_s: float
    total_s: float
    tokens: int
    headers: Mapping[str, str]


@contextmanager
def server(command: list[str], log: Path) -> Iterator[None]:
    """A server process; ended with its children when the block ends."""
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=os.environ)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


async def wait_for(client: httpx.AsyncClient, url: str, log: Path) -> None:
    """Return once the server answers; raise with its log when it does not."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            if (await client.get(url)).status_code == 200:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        await asyncio.sleep(0.5)
    raise RuntimeError(f"{url} did not answer in {START_S} s:\n{log.read_text()[-2000:]}")


async def stream(client: httpx.AsyncClient, url: str, model: str, text: str, tokens: int) -> Timed:
    """One streamed chat, greedy and of fixed length."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
    }
    if model == "auto":
        body["pointsman"] = {"context": "off"}
    started, first_s = time.perf_counter(), 0.0
    async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line and not first_s:
                first_s = time.perf_counter() - started
    return Timed(first_s, time.perf_counter() - started, tokens, response.headers)


async def burst(client: httpx.AsyncClient, url: str, asks: list[tuple[str, str]], concurrency: int) -> dict[str, Any]:
    """All asks, at most `concurrency` at once."""
    slots = asyncio.Semaphore(concurrency)

    async def one(model: str, text: str) -> Timed:
        async with slots:
            return await stream(client, url, model, text, TOKENS)

    started = time.perf_counter()
    timed = await asyncio.gather(*(one(model, text) for model, text in asks))
    return {
        "first_ms": [1000 * t.first_s for t in timed],
        "tokens_per_s": sum(t.tokens for t in timed) / (time.perf_counter() - started),
    }


class Questions:
    """Texts nobody has asked before, each with the model that the gate chooses for it."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url
        self._count = 0

    async def take(self, number: int) -> list[tuple[str, str]]:
        """Pairs of text and model."""
        found = []
        for _ in range(number):
            text = TOPICS[self._count % len(TOPICS)].format(self._count)
            self._count += 1
            body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
            answer = (await self._client.post(f"{self._url}/v1/route", json=body)).raise_for_status().json()
            found.append((text, answer["model"]))
        return found


async def measure(service: str, plain: str, rounds: int) -> dict[str, Any]:
    """Interleaved rounds on both servers; every list is in the same order for both."""
    sides = ("service", "plain")
    first: dict[str, list[float]] = {side: [] for side in sides}
    bursts: dict[str, list[dict[str, Any]]] = {f"{side}_{c}": [] for side in sides for c in CONCURRENCIES}
    gate_ms, overhead_ms, models = [], [], []
    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=64)) as client:
        questions = Questions(client, service)
        # The first requests allocate, in either server.
        for text, model in await questions.take(len(TOPICS)):
            await asyncio.gather(stream(client, service, "auto", text, 2), stream(client, plain, model, text, 2))
        for round_ in range(rounds):
            order = sides if round_ % 2 == 0 else sides[::-1]
            for text, model in await questions.take(FIRST_TOKENS):
                models.append(model)
                for side in order:
                    url, name = (service, "auto") if side == "service" else (plain, model)
                    timed = await stream(client, url, name, text, 1)
                    first[side].append(1000 * timed.first_s)
                    if side == "service":
                        gate_ms.append(float(timed.headers["x-pointsman-gate-ms"]))
                        overhead_ms.append(float(timed.headers["x-pointsman-overhead-ms"]))
            for concurrency in CONCURRENCIES:
                asked = await questions.take(REQUESTS[concurrency])
                for side in order:
                    url = service if side == "service" else plain
                    asks = [("auto" if side == "service" else model, text) for text, model in asked]
                    bursts[f"{side}_{concurrency}"].append(await burst(client, url, asks, concurrency))
            print(f"round {round_ + 1} of {rounds}", flush=True)
    return {"first": first, "bursts": bursts, "gate_ms": gate_ms, "overhead_ms": overhead_ms, "models": models}


def difference(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Median of the paired differences with its 95 % bootstrap interval."""
    pairs = np.array(ours) - np.array(theirs)
    rng = np.random.default_rng(0)
    draws = np.median(rng.choice(pairs, (RESAMPLES, len(pairs))), axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"median": float(np.median(pairs)), "low": float(low), "high": float(high), "pairs": len(pairs)}


def by_round(ours: list[list[float]], theirs: list[list[float]]) -> dict[str, float]:
    """Median over rounds of the difference of their medians, with the lowest and highest round.

    Requests of one burst wait for each other, so a round counts once.
    """
    differences = [statistics.median(a) - statistics.median(b) for a, b in zip(ours, theirs, strict=True)]
    return {
        "median": statistics.median(differences), "low": min(differences), "high": max(differences),
        "rounds": len(differences),
    }  # fmt: skip


def summary(raw: dict[str, Any]) -> dict[str, Any]:
    """The figures: per concurrency the added time to first token and the share of throughput kept."""
    figures: dict[str, Any] = {
        "one_token": {
            "service_first_ms": statistics.median(raw["first"]["service"]),
            "plain_first_ms": statistics.median(raw["first"]["plain"]),
            "added_first_ms": difference(raw["first"]["service"], raw["first"]["plain"]),
        },
        "gate_ms": statistics.median(raw["gate_ms"]),
        "overhead_ms": statistics.median(raw["overhead_ms"]),
        "routed_to": {name: raw["models"].count(name) for name in sorted(set(raw["models"]))},
    }
    for concurrency in CONCURRENCIES:
        ours, theirs = raw["bursts"][f"service_{concurrency}"], raw["bursts"][f"plain_{concurrency}"]
        ratios = [a["tokens_per_s"] / b["tokens_per_s"] for a, b in zip(ours, theirs, strict=True)]
        rounds = [[round_["first_ms"] for round_ in side] for side in (ours, theirs)]
        firsts = [[ms for round_ in side for ms in round_] for side in rounds]
        figures[f"concurrent_{concurrency}"] = {
            "service_first_ms": statistics.median(firsts[0]),
            "plain_first_ms": statistics.median(firsts[1]),
            "added_first_ms": by_round(*rounds),
            "service_tokens_per_s": statistics.median(r["tokens_per_s"] for r in ours),
            "plain_tokens_per_s": statistics.median(r["tokens_per_s"] for r in theirs),
            "throughput_ratio": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
        }
    return figures


def table(figures: dict[str, Any]) -> str:
    """The figures as lines."""
    lines = [f"gate {figures['gate_ms']:.1f} ms, service's own share {figures['overhead_ms']:.1f} ms (medians)"]
    for name in ("one_token", *(f"concurrent_{c}" for c in CONCURRENCIES)):
        row = figures[name]
        added = row["added_first_ms"]
        line = f"{name:14} first token {row['plain_first_ms']:7.1f} -> {row['service_first_ms']:7.1f} ms"
        line += f" (added {added['median']:+.1f} [{added['low']:+.1f}, {added['high']:+.1f}])"
        if ratio := row.get("throughput_ratio"):
            line += f", tokens/s {row['plain_tokens_per_s']:6.1f} -> {row['service_tokens_per_s']:6.1f}"
            line += f" (x{ratio['median']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}])"
        lines.append(line)
    return "\n".join(lines)


def run(config: ServiceConfig, rounds: int, port: int, out: Path, git_commit: str) -> None:
    """Start both servers, measure, write the figures with everything needed to repeat them."""
    # Two engines share this machine's memory: a small cache for each, the same.
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    flags = environment.prepare_engine(config.limits)
    config = config.model_copy(update={"gate": GateConfig(cache_size=0, timeout_ms=10_000), "port": port})
    adapters = {folder.name: folder / "adapter" for folder in config.bundles}
    plain = ["-m", "vllm.entrypoints.launchers.api_server.entry", "--host", "127.0.0.1", "--port", str(port + 1)]
    plain += ["--disable-uvicorn-access-log", *command_line(config, flags, adapters)]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "service.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
        ours = ["-c", f"import sys; from service.serve import serve; sys.exit(serve({str(work / 'service.yaml')!r}))"]
        with (
            server([sys.executable, *ours], work / "service.log"),
            server([sys.executable, *plain], work / "plain.log"),
        ):
            raw = asyncio.run(both(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", work, rounds))
    figures = summary(raw)
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit,
        "machine": machine(),
        "config": config.model_dump(mode="json"),
        "plain_command": plain,
        "settings": {"rounds": rounds, "requests": REQUESTS, "tokens": TOKENS, "first_tokens": FIRST_TOKENS},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(without_folders(json.dumps({**facts, "figures": figures, "raw": raw}, indent=1)) + "\n")
    print(table(figures))


def without_folders(text: str) -> str:
    """The text with this machine's folders as names that mean something on any other."""
    for folder, name in ((home(), "$POINTSMAN_HOME"), (ROOT, "."), (Path.home(), "~")):
        text = text.replace(f"{folder}/", f"{name}/")
    return text


async def both(service: str, plain: str, work: Path, rounds: int) -> dict[str, Any]:
    """Wait for both servers, then measure."""
    async with httpx.AsyncClient(timeout=10) as client:
        await wait_for(client, f"{service}/ready", work / "service.log")
        await wait_for(client, f"{plain}/health", work / "plain.log")
    return await measure(service, plain, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "configs/service/starter.yaml")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--port", type=int, default=8171)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    run(read_config(given.config, ServiceConfig), given.rounds, given.port, given.out, found.stdout.strip())


if __name__ == "__main__":
    main()
