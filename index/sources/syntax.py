"""A parsed Python file in; where its definitions and their docstrings stand out. Nothing is imported or run."""

import ast
import inspect
import warnings
from collections.abc import Iterator

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
FAILURES = (SyntaxError, ValueError, RecursionError, MemoryError)  # of ast.parse, on text that is no Python 3


def parse(content: bytes) -> ast.Module:
    """The syntax tree of a file in the encoding that it declares; raises FAILURES, and warns of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an escape that Python will refuse one day is its author's affair
        return ast.parse(content)


def first_line(node: Definition) -> int:
    """The line of the first decorator, or of the definition."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def last_line(node: Definition) -> int:
    """The last line of the body."""
    return node.end_lineno or node.lineno


def docstring_line(node: Definition | ast.Module) -> int:
    """The line on which the cleaned docstring begins; 0 without one, or where escapes hide the lines."""
    raw = ast.get_docstring(node, clean=False)
    if not raw or not raw.strip():
        return 0
    constant = node.body[0]
    if raw.count("\n") != (constant.end_lineno or 0) - constant.lineno:
        return 0
    return constant.lineno + blank_lines(raw) - blank_lines(inspect.cleandoc(raw))


def blank_lines(text: str) -> int:
    """How many blank lines stand before the first other one."""
    return text[: len(text) - len(text.lstrip())].count("\n")


def definitions(body: list[ast.stmt], path: str = "") -> Iterator[tuple[str, Definition]]:
    """(qualified name, definition) of every class and function, those inside other functions too."""
    for node in body:
        below = path
        if isinstance(node, Definition):
            yield f"{path}{node.name}", node
            below = f"{path}{node.name}." if isinstance(node, ast.ClassDef) else f"{path}{node.name}.<locals>."
        for nested in nested_bodies(node):
            yield from definitions(nested, below)


def nested_bodies(node: ast.stmt | ast.excepthandler) -> Iterator[list[ast.stmt]]:
    """The statement lists inside a statement: of a definition, an `if`, a `try`, a `with`, a loop."""
    for field in ("body", "orelse", "finalbody"):
        if found := getattr(node, field, None):
            yield found
    for handler in getattr(node, "handlers", ()):
        yield from nested_bodies(handler)
