"""Lines of JSON that a run writes, each with its step; a run that goes on drops those of steps it will do again."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

STEPS, SAMPLES, EVENTS = "steps.jsonl", "samples.jsonl", "events.jsonl"


class Journal:
    """The three files of a run folder."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def write(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows; numbers that JSON does not know become null."""
        with (self._run / name).open("a") as file:
            for row in rows:
                file.write(json.dumps({key: finite(value) for key, value in row.items()}, ensure_ascii=False) + "\n")

    def event(self, step: int, event: str, **facts: Any) -> None:
        """Something that a reader of the run should know."""
        self.write(EVENTS, [{"step": step, "event": event, **facts}])

    def cut(self, step: int) -> None:
        """Forget what was written of later steps, and a line that a kill cut."""
        for path in (self._run / name for name in (STEPS, SAMPLES, EVENTS)):
            if path.is_file():
                kept = [line for line in path.read_text().splitlines() if step_of(line) <= step]
                partial = path.with_suffix(".partial")
                partial.write_text("".join(f"{line}\n" for line in kept))
                partial.replace(path)


def step_of(line: str) -> float:
    """The step of a line; of one that cannot be read, none that is kept."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def finite(value: Any) -> Any:
    """A value, or None in place of a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
