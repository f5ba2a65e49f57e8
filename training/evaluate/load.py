"""A benchmark's settings in, its items out: from its source, without doubles, less what is left out."""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from index.bundle import SEARCH_DEPTH, check_encoder
from index.embed import CachedEncoder, load_encoder
from index.load import load_index
from index.prompt import choose_evidence, gate_query, with_evidence
from training.errors import BenchmarkError
from training.evaluate.benchmarks.doctests import package_task_rows
from training.evaluate.config import MBPP_SPLITS, BenchmarkSettings
from training.evaluate.item import Item
from training.evaluate.sources import Row, dataset_rows, file_rows
from training.task_settings import TaskSettings
from training.tasks import TaskSource

DRAW_SEED = 0


def load_items(settings: BenchmarkSettings) -> list[Item]:
    """All items to ask; raises BenchmarkError on doubles, an empty set, or an excluded id that is not there."""
    where_of: dict[str, str] = {}
    items: dict[str, Item] = {}
    for where, row in rows_of(settings):
        item = settings.kind.item(where, row)
        if item.id in items:
            raise BenchmarkError(f'{where} has the id "{item.id}" of {where_of[item.id]}: delete one of them')
        items[item.id], where_of[item.id] = item, where
    if not items:
        raise BenchmarkError(f'benchmark "{settings.label}" holds no item: correct its path, dataset or tasks')
    for id_ in settings.exclude:
        if items.pop(id_, None) is None:
            raise BenchmarkError(f'exclude names "{id_}", which benchmark "{settings.label}" does not hold: correct it')
    if not items:
        raise BenchmarkError(f'exclude leaves nothing of benchmark "{settings.label}": name fewer ids')
    asked = drawn(list(items.values()), settings)
    return asked if settings.evidence is None else informed(asked, settings.evidence)


def informed(items: list[Item], folder: Path) -> list[Item]:
    """The items with what an index finds for each before it, in the words of the service."""
    index = load_index(folder)
    encoder = CachedEncoder(load_encoder(index.encoder))
    check_encoder(folder, index, encoder)
    queries = [gate_query([{"role": "user", "content": item.prompt}]) for item in items]
    found = []
    for item, query, vector in zip(items, queries, encoder.encode(queries), strict=True):
        hits = choose_evidence(index.search(query, vector, SEARCH_DEPTH))
        message = with_evidence([{"role": "user", "content": item.prompt}], [hit.document for hit in hits])
        found.append(replace(item, prompt=message[0]["content"]))
    return found


def drawn(items: list[Item], settings: BenchmarkSettings) -> list[Item]:
    """The items to ask, in their order; raises BenchmarkError when there are too few."""
    if settings.draw is None:
        return items
    if settings.draw > len(items):
        raise BenchmarkError(
            f'draw "{settings.draw}" of "{settings.label}", which holds {len(items)}: give at most that'
        )
    chosen = set(random.Random(DRAW_SEED).sample(range(len(items)), settings.draw))
    return [item for number, item in enumerate(items) if number in chosen]


def rows_of(settings: BenchmarkSettings) -> Iterator[tuple[str, Row]]:
    """(where, row) pairs from the source that the settings name, else from the benchmark's own."""
    kind = settings.kind
    if settings.path is not None:
        yield from split_of(settings, file_rows(settings.path))
    elif settings.tasks is not None:
        yield from package_task_rows(source_of(settings.tasks))
    elif settings.dataset is None and kind.rows is not None:
        yield from kind.rows()
    else:
        name, subset = (settings.dataset, settings.subset) if settings.dataset else (kind.dataset, kind.subset)
        yield from dataset_rows(name, subset, settings.split or kind.split, settings.revision)


def split_of(settings: BenchmarkSettings, rows: Iterable[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
    """The rows of a file that may be scored: held-out tasks, one split of MBPP by its ids; of other files all."""
    low, high = MBPP_SPLITS[settings.split or "test"]
    for where, row in rows:
        id_ = row.get("task_id")
        if settings.benchmark in ("doctests", "misleading") and row.get("split") != "held_out":
            continue
        if settings.benchmark == "mbpp" and type(id_) is int and not low <= id_ <= high:
            continue
        yield where, row


def source_of(settings: TaskSettings) -> TaskSource:
    """All tasks of a package: a model that was not trained on it is held out from everything."""
    return TaskSource(
        settings.package, settings.preamble, settings.max_per_object, 0.0, 0, settings.environment, settings.display,
        tuple(settings.preload),
    )  # fmt: skip


def fingerprint(items: list[Item]) -> str:
    """Hash of everything that items ask and check."""
    text = json.dumps([[item.id, item.prompt, repr(item.check), item.reference] for item in items])
    return hashlib.sha256(text.encode()).hexdigest()
