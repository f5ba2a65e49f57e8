"""`pointsman train pipeline CONFIG`: stages one after the other, each in a process of its own.

A process gives back all that a stage held, engines included, when it ends. The whole chain is checked before anything
starts. A finished stage is passed over and an unfinished one goes on where it was, so the same command after a kill
repeats nothing but the steps after the last checkpoint. What a stage prints goes to pipeline.log in its run folder.

Not covered: stages side by side, several machines.
"""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from index.config import read_config
from index.folder import make_folder
from training.errors import StageError
from training.stages.chain import Link, links, refuse_broken
from training.stages.config import PipelineConfig

PROGRAM = (sys.executable, "-m", "pointsman", "train")
LOG, LOCK = "pipeline.log", ".pipeline.lock"
REFUSED, POLL_S, MESSAGE_CHARACTERS = 2, 0.5, 2000
FORWARDED = (signal.SIGINT, signal.SIGTERM)


def main(path: Path, program: Sequence[str] = PROGRAM) -> None:
    """Run the stages of a config; `program` takes a stage's name and its config.

    Raises StageError before anything starts when the chain cannot work, and when a stage stops by itself.
    """
    chain = links(read_config(path, PipelineConfig))
    refuse_broken(chain)
    console = Console(soft_wrap=True)
    with progress(console) as bars:
        overall = bars.add_task("", completed=sum(link.steps()[0] for link in chain), total=None)
        show(bars, overall, chain)
        for number, link in enumerate(chain, 1):
            if link.finished():
                console.print(f"{number}/{len(chain)} {link}: finished", highlight=False)
                continue
            console.print(f"{number}/{len(chain)} {link}: see {link.run / LOG}", highlight=False)
            current = bars.add_task(str(link), completed=link.steps()[0], total=None)
            run_stage(link, program, partial(show, bars, overall, chain, (current, link)))
    console.print(f"finished: {', '.join(str(link.run) for link in chain)}", highlight=False)


def progress(console: Console) -> Progress:
    """A bar of steps with the time left."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
        TimeRemainingColumn(), TextColumn("left"), console=console,
    )  # fmt: skip


def show(bars: Progress, overall: TaskID, chain: Sequence[Link], current: tuple[TaskID, Link] | None = None) -> None:
    """Steps made and still to make, of all stages together and of the one at work."""
    if current:
        made, total = current[1].steps()
        bars.update(current[0], completed=made, total=total)
    steps = [link.steps() for link in chain]
    known = [total for _, total in steps if total is not None]
    more = "" if len(known) == len(steps) else f", {len(steps) - len(known)} of unknown length"
    bars.update(
        overall, description=f"{len(chain)} stages{more}", completed=sum(made for made, _ in steps),
        total=sum(known) if known else None,
    )  # fmt: skip


def run_stage(link: Link, program: Sequence[str], tick: Callable[[], None]) -> None:
    """Run one stage in a process of its own until it ends; `tick` is called meanwhile.

    Raises StageError with the stage's own message when it refuses, and when it ends without a result.
    """
    make_folder(link.run)
    with alone(link) as lock, (link.run / LOG).open("ab") as log, forwarded() as forward:
        begin = log.tell()
        child = subprocess.Popen(
            [*program, link.stage, str(link.path)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True, pass_fds=(lock.fileno(),), env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        lock.write(f"{child.pid}\n")
        lock.flush()
        forward.to(child)
        while not ended(child):
            tick()
        tick()
    if forward.received:
        raise KeyboardInterrupt if forward.received == signal.SIGINT else SystemExit(128 + forward.received)
    if child.returncode == REFUSED:
        raise StageError(f'stage "{link}" stopped: {own_message(link.run / LOG, begin)}')
    if child.returncode or not link.finished():
        raise StageError(
            f'stage "{link}" ended with status "{child.returncode}" and is not finished: read the end of '
            f'"{link.run / LOG}"; the same command goes on from here'
        )


def ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended, after waiting a moment for it."""
    try:
        child.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextlib.contextmanager
def alone(link: Link) -> Iterator[IO[str]]:
    """A lock on a run folder that its stage's process holds too, so that one whose pipeline was killed is noticed."""
    with (link.run / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise StageError(
                f'stage "{link}" is still at work as process "{file.read().strip()}": wait until it ends, or end it'
            ) from error
        file.truncate(0)
        yield file


class Forward:
    """Hands the signals that this process receives to a child."""

    def __init__(self) -> None:
        self.received = 0
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Receive a signal."""
        self.received = number
        if self._child is not None:
            self._child.send_signal(number)

    def to(self, child: subprocess.Popen[bytes]) -> None:
        """Name the child; it is told what came before it was there."""
        self._child = child
        if self.received:
            child.send_signal(self.received)


@contextlib.contextmanager
def forwarded() -> Iterator[Forward]:
    """Forward what asks this process to end, instead of ending before the stage has."""
    forward = Forward()
    earlier = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield forward
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def own_message(log: Path, begin: int) -> str:
    """What a stage said when it refused, from the bytes after `begin`; its log's name where there is nothing."""
    text = log.read_bytes()[begin:].decode("utf-8", "replace")
    said = re.split(r"(?:^|[\r\n])pointsman: ", text)[1:]
    return said[-1].strip()[:MESSAGE_CHARACTERS] if said else f'read the end of "{log}"'
