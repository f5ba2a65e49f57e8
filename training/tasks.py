"""Doctest examples in, verified tasks out, split so that no method is on both sides.

A task is the prose of a public object, the statements that stand before a displayed expression (set-up), the display
itself, and the reference expression. Its check is the representation of the executed reference on two inputs: the
set-up as written, and the set-up reversed and one row shorter. A candidate passes when it gives both.

Kept are only references that give the same representations in two separate sandboxes, in another order of company. A
held-out task must also tell answers apart: its two representations differ, so that one which types in the display it
was shown fails. The split goes by method name: `Expr.list.contains` and `Series.str.contains` are always on the same
side.
"""

import ast
import doctest
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from index.documents import PublicObject, doctest_blocks, licence_of, public_objects, strip_directive, version_of
from training.errors import TaskError
from training.sandbox import Limits, Program, Sandbox, SandboxConfig
from training.values import Outcome, outcomes, value_program

Split = Literal["train", "held_out"]
# A library with a runtime of its own reserves gigabytes of addresses that it never touches.
LIMITS = Limits(cpu_s=20, wall_s=60, memory_mib=6144, file_mib=64, open_files=256)


@dataclass(frozen=True)
class Task:
    """Instruction, set-up, reference and the two representations that execution must give."""

    id: str
    symbol: str
    split: Split
    instruction: str
    setup: str
    reference: str
    expected: str
    expected_second: str
    source: str
    licence: str

    @property
    def name(self) -> str:
        """The method name that decided the split."""
        return self.symbol.rsplit(".", 1)[-1]

    def program(self, code: str) -> Program:
        """Code held against the two representations; where the reference has no second one, against the first."""
        return value_program(self.setup, without_setup(code, self.setup), Outcome(self.expected, self.expected_second))


def split_of(name: str, held_out_share: float, seed: int) -> Split:
    """The side a method name falls on: a hash, so that new names never move old ones."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return "held_out" if int.from_bytes(digest[:8], "big") < held_out_share * 2**64 else "train"


def instruction_for(package: str, prose: str, setup: str, display: str) -> str:
    """The user's message of a task: what is wanted, the code so far, and the display to reach."""
    code = f"\n\nGiven this code:\n```python\n{setup.strip()}\n```" if setup.strip() else ""
    wanted = f"The value of `result` must display as:\n```\n{display.strip()}\n```"
    return f"Using {package}: {prose}{code}\n\nWrite Python code that assigns the answer to `result`. {wanted}"


def drafts(
    thing: PublicObject, package: str, preamble: str, max_per_object: int, held_out_share: float, seed: int
) -> list[Task]:
    """Unverified tasks of one object: one per displayed expression, in document order.

    At most `max_per_object` of a training method, one of a held-out one: scores then weigh every object alike.
    """
    found: list[Task] = []
    statements: list[str] = [f"{preamble}\n"]
    split = split_of(thing.symbol.rsplit(".", 1)[-1], held_out_share, seed)
    limit = 1 if split == "held_out" else max_per_object
    for block in doctest_blocks(thing.docstring):
        for example in block.examples:
            source = strip_directive(example.source)
            if not is_expression(source):
                statements.append(source)
            elif "SKIP" not in example.source and shows(thing, example) and len(found) < limit:
                prose = " ".join(dict.fromkeys(part for part in (first_sentences(thing.prose), block.prose) if part))
                setup = "".join(statements)
                id_ = f"{package}:{thing.symbol}/{len(found)}"
                instruction = instruction_for(package.capitalize(), prose, setup, dedent(example.want))
                reference = "result = " + source.strip() + "\n"
                found.append(Task(id_, thing.symbol, split, instruction, setup, reference, "", "", "", ""))
    return found


def shows(thing: PublicObject, example: doctest.Example) -> bool:
    """Whether an example displays something that the object itself computed, not a variable on its own."""
    name = thing.symbol.rsplit(".", 1)[-1]
    return bool(example.want.strip()) and re.search(rf"\b{re.escape(name)}\b", example.source) is not None


