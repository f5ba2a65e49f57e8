import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from index.calibrate import Example, calibrate, judged, promise, queries_needed, risk_threshold, thirds
from index.calibration import Calibration, read_calibration
from index.errors import BundleError, CalibrationError

RISKS: dict[Any, float] = {"out_of_domain": 0.05}


def examples(n: int, shift: float, seed: int = 0, outcomes: tuple[Any, Any] = ("in", "far")) -> list[Example]:
    """n queries of each outcome whose feature differs by `shift` standard deviations."""
    rng = np.random.default_rng(seed)
    return [
        Example(
            f"query {outcome} {i}",
            {"top": float(rng.normal(shift if outcome == outcomes[0] else 0.0)), "mean": float(rng.normal())},
            outcome,
        )
        for outcome in outcomes
        for i in range(n)
    ]


@cache
def fitted(n: int = 400, shift: float = 3.0) -> Calibration:
    """A calibration on separable queries."""
    return calibrate(examples(n, shift), ("top", "mean"), risks=RISKS, delta=0.05)


def test_the_probability_rises_with_the_feature_that_tells_and_is_calibrated() -> None:
    """Among new queries given about p, about a share p is positive."""
    calibration = fitted()
    fresh = examples(4000, 3.0, seed=1)
    probabilities = np.array([calibration.probability(e.features) for e in fresh])
    labels = np.array([e.outcome == "in" for e in fresh])
    middle = (probabilities > 0.4) & (probabilities < 0.6)
    assert middle.sum() > 100
    assert abs(labels[middle].mean() - probabilities[middle].mean()) < 0.1
    assert calibration.probability({"top": 3, "mean": 0}) > 0.9 > 0.1 > calibration.probability({"top": 0, "mean": 0})


def test_the_promised_rate_holds_as_often_as_promised() -> None:
    """Of 400 thresholds from 150 negatives each, at least 1 - delta keep the true rate at or below alpha."""
    rng = np.random.default_rng(0)
    true_rates = [1 - risk_threshold(rng.uniform(size=150), 0.1, 0.1) for _ in range(400)]
    assert np.mean(np.array(true_rates) <= 0.1) >= 0.87


def test_the_threshold_is_the_smallest_that_can_be_promised() -> None:
    """One negative more above it would break the Clopper-Pearson bound."""
    scores = np.linspace(0.001, 0.999, 500)
    above = int((scores >= risk_threshold(scores, 0.05, 0.05)).sum())
    upper = beta.ppf(0.95, np.arange(500) + 1, 500 - np.arange(500))
    assert upper[above] <= 0.05 < upper[above + 1]


def test_too_few_queries_are_refused_with_the_number_needed() -> None:
    """No threshold is better than one that only looks safe; three parts make three times as many."""
    with pytest.raises(CalibrationError, match="it takes 59 there, 177 in all"):
        calibrate(examples(150, 3.0), ("top",), risks=RISKS, delta=0.05)
    needed = queries_needed(0.05, 0.05)
    assert needed == 59
    with pytest.raises(CalibrationError, match=str(needed)):
        risk_threshold(np.zeros(needed - 1), 0.05, 0.05)
    risk_threshold(np.zeros(needed), 0.05, 0.05)


def test_labels_of_one_kind_are_refused() -> None:
    """Nothing can be told apart from nothing."""
    positives = [e for e in examples(50, 1.0) if e.outcome == "in"]
    with pytest.raises(CalibrationError, match='"0" against it cannot be fitted'):
        calibrate(positives, ("top",), risks=RISKS, delta=0.1)


def test_metrics_are_measured_on_rows_that_neither_fitted_nor_chose() -> None:
    """A third of the rows, each figure with its interval and its rows."""
    metrics = fitted().metrics
    assert set(metrics) == {"auroc_domain", "brier", "ece", "aurc", "coverage", "false_accept"}
    assert all(m.low <= m.high for m in metrics.values())
    assert 200 < metrics["auroc_domain"].rows < 330
    assert metrics["false_accept"].low <= 0.05


