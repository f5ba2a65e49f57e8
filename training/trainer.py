"""Rows in, a LoRA adapter out: the one file that imports trl and peft.

Completion-only negative log-likelihood in bfloat16 with TRL's SFTTrainer; batches grouped by length, because on a CPU
padding is the largest avoidable cost. The adapter is kept in float32 while training and saved in bfloat16.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, TrainerCallback
from trl import SFTConfig, SFTTrainer

from index.adapter import base_facts
from training.config import PROJECTIONS, SftSettings
from training.rows import Row


class StepLog(TrainerCallback):
    """Appends one JSON line a logged step, so that a run can be watched and read afterwards."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Write the trainer's own figures with the step they belong to."""
        with self._path.open("a") as file:
            file.write(json.dumps({"step": state.global_step, **(logs or {})}) + "\n")


def train_adapter(model_folder: Path, rows: Sequence[Row], settings: SftSettings, run: Path) -> dict[str, float]:
    """Train on the rows and write `run`/adapter (PEFT files, bfloat16); returns the trainer's closing figures.

    Continues from the last checkpoint in `run` when an earlier call was killed.
    """
    torch.manual_seed(settings.seed)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    fitting = [row for row in rows if length(tokenizer, row) <= settings.max_length_tokens]
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.bfloat16)
    trainer = SFTTrainer(
        model=model,
        args=arguments(settings, run),
        train_dataset=Dataset.from_list(fitting),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, lora_dropout=0.0, target_modules=list(PROJECTIONS),
            task_type="CAUSAL_LM",
        ),
        callbacks=[StepLog(run / "steps.jsonl")],
    )  # fmt: skip
    keep_input_dtype(trainer.model)
    checkpoints = sorted(run.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    result = trainer.train(resume_from_checkpoint=str(checkpoints[-1]) if checkpoints else None)
    trainer.save_model(str(run / "adapter"))
    save_in_bfloat16(run / "adapter")
    name_base(run / "adapter", base_facts(model_folder).id)
    return {key: float(value) for key, value in result.metrics.items()}


def length(tokenizer: PreTrainedTokenizerBase, row: Row) -> int:
    """Tokens of a rendered row."""
    return len(tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=True)["input_ids"])


def keep_input_dtype(model: torch.nn.Module) -> None:
    """Leave activations in bfloat16 on their way into float32 LoRA layers: autocast casts the small matrices instead.

    PEFT casts the large activations by default; measured 3 to 4 times slower on a CPU.
    """
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False


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


def save_in_bfloat16(adapter: Path) -> None:
    """Halve the adapter on disk; serving computes in bfloat16 anyway. Training state and model card are not kept."""
    path = adapter / "adapter_model.safetensors"
    save_file({name: tensor.to(torch.bfloat16).contiguous() for name, tensor in load_file(path).items()}, path)
    for extra in (p for p in adapter.iterdir() if not p.name.startswith("adapter_")):
        extra.unlink()


def name_base(adapter: Path, base: str) -> None:
    """State the base by its id instead of by a folder of this machine."""
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": base}, indent=2) + "\n")
