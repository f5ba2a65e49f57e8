"""The config of an earlier stage in, what the next one goes on from out: adapter, tasks, index."""

import json
from dataclasses import dataclass
from pathlib import Path

from index.config import read_config, read_yaml
from index.folder import make_folder
from index.load import load_index
from index.store import Index
from training.config import SftConfig
from training.errors import StageError
from training.stages.config import StageConfig
from training.tasks import Task, read_tasks

ADAPTER = "adapter"
# Used after training only: a bundle may be packed again under other ones.
PACKING = {"name", "bundle", "context", "names", "rivals", "gate", "calibration"}
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
    """The sft config at the head of a chain of stages; raises StageError on a chain that runs in a circle."""
    seen: list[Path] = []
    while path not in seen:
        seen.append(path)
        facts = read_yaml(path)
        if "start" not in facts:
            return read_config(path, SftConfig)
        path = Path(facts["start"])
    raise StageError(f'stage "{seen[0]}" goes on from itself by "{path}": correct its start')


def open_run(config: SftConfig | StageConfig) -> None:
    """Make a stage's run folder, or continue it; refused where it was made from another configuration."""
    path, text = config.run / "config.json", config.model_dump_json(indent=2) + "\n"
    if path.is_file():
        try:
            earlier = json.loads(path.read_text())
        except ValueError:
            earlier = {}
        if trained_by(earlier) != trained_by(json.loads(text)):
            raise StageError(
                f'run folder "{config.run}" was made from another configuration: delete it, or name another'
            )
    make_folder(config.run)
    path.write_text(text)


def trained_by(facts: dict[str, object]) -> dict[str, object]:
    """The settings that decide what is trained."""
    return {key: value for key, value in facts.items() if key not in PACKING | CHECKING}
