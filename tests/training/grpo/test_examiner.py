"""Rewards by execution in the real sandbox, and what a stage makes of its problems."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tests.training.conftest import tasks
from training.errors import StageError
from training.evaluate.benchmarks.doctests import task_item
from training.evaluate.config import BenchmarkSettings
from training.evaluate.item import Grade, Item, Run
from training.grpo.config import RewardSettings
from training.grpo.examiner import Examiner
from training.sandbox import SandboxConfig
from training.stages.grpo import fitting, references
from training.stages.problems import Problems
from training.tasks import LIMITS, Task

__all__ = ["tasks"]


class Broken:
    """A check that fails itself."""

    rules = ("passed",)

    def grade(self, answer: str, extraction: str, run: Run) -> Grade:
        """Raise."""
        raise RuntimeError("no judge")


def problems_of(tasks: list[Task]) -> Problems:
    """Two tasks, and an item whose check is at fault."""
    items = [task_item("here", asdict(task)) for task in tasks[:2]]
    broken = Item("broken", "Add.", Broken(), "MIT", "test")
    sandbox = SandboxConfig(workers=1, preload=["statistics"], limits=LIMITS)
    settings = BenchmarkSettings(benchmark="doctests", name="tasks", path=Path("tasks.jsonl"), sandbox=sandbox)
    return Problems("tasks", [*items, broken], settings)


def test_answers_are_executed(tasks: list[Task]) -> None:
    """The reference is worth its check and its form, a wrong answer its form, a fault of ours nothing known."""
    problems = problems_of(tasks)
    first, _, broken = problems.items
    with Examiner([problems], RewardSettings(format_exact=0.1, format_block=0.05)) as examiner:
        right = examiner.submit(first.id, str(first.reference))
        wrong = examiner.submit(first.id, "```python\nresult = None\n```")
        fault = examiner.submit(broken.id, "```python\nresult = 1\n```")
        assert (right.result().total, right.result().passed) == (pytest.approx(1.15), True)
        assert (wrong.result().total, wrong.result().passed) == (pytest.approx(0.15), False)
        assert (fault.result().total, fault.result().passed) == (None, None)
        assert fault.result().status == "infrastructure_error"


def test_an_item_is_there_once(tasks: list[Task]) -> None:
    """Two sources with the same item are refused."""
    with pytest.raises(StageError, match="twice"):
        Examiner([problems_of(tasks)] * 2, RewardSettings())


@pytest.mark.assets
def test_prompts_that_are_too_long_are_left_out(tasks: list[Task], small_model: Path) -> None:
    """And none at all is refused; references come with an end."""
    tokenizer, problems = AutoTokenizer.from_pretrained(small_model), problems_of(tasks)
    prompts = fitting([problems], tokenizer, 4000)
    assert len(prompts) == 3
    assert list(fitting([problems], tokenizer, len(prompts["broken"]))) == ["broken"]
    with pytest.raises(StageError, match="max_prompt_tokens"):
        fitting([problems], tokenizer, 2)
    texts = references([problems], prompts, tokenizer, 9)
    assert len(texts) == 2 and all(tokens[-1] == tokenizer.eos_token_id for _, tokens in texts)
    without = replace(problems, items=problems.items[2:])
    with pytest.raises(StageError, match="no reference"):
        references([without], prompts, tokenizer, 9)
