"""Which prompts are asked, by what came of them."""

import json
from pathlib import Path

import pytest

from training.errors import StageError
from training.grpo.config import SchedulerSettings
from training.grpo.scheduler import Scheduler, pass_rates

IDS = [f"p{n}" for n in range(10)]


def scheduler(seed: int = 0, **changes: object) -> Scheduler:
    """Ten prompts."""
    return Scheduler(IDS, SchedulerSettings(**changes), seed)


def test_the_same_seed_draws_the_same_and_another_another() -> None:
    """By step and round alone."""
    first, again, other = scheduler().choose(4, 3, 1), scheduler().choose(4, 3, 1), scheduler(1).choose(4, 3, 1)
    assert first == again != other
    assert len(set(first)) == 4
    assert scheduler().choose(4, 3, 2) != first


def test_prompts_within_the_window_come_before_those_outside() -> None:
    """Solved and hopeless ones come when nothing else is left."""
    one = scheduler(explore=0)
    for id_ in IDS:
        one.record(id_, [True, False] if id_ in ("p3", "p7") else [id_ < "p5"] * 2)
    assert set(one.choose(2, 0, 0)) == {"p3", "p7"}
    assert {"p3", "p7"} < set(one.choose(5, 0, 0)) and len(set(one.choose(5, 0, 0))) == 5


def test_unknown_prompts_are_explored_by_their_share() -> None:
    """All draws at 1; at 0 only where none is within the window."""
    for explore, expected in ((1, False), (0, True)):
        one = scheduler(explore=explore)
        one.record("p0", [True, False])
        assert ("p0" in one.choose(1, 0, 0)) is expected
    assert len(scheduler(explore=0).choose(3, 0, 0)) == 3


def test_a_solved_prompt_retires_after_so_many_visits_in_a_row() -> None:
    """One failure between begins the count anew."""
    one = scheduler(solved=2, visits=9)
    for passed in ([True], [False], [True]):
        one.record("p0", passed)
    assert "p0" in one.choose(10, 0, 0)
    one.record("p0", [True, None])
    assert "p0" not in one.choose(10, 0, 0)
    assert one.figures()["prompts/retired"] == 1


def test_a_prompt_has_so_many_visits_and_no_more() -> None:
    """At the end none is left."""
    one = scheduler(visits=1)
    for id_ in one.choose(10, 0, 0):
        one.record(id_, [True, False])
    assert one.choose(1, 1, 0) == []


def test_what_is_unknown_does_not_count_as_failed() -> None:
    """Where nothing is known of any answer the prompt stays unknown."""
    one = scheduler()
    one.record("p0", [None, None])
    assert one.figures()["prompts/unknown"] == 10
    one.record("p0", [None, True, False])
    assert one.figures()["prompts/inside"] == 1


def test_those_taken_are_left_out() -> None:
    """A step does not ask a prompt twice."""
    assert set(scheduler().choose(10, 0, 0, taken=IDS[:6])) == set(IDS[6:])


def test_a_state_goes_through_json() -> None:
    """The restored one draws as the saved one; prompts that are gone are refused."""
    one = scheduler()
    for id_ in one.choose(5, 0, 0):
        one.record(id_, [True, False, id_ < "p4"])
    state = json.loads(json.dumps(one.state()))
    again = scheduler()
    again.restore(state)
    assert again.choose(6, 1, 0) == one.choose(6, 1, 0) and again.state() == state
    with pytest.raises(StageError, match="gone"):
        again.restore({"gone": {}})


def test_pass_rates_of_an_earlier_stage_are_known_before_the_first_step(tmp_path: Path) -> None:
    """From yield.json; a file of another kind is refused."""
    path = tmp_path / "yield.json"
    tallies = {"p0": {"samples": 4, "passed": 2}, "p1": {"samples": 4, "passed": 4}, "p2": {"samples": 0, "passed": 0}}
    path.write_text(json.dumps({"tasks": {"problem": tallies}}))
    one = scheduler(explore=0)
    assert one.know(pass_rates(path)) == 2
    assert one.choose(1, 0, 0) == ["p0"]
    path.write_text("[]")
    with pytest.raises(StageError, match=r"yield\.json"):
        pass_rates(path)