def test_every_stratum_is_split_evenly_and_equal_queries_stay_together() -> None:
    """Ten hard negatives among 300 stand 3, 3 and 4 to a part, and the same query never in two."""
    hard = [Example(f"hard {i}", {"top": 5.0}, "far", "hard") for i in range(10)]
    rows = [*examples(300, 3.0), *hard, *hard[:3]]
    parts = thirds(rows, 0)
    assert sum(len(part) for part in parts) == len(rows)
    queries = [{e.query for e in part} for part in parts]
    assert not queries[0] & queries[1] and not queries[1] & queries[2] and not queries[0] & queries[2]
    assert sorted(len({e.query for e in part if e.source}) for part in parts) == [3, 3, 4]
    assert all(abs(sum(e.outcome == "in" for e in part) - 100) <= 1 for part in parts)


def test_a_group_is_never_taken_apart() -> None:
    """Questions about one method say nearly the same: fitted on one, measured on the other would flatter."""
    rows = [replace(e, group=f"method {number % 40}") for number, e in enumerate(examples(200, 3.0))]
    groups = [{e.group for e in part} for part in thirds(rows, 0)]
    assert all(groups) and not groups[0] & groups[1] and not groups[1] & groups[2] and not groups[0] & groups[2]


def test_each_source_of_negatives_has_its_own_rate() -> None:
    """A low rate over all may hide the one source that matters."""
    rows = [
        replace(e, source="docs" if e.outcome == "in" else ("easy" if number % 4 else "hard"))
        for number, e in enumerate(examples(400, 3.0))
    ]
    mixed = [replace(e, features={"top": 9.0, "mean": 0.0}) if e.source == "hard" else e for e in rows]
    rates = calibrate(mixed, ("top", "mean"), risks={"out_of_domain": 0.5}, delta=0.05)
    assert set(rates.false_accept_by_source) == {"easy", "hard"}
    assert rates.false_accept_by_source["hard"].value > 0.9 > rates.false_accept_by_source["easy"].value


def test_features_turned_round_where_figures_are_measured_change_the_figures_only() -> None:
    """The third that is measured has no say in the fit or in the threshold."""
    rows = examples(400, 3.0)
    held = {e.query for e in thirds(rows, 0)[2]}
    turned = [replace(e, features={"top": -e.features["top"], "mean": 0.0}) if e.query in held else e for e in rows]
    honest, broken = (calibrate(r, ("top", "mean"), risks=RISKS, delta=0.05) for r in (rows, turned))
    assert (broken.coefficients, broken.threshold) == (honest.coefficients, honest.threshold)
    assert honest.metrics["auroc_domain"].value > 0.9 > 0.1 > broken.metrics["auroc_domain"].value


