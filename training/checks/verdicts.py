"""The gates of a stage in order: each one's verdict on a line and in gates.json, then one refusal for all that failed.

A gate that passed on the same inputs is not run again; another version of the gates' code is another input.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from index.errors import IndexFault
from training.errors import StageError, TrainingFault
from training.evaluate.grade import graders

FILE = "gates.json"


@dataclass(frozen=True)
class Gate:
    """What is asked, by a name; everything that decides its verdict; and how it is found out.

    `inputs` is None where the verdict may change by itself, as that on the disk does. `check` returns figures, or
    raises what the package refuses.
    """

    name: str
    inputs: Any
    check: Callable[[], Mapping[str, Any]]


def pass_gates(run: Path, gates: Sequence[Gate]) -> None:
    """Run each gate that has not passed yet; raises StageError naming all that failed."""
    path = run / FILE
    verdicts: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}
    console, failures = Console(), []
    for gate in gates:
        key = key_of(gate)
        known = verdicts.get(gate.name, {})
        if gate.inputs is not None and known.get("passed") and known.get("inputs") == key:
            console.print(f"gate {escape(gate.name)}: passed before", highlight=False)
            continue
        verdict = verdicts[gate.name] = judged(gate, key)
        console.print(worded(gate.name, verdict), highlight=False)
        if not verdict["passed"]:
            failures.append(f"gate {gate.name}: {verdict['reason']}")
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(verdicts, indent=1) + "\n")
        partial.replace(path)
    if failures:
        raise StageError("\n".join(failures))


def judged(gate: Gate, key: str) -> dict[str, Any]:
    """A gate's verdict: whether it passed, its figures or its reason, and the seconds it took."""
    started = time.perf_counter()
    try:
        found: dict[str, Any] = {"passed": True, "figures": dict(gate.check())}
    except (TrainingFault, IndexFault) as error:
        found = {"passed": False, "reason": str(error)}
    return {**found, "seconds": round(time.perf_counter() - started, 2), "inputs": key}


def worded(name: str, verdict: Mapping[str, Any]) -> str:
    """A verdict on a line."""
    if not verdict["passed"]:
        return f"[red]gate {escape(name)}: refused[/red] {escape(verdict['reason'])}"
    figures = ", ".join(f"{key} {value}" for key, value in verdict["figures"].items())
    return f"[green]gate {escape(name)}: passed[/green] {escape(figures)} ({verdict['seconds']} s)"


def key_of(gate: Gate) -> str:
    """Hash of a gate's inputs and of the code that judges."""
    text = json.dumps([gate.name, gate.inputs, code()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code() -> str:
    """Hash of the gates, and of what grades."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join([*(file.read_bytes() for file in files), graders().encode()])).hexdigest()
