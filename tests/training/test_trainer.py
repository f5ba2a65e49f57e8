"""The trainer on a two-layer random model with the tiny model's tokenizer: real TRL and PEFT, seconds."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTTrainer

from training.config import SftSettings
from training.errors import StageError
from training.rows import Row, chat_row
from training.trainer.adapters import with_adapter
from training.trainer.checkpoints import last_whole
from training.trainer.packing import refuse_mixing
from training.trainer.sft import CompletionTrainer, arguments, length, train_adapter

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


def poisoned(model: Path, folder: Path, word: str) -> Path:
    """A copy of a model that has no number for a word."""
    shutil.copytree(model, folder)
    tokens = AutoTokenizer.from_pretrained(model)(f" {word}")["input_ids"]
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][tokens] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_a_step_without_a_finite_loss_is_left_out_and_told(small_model: Path, tmp_path: Path) -> None:
    """One bad row must not spoil the adapter."""
    model = poisoned(small_model, tmp_path / "model", "seven")
    bad = chat_row([{"role": "user", "content": "Add seven and two."}], "result = 1 + 2")
    train_adapter(model, [bad, *rows(7)], settings(epochs=1), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert sum("skipped" in line for line in lines) == 1 and len(losses(tmp_path)) == 3
    assert all(tensor.isfinite().all() for tensor in load_file(tmp_path / "adapter/adapter_model.safetensors").values())


def test_the_third_step_in_a_row_without_a_finite_loss_stops_the_run(small_model: Path, tmp_path: Path) -> None:
    """The checkpoint from before is kept, and none is written after it."""
    train_adapter(small_model, rows(16), settings(max_steps=2, save_steps=1), tmp_path)
    model = poisoned(small_model, tmp_path / "model", "one")
    with pytest.raises(StageError, match=r'in step "5" and the two before it; the checkpoint .*checkpoint-2 before'):
        train_adapter(model, rows(16), settings(max_steps=8, save_steps=1), tmp_path)
    assert last_whole(tmp_path) == tmp_path / "checkpoint-2"


def test_an_interrupted_checkpoint_is_passed_over(small_model: Path, tmp_path: Path) -> None:
    """Two are kept; the steps after the one that is gone on from are not in the log twice."""
    train_adapter(small_model, rows(16), settings(max_steps=4, save_steps=2), tmp_path)
    (tmp_path / "checkpoint-4" / "trainer_state.json").unlink()
    assert last_whole(tmp_path) == tmp_path / "checkpoint-2"
    train_adapter(small_model, rows(16), settings(max_steps=4, save_steps=2), tmp_path)
    steps = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if "loss" in line] == [1, 2, 3, 4]
    for name in ("adapter_model.safetensors", "optimizer.pt"):
        content = (tmp_path / "checkpoint-4" / name).read_bytes()
        (tmp_path / "checkpoint-4" / name).write_bytes(content[: len(content) // 2])
        assert last_whole(tmp_path) == tmp_path / "checkpoint-2"
        (tmp_path / "checkpoint-4" / name).write_bytes(content)
    assert last_whole(tmp_path) == tmp_path / "checkpoint-4"


@pytest.mark.parametrize("name", ["optimizer.pt", "trainer_state.json"])
def test_a_full_disk_is_told_and_the_checkpoint_before_is_kept(small_model: Path, tmp_path: Path, name: str) -> None:
    """/dev/full stands for the disk: every write to it fails as on a full one."""
    (tmp_path / "checkpoint-2").mkdir()
    (tmp_path / "checkpoint-2" / name).symlink_to("/dev/full")
    with pytest.raises(StageError, match=r"is full, .*: make room for 3 checkpoints; .* goes on from checkpoint-1"):
        train_adapter(small_model, rows(16), settings(max_steps=4, save_steps=1), tmp_path)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-1"]


def test_accumulated_batches_are_one_step_of_all_their_rows(small_model: Path, tmp_path: Path) -> None:
    """Two batches of two and one of four give the same losses."""
    train_adapter(small_model, rows(8), settings(epochs=1, batch_rows=2, accumulate=2), tmp_path / "two")
    train_adapter(small_model, rows(8), settings(epochs=1, batch_rows=4), tmp_path / "four")
    assert len(losses(tmp_path / "two")) == 2
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "four"), abs=2e-3)


def test_packed_rows_are_fewer_and_give_the_same_loss(small_model: Path, tmp_path: Path) -> None:
    """Completion-only, as without packing."""
    tokenizer, row = AutoTokenizer.from_pretrained(small_model), rows(1)[0]
    pair = 2 * length(tokenizer, row)
    pack = settings(epochs=1, batch_rows=1, packing="bfd", max_length_tokens=pair)
    train_adapter(small_model, rows(8), pack, tmp_path / "packed")
    train_adapter(small_model, rows(8), settings(epochs=1, batch_rows=2), tmp_path / "padded")
    assert len(losses(tmp_path / "packed")) == 4
    assert losses(tmp_path / "packed") == pytest.approx(losses(tmp_path / "padded"), abs=2e-2)


class Reader(torch.nn.Module):
    """A model that takes no notice of positions."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, **ignored: object) -> object:
        return self.model(input_ids=input_ids, use_cache=False)


def test_rows_in_a_pack_do_not_read_each_other_or_packing_is_refused(small_model: Path) -> None:
    """Without flash attention too: the mask follows the positions, where the model lets it."""
    model = AutoModelForCausalLM.from_pretrained(small_model, dtype=torch.bfloat16)
    refuse_mixing(model, model.config.vocab_size)
    with pytest.raises(StageError, match=r'rows read each other in "Reader".*give packing "none"'):
        refuse_mixing(Reader(model), model.config.vocab_size)


def test_a_packing_that_cuts_rows_is_refused_with_the_reason() -> None:
    with pytest.raises(ValidationError, match=r'cuts rows in two.*give "bfd" or "none"'):
        SftSettings(packing="wrapped")  # type: ignore[arg-type]


def test_settings_that_came_later_are_not_in_the_config_of_runs_that_do_without() -> None:
    """Else a run from before could not go on."""
    later = {"accumulate", "packing", "quantise"}
    assert not later & set(SftSettings().model_dump())
    assert later <= set(SftSettings(accumulate=2, packing="bfd", quantise="nf4").model_dump())


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_four_bits_without_their_package_are_refused_with_the_cure(small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r'quantise "nf4" needs the package "bitsandbytes".*pip install'):
        train_adapter(small_model, rows(2), settings(quantise="nf4"), tmp_path)


def test_rows_that_are_all_too_long_are_refused(small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r'none of "2" rows fits into max_length_tokens "16": raise it'):
        train_adapter(small_model, rows(2), settings(max_length_tokens=16), tmp_path)
