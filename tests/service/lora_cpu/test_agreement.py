"""Base, adapters A and B in one batch of vLLM's engine against transformers + PEFT, one text at a time in float32.

A wrong row mapping, a wrong scale or weights of another slot would each move log-probabilities by the distance between
models; rounding moves them by bf16 noise. So each model must be near its own reference (TOLERANCE) and several times
farther from the others'. Stock vLLM 0.32 fails this; test_punica.py shows which operator.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.random_adapters import make_adapter
from starter import resolve_model

pytestmark = pytest.mark.engine

RANK = 16
MAX_TOKENS = 24

Distances = dict[str, dict[tuple[str, str], float]]
MODELS = ("base", "a", "b")
PROMPTS = (
    "Write a function that adds two numbers, then explain each line of it to somebody who has never programmed before.",
    "What is a list in Python? Answer in a sentence or two, with an example of code that appends to one and sorts it.",
    "import json\n\ndef load(path):\n    with open(path) as f:\n        return json.load(f)\n\ndef save(path, value):",
)
# Mean |difference of log-probability| a token, in nats. On this model transformers' own bf16 is 0.04 to 0.06 (prompt)
# and 0.013 to 0.016 (generated) from its float32, with and without adapters: what is below twice that is rounding.
TOLERANCE = {"prefill": 0.10, "decode": 0.04}
MARGIN = 3


def tiny_model() -> Path:
    """Folder of the small model."""
    return resolve_model("tiny")


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {name: make_adapter(tiny_model(), folder / name, rank=RANK, seed=seed) for seed, name in enumerate("ab")}


@pytest.fixture(scope="module")
def served(adapters: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """One row a prompt and model, served in one batch: what was sent, and the engine's tokens and log-probabilities."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model())
    rows = [{"model": model, "prompt_token_ids": tokenizer.encode(prompt)} for prompt in PROMPTS for model in MODELS]
    answers = tmp_path_factory.mktemp("answers") / "answers.json"
    request = {
        "model": str(tiny_model()),
        "adapters": {name: str(folder) for name, folder in adapters.items()},
        "rank": RANK,
        "max_tokens": MAX_TOKENS,
        "rows": rows,
        "answers": str(answers),
    }
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("serve_batch.py"))],
        input=json.dumps(request),
        env=os.environ | {"PYTHONPATH": str(root)},
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [row | answer for row, answer in zip(rows, json.loads(answers.read_text()), strict=True)]


@pytest.fixture(scope="module")
def distances(adapters: dict[str, Path], served: list[dict[str, Any]]) -> Distances:
    """For "prefill" and "decode": mean distance of what the engine gave as model m from the reference of model n."""
    base = AutoModelForCausalLM.from_pretrained(tiny_model(), dtype=torch.float32)
    reference = PeftModel.from_pretrained(base, adapters["a"], adapter_name="a")
    reference.load_adapter(adapters["b"], adapter_name="b")
    reference.eval()
    pairs: dict[str, dict[tuple[str, str], list[torch.Tensor]]] = {
        part: {(m, n): [] for m in MODELS for n in MODELS} for part in ("prefill", "decode")
    }
    for row in served:
        tokens, n_prompt = row["prompt_token_ids"] + row["token_ids"], len(row["prompt_token_ids"])
        got = torch.tensor(row["prompt_logprobs"] + row["logprobs"])
        for model in MODELS:
            difference = (got - _reference_logprobs(reference, model, tokens)).abs()
            pairs["prefill"][row["model"], model].append(difference[: n_prompt - 1])
            pairs["decode"][row["model"], model].append(difference[n_prompt - 1 :])
    return {part: {pair: torch.cat(d).mean().item() for pair, d in all_.items()} for part, all_ in pairs.items()}


def _reference_logprobs(reference: PeftModel, model: str, tokens: list[int]) -> torch.Tensor:
    """Log-probability of tokens[1:], each given the ones before it."""
    ids = torch.tensor([tokens])
    if model != "base":
        reference.set_adapter(model)
    with torch.no_grad(), reference.disable_adapter() if model == "base" else contextlib.nullcontext():
        logits = reference(ids).logits
    return logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]


@pytest.mark.parametrize("part", ["prefill", "decode"])
@pytest.mark.parametrize("model", MODELS)
def test_each_row_agrees_with_its_own_model(distances: Distances, part: str, model: str) -> None:
    """Prompt tokens and generated tokens, base rows and both adapters, all in one batch."""
    assert distances[part][model, model] < TOLERANCE[part], distances[part]


@pytest.mark.parametrize("part", ["prefill", "decode"])
@pytest.mark.parametrize("model", MODELS)
def test_other_models_are_several_times_farther(distances: Distances, part: str, model: str) -> None:
    """Without this the first test could pass on adapters that change nothing."""
    nearest = min(distances[part][model, other] for other in MODELS if other != model)
    assert nearest > MARGIN * distances[part][model, model], distances[part]
