import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from training.errors import TaskError
from training.gate.config import Executed, LabelSettings, QuerySet
from training.gate.queries import Query, asks_benchmark, executed_queries, labelled_queries, quadrant, set_queries
from training.tasks import Task, write_tasks


def write(path: Path, lines: list[str]) -> Path:
    """A text file of lines."""
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def listed(tmp_path: Path, **changes: Any) -> QuerySet:
    """A set of 40 listed queries."""
    path = write(tmp_path / "list.txt", [f"How do I sort {n} things in SQL?" for n in range(40)])
    return QuerySet.model_validate({"name": "sql", "outcome": "far", "list": path, **changes})


def test_a_list_gives_its_lines_and_a_draw_is_the_same_every_time(tmp_path: Path) -> None:
    """Another seed draws others."""
    whole = set_queries(listed(tmp_path), ["polars"], [], 0)
    assert [query.text for query in whole[:2]] == ["How do I sort 0 things in SQL?", "How do I sort 1 things in SQL?"]
    one, again, other = (set_queries(listed(tmp_path, draw=10), ["polars"], [], seed) for seed in (0, 0, 1))
    assert one == again != other and len(one) == 10 and set(one) <= set(whole)


def test_a_share_names_the_library_all_the_same_as_a_source_of_its_own(tmp_path: Path) -> None:
    """Naming it must not decide."""
    queries = set_queries(listed(tmp_path, named=0.5), ["polars", "pl"], [], 0)
    named = [query for query in queries if query.source == "sql, named"]
    assert 10 < len(named) < 30
    assert all(query.text.startswith("We use polars at work. How do I sort") for query in named)


def test_a_stuffed_query_stays_with_its_own_text_in_a_split(tmp_path: Path) -> None:
    """The library's words around it, and the group that the bare text has."""
    for query in set_queries(listed(tmp_path, stuffed=True), ["polars"], [], 0):
        assert "polars" in query.text.lower() and query.group in query.text and query.group.startswith("How do I sort")


def test_json_lines_are_read_plain_and_compressed(tmp_path: Path) -> None:
    """Under the key that the config names."""
    rows = [json.dumps({"nl": f"list files {n}"}) for n in range(3)]
    write(tmp_path / "a.jsonl", rows)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    plain, packed = (
        set_queries(QuerySet(name="shell", outcome="far", lines=tmp_path / name, text="nl"), ["polars"], [], 0)
        for name in ("a.jsonl", "b.jsonl.gz")
    )
    assert plain == packed == [Query(f"list files {n}", "far", "shell") for n in range(3)]


@pytest.mark.parametrize("line", ["{", '{"other": 1}', '{"nl": 3}', '{"nl": " "}', "[]"])
def test_a_line_without_a_question_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    """What is left out in silence would change the promise."""
    path = write(tmp_path / "a.jsonl", ['{"nl": "list files"}', line])
    with pytest.raises(TaskError, match="line 2"):
        set_queries(QuerySet(name="shell", outcome="far", lines=path, text="nl"), ["polars"], [], 0)


def test_a_missing_file_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="does not exist"):
        set_queries(QuerySet(name="a", outcome="far", list=tmp_path / "none.txt"), ["polars"], [], 0)
    with pytest.raises(TaskError, match='"a" holds "0" queries'):
        set_queries(QuerySet(name="a", outcome="far", list=write(tmp_path / "empty.txt", ["", " "])), ["polars"], [], 0)


@pytest.mark.parametrize("given", [{}, {"list": "a.txt", "package": "json"}])
def test_a_set_has_exactly_one_source(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="give one of list, lines, package, tasks"):
        QuerySet.model_validate({"name": "a", "outcome": "far", **given})


def test_a_package_is_asked_about_in_several_forms() -> None:
    """Instructions with code, questions and stubs, as the library's own tasks are."""
    texts = [q.text for q in set_queries(QuerySet(name="s", outcome="far", package="statistics"), ["polars"], [], 0)]
    assert len(texts) > 10 and any("Complete this function" in text for text in texts)
    assert any(text.startswith("Using Statistics:") for text in texts)


