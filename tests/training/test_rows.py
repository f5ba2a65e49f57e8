import numpy as np

from index.documents import Document
from index.prompt import HEAD, with_evidence
from index.store import make_index
from tests.index.conftest import encode
from training.config import RowSettings
from training.rows import how_to, make_rows, others
from training.tasks import Task


def rows_of(tasks: list[Task], documents: list[Document], **settings: float):
    """Rows over an index of the documents."""
    index = make_index(documents, encode([d.text for d in documents]), "words")
    return make_rows(tasks, index, encode, RowSettings(**settings), 0), index


def documents_of(tasks: list[Task]) -> list[Document]:
    """An example document for each task, holding its own reference."""
    return [Document(t.id, f"{t.symbol}: x\n{t.reference}", "s", "MIT", "example", t.symbol) for t in tasks]


def test_a_row_asks_the_instruction_and_answers_with_one_block(tasks: list[Task]) -> None:
    """What the service is asked at evaluation is what the row asks."""
    rows, _ = rows_of(tasks, documents_of(tasks), evidence_share=0, how_to_share=0)
    assert {row["prompt"][0]["content"] for row in rows} == {task.instruction for task in tasks}
    assert all(row["completion"][0]["content"].startswith("```python\nresult = ") for row in rows)


def test_evidence_is_rendered_as_the_service_renders_it_and_never_holds_the_own_example(tasks: list[Task]) -> None:
    """Otherwise the specialist would learn to copy."""
    documents = documents_of(tasks)
    rows, _ = rows_of(tasks, documents, evidence_share=1, how_to_share=0)
    assert rows
    for row in rows:
        content = row["prompt"][0]["content"]
        task = next(task for task in tasks if content.endswith(task.instruction))
        assert content.startswith(HEAD)
        assert task.reference.strip() not in content
    shown = [d for d in documents if d.name == "mode"][:1]
    assert with_evidence([{"role": "user", "content": "q"}], shown)[0]["content"].startswith(HEAD)


def test_how_to_rows_ask_without_display_and_answer_with_the_whole_example(tasks: list[Task]) -> None:
    """As a user without set-up code asks."""
    rows, _ = rows_of(tasks, documents_of(tasks), evidence_share=0, how_to_share=1)
    questions = {how_to(task) for task in tasks}
    asked = [row for row in rows if row["prompt"][0]["content"] in questions]
    assert len(asked) == len(tasks)
    assert all("display" not in row["prompt"][0]["content"] for row in asked)
    assert all("from statistics import *" in row["completion"][0]["content"] for row in asked)


def test_rows_are_the_same_for_the_same_seed(tasks: list[Task]) -> None:
    """A run can be repeated."""
    documents = documents_of(tasks)
    settings = {"evidence_share": 0.5, "how_to_share": 0.5}
    assert rows_of(tasks, documents, **settings)[0] == rows_of(tasks, documents, **settings)[0]


def test_long_instructions_give_no_row(tasks: list[Task]) -> None:
    """The bound is on the instruction's characters."""
    rows, _ = rows_of(tasks, documents_of(tasks), evidence_share=0, how_to_share=0, max_characters=300)
    assert 0 < len(rows) == sum(len(task.instruction) <= 300 for task in tasks) < len(tasks)


def test_only_examples_of_the_method_itself_are_hidden(tasks: list[Task]) -> None:
    """Its prose and its neighbours stay, as for a held-out method."""
    documents = [*documents_of(tasks), Document("p", "prose", "s", "MIT", "object", "statistics.mean")]
    index = make_index(documents, encode([d.text for d in documents]), "words")
    hits = others(index.search_dense(np.ones(64) / 8, 1000), "mean")
    names = [(hit.document.name, hit.document.kind) for hit in hits]
    assert ("mean", "object") in names
    assert ("mean", "example") not in names
    assert ("mode", "example") in names
