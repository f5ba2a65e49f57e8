"""Where answers can be executed: the questions that a stage samples, with the check of each.

Questions are worded as the service words them, evidence included, so that what is learnt is what will be asked.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from index.bundle import SEARCH_DEPTH
from index.prompt import choose_evidence, with_evidence
from index.store import Index
from training.errors import StageError
from training.evaluate.benchmarks.doctests import task_item
from training.evaluate.config import BenchmarkSettings
from training.evaluate.item import Item
from training.evaluate.load import load_items
from training.evaluate.prompts import TEMPLATES
from training.leak import clean_train
from training.rows import Encode, others
from training.sandbox import SandboxConfig
from training.stages.config import ProblemSettings
from training.stages.start import Start
from training.tasks import LIMITS, Task

One = TypeVar("One")


@dataclass(frozen=True)
class Problems:
    """Items of one source; the prompt of each is the whole message of the user."""

    name: str
    items: list[Item]
    settings: BenchmarkSettings


def load_problems(settings: ProblemSettings, start: Start, encode: Encode, seed: int, nice: int = 0) -> Problems:
    """The problems of one source; raises StageError when there are none.

    Of the tasks those that share a statement with a held-out one are left out.
    """
    if settings.benchmark is None:
        usable = [task for task in clean_train(start.tasks()) if len(task.instruction) <= settings.max_characters]
        usable = [task for task in usable if task.outcome.tells or not settings.telling]
        chosen = drawn(usable, settings.draw, seed)
        items = task_items(chosen, start.index(), encode, settings.evidence_share, seed)
        asked = BenchmarkSettings(
            benchmark="doctests", name="tasks", path=start.home.run / "tasks.jsonl", sandbox=task_sandbox(start, nice)
        )
    else:
        asked = settings.benchmark
        template = TEMPLATES[asked.template or asked.kind.template]
        items = drawn(
            [replace(item, prompt=template(item.prompt).user) for item in load_items(asked)], settings.draw, seed
        )
        asked = asked.model_copy(update={"template": "plain"})
    if not items:
        raise StageError(f'problems "{asked.label}" hold "0" items: correct their source')
    return Problems(asked.label, items, asked)


def drawn(whole: Sequence[One], count: int | None, seed: int) -> list[One]:
    """So many of them, in their order; raises StageError when there are too few."""
    if count is None:
        return list(whole)
    if count > len(whole):
        raise StageError(f'draw "{count}" of {len(whole)} problems: give at most that')
    chosen = set(random.Random(seed).sample(range(len(whole)), count))
    return [one for number, one in enumerate(whole) if number in chosen]


def task_items(tasks: Sequence[Task], index: Index, encode: Encode, share: float, seed: int) -> list[Item]:
    """Training tasks as items, a share of them with what retrieval finds without their own method's examples."""
    draw = random.Random(seed)
    vectors = encode([task.instruction for task in tasks])
    items = []
    for task, vector in zip(tasks, vectors, strict=True):
        item = task_item(f'task "{task.id}"', asdict(task))
        if draw.random() < share:
            hits = choose_evidence(others(index.search(task.instruction, vector, SEARCH_DEPTH), task.name))
            message = with_evidence([{"role": "user", "content": item.prompt}], [hit.document for hit in hits])
            item = replace(item, prompt=message[0]["content"])
        items.append(item)
    return items


def task_sandbox(start: Start, nice: int) -> SandboxConfig:
    """Where the specialist's tasks run."""
    made = start.home.tasks
    preload = list(made.preload or [made.package])
    return SandboxConfig(preload=preload, environment=made.environment, limits=LIMITS, nice=nice)
