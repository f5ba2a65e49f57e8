"""Everything the service can refuse or fail at, with the HTTP status and OpenAI error fields it becomes.

    ServiceError                     500
    ├── StartError                   the service cannot start; `pointsman serve` prints it and exits with 2
    ├── InvalidRequest               400  the caller's mistake; its text may quote the caller's values
    │   ├── PromptTooLong            400  code context_length_exceeded
    │   ├── UnknownModel             404  code model_not_found
    │   └── BodyTooLarge             413
    ├── BodyTooSlow                  408  the body did not arrive in time; the connection is closed
    ├── EngineFailed                 500  the engine could not answer this request
    ├── AnswerTimeout                504
    ├── ClientGone                   499  nobody is left to read it
    └── Unavailable                  503  with Retry-After
        ├── NotReady                 still loading
        ├── EngineBusy               the queue is full
        ├── EngineDead               nothing will be answered until the service is restarted
        └── AdapterUnavailable       a specialist asked for by name that the engine does not hold

service/app.py turns them into responses, in one place. Only these texts reach a caller: anything else becomes
a plain "internal error" with the request id, and its text goes to the log.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

# Pydantic's names for the branches of a union and for wrappers round a type: they mean nothing to a caller.
INTERNAL = re.compile(r"[\[\](){}]|^(str|int|float|bool|list|dict)$|^[A-Z]")
# The keys of the request's `pointsman` object, of all we read the only one that takes no others.
POINTSMAN_KEYS = ("context", "route", "threshold")


class ServiceError(Exception):
    """Root of this package's errors; its text says what, the value in quotes, and the cure."""

    status = 500
    type = "server_error"
    code: str | None = "internal_error"
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.code

    def body(self) -> dict[str, Any]:
        """The error in OpenAI's shape."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class StartError(ServiceError):
    """The configuration, a bundle, the model or the engine does not allow a start."""


class InvalidRequest(ServiceError):
    """A request that no retry can make right."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_value"


class PromptTooLong(InvalidRequest):
    """The messages, or the answer asked for, do not fit the model's context."""

    code = "context_length_exceeded"


class UnknownModel(InvalidRequest):
    """A model name that is neither auto, the base, nor a specialist."""

    status = 404
    code = "model_not_found"


class BodyTooLarge(InvalidRequest):
    """A request body over limits.body_bytes."""

    status = 413
    code = "body_too_large"


class BodyTooSlow(ServiceError):
    """The body took longer to arrive than limits.request_s."""

    status = 408
    type = "invalid_request_error"
    code = "body_too_slow"
    headers: ClassVar = {"connection": "close"}


class EngineFailed(ServiceError):
    """The engine failed on this request; others may succeed."""

    code = "engine_failed"


class AnswerTimeout(ServiceError):
    """The answer took longer than limits.request_s."""

    status = 504
    code = "timeout"


class ClientGone(ServiceError):
    """The client closed the connection before the answer; only metrics will see this."""

    status = 499
    code = "client_gone"


class Unavailable(ServiceError):
    """The request is fine; later or elsewhere it can succeed."""

    status = 503
    type = "service_unavailable_error"
    code = "unavailable"
    headers: ClassVar = {"retry-after": "5"}


class NotReady(Unavailable):
    """The model is still loading."""

    code = "not_ready"


class EngineBusy(Unavailable):
    """More requests than limits.queued_requests."""

    code = "engine_busy"
    headers: ClassVar = {"retry-after": "1"}


class EngineDead(Unavailable):
    """The engine's process has ended."""

    code = "engine_dead"


class AdapterUnavailable(Unavailable):
    """A specialist was asked for by name and the engine does not hold its adapter."""

    code = "adapter_unavailable"


def known_path(loc: Sequence[Any]) -> list[str]:
    """A place in the request in the caller's terms."""
    return [str(part) for part in loc if not INTERNAL.search(str(part))]


def unknown_key(loc: Sequence[Any], more: str) -> InvalidRequest:
    """An object's key that nothing reads, as the caller wrote it, and what may stand there instead."""
    path, key = known_path(loc[:-1]), str(loc[-1])[:100]
    cure = f"the keys here are {', '.join(POINTSMAN_KEYS)}" if path == ["pointsman"] else "leave it out"
    return InvalidRequest(f'unknown key "{key}": {cure}{more}', param=".".join((*path, key)))


def invalid_fields(errors: Sequence[Any]) -> InvalidRequest:
    """Pydantic's errors as one InvalidRequest: the first with its field and value, and how many more there are."""
    first = errors[0]
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        return unknown_key(first["loc"], more)
    path = known_path(first["loc"])
    field = ".".join(path) or "body"
    value = repr(first.get("input"))
    given = f", not {value if len(value) <= 80 else value[:77] + '...'}" if first["type"] != "missing" else ""
    return InvalidRequest(f'"{field}": {first["msg"]}{given}{more}', param=field)
