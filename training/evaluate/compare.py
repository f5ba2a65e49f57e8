"""Values per item in (pass or fail, or a share of samples); rates with intervals and paired comparisons out.

Items of one cluster pass or fail together (tasks of one method name), so they count for less than as many single ones.
Rates: Wilson (1927) on the effective sample size, the items divided by the design effect (Kish 1965; Korn and Graubard
1998). Means of shares, and differences: a percentile bootstrap that resamples clusters. Test of a difference: sign
flips over clusters, which for clusters of one item that passes or fails is McNemar's. Several tests: Holm (1979).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field
from scipy.stats import norm

from index.config import Settings

RESAMPLES = 10_000
FLIPS = 100_000
# Sums of shares that are equal but for rounding.
TOLERANCE = 1e-9
SIGNIFICANT = 0.05


class Rate(Settings):
    """A rate with its 95 % interval; `effective` is the number of independent items it is worth.

    `passed` is the sum over items: a whole number where each passes or fails.
    """

    passed: float
    total: int
    effective: float
    value: float
    low: float
    high: float


class Paired(Settings):
    """One run against a baseline on the same items; `difference` is run minus baseline, with its 95 % interval."""

    gained: int = Field(description="Items that only the run passes.")
    lost: int = Field(description="Items that only the baseline passes.")
    difference: float
    low: float
    high: float
    p_value: float = Field(description="Sign-flip test over clusters, two-sided; never below 1 / (FLIPS + 1).")

    def verdict(self, p_value: float | None = None) -> str:
        """In words: "within noise" when the interval reaches 0 or p, corrected or not, is 0.05 or more."""
        if self.low <= 0 <= self.high or (self.p_value if p_value is None else p_value) >= SIGNIFICANT:
            return "within noise"
        return "better" if self.difference > 0 else "worse"


def by_cluster(values: Mapping[str, float], clusters: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the items of each cluster, two (C,) arrays in the order of first appearance."""
    sums: dict[str, list[float]] = {}
    for item, value in values.items():
        sums.setdefault(clusters[item], []).append(value)
    return np.array([sum(s) for s in sums.values()]), np.array([len(s) for s in sums.values()])


def design_effect(totals_C: np.ndarray, sizes_C: np.ndarray) -> float:
    """Variance of a clustered rate over that of as many independent items; at least 1."""
    n, count = sizes_C.sum(), len(sizes_C)
    p = totals_C.sum() / n
    if count < 2:
        return float(n)
    if p in (0, 1) or sizes_C.max() == 1:
        return 1.0
    residuals_C = totals_C - p * sizes_C
    variance = count / (count - 1) * (residuals_C**2).sum() / n**2
    return max(1.0, float(variance / (p * (1 - p) / n)))


def rate(passed: Mapping[str, bool], clusters: Mapping[str, str]) -> Rate:
    """The pass rate of a run in which every item passes or fails."""
    totals_C, sizes_C = by_cluster({item: int(value) for item, value in passed.items()}, clusters)
    total = int(sizes_C.sum())
    value, effective = totals_C.sum() / total, total / design_effect(totals_C, sizes_C)
    z = norm.ppf(0.975)
    centre = (value + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z / (1 + z**2 / effective) * np.sqrt(value * (1 - value) / effective + z**2 / (4 * effective**2))
    return Rate(
        passed=int(totals_C.sum()), total=total, effective=effective, value=value,
        low=max(0.0, centre - half), high=min(1.0, centre + half),
    )  # fmt: skip


def mean(values: Mapping[str, float], clusters: Mapping[str, str], seed: int = 0) -> Rate:
    """The mean of shares between 0 and 1, such as pass@k of every item."""
    totals_C, sizes_C = by_cluster(values, clusters)
    low, high = resampled(totals_C, sizes_C, seed)
    total = int(sizes_C.sum())
    return Rate(
        passed=float(totals_C.sum()), total=total, effective=total / design_effect(totals_C, sizes_C),
        value=float(totals_C.sum() / total), low=low, high=high,
    )  # fmt: skip


def resampled(totals_C: np.ndarray, sizes_C: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % percentile interval of a mean over clusters."""
    picks = np.random.default_rng(seed).integers(0, len(totals_C), (RESAMPLES, len(totals_C)))
    low, high = np.percentile(totals_C[picks].sum(1) / sizes_C[picks].sum(1), [2.5, 97.5])
    return float(low), float(high)


def sign_flip(totals_C: np.ndarray, seed: int) -> float:
    """Two-sided p of a sum of cluster differences, were each as likely to point the other way (Monte Carlo)."""
    moved_C = totals_C[totals_C != 0]
    if not len(moved_C):
        return 1.0
    rng, reached = np.random.default_rng(seed), 0
    for _ in range(10):
        signs_FC = rng.integers(0, 2, (FLIPS // 10, len(moved_C)), np.int8) * 2 - 1
        reached += int((abs(signs_FC @ moved_C) >= abs(moved_C.sum()) - TOLERANCE).sum())
    return (reached + 1) / (FLIPS + 1)


def paired(
    run: Mapping[str, float], baseline: Mapping[str, float], clusters: Mapping[str, str], seed: int = 0
) -> Paired:
    """Compare two runs item by item; both must hold the same items. `clusters` maps each item to its cluster."""
    if run.keys() != baseline.keys():
        raise ValueError(f'runs differ in "{len(run.keys() ^ baseline.keys())}" items: compare runs of the same items')
    moved = {item: float(run[item]) - float(baseline[item]) for item in run}
    totals_C, sizes_C = by_cluster(moved, clusters)
    low, high = resampled(totals_C, sizes_C, seed)
    return Paired(
        gained=sum(value > 0 for value in moved.values()), lost=sum(value < 0 for value in moved.values()),
        difference=float(totals_C.sum()) / len(run), low=low, high=high, p_value=sign_flip(totals_C, seed),
    )  # fmt: skip


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for having tested all of them (Holm 1979), in the order given."""
    count, adjusted, least = len(p_values), [0.0] * len(p_values), 0.0
    for place, number in enumerate(sorted(range(count), key=p_values.__getitem__)):
        least = max(least, min(1.0, (count - place) * p_values[number]))
        adjusted[number] = least
    return adjusted
