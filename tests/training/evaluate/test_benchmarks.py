"""Each kind of benchmark on rows of its own form: right answers pass in every shape, wrong and empty ones do not."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from training.errors import BenchmarkError
from training.evaluate.benchmarks.catalogue import BENCHMARKS
from training.evaluate.benchmarks.code import called
from training.evaluate.benchmarks.doctests import types_in
from training.evaluate.config import BenchmarkSettings
from training.evaluate.grade import Grader
from training.evaluate.item import Item
from training.evaluate.load import load_items
from training.sandbox import Limits, Sandbox
from training.tasks import Task

WHERE = '"file" line 1'


@pytest.fixture(scope="module")
def grader(sandbox: Sandbox) -> Grader:
    return Grader(sandbox, Limits(cpu_s=2, memory_mib=2048), "definitions")


def item(benchmark: str, row: dict[str, Any]) -> Item:
    """A row read by its benchmark."""
    return BENCHMARKS[benchmark].item(WHERE, row)


def verdicts(grader: Grader, one: Item, *answers: str) -> list[bool]:
    """Whether each answer passes by the first rule."""
    return [grader.grade(one, answer).scores[one.check.rules[0]] for answer in answers]


def fenced(code: str) -> str:
    return f"Sure:\n```python\n{code}```\nDone."


HUMANEVAL = {
    "task_id": "HumanEval/x", "entry_point": "double",
    "prompt": "def helper(x):\n    return x\n\ndef double(x: int) -> int:\n    '''Twice.'''\n",
    "canonical_solution": "    return helper(x) * 2\n",
    "test": "def check(candidate):\n    assert candidate(helper(2)) == 4\n    assert candidate(5) == 10\n",
}  # fmt: skip


@pytest.mark.parametrize("benchmark", ["humaneval", "humaneval+"])
def test_humaneval_grades_answers_in_every_form(grader: Grader, benchmark: str) -> None:
    """A whole function with or without block, a bare body, one that uses the prompt's helper, its own failing test."""
    one = item(benchmark, HUMANEVAL)
    function = "def double(x):\n    return helper(x) + x\n"
    right = [fenced(function), function, "    return x * 2\n", fenced(function + "assert double(1) == 3\n")]
    assert verdicts(grader, one, str(one.reference), *right) == [True] * 5
    assert verdicts(grader, one, fenced("def double(x):\n    return 4\n"), "", "I cannot.") == [False] * 3


MBPP = {
    "task_id": 1, "text": "Write a function to add.", "code": "import math\ndef add(a, b):\n    return a + b",
    "test_list": ["assert add(1, 2) == 3", "assert add(math.floor(2.5), 2) == 4"],
}  # fmt: skip


def test_mbpp_runs_its_assertions_with_what_the_reference_imported(grader: Grader) -> None:
    """Its assertions were written to stand behind the reference in one file."""
    one = item("mbpp", MBPP)
    assert one.prompt == '"""\nWrite a function to add.\nassert add(1, 2) == 3\n"""\n'
    assert verdicts(grader, one, str(one.reference), fenced("def add(a, b):\n    return 3\n"), "") == [
        True,
        False,
        False,
    ]


def test_mbpp_plus_wants_both_sets_of_tests(grader: Grader) -> None:
    """An answer made for the assertions that it saw fails; a function named check is no obstacle."""
    plus = "CASES = [((1, 1), 2), ((5, 5), 10)]\ndef plus_check(candidate):\n    for a, out in CASES:\n"
    plus += "        assert candidate(*a) == out\n"
    row = MBPP | {"entry_point": "add", "test": plus, "n_base": 1, "n_plus": 1}
    table = "def add(a, b):\n    return {(1, 2): 3, (2, 2): 4}[a, b]\n"
    assert verdicts(grader, item("mbpp+", row), fenced("def add(a, b):\n    return a + b\n"), fenced(table)) == [
        True,
        False,
    ]
    named = {key: json.loads(json.dumps(value).replace("add(", "check(")) for key, value in row.items()}
    one = item("mbpp+", named | {"entry_point": "check", "test": plus})
    answers = [fenced("def check(a, b):\n    return a + b\n"), fenced("def check(a, b):\n    return 3\n")]
    assert verdicts(grader, one, *answers) == [True, False]


