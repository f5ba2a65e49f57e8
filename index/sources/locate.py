"""An imported object in, its place in the package's source out; each file is parsed once.

`inspect` names the file and the first line; the syntax tree gives the last line and the docstring's, in a second where
`inspect.getsourcelines` takes twelve (pandas). Not covered: compiled objects, and what was built at run time.
"""

import ast
import functools
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path

from index.sources.docstrings import NOWHERE, Place
from index.sources.syntax import FAILURES, definitions, docstring_line, first_line, last_line, parse


def site_of(package: str) -> Path | None:
    """The folder that a package's files are named from: the one it is installed in."""
    top = sys.modules[package.partition(".")[0]]
    file = getattr(top, "__file__", None)
    if file is None:
        return None
    return Path(file).parent.parent if hasattr(top, "__path__") else Path(file).parent


class Locator:
    """Finds the objects of one imported package."""

    def __init__(self, package: str) -> None:
        self._site = site_of(package)
        self._files: dict[str, dict[str | int, tuple[Place, str]]] = {}

    def find(self, thing: object, docstring: str) -> Place:
        """Where an object is defined; NOWHERE when it has no Python source.

        The docstring's line is known only where the file holds this very docstring: decorators may have changed it.
        """
        definition = defined(thing)
        file = file_of(definition)
        if file is None or self._site is None or not Path(file).is_relative_to(self._site):
            return NOWHERE
        key = definition.__code__.co_firstlineno if isinstance(definition, types.FunctionType) else qualname(definition)
        if file not in self._files:
            self._files[file] = places(Path(file), Path(file).relative_to(self._site).as_posix())
        place, written = self._files[file].get(key, (NOWHERE, ""))
        if written == docstring:
            return place
        return Place(place.path, place.first_line, place.last_line)


def defined(thing: object) -> object:
    """The function behind a property or a decorator that says what it wraps; anything else as it is."""
    if isinstance(thing, property):
        thing = thing.fget
    if isinstance(thing, functools.cached_property):
        thing = thing.func
    return inspect.unwrap(thing) if isinstance(thing, types.FunctionType) else thing


def file_of(definition: object) -> str | None:
    """The file of a function or class: of a class by its methods, since some give themselves another module's name."""
    files = (function.__code__.co_filename for function in functions_of(definition))
    found = next((file for file in files if not file.startswith("<")), None)  # as that of a generated method does
    if found or not inspect.isclass(definition):
        return found
    try:
        return inspect.getsourcefile(definition)
    except (TypeError, OSError):
        return None


def functions_of(definition: object) -> Iterator[types.FunctionType]:
    """A function itself; of a class those that were written in it."""
    if isinstance(definition, types.FunctionType):
        yield definition
    for name, member in vars(definition).items() if inspect.isclass(definition) else ():
        method = defined(member)
        if isinstance(method, types.FunctionType) and method.__qualname__ == f"{qualname(definition)}.{name}":
            yield method


def qualname(thing: object) -> str:
    """A class's name with those of the classes around it."""
    return thing.__qualname__ if inspect.isclass(thing) else ""


def places(file: Path, path: str) -> dict[str | int, tuple[Place, str]]:
    """Place and docstring of each definition in a file, by first line and by name; none where it cannot be read."""
    try:
        tree = parse(file.read_bytes())
    except (OSError, *FAILURES):
        return {}
    found: dict[str | int, tuple[Place, str]] = {}
    for name, node in definitions(tree.body):
        place = Place(path, first_line(node), last_line(node), docstring_line(node))
        found[first_line(node)] = found[name] = place, ast.get_docstring(node) or ""
    return found
