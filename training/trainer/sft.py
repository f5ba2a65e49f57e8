"""Rows in, a LoRA adapter out, by TRL's SFTTrainer.

Completion-only negative log-likelihood in bfloat16; batches grouped by length, because on a CPU padding is the largest
avoidable cost; packing leaves none.
"""

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase, TrainerCallback
from trl import SFTConfig, SFTTrainer

from machine.heap import keep_freed_memory
from training.config import SftSettings
from training.errors import StageError
from training.rows import Row
from training.trainer.adapters import save_adapter, train_in_float32, with_adapter
from training.trainer.checkpoints import KEPT, forget_after, full_disk_told, last_whole, step_of
from training.trainer.guard import Guard
from training.trainer.packing import refuse_mixing


class StepLog(TrainerCallback):
    """Appends one JSON line a logged step, so that a run can be watched and read afterwards."""

    def __init__(self, path: Path, guard: Guard) -> None:
        self._path = path
        self._guard = guard

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Write the trainer's own finite figures with the step they belong to; one left out has no loss to tell."""
        told = {key: value for key, value in (logs or {}).items() if math.isfinite(value)}
        if self._guard.skipped_in_a_row and "loss" in told:
            del told["loss"]
            told["skipped"] = "the loss or its gradient is no finite number"
        with self._path.open("a") as file:
            file.write(json.dumps({"step": state.global_step, **told}) + "\n")


class CompletionTrainer(SFTTrainer):
    """TRL's trainer with logits at the completions' positions alone.

    TRL 1.16 does so only where Triton is. Elsewhere it projects every position onto the vocabulary, and again in the
    backward pass: half of the time where the prompt is long and the answer short (benchmarks/training.py).
    """

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Sum of the negative log-likelihoods, in nats, by the number of completion tokens in the whole update."""
        labels = inputs["labels"]
        kept = (labels[:, 1:] != -100).any(0).nonzero().flatten()  # a token is predicted at the position before it
        given = {key: value for key, value in inputs.items() if key != "labels"}
        outputs = model(**given, logits_to_keep=kept, use_cache=False)
        wanted = labels[:, kept + 1]
        total = torch.nn.functional.cross_entropy(
            outputs.logits.float().flatten(0, 1), wanted.flatten(), ignore_index=-100, reduction="sum"
        )
        loss = total / ((wanted != -100).sum() if num_items_in_batch is None else num_items_in_batch)
        return (loss, outputs) if return_outputs else loss


def train_adapter(
    model_folder: Path, rows: Sequence[Row], settings: SftSettings, run: Path, start: Path | None = None
) -> dict[str, float]:
    """Train on the rows and write `run`/adapter (PEFT files, bfloat16); returns the trainer's closing figures.

    A new adapter, or the one at `start` going on. Continues from the last whole checkpoint in `run` when an earlier
    call was killed. Raises StageError when no row fits, three steps in a row have no finite loss, or the disk is full.
    """
    keep_freed_memory()
    torch.manual_seed(settings.seed)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    fitting = [row for row in rows if length(tokenizer, row) <= settings.max_length_tokens]
    if not fitting:
        raise StageError(
            f'none of "{len(rows)}" rows fits into max_length_tokens "{settings.max_length_tokens}": raise it'
        )
    model = with_adapter(model_folder, settings.rank, settings.alpha, start, settings.quantise)
    if settings.packing != "none":
        refuse_mixing(model, len(tokenizer))
    guard = Guard(partial(no_finite_loss, run))
    trainer = CompletionTrainer(
        model=model,
        args=arguments(settings, run),
        train_dataset=Dataset.from_list(fitting),
        processing_class=tokenizer,
        callbacks=[guard, StepLog(run / "steps.jsonl", guard)],
    )  # fmt: skip
    train_in_float32(model)  # which TRL undoes on a quantised base
    checkpoint = last_whole(run)
    forget_after(run / "steps.jsonl", step_of(checkpoint) if checkpoint else 0)
    with full_disk_told(run):
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        save_adapter(model, run / "adapter", model_folder)
    return {key: float(value) for key, value in result.metrics.items()}


def no_finite_loss(run: Path, step: int, learning_rate: float) -> StageError:
    """Why a run stops whose loss is no number any more."""
    kept = last_whole(run)
    return StageError(
        f'the loss is no finite number in step "{step}" and the two before it; '
        f"{f'the checkpoint {kept} before them is kept' if kept else 'there was no checkpoint before them'}: "
        f"look at the rows, or name another run folder and lower learning_rate from {learning_rate:g}"
    )


def length(tokenizer: PreTrainedTokenizerBase, row: Row) -> int:
    """Tokens of a rendered row."""
    return len(tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=True)["input_ids"])


def arguments(settings: SftSettings, run: Path) -> SFTConfig:
    """TRL's arguments for the settings; nothing is reported to any tracking service."""
    return SFTConfig(
        output_dir=str(run),
        per_device_train_batch_size=settings.batch_rows,
        gradient_accumulation_steps=settings.accumulate,
        packing=settings.packing != "none",
        packing_strategy="bfd",
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup_steps,
        max_grad_norm=1.0,
        weight_decay=0.0,
        max_length=settings.max_length_tokens,
        completion_only_loss=True,
        train_sampling_strategy="group_by_length",
        gradient_checkpointing=False,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,
        save_steps=settings.save_steps,
        save_total_limit=KEPT,
        seed=settings.seed,
        report_to=[],
        dataloader_pin_memory=False,
        disable_tqdm=False,
    )
