"""Training goes on from the last checkpoint that is whole, and begins only where the disk holds what it will write."""

import json
from pathlib import Path

import pytest

from training.checks.adapter import check_rank
from training.checks.checkpoints import FILES, check_checkpoints, check_space, last_whole, parameters
from training.errors import StageError


def checkpoint(run: Path, step: int) -> Path:
    """A whole one."""
    folder = run / f"checkpoint-{step}"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(json.dumps({}) if name.endswith(".json") else "x")
    return folder


def test_the_last_one_is_gone_on_from(tmp_path: Path) -> None:
    """By steps, not by the alphabet."""
    assert last_whole(tmp_path) is None
    checkpoint(tmp_path, 50)
    last = checkpoint(tmp_path, 100)
    assert last_whole(tmp_path) == last


@pytest.mark.parametrize("damage", ["gone", "empty", "cut"])
def test_an_interrupted_one_is_passed_over(tmp_path: Path, damage: str) -> None:
    """A kill while one is written leaves the one before."""
    whole, broken = checkpoint(tmp_path, 50), checkpoint(tmp_path, 100) / "trainer_state.json"
    if damage == "gone":
        broken.unlink()
    else:
        broken.write_text("" if damage == "empty" else '{"step": 1')
    found = check_checkpoints(tmp_path)
    assert last_whole(tmp_path) == whole
    assert found == {"goes_on_from": "checkpoint-50", "passed_over": {"checkpoint-100": ["trainer_state.json"]}}


def test_where_none_is_whole_that_is_refused(tmp_path: Path) -> None:
    """Beginning anew is the user's to decide."""
    (checkpoint(tmp_path, 50) / "optimizer.pt").unlink()
    with pytest.raises(StageError, match=r'checkpoint-50" lacks "optimizer.pt": delete it'):
        last_whole(tmp_path)


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
