"""One benchmark under one condition and decoding: ask what is missing, grade while the rest is generated."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.evaluate.answers import Answer, Answerer, AnswerFile, Facts, Question, Way
from training.evaluate.config import BenchmarkSettings, Condition, Decoding, resolve, sandbox_of, slug
from training.evaluate.grade import Graded, GradeFile, Grader, rules_of
from training.evaluate.item import Grade, Item
from training.evaluate.prompts import TEMPLATES
from training.evaluate.scores import group
from training.sandbox import Sandbox

Advance = Callable[[int], Any]


@dataclass(frozen=True)
class Bench:
    """A benchmark ready to be asked: its settings, items, their hash, and where programs run."""

    settings: BenchmarkSettings
    items: list[Item]
    items_hash: str
    sandbox: Sandbox


@dataclass(frozen=True)
class Cell:
    """What came of one benchmark under one condition and decoding; answers by their questions' keys."""

    bench: Bench
    way: Way
    answers: Mapping[str, Answer]
    samples: dict[str, list[Graded]]
    pace: Facts
    answered_by: Facts

    @property
    def facts(self) -> Facts:
        """How it was asked and graded, for the reports."""
        resolved = self.way.resolved
        return {
            **self.way.settings, "extraction": resolved.extraction or "by rule",
            "limits": resolved.limits.model_dump(), "isolation": self.bench.sandbox.isolation,
            "samples": self.way.decoding.samples, "items_hash": self.bench.items_hash[:16],
            "excluded": self.bench.settings.exclude, "drawn": self.bench.settings.draw, "pace": self.pace,
            "answered_by": self.answered_by,
        }  # fmt: skip


def questions_of(bench: Bench, way: Way) -> list[tuple[Item, Question]]:
    """Every sample wanted of every item; the seeds of the samples count up."""
    render, decoding = TEMPLATES[way.resolved.template], way.decoding
    return [
        (item, Question(render(item.prompt), n, decoding.seed + n if decoding.temperature else None))
        for item in bench.items
        for n in range(decoding.samples)
    ]


class Grading:
    """Grades answers in the sandbox's threads as they come."""

    def __init__(self, bench: Bench, way: Way, folder: Path, answers: AnswerFile) -> None:
        rules = rules_of(bench.items_hash, way.resolved, sandbox_of(bench.settings))
        self.file = GradeFile(folder, slug(bench.settings.label), answers.path, rules)
        self._grader = Grader(bench.sandbox, way.resolved.limits, way.resolved.extraction)
        self._pool = ThreadPoolExecutor(bench.sandbox.workers)
        self._wanted: dict[str, list[tuple[Item, int]]] = {}
        for item, question in questions_of(bench, way):
            self._wanted.setdefault(question.key, []).append((item, question.sample))
        self._futures: list[Future[None]] = []

    def add(self, answer: Answer) -> None:
        """Hand an answer over, for each item that asked its question and has no grade yet."""
        for item, sample in self._wanted.get(answer.key, ()):
            if (item.id, sample) not in self.file.known:
                self._futures.append(self._pool.submit(self._grade, item, sample, answer))

    def _grade(self, item: Item, sample: int, answer: Answer) -> None:
        try:
            grade = self._grader.grade(item, answer.text)
        except Exception as error:  # a mistake of ours: the answer's verdict is unknown, and the others go on
            failed = dict.fromkeys(item.check.rules, False)
            grade = Grade(failed, "infrastructure_error", f"{type(error).__name__}: {error}"[:300], counts=False)
        self.file.keep(item, sample, answer, grade)

    def finish(self) -> list[Graded]:
        """Wait for all; the grades of the samples wanted."""
        for future in self._futures:
            future.result()
        wanted = [(item.id, sample) for many in self._wanted.values() for item, sample in many]
        return [self.file.known[key] for key in wanted]

    def close(self) -> None:
        """Give up what was not begun."""
        self._pool.shutdown(cancel_futures=True)


def measure(
    bench: Bench, condition: Condition, decoding: Decoding, answerer: Answerer, output: Path, advance: Advance
) -> Cell:
    """Ask, keep and grade; what the output folder holds already is neither asked nor graded again."""
    way = Way(condition, decoding, resolve(bench.settings, condition))
    identity = answerer.identity(condition.model)
    answers = AnswerFile(output / "answers", way, identity)
    questions = [question for _, question in questions_of(bench, way)]
    missing = answers.missing(questions)
    grading = Grading(bench, way, output / "grades", answers)
    tokens = [0, 0]
    try:
        for answer in list(answers.known.values()):
            grading.add(answer)
        advance(len(questions) - len(missing))
        if missing:
            answerer.start(condition.model)
        started = time.perf_counter()
        for answer in answers.keep(answerer.answers(missing, way)) if missing else ():
            grading.add(answer)
            tokens = [tokens[0] + answer.prompt_tokens, tokens[1] + answer.completion_tokens]
            advance(1)
        generated_s = time.perf_counter() - started
        samples = grading.finish()
        took = {"generated_s": generated_s, "graded_s": time.perf_counter() - started}
    finally:
        grading.close()
    pace = paced(output / "pace.jsonl", grading.file.path.stem, len(missing), tokens, took)
    return Cell(bench, way, answers.known, group(samples), pace, identity)


def paced(path: Path, cell: str, asked: int, tokens: list[int], took: dict[str, float]) -> Facts:
    """Rates over all runs that asked for something of this cell, this one's line added to the file."""
    if asked:
        line = {"cell": cell, "asked": asked, "prompt_tokens": tokens[0], "completion_tokens": tokens[1], **took}
        with path.open("a") as file:
            file.write("\n" + json.dumps(line) + "\n")
    mine = [line for line in pace_lines(path) if line["cell"] == cell]
    if not mine:
        return {}
    total = {name: sum(line[name] for line in mine) for name in mine[0] if name != "cell"}
    seconds = total["graded_s"]
    return {
        "answers": total["asked"], "runs": len(mine), "generated_s": round(total["generated_s"], 1),
        "with_grading_s": round(seconds, 1), "prompt_tokens": total["prompt_tokens"],
        "completion_tokens": total["completion_tokens"],
        "tokens_per_s": round(total["completion_tokens"] / seconds, 1),
        "answers_per_s": round(total["asked"] / seconds, 3),
    }  # fmt: skip


def pace_lines(path: Path) -> Iterator[Facts]:
    """The whole lines of a pace file; one that a kill cut is passed over."""
    for line in path.read_text().split("\n") if path.is_file() else ():
        with suppress(ValueError):
            if line:
                yield json.loads(line)
