"""The config of an earlier stage in, what the next one goes on from out: adapter, tasks, index."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.config import read_config, read_yaml
from index.folder import make_folder
from index.load import load_index
from index.store import Index
from training.config import RawSftConfig, SftConfig
from training.errors import StageError
from training.stages.config import StageConfig
from training.tasks import Task, read_tasks

ADAPTER, RESULT = "adapter", "result.json"
Config = SftConfig | RawSftConfig | StageConfig
# Used after training only: a bundle may be packed again under other ones.
PACKING = {"name", "bundle", "context", "names", "rivals", "gate", "calibration"}
# Used for training only: rows that were made under others are the same.
TRAINING = {"model", "sft"}
# Decide whether something may be trained, not what.
CHECKING = {"evaluations", "allow_contaminated"}


@dataclass(frozen=True)
class Start:
    """A finished stage: its run folder, and the sft config at the head of its chain, which names tasks and index."""

    home: SftConfig
    run: Path

    @property
    def adapter(self) -> Path:
        """The folder of the adapter that the stage ended with."""
        return self.run / ADAPTER

    def tasks(self) -> list[Task]:
        """All tasks of the specialist, those held out included."""
        return read_tasks(self.home.run / "tasks.jsonl")

    def index(self) -> Index:
        """The specialist's index."""
        return load_index(self.home.run / "index")


def start_of(path: Path) -> Start:
    """The stage of a config, finished; raises StageError where it is not."""
    home, run = head_of(path), Path(read_yaml(path)["run"])
    for wanted in (run / ADAPTER / "adapter_config.json", home.run / "tasks.jsonl", home.run / "index/index.json"):
        if not wanted.is_file():
            raise StageError(f'stage "{path}" is not finished, "{wanted}" is missing: run it first')
    return Start(home, run)


def head_of(path: Path) -> SftConfig:
    """The sft config nearest to the head of a chain of stages, which names tasks and index.

    Raises StageError on a chain that has none or runs in a circle.
    """
    seen: list[Path] = []
    while path not in seen:
        seen.append(path)
        facts = read_yaml(path)
        if "tasks" in facts:
            return read_config(path, SftConfig)
        if "start" not in facts:
            raise StageError(
                f'stage "{path}" makes no tasks and no index: let a stage sft go on from it, then this one'
            )
        path = Path(facts["start"])
    raise StageError(f'stage "{seen[0]}" goes on from itself by "{path}": correct its start')


def adapter_of(path: Path) -> Path:
    """The adapter that the stage of a config ended with, whatever its recipe; raises StageError where there is none."""
    run = Path(read_yaml(path)["run"])
    for wanted in (run / RESULT, run / ADAPTER / "adapter_config.json", run / ADAPTER / "adapter_model.safetensors"):
        if not wanted.is_file():
            raise StageError(f'stage "{path}" is not finished, "{wanted}" is missing: run it first')
    return run / ADAPTER


def open_run(config: Config) -> None:
    """Make a stage's run folder, or continue it; refused where it was made from another configuration."""
    refuse_other(config)
    make_folder(config.run)
    (config.run / "config.json").write_text(config.model_dump_json(indent=2) + "\n")


def refuse_other(config: Config) -> None:
    """Raise StageError when a run folder was made from another configuration.

    While nothing was trained, only what its tasks and rows were made from counts.
    """
    path = config.run / "config.json"
    if not path.is_file():
        return
    try:
        earlier = json.loads(path.read_text())
    except ValueError:
        earlier = {}
    decisive = trained_by if begun(config.run) else made_by
    if decisive(earlier) != decisive(json.loads(config.model_dump_json())):
        raise StageError(f'run folder "{config.run}" was made from another configuration: delete it, or name another')


def begun(run: Path) -> bool:
    """Whether anything was trained in a run folder."""
    return (run / RESULT).is_file() or any(run.glob("checkpoint-*"))


def trained_by(facts: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide what is trained."""
    return {key: value for key, value in facts.items() if key not in PACKING | CHECKING}


def made_by(facts: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide what rows there are; the optimiser's seed splits the tasks and draws the rows."""
    made = {key: value for key, value in trained_by(facts).items() if key not in TRAINING}
    return made | {"sft.seed": facts.get("sft", {}).get("seed")}
