"""Fixtures for the HTTP tests: an encoder, two specialists, and apps that answer with EchoEngine."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.app import create_app
from service.engines.echo import EchoEngine
from tests.service.small_service import (
    REGEX,
    SORTS,
    IndexedSpecialist,
    WordEncoder,
    echo_config,
    ready_client,
    specialist,
)


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


@pytest.fixture
def specialists(encoder: WordEncoder) -> list[IndexedSpecialist]:
    return [specialist("polars", SORTS, encoder, context=True), specialist("regex", REGEX, encoder)]


@pytest.fixture
def make_app(encoder: WordEncoder, specialists: list[IndexedSpecialist]) -> Callable[..., FastAPI]:
    """Builds an app; `engine` and every key of the configuration can be given."""

    def make(engine: Any = None, **changes: Any) -> FastAPI:
        config = echo_config(**changes)
        return create_app(config, engine or EchoEngine(config), specialists=specialists, encoder=encoder)

    return make


@pytest.fixture
def client(make_app: Callable[..., FastAPI]) -> Iterator[TestClient]:
    with ready_client(make_app()) as client:
        yield client