def test_mbpp_plus_of_the_hub_has_its_cases_at_the_top_level(grader: Grader) -> None:
    """There `test` calls the function by name, and there is no entry_point."""
    test = "for inp, exp in [((1, 2), 3), ((7, 7), 14)]:\n    assert add(*inp) == exp\n"
    one = item("mbpp+", {**MBPP, "prompt": "Write a function to add.", "test": test})
    answers = [fenced("def add(a, b):\n    return a + b\n"), fenced("def add(a, b):\n    return 3\n")]
    assert verdicts(grader, one, *answers) == [True, False]


def test_tests_that_call_nothing_of_the_reference_are_refused() -> None:
    """They could not tell one answer from another."""
    with pytest.raises(BenchmarkError, match=r"line 1: its tests call nothing"):
        called("assert other(1)", "def add():\n    pass\n", WHERE)
    with pytest.raises(BenchmarkError, match="not Python"):
        called("assert (", "def add():\n    pass\n", WHERE)


def test_gsm8k_scores_two_rules_side_by_side(grader: Grader) -> None:
    """A right number without the mark is right by one of them."""
    one = item("gsm8k", {"question": "How many?", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"})
    assert one.check.rules == ("strict", "flexible")
    scores = [grader.grade(one, text).scores for text in ("#### 7", "It is 7.", "#### 8, not 7", "")]
    assert [tuple(s.values()) for s in scores] == [(True, True), (False, True), (False, True), (False, False)]
    with pytest.raises(BenchmarkError, match='no "#### number"'):
        item("gsm8k", {"question": "?", "answer": "7"})


STDIN = {
    "question_id": "a_1", "question_content": "Sum the numbers.", "difficulty": "easy", "metadata": "{}",
    "public_test_cases": [
        {"input": "1 2\n", "output": "3\n", "testtype": "stdin"},
        {"input": "5 6\n", "output": "11.0\n", "testtype": "stdin"},
    ],
}  # fmt: skip


def test_contest_programs_read_standard_input(grader: Grader) -> None:
    """Numbers are compared as numbers; every line counts, and too few lines are wrong."""
    one = item("livecodebench", STDIN)
    assert (one.category, one.source) == ("easy", "LiveCodeBench, public tests")
    right = [
        "print(sum(map(int, input().split())))\n",
        "import sys\nprint(sum(map(float, sys.stdin.read().split())))\nexit()\n",
        "print(sum(map(int, open(0).read().split())))\n",
        "import os\nos.write(1, str(sum(map(int, os.read(0, 99).split()))).encode())\n",
        "import sys, io\nsys.stdin = open(0)\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\n"
        "sys.__stdout__.write(str(sum(map(int, input().split()))))\n",
    ]
    wrong = ["print(3)\n", "a, b = map(int, input().split())\nprint(a + b)\nprint(0)\n", "pass\n"]
    assert verdicts(grader, one, *map(fenced, right)) == [True] * 5
    assert verdicts(grader, one, *map(fenced, wrong), "") == [False] * 4


def test_contest_methods_are_called_on_a_solution(grader: Grader) -> None:
    """With the imports that the contest site gives, a class of its own for each call, tuples as lists."""
    case = {"input": "[3, 1, 2]\n2", "output": "[1, 2]", "testtype": "functional"}
    row = STDIN | {
        "question_id": "b", "public_test_cases": json.dumps([case]), "metadata": '{"func_name": "least"}',
        "starter_code": "class Solution:\n    def least(self, xs: List[int], k: int) -> List[int]:\n",
    }  # fmt: skip
    one = item("livecodebench", row)
    assert "Complete the class" in one.prompt
    right = "class Solution:\n    def least(self, xs: List[int], k: int):\n        return tuple(nsmallest(k, xs))\n"
    assert verdicts(grader, one, fenced(right), fenced(right.replace("(k, xs)", "(1, xs)")), "") == [True, False, False]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"public_test_cases": []}, "has no test"),
        ({"public_test_cases": "[{"}, "is not JSON"),
        ({"public_test_cases": [{"input": "1", "output": "1", "testtype": "functional"}]}, "func_name"),
        ({"public_test_cases": [{"input": "1", "output": 6}]}, '"output" is 6, not a text'),
        ({"public_test_cases": [5]}, "not a list of tests"),
        ({"question_content": None}, '"question_content" is null'),
    ],
)
def test_contest_rows_that_cannot_be_judged_are_refused(change: dict[str, Any], said: str) -> None:
    """Naming the line."""
    with pytest.raises(BenchmarkError, match=said):
        item("livecodebench", STDIN | change)


