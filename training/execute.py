"""Programs in, what each computed out; every answer in a process of its own, judged outside it.

What holds: CPU time, memory, file-size and wall limits, an environment without the caller's variables, an empty
working folder that is deleted, and the whole process group ended. What does not: no network or file-system
isolation. Run only answers of models you would run by hand; the sandbox replaces this file's inside.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from training.errors import ExecutionError

RUNNER = Path(__file__).with_name("runner.py")


@dataclass(frozen=True)
class Program:
    """Set-up code and the answer code that must assign `result`."""

    setup: str
    code: str


@dataclass(frozen=True)
class Outcome:
    """What one program made of `result` on the given input and on the second one.

    Each is "value:<representation>" or "error:<type>: <text>".
    """

    first: str
    second: str

    @property
    def error(self) -> str:
        """The exception of the first run, empty when it computed a value."""
        return self.first.removeprefix("error:") if self.first.startswith("error:") else ""

    @property
    def tells(self) -> bool:
        """Whether both inputs gave a value, and not the same one."""
        return self.second.startswith("value:") and self.first != self.second


@dataclass(frozen=True)
class Limits:
    """Bounds on one child process."""

    cpu_s: int = 20
    wall_s: float = 40.0
    memory_mib: int = 6144


def run_batch(programs: list[Program], environment: Mapping[str, str], limits: Limits = Limits()) -> list[Outcome]:
    """Run programs one after the other in one child; those after a death are reported as that death."""
    request = {"cpu_s": limits.cpu_s, "memory_mib": limits.memory_mib, "programs": [vars(p) for p in programs]}
    lines, ended = report(json.dumps(request), environment, limits)
    outcomes = [Outcome(*json.loads(line)) for line in lines]
    return outcomes + [Outcome(f"error:{ended}", f"error:{ended}")] * (len(programs) - len(outcomes))


def report(request: str, environment: Mapping[str, str], limits: Limits) -> tuple[list[str], str]:
    """Start the runner, hand it the request, and return its complete report lines and how it ended."""
    read, write = os.pipe()
    with tempfile.TemporaryDirectory(prefix="pointsman-") as folder, tempfile.TemporaryFile() as stdin:
        stdin.write(request.encode())
        stdin.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-I", str(RUNNER), str(write)],
            stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, pass_fds=[write],
            env={"PATH": "/usr/bin:/bin", "HOME": folder, "LANG": "C.UTF-8", **environment}, start_new_session=True,
        )  # fmt: skip
        os.close(write)
        with ThreadPoolExecutor(1) as reader, os.fdopen(read) as pipe:
            text = reader.submit(pipe.read)
            try:
                code = child.wait(limits.wall_s)
                ended = "CpuLimit: CPU time used up" if code == -signal.SIGXCPU else f"Died: exit status {code}"
            except subprocess.TimeoutExpired:
                ended = f"Timeout: no result within {limits.wall_s:g} s"
            kill_group(child)
            lines = text.result().splitlines(keepends=True)
    if not lines or lines[0] != "ready\n":
        raise ExecutionError(f'the runner "{sys.executable} {RUNNER}" did not start ({ended}): check the installation')
    return [line for line in lines[1:] if line.endswith("\n")], ended


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it left behind in its session."""
    # A group that is already gone is what we wanted.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def run_each(
    programs: Iterable[Program], environment: Mapping[str, str], limits: Limits = Limits(), workers: int = 2
) -> Iterator[Outcome]:
    """Run each program in a process of its own, `workers` at a time, results in the order given."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda program: run_batch([program], environment, limits)[0], programs)
