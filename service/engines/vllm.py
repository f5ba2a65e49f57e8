"""vLLM in this process: its engine and its OpenAI serving objects behind the Engine protocol.

The one module of the service that imports vllm (service/lora_cpu runs inside vLLM). It is pinned to vLLM 0.32 and uses
only what tests/service/test_vllm_contract.py holds: arguments from vLLM's own command line, AsyncLLM, init_app_state,
and the openai_serving_chat that it makes. So every field of a request means what vLLM documents. vLLM's route function
would do as well, but when a time limit cancels it, its generation goes on.

The model runs in vLLM's engine core, a child process; the event loop here renders prompts and streams.
Not covered: restarting a dead engine (the process ends and its supervisor starts it again), data parallelism, and the
flags of vLLM's own HTTP server (TLS, middleware, keep-alive comments), which have no effect.
"""

import asyncio
import contextlib
import logging
from argparse import Namespace
from collections.abc import AsyncGenerator, Collection, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest
from pydantic import ValidationError
from starlette.datastructures import State
from starlette.requests import Request
from vllm import envs
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest, ChatCompletionResponse
from vllm.entrypoints.serve import create_error_response
from vllm.entrypoints.serve.engine.protocol import ErrorInfo, ErrorResponse
from vllm.usage.usage_lib import UsageContext
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.utils.gc_utils import freeze_gc_heap
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.metrics.prometheus import get_prometheus_registry

from service.config import ServiceConfig
from service.engines.arguments import Flags, command_line
from service.engines.protocol import Answer, Stream
from service.errors import (
    EngineBusy,
    EngineDead,
    EngineFailed,
    InvalidRequest,
    PromptTooLong,
    ServiceError,
    StartError,
    UnknownModel,
    invalid_fields,
)
from service.stream import ERROR, payload

logger = logging.getLogger(__name__)

# Aborts are immediate; this is for the engine core to leave by itself.
SHUTDOWN_S = 5
# What a request may tell the engine beside its body: priority and data-parallel headers are not for callers.
PASSED_HEADERS = ("traceparent", "tracestate")


