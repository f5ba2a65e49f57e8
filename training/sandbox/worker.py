"""One warm worker: a zygote in a jail, and one run at a time.

Programs and checks travel in sealed memory files whose descriptors go to the zygote; the verdict comes back from the
judge over a pipe that the candidate's process never had, the times from the zygote.
"""

import array
import errno
import fcntl
import json
import mmap
import os
import select
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

from training.sandbox.errors import WorkerLost
from training.sandbox.inside.scratch import overfull
from training.sandbox.jail import SYSTEM, Jail
from training.sandbox.limits import Limits, SandboxConfig
from training.sandbox.verdict import Program, Status, Verdict

START_S = 30.0
END_S = 10.0
# However long it waits for a core: past this many times the limit the machine is too busy to tell.
STARVED = 10
# How often a run is looked at for what no limit of the kernel holds everywhere: threads, and files together.
LOOK_S = 0.1
VERDICT_BYTES = 1 << 16


@dataclass(frozen=True)
class Ended:
    """How a forked process ended: wait status, CPU seconds, peak resident KiB."""

    status: int
    cpu_s: float
    memory_kib: int


class Worker:
    """Started at once; `close` ends every process of it. Once it is `spent`, it can do no more runs."""

    def __init__(self, jail: Jail, config: SandboxConfig, filters: tuple[bytes, bytes]) -> None:
        self._jail = jail = jail.own()
        self._scratch_bytes = config.scratch_mib << 20
        self.spent = False
        self._control, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(START_S)
        groups: list[int] | None = None if jail.user is None else []
        self._process = subprocess.Popen(  # type: ignore[call-overload]  # its stubs take no socket
            jail.command, env=jail.environment, stdin=inner, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd=jail.folder or "/", user=jail.user, group=jail.user, extra_groups=groups,
        )  # fmt: skip
        inner.close()
        setup = {
            "level": jail.level, "filters": [compiled.hex() for compiled in filters], "scratch": jail.scratch,
            "readable": SYSTEM, "libraries": jail.libraries, "packages": jail.packages, "preload": config.preload,
            "nice": config.nice,
        }  # fmt: skip
        try:
            self._send(setup)
            if failed := self._receive().get("failed"):
                raise WorkerLost(f"a sandbox worker did not start: {failed}")
        except BaseException:
            self.close()
            raise
        self._control.settimeout(END_S)

    def run(self, program: Program, limits: Limits) -> Verdict:
        """One verdict; raises WorkerLost when the worker must be replaced, which says nothing about the program."""
        started, self.spent = time.monotonic(), True
        order = json.dumps({"test": program.test, "setup": program.setup, "entry_point": program.entry_point})
        with ExitStack() as ours, ExitStack() as theirs:
            output = opened(ours, memory_file(size=limits.output_kib << 10))
            verdict, report = os.pipe()
            opened(ours, verdict)
            opened(theirs, report)
            judge_end, candidate_end = (theirs.enter_context(end).fileno() for end in socket.socketpair())
            code, check, stdin = (
                opened(stack, memory_file(text.encode(errors="replace")))
                for stack, text in ((theirs, program.solution), (ours, order), (theirs, program.stdin))
            )
            descriptors = [code, candidate_end, output, stdin, check, judge_end, report]
            self._send({"do": "run", "limits": limits.model_dump()}, descriptors)
            theirs.close()
            late = self._wait(verdict, started, limits)
            said = {} if late else read_verdict(verdict)
            self._send({"do": "end"})
            ended = {name: Ended(*facts) for name, facts in self._receive().items()}
            written, calls = os.lseek(output, 0, os.SEEK_CUR), os.lseek(check, 0, os.SEEK_CUR)
            stdout = os.pread(output, min(written, limits.output_kib << 10), 0).decode(errors="replace")
        self.spent = not self._emptied()
        status, detail = settle(said, ended, late, calls, written, limits)
        process = ended["candidate"]
        return Verdict(
            status, detail.encode(errors="replace").decode(), stdout, self._jail.isolation,
            cpu_s=round(process.cpu_s, 6), wall_s=round(time.monotonic() - started, 6),
            memory_mib=round(process.memory_kib / 1024, 1), calls=calls,
        )  # fmt: skip

    def _emptied(self) -> bool:
        """Whether the zygote could empty the scratch folder: the verdict stands if not."""
        if self._jail.scratch is None:
            return True
        try:
            self._receive()
        except WorkerLost:
            return False
        return True

    def _wait(self, verdict: int, started: float, limits: Limits) -> str:
        """Wait for the judge; returns why there is no verdict ("" there is one): late, starved, threads or files."""
        deadline = started + limits.wall_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready = readable([verdict, self._control.fileno()], min(left, LOOK_S))
            if verdict in ready:
                return ""
            if ready:
                raise WorkerLost("a sandbox worker died during a run")
            if excess := self._excess(limits):
                return excess
            if left > LOOK_S:
                continue
            deadline = started + limits.wall_s + self._waited_s()
            if deadline <= time.monotonic() + 0.01:
                return "late"
            if time.monotonic() - started > STARVED * limits.wall_s:
                return "starved"

    def _excess(self, limits: Limits) -> str:
        """What the run has too much of at the moment."""
        for pid in leaves(self._process.pid):
            with suppress(OSError):
                if len(os.listdir(f"/proc/{pid}/task")) > limits.threads:
                    return "threads"
        folder = self._jail.scratch if self._jail.folder else None
        return "files" if folder and overfull(folder, self._scratch_bytes) else ""

    def _waited_s(self) -> float:
        """Seconds that the run's processes were ready to run but got no core; 0 where the kernel does not say."""
        waits = [0.0]
        for pid in leaves(self._process.pid):
            with suppress(OSError, IndexError):
                waits.append(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9)
        return sum(waits)

    def _send(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        rights = array.array("i", descriptors or [])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        try:
            self._control.sendmsg([json.dumps(message).encode()], ancillary)
        except OSError as error:
            raise WorkerLost(f"a sandbox worker is gone: {error}") from error

    def _receive(self) -> dict[str, Any]:
        try:
            message = self._control.recv(1 << 16)
        except OSError as error:
            raise WorkerLost(f"a sandbox worker does not answer: {error}") from error
        if not message:
            raise WorkerLost("a sandbox worker ended")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def close(self) -> None:
        """End every process of the worker."""
        self._control.close()
        # Its namespaces end with it; without namespaces the zygote ends its children when the control socket closes.
        try:
            self._process.wait(END_S if self._jail.level == "reduced" else 0.05)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._jail.remove()


def readable(descriptors: list[int], timeout_s: float) -> list[int]:
    """Those of the descriptors that can be read; not by select, which knows no descriptor above 1023."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(timeout_s * 1000)]


def opened(stack: ExitStack, descriptor: int) -> int:
    """A descriptor that the stack closes."""
    stack.callback(os.close, descriptor)
    return descriptor


def memory_file(contents: bytes = b"", size: int | None = None) -> int:
    """A descriptor of an anonymous file: with these contents and read-only, or empty and of `size` in whole pages."""
    descriptor = os.memfd_create("pointsman", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    if size is None:
        os.pwrite(descriptor, contents, 0)
        seals |= fcntl.F_SEAL_WRITE
    else:
        # A write across a sealed end that lies within a page would fail without filling it.
        os.ftruncate(descriptor, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def read_verdict(descriptor: int) -> dict[str, Any]:
    """What the judge wrote; nothing when it died before."""
    try:
        said: dict[str, Any] = json.loads(os.read(descriptor, VERDICT_BYTES) or b"{}")
    except ValueError:
        return {}
    return said


def leaves(root: int) -> list[int]:
    """The processes below one that have no children."""
    found = []
    for task in glob(f"/proc/{root}/task/*/children"):
        with suppress(OSError):
            children = [int(pid) for pid in Path(task).read_text().split()]
            found += [leaf for child in children for leaf in leaves(child) or [child]]
    return found


EXCESSES: dict[str, Status] = {"threads": "error", "files": "output_limit"}


def settle(
    said: dict[str, Any], ended: dict[str, Ended], late: str, calls: int, written: int, limits: Limits
) -> tuple[Status, str]:
    """One verdict out of what the judge said, how the processes ended and what they used.

    Once the candidate was called, whatever uses up the judge may have come from it, so it is no infrastructure error:
    no program shall be able to choose that it does not count.
    """
    process, judge, detail = ended["candidate"], ended["judge"], str(said.get("detail", ""))
    if late in EXCESSES:
        return EXCESSES[late], f"more {late} than the sandbox allows"
    if late == "starved":
        return "infrastructure_error", f"the machine gave it no core for {STARVED * limits.wall_s:g} s"
    if late or "status" not in said:
        return settle_silent(process, judge, late, calls, limits)
    if said["status"] == "infrastructure":
        return "infrastructure_error", detail
    if written >= limits.output_kib << 10:
        return "output_limit", f"more than {limits.output_kib} KiB of output"
    if said["status"] == "gone":
        return settle_gone(process, limits, detail)
    if said["status"] == "error":
        return settle_raised(said, limits, detail)
    if process.cpu_s > limits.cpu_s:  # it ignored the signal that says so
        return "timeout", f"more than {limits.cpu_s} s of CPU time"
    return ("passed", "") if said["status"] == "passed" else ("failed", detail)


def settle_silent(process: Ended, judge: Ended, late: str, calls: int, limits: Limits) -> tuple[Status, str]:
    """The judge came to no verdict."""
    spent = os.WIFSIGNALED(judge.status) and os.WTERMSIG(judge.status) == signal.SIGXCPU
    if not late and not spent:
        return "infrastructure_error", f"the judge ended without a verdict ({way(judge.status)})"
    if late and judge.cpu_s <= max(process.cpu_s, limits.wall_s / 2):
        return "timeout", f"no result within {limits.wall_s:g} s"
    if not calls:
        return "infrastructure_error", "the check itself used up the time"
    return "timeout", "the check used up the time, on what the program returned"


def settle_gone(process: Ended, limits: Limits, detail: str) -> tuple[Status, str]:
    """The candidate's process ended, or stopped making sense, before the check was done."""
    killed = os.WTERMSIG(process.status) if os.WIFSIGNALED(process.status) else 0
    if killed == signal.SIGXCPU or process.cpu_s >= limits.cpu_s:
        return "timeout", f"more than {limits.cpu_s} s of CPU time"
    if killed and process.memory_kib >= 0.8 * 1024 * limits.memory_mib:
        return "memory", f"more than {limits.memory_mib} MiB ({way(process.status)})"
    if killed == signal.SIGKILL:
        return "error", f"the program {detail} before the check was done"
    return "error", f"the program ended before the check was done ({way(process.status)})"


def settle_raised(said: dict[str, Any], limits: Limits, detail: str) -> tuple[Status, str]:
    """The program raised: a limit, something forbidden, or its own mistake."""
    if "MemoryError" in (said.get("kinds") or ()):
        return "memory", f"{detail}: more than {limits.memory_mib} MiB"
    if said.get("errno") in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        return "refused", f"{detail}: the sandbox does not allow it"
    if said.get("errno") in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT):
        return "output_limit", f"{detail}: more than the sandbox lets it write"
    return "error", detail


def way(status: int) -> str:
    """A wait status in words; most real-time signals have no name."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"signal {signal.Signals(number).name if number in set(signal.Signals) else number}"
    return f"exit status {os.WEXITSTATUS(status)}"