def test_problems_that_routing_is_measured_on_are_left_out(tmp_path: Path) -> None:
    """A function that HumanEval asks for is in no set."""
    text = 'Complete this function: def has_close_elements(numbers, threshold): """Check."""'
    assert asks_benchmark(text) and not asks_benchmark("def my_own_thing(): ...")
    path = write(tmp_path / "list.txt", [text, "How do I sort a list?"])
    queries = set_queries(QuerySet(name="a", outcome="far", list=path), ["polars"], [], 0)
    assert [query.text for query in queries] == ["How do I sort a list?"]


def test_tasks_are_asked_in_three_forms_one_a_method_and_held_out_ones_never(tmp_path: Path, tasks: list[Task]) -> None:
    """Instructions, questions, and questions that do not name the library; a split keeps a method together."""
    held = [replace(task, split="held_out", reference=f"result = {n}") for n, task in enumerate(tasks[:5])]
    write_tasks(tmp_path / "tasks.jsonl", [*held, *tasks[5:]])
    found = set_queries(QuerySet(name="own", outcome="in", tasks=tmp_path / "tasks.jsonl"), ["statistics"], [], 0)
    assert {query.source for query in found} == {"own, instruction", "own, question", "own, nameless"}
    nameless = [query.text for query in found if query.source == "own, nameless"]
    assert all("tatistics" not in text.partition(":")[0] for text in nameless)
    assert {query.method for query in found} <= {task.name for task in tasks[5:]}
    assert all(query.group == f"method {query.method}" for query in found)


def outcomes(folder: Path, rows: list[tuple[bool | None, bool | None]]) -> Executed:
    """A run whose questions were answered by both models."""
    lines = [
        {"benchmark": "mbpp", "decoding": "greedy", "rule": "passed", "id": f"MBPP/{n}", "cluster": "",
         "question": f"Question {n}?", "passed": {"base": [base], "specialist": [specialist]}}
        for n, (base, specialist) in enumerate(rows)
    ]  # fmt: skip
    lines.append({**lines[0], "decoding": "T=0.8", "id": "sampled"})
    write(folder / "outcomes.jsonl", [json.dumps(line) for line in lines])
    return Executed(name="mbpp", run=folder, benchmark="mbpp")


def test_the_same_questions_are_asked_about_rivals(tmp_path: Path) -> None:
    """Every name becomes one of theirs, together with its short form; without rivals there is nothing to ask."""
    lines = [f"How do I sort {n} rows in Polars with pl.col?" for n in range(20)]
    settings = QuerySet(name="own", outcome="near", list=write(tmp_path / "own.txt", lines), rival=True)
    queries = set_queries(settings, ["polars", "pl"], ["pandas", "pd", "numpy", "np"], 0)
    assert {q.text.partition(" rows ")[2] for q in queries} == {"in pandas with pd.col?", "in numpy with np.col?"}
    with pytest.raises(TaskError, match='query set "own" asks about rivals, and "rivals" is empty'):
        set_queries(settings, ["polars"], [], 0)


def test_executed_answers_fall_into_four_quadrants(tmp_path: Path) -> None:
    """Unknown verdicts and sampled answers say nothing."""
    rows = [(True, True), (True, False), (False, True), (False, False), (None, True), (True, None)]
    found = list(executed_queries(outcomes(tmp_path, rows)))
    assert [query.outcome for query in found] == ["safe", "loss", "rescue", "hard"]
    assert quadrant(True, False) == "loss" and len({query.group for query in found}) == 4


def with_logprobs(folder: Path, base: list[Any], specialist: list[Any]) -> Executed:
    """A run of one question with the log-probabilities of its greedy answers."""
    executed = outcomes(folder, [(True, False)])
    first, *rest = (folder / "outcomes.jsonl").read_text().splitlines()
    row = json.loads(first) | {"logprobs": {"base": base, "specialist": specialist}}
    write(folder / "outcomes.jsonl", [json.dumps(row), *rest])
    return executed


