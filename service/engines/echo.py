"""An engine without weights: it says the user's last message back, deterministically, in OpenAI's shapes.

For HTTP tests and for measuring the service alone. A token is a word with the blanks before it. `n`, `stop`, `seed`,
`max_tokens`, `temperature`, `logprobs` and usage behave as a model's would: temperature 0 is the same text for every
choice; otherwise choice and seed decide the order of the words.

Not covered: tools, structured output, and every field a language model alone can honour; they are accepted.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.prompt import text_of
from service.config import ServiceConfig
from service.engines.protocol import Answer, Stream
from service.errors import PromptTooLong, invalid_fields

WORD = re.compile(r"\s*\S+")


class EchoRequest(BaseModel):
    """The fields this engine honours."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str
    messages: list[dict[str, Any]]
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: int | None = Field(default=1, ge=1)
    stop: str | list[str] | None = None
    seed: int | None = None
    temperature: float | None = Field(default=None, ge=0)
    logprobs: bool | None = False
    top_logprobs: int | None = Field(default=0, ge=0, le=20)
    stream: bool | None = False

    @property
    def budget(self) -> int | None:
        """Tokens the caller allows, None for no limit."""
        return self.max_completion_tokens or self.max_tokens


class EchoEngine:
    """Answers at once, or with `token_s` seconds between tokens; `running` counts the answers under way."""

    def __init__(self, config: ServiceConfig, *, token_s: float = 0.0) -> None:
        self._config = config
        self._token_s = token_s
        self._adapters: tuple[str, ...] = ()
        self.running = 0

    async def start(self, adapters: Mapping[str, Path]) -> None:
        """Take note of the adapters' names; there is nothing to load."""
        self._adapters = tuple(adapters)

    async def stop(self) -> None:
        """Nothing to release."""

    def adapters(self) -> Collection[str]:
        """All of them."""
        return self._adapters

    async def check_health(self) -> None:
        """Always healthy."""

    def metrics(self) -> bytes:
        """No series of its own."""
        return b""

    async def chat(self, body: dict[str, Any], headers: Mapping[str, str], request_id: str) -> Answer | Stream:
        """Say the last user message back."""
        try:
            request = EchoRequest.model_validate(body)
        except ValidationError as error:
            raise invalid_fields(error.errors()) from error
        prompt_tokens = sum(len(WORD.findall(text_of(m.get("content")))) for m in request.messages)
        if prompt_tokens >= self._config.max_model_len:
            raise PromptTooLong(
                f"the prompt has {prompt_tokens} tokens and the context holds {self._config.max_model_len}: shorten it",
                param="messages",
            )
        room = self._config.max_model_len - prompt_tokens
        choices = [choice(request, i, room) for i in range(request.n or 1)]
        written = sum(len(tokens) for tokens, _ in choices)
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": written, "total_tokens": prompt_tokens + written}
        head = {"id": f"chatcmpl-{request_id}", "created": int(time.time()), "model": request.model}
        if request.stream:
            return Stream(self._events(request, choices, head, usage))
        await self._sleep(max(len(tokens) for tokens, _ in choices))
        return Answer(whole(request, choices, head, usage))

    async def _sleep(self, tokens: int) -> None:
        self.running += 1
        try:
            await asyncio.sleep(self._token_s * tokens)
        finally:
            self.running -= 1

    async def _events(
        self, request: EchoRequest, choices: list[tuple[list[str], str]], head: dict[str, Any], usage: dict[str, int]
    ) -> AsyncIterator[str]:
        self.running += 1
        try:
            for event in chunks(request, choices):
                await asyncio.sleep(self._token_s)
                yield data(head | {"object": "chat.completion.chunk", "choices": [event]})
            if (request.model_extra or {}).get("stream_options", {}).get("include_usage"):
                yield data(head | {"object": "chat.completion.chunk", "choices": [], "usage": usage})
            yield "data: [DONE]\n\n"
        finally:
            self.running -= 1


def choice(request: EchoRequest, number: int, room: int) -> tuple[list[str], str]:
    """Tokens of one choice, and why it ended."""
    said = [text_of(m.get("content")) for m in request.messages if m.get("role") == "user"]
    tokens = WORD.findall(said[-1] if said else "")
    if request.temperature != 0 and (number or request.seed is not None):
        random.Random(f"{request.seed}:{number}").shuffle(tokens)
    text = "".join(tokens)
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    ends = [text.index(stop) for stop in stops if stop and stop in text]
    tokens = WORD.findall(text[: min(ends)] if ends else text)
    limit = min(request.budget or room, room)
    return tokens[:limit], "length" if len(tokens) > limit else "stop"


def logprobs(request: EchoRequest, tokens: list[str]) -> dict[str, Any] | None:
    """Made-up log-probabilities that depend on the token alone, the chosen one always the best."""
    if not request.logprobs:
        return None
    content = []
    for token in tokens:
        best = -len(token) / 100
        others = [entry(f"{token}{i}", best - i) for i in range(1, request.top_logprobs or 0)]
        top = [entry(token, best), *others] if request.top_logprobs else []
        content.append(entry(token, best) | {"top_logprobs": top})
    return {"content": content}


def entry(token: str, logprob: float) -> dict[str, Any]:
    """One token in OpenAI's logprobs shape."""
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def whole(
    request: EchoRequest, choices: list[tuple[list[str], str]], head: dict[str, Any], usage: dict[str, int]
) -> dict[str, Any]:
    """A chat completion."""
    bodies = [
        {
            "index": number,
            "message": {"role": "assistant", "content": "".join(tokens)},
            "logprobs": logprobs(request, tokens),
            "finish_reason": reason,
        }
        for number, (tokens, reason) in enumerate(choices)
    ]
    return head | {"object": "chat.completion", "choices": bodies, "usage": usage}


def chunks(request: EchoRequest, choices: list[tuple[list[str], str]]) -> Iterator[dict[str, Any]]:
    """The choices of a stream's events: role, tokens, and the reason on the last token."""
    for number in range(len(choices)):
        yield {"index": number, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    for number, (tokens, reason) in enumerate(choices):
        for position, token in enumerate(tokens or [""]):
            last = position >= len(tokens) - 1
            yield {
                "index": number,
                "delta": {"content": token},
                "logprobs": logprobs(request, [token]),
                "finish_reason": reason if last else None,
            }


def data(value: dict[str, Any]) -> str:
    """One object as a server-sent event."""
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n"
