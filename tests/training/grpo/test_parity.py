"""The reward's path and the evaluation's, held against each other on the same answers in the real sandbox."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tests.training.conftest import tasks
from tests.training.grpo.small_run import settings
from tests.training.grpo.test_examiner import problems_of
from training.errors import StageError
from training.evaluate.config import BenchmarkSettings
from training.generation import Sampled, Text, Wanted
from training.grpo.config import RewardSettings
from training.grpo.examiner import Examiner
from training.grpo.parity import parity
from training.stages.problems import Problems
from training.tasks import Task

__all__ = ["tasks"]
pytestmark = pytest.mark.assets


class Scripted:
    """Answers every other request rightly, with a block of something else after the answer."""

    def __init__(self, references: dict[str, str], tokenizer: AutoTokenizer) -> None:
        self._references, self._tokenizer = references, tokenizer

    def sample(self, wanted: Sequence[Wanted]) -> Iterator[Sampled]:
        for number, one in enumerate(wanted):
            right = self._references[one.key.rpartition("/")[0]] if number % 2 else "```python\nresult = None\n```"
            tokens = self._tokenizer(f"{right}\n```python\nprint()\n```")["input_ids"]
            yield Sampled(one.key, tokens, [0.0] * len(tokens), "stop")

    def deliver(self, folder: Path) -> None: ...
    def score(self, texts: Sequence[Text]) -> list[list[float]]:
        return []

    def close(self) -> None: ...


def compared(tasks: list[Task], model: Path, evaluations: Sequence[BenchmarkSettings]) -> dict[str, object]:
    """Both paths on eight answers to two tasks."""
    whole = problems_of(tasks)
    problems = Problems("tasks", whole.items[:2], whole.settings)
    tokenizer = AutoTokenizer.from_pretrained(model)
    sampler = Scripted({item.id: str(item.reference) for item in problems.items}, tokenizer)
    prompts = {item.id: tokenizer(item.prompt)["input_ids"] for item in problems.items}
    with Examiner([problems], RewardSettings()) as examiner:
        return parity(problems, evaluations, prompts, sampler, examiner.submit, tokenizer, settings())


def test_the_same_way_of_grading_agrees(tasks: list[Task], small_model: Path) -> None:
    """Half of the answers pass by both."""
    found = compared(tasks, small_model, [])
    assert (found["reward"], found["pass_rate"], found["answers"]) == (0.5, 0.5, 8)


def test_an_evaluation_that_reads_answers_otherwise_is_refused(tasks: list[Task], small_model: Path) -> None:
    """It takes the last block where the reward takes the first."""
    asked = problems_of(tasks).settings.model_copy(update={"extraction": "last"})
    with pytest.raises(StageError, match=r'mean reward is "0.500", the evaluation of the same 8 answers 0.000'):
        compared(tasks, small_model, [asked])
