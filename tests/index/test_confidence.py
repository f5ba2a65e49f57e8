from math import log

import pytest

from index.confidence import ANSWER_FEATURES, answer_features


def test_the_features_are_the_mean_the_lowest_window_and_the_length() -> None:
    """Eight unsure tokens in a row stand out, wherever they are; in the mean they drown."""
    found = answer_features([-0.1] * 20 + [-2.1] * 8 + [-0.1] * 12)
    assert tuple(found) == ANSWER_FEATURES
    assert found["mean"] == pytest.approx(-0.5)
    assert found["lowest"] == pytest.approx(-2.1)
    assert found["length"] == pytest.approx(log(41))


def test_an_answer_shorter_than_a_window_is_one_window() -> None:
    """A single token too."""
    assert answer_features([-0.5, -1.5])["lowest"] == pytest.approx(-1.0)
    assert answer_features([-0.5]) == pytest.approx({"mean": -0.5, "lowest": -0.5, "length": log(2)})


def test_the_last_window_counts() -> None:
    """An answer may go wrong at its end."""
    assert answer_features([0.0] * 8 + [-8.0])["lowest"] == pytest.approx(-1.0)
