"""Whole runs played in the zygote before anything is forked.

What an interpreter writes when it runs code for the first times (specialised bytecode, caches of types and methods),
every fork would write again, each page of it copied by the kernel: most of what a run costs is such copies.
"""

import contextlib
import os
import resource
import socket
import sys
from typing import Any

from . import candidate, judge, kernel, wire

# A function is specialised after 8 calls (CPython 3.11), what it calls some calls later.
TIMES = 24
PROGRAM = b"""
from typing import List


def f(x: List[int], y: int = 0) -> List[int]:
    return sorted(number + 1 for number in x if number >= y)
"""
ORDER = {
    "test": "def check(candidate):\n    assert candidate([2, 1], y=1) == [2, 3]\n",
    "setup": "",
    "entry_point": "f",
}
REQUEST = {"name": "f", "arguments": [[2, 1]], "keywords": {"t": "dict", "v": [["y", 1]]}}


def rehearse(null: int) -> None:
    """Play both processes of a run, after what only a fork can do; `null` is an open descriptor of /dev/null."""
    main = sys.modules["__main__"]
    for _ in range(TIMES):
        close_in()
        replies = play_candidate()
        verdict = play_judge(replies, null)
        assert verdict["status"] == "passed", verdict
    sys.modules["__main__"] = main


def play_candidate() -> bytes:
    """What the candidate's process would send."""
    asking, answering = socket.socketpair()
    with asking, answering:
        wire.send(asking.fileno(), REQUEST)
        asking.shutdown(socket.SHUT_WR)
        wire.send(answering.fileno(), {"armed": True})
        candidate.serve(PROGRAM, answering.fileno())
        return asking.recv(1 << 16)


def play_judge(replies: bytes, null: int) -> dict[str, Any]:
    """What the judge would make of it."""
    asking, answering = socket.socketpair()
    with asking, answering:
        answering.sendall(replies)
        return judge.judge(ORDER, judge.Candidate(asking.fileno(), null))


def close_in() -> None:
    """The calls by which a fork closes itself in, without their effect."""
    last = os.sysconf("SC_OPEN_MAX")
    kernel.close_range(last, last)
    resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE))
    with contextlib.suppress(OSError):
        kernel.restrict(-1)
