"""What `pointsman gate calibrate` says of confidence in answers."""

import pytest

from index.calibrate import Example
from index.calibration import Calibration
from tests.index.test_answers import executed
from tests.index.test_calibrate import fitted
from training.gate.calibrate import answer_calibrations, show


def test_both_models_are_calibrated_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """With AUROC and ECE of each; what was written is what is read."""
    answers = answer_calibrations(executed(60), 0)
    assert set(answers) == {"base", "specialist"}
    whole = fitted().model_copy(update={"answers": answers})
    assert Calibration.model_validate_json(whole.model_dump_json()) == whole
    show(whole)
    shown = capsys.readouterr().out
    assert all(f"{route}, {name}" in shown for route in answers for name in ("auroc", "ece"))


def test_what_is_left_out_is_said_with_what_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    """Here the specialist's log-probabilities were kept of a few answers only."""
    rows = executed(60)
    some = [Example(e.query, {}, e.outcome, logprobs={"base": e.logprobs["base"]}) for e in rows[10:]] + rows[:10]
    assert set(answer_calibrations(some, 0)) == {"base"}
    said = capsys.readouterr().out
    assert '"230" executed answers of specialist are empty or without log-probabilities' in said
    assert 'no confidence: "10" right and "0" wrong answers of specialist are too few' in said
    assert "execute 50 of each or more" in said
    assert "answers of base" not in said


def test_where_nothing_was_executed_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle calibrated on domains alone states no confidence."""
    assert answer_calibrations([Example("far", {}, "far")], 0) == {}
    assert capsys.readouterr().out == ""
