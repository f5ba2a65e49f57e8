"""An answer's text in, its code or its number out. Pure functions; each rule has a name that scores record."""

import ast
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

FENCE = re.compile(r"```[ \t]*(?:python3?|py)?[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL)
STRICT = re.compile(r"####\s*\$?\s*(-?[\d.,]+)")
NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?")


def blocks(answer: str) -> list[str]:
    """All fenced blocks in order; one that the end cuts counts."""
    return FENCE.findall(answer)


def first_block(answer: str, name: str = "") -> str:
    """The first fenced block, or the whole answer when it has none."""
    return next(iter(blocks(answer)), answer)


def last_block(answer: str, name: str = "") -> str:
    """The last fenced block, or the whole answer when it has none."""
    return (blocks(answer) or [answer])[-1]


def whole_answer(answer: str, name: str = "") -> str:
    """The answer as it is, fences and prose included."""
    return answer


def defining_block(answer: str, name: str) -> str:
    """The blocks from the first to the one that defines `name`, joined: imports and helpers may stand in their own.

    Without such a block the first one.
    """
    found = blocks(answer)
    for number, block in enumerate(found):
        if defines(block, name):
            return "\n".join([*(b for b in found[:number] if parses(b)), block])
    return first_block(answer)


def defines(code: str, name: str) -> bool:
    """Whether some code defines a function or class of this name, also when it does not parse."""
    return re.search(rf"^\s*(?:async\s+)?(?:def|class)\s+{re.escape(name)}\b", code, re.MULTILINE) is not None


def parses(code: str) -> bool:
    """Whether some text is Python."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def definitions(answer: str, name: str) -> str:
    """Of the block that defines `name` what that needs: imports, functions, classes and assignments it reaches.

    What an answer runs by itself (its own examples and tests, printing) and what the end cuts off is left away, as
    EvalPlus does (evalplus 0.3.1, sanitize). Without a whole definition of `name` the block as it is.
    """
    block = defining_block(answer, name)
    body = parsed_start(block)
    defined: dict[str, list[ast.stmt]] = {}
    for node in body:
        for given in names_given(node):
            defined.setdefault(given, []).append(node)
    if name not in defined:
        return block
    reached: set[ast.stmt] = set()
    waiting = list(defined[name])
    while waiting:
        reached.add(node := waiting.pop())
        used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        waiting += [other for word in used & defined.keys() for other in defined[word] if other not in reached]
    kept = (node for node in body if isinstance(node, ast.Import | ast.ImportFrom) or node in reached)
    lines = block.splitlines(keepends=True)
    return "".join(source_of(node, lines) for node in kept)


def parsed_start(code: str) -> list[ast.stmt]:
    """The statements up to where the code stops being Python."""
    lines = code.splitlines(keepends=True)
    while lines:
        try:
            return ast.parse("".join(lines)).body
        except SyntaxError as error:
            # The error may be noticed lines after its cause; the cut moves up by one line at least.
            lines = lines[: max(0, min(len(lines), error.lineno or len(lines)) - 1)]
        except (ValueError, RecursionError, MemoryError):
            return []
    return []


def names_given(node: ast.stmt) -> list[str]:
    """The names that a definition or an assignment gives."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]


def source_of(node: ast.stmt, lines: list[str]) -> str:
    """The lines of a statement, decorators included."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    text = "".join(lines[first - 1 : node.end_lineno])
    return text if text.endswith("\n") else f"{text}\n"


EXTRACTIONS: dict[str, Callable[[str, str], str]] = {
    "definitions": definitions, "defining": defining_block, "first": first_block, "last": last_block,
    "whole": whole_answer,
}  # fmt: skip


def strict_number(answer: str) -> str | None:
    """The number after the last `####`, as GSM8K writes it (lm-evaluation-harness: strict-match); None without one."""
    found = STRICT.findall(answer)
    return number(found[-1]) if found else None


def flexible_number(answer: str) -> str | None:
    """The last number anywhere (lm-evaluation-harness: flexible-extract)."""
    found = NUMBER.findall(answer)
    return number(found[-1]) if found else None


def number(text: str) -> str | None:
    """A number in one form, so that 1,000 and 1000.00 are the same."""
    try:
        value = Decimal(text.replace(",", "").replace("$", "").rstrip("."))
    except InvalidOperation:
        return None
    return format(value.normalize(), "f")
