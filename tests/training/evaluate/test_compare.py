import pytest
from scipy.stats import binomtest

from training.evaluate.compare import holm, mean, paired, rate


def run_of(passed: str) -> dict[str, bool]:
    """Items named by position, passed where the text has an x."""
    return {f"item {i}": letter == "x" for i, letter in enumerate(passed)}


def alone(run: dict[str, bool]) -> dict[str, str]:
    """Every item its own cluster."""
    return {item: item for item in run}


def test_a_rate_has_its_wilson_interval() -> None:
    """50 of 164, the interval from the closed formula."""
    run = run_of("x" * 50 + "." * 114)
    found = rate(run, alone(run))
    assert (found.passed, found.total, found.effective) == (50, 164, 164)
    z, n, p = 1.959964, 164, 50 / 164
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_paired_runs_are_compared_on_the_items_where_they_differ() -> None:
    """12 gained against 2 lost: the flips of single items come to McNemar's exact test."""
    baseline = run_of("x" * 2 + "." * 12 + "x" * 50 + "." * 50)
    run = run_of("." * 2 + "x" * 12 + "x" * 50 + "." * 50)
    found = paired(run, baseline, alone(run))
    assert (found.gained, found.lost) == (12, 2)
    assert found.p_value == pytest.approx(binomtest(12, 14).pvalue, abs=0.001)
    assert found.difference == pytest.approx(10 / 114)
    assert found.low > 0
    assert found.verdict() == "better"


def test_a_difference_whose_interval_reaches_zero_is_noise() -> None:
    """Whatever its size looks like."""
    found = paired(run_of("xx" + "." * 20), run_of("." * 2 + "x" + "." * 19), alone(run_of("." * 22)))
    assert found.low <= 0 <= found.high
    assert found.verdict() == "within noise"


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
    assert apart.p_value < 0.001
    assert together.p_value == 1


def test_a_rate_of_clusters_is_worth_fewer_items() -> None:
    """Ten clusters of ten equal items are ten items, whatever their number looks like."""
    run = run_of(("x" * 10 + "." * 10) * 5)
    tens = {item: str(number // 10) for number, item in enumerate(run)}
    single, clustered = rate(run, alone(run)), rate(run, tens)
    assert clustered.effective == pytest.approx(9)
    assert clustered.high - clustered.low > 2.5 * (single.high - single.low)


def test_a_run_without_a_pass_has_an_upper_bound() -> None:
    """Nothing seen is not nothing possible."""
    run = run_of("." * 100)
    found = rate(run, alone(run))
    assert (found.low, found.value) == pytest.approx((0, 0), abs=1e-12)
    assert 0.03 < found.high < 0.05


def test_runs_of_other_items_are_refused() -> None:
    """A pair needs both sides."""
    with pytest.raises(ValueError, match='"1" items'):
        paired(run_of("xx"), run_of("xxx"), alone(run_of("xxx")))


def test_a_mean_of_shares_has_an_interval() -> None:
    """Sampled answers pass by shares; equal shares leave nothing to doubt."""
    values = {f"item {i}": (i % 5) / 4 for i in range(100)}
    found = mean(values, {item: item for item in values})
    assert found.value == pytest.approx(0.5)
    assert 0.4 < found.low < 0.5 < found.high < 0.6
    same = mean(dict.fromkeys(values, 0.25), {item: item for item in values})
    assert (same.low, same.value, same.high) == (0.25, 0.25, 0.25)


def test_shares_are_compared_as_passes_are() -> None:
    """A run that passes half as often again on every item is better."""
    baseline = {f"item {i}": 0.4 for i in range(40)}
    run = dict.fromkeys(baseline, 0.6)
    found = paired(run, baseline, {item: item for item in run})
    assert (found.gained, found.lost, found.verdict()) == (40, 0, "better")
    assert found.difference == pytest.approx(0.2)
    assert found.p_value < 0.001


def test_holm_adjusts_as_published() -> None:
    """Worked example: 0.01, 0.04, 0.03, 0.005 of four tests."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_a_few_items_are_noise_whatever_the_bootstrap_says() -> None:
    """Four gained of a hundred: the interval leaves 0 out, the exact test does not."""
    baseline, run = run_of("." * 100), run_of("x" * 4 + "." * 96)
    found = paired(run, baseline, alone(run))
    assert found.low > 0 and found.p_value > 0.1
    assert found.verdict() == "within noise"
    assert found.verdict(0.01) == "better"


def test_one_cluster_is_worth_one_item() -> None:
    """However many items it has."""
    run = run_of("x" * 15 + "." * 5)
    assert rate(run, dict.fromkeys(run, "one")).effective == pytest.approx(1)
