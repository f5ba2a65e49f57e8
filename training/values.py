"""Programs whose outcome is the representation of `result`, computed in the sandbox on two inputs.

The first input is the set-up as given. The second is another set-up where one is written (training/variants.py), else
the same one with every frame and series reversed and one row shorter, so that an answer which copies the wanted display
is found out.

For a check, the representations come back to the judge as text and are compared there. For making tasks, where the code
is the package's own, they are read from what the program prints.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from training.sandbox import Program, Sandbox

# Runs in the candidate's process.
PROGRAM = """
SETUP = {setup!r}
SECOND_SETUP = {setup_second!r}
CODE = {code!r}
def change_inputs(namespace):
    for name, value in list(namespace.items()):
        usable = hasattr(value, "reverse") and hasattr(value, "slice")
        if name.startswith("__") or isinstance(value, type) or not usable:
            continue
        try:
            changed = value.reverse().slice(1)
        except Exception:
            continue
        if type(changed) is type(value):
            namespace[name] = changed
def value_on(second):
    namespace = {{"__name__": "__main__"}}
    written = second and SECOND_SETUP
    exec(compile(SECOND_SETUP if written else SETUP, "setup.py", "exec"), namespace)
    if second and not written:
        change_inputs(namespace)
    exec(compile(CODE, "solution.py", "exec"), namespace)
    if "result" not in namespace:
        raise NameError("`result` is not set")
    return "value:" + repr(namespace["result"])
"""
REPORT = """
def outcome(second):
    try:
        return value_on(second)
    except BaseException as error:
        return f"error:{type(error).__name__}: {str(error)[:300]}"
def report():
    import json
    found = json.dumps([outcome(False), outcome(True)])
    print("\\n" + found)
    return True
"""
CHECK = """
FIRST = {first!r}
SECOND = {second!r}
def check(candidate):
    assert candidate(False) == FIRST, "another value"
    if SECOND.startswith("value:"):
        assert candidate(True) == SECOND, "another value on the second input"
"""


class Written(NamedTuple):
    """A set-up, the code that goes on from it, and the set-up of the second input; empty: the first one's, changed."""

    setup: str
    code: str
    setup_second: str = ""


@dataclass(frozen=True)
class Outcome:
    """What code made of `result` on the given input and on the second one.

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


def value_program(written: Written, wanted: Outcome) -> Program:
    """Code checked against an outcome; where that has no second value, against the first alone."""
    check = CHECK.format(first=wanted.first, second=wanted.second)
    return Program(PROGRAM.format(**written._asdict()), check, "value_on")


def outcomes(sandbox: Sandbox, programs: Iterable[Written]) -> list[Outcome]:
    """What each program computes, in order. For code that is trusted: it could print what it likes."""
    check = "def check(candidate):\n    assert candidate()\n"
    wanted = (Program(PROGRAM.format(**written._asdict()) + REPORT, check, "report") for written in programs)
    found = []
    for verdict in sandbox.run_all(wanted):
        if verdict.passed:
            found.append(Outcome(*json.loads(verdict.stdout.rstrip("\n").rsplit("\n", 1)[-1])))
        else:
            error = f"error:{verdict.status}: {verdict.detail}"
            found.append(Outcome(error, error))
    return found


def tried(
    sandbox: Sandbox, programs: Sequence[Written], setups: Callable[[str], Iterator[str]]
) -> list[tuple[Written, Outcome]]:
    """Each program with the first of the set-ups, made from its own, under which it tells answers apart.

    As it stands where it tells already, fails, or no set-up is of use.
    """
    found = list(zip(programs, outcomes(sandbox, programs), strict=True))
    waiting = {n: setups(w.setup) for n, (w, outcome) in enumerate(found) if not outcome.error and not outcome.tells}
    while waiting:
        turn = {n: programs[n]._replace(setup_second=s) for n, rest in waiting.items() for s in islice(rest, 1)}
        for number, outcome in zip(turn, outcomes(sandbox, turn.values()), strict=True):
            if outcome.tells:
                found[number] = turn[number], outcome
        waiting = {number: waiting[number] for number in turn if not found[number][1].tells}
    return found
