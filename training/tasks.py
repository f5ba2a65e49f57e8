"""Doctest examples in, verified tasks out, split so that no method is on both sides.

A task is the prose of a public object, the statements that stand before a displayed expression (set-up), the display
itself, and the reference expression. Its check is the representation of the executed reference on two inputs: the
set-up as written, and either its frames reversed and one row shorter, or a set-up with another literal. A candidate
passes when it gives both. Where literals are varied, those of the expression move into the set-up, and the question
shows what execution gave, which docs do not always show.

Kept are only references that give the same representations in two separate sandboxes, in another order of company. A
held-out task must also tell answers apart: its two representations differ, so that one which types in the display it
was shown fails. The split goes by method name: `Expr.list.contains` and `Series.str.contains` are always on the same
side.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from index.sources.config import AnySource
from index.sources.docstrings import PublicObject
from index.sources.package import licence_of, public_objects, version_of
from index.sources.read import read_sources
from training.errors import TaskError
from training.sandbox import Limits, Program, Sandbox, SandboxConfig
from training.sections import asked_in
from training.shown import Shown, shown_in, with_literals_given
from training.task_settings import SecondInput
from training.values import Outcome, Written, outcomes, tried, value_program
from training.variants import variants

Split = Literal["train", "held_out"]
# A library with a runtime of its own reserves gigabytes of addresses that it never touches.
LIMITS = Limits(cpu_s=20, wall_s=60, memory_mib=6144, file_mib=64, open_files=256)
WANTED = "The value of `result` must display as:\n```\n"
# A question that shows more fits no prompt.
DISPLAY_CHARACTERS = 2000
# Never the same day in both: what depends on the local date or zone shows as a difference.
ZONES = ("Etc/GMT+12", "Etc/GMT-14")


@dataclass(frozen=True)
class Task:
    """Instruction, set-up, reference and the two representations that execution must give.

    `setup_second` is the set-up of the second input, empty where the first one's frames are changed. `documented` is
    the expression as the docs write it, where the reference reads variables in place of its literals.
    """

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
    setup_second: str = ""
    documented: str = ""

    @property
    def name(self) -> str:
        """The method name that decided the split."""
        return self.symbol.rsplit(".", 1)[-1]

    @property
    def outcome(self) -> Outcome:
        """What the reference computed."""
        return Outcome(self.expected, self.expected_second)

    def program(self, code: str) -> Program:
        """Code held against the two representations; where the reference has no second one, against the first."""
        return value_program(Written(self.setup, without_setup(code, self.setup), self.setup_second), self.outcome)


# Left out of a file where they are empty: a package whose inputs are frames has none of them.
LATER = ("setup_second", "documented")


def split_of(name: str, held_out_share: float, seed: int) -> Split:
    """The side a method name falls on: a hash, so that new names never move old ones."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return "held_out" if int.from_bytes(digest[:8], "big") < held_out_share * 2**64 else "train"


def instruction_for(package: str, prose: str, setup: str, display: str) -> str:
    """The user's message of a task: what is wanted, the code so far, and the display to reach."""
    code = f"\n\nGiven this code:\n```python\n{setup.strip()}\n```" if setup.strip() else ""
    wanted = f"{WANTED}{display.strip()}\n```"
    return f"Using {package}: {prose}{code}\n\nWrite Python code that assigns the answer to `result`. {wanted}"


def drafts(
    thing: PublicObject,
    package: str,
    preamble: str,
    max_per_object: int,
    held_out_share: float,
    seed: int,
    second_input: SecondInput = "frames",
) -> list[Task]:
    """Unverified tasks of one object: one per displayed expression that it computed itself, in document order.

    At most `max_per_object` of a training method, one of a held-out one: scores then weigh every object alike.
    """
    name = thing.symbol.rsplit(".", 1)[-1]
    split = split_of(name, held_out_share, seed)
    own = (
        shown
        for shown in shown_in(thing.docstring, thing.prose, preamble)
        if re.search(rf"\b{re.escape(name)}\b", shown.expression)
    )
    limited = islice(own, 1 if split == "held_out" else max_per_object)
    return [
        draft(shown, f"{package}:{thing.symbol}/{number}", thing.symbol, split, second_input)
        for number, shown in enumerate(limited)
    ]


def draft(shown: Shown, id_: str, symbol: str, split: Split, second_input: SecondInput) -> Task:
    """One unverified task; where literals are to be varied they stand in variables of its set-up."""
    given = shown if second_input == "frames" else with_literals_given(shown, symbol.rsplit(".", 1)[-1])
    package = id_.partition(":")[0].capitalize()
    prose = " ".join(dict.fromkeys(part for part in (first_sentences(given.about), given.before) if part))
    instruction = instruction_for(package, prose, given.setup, given.wanted)
    reference = f"result = {given.expression}\n"
    documented = "" if normalised(given.expression) == normalised(shown.expression) else shown.expression
    return Task(id_, symbol, split, instruction, given.setup, reference, "", "", "", "", documented=documented)


