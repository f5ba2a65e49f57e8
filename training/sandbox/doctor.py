"""What holds on this machine: each promise of the sandbox attacked once by a small program.

A canary is a program that tries what it must not; it reports "stopped" or how it got through. The findings are what
`pointsman sandbox doctor` prints.
"""

import json
import statistics
import time
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from training.sandbox.errors import SandboxError
from training.sandbox.jail import missing_layer, namespaces_work
from training.sandbox.limits import Limits, SandboxConfig
from training.sandbox.pool import Sandbox
from training.sandbox.verdict import Program, Status

LIMITS = Limits(cpu_s=1, wall_s=10, memory_mib=256, output_kib=64)
STOPPED = "def check(candidate):\n    assert candidate() == 'stopped', candidate()\n"
TRIAL = "def attempt():\n    try:\n        {}\n    except (OSError, ImportError):\n        return 'stopped'\n"
WRONG = """
class Agreeable(int):
    def __eq__(self, other):
        return True
def attempt():
    return Agreeable(1)
"""
RUNS = 50


@dataclass(frozen=True)
class Finding:
    """One promise and whether it holds."""

    promise: str
    holds: bool
    seen: str


# (promise, what a program tries, the verdicts that mean it was stopped, the check)
CANARIES: tuple[tuple[str, str, tuple[Status, ...], str], ...] = (
    ("no file of this machine", TRIAL.format("return open('/etc/passwd').read()"), ("passed",), STOPPED),
    ("no write outside its folder", TRIAL.format("return open('/var/tmp/x', 'w').write('x')"), ("passed",), STOPPED),
    ("no network", TRIAL.format("import socket; return str(socket.socket())"), ("passed",), STOPPED),
    ("no process", TRIAL.format("import os; return str(os.fork())"), ("passed",), STOPPED),
    ("no other program", TRIAL.format("import os; return str(os.execv('/bin/true', ['true']))"), ("passed",), STOPPED),
    ("no signal to others", TRIAL.format("import os; return str(os.kill(os.getppid(), 0))"), ("passed",), STOPPED),
    (
        "no environment of the caller",
        "import os\ndef attempt():\n    return 'stopped' if len(os.environ) < 8 else str(dict(os.environ))\n",
        ("passed",),
        STOPPED,
    ),
    ("CPU time is limited", "while True: pass", ("timeout",), STOPPED),
    ("memory is limited", "block = bytearray(1 << 30)", ("memory",), STOPPED),
    ("output is limited", "for _ in range(100): print('x' * 4096)", ("output_limit", "refused"), STOPPED),
    ("a verdict cannot be forged", WRONG, ("failed",), "def check(candidate):\n    assert candidate() == 2\n"),
)


def canaries(sandbox: Sandbox) -> list[Finding]:
    """Every promise, attacked."""
    found = []
    for promise, program, stopped, check in CANARIES:
        verdict = sandbox.run(Program(program, check, "attempt"), LIMITS)
        found.append(Finding(promise, verdict.status in stopped, f"{verdict.status} {verdict.detail}".strip()[:100]))
    return found


def pace(sandbox: Sandbox) -> Finding:
    """How long one trivial run takes here, one after the other."""
    program, times = Program("def f(x): return x\n", "def check(candidate):\n    assert candidate(1) == 1\n", "f"), []
    for _ in range(RUNS):
        started = time.perf_counter()
        passed = sandbox.run(program).passed
        times.append(1000 * (time.perf_counter() - started))
    return Finding("a correct program passes", passed, f"median {statistics.median(times):.1f} ms of {RUNS} runs")


def examine(as_json: bool) -> int:
    """Print what holds; 0 when untrusted programs can be run here."""
    reason = namespaces_work()
    findings = [Finding("namespaces", not reason, reason or "bubblewrap works")]
    if reason := missing_layer():
        findings.append(Finding("landlock", False, reason))
    try:
        started = time.perf_counter()
        with Sandbox(SandboxConfig(workers=1)) as sandbox:
            ms = 1000 * (time.perf_counter() - started)
            findings.append(Finding("isolation", True, f"{sandbox.isolation}; a worker starts in {ms:.0f} ms"))
            findings += [*canaries(sandbox), pace(sandbox)]
    except SandboxError as error:
        findings.append(Finding("isolation", False, str(error)))
    broken = [f for f in findings if not f.holds and f.promise != "namespaces"]
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
        return int(bool(broken))
    table = Table("promise", "holds", "seen", title="sandbox")
    for finding in findings:
        table.add_row(finding.promise, "yes" if finding.holds else "NO", finding.seen)
    Console().print(table)
    return int(bool(broken))
