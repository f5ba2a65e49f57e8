"""Answers with rewards in, a LoRA adapter out, by TRL's GRPOTrainer through its public hooks alone.

Group-relative policy optimisation (Shao et al. 2024, arXiv 2402.03300, section 4.1) with the token-level loss and the
raised upper clip of DAPO (Yu et al. 2025, arXiv 2503.14476, sections 3.1 and 3.3), or the loss of Dr. GRPO (Liu et al.
2025, arXiv 2503.20783, section 3.2), which divides by a constant and leaves the groups' deviation alone.

TRL's prompts are mere slots: its rollout function hands them to `practice`, which brings prompts of its own, and the
rewards come back through an extra field. Departures:
1. TRL corrects for a sampler that computes otherwise only with its own vLLM, which needs a GPU. Of its options that
   see the sampler's log-probabilities one is left: worse answers beyond `mismatch_threshold` are masked (DeepSeek-V3.2,
   arXiv 2512.02556, equation 9).
2. A step with a non-finite gradient is skipped.
3. A prompt is computed once for all its answers (shared_prompt.py).
Not covered: several processes.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, TrainerCallback

from machine.heap import give_back, keep_freed_memory
from training.errors import StageStopped
from training.grpo.config import GrpoSettings
from training.grpo.journal import STEPS, Journal
from training.grpo.practice import Batch
from training.grpo.scheduler import Scheduler
from training.trainer.adapters import copy_adapter, save_adapter
from training.trainer.guard import Guard
from training.trainer.shared_prompt import share_prompts
from training.trainer.trl_grpo import GRPOConfig, GRPOTrainer

STATE = "scheduler.json"


class Practising(Protocol):
    """What brings a step's answers; its state travels with the checkpoints."""

    figures: dict[str, Any]
    scheduler: Scheduler

    def __call__(self, step: int) -> Batch:
        """The answers of the step after so many."""


