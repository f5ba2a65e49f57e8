"""Training tasks in, rows that mislead out: the question or its evidence is wrong, the answer is not.

misled    the question asks for a method that does not exist; the answer is the task's reference
evidence  the documents before the question name the method wrongly; the answer is the reference
push back the question asks how a method that does not exist is used; the answer says so, and gives the reference

Each is verified by execution: the reference passes the task's check, and with the wrong name in it no longer does.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from index.bundle import SEARCH_DEPTH
from index.prompt import choose_evidence, with_evidence
from index.store import Index
from training.evaluate.benchmarks.misleading import misled, wrong_name
from training.rows import Encode, Row, chat_row
from training.sandbox import Sandbox
from training.tasks import Task


def adversarial_rows(
    tasks: Sequence[Task], index: Index, encode: Encode, sandbox: Sandbox, share: float, seed: int
) -> list[Row]:
    """A row for a share of the tasks, drawn by the seed, the kinds in turn.

    Tasks that execution does not bear out give none.
    """
    draw = random.Random(seed)
    kept = [task for task in [one for one in tasks if draw.random() < share] if borne_out(task, sandbox)]
    if not kept:
        return []
    vectors_ND = encode([task.instruction for task in kept])
    makers = (misled_row, lambda task: evidence_row(task, index, vectors_ND[kept.index(task)]), push_back)
    return [makers[number % len(makers)](task) for number, task in enumerate(kept)]


def misled_row(task: Task) -> Row:
    """A question that asks for the wrong name."""
    return chat_row([{"role": "user", "content": misled(task.instruction, wrong_name(task.name))}], task.reference)


def evidence_row(task: Task, index: Index, vector_D: np.ndarray) -> Row:
    """A question after documents that have the method under the wrong name."""
    hits = choose_evidence(index.search(task.instruction, vector_D, SEARCH_DEPTH))
    documents = [replace(hit.document, text=renamed(hit.document.text, task.name)) for hit in hits]
    return chat_row(with_evidence([{"role": "user", "content": task.instruction}], documents), task.reference)


def push_back(task: Task) -> Row:
    """A question for what is not there, and its correction."""
    wrong = wrong_name(task.name)
    question = f"{task.instruction}\n\nHow do I do this with `{wrong}`?"
    row = chat_row([{"role": "user", "content": question}], task.reference)
    said = f"There is no `{wrong}` here; use `{task.name}`:\n\n{row['completion'][0]['content']}"
    return Row(prompt=row["prompt"], completion=[{"role": "assistant", "content": said}])


def borne_out(task: Task, sandbox: Sandbox) -> bool:
    """Whether the reference uses its method and passes, and does not pass under the wrong name."""
    wrong = renamed(task.reference, task.name)
    if wrong == task.reference or not sandbox.run(task.program(task.reference)).passed:
        return False
    verdict = sandbox.run(task.program(wrong))
    return verdict.counts and not verdict.passed


def renamed(text: str, name: str) -> str:
    """A text in which a method has its wrong name."""
    return re.sub(rf"\b{re.escape(name)}\b", wrong_name(name), text)
