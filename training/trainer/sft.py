"""Rows in, a LoRA adapter out, by TRL's SFTTrainer.

Completion-only negative log-likelihood in bfloat16; batches grouped by length, because on a CPU padding is the largest
avoidable cost.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase, TrainerCallback
from trl import SFTConfig, SFTTrainer

from machine.heap import keep_freed_memory
from training.checks.checkpoints import last_whole
from training.config import SftSettings
from training.rows import Row
from training.trainer.adapters import save_adapter, with_adapter


class StepLog(TrainerCallback):
    """Appends one JSON line a logged step, so that a run can be watched and read afterwards."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Write the trainer's own figures with the step they belong to."""
        with self._path.open("a") as file:
            file.write(json.dumps({"step": state.global_step, **(logs or {})}) + "\n")


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
        first = int((labels != -100).any(0).nonzero()[0])  # a token is predicted at the position before it
        kept = torch.arange(max(first - 1, 0), labels.shape[1] - 1, device=labels.device)
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

    A new adapter, or the one at `start` going on. Continues from the last checkpoint in `run` when an earlier call was
    killed.
    """
    keep_freed_memory()
    torch.manual_seed(settings.seed)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    fitting = [row for row in rows if length(tokenizer, row) <= settings.max_length_tokens]
    model = with_adapter(model_folder, settings.rank, settings.alpha, start)
    trainer = CompletionTrainer(
        model=model,
        args=arguments(settings, run),
        train_dataset=Dataset.from_list(fitting),
        processing_class=tokenizer,
        callbacks=[StepLog(run / "steps.jsonl")],
    )  # fmt: skip
    checkpoint = last_whole(run)
    result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    save_adapter(model, run / "adapter", model_folder)
    return {key: float(value) for key, value in result.metrics.items()}


def length(tokenizer: PreTrainedTokenizerBase, row: Row) -> int:
    """Tokens of a rendered row."""
    return len(tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=True)["input_ids"])


def arguments(settings: SftSettings, run: Path) -> SFTConfig:
    """TRL's arguments for the settings; nothing is reported to any tracking service."""
    return SFTConfig(
        output_dir=str(run),
        per_device_train_batch_size=settings.batch_rows,
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
        save_total_limit=1,
        seed=settings.seed,
        report_to=[],
        dataloader_pin_memory=False,
        disable_tqdm=False,
    )
