"""From a configuration to vLLM's command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.config import ServiceConfig
from service.engines.arguments import command_line
from service.errors import StartError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like a model's."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def adapter(folder: Path, rank: Any) -> Path:
    """A PEFT folder of this rank."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return folder


def value(words: list[str], flag: str) -> str:
    """The word after a flag."""
    return words[words.index(f"--{flag}") + 1]


def test_without_adapters_lora_stays_off(model: Path) -> None:
    """It costs memory and speed."""
    words = command_line(ServiceConfig(model=str(model)), {}, {})
    assert "--enable-lora" not in words
    assert value(words, "model") == str(model)


def test_there_is_room_for_every_adapter(model: Path, tmp_path: Path) -> None:
    """The rank is rounded up to one vLLM knows, and all adapters stay in host memory."""
    adapters = {f"a{i}": adapter(tmp_path / f"a{i}", 12) for i in range(10)}
    words = command_line(ServiceConfig(model=str(model)), {}, adapters)
    assert value(words, "max-lora-rank") == "16"
    assert value(words, "max-loras") == "8"
    assert value(words, "max-cpu-loras") == "10"
    modules = [json.loads(word) for word in words[words.index("--lora-modules") + 1 :]]
    assert modules[3] == {"name": "a3", "path": str(tmp_path / "a3"), "base_model_name": "base"}


def test_the_configuration_overrules_the_machine(model: Path) -> None:
    """And a boolean becomes a flag or its --no- form."""
    config = ServiceConfig(model=str(model), vllm_args={"dtype": "float32", "enforce-eager": False})
    words = command_line(config, {"dtype": "bfloat16", "enforce-eager": True, "enable-auto-tool-choice": True}, {})
    assert value(words, "dtype") == "float32"
    assert "--no-enforce-eager" in words
    assert "--enable-auto-tool-choice" in words


@pytest.mark.parametrize("rank", [0, 513, "x", None])
def test_an_impossible_rank_names_the_file(model: Path, tmp_path: Path, rank: Any) -> None:
    """Before an engine is started."""
    with pytest.raises(StartError, match=r"a/adapter_config\.json"):
        command_line(ServiceConfig(model=str(model)), {}, {"a": adapter(tmp_path / "a", rank)})
