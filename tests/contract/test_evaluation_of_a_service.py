"""What `pointsman evaluate` asks of a service over HTTP, against the real application with EchoEngine."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from index.errors import ConfigError
from training.errors import BenchmarkError, ServiceError
from training.evaluate import run
from training.tasks import Task, write_tasks

TASK = Task(
    "t/0", "toy.one", "held_out", "```python\nresult = int('1')\n```", "", "result = int('1')\n", "value:1", "value:1",
    "test", "MIT",
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
    wrong = replace(TASK, id="t/1", symbol="toy.two", instruction="```python\nresult = 2\n```")
    trained = replace(TASK, id="t/2", split="train")
    write_tasks(tmp_path / "tasks.jsonl", [TASK, wrong, trained])
    settings = {
        "service": service, "output": str(tmp_path / "out"),
        "conditions": [{"label": "base", "model": "base"}, {"label": "routed", "model": "auto", "context": "auto"}],
        "benchmarks": [{"benchmark": "doctests", "name": "toy", "path": str(tmp_path / "tasks.jsonl"), "stop": []}],
    }  # fmt: skip
    path = tmp_path / "evaluate.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def change(config: Path, **values: Any) -> None:
    """Replace keys of the config."""
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | values))


def results(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "out" / "results.json").read_text())


def test_every_condition_is_asked_graded_and_paired(config: Path, tmp_path: Path) -> None:
    """One of two held-out tasks passes, under both conditions, answered by base."""
    run.main(config)
    base, routed = results(tmp_path)["scores"]
    assert [(row["condition"], row["rate"]["passed"], row["rate"]["total"]) for row in (base, routed)] == [
        ("base", 1, 2), ("routed", 1, 2),
    ]  # fmt: skip
    assert base["comparison"] is None
    assert routed["comparison"]["verdict"] == "within noise"
    assert [cell["served"] for cell in results(tmp_path)["cells"]] == [{"base": 2}, {"base": 2}]


def test_log_probabilities_are_kept_where_a_condition_asks_for_them(config: Path, tmp_path: Path) -> None:
    """One a token of each answer, in outcomes.jsonl beside who passed; null for the condition that did not ask."""
    change(
        config,
        conditions=[{"label": "base", "model": "base"}, {"label": "seen", "model": "base", "logprobs": True}],
    )
    run.main(config)
    first, second = map(json.loads, (tmp_path / "out" / "outcomes.jsonl").read_text().splitlines())
    assert first["passed"] == {"base": [True], "seen": [True]} and second["passed"]["seen"] == [False]
    words = len(first["question"].split())
    assert first["logprobs"]["base"] == [None]
    assert len(first["logprobs"]["seen"][0]) == words and all(value < 0 for value in first["logprobs"]["seen"][0])


def test_each_line_of_the_scores_stands_by_itself(config: Path, tmp_path: Path) -> None:
    """Prompt, decoding, extraction, limits, isolation, models, versions, hardware and date are beside the number."""
    run.main(config)
    for row in map(json.loads, (tmp_path / "out" / "scores.jsonl").read_text().splitlines()):
        assert row["measure"] == "pass@1[greedy]"
        asked = row["asked"]
        assert asked["template"] == "plain" and asked["decoding"] == {"temperature": 0, "top_p": 1, "seed": 0}
        assert asked["limits"]["cpu_s"] == 10 and "seccomp" in asked["isolation"] and asked["extraction"]
        assert set(asked["answered_by"]["service"]) == ({"base"} if row["condition"] == "base" else {"auto", "base"})
        assert row["hardware"]["cores"] and row["versions"]["torch"] and row["date"] and row["verdicts"]


def test_the_page_holds_everything_itself(config: Path, tmp_path: Path) -> None:
    """One file, figures inside, nothing from elsewhere, and model output as text."""
    run.main(config)
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") >= 2 and "toy" in page and "within noise" in page
    assert "<script" not in page and "src=" not in page and "href=" not in page.replace('xlink:href="#', "")


def test_what_is_on_disk_is_neither_asked_nor_graded_again(config: Path, tmp_path: Path) -> None:
    """A line that a kill cut counts as not asked; a changed line would show if it were asked again."""
    run.main(config)
    answers = sorted((tmp_path / "out" / "answers").iterdir())
    for path in answers:
        head, first, second = path.read_text().splitlines()
        kept, cut = (first, second) if "int(" in first else (second, first)
        path.write_text(f"{head}\n{kept}\n{cut[:20]}")
    for path in (tmp_path / "out" / "grades").iterdir():
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        turned = [row | {"grade": row["grade"] | {"scores": {"passed": True}}} for row in rows if row["item"] == "t/1"]
        path.write_text("".join(json.dumps(row) + "\n" for row in turned))
    run.main(config)
    assert [len(path.read_text().splitlines()) for path in answers] == [3, 3]
    assert [row["rate"]["passed"] for row in results(tmp_path)["scores"]] == [2, 2]
    paces = [json.loads(line)["asked"] for line in (tmp_path / "out" / "pace.jsonl").read_text().splitlines() if line]
    assert paces == [2, 2, 1, 1]


def test_a_killed_run_goes_on_without_losing_or_repeating_a_sample(config: Path, tmp_path: Path) -> None:
    """Killed with no warning while answers come in; the second run asks for the rest alone."""
    write_tasks(
        tmp_path / "tasks.jsonl", [replace(TASK, id=f"t/{n}", instruction=f"{TASK.instruction}{n}") for n in range(400)]
    )
    change(config, concurrency=1, conditions=[{"label": "base", "model": "base"}])
    command = [sys.executable, "pointsman.py", "evaluate", str(config)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder, deadline = tmp_path / "out" / "answers", time.monotonic() + 120
    while time.monotonic() < deadline and not any(lines(path) > 40 for path in folder.glob("*.jsonl")):
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    (path,) = folder.glob("*.jsonl")
    there = path.read_text().splitlines()[1:40]
    assert 40 < lines(path) < 400
    run.main(config)
    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()[1:]]
    assert len(keys) == len(set(keys)) == 400
    assert path.read_text().splitlines()[1:40] == there
    assert results(tmp_path)["scores"][0]["rate"]["total"] == 400


def lines(path: Path) -> int:
    return path.read_text().count("\n")


def test_answers_of_other_settings_are_not_mixed_in(config: Path, tmp_path: Path) -> None:
    """Another limit on the answer is another way of asking; another limit on its program is not."""
    run.main(config)
    change(config, conditions=[{"label": "base", "model": "base", "cpu_s": 5}, {"label": "short", "max_tokens": 7}])
    run.main(config)
    assert len(list((tmp_path / "out" / "answers").iterdir())) == 3
    assert len(list((tmp_path / "out" / "grades").iterdir())) == 4


def test_sampled_answers_are_estimated_apart_from_greedy_ones(config: Path, tmp_path: Path) -> None:
    """pass@k for each k, and best-of-n named as the oracle it is. A sampled echo says its words in another order."""
    one_word = replace(TASK, instruction="```python\nresult=int(1) ```")
    write_tasks(tmp_path / "tasks.jsonl", [one_word, replace(one_word, id="t/1")])
    decodings = [{}, {"temperature": 0.8, "samples": 12, "seed": 3, "k": [1, 3]}]
    change(config, decodings=decodings, conditions=[{"label": "base", "model": "base"}])
    run.main(config)
    scores = results(tmp_path)["scores"]
    assert [row["measure"] for row in scores] == [
        "pass@1[greedy]", "pass@1[T=0.8,n=12]", "pass@3[T=0.8,n=12]", "best-of-12, oracle[T=0.8,n=12]",
    ]  # fmt: skip
    greedy, *sampled = [row["rate"]["value"] for row in scores]
    assert greedy == 1
    assert 0 < sampled[0] < sampled[1] < sampled[2] == 1
    (graded,) = [path for path in (tmp_path / "out" / "grades").iterdir() if lines(path) == 24]
    passed = [json.loads(line)["grade"]["scores"]["passed"] for line in graded.read_text().splitlines()]
    assert sampled[0] == pytest.approx(sum(passed) / 24)


def test_a_benchmark_that_cannot_tell_right_from_wrong_is_refused(config: Path, tmp_path: Path) -> None:
    """Before a model is asked, naming each row and how to leave it out; which makes it run."""
    broken = [replace(TASK, id="t/1", expected="value:2"), replace(TASK, id="t/2", reference="nothing\n")]
    write_tasks(tmp_path / "tasks.jsonl", [TASK, *broken])
    for check_only in (True, False):
        with pytest.raises(BenchmarkError, match=r'2 of 3 rows.*"t/1": its reference fails.*exclude: \["t/1", "t/2"\]'):
            run.main(config, check_only=check_only)
    assert not (tmp_path / "out" / "answers").exists()
    settings = yaml.safe_load(config.read_text())["benchmarks"][0] | {"exclude": ["t/1", "t/2"]}
    change(config, benchmarks=[settings])
    run.main(config)
    assert results(tmp_path)["cells"][0]["excluded"] == ["t/1", "t/2"]


def test_a_check_that_passes_the_empty_program_is_refused(config: Path, tmp_path: Path) -> None:
    """Every answer would be right."""
    row = {
        "task_id": "e/0", "prompt": "def f():\n    return 1\n", "entry_point": "f", "canonical_solution": "",
        "test": "def check(candidate):\n    assert candidate() == 1\n",
    }  # fmt: skip
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    change(config, benchmarks=[{"benchmark": "humaneval", "path": str(tmp_path / "rows.jsonl"), "template": "plain"}])
    with pytest.raises(BenchmarkError, match='"e/0": the empty answer passes'):
        run.main(config)


def test_a_template_that_begins_the_answer_needs_the_engine(config: Path) -> None:
    """A service writes its answers from the start."""
    change(config, benchmarks=[{"benchmark": "humaneval", "draw": 2}])
    with pytest.raises(ConfigError, match=r'template "evalplus" of "humaneval" begins the answer.*`offline` engine'):
        run.main(config)


def test_a_service_that_refuses_ends_the_run_with_its_message(config: Path) -> None:
    """An unknown model is the config's mistake, not a wrong answer."""
    change(config, conditions=[{"label": "base", "model": "nobody"}])
    with pytest.raises(ServiceError, match="nobody"):
        run.main(config)


