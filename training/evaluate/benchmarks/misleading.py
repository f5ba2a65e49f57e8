"""Doctest tasks whose question names a method that does not exist: who follows it, and who answers rightly.

passed    the answer's code gives what the task wants
resisted  it is code, and does not use the name that misleads; the follow rate is what this rule leaves of the answers
          that hold code

A name is used where the answer's syntax holds it: in a comment or in the text around the code it may be spoken of.
"""

import ast
from dataclasses import dataclass, replace

from training.evaluate.benchmarks.doctests import TaskCheck, task_item
from training.evaluate.item import Grade, Item, Run
from training.evaluate.sources import Row
from training.extract import EXTRACTIONS

# How libraries renamed what models learnt first; of other names the spelling is changed.
OLD = {"group_by": "groupby", "with_columns": "with_column", "len": "length", "concat": "append", "join": "merge"}


@dataclass(frozen=True)
class MisleadingCheck:
    """A task's own check beside whether the name that misleads is used."""

    task: TaskCheck
    wrong: str
    rules: tuple[str, ...] = ("passed", "resisted")

    def grade(self, answer: str, extraction: str, run: Run) -> Grade:
        """Both rules' verdicts."""
        found = self.task.grade(answer, extraction, run)
        used = names_in(EXTRACTIONS[extraction](answer, ""))
        resisted = bool(used) and self.wrong not in used
        said = f"follows {self.wrong}" if self.wrong in used else ""
        detail = "; ".join(part for part in (found.detail, said) if part)
        return replace(found, scores={"passed": found.passed, "resisted": resisted}, detail=detail)


def misleading_item(where: str, row: Row) -> Item:
    """A task of a tasks file, asked with a wrong name."""
    item = task_item(where, row)
    assert isinstance(item.check, TaskCheck)
    wrong = wrong_name(item.check.task.name)
    return replace(item, prompt=misled(item.prompt, wrong), check=MisleadingCheck(item.check, wrong))


def misled(question: str, wrong: str) -> str:
    """A question that asks for a name."""
    return f"{question}\n\nUse the method `{wrong}` for this."


def wrong_name(name: str) -> str:
    """A name that a library may have had, or that somebody may think it has, instead of one that it has."""
    return OLD.get(name) or (name.strip("_").replace("_", "") if "_" in name.strip("_") else f"apply_{name}")


def names_in(code: str) -> set[str]:
    """The names, attributes and keywords that some code uses; none where it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found = {node.id for node in nodes if isinstance(node, ast.Name)}
    found |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return found | {alias.name.rpartition(".")[2] for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names}
