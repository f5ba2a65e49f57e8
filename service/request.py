"""A chat request as the service reads it: model, messages, stream and `pointsman`; all else is the engine's.

The body's other fields are handed to the engine untouched, and it is the engine that checks them.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.errors import InvalidRequest, UnknownModel, invalid_fields

AUTO = "auto"


class PointsmanOptions(BaseModel):
    """The request's `pointsman` object."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    route: str = Field(default=AUTO, description="auto, base, or a specialist's name.")
    threshold: float | None = Field(default=None, gt=0, lt=1, description="Replaces the calibrated threshold.")
    context: Literal["auto", "on", "off"] = Field(default="auto", description="Put evidence into the prompt?")


class Message(BaseModel):
    """One message, as far as the gate reads it."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def user_says_something(self) -> Self:
        """Only an assistant's message may come without content: it may hold tool calls."""
        if self.role == "user" and self.content is None:
            raise ValueError("a user message needs content")
        return self


class StreamOptions(BaseModel):
    """What a streaming client asks for beside the text."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool | None = False


class ChatFields(BaseModel):
    """The fields the service itself reads."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    n: int | None = Field(default=1, ge=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    pointsman: PointsmanOptions | None = None


@dataclass(frozen=True)
class RoutingOptions:
    """What the caller asked of the gate: a target by name, or None for a decision."""

    target: str | None = None
    threshold: float | None = None
    context: Literal["auto", "on", "off"] = "auto"


@dataclass(frozen=True)
class ChatRequest:
    """A checked request and the body it came in."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool
    n: int
    include_usage: bool
    options: PointsmanOptions
    body: dict[str, Any]

    @classmethod
    def parse(cls, raw: bytes, *, max_choices: int) -> "ChatRequest":
        """Read a request body; raises InvalidRequest naming the field."""
        body = parse_json(raw)
        try:
            fields = ChatFields.model_validate(body)
        except ValidationError as error:
            raise invalid_fields(error.errors()) from error
        if (fields.n or 1) > max_choices:
            raise InvalidRequest(f'"n": {fields.n} answers are more than {max_choices}: ask for fewer', param="n")
        return cls(
            model=fields.model,
            messages=body["messages"],
            stream=bool(fields.stream),
            n=fields.n or 1,
            include_usage=bool(fields.stream_options and fields.stream_options.include_usage),
            options=fields.pointsman or PointsmanOptions(),
            body=body,
        )

    def routing(self, base: str, specialists: Collection[str]) -> RoutingOptions:
        """Resolve model and route to a target; raises when one is unknown or they contradict each other."""
        by_model = resolve(self.model, base, specialists, param="model")
        by_route = resolve(self.options.route, base, specialists, param="pointsman.route")
        if by_model and by_route and by_model != by_route:
            raise InvalidRequest(
                f'model "{self.model}" and pointsman.route "{self.options.route}" name two models: '
                f'leave the route out, or send model "{AUTO}"',
                param="pointsman.route",
            )
        return RoutingOptions(by_model or by_route, self.options.threshold, self.options.context)

    @property
    def wants_logprobs(self) -> bool:
        """Whether the caller asked for log-probabilities, be it in a way that the engine will refuse."""
        return any(self.body.get(key) for key in ("logprobs", "top_logprobs", "logprob_token_ids"))

    def with_logprobs(self) -> Self:
        """The request, asking for the log-probabilities of the tokens chosen."""
        return replace(self, body=self.body | {"logprobs": True})

    def for_engine(self, model: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """The body for the engine: routed model, final messages, and in a stream always the token counts."""
        body = {key: value for key, value in self.body.items() if key != "pointsman"}
        body |= {"model": model, "messages": messages}
        if self.stream:
            body["stream_options"] = (self.body.get("stream_options") or {}) | {"include_usage": True}
        return body


def resolve(name: str, base: str, specialists: Collection[str], *, param: str) -> str | None:
    """A name a client wrote as the served name it means, None for auto."""
    if name == AUTO:
        return None
    if name in ("base", base):
        return base
    if name in specialists:
        return name
    known = ", ".join([AUTO, base, *sorted(specialists)])
    kind = UnknownModel if param == "model" else InvalidRequest
    raise kind(f'{param} "{name[:100]}" does not exist: use one of {known}', param=param)


def parse_json(raw: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8, or InvalidRequest with the place of the mistake."""
    try:
        # Decoded here: for bytes json.loads takes UTF-16 and encoded surrogates as well. A byte order mark is allowed.
        body = json.loads(raw.decode("utf-8-sig"), parse_constant=refuse_constant)
        if b"\\ud" in raw.lower():
            refuse_lone_surrogates(body)
    except UnicodeDecodeError as error:
        byte = f"0x{error.object[error.start]:02x}"
        message = f'the body is not UTF-8: byte "{byte}" at position {error.start}: send JSON encoded as UTF-8'
        raise InvalidRequest(message, code="invalid_json") from error
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply", code="invalid_json") from error
    except ValueError as error:
        place = f" at line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidRequest(f"the body is not JSON{place}: send one JSON object", code="invalid_json") from error
    if not isinstance(body, dict):
        raise InvalidRequest("the body is not a JSON object: send {...}", code="invalid_json")
    return body


def refuse_lone_surrogates(body: Any) -> None:
    """Half a UTF-16 pair is legal JSON and no text: neither a tokenizer nor a response can hold it."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        message = f'the body holds half a surrogate pair, "{half}": send whole characters'
        raise InvalidRequest(message, code="invalid_json") from error


def refuse_constant(name: str) -> float:
    """NaN and Infinity are not JSON, though Python reads them."""
    raise ValueError(name)
