"""Doctest tasks of a package (training/tasks.py): the answer computes `result`, judged on two inputs.

Held-out tasks of a tasks file all differ on the second input. Of other packages, whose set-up holds no frame, many do
not; there an answer that types in the display it was shown is found by its syntax, which a program that wants to cheat
can get round.
"""

import ast
import contextlib
from dataclasses import asdict, dataclass

from training.errors import BenchmarkError
from training.evaluate.item import Grade, Item, Run, graded
from training.evaluate.sources import Row, checked
from training.extract import EXTRACTIONS
from training.tasks import Task, TaskSource, package_tasks


@dataclass(frozen=True)
class TaskCheck:
    """Runs the answer's code after the task's set-up."""

    task: Task
    rules: tuple[str, ...] = ("passed",)

    def grade(self, answer: str, extraction: str, run: Run) -> Grade:
        """The verdict on the code."""
        code = EXTRACTIONS[extraction](answer, "")
        if self.task.expected == self.task.expected_second and types_in(code, self.task.expected):
            return Grade({"passed": False}, "failed", "typed in what it was shown")
        return graded(run(self.task.program(code)))


def types_in(code: str, expected: str) -> bool:
    """Whether code sets `result` to a literal, or to the very expression that the representation is."""
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        assigned = [node for node in ast.parse(code).body if isinstance(node, ast.Assign)]
        values = [node.value for node in assigned if "result" in map(ast.unparse, node.targets)]
        if not values:
            return False
        with contextlib.suppress(ValueError, TypeError):
            ast.literal_eval(values[-1])
            return True
        shown = ast.parse(expected.removeprefix("value:"), mode="eval").body
        return ast.dump(values[-1]) == ast.dump(shown)
    return False


def task_item(where: str, row: Row) -> Item:
    """A task of a tasks file; `name` clusters the objects of one method name."""
    try:
        task = Task(**row)
    except TypeError as error:
        raise BenchmarkError(f"{where} is not a task ({error}): make the file with `pointsman train tasks`") from error
    for name, value in row.items():
        checked(value, where, name)
    reference = f"```python\n{task.reference}```"
    return Item(task.id, task.instruction, TaskCheck(task), task.licence, task.source, reference, cluster=task.name)


def package_task_rows(source: TaskSource) -> list[tuple[str, Row]]:
    """(where, row) of every task that a package's documentation gives, all of them to be asked."""
    return [(f'package "{source.package}" task "{task.id}"', asdict(task)) for task in package_tasks(source)]
