"""Gates are all run, written down, and refused together; what passed is not asked again."""

import json
from pathlib import Path
from typing import Any

import pytest

from training.checks.verdicts import FILE, Gate, pass_gates
from training.errors import StageError


class Counting:
    """A gate's check that counts how often it is asked."""

    def __init__(self, reason: str = "") -> None:
        self.asked, self._reason = 0, reason

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if self._reason:
            raise StageError(self._reason)
        return {"rows": 3}


def test_every_gate_is_run_and_all_refusals_come_at_once(tmp_path: Path) -> None:
    """One failure at a time would cost a start each."""
    good = Counting()
    with pytest.raises(StageError, match=r"gate a: no \[/a\]\ngate c: no c"):
        pass_gates(tmp_path, [Gate("a", 1, Counting("no [/a]")), Gate("b", 1, good), Gate("c", 1, Counting("no c"))])
    written = json.loads((tmp_path / FILE).read_text())
    assert {name: verdict["passed"] for name, verdict in written.items()} == {"a": False, "b": True, "c": False}
    assert written["b"]["figures"] == {"rows": 3} and written["b"]["seconds"] >= 0
    assert written["a"]["reason"] == "no [/a]"


def test_a_gate_that_passed_is_asked_again_only_about_something_else(tmp_path: Path) -> None:
    """The same inputs have the same verdict; a refusal is always asked again, and so is what has no inputs."""
    good, bad, disk = Counting(), Counting("no"), Counting()
    for inputs in (1, 1, 2):
        with pytest.raises(StageError):
            pass_gates(tmp_path, [Gate("good", inputs, good), Gate("bad", 1, bad), Gate("disk", None, disk)])
    assert (good.asked, bad.asked, disk.asked) == (2, 3, 3)
