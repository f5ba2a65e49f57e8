"""The engine in this process: the real one, with the tiny model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from index.errors import BundleError
from training.errors import EngineError
from training.evaluate.config import OfflineSettings
from training.evaluate.offline import Offline

DECODINGS = [{}, {"temperature": 1.0, "samples": 2, "k": [1, 2], "seed": 5}]


def evaluate(folder: Path, **changes: object) -> subprocess.CompletedProcess[str]:
    """`pointsman evaluate` in a process of its own, which the engine needs for its environment."""
    settings = {
        "output": str(folder / "out"), "offline": {"model": "tiny", "max_model_len": 1024}, "decodings": DECODINGS,
        "benchmarks": [{"benchmark": "humaneval", "draw": 3, "max_tokens": 24}], "conditions": [{"label": "base"}],
    }  # fmt: skip
    path = folder / "evaluate.yaml"
    path.write_text(yaml.safe_dump(settings | changes))
    command = [sys.executable, "pointsman.py", "evaluate", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, env={**os.environ, "COLUMNS": "200"})


@pytest.mark.engine
@pytest.mark.assets
def test_the_engine_answers_greedy_and_sampled_and_the_same_again(tmp_path: Path) -> None:
    """Answers begin as the template does, seeds give the same samples, a second run asks nothing, pace is recorded."""
    texts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        done = evaluate(folder)
        assert done.returncode == 0, done.stderr[-2000:]
        files = sorted((folder / "out" / "answers").iterdir())
        rows = [json.loads(line) for path in files for line in path.read_text().splitlines()[1:]]
        texts.append({row["key"]: row["text"] for row in rows if row["key"].endswith("/1")})
        assert len(rows) == 3 + 6
        assert all("```python\n" in row["text"] and row["completion_tokens"] <= 24 for row in rows)
        assert {row["finish"] for row in rows} <= {"stop", "length"}
    # Greedy and first samples are the same questions; second samples have a seed of their own.
    assert texts[0] == texts[1]
    before = (tmp_path / "a/out/pace.jsonl").read_text()
    assert evaluate(tmp_path / "a").returncode == 0
    assert (tmp_path / "a/out/pace.jsonl").read_text() == before
    score = json.loads((tmp_path / "a/out/scores.jsonl").read_text().splitlines()[0])
    assert score["asked"]["pace"]["tokens_per_s"] > 0 and score["asked"]["pace"]["answers_per_s"] > 0
    assert score["asked"]["answered_by"]["versions"]["torch"]
    outcomes = [json.loads(line) for line in (tmp_path / "a/out/outcomes.jsonl").read_text().splitlines()]
    assert {(o["decoding"], len(o["passed"]["base"])) for o in outcomes} >= {("greedy", 1)}
    assert all(o["question"] and all(p in (True, False) for p in o["passed"]["base"]) for o in outcomes)


@pytest.mark.engine
@pytest.mark.assets
def test_a_question_longer_than_the_model_takes_is_refused(tmp_path: Path) -> None:
    """What, its length, and the cure."""
    done = evaluate(tmp_path, offline={"model": "tiny", "max_model_len": 64})
    assert done.returncode == 2
    assert "raise max_model_len" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.assets
def test_adapters_that_do_not_fit_are_refused_before_the_engine_is_loaded(tmp_path: Path) -> None:
    """A missing folder, and one trained on another base."""
    with pytest.raises(EngineError, match='adapter "x" has no folder'):
        Offline(OfflineSettings(model="tiny", adapters={"x": tmp_path / "none"}))
    with pytest.raises(BundleError):
        Offline(OfflineSettings(model="tiny", adapters={"polars": Path("bundles/polars/adapter")}))
