"""What the gate is compared with: rules that see less, and the two that nobody can beat or be worse than.

Each gives a score by which queries are accepted. Those with a threshold get it from the same part, by the same risks.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from index.calibrate import POPULATION, Example, judged, risk_threshold
from index.calibration import Calibration, Event
from index.errors import CalibrationError

Score = Callable[[Example], float]
GATE = "gate"


@dataclass(frozen=True)
class Policy:
    """A name, a score, and the threshold from which the specialist answers."""

    name: str
    score: Score
    threshold: float

    def scores(self, examples: Sequence[Example]) -> np.ndarray:
        """The scores of examples, (n,)."""
        return np.array([self.score(example) for example in examples])

    def accepts(self, examples: Sequence[Example]) -> np.ndarray:
        """Whom the specialist answers, (n,)."""
        return self.scores(examples) >= self.threshold


def policies(
    calibration: Calibration, chosen: Sequence[Example], risks: Mapping[Event, float], delta: float
) -> list[Policy]:
    """The gate first, then what it is compared with."""
    gate = Policy(GATE, lambda e: judged(calibration, e), calibration.threshold)
    rate = float(gate.accepts(chosen).mean())
    return [
        gate,
        *(bounded(name, by_feature(key), chosen, risks, delta) for name, key in ALONE.items()),
        Policy("random, as often", chance, 1 - rate),
        Policy("always base", lambda e: 0.0, 1.0),
        Policy("always specialist", lambda e: 1.0, 0.5),
        Policy("oracle", lambda e: float(e.outcome in ("in", "rescue")), 0.5),
    ]


ALONE = {"cosine alone": "top", "kNN on cosine": "mean", "BM25 alone": "lexical"}


def by_feature(key: str) -> Score:
    """One feature as the score."""
    return lambda example: example.features[key]


def chance(example: Example) -> float:
    """A number between 0 and 1 that the query alone decides."""
    return int.from_bytes(hashlib.sha256(example.query.encode()).digest()[:8], "big") / 2**64


def bounded(name: str, score: Score, chosen: Sequence[Example], risks: Mapping[Event, float], delta: float) -> Policy:
    """A policy under the same risks; one that cannot meet them accepts nobody."""
    thresholds = []
    for event, alpha in risks.items():
        population, bad = POPULATION[event]
        values = [score(e) if e.outcome in bad else -np.inf for e in chosen if e.outcome in population]
        try:
            thresholds.append(unbounded_threshold(np.array(values), alpha, delta / len(risks)))
        except CalibrationError:
            thresholds.append(np.inf)
    return Policy(name, score, max(thresholds))


def unbounded_threshold(values: np.ndarray, alpha: float, delta: float) -> float:
    """The promised threshold of scores that are no probabilities: found on their ranks."""
    levels, ranks = np.unique(values, return_inverse=True)
    squeezed = (ranks + 1) / (len(levels) + 2)
    threshold = risk_threshold(squeezed, alpha, delta)
    above = squeezed[squeezed >= threshold]
    return float(values[squeezed >= threshold].min()) if len(above) else float(np.nextafter(values.max(), np.inf))
