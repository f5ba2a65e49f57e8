"""Sources in, queries with a known outcome out.

Queries of every outcome take the same forms (instructions with code, plain questions, stubs), so that the form tells
nothing; some of those for the specialist do not name its library, and some of those against it do. Problems of
HumanEval are left out everywhere: what routing is measured on may not calibrate it.
"""

import gzip
import json
import math
import random
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from index.calibration import Outcome, Route
from index.sources.docstrings import PublicObject
from index.sources.package import public_objects
from training.errors import TaskError
from training.evaluate.benchmarks.code import entry_points
from training.evaluate.outcomes import FILE
from training.gate.config import Executed, LabelSettings, QuerySet
from training.gate.perturb import other_api
from training.leak import clean_train
from training.rows import how_to
from training.tasks import Task, drafts, first_sentences, read_tasks

DEFINED = re.compile(r"\bdef (\w+)")


@dataclass(frozen=True)
class Query:
    """One labelled query; `method` is the documented method it was made from, whose own examples it may not find.

    `logprobs` are those of its executed answers' tokens, where they were kept.
    """

    text: str
    outcome: Outcome
    source: str
    group: str = ""
    method: str = ""
    logprobs: Mapping[Route, Sequence[float]] = field(default_factory=dict, hash=False)


def labelled_queries(settings: LabelSettings, names: Sequence[str], rivals: Sequence[str], seed: int) -> list[Query]:
    """All queries of a configuration; a text that two sources share keeps its first. `names`, `rivals`: the library's.

    A problem that was executed stands in no set: what execution says of it and what its domain says would both count.
    """
    executed = [query for one in settings.executed for query in executed_queries(one)]
    asked = "\n".join(query.text for query in executed)
    sources = (set_queries(one, names, rivals, seed, asked) for one in settings.sets)
    found: dict[str, Query] = {}
    for query in chain(executed, chain.from_iterable(sources)):
        found.setdefault(query.text, query)
    return list(found.values())


def set_queries(
    settings: QuerySet, names: Sequence[str], rivals: Sequence[str], seed: int, executed: str = ""
) -> list[Query]:
    """The queries of one set, drawn, some of them naming the library; raises TaskError when there are none.

    Left out is what the questions `executed` hold.
    """
    draw = random.Random(f"{settings.name}:{seed}")
    queries = [q for q in read(settings, seed) if q.text not in executed and not asks_benchmark(q.text)]
    if not queries:
        raise TaskError(f'query set "{settings.name}" holds "0" queries: correct its source')
    if settings.draw is not None and settings.draw < len(queries):
        queries = draw.sample(queries, settings.draw)
    if settings.rival:
        return [replace(query, text=about_rival(query.text, settings, names, rivals, draw)) for query in queries]
    if settings.stuffed:
        return [replace(query, text=stuffed(query.text, names, draw), group=query.text) for query in queries]
    return [
        replace(
            query,
            text=f"We use {names[0]} at work. {query.text}",
            source=f"{query.source}, named",
            group=query.group or query.text,
        )
        if draw.random() < settings.named
        else query
        for query in queries
    ]


def about_rival(text: str, settings: QuerySet, names: Sequence[str], rivals: Sequence[str], draw: random.Random) -> str:
    """The same question about one of the rivals; raises TaskError where none is known."""
    if not rivals:
        raise TaskError(f'query set "{settings.name}" asks about rivals, and "rivals" is empty: name some, or drop it')
    start = draw.randrange(0, len(rivals), len(names))  # so that polars, pl become pandas, pd or numpy, np
    return other_api(names, [*rivals[start:], *rivals[:start]])(text, draw)


def stuffed(text: str, names: Sequence[str], draw: random.Random) -> str:
    """The library's words around a question about something else."""
    name = names[0].capitalize()
    before, after = draw.choice(
        [
            (f"I love {name}. {name} is the best library. Our whole team uses {name} every day. ", ""),
            (f"{name} {name} {name}: ", f" {name}!"),
            (f"You are a {name} expert. ", f" Answer as the {name} documentation would."),
            (f"```python\nimport {names[0]}\n```\nThat works. Another question: ", ""),
            ("", f" (PS: I am new to {name}, thanks for all the help with {name} so far.)"),
        ]
    )
    return f"{before}{text}{after}"


def read(settings: QuerySet, seed: int) -> Iterator[Query]:
    """The queries of a set's source, in its order."""
    if settings.tasks:
        yield from task_queries(existing(settings.tasks), settings, seed)
    elif settings.package:
        texts = package_queries(settings.package, seed)
        yield from (Query(text, settings.outcome, settings.name) for text in texts)
    elif settings.list:
        lines = text_lines(settings.list)
        yield from (Query(line, settings.outcome, settings.name) for line in lines if line.strip())
    elif settings.lines:
        texts = json_lines(settings.lines, settings.text)
        yield from (Query(text, settings.outcome, settings.name) for text in texts)


def existing(path: Path) -> Path:
    """The path; raises TaskError when there is no such file."""
    if not path.is_file():
        raise TaskError(f'file of queries "{path}" does not exist: correct the path')
    return path


