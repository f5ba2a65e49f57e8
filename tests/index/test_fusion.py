"""Two rankings become one."""

import numpy as np
import pytest

from index.fusion import FUSION, best, fused


def test_a_row_that_both_know_comes_before_one_that_only_one_ranks_higher() -> None:
    """1/(60+2) twice is more than 1/(60+1) once."""
    assert FUSION == 60
    assert fused([1, 2, 3], [4, 2, 5], 5) == [2, 1, 4, 3, 5]


def test_the_first_of_each_ranking_is_always_kept() -> None:
    """Even where many others are in both; the order stays that of the fused ranks."""
    both = list(range(2, 30))
    for k in range(2, 20):
        rows = fused([0, *both], [1, *both], k)
        assert len(rows) == k
        assert {0, 1} <= set(rows)
        assert rows == [row for row in fused([0, *both], [1, *both], 100) if row in rows]


def test_of_one_row_the_best_is_kept() -> None:
    """One place has no room for two."""
    assert fused([0, 2], [1, 2], 1) == [2]
    assert fused([3, 2], [3, 1], 1) == [3]


def test_one_ranking_alone_keeps_its_order() -> None:
    """A query without a known word."""
    assert fused([7, 3, 5], [], 2) == [7, 3]
    assert fused([], [], 3) == []


@pytest.mark.parametrize("k", [1, 2, 5, 6, 100])
def test_the_best_are_those_of_a_full_sort(k: int) -> None:
    """Highest first, equal ones by row, none that scored nothing."""
    scores = np.array([0.0, 2.0, 1.0, 2.0, 0.0, 3.0], np.float32)
    assert best(scores, k)[:2] == [5, 1][:k]
    assert best(scores, k) == [5, 1, 3, 2][:k]


def test_nothing_is_best_where_nothing_scores() -> None:
    """No row is found by chance."""
    assert best(np.zeros(4, np.float32), 2) == []
