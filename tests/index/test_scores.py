import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from index.scores import aurc, auroc, bootstrapped, brier, ece, proportion, risk_coverage


def drawn(n: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and calibrated probabilities rounded so that some are equal."""
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.7, 0.7, n).round(2)
    return rng.random(n) < probabilities, probabilities


def test_auroc_and_brier_are_scikit_learns() -> None:
    """Ties included."""
    labels, probabilities = drawn()
    assert auroc(labels, probabilities) == pytest.approx(roc_auc_score(labels, probabilities), abs=1e-12)
    assert brier(labels, probabilities) == pytest.approx(brier_score_loss(labels, probabilities), abs=1e-12)


def test_the_risk_of_a_coverage_is_the_share_of_bad_among_the_best_scored() -> None:
    """Equal scores count as they do on average over all orders."""
    bad, scores = np.array([False, True, False, True, True]), np.array([0.9, 0.8, 0.8, 0.2, 0.1])
    coverage, risk = risk_coverage(bad, scores)
    assert coverage.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert risk.tolist() == pytest.approx([0.0, 0.5 / 2, 1 / 3, 0.4 * 1.25, 0.6])
    assert aurc(bad, scores) == pytest.approx(np.mean(risk))


def test_a_better_order_has_less_area() -> None:
    """The oracle's order has least, the reverse most."""
    labels, probabilities = drawn()
    assert aurc(~labels, labels.astype(float)) < aurc(~labels, probabilities) < aurc(~labels, -probabilities)


def test_calibrated_probabilities_have_little_error_and_squeezed_ones_much() -> None:
    """ece sees what auroc cannot."""
    labels, probabilities = drawn(5000)
    assert ece(labels, probabilities) < 0.03 < 0.15 < ece(labels, 0.5 + 0.2 * (probabilities - 0.5))


def test_a_bootstrap_interval_holds_the_true_score_as_often_as_it_says() -> None:
    """Of 60 draws of 200 rows at least 50 intervals hold what 20,000 rows give."""
    truth = auroc(*drawn(20_000))
    intervals = [bootstrapped(auroc, *drawn(200, seed), seed) for seed in range(1, 61)]
    assert sum(one.low <= truth <= one.high for one in intervals) >= 50


def test_a_share_of_none_has_an_interval_that_does_not_end_at_zero() -> None:
    """Rule of three: 0 of 100 may still be 3.6 per cent."""
    none = proportion(np.zeros(100, bool))
    assert (none.value, none.low) == (0, 0) and 0.035 < none.high < 0.037