def first_sentences(prose: str, limit: int = 300) -> str:
    """The prose up to `limit` characters, cut at a sentence end where there is one."""
    cut = prose[:limit]
    return prose if len(prose) <= limit else cut[: cut.rfind(". ") + 1] or cut


@dataclass(frozen=True)
class TaskSource:
    """Where tasks come from, how they are split, and what their second input is."""

    package: str
    preamble: str
    max_per_object: int
    held_out_share: float
    seed: int
    environment: Mapping[str, str]
    display: str
    preload: tuple[str, ...] = ()
    second_input: SecondInput = "frames"
    docs: tuple[AnySource, ...] = ()

    def sandbox(self, zone: str) -> SandboxConfig:
        """Where the examples are run: one worker, which has the package imported."""
        zones = {"TZ": zone} if self.second_input == "literals" else {}
        return SandboxConfig(
            workers=1, preload=list(self.preload or (self.package,)), environment={**zones, **self.environment},
            limits=LIMITS,
        )  # fmt: skip


def package_tasks(source: TaskSource) -> list[Task]:
    """All verified tasks of an installed package; raises TaskError when none survives verification.

    A draft is kept when its display starts with `source.display`, its reference runs, and two sandboxes agree on both
    representations; a held-out one when these differ as well.
    """
    things = public_objects(source.package)
    from_docstrings = [
        task
        for thing in things
        for task in drafts(
            thing, source.package, source.preamble, source.max_per_object, source.held_out_share, source.seed,
            source.second_input,
        )
    ]  # fmt: skip
    candidates = [*from_docstrings, *section_drafts(source, things)]
    candidates = [task for task in candidates if f"{WANTED}{source.display}" in task.instruction]
    kept = [task for task in verified(source, candidates) if task.split == "train" or task.outcome.tells]
    if not kept:
        raise TaskError(
            f'no task could be verified for package "{source.package}": its docstrings show no stable output'
        )
    return kept


def section_drafts(source: TaskSource, things: Iterable[PublicObject]) -> Iterator[Task]:
    """Unverified tasks of the documents beside the docstrings; ids and sides go by the name an example is about.

    A training one that calls a held-out name on the way is left out.
    """
    known = (shown for thing in things for shown in shown_in(thing.docstring, "", source.preamble))
    for asked in asked_in(read_sources(source.docs), source.package, source.preamble, known):
        sides = {name: split_of(name, source.held_out_share, source.seed) for name in asked.called}
        split = sides[asked.name]
        if split == "held_out" or "held_out" not in sides.values():
            symbol = f"{source.package}.{asked.name}"
            id_ = f"{source.package}:{asked.id.removeprefix(f'{source.package}:')}"
            yield draft(asked.shown, id_, symbol, split, source.second_input)


def verified(source: TaskSource, candidates: list[Task]) -> list[Task]:
    """The drafts that two sandboxes, which meet them in opposite order, agree on; with their source and licence."""
    with ThreadPoolExecutor(2) as pool:
        orders = (candidates, candidates[::-1])
        first, again = pool.map(lambda order, zone: executed(source, order, zone), orders, ZONES)
    licence, version = licence_of(source.package), f"{source.package}=={version_of(source.package)}"
    agreed = (task for task, other in zip(first, again[::-1], strict=True) if task == other and not task.outcome.error)
    usable = agreed if source.second_input == "frames" else (redisplayed(task) for task in agreed if has_display(task))
    return [replace(task, source=version, licence=licence) for task in usable]


def executed(source: TaskSource, candidates: list[Task], zone: str) -> list[Task]:
    """The drafts with what they compute in a sandbox of its own: what depends on the process shows as a difference."""
    programs = [Written(task.setup, task.reference) for task in candidates]
    with Sandbox(source.sandbox(zone)) as sandbox:
        if source.second_input == "frames":
            found = list(zip(programs, outcomes(sandbox, programs), strict=True))
        else:
            found = tried(sandbox, programs, lambda setup: variants(setup, source.preamble))
    return [
        replace(
            task, setup_second=written.setup_second, expected=outcome.first, expected_second=outcome.second
        )
        for task, (written, outcome) in zip(candidates, found, strict=True)
    ]  # fmt: skip


def has_display(task: Task) -> bool:
    """Whether what a reference computed can be shown: a value, and not a long one."""
    return task.expected != "value:None" and len(task.expected) <= DISPLAY_CHARACTERS


def redisplayed(task: Task) -> Task:
    """The task with what execution gave in place of what docs show."""
    head, _, _ = task.instruction.rpartition(WANTED)
    shown = task.expected.removeprefix("value:").strip("\n")
    return replace(task, instruction=f"{head}{WANTED}{shown}\n```")


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
    partial.write_text("".join(f"{json.dumps(as_row(task), ensure_ascii=False)}\n" for task in tasks))
    partial.rename(path)


def as_row(task: Task) -> dict[str, str]:
    """A task's line in a file."""
    return {name: value for name, value in asdict(task).items() if value or name not in LATER}


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
