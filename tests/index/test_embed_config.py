"""An encoder in a config: text or keys, the id that tells it from others, and what is refused."""

from pathlib import Path

import pytest

from index.config import Settings, read_config
from index.encoders.config import EncoderConfig
from index.errors import ConfigError


class Uses(Settings):
    """A config that names an encoder."""

    encoder: EncoderConfig = EncoderConfig()


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("starter", "all-MiniLM-L6-v2"),
        ("starter:onnx-int8", "all-MiniLM-L6-v2:onnx-int8"),
        ("starter:onnx-int8:128", "all-MiniLM-L6-v2:onnx-int8:128"),
        ("starter:64", "all-MiniLM-L6-v2:64"),
        ("BAAI/bge-small-en-v1.5:static", "BAAI/bge-small-en-v1.5:static"),
        ("./models/mine", "./models/mine"),
    ],
)
def test_text_names_an_encoder_and_its_id_names_it_again(text: str, id_: str) -> None:
    """So that what index.json holds can be loaded; written into a run's config it is the text it was read from."""
    config = EncoderConfig.model_validate(text)
    assert config.id == id_
    assert EncoderConfig.model_validate(id_) == config
    assert config.model_dump() == text


def test_keys_say_the_same_as_text() -> None:
    keys = {"model": "starter", "backend": "onnx-int8", "max_tokens": 128}
    assert EncoderConfig.model_validate(keys) == EncoderConfig.model_validate("starter:onnx-int8:128")


def test_threads_are_kept_and_change_no_id() -> None:
    """They change the time, never a vector; text cannot say them."""
    config = EncoderConfig(backend="onnx-int8", threads=4)
    assert config.id == EncoderConfig(backend="onnx-int8").id
    assert EncoderConfig.model_validate(config.model_dump()) == config


def test_a_folder_whose_name_holds_a_colon_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    assert EncoderConfig.model_validate(str(tmp_path / "a:b")).model == str(tmp_path / "a:b")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("starter:tensorrt", 'backend "tensorrt" of encoder "starter" is unknown: the backends are torch, onnx-int8'),
        ("{backend: tensorrt}", 'key "encoder.backend" is "tensorrt"'),
        ("{model: ''}", 'key "encoder.model" is ""'),
        ("{threads: 0}", 'key "encoder.threads" is "0"'),
        ("{max_tokens: 2}", 'key "encoder.max_tokens" is "2"'),
        ("{bakend: torch}", 'unknown key "encoder.bakend"'),
    ],
)
def test_what_is_no_encoder_is_refused_with_file_and_key(tmp_path: Path, value: str, message: str) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(f"encoder: {value}\n")
    with pytest.raises(ConfigError) as caught:
        read_config(path, Uses)
    assert str(path) in str(caught.value) and message in str(caught.value)
