"""References pass, cheats do not, and problems for which that is not so are named: in the real sandbox."""

from dataclasses import asdict, replace

import pytest

from training.checks.cheats import cheating_answers, wrong_answers
from training.checks.grading import grading
from training.errors import StageError
from training.evaluate.benchmarks.catalogue import BENCHMARKS
from training.evaluate.benchmarks.doctests import task_item
from training.evaluate.config import BenchmarkSettings
from training.evaluate.item import Item
from training.sandbox import Limits, SandboxConfig
from training.stages.problems import Problems
from training.tasks import Task

SANDBOX = SandboxConfig(workers=2, preload=["statistics"], limits=Limits(cpu_s=2, wall_s=20))


def problems(benchmark: str, *items: Item) -> Problems:
    """Items as a stage loads them."""
    return Problems("some", list(items), BenchmarkSettings(benchmark=benchmark, path="none", sandbox=SANDBOX))


def function(test: str) -> Item:
    """A problem that asks for a function."""
    row = {"task_id": 1, "text": "Twice.", "code": "def twice(x):\n    return 2 * x\n", "test_list": [test]}
    return BENCHMARKS["mbpp"].item('"file" line 1', row)


@pytest.fixture(scope="module")
def telling(tasks: list[Task]) -> Task:
    """A task of two different outcomes."""
    task = next(task for task in tasks if "mean" in task.id and task.expected.startswith("value:"))
    setup = "from statistics import *\ndata = [1, 2, 6]\n"
    return replace(
        task, setup=setup, setup_second=setup.replace("6", "9"), reference="result = mean(data)\n",
        expected="value:3", expected_second="value:4",
    )  # fmt: skip


def test_sound_problems_pass(telling: Task) -> None:
    """Every wrong answer and every cheat is refused, the references are not."""
    items = [function("assert twice(3) == 6")]
    found = grading(problems("mbpp", *items))
    assert found["problems"] == found["references"] == 1
    assert found["wrong_answers"] == len(wrong_answers(items[0])) + len(cheating_answers(items[0])) >= 12
    grading(problems("doctests", task_item("x", asdict(telling))))


def test_a_check_that_accepts_anything_is_refused() -> None:
    """It names the problem, an answer that passed, and the cure."""
    with pytest.raises(
        StageError, match=r'"some": 1 of 1 drawn grade wrongly .*"1" answer "constant" accepted.*exclud'
    ):
        grading(problems("mbpp", function("assert twice(3) in (6, None)")))


def test_a_reference_that_fails_is_refused() -> None:
    """A problem nobody can solve gives no signal."""
    with pytest.raises(StageError, match=r'answer "reference" always refused: failed'):
        grading(problems("mbpp", function("assert twice(3) == 7")))


def test_a_reference_that_passes_by_chance_is_refused() -> None:
    """Its verdict is another one the next time."""
    item = function("assert twice(3) > 0.5")
    item = replace(item, reference="```python\nimport random\ndef twice(x):\n    return random.random()\n```")
    with pytest.raises(StageError, match="refused"):
        grading(problems("mbpp", *[replace(item, id=str(n)) for n in range(8)]))


def test_a_task_that_the_typed_in_display_solves_is_refused(telling: Task) -> None:
    """Where both inputs display the same, a reward would teach to copy the question."""
    task = replace(telling, setup_second="", expected_second="value:3")
    with pytest.raises(StageError, match=r'answer "types in the display" accepted.*telling: true'):
        grading(problems("doctests", task_item("x", asdict(task))))
