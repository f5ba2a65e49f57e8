"""A benchmark is checked before any model is: each reference must pass, and the empty answer must not.

What fails is a broken row. A score on broken rows would be one of the benchmark, not of the model, so evaluation
refuses them until the config leaves them out by name, which every report then says.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from training.errors import BenchmarkError
from training.evaluate.grade import Grader
from training.evaluate.item import Item

SHOWN = 10


@dataclass(frozen=True)
class Broken:
    """An item whose check does not tell right from wrong, and how that showed.

    `certain` is False where the sandbox could say nothing, which may be the machine's doing.
    """

    id: str
    reason: str
    certain: bool = True


def broken_items(items: list[Item], grader: Grader, workers: int) -> Iterator[Broken | None]:
    """For each item as it is done: what is broken about it, or None."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda item: examine(item, grader), items)


def examine(item: Item, grader: Grader) -> Broken | None:
    """One item."""
    if item.reference is not None:
        grade = grader.grade(item, item.reference)
        if not all(grade.scores.values()):
            return Broken(item.id, f"its reference fails: {grade.status} {grade.detail}".strip()[:300], grade.counts)
    empty = grader.grade(item, "")
    if not empty.counts:
        return Broken(item.id, f"its check cannot be run: {empty.detail}"[:300], certain=False)
    return Broken(item.id, "the empty answer passes") if empty.passed else None


def refuse(benchmark: str, broken: list[Broken], total: int) -> None:
    """Raise BenchmarkError when a row is broken."""
    if not broken:
        return
    shown = "; ".join(f'"{row.id}": {row.reason}' for row in broken[:SHOWN])
    more = f"; and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    ids = json.dumps([row.id for row in broken[:SHOWN]])
    raise BenchmarkError(
        f'benchmark "{benchmark}": {len(broken)} of {total} rows are broken: {shown}{more}. '
        f"Leave them out with `exclude: {ids}`, or raise the sandbox's limits"
    )


def remembered(folder: Path, key: str) -> list[Broken] | None:
    """What an earlier check of the same items under the same limits found; None when there was none."""
    path = folder / f"{key}.json"
    return [Broken(**row) for row in json.loads(path.read_text())] if path.is_file() else None


def remember(folder: Path, key: str, broken: list[Broken]) -> None:
    """Keep what a check found, unless another try may find something else."""
    if not all(row.certain for row in broken):
        return
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{key}.partial"
    partial.write_text(json.dumps([asdict(row) for row in broken]) + "\n")
    partial.replace(folder / f"{key}.json")
