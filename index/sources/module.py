"""A parsed Python file in, what it defines and what it names from elsewhere out: plain data, the tree is not kept.

Not covered: names bound by assignment, an `__all__` that is computed, and whatever only exists at run time.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

from index.sources.docstrings import Place
from index.sources.syntax import Definition, docstring_line, first_line, last_line, nested_bodies

PROPERTIES = frozenset({"property", "cached_property"})


@dataclass(frozen=True)
class Defined:
    """A class or function; of a class also what it defines and the plain names of its bases.

    `namespace` is the class that a property such as `Series.str` returns, where that is named as a namespace.
    """

    name: str
    signature: str
    docstring: str
    place: Place
    module: str
    members: tuple["Defined", ...] = ()
    bases: tuple[str, ...] = ()
    namespace: str = ""


@dataclass(frozen=True)
class Imported:
    """A name that stands for another module's; "*" for all of its names."""

    name: str
    module: str
    original: str


@dataclass(frozen=True)
class Module:
    """One file; `listed` is its `__all__`, empty where it has none that can be read."""

    name: str
    is_package: bool
    docstring: str
    place: Place
    defined: dict[str, Defined]
    imported: tuple[Imported, ...]
    listed: tuple[str, ...]


def read_module(tree: ast.Module, name: str, path: str, is_package: bool) -> Module:
    """What one file holds; of two definitions of a name the first with a docstring counts."""
    found: dict[str, Defined] = {}
    statements = list(flat(tree.body))
    for node in statements:
        if isinstance(node, Definition):
            remember(found, defined(node, name, path, method=False))
    package = name.split(".") if is_package else name.split(".")[:-1]
    names = tuple(imported for node in statements for imported in imports(node, package))
    listed = tuple(dict.fromkeys(text for node in statements for text in listing(node)))
    line = docstring_line(tree)
    docstring = ast.get_docstring(tree) or ""
    place = Place(path, line, tree.body[0].end_lineno or line, line) if line else Place(path, 1, 1)
    return Module(name, is_package, docstring, place, found, names, listed)


def flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module or a class, those inside `if`, `try` and `with` too; not those of a definition."""
    for node in body:
        yield node
        if not isinstance(node, Definition):
            for nested in nested_bodies(node):
                yield from flat(nested)


def remember(found: dict[str, Defined], new: Defined) -> None:
    """Keep a definition unless one of its name is there that says more: overloads and setters have no docstring."""
    if new.name not in found or (new.docstring and not found[new.name].docstring):
        found[new.name] = new


def defined(node: Definition, module: str, path: str, method: bool) -> Defined:
    """One definition as plain data."""
    place = Place(path, first_line(node), last_line(node), docstring_line(node))
    docstring = ast.get_docstring(node) or ""
    if not isinstance(node, ast.ClassDef):
        return Defined(node.name, signature(node, method), docstring, place, module, namespace=namespace(node))
    members: dict[str, Defined] = {}
    constructor = ""
    for inner in flat(node.body):
        if isinstance(inner, Definition):
            remember(members, defined(inner, module, path, method=True))
            if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                constructor = signature(inner, method=True)
    bases = tuple(base.id for base in node.bases if isinstance(base, ast.Name))
    return Defined(node.name, constructor, docstring, place, module, tuple(members.values()), bases)


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef, method: bool) -> str:
    """The call signature without annotations, and a method's without its first parameter; none of a property."""
    marks = decorators(node)
    if marks & PROPERTIES:
        return ""
    arguments = copy.deepcopy(node.args)
    if method and "staticmethod" not in marks:
        del (arguments.posonlyargs or arguments.args)[:1]
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return f"({ast.unparse(arguments)})"


def decorators(node: Definition) -> set[str]:
    """The names of a definition's decorators, without the modules they come from."""
    return {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}


def namespace(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The class that a property returns, when its name says that it is a namespace; else ""."""
    name = ast.unparse(node.returns).strip("'\"") if node.returns else ""
    return name if name.isidentifier() and "namespace" in name.lower() and decorators(node) & PROPERTIES else ""


def imports(node: ast.stmt, package: list[str]) -> Iterator[Imported]:
    """The names that a `from` statement binds in a module of a package."""
    if not isinstance(node, ast.ImportFrom):
        return
    above = package[: len(package) - node.level + 1] if node.level else []
    module = ".".join([*above, *([node.module] if node.module else [])])
    for alias in node.names:
        yield Imported(alias.asname or alias.name, module, alias.name)


def listing(node: ast.stmt) -> Iterator[str]:
    """The names that a statement puts into `__all__`."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    value = getattr(node, "value", None)
    if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets) and value is not None:
        for part in ast.walk(value):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value
