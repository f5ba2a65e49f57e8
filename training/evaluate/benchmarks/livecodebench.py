"""LiveCodeBench (Jain et al. 2024, arXiv 2403.07974): contest problems by difficulty.

Two forms: programs that read standard input, and methods of a class `Solution`. Rows that hold public tests alone give
higher scores than the official ones, which use private tests too. There are no reference solutions.
"""

import json
from dataclasses import dataclass
from typing import Any

from training.errors import BenchmarkError
from training.evaluate.extract import EXTRACTIONS
from training.evaluate.item import Grade, Item, Run, graded
from training.evaluate.sources import Row, get
from training.sandbox import Program

# Runs in the candidate's process: the program as a function from input text to output text.
HARNESS = """
import io, sys
def run(text):
    kept = sys.stdin, sys.stdout
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    try:
        try:
            exec(compile({source!r}, "solution.py", "exec"), {{"__name__": "__main__"}})
        except SystemExit:
            pass
        sys.stdout.flush()
        return sys.stdout.buffer.getvalue().decode()
    finally:
        sys.stdin, sys.stdout = kept
"""
# What the contest site has imported where a method of `Solution` is asked for.
IMPORTS = """
from typing import *
from collections import *
from functools import *
from itertools import *
from heapq import *
from bisect import *
from math import *
from builtins import *
import collections, functools, itertools, heapq, bisect, math, string, re, sys, random
"""
# Lines are compared as text without spaces at their ends, then as numbers, as the official grader does.
STDIN_TEST = """
from decimal import Decimal, InvalidOperation
CASES = {cases!r}
def numbers(line):
    return [Decimal(word) for word in line.split()]
def same(found, wanted):
    found, wanted = found.strip().split("\\n"), wanted.strip().split("\\n")
    if len(found) != len(wanted):
        return False
    for a, b in zip(found, wanted):
        if a.strip() == b.strip():
            continue
        try:
            if numbers(a) != numbers(b):
                return False
        except InvalidOperation:
            return False
    return True
def check(candidate):
    for given, wanted in CASES:
        assert same(candidate(given), wanted), given[:200]
"""
METHOD_TEST = """
import json
CASES = {cases!r}
def plain(value):
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
def check(candidate):
    for given, wanted in CASES:
        assert plain(candidate(*[json.loads(line) for line in given.split("\\n")])) == json.loads(wanted), given[:200]
"""


@dataclass(frozen=True)
class ContestCheck:
    """Runs a contest program on its tests; `method` is empty for one that reads standard input."""

    test: str
    method: str = ""
    rules: tuple[str, ...] = ("passed",)

    def program(self, answer: str, extraction: str = "") -> Program:
        """The answer as a program for the tests; the empty answer stays empty."""
        code = EXTRACTIONS[extraction or "last"](answer, "Solution")
        if self.method:
            return Program(f"{IMPORTS}\n{code}", self.test, f"Solution.{self.method}")
        return Program(HARNESS.format(source=code), self.test, "run")

    def grade(self, answer: str, extraction: str, run: Run) -> Grade:
        """The verdict on the program."""
        return graded(run(self.program(answer, extraction)))


def livecodebench_item(where: str, row: Row) -> Item:
    """One problem with its public tests, and its private ones where the row has them in the open."""
    tests = [*tests_of(row, where, "public_test_cases"), *tests_of(row, where, "private_test_cases")]
    if not tests:
        raise BenchmarkError(f"{where} has no test: leave the row out")
    cases = [(get(test, where, "input"), get(test, where, "output")) for test in tests]
    if tests[0].get("testtype") == "functional":
        method = json.loads(row.get("metadata") or "{}").get("func_name")
        if not method:
            raise BenchmarkError(f'{where}: its metadata have no "func_name": copy the file again')
        check = ContestCheck(METHOD_TEST.format(cases=cases), method)
        form = f"Complete the class:\n```python\n{(row.get('starter_code') or '').rstrip()}\n```"
    else:
        check = ContestCheck(STDIN_TEST.format(cases=cases))
        form = "Read the input from standard input and print the answer."
    id_ = str(get(row, where, "question_id"))
    prompt = f"{get(row, where, 'question_content').strip()}\n\n{form} Answer with one Python code block."
    only = "public tests" if not row.get("private_test_cases") else "public and private tests"
    return Item(
        id_, prompt, check, "CC (the contest sites' own texts)", f"LiveCodeBench, {only}", cluster=id_,
        category=str(get(row, where, "difficulty")),
    )  # fmt: skip


def tests_of(row: Row, where: str, key: str) -> list[dict[str, Any]]:
    """Tests as a list, also where the row holds them as JSON text; packed private tests are left out."""
    value = row.get(key) or []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            if key == "private_test_cases":
                return []
            raise BenchmarkError(f'{where}: "{key}" is not JSON: copy the file again') from None
    return list(value)
