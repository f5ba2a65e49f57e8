"""Labelled feature rows in; a calibrated probability and a threshold with a stated risk out.

The rows are split in three, each label and stratum evenly: on the first part a logistic regression on standardised
features is fitted, on the second the threshold is chosen, on the third everything is measured, so that no figure stands
on rows that chose anything. The threshold is the smallest one for which the share of negatives above it stays at or
below alpha with probability 1 - delta. For the k-th largest of n negative scores that share is Beta(k, n - k + 1)
distributed whatever the scores are, the inversion of Clopper and Pearson (1934). It holds for queries like the
negatives it was chosen on.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator
from scipy.stats import beta, binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score

from index.config import Settings, explained
from index.errors import BundleError, CalibrationError
from index.features import FEATURES

RESAMPLES = 1000
STRENGTHS = (0.1, 0.3, 1, 3, 10, 30)
Score = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Example:
    """A query's features with its label: True where the specialist should be trusted.

    `stratum` names queries of one source, which should stand in every part of a split alike; `group` names queries
    that stand in one part together because they nearly say the same (by default only equal ones).
    """

    query: str
    features: Mapping[str, float]
    label: bool
    stratum: str = ""
    group: str = ""

    @property
    def unit(self) -> str:
        """What a split may not take apart."""
        return self.group or self.query


class Measured(Settings):
    """A rate or score with its 95 % interval and the number of rows behind it."""

    model_config = ConfigDict(allow_inf_nan=False)

    value: float
    low: float
    high: float
    rows: int


class Calibration(Settings):
    """calibration.json: from features to a probability, and the threshold it is compared with."""

    model_config = ConfigDict(allow_inf_nan=False)

    probability_of: str = Field(description="The event whose probability is stated, in words.")
    labels: str = Field(
        description='Where labels come from: "domain" (whose docs) or "execution" (which answer passed).'
    )
    features: tuple[str, ...] = Field(min_length=1)
    mean: tuple[float, ...]
    scale: tuple[Annotated[float, Field(gt=0)], ...]
    coefficients: tuple[float, ...]
    intercept: float
    threshold: float = Field(gt=0, lt=1)
    alpha: float
    delta: float
    set_hash: str = Field(description="SHA-256 of the labelled queries.")
    positives: int
    negatives: int
    metrics: dict[str, Measured]
    false_accept_by_source: dict[str, Measured] = Field(
        default={}, description="Share of each source of out-of-domain queries above the threshold, on the held third."
    )

    @model_validator(mode="after")
    def every_feature_is_computed_and_has_its_numbers(self) -> Self:
        """What does not fit would fail on every query, where the gate turns a failure into base."""
        for name in self.features:
            if name not in FEATURES:
                raise ValueError(f'feature "{name}" is not computed: the features are {", ".join(FEATURES)}')
        for key, values in (("mean", self.mean), ("scale", self.scale), ("coefficients", self.coefficients)):
            if len(values) != len(self.features):
                raise ValueError(f'key "{key}" holds "{len(values)}" numbers: give one to each of features')
        return self

    def probability(self, features: Mapping[str, float]) -> float:
        """The calibrated probability of one query's features."""
        rows = zip(self.features, self.mean, self.scale, self.coefficients, strict=True)
        logit = self.intercept + sum(c * (features[name] - mean) / scale for name, mean, scale, c in rows)
        return 1 / (1 + exp(-max(min(logit, 30.0), -30.0)))


def read_calibration(path: Path) -> Calibration:
    """Read calibration.json; raises BundleError naming the file."""
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else explained(error, Calibration)
        raise BundleError(f'calibration "{path}" cannot be read ({why}): calibrate the bundle again') from error


def negatives_needed(alpha: float, delta: float) -> int:
    """The fewest negatives from which any threshold can be promised: (1 - alpha)^n <= delta."""
    return int(np.ceil(np.log(delta) / np.log1p(-alpha)))


def risk_threshold(scores: np.ndarray, alpha: float, delta: float) -> float:
    """The smallest promised threshold for negatives' scores (n,); raises CalibrationError when n is too small."""
    n = len(scores)
    allowed = [k for k in range(1, n + 1) if beta.cdf(alpha, k, n - k + 1) >= 1 - delta]
    if not allowed:
        raise CalibrationError(
            f'"{n}" negatives cannot promise a rate of {alpha:g} at delta {delta:g}: '
            f"give {negatives_needed(alpha, delta)}"
        )
    kth = np.sort(scores)[::-1][allowed[-1] - 1]
    return float(np.clip(np.nextafter(kth, 1.0), 1e-6, 1 - 1e-6))


