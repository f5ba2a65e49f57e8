"""The toy package of the index tests, and verified tasks of a small real package."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from starter import resolve_model
from tests.index.conftest import documents, index, toytable
from training.sandbox import Sandbox, SandboxConfig
from training.tasks import LIMITS, Task, TaskSource, package_tasks

__all__ = ["documents", "index", "toytable"]


def source(held_out_share: float = 0.0) -> TaskSource:
    """Tasks of the standard library's `statistics`, whose docstrings hold doctests."""
    return TaskSource("statistics", "from statistics import *", 3, held_out_share, 0, {}, "")


@pytest.fixture(scope="session")
def tasks() -> list[Task]:
    return package_tasks(source())


@pytest.fixture(scope="session")
def held_out(tasks: list[Task]) -> list[Task]:
    return [replace(task, split="held_out") for task in tasks if task.id.endswith("/0")]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Two workers that have polars and numpy imported."""
    with Sandbox(SandboxConfig(workers=2, preload=["polars", "numpy"], limits=LIMITS)) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random layers with the tiny model's tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = AutoTokenizer.from_pretrained(resolve_model("tiny"))
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
