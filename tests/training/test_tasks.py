import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from index.documents import Document
from index.sources.config import DocsSource
from index.sources.docstrings import PublicObject
from index.sources.package import package_documents, public_objects
from tests.training.conftest import source
from training.errors import LeakError, TaskError
from training.extract import first_block
from training.leak import clean_documents, clean_train, refuse_overlap
from training.sandbox import Sandbox
from training.shown import shown_in
from training.tasks import (
    Task,
    TaskSource,
    draft,
    normalised,
    package_tasks,
    read_tasks,
    section_drafts,
    split_of,
    verified,
    without_setup,
    write_tasks,
)
from training.values import Outcome, Written, outcomes


def with_literals(held_out_share: float = 0.0) -> TaskSource:
    """The same with other literals as second inputs."""
    return replace(source(held_out_share), second_input="literals")


@pytest.fixture(scope="module")
def varied() -> list[Task]:
    return package_tasks(with_literals())


def by_id(tasks: list[Task], id_: str) -> Task:
    """One task of the list."""
    return next(task for task in tasks if task.id == id_)


def test_a_task_has_prose_setup_display_and_a_reference_that_was_executed(tasks: list[Task]) -> None:
    """What a candidate sees holds the display, never the reference."""
    task = by_id(tasks, "statistics:statistics.mean/0")
    assert "Return the sample arithmetic mean of data." in task.instruction
    assert "from statistics import *" in task.setup
    assert "```\n2.8\n```" in task.instruction
    assert task.reference == "result = mean([1, 2, 3, 4, 4])\n"
    assert task.reference not in task.instruction
    assert task.expected == "value:2.8"


def test_the_reference_passes_and_wrong_or_missing_answers_do_not(tasks: list[Task], sandbox: Sandbox) -> None:
    """The check compares what execution made of `result`."""
    task = by_id(tasks, "statistics:statistics.mean/0")
    answers = [task.reference, "result = 14 / 5", "result = 3", "x = mean([1, 2, 3, 4, 4])", "result = average()", ""]
    verdicts = [sandbox.run(task.program(answer)) for answer in answers]
    assert [verdict.status for verdict in verdicts] == ["passed", "passed", "failed", "error", "error", "error"]
    assert "`result` is not set" in verdicts[-1].detail


def test_an_answer_that_copies_the_display_fails_on_the_second_input(sandbox: Sandbox) -> None:
    """The display is in the question; only code that computes it passes."""
    setup = "import polars as pl\ndf = pl.DataFrame({'a': [1, 2, 3]})\n"
    answers = ["result = df.select(pl.col('a') * 2)", "result = pl.DataFrame({'a': [2, 4, 6]})"]
    reference, copied = outcomes(sandbox, [Written(setup, answer) for answer in answers])
    task = Task("t", "polars.x", "held_out", "", setup, answers[0], reference.first, reference.second, "", "")
    assert copied.first == reference.first
    assert sandbox.run(task.program(answers[0])).passed
    failed = sandbox.run(task.program(answers[1]))
    assert (failed.status, "second input" in failed.detail) == ("failed", True)


def test_an_answer_that_writes_the_setup_again_is_judged_by_what_it_adds(sandbox: Sandbox) -> None:
    """The second input must reach it too; other code of its own is kept as it is."""
    setup = "import polars as pl\ndf = pl.DataFrame({'a': [1, 2, 3]})\n"
    answer = 'import polars as pl\n# the data\ndf = pl.DataFrame(\n    {"a": [1, 2, 3]}\n)\nresult = df.sum()\n'
    assert without_setup(answer, setup) == "result = df.sum()\n"
    assert without_setup("df = 1\nresult = (", setup) == "df = 1\nresult = ("
    outcome, reference = outcomes(
        sandbox, [Written(setup, without_setup(answer, setup)), Written(setup, "result = df.sum()")]
    )
    assert outcome == reference
    assert outcome.second != outcome.first


def test_the_same_method_name_is_always_on_the_same_side() -> None:
    """`Expr.str.contains` and `Series.list.contains` share a name, so they share a side."""
    names = [f"method_{i}" for i in range(2000)]
    sides = [split_of(name, 0.2, 0) for name in names]
    assert sides == [split_of(name, 0.2, 0) for name in names]
    assert 0.15 < sides.count("held_out") / len(sides) < 0.25
    assert sides != [split_of(name, 0.2, 1) for name in names]


