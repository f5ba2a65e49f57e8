"""Probabilities and outcomes in, the field's figures for a gate out, each with a 95 % interval.

auroc: chance that a query for the specialist ranks above one against it. aurc: mean risk over all coverages, the
queries taken in the order of their probability (Geifman and El-Yaniv, 2017). ece: mean distance between stated
probability and observed share, over ten bins of equally many queries (Naeini et al., 2015). brier: mean squared error.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import binomtest, rankdata

from index.calibration import Measured, Outcome

RESAMPLES = 1000
BINS = 10
Score = Callable[[np.ndarray, np.ndarray], float]
Row = tuple[Outcome, str, float]  # outcome, source, probability
# Which outcomes stand against which in each AUROC.
CONTRASTS: Mapping[str, tuple[tuple[Outcome, ...], tuple[Outcome, ...]]] = {
    "auroc_domain": (("in",), ("near", "far")),
    "auroc_near": (("in",), ("near",)),
    "auroc_execution": (("rescue",), ("loss",)),
}
# Of which outcomes the share above the threshold is stated, under which name.
SHARES: Mapping[str, tuple[Outcome, ...]] = {
    "coverage": ("in",), "false_accept": ("far",), "false_accept_near": ("near",), "rescued": ("rescue",),
    "lost": ("loss",),
}  # fmt: skip
FOR, AGAINST = ("in", "rescue"), ("near", "far", "loss")


def proportion(hits: np.ndarray) -> Measured:
    """A share with its Clopper-Pearson interval; raises ValueError on no rows."""
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, "exact")
    return Measured(value=float(hits.mean()), low=interval.low, high=interval.high, rows=len(hits))


def bootstrapped(score: Score, labels: np.ndarray, values: np.ndarray, seed: int) -> Measured:
    """A score of (labels, values) with its percentile bootstrap interval, resampled within each label."""
    rng = np.random.default_rng(seed)
    sides = [np.flatnonzero(labels == side) for side in (False, True)]
    draws = (np.concatenate([rng.choice(side, len(side)) for side in sides if len(side)]) for _ in range(RESAMPLES))
    found = [score(labels[rows], values[rows]) for rows in draws]
    low, high = np.percentile(found, [2.5, 97.5])
    return Measured(value=float(score(labels, values)), low=low, high=high, rows=len(labels))


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The Mann-Whitney statistic as a share, ties counted half; scikit-learn's takes twenty times as long to check its
    input, which thousands of resamples need not.
    """
    positives = int(labels.sum())
    total = positives * (len(labels) - positives)
    return float((rankdata(scores)[labels].sum() - positives * (positives + 1) / 2) / total)


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean squared error of probabilities."""
    return float(np.mean((probabilities - labels) ** 2))


def risk_coverage(bad: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and risk, both (n,): of the i highest scored queries, which share of all they are and how many are bad.

    Among equal scores every order is as likely, so each of them counts as bad as they are on average.
    """
    _, level, count = np.unique(scores, return_inverse=True, return_counts=True)
    expected = (np.bincount(level, weights=bad) / count)[level]
    taken = np.arange(1, len(scores) + 1)
    return taken / len(scores), np.cumsum(expected[np.argsort(-scores)]) / taken


def aurc(bad: np.ndarray, scores: np.ndarray) -> float:
    """Area under the risk-coverage curve; the lower, the better."""
    return float(risk_coverage(bad, scores)[1].mean())


def ece(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error over BINS bins of equally many rows."""
    order = np.argsort(probabilities, kind="stable")
    bins = [rows for rows in np.array_split(order, BINS) if len(rows)]
    gaps = [len(rows) * abs(labels[rows].mean() - probabilities[rows].mean()) for rows in bins]
    return float(sum(gaps) / len(order))


def measured(threshold: float, rows: Sequence[Row], seed: int) -> tuple[dict[str, Measured], dict[str, Measured]]:
    """The figures of probabilities on rows that chose nothing, and the share accepted of each source against them."""
    outcomes = np.array([outcome for outcome, _, _ in rows])
    sources = np.array([source for _, source, _ in rows])
    scores = np.array([probability for _, _, probability in rows])
    accepted = scores >= threshold
    figures = figures_of(outcomes, scores, seed)
    for name, kinds in SHARES.items():
        if (among := np.isin(outcomes, kinds)).any():
            figures[name] = proportion(accepted[among])
    against = np.isin(outcomes, ("near", "far"))
    by_source = {
        str(source): proportion(accepted[against & (sources == source)])
        for source in sorted({*sources[against]} - {""})
    }
    return figures, by_source


def figures_of(outcomes: np.ndarray, scores: np.ndarray, seed: int) -> dict[str, Measured]:
    """What needs no threshold: AUROC of each contrast whose sides are there, Brier score, ECE and AURC."""
    figures = {}
    for name, (high, low) in CONTRASTS.items():
        rows, truth = np.isin(outcomes, high + low), np.isin(outcomes, high)
        if truth.any() and (rows & ~truth).any():
            figures[name] = bootstrapped(auroc, truth[rows], scores[rows], seed)
    decided = np.isin(outcomes, FOR + AGAINST)
    truth = np.isin(outcomes, FOR)[decided]
    if truth.any() and not truth.all():
        figures["brier"] = bootstrapped(brier, truth, scores[decided], seed)
        figures["ece"] = bootstrapped(ece, truth, scores[decided], seed)
        figures["aurc"] = bootstrapped(aurc, ~truth, scores[decided], seed)
    return figures
