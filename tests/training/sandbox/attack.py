"""One attack on the sandbox, as data.

    containment   reaches for something outside; `attack()` returns what it got hold of, and must get nothing
    resource      uses up something of the machine; ends with one of the verdicts it may, and harms nobody
    reward        a wrong solution that wants to be judged as right, or not to be judged at all

Each is bounded so that it does no harm where it succeeds. What it needs of the world around it (a secret file, a
process to attack) stands between @ signs and is filled in by the test. Names c01-c21, r01-r16, w01-w22 and e1-e6 are
those of the first survey; higher numbers were added later.
"""

from dataclasses import dataclass
from typing import Literal

from training.sandbox import Limits
from training.sandbox.verdict import Status

Kind = Literal["containment", "resource", "reward"]
Alone = Literal["yes", "maybe", "no"]

SHORT = Limits(cpu_s=1, wall_s=3, memory_mib=256, output_kib=64)
# For what ends by its CPU time, on a busy machine too: the program's, or the check's.
BUSY = SHORT.model_copy(update={"wall_s": 30, "judge_cpu_s": 1})
WRONG: tuple[Status, ...] = ("failed", "error", "timeout", "memory", "output_limit", "refused")

SQUARES = """
def check(candidate):
    for number, square in ((2, 4), (3, 9), (11, 121)):
        assert candidate(number) == square
"""
RIGHT = "\ndef f(x):\n    return x * x\n"

LIBC = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
"""
# Writes messages as the candidate's side does, on whatever descriptor it may have.
FORGE = """
import json, os, struct
def forge(*messages):
    for message in messages:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        for descriptor in range(3, 64):
            rest = struct.pack("<I", len(body)) + body
            try:
                while rest:
                    rest = rest[os.write(descriptor, rest):]
            except OSError:
                pass
"""


@dataclass(frozen=True)
class Attack:
    """A program, the check it is held against, and the verdicts that may be said of it.

    `alone` says whether it succeeds where nothing holds it: "yes", or as the machine allows ("maybe"). `before` runs
    earlier on the same worker.
    """

    id: str
    kind: Kind
    solution: str
    may: tuple[Status, ...]
    test: str = SQUARES
    limits: Limits = SHORT
    alone: Alone = "no"
    before: str = ""