def test_held_out_examples_leave_the_index_and_their_prose_stays(held_out: list[Task]) -> None:
    """What a held-out method is remains findable; how its task is solved does not."""
    kept = clean_documents(package_documents("statistics"), held_out)
    assert "statistics:statistics.mean" in {document.id for document in kept}
    assert not any(document.kind == "example" and document.name == "mean" for document in kept)
    refuse_overlap([], kept, held_out)


def test_a_training_task_with_held_out_code_is_left_out_whatever_its_name(held_out: list[Task]) -> None:
    """An alias documents the same statement under another method name."""
    alias = [replace(task, split="train", symbol="statistics.alias") for task in held_out]
    other = replace(alias[0], reference="result = something_else(1)\n")
    assert clean_train([*held_out, *alias, other]) == [other]


def test_held_out_code_in_a_row_or_in_the_index_is_refused(held_out: list[Task]) -> None:
    """The last line before training: a leak ends the run, naming the code or the document."""
    with pytest.raises(LeakError, match=r"mean\(\[1, 2, 3, 4, 4\]\)"):
        refuse_overlap(["x = mean([1,2,3,4,4])"], [], held_out)
    with pytest.raises(LeakError, match="index document"):
        refuse_overlap([], package_documents("statistics"), held_out)


@pytest.mark.parametrize(
    "text", ["Means.\n\n>>> mean([1, 2, 3, 4, 4])\n2.8", "Means:\n```python\nmean([1,2,3,4,4])\n```"]
)
def test_held_out_code_in_prose_leaves_the_index_too(held_out: list[Task], text: str) -> None:
    """A guide's section shows it as a doctest or in a fenced block; other code may stay."""
    section = Document("guide#Means", text, "guide", "MIT", "section", "Means")
    other = replace(section, id="guide#Other", text=text.replace("1", "7"))
    assert clean_documents([section, other], held_out) == [other]


def test_code_is_compared_as_syntax() -> None:
    """Layout, quotes and the assigned name do not hide a copy."""
    assert normalised('result = f("a",\n  1)') == normalised("f('a', 1)")
    assert normalised("not python at all (") == set()


def test_the_first_fenced_block_is_the_answer() -> None:
    """Prose round the block is dropped; an answer without a block is taken whole, a cut one to its end."""
    assert first_block("Sure:\n```python\nresult = 1\n```\nDone.\n```\nx\n```") == "result = 1\n"
    assert first_block("result = 1") == "result = 1"
    assert first_block("```py\nresult = 1") == "result = 1"


def test_tasks_survive_the_disk_and_a_broken_line_is_named(tasks: list[Task], tmp_path: Path) -> None:
    """File and line number, so that the line can be looked at."""
    path = tmp_path / "tasks.jsonl"
    write_tasks(path, tasks)
    assert read_tasks(path) == tasks
    path.write_text(path.read_text() + '{"id": "cut')
    with pytest.raises(TaskError, match=rf'tasks.jsonl" line {len(tasks) + 1}'):
        read_tasks(path)


def test_a_line_separator_inside_a_text_is_no_end_of_line(tasks: list[Task], tmp_path: Path) -> None:
    """Docstrings hold them, and JSON lines are written as they are read: readable."""
    odd = replace(tasks[0], instruction="one\u2028two\x85three")
    write_tasks(tmp_path / "tasks.jsonl", [odd, tasks[1]])
    assert read_tasks(tmp_path / "tasks.jsonl") == [odd, tasks[1]]


def test_a_held_out_task_whose_second_input_shows_the_same_is_left_out() -> None:
    """It could not tell an answer from a copy of the display; for training it is as good as any."""
    with pytest.raises(TaskError, match="no task"):
        package_tasks(source(held_out_share=1.0))
    assert not Outcome("value:1", "value:1").tells and not Outcome("value:1", "error:NameError").tells
    assert Outcome("value:1", "value:2").tells


