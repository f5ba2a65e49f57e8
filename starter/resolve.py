"""A model's name in a config becomes a folder on this machine."""

import os
from collections.abc import Mapping
from pathlib import Path

from starter import cache, hub
from starter.assets import ENCODERS, MODELS, Asset
from starter.errors import ModelError


def resolve_model(model: str) -> Path:
    """The folder of a language model: "starter", "tiny", a local folder, or a Hugging Face id."""
    return _resolve(model, MODELS)


def resolve_encoder(model: str) -> Path:
    """The folder of a text encoder: "starter", a local folder, or a Hugging Face id."""
    return _resolve(model, ENCODERS)


def _resolve(model: str, assets: Mapping[str, Asset]) -> Path:
    if model in assets:
        return cache.ensure(assets[model])
    path = Path(model).expanduser()
    if path.exists():
        return _model_folder(path.absolute())
    if model.startswith((os.sep, ".", "~")):
        raise ModelError(f'the model folder "{model}" does not exist; give a folder, a Hugging Face id or "starter"')
    return hub.snapshot(model)


def _model_folder(path: Path) -> Path:
    if not (path / "config.json").is_file():
        raise ModelError(
            f'the model folder "{path}" has no config.json; give the folder that holds config.json and the weights, '
            'or "starter"'
        )
    return path
