"""Executed answers with their log-probabilities in; how probable it is that an answer is right, calibrated, out.

One regression for base's answers and one for the specialist's: the same log-probability means another thing where other
weights wrote it. The queries are split as the gate's are, so that no figure of both together stands on rows that chose
anything: two parts fit (no threshold is chosen here), the third measures.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from index.calibrate import EXECUTED, Example, regression, thirds
from index.calibration import AnswerCalibration, Outcome, Route
from index.confidence import ANSWER_FEATURES, answer_features
from index.errors import CalibrationError
from index.scores import Score, auroc, bootstrapped, ece

# Whose outcomes say that the model's answer passed.
PASSED: Mapping[Route, tuple[Outcome, ...]] = {"base": ("loss", "safe"), "specialist": ("rescue", "safe")}
# Ten answers of the rarer verdict to each coefficient (Peduzzi et al., 1996), and as many as give an interval some use.
FITTED = 10 * len(ANSWER_FEATURES)
MEASURED = 10
NEEDED = 50
SCORES: Mapping[str, Score] = {"auroc": auroc, "ece": ece}


def calibrate_answers(examples: Sequence[Example], route: Route, seed: int) -> AnswerCalibration:
    """Fit and measure one model's confidence, on different thirds; raises CalibrationError on too few answers."""
    fitted, chosen, held = thirds(examples, seed)
    rows, truth = labelled([*fitted, *chosen], route)
    fresh_rows, fresh_truth = labelled(held, route)
    right, wrong = (int((truth == verdict).sum() + (fresh_truth == verdict).sum()) for verdict in (True, False))
    if rarer(truth) < FITTED or rarer(fresh_truth) < MEASURED:
        raise CalibrationError(
            f'"{right}" right and "{wrong}" wrong answers of {route} are too few for a confidence: execute {NEEDED} of '
            "each or more, with log-probabilities"
        )
    found = AnswerCalibration(**regression(rows, truth, ANSWER_FEATURES, seed), right=right, wrong=wrong, metrics={})
    confidence = np.array([found.probability(features) for features in fresh_rows])
    metrics = {name: bootstrapped(score, fresh_truth, confidence, seed) for name, score in SCORES.items()}
    return found.model_copy(update={"metrics": metrics})


def labelled(examples: Sequence[Example], route: Route) -> tuple[list[Mapping[str, float]], np.ndarray]:
    """The features of a model's executed answers, and whether each passed, (n,)."""
    answered = [e for e in examples if e.outcome in EXECUTED and e.logprobs.get(route)]
    passed = np.array([e.outcome in PASSED[route] for e in answered], bool)
    return [answer_features(e.logprobs[route]) for e in answered], passed


def rarer(truth: np.ndarray) -> int:
    """How many answers have the verdict that fewer have."""
    return int(min(truth.sum(), (~truth).sum()))
