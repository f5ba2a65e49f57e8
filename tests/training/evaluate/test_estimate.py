from itertools import combinations
from math import isnan

import pytest

from training.evaluate.estimate import best_of, pass_at_k, pass_at_k_of_items


@pytest.mark.parametrize(("n", "passed", "k"), [(5, 2, 3), (6, 1, 1), (6, 6, 2), (7, 0, 4), (8, 3, 8)])
def test_pass_at_k_is_the_share_of_draws_with_a_pass(n: int, passed: int, k: int) -> None:
    """Counted over every draw of k of the n samples."""
    samples = [True] * passed + [False] * (n - passed)
    draws = [any(draw) for draw in combinations(samples, k)]
    assert pass_at_k(n, passed, k) == pytest.approx(sum(draws) / len(draws))


def test_pass_at_k_is_no_number_with_fewer_samples_than_k() -> None:
    """Not zero, and not the rate of what there is."""
    assert isnan(pass_at_k(3, 3, 4))
    assert [isnan(value) for value in pass_at_k_of_items([(3, 1), (2, 2)], 3)] == [False, True]


@pytest.mark.parametrize(("n", "passed", "k"), [(2, 3, 1), (2, -1, 1), (2, 1, 0)])
def test_impossible_counts_are_refused(n: int, passed: int, k: int) -> None:
    """A miscounted sample must not become a rate."""
    with pytest.raises(ValueError, match=f'"{passed}" of "{n}"'):
        pass_at_k(n, passed, k)


def test_best_of_n_is_what_an_oracle_reaches() -> None:
    """The same as pass@n, by another name."""
    counts = [(4, 0), (4, 1), (4, 4)]
    assert best_of(counts, 4) == pass_at_k_of_items(counts, 4) == [0, 1, 1]
    assert [isnan(value) for value in best_of([(3, 0), (3, 1)], 4)] == [True, False]