def is_expression(source: str) -> bool:
    """True for one expression statement, the form whose value a doctest displays."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    return len(body) == 1 and isinstance(body[0], ast.Expr)


def first_sentences(prose: str, limit: int = 300) -> str:
    """The prose up to `limit` characters, cut at a sentence end where there is one."""
    cut = prose[:limit]
    return prose if len(prose) <= limit else cut[: cut.rfind(". ") + 1] or cut


def dedent(want: str) -> str:
    """A doctest's expected text without blank-line markers."""
    return want.replace("<BLANKLINE>", "")


@dataclass(frozen=True)
class TaskSource:
    """Where tasks come from and how they are split."""

    package: str
    preamble: str
    max_per_object: int
    held_out_share: float
    seed: int
    environment: Mapping[str, str]
    display: str
    preload: tuple[str, ...] = ()

    @property
    def sandbox(self) -> SandboxConfig:
        """Where the examples are run: one worker, which has the package imported."""
        return SandboxConfig(
            workers=1, preload=list(self.preload or (self.package,)), environment=dict(self.environment), limits=LIMITS
        )


def package_tasks(source: TaskSource) -> list[Task]:
    """All verified tasks of an installed package; raises TaskError when none survives verification.

    A draft is kept when its display starts with `source.display`, its reference runs, and two sandboxes agree on both
    representations; a held-out one when these differ as well.
    """
    licence, version = licence_of(source.package), f"{source.package}=={version_of(source.package)}"
    candidates = [
        replace(task, source=version, licence=licence)
        for thing in public_objects(source.package)
        for task in drafts(
            thing, source.package, source.preamble, source.max_per_object, source.held_out_share, source.seed
        )
        if f"```\n{source.display}" in task.instruction
    ]
    programs = [(task.setup, task.reference) for task in candidates]
    with ThreadPoolExecutor(2) as pool:
        first, again = pool.map(lambda ordered: computed(source, ordered), (programs, programs[::-1]))
    kept = [
        verified(task, outcome)
        for task, outcome, other in zip(candidates, first, again[::-1], strict=True)
        if usable(outcome, other) and (task.split == "train" or outcome.tells)
    ]
    if not kept:
        raise TaskError(
            f'no task could be verified for package "{source.package}": its docstrings show no stable output'
        )
    return kept


def computed(source: TaskSource, programs: list[tuple[str, str]]) -> list[Outcome]:
    """What each program computes, in a sandbox of its own: what depends on the process shows as a difference."""
    with Sandbox(source.sandbox) as sandbox:
        return outcomes(sandbox, programs)


def usable(first: Outcome, again: Outcome) -> bool:
    """Whether a reference computed a value, the same one twice, on both inputs."""
    return not first.error and first == again


def verified(task: Task, outcome: Outcome) -> Task:
    """The task with what its reference computed."""
    return replace(task, expected=outcome.first, expected_second=outcome.second)


def without_setup(code: str, setup: str) -> str:
    """An answer's code without the statements that repeat the set-up.

    Many models write the whole program again. The set-up has run already; run twice it would undo the second input.
    """
    try:
        given = {ast.dump(node) for node in ast.parse(setup).body}
        kept = [node for node in ast.parse(code).body if ast.dump(node) not in given]
        return "".join(f"{ast.unparse(node)}\n" for node in kept)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code


def normalised(code: str) -> set[str]:
    """The statements of some code as unparsed syntax, so that layout, quotes and target names do not hide a copy."""
    try:
        body = ast.parse(code).body
    except SyntaxError:
        return set()
    values = (node.value if isinstance(node, ast.Assign | ast.Expr) else node for node in body)
    return {ast.unparse(value) for value in values}


def write_tasks(path: Path, tasks: Iterable[Task]) -> None:
    """Write tasks as JSON lines, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(json.dumps(asdict(task), ensure_ascii=False) + "\n" for task in tasks))
    partial.rename(path)


def read_tasks(path: Path) -> list[Task]:
    """Read tasks written by write_tasks; raises TaskError naming file and line."""
    tasks = []
    for number, line in enumerate(path.read_text().rstrip("\n").split("\n"), 1):
        try:
            tasks.append(Task(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise TaskError(
                f'"{path}" line {number} is not a task ({error}): delete it and run `pointsman train tasks CONFIG`'
            ) from error
    return tasks
