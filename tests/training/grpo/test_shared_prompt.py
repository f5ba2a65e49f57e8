"""Prompts computed once against TRL's own scoring of the same rows: outputs, gradients, and what falls out of both."""

from pathlib import Path

import pytest
import torch

from tests.training.grpo.small_run import SmallRun
from training.trainer import shared_prompt
from training.trainer.grpo import make_trainer
from training.trainer.shared_prompt import share_prompts

pytestmark = pytest.mark.assets

PROMPTS, ROW_PROMPTS, LENGTHS, LONGEST = (3, 7, 5), [0, 1, 0, 2, 1, 0], [4, 1, 6, 3, 5, 2], 6


def rows(truncated: int | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, mask and labels of six answers to three prompts in TRL's order, which is none; one may be left out."""
    draw = torch.Generator().manual_seed(0)
    prompts = [torch.randint(5, 900, (size,), generator=draw) for size in PROMPTS]
    width = max(PROMPTS)
    ids = torch.zeros(len(LENGTHS), width + LONGEST, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (which, length) in enumerate(zip(ROW_PROMPTS, LENGTHS, strict=True)):
        prompt = prompts[which]
        ids[row, width - len(prompt) : width], mask[row, width - len(prompt) : width] = prompt, 1
        ids[row, width : width + length] = torch.randint(5, 900, (length,), generator=draw)
        if row != truncated:
            mask[row, width : width + length] = 1
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :width] = -100
    return ids, mask, labels


def scores(model_folder: Path, run: Path, shares: bool, truncated: int | None = None) -> list[torch.Tensor]:
    """Log-probabilities, entropies, and the gradients of a weighted sum of the former."""
    parts = SmallRun(model_folder, run, lambda text: 0.0, share_prompts=shares, temperature=0.7)
    trainer = make_trainer(parts.model, parts.tokenizer, parts.practice, parts.settings, run, 0)
    model = trainer.model.float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.add_(0.02)
    ids, mask, labels = rows(truncated)
    found = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True)
    weights = torch.linspace(-1, 1, found.log_probs.numel()).view_as(found.log_probs)
    (found.log_probs * weights).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    return [found.log_probs.detach(), found.entropy.detach() * (labels[:, 1:] != -100), *gradients]


@pytest.mark.parametrize("truncated", [None, 4])
@pytest.mark.parametrize("held", [shared_prompt.TOKENS_HELD, 0])
def test_scores_and_gradients_are_those_of_rows_computed_apart(
    peaked_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truncated: int | None, held: int
) -> None:
    """With answers of one token and of many, left out, held, and computed again in the backward pass."""
    monkeypatch.setattr(shared_prompt, "TOKENS_HELD", held)
    ours, trls = (scores(peaked_model, tmp_path / str(way), way, truncated) for way in (True, False))
    assert sum(float(gradient.abs().sum()) for gradient in ours[2:]) > 1
    for one, other in zip(ours, trls, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-4)


def test_rows_left_out_altogether_have_no_gradient(peaked_model: Path, tmp_path: Path) -> None:
    """A pass whose answers were all cut scores 0 everywhere, and goes on."""
    parts = SmallRun(peaked_model, tmp_path, lambda text: 0.0)
    trainer = make_trainer(parts.model, parts.tokenizer, parts.practice, parts.settings, tmp_path, 0)
    ids, mask, labels = rows()
    found = trainer.model(input_ids=ids, attention_mask=mask, labels=torch.full_like(labels, -100), fused_lm_head=True)
    assert not found.log_probs.any()
    found.log_probs.sum().backward()


def test_a_model_whose_layers_forget_keeps_the_trainers_way(peaked_model: Path, tmp_path: Path) -> None:
    """A sliding window's cache would drop a prompt's beginning."""
    base = SmallRun(peaked_model, tmp_path, lambda text: 0.0).model.get_base_model()
    base.config.layer_types = ["sliding_attention", "full_attention"]
    before = base.forward
    assert not share_prompts(base, 1.0)
    assert base.forward == before
