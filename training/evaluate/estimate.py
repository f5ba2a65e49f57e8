"""Passes per item in, rates out.

pass@k is the unbiased estimate of Chen et al. 2021 (arXiv 2107.03374, section 2.1): the chance that one of k samples
drawn without replacement from the n taken passes. It is no number where n < k. Best-of-n is the share of items that any
sample passes: an oracle chose, so no system can serve it.
"""

from collections.abc import Sequence
from math import nan, prod

Counts = Sequence[tuple[int, int]]


def pass_at_k(n: int, passed: int, k: int) -> float:
    """pass@k of one item with `passed` of n samples; not a number where n < k."""
    if not 0 <= passed <= n or k < 1:
        raise ValueError(f'"{passed}" of "{n}" samples at k "{k}" is no count: give 0 <= passed <= n and k >= 1')
    if n < k:
        return nan
    if n - passed < k:
        return 1.0
    return 1.0 - prod((n - passed - i) / (n - i) for i in range(k))


def pass_at_k_of_items(counts: Counts, k: int) -> list[float]:
    """pass@k of every item, each (n, passed)."""
    return [pass_at_k(n, passed, k) for n, passed in counts]


def best_of(counts: Counts, n: int) -> list[float]:
    """1 for every item with any pass: what an oracle that sees the verdicts would reach.

    Not a number for an item without a pass of which fewer than n samples could be graded.
    """
    return [1.0 if passed else 0.0 if known >= n else nan for known, passed in counts]
