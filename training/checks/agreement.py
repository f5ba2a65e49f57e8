"""The same answers graded as rewards and as an evaluation in, whether the two agree out.

A prompt, an extraction or a time limit that differs between them makes training improve another number than the one
that is reported; it shows before the first step as a gap between the mean reward and the pass rate.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from training.errors import StageError
from training.evaluate.grade import Grader
from training.evaluate.item import Item

LARGEST_GAP = 0.05
STANDARD_ERRORS = 2.0
Reward = Callable[[Item, str], float | None]


@dataclass(frozen=True)
class Agreement:
    """Means over the N answers that both judged, their difference, and its standard error over the answers."""

    reward: float
    pass_rate: float
    difference: float
    standard_error: float
    answers: int
    unknown: int

    @property
    def holds(self) -> bool:
        """Whether the difference is small, and no more than chance among so many answers."""
        return abs(self.difference) <= min(LARGEST_GAP, STANDARD_ERRORS * self.standard_error)


def agreement(rewards_N: np.ndarray, passes_N: np.ndarray) -> Agreement:
    """Two verdicts, 0 to 1, on each of N answers, NaN where one says nothing; raises StageError where none is left."""
    known = ~(np.isnan(rewards_N) | np.isnan(passes_N))
    if not known.any():
        raise StageError(
            f'"0" of {len(known)} answers were judged both as reward and in evaluation: look at their verdicts'
        )
    gaps = rewards_N[known] - passes_N[known]
    error = float(gaps.std(ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else 0.0
    return Agreement(
        float(rewards_N[known].mean()), float(passes_N[known].mean()), float(gaps.mean()), error, len(gaps),
        int((~known).sum()),
    )  # fmt: skip


def check_agreement(answers: Sequence[tuple[Item, str]], reward: Reward, grader: Grader) -> dict[str, Any]:
    """Judge each answer by both, and compare; raises StageError when they disagree.

    `reward` is what training maximises; None where it can say nothing.
    """
    rewards, passes = [], []
    for item, text in answers:
        value, grade = reward(item, text), grader.grade(item, text)
        rewards.append(np.nan if value is None else value)
        passes.append(float(grade.scores[item.check.rules[0]]) if grade.counts else np.nan)
    found = agreement(np.array(rewards, float), np.array(passes, float))
    if not found.holds:
        raise StageError(
            f'the mean reward is "{found.reward:.3f}", the evaluation of the same {found.answers} answers '
            f"{found.pass_rate:.3f} (standard error {found.standard_error:.3f}): make prompt, extraction and limits of "
            "both the same"
        )
    return asdict(found)
