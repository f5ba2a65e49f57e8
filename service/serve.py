"""Runs the service: one process, one port, one line when it is ready, one message when it cannot start."""

import asyncio
import logging
import signal
import socket
import sys
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from index.config import explained, read_config
from index.errors import ConfigError
from service.app import create_app
from service.config import ServiceConfig
from service.errors import EngineDead
from service.runtime import Runtime

EXIT_CANNOT_START = 2
EXIT_ENGINE_DIED = 1
WATCH_INTERVAL_S = 0.2


def serve(config_path: str | Path, host: str | None = None, port: int | None = None) -> int:
    """Serve until told to stop; returns the exit code. `host` and `port` replace the file's."""
    logging.basicConfig(format="%(levelname)s %(asctime)s %(name)s: %(message)s")
    try:
        config = with_address(read_config(config_path, ServiceConfig), host, port)
    except ConfigError as error:
        return refuse(str(error))
    app = create_app(config)
    server = uvicorn.Config(
        app,
        host=config.host,
        port=config.port,
        log_level="warning",
        access_log=False,
        # Without a limit uvicorn waits for open streams for as long as their clients like.
        timeout_graceful_shutdown=max(1, round(config.limits.shutdown_s)),
    )
    try:
        listener = socket.create_server((config.host, config.port), family=family(config.host))
    except OSError as error:
        return refuse(f'cannot listen on "{config.host}:{config.port}" ({why(error)}): free it or choose another')
    with listener, asyncio.Runner(loop_factory=server.get_loop_factory()) as runner:
        return runner.run(run(uvicorn.Server(server), app.state.runtime, listener))


def with_address(config: ServiceConfig, host: str | None, port: int | None) -> ServiceConfig:
    """The configuration with what the command line replaces, checked as the file's own; raises ConfigError."""
    changes = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    try:
        return ServiceConfig.model_validate(dict(config) | changes)
    except ValidationError as error:
        raise ConfigError(f"command line: {explained(error, ServiceConfig)}") from error


def why(error: OSError) -> str:
    """The reason alone: socket.create_server adds the address to the system's and to the resolver's own text."""
    return str(error.strerror).partition(" (while attempting")[0]


def family(host: str) -> socket.AddressFamily:
    """IPv6 for addresses with colons."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


async def run(server: uvicorn.Server, runtime: Runtime, listener: socket.socket) -> int:
    """Serve until the end; returns the exit code."""
    watch = asyncio.create_task(watch_runtime(server, runtime, address(listener)))
    # uvicorn raises the signal that ended it once more when all is released; without a handler that is a crash.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        await server.serve([listener])
    finally:
        watch.cancel()
    if runtime.failure is None:
        return 0
    code = EXIT_ENGINE_DIED if isinstance(runtime.failure, EngineDead) else EXIT_CANNOT_START
    return refuse(runtime.failure.message, code)


def address(listener: socket.socket) -> str:
    """The base URL for clients of this listener."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


async def watch_runtime(server: uvicorn.Server, runtime: Runtime, url: str) -> None:
    """Say when the service is ready; end the server when it never will be, or no longer is."""
    announced = False
    while not server.should_exit:
        if runtime.failure:
            server.should_exit = True
        elif not announced and runtime.ready and server.started:
            announced = True
            print(f"Pointsman is ready: {url}", flush=True)  # noqa: T201 - the line an operator waits for
        await asyncio.sleep(WATCH_INTERVAL_S)


def refuse(message: str, code: int = EXIT_CANNOT_START) -> int:
    """Print why the service ends, without a traceback."""
    print(f"pointsman: {message}", file=sys.stderr, flush=True)  # noqa: T201 - a refusal is for the terminal
    return code
