"""The trainer on a two-layer random model with the tiny model's tokenizer: real TRL and PEFT, seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from safetensors import safe_open
from transformers import AutoTokenizer
from trl import SFTTrainer

from training.config import SftSettings
from training.errors import StageError
from training.rows import Row, chat_row
from training.trainer.adapters import with_adapter
from training.trainer.sft import CompletionTrainer, arguments, train_adapter

pytestmark = pytest.mark.assets

# bfloat16 products differ between processors in the third digit.
STORED_LOSSES = (10.82, 10.73, 10.65)


def rows(count: int) -> list[Row]:
    """The same question and answer, `count` times."""
    return [chat_row([{"role": "user", "content": "Add one and two."}], "result = 1 + 2")] * count


def losses(run: Path) -> list[float]:
    """The logged loss of each step."""
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def settings(**changes: object) -> SftSettings:
    """Small and fast."""
    return SftSettings(**{"rank": 4, "alpha": 8, "batch_rows": 2, "warmup_steps": 0, "learning_rate": 5e-3} | changes)


def test_the_first_losses_are_the_stored_ones(small_model: Path, tmp_path: Path) -> None:
    """Template, masking, adapter and optimiser together: any change in them moves these values."""
    train_adapter(small_model, rows(8), settings(max_steps=3), tmp_path)
    assert losses(tmp_path)[:3] == pytest.approx(STORED_LOSSES, abs=0.05)


def test_the_smallest_task_is_learnt_and_the_adapter_is_saved_small(small_model: Path, tmp_path: Path) -> None:
    """The loss of one repeated answer falls; PEFT files only, in bfloat16, of the rank asked for."""
    train_adapter(small_model, rows(64), settings(max_steps=30, learning_rate=2e-2), tmp_path)
    found = losses(tmp_path)
    assert found[-1] < found[0] - 0.8
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    with safe_open(tmp_path / "adapter" / "adapter_model.safetensors", "pt") as tensors:
        found_types = {tensors.get_tensor(name).dtype for name in tensors.keys()}  # noqa: SIM118 - a safe_open handle is no mapping
        assert found_types == {torch.bfloat16}
        assert len(tensors.keys()) == 2 * 7 * 2


def test_a_killed_run_goes_on_from_its_checkpoint(small_model: Path, tmp_path: Path) -> None:
    """Finished steps are not repeated."""
    train_adapter(small_model, rows(16), settings(max_steps=2, save_steps=2), tmp_path)
    train_adapter(small_model, rows(16), settings(max_steps=4, save_steps=2), tmp_path)
    steps = [
        json.loads(line)["step"] for line in (tmp_path / "steps.jsonl").read_text().splitlines() if '"loss"' in line
    ]
    assert steps == [1, 2, 3, 4]


def test_logits_at_the_answers_alone_give_the_loss_and_the_gradients_of_all(small_model: Path, tmp_path: Path) -> None:
    """Rows of several lengths in one padded batch, against TRL's own loss."""
    many = [chat_row([{"role": "user", "content": "word " * n}], f"result = {n} + {n}") for n in (1, 40, 9, 25)]
    found = {}
    for kind in (SFTTrainer, CompletionTrainer):
        torch.manual_seed(0)
        trainer = kind(
            model=with_adapter(small_model, 4, 8), args=arguments(settings(batch_rows=4, max_steps=2), tmp_path),
            train_dataset=Dataset.from_list(many), processing_class=AutoTokenizer.from_pretrained(small_model),
        )  # fmt: skip
        trainer.train()
        found[kind] = [(log["loss"], log["grad_norm"]) for log in trainer.state.log_history if "loss" in log]
    for mine, theirs in zip(found[CompletionTrainer], found[SFTTrainer], strict=True):
        assert mine == pytest.approx(theirs, rel=0.01)


def test_nobody_is_told_of_a_training() -> None:
    """As a program that only imports what trains, whatever stood in its environment."""
    program = "import training.trainer, huggingface_hub.constants as c; print(c.HF_HUB_DISABLE_TELEMETRY)"
    environment = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_rows_beyond_the_length_are_left_out(small_model: Path, tmp_path: Path) -> None:
    """A cut answer would teach to stop in the middle."""
    long = chat_row([{"role": "user", "content": "word " * 400}], "result = 0")
    metrics = train_adapter(small_model, [*rows(4), *[long] * 4], settings(epochs=1, max_length_tokens=128), tmp_path)
    assert metrics["epoch"] == 1
    assert len(losses(tmp_path)) == 2


def test_an_interrupted_checkpoint_is_not_gone_on_from(small_model: Path, tmp_path: Path) -> None:
    """What a kill left half written would begin from other numbers."""
    train_adapter(small_model, rows(16), settings(max_steps=2, save_steps=2), tmp_path)
    (tmp_path / "checkpoint-2" / "optimizer.pt").write_bytes(b"")
    with pytest.raises(StageError, match=r'checkpoint-2" lacks "optimizer.pt": delete it'):
        train_adapter(small_model, rows(16), settings(max_steps=4, save_steps=2), tmp_path)
