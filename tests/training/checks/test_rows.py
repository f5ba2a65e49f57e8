"""Bad rows are refused before any training, each with what, the value and the cure."""

from pathlib import Path

import pytest

from training.checks.rows import check_lengths, check_rows, read_rows
from training.errors import StageError
from training.rows import Row, chat_row

GOOD = chat_row([{"role": "user", "content": "Add one and two."}], "result = 1 + 2")


def test_good_rows_are_counted() -> None:
    """A system message may come first."""
    system = Row(prompt=[{"role": "system", "content": "Be short."}, *GOOD["prompt"]], completion=GOOD["completion"])
    assert check_rows([GOOD, system]) == {"rows": 2}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Row(prompt=GOOD["prompt"], completion=[]), "has no completion"),
        (Row(prompt=[], completion=GOOD["completion"]), "has no prompt"),
        (chat_row(GOOD["prompt"], "  "), "has no answer"),
        (Row(prompt=GOOD["prompt"], completion=[{"role": "assistant", "content": " \n"}]), "has no answer"),
        (Row(prompt=[{"role": "human", "content": "x"}], completion=GOOD["completion"]), "human.* roles"),
        (Row(prompt=GOOD["completion"], completion=GOOD["completion"]), 'from role "assistant" to "assistant"'),
        (Row(prompt=GOOD["prompt"], completion=GOOD["prompt"]), 'from role "user" to "user"'),
        (Row(prompt=["text"], completion=GOOD["completion"]), '"text" without one of the roles'),  # type: ignore[list-item]
    ],
)
def test_a_row_that_is_no_question_with_an_answer_is_refused(row: Row, words: str) -> None:
    """By its number."""
    with pytest.raises(StageError, match=f"training row 2 .*{words}"):
        check_rows([GOOD, row])


def test_no_rows_are_refused() -> None:
    with pytest.raises(StageError, match='"0" training rows'):
        check_rows([])


@pytest.mark.parametrize("line", ['{"prompt": [', '{"prompt": []}', "[]"])
def test_a_broken_line_is_refused_by_file_and_line(tmp_path: Path, line: str) -> None:
    """Half a line is what a full disk leaves."""
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"prompt": [], "completion": []}}\n{line}\n')
    with pytest.raises(StageError, match=r'rows.jsonl" line 2 is no row'):
        read_rows(path)


def test_a_few_long_rows_are_counted_and_many_are_refused() -> None:
    """The trainer leaves them out."""
    lengths = {"a": 10, "b": 90}
    short, long = (chat_row([{"role": "user", "content": name}], "x") for name in lengths)
    length = lambda row: lengths[row["prompt"][0]["content"]]  # noqa: E731 - a table in a word
    assert check_lengths([short] * 19 + [long], length, 50)["too_long"] == 1
    with pytest.raises(StageError, match='2 of 10 rows are longer than max_length_tokens "50", the longest 90'):
        check_lengths([short] * 8 + [long] * 2, length, 50)
