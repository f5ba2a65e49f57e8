"""Rows, settings and a base in; tokens, steps, time, memory and disk of a training out, before anything is trained.

Time and memory are scaled from measurements on two cores of a server processor with the starter model; both are rough
guides, and of a GPU nothing was measured.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from index.bundle import base_facts
from training.config import PROJECTIONS, SftSettings
from training.rows import Row

# Measured on two cores of a server processor with the starter, whose parameters are these.
TOKENS_PER_S, PARAMETERS, CORES = 110, 494e6, 2
NF4_PACE = 197 / 259  # tokens/s in four bits and in bfloat16, same place
# Offline engine, temperature 0.8, at most 200 new tokens, same place: 1.8 to 2.3.
SAMPLES_PER_S = 1.8
MIB = 1024 * 1024
BFLOAT16, FLOAT32 = 2, 4
NF4_BYTES = 0.516  # four bits and 0.127 of quantisation constants (QLoRA, arXiv 2305.14314, section 3)
ADAM_BYTES = 4 * FLOAT32  # weight, gradient, two moments
PROCESS_BYTES = 700 * MIB  # Python, torch, transformers


@dataclass(frozen=True)
class Lengths:
    """Tokens of each row (N): of its prompt, with the words that begin an answer, and of its completion."""

    prompt_N: np.ndarray
    completion_N: np.ndarray

    @property
    def total_N(self) -> np.ndarray:
        """Tokens of the whole row."""
        return self.prompt_N + self.completion_N

    def within(self, limit: int) -> "Lengths":
        """The rows of at most so many tokens, which are those that are trained on."""
        fits_N = self.total_N <= limit
        return Lengths(self.prompt_N[fits_N], self.completion_N[fits_N])

    @property
    def loss_share(self) -> float:
        """Share of the tokens that are learnt: those of the completions."""
        return float(self.completion_N.sum() / self.total_N.sum()) if len(self.total_N) else 0.0


def lengths_of(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Lengths:
    """The tokens of rows as the model's own chat template writes them."""
    pairs = [
        (tokens(tokenizer, row["prompt"], True), tokens(tokenizer, row["prompt"] + row["completion"])) for row in rows
    ]
    prompt_N, total_N = np.array(pairs, dtype=int).reshape(-1, 2).T
    return Lengths(prompt_N, total_N - prompt_N)


def tokens(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], begins_answer: bool = False) -> int:
    """Tokens of rendered messages."""
    made = tokenizer.apply_chat_template(messages, add_generation_prompt=begins_answer, return_dict=True)
    return len(made["input_ids"])


@dataclass(frozen=True)
class Work:
    """What a training comes to: batches of at most so many tokens, optimiser steps, tokens over all of them."""

    batch_tokens: int
    steps: int
    tokens: int


def work_of(lengths: Lengths, settings: SftSettings) -> Work:
    """The work of training on rows of these lengths."""
    fitting_N = lengths.within(settings.max_length_tokens).total_N
    if not len(fitting_N):
        return Work(0, 0, 0)
    packed = settings.packing != "none"
    units = max(1, ceil(fitting_N.sum() / settings.max_length_tokens)) if packed else len(fitting_N)
    longest = settings.max_length_tokens if packed else int(fitting_N.max())
    of_epochs = ceil(ceil(ceil(units / settings.batch_rows) / settings.accumulate) * settings.epochs)
    steps = settings.max_steps if settings.max_steps > 0 else of_epochs
    total = fitting_N.sum() * settings.epochs * steps / of_epochs
    return Work(longest * min(settings.batch_rows, units), steps, int(total))


@dataclass(frozen=True)
class Base:
    """What of a base decides time and memory."""

    parameters: int
    projections: tuple[tuple[int, int], ...]
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int

    def adapter_parameters(self, rank: int) -> int:
        """Parameters of an adapter of this rank on every projection."""
        return rank * sum(sum(shape) for shape in self.projections)


def base_of(folder: Path) -> Base:
    """The sizes of the model in a folder."""
    config = json.loads((folder / "config.json").read_text())
    config = config.get("text_config", config)
    shapes = base_facts(folder).shapes
    adapted = {name: shape for name, shape in shapes.items() if name.split(".")[-2] in PROJECTIONS and len(shape) == 2}
    return Base(
        sum(prod(shape) for shape in shapes.values()), tuple((shape[0], shape[1]) for shape in adapted.values()),
        config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"], config["vocab_size"],
    )  # fmt: skip


def duration_s(base: Path, count: float) -> float:
    """Seconds of training on so many tokens on a CPU, from the measured pace by parameters and cores; a rough guide."""
    parameters = sum(prod(shape) for shape in base_facts(base).shapes.values())
    return count / TOKENS_PER_S * parameters / PARAMETERS * CORES / len(os.sched_getaffinity(0))


def memory_of(base: Base, settings: SftSettings, batch_tokens: int) -> dict[str, int]:
    """Bytes at the longest batch, by what they are for.

    Activations that are kept for the backward pass of a layer, a token: about 15 vectors of the hidden width and 4 of
    the feed-forward width; logits: bfloat16 and float32, each with its gradient. For a pack of 1,024 tokens of the
    starter at rank 32 this gives 5.1 GiB in all, where 4.9 were measured.
    """
    linear = sum(prod(shape) for shape in base.projections)
    weight = NF4_BYTES if settings.quantise == "nf4" else BFLOAT16
    layer = (15 * base.hidden + 4 * base.intermediate) * BFLOAT16
    return {
        "process": PROCESS_BYTES,
        "base": int(linear * weight + (base.parameters - linear) * BFLOAT16),
        "adapter and optimiser": base.adapter_parameters(settings.rank) * ADAM_BYTES,
        "activations": batch_tokens * base.layers * layer,
        "logits": batch_tokens * base.vocabulary * 2 * (BFLOAT16 + FLOAT32),
    }


def disk_of(base: Base, settings: SftSettings) -> int:
    """Bytes that a run writes at most: three checkpoints, one of them being written, and the adapter."""
    parameters = base.adapter_parameters(settings.rank)
    return parameters * (3 * 3 * FLOAT32 + BFLOAT16)
