"""A run folder in, the checkpoint that training may go on from out; and whether the disk holds the next ones."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training.config import PROJECTIONS
from training.errors import StageError

# Those without which the trainer does not go on, or goes on from other numbers in silence.
FILES = (
    "adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth",
    "trainer_state.json", "training_args.bin",
)  # fmt: skip
# A weight, and the optimiser's two moments of it, in float32.
BYTES_PER_PARAMETER = 12
# Tokenizer, states, the adapter at the end.
FURTHER_BYTES = 64 * 2**20
# The trainer writes the new one before it deletes the old one.
AT_ONCE = 2


def checkpoints(run: Path) -> list[Path]:
    """The checkpoint folders of a run, the earliest first."""
    return sorted(run.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def lacking(checkpoint: Path) -> list[str]:
    """What an interrupted checkpoint lacks: files that are not there, are empty, or of which JSON is cut."""
    return [name for name in FILES if not whole(checkpoint / name)]


def whole(file: Path) -> bool:
    """Whether a file is there and not visibly cut."""
    if not file.is_file() or file.stat().st_size == 0:
        return False
    if file.suffix == ".json":
        try:
            json.loads(file.read_text())
        except ValueError:
            return False
    return True


def last_whole(run: Path) -> Path | None:
    """The latest checkpoint that lacks nothing; None where there is none at all.

    Raises StageError where there are some and none is whole: to begin anew would throw steps away in silence.
    """
    found = checkpoints(run)
    usable = [path for path in found if not lacking(path)]
    if found and not usable:
        missing = ", ".join(lacking(found[-1]))
        raise StageError(f'checkpoint "{found[-1]}" lacks "{missing}": delete it, and training begins anew')
    return usable[-1] if usable else None


def check_checkpoints(run: Path) -> dict[str, Any]:
    """Where training goes on from, and what it passes over; raises StageError as `last_whole`."""
    chosen = last_whole(run)
    passed_over = {path.name: lacking(path) for path in checkpoints(run) if lacking(path)}
    return {"goes_on_from": chosen.name if chosen else None, "passed_over": passed_over}


def parameters(shapes: dict[str, tuple[int, ...]], rank: int) -> int:
    """The numbers in an adapter on every projection of a base whose matrices have these shapes (out, in)."""
    projections: Iterable[tuple[int, ...]] = (
        shape for name, shape in shapes.items() if name.split(".")[-2:-1] and name.split(".")[-2] in PROJECTIONS
    )
    return sum(rank * sum(shape) for shape in projections if len(shape) == 2)


def check_space(run: Path, count: int) -> dict[str, Any]:
    """Free and needed bytes for the checkpoints of so many parameters; raises StageError where the disk is too full."""
    needed = AT_ONCE * BYTES_PER_PARAMETER * count + FURTHER_BYTES
    free = shutil.disk_usage(run).free
    if free < needed:
        raise StageError(
            f'the disk of "{run}" has "{free >> 20}" MiB free, and checkpoints need {needed >> 20} MiB: free some, '
            "or name another run folder"
        )
    return {"free_mib": free >> 20, "needed_mib": needed >> 20}
