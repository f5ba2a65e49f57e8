"""A stage's problems in, those whose grade cannot be trusted as a reward out.

On a drawn sample: the reference must be accepted, and accepted again; what is empty, wrong or cheats must not be. A
problem without a reference is held against the wrong answers alone.
"""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from training.checks.cheats import cheating_answers, wrong_answers
from training.checks.verdicts import Gate
from training.errors import StageError
from training.evaluate.config import Condition, resolve, sandbox_of
from training.evaluate.grade import Grader
from training.evaluate.item import Item
from training.evaluate.load import fingerprint
from training.sandbox import Sandbox
from training.stages.problems import Problems

SAMPLE = 32
SHOWN = 3


@dataclass(frozen=True)
class Fault:
    """An answer of which the grade is not what it must be."""

    problem: str
    answer: str
    reason: str


def grading_gate(problems: Problems) -> Gate:
    """The gate of one source of problems."""
    asked = problems.settings.model_dump(mode="json")
    return Gate(f"grading {problems.name}", [fingerprint(problems.items), asked], lambda: grading(problems))


def grading(problems: Problems, sample: int = SAMPLE, seed: int = 0) -> dict[str, Any]:
    """How many problems and answers were tried; raises StageError naming the problems that grade wrongly."""
    chosen = random.Random(seed).sample(problems.items, min(sample, len(problems.items)))
    resolved = resolve(problems.settings, Condition(label="gate"))
    with Sandbox(sandbox_of(problems.settings)) as sandbox, ThreadPoolExecutor(sandbox.workers) as pool:
        grader = Grader(sandbox, resolved.limits, resolved.extraction)
        faults = [fault for found in pool.map(lambda item: list(faults_of(item, grader)), chosen) for fault in found]
    refuse(problems.name, faults, len(chosen))
    answers = sum(len(wrong_answers(item)) + len(cheating_answers(item)) for item in chosen)
    return {
        "problems": len(chosen),
        "wrong_answers": answers,
        "references": sum(i.reference is not None for i in chosen),
    }


def faults_of(item: Item, grader: Grader) -> Iterator[Fault]:
    """What is wrong with one problem's grades."""
    if item.reference is not None:
        grades = [grader.grade(item, item.reference) for _ in range(2)]
        refused = next((grade for grade in grades if not all(grade.scores.values())), None)
        if refused is not None:
            word = "sometimes" if any(all(grade.scores.values()) for grade in grades) else "always"
            yield Fault(item.id, "reference", f"{word} refused: {refused.status} {refused.detail}".strip()[:200])
    for name, answer in {**wrong_answers(item), **cheating_answers(item)}.items():
        grade = grader.grade(item, answer)
        if grade.passed:
            yield Fault(item.id, name, "accepted")
        elif not grade.counts:
            yield Fault(item.id, name, f"cannot be judged: {grade.detail}"[:200])


def refuse(name: str, faults: Sequence[Fault], tried: int) -> None:
    """Raise StageError where a grade is not what it must be."""
    if not faults:
        return
    shown = "; ".join(f'"{fault.problem}" answer "{fault.answer}" {fault.reason}' for fault in faults[:SHOWN])
    count = len({fault.problem for fault in faults})
    raise StageError(
        f'problems "{name}": {count} of {tried} drawn grade wrongly ({len(faults)} answers): {shown}. Leave them out '
        "with `exclude`, of tasks with `telling: true`, or correct their checks: a reward would be learnt from them"
    )
