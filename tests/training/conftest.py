"""The toy package of the index tests, and verified tasks of a small real package."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.index.conftest import documents, index, toytable
from training.sandbox import Sandbox, SandboxConfig
from training.tasks import LIMITS, Task, TaskSource, package_tasks

__all__ = ["documents", "index", "toytable"]


def source(held_out_share: float = 0.0) -> TaskSource:
    """Tasks of the standard library's `statistics`, whose docstrings hold doctests."""
    return TaskSource("statistics", "from statistics import *", 3, held_out_share, 0, {}, "")


@pytest.fixture(scope="session")
def tasks() -> list[Task]:
    return package_tasks(source())


@pytest.fixture(scope="session")
def held_out(tasks: list[Task]) -> list[Task]:
    return [replace(task, split="held_out") for task in tasks if task.id.endswith("/0")]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Two workers that have polars and numpy imported."""
    with Sandbox(SandboxConfig(workers=2, preload=["polars", "numpy"], limits=LIMITS)) as sandbox:
        yield sandbox
