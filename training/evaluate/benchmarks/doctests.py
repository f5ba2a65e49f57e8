"""The held-out doctest tasks of a package (training/tasks.py): the answer computes `result`, judged on two inputs."""

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
        return graded(run(self.task.program(EXTRACTIONS[extraction](answer, ""))))


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
