"""ASGI middleware round every request: a request id, the decision's headers on every answer, metrics when it ends.

It is also the last resort: an exception nobody translated becomes a plain 500 and a log entry.
"""

import logging
import re
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ServiceError
from service.metrics import Metrics
from service.trace import Trace

logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
# Only paths that exist may become a label.
ENDPOINTS = frozenset(("/v1/chat/completions", "/v1/models", "/v1/route", "/health", "/ready", "/metrics"))


class Envelope:
    """Wraps the app; the request's trace is `request.state.trace`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        trace = Trace(request_id(Headers(scope=scope)), path if path in ENDPOINTS else "other")
        scope.setdefault("state", {})["trace"] = trace

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.status = message["status"]
                MutableHeaders(scope=message).update(trace.headers())
            elif not message.get("more_body", False):
                trace.complete = True
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            logger.exception("request %s failed", trace.request_id)
            if trace.status:
                raise
            await internal_error(trace)(scope, receive, send_with_headers)
        finally:
            trace.record(self._metrics)


def internal_error(trace: Trace) -> JSONResponse:
    """A 500 that tells the caller nothing but where the operator will find the reason."""
    error = ServiceError(f"internal error: the log names request {trace.request_id}")
    return JSONResponse(error.body(), status_code=error.status)


def request_id(headers: Mapping[str, str]) -> str:
    """The caller's x-request-id when it is short and plain, otherwise a new one."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