def test_several_risks_share_delta_and_the_largest_threshold_rules() -> None:
    """Each event is bounded at its own rate; near misses are the harder ones here."""
    near = [
        replace(e, outcome="near", query=f"near {e.query}") for e in examples(400, 2.0, seed=2) if e.outcome == "in"
    ]
    whole = calibrate(
        [*examples(900, 4.0), *near], ("top", "mean"), risks={"out_of_domain": 0.02, "near_miss": 0.1}, delta=0.05
    )
    far, close = whole.guarantees
    assert (far.event, close.event, far.delta, close.delta) == ("out_of_domain", "near_miss", 0.025, 0.025)
    assert whole.threshold == close.threshold > far.threshold
    assert (far.queries, close.queries) == (300, len(near) // 3)
    assert whole.metrics["false_accept_near"].value > whole.metrics["false_accept"].value


def test_a_loss_is_bounded_among_what_base_answers_rightly() -> None:
    """Queries that both answer count as such that cannot be lost; those that base fails do not count."""
    executed = examples(300, 3.0, outcomes=("rescue", "loss"))
    safe = [replace(e, outcome="safe", query=f"safe {e.query}") for e in executed if e.outcome == "loss"]
    hard = [replace(e, outcome="hard", query=f"hard {e.query}") for e in executed if e.outcome == "loss"]
    calibration = calibrate([*executed, *safe, *hard], ("top",), risks={"loss": 0.05}, delta=0.05)
    (loss,) = calibration.guarantees
    assert loss.queries == 200 and calibration.labels == "execution"
    assert calibration.queries == {"rescue": 300, "loss": 300, "safe": 300, "hard": 300}
    scores = np.array([calibration.probability(e.features) for e in executed if e.outcome == "loss"])
    # Half of what base answers can be lost, so twice the rate among those stays within the bound.
    assert 0 < (scores >= loss.threshold).mean() <= 0.1
    alone = calibrate(executed, ("top",), risks={"loss": 0.05}, delta=0.05)
    assert alone.guarantees[0].queries == 100 and alone.threshold > loss.threshold


def test_labels_of_two_kinds_are_named_as_such() -> None:
    """Whose docs a query is about, and whose answer passed, are different things."""
    both = calibrate([*examples(100, 3.0), *examples(100, 3.0, outcomes=("rescue", "loss"))], ("top",), risks=RISKS,
                     delta=0.3)  # fmt: skip
    assert both.labels == "domain and execution" and "its answer alone passes" in both.probability_of
    assert fitted().labels == "domain" and "passes" not in fitted().probability_of


def test_the_stated_risk_holds_over_random_draws_of_the_calibration_set() -> None:
    """200 draws from one world: the share of out-of-domain queries accepted exceeds alpha in few of them."""
    world = examples(6000, 1.5, seed=5)
    scores = np.array([fitted().probability(e.features) for e in world if e.outcome == "far"])
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(200):
        drawn = rng.choice(len(world), 800, replace=False)
        threshold = promise(fitted(), [world[i] for i in drawn], RISKS, 0.05).threshold
        broken += (scores >= threshold).mean() > 0.05
    assert broken <= 16


def test_the_set_hash_tells_label_sets_apart_but_not_their_order() -> None:
    """The hash says which labels stand behind a threshold."""
    rows = examples(100, 3.0)
    one, reordered, other = (
        calibrate(r, ("top",), risks={"out_of_domain": 0.1}, delta=0.1) for r in (rows, rows[::-1], examples(101, 3.0))
    )
    assert one.set_hash == reordered.set_hash != other.set_hash


def test_extreme_features_give_a_probability_not_an_overflow() -> None:
    """Far outside what was fitted the logit is bounded."""
    assert 0 < fitted().probability({"top": -1e9, "mean": 0.0}) < fitted().probability({"top": 1e9, "mean": 0.0}) < 1


def test_an_unreadable_calibration_names_its_file(tmp_path) -> None:
    """Start-up stops there, before any query is routed by half a file."""
    (tmp_path / "calibration.json").write_text(fitted().model_dump_json()[:-40])
    with pytest.raises(BundleError, match=r"calibration\.json"):
        read_calibration(tmp_path / "calibration.json")


NO_CALIBRATIONS: dict[str, tuple[Any, str]] = {
    "no features": ({"features": [], "mean": [], "scale": [], "coefficients": []}, 'key "features"'),
    "an unknown feature": ({"features": ["top", "cosine"]}, 'feature "cosine" is not computed: the features are top,'),
    "a mean too few": ({"mean": [0.0]}, 'key "mean" holds "1" numbers'),
    "a scale too many": ({"scale": [1.0, 1.0, 1.0]}, 'key "scale" holds "3" numbers'),
    "a coefficient too few": ({"coefficients": [1.0]}, 'key "coefficients" holds "1" numbers'),
    "a scale of 0": ({"scale": [1.0, 0.0]}, 'key "scale.1" is "0.0"'),
    "a negative scale": ({"scale": [-1.0, 1.0]}, 'key "scale.0" is "-1.0"'),
    "a coefficient that is no number": ({"coefficients": [1.0, float("nan")]}, 'key "coefficients.1" is "nan"'),
    "an infinite mean": ({"mean": [float("inf"), 0.0]}, 'key "mean.0" is "inf"'),
    "an infinite intercept": ({"intercept": float("-inf")}, 'key "intercept" is "-inf"'),
    "an unknown key": ({"treshold": 0.5}, 'unknown key "treshold"'),
    "a list": ([], "should be an object"),
    "nothing": (None, "should be an object"),
}


@pytest.mark.parametrize("name", NO_CALIBRATIONS)
def test_a_calibration_no_query_could_use_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    """Served, it would fail on each request, and the gate would send each to base without a word."""
    changes, message = NO_CALIBRATIONS[name]
    whole = json.loads(fitted().model_dump_json())
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(whole | changes if isinstance(changes, dict) else changes))
    with pytest.raises(BundleError) as caught:
        read_calibration(path)
    text = str(caught.value)
    assert text.startswith(f'calibration "{path}" cannot be read (') and text.endswith(": calibrate the bundle again")
    assert message in text
    assert "\n" not in text and "pydantic" not in text


