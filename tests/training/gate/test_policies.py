from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from index.calibrate import Example, calibrate, thirds
from index.calibration import AnswerCalibration
from tests.index.test_calibrate import examples
from training.gate.policies import Policy, policies, unbounded_threshold
from training.gate.values import second_stage, values

RISKS: dict[Any, float] = {"out_of_domain": 0.1}


def queries() -> list[Example]:
    """Queries whose `top` tells; the other features the simple rules look at tell nothing."""
    return [
        replace(e, features={"top": e.features["top"], "mean": 0.0, "lexical": e.features["mean"]})
        for e in examples(600, 2.5)
    ]


def compared() -> tuple[list[Policy], list[Example]]:
    rows = queries()
    calibration = calibrate(rows, ("top",), risks=RISKS, delta=0.05)
    _, chosen, held = thirds(rows, 0)
    return policies(calibration, chosen, RISKS, 0.05), held


def test_every_rule_with_a_threshold_keeps_the_same_risk() -> None:
    """Who cannot tell accepts few of either; random takes as many as the gate."""
    found, held = compared()
    by_name = {policy.name: policy for policy in found}
    far = [e for e in held if e.outcome == "far"]
    for name in ("gate", "cosine alone", "kNN on cosine", "BM25 alone"):
        assert by_name[name].accepts(far).mean() < 0.15
    ours = [e for e in held if e.outcome == "in"]
    assert by_name["gate"].accepts(ours).mean() > 0.7 > 0.2 > by_name["BM25 alone"].accepts(ours).mean()
    rate = by_name["gate"].accepts(held).mean()
    assert by_name["random, as often"].accepts(held).mean() == pytest.approx(rate, abs=0.1)


def test_the_constants_and_the_oracle_are_what_they_say() -> None:
    found, held = compared()
    by_name = {policy.name: policy.accepts(held) for policy in found}
    assert not by_name["always base"].any() and by_name["always specialist"].all()
    assert (by_name["oracle"] == [e.outcome == "in" for e in held]).all()


def test_scores_of_any_scale_get_the_threshold_that_probabilities_get() -> None:
    """BM25 is no probability; only the order counts."""
    values = np.random.default_rng(0).normal(40, 10, 300)
    threshold = unbounded_threshold(values, 0.1, 0.05)
    assert 0.02 < (values >= threshold).mean() <= 0.1
    stretched = unbounded_threshold(np.exp(values / 10), 0.1, 0.05)
    assert (np.exp(values / 10) >= stretched).sum() == (values >= threshold).sum()


def test_values_count_what_was_gained_and_lost() -> None:
    """Three queries of each quadrant, a rule that accepts by a feature."""
    outcomes: list[Any] = ["rescue", "loss", "safe", "hard"]
    rows = [Example(f"{o} {n}", {"top": float(o == "rescue" and n > 0)}, o) for o in outcomes for n in range(3)]
    rule = Policy("rule", lambda e: e.features["top"], 0.5)
    always = Policy("always", lambda e: 1.0, 0.5)
    found = values([rule, always], [*rows, Example("x", {"top": 1.0}, "in")], 0)
    assert (found["rule"]["rescued"], found["rule"]["lost"]) == (2, 0)
    assert found["rule"]["pass_rate"]["value"] == pytest.approx(8 / 12)
    # The constants pass 6 of 12, the oracle 9.
    assert found["rule"]["gap_closed"]["value"] == pytest.approx(2 / 3)
    assert (found["always"]["rescued"], found["always"]["lost"]) == (3, 3)
    assert "apgr" not in found["rule"]


def test_the_performance_gap_recovered_is_half_for_a_random_order_and_more_for_a_good_one() -> None:
    """RouteLLM's measure, where the specialist is the stronger model."""
    draw = np.random.default_rng(0)
    outcomes: list[Any] = ["rescue"] * 60 + ["loss"] * 10 + ["hard"] * 30 + ["safe"] * 20
    rows = [Example(f"{n}", {"good": float(o == "rescue") - float(o == "loss"), "random": draw.random()}, o)
            for n, o in enumerate(outcomes)]  # fmt: skip
    found = values([Policy(key, lambda e, key=key: e.features[key], 0.5) for key in ("good", "random")], rows, 0)
    assert found["good"]["apgr"]["value"] > 0.75
    assert found["random"]["apgr"]["low"] < 0.5 < found["random"]["apgr"]["high"]


def test_nothing_executed_gives_no_values() -> None:
    assert values([Policy("rule", lambda e: 1.0, 0.5)], queries(), 0) == {}


def test_a_second_stage_is_played_through_on_the_same_answers() -> None:
    """Where the specialist's answer is doubted and base is surer, base's counts; whom the gate kept stays with base."""
    sure, unsure = [-0.01], [-3.0]
    rows = [
        Example("helped", {"top": 1.0}, "loss", logprobs={"base": sure, "specialist": unsure}),
        Example("harmed", {"top": 1.0}, "rescue", logprobs={"base": sure, "specialist": unsure}),
        Example("both unsure", {"top": 1.0}, "rescue", logprobs={"base": unsure, "specialist": unsure}),
        Example("not doubted", {"top": 1.0}, "rescue", logprobs={"base": sure, "specialist": sure}),
        Example("kept by the gate", {"top": 0.0}, "rescue", logprobs={"base": unsure, "specialist": sure}),
        Example("without", {"top": 1.0}, "loss"),
    ]
    stated = AnswerCalibration(
        features=("mean",), mean=(-1.0,), scale=(1.0,), coefficients=(4.0,), intercept=0.0, right=9, wrong=9, metrics={}
    )
    plain = calibrate(queries(), ("top",), risks=RISKS, delta=0.05)
    rule = Policy("gate", lambda e: e.features["top"], 0.5)
    assert second_stage(rule, plain, rows, 0) == []
    both = plain.model_copy(update={"answers": {"base": stated, "specialist": stated}})
    first, *_ = second_stage(rule, both, rows, 0)
    assert first["asked"]["value"] == pytest.approx(3 / 5) and first["asked"]["rows"] == 5
    # The gate alone passes three of five: rescued are the three that it accepted.
    assert first["pass_rate"]["value"] == pytest.approx(3 / 5) and first["lead"]["value"] == pytest.approx(0.0)
    helped, *_ = second_stage(rule, both, [row for row in rows if row.query != "harmed"], 0)
    assert helped["lead"]["value"] == pytest.approx(1 / 4)
