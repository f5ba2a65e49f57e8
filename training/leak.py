"""Held-out tasks in; what may not be trained on or indexed, out.

A training task leaks when one of its reference's statements is a held-out reference statement (compared as syntax). A
document leaks when it is an example of a held-out method, or holds such a statement. Prose and signatures stay.
"""

import re
from collections.abc import Iterable, Sequence

from index.documents import Document
from index.sources.docstrings import doctest_blocks
from training.errors import LeakError
from training.tasks import Task, normalised

FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def held_out_statements(tasks: Iterable[Task]) -> set[str]:
    """Every statement of every held-out reference, as it is asked for and as the docs write it, as syntax."""
    held_out = [task for task in tasks if task.split == "held_out"]
    return {s for task in held_out for code in (task.reference, task.documented) for s in normalised(code)}


def codes_of(document: Document) -> list[str]:
    """The code in a document: of an example what follows its first line, of prose its doctests and fenced blocks."""
    if document.kind == "object":
        return []
    if document.kind == "example":
        return [document.text.partition("\n")[2]]
    return [*(block.code for block in doctest_blocks(document.text)), *FENCED.findall(document.text)]


def leaks(document: Document, names: set[str], statements: set[str]) -> bool:
    """Whether a document is, or holds, held-out code."""
    if document.kind == "example" and document.name in names:
        return True
    return any(not statements.isdisjoint(normalised(code)) for code in codes_of(document))


def clean_documents(documents: Sequence[Document], tasks: Sequence[Task]) -> list[Document]:
    """The documents that hold no held-out code."""
    names = {task.name for task in tasks if task.split == "held_out"}
    statements = held_out_statements(tasks)
    return [document for document in documents if not leaks(document, names, statements)]


def clean_train(tasks: Sequence[Task]) -> list[Task]:
    """The training tasks whose set-ups and references share no statement with a held-out one."""
    statements = held_out_statements(tasks)
    return [t for t in tasks if t.split == "train" and statements.isdisjoint(normalised(t.setup + t.reference))]


def refuse_overlap(rows: Iterable[str], documents: Sequence[Document], tasks: Sequence[Task]) -> None:
    """Raise LeakError when a training row's code or an indexed document still holds a held-out statement."""
    statements = held_out_statements(tasks)
    for code in rows:
        if found := statements & normalised(code):
            raise LeakError(f'training row holds held-out code "{min(found)[:120]}": rebuild the rows with clean_train')
    kept = {document.id for document in clean_documents(documents, tasks)}
    if leaked := [document.id for document in documents if document.id not in kept]:
        raise LeakError(f'index document "{leaked[0]}" holds held-out code: rebuild the index with clean_documents')
