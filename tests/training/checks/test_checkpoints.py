"""Training goes on from the last checkpoint that is whole, and begins only where the disk holds what it will write."""

import json
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.checks.adapter import check_rank
from training.checks.checkpoints import check_checkpoints, check_space, parameters
from training.errors import StageError
from training.trainer.checkpoints import ARCHIVES, STATE, WEIGHTS


def checkpoint(run: Path, step: int) -> Path:
    """A whole one."""
    folder = run / f"checkpoint-{step}"
    folder.mkdir()
    for name in ARCHIVES:
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("data", "x")
    save_file({"a": torch.zeros(1)}, folder / WEIGHTS)
    (folder / STATE).write_text(json.dumps({"global_step": step}))
    return folder


def test_the_last_one_is_gone_on_from(tmp_path: Path) -> None:
    """By steps, not by the alphabet."""
    assert check_checkpoints(tmp_path) == {"goes_on_from": None, "passed_over": []}
    for step in (50, 100):
        checkpoint(tmp_path, step)
    assert check_checkpoints(tmp_path) == {"goes_on_from": "checkpoint-100", "passed_over": []}


def test_an_interrupted_one_is_passed_over(tmp_path: Path) -> None:
    """A kill while one is written leaves the one before."""
    checkpoint(tmp_path, 50)
    (checkpoint(tmp_path, 100) / STATE).unlink()
    assert check_checkpoints(tmp_path) == {"goes_on_from": "checkpoint-50", "passed_over": ["checkpoint-100"]}


def test_where_none_is_whole_that_is_refused(tmp_path: Path) -> None:
    """Beginning anew is the user's to decide."""
    (checkpoint(tmp_path, 50) / "optimizer.pt").unlink()
    with pytest.raises(StageError, match=r'checkpoint-50" was not written to its end: delete it'):
        check_checkpoints(tmp_path)


def test_a_full_disk_is_refused_before_the_first_step(tmp_path: Path) -> None:
    """Half a checkpoint would be written in an hour."""
    shapes = {"model.layers.0.self_attn.q_proj.weight": (8, 4), "model.embed_tokens.weight": (100, 4)}
    assert parameters(shapes, 2) == 2 * 12
    assert check_space(tmp_path, 24)["needed_mib"] >= 64
    with pytest.raises(StageError, match="MiB free, and checkpoints need"):
        check_space(tmp_path, 10**15)


def test_a_rank_that_no_engine_serves_is_refused() -> None:
    assert check_rank(16) == {"rank": 16, "engine_rank": 16}
    with pytest.raises(StageError, match='rank "1024" cannot be served: give at most 512'):
        check_rank(1024)
