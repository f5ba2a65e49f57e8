"""One request's connection: its body, read up to a limit, and its end, when the client leaves before the answer."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.errors import BodyTooLarge, ClientGone

T = TypeVar("T")


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body; raises BodyTooLarge as soon as it is known to be too large, ClientGone when it will not come."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise too_large(limit_bytes)
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit_bytes:
                raise too_large(limit_bytes)
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise ClientGone("the client closed the connection during the upload") from error
    return b"".join(chunks)


def too_large(limit_bytes: int) -> BodyTooLarge:
    """The refusal, with the limit."""
    return BodyTooLarge(f"the body is larger than {limit_bytes} bytes: send less, or raise limits.body_bytes")


async def unless_left(answer: Coroutine[Any, Any, T], request: Request) -> T:
    """Await an answer; cancel it and raise ClientGone when the client leaves. The body must have been read.

    Cancelling this cancels the answer as well, which is how a time limit aborts a generation.
    """
    answering = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(left(request))
    # vLLM answers its own cancellation with an error, which nobody is left to hear.
    answering.add_done_callback(lambda task: task.cancelled() or task.exception())
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientGone("the client closed the connection")
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()


async def left(request: Request) -> None:
    """Return when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