def proportion(hits: np.ndarray) -> Measured:
    """A share with its Clopper-Pearson interval."""
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, "exact")
    return Measured(value=float(hits.mean()), low=interval.low, high=interval.high, rows=len(hits))


def bootstrapped(score: Score, labels: np.ndarray, probabilities: np.ndarray, seed: int) -> Measured:
    """A score of (labels, probabilities) with its percentile bootstrap interval, resampled within each label."""
    rng = np.random.default_rng(seed)
    sides = [np.flatnonzero(labels == side) for side in (False, True)]
    draws = (np.concatenate([rng.choice(side, len(side)) for side in sides]) for _ in range(RESAMPLES))
    values = [score(labels[rows], probabilities[rows]) for rows in draws]
    low, high = np.percentile(values, [2.5, 97.5])
    return Measured(value=float(score(labels, probabilities)), low=low, high=high, rows=len(labels))


def thirds(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example], list[Example]]:
    """Three parts that hold every label and stratum alike, drawn by a hash; a group is never taken apart.

    Strata matter: among a few hundred negatives the hard ones are a handful, and a plain draw that puts most of them
    into one part gives a threshold that is wrong for the others.
    """
    digests = {e.unit: hashlib.sha256(f"{seed}:{e.unit}".encode()).digest() for e in examples}
    ordered = sorted(examples, key=lambda e: (e.label, e.stratum, digests[e.unit]))
    part = {unit: number % 3 for number, unit in enumerate(dict.fromkeys(e.unit for e in ordered))}
    fitted, chosen, held = ([e for e in examples if part[e.unit] == number] for number in range(3))
    return fitted, chosen, held


def fit_logistic(rows: np.ndarray, labels: np.ndarray, seed: int) -> LogisticRegression:
    """A logistic regression of (n, d) rows, regularised as cross-validated log loss asks for."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)

    def score(strength: float) -> float:
        model = LogisticRegression(C=strength)
        return float(cross_val_score(model, rows, labels, cv=folds, scoring="neg_log_loss").mean())

    return LogisticRegression(C=max(STRENGTHS, key=score)).fit(rows, labels)


def calibrate(
    examples: Sequence[Example], features: Sequence[str], *, alpha: float, delta: float, labels: str,
    probability_of: str, seed: int = 0,
) -> Calibration:  # fmt: skip
    """Fit, choose the threshold and measure, each on its own third; raises CalibrationError on too few labels."""
    fitted, chosen, held = thirds(examples, seed)
    if any(len({e.label for e in part}) < 2 for part in (fitted, chosen, held)):
        raise CalibrationError(f'"{len(examples)}" labelled queries do not hold both labels in each third: give more')
    matrix = np.array([[e.features[name] for name in features] for e in fitted])
    mean, scale = matrix.mean(0), np.maximum(matrix.std(0), 1e-9)
    model = fit_logistic((matrix - mean) / scale, np.array([e.label for e in fitted]), seed)
    calibration = Calibration(
        probability_of=probability_of, labels=labels, features=tuple(features), mean=tuple(mean), scale=tuple(scale),
        coefficients=tuple(model.coef_[0]), intercept=float(model.intercept_[0]), threshold=0.5, alpha=alpha,
        delta=delta, set_hash=set_hash(examples), positives=sum(e.label for e in examples),
        negatives=sum(not e.label for e in examples), metrics={},
    )  # fmt: skip
    truth = np.array([e.label for e in held])
    probabilities = np.array([calibration.probability(e.features) for e in held])
    negatives = np.array([calibration.probability(e.features) for e in chosen if not e.label])
    threshold = risk_threshold(negatives, alpha, delta)
    metrics = {
        "auroc": bootstrapped(roc_auc_score, truth, probabilities, seed),
        "brier": bootstrapped(brier_score_loss, truth, probabilities, seed),
        "coverage": proportion(probabilities[truth] >= threshold),
        "false_accept": proportion(probabilities[~truth] >= threshold),
    }
    sources = sorted({e.stratum for e in held if e.stratum and not e.label})
    by_source = {
        source: proportion(
            np.array([p >= threshold for e, p in zip(held, probabilities, strict=True) if e.stratum == source])
        )
        for source in sources
    }
    return calibration.model_copy(
        update={"threshold": threshold, "metrics": metrics, "false_accept_by_source": by_source}
    )


def set_hash(examples: Sequence[Example]) -> str:
    """SHA-256 of the labelled queries, in an order of their own."""
    lines = sorted(json.dumps([e.query, e.label]) for e in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
