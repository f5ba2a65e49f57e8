"""GRPO on the small model with TRL, PEFT and generation by transformers: what must hold whatever the task."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.grpo.small_run import SmallRun, lines, logged
from training.errors import StageError, StageStopped
from training.generation import Text, Wanted
from training.grpo.transformers_sampler import TransformersSampler
from training.trainer.grpo import last_checkpoint

pytestmark = pytest.mark.assets

# Answers fixed by their seeds, rewarded by their letters. On answers just drawn the loss is a matter of rewards and
# lengths alone; the gradient's norm is what the model says to it, in bfloat16, which differs between processors.
STORED = {
    "dapo": ((-0.5209, -0.8120, -0.6343), (7.44, 11.55, 8.88)),
    "dr_grpo": ((-0.2430, -0.2449, -0.3030), (3.28, 3.27, 4.50)),
}


def letters(text: str) -> float:
    """A reward that hardly two answers share."""
    return sum(map(str.isalpha, text)) / 20


def test_the_smallest_task_is_learnt(peaked_model: Path, liked: str, tmp_path: Path) -> None:
    """The reward for beginning with a certain token rises from now and then to most of the time."""
    run = SmallRun(
        peaked_model, tmp_path, lambda text: float(text.startswith(liked)), steps=8, group=8, micro_rows=16,
        learning_rate=1e-2,
    )  # fmt: skip
    run.train()
    rewards = logged(tmp_path, "answers/reward")
    assert sum(rewards[-3:]) / 3 > rewards[0] + 0.5


class Scripted(TransformersSampler):
    """Answers by the seed alone, whatever the model prefers."""

    def _generated(self, batch: Sequence[Wanted]) -> list[list[int]]:
        return [by_seed(one.seed, one.max_tokens) for one in batch]


def by_seed(seed: int, count: int) -> list[int]:
    """Tokens."""
    return torch.randint(20, 49_000, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize("loss", STORED)
def test_the_first_losses_are_the_stored_ones(peaked_model: Path, tmp_path: Path, loss: str) -> None:
    """Sampling, rewards, advantages and aggregation together; and every figure and file of a run is there."""
    run = SmallRun(peaked_model, tmp_path, letters, ends=5, sampler=Scripted, loss=loss, max_new_tokens=12)
    found = run.train()
    assert found["stopped"] is None and found["step"] == 3
    losses, norms = STORED[loss]
    assert logged(tmp_path, "loss") == pytest.approx(losses, abs=0.002)
    assert logged(tmp_path, "grad_norm") == pytest.approx(norms, rel=0.1)
    first = lines(tmp_path, "steps.jsonl")[0]
    assert first["groups/live"] == 2 and 1 < first["answers/effective"] <= 8
    assert first["delivery/to_policy"] == pytest.approx(0, abs=0.02)
    assert first["rewards/worth/mean"] == pytest.approx(first["answers/reward"], abs=1e-4)
    samples = lines(tmp_path, "samples.jsonl")
    assert len(samples) == 3 * 8 and {one["step"] for one in samples} == {1, 2, 3}
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip


def test_a_killed_run_goes_on_as_if_it_had_not_been(peaked_model: Path, tmp_path: Path) -> None:
    """Same prompts, same answers, same losses after the checkpoint; what came after it is done and written anew."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    SmallRun(peaked_model, whole, letters, steps=4).train()
    killed = SmallRun(peaked_model, cut, letters, steps=4)

    def kill(step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.train(kill)
    assert last_checkpoint(cut) == cut / "checkpoint-2"
    SmallRun(peaked_model, cut, letters, steps=4).train()
    for key in ("prompt", "sample", "completion", "reward"):
        assert [one[key] for one in lines(cut, "samples.jsonl")] == [one[key] for one in lines(whole, "samples.jsonl")]
    assert logged(cut, "step") == [1, 2, 3, 4]
    assert logged(cut, "loss") == pytest.approx(logged(whole, "loss"), abs=1e-3)


def test_a_gradient_that_is_not_finite_changes_nothing(peaked_model: Path, tmp_path: Path) -> None:
    """The step is skipped, told, and the next one is taken."""
    run = SmallRun(peaked_model, tmp_path, letters)
    spoil(run, {2})
    found = run.train()
    assert found["stopped"] is None
    assert [(one["step"], one["event"]) for one in lines(tmp_path, "events.jsonl")] == [(2, "skipped")]
    assert all(bool(p.isfinite().all()) for p in run.model.parameters())
    assert not (tmp_path / "checkpoint-2").exists()


def test_three_of_them_in_a_row_end_the_run_at_the_last_checkpoint(peaked_model: Path, tmp_path: Path) -> None:
    """The adapter is that of the checkpoint."""
    run = SmallRun(peaked_model, tmp_path, letters, steps=6)
    spoil(run, {3, 4, 5})
    found = run.train()
    assert found["keeps"] == "checkpoint" and found["step"] == 4
    saved = load_file(tmp_path / "checkpoint-2/adapter_model.safetensors")
    for name, tensor in load_file(tmp_path / "adapter/adapter_model.safetensors").items():
        assert torch.equal(tensor, saved[name].to(torch.bfloat16))


def spoil(run: SmallRun, steps: set[int]) -> None:
    """Make the gradients of these steps, counted from 1, NaN."""
    done = {"step": 0}
    practice = type(run.practice).__call__

    class Counted(type(run.practice)):  # type: ignore[misc]
        def __call__(self, step: int) -> object:
            done["step"] = step + 1
            return practice(self, step)

    run.practice.__class__ = Counted
    parameter = next(p for p in run.model.parameters() if p.requires_grad)
    parameter.register_hook(lambda gradient: gradient * (torch.nan if done["step"] in steps else 1))


def test_unscorable_answers_have_no_part(peaked_model: Path, tmp_path: Path) -> None:
    """Where nothing is known of any answer, nothing moves, and the shares say so."""
    run = SmallRun(peaked_model, tmp_path, lambda text: None, steps=2, save_steps=50)
    run.train()
    assert logged(tmp_path, "answers/unscorable_share") == [1, 1]
    assert logged(tmp_path, "answers/effective") == [0, 0]
    assert logged(tmp_path, "grad_norm") == [0, 0]


def test_a_canary_may_stop_the_run(peaked_model: Path, tmp_path: Path) -> None:
    """Called before the first step and after each; the adapter it kept as best is the result."""
    run, called = SmallRun(peaked_model, tmp_path, letters), []

    def canary(step: int) -> None:
        called.append(step)
        run.delivery.deliver(step)
        if step == 0:
            run.delivery.adapter.rename(tmp_path / "best")
        if step == 2:
            raise StageStopped("fell", "best")

    found = run.train(canary)
    assert called == [0, 1, 2]
    assert (found["stopped"], found["keeps"], found["step"]) == ("fell", "best", 2)
    weights = load_file(tmp_path / "adapter/adapter_model.safetensors")
    assert all(not tensor.any() for name, tensor in weights.items() if ".lora_B." in name)
    assert [one["event"] for one in lines(tmp_path, "events.jsonl")] == ["stopped"]


class Deaf:
    """A sampler that never takes an adapter: it answers as the base does."""

    def __init__(self, run: SmallRun) -> None:
        self._run, self._sampler = run, run.sampler

    def deliver(self, folder: Path) -> None:
        """Ignore it."""

    def score(self, texts: Sequence[Text]) -> list[list[float]]:
        """As the base."""
        with self._run.model.disable_adapter():
            return self._sampler.score(texts)


@pytest.mark.parametrize("stop", [0.1, 100.0])
def test_a_sampler_that_ignores_the_adapter_is_caught(peaked_model: Path, tmp_path: Path, stop: float) -> None:
    """By the distance to the policy; and, where that is let pass, because the base is nearer."""
    run = SmallRun(peaked_model, tmp_path, letters)
    delivery = run.delivery
    delivery._sampler = Deaf(run)
    delivery._settings = delivery._settings.model_copy(update={"stop": stop})
    delivery.deliver(0)
    with torch.no_grad():
        for name, parameter in run.model.named_parameters():
            if ".lora_B." in name:
                parameter.add_(0.2)
    with pytest.raises(StageError, match="did not reach"):
        delivery.deliver(5)


def test_a_sampler_that_has_it_passes(peaked_model: Path, tmp_path: Path) -> None:
    """The model itself is as near to the policy as can be, and far from the base."""
    run = SmallRun(peaked_model, tmp_path, letters)
    with torch.no_grad():
        for name, parameter in run.model.named_parameters():
            if ".lora_B." in name:
                parameter.add_(0.2)
    run.delivery.deliver(5)
    assert run.delivery.figures["delivery/to_policy"] < 0.02 < run.delivery.figures["delivery/to_base"]
