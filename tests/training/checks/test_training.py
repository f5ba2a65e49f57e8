"""All gates of a stage together, on a two-layer model: refused, allowed and stamped, and the stamp goes on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from training.checks.contamination import copy_stamp, read_stamp, stamp_result, worded
from training.checks.training import Training, check_training
from training.config import SftSettings
from training.errors import StageError
from training.evaluate.config import BenchmarkSettings
from training.rows import chat_row

pytestmark = pytest.mark.assets

QUESTION = "Write a function that doubles each of the numbers in a list, keeps their order, and returns them as a list."
ROW = {
    "task_id": 1, "text": QUESTION, "code": "def f(a):\n    return [2 * x for x in a]\n",
    "test_list": ["assert f([3]) == [6]"],
}  # fmt: skip


@pytest.fixture
def evaluation(tmp_path: Path) -> BenchmarkSettings:
    """A set of one item."""
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps(ROW) + "\n")
    return BenchmarkSettings(benchmark="mbpp", name="asked", path=path, split="all")


def training(model: Path, run: Path, *questions: str, evaluations: tuple[BenchmarkSettings, ...] = ()) -> Training:
    """A stage that is about to train on these questions."""
    run.mkdir(exist_ok=True)
    rows = [chat_row([{"role": "user", "content": question}], "result = 1") for question in questions]
    return Training(run, model, rows, [], SftSettings(rank=4), evaluations)


def test_a_sound_stage_passes_every_gate(small_model: Path, tmp_path: Path, evaluation: BenchmarkSettings) -> None:
    """And writes down what was asked of it."""
    check_training(training(small_model, tmp_path / "run", "Add one and two.", evaluations=(evaluation,)))
    verdicts = json.loads((tmp_path / "run/gates.json").read_text())
    names = ["rows", "rank", "checkpoints", "space", "template", "lengths", "endings", "overlap"]
    assert list(verdicts) == names and all(verdict["passed"] for verdict in verdicts.values())
    assert verdicts["overlap"]["figures"] == {"evaluation_items": {"asked": 1}, "texts": 1, "seen": 0}


def test_every_refusal_is_told_at_once(small_model: Path, tmp_path: Path, evaluation: BenchmarkSettings) -> None:
    """A rank too high and an item that has been seen."""
    asked = training(small_model, tmp_path / "run", f"Please: {QUESTION}", evaluations=(evaluation,))
    with pytest.raises(StageError, match=r'(?s)gate rank: rank "1024".*gate overlap: training has seen 1 evaluation'):
        check_training(replace(asked, sft=SftSettings(rank=1024)))
    assert json.loads((tmp_path / "run/overlap.json").read_text())[0]["item"] == "asked 1"
    assert read_stamp(tmp_path / "run") is None


def test_what_is_allowed_is_stamped_and_the_stamp_goes_on(
    small_model: Path, tmp_path: Path, evaluation: BenchmarkSettings
) -> None:
    """Result, bundle, and every stage that goes on from that adapter."""
    run = tmp_path / "run"
    allowed = replace(training(small_model, run, QUESTION, evaluations=(evaluation,)), allow_contaminated=True)
    check_training(allowed)
    (run / "result.json").write_text('{"train_loss": 0.5}\n')
    stamp_result(run)
    result = json.loads((run / "result.json").read_text())
    assert result["train_loss"] == 0.5 and result["contamination"] == worded(run)
    assert worded(run) == 'CONTAMINATED: trained on 1 evaluation items, such as "asked 1"'
    (tmp_path / "bundle").mkdir()
    copy_stamp(run, tmp_path / "bundle")
    assert read_stamp(tmp_path / "bundle") == read_stamp(run)
    later = replace(training(small_model, tmp_path / "later", "Add."), start=run)
    with pytest.raises(StageError, match="gate overlap: training has seen 1 evaluation items"):
        check_training(later)


def test_a_clean_second_try_takes_the_stamp_away(
    small_model: Path, tmp_path: Path, evaluation: BenchmarkSettings
) -> None:
    """The rows were made again without what is asked."""
    run = tmp_path / "run"
    seen = training(small_model, run, QUESTION, evaluations=(evaluation,))
    check_training(replace(seen, allow_contaminated=True))
    check_training(training(small_model, run, "Add one and two.", evaluations=(evaluation,)))
    assert read_stamp(run) is None and worded(run) == ""
