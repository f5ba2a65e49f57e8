"""The contract of a benchmark: items with an id, a prompt, a check and a licence.

A check grades an answer by one or more named rules, most of them by a program that the sandbox runs. The reference must
pass it and the empty answer must not (self_check.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from training.sandbox import Program, Verdict

Run = Callable[[Program], Verdict]


@dataclass(frozen=True)
class Grade:
    """One answer's result: `scores` by the name of the rule; `counts` is False where nothing could be said of it."""

    scores: dict[str, bool]
    status: str
    detail: str = ""
    counts: bool = True
    cpu_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether any rule is met."""
        return any(self.scores.values())


class Check(Protocol):
    """How an answer is judged; `extraction` names a rule of extract.py, or is "" for the check's own."""

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the scores, the first of them the one that runs are compared by."""

    def grade(self, answer: str, extraction: str, run: Run) -> Grade:
        """The grade of one answer; `run` judges a program."""


@dataclass(frozen=True)
class Item:
    """One question: `cluster` names items that stand or fall together, `category` those reported together."""

    id: str
    prompt: str
    check: Check
    licence: str
    source: str
    reference: str | None = None
    cluster: str = ""
    category: str = ""


def graded(verdict: Verdict) -> Grade:
    """A verdict as the grade of a check with one rule."""
    return Grade({"passed": verdict.passed}, verdict.status, verdict.detail, verdict.counts, verdict.cpu_s)
