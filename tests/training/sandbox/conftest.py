"""One sandbox for the tests that ask what a verdict says."""

from collections.abc import Iterator

import pytest

from training.sandbox import Sandbox, SandboxConfig


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig(workers=2, environment={"GIVEN": "yes"})) as made:
        yield made
