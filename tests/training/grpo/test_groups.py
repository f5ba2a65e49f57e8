"""What is counted of a step's groups, what is drawn anew, and what the canary makes of held-out tasks."""

from pathlib import Path

import pytest

from tests.training.grpo.small_run import lines, rewarded
from training.errors import StageStopped
from training.generation import Sampled, Wanted
from training.grpo.canary import Canary, paired
from training.grpo.config import CanarySettings, GrpoSettings, SchedulerSettings
from training.grpo.groups import Answered, Group, figures
from training.grpo.journal import EVENTS, Journal
from training.grpo.practice import Practice
from training.grpo.rewards import Reward
from training.grpo.scheduler import Scheduler


def group(*rewards: float | None, finish: str = "stop") -> Group:
    """A group with these rewards, 1 being a pass."""
    worth = [Reward(r, {"correct": r}, None if r is None else r == 1, "") for r in rewards]
    answers = [Answered(Sampled(f"p/{n}", [1], [0.0], finish), "", one) for n, one in enumerate(worth)]
    return Group("p", [1, 2], answers, 0)


def test_dead_groups_are_told_apart() -> None:
    """All pass, all fail, nothing known; one scored answer has nothing to be compared with."""
    tried = [group(1, 0), group(1, 1), group(0, 0), group(None, 1), group(None, None)]
    found = figures(tried, tried[:2])
    assert (found["groups/tried"], found["groups/live"], found["groups/dead_share"]) == (5, 1, 0.8)
    assert (found["groups/dead_pass"], found["groups/dead_fail"]) == (1, 1)
    assert found["answers/unscorable_share"] == pytest.approx(0.3)
    assert found["answers/effective"] == 2


def test_cut_answers_are_not_effective() -> None:
    """They are counted as truncated."""
    found = figures([group(1, 0, finish="length")], [group(1, 0, finish="length")])
    assert (found["answers/truncated_share"], found["answers/effective"]) == (1, 0)


class Echo:
    """Answers each prompt with its seed's parity, or always the same for the prompts named."""

    def __init__(self, same: set[str]) -> None:
        self.same, self.asked = same, []

    def sample(self, wanted: list[Wanted]):
        """One token: 1 or 0."""
        self.asked.append([one.key for one in wanted])
        for one in reversed(wanted):
            id_, _, n = one.key.partition("/")
            yield Sampled(one.key, [0 if id_ in self.same else int(n) % 2], [0.0], "stop")

    def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
        """The token as text."""
        return str(ids[0])


class Arrived:
    """A delivery that needs none."""

    figures: dict[str, float] = {}  # noqa: RUF012 - never written

    def deliver(self, step: int) -> None:
        """Nothing."""


def practice(echo: Echo, run: Path, ids: list[str], **scheduler: object) -> Practice:
    """Two groups of four a step."""
    settings = GrpoSettings(group=4, prompts_per_step=2, micro_rows=8)
    known = Scheduler(ids, SchedulerSettings(**scheduler), 0)
    prompts = {id_: [n] for n, id_ in enumerate(ids)}
    return Practice(prompts, known, echo, Arrived(), rewarded(float), echo, Journal(run), settings, 0)


def test_groups_without_variance_are_drawn_anew_until_the_batch_is_full(tmp_path: Path) -> None:
    """Other prompts, in further rounds; the answers stand in the order of their numbers."""
    ids = [f"p{n}" for n in range(8)]
    one = practice(Echo(set(ids[:6])), tmp_path, ids, max_rounds=9)
    batch = one(0)
    assert [prompt for prompt, _ in batch.texts] == [[6]] * 4 + [[7]] * 4 or [[7]] * 4 + [[6]] * 4
    assert batch.rewards == [0, 1, 0, 1] * 2
    assert one.figures["groups/live"] == 2 and one.figures["groups/rounds"] > 1
    samples = lines(tmp_path, "samples.jsonl")
    assert len(samples) == 4 * one.figures["groups/tried"] and sum(row["used"] for row in samples) == 8


def test_the_rounds_are_bounded(tmp_path: Path) -> None:
    """Then a group without variance fills the place: it has no gradient."""
    ids = [f"p{n}" for n in range(8)]
    echo = Echo(set(ids))
    batch = practice(echo, tmp_path, ids, max_rounds=2)(0)
    assert len(echo.asked) == 2 and batch.rewards == [0] * 8


def test_a_place_that_no_prompt_is_left_for_has_no_part(tmp_path: Path) -> None:
    """It holds a group again, without rewards."""
    batch = practice(Echo(set()), tmp_path, ["p0"])(0)
    assert batch.rewards == [0, 1, 0, 1, None, None, None, None]


def test_a_run_ends_when_no_prompt_is_left(tmp_path: Path) -> None:
    """With the adapter as it is."""
    one = practice(Echo(set()), tmp_path, ["p0", "p1"], visits=1)
    one(0)
    with pytest.raises(StageStopped) as caught:
        one(1)
    assert caught.value.keep == "current"


@pytest.mark.parametrize(
    ("before", "after", "change", "pairs"),
    [([1, 1, 0, 0], [1, 0, 0, 0], -0.25, 4), ([1, 0], [1, 1], 0.5, 2), ([1, None, 0], [0, 1, None], 0, 1)],
)
def test_pairs_are_items_known_both_times(before: list, after: list, change: float, pairs: int) -> None:
    """The others say nothing."""
    found = paired(dict(enumerate(before)), dict(enumerate(after)))
    assert (found[0], found[2]) == (change, pairs)


def canary(run: Path, rates: list[list[bool]]) -> Canary:
    """A canary that finds these passes one after the other, and an adapter named by its call."""
    found = iter(rates)

    def adapter() -> Path:
        folder = run / "now"
        folder.mkdir(exist_ok=True)
        (folder / "weights").write_text(str(len(list(run.iterdir()))))
        return folder

    return Canary(lambda: {str(n): p for n, p in enumerate(next(found))}, adapter, run, Journal(run), 2)


def test_a_small_drop_is_noise_and_a_large_one_stops(tmp_path: Path) -> None:
    """One of forty is let pass, ten stop; the best adapter before them is there."""
    good, less, bad = [True] * 20 + [False] * 20, [True] * 19 + [False] * 21, [True] * 10 + [False] * 30
    one = canary(tmp_path, [good, less, bad])
    one(0)
    kept = (tmp_path / "best/weights").read_text()
    one(50)
    with pytest.raises(StageStopped, match="fell by") as caught:
        one(100)
    assert caught.value.keep == "best"
    assert (tmp_path / "best/weights").read_text() == kept
    assert one.report()["best"] == {"step": 0, "rate": 0.5}
    assert one.report()["rates"] == {"0": 0.5, "50": 0.475, "100": 0.25}
    assert [(row["step"], row["event"]) for row in lines(tmp_path, EVENTS)] == [(0, "canary"), (50, "canary")]


def test_a_canary_goes_on_in_another_process(tmp_path: Path) -> None:
    """Step 0 is read from the file."""
    canary(tmp_path, [[True] * 40])(0)
    with pytest.raises(StageStopped):
        canary(tmp_path, [[False] * 40])(75)


def test_when_the_canary_is_asked() -> None:
    """At 0, 50 and 100, then at least every 25 steps."""
    settings = CanarySettings()
    assert [step for step in range(160) if settings.due(step)] == [0, 50, 100, 125, 150]
