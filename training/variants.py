"""A set-up and a displayed expression in; out the expression with its literals as variables, and other set-ups.

`Date(2021, 1, 2).prev_day()` becomes `value = Date(2021, 1, 2)` and `value.prev_day()`: an answer has to use what it
was given. The other set-ups differ from the given one by one literal: a number by a small step, text that holds digits
by a step of one group of them, a list by fewer elements, and, tried last, other text by fewer characters. Pure syntax:
which of them runs, and shows something else, is found out in the sandbox.

Not covered: literals inside lambdas, comprehensions and f-strings; truth values; bytes.
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence

STEPS = (1, -1, 2, 3)
PLACES_A_STATEMENT = 8
VARIANTS = 24
SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.JoinedStr)
CONTAINERS = (ast.List, ast.Tuple, ast.Set, ast.Dict)
NAMING = ("id", "attr", "arg")  # a variable, an attribute, an argument given by name
NAMES = ("value", "other", "third", "fourth")

Wanted = Callable[[ast.expr], bool]
Edit = tuple[ast.expr, str]


def is_quantity(value: object) -> bool:
    """Whether a literal counts, measures or dates something: a number, or text that holds digits."""
    if isinstance(value, str):
        return re.search(r"\d", value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def holds_quantity(node: ast.AST) -> bool:
    """Whether a quantity stands somewhere in a piece of syntax."""
    literals = (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant))
    return is_value(node) and any(map(is_quantity, literals))


def holds_text(node: ast.AST) -> bool:
    """Whether text of two or more characters stands somewhere in a piece of syntax."""
    literals = (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant))
    return is_value(node) and any(isinstance(value, str) and len(value) > 1 for value in literals)


def is_value(node: ast.AST) -> bool:
    """Whether a piece of syntax could be given as data; a slice, an unpacked argument, a function could not."""
    return not isinstance(node, ast.Starred | ast.Slice | ast.Lambda)


def is_literal(node: ast.expr) -> bool:
    """A literal on its own, with or without a sign."""
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


def names_in(node: ast.AST, fields: Sequence[str] = ("id",)) -> set[str]:
    """The variables in a piece of syntax; with other fields, what these name."""
    found = (getattr(inner, field, None) for inner in ast.walk(node) for field in fields)
    return {name for name in found if isinstance(name, str)}


def names_made(setup: str) -> set[str]:
    """The names that a set-up assigns or defines; not those that it imports."""
    nodes = list(ast.walk(ast.parse(setup)))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}


def hoisted(setup: str, expression: str, keep: str) -> tuple[str, str]:
    """(set-up, expression) with what only literals decide moved into variables at the set-up's end.

    First what is computed from quantities, such as `Date(2021, 1, 2)`. An expression that then has no variable gives
    its plain quantities, and one without any its text. What holds the name `keep` stays: it is what is asked for.
    Raises SyntaxError when either is no Python.
    """
    root = ast.parse(expression.strip(), mode="eval").body
    made = names_made(setup)
    kinds: list[Wanted] = [lambda node: holds_quantity(node) and not is_literal(node)]
    if not names_in(root) & made:
        kinds += [lambda node: holds_quantity(node) and is_literal(node), holds_text]
    found = next((parts for wanted in kinds if (parts := list(movable(root, made, keep, wanted)))), [])
    taken = names_in(ast.parse(setup), (*NAMING, "name", "asname")) | names_in(root)
    free = (name for name in (*NAMES, *(f"value_{n}" for n in range(5, 99))) if name not in taken)
    named = list(zip(found, free, strict=False))
    lines = "".join(f"{name} = {one_line(expression.strip(), node)}\n" for node, name in named)
    return setup + lines, edited(expression.strip(), named)


def movable(node: ast.AST, made: set[str], keep: str, wanted: Wanted) -> Iterator[ast.expr]:
    """The outermost parts of an expression that are wanted, read no variable of the set-up, and do not name `keep`.

    A method is not taken off its call, nor anything out of a scope of its own.
    """
    called = node.func if isinstance(node, ast.Call) else None
    for child in ast.iter_child_nodes(node):
        fixed = names_in(child) & made or keep in names_in(child, NAMING)
        if isinstance(child, ast.expr) and child is not called and wanted(child) and not fixed:
            yield child
        elif not isinstance(child, SCOPES):
            yield from movable(child, made, keep, wanted)


def one_line(source: str, node: ast.expr) -> str:
    """A part of an expression as it was written; unparsed where it needs brackets that stand outside of it."""
    segment = ast.get_source_segment(source, node) or ""
    return segment if segment and "\n" not in segment else ast.unparse(node)


def edited(source: str, edits: list[Edit]) -> str:
    """The source with each node replaced by the text beside it; nodes do not overlap."""
    lines = [line.encode() for line in source.split("\n")]
    starts = [sum(len(line) + 1 for line in lines[:n]) for n in range(len(lines))]
    data = source.encode()
    for node, text in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset), reverse=True):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        data = data[:begin] + text.encode() + data[end:]
    return data.decode()


def variants(setup: str, preamble: str) -> Iterator[str]:
    """At most VARIANTS other set-ups, each with one literal changed; those nearest to the set-up's end first.

    The preamble, with which the set-up starts, stays as it is.
    """
    given = preamble.count("\n") + 1
    found: list[tuple[int, int, Edit]] = []
    for distance, statement in enumerate(reversed(ast.parse(setup).body)):
        if statement.lineno <= given:
            break
        places = [place for node in visible(statement) for place in changes(node)]
        for first, edits in places[:PLACES_A_STATEMENT]:
            found += [(first + turn, distance, edit) for turn, edit in enumerate(edits)]
    ordered = sorted(found, key=lambda entry: entry[:2])
    yield from (edited(setup, [edit]) for _, _, edit in ordered[:VARIANTS])


def visible(statement: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of a statement, outermost first, without those inside f-strings, whose places are not known."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.expr):
            yield node
        if not isinstance(node, ast.JoinedStr):
            waiting += ast.iter_child_nodes(node)


def changes(node: ast.expr) -> Iterator[tuple[int, list[Edit]]]:
    """(turn of the first, edits) for each place of a node that can be changed, the smallest change first."""
    if isinstance(node, CONTAINERS) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        yield 0, [(node, text) for text in shortened(node)]
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, str):
        for group in re.finditer(r"\d+", value):
            yield 0, [(node, repr(text)) for text in stepped(value, group)]
        if len(value) > 1:
            yield len(STEPS), [(node, repr(value[kept])) for kept in shorter(len(value))]
    elif isinstance(value, int) and not isinstance(value, bool):
        yield 0, [(node, repr(value + step)) for step in STEPS if value < 1 or value + step >= 0]
    elif isinstance(value, float):
        yield 0, [(node, repr(other)) for other in (value + 1, value - 1, value / 2)]


def shortened(node: ast.expr) -> Iterator[str]:
    """A list, tuple, set or dictionary of two or more with fewer elements."""
    elements = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
    for kept in shorter(len(elements)):
        copy = ast.parse(ast.unparse(node), mode="eval").body
        for field in ("elts", "keys", "values"):
            if hasattr(copy, field):
                setattr(copy, field, getattr(copy, field)[kept])
        yield ast.unparse(copy)


def shorter(length: int) -> Iterator[slice]:
    """Parts of what has two or more elements: without the first, without the last, the first half."""
    if length > 1:
        yield from (slice(1, None), slice(None, -1), slice(None, length // 2))


def stepped(text: str, group: re.Match[str]) -> Iterator[str]:
    """A text with one group of digits counted up and down, as wide as it was."""
    for step in STEPS:
        if (number := int(group[0]) + step) >= 0:
            yield f"{text[: group.start()]}{number:0{len(group[0])}d}{text[group.end() :]}"