def placed(n: int, shift: float, seed: int, dimensions: int = 40) -> list[Example]:
    """Queries whose features say nothing; in one direction of their vectors `shift` tells them apart."""
    rng = np.random.default_rng(seed)
    found = []
    for example in examples(n, 0.0, seed=seed):
        vector = rng.normal(size=dimensions)
        vector[3] += shift if example.outcome == "in" else 0.0
        found.append(replace(example, vector=vector / np.linalg.norm(vector)))
    return found


def test_the_probe_sees_what_retrieval_does_not() -> None:
    """Half of the promised coverage without it is none; with it most queries for the specialist are accepted."""
    rows = placed(400, 6.0, 0)
    blind = calibrate(rows, ("top", "mean"), risks=RISKS, delta=0.05)
    seeing = calibrate(rows, ("top", "mean", "probe"), risks=RISKS, delta=0.05)
    assert blind.probe is None and seeing.probe is not None and len(seeing.probe.weights) == 40
    assert int(np.argmax(np.abs(seeing.probe.weights))) == 3
    assert blind.metrics["coverage"].value < 0.2 < 0.8 < seeing.metrics["coverage"].value
    fresh = [e for e in placed(2000, 6.0, 1) if e.outcome == "far"]  # the promise may miss by a hair
    assert np.mean([judged(seeing, e) >= seeing.threshold for e in fresh]) <= 0.07


def test_a_probe_that_fits_noise_is_not_believed() -> None:
    """Hundreds of weights separate a few dozen rows whatever they are; scores by other folds show that it is chance."""
    noise = calibrate(placed(200, 0.0, 0, dimensions=300), ("top", "probe"), risks={}, delta=0.05)
    assert abs(noise.metrics["auroc_domain"].value - 0.5) < 0.25
    assert abs(noise.coefficients[noise.features.index("probe")]) < 1.0
    assert noise.metrics["ece"].value < 0.2


def test_the_probe_and_its_feature_belong_together() -> None:
    """Either alone would fail on every query, or be left out in silence."""
    rows = placed(100, 6.0, 0)
    with pytest.raises(CalibrationError, match='feature "probe" needs a vector of each query'):
        calibrate([replace(e, vector=None) for e in rows], ("top", "probe"), risks={}, delta=0.05)
    whole = calibrate(rows, ("top", "probe"), risks={}, delta=0.05).model_dump()
    with pytest.raises(ValueError, match='feature "probe" and key "probe" belong together'):
        Calibration.model_validate(whole | {"probe": None})
    with pytest.raises(ValueError, match="finite number"):
        Calibration.model_validate(whole | {"probe": {"weights": [float("nan")], "intercept": 0.0}})


def test_scores_that_no_threshold_tells_apart_are_refused() -> None:
    """A threshold is below 1, and a promise that all of these break would be none."""
    with pytest.raises(CalibrationError, match=r'"1000" of 1000 labelled queries have a score of 0\.999999 or more'):
        risk_threshold(np.full(1000, 1 - 1e-7), 0.02, 0.05)
