"""POST /v1/chat/completions: gate, evidence, engine, second stage, answer with the decision."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Send

from index.prompt import with_evidence
from service.config import LimitsConfig
from service.decision import Decision
from service.engines.protocol import Answer, Stream
from service.errors import AnswerTimeout, BodyTooSlow, PromptTooLong
from service.request import ChatFields, ChatRequest
from service.routes.connection import read_body, unless_left
from service.runtime import Runtime
from service.stream import relay
from service.trace import Trace

router = APIRouter()

DOCUMENTED = {"requestBody": {"content": {"application/json": {"schema": ChatFields.model_json_schema()}}}}
# Proxies must not collect a stream before they pass it on.
STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


@router.post("/v1/chat/completions", openapi_extra=DOCUMENTED)
async def chat_completions(request: Request) -> Response:
    """Answer one chat in OpenAI's shape, from the model that the gate or the caller chose."""
    runtime: Runtime = request.app.state.runtime
    trace: Trace = request.state.trace
    gate = runtime.gate
    ask = await read_chat(request, runtime.config.limits)
    options = ask.routing(runtime.config.served_name, runtime.specialists)
    trace.decision = await gate.decide(ask.messages, options)
    deadline = asyncio.get_running_loop().time() + runtime.config.limits.request_s
    generate_by = partial(generate, runtime, request, trace, deadline)
    trace.decision, answer = await runtime.second_stage.answer(ask, options, trace.decision, generate_by)
    extras = {"pointsman": trace.decision.body()}
    if isinstance(answer, Answer):
        trace.usage = answer.body.get("usage")
        return JSONResponse(answer.body | extras)
    deadline = asyncio.get_running_loop().time() + runtime.config.limits.request_s - trace.elapsed_s()
    events = relay(answer.events, extras, trace, include_usage=ask.include_usage, deadline=deadline)
    return EventStream(events)


async def read_chat(request: Request, limits: LimitsConfig) -> ChatRequest:
    """The request's body, read within the limits and checked."""
    try:
        async with asyncio.timeout(limits.request_s):
            raw = await read_body(request, limits.body_bytes)
    except TimeoutError as error:
        raise BodyTooSlow(
            f'the body did not arrive within "{limits.request_s:g} s": send it faster, or raise limits.request_s'
        ) from error
    return ChatRequest.parse(raw, max_choices=limits.choices)


async def generate(
    runtime: Runtime, request: Request, trace: Trace, deadline: float, ask: ChatRequest, decision: Decision
) -> tuple[Decision, Answer | Stream]:
    """Ask the engine; when only the evidence makes the prompt too long, ask again without it.

    `deadline` is in the event loop's time. Gives the decision as it was carried out.
    """
    started = time.perf_counter()

    async def answer(messages: list[dict[str, Any]]) -> Answer | Stream:
        body = ask.for_engine(decision.model, messages)
        return await unless_left(runtime.engine.chat(body, request.headers, trace.request_id), request)

    try:
        async with asyncio.timeout_at(deadline):
            try:
                return decision, await answer(prompt(ask, decision))
            except PromptTooLong:
                if not decision.context:
                    raise
                return replace(decision, context=False), await answer(ask.messages)
    except TimeoutError as error:
        limit_s = runtime.config.limits.request_s
        raise AnswerTimeout(
            f'the answer took longer than "{limit_s:g} s": ask for fewer tokens, or raise limits.request_s'
        ) from error
    finally:
        trace.engine_s += time.perf_counter() - started


def prompt(ask: ChatRequest, decision: Decision) -> list[dict[str, Any]]:
    """The caller's messages, with the decision's evidence where it is wanted."""
    if not decision.context:
        return ask.messages
    return with_evidence(ask.messages, [hit.document for hit in decision.evidence])


class EventStream(StreamingResponse):
    """A stream that closes its source when the client goes away, at once and not when it is collected."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, headers=STREAM_HEADERS)
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """Send the events, then close their source, also when cancelled."""
        try:
            await super().stream_response(send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._events.aclose()
