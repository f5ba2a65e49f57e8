"""Child process: runs programs read from stdin and reports what they made of `result`, one JSON line each.

Started as `python -I runner.py DESCRIPTOR` by training/execute.py, which judges the report; no expected value is known
here. Each program runs twice: on its set-up as given, and on a second input, the same set-up with every frame and
series reversed and one row shorter, so that an answer which copies the wanted display is found out.
"""

import contextlib
import io
import json
import os
import resource
import sys
from typing import Any


def change_inputs(namespace: dict[str, Any]) -> None:
    """Replace each value whose type reverses and slices to itself by its reverse without the first row, in place."""
    for name, value in list(namespace.items()):
        if (
            name.startswith("__")
            or isinstance(value, type)
            or not (hasattr(value, "reverse") and hasattr(value, "slice"))
        ):
            continue
        with contextlib.suppress(Exception):
            changed = value.reverse().slice(1)
            if type(changed) is type(value):
                namespace[name] = changed


def outcome(setup: str, code: str, second_input: bool) -> str:
    """Run set-up then code in a fresh namespace; the representation of `result`, or the exception's type and text."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(setup, "<setup>", "exec"), namespace)
        if second_input:
            change_inputs(namespace)
        exec(compile(code, "<answer>", "exec"), namespace)
        return "value:" + repr(namespace["result"]) if "result" in namespace else "error:NoResult: `result` is not set"
    except BaseException as error:  # SystemExit and KeyboardInterrupt raised by an answer are its own failure
        return f"error:{type(error).__name__}: {str(error)[:300]}"


def main() -> None:
    """Read {cpu_s, memory_mib, programs: [{setup, code}]} from stdin; write "ready" and one line a program."""
    request = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_s"], request["cpu_s"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (request["memory_mib"] << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 20,) * 2)
    with os.fdopen(int(sys.argv[1]), "w") as report:
        report.write("ready\n")
        report.flush()
        for program in request["programs"]:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                outcomes = [outcome(program["setup"], program["code"], second) for second in (False, True)]
            report.write(json.dumps(outcomes) + "\n")
            report.flush()


main()
