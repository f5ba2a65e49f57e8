"""An answer's text in, its code or its number out. Pure functions; each rule has a name that scores record."""

import ast
import re
import symtable
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation

OPENING = re.compile(r"([ \t]*)(```+|~~~+)[ \t]*([\w+#.-]*)[^`]*")
PYTHON = ("python", "py", "python3", "py3")
FUTURE = re.compile(r"^from __future__ import [^(\n]*$\n?", re.MULTILINE)
STRICT = re.compile(r"####\s*\$?\s*(-?[\d.,]+)")
NUMBER = re.compile(r"-?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
# Changes a limit of the interpreter, and so belongs to every function.
ALWAYS = "setrecursionlimit"


def fences(answer: str) -> Iterator[tuple[str, str]]:
    """(label, text) of every fenced block in order, without the fence's own indentation; a cut one counts."""
    label = fence = indent = ""
    lines: list[str] = []
    for line in re.sub(r"\r\n?", "\n", answer).split("\n"):
        opening = OPENING.fullmatch(line)
        closes = fence and line.strip().startswith(fence) and not line.strip().strip(fence[0])
        if fence and (closes or (opening and opening[3].lower() in PYTHON)):
            yield label, "".join(f"{text.removeprefix(indent)}\n" for text in lines)
            fence, lines = "", []
        elif fence and line.rstrip().endswith(fence):
            lines.append(line.rstrip().removesuffix(fence))
            yield label, "".join(f"{text.removeprefix(indent)}\n" for text in lines)
            fence, lines = "", []
        elif fence:
            lines.append(line)
        if opening and not closes and not fence:
            indent, fence, label = opening[1], opening[2], opening[3].lower()
    if fence and "".join(lines).strip():
        yield label, "\n".join(text.removeprefix(indent) for text in lines)


def blocks(answer: str) -> list[str]:
    """The blocks marked as Python; without any those without a mark; without any all."""
    found = [(label, text) for label, text in fences(answer) if text.strip()]
    for kinds in (PYTHON, ("",)):
        if chosen := [text for label, text in found if label in kinds]:
            return chosen
    return [text for _, text in found]


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


def after(given: str, code: str) -> str:
    """Code behind code that was given; imports from __future__, which must come first, come first."""
    return "".join(FUTURE.findall(code)) + f"{given}\n{FUTURE.sub('', code)}"


def definitions(answer: str, name: str) -> str:
    """Of the block that defines `name` what that needs: imports, and every statement that makes a name it reaches.

    What an answer runs by itself (its own examples and tests, printing) and what the end cuts off is left away, as
    EvalPlus does (evalplus 0.3.1, sanitize), which keeps fewer kinds of statements. Without a whole definition of
    `name` the block as it is.
    """
    block = defining_block(answer, name)
    lines = [f"{line}\n" for line in re.sub(r"\r\n?", "\n", block).removesuffix("\n").split("\n")]
    body = parsed_start(lines)
    made: dict[str, list[ast.stmt]] = {}
    for node in body:
        for given in names_made(node):
            made.setdefault(given, []).append(node)
    if not any(isinstance(node, FUNCTIONS) for node in made.get(name, ())):
        return block
    reached: set[ast.stmt] = set()
    waiting = list(made[name])
    while waiting:
        reached.add(node := waiting.pop())
        used = names_used(source_of(node, lines))
        waiting += [other for word in used & made.keys() for other in made[word] if other not in reached]
    return "".join(source_of(node, lines) for node in body if node in reached or belongs_always(node))


FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def parsed_start(lines: list[str]) -> list[ast.stmt]:
    """The statements up to where the lines stop being Python."""
    while lines:
        try:
            return ast.parse("".join(lines)).body
        except SyntaxError as error:
            # The error may be noticed lines after its cause; the cut moves up by one line at least.
            lines = lines[: max(0, min(len(lines), error.lineno or len(lines)) - 1)]
        except (ValueError, RecursionError, MemoryError):
            return []
    return []


def belongs_always(node: ast.stmt) -> bool:
    """Whether a statement is kept whoever needs it."""
    return isinstance(node, ast.Import | ast.ImportFrom) or (isinstance(node, ast.Expr) and ALWAYS in ast.dump(node))


def names_made(node: ast.stmt) -> set[str]:
    """The names that a statement of the top level defines, assigns or changes; none for what runs as a script."""
    if isinstance(node, FUNCTIONS):
        return {node.name}
    if isinstance(node, ast.Expr):
        call = node.value
        changed = call.func if isinstance(call, ast.Call) else None
        return (
            {n.id for n in ast.walk(changed) if isinstance(n, ast.Name)}
            if isinstance(changed, ast.Attribute)
            else set()
        )
    if isinstance(node, ast.If) and "'__name__'" in ast.dump(node.test):
        return set()
    made: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, FUNCTIONS):
            made.add(inner.name)
        elif isinstance(inner, ast.alias):
            made.add((inner.asname or inner.name).split(".")[0])
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            made.add(inner.id)
        elif isinstance(inner, ast.Subscript | ast.Attribute) and isinstance(inner.ctx, ast.Store):
            made |= {n.id for n in ast.walk(inner.value) if isinstance(n, ast.Name)}
    return made


def names_used(source: str) -> set[str]:
    """The names of the top level that a statement refers to; a function's own variables are not among them."""

    def referred(table: symtable.SymbolTable, top: bool) -> Iterator[str]:
        for symbol in table.get_symbols():
            if symbol.is_declared_global() or (symbol.is_referenced() and (top or symbol.is_global())):
                yield symbol.get_name()
        for inner in table.get_children():
            yield from referred(inner, False)

    try:
        return set(referred(symtable.symtable(source, "answer", "exec"), True))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()


def source_of(node: ast.stmt, lines: list[str]) -> str:
    """The lines of a statement, decorators included."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    return "".join(lines[first - 1 : node.end_lineno])


EXTRACTIONS: dict[str, Callable[[str, str], str]] = {
    "definitions": definitions, "defining": defining_block, "first": first_block, "last": last_block,
    "whole": whole_answer,
}  # fmt: skip


def strict_number(answer: str) -> str | None:
    """The number after the first `####`, as GSM8K writes it; None without one."""
    found = STRICT.search(answer)
    return number(found[1]) if found else None


def flexible_number(answer: str) -> str | None:
    """The last number anywhere."""
    found = NUMBER.findall(answer)
    return number(found[-1]) if found else None


def number(text: str) -> str | None:
    """A number in one form, so that 1,000 and 1000.00 are the same."""
    try:
        value = Decimal(text.replace(",", "").replace("$", "").rstrip("."))
    except InvalidOperation:
        return None
    return format(value.normalize() + 0, "f")
