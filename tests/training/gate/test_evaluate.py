from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.calibrate import Example
from index.calibration import GATE_FEATURES
from training.gate.config import GateConfig
from training.gate.evaluate import executed, new_sources
from training.gate.policies import Policy


def example(text: str, outcome: Any, source: str, top: float, turned: float) -> Example:
    """A query that `top` tells from others, and `mean` only from those stuffed with the library's words."""
    features = dict.fromkeys(GATE_FEATURES, 0.0) | {"top": top, "mean": turned}
    return Example(text, features, outcome, source, vector=np.array([top, turned]))


def config(tmp_path: Path) -> GateConfig:
    """One text file asked plainly and stuffed, another one, and a set for the library."""
    sets: list[dict[str, Any]] = [
        {"name": "ours", "outcome": "in", "list": "ours.txt"},
        {"name": "general", "outcome": "far", "list": "general.txt"},
        {"name": "stuffed general", "outcome": "far", "list": "general.txt", "stuffed": True},
        {"name": "shell", "outcome": "far", "list": "shell.txt"},
    ]
    return GateConfig.model_validate({"bundle": "b", "output": tmp_path, "sets": sets, "risks": {"out_of_domain": 0.1}})


def queries() -> list[Example]:
    """Stuffed questions look like the library's; nothing but other stuffed ones tells them apart."""
    draw = np.random.default_rng(0)
    return [
        example(f"{source} {n}", outcome, source, float(draw.normal(top, 0.3)), float(draw.normal(turned, 0.3)))
        for outcome, source, top, turned in (
            ("in", "ours", 3.0, 0.0), ("far", "general", 0.0, 0.0), ("far", "stuffed general", 3.0, 3.0),
            ("far", "shell, named", 0.0, 0.0),
        )
        for n in range(200)
    ]  # fmt: skip


def test_a_set_left_out_takes_others_of_its_origin_with_it(tmp_path: Path) -> None:
    """Left out alone, the stuffed questions would still be known from nothing else, the plain ones from the shell's."""
    found = new_sources(queries(), config(tmp_path))
    assert set(found) == {"general", "stuffed general", "shell"}
    assert found["stuffed general"]["value"] > 0.9  # nothing that was stuffed is left to learn from
    assert found["general"]["value"] < 0.1 and found["shell"]["rows"] == 200


def test_forms_of_other_origins_are_still_seen(tmp_path: Path) -> None:
    """With stuffed questions of another file the gate knows what stuffing looks like."""
    settings = config(tmp_path)
    settings.sets.append(settings.sets[2].model_copy(update={"name": "stuffed shell", "list": Path("shell.txt")}))
    more = [replace(e, query=f"{e.query} again", source="stuffed shell") for e in queries() if "stuffed" in e.source]
    assert new_sources([*queries(), *more], settings)["stuffed general"]["value"] < 0.2


def test_execution_is_judged_within_each_evaluation() -> None:
    """A score that only tells two evaluations apart tells nothing within either."""
    draw = np.random.default_rng(1)
    rows = [
        example(f"{source} {n}", "rescue" if n % share == 0 else "loss", source, top + float(draw.normal()), 0.0)
        for source, top, share in (("docs", 50.0, 1), ("docs", 50.0, 9), ("puzzles", 0.0, 9))
        for n in range(300)
    ]
    found = executed(Policy("gate", lambda e: e.features["top"], 0.5), rows, 0)
    assert set(found) == {"docs", "puzzles"}
    assert all(one["low"] < 0.5 < one["high"] for one in found.values())


def test_a_set_whose_name_has_a_comma_is_refused() -> None:
    """Its forms are told by what follows a comma."""
    with pytest.raises(ValueError, match="String should match pattern"):
        GateConfig.model_validate(
            {"bundle": "b", "output": "o", "sets": [{"name": "a, b", "outcome": "far", "list": "x"}] * 2}
        )
