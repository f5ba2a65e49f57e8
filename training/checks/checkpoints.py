"""A run folder in, the checkpoint that training may go on from out; and whether the disk holds the next ones."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training.config import PROJECTIONS
from training.errors import StageError
from training.trainer.checkpoints import KEPT, checkpoints, last_whole, whole

# A weight, and the optimiser's two moments of it, in float32.
BYTES_PER_PARAMETER = 12
# Tokenizer, states, the adapter at the end.
FURTHER_BYTES = 64 * 2**20


def check_checkpoints(run: Path) -> dict[str, Any]:
    """Where training goes on from, and what it passes over.

    Raises StageError where there are some and none is whole: to begin anew would throw steps away in silence.
    """
    found, chosen = checkpoints(run), last_whole(run)
    if found and chosen is None:
        raise StageError(f'checkpoint "{found[-1]}" was not written to its end: delete it, and training begins anew')
    passed_over = [path.name for path in found if not whole(path)]
    return {"goes_on_from": chosen.name if chosen else None, "passed_over": passed_over}


def parameters(shapes: dict[str, tuple[int, ...]], rank: int) -> int:
    """The numbers in an adapter on every projection of a base whose matrices have these shapes (out, in)."""
    projections: Iterable[tuple[int, ...]] = (
        shape for name, shape in shapes.items() if name.split(".")[-2:-1] and name.split(".")[-2] in PROJECTIONS
    )
    return sum(rank * sum(shape) for shape in projections if len(shape) == 2)


def check_space(run: Path, count: int) -> dict[str, Any]:
    """Free and needed bytes for the checkpoints of so many parameters; raises StageError where the disk is too full."""
    # The trainer writes the new one before it deletes the oldest.
    needed = (KEPT + 1) * BYTES_PER_PARAMETER * count + FURTHER_BYTES
    free = shutil.disk_usage(run).free
    if free < needed:
        raise StageError(
            f'the disk of "{run}" has "{free >> 20}" MiB free, and checkpoints need {needed >> 20} MiB: free some, '
            "or name another run folder"
        )
    return {"free_mib": free >> 20, "needed_mib": needed >> 20}
