from dataclasses import replace
from pathlib import Path

import pytest

from training.benchmarks import Item, held_out_items, humaneval_items
from training.errors import TaskError
from training.evaluate import BenchmarkSettings, self_check
from training.execute import run_each
from training.tasks import Task, write_tasks


def verdicts(item: Item, *answers: str) -> list[bool]:
    """Whether each answer passes the item."""
    return [item.passes(outcome) for outcome in run_each([item.program(answer) for answer in answers], {})]


def test_humaneval_has_its_164_problems_and_grades_answers_in_every_form() -> None:
    """A whole function in a block, one without block, a bare body, a wrong one, none."""
    items = {item.id: item for item in humaneval_items()}
    assert len(items) == 164
    item = items["HumanEval/28"]  # concatenate a list of strings
    function = "from typing import List\ndef concatenate(strings: List[str]) -> str:\n    return ''.join(strings)\n"
    whole = f"Here it is:\n```python\n{function}```"
    bare = "    return ''.join(strings)\n"
    wrong = whole.replace("''.join(strings)", "'x'")
    assert verdicts(item, whole, function, bare, wrong, "") == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_held_out_items_grade_as_their_tasks_do(held_out: list[Task], tmp_path: Path) -> None:
    """Question, cluster and check come from the task; training tasks are no items."""
    path = tmp_path / "tasks.jsonl"
    write_tasks(path, [replace(held_out[0], split="train", id="t"), *held_out])
    items = held_out_items(path)
    assert [item.id for item in items] == [task.id for task in held_out]
    assert (items[0].question, items[0].cluster) == (held_out[0].instruction, held_out[0].name)
    assert verdicts(items[0], items[0].reference, "```python\nresult = None\n```") == [True, False]


def test_a_tasks_file_without_held_out_tasks_is_refused(tasks: list[Task], tmp_path: Path) -> None:
    """A score on training tasks must not be mistaken for one on held-out tasks."""
    write_tasks(tmp_path / "tasks.jsonl", tasks)
    with pytest.raises(TaskError, match="no held-out task"):
        held_out_items(tmp_path / "tasks.jsonl")
    with pytest.raises(TaskError, match="does not exist"):
        held_out_items(tmp_path / "other.jsonl")


def test_a_benchmark_whose_reference_fails_or_whose_empty_answer_passes_is_refused(held_out: list[Task]) -> None:
    """The check is checked before any model is asked."""
    good = next(item for item in humaneval_items() if item.id == "HumanEval/28")
    settings = BenchmarkSettings(name="b")
    self_check([good], settings)
    with pytest.raises(TaskError, match='"HumanEval/28": its reference fails'):
        self_check([replace(good, reference="```python\nx = 1\n```")], settings)
    with pytest.raises(TaskError, match="empty answer passes"):
        self_check([replace(good, passes=lambda outcome: True)], settings)