def test_log_probabilities_of_executed_answers_are_kept(tmp_path: Path) -> None:
    """What was not asked for, and an answer without tokens, is left out; a file without any is read as ever."""
    (query,) = executed_queries(with_logprobs(tmp_path, [[-0.5, -0.25]], [[-1.0]]))
    assert query.logprobs == {"base": [-0.5, -0.25], "specialist": [-1.0]}
    (query,) = executed_queries(with_logprobs(tmp_path, [None], [[]]))
    assert query.logprobs == {}
    (query,) = executed_queries(outcomes(tmp_path, [(True, True)]))
    assert query.logprobs == {}


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), "sure"])
def test_a_log_probability_that_is_no_number_is_refused(tmp_path: Path, value: Any) -> None:
    """Fitted, it would make every confidence one."""
    with pytest.raises(TaskError, match=r'outcomes.jsonl" line 1 has the log-probability ".+" for "specialist"'):
        executed_queries(with_logprobs(tmp_path, [[-0.5]], [[-1.0, value]]))


def test_a_condition_or_a_benchmark_that_was_not_evaluated_is_refused(tmp_path: Path) -> None:
    executed = outcomes(tmp_path, [(True, True)])
    with pytest.raises(TaskError, match='no condition "routed"'):
        executed_queries(executed.model_copy(update={"specialist": "routed"}))
    with pytest.raises(TaskError, match='no greedy answers to "gsm8k"'):
        executed_queries(executed.model_copy(update={"benchmark": "gsm8k"}))


def test_execution_rules_where_a_text_has_two_labels(tmp_path: Path) -> None:
    """What an answer did is worth more than whose docs a question is from, also where only a part of it is asked."""
    executed = outcomes(tmp_path, [(False, True)])
    path = write(tmp_path / "list.txt", ["Question 0?", "Question 0", "Question 1?"])
    sets = [QuerySet(name=name, outcome="far", list=path) for name in ("a", "b")]
    queries = labelled_queries(LabelSettings(sets=sets, executed=[executed]), ["polars"], [], 0)
    assert [(query.text, query.outcome, query.source) for query in queries] == [
        ("Question 0?", "rescue", "mbpp"), ("Question 1?", "far", "a"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["list.txt", "lines.jsonl", "lines.jsonl.gz"])
def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Latin-1, and a .gz that is none."""
    (tmp_path / name).write_bytes('{"text": "Wie sortiere ich fünf Zeilen?"}'.encode("latin-1"))
    given = {"list": tmp_path / name} if name == "list.txt" else {"lines": tmp_path / name}
    with pytest.raises(TaskError, match=rf'file of queries ".*{name}" cannot be read .*: save it as UTF-8 text'):
        set_queries(QuerySet(name="a", outcome="far", **given), ["polars"], [], 0)


def test_an_outcome_that_lacks_a_key_is_refused_with_its_place(tmp_path: Path) -> None:
    executed = outcomes(tmp_path, [(True, True)])
    write(tmp_path / "outcomes.jsonl", ['{"benchmark": "mbpp"}'])
    with pytest.raises(TaskError, match=r'outcomes.jsonl" line 1 is no outcome .*decoding'):
        executed_queries(executed)


@pytest.mark.parametrize("alpha", [0, 1, -1])
def test_a_risk_of_nothing_or_everything_is_refused(tmp_path: Path, alpha: float) -> None:
    """Nobody can promise the one, and the other promises nothing."""
    sets = [{"name": name, "outcome": "far", "list": tmp_path / "list.txt"} for name in ("a", "b")]
    with pytest.raises(ValidationError, match=r"risks.out_of_domain"):
        LabelSettings.model_validate({"sets": sets, "risks": {"out_of_domain": alpha}})
