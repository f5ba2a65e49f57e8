"""The whole stage grpo by its command: a random model, real tasks, the real sandbox, and a kill in between."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from index.documents import Document
from index.embed import load_encoder
from index.store import make_index
from tests.training.conftest import small_model
from training.config import SftConfig
from training.sft import manifest_facts
from training.tasks import Task, TaskSource, package_tasks, write_tasks
from training.trainer.adapters import save_adapter, with_adapter

__all__ = ["small_model"]
pytestmark = pytest.mark.assets
WAIT_S = 300
STEPS = 6


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    """Those of the standard library's `statistics` that tell answers apart, some held out."""
    return package_tasks(TaskSource("statistics", "from statistics import *", 3, 0.2, 0, {}, "", (), "literals"))


def chain(folder: Path, model: Path, tasks: list[Task]) -> Path:
    """A finished stage sft, whose adapter is random, and the config of a grpo stage that goes on from it."""
    head = yaml.safe_load(Path("configs/training/polars-sft.yaml").read_text())
    head |= {"run": str(folder / "sft"), "model": str(model), "evaluations": []}
    head["tasks"] |= {"package": "statistics", "preload": [], "preamble": "from statistics import *", "display": ""}
    (folder / "sft.yaml").write_text(yaml.safe_dump(head))
    write_tasks(folder / "sft/tasks.jsonl", tasks)
    encoder = load_encoder(head["encoder"])
    documents = [Document(f"d{n}", text, "s", "MIT", "function", text) for n, text in enumerate("ab")]
    make_index(documents, encoder.encode(["a", "b"]), encoder.id).save(folder / "sft/index")
    torch.manual_seed(0)
    save_adapter(with_adapter(model, 4, 8), folder / "sft/adapter", model)
    (folder / "sft/result.json").write_text("{}")
    stage = {
        "start": str(folder / "sft.yaml"), "run": str(folder / "grpo"), "rollouts": "transformers",
        "problems": [{"tasks": True, "telling": True, "max_characters": 4000}],
        "grpo": {"steps": STEPS, "group": 2, "prompts_per_step": 2, "max_new_tokens": 4, "save_steps": 2},
        "scheduler": {"max_rounds": 1, "visits": 100}, "canary": {"tasks": 2, "steps": [0]},
    }  # fmt: skip
    (folder / "grpo.yaml").write_text(yaml.safe_dump(stage))
    return folder / "grpo.yaml"


def command(path: Path) -> list[str]:
    return [sys.executable, "-m", "pointsman", "train", "grpo", str(path)]


def steps(run: Path) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, (run / "steps.jsonl").read_text().splitlines()) if "loss" in line]


def test_a_killed_run_goes_on_from_its_checkpoint_and_tells_each_step_once(
    small_model: Path, tasks: list[Task], tmp_path: Path
) -> None:
    """Gates that passed are not asked again, and samples are those of the steps."""
    path = chain(tmp_path, small_model, tasks)
    run = tmp_path / "grpo"
    process = subprocess.Popen(command(path), stderr=subprocess.PIPE)
    until = time.monotonic() + WAIT_S
    while not (run / "checkpoint-2/scheduler.json").is_file():
        assert process.poll() is None and time.monotonic() < until, process.communicate()[1].decode()[-2000:]
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    gates = (run / "gates.json").read_text()
    subprocess.run(command(path), check=True)
    assert [line["step"] for line in steps(run)] == list(range(1, STEPS + 1))
    assert json.loads((run / "result.json").read_text())["step"] == STEPS
    assert (run / "gates.json").read_text() == gates
    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    assert [one["step"] for one in samples] == [step for step in range(1, STEPS + 1) for _ in range(4)]
    assert (run / "adapter/adapter_model.safetensors").is_file()
    home = SftConfig.model_validate(yaml.safe_load((tmp_path / "sft.yaml").read_text()))
    facts = manifest_facts(home, run, tasks, load_encoder(home.encoder))
    assert "samples" in facts["data"] and "no practised task" in str(facts["contamination"])  # type: ignore[operator]
