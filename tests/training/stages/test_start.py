import json
from pathlib import Path

import pytest
import yaml

from index.config import read_config
from training.config import SftConfig
from training.errors import StageError
from training.stages.config import VerifiedConfig
from training.stages.start import head_of, open_run, start_of

SHIPPED = Path("configs/training/polars-sft.yaml")


def chain(folder: Path) -> tuple[Path, Path]:
    """An sft config and a stage that goes on from it, in a folder."""
    head = yaml.safe_load(SHIPPED.read_text()) | {"run": str(folder / "first")}
    (folder / "head.yaml").write_text(yaml.safe_dump(head))
    later = {
        "start": str(folder / "head.yaml"), "run": str(folder / "second"), "problems": [{"tasks": True}],
        "checkpoints": {"sft": str(folder / "head.yaml")},
    }  # fmt: skip
    (folder / "later.yaml").write_text(yaml.safe_dump(later))
    return folder / "head.yaml", folder / "later.yaml"


def finish(folder: Path, *names: str) -> None:
    """Empty files that a finished stage leaves."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")


def test_a_stage_finds_the_tasks_of_its_chains_head_and_the_adapter_before_it(tmp_path: Path) -> None:
    head, later = chain(tmp_path)
    finish(tmp_path, "first/tasks.jsonl", "first/index/index.json", "first/adapter/adapter_config.json")
    finish(tmp_path, "second/adapter/adapter_config.json")
    assert start_of(head).adapter == tmp_path / "first/adapter"
    after = start_of(later)
    assert after.adapter == tmp_path / "second/adapter" and after.home == read_config(head, SftConfig)


def test_a_stage_that_is_not_finished_is_named(tmp_path: Path) -> None:
    head, _ = chain(tmp_path)
    finish(tmp_path, "first/tasks.jsonl", "first/index/index.json")
    with pytest.raises(StageError, match=r'head.yaml" is not finished, ".*adapter_config.json" is missing: run it'):
        start_of(head)


def test_a_chain_in_a_circle_is_refused(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.yaml").write_text(f"start: {tmp_path / other}.yaml\nrun: {tmp_path / one}\n")
    with pytest.raises(StageError, match=r'a.yaml" goes on from itself by'):
        head_of(tmp_path / "a.yaml")


def test_a_run_is_continued_by_the_same_settings_alone(tmp_path: Path) -> None:
    """The bundle may be another one; a file that a kill left half written is another configuration."""
    _, later = chain(tmp_path)
    config = read_config(later, VerifiedConfig)
    open_run(config)
    open_run(config.model_copy(update={"bundle": tmp_path / "bundle"}))
    with pytest.raises(StageError, match="another configuration"):
        open_run(config.model_copy(update={"seed": 1}))
    kept = json.loads((config.run / "config.json").read_text())
    assert kept["bundle"] == str(tmp_path / "bundle")
    (config.run / "config.json").write_text("{")
    with pytest.raises(StageError, match="another configuration"):
        open_run(config)


def test_problems_have_one_source(tmp_path: Path) -> None:
    _, later = chain(tmp_path)
    facts = yaml.safe_load(later.read_text())
    for wrong in ({}, {"tasks": True, "benchmark": {"benchmark": "humaneval"}}):
        later.write_text(yaml.safe_dump(facts | {"problems": [wrong]}))
        with pytest.raises(Exception, match="give one of them"):
            read_config(later, VerifiedConfig)
