"""Seconds of a GRPO step, beside the same stage without this project's choices, in the same run.

    python -m benchmarks.grpo [--steps 3] [--rounds 1]

The stage itself on the starter's Polars tasks, half of them with evidence: four prompts, eight answers each, executed
and rewarded, one update. It needs the run folder of configs/training/polars-sft.yaml. Each way is a process of its own
that draws the same prompts:

    ours      vLLM answers, a prompt is computed once for all its answers
    apart     vLLM answers, every row is computed whole, as TRL does
    generate  transformers' generate answers, prompts are shared
    trl       both: transformers' generate, every row whole

The first step of each, which compiles and warms, is not counted; nor are the gates before it.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from machine.facts import hardware, versions

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/grpo.json"
GROUP, PROMPTS = 8, 4
WAYS: dict[str, tuple[str, bool]] = {
    "ours": ("vllm", True), "apart": ("vllm", False), "generate": ("transformers", True), "trl": ("transformers", False)
}  # fmt: skip


def stage(way: str, steps: int, run: Path) -> dict[str, Any]:
    """The config of a way."""
    rollouts, shares = WAYS[way]
    rows = {} if shares else {"micro_rows": GROUP}  # whole rows of a whole step would not fit into memory
    return {
        "start": "configs/training/polars-sft.yaml",
        "run": str(run),
        "problems": [{"tasks": True, "telling": True, "evidence_share": 0.5, "max_characters": 800}],
        "rollouts": rollouts,
        "grpo": {
            "steps": steps + 1, "group": GROUP, "prompts_per_step": PROMPTS, "max_new_tokens": 128,
            "share_prompts": shares, "save_steps": 1000, **rows,
        },
        "scheduler": {"max_rounds": 1},
        "canary": None,
    }  # fmt: skip


def measure(way: str, steps: int) -> list[dict[str, Any]]:
    """Each step's seconds, tokens and answers, after one that is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        config = Path(folder) / "grpo.yaml"
        config.write_text(yaml.safe_dump(stage(way, steps, run)))
        command = [sys.executable, "-m", "pointsman", "train", "grpo", str(config)]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
        answers = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    return [
        {
            "step": line["step"], "s": round(line["step_time"], 1), "loss": line["loss"],
            "answer_tokens": sum(one["tokens"] for one in answers if one["step"] == line["step"]),
        }
        for line in lines if "loss" in line and line["step"] > 1
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=3, help="steps that are counted (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="times each way is run (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(given.rounds):
        for way, steps in found.items():
            steps += measure(way, given.steps)
            print(f"{way:9} {statistics.median(one['s'] for one in steps):6.1f} s a step", flush=True)
    medians = {way: statistics.median(one["s"] for one in steps) for way, steps in found.items()}
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {**hardware(), "versions": versions("torch", "trl", "peft", "transformers", "vllm")},
        "answers": GROUP * PROMPTS, "s": medians, "times_trl": round(medians["trl"] / medians["ours"], 2), **found,
    }  # fmt: skip
    given.out.write_text(json.dumps(facts, indent=1) + "\n")
    print(f"{facts['times_trl']:.2f} times as fast as rows computed whole and transformers' generate")


if __name__ == "__main__":
    main()
