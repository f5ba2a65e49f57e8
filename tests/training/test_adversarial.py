"""Rows that mislead have right answers, and the benchmark tells who follows from who resists: by execution."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from index.store import Index
from tests.index.conftest import encode
from training.adversarial import adversarial_rows, borne_out, renamed
from training.evaluate.benchmarks.misleading import names_in, wrong_name
from training.evaluate.config import BenchmarkSettings
from training.evaluate.grade import Grader
from training.evaluate.load import load_items
from training.evaluate.self_check import examine
from training.extract import first_block
from training.sandbox import Limits, Sandbox
from training.tasks import Task, write_tasks


def test_names_are_misspelt_as_people_do() -> None:
    """By their old name, without their underscores, or with a verb."""
    assert [wrong_name(name) for name in ("group_by", "strip_suffix", "mean")] == [
        "groupby", "stripsuffix", "apply_mean",
    ]  # fmt: skip
    assert renamed("df.mean(); mean_all", "mean") == "df.apply_mean(); mean_all"


def test_a_name_is_used_where_syntax_holds_it() -> None:
    """Not in a comment."""
    assert "groupby" in names_in("df.groupby('a')") and "groupby" not in names_in("df.group_by('a')  # no groupby")
    assert names_in("not python (") == set()


def test_every_row_answers_with_a_verified_reference(tasks: list[Task], index: Index, sandbox: Sandbox) -> None:
    """Of all three kinds, the same by the same seed, and as many as the share says."""
    rows = adversarial_rows(tasks, index, encode, sandbox, 1.0, 0)
    assert rows == adversarial_rows(tasks, index, encode, sandbox, 1.0, 0)
    assert adversarial_rows(tasks, index, encode, sandbox, 0.0, 0) == []
    references = {task.reference.strip() for task in tasks if borne_out(task, sandbox)}
    assert len(rows) >= 3 and {first_block(r["completion"][0]["content"]).strip() for r in rows} <= references
    asked = [row["prompt"][0]["content"] for row in rows]
    assert any("Use the method `" in text for text in asked) and any(
        "How do I do this with `" in text for text in asked
    )
    assert any("There is no `" in row["completion"][0]["content"] for row in rows)


def test_the_benchmark_tells_followers_from_those_who_resist(
    tasks: list[Task], sandbox: Sandbox, tmp_path: Path
) -> None:
    """The reference does both, a follower neither, an answer of its own that is wrong resists only."""
    task = replace(next(task for task in tasks if borne_out(task, sandbox)), split="held_out")
    write_tasks(tmp_path / "tasks.jsonl", [task, replace(task, id="other", split="train")])
    (item,) = load_items(BenchmarkSettings(benchmark="misleading", path=tmp_path / "tasks.jsonl"))
    assert f"`{wrong_name(task.name)}`" in item.prompt
    grader = Grader(sandbox, Limits(cpu_s=5, memory_mib=2048), "first")
    answers = [
        str(item.reference),
        f"```python\n{renamed(task.reference, task.name)}```",
        "```python\nresult = id\n```",
        "",
    ]
    scores = [tuple(grader.grade(item, answer).scores.values()) for answer in answers]
    assert scores == [(True, True), (False, False), (False, True), (False, False)]
    assert examine(item, grader) is None
    assert json.dumps(asdict(grader.grade(item, answers[1])))
