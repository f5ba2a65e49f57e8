"""System calls that Python has no function for: landlock, a seccomp filter, capabilities, closing descriptors.

Not covered: namespaces and the file-system view, which the launcher sets up (jail.py).
"""

import ctypes
import errno
import os

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 38, 22
SECCOMP_MODE_FILTER = 2
# The same numbers on every architecture (asm-generic, Linux 5.9 and later).
SYS_close_range, SYS_landlock_create, SYS_landlock_add, SYS_landlock_restrict = 436, 444, 445, 446
SYS_capset = {"x86_64": 126, "aarch64": 91}
CAPABILITY_VERSION_3 = 0x20080522

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG, REFER, TRUNCATE = 1 << 7, 1 << 8, 1 << 13, 1 << 14
READ = READ_FILE | READ_DIR
SCRATCH = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE
# Rights that each version of landlock added: all files, REFER, TRUNCATE, (network), IOCTL_DEV.
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}

libc = ctypes.CDLL(None, use_errno=True)


class RulesetAttributes(ctypes.Structure):
    """struct landlock_ruleset_attr."""

    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class PathRule(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class Instruction(ctypes.Structure):
    """struct sock_filter."""

    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(Instruction)))


def call(number: int, *arguments: object) -> int:
    """A system call by number; raises OSError."""
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def prctl(option: int, *arguments: object) -> None:
    """prctl(2); raises OSError."""
    if libc.prctl(option, *arguments, *[ctypes.c_ulong(0)] * (4 - len(arguments))) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def landlock_version() -> int:
    """The kernel's landlock version, 0 where it has none."""
    try:
        return call(SYS_landlock_create, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


def make_ruleset(readable: list[str], listable: list[str], writable: list[str], scratch: str | None) -> int:
    """A landlock ruleset: nothing but these paths, no network, no signals to processes outside. Its descriptor."""
    version = landlock_version()
    handled = RIGHTS[min(version, 5)]
    attributes = RulesetAttributes(handled, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = call(SYS_landlock_create, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))
    rules = [(path, READ) for path in readable] + [(path, READ_DIR) for path in listable]
    rules += [(path, READ_FILE | WRITE_FILE) for path in writable] + ([(scratch, SCRATCH)] if scratch else [])
    for path, rights in rules:
        if not os.path.exists(path):
            continue
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not os.path.isdir(path):
            rights &= READ_FILE | WRITE_FILE | TRUNCATE
        rule = PathRule(rights & handled, parent)
        call(SYS_landlock_add, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0))
        os.close(parent)
    return ruleset


def restrict(ruleset: int) -> None:
    """Put this process under a ruleset, for good."""
    call(SYS_landlock_restrict, ctypes.c_int(ruleset), ctypes.c_uint32(0))


def make_filter(program: bytes) -> Filter:
    """A compiled seccomp filter, ready to be loaded; keep it alive."""
    count = len(program) // ctypes.sizeof(Instruction)
    return Filter(count, (Instruction * count).from_buffer_copy(program))


def load_filter(compiled: Filter) -> None:
    """Put this process under a seccomp filter, for good."""
    prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(compiled))


def drop_capabilities() -> None:
    """Give up every capability; without any it does nothing."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    call(SYS_capset[os.uname().machine], header, (ctypes.c_uint32 * 6)())


def keep_descriptors(kept: list[int]) -> None:
    """Close every descriptor from 3 on except these."""
    first = 3
    for descriptor in sorted(kept):
        if descriptor > first:
            close_range(first, descriptor - 1)
        first = descriptor + 1
    close_range(first, 0xFFFFFFFF)


def close_range(first: int, last: int) -> None:
    """Close a range of descriptors, both ends included."""
    call(SYS_close_range, ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(0))
