import functools
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from index.sources.docstrings import NOWHERE
from index.sources.locate import Locator
from tests.index.sources.conftest import write

SOURCE = '''
import dataclasses, functools, collections


def decorated(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper


@decorated
@decorated
def f():
    """F."""


@dataclasses.dataclass
class Data:
    """Data."""

    rows: int = 0

    @property
    def size(self):
        r"""
        Size \\d.
        """

    @functools.cached_property
    def cached(self):
        """Cached."""


@dataclasses.dataclass
class Plain:
    """Plain."""


def changed():
    """Written."""


class Elsewhere:
    """Says another module."""

    def method(self):
        """Method."""


changed.__doc__ = "Set later."
Elsewhere.__module__ = "placed"
Made = collections.namedtuple("Made", "a")
'''


@pytest.fixture
def placed(tmp_path: Path) -> Iterator[ModuleType]:
    """An imported package whose definitions are not where they seem to be."""
    write(tmp_path, {"placed/__init__.py": "", "placed/inner.py": SOURCE})
    sys.path.insert(0, str(tmp_path))
    yield importlib.import_module("placed.inner")
    sys.path.remove(str(tmp_path))
    for name in ("placed", "placed.inner"):
        del sys.modules[name]


def line(text: str) -> int:
    """The line of the source on which a text stands."""
    return SOURCE[: SOURCE.index(text)].count("\n") + 1


def test_a_decorated_function_stands_where_it_is_written(placed: ModuleType) -> None:
    """Not where its decorator is, and with the lines of its decorators."""
    place = Locator("placed").find(placed.f, "F.")
    assert (place.path, place.first_line, place.last_line) == ("placed/inner.py", line("@decorated"), line('"""F."""'))
    assert place.docstring_line == line('"""F."""')


def test_a_class_is_found_by_its_methods_or_its_module(placed: ModuleType) -> None:
    """A dataclass has only generated ones; some classes say that they are of another module."""
    for thing, text in (
        (placed.Data, "@dataclasses"),
        (placed.Plain, '"""Plain'),
        (placed.Elsewhere, "class Elsewhere"),
    ):
        place = Locator("placed").find(thing, thing.__doc__)
        assert place.first_line <= line(text) <= place.last_line


def test_a_property_is_found_by_its_function(placed: ModuleType) -> None:
    """Its docstring may begin below its quotes."""
    for name, text in (("size", "@property"), ("cached", "@functools.cached_property")):
        member = vars(placed.Data)[name]
        assert isinstance(member, property | functools.cached_property)
        assert Locator("placed").find(member, "").first_line == line(text)
    size = Locator("placed").find(vars(placed.Data)["size"], "Size \\d.")
    assert size.docstring_line == line("Size")


def test_a_docstring_that_is_not_the_files_has_no_line(placed: ModuleType) -> None:
    """Its examples would be looked for in vain."""
    place = Locator("placed").find(placed.changed, "Set later.")
    assert (place.first_line, place.docstring_line) == (line("def changed"), 0)


def test_what_has_no_source_in_the_package_is_nowhere(placed: ModuleType) -> None:
    """Built at run time, compiled, or another package's."""
    for thing in (placed.Made, len, int, functools.wraps, importlib.import_module, 3):
        assert Locator("placed").find(thing, "") is NOWHERE
