"""Evaluation marks an adapter whose stamp lies beside it, and every score of it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from training.checks.contamination import write_stamp
from training.checks.overlap import Hit
from training.config import SftSettings
from training.evaluate.config import OfflineSettings
from training.evaluate.measure import Cell
from training.evaluate.offline import Offline
from training.evaluate.report import marked
from training.evaluate.scores import Score
from training.rows import chat_row
from training.trainer.sft import train_adapter

pytestmark = pytest.mark.assets

HIT = Hit("id", 'problem "1"', "asked 1", "mbpp 1")
SCORE = Score(benchmark="b", condition="c", decoding="greedy", rule="passed", measure="m", rate=None, unknown=0)


@pytest.mark.filterwarnings("ignore")  # the trainer's, which tests/training/test_trainer.py looks at
def test_every_score_of_a_stamped_adapter_says_so(small_model: Path, tmp_path: Path) -> None:
    """The base's do not, and a clean adapter's neither."""
    rows = [chat_row([{"role": "user", "content": "Add one and two."}], "result = 1 + 2")] * 2
    train_adapter(small_model, rows, SftSettings(rank=4, batch_rows=2, max_steps=1), tmp_path)
    settings = OfflineSettings(model=str(small_model), adapters={"mine": tmp_path / "adapter"})
    assert "contaminated" not in Offline(settings).identity("mine")
    write_stamp(tmp_path, [HIT, replace(HIT, kind="text")])
    offline = Offline(settings)
    found = {name: marked(SCORE, cell(offline.identity(name))) for name in ("mine", "base")}
    assert found["mine"].model_dump()["contaminated"] is True
    assert "contaminated" not in found["base"].model_dump()


def cell(identity: dict[str, Any]) -> Cell:
    """A cell that knows who answered, and nothing else."""
    return cast(Cell, SimpleNamespace(answered_by=identity))
