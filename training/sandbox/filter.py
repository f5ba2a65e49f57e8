"""The system calls a jailed program may make, compiled to seccomp filters by libseccomp.

An allow-list: what is not named here fails with ENOSYS, as on an older kernel, and what libraries probe for with
EPERM. Processes, programs, network, tracing, namespaces, keys, io_uring and devices are on neither list. Threads may
be made, sockets only in connected pairs of streams (asyncio needs one; datagrams could be sent elsewhere).

In two parts, because the kernel takes 0.3 ms to load the long one: the zygote puts the allow-list on itself, once, with
the few calls it needs to start and end a run; each run adds a short filter that takes those away again.
"""

import errno
import fcntl
import os
import socket
import tempfile

from training.sandbox.errors import SandboxError

try:
    import pyseccomp as seccomp
except (ImportError, RuntimeError, OSError) as error:
    seccomp, MISSING = None, str(error)

FILES = """
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range dup dup2 dup3
    open openat openat2 creat stat fstat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat
    getdents getdents64 getcwd chdir fchdir mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 truncate
    ftruncate fallocate fsync fdatasync sync_file_range fadvise64 flock umask statfs fstatfs
    pipe pipe2 copy_file_range sendfile splice tee poll ppoll select pselect6 epoll_create epoll_create1
    epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime
    signalfd4 inotify_init1
"""
MEMORY = "brk mmap munmap mprotect mremap madvise msync mincore membarrier"
THREADS = """
    futex futex_waitv set_robust_list get_robust_list rseq set_tid_address gettid exit exit_group sched_yield
    sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max
    sched_get_priority_min getcpu get_mempolicy arch_prctl
"""
SELF = """
    getpid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid getpriority
    getrlimit getrusage times uname sysinfo getrandom restart_syscall
"""
TIME = """
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time alarm setitimer getitimer pause
    timer_create timer_settime timer_gettime timer_delete timer_getoverrun
"""
SIGNALS = "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack"
PAIRS = "shutdown getsockname getpeername getsockopt"
# Where the flags stand; bytes out of band are a part of the kernel that nothing needs and that had holes.
MESSAGES = {"recvfrom": 3, "sendto": 3, "recvmsg": 2, "sendmsg": 2}
# Asked for in passing by libc or libraries that go on without: refused plainly.
PROBED = """
    kill tkill tgkill fork vfork execve execveat ptrace socket connect bind listen accept accept4
    symlink symlinkat link linkat chmod fchmod fchmodat chown fchown lchown fchownat mknod mknodat mount umount2 unshare
    setns setuid setgid setpriority setrlimit mlock mlock2 mlockall memfd_create utimensat utime utimes futimesat
    setsockopt
"""
CLONE_THREAD = 0x10000
# All namespaces that clone can make.
CLONE_NEW = 0x7E020000
GET_NAME, SET_NAME, SET_VMA = 16, 15, 0x53564D41
# What the zygote alone may do: fork, limit and close in what it forked; kill it, wait for it, empty its folder.
ZYGOTE = "kill wait4 chmod fchmodat landlock_restrict_self"
SET_PDEATHSIG, SET_SECCOMP = 1, 22
STREAM, TYPE = 1, 0xF
# Whether reading blocks and whether a descriptor is inherited, which Python sets so; no other request to a device.
REQUESTS = (0x5421, 0x5450, 0x5451)
# Not among them: who gets a signal, and which, when a descriptor is ready (F_SETOWN, F_SETSIG), and leases.
COMMANDS = (
    fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_SETFL, fcntl.F_GETLK,
    fcntl.F_SETLK, fcntl.F_SETLKW, fcntl.F_OFD_GETLK, fcntl.F_OFD_SETLK, fcntl.F_OFD_SETLKW, fcntl.F_GETPIPE_SZ,
)  # fmt: skip


def compiled_filters() -> tuple[bytes, bytes]:
    """The zygote's filter and what each run adds to it, both as struct sock_filter[] for this machine.

    Raises SandboxError without libseccomp.
    """
    if seccomp is None:
        raise SandboxError(f'"libseccomp" cannot be loaded ({MISSING}): install it (Debian: libseccomp2)')
    return compiled(zygote_rules()), compiled(run_rules())


def zygote_rules() -> "seccomp.SyscallFilter":
    """What programs may do, and what is needed around them."""
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    for names in (FILES, MEMORY, THREADS, SELF, TIME, SIGNALS, PAIRS, ZYGOTE):
        for name in names.split():
            add(rules, seccomp.ALLOW, name)
    for name in set(PROBED.split()) - set(ZYGOTE.split()):
        add(rules, seccomp.ERRNO(errno.EPERM), name)
    add(rules, seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_NEW, 0))
    pair = seccomp.Arg(0, seccomp.EQ, socket.AF_UNIX), seccomp.Arg(1, seccomp.MASKED_EQ, TYPE, STREAM)
    add(rules, seccomp.ALLOW, "socketpair", *pair)
    for name, place in MESSAGES.items():
        add(rules, seccomp.ALLOW, name, seccomp.Arg(place, seccomp.MASKED_EQ, socket.MSG_OOB, 0))
    add(rules, seccomp.ALLOW, "prlimit64")
    # Cores may be chosen for itself, not for a process of the same user.
    add(rules, seccomp.ALLOW, "sched_setaffinity", seccomp.Arg(0, seccomp.EQ, 0))
    for request in REQUESTS:
        add(rules, seccomp.ALLOW, "ioctl", seccomp.Arg(1, seccomp.EQ, request))
    for command in COMMANDS:
        add(rules, seccomp.ALLOW, "fcntl", seccomp.Arg(1, seccomp.EQ, command))
    for option in (GET_NAME, SET_NAME, SET_VMA, SET_PDEATHSIG, SET_SECCOMP):
        add(rules, seccomp.ALLOW, "prctl", seccomp.Arg(0, seccomp.EQ, option))
    return rules


def run_rules() -> "seccomp.SyscallFilter":
    """What the zygote may do and a run may not; of two filters' errors the kernel returns the later one's."""
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    for name in ZYGOTE.split():
        add(rules, seccomp.ERRNO(errno.EPERM if name in PROBED.split() else errno.ENOSYS), name)
    add(rules, seccomp.ERRNO(errno.EPERM), "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, 0))
    # Limits may be read, not set.
    add(rules, seccomp.ERRNO(errno.ENOSYS), "prlimit64", seccomp.Arg(2, seccomp.NE, 0))
    for option in (SET_PDEATHSIG, SET_SECCOMP):
        add(rules, seccomp.ERRNO(errno.ENOSYS), "prctl", seccomp.Arg(0, seccomp.EQ, option))
    return rules


def compiled(rules: "seccomp.SyscallFilter") -> bytes:
    """A filter as the kernel takes it."""
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0, os.SEEK_SET)
        return file.read()


def add(rules: "seccomp.SyscallFilter", action: int, name: str, *arguments: "seccomp.Arg") -> None:
    """Add one rule; a call that this architecture, or this version of libseccomp, does not have needs none."""
    number = seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)
    if number >= 0:
        rules.add_rule(action, number, *arguments)
