"""The warm process of a worker: forks a candidate and its judge for each run, ends both, reports what they used.

It is started fresh with an empty environment, reads neither programs nor checks (they travel in descriptors that only
the forked process opens), and so stays clean: what it forks knows nothing of the caller or of earlier runs.
"""

import array
import builtins
import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
from typing import Any

from . import candidate, judge, kernel, rehearsal, scratch, wire

MIB = 1 << 20
UNARMED = 97
# Of one run: program, channel, output, input; check, channel, report.
DESCRIPTORS = 7


class Zygote:
    """One per worker; `setup` is what the launcher decided about this machine."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self.scratch: str | None = setup["scratch"]
        # Without namespaces the kernel counts what the user runs on the whole machine, the trainer's own threads too.
        self.counted = setup["level"] == "full"
        self.null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        prepare_streams(self.null)
        warm(setup["preload"], self.null)
        # Linked libraries and zone data are read while a program runs; nothing else of the system is.
        libraries = setup["libraries"]
        readable = [*setup["readable"], *own_files(*libraries), *imported(setup["packages"])]
        self.ruleset = kernel.make_ruleset(readable, libraries, ["/dev/null"], self.scratch)
        own, self.filter = (kernel.make_filter(bytes.fromhex(compiled)) for compiled in setup["filters"])
        kernel.load_filter(own)
        self.children: dict[str, int] = {}

    def fork_candidate(self, limits: dict[str, Any], code: int, channel: int, output: int, stdin: int) -> None:
        """A process for the program."""
        self.children["candidate"] = pid = os.fork()
        if pid:
            return
        try:
            os.dup2(stdin, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            self.close_in(limits, [code, channel], limits["cpu_s"], limits["memory_mib"])
            wire.send(channel, {"armed": True})
        except BaseException as error:
            wire.send(channel, {"armed": f"{type(error).__name__}: {error}"})
            os._exit(UNARMED)
        candidate.main(code, channel)

    def fork_judge(self, limits: dict[str, Any], order: int, channel: int, report: int) -> None:
        """A process for the check."""
        self.children["judge"] = pid = os.fork()
        if pid:
            return
        try:
            for descriptor in (0, 1, 2):
                os.dup2(self.null, descriptor)
            self.close_in(limits, [order, channel, report], limits["judge_cpu_s"], limits["judge_memory_mib"])
        except BaseException as error:
            os.write(report, json.dumps({"status": "infrastructure", "detail": f"judge: {error}"}).encode())
            os._exit(UNARMED)
        judge.main(order, channel, report)

    def close_in(self, limits: dict[str, Any], kept: list[int], cpu_s: int, memory_mib: int) -> None:
        """Limits, then landlock, then the filter, which forbids changing any of them; none outlives the zygote."""
        kernel.prctl(kernel.PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
        kernel.keep_descriptors([*kept, self.ruleset])
        for what, amount in (
            (resource.RLIMIT_CPU, (cpu_s, cpu_s + 1)),
            (resource.RLIMIT_AS, (memory_mib * MIB, memory_mib * MIB)),
            (resource.RLIMIT_FSIZE, (limits["file_mib"] * MIB, limits["file_mib"] * MIB)),
            (resource.RLIMIT_NOFILE, (limits["open_files"], limits["open_files"])),
            (resource.RLIMIT_CORE, (0, 0)),
            *([(resource.RLIMIT_NPROC, (limits["threads"], limits["threads"]))] if self.counted else []),
        ):
            resource.setrlimit(what, amount)
        kernel.restrict(self.ruleset)
        os.close(self.ruleset)
        kernel.load_filter(self.filter)

    def end(self) -> dict[str, Any]:
        """Kill what runs and wait for it; how each ended and what it used."""
        report: dict[str, Any] = {}
        for pid in self.children.values():
            os.kill(pid, signal.SIGKILL)
        for name, pid in self.children.items():
            _, status, usage = os.wait4(pid, 0)
            report[name] = [status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]
        self.children.clear()
        return report


def receive(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """One order with its descriptors; None when the caller is gone."""
    received = array.array("i")
    message, ancillary, _, _ = control.recvmsg(65536, socket.CMSG_SPACE(DESCRIPTORS * 4))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            received.frombytes(data[: len(data) - len(data) % 4])
    return (json.loads(message) if message else None), list(received)


def warm(modules: list[str], null: int) -> None:
    """Import what programs will, and play some runs, so that every fork has what that leaves behind.

    A fork has none of the threads that a module starts when it is imported. polars and numpy start such threads, which
    only look after memory, and do without.
    """
    for module in modules:
        importlib.import_module(module)
    exec(compile("import math, re, typing, collections, functools, itertools, heapq, string, bisect", "warm", "exec"))
    rehearsal.rehearse(null)
    gc.collect()
    gc.freeze()


def prepare_streams(null: int) -> None:
    """The streams of what is forked, on the descriptors that it will have; what else a program expects around it."""
    os.dup2(null, 0)
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)
    sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", errors="replace", closefd=False)
    sys.argv = ["solution.py"]
    # Programs end themselves by these, which an interpreter without site packages lacks.
    vars(builtins).update(exit=sys.exit, quit=sys.exit)


def own_files(modules: str, libraries: str) -> list[str]:
    """What the interpreter brought along: not the packages that were installed into it, which may be benchmarks."""
    if not os.path.isdir(libraries):
        return []
    found = [entry.path for entry in os.scandir(modules) if not entry.name.endswith("-packages")]
    return found + [entry.path for entry in os.scandir(libraries) if ".so" in entry.name]


def imported(folders: list[str]) -> list[str]:
    """What the warm modules brought along of some folders: these packages, and no others that are installed there."""
    found = set()
    for module in list(sys.modules.values()):
        for folder in folders:
            if str(getattr(module, "__file__", None)).startswith(folder + os.sep):
                path = os.path.join(folder, str(module.__file__)[len(folder) + 1 :].split(os.sep)[0])
                found |= {path, path + ".libs"}
    return sorted(found)


def main() -> None:
    """Serve orders from descriptor 0 until the caller is gone."""
    control = socket.socket(fileno=os.dup(0))
    setup, _ = receive(control)
    assert setup is not None
    try:
        os.nice(setup["nice"])
        sys.path[:0] = setup["packages"]
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1))
        kernel.drop_capabilities()
        zygote = Zygote(setup)
    except Exception as error:
        control.send(json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode())
        return
    control.send(json.dumps({"landlock": kernel.landlock_version(), "uid": os.getuid()}).encode())
    try:
        while True:
            message, descriptors = receive(control)
            if message is None:
                return
            if message["do"] == "run":
                zygote.fork_candidate(message["limits"], *descriptors[:4])
                zygote.fork_judge(message["limits"], *descriptors[4:])
            else:
                control.send(json.dumps(zygote.end()).encode())
                if zygote.scratch:
                    scratch.empty(zygote.scratch)
                    control.send(b"{}")
            for descriptor in descriptors:
                os.close(descriptor)
    finally:
        zygote.end()
