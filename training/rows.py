"""Tasks in, chat rows out: rendered by the same code that renders a request in the service.

Two kinds: a task row (instruction to answer code), for a share of the tasks a second time with evidence before it, and
a how-to row (a plain question to a complete example). Evidence never holds the task's own example, as it cannot at
evaluation: the specialist learns to use its neighbours' code, not to copy.
"""

import random
from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np

from index.bundle import SEARCH_DEPTH
from index.prompt import choose_evidence, with_evidence
from index.store import Hit, Index
from training.config import RowSettings
from training.tasks import Task, first_sentences

Encode = Callable[[list[str]], np.ndarray]


class Row(TypedDict):
    """One conversational prompt-completion row, as TRL's SFTTrainer takes it."""

    prompt: list[dict[str, str]]
    completion: list[dict[str, str]]


def others(hits: Sequence[Hit], name: str) -> list[Hit]:
    """The hits without examples of the method itself: what retrieval finds for a method held out."""
    return [hit for hit in hits if not (hit.document.kind == "example" and hit.document.name == name)]


def chat_row(question: list[dict[str, str]], code: str) -> Row:
    """A row whose completion is one fenced block."""
    return {"prompt": question, "completion": [{"role": "assistant", "content": f"```python\n{code.strip()}\n```"}]}


def how_to(task: Task) -> str:
    """A plain question for a task's example, as a user without set-up code asks it."""
    prose = task.instruction.split("\n\nGiven this code:")[0].split("\n\nWrite Python")[0]
    package, _, rest = prose.removeprefix("Using ").partition(": ")
    sentence = first_sentences(rest, 160).rstrip(".:")
    return f"How do I do this in {package}: {sentence[:1].lower()}{sentence[1:]}? Show a short example."


def make_rows(tasks: Sequence[Task], index: Index, encode: Encode, settings: RowSettings, seed: int) -> list[Row]:
    """Rows for the training tasks: one each, a share of them with evidence, and plain questions for another share."""
    draw = random.Random(seed)
    tasks = [task for task in tasks if len(task.instruction) <= settings.max_characters]
    vectors = encode([task.instruction for task in tasks])
    rows = []
    for task, vector in zip(tasks, vectors, strict=True):
        question = [{"role": "user", "content": task.instruction}]
        if draw.random() < settings.evidence_share:
            hits = choose_evidence(others(index.search(task.instruction, vector, SEARCH_DEPTH), task.name))
            question = with_evidence(question, [hit.document for hit in hits])
        rows.append(chat_row(question, task.reference))
        if draw.random() < settings.how_to_share:
            rows.append(chat_row([{"role": "user", "content": how_to(task)}], f"{task.setup}{task.reference}"))
    draw.shuffle(rows)
    return rows
