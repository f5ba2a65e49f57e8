"""A small model that prefers some tokens, so that a reward for one of them is met now and then."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.training.conftest import sandbox, small_model
from tests.training.grpo.small_run import PROMPTS

__all__ = ["sandbox", "small_model"]
# Makes the most probable of 49,000 tokens come in about one of ten draws.
PEAK = 20


@pytest.fixture(scope="session")
def peaked_model(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model with larger logits."""
    folder = tmp_path_factory.mktemp("peaked")
    model = AutoModelForCausalLM.from_pretrained(small_model, dtype=torch.bfloat16)
    with torch.no_grad():
        model.lm_head.weight *= PEAK
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(small_model).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def liked(peaked_model: Path) -> str:
    """The text of the token that the model most likely answers the first prompt with."""
    tokenizer = AutoTokenizer.from_pretrained(peaked_model)
    model = AutoModelForCausalLM.from_pretrained(peaked_model, dtype=torch.bfloat16)
    with torch.no_grad():
        logits = model(**tokenizer(PROMPTS["p0"], return_tensors="pt")).logits[0, -1]
    return tokenizer.decode(int(logits.argmax()))
