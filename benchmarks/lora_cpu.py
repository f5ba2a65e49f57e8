"""LoRA on CPU: our operators beside vLLM's own, our thread settings beside vLLM's defaults; one run, ten minutes.

    python -m benchmarks.lora_cpu                     # starter model; writes benchmarks/results/lora_cpu.json
    python -m benchmarks.lora_cpu --model tiny --quick --out /tmp/quick.json

Each engine has a process of its own. In it a round measures base rows, one adapter and a mix (base, a, b in turn) at
each concurrency, one after the other, so that a slow minute of the machine hits all three; figures are medians of the
rounds. tokens/s are generated tokens over wall time from the first submission to the last token, prompts included.
Stock operators copy weights per token: they get fewer tokens and rounds, and a short prefill (`reduced` in results).
Not covered: HTTP, streaming, several sockets, more than two adapters.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from machine.facts import hardware, versions

RESULTS = Path(__file__).with_name("results") / "lora_cpu.json"
ROOT = Path(__file__).parents[1]
ADAPTERS = ("a", "b")
MODES = {"base": (None,), "one": ("a",), "mix": (None, "a", "b")}


class Workload(BaseModel):
    """What one engine is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    prompt_tokens: int = Field(default=50, description="Length of each prompt in the decode measurement, tokens.")
    generated_tokens: int = Field(default=48, description="Tokens generated per request.")
    concurrencies: tuple[int, ...] = Field(default=(1, 4, 16, 32), description="Requests submitted at once.")
    modes: tuple[str, ...] = Field(default=("base", "one", "mix"), description="Which rows the batch has; see MODES.")
    prefill_tokens: int = Field(
        default=1000, description="Length of a prompt in the prefill measurement, tokens; one a member of the mode."
    )
    rounds: int = Field(default=3, description="Rounds; figures are medians over them.")