def text_lines(path: Path) -> list[str]:
    """The lines of a file, plain or .gz; raises TaskError where it is not UTF-8 text, or cannot be unpacked."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(existing(path), "rt", encoding="utf-8") as file:
            return file.read().splitlines()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise TaskError(f'file of queries "{path}" cannot be read ({error}): save it as UTF-8 text') from error


def json_lines(path: Path, key: str) -> Iterator[str]:
    """The texts under a key; raises TaskError naming file and line."""
    for number, line in enumerate(text_lines(path), 1):
        try:
            text = json.loads(line)[key]
        except (ValueError, TypeError, KeyError) as error:
            raise TaskError(f'"{path}" line {number} has no text under "{key}" ({error}): correct it') from error
        if not isinstance(text, str) or not text.strip():
            raise TaskError(f'"{path}" line {number} has "{text}" under "{key}", no question: correct it')
        yield text


def task_queries(path: Path, settings: QuerySet, seed: int) -> Iterator[Query]:
    """One query for each method's first training task: its instruction, a question, or one without the name."""
    draw = random.Random(seed)
    tasks = clean_train(read_tasks(path))
    for task in {task.symbol: task for task in reversed(tasks)}.values():
        form = draw.choice(("instruction", "question", "nameless"))
        text = task.instruction if form == "instruction" else asked(task, nameless=form == "nameless")
        yield Query(text, settings.outcome, f"{settings.name}, {form}", f"method {task.name}", task.name)


def asked(task: Task, *, nameless: bool) -> str:
    """A task's plain question, with or without the library's name."""
    package = task.id.partition(":")[0]
    return how_to(task).replace(f" in {package.capitalize()}", "") if nameless else how_to(task)


def package_queries(package: str, seed: int) -> Iterator[str]:
    """Queries from a package's docs, one an object: an instruction where it has doctests, a question, or a stub."""
    draw = random.Random(f"{package}:{seed}")
    for thing in public_objects(package):
        if len(thing.prose.split()) < 4:
            continue
        instructions = [task.instruction for task in drafts(thing, package, f"import {package}", 1, 0.0, 0)]
        sentence = first_sentences(thing.prose, 160).rstrip(".")
        question = f"How do I do this in {package}: {sentence[:1].lower()}{sentence[1:]}? Show a short example."
        yield draw.choice([*instructions, *instructions, question, stub(thing)])


def stub(thing: PublicObject) -> str:
    """A completion request for a function with this name and prose: the form in which editors and benchmarks ask."""
    name = thing.symbol.rsplit(".", 1)[-1]
    return (
        f'Complete this function:\n```python\ndef {name}{thing.signature or "(value)"}:\n    """{thing.prose}"""\n```'
    )


def asks_benchmark(query: str) -> bool:
    """Whether a query defines a function that HumanEval asks for."""
    return not entry_points().isdisjoint(DEFINED.findall(query))


def executed_queries(settings: Executed) -> Iterable[Query]:
    """The questions of an evaluation by who passed them; left out where a verdict is unknown."""
    path = settings.run / FILE
    found = []
    for number, line in enumerate(text_lines(path), 1):
        row = outcome_row(line, f'"{path}" line {number}')
        if row["benchmark"] != settings.benchmark or row["decoding"] != "greedy":
            continue
        for label in (settings.base, settings.specialist):
            if label not in row["passed"]:
                raise TaskError(f'"{path}" has no condition "{label}" for "{settings.benchmark}": evaluate it')
        base, specialist = row["passed"][settings.base][0], row["passed"][settings.specialist][0]
        if base is not None and specialist is not None:
            group = f"{settings.name} {row['cluster'] or row['id']}"
            logprobs = kept_logprobs(row, settings, f'"{path}" line {number}')
            found.append(Query(row["question"], quadrant(base, specialist), settings.name, group, logprobs=logprobs))
    if not found:
        raise TaskError(f'"{path}" holds no greedy answers to "{settings.benchmark}": correct the name')
    return found


def outcome_row(line: str, place: str) -> dict[str, Any]:
    """One line of outcomes.jsonl; raises TaskError where a key of it is missing."""
    try:
        row = json.loads(line)
        return {**row, **{key: row[key] for key in ("benchmark", "decoding", "passed", "question", "cluster", "id")}}
    except (ValueError, TypeError, KeyError) as error:
        raise TaskError(f"{place} is no outcome ({error}): evaluate again") from error


def kept_logprobs(row: Mapping[str, Any], settings: Executed, place: str) -> dict[Route, Sequence[float]]:
    """The log-probabilities of the two answers; an answer without any, or without tokens, is left out."""
    labels: Mapping[Route, str] = {"base": settings.base, "specialist": settings.specialist}
    kept = row.get("logprobs") or {}
    found: dict[Route, Sequence[float]] = {
        route: kept[label][0] for route, label in labels.items() if kept.get(label) and kept[label][0]
    }
    for route, logprobs in found.items():
        if wrong := [one for one in logprobs if not isinstance(one, int | float) or not math.isfinite(one)]:
            raise TaskError(f'{place} has the log-probability "{wrong[0]}" for "{labels[route]}": evaluate it again')
    return found


def quadrant(base: bool, specialist: bool) -> Outcome:
    """Who of the two passes, in one word."""
    if base:
        return "safe" if specialist else "loss"
    return "rescue" if specialist else "hard"
