"""Programs that use up what the machine has, or get in the way of the worker or of the trainer."""

from tests.training.sandbox.attack import BUSY, FORGE, LIBC, RIGHT, SHORT, SQUARES, WRONG, Attack
from training.sandbox import Limits
from training.sandbox.verdict import Status

RESOURCES: list[Attack] = []


def bounded(name: str, solution: str, *may: Status, test: str = SQUARES, limits: Limits = SHORT) -> None:
    """An attack on the machine, and the verdicts it may end with."""
    RESOURCES.append(Attack(name, "resource", solution, may, test, limits))


STATUSES: tuple[Status, ...] = ("passed", *WRONG)

bounded(
    "r01_fork_bomb",
    """
import os, time
for _ in range(50):
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)
"""
    + RIGHT,
    "refused",
)
bounded(
    "r02_thread_bomb",
    """
import threading
end = threading.Event()
for _ in range(200):
    threading.Thread(target=end.wait, args=(2,), daemon=True).start()
"""
    + RIGHT,
    "error",
    "memory",
)
bounded("r03_mem_bomb", "kept = []\nfor _ in range(64):\n    kept.append(bytearray(64 << 20))" + RIGHT, "memory")
bounded(
    "r04_mem_bomb_forked",
    """
import os, time
for _ in range(8):
    if os.fork() == 0:
        kept = bytearray(512 << 20)
        time.sleep(2)
        os._exit(0)
"""
    + RIGHT,
    "refused",
)
bounded("r05_cpu_spin", "while True:\n    pass", "timeout", limits=BUSY)
bounded(
    "r06_output_flood",
    "import sys\nfor _ in range(256):\n    sys.stdout.write('x' * (1 << 20))" + RIGHT,
    "output_limit",
)
bounded(
    "r07_disk_fill",
    """
import time
for number in range(16):
    with open(f"file-{number}", "wb") as file:
        for _ in range(16):
            file.write(bytes(1 << 20))
    time.sleep(0.05)
"""
    + RIGHT,
    "output_limit",
)
bounded("r08_stdin_block", "import sys\nwhile True:\n    input()", "error")
bounded(
    "r09_thread_never_ends",
    "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()" + RIGHT,
    "passed",
)
bounded(
    "r10_signal_mask",
    """
import signal
for number in signal.valid_signals():
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
while True:
    pass
""",
    "timeout",
    limits=BUSY,
)
bounded("r11_recursion", "def f(x):\n    return f(x)", "error")
bounded("r12_huge_int", "def f(x):\n    return 9 ** 9 ** 9", "timeout", "memory", limits=BUSY)
bounded("r13_regex_dos", "import re\ndef f(x):\n    return re.match('(a+)+$', 'a' * 64 + 'b')", "timeout", limits=BUSY)
bounded("r14_fd_bomb", "kept = [open('/dev/null') for _ in range(5000)]" + RIGHT, "error")
bounded("r15_return_bomb", "def f(x):\n    return 'x' * (100 << 20)", "error", "memory")
bounded("r16_sleep_then_ok", "import time\ndef f(x):\n    time.sleep(60)\n    return x * x", "timeout")
bounded(
    "r17_small_threads",
    """
import threading
threading.stack_size(64 << 10)
end = threading.Event()
for _ in range(200):
    threading.Thread(target=end.wait, args=(2,), daemon=True).start()
end.wait(1)
"""
    + RIGHT,
    "error",
    "memory",
)
# What is left in the scratch folder must be removed, however it is made.
bounded("r18_many_files", "for number in range(5000):\n    open(str(number), 'w').close()" + RIGHT, *STATUSES)
bounded(
    "r19_deep_folders",
    "import os\nfor number in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nopen('f', 'w').close()" + RIGHT,
    "passed",
)
bounded(
    "r20_unreadable_folders",
    """
import os
os.mkdir("outer")
os.mkdir("outer/closed", 0o300)
os.mkdir("outer/closed/inner", 0o300)
open("outer/closed/inner/file", "w").close()
os.mkdir("outer/nothing", 0)
os.mkdir("hidden", 0o300)
os.mkdir(b"hidden/\\xff\\n", 0o300)
open(b"hidden/\\xff\\n/" + b"n" * 255, "w").close()
"""
    + RIGHT,
    "passed",
    "output_limit",
)
TIMER = (
    LIBC
    + """
def by_timer(number):
    event = (ctypes.c_int * 16)(0, 0, number, 0)
    timer = ctypes.c_void_p()
    libc.timer_create(1, event, ctypes.byref(timer))
    libc.timer_settime(timer, 0, (ctypes.c_long * 4)(0, 0, 0, 1000000), None)
    while True:
        libc.usleep(100000)
"""
)
bounded("r21_stop_itself", TIMER + "by_timer(19)", "timeout")
bounded("r22_nameless_signal", TIMER + "by_timer(40)", "error")
bounded("r23_abort", LIBC + "libc.abort()", "error")
bounded("r24_bad_address", LIBC + "ctypes.string_at(8)", "error")
bounded(
    "r25_never_reads",
    "import time\ntime.sleep(60)",
    "timeout",
    test="def check(candidate):\n    assert candidate('x' * (4 << 20)) == 1\n",
)
bounded("r26_move_the_output", "import os\nos.lseek(1, 1 << 40, 0)\nprint('x')" + RIGHT, "output_limit", "refused")
bounded("r27_grow_the_output", "import os\nos.ftruncate(1, 1 << 20)" + RIGHT, "refused")
bounded("r28_unprintable", "raise ValueError('\\ud800' * 100)", "error")
bounded("r29_large_pipes", "import fcntl, os\nfcntl.fcntl(os.pipe()[1], 1031, 1 << 20)" + RIGHT, "refused")
bounded(
    "r30_ignores_the_time",
    """
import signal, time
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
while time.process_time() < 1.4:
    pass
"""
    + RIGHT,
    "timeout",
    limits=BUSY,
)

