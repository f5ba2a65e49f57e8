"""Docs in, the expressions that they display out, each with the prose and the statements that stand before it."""

import ast
import doctest
from collections.abc import Iterator
from dataclasses import dataclass, replace

from index.sources.docstrings import doctest_blocks, strip_directive
from training.variants import hoisted


@dataclass(frozen=True)
class Shown:
    """An expression that docs display; `setup` is every statement before it, `wanted` what the docs show for it.

    `about` is what the docs as a whole say they are about, `before` the paragraph right before the example.
    """

    about: str
    before: str
    setup: str
    expression: str
    wanted: str


def shown_in(docs: str, about: str, preamble: str) -> Iterator[Shown]:
    """Every displayed expression of some docs, in order."""
    statements: list[str] = [f"{preamble}\n"]
    for block in doctest_blocks(docs):
        for example in block.examples:
            source = strip_directive(example.source)
            if not is_expression(source):
                statements.append(source)
            elif "SKIP" not in example.source and example.want.strip():
                yield Shown(about, block.prose, "".join(statements), source.strip(), dedent(example))


def is_expression(source: str) -> bool:
    """True for one expression statement, the form whose value a doctest displays."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    return len(body) == 1 and isinstance(body[0], ast.Expr)


def dedent(example: doctest.Example) -> str:
    """A doctest's expected text without blank-line markers."""
    return example.want.replace("<BLANKLINE>", "")


def bare(expression: str) -> str:
    """An expression without a comment behind it; of a call of `print`, which has no value, its one argument."""
    root = ast.parse(expression, mode="eval").body
    if isinstance(root, ast.Call) and ast.unparse(root.func) == "print" and len(root.args) == 1:
        root = root.args[0]
    segment = ast.get_source_segment(expression, root) or ""
    return segment if is_expression(segment) else ast.unparse(root)


def with_literals_given(shown: Shown, name: str) -> Shown:
    """The bare expression with its literals in variables of the set-up.

    `name` is the method that it is about: without any prose it is all that can be said.
    """
    expression = bare(shown.expression)
    try:
        setup, expression = hoisted(shown.setup, expression, name)
    except SyntaxError:
        setup = shown.setup
    before = "" if shown.before in shown.about else shown.before
    about = shown.about or before or f"Use `{name}`."
    return replace(shown, about=about, before=before, setup=setup, expression=expression)
