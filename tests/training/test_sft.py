from pathlib import Path

import pytest

from index.config import read_config
from index.errors import ConfigError
from training.config import SftConfig
from training.errors import StageError
from training.sft import git_commit, make_tasks, pack, prepare_tasks
from training.stages.start import open_run
from training.tasks import Task, read_tasks

CONFIG = Path("configs/training/polars-sft.yaml")


def shipped(run: Path) -> SftConfig:
    """The starter bundle's configuration with another run folder."""
    return read_config(CONFIG, SftConfig).model_copy(update={"run": run})


def test_a_run_folder_of_another_configuration_is_refused(tmp_path: Path) -> None:
    """Half of one run and half of another would be a bundle nobody can repeat."""
    config = shipped(tmp_path)
    open_run(config)
    open_run(config)
    with pytest.raises(StageError, match="another configuration"):
        open_run(config.model_copy(update={"sft": config.sft.model_copy(update={"seed": 1})}))


def test_a_bundle_folder_with_other_files_is_refused_and_kept(tmp_path: Path) -> None:
    """`bundle: docs` must not cost anybody the docs."""
    (tmp_path / "guide.md").write_text("text")
    with pytest.raises(ConfigError, match=r"holds files and no manifest\.json"):
        pack(shipped(tmp_path).model_copy(update={"bundle": tmp_path}), tmp_path, [], None, None)  # type: ignore[arg-type]
    assert (tmp_path / "guide.md").read_text() == "text"


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that only trains need not have it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit() == "unknown"


def test_a_bundle_may_be_packed_again_with_another_calibration(tmp_path: Path) -> None:
    """Nothing before the packing depends on it, so nothing is trained again."""
    config = shipped(tmp_path)
    open_run(config)
    open_run(config.model_copy(update={"rivals": ["squirrel"], "gate": Path("configs/gate/other.yaml")}))
    assert '"squirrel"' in (tmp_path / "config.json").read_text()


def test_the_tasks_alone_are_those_the_stage_goes_on_with(tmp_path: Path, tasks: list[Task]) -> None:
    """Evaluation reads the file without any training; a later training of the same configuration takes it as it is."""
    lines = CONFIG.read_text().replace("run: runs/polars-sft", f"run: {tmp_path / 'run'}")
    lines = lines.replace("package: polars", "package: statistics").replace(
        "import polars as pl", "from statistics import *"
    )
    lines = lines.replace("max_per_object: 2", "max_per_object: 3").replace(
        "held_out_share: 0.2", "held_out_share: 0.0"
    )
    path = tmp_path / "sft.yaml"
    path.write_text(lines.replace('display: "shape:"', 'display: ""'))
    make_tasks(path)
    written = tmp_path / "run" / "tasks.jsonl"
    assert read_tasks(written) == tasks
    assert prepare_tasks(read_config(path, SftConfig)) == tasks
