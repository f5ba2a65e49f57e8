"""The answers to one prompt, and what a step's groups came to, counted from their rewards.

TRL's own share of groups without variance is 0 under some settings, however many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from training.generation import Sampled
from training.grpo.rewards import Reward

# Below it rewards differ by rounding alone.
SAME = 1e-6


@dataclass(frozen=True)
class Answered:
    """One sampled answer with its text and what it is worth."""

    sampled: Sampled
    text: str
    reward: Reward

    @property
    def truncated(self) -> bool:
        """Whether it was cut by its length."""
        return self.sampled.finish == "length"


@dataclass(frozen=True)
class Group:
    """The answers to one prompt at one visit; `prompt_ids` are its tokens."""

    item: str
    prompt_ids: list[int]
    answers: list[Answered]
    round: int

    @property
    def rewards(self) -> list[float]:
        """Those that are known."""
        return [one.reward.total for one in self.answers if one.reward.total is not None]

    @property
    def passed(self) -> list[bool | None]:
        """The check's verdict on each."""
        return [one.reward.passed for one in self.answers]

    @property
    def live(self) -> bool:
        """Whether the known rewards differ, so that there is something to learn."""
        known = self.rewards
        return len(known) > 1 and max(known) - min(known) > SAME


def figures(tried: Sequence[Group], used: Sequence[Group]) -> dict[str, Any]:
    """Of all groups of a step; `used` are those that were trained on, live ones first.

    dead_pass and dead_fail are groups without variance whose answers all pass or all fail; effective are the answers
    that give a gradient: of a live group, scored, not truncated.
    """
    answers = [one for group in tried for one in group.answers]
    known = [one.reward.total for one in answers if one.reward.total is not None]
    verdicts = [one.reward.passed for one in answers if one.reward.passed is not None]
    dead = [group for group in tried if not group.live]
    names = list(dict.fromkeys(name for one in answers for name in one.reward.parts))
    parts = {name: [v for one in answers if (v := one.reward.parts.get(name)) is not None] for name in names}
    return {
        "groups/tried": len(tried), "groups/live": len(tried) - len(dead), "groups/dead_share": len(dead) / len(tried),
        "groups/dead_pass": sum(set(group.passed) == {True} for group in dead),
        "groups/dead_fail": sum(set(group.passed) == {False} for group in dead),
        "groups/rounds": 1 + max(group.round for group in tried),
        "answers/truncated_share": sum(one.truncated for one in answers) / len(answers),
        "answers/unscorable_share": 1 - len(known) / len(answers),
        "answers/effective": sum(effective(group) for group in used),
        "answers/pass_rate": fmean(verdicts) if verdicts else None,
        "answers/reward": fmean(known) if known else None,
        **{f"answers/{name}": fmean(values) if values else None for name, values in parts.items()},
    }  # fmt: skip


def effective(group: Group) -> int:
    """The answers of a group that give a gradient."""
    return sum(one.reward.total is not None and not one.truncated for one in group.answers) if group.live else 0
