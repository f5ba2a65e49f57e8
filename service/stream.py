"""An engine's event stream in, the client's out: the last event before [DONE] carries the `pointsman` object.

The object rides on an event the client gets anyway (the one with finish_reason, or with the token counts where they
were asked for), so a client that reads `choices[0]` of every event keeps working. Only such an event is held back
until the next one; text is passed on at once.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from service.errors import AnswerTimeout, EngineFailed
from service.trace import Trace

logger = logging.getLogger(__name__)

DONE = "data: [DONE]\n\n"
# Engines write compact JSON, and inside a JSON string these quotes would be escaped: a plain search is exact.
FINISHED = '"finish_reason":"'
NO_CHOICES = '"choices":[]'
ERROR = 'data: {"error"'


async def relay(
    events: AsyncIterator[str], extras: dict[str, Any], trace: Trace, *, include_usage: bool, deadline: float
) -> AsyncGenerator[str, None]:
    """Pass events on, `extras` in the last; closing this closes `events`, which aborts the generation.

    After the first byte a failure can only be told in the stream: as an error event before [DONE].
    `deadline` is in the event loop's time.
    """
    try:
        async with (
            aclosing(within(events, deadline)) as timed,
            aclosing(with_extras(timed, extras, trace, include_usage=include_usage)) as complete,
        ):
            async for event in complete:
                yield event
    except TimeoutError:
        trace.failed_in_stream(AnswerTimeout.status)
        late = AnswerTimeout("the answer took longer than limits.request_s allows: ask for fewer tokens, or raise it")
        yield sse(late.body())
        yield DONE
    except Exception:
        logger.exception("request %s failed in mid-stream", trace.request_id)
        yield broken_off(trace)
        yield DONE


async def within(events: AsyncIterator[str], deadline: float) -> AsyncGenerator[str, None]:
    """The same events; raises TimeoutError when one is not there by the deadline."""
    try:
        while True:
            async with asyncio.timeout_at(deadline):
                event = await anext(events, None)
            if event is None:
                return
            yield event
    finally:
        if close := getattr(events, "aclose", None):
            await close()


async def with_extras(
    events: AsyncIterator[str], extras: dict[str, Any], trace: Trace, *, include_usage: bool
) -> AsyncGenerator[str, None]:
    """Merge `extras` into the last event before [DONE] and note tokens and first token in the trace.

    An engine's error event may hold the text of its exception: that goes to the log, and the client gets ours.
    """
    held = ""
    async for event in events:
        trace.first_token()
        if event.startswith(DONE.rstrip()):
            if held:
                yield merged(held, extras)
                held = ""
        elif event.startswith(ERROR):
            logger.error("request %s failed in mid-stream: %s", trace.request_id, event.strip())
            event = broken_off(trace)
        elif NO_CHOICES in event and (usage := payload(event).get("usage")):
            trace.usage = usage
            if not include_usage:
                continue
        if held:
            yield held
        held = event if FINISHED in event or NO_CHOICES in event else ""
        if not held:
            yield event


def broken_off(trace: Trace) -> str:
    """The event that tells a client of a failure whose reason is in the log; counted in the trace."""
    trace.failed_in_stream(EngineFailed.status)
    return sse(EngineFailed(f"the answer broke off: the log names request {trace.request_id}").body())


def payload(event: str) -> dict[str, Any]:
    """The JSON object of one event."""
    value = json.loads(event.removeprefix("data: "))
    return value if isinstance(value, dict) else {}


def merged(event: str, extras: dict[str, Any]) -> str:
    """The event with further keys in its object."""
    return sse(payload(event) | extras)


def sse(value: dict[str, Any]) -> str:
    """One object as a server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"
