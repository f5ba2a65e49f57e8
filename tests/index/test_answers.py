"""The fit of the confidence in answers; what the service does with it is in tests/service/test_second_stage.py."""

from dataclasses import replace

import numpy as np
import pytest

from index.answers import NEEDED, calibrate_answers
from index.calibrate import Example, thirds
from index.calibration import Outcome, Route
from index.errors import CalibrationError

OUTCOMES: tuple[Outcome, ...] = ("rescue", "loss", "safe", "hard")


def executed(n: int, seed: int = 0) -> list[Example]:
    """n queries of each outcome; a right answer's tokens are surer, base's by more than the specialist's."""
    rng = np.random.default_rng(seed)

    def drawn(right: bool, gap: float) -> list[float]:
        mean = rng.normal(0.5 if right else 0.5 + gap, 0.1)
        return list(-rng.normal(mean, 0.1, rng.integers(5, 40)))

    return [
        Example(
            f"{outcome} {i}", {}, outcome, "mbpp",
            logprobs={
                "base": drawn(outcome in ("loss", "safe"), 1.0),
                "specialist": drawn(outcome in ("rescue", "safe"), 0.15),
            },
        )
        for outcome in OUTCOMES for i in range(n)
    ]  # fmt: skip


def test_separable_log_probabilities_are_told_apart() -> None:
    """Base's clearly, the specialist's less; each has its own regression, and a sure answer a high probability."""
    base, own = (calibrate_answers(executed(60), route, 0) for route in ("base", "specialist"))
    assert base.metrics["auroc"].value > 0.99 > own.metrics["auroc"].value > 0.7
    assert base.metrics["ece"].value < 0.1
    assert (base.right, base.wrong, base.metrics["auroc"].rows) == (120, 120, 80)
    sure, unsure = ({"mean": mean, "lowest": mean, "length": 3.0} for mean in (-0.4, -1.6))
    assert base.probability(sure) > 0.9 > 0.1 > base.probability(unsure)


def test_chance_is_called_chance() -> None:
    """Where log-probabilities say nothing, the held third shows it."""
    rows = executed(60)
    shuffled = [
        replace(e, logprobs=rows[-i].logprobs) for i, e in enumerate(np.random.default_rng(1).permutation(rows))
    ]
    auroc = calibrate_answers(shuffled, "base", 0).metrics["auroc"]
    assert auroc.low < 0.5 < auroc.high


@pytest.mark.parametrize("route", ["base", "specialist"])
def test_answers_turned_round_where_figures_are_measured_change_the_figures_only(route: Route) -> None:
    """No answer both fits and measures; the third that measures is the one that measures the gate."""
    rows = executed(60)
    held = {e.query for e in thirds(rows, 0)[2]}
    turned = [
        replace(e, logprobs={k: [-2.0 - one for one in v] for k, v in e.logprobs.items()}) if e.query in held else e
        for e in rows
    ]
    honest, broken = (calibrate_answers(r, route, 0) for r in (rows, turned))
    assert (broken.coefficients, broken.mean, broken.intercept) == (honest.coefficients, honest.mean, honest.intercept)
    assert honest.metrics["auroc"].value > 0.7 > 0.4 > broken.metrics["auroc"].value


def test_too_few_answers_of_either_verdict_are_refused_with_the_number_needed() -> None:
    """Many right ones do not make up for few wrong ones."""
    rows = executed(60)
    few = [e for e in rows if e.outcome in ("loss", "safe")] + [e for e in rows if e.outcome == "hard"][:20]
    with pytest.raises(
        CalibrationError, match=f'"120" right and "20" wrong answers of base .* execute {NEEDED} of each'
    ):
        calibrate_answers(few, "base", 0)
    assert calibrate_answers(executed(NEEDED // 2), "base", 0).right == NEEDED


def test_only_executed_answers_with_log_probabilities_count() -> None:
    """Queries known by domain alone, and answers whose log-probabilities were not kept or are none, say nothing."""
    rows = executed(60)
    more = [Example(f"far {i}", {}, "far", logprobs={"base": [-0.1]}) for i in range(90)]
    silent = [Example(f"silent {i}", {}, "safe", logprobs={"base": [], "specialist": [-0.1]}) for i in range(30)]
    found = calibrate_answers([*rows, *more, *silent], "base", 0)
    assert (found.right, found.wrong) == (120, 120)
