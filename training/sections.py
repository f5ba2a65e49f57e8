"""Documents of prose in, the expressions that their doctests display out, each with the name that it is about.

That name is the first attribute that an expression reads, else its first operator, else the outermost function that it
calls. Of examples that repeat each other, or that docstrings show already, the first one counts.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from index.documents import Document
from training.shown import Shown, bare, shown_in
from training.variants import is_literal

FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,}|:{3,}).*$", re.MULTILINE)
HEADING = re.compile(r"^#+[ \t]+(.*)$", re.MULTILINE)
ROLE = re.compile(r"\{[a-z:]+\}(?=`)")
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "__add__", ast.Sub: "__sub__", ast.Mult: "__mul__", ast.Div: "__truediv__", ast.FloorDiv: "__floordiv__",
    ast.Mod: "__mod__", ast.Pow: "__pow__", ast.MatMult: "__matmul__", ast.BitAnd: "__and__", ast.BitOr: "__or__",
    ast.BitXor: "__xor__", ast.USub: "__neg__", ast.Invert: "__invert__", ast.Eq: "__eq__", ast.NotEq: "__ne__",
    ast.Lt: "__lt__", ast.LtE: "__le__", ast.Gt: "__gt__", ast.GtE: "__ge__", ast.In: "__contains__",
}  # fmt: skip


class Asked(NamedTuple):
    """A displayed expression with a stable id, the name that it is about, and the names of all it reads or calls."""

    id: str
    name: str
    called: frozenset[str]
    shown: Shown


def asked_in(documents: Iterable[Document], package: str, preamble: str, known: Iterable[Shown]) -> Iterator[Asked]:
    """What documents display and `known` does not; ids hold the document's and the example's number in it."""
    met = {syntax(shown) for shown in known}
    for document in documents:
        about = ROLE.sub("", document.symbol.rpartition(" > ")[2])
        text = plain(document.text.removeprefix(f"{document.symbol}\n"))
        for number, shown in enumerate(shown_in(text, f"{about}.", preamble)):
            called = names_called(ast.parse(bare(shown.expression), mode="eval").body, package)
            key = syntax(shown)
            if called and key not in met:
                met.add(key)
                yield Asked(f"{document.id}/{number}", called[0], frozenset(called), shown)


def plain(text: str) -> str:
    """Text whose fences, which a doctest's display would run into, are blank lines, as are its headings."""
    return ROLE.sub("", HEADING.sub("", FENCE.sub("", text)))


def syntax(shown: Shown) -> str:
    """An expression and the statements before it, without layout and imports: two examples with the same are one."""
    try:
        body = ast.parse(f"{shown.setup}{shown.expression}\n").body
    except SyntaxError:
        return shown.expression
    return "\n".join(ast.unparse(node) for node in body if not isinstance(node, ast.Import | ast.ImportFrom))


def names_called(root: ast.expr, package: str) -> list[str]:
    """The attributes that an expression reads and its operators, first evaluated first, then functions, last first."""
    attributes: list[str] = []
    functions: list[str] = []
    operators: list[str] = []
    for node in evaluated(root):
        if isinstance(node, ast.Attribute):
            of_package = isinstance(node.value, ast.Name) and node.value.id == package
            (functions if of_package else attributes).append(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            functions.append(node.func.id)
        elif isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare) and not is_literal(node):
            applied = node.ops[0] if isinstance(node, ast.Compare) else node.op
            operators += [OPERATORS[type(applied)]] if type(applied) in OPERATORS else []
    return [*attributes, *operators, *reversed(functions)]


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """A piece of syntax with all its parts, parts first."""
    for child in ast.iter_child_nodes(node):
        yield from evaluated(child)
    yield node
