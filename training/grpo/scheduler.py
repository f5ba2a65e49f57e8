"""Prompts and what came of them in, the prompts to ask next out.

Groups whose answers are all right or all wrong teach nothing, and with prompts of uneven difficulty most groups are of
that kind; so prompts are chosen by their last pass rate. Every draw depends on seed, step and round alone, so that a
run that goes on from a checkpoint draws what the killed one would have drawn.
"""

import json
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.errors import StageError
from training.grpo.config import SchedulerSettings


@dataclass
class Record:
    """One prompt's history: visits, the pass rate of the last one, and how many in a row were solved whole."""

    visits: int = 0
    rate: float | None = None
    solved: int = 0


class Scheduler:
    """The prompts of a run by id."""

    def __init__(self, ids: Sequence[str], settings: SchedulerSettings, seed: int) -> None:
        self._records = {id_: Record() for id_ in ids}
        self.settings, self._seed = settings, seed

    def choose(self, count: int, step: int, round_: int, taken: Collection[str] = ()) -> list[str]:
        """At most `count` prompts for a round of a step, none of those taken; fewer when there are no more."""
        draw = random.Random(f"{self._seed}/{step}/{round_}")
        inside, unknown, outside = self._pools(taken)
        chosen = []
        for _ in range(count):
            first, second = (unknown, inside) if draw.random() < self.settings.explore else (inside, unknown)
            pool = first or second or outside
            if not pool:
                break
            chosen.append(pool.pop(draw.randrange(len(pool))))
        return chosen

    def _pools(self, taken: Collection[str]) -> tuple[list[str], list[str], list[str]]:
        """Of the prompts that may be asked: those within the window, those never asked, the others."""
        inside, unknown, outside = [], [], []
        for id_, record in self._records.items():
            if id_ in taken or record.visits >= self.settings.visits or record.solved >= self.settings.solved:
                continue
            if record.rate is None:
                unknown.append(id_)
            elif self.settings.lowest <= record.rate <= self.settings.highest:
                inside.append(id_)
            else:
                outside.append(id_)
        return inside, unknown, outside

    def record(self, id_: str, passed: Sequence[bool | None]) -> None:
        """What came of one visit; answers of which nothing is known do not count."""
        record = self._records[id_]
        record.visits += 1
        known = [one for one in passed if one is not None]
        if known:
            record.rate = sum(known) / len(known)
            record.solved = record.solved + 1 if record.rate == 1 else 0

    def know(self, rates: Mapping[str, float]) -> int:
        """Take over pass rates measured before the run; returns how many of the prompts they name."""
        known = rates.keys() & self._records.keys()
        for id_ in known:
            self._records[id_].rate = rates[id_]
        return len(known)

    def figures(self) -> dict[str, int]:
        """How many prompts are left, retired and within the window."""
        inside, unknown, outside = self._pools(())
        retired = sum(record.solved >= self.settings.solved for record in self._records.values())
        return {
            "prompts/inside": len(inside), "prompts/unknown": len(unknown), "prompts/outside": len(outside),
            "prompts/retired": retired,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """What JSON can hold, of the prompts visited or known."""
        return {id_: asdict(record) for id_, record in self._records.items() if record != Record()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; raises StageError when it names prompts that this run does not have."""
        if strange := state.keys() - self._records.keys():
            raise StageError(
                f'checkpoint knows the prompt "{min(strange)}", which the problems do not hold: delete the run folder'
            )
        for id_, record in state.items():
            self._records[id_] = Record(**record)


def pass_rates(path: Path) -> dict[str, float]:
    """Pass rates by problem from a verified_sft run's yield.json; raises StageError when it cannot be read."""
    try:
        found = json.loads(path.read_text())
        problems = {id_: one for source in found.values() for id_, one in source["problem"].items()}
        return {id_: one["passed"] / one["samples"] for id_, one in problems.items() if one["samples"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(
            f'pass rates "{path}" cannot be read ({error!r}): name the yield.json of a verified_sft run'
        ) from error
