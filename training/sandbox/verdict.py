"""What a run of a program against a check came to."""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "passed", "failed", "error", "timeout", "memory", "output_limit", "refused", "infrastructure_error"
]  # fmt: skip


@dataclass(frozen=True)
class Program:
    """A program and the check it is held against.

    `solution` is the untrusted text. `test` is the check: it may define `check(candidate)`, which is called with the
    function `entry_point` (a dotted name reaches a method of a class), or consist of assertions. `setup` is trusted
    code that the check needs, such as helper functions of the problem.
    """

    solution: str
    test: str
    entry_point: str
    setup: str = ""
    stdin: str = ""


@dataclass(frozen=True)
class Verdict:
    """The verdict with its reason; `isolation` names the layers that held, joined by "+".

    infrastructure_error says nothing about the program: it is never counted as wrong.
    """

    status: Status
    detail: str
    stdout: str
    isolation: str
    cpu_s: float
    wall_s: float
    memory_mib: float
    calls: int

    @property
    def passed(self) -> bool:
        """The one good verdict."""
        return self.status == "passed"

    @property
    def counts(self) -> bool:
        """Whether it says anything about the program."""
        return self.status != "infrastructure_error"