def test_doctest_tasks_are_judged_by_their_value(grader: Grader) -> None:
    """Items cluster by the method's name; a row that is no task is refused."""
    task = Task("p:p.f/0", "p.f", "held_out", "?", "a = 1\n", "result = a + 1\n", "value:2", "value:2", "p==1", "MIT")
    one = item("doctests", asdict(task))
    assert (one.cluster, one.licence, one.source) == ("f", "MIT", "p==1")
    assert verdicts(grader, one, str(one.reference), fenced("result = 3\n"), "") == [True, False, False]
    with pytest.raises(BenchmarkError, match='"symbol" is null'):
        item("doctests", asdict(task) | {"symbol": None})
    with pytest.raises(BenchmarkError, match="is not a task"):
        item("doctests", {"id": "x"})


def test_a_pass_must_repeat(grader: Grader) -> None:
    """What hits by the clock, or by chance, is no answer."""
    one = item("mbpp", MBPP | {"test_list": ["assert add(1, 2) == 3"]})
    lucky = "import random\ndef add(a, b):\n    return 3 if random.SystemRandom().random() < 0.5 else 4\n"
    passed = sum(verdicts(grader, one, *[fenced(lucky)] * 200))
    assert passed < 75  # a quarter is expected, half if a single hit were enough


def test_what_the_sandbox_could_not_run_is_not_counted(grader: Grader) -> None:
    """A check that cannot be judged apart says nothing about an answer."""
    one = item("mbpp", MBPP | {"test_list": ["assert add(print, 2) == 3"]})
    grade = grader.grade(one, str(one.reference))
    assert (grade.status, grade.counts) == ("infrastructure_error", False)


def test_the_documentation_of_any_package_gives_tasks(grader: Grader) -> None:
    """Of the standard library's statistics, say; to type in the display that a question shows is no answer."""
    tasks = {"package": "statistics", "preamble": "from statistics import *"}
    found = load_items(BenchmarkSettings.model_validate({"benchmark": "doctests", "tasks": tasks}))
    one = next(item for item in found if item.id == "statistics:statistics.mean/0")
    right = [str(one.reference), fenced("result = sum([1, 2, 3, 4, 4]) / 5\n")]
    wrong = [fenced("result = 2.8\n"), fenced("x = 1\nresult = (2.8)\n"), fenced("result = 3 - 0.5\n"), ""]
    assert verdicts(grader, one, *right, *wrong) == [True, True, False, False, False, False]


def test_the_display_as_an_expression_is_typed_in_too() -> None:
    """Objects whose representation is code."""
    assert types_in("result = Fraction(1, 2)", "value:Fraction(1, 2)")
    assert types_in("result = {'a': [1]}", "value:x")
    assert not types_in("result = Fraction(2, 4)", "value:Fraction(1, 2)")
    assert not types_in("x = 1", "value:1") and not types_in("result = (", "value:1")
    assert not types_in("result = f(1)", "value:<f object at 0>")
