"""Reward and evaluation of the same answers must say the same."""

from dataclasses import replace

import numpy as np
import pytest

from training.checks.agreement import agreement, check_agreement
from training.errors import StageError
from training.evaluate.benchmarks.catalogue import BENCHMARKS
from training.evaluate.grade import Grader
from training.evaluate.item import Item
from training.sandbox import Limits, Sandbox


def test_the_same_verdicts_agree() -> None:
    """And what one of both could not judge counts nowhere."""
    found = agreement(np.array([1, 0, 1, np.nan]), np.array([1, 0, 1, 1]))
    assert found.holds and found.answers == 3 and found.unknown == 1
    assert found.reward == found.pass_rate == pytest.approx(2 / 3)


def test_one_difference_among_many_is_chance_and_a_bias_is_not() -> None:
    """0.18 as reward where evaluation says 0.34 is another measure; so is a small gap that always points one way."""
    passes = np.array([1.0] * 128 + [0.0] * 128)
    one = passes.copy()
    one[0] = 0
    assert agreement(one, passes).holds
    ten = passes.copy()
    ten[:10] = 0
    assert not agreement(ten, passes).holds
    assert not agreement(np.zeros(256), passes).holds
    swapped = passes.copy()
    swapped[:3], swapped[-3:] = 0, 1
    assert agreement(swapped, passes).holds


def test_nothing_judged_is_refused() -> None:
    with pytest.raises(StageError, match='"0" of 2 answers were judged both'):
        agreement(np.array([np.nan, 1]), np.array([1, np.nan]))


def test_answers_are_judged_by_both_paths(sandbox: Sandbox) -> None:
    """A reward that reads the last block where evaluation reads the defining one is found before the first step."""
    row = {"task_id": 1, "text": "Twice.", "code": "def f(x):\n    return 2 * x\n", "test_list": ["assert f(3) == 6"]}
    item = BENCHMARKS["mbpp"].item('"file" line 1', row)
    grader = Grader(sandbox, Limits(cpu_s=2, memory_mib=2048), "definitions")
    other = Grader(sandbox, Limits(cpu_s=2, memory_mib=2048), "last")
    right = "```python\ndef f(x):\n    return 2 * x\n```\nExample:\n```python\nprint(f(2))\n```"
    answers: list[tuple[Item, str]] = [(replace(item, id=str(n)), right) for n in range(4)]
    same = check_agreement(answers, lambda i, t: float(grader.grade(i, t).passed), grader)
    assert same["reward"] == same["pass_rate"] == 1
    with pytest.raises(StageError, match=r'mean reward is "0.000", the evaluation of the same 4 answers 1.000'):
        check_agreement(answers, lambda i, t: float(other.grade(i, t).passed), grader)
