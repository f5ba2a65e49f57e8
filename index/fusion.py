"""Scores and rankings of rows in, one ranking out.

Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): a row gains 1 / (FUSION + rank) in each ranking, so that
cosines and BM25 need no common scale.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

FUSION = 60  # theirs


def best(scores_N: np.ndarray, k: int) -> list[int]:
    """Rows of the at most k highest scores above 0, highest first; equal ones in their order."""
    rows = np.flatnonzero(scores_N > 0)  # few share a word: what follows sorts these alone
    scores_n = scores_N[rows]
    if len(rows) > k:
        kept = scores_n >= np.partition(scores_n, len(rows) - k)[len(rows) - k]
        rows, scores_n = rows[kept], scores_n[kept]
    return rows[np.argsort(-scores_n, kind="stable")][:k].tolist()


def fused(dense: Sequence[int], lexical: Sequence[int], k: int) -> list[int]:
    """The k best rows of two rankings, best first; from k = 2 on the first of each is among them."""
    merit: defaultdict[int, float] = defaultdict(float)
    for ranking in (dense, lexical):
        for rank, row in enumerate(ranking, 1):
            merit[row] += 1 / (FUSION + rank)
    order = [row for _, row in sorted((-gained, row) for row, gained in merit.items())]
    firsts = {*dense[:1], *lexical[:1]}
    if k < len(firsts):
        return order[:k]
    kept = firsts.union([row for row in order if row not in firsts][: k - len(firsts)])
    return [row for row in order if row in kept]
