"""Answers in, grades out: run in the sandbox while others are still being generated, and kept in a file.

A pass must repeat: an answer that draws at random may hit what was wanted once. A grade that says nothing about the
answer (an infrastructure error) is not kept, so that the next run tries again.
"""

import hashlib
import json
import threading
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from training.evaluate.answers import Answer
from training.evaluate.config import Resolved
from training.evaluate.item import Grade, Item
from training.sandbox import Limits, Program, Sandbox, SandboxConfig, Verdict


@dataclass(frozen=True)
class Graded:
    """One sample of one item with its grade and how its answer ended."""

    item: str
    sample: int
    grade: Grade
    finish: str
    model: str
    tokens: int


class Grader:
    """Grades with one sandbox; may be called from as many threads as that has workers."""

    def __init__(self, sandbox: Sandbox, limits: Limits, extraction: str) -> None:
        self._sandbox, self._limits, self._extraction = sandbox, limits, extraction

    def grade(self, item: Item, text: str) -> Grade:
        """The grade of an answer's text."""
        return item.check.grade(text, self._extraction, self._run)

    def _run(self, program: Program) -> Verdict:
        first = self._sandbox.run(program, self._limits)
        return self._sandbox.run(program, self._limits) if first.passed else first


@cache
def graders() -> str:
    """Hash of the code that decides verdicts: what another version graded is graded again."""
    root = Path(__file__).parents[1]
    files = [root / "extract.py", root / "values.py", Path(__file__)]
    files += sorted((root / "evaluate/benchmarks").glob("*.py")) + sorted((root / "sandbox").rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def rules_of(items_hash: str, resolved: Resolved, sandbox: SandboxConfig) -> list[object]:
    """Everything beside the answer that decides a grade."""
    around = sandbox.model_dump(exclude={"workers", "limits", "nice"})
    return [items_hash, resolved.extraction, resolved.limits.model_dump(), around, graders()]


class GradeFile:
    """The grades of one benchmark's answers by one set of rules; its name is the hash of both."""

    def __init__(self, folder: Path, name: str, answers: Path, rules: list[object]) -> None:
        rules = [answers.stem, *rules]
        digest = hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.{digest}.jsonl"
        self.known: dict[tuple[str, int], Graded] = {}
        self._lock = threading.Lock()
        for line in self.path.read_text().split("\n") if self.path.is_file() else ():
            if line and (graded := read_graded(line)):
                self.known[graded.item, graded.sample] = graded
        partial = self.path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(asdict(graded)) + "\n" for graded in self.known.values()))
        partial.replace(self.path)

    def keep(self, item: Item, sample: int, answer: Answer, grade: Grade) -> None:
        """Remember a grade, in the file too when it says something."""
        graded = Graded(item.id, sample, grade, answer.finish, answer.model, answer.completion_tokens)
        with self._lock:
            self.known[item.id, sample] = graded
            if grade.counts:
                with self.path.open("a") as file:
                    file.write(json.dumps(asdict(graded)) + "\n")


def read_graded(line: str) -> Graded | None:
    """A line of the file; None where a kill left half of one."""
    try:
        row = json.loads(line)
        return Graded(**{**row, "grade": Grade(**row["grade"])})
    except (ValueError, TypeError, KeyError):
        return None
