"""A small true index with specialists on it, and ways to run an app: in the test or on a true port."""

import contextlib
import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from index.calibration import Calibration
from index.documents import Document
from index.store import Hit, Index, make_index
from service.config import ServiceConfig

SORTS = ("polars.DataFrame.sort sort rows by a column", "polars.Expr.sort_by sort an expression by others")
REGEX = ("re.findall find all matches of a pattern", "re.sub replace matches of a pattern in text")
# A probability of 0.5 at a top cosine of 0.5.
CALIBRATION = Calibration(
    probability_of="the query is about what the bundle documents",
    labels="domain",
    features=("top",),
    mean=(0.0,),
    scale=(1.0,),
    coefficients=(10.0,),
    intercept=-5.0,
    threshold=0.5,
    set_hash="",
    queries={},
    metrics={},
)


class WordEncoder:
    """Bags of hashed words: texts that share words are near each other. Can be slowed down or broken."""

    id = "words"
    dimension = 256

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.error: Exception | None = None
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.batches.append(list(texts))
        self.threads.add(threading.get_ident())
        time.sleep(self.delay_s)
        if self.error:
            raise self.error
        rows = np.full((len(texts), self.dimension), 1e-6, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[int.from_bytes(hashlib.md5(word.encode()).digest()[:2]) % self.dimension] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@dataclass(frozen=True)
class Found:
    """The attributes of index.bundle.Retrieval."""

    hits: tuple[Hit, ...]
    features: dict[str, float]
    score: float
    probability: float


@dataclass(frozen=True)
class IndexedSpecialist:
    """The attributes of index.bundle.Specialist, its probability the cosine itself."""

    name: str
    index: Index
    context: bool = False
    scale: float = 1.0
    folder: Path = Path("bundles/unused")
    adapter: Path = Path("bundles/unused/adapter")
    calibration: Calibration = CALIBRATION
    fingerprint: str = "0" * 64
    base_fingerprint: str = "1" * 64

    def retrieve(self, query: str, vector: np.ndarray) -> Found:
        hits = tuple(self.index.search_dense(vector, 2))
        score = hits[0].score * self.scale
        return Found(hits, {"cosine": score}, score, score if math.isnan(score) else min(max(score, 0.01), 0.99))


def specialist(name: str, texts: Sequence[str], encoder: WordEncoder, **changes: Any) -> IndexedSpecialist:
    """A specialist that knows these texts."""
    documents = [Document(f"{name}:{i}", text, "test==1", "MIT", "object", name) for i, text in enumerate(texts)]
    return IndexedSpecialist(name, make_index(documents, encoder.encode(texts), encoder.id), **changes)


def echo_config(**changes: Any) -> ServiceConfig:
    """A configuration for EchoEngine."""
    return ServiceConfig.model_validate(
        {"engine": "echo", "max_model_len": 512, "gate": {"timeout_ms": 60_000}, **changes}
    )


@contextlib.contextmanager
def ready_client(app: FastAPI) -> Iterator[TestClient]:
    """A client of a started app."""
    with TestClient(app, raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/ready").status_code == 200)
        yield client


@contextlib.contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """A true server on the loopback; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Return once the condition holds; fail when it does not in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def ask(text: str, model: str = "auto", **fields: Any) -> dict[str, Any]:
    """A chat body with one user message."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def events(text: str) -> list[dict[str, Any]]:
    """The JSON objects of an event stream, which must end with [DONE]."""
    blocks = text.strip().split("\n\n")
    assert blocks[-1] == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]
