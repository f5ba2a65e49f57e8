"""An answer and its grade in, what it is worth out: parts by name, and their weighted sum.

A part that cannot be known (the sandbox or the judge failed) leaves the sum unknown: set to 0 it would teach that the
answer was wrong, left out it would be compared with siblings that have it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from training.evaluate.benchmarks.gsm8k import NumberCheck
from training.evaluate.item import Grade, Item
from training.extract import blocks, fences, flexible_number, number, strict_number
from training.grpo.config import RewardSettings

Judge = Callable[[str, str], float | None]

ONE_BLOCK = re.compile(r"```(?:python|py|python3|py3)\n.*\n?```", re.DOTALL)
BOXED = re.compile(r"\\boxed\{\s*\$?\s*(-?[\d.,]+)\s*\}")
STATED = re.compile(r"answer\s*(?:is|:|=)\s*\**\s*\$?\s*(-?\d[\d,]*(?:\.\d+)?)", re.IGNORECASE)
# What a wrong number in a form that states an answer is worth.
FORM_ALONE = 0.2


@dataclass(frozen=True)
class Reward:
    """`total` is None where nothing can be said; `passed` is the check's verdict alone; `status` the sandbox's word."""

    total: float | None
    parts: dict[str, float | None]
    passed: bool | None
    status: str


def reward_of(item: Item, answer: str, grade: Grade, settings: RewardSettings, judge: Judge | None = None) -> Reward:
    """The parts that the settings give a weight, and their sum."""
    parts: dict[str, float | None] = {"correct": correctness(item, answer, grade)}
    weights = {"correct": settings.correct}
    if not isinstance(item.check, NumberCheck):
        parts |= {"format_exact": format_exact(answer), "format_block": format_block(answer)}
        weights |= {"format_exact": settings.format_exact, "format_block": settings.format_block}
    if settings.judge is not None and judge is not None:
        parts["judge"], weights["judge"] = judge(item.prompt, answer), settings.judge.weight
    known = [weights[name] * value for name, value in parts.items() if value is not None]
    passed = None if parts["correct"] is None else parts["correct"] == 1.0
    return Reward(sum(known) if len(known) == len(parts) else None, parts, passed, grade.status)


def correctness(item: Item, answer: str, grade: Grade) -> float | None:
    """1 when the check is met and 0 when not; a wrong number may have a share; None after an infrastructure error."""
    if isinstance(item.check, NumberCheck):
        return number_reward(answer, item.check.gold)
    return float(grade.passed) if grade.counts else None


def format_exact(answer: str) -> float:
    """1 for one fenced Python block and nothing before or after it."""
    text = answer.strip()
    return float(ONE_BLOCK.fullmatch(text) is not None and len(list(fences(text))) == 1)


def format_block(answer: str) -> float:
    """1 for a closed fenced block anywhere."""
    return float(bool(blocks(answer)) and answer.count("```") >= 2)


def number_reward(answer: str, gold: str) -> float:
    """1 for the right number; 0.2 for another one in a form that states an answer; else 0.

    The forms are `#### 42`, `\\boxed{42}` and "the answer is 42"; without any the last number counts.
    """
    stated = stated_number(answer)
    found = stated if stated is not None else flexible_number(answer)
    if found == gold:
        return 1.0
    return FORM_ALONE if stated is not None else 0.0


def stated_number(answer: str) -> str | None:
    """The number that an answer declares as its result, by the strictest form it uses; None without one."""
    if (strict := strict_number(answer)) is not None:
        return strict
    for form in (BOXED, STATED):
        if found := form.findall(answer):
            return number(found[-1])
    return None
