"""The HTTP application: routes, the one place where errors become responses, and the life of what it serves.

`create_app` starts nothing; entering the app's lifespan does, in the background. It can be built twice in one process.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.config import ServiceConfig
from service.engines.protocol import Engine
from service.envelope import Envelope
from service.errors import ServiceError
from service.routes import chat, health, metrics, models, route
from service.runtime import Runtime

# For the checker only: importing these loads the encoder library, which takes seconds.
if TYPE_CHECKING:
    from index.bundle import Specialist
    from index.embed import Encoder


def create_app(
    config: ServiceConfig,
    engine: Engine | None = None,
    *,
    specialists: "Sequence[Specialist] | None" = None,
    encoder: "Encoder | None" = None,
) -> FastAPI:
    """Build the app; what is not given here is made from `config` when the app starts."""
    runtime = Runtime(config, engine, specialists, encoder)
    app = FastAPI(title="Pointsman", lifespan=lifespan)
    app.state.runtime = runtime
    app.add_middleware(Envelope, metrics=runtime.metrics)
    app.add_exception_handler(ServiceError, service_error)
    app.add_exception_handler(HTTPException, http_error)
    for part in (chat, health, metrics, models, route):
        app.include_router(part.router)
    return app


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load in the background from the first moment; stop the engine last."""
    runtime: Runtime = app.state.runtime
    running = asyncio.create_task(runtime.run())
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await runtime.stop()


async def service_error(request: Request, error: Exception) -> JSONResponse:
    """Our own errors, which know their status and text."""
    assert isinstance(error, ServiceError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


async def http_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's errors (unknown path, wrong method) in OpenAI's shape."""
    assert isinstance(error, HTTPException)
    message = f"{HTTPStatus(error.status_code).phrase}: {request.method} {request.url.path[:200]}"
    kind = "invalid_request_error" if error.status_code < 500 else "server_error"
    code = HTTPStatus(error.status_code).name.lower()
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)
