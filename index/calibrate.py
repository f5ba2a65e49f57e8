"""Labelled feature rows in; a calibrated probability and a threshold with stated risks out.

The rows are split in three, each outcome and source evenly: on the first part a logistic regression on standardised
features is fitted, on the second the threshold is chosen, on the third everything is measured, so that no figure stands
on rows that chose anything.

Fitted is whether the specialist is the better choice: yes for `rescue` and `in`, no for `loss`, `near` and `far`. Where
both answers pass or both fail there is nothing to choose; those rows only count in the risk of a loss.

For each bad event the threshold is the smallest one at which the share of such queries that meet it stays at or below
alpha with probability 1 - delta. For the k-th largest of n scores that share is Beta(k, n - k + 1) distributed whatever
the scores are, the inversion of Clopper and Pearson (1934). Several events share delta evenly (Bonferroni), so that all
bounds hold together; the bundle's threshold is the largest. They hold for queries like those they were chosen on.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict, cross_val_score

from index.calibration import EVENTS, Calibration, Event, Guarantee, Outcome, Route
from index.errors import CalibrationError
from index.probe import PROBE, Probe
from index.scores import measured

STRENGTHS = (0.03, 0.1, 0.3, 1, 3, 10, 30)
FOLDS = 5
HIGHEST = 1 - 1e-6  # a threshold is less than 1
PROBE_STRENGTH = 3  # from 1 to 30 the figures hardly differ: docs/log.md
BETTER: Mapping[Outcome, bool] = {"rescue": True, "in": True, "loss": False, "near": False, "far": False}
EXECUTED = ("rescue", "loss", "safe", "hard")
# Whom an event can happen to, and to whom of these it happens when they are sent to the specialist.
POPULATION: Mapping[Event, tuple[tuple[Outcome, ...], tuple[Outcome, ...]]] = {
    "out_of_domain": (("far",), ("far",)),
    "near_miss": (("near",), ("near",)),
    "loss": (("loss", "safe"), ("loss",)),
}
PROBABILITY_OF = {
    "domain": "the query is about the specialist's library, as opposed to the other queries it was fitted on",
    "execution": "the specialist's answer passes and base's fails, given that one of the two passes",
    "domain and execution": "the specialist is the better choice: where both were executed, its answer alone passes; "
    "where none was, the query is about its library",
}


@dataclass(frozen=True)
class Example:
    """A query's features with its outcome.

    `source` names queries of one origin, which should stand in every part of a split alike; `group` names queries that
    stand in one part together because they nearly say the same (by default only equal ones). `logprobs` are those of
    its executed answers' tokens, where they were kept; `vector` (D,) is the query's, which the feature "probe" needs.
    """

    query: str
    features: Mapping[str, float]
    outcome: Outcome
    source: str = ""
    group: str = ""
    logprobs: Mapping[Route, Sequence[float]] = field(default_factory=dict)
    vector: np.ndarray | None = field(default=None, compare=False)

    @property
    def unit(self) -> str:
        """What a split may not take apart."""
        return self.group or self.query


def queries_needed(alpha: float, delta: float) -> int:
    """The fewest queries from which any threshold can be promised: (1 - alpha)^n <= delta."""
    return int(np.ceil(np.log(delta) / np.log1p(-alpha)))


def risk_threshold(scores: np.ndarray, alpha: float, delta: float, event: str = "queries") -> float:
    """The smallest promised threshold for scores (n,), -inf where the event cannot happen.

    Raises CalibrationError when n is too small for any.
    """
    n = len(scores)
    ranks = np.arange(1, n + 1)
    allowed = ranks[beta.cdf(alpha, ranks, n - ranks + 1) >= 1 - delta]
    if not len(allowed):
        needed = queries_needed(alpha, delta)
        raise CalibrationError(
            f'"{n}" labelled {event} of the part that chooses the threshold cannot promise a rate of {alpha:g} at '
            f"delta {delta:.3g}: it takes {needed} there, {3 * needed} in all"
        )
    kth = np.sort(scores)[::-1][allowed[-1] - 1]
    if kth >= HIGHEST:
        raise CalibrationError(
            f'"{(scores >= HIGHEST).sum()}" of {n} labelled {event} have a score of {HIGHEST} or more, so no threshold '
            f"promises a rate of {alpha:g}: correct their labels, or give features that tell them apart"
        )
    return float(np.clip(np.nextafter(kth, 1.0), 1 - HIGHEST, HIGHEST))


def thirds(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example], list[Example]]:
    """Three parts that hold every outcome and source alike, drawn by a hash; a group is never taken apart.

    Sources matter: among a few hundred negatives the hard ones are a handful, and a plain draw that puts most of them
    into one part gives a threshold that is wrong for the others.
    """
    digests = {e.unit: hashlib.sha256(f"{seed}:{e.unit}".encode()).digest() for e in examples}
    ordered = sorted(examples, key=lambda e: (e.outcome, e.source, digests[e.unit]))
    part = {unit: number % 3 for number, unit in enumerate(dict.fromkeys(e.unit for e in ordered))}
    fitted, chosen, held = ([e for e in examples if part[e.unit] == number] for number in range(3))
    return fitted, chosen, held


def fit_logistic(rows: np.ndarray, labels: np.ndarray, seed: int) -> LogisticRegression:
    """A logistic regression of (n, d) rows, regularised as cross-validated log loss asks for."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)

    def score(strength: float) -> float:
        model = LogisticRegression(C=strength, max_iter=1000)
        return float(cross_val_score(model, rows, labels, cv=folds, scoring="neg_log_loss").mean())

    return LogisticRegression(C=max(STRENGTHS, key=score), max_iter=1000).fit(rows, labels)


