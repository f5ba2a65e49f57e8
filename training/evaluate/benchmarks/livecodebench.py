"""LiveCodeBench (Jain et al. 2024, arXiv 2403.07974): contest problems by difficulty.

Two forms: programs that read standard input, and methods of a class `Solution`. Rows that hold public tests alone give
higher scores than the official ones, which use private tests too. There are no reference solutions.
"""

import json
from dataclasses import dataclass

from training.errors import BenchmarkError
from training.evaluate.item import Grade, Item, Run, graded
from training.evaluate.sources import Row, identity, shortened, text
from training.extract import EXTRACTIONS, after
from training.sandbox import Program

# Runs in the candidate's process: the program as a function from input text to output text, through descriptors 0 and 1
# so that every way of reading and writing works.
HARNESS = """
def run(given):
    import os, sys, tempfile
    # What an earlier call left there closes its descriptor when it goes, which must be before these are opened.
    sys.stdin = sys.__stdin__ = sys.stdout = sys.__stdout__ = None
    while (null := os.open("/dev/null", os.O_RDWR)) < 2:
        pass
    os.close(null)
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
        stdin.write(given.encode())
        stdin.seek(0)
        os.dup2(stdin.fileno(), 0)
        os.dup2(stdout.fileno(), 1)
        sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="replace", closefd=False)
        sys.stdout = sys.__stdout__ = own = open(1, "w", encoding="utf-8", errors="replace", closefd=False)
        try:
            exec(compile({source!r}, "solution.py", "exec"), {{"__name__": "__main__"}})
        except SystemExit:
            pass
        finally:
            for stream in (own, sys.stdout):
                try:
                    stream.flush()
                except (ValueError, OSError, AttributeError):
                    pass
        stdout.seek(0)
        return stdout.read().decode(errors="replace")
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
        arguments = [json.loads(line) for line in given.split("\\n") if line.strip()]
        assert plain(candidate(*arguments)) == json.loads(wanted), given[:200]
"""


@dataclass(frozen=True)
class ContestCheck:
    """Runs a contest program on its tests; `method` is empty for one that reads standard input."""

    test: str
    method: str = ""
    rules: tuple[str, ...] = ("passed",)

    def program(self, answer: str, extraction: str = "last") -> Program:
        """The answer as a program for the tests; the empty answer stays empty."""
        code = EXTRACTIONS[extraction](answer, "Solution")
        if self.method:
            return Program(after(IMPORTS, code), self.test, f"Solution.{self.method}")
        return Program(HARNESS.format(source=code), self.test, "run")

    def grade(self, answer: str, extraction: str, run: Run) -> Grade:
        """The verdict on the program."""
        return graded(run(self.program(answer, extraction)))


def livecodebench_item(where: str, row: Row) -> Item:
    """One problem with its public tests, and its private ones where the row has them in the open."""
    private = tests_of(row, where, "private_test_cases")
    tests = [*tests_of(row, where, "public_test_cases"), *private]
    if not tests:
        raise BenchmarkError(f"{where} has no test: leave the row out")
    cases = [(text(test, where, "input"), text(test, where, "output")) for test in tests]
    if tests[0].get("testtype") == "functional":
        check = ContestCheck(METHOD_TEST.format(cases=cases), method_of(row, where))
        form = f"Complete the class:\n```python\n{text(row, where, 'starter_code').rstrip()}\n```"
    else:
        check = ContestCheck(STDIN_TEST.format(cases=cases))
        form = "Read the input from standard input and print the answer."
    id_ = identity(row, where, "question_id")
    prompt = f"{text(row, where, 'question_content').strip()}\n\n{form} Answer with one Python code block."
    only = "public and private tests" if private else "public tests"
    return Item(
        id_, prompt, check, "CC (the contest sites' own texts)", f"LiveCodeBench, {only}", cluster=id_,
        category=text(row, where, "difficulty"),
    )  # fmt: skip


def method_of(row: Row, where: str) -> str:
    """The method of `Solution` that the metadata name; raises BenchmarkError."""
    metadata = row.get("metadata")
    try:
        metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    except ValueError as error:
        raise BenchmarkError(f'{where}: "metadata" is not JSON ({error}): copy the file again') from error
    return text(metadata if isinstance(metadata, dict) else {}, f"{where}, metadata", "func_name")


def tests_of(row: Row, where: str, key: str) -> list[Row]:
    """Tests as a list, also where the row holds them as JSON text; packed private tests are left out."""
    value = row.get(key) or []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            if key == "private_test_cases":
                return []
            raise BenchmarkError(f'{where}: "{key}" is not JSON: copy the file again') from None
    if not isinstance(value, list) or not all(isinstance(test, dict) for test in value):
        raise BenchmarkError(f'{where}: "{key}" is {shortened(value)}, not a list of tests: copy the file again')
    return value
