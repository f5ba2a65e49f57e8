"""One child process, watched: pip and the conversion run outside this process.

So their memory and their threads end with them, and a caller that sets OMP variables later still can.
"""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

TICK_S = 0.1


def run(command: list[str], environment: Mapping[str, str], tick: Callable[[], None]) -> tuple[int, str]:
    """The exit status and what the child printed; `tick` is called every 0.1 s, to move a progress bar."""
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    status = child.wait(timeout=TICK_S)
                    break
                except subprocess.TimeoutExpired:
                    tick()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        tick()
        output.seek(0)
        return status, output.read().decode(errors="replace")


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no output"])[-1]


def folder_bytes(folder: Path) -> int:
    """Bytes below a folder that another process may be changing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