def regression(
    rows: Sequence[Mapping[str, float]], truth: np.ndarray, features: Sequence[str], seed: int
) -> dict[str, Any]:
    """What a Logistic holds, fitted on rows of features and their truth (n,)."""
    matrix = np.array([[row[name] for name in features] for row in rows])
    mean, scale = matrix.mean(0), np.maximum(matrix.std(0), 1e-9)
    model = fit_logistic((matrix - mean) / scale, truth, seed)
    return {
        "features": tuple(features), "mean": tuple(mean), "scale": tuple(scale),
        "coefficients": tuple(model.coef_[0]), "intercept": float(model.intercept_[0]),
    }  # fmt: skip


def fit(examples: Sequence[Example], features: Sequence[str], seed: int) -> Calibration:
    """A calibration without threshold or promise; raises CalibrationError when a side has fewer than FOLDS groups."""
    rows = [e for e in examples if e.outcome in BETTER]
    truth = np.array([BETTER[e.outcome] for e in rows], bool)
    ours, others = (len({e.unit for e in rows if BETTER[e.outcome] is side}) for side in (True, False))
    if min(ours, others) < FOLDS:
        raise CalibrationError(
            f'"{ours}" queries for the specialist and "{others}" against it cannot be fitted: give {3 * FOLDS} '
            "of each or more, on different methods"
        )
    labels = label_kinds(examples)
    probe, seen = fit_probe(rows, truth, seed) if PROBE in features else (None, [e.features for e in rows])
    return Calibration(
        **regression(seen, truth, features, seed), probe=probe, probability_of=PROBABILITY_OF[labels],
        labels=labels, threshold=0.5, set_hash=set_hash(examples),
        queries=dict(Counter(e.outcome for e in examples)), metrics={},
    )  # fmt: skip


def fit_probe(rows: Sequence[Example], truth: np.ndarray, seed: int) -> tuple[Probe, list[Mapping[str, float]]]:
    """The probe of N rows, and their features with it.

    Each row is seen by a probe that was fitted without it and without its group (stacking; Wolpert, 1992): on rows of
    its own a probe of hundreds of weights is right too often, and the regression would trust it too much.
    """
    vectors_ND = np.array([e.vector for e in rows])
    if vectors_ND.ndim != 2:
        raise CalibrationError(f'feature "{PROBE}" needs a vector of each query: embed the queries')
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    model = LogisticRegression(C=PROBE_STRENGTH, max_iter=2000)
    units = [e.unit for e in rows]
    stacked = cross_val_predict(model, vectors_ND, truth, groups=units, cv=folds, method="decision_function")
    model.fit(vectors_ND, truth)
    probe = Probe(weights=tuple(model.coef_[0].round(5)), intercept=round(float(model.intercept_[0]), 5))
    return probe, [{**e.features, PROBE: float(score)} for e, score in zip(rows, stacked, strict=True)]


def judged(calibration: Calibration, example: Example) -> float:
    """The calibrated probability of an example."""
    return calibration.probability(calibration.seen(example.features, example.vector))


def label_kinds(examples: Sequence[Example]) -> str:
    """Whether outcomes come from whose docs a query is about, from execution, or from both."""
    kinds = {"execution" if e.outcome in EXECUTED else "domain" for e in examples}
    return " and ".join(sorted(kinds))


def promise(
    calibration: Calibration, examples: Sequence[Example], risks: Mapping[Event, float], delta: float
) -> Calibration:
    """The calibration with a threshold at which each event of `risks` (event to alpha) is bounded."""
    guarantees = []
    for event, alpha in risks.items():
        population, bad = POPULATION[event]
        rows = [e for e in examples if e.outcome in population]
        scores = np.array([judged(calibration, e) if e.outcome in bad else -np.inf for e in rows])
        threshold = risk_threshold(scores, alpha, delta / len(risks), f'queries for "{event}"')
        guarantees.append(
            Guarantee(
                event=event, means=EVENTS[event], alpha=alpha, delta=delta / len(risks), queries=len(rows),
                threshold=threshold,
            )
        )  # fmt: skip
    threshold = max((g.threshold for g in guarantees), default=calibration.threshold)
    return calibration.model_copy(update={"threshold": threshold, "guarantees": tuple(guarantees)})


def calibrate(
    examples: Sequence[Example], features: Sequence[str], *, risks: Mapping[Event, float], delta: float, seed: int = 0
) -> Calibration:
    """Fit, choose the threshold and measure, each on its own third; raises CalibrationError on too few labels."""
    fitted, chosen, held = thirds(examples, seed)
    calibration = promise(fit(fitted, features, seed), chosen, risks, delta)
    rows = [(e.outcome, e.source, judged(calibration, e)) for e in held]
    metrics, by_source = measured(calibration.threshold, rows, seed)
    whole = {"set_hash": set_hash(examples), "queries": dict(Counter(e.outcome for e in examples))}
    return calibration.model_copy(update={**whole, "metrics": metrics, "false_accept_by_source": by_source})


def set_hash(examples: Sequence[Example]) -> str:
    """SHA-256 of the labelled queries with all that splits them, in an order of their own."""
    lines = sorted(json.dumps([e.query, e.outcome, e.source, e.unit]) for e in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
