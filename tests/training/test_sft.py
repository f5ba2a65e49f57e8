from pathlib import Path

import pytest

from index.config import read_config
from training.calibration import negative_queries, other_queries, positive_queries
from training.config import SftConfig
from training.errors import TaskError
from training.sft import make_tasks, open_run, prepare_tasks
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
    with pytest.raises(TaskError, match="another configuration"):
        open_run(config.model_copy(update={"name": "other"}))


def test_queries_of_other_packages_take_the_forms_of_our_own() -> None:
    """So that the form of a question tells the gate nothing."""
    queries = other_queries("statistics", 12, 0)
    assert len(queries) == 12
    assert queries == other_queries("statistics", 12, 0)
    starts = {query.split()[0] for query in queries}
    assert {"How", "Complete"} <= starts


def test_some_positives_hide_the_name_and_some_negatives_carry_it(tasks: list[Task]) -> None:
    """A gate that only looks for the library's name would fail both."""
    positives = [query for query, _ in positive_queries(tasks, "statistics", 0)]
    assert any("in Statistics" not in query and query.startswith("How do I do this: ") for query in positives)
    config = read_config(CONFIG, SftConfig).calibration.model_copy(update={"other_packages": ["json"]})
    negatives = [query for query, _ in negative_queries(config, 0)]
    share = sum(query.startswith("We use polars at work.") for query in negatives) / len(negatives)
    assert 0.02 < share < 0.25
    assert len(set(negatives)) == len(negatives) > 100


def test_a_missing_query_file_is_named(tmp_path: Path) -> None:
    """Before anything is embedded."""
    config = read_config(CONFIG, SftConfig).calibration.model_copy(update={"queries": tmp_path / "none.txt"})
    with pytest.raises(TaskError, match=r"none\.txt"):
        list(negative_queries(config, 0))


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
