"""`pointsman evaluate CONFIG`: every benchmark under every condition and decoding, graded, compared, reported.

The output folder keeps answers/ and grades/, so a killed run goes on where it was; scores.jsonl, results.json and
report.html are made from them at the end.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from index.config import read_config
from index.folder import make_folder
from training.errors import BenchmarkError
from training.evaluate.answers import Answerer
from training.evaluate.config import BenchmarkSettings, EvaluateConfig, asked_under, resolve, sandbox_of
from training.evaluate.grade import Grader, rules_of
from training.evaluate.item import Item
from training.evaluate.load import fingerprint, load_items
from training.evaluate.measure import Bench, Cell, measure
from training.evaluate.offline import Offline
from training.evaluate.report import write_reports
from training.evaluate.self_check import Broken, broken_items, refuse, remember, remembered
from training.evaluate.service import Service
from training.sandbox import Sandbox

Loaded = list[tuple[BenchmarkSettings, list[Item]]]


class Rate(ProgressColumn):
    """Answers, or checked items, a second."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        return Text(f"{task.speed:.2f}/s" if task.speed else "")


def progress() -> Progress:
    """A bar with count, rate and time left."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn(),
        TextColumn("left"),
    )  # fmt: skip


def main(path: Path, check_only: bool = False) -> None:
    """Evaluate as the config says, or only check its benchmarks."""
    config = read_config(path, EvaluateConfig)
    make_folder(config.output)
    loaded = [(settings, load_items(settings)) for settings in config.benchmarks]
    with alone(config.output), progress() as bar:
        check_all(config, loaded, bar)
        if check_only:
            return
        with opened(config) as answerer:
            cells = [cell for settings, items in loaded for cell in cells_of(config, settings, items, answerer, bar)]
    write_reports(config, cells)


def check_all(config: EvaluateConfig, loaded: Loaded, bar: Progress) -> None:
    """Check every benchmark before any model is asked; raises BenchmarkError naming all broken rows."""
    failures = []
    for settings, items in loaded:
        broken = check(config, settings, items, bar)
        without = sum(item.reference is None for item in items)
        note = f", {without} have no reference" if without else ""
        bar.console.print(f"{settings.label}: {len(items)} items, {len(broken)} broken{note}", highlight=False)
        try:
            refuse(settings.label, broken, len(items))
        except BenchmarkError as error:
            failures.append(str(error))
    if failures:
        raise BenchmarkError("\n".join(failures))


def check(config: EvaluateConfig, settings: BenchmarkSettings, items: list[Item], bar: Progress) -> list[Broken]:
    """The benchmark's broken rows under the baseline's limits, from an earlier check where there was one."""
    baseline = next(c for c in config.conditions if c.label == config.baseline)
    resolved = resolve(settings, baseline)
    rules = json.dumps(rules_of(fingerprint(items), resolved, sandbox_of(settings)))
    folder, key = config.output / "self-check", hashlib.sha256(rules.encode()).hexdigest()[:16]
    found = remembered(folder, key)
    if found is None:
        task, found = bar.add_task(f"{settings.label} self-check", total=len(items)), []
        with Sandbox(sandbox_of(settings)) as sandbox:
            grader = Grader(sandbox, resolved.limits, settings.kind.extraction)
            for broken in broken_items(items, grader, sandbox.workers):
                bar.advance(task)
                found += [broken] if broken else []
        remember(folder, key, found)
    return found


def cells_of(
    config: EvaluateConfig, settings: BenchmarkSettings, items: list[Item], answerer: Answerer, bar: Progress
) -> Iterator[Cell]:
    """Every condition and decoding of one benchmark."""
    with Sandbox(sandbox_of(settings)) as sandbox:
        bench = Bench(settings, items, fingerprint(items), sandbox)
        for condition in asked_under(config, settings):
            for decoding in config.decodings:
                name = f"{settings.label} {condition.label} {decoding.label}"
                task = bar.add_task(escape(name), total=len(items) * decoding.samples)
                yield measure(bench, condition, decoding, answerer, config.output, partial(bar.advance, task))


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """Refuse a second run in the same folder: both would write the same files."""
    with (output / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BenchmarkError(
                f'another evaluation writes to "{output}": wait for it, or name another output'
            ) from error
        yield


@contextmanager
def opened(config: EvaluateConfig) -> Iterator[Answerer]:
    """What answers, as the config says; given back at the end."""
    answerer: Answerer
    if config.offline is not None:
        answerer = Offline(config.offline)
    else:
        answerer = Service(str(config.service), config.concurrency)
    try:
        for condition in config.conditions:
            answerer.identity(condition.model)  # what is not there is refused before anything is checked
        yield answerer
    finally:
        answerer.close()
