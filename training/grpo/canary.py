"""Held-out tasks answered greedily during a run: what a falling reward curve does not show, and a rising one hides.

Each measurement is paired with that of step 0, task by task. A drop beyond so many standard errors of the mean
difference ends the run; the best adapter so far becomes the result. To measure on the tasks that the final score is
taken from would choose the adapter by them: the ids asked stand in the run's result.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from training.errors import StageStopped
from training.generation import Wanted
from training.grpo.journal import Journal
from training.grpo.practice import Decode, Submit
from training.grpo.sampler import Sampler

Passes = Mapping[str, bool | None]
STATE, BEST = "canary.json", "best"


class Canary:
    """Callable with a step. `ask` answers and grades the tasks; `adapter` is the folder of what was measured."""

    def __init__(
        self, ask: Callable[[], Passes], adapter: Callable[[], Path], run: Path, journal: Journal, errors: float
    ) -> None:
        self._ask, self._adapter, self._run, self._journal, self._errors = ask, adapter, run, journal, errors
        path = run / STATE
        self._state: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"passes": {}, "best": None}

    def __call__(self, step: int) -> None:
        """Measure; raises StageStopped on a drop."""
        passes = self._ask()
        first = self._state["passes"].setdefault("0", dict(passes))
        self._state["passes"][str(step)] = dict(passes)
        change, error, pairs = paired(first, passes)
        known = [one for one in passes.values() if one is not None]
        rate = fmean(known) if known else 0.0
        if change < 0 and change < -self._errors * error:
            self._write()
            reason = (
                f'held-out tasks fell by "{-change:.3f}" from step 0 to step {step}, beyond {self._errors:g} standard '
                f"errors of {error:.3f} ({pairs} pairs): the best adapter is kept; lower learning_rate"
            )
            raise StageStopped(reason, "best")
        self._journal.event(step, "canary", rate=rate, change=change, error=error, pairs=pairs)
        if self._state["best"] is None or rate >= self._state["best"]["rate"]:
            self._keep(step, rate)
        self._write()

    def _keep(self, step: int, rate: float) -> None:
        """Copy the adapter: what is measured next may be worse."""
        partial = self._run / f"{BEST}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(self._adapter(), partial)
        shutil.rmtree(self._run / BEST, ignore_errors=True)
        partial.rename(self._run / BEST)
        self._state["best"] = {"step": step, "rate": rate}

    def _write(self) -> None:
        partial = self._run / f"{STATE}.partial"
        partial.write_text(json.dumps(self._state) + "\n")
        partial.replace(self._run / STATE)

    def report(self) -> dict[str, Any]:
        """The ids asked, the rate at each step, and the best step."""
        steps = self._state["passes"]
        known = {step: [one for one in passes.values() if one is not None] for step, passes in steps.items()}
        rates = {step: fmean(passes) for step, passes in known.items() if passes}
        return {"rates": rates, "best": self._state["best"], "tasks": sorted(steps.get("0", ()))}


def greedy(
    prompts: Mapping[str, list[int]], sampler: Sampler, submit: Submit, tokenizer: Decode, max_tokens: int
) -> dict[str, bool | None]:
    """Whether each item's greedy answer passes."""
    wanted = [Wanted(id_, tokens, 0.0, None, max_tokens) for id_, tokens in prompts.items()]
    waiting = {
        one.key: submit(one.key, tokenizer.decode(one.token_ids, skip_special_tokens=True))
        for one in sampler.sample(wanted)
    }
    return {id_: waiting[id_].result().passed for id_ in prompts}


def paired(before: Passes, after: Passes) -> tuple[float, float, int]:
    """Mean change of the pass rate over the items known both times, its standard error, and how many these are."""
    pairs = [(before[id_], after[id_]) for id_ in before.keys() & after.keys()]
    changes = [float(now) - float(then) for then, now in pairs if then is not None and now is not None]
    if len(changes) < 2:
        return 0.0, 0.0, len(changes)
    return fmean(changes), stdev(changes) / sqrt(len(changes)), len(changes)
