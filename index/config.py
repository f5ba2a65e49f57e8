"""A YAML file in, a frozen settings object out; every refusal names the file and the key or line.

Not covered: environment variables and includes. One file is one complete configuration.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.errors import ConfigError


class Settings(BaseModel):
    """Root of every settings class: frozen, and a key that no field has is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SettingsType = TypeVar("SettingsType", bound=Settings)
Share = Annotated[float, Field(ge=0, le=1)]
MISTAKES_SHOWN = 8
VALUE_CHARACTERS = 100


def read_config(path: str | Path, model: type[SettingsType]) -> SettingsType:
    """Read a YAML file as `model`; raises ConfigError with the file and the line or key."""
    try:
        return model.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError(f"{path}: {explained(error, model)}") from error


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The keys and values of a YAML file, unchecked; raises ConfigError with the file and the line."""
    try:
        values = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: is not YAML ({getattr(error, 'problem', None) or error})") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds a {type(values).__name__}, not `key: value` lines")
    return values


def explained(error: ValidationError, model: type[BaseModel]) -> str:
    """A validation error in one line: its first mistakes, and how many more there are."""
    mistakes = error.errors()
    shown = [explain(mistake, model) for mistake in mistakes[:MISTAKES_SHOWN]]
    more = [f"{len(mistakes) - MISTAKES_SHOWN} more"] if len(mistakes) > MISTAKES_SHOWN else []
    return " ".join("; ".join(shown + more).split())


def explain(error: object, model: type[BaseModel]) -> str:
    """One validation error as: key, value in quotes, what is wrong, and for an unknown key what exists."""
    assert isinstance(error, dict)
    key = ".".join(str(part) for part in error["loc"])
    if not key:
        return str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        owner: type[BaseModel] = model
        for part in error["loc"][:-1]:
            annotation = owner.model_fields[part].annotation if part in owner.model_fields else None
            if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
                return f'unknown key "{key}"'
            owner = annotation
        return f'unknown key "{key}": the keys here are {", ".join(sorted(owner.model_fields))}'
    if error["type"] == "missing":
        return f'key "{key}" is missing: add it'
    value = str(error["input"])
    value = value if len(value) <= VALUE_CHARACTERS else value[: VALUE_CHARACTERS - 3] + "..."
    return f'key "{key}" is "{value}": {error["msg"].removeprefix("Value error, ")}'
