"""A run folder in, the last checkpoint that was written to its end out; and what is left of one when the disk is full.

A checkpoint is whole when its trainer_state.json, which is written last, names its step, and its other files end where
they should: after a power cut a later file may be there and an earlier one not.
"""

import contextlib
import errno
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from training.errors import StageError

CHECKPOINT = re.compile(r"checkpoint-(\d+)")
KEPT = 2
STATE, WEIGHTS = "trainer_state.json", "adapter_model.safetensors"
ARCHIVES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
FULL = {errno.ENOSPC, errno.EDQUOT}
# What torch and safetensors say in place of an error number.
FULL_TEXTS = ("PytorchStreamWriter failed writing", "No space left on device", "unexpected pos")
MIB = 1024 * 1024


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, whole or not, in the order of their steps."""
    return sorted((path for path in run.glob("checkpoint-*") if CHECKPOINT.fullmatch(path.name)), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def last_whole(run: Path) -> Path | None:
    """The last checkpoint that can be gone on from; None where there is none."""
    return next((path for path in reversed(checkpoints(run)) if whole(path)), None)


def whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end."""
    if not all((checkpoint / name).is_file() for name in (STATE, WEIGHTS, *ARCHIVES)):  # a device has no end to read to
        return False
    try:
        state = json.loads((checkpoint / STATE).read_text())
        with safe_open(checkpoint / WEIGHTS, "pt"):
            pass  # its header names more bytes than a file that was cut has
    except (OSError, ValueError, SafetensorError):
        return False
    archives = all(zipfile.is_zipfile(checkpoint / name) for name in ARCHIVES)
    return archives and isinstance(state, dict) and state.get("global_step") == step_of(checkpoint)


def forget_after(steps: Path, step: int) -> None:
    """Take the steps after a checkpoint out of the log of steps: they are made again."""
    if not steps.is_file():
        return
    kept = [line for line in steps.read_text().splitlines(keepends=True) if logged_step(line) <= step]
    partial = steps.with_suffix(".partial")
    partial.write_text("".join(kept))
    partial.replace(steps)


def logged_step(line: str) -> float:
    """The step of a line; past all steps where a kill cut the line."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


@contextlib.contextmanager
def full_disk_told(run: Path) -> Iterator[None]:
    """Make the error of a full disk a StageError, delete what was half written, and name the checkpoint before."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not disk_is_full(error):
            raise
        for path in checkpoints(run):
            if not whole(path):
                shutil.rmtree(path, ignore_errors=True)
        kept = last_whole(run)
        size = sum(file.stat().st_size for file in kept.iterdir()) if kept else 0
        takes = f" and a checkpoint takes {size // MIB + 1}" if size else ""
        raise StageError(
            f'the disk that holds "{run}" is full, {shutil.disk_usage(run).free // MIB} MiB are free{takes}: make room '
            f"for {KEPT + 1} checkpoints; the same command goes on {f'from {kept.name}' if kept else 'from the start'}"
        ) from error


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, says so."""
    while error is not None:
        if getattr(error, "errno", None) in FULL or any(text in str(error) for text in FULL_TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False
