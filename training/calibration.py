"""Training tasks and other packages' docs in, the bundle's first calibration out.

Labels say whose documentation a query comes from (labels: "domain"), not whose answer passed: the stated probability
is that the query belongs to the specialist's library. Queries of both labels take the same forms, so that the form
tells nothing; some positives do not name the library, and some negatives do.

Positives see the index as a held-out method does: without examples of their own method.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from index.bundle import SEARCH_DEPTH
from index.calibrate import Calibration, Example, calibrate
from index.documents import PublicObject, public_objects
from index.features import FEATURES, Vocabulary
from index.store import Index
from training.config import CalibrationSettings
from training.errors import TaskError
from training.evaluate.benchmarks.code import entry_points
from training.rows import Encode, how_to, others
from training.tasks import Task, drafts, first_sentences

DEFINED = re.compile(r"\bdef (\w+)")
PROBABILITY_OF = "the query is about the specialist's library, as opposed to the out-of-domain queries it was fitted on"


def positive_queries(tasks: Sequence[Task], package: str, seed: int) -> Iterator[tuple[str, str]]:
    """(query, method name) for each object's first task: its instruction, a question, or one without the name."""
    draw = random.Random(seed)
    first = {task.symbol: task for task in reversed(tasks)}
    for task in first.values():
        form = draw.choice(("instruction", "question", "nameless"))
        question = how_to(task)
        if form == "nameless":
            question = question.replace(f" in {package.capitalize()}", "")
        yield (task.instruction if form == "instruction" else question), task.name


def asks_benchmark(query: str) -> bool:
    """Whether a query defines a function that HumanEval asks for: what routing is measured on may not calibrate it."""
    return not entry_points().isdisjoint(DEFINED.findall(query))


def stub(thing: PublicObject) -> str:
    """A completion request for a function with this name and prose: the form in which editors and benchmarks ask."""
    name = thing.symbol.rsplit(".", 1)[-1]
    return (
        f'Complete this function:\n```python\ndef {name}{thing.signature or "(value)"}:\n    """{thing.prose}"""\n```'
    )


def other_queries(package: str, count: int, seed: int) -> list[str]:
    """Queries from another package's docs: task instructions where it has doctests, questions, function stubs."""
    draw = random.Random(f"{package}:{seed}")
    things = [thing for thing in public_objects(package) if len(thing.prose.split()) >= 4]
    queries = []
    for thing in draw.sample(things, min(count, len(things))):
        instructions = [task.instruction for task in drafts(thing, package, f"import {package}", 1, 0.0, 0)]
        sentence = first_sentences(thing.prose, 160).rstrip(".")
        question = f"How do I do this in {package}: {sentence[:1].lower()}{sentence[1:]}? Show a short example."
        queries.append(draw.choice([*instructions, *instructions, question, stub(thing)]))
    return queries


def negative_queries(settings: CalibrationSettings, seed: int) -> Iterator[tuple[str, str]]:
    """(query, stratum) out of domain: from other packages and the written list; one in ten names the library all the
    same. A stratum is a source, with or without the name.
    """
    if not settings.queries.is_file():
        raise TaskError(f'calibration queries "{settings.queries}" do not exist: name a text file, one query a line')
    draw = random.Random(seed)
    written = [line for line in settings.queries.read_text("utf-8").splitlines() if line.strip()]
    if known := [line for line in written if asks_benchmark(line)]:
        raise TaskError(f'"{settings.queries}" holds a problem of HumanEval, "{known[0]}": leave it out')
    sources = dict.fromkeys(written, "written")
    for package in settings.other_packages:
        for query in other_queries(package, settings.queries_per_package, seed):
            if not asks_benchmark(query):
                sources.setdefault(query, package)
    for query, source in sources.items():
        if draw.random() < 0.1:
            yield f"We use {settings.names[0]} at work. {query}", f"{source}, named"
        else:
            yield query, source


def first_calibration(
    tasks: Sequence[Task], index: Index, encode: Encode, settings: CalibrationSettings, package: str, seed: int
) -> Calibration:
    """Fit the gate on the training tasks' queries against everyone else's."""
    positives = list(positive_queries(tasks, package, seed))
    negatives = list(negative_queries(settings, seed))
    vocabulary, examples = Vocabulary(index, settings.names, settings.rivals), []
    vectors = iter(encode([query for query, _ in positives + negatives]))
    for query, name in positives:
        hits = others(index.search(next(vectors), SEARCH_DEPTH), name)
        examples.append(Example(query, vocabulary.features(query, hits), True, group=f"method {name}"))
    for query, stratum in negatives:
        hits = index.search(next(vectors), SEARCH_DEPTH)
        examples.append(Example(query, vocabulary.features(query, hits), False, stratum))
    return calibrate(
        examples, FEATURES, alpha=settings.alpha, delta=settings.delta, labels="domain",
        probability_of=PROBABILITY_OF, seed=seed,
    )  # fmt: skip


def file_hash(path: Path) -> str:
    """SHA-256 of a data file, for the manifest."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
