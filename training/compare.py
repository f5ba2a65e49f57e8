"""Pass or fail per item in; rates with intervals and paired comparisons out.

Rates: Wilson (1927). Paired: exact McNemar test on the items where two runs differ, and a percentile bootstrap of the
difference that resamples clusters (items of one method name pass or fail together).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field
from scipy.stats import binomtest

from index.config import Settings

RESAMPLES = 10_000


class Rate(Settings):
    """A pass rate with its 95 % Wilson interval."""

    passed: int
    total: int
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
    p_value: float = Field(description="Exact McNemar test, two-sided.")

    @property
    def verdict(self) -> str:
        """In words; "within noise" when the interval reaches 0."""
        if self.low <= 0 <= self.high:
            return "within noise"
        return "better" if self.difference > 0 else "worse"


def rate(passed: Sequence[bool]) -> Rate:
    """The pass rate of a run."""
    k, n = sum(passed), len(passed)
    interval = binomtest(k, n).proportion_ci(0.95, "wilson")
    return Rate(passed=k, total=n, value=k / n, low=interval.low, high=interval.high)


def paired(run: Mapping[str, bool], baseline: Mapping[str, bool], clusters: Mapping[str, str], seed: int = 0) -> Paired:
    """Compare two runs item by item; both must hold the same items. `clusters` maps each item to its cluster."""
    if run.keys() != baseline.keys():
        raise ValueError(f'runs differ in "{len(run.keys() ^ baseline.keys())}" items: compare runs of the same items')
    gained = sum(run[item] and not baseline[item] for item in run)
    lost = sum(baseline[item] and not run[item] for item in run)
    sums: dict[str, list[int]] = {}
    for item in run:
        sums.setdefault(clusters[item], []).append(int(run[item]) - int(baseline[item]))
    totals_C = np.array([sum(values) for values in sums.values()])
    sizes_C = np.array([len(values) for values in sums.values()])
    picks = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    low, high = np.percentile(totals_C[picks].sum(1) / sizes_C[picks].sum(1), [2.5, 97.5])
    p_value = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return Paired(
        gained=gained,
        lost=lost,
        difference=(gained - lost) / len(run),
        low=float(low),
        high=float(high),
        p_value=p_value,
    )
