"""What is done to an event stream, and what happens when it fails half-way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.errors import EngineFailed
from service.stream import DONE, relay, sse
from service.trace import Trace
from tests.service.small_service import events


class Source:
    """An engine's events; a float is a pause in seconds, an exception is raised."""

    def __init__(self, *items: str | float | Exception) -> None:
        self._items = items
        self.closed = False

    async def __call__(self) -> AsyncIterator[str]:
        try:
            for item in self._items:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, float):
                    await asyncio.sleep(item)
                else:
                    yield item
        finally:
            self.closed = True


def token(text: str, reason: str | None = None) -> str:
    """One event as an engine writes it."""
    return sse({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]})


USAGE = sse({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})


def run(source: Source, trace: Trace, **changes: Any) -> str:
    """The stream a client would get."""

    async def collect() -> str:
        limit_s = changes.pop("limit_s", 5.0)
        deadline = asyncio.get_running_loop().time() + limit_s
        extras = {"pointsman": {"routing": 1}}
        return "".join([e async for e in relay(source(), extras, trace, include_usage=False, deadline=deadline)])

    return asyncio.run(collect())


def test_tokens_are_counted_although_the_client_did_not_ask() -> None:
    """The engine's usage event feeds the metrics and is kept from a client that did not want it."""
    trace = Trace("id", "chat")
    chunks = events(run(Source(token("a"), token("b", "stop"), USAGE, DONE), trace))
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["a", "b"]
    assert chunks[-1]["pointsman"] == {"routing": 1}
    assert trace.usage == {"prompt_tokens": 3, "completion_tokens": 2}
    assert trace.first_token_s is not None


def test_text_is_passed_on_at_once() -> None:
    """Only an event that may be the last is held back: the first token does not wait for the second."""

    async def first() -> str:
        source, deadline = Source(token("a"), 60.0, token("b")), asyncio.get_running_loop().time() + 9
        stream = relay(source(), {}, Trace("id", "chat"), include_usage=False, deadline=deadline)
        event = await asyncio.wait_for(anext(stream), 1)
        await stream.aclose()
        assert source.closed
        return event

    assert asyncio.run(first()) == token("a")


def test_a_deadline_ends_the_stream_with_an_error_event() -> None:
    """The client is told, the engine's stream is closed, the status is counted as 504."""
    trace, source = Trace("id", "chat"), Source(token("a"), 60.0, token("b"))
    chunks = events(run(source, trace, limit_s=0.05))
    assert chunks[-1]["error"]["code"] == "timeout"
    assert trace.status == 504
    assert source.closed


def test_a_failure_in_mid_stream_names_only_the_request() -> None:
    """What the engine raised stays inside."""
    trace = Trace("find-me", "chat")
    chunks = events(run(Source(token("a"), RuntimeError("secret")), trace))
    assert chunks[-1]["error"]["message"] == "the answer broke off: the log names request find-me"
    assert trace.status == 500


def test_an_engines_error_event_is_told_in_our_words_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Its text may be an exception's: that goes to the log, under the id that the client is given."""
    trace = Trace("find-me", "chat")
    failed = sse({"error": {"message": "CUDA error at /secret/path", "type": "BadRequestError", "code": 400}})
    chunks = events(run(Source(token("a"), token("b", "stop"), failed, DONE), trace))
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks[:-1]] == ["a", "b"]
    assert chunks[-1] == EngineFailed("the answer broke off: the log names request find-me").body()
    assert trace.status == 500
    assert "find-me" in caplog.text and "/secret/path" in caplog.text
