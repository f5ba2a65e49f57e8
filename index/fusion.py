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
    first = max(len(scores_N) - k, 0)
    last_of_k = np.partition(scores_N, first)[first]
    rows = np.flatnonzero((scores_N >= last_of_k) & (scores_N > 0))
    return rows[np.lexsort((rows, -scores_N[rows]))][:k].tolist()


def fused(dense: Sequence[int], lexical: Sequence[int], k: int) -> list[int]:
    """The k best rows of two rankings, best first; from k = 2 on the first of each is among them."""
    merit: defaultdict[int, float] = defaultdict(float)
    for ranking in (dense, lexical):
        for rank, row in enumerate(ranking, 1):
            merit[row] += 1 / (FUSION + rank)
    order = sorted(merit, key=lambda row: (-merit[row], row))
    firsts = {*dense[:1], *lexical[:1]}
    if k < len(firsts):
        return order[:k]
    kept = firsts.union([row for row in order if row not in firsts][: k - len(firsts)])
    return [row for row in order if row in kept]
