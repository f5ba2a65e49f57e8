"""What training/evaluate.py asks of a service over HTTP, against the real application with EchoEngine."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from index.errors import ConfigError
from training import evaluate
from training.benchmarks import held_out_item
from training.errors import ServiceError, TaskError
from training.tasks import Task, write_tasks

TASK = Task(
    "t/0", "toy.one", "held_out", "```python\nresult = 1\n```", "", "result = 1\n", "value:1", "value:1", "test", "MIT"
)  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The address of a service that says each question back."""
    command = [sys.executable, "pointsman.py", "serve", "configs/service/echo.yaml", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ready" in line, line
        yield line.split()[-1].removesuffix("/v1")
        process.terminate()


@pytest.fixture
def config(tmp_path: Path, service: str) -> Path:
    """Two tasks: the answer to the first stands in its question, so that an echo passes it."""
    wrong = replace(TASK, id="t/1", instruction="```python\nresult = 2\n```")
    write_tasks(tmp_path / "tasks.jsonl", [TASK, wrong])
    path = tmp_path / "evaluate.yaml"
    path.write_text(
        f"service: {service}\noutput: {tmp_path / 'out'}\nconditions:\n"
        "  - {label: base, model: base}\n  - {label: routed, model: auto}\n"
        f"benchmarks:\n  - {{name: toy, tasks: {tmp_path / 'tasks.jsonl'}}}\n"
    )
    return path


def test_every_condition_is_asked_graded_and_paired(config: Path, tmp_path: Path) -> None:
    """One of two passes, under both conditions, answered by base; results and rows lie in the output folder."""
    evaluate.main(config)
    results = json.loads((tmp_path / "out" / "results.json").read_text())["results"]["toy"]
    assert {label: row["rate"]["passed"] for label, row in results.items()} == {"base": 1, "routed": 1}
    assert results["routed"]["served"] == {"base": 2}
    assert results["routed"]["against_baseline"]["verdict"] == "within noise"
    rows = [json.loads(line) for line in (tmp_path / "out" / "toy.base.jsonl").read_text().splitlines()]
    assert [(row["id"], row["passed"]) for row in rows] == [("t/0", True), ("t/1", False)]


def test_answers_on_disk_are_not_asked_again(config: Path, tmp_path: Path) -> None:
    """A killed run goes on; a line cut by the kill counts as not asked."""
    evaluate.main(config)
    path = tmp_path / "out" / "toy.base.answers.jsonl"
    kept = json.loads(path.read_text().splitlines()[1]) | {"answer": "```python\nresult = 1\n```"}
    path.write_text(json.dumps(kept) + '\n{"id": "t/0", "answ')
    evaluate.main(config)
    rows = {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}
    assert rows["t/1"]["answer"] == kept["answer"]
    assert len(rows) == 2
    results = json.loads((tmp_path / "out" / "results.json").read_text())["results"]["toy"]
    assert results["base"]["rate"]["passed"] == 2


def test_answers_of_other_settings_are_not_mixed_in(config: Path) -> None:
    """Half under one limit and half under another would be a score of nothing."""
    evaluate.main(config)
    config.write_text(config.read_text().replace("name: toy,", "name: toy, max_tokens: 7,"))
    with pytest.raises(TaskError, match="other settings"):
        evaluate.main(config)


@pytest.mark.parametrize("change", ["baseline: bse\n", "conditions: []\n"])
def test_a_comparison_with_nothing_is_refused(config: Path, change: str) -> None:
    """A misspelt baseline would compare every run with itself and call it noise."""
    text = "".join(
        line
        for line in config.read_text().splitlines(keepends=True)
        if not change.startswith("conditions") or "label" not in line
    )
    config.write_text(text.replace("conditions:\n", "") + change)
    with pytest.raises(ConfigError):
        evaluate.main(config)


def test_a_pass_must_repeat(tmp_path: Path) -> None:
    """What draws at random hits once in a while; here once, then never again."""
    mark = tmp_path / "mark"
    lucky = f"from pathlib import Path\nm = Path({str(mark)!r})\nresult = 2 if m.exists() else 1\nm.touch()\n"
    settings = evaluate.BenchmarkSettings(name="toy", tasks=tmp_path)
    item = held_out_item(replace(TASK, expected_second="error:none"))
    verdicts = [
        [row["passed"] for row in evaluate.grade([item], {"t/0": {"answer": answer}}, settings)]
        for answer in (f"```python\n{lucky}```", "```python\nresult = 1\n```")
    ]
    assert verdicts == [[False], [True]]


def test_a_service_that_refuses_ends_the_run_with_its_message(config: Path) -> None:
    """An unknown model is the config's mistake, not a wrong answer."""
    config.write_text(config.read_text().replace("model: auto", "model: nobody"))
    with pytest.raises(ServiceError, match="nobody"):
        evaluate.main(config)


def test_a_service_that_is_not_there_ends_the_run(config: Path, service: str) -> None:
    """Never counted as failed items."""
    config.write_text(config.read_text().replace(service, "http://127.0.0.1:9"))
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:9.*make serve"):
        evaluate.main(config)
