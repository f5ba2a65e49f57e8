"""The candidate's process: runs the program, then answers calls to its functions with plain data.

Untrusted from the first line of the program on. Nothing here decides anything; what is sent is believed by nobody.
"""

import contextlib
import os
import sys
import types
from typing import Any

from . import wire


def serve(code: bytes, channel: int) -> None:
    """Run the program, report how that went, and answer calls until the judge has no more."""
    # Pickle and type hints look a program's classes up in the module of this name.
    sys.modules["__main__"] = module = types.ModuleType("__main__")
    namespace = vars(module)
    namespace["__builtins__"] = __builtins__
    try:
        exec(compile(code, "solution.py", "exec"), namespace)
    except BaseException as error:  # whatever it raised, the judge decides what that means
        answer(channel, raised(error))
        return
    answer(channel, {"loaded": True})
    while (request := wire.receive(channel)) is not None:
        answer(channel, respond(namespace, request))


def answer(channel: int, message: dict[str, Any]) -> None:
    """Send a message; what was printed before it is written first."""
    for stream in (sys.stdout, sys.stderr):
        # A stream the program closed, or filled, is its own affair: the limit on output is kept by the kernel.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    try:
        wire.send(channel, message)
    except wire.NotPlain as error:
        wire.send(channel, raised(error))


def respond(namespace: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Call what is named; its value, what it changed of its arguments, or what it raised."""
    try:
        arguments, keywords = wire.decode(request["arguments"]), wire.decode(request["keywords"])
        value = find(namespace, request["name"])(*arguments, **keywords)
        encoded = wire.encode(value)
        changed = {
            str(number): after
            for number, (argument, before) in enumerate(zip(arguments, request["arguments"], strict=True))
            if isinstance(argument, wire.CHANGEABLE) and (after := wire.encode(argument)) != before
        }
    except BaseException as error:  # see above
        return raised(error)
    return {"value": encoded, "changed": changed}


def find(namespace: dict[str, Any], path: str) -> Any:
    """What a dotted name means; a class on the way is made an instance of, as judges of programming contests do."""
    first, *rest = path.split(".")
    found = namespace[first]
    for name in rest:
        found = getattr(found() if isinstance(found, type) else found, name)
    return found


def raised(error: BaseException) -> dict[str, Any]:
    """An exception as data: its type, the built-in types it is of, its text and its line in the program."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    try:
        text = str(error)[:500]
    except BaseException:
        text = ""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "solution.py":
            line = trace.tb_lineno
        trace = trace.tb_next
    errno = error.errno if isinstance(error, OSError) else None
    return {"raised": type(error).__name__[:100], "kinds": kinds, "text": text, "line": line, "errno": errno}


def main(code: int, channel: int) -> None:
    """Serve the program that a descriptor holds; ends the process."""
    text = os.pread(code, os.fstat(code).st_size, 0)
    os.close(code)
    with contextlib.suppress(OSError, wire.NotPlain, wire.Malformed):
        serve(text, channel)
    os._exit(0)
