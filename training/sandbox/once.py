"""One program against one check, from files: `pointsman sandbox run`."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from training.sandbox.errors import SandboxError
from training.sandbox.limits import Limits, SandboxConfig
from training.sandbox.pool import Sandbox
from training.sandbox.verdict import Program


def text_of(path: Path) -> str:
    """A source file; raises SandboxError naming it."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SandboxError(f'"{path}" cannot be read ({error}): name a file of Python source') from error


def run_once(solution: Path, test: Path, entry_point: str, limits: Limits, as_json: bool) -> int:
    """Print the verdict; 0 passed, 1 anything the program did, 3 when nothing can be said about it."""
    if not all(part.isidentifier() for part in entry_point.split(".")):
        raise SandboxError(f'entry point "{entry_point}" is no name: give a function, or Class.method')
    program = Program(text_of(solution), text_of(test), entry_point)
    with Sandbox(SandboxConfig(workers=1)) as sandbox:
        verdict = sandbox.run(program, limits)
    if as_json:
        print(json.dumps({"verdict": verdict.status, **asdict(verdict)}))
    else:
        Console().print(f"[bold]{verdict.status}[/] {verdict.detail}", highlight=False)
        Console().print(f"{verdict.cpu_s:.3f} s CPU, {verdict.calls} calls; isolation: {verdict.isolation}")
    return 0 if verdict.passed else 1 if verdict.counts else 3
