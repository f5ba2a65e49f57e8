"""A stage's name and its config in; what it would train on, as far as that is made, out. Nothing is trained or sampled.

Tasks, index and rows that are made for it stay in the run folder, and the stage goes on from there.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from index.config import read_config
from index.embed import load_encoder
from starter import resolve_model
from training.config import RawSftConfig, SftConfig, SftSettings
from training.errors import StageError
from training.evaluate.load import load_items
from training.leak import clean_train
from training.rows import Row
from training.sft import prepare_index, prepare_rows, prepare_tasks
from training.stages import raw_sft
from training.stages.config import ProblemSettings, VerifiedConfig
from training.stages.recipes import ROW_RECIPES, RowStage
from training.stages.start import head_of, open_run
from training.tasks import read_tasks


@dataclass(frozen=True)
class Prepared:
    """A stage before it runs: its rows, or None and the samples that they will be chosen from."""

    stage: str
    path: Path
    config: RowStage
    model: Path
    rows: list[Row] | None
    samples: int = 0

    @property
    def sft(self) -> SftSettings:
        """The optimiser's settings."""
        return self.config.sft

    @property
    def goes_on(self) -> bool:
        """Whether the adapter of another stage goes on."""
        if isinstance(self.config, VerifiedConfig):
            return self.config.go_on
        return isinstance(self.config, SftConfig) and self.config.start is not None


def prepare(stage: str, path: Path) -> Prepared:
    """Read a stage's config and make its rows where that takes no model; raises what the stage itself would raise."""
    config = read_config(path, ROW_RECIPES[stage])
    if isinstance(config, VerifiedConfig):
        home, file = head_of(path), config.run / "rows.jsonl"
        rows = read_rows(file) if file.is_file() else None
        samples = 0 if rows else samples_of(config, home)
        return Prepared(stage, path, config, resolve_model(home.model), rows, samples)
    open_run(config)
    rows = raw_rows(config) if isinstance(config, RawSftConfig) else sft_rows(config)
    return Prepared(stage, path, config, resolve_model(config.model), rows)


def raw_rows(config: RawSftConfig) -> list[Row]:
    """The rows of source files."""
    return raw_sft.prepare_rows(config, Console())


def sft_rows(config: SftConfig) -> list[Row]:
    """The rows of a package's tasks; those of an earlier run, where it has them."""
    path = config.run / "rows.jsonl"
    if path.is_file():
        return read_rows(path)
    encoder = load_encoder(config.encoder)
    tasks = prepare_tasks(config)
    return prepare_rows(config, tasks, prepare_index(config, tasks, encoder), encoder)


def read_rows(path: Path) -> list[Row]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def samples_of(config: VerifiedConfig, home: SftConfig) -> int:
    """How many answers the stage will sample before it has rows."""
    answers = sum(one.samples for one in config.decodings) * (len(config.checkpoints) + config.base)
    return answers * sum(problems_of(one, home) for one in config.problems)


def problems_of(settings: ProblemSettings, home: SftConfig) -> int:
    """How many problems a source gives; raises StageError where the tasks are not made."""
    if settings.draw is not None:
        return settings.draw
    if settings.benchmark is not None:
        return len(load_items(settings.benchmark))
    path = home.run / "tasks.jsonl"
    if not path.is_file():
        raise StageError(f'"{path}" is missing, so problems cannot be counted: make it by `pointsman train tasks`')
    return sum(len(task.instruction) <= settings.max_characters for task in clean_train(read_tasks(path)))