class VLLMEngine:
    """One model and its adapters; `flags` are the machine's, overruled by the configuration's vllm_args."""

    def __init__(self, config: ServiceConfig, flags: Flags | None = None) -> None:
        self._config = config
        self._flags = flags or {}
        self._building: asyncio.Future[tuple[AsyncLLM, Namespace]] | None = None
        self._llm: AsyncLLM | None = None
        self._state = State()
        self._stats: asyncio.Task[None] | None = None

    async def start(self, adapters: Mapping[str, Path]) -> None:
        """Load model and adapters (a thread does, half a minute) and generate once from each."""
        self._building = asyncio.ensure_future(asyncio.to_thread(self._build, adapters))
        try:
            # Shielded: a half-built engine cannot be stopped, so stop() waits for it.
            llm, args = await asyncio.shield(self._building)
            self._llm = llm
            await llm.reset_mm_cache()
            await init_app_state(llm, self._state, args, await llm.get_supported_tasks())
            for name in (self._config.served_name, *adapters):
                await self._warm_up(name)
        except ServiceError:
            raise
        except Exception as error:
            logger.exception("vLLM did not start")
            raise StartError(f'vLLM cannot serve the model "{self._config.model}": {first_line(error)}') from error
        self._stats = asyncio.create_task(self._log_stats())
        freeze_gc_heap()

    async def stop(self) -> None:
        """Abort everything and end the engine core."""
        if self._stats:
            self._stats.cancel()
        if self._building and self._llm is None:
            with contextlib.suppress(Exception):
                self._llm, _ = await self._building
        if self._llm:
            self._llm.shutdown(timeout=SHUTDOWN_S)

    def adapters(self) -> Collection[str]:
        """Adapters the engine holds."""
        return self._state.openai_serving_models.lora_requests.keys()

    async def chat(self, body: dict[str, Any], headers: Mapping[str, str], request_id: str) -> Answer | Stream:
        """vLLM's own serving object answers. A stream is handed out with its first event, which may be a refusal."""
        try:
            request = ChatCompletionRequest.model_validate(body)
            answer = await self._state.openai_serving_chat.create_chat_completion(
                request, as_request(headers, request_id)
            )
            whole = isinstance(answer, ErrorResponse | ChatCompletionResponse)
            first = "" if whole else await anext(answer)
        except ValidationError as error:
            raise invalid_fields(error.errors()) from error
        except Exception as error:
            raise self._translated(create_error_response(error).error, error) from error
        if isinstance(answer, ErrorResponse):
            raise self._translated(answer.error)
        if isinstance(answer, ChatCompletionResponse):
            return Answer(answer.model_dump())
        if first.startswith(ERROR):
            await answer.aclose()
            raise self._translated(ErrorInfo.model_validate(payload(first)["error"]))
        return Stream(resumed(first, answer))

    async def check_health(self) -> None:
        """Dead is for good: the engine core has ended."""
        if self._llm is None or self._llm.errored:
            raise EngineDead("the engine has ended: restart the service")

    def metrics(self) -> bytes:
        """vLLM's series, which it keeps in the process-wide registry."""
        return generate_latest(get_prometheus_registry())

    def _build(self, adapters: Mapping[str, Path]) -> tuple[AsyncLLM, Namespace]:
        args = parse(self._config, self._flags, adapters)
        engine_args = AsyncEngineArgs.from_cli_args(args)
        llm = AsyncLLM.from_vllm_config(
            vllm_config=engine_args.create_engine_config(usage_context=UsageContext.OPENAI_API_SERVER),
            usage_context=UsageContext.OPENAI_API_SERVER,
            disable_log_stats=engine_args.disable_log_stats,
        )
        return llm, args

    async def _warm_up(self, model: str) -> None:
        """The first request of each kind allocates, which would otherwise cost a caller seconds."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
        request = ChatCompletionRequest.model_validate(body)
        answer = await self._state.openai_serving_chat.create_chat_completion(request)
        if isinstance(answer, ErrorResponse):
            raise StartError(f'vLLM cannot answer as "{model}": {answer.error.message}')

    async def _log_stats(self) -> None:
        while self._llm:
            await asyncio.sleep(envs.VLLM_LOG_STATS_INTERVAL)
            await self._llm.do_log_stats()

    def _translated(self, error: ErrorInfo, cause: Exception | None = None) -> ServiceError:
        """vLLM's error in our tree; what happened inside the engine goes to the log only."""
        status, message, param = int(error.code), str(error.message), error.param
        if param == "input_tokens" or "maximum context length" in message:
            return PromptTooLong(message, param="messages")
        if status == HTTPStatus.NOT_FOUND:
            return UnknownModel(message, param=param)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.NOT_IMPLEMENTED:
            return InvalidRequest(message, param=param)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return EngineBusy("too many requests are under way: try again soon")
        logger.error("the engine failed: %s", message, exc_info=cause)
        if self._llm is None or self._llm.errored:
            return EngineDead("the engine has ended: restart the service")
        return EngineFailed("the engine failed on this request: the log has the reason")


async def resumed(first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """A stream whose first event has been read."""
    async with contextlib.aclosing(rest):
        yield first
        async for event in rest:
            yield event


def as_request(headers: Mapping[str, str], request_id: str) -> Request:
    """The part of an HTTP request that vLLM's serving object reads."""
    passed = {name: headers[name] for name in PASSED_HEADERS if name in headers} | {"x-request-id": request_id}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in passed.items()]
    return Request({"type": "http", "headers": raw, "state": {}})


def parse(config: ServiceConfig, flags: Flags, adapters: Mapping[str, Path]) -> Namespace:
    """vLLM's own arguments for this configuration; raises StartError when vLLM refuses one."""
    words = command_line(config, flags, adapters)
    try:
        args = make_arg_parser(FlexibleArgumentParser()).parse_args(words)
        validate_parsed_serve_args(args)
    except (SystemExit, ValueError) as error:
        raise StartError(f"vLLM refuses its arguments {words}: correct vllm_args") from error
    return args


def first_line(error: BaseException) -> str:
    """An exception as one line."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
