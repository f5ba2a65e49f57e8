"""What the service needs of an engine; the real implementations are vllm.py and echo.py.

A chat body is OpenAI's, checked by the engine, its `model` the base's served name or a loaded adapter's. An engine
raises only service.errors; whatever happens inside it is translated at its own boundary.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Answer:
    """A whole answer in OpenAI's shape."""

    body: dict[str, Any]


@dataclass(frozen=True)
class Stream:
    """A streamed answer: server-sent events, each a whole `data: ...` text with its blank line, [DONE] last."""

    events: AsyncIterator[str]


class Engine(Protocol):
    """Generates; one base model and any number of adapters."""

    async def start(self, adapters: Mapping[str, Path]) -> None:
        """Load the model and the adapters and warm up; raises StartError. The event loop stays free."""

    async def stop(self) -> None:
        """Abort what runs and release everything; harmless when not started."""

    def adapters(self) -> Collection[str]:
        """Names of the adapters that can serve at this moment."""

    async def chat(self, body: dict[str, Any], headers: Mapping[str, str], request_id: str) -> Answer | Stream:
        """Answer one chat. Cancelling this, or closing the stream's events, aborts the generation."""

    async def check_health(self) -> None:
        """Raise EngineDead when no request can be answered any more."""

    def metrics(self) -> bytes:
        """The engine's own series in Prometheus's text format, empty when it has none."""