def train_by_rewards(
    model: PeftModel, model_folder: Path, tokenizer: PreTrainedTokenizerBase, practice: Practising,
    settings: GrpoSettings, run: Path, seed: int, canary: Callable[[int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train and write `run`/adapter; returns the trainer's closing figures and why it stopped early, if it did.

    `canary` is called after each step, and with 0 before the first; it may raise StageStopped. Goes on from the last
    whole checkpoint in `run` when an earlier call was killed.
    """
    keep_freed_memory()
    journal, checkpoint = Journal(run), last_checkpoint(run)
    journal.cut(int(checkpoint.name.split("-")[1]) if checkpoint else -1)
    if checkpoint:
        practice.scheduler.restore(json.loads((checkpoint / STATE).read_text()))
    trainer = make_trainer(model, tokenizer, practice, settings, run, seed)

    def skipped(step: int, in_a_row: int) -> None:
        journal.event(step, "skipped", reason="the gradient is not finite", in_a_row=in_a_row)

    trainer.add_callback(Guard(no_finite_gradient, settings.skips, skipped))
    trainer.add_callback(Watch(practice, journal, canary))
    try:
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except StageStopped as stopped:
        step = trainer.state.global_step
        journal.event(step, "stopped", reason=str(stopped), keeps=stopped.keep)
        keep(stopped, run, model, model_folder)
        return {"stopped": str(stopped), "step": step, "keeps": stopped.keep}
    save_adapter(model, run / "adapter", model_folder)
    return {"stopped": None, "step": trainer.state.global_step, **result.metrics}


def make_trainer(
    model: PeftModel, tokenizer: PreTrainedTokenizerBase, practice: Practising, settings: GrpoSettings, run: Path,
    seed: int,
) -> GRPOTrainer:  # fmt: skip
    """TRL's trainer with as many slots as there are groups."""

    def rollout(prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        batch = practice(trainer.state.global_step)
        prompt_ids, completion_ids = (list(ids) for ids in zip(*batch.texts, strict=True))
        return {
            "prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": batch.logprobs,
            "worth": batch.rewards,
        }  # fmt: skip

    slots = Dataset.from_list([{"prompt": ""}] * (settings.prompts_per_step * settings.steps))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'rollout_func'")  # the version is pinned
        trainer = GRPOTrainer(
            model=model, reward_funcs=worth, args=arguments(settings, run, seed), train_dataset=slots,
            processing_class=tokenizer, rollout_func=rollout,
        )  # fmt: skip
    if settings.share_prompts:
        share_prompts(model.get_base_model(), settings.temperature)
    return trainer


def worth(worth: list[float | None], **_: Any) -> list[float | None]:
    """The rewards as they came with the answers; TRL gives None no part in baseline and gradient."""
    return worth


def arguments(settings: GrpoSettings, run: Path, seed: int) -> GRPOConfig:
    """TRL's arguments; answers are drawn anew for every optimiser step, so that no ratio is taken of stale ones."""
    return GRPOConfig(
        output_dir=str(run),
        num_generations=settings.group,
        per_device_train_batch_size=settings.pass_rows,
        gradient_accumulation_steps=settings.answers // settings.pass_rows,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        max_steps=settings.steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=settings.warmup_steps,
        weight_decay=0.0,
        max_grad_norm=1.0,
        loss_type=settings.loss,
        # Dr. GRPO finds a bias towards easy and hard prompts in the division by a group's deviation.
        scale_rewards="none" if settings.loss == "dr_grpo" else "group",
        epsilon=settings.epsilon,
        epsilon_high=settings.epsilon_high,
        beta=settings.beta,
        mask_truncated_completions=settings.mask_truncated,
        off_policy_mask_threshold=settings.mismatch_threshold,
        gradient_checkpointing=settings.gradient_checkpointing,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,
        logging_nan_inf_filter=False,  # a NaN must be seen
        save_steps=settings.save_steps,
        save_total_limit=2,  # the newest is not whole until its state is written
        seed=seed,
        report_to=[],
        dataloader_pin_memory=False,
        disable_tqdm=False,
    )


def no_finite_gradient(step: int, learning_rate: float) -> StageStopped:
    """Why a run stops whose gradient is no number any more."""
    return StageStopped(
        f'the gradient was not finite in step "{step}" and in those before it: the last checkpoint is kept; lower '
        f"learning_rate from {learning_rate:g}, or look at samples.jsonl",
        "checkpoint",
    )


def last_checkpoint(run: Path) -> Path | None:
    """The newest checkpoint whose scheduler state was written too, which is written last."""
    whole = [path.parent for path in run.glob(f"checkpoint-*/{STATE}")]
    return max(whole, key=lambda path: int(path.name.split("-")[1]), default=None)


def keep(stopped: StageStopped, run: Path, model: PeftModel, model_folder: Path) -> None:
    """Make the adapter that a stopped run keeps its result; what there is, where the one named was never written."""
    source = {"best": run / "best", "checkpoint": last_checkpoint(run), "current": None}[stopped.keep]
    if source is not None and source.is_dir():
        copy_adapter(source, run / "adapter", model_folder)
    else:
        save_adapter(model, run / "adapter", model_folder)


class Watch(TrainerCallback):
    """Writes a line a step, the scheduler's state beside each checkpoint, and calls the canary."""

    def __init__(self, practice: Practising, journal: Journal, canary: Callable[[int], None] | None) -> None:
        self._practice, self._journal, self._canary = practice, journal, canary

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What the start is worth."""
        if self._canary and state.global_step == 0:
            self._canary(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What the policy has become."""
        give_back()  # no two steps have blocks of the same sizes: the pieces would add up to all there is
        if self._canary:
            self._canary(state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """TRL's figures beside those of the practice."""
        ours = self._practice.figures if logs and "loss" in logs else {}
        self._journal.write(STEPS, [{"step": state.global_step, **(logs or {}), **ours}])

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The state last: a checkpoint that has it is whole."""
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self._practice.scheduler.state()))
        partial.replace(path)
