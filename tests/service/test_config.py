"""Configuration: every file in configs/service/ is read, and every mistake names the file and the key or line."""

from pathlib import Path

import pytest

from index.config import read_config
from index.errors import ConfigError
from service.config import ServiceConfig

CONFIGS = sorted((Path(__file__).parents[2] / "configs/service").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_file_is_read_and_says_how_to_run_it(path: Path) -> None:
    """Its first line is the command."""
    assert path.read_text().startswith(f"# pointsman serve configs/service/{path.name}\n")
    assert read_config(path, ServiceConfig)


MISTAKES = {
    "unknown key": ("modle: x", 'unknown key "modle": the keys here are bundles, encoder, engine'),
    "unknown nested key": (
        "gate:\n  treshold: 0.5",
        'unknown key "gate.treshold": the keys here are ambiguous, ambiguous_band',
    ),
    "ill-typed": ("port: http", 'key "port" is "http": Input should be a valid integer'),
    "out of range": ("gate: {threshold: 1.5}", 'key "gate.threshold" is "1.5": Input should be less than 1'),
    "a second stage that doubts nothing": (
        "gate: {second_stage: {below: 0}}",
        'key "gate.second_stage.below" is "0": Input should be greater than 0',
    ),
    "a second stage that doubts everything": (
        "gate: {second_stage: {below: 1.0}}",
        'key "gate.second_stage.below" is "1.0": Input should be less than 1',
    ),
    "unknown key of the second stage": (
        "gate: {second_stage: {above: 0.5}}",
        'unknown key "gate.second_stage.above": the keys here are below',
    ),
    "unknown engine": ("engine: gpt", "key \"engine\" is \"gpt\": Input should be 'vllm' or 'echo'"),
    "reserved name": ("served_name: auto", 'served_name cannot be "auto"'),
    "empty host": ("host: ''", 'key "host" is "": String should have at least 1 character'),
    "host that is no name": ("host: höst", 'key "host" is "höst": String should match'),
    "a value of two lines": ('port: "a\\nb"', 'key "port" is "a b": Input should be a valid integer'),
    "a long value": (f"port: {'x' * 500}", f'is "{"x" * 97}...": Input'),
    "many mistakes": ("\n".join(f"key{n}: 1" for n in range(12)), "; 4 more"),
    "not YAML": ("model: x\nport: [1", "line 2: is not YAML"),
    "a list": ("- model", "holds a list"),
    "not text": (b"\xff\xfe", "is not UTF-8 text"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_names_the_file_and_the_key(tmp_path: Path, name: str) -> None:
    """And says what would be right."""
    text, message = MISTAKES[name]
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        read_config(path, ServiceConfig)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named() -> None:
    """Without a traceback of the operating system."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read \(No such file"):
        read_config("nowhere.yaml", ServiceConfig)


def test_settings_are_frozen_and_explained() -> None:
    """No code can change a setting, and each field has its sentence."""
    with pytest.raises(ValueError, match="frozen"):
        ServiceConfig().port = 1  # type: ignore[misc]
    config = ServiceConfig()
    for model in (ServiceConfig, *(type(v) for v in (config.gate, config.gate.second_stage, config.limits))):
        assert [n for n, f in model.model_fields.items() if not f.description and n not in ("gate", "limits")] == []
