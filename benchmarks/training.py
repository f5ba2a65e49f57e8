"""Tokens a second of supervised fine-tuning, beside the same trainer without this project's choices, in the same run.

    python -m benchmarks.training [--steps 6] [--rounds 2]

The starter model, LoRA of rank 16 on seven projections, four rows a step, rows of the shape of a task: a long question
and a short answer. Each way has a process of its own, in turns:

    ours      what `pointsman train sft` does
    logits    as ours, with TRL's own loss, which projects every position onto the vocabulary
    memory    as ours, freed memory given back to the kernel
    casts     as ours, activations cast to float32 before LoRA's matrices, as PEFT does
    order     as ours, rows of any length in one batch
    trl       all four

Tokens are those of the rows; padding is not counted.
"""

import argparse
import datetime
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoTokenizer

from index.load import load_index
from machine.facts import hardware, versions
from machine.heap import keep_freed_memory
from starter import resolve_model
from training.config import SftSettings
from training.rows import Row, chat_row
from training.trainer.adapters import with_adapter
from training.trainer.sft import CompletionTrainer, arguments, length

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/training.json"
WITHOUT: dict[str, set[str]] = {
    "ours": set(), "logits": {"logits"}, "memory": {"memory"}, "casts": {"casts"}, "order": {"order"},
    "trl": {"logits", "memory", "casts", "order"},
}  # fmt: skip
QUESTION_CHARACTERS, ANSWER_CHARACTERS = (200, 2000), 160


def rows(count: int) -> list[Row]:
    """Questions of 50 to 550 tokens with answers of about 45, made of the starter bundle's documents."""
    draw = random.Random(0)
    texts = [d.text for d in load_index(ROOT / "bundles/polars/index").documents]
    joined = "\n\n".join(draw.sample(texts, 800))
    found = []
    for number in range(count):
        start, size = number * sum(QUESTION_CHARACTERS), draw.randint(*QUESTION_CHARACTERS)
        question, answer = joined[start : start + size], joined[start + size : start + size + ANSWER_CHARACTERS]
        found.append(chat_row([{"role": "user", "content": question}], answer))
    return found


def measure(way: str, steps: int) -> dict[str, Any]:
    """In a process of its own: tokens a second over `steps` updates after one that is not counted."""
    import torch
    from peft.tuners.lora import LoraLayer
    from trl import SFTTrainer

    without, folder = WITHOUT[way], resolve_model("starter")
    if "memory" not in without:
        keep_freed_memory()
    settings = SftSettings(epochs=1, save_steps=10_000, max_length_tokens=1024, warmup_steps=0)
    data, tokenizer = rows(4 * steps), AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    model = with_adapter(folder, settings.rank, settings.alpha)
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = "casts" in without
    with tempfile.TemporaryDirectory() as run:
        chosen = arguments(settings, Path(run))
        chosen.train_sampling_strategy = "random" if "order" in without else "group_by_length"
        kind = SFTTrainer if "logits" in without else CompletionTrainer
        trainer = kind(model=model, args=chosen, train_dataset=Dataset.from_list(data), processing_class=tokenizer)
        started = time.perf_counter()
        found = trainer.train().metrics
        took = time.perf_counter() - started
    tokens = sum(length(tokenizer, row) for row in data)
    return {"tokens_per_s": round(tokens / took, 1), "tokens": tokens, "s": round(took, 1), "loss": found["train_loss"]}


def apart(way: str, steps: int) -> dict[str, Any]:
    """Measure one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", "--measure", way, "--steps", str(steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--measure", choices=WITHOUT, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.steps)))
        return
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WITHOUT}
    for _ in range(given.rounds):
        for way, measured in found.items():
            measured.append(apart(way, given.steps))
            print(f"{way:8} {measured[-1]['tokens_per_s']:7.1f} tokens/s, loss {measured[-1]['loss']:.4f}", flush=True)
    medians = {way: statistics.median(one["tokens_per_s"] for one in measured) for way, measured in found.items()}
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "steps": given.steps,
        "machine": {**hardware(), "versions": versions("torch", "trl", "peft", "transformers")},
        "tokens_per_s": medians, "times_trl": round(medians["ours"] / medians["trl"], 2), **found,
    }  # fmt: skip
    given.out.write_text(json.dumps(facts, indent=1) + "\n")
    print(f"{facts['times_trl']:.2f} times as many as TRL's and PEFT's own ways")


if __name__ == "__main__":
    main()