# On the judge, by way of what is returned.
FIRST = "def check(candidate):\n    assert {} == [4]\n"
bounded(
    "r31_colliding_hashes",
    FORGE
    + """
items = [{"t": "int", "v": hex(number * ((1 << 61) - 1))} for number in range(40000)]
forge({"loaded": True}, {"value": {"t": "set", "v": items}, "changed": {}})
""",
    "timeout",
    limits=BUSY,
)
bounded(
    "r32_many_small_things",
    FORGE + """forge({"loaded": True}, b'{"changed": {}, "value": [' + b"[]," * (4 << 20) + b"[]]}")""",
    "error",
    "failed",
    "timeout",
    limits=SHORT.model_copy(update={"judge_memory_mib": 256}),
)
bounded("r33_endless_list", "def f(x):\n    return range(1 << 40)", "failed", test=FIRST.format("list(candidate(2))"))
bounded(
    "r34_endless_sum",
    "def f(x):\n    return range(1 << 40)",
    "timeout",
    test=FIRST.format("sum(candidate(2))"),
    limits=BUSY,
)
bounded("r35_endless_iterator", "import itertools\ndef f(x):\n    return itertools.count()", "error", "timeout")
bounded(
    "r36_frame_of_4_gib",
    FORGE + "for fd in range(3, 64):\n    try:\n        os.write(fd, b'\\xff' * 4)\n    except OSError:\n        pass",
    "error",
)
bounded("r37_deep_frame", FORGE + "forge(b'[' * 100000)", "error")
bounded("r38_flood_of_frames", FORGE + "while True:\n    forge({'loaded': True})", *WRONG)
bounded(
    "r39_descriptors_in_flight",
    """
import array, os, socket
while True:
    for number in range(3, 64):
        try:
            channel = socket.socket(fileno=number)
            channel.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1] * 8))])
            channel.detach()
        except OSError:
            pass
""",
    *WRONG,
)
bounded(
    "r40_great_power", "def f(x):\n    return 1 << (4 << 20)", *WRONG, test=FIRST.format("[candidate(2) ** 40 % 7]")
)
bounded(
    "r41_fills_the_judge",
    "def f(x):\n    return list(range(100))",
    "failed",
    test="def check(f):\n    got, kept = f(2), []\n    while True:\n        kept.append(list(got))\n",
    limits=SHORT.model_copy(update={"judge_memory_mib": 64}),
)
