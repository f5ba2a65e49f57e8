"""The losses as TRL computes them against the papers' formulas, on one small batch of stale answers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.grpo.small_run import SmallRun
from training.trainer.grpo import make_trainer

pytestmark = pytest.mark.assets

EPSILON, EPSILON_HIGH, LONGEST = 0.2, 0.28, 6
ADVANTAGES = [1.5, -0.5, -1.0, 0.0]


def batch(run: SmallRun) -> dict[str, Any]:
    """Four answers of different length, whose old probabilities lie on both sides of the clipping."""
    draw = torch.Generator().manual_seed(0)
    prompt, answers = torch.randint(5, 900, (4, 3), generator=draw), torch.randint(5, 900, (4, LONGEST), generator=draw)
    mask = (torch.arange(LONGEST)[None] < torch.tensor([6, 2, 4, 5])[:, None]).int()
    now = reference_logprobs(run, prompt, answers)
    old = now + torch.linspace(-0.5, 0.5, LONGEST)[None] * torch.tensor([1.0, -1.0, 0.7, 1.0])[:, None]
    return {
        "prompt_ids": prompt, "prompt_mask": torch.ones_like(prompt), "completion_ids": answers,
        "completion_mask": mask, "advantages": torch.tensor(ADVANTAGES), "num_items_in_batch": mask.sum(),
        "old_per_token_logps": old,
    }  # fmt: skip


def reference_logprobs(run: SmallRun, prompt: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (rows, tokens) of the answers by the model's plain forward pass."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = run.model(input_ids=torch.cat([prompt, answers], 1)).logits[:, prompt.shape[1] - 1 : -1]
    return logits.detach().float().log_softmax(-1).gather(-1, answers[..., None]).squeeze(-1)


def reference(loss: str, inputs: dict[str, Any], logprobs: torch.Tensor) -> float:
    """DAPO divides by the batch's tokens (equation 8); Dr. GRPO by answers times the longest allowed (appendix C)."""
    total = 0.0
    for row, advantage in enumerate(ADVANTAGES):
        for place in range(int(inputs["completion_mask"][row].sum())):
            ratio = float((logprobs[row, place] - inputs["old_per_token_logps"][row, place]).exp())
            clipped = min(max(ratio, 1 - EPSILON), 1 + EPSILON_HIGH)
            total -= min(ratio * advantage, clipped * advantage)
    return total / (int(inputs["completion_mask"].sum()) if loss == "dapo" else len(ADVANTAGES) * LONGEST)


@pytest.mark.parametrize("loss", ["dapo", "dr_grpo"])
def test_the_loss_is_that_of_the_paper(peaked_model: Path, tmp_path: Path, loss: str) -> None:
    """With clip-higher, on tokens clipped above, below and not at all."""
    run = SmallRun(
        peaked_model, tmp_path, lambda text: 0.0, loss=loss, group=4, prompts_per_step=1, micro_rows=4,
        max_new_tokens=LONGEST, mismatch_threshold=None,
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in run.model.named_parameters():
            if ".lora_B." in name:
                parameter.add_(0.02)
    trainer = make_trainer(run.model, run.tokenizer, run.practice, run.settings, tmp_path, 0)
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    inputs = batch(run)
    found = trainer.compute_loss(trainer.model, inputs)
    logprobs = reference_logprobs(run, inputs["prompt_ids"], inputs["completion_ids"])
    assert found.detach().item() == pytest.approx(reference(loss, inputs, logprobs), abs=0.01)