class EngineConfig(BaseModel):
    """One engine: its environment, its arguments, its workload."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    settings: str = Field(description="`ours` (machine.cpu) or `defaults` (plain vLLM).")
    preload: bool = Field(default=False, description="Preload tcmalloc and Intel's OpenMP where installed.")
    multiprocess: bool = Field(default=False, description="Ours, but with vLLM's own processes and executor.")
    lora: bool = Field(default=True, description="Enable LoRA with two adapters.")
    stock: bool = Field(default=False, description="Keep vLLM's own LoRA operators.")
    workload: Workload = Workload()


SETTINGS_WORKLOAD = Workload(concurrencies=(1, 16), modes=("base",))
STOCK_WORKLOAD = Workload(generated_tokens=8, prefill_tokens=60, rounds=2)
ENGINES = {
    "plugin": EngineConfig(settings="ours", preload=True),
    "ours": EngineConfig(settings="ours", preload=True, lora=False, workload=SETTINGS_WORKLOAD),
    "defaults": EngineConfig(settings="defaults", lora=False, workload=SETTINGS_WORKLOAD),
    "stock": EngineConfig(settings="ours", preload=True, stock=True, workload=STOCK_WORKLOAD),
    "ours, no preload": EngineConfig(settings="ours", lora=False, workload=SETTINGS_WORKLOAD),
    "ours, multiprocess": EngineConfig(
        settings="ours", preload=True, multiprocess=True, lora=False, workload=SETTINGS_WORKLOAD
    ),
}


def environment(config: EngineConfig) -> dict[str, str]:
    """The engine process's environment; OpenMP and the loader read theirs at its start."""
    from machine.cpu import choose_here, preload_path

    env = {"PYTHONPATH": str(ROOT), "VLLM_LOGGING_LEVEL": "WARNING"}
    if config.settings == "ours":
        env |= choose_here(kv_cache_gib=2).env
    else:
        env["VLLM_CPU_KVCACHE_SPACE"] = "2"
    if config.multiprocess:
        env["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"
    if config.preload:
        env["LD_PRELOAD"] = preload_path()
    if config.stock:
        env["POINTSMAN_LORA_CPU"] = "stock"
    return os.environ | env


def measure(config: EngineConfig, model: str, adapters: dict[str, str], seed: int) -> dict[str, Any]:
    """Run in the engine's process: start it, warm it up, measure."""
    started = time.perf_counter()
    engine = _start(config, model)
    start_s = time.perf_counter() - started
    rng = np.random.default_rng(seed)
    modes = config.workload.modes if config.lora else ("base",)
    for mode in modes:
        _generate(engine, adapters, rng, mode, len(MODES[mode]), config.workload.prompt_tokens, 2)
    decode, prefill = _rounds(engine, config.workload, modes, adapters, rng)
    return {"start_s": round(start_s, 1), "decode_tokens_per_s": decode, "prefill_tokens_per_s": prefill}


def _start(config: EngineConfig, model: str) -> Any:
    from vllm import LLM

    from machine.cpu import choose_here

    arguments: dict[str, Any] = {"max_model_len": 2048, "max_num_seqs": 64}
    if config.settings == "ours":
        arguments |= choose_here().engine_args
    if config.lora:
        from service.lora_cpu import register

        register()
        arguments |= {"enable_lora": True, "max_loras": 2, "max_lora_rank": 16}
    return LLM(model, **arguments)


def _rounds(
    engine: Any, workload: Workload, modes: tuple[str, ...], adapters: dict[str, str], rng: np.random.Generator
) -> tuple[dict[str, dict[str, list[float]]], dict[str, list[float]]]:
    # Fewer rows than the mix has members are no mix.
    decode: dict[str, dict[str, list[float]]] = {
        mode: {str(c): [] for c in workload.concurrencies if c >= len(MODES[mode])} for mode in modes
    }
    prefill: dict[str, list[float]] = {mode: [] for mode in modes}
    for _ in range(workload.rounds):
        for count in workload.concurrencies:
            for mode in (m for m in modes if str(count) in decode[m]):
                seconds = _generate(
                    engine, adapters, rng, mode, count, workload.prompt_tokens, workload.generated_tokens
                )
                decode[mode][str(count)].append(round(count * workload.generated_tokens / seconds, 2))
        for mode, rates in prefill.items():
            count = len(MODES[mode])
            seconds = _generate(engine, adapters, rng, mode, count, workload.prefill_tokens, 1)
            rates.append(round(count * workload.prefill_tokens / seconds, 1))
    return decode, prefill


def _generate(
    engine: Any,
    adapters: dict[str, str],
    rng: np.random.Generator,
    mode: str,
    count: int,
    prompt_tokens: int,
    generated_tokens: int,
) -> float:
    """Seconds for `count` requests of random tokens (so that no prefix is cached) submitted at once."""
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest

    names = [MODES[mode][i % len(MODES[mode])] for i in range(count)]
    requests = [LoRARequest(name, ADAPTERS.index(name) + 1, adapters[name]) if name else None for name in names]
    prompts = [{"prompt_token_ids": rng.integers(1000, 40000, prompt_tokens).tolist()} for _ in range(count)]
    params = SamplingParams(temperature=0, max_tokens=generated_tokens, ignore_eos=True)
    started = time.perf_counter()
    engine.generate(prompts, params, lora_request=requests, use_tqdm=False)
    return time.perf_counter() - started


def run_engine(name: str, config: EngineConfig, model: str, adapters: dict[str, str], seed: int) -> dict[str, Any]:
    """Measure one engine in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        order, answer = Path(folder) / "order.json", Path(folder) / "answer.json"
        order.write_text(
            json.dumps({"config": config.model_dump(), "model": model, "adapters": adapters, "seed": seed})
        )
        command = [sys.executable, "-m", "benchmarks.lora_cpu", "--engine", str(order), "--out", str(answer)]
        load = os.getloadavg()[0]
        done = subprocess.run(command, check=False, env=environment(config), cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"engine {name!r} failed: {done.stderr[-3000:]}")
        result = json.loads(answer.read_text())
    reduced = config.workload.generated_tokens < Workload().generated_tokens
    return {"config": config.model_dump(), "load_before": load, "reduced": reduced} | result


def machine() -> dict[str, Any]:
    """The hardware and the versions the figures belong to."""
    return {**hardware(), "versions": versions("torch", "vllm-cpu", "transformers", "peft")}


def table(engines: dict[str, dict[str, Any]]) -> str:
    """Medians, and each mode's ratio to the same engine's base rows."""
    lines = [f"{'engine':20} {'rows':5} " + " ".join(f"{f'c{c}':>13}" for c in (1, 4, 16, 32)) + f" {'prefill':>14}"]
    for name, result in engines.items():
        decode, prefill = result["decode_tokens_per_s"], result["prefill_tokens_per_s"]
        for mode in decode:
            cells = [_cell(decode[mode].get(str(c)), decode["base"].get(str(c))) for c in (1, 4, 16, 32)]
            lines.append(
                f"{name:20} {mode:5} " + " ".join(cells) + f" {_cell(prefill.get(mode), prefill.get('base'), 1)}"
            )
    if {"ours", "defaults"} <= engines.keys():
        ours, defaults = (engines[name]["decode_tokens_per_s"]["base"] for name in ("ours", "defaults"))
        lines.append("ours / defaults: " + ", ".join(f"c{c} {_cell(ours[c], defaults[c])}" for c in ours))
    return "\n".join(lines)


def _cell(values: list[float] | None, base: list[float] | None, digits: int = 1) -> str:
    if not values or not base:
        return f"{'-':>13}"
    middle = statistics.median(values)
    return f"{middle:6.{digits}f} ({middle / statistics.median(base):4.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--quick", action="store_true", help="one round of few tokens: does it run at all?")
    parser.add_argument("--engine", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        order = json.loads(args.engine.read_text())
        config = EngineConfig.model_validate(order.pop("config"))
        args.out.write_text(json.dumps(measure(config, **order)))
        return
    run(args.model, args.seed, args.only, args.out, args.quick)


def run(model: str, seed: int, names: list[str], out: Path, quick: bool) -> None:
    """All engines, one after the other; the file is rewritten after each."""
    from benchmarks.random_adapters import make_adapter
    from starter import resolve_model

    folder = resolve_model(model)
    results: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "model": model,
        "adapters": {"count": 2, "rank": 16, "kind": "random bf16, all seven projections"},
        "seed": seed,
        "machine": machine(),
        "engines": {},
    }
    with tempfile.TemporaryDirectory() as work:
        adapters = {
            name: str(make_adapter(folder, Path(work) / name, rank=16, seed=seed + i))
            for i, name in enumerate(ADAPTERS)
        }
        for name in names:
            config = ENGINES[name]
            if quick:
                quick_load = {"generated_tokens": 4, "concurrencies": (4,), "rounds": 1, "prefill_tokens": 60}
                config = config.model_copy(update={"workload": config.workload.model_copy(update=quick_load)})
            print(f"{name} ...", file=sys.stderr, flush=True)
            results["engines"][name] = run_engine(name, config, str(folder), adapters, seed)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results["engines"]))


if __name__ == "__main__":
    main()
