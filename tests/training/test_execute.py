import os
import time
from pathlib import Path

from training.execute import Limits, Program, run_batch, run_each


def test_a_program_that_sets_result_reports_its_value() -> None:
    """On both inputs; without frames the second is the first."""
    (outcome,) = run_batch([Program("a = 2", "result = a + 1")], {})
    assert (outcome.first, outcome.second, outcome.error) == ("value:3", "value:3", "")


def test_exceptions_are_reported_with_their_type() -> None:
    """Whichever way an answer ends itself."""
    codes = ["result = 1 / 0", "result = (", "raise SystemExit(0)", "y = 1"]
    errors = [outcome.error.split(":")[0] for outcome in run_batch([Program("", code) for code in codes], {})]
    assert errors == ["ZeroDivisionError", "SyntaxError", "SystemExit", "NoResult"]


def test_what_is_printed_is_not_taken_for_a_report() -> None:
    """The report travels on a descriptor of its own."""
    (outcome,) = run_batch([Program("", 'print(\'["value:1", "value:1"]\')')], {})
    assert outcome.error.startswith("NoResult")


def test_an_endless_loop_ends_by_cpu_time() -> None:
    """CPU time, so that a slow machine does not turn right answers into wrong ones."""
    (outcome,) = run_batch([Program("", "while True: pass")], {}, Limits(cpu_s=1, wall_s=120))
    assert outcome.error.startswith("CpuLimit")


def test_an_answer_that_sleeps_ends_by_wall_time() -> None:
    """A program that waits uses no CPU time and must not hold the caller up."""
    started = time.monotonic()
    (outcome,) = run_batch([Program("", "import time; time.sleep(600)")], {}, Limits(wall_s=3))
    assert outcome.error.startswith("Timeout")
    assert time.monotonic() - started < 60


def test_memory_is_bounded() -> None:
    """An allocation beyond the bound fails inside the program."""
    (outcome,) = run_batch([Program("", "result = len(bytearray(4 << 30))")], {}, Limits(memory_mib=1024))
    assert outcome.error.startswith("MemoryError")


def test_a_process_that_dies_takes_no_other_answer_with_it() -> None:
    """Each answer has a process of its own."""
    died, lives = run_each([Program("", "import os; os._exit(0)"), Program("", "result = 1")], {})
    assert died.error.startswith("Died")
    assert lives.first == "value:1"


def test_children_left_behind_are_ended() -> None:
    """The whole process group goes."""
    code = "import os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(600)\n    os._exit(0)\nresult = pid"
    outcome = run_batch([Program("", code)], {})[0]
    pid = int(outcome.second.removeprefix("value:"))
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether a process still runs; a zombie waiting to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_caller_environment_is_not_seen() -> None:
    """Secrets of the training process stay there; what the config names arrives."""
    os.environ["POINTSMAN_TEST_SECRET"] = "x"
    try:
        code = "import os\nresult = (os.environ.get('POINTSMAN_TEST_SECRET'), os.environ.get('GIVEN'))"
        (outcome,) = run_batch([Program("", code)], {"GIVEN": "yes"})
    finally:
        del os.environ["POINTSMAN_TEST_SECRET"]
    assert outcome.first == "value:(None, 'yes')"


def test_results_come_in_the_order_given() -> None:
    """Slow first, fast second: still first and second."""
    programs = [Program("", f"import time; time.sleep({0.5 - i / 10}); result = {i}") for i in range(5)]
    assert [outcome.first for outcome in run_each(programs, {})] == [f"value:{i}" for i in range(5)]
