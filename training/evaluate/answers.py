"""Questions in, answers out: the contract of what answers, and the file that keeps every answer.

A file of answers belongs to one way of asking one model: its name is the hash of everything that decides an answer, so
answers of other settings, models or versions can never be mixed in. Within it an answer is known by its prompt and the
number of its sample; what is there is never asked again, whichever benchmark or condition wants it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from training.evaluate.config import Condition, Decoding, Resolved
from training.evaluate.prompts import Prompt

Facts = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One answer wanted: the prompt, the number of the sample, and its seed (None: greedy)."""

    prompt: Prompt
    sample: int
    seed: int | None

    @property
    def key(self) -> str:
        """Hash of the prompt, and the sample."""
        text = json.dumps([self.prompt.user, self.prompt.prefix])
        return f"{hashlib.sha256(text.encode()).hexdigest()[:24]}/{self.sample}"


@dataclass(frozen=True)
class Answer:
    """What came back: the text with the prompt's prefix before it, how it ended, tokens, and who answered.

    `logprobs` are those of the tokens chosen, in nats, where they were asked for.
    """

    key: str
    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    model: str
    facts: Facts = field(default_factory=dict)
    logprobs: list[float] | None = None


@dataclass(frozen=True)
class Way:
    """A way of asking: everything that decides an answer beside its question."""

    condition: Condition
    decoding: Decoding
    resolved: Resolved

    @property
    def settings(self) -> Facts:
        """As written beside every answer and score."""
        return {
            "model": self.condition.model, "context": self.condition.context, "template": self.resolved.template,
            "max_tokens": self.resolved.max_tokens, "stop": self.resolved.stop,
            "decoding": self.decoding.model_dump(include={"temperature", "top_p", "seed"}),
            **({"logprobs": True} if self.condition.logprobs else {}),
        }  # fmt: skip


class Answerer(Protocol):
    """What answers: the engine in this process, or a service over HTTP."""

    def identity(self, model: str) -> Facts:
        """What decides a model's answers: weights by content, versions, settings."""

    def start(self, model: str) -> None:
        """Get ready for a model, so that what follows is answering alone."""

    def answers(self, questions: list[Question], way: Way) -> Iterator[Answer]:
        """An answer to each question, as they are ready; stops everything under way when it is closed."""

    def close(self) -> None:
        """Give back what it holds."""


class AnswerFile:
    """The answers of one way of asking, kept as they come; a last line that a kill cut is dropped."""

    def __init__(self, folder: Path, way: Way, identity: Facts) -> None:
        settings = {**way.settings, "answered_by": identity}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
        self.path = folder / f"{digest}.jsonl"
        self.known: dict[str, Answer] = {}
        lines = self.path.read_text().split("\n") if self.path.is_file() else []
        for line in lines[1:]:
            if line and (answer := read_answer(line)):
                self.known[answer.key] = answer
        folder.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text("".join(f"{line}\n" for line in self._lines(settings)))
        partial.replace(self.path)

    def _lines(self, settings: Facts) -> Iterator[str]:
        yield json.dumps(settings)
        yield from (json.dumps(asdict(answer)) for answer in self.known.values())

    def missing(self, questions: Iterable[Question]) -> list[Question]:
        """Those not answered yet, each once."""
        wanted = {question.key: question for question in questions}
        return [question for key, question in wanted.items() if key not in self.known]

    def keep(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """Write each answer as it comes, then hand it on."""
        with self.path.open("a") as file:
            for answer in answers:
                file.write(json.dumps(asdict(answer)) + "\n")
                file.flush()
                self.known[answer.key] = answer
                yield answer


def read_answer(line: str) -> Answer | None:
    """A line of the file; None where a kill left half of one."""
    try:
        return Answer(**json.loads(line))
    except (ValueError, TypeError):
        return None
