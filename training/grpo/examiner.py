"""Answers in, rewards out: checked in the sandbox's threads while others are still being generated."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self

from training.errors import StageError
from training.evaluate.config import Condition, resolve, sandbox_of
from training.evaluate.grade import Grader
from training.evaluate.item import Grade, Item
from training.grpo.config import RewardSettings
from training.grpo.rewards import Judge, Reward, reward_of
from training.sandbox import Sandbox
from training.stages.problems import Problems


class Examiner:
    """Use as a context manager. Raises StageError when two sources of problems have an item of the same id."""

    def __init__(self, problems: Sequence[Problems], settings: RewardSettings, judge: Judge | None = None) -> None:
        self._problems, self._settings, self._judge = problems, settings, judge
        self._graders: dict[str, Grader] = {}
        self._items: dict[str, Item] = {}
        for item in (item for one in problems for item in one.items):
            if item.id in self._items:
                raise StageError(f'item "{item.id}" is there twice among the problems: name each source once')
            self._items[item.id] = item
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        workers = 1
        with ExitStack() as stack:
            for one in self._problems:
                sandbox = stack.enter_context(Sandbox(sandbox_of(one.settings)))
                workers = max(workers, sandbox.workers)
                resolved = resolve(one.settings, Condition(label=one.name))
                grader = Grader(sandbox, resolved.limits, resolved.extraction)
                self._graders |= dict.fromkeys((item.id for item in one.items), grader)
            self._pool = stack.enter_context(ThreadPoolExecutor(workers))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def submit(self, item: str, answer: str) -> "Future[Reward]":
        """The reward of an answer, when it is ready."""
        return self._pool.submit(self._reward, self._items[item], answer)

    def _reward(self, item: Item, answer: str) -> Reward:
        return reward_of(item, answer, self._grade(item, answer), self._settings, self._judge)

    def _grade(self, item: Item, answer: str) -> Grade:
        try:
            return self._graders[item.id].grade(item, answer)
        except Exception as error:  # a mistake of ours: the answer's worth is unknown, and the run goes on
            detail = f"{type(error).__name__}: {error}"[:300]
            return Grade(dict.fromkeys(item.check.rules, False), "infrastructure_error", detail, counts=False)
