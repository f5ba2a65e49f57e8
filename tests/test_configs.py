"""Every file in configs/ is one complete configuration: its first line is the command that runs it."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from index.build import IndexConfig
from index.config import Settings, read_config
from index.errors import ConfigError
from pointsman import evaluate, gate_evaluate, index_build, make_parser, serve, train_sft, train_verified_sft
from service.config import ServiceConfig
from training.config import SftConfig
from training.evaluate.config import EvaluateConfig
from training.gate.config import GateConfig
from training.stages.config import VerifiedConfig

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "configs").rglob("*.yaml"))
MEANS: dict[tuple[str, Callable[..., Any]], type[Settings]] = {
    ("service", serve): ServiceConfig,
    ("index", index_build): IndexConfig,
    ("gate", gate_evaluate): GateConfig,
    ("training", train_sft): SftConfig,
    ("training", train_verified_sft): VerifiedConfig,
    ("training", evaluate): EvaluateConfig,
}


@pytest.fixture(params=FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def file(request: pytest.FixtureRequest) -> Path:
    return request.param


def command_of(file: Path) -> list[str]:
    return shlex.split(file.read_text().partition("\n")[0])


def settings_of(file: Path) -> type[Settings]:
    """The class of a file: by its folder, and by its command where a folder serves several."""
    return MEANS[file.parent.name, make_parser().parse_args(command_of(file)[2:]).command]


def test_there_are_configs_for_each_folder() -> None:
    assert {path.parent.name for path in FILES} >= {"gate", "index", "service", "training"}


def test_the_first_line_is_the_command_that_runs_the_file(file: Path) -> None:
    command = command_of(file)
    assert command[:2] == ["#", "pointsman"]
    assert make_parser().parse_args(command[2:]).config == file.relative_to(ROOT)


def test_the_file_parses_as_the_class_its_folder_means(file: Path) -> None:
    settings = settings_of(file)
    assert isinstance(read_config(file, settings), settings)


def paths(values: dict[str, Any], trail: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*trail, key)
        if isinstance(value, dict):
            yield from paths(value, (*trail, key))


def test_a_misspelt_key_is_refused_naming_file_and_key(file: Path, tmp_path: Path) -> None:
    """Each key in turn, nested ones too, apart from the free-form tables whose keys are not ours."""
    original = yaml.safe_load(file.read_text())
    settings = settings_of(file)
    tried = 0
    for trail in paths(original):
        if free_form(settings, trail[:-1]):
            continue
        changed = yaml.safe_load(file.read_text())
        owner = changed
        for key in trail[:-1]:
            owner = owner[key]
        owner[trail[-1] + "x"] = owner.pop(trail[-1])
        copy = tmp_path / file.name
        copy.write_text(yaml.safe_dump(changed))
        with pytest.raises(ConfigError) as caught:
            read_config(copy, settings)
        assert str(copy) in str(caught.value)
        assert f'"{".".join((*trail[:-1], trail[-1] + "x"))}"' in str(caught.value)
        tried += 1
    assert tried >= 1


def free_form(settings: type[Settings], trail: tuple[str, ...]) -> bool:
    """True where the value at `trail` is a plain table, such as an environment or flags for another program."""
    owner: Any = settings
    for key in trail:
        owner = owner.model_fields[key].annotation
        if not isinstance(owner, type) or not issubclass(owner, Settings):
            return True
    return False
