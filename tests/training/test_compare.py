import pytest
from scipy.stats import binomtest

from training.compare import paired, rate


def run_of(passed: str) -> dict[str, bool]:
    """Items named by position, passed where the text has an x."""
    return {f"item {i}": letter == "x" for i, letter in enumerate(passed)}


def alone(run: dict[str, bool]) -> dict[str, str]:
    """Every item its own cluster."""
    return {item: item for item in run}


def test_a_rate_has_its_wilson_interval() -> None:
    """50 of 164, the interval from the closed formula."""
    found = rate([True] * 50 + [False] * 114)
    z, n, p = 1.959964, 164, 50 / 164
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_paired_runs_are_compared_on_the_items_where_they_differ() -> None:
    """Exact McNemar: 12 gained against 2 lost."""
    baseline = run_of("x" * 2 + "." * 12 + "x" * 50 + "." * 50)
    run = run_of("." * 2 + "x" * 12 + "x" * 50 + "." * 50)
    found = paired(run, baseline, alone(run))
    assert (found.gained, found.lost) == (12, 2)
    assert found.p_value == pytest.approx(binomtest(12, 14).pvalue)
    assert found.difference == pytest.approx(10 / 114)
    assert found.low > 0
    assert found.verdict == "better"


def test_a_difference_whose_interval_reaches_zero_is_noise() -> None:
    """Whatever its size looks like."""
    found = paired(run_of("xx" + "." * 20), run_of("." * 2 + "x" + "." * 19), alone(run_of("." * 22)))
    assert found.low <= 0 <= found.high
    assert found.verdict == "within noise"


def test_equal_runs_differ_by_nothing() -> None:
    """No discordant item: p is 1."""
    same = run_of("x.x.")
    found = paired(same, same, alone(same))
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_items_that_stand_or_fall_together_widen_the_interval() -> None:
    """Twenty copies of one item are not twenty items."""
    baseline, run = run_of("." * 100), run_of("x" * 20 + "." * 80)
    one_cluster = {item: "twins" if passed else item for item, passed in run.items()}
    apart, together = paired(run, baseline, alone(run)), paired(run, baseline, one_cluster)
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_runs_of_other_items_are_refused() -> None:
    """A pair needs both sides."""
    with pytest.raises(ValueError, match='"1" items'):
        paired(run_of("xx"), run_of("xxx"), alone(run_of("xxx")))
