"""A package's documented objects in, the statements that its doctests need before them out, found by running them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from index.sources.docstrings import PublicObject
from training.errors import TaskError
from training.sandbox import Sandbox
from training.tasks import Task, TaskSource, drafts
from training.values import Written, outcomes

SAMPLE = 60


def all_drafts(things: Sequence[PublicObject], source: TaskSource) -> list[Task]:
    """The unverified tasks of all objects, none of them held out."""
    return [
        task
        for thing in things
        for task in drafts(thing, source.package, source.preamble, source.max_per_object, 0.0, 0, source.second_input)
    ]


def with_preamble(source: TaskSource, things: Sequence[PublicObject]) -> TaskSource:
    """The source with the preamble under which most of a sample runs, the plainest of those alike.

    Raises TaskError when the docs display nothing, or nothing of it runs.
    """
    found = {text: all_drafts(things, replace(source, preamble=text)) for text in preambles(source.package, things)}
    count = len(next(iter(found.values())))
    if not count:
        raise TaskError(
            f'package "{source.package}" documents {len(things)} objects and displays no value in their doctests: '
            "choose another package, or give its prose with doctests as `docs` under `tasks` of a config"
        )
    sample = range(0, count, max(1, count // SAMPLE))
    running = {text: runs(source, [tasks[number] for number in sample]) for text, tasks in found.items()}
    best = max(running, key=lambda text: running[text])
    if not running[best]:
        raise TaskError(
            f'none of {len(sample)} doctests of package "{source.package}" runs after {" or ".join(map(repr, found))}: '
            "write a config with the preamble that they need"
        )
    return replace(source, preamble=best)


def preambles(package: str, things: Sequence[PublicObject]) -> list[str]:
    """The ways in which docs may have imported their package: whole, under the short name they use most, by name."""
    pattern = re.compile(rf"import {re.escape(package)} as (\w+)")
    aliases = Counter(name for thing in things for name in pattern.findall(thing.docstring)).most_common(1)
    shortened = [f"import {package} as {name}" for name, _ in aliases]
    return [f"import {package}", *shortened, f"from {package} import *"]


def runs(source: TaskSource, tasks: Sequence[Task]) -> int:
    """How many references run."""
    with Sandbox(source.sandbox("UTC")) as sandbox:
        found = outcomes(sandbox, (Written(task.setup, task.reference) for task in tasks))
    return sum(not outcome.error for outcome in found)