def test_a_task_with_other_literals_asks_for_code_that_uses_what_is_given(varied: list[Task], sandbox: Sandbox) -> None:
    """What the docs typed in stands in the set-up; typing in the display, or the data, gives no second value."""
    task = by_id(varied, "statistics:statistics.mean/0")
    assert task.setup == "from statistics import *\nvalue = [1, 2, 3, 4, 4]\n"
    assert (task.reference, task.documented) == ("result = mean(value)\n", "mean([1, 2, 3, 4, 4])")
    assert task.setup_second.startswith("from statistics import *\nvalue = [")
    answers = [task.reference, f"{task.setup}result = sum(value) / len(value)", "result = 2.8",
               "result = mean([1, 2, 3, 4, 4])"]  # fmt: skip
    statuses = [sandbox.run(task.program(answer)).status for answer in answers]
    assert statuses == ["passed", "passed", "failed", "failed"]


def test_most_tasks_with_other_literals_tell_answers_apart(varied: list[Task]) -> None:
    """No package but one of frames has another way to."""
    assert sum(task.outcome.tells for task in varied) / len(varied) > 0.9
    assert {task.id for task in varied if task.outcome.tells} == {task.id for task in varied if task.setup_second}


def test_the_question_shows_what_runs_gave_not_what_docs_show(varied: list[Task]) -> None:
    """Docs round, shorten and go out of date; the check does not."""
    shown = by_id(varied, "statistics:statistics.covariance/0")
    assert shown.instruction.endswith(f"must display as:\n```\n{shown.expected.removeprefix('value:')}\n```")
    assert all(task.expected.removeprefix("value:") in task.instruction for task in varied)


def test_prose_beside_the_docstrings_gives_tasks_too(tmp_path: Path) -> None:
    """Their side goes by the method; a training one that calls a held-out method on the way is left out."""
    held = next(name for name in ("mean", "median", "mode", "pstdev") if split_of(name, 0.3, 0) == "train")
    taken = next(name for name in ("fmean", "median_low", "stdev", "variance") if split_of(name, 0.3, 0) == "held_out")
    (tmp_path / "guide.md").write_text(
        f"# Averages\n\nOf numbers:\n\n```python\n>>> {held}([7, 9, 9])\n8\n>>> {taken}([2, 3, 9])\n1\n"
        f">>> {held}([{taken}([2, 4]), 1])\n1\n```\n"
    )
    docs = (DocsSource(docs=tmp_path, name="guide"),)
    things = public_objects("statistics")
    found = list(section_drafts(replace(with_literals(0.3), docs=docs), things))
    assert [(task.id, task.symbol, task.split) for task in found] == [
        ("statistics:guide:guide.md#Averages/0", f"statistics.{held}", "train"),
        ("statistics:guide:guide.md#Averages/1", f"statistics.{taken}", "held_out"),
    ]
    assert found[0].instruction.startswith("Using Statistics: Averages. Of numbers:")


def test_a_value_of_the_day_or_without_a_display_gives_no_task() -> None:
    """Today's date is one in one sandbox and another in the other; a call for its effect shows nothing."""
    examples = (">>> today().year - today().year\n0\n", ">>> today()\n2020-01-01\n", ">>> setattr(date, 'a', 1)\nx\n")
    calendar = [PublicObject(f"datetime.{name}", "", text) for name, text in zip("abc", examples, strict=True)]
    preamble = "from datetime import date\ntoday = date.today"
    plain = replace(with_literals(), package="datetime", preamble=preamble)
    candidates = [
        draft(shown, f"datetime:{thing.symbol}", thing.symbol, "train", "literals")
        for thing in calendar
        for shown in shown_in(thing.docstring, thing.prose, preamble)
    ]
    assert [task.symbol for task in verified(plain, candidates)] == ["datetime.a"]


def test_fields_that_a_package_of_frames_never_fills_are_in_no_line(tasks: list[Task], tmp_path: Path) -> None:
    """Files of tasks from before there were any are made again byte for byte."""
    write_tasks(tmp_path / "tasks.jsonl", tasks[:1])
    keys = json.loads((tmp_path / "tasks.jsonl").read_text()).keys()
    assert {field.name for field in fields(Task)} - keys == {"setup_second", "documented"}
