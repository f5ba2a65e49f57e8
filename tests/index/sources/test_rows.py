import json
from pathlib import Path
from typing import Any

import pytest

from index.documents import Document
from index.errors import CorpusError
from index.prompt import with_evidence
from index.sources.config import RowsSource
from index.sources.rows import row_documents

QUESTION = "Using Lib: add up.\n\nWrite Python code."
ANSWER = [{"role": "assistant", "content": "```python\nresult = total()\n```"}]


def row(question: str, *evidence: str, completion: Any = ANSWER) -> dict[str, Any]:
    """A training row, with evidence as training and serving render it."""
    documents = [Document(text, text, "lib", "MIT", "object", text) for text in evidence]
    return {"prompt": with_evidence([{"role": "user", "content": question}], documents), "completion": completion}


def read(folder: Path, *rows: Any) -> list[Document]:
    (folder / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    return row_documents(RowsSource(rows=folder / "rows.jsonl", licence="MIT"))


def test_a_row_is_its_question_and_answer(tmp_path: Path) -> None:
    """Named by the beginning of the question, placed on its line."""
    first, second = read(tmp_path, row(QUESTION), row("x" * 500))
    assert first.text == f"{QUESTION}\n\n```python\nresult = total()\n```"
    assert (first.symbol, first.kind, first.source, first.licence) == ("Using Lib: add up.", "row", "rows", "MIT")
    assert (first.path, first.first_line, second.first_line) == ("rows.jsonl", 1, 2)
    assert second.symbol == "x" * 100


def test_evidence_and_system_messages_are_no_part_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Evidence is in the index by itself; a row that was kept with and without it is one."""
    system = {"role": "system", "content": "Be brief."}
    plain = row(QUESTION)
    found = read(tmp_path, row(QUESTION, "one", "two"), {**plain, "prompt": [system, *plain["prompt"]]})
    assert [document.text for document in found] == [f"{QUESTION}\n\n```python\nresult = total()\n```"]
    assert "left out rows that are the same as an earlier one (1): line 2" in caplog.text


def test_ids_do_not_depend_on_the_order(tmp_path: Path) -> None:
    """Rows are shuffled by the seed."""
    rows = [row(f"Question {number}") for number in range(5)]
    forth, back = ({d.id: d.hash for d in read(tmp_path, *order)} for order in (rows, rows[::-1]))
    assert forth == back


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": "text", "completion": ANSWER},
        {"prompt": [], "completion": ANSWER},
        {"prompt": ["text"], "completion": ANSWER},
        {"messages": []},
        row(QUESTION, completion=[{"role": "assistant"}]),
        row(QUESTION, completion=None),
    ],
)
def test_a_line_that_is_no_row_is_refused_by_its_number(tmp_path: Path, wrong: Any) -> None:
    """Another tool's file, or half a row."""
    with pytest.raises(
        CorpusError, match=r'rows ".*rows.jsonl" line 2 (has no list|says nothing).*name the rows.jsonl'
    ):
        read(tmp_path, row(QUESTION), wrong)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    """As any source that gives nothing."""
    with pytest.raises(CorpusError, match="holds no rows"):
        read(tmp_path)
