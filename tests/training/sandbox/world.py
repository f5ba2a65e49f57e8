"""What the attacks are let loose on: a secret, sockets that listen, a process of the same user, folders to write to."""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from subprocess import DEVNULL, Popen

ROOT = Path(__file__).parents[3]
SECRET = "sesame-4711"


@dataclass(frozen=True)
class World:
    """The names stand between @ signs in the attacks."""

    secret: str
    outside: str
    abstract: str
    port: int
    victim: int
    project: str
    packages: str
    listeners: tuple[socket.socket, ...]

    def fill(self, program: str) -> str:
        """A program with the names filled in."""
        for field in fields(self):
            program = program.replace(f"@{field.name}@", str(getattr(self, field.name)))
        return program

    def touched(self) -> list[str]:
        """What became of it that a contained program could not have done."""
        secret = Path(self.secret)
        found = [path.name for path in Path(self.outside).iterdir() if path.name != "datagrams"]
        found += [f"reached {listener}" for listener in self.listeners if reached(listener)]
        if secret.stat().st_mode & 0o777 != 0o644 or secret.stat().st_mtime < 1e9 or secret.stat().st_nlink > 1:
            found.append("the secret's modes, times or links")
        if (cores(self.victim), priority(self.victim)) != (cores(0), priority(0)):
            found.append("the victim's cores or priority")
        return found


def cores(process: int) -> set[int]:
    """On which a process may run."""
    return os.sched_getaffinity(process)


def priority(process: int) -> int:
    """How nice a process is."""
    return os.getpriority(os.PRIO_PROCESS, process)


def reached(listener: socket.socket) -> bool:
    """Whether anybody connected, or sent anything."""
    try:
        if listener.type is socket.SOCK_DGRAM:
            listener.recv(1)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@contextmanager
def world(user: int | None = None) -> Iterator[World]:
    """A world whose victim belongs to this user, or to the caller."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-world-")))
        folder.chmod(0o755)
        outside, secret, name = folder / "outside", folder / "secret", f"pointsman-{os.urandom(8).hex()}"
        outside.mkdir()
        outside.chmod(0o777)
        secret.write_text(SECRET)
        secret.chmod(0o644)
        if user is not None:
            os.chown(secret, user, user)
        tcp = socket.create_server(("127.0.0.1", 0))
        addresses = ((socket.SOCK_STREAM, f"\0{name}"), (socket.SOCK_DGRAM, str(outside / "datagrams")))
        named = [bound(kind, address) for kind, address in (*addresses, (socket.SOCK_DGRAM, f"\0{name}-datagrams"))]
        (outside / "datagrams").chmod(0o777)
        for listener in (tcp, *named):
            stack.enter_context(listener)
            listener.setblocking(False)
        victim = stack.enter_context(Popen(["sleep", "600"], stdin=DEVNULL, user=user))
        stack.callback(victim.send_signal, signal.SIGKILL)
        packages = next(path for path in sys.path if path.endswith("-packages"))
        yield World(
            str(secret), str(outside), name, tcp.getsockname()[1], victim.pid, str(ROOT), packages, (tcp, *named)
        )


def bound(kind: int, address: str) -> socket.socket:
    """A socket of the local kind that can be reached at an address."""
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(address)
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made