def test_a_service_that_is_not_there_ends_the_run(config: Path) -> None:
    """Never counted as failed items."""
    change(config, service="http://127.0.0.1:9")
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:9.*make serve"):
        run.main(config)


def test_a_second_run_in_the_same_folder_is_refused(config: Path, tmp_path: Path) -> None:
    """Both would write the same files, and lose answers."""
    (tmp_path / "out").mkdir()
    with run.alone(tmp_path / "out"), pytest.raises(BenchmarkError, match="another evaluation writes to"):
        run.main(config)


def test_other_surroundings_of_a_program_are_graded_anew(config: Path, tmp_path: Path) -> None:
    """The environment decides what programs compute; answers stay, grades do not."""
    task = replace(TASK, reference="import os\nresult = os.environ.get('A', '')\n", expected="value:'5'")
    task = replace(task, expected_second="value:'5'", instruction=f"```python\n{task.reference}```")
    write_tasks(tmp_path / "tasks.jsonl", [task])
    benchmark = yaml.safe_load(config.read_text())["benchmarks"][0]
    change(config, benchmarks=[benchmark | {"sandbox": {"environment": {"A": "5"}}}])
    run.main(config)
    assert results(tmp_path)["scores"][0]["rate"]["passed"] == 1
    change(config, benchmarks=[benchmark | {"sandbox": {"environment": {"A": "6"}}}])
    with pytest.raises(BenchmarkError, match="its reference fails"):
        run.main(config)


def test_an_answer_too_deep_for_the_compiler_stops_nothing(config: Path, tmp_path: Path) -> None:
    """It is wrong, and the others are still graded."""
    deep = replace(TASK, id="t/9", instruction="```python\nresult = x" + ".y" * 3000 + "\n```")
    write_tasks(tmp_path / "tasks.jsonl", [TASK, deep])
    run.main(config)
    assert results(tmp_path)["scores"][0]["rate"]["passed"] == 1


def test_a_torn_line_of_the_pace_file_is_passed_over(config: Path, tmp_path: Path) -> None:
    """A kill may cut any file."""
    run.main(config)
    with (tmp_path / "out" / "pace.jsonl").open("a") as file:
        file.write('{"cell": "x", "as')
    change(config, benchmarks=[yaml.safe_load(config.read_text())["benchmarks"][0] | {"max_tokens": 9}])
    run.main(config)
    assert results(tmp_path)["cells"][0]["pace"]["answers"] == 2
